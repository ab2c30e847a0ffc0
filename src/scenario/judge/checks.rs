//! The checks of a step: what they are called, what they say, and how they are decided.

use super::expectations::or;
use crate::{
    check::wire::named,
    probe::Outgoing,
    scenario::{RequestStep, change, load, wire},
};

/// The check of a status that is asked for without asking for a success or an error.
pub(super) const STATUS: &str = "status";
/// The check of who answered.
pub(super) const ANSWERED_BY: &str = "answered-by";
/// The check of the way that an answer took.
pub(super) const PASSED_ENDPOINT_PICKER: &str = "passed-endpoint-picker";
/// The check that all answers are there in time.
pub(super) const WITHIN: &str = "within";
/// The check that later steps have their variables.
pub(super) const CAPTURED: &str = "captured";

/// Whether a check of ours has this name, so that no expectation in CEL may bear it.
pub(in super::super) fn is_ours(name: &str) -> bool {
    [STATUS, ANSWERED_BY, PASSED_ENDPOINT_PICKER, WITHIN, CAPTURED].contains(&name)
        || change::CHECKS.iter().any(|check| check.name == name)
        || load::CHECKS.iter().any(|check| check.name == name)
        || named(name).is_some()
}

/// Names and sentences of the checks that a step must decide; names without the scenario's.
pub(in super::super) fn checks(step: &RequestStep, request: &Outgoing) -> Vec<(String, String)> {
    let expect = &step.expect;
    let mut checks: Vec<(String, String)> = wire::keys(expect, request)
        .map(|check| (check.name.to_owned(), check.sentence.to_owned()))
        .collect();
    let mut own = |name: &str, sentence: String| checks.push((name.to_owned(), sentence));
    if expect.answer.is_none() && !expect.status.is_empty() {
        own(STATUS, format!("the status is {}", or(expect.status.iter())));
    }
    if !expect.answered_by.is_empty() {
        let wanted = or(expect.answered_by.iter().map(|by| by.words()));
        own(ANSWERED_BY, format!("{wanted} answers"));
    }
    match expect.passed_endpoint_picker {
        Some(true) => own(
            PASSED_ENDPOINT_PICKER,
            "the answer passed through the endpoint picker".to_owned(),
        ),
        Some(false) => own(
            PASSED_ENDPOINT_PICKER,
            "the answer did not pass through the endpoint picker".to_owned(),
        ),
        None => {}
    }
    for expectation in &expect.cel {
        own(&expectation.name, expectation.sentence.clone());
    }
    if let Some(within) = step.within {
        let count = step.requests();
        own(WITHIN, format!("all answers ({count}) are there within {within:?}"));
    }
    if !step.capture.is_empty() {
        let names: Vec<String> = step.capture.iter().map(|(name, _)| format!("`{name}`")).collect();
        own(CAPTURED, format!("{} can be read from the answer", names.join(", ")));
    }
    checks
}
