//! Judging what was seen. Each check is a `const` in a file here and a line of [`CHECKS`].
//!
//! Pure: a check looks at an [`Observation`] and returns a [`Finding`]; it sends nothing and waits for nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    probe::{Answer, metrics::Metrics},
    record::{Decision, Provenance, Stage},
    release::Servers,
    verdict::{Cause, CauseCode, Fault, Finding},
};

mod build_ref;
pub(crate) mod classes;
mod completion;
pub(crate) mod conditions;
mod counter;
pub mod diagnosis;
mod echo;
mod image_id;
pub(crate) mod listeners;
mod pick;
mod pool_pods;
mod ready_pods;
mod request;
pub(crate) mod rewrite;
mod spread;
mod steering;
pub mod wire;

pub(crate) use completion::{faults, oddities};
pub(crate) use ready_pods::{READY_PODS, ready_pods_agree};
pub(crate) use request::REQUEST_STATUS;

/// A pod that the InferencePool selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolPod {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// Its address; `None` while it has none.
    pub(crate) address: Option<String>,
    /// Whether it was Ready when looked at.
    pub(crate) ready: bool,
    /// What of the plan it belongs to, such as `Deployment vllm-qwen3-32b`; `None` where nothing that the plan made is its
    /// owner.
    pub(crate) workload: Option<String>,
}

/// A container as it runs, and the image that it was meant to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunningImage {
    /// Its pod.
    pub(crate) pod: String,
    /// Its image, as asked for.
    pub(crate) image: String,
    /// What it runs; `None` while the node does not say.
    pub(crate) running: Option<RunningId>,
    /// What it is to run.
    pub(crate) meant: MeantImage,
}

impl RunningImage {
    /// The same of an image that is the gateway provider's and not the release's: it must run what was meant, and what its
    /// registry says later decides nothing.
    pub(crate) fn of_provider(mut self) -> Self {
        self.meant = match self.meant {
            MeantImage::Published(published) => MeantImage::Published(PublishedImage {
                now: published.before.clone(),
                ..published
            }),
            MeantImage::Unanswered(_) => MeantImage::Unknown,
            other => other,
        };
        self
    }
}

/// What a node calls an image that it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunningId {
    /// The digest by which a registry gave it the image, `sha256:…`.
    OfRegistry(String),
    /// The digest of the image's configuration: the node has it from no registry.
    OfNode(String),
}

/// What is known of the image that a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MeantImage {
    /// Nothing.
    Unknown,
    /// The digest under which our own registry serves it.
    Served(String),
    /// What its registry said.
    Published(PublishedImage),
    /// Its registry could not be asked once it ran: who, and what was seen.
    Unanswered(String),
}

/// What a registry said of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublishedImage {
    /// The digest that it led to before anything was deployed; `None` where it led to nothing.
    pub(crate) before: Option<String>,
    /// All digests under which that image may run.
    pub(crate) digests: BTreeSet<String>,
    /// The digest that it leads to once the image runs; `None` where it leads to nothing.
    pub(crate) now: Option<String>,
}

/// What was seen of the endpoint picker.
#[derive(Debug, Clone, Default)]
pub(crate) struct EndpointPickerSeen {
    /// The image its pod runs, as asked for; `None` where it has no pod.
    pub(crate) image: Option<String>,
    /// Its metrics before the requests, or why they could not be read.
    pub(crate) before: Option<Result<Metrics, String>>,
    /// Its metrics after them, or why they could not be read.
    pub(crate) after: Option<Result<Metrics, String>>,
    /// Its metrics after the requests that it was to send to one pod; `None` where none were sent.
    pub(crate) steered: Option<Result<Metrics, String>>,
    /// Its gauge of ready pods as last read, once it had time to be refreshed; `None` where it has none.
    pub(crate) ready_pods: Option<f64>,
}

/// What the requests of the proof have shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proof {
    /// Their answers; empty while they were not sent.
    pub(crate) answers: Vec<Answer>,
    /// Answers to requests that the endpoint picker must all send to one pod, in order; empty where none were sent.
    pub(crate) steered: Vec<Answer>,
    /// The images of the endpoint picker's and the pool's containers.
    pub(crate) images: Vec<RunningImage>,
    /// The endpoint picker.
    pub(crate) endpoint_picker: EndpointPickerSeen,
}

