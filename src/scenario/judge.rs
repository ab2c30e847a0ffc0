//! Judging the answers of a step: each check adds up what it says of every answer to one decision.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Capability, CelExpectation, Deployed, Expression, NoValue, RequestStep, Scenario, Scope, Step, Target, Variables,
    Wanted,
    change::{self, Decides},
    wire::Judging,
};
use crate::{
    check::wire::{self, CAME},
    probe::{Answer, Outgoing, Unanswered, latency::Latencies, says_not_now},
    record::{Decision, Exchange},
    verdict::{Cause, CauseCode, Finding},
};

mod checks;
mod expectations;
mod step_check;

use checks::{ANSWERED_BY, CAPTURED, PASSED_ENDPOINT_PICKER, STATUS, WITHIN};
pub(super) use checks::{checks, is_ours};
use expectations::{
    answered_by, around_endpoint_picker, given_up, holds, not_admitted, scope, seen, short, status,
    through_endpoint_picker, who, with_values,
};
use step_check::StepCheck;

/// The most bytes of answers that are kept for expressions over all of them.
const MOST_KEPT: usize = 64 << 20;

/// The most oddities of one step that are noted.
const MOST_ODDITIES: usize = 5;

/// What is known of a step's answers so far.
#[derive(Debug)]
pub(super) struct StepJudge<'a> {
    scenario: &'a Scenario,
    step: &'a RequestStep,
    target: &'a Target,
    checks: Vec<StepCheck>,
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
    /// What is odd about the answers, and no fault; the first few.
    odd: BTreeSet<String>,
    /// The first check that the answer at hand breaks or leaves open.
    wrong: Option<String>,
    /// What every answer so far says of the endpoint as a whole; `None` where one is an answer to its request.
    trouble: Option<CauseCode>,
    judging: Judging,
}

/// What became of one answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct JudgedAnswer {
    /// The name of the first check that it breaks, or leaves open; `None` where it is right.
    pub(super) wrong: Option<String>,
    /// When the tokens of a stream came.
    pub(super) latencies: Latencies,
}

/// The names of what these steps capture.
fn captured(steps: &[Step]) -> Vec<&str> {
    let mut names = Vec::new();
    for step in steps {
        match step {
            Step::Request(step) => names.extend(step.capture.iter().map(|(name, _)| name.as_str())),
            Step::Load(_) => {}
            Step::With(step) => names.extend(captured(&step.steps)),
        }
    }
    names
}

/// What a check looks at.
fn decides(check: &str) -> Decides {
    if [CAME.name, wire::STATUS.name, STATUS, ANSWERED_BY].contains(&check) {
        return Decides::WhetherAnswered;
    }
    Decides::Rest
}

impl<'a> StepJudge<'a> {
    /// A judge of a step's answers, who has seen none. `request` is one of the step's.
    pub(super) fn new(scenario: &'a Scenario, step: &'a RequestStep, target: &'a Target, request: &Outgoing) -> Self {
        Self {
            scenario,
            step,
            target,
            checks: checks(step, request)
                .into_iter()
                .map(|(name, sentence)| StepCheck::new(name, sentence))
                .collect(),
            answers: 0,
            kept: Vec::new(),
            kept_bytes: 0,
            last: None,
            first: None,
            given_up: Vec::new(),
            odd: BTreeSet::new(),
            wrong: None,
            trouble: None,
            judging: Judging::default(),
        }
    }

    /// Takes what a check says, and the answer that shows it. A check that need not decide anything and says that it does
    /// not apply says nothing.
    fn say(&mut self, name: &str, finding: Finding, answer: Option<&Answer>) {
        let finding = match (self.step.under, answer) {
            (Some(change), Some(answer)) => change::blamed(change, decides(name), finding, answer),
            _ => finding,
        };
        let known = self.checks.iter().position(|check| check.name == name);
        let index = match (known, &finding) {
            (Some(index), _) => index,
            (None, Finding::Skipped { .. }) => return,
            (None, _) => {
                let sentence = wire::named(name).map_or("", |check| check.sentence);
                self.checks.push(StepCheck::new(name.to_owned(), sentence.to_owned()));
                self.checks.len() - 1
            }
        };
        if self.wrong.is_none() && finding.is_wrong() {
            self.wrong = Some(name.to_owned());
        }
        self.checks[index].take(finding, answer);
    }

    /// Says what a check found more exactly than what it asks for.
    fn reword(&mut self, name: &str, sentence: String) {
        if let Some(check) = self.checks.iter_mut().find(|check| check.name == name) {
            check.sentence = sentence;
        }
    }

