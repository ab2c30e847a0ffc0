//! Whether the registries of some images answer, so that images can be pulled.
//!
//! What is tested is never decided by a moment's silence: images are pulled where all registries answer, and made from
//! packages only where none is there at all. Where some answer and some do not, a run says so and ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    ImageRef, ImageSource, ImagesError,
    progress::Progress,
    store::Store,
    upstream::{PATIENCE, Seen, Upstream},
};
use crate::{
    host::{Host, poll},
    record::{Events, Stage},
};

/// Between two times that those are asked which did not answer.
const BETWEEN: Duration = Duration::from_secs(2);

/// How long it is remembered that no registry answers. That they do is asked anew each time.
const MEMORY: SignedDuration = SignedDuration::from_mins(10);

/// A note that registries did not answer a moment ago.
#[derive(Debug, Serialize, Deserialize)]
struct Unanswered {
    hosts: BTreeSet<String>,
    at: Timestamp,
}

/// Where kind's own node images are published.
const STOCK_NODE_REGISTRY: &str = "docker.io";

/// What was seen of each registry, by its host.
type Registries = BTreeMap<String, Seen>;

/// What follows from that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Pull,
    Build,
    /// Some answer, or are there, and others do not.
    Neither,
}

/// Pulls where the registries of all wanted images answer, builds where none does.
///
/// # Errors
/// Some do and some do not.
pub(super) async fn choose(host: &Host, wanted: &[ImageRef], events: &Events) -> Result<ImageSource, ImagesError> {
    // The stock node image comes from the default registry, whatever else is wanted.
    let node = [STOCK_NODE_REGISTRY.to_owned()];
    let hosts: BTreeSet<String> = wanted.iter().map(|image| image.host().to_owned()).chain(node).collect();
    let store = Store::of(host);
    let last: Option<Unanswered> = store.recall("seen", "silence");
    let last = last.filter(|last| hosts.is_subset(&last.hosts) && host.now().duration_since(last.at) < MEMORY);
    let before = last.map_or(Before::Unknown, |_| Before::NobodyAnswered);
    let progress = Progress::new(events);
    let _job = progress.begin("finding out whether image registries answer", None);
    let upstream = Upstream::new(host)?;
    let asked = asked_patiently(&hosts, before, async |registry| upstream.is_there(registry).await);
    let (choice, seen) = progress.during(asked).await;
    match choice {
        Choice::Pull => Ok(ImageSource::Pull),
        Choice::Neither => Err(ImagesError::SomeAnswer { seen: in_words(&seen) }),
        Choice::Build => {
            let who: Vec<&str> = hosts.iter().map(String::as_str).collect();
            events.note(
                Stage::Images,
                format!("no answer from {}: images are made from packages", who.join(", ")),
            );
            let unanswered = Unanswered { hosts, at: host.now() };
            store.remember("seen", "silence", &unanswered)?;
            Ok(ImageSource::Build)
        }
    }
}

/// What is known from a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Unknown,
    /// Nobody answered, so that to be asked once is enough for that to be so still.
    NobodyAnswered,
}

/// Asks all registries, and those that do not answer again, until it is decided or half a minute is over.
async fn asked_patiently(
    hosts: &BTreeSet<String>,
    before: Before,
    ask: impl AsyncFn(&str) -> Seen,
) -> (Choice, Registries) {
    let mut seen = Registries::new();
    let decided = poll(PATIENCE, BETWEEN, async |round| {
        let is_open = |name: &&String| seen.get(*name) != Some(&Seen::Answers);
        let open: Vec<String> = hosts.iter().filter(is_open).cloned().collect();
        let said = future::join_all(open.iter().map(|name| ask(name))).await;
        seen.extend(open.into_iter().zip(said));
        let still = before == Before::NobodyAnswered && seen.values().all(is_gone);
        still
            .then_some(Choice::Build)
            .or_else(|| sooner(&seen, round))
            .ok_or(())
    });
    let decided = decided.await;
    (decided.unwrap_or_else(|()| in_the_end(&seen)), seen)
}

/// What is decided before the time is over. That a registry is silent decides nothing then. Where somebody says of *every*
/// registry, and twice, that there is no way to it (no such name, nobody listens), this machine has no registries.
fn sooner(seen: &Registries, round: u32) -> Option<Choice> {
    let all = |is: fn(&Seen) -> bool| seen.values().all(is);
    if all(|seen| matches!(seen, Seen::Answers)) {
        return Some(Choice::Pull);
    }
    (round > 1 && all(|seen| matches!(seen, Seen::Away(_)))).then_some(Choice::Build)
}

/// What is decided once the time is over. One that only says that it cannot now is there.
fn in_the_end(seen: &Registries) -> Choice {
    if seen.values().all(is_gone) {
        Choice::Build
    } else {
        Choice::Neither
    }
}

