//! The one root cause of a run that did not pass, and what follows from it.
//!
//! A Gateway that nobody serves leaves its route without an answer, the pool without a parent, and every request unsent: that is
//! one finding, and not many.

use serde::Serialize;

use super::{Decision, Provenance, RunRecord, Stage};
use crate::{
    redact::cut,
    verdict::{Blame, CauseCode, Fault, Finding, Outcome, Weight},
};

/// Why a run did not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RootCause<'a> {
    /// The check that shows it.
    pub(crate) check: &'a str,
    /// Its code; `None` where something could not be decided.
    pub(crate) code: Option<CauseCode>,
    /// Who is to blame; `None` where something could not be decided.
    pub(crate) blame: Option<Blame>,
    /// What it is, with its object, in one sentence without a full stop.
    pub(crate) what: String,
    /// The place in the release.
    pub(crate) from: Option<&'a Provenance>,
    /// Checks that are broken or undecided because of it, in their order.
    pub(crate) because_of_it: Vec<&'a str>,
    /// How many of the expected checks were not reached.
    pub(crate) not_reached: usize,
}

impl RootCause<'_> {
    /// What it is, and where.
    pub(crate) fn sentence(&self) -> String {
        match self.from {
            Some(from) if !self.what.contains(&from.to_string()) => format!("{} ({from})", self.what),
            _ => self.what.clone(),
        }
    }
}

/// How much is told of what shows the cause; the whole of it stands with the finding.
const SHOWN: usize = 200;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Workload,
    Class,
    Gateway,
    Route,
    Pool,
    /// The pods that the pool selects.
    Endpoints,
    Request,
    Proof,
    Scenarios,
}

/// What needs what. What a step of the guide needs is not here: a run ends at one that fails.
const NEEDS: &[(Subject, &[Subject])] = &[
    (Subject::Gateway, &[Subject::Class]),
    (Subject::Route, &[Subject::Gateway]),
    (Subject::Pool, &[Subject::Route]),
    (Subject::Endpoints, &[Subject::Workload]),
    (Subject::Request, &[Subject::Pool, Subject::Endpoints]),
    (Subject::Proof, &[Subject::Request]),
    (Subject::Scenarios, &[Subject::Request]),
];

/// What an object has wrong by itself, whatever becomes of those that it needs.
const OWN: &[CauseCode] = &[
    CauseCode::RouteBackendUnresolved,
    CauseCode::PoolSelectsNoPod,
    CauseCode::PoolSelectsForeignPod,
];

/// What may be said of an object for which there was no time, as another was refused for good.
const PENDING: &[CauseCode] = &[
    CauseCode::GatewayNotProgrammed,
    CauseCode::GatewayWithoutAddress,
    CauseCode::RouteParentWithoutStatus,
];

impl Subject {
    /// What a decision is about; `None` for what nothing else follows from.
    fn of(decision: &Decision) -> Option<Self> {
        let code = code(decision);
        Some(match (decision.stage, decision.check.as_str()) {
            (Stage::Deployment, check) if check.starts_with("workload:") => Self::Workload,
            (Stage::Conditions, "gateway-programmed") if code == Some(CauseCode::GatewayClassMissing) => Self::Class,
            (Stage::Conditions, "gateway-programmed") => Self::Gateway,
            (Stage::Conditions, "http-route-resolved") => Self::Route,
            (Stage::Conditions, "inference-pool-accepted") => Self::Pool,
            (Stage::Conditions, _) => Self::Endpoints,
            (Stage::Request, _) => Self::Request,
            (Stage::Proof, _) => Self::Proof,
            (Stage::Scenarios, _) => Self::Scenarios,
            _ => return None,
        })
    }

    /// Whether it needs another, by itself or through what it needs.
    fn needs(self, other: Self) -> bool {
        let needed = NEEDS
            .iter()
            .filter(|(one, _)| *one == self)
            .flat_map(|(_, needed)| *needed);
        needed.into_iter().any(|needed| *needed == other || needed.needs(other))
    }
}

fn code(decision: &Decision) -> Option<CauseCode> {
    match &decision.finding {
        Finding::Broken(fault) => Some(fault.cause.code),
        _ => None,
    }
}

/// Whether a decision follows from one that came before it.
fn follows(decision: &Decision, root: &Decision) -> bool {
    let (Some(its), Some(of_root)) = (Subject::of(decision), Subject::of(root)) else {
        return false;
    };
    let has_its_own = code(decision).is_some_and(|code| OWN.contains(&code));
    // The same answer is judged by several checks.
    let same_answer = its == of_root && matches!(its, Subject::Request | Subject::Proof);
    let same_code = code(decision).is_none() || code(decision) == code(root);
    (its.needs(of_root) && !has_its_own) || (same_answer && same_code)
}

