//! The record: what a run's events add up to.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Decision, Deviation, Event, LoadFigures, RECORD_VERSION, Stage, Subject};
use crate::verdict::Finding;

/// A run, as far as it got. Every report is a pure function of it.
///
/// ```
/// use quickproof::{
///     record::{Decision, Event, RunRecord, Stage},
///     verdict::Finding,
/// };
///
/// let mut record = RunRecord::default();
/// record.fold(&Event::Expected {
///     checks: vec!["request-status".to_owned(), "endpoint-picker".to_owned()],
/// });
/// record.fold(&Event::Decided {
///     decision: Decision::new(Stage::Request, "request-status", "the request is answered with 200", Finding::Holds),
/// });
/// assert_eq!(record.never_decided(), ["endpoint-picker"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this form: [`RECORD_VERSION`].
    pub(crate) record_version: u32,
    /// The run's id; empty before it began.
    pub(crate) run: String,
    /// quickproof's version.
    pub(crate) quickproof: String,
    /// When it began.
    pub(crate) began: Option<jiff::Timestamp>,
    /// When it ended; `None` while it runs, and for ever when it was killed.
    pub(crate) ended: Option<jiff::Timestamp>,
    /// Milliseconds in all, once it ended.
    pub(crate) took_ms: Option<u64>,
    /// What is tested.
    pub(crate) subject: Option<Subject>,
    /// The command line.
    pub(crate) command: String,
    /// Names of the checks that must be decided.
    pub(crate) expected: BTreeSet<String>,
    /// The ledger, in order.
    pub(crate) ledger: Vec<Deviation>,
    /// Facts noted, in order.
    pub(crate) notes: Vec<(Stage, String)>,
    /// Decisions, in order; a later decision of the same check replaces the earlier one in place.
    pub decisions: Vec<Decision>,
    /// What was wrong with checks that hold by now, in order: they were tried again, and that they needed it is no secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) retried: Vec<Decision>,
    /// What loads came to, in order; a later one of the same scenario and step replaces the earlier one in place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<LoadFigures>,
    /// Milliseconds spent, by stage, in order.
    pub(crate) spent: Vec<(Stage, u64)>,
    /// The signal that interrupted it.
    pub(crate) interrupted: Option<String>,
    /// What could not be removed.
    pub(crate) left_behind: Vec<String>,
    /// How to look at what was kept.
    pub(crate) kept: Vec<String>,
}

impl Default for RunRecord {
    fn default() -> Self {
        Self {
            record_version: RECORD_VERSION,
            run: String::new(),
            quickproof: String::new(),
            began: None,
            ended: None,
            took_ms: None,
            subject: None,
            command: String::new(),
            expected: BTreeSet::new(),
            ledger: Vec::new(),
            notes: Vec::new(),
            decisions: Vec::new(),
            retried: Vec::new(),
            loads: Vec::new(),
            spent: Vec::new(),
            interrupted: None,
            left_behind: Vec::new(),
            kept: Vec::new(),
        }
    }
}

/// Whether an event changed what reports say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Reports must be written anew.
    Telling,
    /// Only live reporters care.
    Passing,
}

impl RunRecord {
    /// The record of a run before its first event.
    pub(crate) fn of_run(run: &str) -> Self {
        Self {
            run: run.to_owned(),
            quickproof: env!("CARGO_PKG_VERSION").to_owned(),
            ..Self::default()
        }
    }