/// Everything that was seen of a deployment under test.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observation {
    /// Gateways that the plan made, as last seen.
    pub(crate) gateways: Vec<Value>,
    /// The `GatewayClass`es that the cluster has; `None` where that cannot be seen.
    pub(crate) gateway_classes: Option<Vec<Value>>,
    /// Where the objects that the plan made stand in the release, by kind and name.
    pub(crate) places: BTreeMap<(String, String), Provenance>,
    /// Why the pods of those Gateways will never be ready; `None` where they are, and where they cannot be seen.
    pub(crate) gateway_pods: Option<Cause>,
    /// HTTPRoutes that the plan made, as last seen.
    pub(crate) http_routes: Vec<Value>,
    /// InferencePools that the plan made, as last seen.
    pub(crate) inference_pools: Vec<Value>,
    /// Pods that the pools select.
    pub(crate) pool_pods: Vec<PoolPod>,
    /// Whether more of them may come: what was deployed was not waited for.
    pub(crate) pods_may_come: bool,
    /// What the gateway's log says of the endpoint picker's answers, where the gateway ended the guide's request by itself.
    pub(crate) gateway_says: Option<String>,
    /// What the servers answer.
    pub(crate) servers: Servers,
    /// Ports of the nodes that lead to a Gateway.
    pub(crate) node_ports: Vec<u16>,
    /// The answer to the guide's own request, and to how many tries of it that was the last.
    pub(crate) guide_answer: Option<Answer>,
    /// Objects of the plan that put one model's name in place of another's; of the kinds [`rewrite::KINDS`].
    pub(crate) rewrites: Vec<Value>,
    /// Which names stand for one model, as the list of models has it; none where nobody had to ask.
    pub(crate) served: wire::ServedNames,
    /// Variables of the guide that its request names inside single quotes.
    pub(crate) unexpanded: Vec<String>,
    /// What the requests of the proof have shown.
    pub(crate) proof: Proof,
    /// The least number of pods that must have served them.
    pub(crate) pods_wanted: usize,
    /// The header by which a request names the pod that must serve it; `None` where the endpoint picker reads none.
    pub(crate) steered_by: Option<String>,
    /// The metrics that the release's endpoint picker has, by name; `None` where no layout says.
    pub(crate) picker_metrics: Option<Vec<String>>,
    /// The tag that the running endpoint picker must have been built from; `None`: the tag of its image.
    pub(crate) build_ref: Option<String>,
}

impl Observation {
    /// Names of the pool's Ready pods.
    pub(crate) fn ready_pods(&self) -> BTreeSet<&str> {
        self.pool_pods
            .iter()
            .filter(|pod| pod.ready)
            .map(|pod| pod.name.as_str())
            .collect()
    }
}

/// One thing that must be true of what was seen.
#[derive(Debug)]
pub(crate) struct Check {
    /// Its stable name.
    pub(crate) name: &'static str,
    /// What is true when it holds, with what was seen put in.
    sentence: fn(&Observation) -> String,
    /// What it looks at, and what it comes to.
    judge: JudgeFn,
    /// The answer to show beside the finding, so that its request can be sent again: the first that is at fault; of a check
    /// that holds the first that it looked at, where no check before it shows the same.
    shown_by: for<'a> fn(&'a Observation, &Finding) -> Option<&'a Answer>,
}

/// How a check judges, by what it needs to have seen; without that it decides nothing. The part of the run follows from it.
#[derive(Debug)]
enum JudgeFn {
    /// What the plan left running.
    Deployment(fn(&Observation) -> Finding),
    /// The answer to the guide's own request.
    Answer(fn(&Answer, &Observation) -> Finding),
    /// The answers to the requests of the proof.
    Proof(fn(&Observation) -> Finding),
}

