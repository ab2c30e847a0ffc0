//! What was found, whose fault it is, and what it adds up to.
//!
//! Pure: no clock, no input or output. A false check is data here ([`Finding::Broken`]), never an error.

use serde::{Deserialize, Serialize};

mod blame;
mod cause;

pub use blame::Blame;
pub use cause::{Cause, CauseCode};

/// What is wrong: what should have been, what was, and why.
///
/// A broken check, a step that failed and a command of the guide that is known to fail all say it with this one type.
///
/// ```
/// use quickproof::verdict::{Cause, CauseCode, Fault};
///
/// // A code alone is a cause without evidence.
/// let fault = Fault::new("status 200", "status 404", CauseCode::ModelNotServed);
/// assert!(fault.cause.blame().is_product());
///
/// // What shows the cause is added to it, line by line.
/// let cause = Cause::new(CauseCode::PodCrash).because("it exits with code 1");
/// assert_eq!(Fault::new("the pod is ready", "it restarts", cause).cause.evidence.len(), 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What should have been seen.
    pub(crate) expected: String,
    /// What was seen.
    pub(crate) actual: String,
    /// Why, and who is to blame.
    pub cause: Cause,
}

impl Fault {
    /// A fault; its cause is a [`CauseCode`] alone, or a [`Cause`] with evidence.
    pub fn new(expected: impl Into<String>, actual: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Self {
            expected: expected.into(),
            actual: actual.into(),
            cause: cause.into(),
        }
    }

    /// A fault of which the first line of evidence says what was seen.
    pub(crate) fn shown(expected: impl Into<String>, cause: Cause) -> Self {
        let actual = cause.evidence.first().cloned().unwrap_or_default();
        Self::new(expected, actual, cause)
    }
}

/// What a check came to.
///
/// ```
/// use quickproof::verdict::{CauseCode, Finding};
///
/// let finding = Finding::broken("status 200", "status 404", CauseCode::ModelNotServed);
/// assert!(finding.is_wrong());
/// assert!(!Finding::Holds.is_wrong());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum Finding {
    /// What the check says is true.
    Holds,
    /// What the check says is false.
    Broken(Fault),
    /// It could not be decided.
    Undecided {
        /// What stood in the way.
        why: String,
    },
    /// It was left out on purpose.
    Skipped {
        /// The reason; a skip without one cannot be part of a pass.
        why: String,
    },
}

impl Finding {
    /// What the check says is false; see [`Fault::new`].
    pub fn broken(expected: impl Into<String>, actual: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Self::Broken(Fault::new(expected, actual, cause))
    }

    /// Whether somebody must look: it is broken, or could not be decided.
    pub fn is_wrong(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Undecided { .. })
    }
}

impl From<Fault> for Finding {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

/// Whether a finding decides the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// It decides.
    Gate,
    /// It is shown and counted as degraded, and decides nothing.
    Advisory,
}

/// What a run came to. `Passed` and `Failed` speak of the product under test only.
///
/// ```
/// use quickproof::{
///     record::{Decision, Event, RunRecord, Stage},
///     verdict::{CauseCode, Finding, Outcome},
/// };
///
/// let mut record = RunRecord::default();
/// // An image that cannot be pulled says nothing about the release.
/// let finding = Finding::broken("images are ready", "no registry answers", CauseCode::ImagesNotReady);
/// record.fold(&Event::Decided {
///     decision: Decision::new(Stage::Images, "images", "images are ready", finding),
/// });
/// assert_eq!(record.outcome(), Outcome::Errored);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything expected was checked and holds.
    Passed,
    /// The product under test is broken, proven.
    Failed,
    /// Cluster, network, registry, host or quickproof itself stood in the way.
    Errored,
    /// Not decided, or nothing ran.
    Inconclusive,
}

impl Outcome {
    /// The word reports print, in capitals.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::Failed => "FAILED",
            Self::Errored => "ERRORED",
            Self::Inconclusive => "INCONCLUSIVE",
        }
    }
}

/// The process exit codes. They are stable: scripts lean on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Passed.
    Passed = 0,
    /// The product under test failed.
    Failed = 1,
    /// The command line, or an input it names, is wrong; nothing was made.
    Usage = 2,
    /// Infrastructure, host or quickproof itself stood in the way.
    Errored = 3,
    /// Inconclusive, or nothing ran.
    Inconclusive = 4,
    /// Passed, but something that the run made could not be removed.
    LeftBehind = 5,
    /// Its terminal was closed: ended by SIGHUP; reports were written.
    HungUp = 129,
    /// Interrupted by SIGINT; reports were written.
    Interrupted = 130,
    /// Ended by SIGTERM; reports were written.
    Terminated = 143,
}

impl ExitCode {
    /// Every code, in order.
    pub const ALL: &'static [Self] = &[
        Self::Passed,
        Self::Failed,
        Self::Usage,
        Self::Errored,
        Self::Inconclusive,
        Self::LeftBehind,
        Self::HungUp,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number a shell sees in `$?`.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The code of a process that a signal of this name has ended, as a shell counts it.
    pub(crate) fn of_signal(name: &str) -> Self {
        match name {
            "SIGHUP" => Self::HungUp,
            "SIGTERM" => Self::Terminated,
            _ => Self::Interrupted,
        }
    }

