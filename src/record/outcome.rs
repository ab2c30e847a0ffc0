//! What a record comes to: its outcome, its exit code, and what it leaves open.

use super::RunRecord;
use crate::verdict::{self, ExitCode, Finding, Outcome, Part, Weight};

impl RunRecord {
    /// What the run comes to by now: added up from its decisions; never a pass before it has ended.
    pub fn outcome(&self) -> Outcome {
        let parts: Vec<Part<'_>> = self
            .decisions
            .iter()
            .map(|decision| (decision.check.as_str(), decision.weight, &decision.finding))
            .collect();
        let outcome = verdict::add_up(self.expected.iter().map(String::as_str), &parts);
        if outcome == Outcome::Passed && (self.ended.is_none() || self.interrupted.is_some()) {
            return Outcome::Inconclusive;
        }
        outcome
    }

    /// The exit code that tells this record to a script. A signal outweighs the outcome, as a shell expects;
    /// the reports still hold what was proven before it came.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if let Some(signal) = &self.interrupted {
            return ExitCode::of_signal(signal);
        }
        match self.outcome() {
            Outcome::Passed if self.left_behind.is_empty() => ExitCode::Passed,
            Outcome::Passed => ExitCode::LeftBehind,
            Outcome::Failed => ExitCode::Failed,
            Outcome::Errored => ExitCode::Errored,
            Outcome::Inconclusive => ExitCode::Inconclusive,
        }
    }

    /// Names of expected checks that nothing was decided about, in order.
    pub fn never_decided(&self) -> Vec<&str> {
        self.expected
            .iter()
            .map(String::as_str)
            .filter(|name| !self.decisions.iter().any(|decision| decision.check == *name))
            .collect()
    }

    /// How many decisions came to what.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for decision in &self.decisions {
            let count = match (&decision.finding, decision.weight) {
                (Finding::Holds, _) => &mut tally.hold,
                (Finding::Broken(_), Weight::Gate) => &mut tally.broken,
                (Finding::Broken(_) | Finding::Undecided { .. }, Weight::Advisory) => &mut tally.degraded,
                (Finding::Undecided { .. }, Weight::Gate) => &mut tally.undecided,
                (Finding::Skipped { .. }, _) => &mut tally.skipped,
            };
            *count += 1;
        }
        tally.undecided += self.never_decided().len();
        tally
    }
}

/// Decisions counted by what they came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// What should hold and does not.
    pub(crate) broken: usize,
    /// Advisory checks that do not hold or could not be decided.
    pub(crate) degraded: usize,
    /// What holds.
    pub(crate) hold: usize,
    /// Gate checks that could not be decided, and expected ones that never were.
    pub(crate) undecided: usize,
    /// Left out on purpose.
    pub(crate) skipped: usize,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::record::{Decision, Event, Stage};

    fn passed() -> Vec<Event> {
        vec![
            Event::Decided {
                decision: Decision::new(Stage::Request, "a", "it holds", Finding::Holds),
            },
            Event::Ended {
                at: jiff::Timestamp::UNIX_EPOCH,
                took_ms: 1,
            },
        ]
    }

    #[rstest]
    #[case::nothing(None, ExitCode::Passed)]
    #[case::left(Some(Event::LeftBehind { what: vec!["cluster x".into()] }), ExitCode::LeftBehind)]
    #[case::interrupted(Some(Event::Interrupted { signal: "SIGINT".into() }), ExitCode::Interrupted)]
    #[case::hung_up(Some(Event::Interrupted { signal: "SIGHUP".into() }), ExitCode::HungUp)]
    #[case::terminated(Some(Event::Interrupted { signal: "SIGTERM".into() }), ExitCode::Terminated)]
    #[case::lost(Some(Event::Expected { checks: vec!["b".into()] }), ExitCode::Inconclusive)]
    fn what_comes_beside_a_pass_shows_in_the_exit_code(#[case] beside: Option<Event>, #[case] code: ExitCode) {
        let mut events = passed();
        events.splice(1..1, beside);
        assert_eq!(RunRecord::from_events(&events).exit_code(), code);
    }

    #[test]
    fn an_expected_check_that_was_never_decided_counts_as_undecided() {
        let mut events = passed();
        events.push(Event::Expected {
            checks: vec!["a".into(), "b".into()],
        });
        let record = RunRecord::from_events(&events);
        assert_eq!(record.never_decided(), ["b"]);
        assert_eq!((record.tally().hold, record.tally().undecided), (1, 1));
    }
}