impl Check {
    /// The part of the run that it belongs to.
    pub(crate) fn stage(&self) -> Stage {
        match self.judge {
            JudgeFn::Deployment(_) => Stage::Conditions,
            JudgeFn::Answer(_) => Stage::Request,
            JudgeFn::Proof(_) => Stage::Proof,
        }
    }

    /// What is true when it holds, with what was seen put in.
    pub(crate) fn sentence(&self, seen: &Observation) -> String {
        (self.sentence)(seen)
    }

    /// What it comes to.
    pub(crate) fn judge(&self, seen: &Observation) -> Finding {
        match (&self.judge, &seen.guide_answer) {
            (JudgeFn::Deployment(judge), _) => judge(seen),
            (JudgeFn::Answer(judge), Some(answer)) => judge(answer, seen),
            (JudgeFn::Answer(_), None) => Finding::Undecided {
                why: "the guide's request was not sent".into(),
            },
            (JudgeFn::Proof(_), _) if seen.proof.answers.is_empty() => Finding::Skipped {
                why: "the requests of the proof were not sent: the guide's own request failed".into(),
            },
            (JudgeFn::Proof(judge), _) => judge(seen),
        }
    }

    /// The answer to show beside its finding; `None` where no answer shows it.
    pub(crate) fn shown_by<'a>(&self, seen: &'a Observation, finding: &Finding) -> Option<&'a Answer> {
        (self.shown_by)(seen, finding)
    }

    /// A decision under its name, for whoever says more exactly than [`Self::sentence`] what is the case.
    pub(crate) fn decision(&self, sentence: impl Into<String>, finding: Finding) -> Decision {
        Decision::new(self.stage(), self.name, sentence, finding)
    }
}

/// The guide's answer, where something is wrong with it.
fn guide_answer_where_wrong<'a>(seen: &'a Observation, finding: &Finding) -> Option<&'a Answer> {
    seen.guide_answer.as_ref().filter(|_| finding.is_wrong())
}

/// Every check, in the order in which it is judged and shown.
pub(crate) static CHECKS: &[Check] = &[
    conditions::GATEWAY_PROGRAMMED,
    conditions::HTTP_ROUTE_RESOLVED,
    conditions::INFERENCE_POOL_ACCEPTED,
    pool_pods::POOL_SELECTS_PODS,
    pool_pods::POOL_SELECTS_OWN_PODS,
    request::REQUEST_STATUS,
    completion::GUIDE_ANSWER_IS_A_COMPLETION,
    request::PASSED_ENDPOINT_PICKER,
    pool_pods::GUIDE_ANSWER_FROM_POOL,
    completion::PROOF_ANSWERS_ARE_COMPLETIONS,
    pool_pods::PROOF_ANSWERS_FROM_POOL,
    spread::SEVERAL_PODS_SERVED,
    counter::COUNTER_ROSE_BY_REQUESTS,
    pick::PICKED_IS_SERVED,
    steering::STEERED_TO_ONE_POD,
    ready_pods::READY_PODS_AGREE,
    build_ref::BUILD_REF_IS_THE_TAG,
    image_id::RUNS_THE_IMAGE_MEANT,
];

/// The checks of one part of the run.
pub(crate) fn of_stage(stage: Stage) -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().filter(move |check| check.stage() == stage)
}

/// The finding of a check that stands on metrics which could not be read.
pub(crate) fn unreadable(why: &str) -> Finding {
    let cause = Cause::new(CauseCode::MetricsUnreadable).because(why);
    Fault::shown("the endpoint picker's metrics", cause).into()
}

/// The metrics of one look, or what the check that stands on them comes to.
pub(crate) fn readable(look: Option<&Result<Metrics, String>>) -> Result<&Metrics, Finding> {
    match look {
        Some(Ok(metrics)) => Ok(metrics),
        Some(Err(why)) => Err(unreadable(why)),
        None => Err(Finding::Undecided {
            why: "the endpoint picker's metrics were not read".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_say_something() {
        let names: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), CHECKS.len());
    }

    #[test]
    fn no_check_holds_when_nothing_was_seen() {
        let nothing = Observation::default();
        for check in CHECKS {
            assert_ne!(check.judge(&nothing), Finding::Holds, "{}", check.name);
        }
    }
}