    /// What it says, as help and documentation print it.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Passed => "passed: everything expected was checked and holds",
            Self::Failed => "failed: the product under test is broken, proven",
            Self::Usage => "usage: the command line, or an input it names, is wrong; nothing was made",
            Self::Errored => "errored: cluster, network, registry, host or quickproof itself stood in the way",
            Self::Inconclusive => "inconclusive: not decided, or nothing ran",
            Self::LeftBehind => "passed, but something that the run made could not be removed",
            Self::HungUp => "ended by SIGHUP, its terminal was closed; reports were written",
            Self::Interrupted => "interrupted by SIGINT; reports were written",
            Self::Terminated => "ended by SIGTERM; reports were written",
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

/// One part of a verdict: a finding and what it weighs.
pub(crate) type Part<'a> = (&'a str, Weight, &'a Finding);

/// Adds findings up.
///
/// `expected` names the checks drawn with the plan; each must have been decided. A proven product failure is never
/// hidden by an error that came later; nothing decided is never a pass; neither is a skip without a reason.
pub(crate) fn add_up<'a>(expected: impl IntoIterator<Item = &'a str>, parts: &[Part<'_>]) -> Outcome {
    let broken = |blames_product: bool| {
        parts.iter().any(|(_, weight, finding)| {
            matches!(finding, Finding::Broken(fault)
                if *weight == Weight::Gate && fault.cause.blame().is_product() == blames_product)
        })
    };
    if broken(true) {
        return Outcome::Failed;
    }
    if broken(false) {
        return Outcome::Errored;
    }
    let undecided = parts.iter().any(|(_, weight, finding)| {
        *weight == Weight::Gate
            && match finding {
                Finding::Undecided { .. } => true,
                Finding::Skipped { why } => why.trim().is_empty(),
                Finding::Holds | Finding::Broken(_) => false,
            }
    });
    let missing = expected
        .into_iter()
        .any(|name| !parts.iter().any(|(check, _, _)| *check == name));
    let held = parts
        .iter()
        .any(|(_, weight, finding)| *weight == Weight::Gate && **finding == Finding::Holds);
    if undecided || missing || !held {
        return Outcome::Inconclusive;
    }
    Outcome::Passed
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn broken(code: CauseCode) -> Finding {
        Finding::broken("200", "404", code)
    }

    fn skipped(why: &str) -> Finding {
        Finding::Skipped { why: why.into() }
    }

    fn undecided() -> Finding {
        Finding::Undecided { why: "lost".into() }
    }

    #[rstest]
    #[case::nothing_ran(&[], &[], Outcome::Inconclusive)]
    #[case::all_hold(&["a"], &[("a", Finding::Holds)], Outcome::Passed)]
    #[case::an_expected_check_is_missing(&["a", "b"], &[("a", Finding::Holds)], Outcome::Inconclusive)]
    #[case::only_skips(&["a"], &[("a", skipped("no"))], Outcome::Inconclusive)]
    #[case::a_skip_with_reason(&["a", "b"], &[("a", Finding::Holds), ("b", skipped("why"))], Outcome::Passed)]
    #[case::a_skip_without_reason(&["a", "b"], &[("a", Finding::Holds), ("b", skipped(" "))], Outcome::Inconclusive)]
    #[case::undecided(&["a", "b"], &[("a", Finding::Holds), ("b", undecided())], Outcome::Inconclusive)]
    #[case::product(&["a"], &[("a", broken(CauseCode::ModelNotServed))], Outcome::Failed)]
    #[case::infrastructure(&["a"], &[("a", broken(CauseCode::ApiServerAway))], Outcome::Errored)]
    #[case::an_error_does_not_hide_a_failure(
        &["a"], &[("a", broken(CauseCode::ModelNotServed)), ("b", broken(CauseCode::ApiServerAway))], Outcome::Failed)]
    #[case::an_error_outweighs_a_missing_check(&["z"], &[("b", broken(CauseCode::ApiServerAway))], Outcome::Errored)]
    fn findings_add_up(#[case] expected: &[&str], #[case] found: &[(&str, Finding)], #[case] outcome: Outcome) {
        let parts: Vec<Part<'_>> = found
            .iter()
            .map(|(name, finding)| (*name, Weight::Gate, finding))
            .collect();
        assert_eq!(add_up(expected.iter().copied(), &parts), outcome);
    }

    #[test]
    fn an_advisory_finding_decides_nothing() {
        let (good, bad) = (Finding::Holds, broken(CauseCode::ToolFlagRemoved));
        let parts = [("a", Weight::Gate, &good), ("b", Weight::Advisory, &bad)];
        assert_eq!(add_up(["a"], &parts), Outcome::Passed);
        assert_eq!(add_up([], &parts[1..]), Outcome::Inconclusive);
    }
}