impl RunRecord {
    /// The root cause, as far as is known by now; `None` of a run that passes, and of one of which nothing says why it does not.
    pub(crate) fn root_cause(&self) -> Option<RootCause<'_>> {
        let root = self.root()?;
        let others = self.decisions.iter().filter(|one| one.check != root.check);
        let because_of_it = others
            .filter(|one| one.finding.is_wrong() && follows(one, root))
            .map(|one| one.check.as_str());
        let (code, blame, what) = match &root.finding {
            Finding::Broken(fault) => (Some(fault.cause.code), Some(fault.cause.blame()), told(fault)),
            Finding::Undecided { why } => (None, None, format!("{}: {why}", root.sentence)),
            Finding::Holds | Finding::Skipped { .. } => return None,
        };
        // What was left open by a signal, or is still to come, was not left out because of it.
        let is_over = self.ended.is_some() && self.interrupted.is_none();
        Some(RootCause {
            check: &root.check,
            code,
            blame,
            what,
            from: root.from.as_ref(),
            because_of_it: because_of_it.collect(),
            not_reached: if is_over { self.never_decided().len() } else { 0 },
        })
    }

    /// The decision that the outcome comes from: the first of those that agree with it, and which others may follow from.
    fn root(&self) -> Option<&Decision> {
        let outcome = self.outcome();
        let agrees = |decision: &&Decision| match (&decision.finding, outcome) {
            (Finding::Broken(fault), Outcome::Failed) => fault.cause.blame().is_product(),
            (Finding::Broken(fault), Outcome::Errored) => !fault.cause.blame().is_product(),
            // What a signal ended is inconclusive for that.
            (Finding::Undecided { .. }, Outcome::Inconclusive) => self.interrupted.is_none(),
            _ => false,
        };
        let gates = self.decisions.iter().filter(|one| one.weight == Weight::Gate);
        let mut all = gates.filter(agrees);
        let first = all.next()?;
        let is_pending = code(first).is_some_and(|code| PENDING.contains(&code));
        let refused = all.find(|one| is_pending && code(one).is_some_and(|code| OWN.contains(&code)));
        Some(refused.unwrap_or(first))
    }
}