fn is_gone(seen: &Seen) -> bool {
    matches!(seen, Seen::Away(_) | Seen::Silent(_))
}

/// Who answers and who does not, with what was seen.
fn in_words(seen: &Registries) -> String {
    let silent = seen.values().filter_map(|seen| match seen {
        Seen::Answers => None,
        Seen::Unable(said) | Seen::Away(said) | Seen::Silent(said) => Some(said.as_str()),
    });
    let answering = seen.iter().filter(|(_, seen)| **seen == Seen::Answers);
    let answering: Vec<&str> = answering.map(|(name, _)| name.as_str()).collect();
    let silent = silent.collect::<Vec<_>>().join("; ");
    if answering.is_empty() {
        return silent;
    }
    format!("{silent}; {} answers", answering.join(", "))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use rstest::rstest;
    use tokio::time::Instant;

    use super::*;

    /// What one registry does: `+` answers, `5` cannot now, `-` is away at once, `.` is silent; round by round, and the last
    /// goes on.
    fn seen(rounds: &str, round: usize) -> Seen {
        let rounds: Vec<char> = rounds.chars().collect();
        let said = || "r says so".to_owned();
        match rounds[round.min(rounds.len() - 1)] {
            '+' => Seen::Answers,
            '5' => Seen::Unable(said()),
            '-' => Seen::Away(said()),
            _ => Seen::Silent(said()),
        }
    }

    /// What is decided by what these registries do, and after how many seconds.
    async fn decided(registries: &[&str], before: Before) -> (Choice, u64) {
        let hosts: BTreeSet<String> = (0..registries.len()).map(|number| number.to_string()).collect();
        let asked = RefCell::new(vec![0; registries.len()]);
        let began = Instant::now();
        let ask = async |host: &str| {
            let number: usize = host.parse().unwrap();
            let round = asked.borrow()[number];
            asked.borrow_mut()[number] += 1;
            seen(registries[number], round)
        };
        let (choice, _) = asked_patiently(&hosts, before, ask).await;
        (choice, began.elapsed().as_secs())
    }

    #[rstest]
    #[case::all_answer(&["+", "+"], Choice::Pull, 0)]
    #[case::one_comes_late(&["+", "...+"], Choice::Pull, 6)]
    #[case::one_could_not_at_first(&["55+", "+"], Choice::Pull, 4)]
    #[case::one_stays_silent(&["+", "."], Choice::Neither, 30)]
    #[case::one_is_not_there(&["+", "-"], Choice::Neither, 30)]
    #[case::one_cannot(&["+", "5"], Choice::Neither, 30)]
    #[case::one_is_there_and_cannot(&["5", "-"], Choice::Neither, 30)]
    #[case::all_are_there_and_cannot(&["5", "5"], Choice::Neither, 30)]
    #[case::none_is_there(&["-", "-"], Choice::Build, 2)]
    #[case::none_was_there_for_a_moment(&["-+", "-+"], Choice::Pull, 2)]
    #[case::all_are_silent(&[".", "."], Choice::Build, 30)]
    #[case::silent_and_away(&[".", "-"], Choice::Build, 30)]
    #[tokio::test(start_paused = true)]
    async fn a_silence_decides_nothing_before_half_a_minute_is_over(
        #[case] registries: &[&str],
        #[case] wanted: Choice,
        #[case] seconds: u64,
    ) {
        assert_eq!(decided(registries, Before::Unknown).await, (wanted, seconds));
    }

    /// A network that was away for a moment decides no later run.
    #[rstest]
    #[case::still_silent(&[".", "."], Choice::Build, 0)]
    #[case::still_away(&["-", "."], Choice::Build, 0)]
    #[case::back(&["+", "+"], Choice::Pull, 0)]
    #[case::one_is_back(&["+", "..+"], Choice::Pull, 4)]
    #[case::one_stays_away(&["+", "-"], Choice::Neither, 30)]
    #[tokio::test(start_paused = true)]
    async fn a_silence_that_is_remembered_is_asked_about_once_more(
        #[case] registries: &[&str],
        #[case] wanted: Choice,
        #[case] seconds: u64,
    ) {
        assert_eq!(decided(registries, Before::NobodyAnswered).await, (wanted, seconds));
    }

    #[test]
    fn who_does_not_answer_is_named_with_what_was_seen() {
        let seen = Registries::from([
            ("a.example".to_owned(), Seen::Answers),
            (
                "b.example".to_owned(),
                Seen::Silent("b.example does not answer within 10 s".to_owned()),
            ),
        ]);
        let error = ImagesError::SomeAnswer { seen: in_words(&seen) }.to_string();
        assert!(
            error.contains("b.example does not answer within 10 s; a.example answers"),
            "{error}"
        );
        for way_out in ["--images pull", "--images build", "--images present"] {
            assert!(error.contains(way_out), "{error}");
        }
    }
}
