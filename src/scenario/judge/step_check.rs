//! What one check says of all answers of a step, added up as they come.

use crate::{
    check::wire::WIRE_CHECKS,
    probe::Answer,
    record::{Decision, Exchange},
    scenario::{RequestStep, Scenario},
    verdict::Finding,
};

/// What a check came to so far.
#[derive(Debug)]
pub(super) struct StepCheck {
    /// The check's name without that of the scenario.
    pub(super) name: String,
    /// What is true when it holds.
    pub(super) sentence: String,
    /// How many answers broke it.
    broken: usize,
    /// The first finding of the worst kind that was found.
    pub(super) finding: Option<Finding>,
    /// The answer that shows it.
    pub(super) exchange: Option<Exchange>,
    /// The answer that is shown where it is all of them together that break it.
    pub(super) shown: Option<Exchange>,
}

/// How bad a finding is; what does not apply says least.
fn rank(finding: &Finding) -> u8 {
    match finding {
        Finding::Skipped { .. } => 0,
        Finding::Holds => 1,
        Finding::Undecided { .. } => 2,
        Finding::Broken(_) => 3,
    }
}

impl StepCheck {
    /// A check that has said nothing.
    pub(super) fn new(name: String, sentence: String) -> Self {
        Self {
            name,
            sentence,
            broken: 0,
            finding: None,
            exchange: None,
            shown: None,
        }
    }

    /// Takes what the check says, and the answer that shows it.
    pub(super) fn take(&mut self, finding: Finding, answer: Option<&Answer>) {
        self.broken += usize::from(matches!(finding, Finding::Broken(_)));
        let before = self.finding.as_ref();
        if before.is_none_or(|before| rank(&finding) > rank(before)) {
            self.exchange = answer.filter(|_| finding.is_wrong()).map(Answer::exchange);
            self.finding = Some(finding);
        }
    }

    /// Whether it is broken so far.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.finding, Some(Finding::Broken(_)))
    }

    /// Where it is shown: the checks of the wire first, in their order.
    pub(super) fn place(&self) -> usize {
        let of_the_wire = WIRE_CHECKS.iter().position(|check| check.name == self.name);
        of_the_wire.unwrap_or(usize::MAX)
    }

    /// The decision that it comes to, of so many requests.
    pub(super) fn decision(self, scenario: &Scenario, step: &RequestStep, requests: usize) -> Decision {
        let finding = match self.finding {
            None => Finding::Skipped {
                why: "no answer came to judge it by".to_owned(),
            },
            Some(Finding::Broken(mut fault)) if requests > 1 && self.exchange.is_some() => {
                fault.actual = format!("{} of {requests} answers: {}", self.broken, fault.actual);
                Finding::Broken(fault)
            }
            Some(finding) => finding,
        };
        let mut decision = scenario.decision(step.name.as_deref(), &self.name, &self.sentence, finding);
        decision.exchange = self.exchange.or(self.shown).map(Box::new);
        decision
    }
}