    /// The record that a series of events adds up to.
    pub fn from_events<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut record = Self::default();
        for event in events {
            record.fold(event);
        }
        record
    }

    /// Takes one event in.
    pub fn fold(&mut self, event: &Event) -> Change {
        match event {
            Event::Began {
                run,
                version,
                at,
                subject,
                command,
            } => {
                self.run.clone_from(run);
                self.quickproof.clone_from(version);
                self.began = Some(*at);
                self.subject = Some(subject.clone());
                self.command.clone_from(command);
            }
            Event::Expected { checks } => self.expected.extend(checks.iter().cloned()),
            Event::Deviated { deviation } => {
                if self.ledger.contains(deviation) {
                    return Change::Passing;
                }
                self.ledger.push(deviation.clone());
            }
            Event::Noted { stage, sentence } => self.notes.push((*stage, sentence.clone())),
            Event::Decided { decision } => {
                match self
                    .decisions
                    .iter_mut()
                    .find(|earlier| earlier.check == decision.check)
                {
                    Some(earlier) => {
                        let earlier = std::mem::replace(earlier, decision.clone());
                        if earlier.finding.is_wrong() && decision.finding == Finding::Holds {
                            self.retried.push(earlier);
                        }
                    }
                    None => self.decisions.push(decision.clone()),
                }
            }
            Event::Loaded { figures } => match self.loads.iter_mut().find(|earlier| earlier.of == figures.of) {
                Some(earlier) => earlier.clone_from(figures),
                None => self.loads.push(LoadFigures::clone(figures)),
            },
            Event::Spent { stage, took_ms } => match self.spent.iter_mut().find(|(spent, _)| spent == stage) {
                Some((_, sum)) => *sum += took_ms,
                None => self.spent.push((*stage, *took_ms)),
            },
            Event::Interrupted { signal } => self.interrupted = Some(signal.clone()),
            Event::LeftBehind { what } => self.left_behind.extend(what.iter().cloned()),
            Event::Kept { how } => self.kept.extend(how.iter().cloned()),
            Event::Ended { at, took_ms } => {
                self.ended = Some(*at);
                self.took_ms = Some(*took_ms);
            }
            Event::Entered { .. } | Event::Waiting { .. } => return Change::Passing,
        }
        Change::Telling
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{CauseCode, Outcome};

    fn decided(check: &str, finding: Finding) -> Event {
        Event::Decided {
            decision: Decision::new(Stage::Request, check, "it holds", finding),
        }
    }

    fn ended() -> Event {
        Event::Ended {
            at: jiff::Timestamp::UNIX_EPOCH,
            took_ms: 1,
        }
    }

    #[test]
    fn a_run_that_never_ended_did_not_pass() {
        let holds = decided("a", Finding::Holds);
        assert_eq!(RunRecord::from_events([&holds]).outcome(), Outcome::Inconclusive);
        assert_eq!(RunRecord::from_events([&holds, &ended()]).outcome(), Outcome::Passed);
    }

    #[test]
    fn a_proven_failure_stands_although_the_run_was_killed() {
        let broken = Finding::broken("", "", CauseCode::ModelNotServed);
        assert_eq!(
            RunRecord::from_events([&decided("a", broken)]).outcome(),
            Outcome::Failed
        );
    }

    #[test]
    fn an_interrupted_run_did_not_pass() {
        let signal = Event::Interrupted {
            signal: "SIGINT".into(),
        };
        let record = RunRecord::from_events([&decided("a", Finding::Holds), &signal, &ended()]);
        assert_eq!(record.outcome(), Outcome::Inconclusive);
    }

    #[test]
    fn a_lost_check_is_never_a_pass() {
        let expected = Event::Expected {
            checks: vec!["a".into(), "b".into()],
        };
        let record = RunRecord::from_events([&expected, &decided("a", Finding::Holds), &ended()]);
        assert_eq!(record.outcome(), Outcome::Inconclusive);
    }

    #[test]
    fn what_was_wrong_before_a_check_held_is_kept_and_decides_nothing() {
        let broken = || decided("a", Finding::broken("", "", CauseCode::ModelNotServed));
        let holds = decided("a", Finding::Holds);
        let record = RunRecord::from_events([&broken(), &holds, &ended()]);
        assert_eq!((record.outcome(), record.retried.len()), (Outcome::Passed, 1));
        let record = RunRecord::from_events([&holds, &broken(), &ended()]);
        assert_eq!((record.outcome(), record.retried.len()), (Outcome::Failed, 0));
    }

    #[test]
    fn the_record_reads_back_from_its_json() {
        let record = RunRecord::from_events([&decided("a", Finding::Holds), &ended()]);
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<RunRecord>(&json).unwrap(), record);
    }
}
