//! The checks of a step: what they are called, what they say, and how they are decided.

use super::{expectations::or, wire};
use crate::{
    probe::Outgoing,
    record::{Decision, Stage},
    scenario::{RequestStep, Scenario},
    verdict::{Finding, Weight},
};

/// Names and sentences of the checks that a step must decide; names without the scenario's.
pub(in super::super) fn checks(step: &RequestStep, request: &Outgoing) -> Vec<(String, String)> {
    let expect = &step.expect;
    let mut checks: Vec<(String, String)> = wire::keys(expect, request)
        .into_iter()
        .map(|name| (name.to_owned(), wire::sentence(name).to_owned()))
        .collect();
    let mut own = |name: &str, sentence: String| checks.push((name.to_owned(), sentence));
    if expect.answer.is_none() && !expect.status.is_empty() {
        own("status", format!("the status is {}", or(expect.status.iter())));
    }
    if !expect.answered_by.is_empty() {
        own(
            "answered-by",
            format!("{} answers", or(expect.answered_by.iter().map(|by| by.words()))),
        );
    }
    match expect.passed_endpoint_picker {
        Some(true) => own(
            "passed-endpoint-picker",
            "the answer passed through the endpoint picker".to_owned(),
        ),
        Some(false) => own(
            "passed-endpoint-picker",
            "the answer did not pass through the endpoint picker".to_owned(),
        ),
        None => {}
    }
    for expectation in &expect.cel {
        own(&expectation.name, expectation.sentence.clone());
    }
    if let Some(within) = step.within {
        let count = step.requests();
        own("within", format!("all answers ({count}) are there within {within:?}"));
    }
    if !step.capture.is_empty() {
        let names: Vec<String> = step.capture.iter().map(|(name, _)| format!("`{name}`")).collect();
        own("captured", format!("{} can be read from the answer", names.join(", ")));
    }
    checks
}

/// A check's name in a run: `SCENARIO/CHECK`, or `SCENARIO/STEP/CHECK` where the step has a name.
fn full_name(scenario: &Scenario, step: &RequestStep, check: &str) -> String {
    format!("{}/{check}", of(scenario, step))
}

/// What a step is called in a run: `SCENARIO`, or `SCENARIO/STEP` where the step has a name.
pub(in super::super) fn of(scenario: &Scenario, step: &RequestStep) -> String {
    match &step.name {
        Some(step) => format!("{}/{step}", scenario.name),
        None => scenario.name.clone(),
    }
}

/// What is said of a check: its sentence, behind the scenario and the step that it belongs to.
fn full_sentence(scenario: &Scenario, step: &RequestStep, sentence: &str) -> String {
    match &step.name {
        Some(step) => format!("{}, {step}: {sentence}", scenario.name),
        None => format!("{}: {sentence}", scenario.name),
    }
}

/// A decision about a step, with the scenario's weight.
pub(in super::super) fn decision(
    scenario: &Scenario,
    step: &RequestStep,
    check: &str,
    sentence: &str,
    finding: Finding,
) -> Decision {
    let decision = Decision::new(
        Stage::Scenarios,
        full_name(scenario, step, check),
        full_sentence(scenario, step, sentence),
        finding,
    );
    match scenario.weight {
        Weight::Gate => decision,
        Weight::Advisory => decision.advisory(),
    }
}