/// What a fault is: its cause in words, and what shows it here.
fn told(fault: &Fault) -> String {
    let sentence = fault.cause.code.sentence().trim_end_matches('.');
    let shown = fault.cause.evidence.first().unwrap_or(&fault.actual);
    let first_line = shown.trim().lines().next().unwrap_or_default();
    if first_line.is_empty() {
        return sentence.to_owned();
    }
    format!("{sentence}: {}", cut(first_line, SHOWN))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{record::Event, verdict::Cause};

    fn decided(stage: Stage, check: &str, finding: Finding) -> Event {
        Event::Decided {
            decision: Decision::new(stage, check, format!("{check} is so"), finding),
        }
    }

    fn broken(stage: Stage, check: &str, code: CauseCode) -> Event {
        let fault = Fault::shown("it is so", Cause::new(code).because(format!("{check}: no")));
        decided(stage, check, fault.into())
    }

    fn undecided(stage: Stage, check: &str) -> Event {
        decided(
            stage,
            check,
            Finding::Undecided {
                why: "no answer".into(),
            },
        )
    }

    /// The record of these events in a run that has ended.
    fn record(events: Vec<Event>) -> RunRecord {
        let ended = Event::Ended {
            at: jiff::Timestamp::UNIX_EPOCH,
            took_ms: 1,
        };
        RunRecord::from_events(&events.into_iter().chain([ended]).collect::<Vec<_>>())
    }

    fn root(record: &RunRecord) -> Option<(&str, Vec<&str>)> {
        record.root_cause().map(|root| (root.check, root.because_of_it))
    }

    const GATEWAY: &str = "gateway-programmed";
    const ROUTE: &str = "http-route-resolved";
    const POOL: &str = "inference-pool-accepted";

    #[test]
    fn a_class_that_nobody_serves_is_one_finding() {
        let expected = Event::Expected {
            checks: [GATEWAY, ROUTE, POOL, "request-status", "spread"]
                .map(Into::into)
                .into(),
        };
        let record = record(vec![
            expected,
            broken(Stage::Conditions, GATEWAY, CauseCode::GatewayClassMissing),
            broken(Stage::Conditions, ROUTE, CauseCode::RouteParentWithoutStatus),
            broken(Stage::Conditions, POOL, CauseCode::PoolNotAccepted),
        ]);
        let root = record.root_cause().unwrap();
        assert_eq!((root.check, root.because_of_it), (GATEWAY, vec![ROUTE, POOL]));
        assert_eq!((root.blame, root.not_reached), (Some(Blame::Gateway), 2));
        assert_eq!(
            root.what,
            "No controller has taken the Gateway's class: gateway-programmed: no"
        );
    }

    #[rstest]
    #[case::what_a_route_has_wrong_by_itself_does_not_follow(
        vec![
            broken(Stage::Conditions, GATEWAY, CauseCode::GatewayClassMissing),
            broken(Stage::Conditions, ROUTE, CauseCode::RouteBackendUnresolved),
        ],
        Some((GATEWAY, vec![])))]
    #[case::a_refusal_goes_before_what_had_no_time(
        vec![
            broken(Stage::Conditions, GATEWAY, CauseCode::GatewayNotProgrammed),
            broken(Stage::Conditions, ROUTE, CauseCode::RouteBackendUnresolved),
            broken(Stage::Conditions, POOL, CauseCode::PoolNotAccepted),
        ],
        Some((ROUTE, vec![POOL])))]
    #[case::a_workload_takes_the_pool_and_requests_with_it(
        vec![
            broken(Stage::Deployment, "workload:n/server", CauseCode::PodCrash),
            broken(Stage::Conditions, "pool-selects-pods", CauseCode::PoolNotAccepted),
            broken(Stage::Request, "request-status", CauseCode::GatewayAnsweredError),
        ],
        Some(("workload:n/server", vec!["pool-selects-pods", "request-status"])))]
    #[case::two_workloads_are_two_faults(
        vec![
            broken(Stage::Deployment, "workload:n/a", CauseCode::PodCrash),
            broken(Stage::Deployment, "workload:n/b", CauseCode::PodCrash),
        ],
        Some(("workload:n/a", vec![])))]
    #[case::what_the_same_answer_does_not_decide_follows(
        vec![
            broken(Stage::Request, "request-status", CauseCode::ModelNotServed),
            undecided(Stage::Request, "answer-text"),
            broken(Stage::Request, "passed-endpoint-picker", CauseCode::EndpointPickerBypassed),
        ],
        Some(("request-status", vec!["answer-text"])))]
    #[case::the_product_goes_before_the_cluster(
        vec![
            broken(Stage::Deployment, "workload:n/a", CauseCode::PodUnschedulable),
            broken(Stage::Deployment, "workload:n/b", CauseCode::PodCrash),
        ],
        Some(("workload:n/b", vec![])))]
    #[case::what_could_not_be_decided(
        vec![undecided(Stage::Release, "guide-understood")], Some(("guide-understood", vec![])))]
    #[case::nothing_is_wrong(vec![decided(Stage::Request, "a", Finding::Holds)], None)]
    #[case::nothing_ran(vec![], None)]
    fn the_root_is_told_from_what_follows(#[case] events: Vec<Event>, #[case] expected: Option<(&str, Vec<&str>)>) {
        assert_eq!(root(&record(events)), expected);
    }

    #[test]
    fn an_advisory_finding_is_no_root() {
        let mut degraded = Decision::new(Stage::Request, "a", "a", Finding::broken("", "", CauseCode::PodCrash));
        degraded.weight = Weight::Advisory;
        assert_eq!(root(&record(vec![Event::Decided { decision: degraded }])), None);
    }

    #[test]
    fn the_place_stands_behind_what_it_is_unless_it_says_so() {
        let from = Provenance {
            file: "guide.md".into(),
            line: 7,
            section: String::new(),
        };
        let mut root = RootCause {
            check: "a",
            code: None,
            blame: None,
            what: "it is so".into(),
            from: Some(&from),
            because_of_it: Vec::new(),
            not_reached: 0,
        };
        assert_eq!(root.sentence(), "it is so (guide.md:7)");
        root.what = "guide.md:7 is so".into();
        assert_eq!(root.sentence(), "guide.md:7 is so");
        root.from = None;
        assert_eq!(root.sentence(), "guide.md:7 is so");
    }

    #[test]
    fn what_a_signal_left_open_was_not_left_out_because_of_the_root() {
        let expected = Event::Expected {
            checks: vec!["later".into()],
        };
        let broken = broken(Stage::Request, "request-status", CauseCode::ModelNotServed);
        let signal = Event::Interrupted {
            signal: "SIGINT".into(),
        };
        let failed = record(vec![expected, broken, signal.clone()]);
        assert_eq!(failed.root_cause().map(|root| root.not_reached), Some(0));
        let open = record(vec![undecided(Stage::Request, "request-status"), signal]);
        assert_eq!(open.root_cause(), None);
    }
}
