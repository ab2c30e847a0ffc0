//! How a part of a run says that the run goes no further.

use std::{any::Any, time::Duration};

use super::checks::{self, RunCheck};
use crate::{
    host::in_words,
    probe::{Probe, ProbeError},
    record::{Decision, Events, Stage},
    verdict::{Cause, CauseCode, Fault},
};

/// The run stops here, and the reason was sent as a decision: nothing else makes a value of this type.
#[derive(Debug)]
pub(super) struct Stopped(());

impl Stopped {
    /// Says what the run stops at.
    pub(super) fn at(events: &Events, decision: Decision) -> Self {
        events.decide(decision);
        Self(())
    }

    /// Says that something of our own or of the machine failed.
    pub(super) fn for_error(
        events: &Events,
        check: RunCheck,
        expected: &str,
        code: CauseCode,
        error: &dyn std::error::Error,
    ) -> Self {
        let fault = Fault::shown(expected, Cause::new(code).because(in_words(error)));
        Self::at(events, check.decision(expected, fault.into()))
    }

    /// Says that quickproof itself failed, in the stage that the run is in.
    pub(super) fn by_harness(events: &Events, expected: &str, actual: &str) -> Self {
        Self::at(events, harness_failed(events.stage(), expected, actual))
    }

    /// Says that quickproof panicked, in the stage that the run is in.
    pub(super) fn by_panic(events: &Events, panic: &(dyn Any + Send)) -> Self {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        Self::by_harness(
            events,
            "quickproof does not panic",
            words.unwrap_or("a panic without words"),
        )
    }

    /// The run deviated although `--strict` forbids it: the end of the run says so, with the number of deviations.
    pub(super) fn by_strictness() -> Self {
        Self(())
    }
}

/// The decision that quickproof itself failed.
pub(super) fn harness_failed(stage: Stage, expected: &str, actual: &str) -> Decision {
    let fault = Fault::shown(expected, Cause::new(CauseCode::HarnessError).because(actual));
    checks::harness(stage).decision("quickproof itself failed", fault.into())
}

/// What sends requests, each of which ends within `limit`.
///
/// # Errors
/// It cannot be set up.
pub(super) fn probe(events: &Events, limit: Duration) -> Result<Probe, Stopped> {
    set_up(events, Probe::new(limit))
}

fn set_up(events: &Events, probe: Result<Probe, ProbeError>) -> Result<Probe, Stopped> {
    probe.map_err(|error| Stopped::by_harness(events, "requests can be sent", &in_words(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::{Event, RunRecord},
        verdict::{Finding, Outcome},
    };

    fn recorded(run: impl FnOnce(&Events)) -> RunRecord {
        let (events, mut receiver) = Events::channel();
        run(&events);
        let heard: Vec<Event> = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
        RunRecord::from_events(&heard)
    }

    #[test]
    fn requests_that_cannot_be_sent_are_the_fault_of_quickproof_and_of_the_stage_they_were_for() {
        let record = recorded(|events| {
            events.send(Event::Entered { stage: Stage::Proof });
            let unusable = rustls::Error::FailedToGetCurrentTime;
            let _ = set_up(events, Err(unusable.into())).unwrap_err();
        });
        assert_eq!(record.outcome(), Outcome::Errored);
        assert_eq!(record.decisions[0].stage, Stage::Proof);
        let Finding::Broken(fault) = &record.decisions[0].finding else {
            panic!("{:?}", record.decisions);
        };
        assert_eq!(fault.cause.code, CauseCode::HarnessError);
        assert!(!fault.actual.is_empty());
    }

    #[test]
    fn a_probe_that_can_be_set_up_says_nothing() {
        let record = recorded(|events| drop(probe(events, Duration::from_secs(1)).unwrap()));
        assert!(record.decisions.is_empty());
    }
}
