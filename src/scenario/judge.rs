//! Judging the answers of a step: each check adds up what it says of every answer to one decision.

use serde_json::Value;

use super::{
    Capability, CelExpectation, Ground, NoValue, RequestStep, Scenario, Scope, Variables,
    change::{self, Decides},
    wire,
};
use crate::{
    probe::{Answer, Outgoing, Unanswered},
    record::{Decision, Exchange, Stage},
    verdict::{Cause, CauseCode, Finding, Weight},
};

mod expectations;
mod tally;

use expectations::{answered_by, broken, given_up, holds, not_admitted, or, scope, seen, short, status, who};
use tally::Tally;

/// The most bytes of answers that are kept for expressions over all of them.
const MOST_KEPT: usize = 64 << 20;

/// What is known of a step's answers so far.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    scenario: &'a Scenario,
    step: &'a RequestStep,
    ground: &'a Ground,
    tallies: Vec<Tally>,
    /// How many answers were judged.
    answers: usize,
    /// The answers, for expressions over all; empty where there is none.
    kept: Vec<Value>,
    kept_bytes: usize,
    /// The last answer, for what is captured.
    last: Option<Value>,
    /// The first answer, which shows what was sent where nothing is wrong.
    first: Option<Exchange>,
    /// Names of expectations that took too long once: they are not tried again.
    given_up: Vec<&'a str>,
}

