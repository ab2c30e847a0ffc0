//! Performing steps while a change stands, and taking it back whatever became of them.

use std::time::Instant;

use super::Performing;
use crate::{
    record::Decision,
    scenario::{
        ChangeExecutor, ChangeResult, Scenario, Step, Target, WithStep,
        change::{CHANGED, ChangeCheck, RECOVERED, RESTORED},
    },
    verdict::{Finding, Weight},
};

impl Performing<'_> {
    /// Makes the change, performs the steps, takes it back. Returns why nothing more may be performed, where that is so.
    pub(super) async fn with(&mut self, step: &WithStep, executor: &impl ChangeExecutor) -> Option<String> {
        let began = Instant::now();
        let came = executor.make(step.change).await;
        let stands = came.finding == Finding::Holds;
        self.decide_changed(step, &CHANGED, came, began);
        if stands {
            for inner in &step.steps {
                match inner {
                    Step::Request(request) => self.send(request).await,
                    Step::Load(load) => self.load(load).await,
                    // Reading refuses it.
                    Step::With(within) => {
                        let why = "it stands inside of another change";
                        self.decide(unperformed(self.scenario, within, self.target, why));
                    }
                }
            }
        } else {
            let why = format!("the change does not stand: {}", step.change.words());
            let left_out = super::unperformed(self.scenario, &step.steps, self.target, &why);
            self.decide(left_out);
        }
        self.take_back(step, executor).await
    }

    async fn take_back(&mut self, step: &WithStep, executor: &impl ChangeExecutor) -> Option<String> {
        let began = Instant::now();
        let came = executor.take_back(step.change).await;
        let is_back = came.finding == Finding::Holds;
        self.decide_changed(step, &RESTORED, came, began);
        if !is_back {
            let why = "what was changed could not be put back as it was";
            let skipped = Finding::Skipped { why: why.to_owned() };
            self.decide(vec![decision(
                self.scenario,
                step,
                &RECOVERED,
                RECOVERED.sentence,
                skipped,
            )]);
            return Some(self.spoilt(why));
        }
        let began = Instant::now();
        let came = executor.recover(step.change).await;
        let serves = came.finding == Finding::Holds;
        self.decide_changed(step, &RECOVERED, came, began);
        (!serves).then(|| self.spoilt("requests are not answered as before"))
    }

    fn spoilt(&self, why: &str) -> String {
        format!("after the scenario {} {why}", self.scenario.name)
    }

    fn decide_changed(&mut self, step: &WithStep, check: &ChangeCheck, came: ChangeResult, began: Instant) {
        let decision = decision(self.scenario, step, check, &came.sentence, came.finding);
        self.decide(vec![decision.took(began.elapsed())]);
    }
}

/// A decision for each check of a step that is not performed, and of the steps inside.
pub(super) fn unperformed(scenario: &Scenario, step: &WithStep, target: &Target, why: &str) -> Vec<Decision> {
    let skipped = |check: &ChangeCheck| {
        let finding = Finding::Skipped { why: why.to_owned() };
        decision(scenario, step, check, check.sentence, finding)
    };
    let inside = super::unperformed(scenario, &step.steps, target, why);
    std::iter::once(skipped(&CHANGED))
        .chain(inside)
        .chain([RESTORED, RECOVERED].iter().map(skipped))
        .collect()
}

/// A decision about a change. That what was changed is as it was decides the verdict also where the scenario does not: it is
/// about us, not about what is under test.
fn decision(scenario: &Scenario, step: &WithStep, check: &ChangeCheck, sentence: &str, finding: Finding) -> Decision {
    let mut decision = scenario.decision(step.name.as_deref(), check.name, sentence, finding);
    if check.name == RESTORED.name {
        decision.weight = Weight::Gate;
    }
    decision
}
