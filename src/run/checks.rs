//! What the run itself decides on its way: the name of each of these checks and the part of the run that it belongs to, once.
//!
//! What judges the deployment is in [`crate::check`]; steps of a plan and scenarios bring their own names.

use std::borrow::Cow;

use crate::{
    record::{Decision, Stage},
    verdict::Finding,
};

/// A check that the run itself decides.
#[derive(Debug)]
pub(super) struct RunCheck {
    /// Its stable name.
    pub(super) name: Cow<'static, str>,
    stage: Stage,
}

impl RunCheck {
    /// A decision under its name.
    pub(super) fn decision(self, sentence: impl Into<String>, finding: Finding) -> Decision {
        Decision::new(self.stage, self.name, sentence, finding)
    }
}

macro_rules! run_checks {
    ($($(#[$doc:meta])+ $check:ident $name:literal $stage:ident)+) => {
        $($(#[$doc])+
        pub(super) const $check: RunCheck = RunCheck {
            name: Cow::Borrowed($name),
            stage: Stage::$stage,
        };)+

        #[cfg(test)]
        const ALL: &[RunCheck] = &[$($check),+];
    };
}

run_checks! {
    /// Every command of the guide is understood.
    GUIDE_UNDERSTOOD "guide-understood" Release
    /// With `--strict`, the run deviates nowhere from the guide.
    STRICT "strict" Release
    /// The images that the plan names are ready.
    IMAGES "images" Images
    /// The CRDs that the provider needs can be had.
    SCHEMAS "schemas" Images
    /// There is a cluster, and it answers.
    CLUSTER "cluster" Cluster
    /// Images are loaded into the cluster's node.
    IMAGES_LOADED "images-loaded" Cluster
    /// Names are resolved in the cluster.
    CLUSTER_DNS "cluster-dns" Cluster
    /// The run's namespace exists.
    NAMESPACE "namespace" Deployment
    /// What the provider requires, and no command of the guide installs, is there.
    REQUIREMENTS "requirements" Deployment
    /// The API server answers while requests are sent.
    API_SERVER "api-server" Request
    /// No answer goes around an endpoint picker that does not run.
    ENDPOINT_PICKER_BYPASSED "endpoint-picker-bypassed" Request
    /// The endpoint that somebody else runs answers.
    ENDPOINT_ANSWERS "endpoint-answers" Scenarios
    /// The endpoint lists its models, where none was named.
    ENDPOINT_MODELS "endpoint-models" Scenarios
    /// Everything that the run made is removed.
    CLEANUP "cleanup" Cleanup
}

/// A program that steps call is on this machine.
pub(super) fn program(name: &str) -> RunCheck {
    RunCheck {
        name: format!("program:{name}").into(),
        stage: Stage::Images,
    }
}

/// A workload that the plan makes becomes ready.
pub(super) fn workload(namespace: &str, name: &str) -> RunCheck {
    RunCheck {
        name: format!("workload:{namespace}/{name}").into(),
        stage: Stage::Deployment,
    }
}

/// quickproof itself works, in a part of the run.
pub(super) fn harness(stage: Stage) -> RunCheck {
    RunCheck {
        name: "harness".into(),
        stage,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use rstest::rstest;

    use super::*;
    use crate::{
        check::{CHECKS, wire::WIRE_CHECKS},
        record::{Event, Journal},
        scenario::{Library, Target, expected},
    };

    #[test]
    fn no_two_checks_of_a_run_have_one_name() {
        let of_the_run = ALL.iter().map(|check| check.name.as_ref());
        let names: BTreeSet<_> = of_the_run.chain(CHECKS.iter().map(|check| check.name)).collect();
        assert_eq!(names.len(), ALL.len() + CHECKS.len());
    }

    /// Names of checks of the scenarios that are shipped, and their own names.
    fn of_scenarios() -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for mut scenario in Library::shipped().unwrap().scenarios {
            names.insert(scenario.name.clone());
            names.extend(
                WIRE_CHECKS
                    .iter()
                    .map(|check| format!("{}/{}", scenario.name, check.name)),
            );
            // What an advisory scenario decides is not expected; its names are the same.
            scenario.weight = crate::verdict::Weight::Gate;
            let where_it_can_be_performed = Target {
                adapter: Some("adapter".into()),
                capabilities: scenario.needs.capabilities.iter().copied().collect(),
                ..Target::default()
            };
            names.extend(expected(&scenario, &where_it_can_be_performed));
        }
        names
    }

    /// Steps of a plan are called `apply:Deployment/server`; which of them there are, `tests/it/report.rs` asks the plan.
    fn is_a_step(name: &str) -> bool {
        let is_verb = |verb: &str| verb.chars().all(|sign| sign.is_ascii_lowercase());
        name.split_once(':').is_some_and(|(verb, _)| is_verb(verb))
    }

    #[rstest]
    #[case("failed")]
    #[case("interrupted")]
    fn a_recorded_run_decides_no_check_that_there_is_not(#[case] run: &str) {
        let journal = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/runs/{run}.jsonl"));
        let mut known = of_scenarios();
        known.extend(ALL.iter().map(|check| check.name.clone().into_owned()));
        known.extend(CHECKS.iter().map(|check| check.name.to_owned()));
        let mut unknown = Vec::new();
        for event in Journal::read(&journal).unwrap().events {
            let Event::Decided { decision } = event else { continue };
            let name = decision.check;
            let of_a_workload = name.starts_with(workload("", "").name.trim_end_matches('/'));
            // A scenario that was written for the recording.
            let own = name.starts_with("counted/");
            if !(known.contains(&name) || is_a_step(&name) || of_a_workload || own) {
                unknown.push(name);
            }
        }
        assert_eq!(unknown, [""; 0], "record the run anew");
    }
}