/// Names and sentences of the checks that a step must decide; names without the scenario's.
pub(super) fn checks(step: &RequestStep, request: &Outgoing) -> Vec<(String, String)> {
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
pub(super) fn full_name(scenario: &Scenario, step: &RequestStep, check: &str) -> String {
    match &step.name {
        Some(step) => format!("{}/{step}/{check}", scenario.name),
        None => format!("{}/{check}", scenario.name),
    }
}

/// What is said of a check: its sentence, behind the scenario and the step that it belongs to.
fn full_sentence(scenario: &Scenario, step: &RequestStep, sentence: &str) -> String {
    match &step.name {
        Some(step) => format!("{}, {step}: {sentence}", scenario.name),
        None => format!("{}: {sentence}", scenario.name),
    }
}

/// What a check looks at.
fn decides(check: &str) -> Decides {
    match check {
        wire::CAME | wire::STATUS | "status" | "answered-by" => Decides::WhetherAnswered,
        _ => Decides::Rest,
    }
}

impl<'a> Judge<'a> {
    /// A judge of a step's answers, who has seen none. `request` is one of the step's.
    pub(super) fn new(scenario: &'a Scenario, step: &'a RequestStep, ground: &'a Ground, request: &Outgoing) -> Self {
        Self {
            scenario,
            step,
            ground,
            tallies: checks(step, request)
                .into_iter()
                .map(|(name, sentence)| Tally::new(name, sentence))
                .collect(),
            answers: 0,
            kept: Vec::new(),
            kept_bytes: 0,
            last: None,
            first: None,
            given_up: Vec::new(),
        }
    }

    /// Takes what a check says, and the answer that shows it. A check that need not decide anything and says that it does
    /// not apply says nothing.
    fn say(&mut self, name: &str, finding: Finding, answer: Option<&Answer>) {
        let finding = match (self.step.under, answer) {
            (Some(change), Some(answer)) => change::blamed(change, decides(name), finding, answer),
            _ => finding,
        };
        let known = self.tallies.iter().position(|tally| tally.name == name);
        let index = match (known, &finding) {
            (Some(index), _) => index,
            (None, Finding::Skipped { .. }) => return,
            (None, _) => {
                self.tallies
                    .push(Tally::new(name.to_owned(), wire::sentence(name).to_owned()));
                self.tallies.len() - 1
            }
        };
        self.tallies[index].take(finding, answer);
    }

    /// Says what a check found more exactly than what it asks for.
    fn reword(&mut self, name: &str, sentence: String) {
        if let Some(tally) = self.tallies.iter_mut().find(|tally| tally.name == name) {
            tally.sentence = sentence;
        }
    }

    /// Judges one answer; `number` counts the step's requests from 1.
    pub(super) fn judge(&mut self, answer: &Answer, number: usize, variables: &Variables) {
        self.answers += 1;
        self.first.get_or_insert_with(|| answer.exchange());
        let expect = &self.step.expect;
        let mut admitted = answer.status().is_some();
        // A check whose ground another has taken away says nothing, so that one fault is told by one check.
        let mut sound = admitted;
        let says = expect
            .says
            .as_ref()
            .and_then(|says| says.fill(&self.step.variables(variables, number)).ok());
        for (name, finding) in wire::judge(expect, self.ground, says, answer) {
            let is_broken = matches!(finding, Finding::Broken { .. } | Finding::Undecided { .. });
            admitted &= !(name == wire::STATUS && is_broken);
            sound &= !is_broken;
            self.say(name, self.blamed(name, finding, answer), Some(answer));
        }
        if expect.answer.is_none() && !expect.status.is_empty() {
            admitted &= answer.status().is_none_or(|status| expect.status.contains(&status));
            self.say("status", status(&expect.status, answer), Some(answer));
        }
        if let Some(passed) = expect.passed_endpoint_picker {
            let finding = self.passed_endpoint_picker(passed, answer, admitted);
            self.say("passed-endpoint-picker", finding, Some(answer));
        }
        let no_ground = || {
            if admitted {
                let why = "the answer is wrong in another way, which another check tells".to_owned();
                return Finding::Skipped { why };
            }
            not_admitted(answer)
        };
        sound &= admitted;
        if !expect.answered_by.is_empty() {
            let finding = if sound {
                answered_by(&expect.answered_by, self.ground.error_form, answer)
            } else {
                no_ground()
            };
            if finding == Finding::Holds {
                // Where several may answer, who did is worth saying.
                self.reword("answered-by", format!("{} answers", who(answer)));
            }
            self.say("answered-by", finding, Some(answer));
        }
        let seen = seen(answer, number);
        for expectation in expect.cel.iter().filter(|one| one.holds.uses("answer")) {
            let finding = if sound {
                self.holds(expectation, || scope(variables, Some(&seen), &[]))
            } else {
                no_ground()
            };
            self.say(&expectation.name, finding, Some(answer));
        }
        if expect.cel.iter().any(|one| one.holds.uses("answers")) {
            self.keep(&seen, answer);
        }
        if sound {
            self.last = Some(seen);
        }
    }

    /// A finding with whom it is to be blamed on by what else was seen: an endpoint that answered before and then closes
    /// the connection or stays silent is there, so that it is no longer the network that is most likely.
    fn blamed(&self, name: &str, finding: Finding, answer: &Answer) -> Finding {
        let is_reachable = !matches!(
            answer.outcome,
            Err(Unanswered::NotConnected(_) | Unanswered::NotSent(_))
        );
        match finding {
            Finding::Broken {
                expected,
                actual,
                mut cause,
            } if name == wire::CAME && self.ground.has_answered && is_reachable => {
                cause.code = CauseCode::AnswerCutOff;
                Finding::Broken {
                    expected,
                    actual: format!("{actual}; other requests were answered"),
                    cause,
                }
            }
            finding => finding,
        }
    }

    fn passed_endpoint_picker(&self, wanted: bool, answer: &Answer, admitted: bool) -> Finding {
        if !self.ground.capabilities.contains(&Capability::EndpointPicker) {
            return Finding::Skipped {
                why: format!("it needs {}", Capability::EndpointPicker.words()),
            };
        }
        if !admitted {
            return not_admitted(answer);
        }
        if answer.passed_endpoint_picker() == wanted {
            return Finding::Holds;
        }
        if wanted {
            let cause = Cause::new(CauseCode::EndpointPickerBypassed).because(answer.brief());
            return broken("header x-went-into-resp-headers: true", "the header is absent", cause);
        }
        let cause = Cause::new(CauseCode::ExpectationNotMet).because(answer.brief());
        broken("no header x-went-into-resp-headers", "the header is there", cause)
    }

    /// Whether an expectation holds of an answer.
    fn holds(&mut self, expectation: &'a CelExpectation, scope: impl FnOnce() -> Scope) -> Finding {
        if self.given_up.contains(&expectation.name.as_str()) {
            return given_up(&expectation.holds);
        }
        let finding = holds(&expectation.holds, &scope());
        if finding == given_up(&expectation.holds) {
            self.given_up.push(&expectation.name);
        }
        finding
    }

    fn keep(&mut self, seen: &Value, answer: &Answer) {
        let bytes = answer.outcome.as_ref().map_or(0, |received| received.body.len());
        self.kept_bytes = self.kept_bytes.saturating_add(bytes);
        if self.kept_bytes <= MOST_KEPT {
            self.kept.push(seen.clone());
        }
    }

    /// Judges what is asked of all answers together, captures, and returns a decision for each check. `missing` is how
    /// many answers were not there in time.
    pub(super) fn close(mut self, missing: usize, variables: &mut Variables) -> Vec<Decision> {
        let step = self.step;
        for expectation in step.expect.cel.iter().filter(|one| !one.holds.uses("answer")) {
            let finding = if missing > 0 {
                Finding::Skipped {
                    why: format!("{missing} of {} answers were not there in time", step.requests()),
                }
            } else if self.kept_bytes > MOST_KEPT {
                Finding::Undecided {
                    why: format!("the answers are longer than {MOST_KEPT} bytes in all"),
                }
            } else {
                holds(&expectation.holds, &scope(variables, None, &self.kept))
            };
            self.say(&expectation.name, finding, None);
        }
        if step.within.is_some() {
            let finding = if missing == 0 {
                Finding::Holds
            } else {
                broken(
                    format!("{} answers", step.requests()),
                    format!("{} answers, {missing} were missing", self.answers),
                    Cause::new(CauseCode::ExpectationNotMet),
                )
            };
            self.say("within", finding, None);
        }
        if !step.capture.is_empty() {
            let finding = self.capture(variables);
            self.say("captured", finding, None);
        }
        self.close_keys();
        let came = self.tallies.iter_mut().find(|tally| tally.name == wire::CAME);
        if let Some(came) = came.filter(|tally| tally.finding == Some(Finding::Holds)) {
            came.exchange = self.first.take();
        }
        self.tallies.sort_by_key(Tally::place);
        let requests = step.requests();
        let scenario = self.scenario;
        self.tallies
            .into_iter()
            .map(|tally| tally.decision(scenario, step, requests))
            .collect()
    }

    /// A check that must decide and says that it does not apply has lost its ground to one that is broken; where none is,
    /// nobody looked, and that is no pass.
    fn close_keys(&mut self) {
        let decides =
            |tally: &Tally| matches!(&tally.finding, Some(Finding::Broken { .. } | Finding::Undecided { .. }));
        if self.answers == 0 || self.tallies.iter().any(decides) {
            return;
        }
        for tally in self.tallies.iter_mut().filter(|tally| tally.place() < usize::MAX) {
            if let Some(Finding::Skipped { why }) = &tally.finding {
                let why = format!("it did not apply to any answer, and nothing else is wrong: {why}");
                tally.finding = Some(Finding::Undecided { why });
            }
        }
    }

    fn capture(&self, variables: &mut Variables) -> Finding {
        let Some(last) = &self.last else {
            return Finding::Skipped {
                why: "no answer came that anything could be read from".to_owned(),
            };
        };
        let scope = scope(variables, Some(last), &self.kept);
        for (name, expression) in &self.step.capture {
            match expression.value(&scope) {
                Ok(value) => {
                    variables.insert(name.clone(), value);
                }
                Err(NoValue::OutOfTime(_)) => return given_up(expression),
                Err(why) => {
                    let actual = format!("`{}` has no value: {}", expression.text(), short(&why.to_string()));
                    return broken(
                        format!("a value for `{name}`"),
                        actual,
                        Cause::new(CauseCode::ExpectationNotMet),
                    );
                }
            }
        }
        Finding::Holds
    }
}

/// A decision about a step, with the scenario's weight.
pub(super) fn decision(
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
