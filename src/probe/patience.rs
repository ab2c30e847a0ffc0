//! Asking again where an endpoint says "not now", as clients of it do: after the pause that it asks for, one request at a time, and
//! within bounds.
//!
//! So that many requests at the same moment, which are our doing, are not what makes the answer that is judged.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::Answer;
use crate::host::{Pauses, retry};

/// How long in all the requests of a run wait.
const WAITS_IN_ALL: Duration = Duration::from_mins(2);
/// How long one request waits.
const WAITS_FOR_ONE: Duration = Duration::from_mins(1);
/// Pauses where the answer asks for none: from this one on, each twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest of them.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// No pause is shorter, whatever the answer asks for.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// Whether a status is one that the request must get.
pub(crate) trait Wanted: Fn(u16) -> bool {}
impl<F: Fn(u16) -> bool> Wanted for F {}

/// How long the requests of a run still may wait.
#[derive(Debug)]
pub(super) struct Patience {
    left: Mutex<Duration>,
    /// Held by whoever asks again.
    alone: tokio::sync::Mutex<()>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            left: Mutex::new(WAITS_IN_ALL),
            alone: tokio::sync::Mutex::default(),
        }
    }
}

/// An answer that says "not now".
struct NotNow(Answer);

impl fmt::Display for NotNow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.brief())
    }
}

impl Patience {
    /// Sends, and again while the answer says "not now" and is not wanted. The last answer, with how many tries it took.
    pub(super) async fn insist(&self, send: impl AsyncFn() -> Answer, wanted: impl Wanted) -> Answer {
        let began = Instant::now();
        let mut pauses = Pauses::doubling(FIRST_PAUSE, LONGEST_PAUSE);
        let pause = |NotNow(answer): &NotNow| {
            let own = pauses.next().unwrap_or(LONGEST_PAUSE);
            let pause = pause_asked(answer).unwrap_or(own).max(SHORTEST_PAUSE);
            let fits = began.elapsed().saturating_add(pause) <= WAITS_FOR_ONE;
            (fits && self.takes(pause)).then_some(pause)
        };
        let mut tries = 0;
        let (send, wanted) = (&send, &wanted);
        let call = || {
            tries += 1;
            let number = tries;
            async move {
                let _alone = if number > 1 {
                    Some(self.alone.lock().await)
                } else {
                    None
                };
                let answer = send().await.on_attempt(number);
                let is_wanted = answer.status().is_some_and(wanted);
                if says_not_now(&answer) && !is_wanted {
                    Err(NotNow(answer))
                } else {
                    Ok(answer)
                }
            }
        };
        match retry(pause, call, |_| true, |_| ()).await {
            Ok(answer) | Err(NotNow(answer)) => answer,
        }
    }

    /// Takes a pause from what is left, where that is enough.
    fn takes(&self, pause: Duration) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        match left.checked_sub(pause) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }
}

/// Whether an answer says that it is not the time for the request: 429, or 503 with the time to come back. Sources: RFC 6585,
/// section 4; RFC 9110, sections 10.2.3 and 15.6.4.
pub(crate) fn says_not_now(answer: &Answer) -> bool {
    match answer.status() {
        Some(429) => true,
        Some(503) => answer.header("retry-after").is_some(),
        _ => false,
    }
}

/// The pause that an answer asks for, where it gives it in seconds.
fn pause_asked(answer: &Answer) -> Option<Duration> {
    let seconds = answer.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rstest::rstest;

    use super::*;
    use crate::probe::{Outgoing, Received, Times};

    fn answer(status: u16, retry_after: Option<&str>) -> Answer {
        let headers = retry_after.map(|value| ("retry-after".to_owned(), value.to_owned()));
        Answer {
            request: Outgoing {
                method: "GET".into(),
                url: "http://h".into(),
                headers: Vec::new(),
                body: None,
            },
            attempt: 1,
            resent: None,
            outcome: Ok(Received {
                status,
                headers: headers.into_iter().collect(),
                ..Received::default()
            }),
            partial: None,
            times: Times::default(),
            took: Duration::ZERO,
        }
    }

    /// What comes of so many such answers and then a 200: the status, the tries, and the seconds that it took.
    async fn insisted(times: u32, status: u16, retry_after: Option<&str>) -> (Option<u16>, u32, u64) {
        let (began, asked) = (Instant::now(), Cell::new(0));
        let send = async || {
            asked.set(asked.get() + 1);
            if asked.get() > times {
                answer(200, None)
            } else {
                answer(status, retry_after)
            }
        };
        let last = Patience::default().insist(send, |status| status == 200).await;
        assert_eq!(last.attempt, asked.get());
        (last.status(), last.attempt, began.elapsed().as_secs())
    }

    #[rstest]
    #[case::at_once(0, 429, None, (200, 1, 0))]
    #[case::a_pause_that_is_asked_for(2, 429, Some("5"), (200, 3, 10))]
    #[case::no_pause_asked_for(3, 429, None, (200, 4, 7))]
    #[case::a_date_is_no_pause(1, 429, Some("Wed, 21 Oct 2015 07:28:00 GMT"), (200, 2, 1))]
    #[case::unavailable_for_a_while(1, 503, Some("9"), (200, 2, 9))]
    #[case::unavailable(1, 503, None, (503, 1, 0))]
    #[case::an_error(1, 500, Some("1"), (500, 1, 0))]
    #[case::too_long_a_pause(1, 429, Some("61"), (429, 1, 0))]
    #[case::too_often(99, 429, Some("20"), (429, 4, 60))]
    #[tokio::test(start_paused = true)]
    async fn what_is_not_answered_now_is_asked_again_within_a_bound(
        #[case] times: u32,
        #[case] status: u16,
        #[case] retry_after: Option<&str>,
        #[case] comes_to: (u16, u32, u64),
    ) {
        let (last, tries, seconds) = insisted(times, status, retry_after).await;
        assert_eq!((last.unwrap_or_default(), tries, seconds), comes_to);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wanted_is_not_asked_for_again() {
        let send = async || answer(429, Some("1"));
        let last = Patience::default().insist(send, |status| status == 429).await;
        assert_eq!(last.attempt, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_requests_of_a_run_do_not_wait_for_ever_one_after_the_other() {
        let (patience, began) = (Patience::default(), Instant::now());
        for _ in 0..100 {
            patience.insist(async || answer(429, Some("30")), |_| false).await;
        }
        assert_eq!(began.elapsed(), WAITS_IN_ALL);
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_that_were_asked_for_at_once_each_is_asked_again_alone() {
        let (under_way, most, asked) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let send = async || {
            let is_first = asked.get() < 8;
            asked.set(asked.get() + 1);
            under_way.set(under_way.get() + 1);
            if !is_first {
                most.set(under_way.get().max(most.get()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            under_way.set(under_way.get() - 1);
            answer(if is_first { 429 } else { 200 }, Some("1"))
        };
        let patience = Patience::default();
        let all = (0..8).map(|_| patience.insist(&send, |status| status == 200));
        let answers = futures::future::join_all(all).await;
        assert!(answers.iter().all(|answer| answer.status() == Some(200)));
        assert_eq!(most.get(), 1);
    }
}
