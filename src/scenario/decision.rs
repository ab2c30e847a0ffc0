//! What steps and their checks are called in a run, and what a decision about them weighs.

use super::Scenario;
use crate::{
    record::{Decision, Stage},
    verdict::{Finding, Weight},
};

impl Scenario {
    /// What a step is called: `SCENARIO`, or `SCENARIO/STEP` where the step has a name.
    pub(super) fn path(&self, step: Option<&str>) -> String {
        match step {
            Some(step) => format!("{}/{step}", self.name),
            None => self.name.clone(),
        }
    }

    /// The step in a sentence: `SCENARIO`, or `SCENARIO, STEP` where the step has a name.
    pub(super) fn words(&self, step: Option<&str>) -> String {
        match step {
            Some(step) => format!("{}, {step}", self.name),
            None => self.name.clone(),
        }
    }

    /// A decision about a check of a step, with the scenario's weight.
    pub(super) fn decision(&self, step: Option<&str>, check: &str, sentence: &str, finding: Finding) -> Decision {
        let name = format!("{}/{check}", self.path(step));
        let sentence = format!("{}: {sentence}", self.words(step));
        self.weighed(Decision::new(Stage::Scenarios, name, sentence, finding))
    }

    /// A decision with the scenario's weight.
    pub(super) fn weighed(&self, decision: Decision) -> Decision {
        match self.weight {
            Weight::Gate => decision,
            Weight::Advisory => decision.advisory(),
        }
    }
}