    /// Judges one answer; `number` counts the step's requests from 1.
    pub(super) fn judge(&mut self, answer: &Answer, number: usize, variables: &Variables) -> JudgedAnswer {
        self.answers += 1;
        self.first.get_or_insert_with(|| answer.exchange());
        self.wrong = None;
        let trouble = self.target.trouble(answer);
        self.trouble = trouble.filter(|_| self.answers == 1 || self.trouble == trouble);
        let expect = &self.step.expect;
        let mut admitted = answer.status().is_some();
        // A check whose ground another has taken away says nothing, so that one fault is told by one check.
        let mut sound = admitted;
        let says = expect
            .says
            .as_ref()
            .and_then(|says| says.fill(&self.step.variables(variables, number)).ok());
        let of_the_wire = self.judging.judge(expect, self.target, says, answer);
        let (is_refused, latencies) = (of_the_wire.is_refused, of_the_wire.latencies);
        let room = MOST_ODDITIES.saturating_sub(self.odd.len());
        self.odd.extend(of_the_wire.odd.into_iter().take(room));
        for (check, finding) in of_the_wire.findings {
            let is_broken = finding.is_wrong();
            admitted &= !(check.name == wire::STATUS.name && is_broken);
            sound &= !is_broken;
            let finding = self.blamed(check.name, finding, answer);
            self.say(check.name, self.of_the_whole(finding, trouble, answer), Some(answer));
        }
        if expect.answer.is_none() && !expect.status.is_empty() {
            admitted &= answer.status().is_none_or(|status| expect.status.contains(&status));
            self.say(STATUS, status(&expect.status, answer), Some(answer));
        }
        if let Some(passed) = expect.passed_endpoint_picker {
            let finding = if !self.target.capabilities.contains(&Capability::EndpointPicker) {
                let why = format!("it needs {}", Capability::EndpointPicker.words());
                Finding::Skipped { why }
            } else if !admitted {
                not_admitted(answer)
            } else if passed {
                through_endpoint_picker(answer)
            } else {
                around_endpoint_picker(answer)
            };
            self.say(PASSED_ENDPOINT_PICKER, finding, Some(answer));
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
                answered_by(&expect.answered_by, self.target.error_form, answer)
            } else {
                no_ground()
            };
            if finding == Finding::Holds {
                // Where several may answer, who did is worth saying.
                self.reword(ANSWERED_BY, format!("{} answers", who(answer)));
            }
            self.say(ANSWERED_BY, finding, Some(answer));
        }
        if !self.looks_inside() {
            return self.judged(latencies);
        }
        let seen = seen(answer, number);
        for expectation in expect.cel.iter().filter(|one| one.holds.uses("answer")) {
            let finding = if is_refused {
                Finding::Skipped {
                    why: format!("it is refused: {}", answer.brief()),
                }
            } else if let Some(why) = self.uncaptured(&expectation.holds, variables) {
                Finding::Skipped { why }
            } else if sound {
                self.holds(expectation, || scope(variables, Some(&seen), &[]))
            } else {
                no_ground()
            };
            self.say(&expectation.name, finding, Some(answer));
        }
        let cel = expect.cel.iter().map(|one| &one.holds);
        let captured = self.step.capture.iter().map(|(_, expression)| expression);
        if cel.chain(captured).any(|expression| expression.uses("answers")) {
            self.keep(&seen, answer);
        }
        if sound && !is_refused {
            self.last = Some(seen);
        }
        self.judged(latencies)
    }

    /// A finding of which the cause is the endpoint as a whole, where an answer says that. A model that is missing in the list and
    /// that nothing has shown to be served was typed wrongly, where no guide names it.
    fn of_the_whole(&self, finding: Finding, trouble: Option<CauseCode>, answer: &Answer) -> Finding {
        let Finding::Broken(mut fault) = finding else {
            return finding;
        };
        // It takes no more requests than it has taken: that is no fault of its answers, and none that holds either.
        if trouble.is_none() && self.target.deployed == Deployed::BySomebodyElse && says_not_now(answer) {
            let why = format!(
                "{} after {} tries; other requests were answered",
                fault.actual, answer.attempt
            );
            return Finding::Undecided { why };
        }
        if let Some(code) = trouble {
            (fault.cause.code, fault.cause.by) = (code, None);
        }
        if fault.cause.code == CauseCode::ModelNotServed && self.target.deployed == Deployed::BySomebodyElse {
            fault.cause.by = Some(self.target.named_by());
            fault.cause.evidence.extend(self.target.listed_words());
        }
        Finding::Broken(fault)
    }

    /// Why nothing more need be asked: every answer says the same of the endpoint as a whole. `None` where one does not.
    pub(super) fn spoilt(&self) -> Option<String> {
        let code = self.trouble.filter(|_| self.answers > 0)?;
        let path = self.scenario.path(self.step.name.as_deref());
        Some(format!(
            "the cause that {path} shows ({code}) is the endpoint's as a whole; nothing more was sent"
        ))
    }

    fn judged(&mut self, latencies: Latencies) -> JudgedAnswer {
        let wrong = self.wrong.take();
        if wrong.is_none() && self.step.expect.answer == Some(Wanted::Success) {
            self.target.serves();
        }
        JudgedAnswer { wrong, latencies }
    }

    /// What is odd about the answers so far, and no fault.
    pub(super) fn oddities(&self) -> impl Iterator<Item = &String> {
        self.odd.iter()
    }

    /// Why an expression cannot be evaluated that asks for what an earlier step was to capture and could not.
    fn uncaptured(&self, expression: &Expression, variables: &Variables) -> Option<String> {
        let missing = |name: &&str| expression.uses(name) && !variables.contains_key(*name);
        let name = captured(&self.scenario.steps).into_iter().find(missing)?;
        Some(format!("an earlier step could not capture `{name}`"))
    }

    /// Whether anything is asked of answers that only expressions can tell.
    fn looks_inside(&self) -> bool {
        !self.step.expect.cel.is_empty() || !self.step.capture.is_empty()
    }

    /// A finding with whom it is to be blamed on by what else was seen: an endpoint that answered before and then closes
    /// the connection or stays silent is there, so that it is no longer the network that is most likely.
    fn blamed(&self, name: &str, finding: Finding, answer: &Answer) -> Finding {
        let is_reachable = !matches!(
            answer.outcome,
            Err(Unanswered::NotConnected(_)
                | Unanswered::HostExhausted(_)
                | Unanswered::OtherProtocol(..)
                | Unanswered::Untrusted(_)
                | Unanswered::NotSent(_))
        );
        match finding {
            Finding::Broken(mut fault) if name == CAME.name && self.target.has_answered && is_reachable => {
                fault.cause.code = CauseCode::AnswerCutOff;
                fault.actual.push_str("; other requests were answered");
                Finding::Broken(fault)
            }
            finding => finding,
        }
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
            } else if let Some(why) = self.uncaptured(&expectation.holds, variables) {
                Finding::Skipped { why }
            } else if self.kept_bytes > MOST_KEPT {
                Finding::Undecided {
                    why: format!("the answers are longer than {MOST_KEPT} bytes in all"),
                }
            } else {
                let finding = holds(&expectation.holds, &scope(variables, None, &self.kept));
                with_values(finding, &expectation.holds, variables, &self.kept)
            };
            self.say(&expectation.name, finding, None);
            if let Some(check) = self.checks.iter_mut().find(|check| check.name == expectation.name) {
                check.shown = self.first.clone().filter(|_| check.is_broken());
            }
        }
        if step.within.is_some() {
            let finding = if missing == 0 {
                Finding::Holds
            } else {
                Finding::broken(
                    format!("{} answers", step.requests()),
                    format!("{} answers, {missing} were missing", self.answers),
                    Cause::new(CauseCode::ExpectationNotMet),
                )
            };
            self.say(WITHIN, finding, None);
        }
        if !step.capture.is_empty() {
            let finding = self.capture(variables);
            self.say(CAPTURED, finding, None);
        }
        self.close_keys();
        let came = self.checks.iter_mut().find(|check| check.name == CAME.name);
        if let Some(came) = came.filter(|check| check.finding == Some(Finding::Holds)) {
            came.exchange = self.first.take();
        }
        self.checks.sort_by_key(StepCheck::place);
        // Of a load it is not known how many there will be, and of a step those that are missing are counted too.
        let requests = step.requests().max(self.answers);
        let scenario = self.scenario;
        self.checks
            .into_iter()
            .map(|check| check.decision(scenario, step, requests))
            .collect()
    }

    /// A check that must decide and says that it does not apply has lost its ground to one that is broken; where none is,
    /// nobody looked, and that is no pass.
    fn close_keys(&mut self) {
        let decides =
            |check: &StepCheck| matches!(&check.finding, Some(Finding::Broken(_) | Finding::Undecided { .. }));
        if self.answers == 0 || self.checks.iter().any(decides) {
            return;
        }
        for check in self.checks.iter_mut().filter(|check| check.place() < usize::MAX) {
            if let Some(Finding::Skipped { why }) = &check.finding {
                let why = format!("it did not apply to any answer, and nothing else is wrong: {why}");
                check.finding = Some(Finding::Undecided { why });
            }
        }
    }

    fn capture(&self, variables: &mut Variables) -> Finding {
        let Some(last) = &self.last else {
            return Finding::Skipped {
                why: "no answer came that anything could be read from".to_owned(),
            };
        };
        if self.kept_bytes > MOST_KEPT {
            return Finding::Undecided {
                why: format!("the answers are longer than {MOST_KEPT} bytes in all"),
            };
        }
        let scope = scope(variables, Some(last), &self.kept);
        for (name, expression) in &self.step.capture {
            match expression.value(&scope) {
                Ok(value) => {
                    variables.insert(name.clone(), value);
                }
                Err(NoValue::OutOfTime(_)) => return given_up(expression),
                Err(why) => {
                    let actual = format!("`{}` has no value: {}", expression.text(), short(&why.to_string()));
                    return Finding::broken(
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
