//! The pool selects pods, and the pods that serve are Ready endpoints of the pool.

use std::{borrow::Cow, collections::BTreeSet};

use super::{Check, JudgeFn, Observation, guide_answer_where_wrong};
use crate::{
    probe::Answer,
    verdict::{Cause, CauseCode, Finding},
};

/// The pool's selector matches pods. No condition says so: a pool that selects nothing is Accepted all the same.
pub(super) const POOL_SELECTS_PODS: Check = Check {
    name: "pool-selects-pods",
    sentence: |seen| {
        format!(
            "the InferencePool selects {} pods, {} of them Ready",
            seen.pool_pods.len(),
            seen.ready_pods().len()
        )
    },
    judge: JudgeFn::Deployment(|seen| {
        let Some(pool) = seen.inference_pools.first() else {
            return Finding::Undecided {
                why: "there is no InferencePool".into(),
            };
        };
        if !seen.ready_pods().is_empty() {
            return Finding::Holds;
        }
        if seen.pods_may_come {
            return Finding::Undecided {
                why: "its pods were not waited for".into(),
            };
        }
        let selector = pool["spec"]["selector"].to_string();
        let cause = if seen.pool_pods.is_empty() {
            Cause::new(CauseCode::PoolSelectsNoPod).because(format!("no pod has the labels of the selector {selector}"))
        } else {
            Cause::new(CauseCode::PodNotReady).because(format!("none of the {} pods is Ready", seen.pool_pods.len()))
        };
        Finding::broken(
            "at least one Ready pod",
            format!("{} pods", seen.pool_pods.len()),
            cause,
        )
    }),
    shown_by: |_, _| None,
};

/// The pool's selector matches nothing but pods of the plan: the endpoint picker would send requests to whatever else it
/// matches.
pub(super) const POOL_SELECTS_OWN_PODS: Check = Check {
    name: "pool-selects-own-pods",
    sentence: |seen| {
        let workloads: BTreeSet<&str> = seen
            .pool_pods
            .iter()
            .filter_map(|pod| pod.workload.as_deref())
            .collect();
        let workloads: Vec<&str> = workloads.into_iter().collect();
        match workloads.as_slice() {
            [] => "the pool's pods are those that the guide deploys".into(),
            _ => format!("the pool's pods are those of {}", workloads.join(", ")),
        }
    },
    judge: JudgeFn::Deployment(|seen| {
        if seen.pool_pods.is_empty() {
            return Finding::Skipped {
                why: "the pool selects no pod".into(),
            };
        }
        let strangers: Vec<&str> = seen
            .pool_pods
            .iter()
            .filter(|pod| pod.workload.is_none())
            .map(|pod| pod.name.as_str())
            .collect();
        if strangers.is_empty() {
            return Finding::Holds;
        }
        let cause = Cause::new(CauseCode::PoolSelectsForeignPod).because(format!(
            "the selector also matches {}, which nothing of the guide made",
            strangers.join(", ")
        ));
        Finding::broken(
            "pods of what the guide deploys, and no others",
            format!("{} others", strangers.len()),
            cause,
        )
    }),
    shown_by: |_, _| None,
};

/// Whether the answers were served by Ready pods of the pool.
fn served_by_pool(answers: &[Answer], seen: &Observation) -> Finding {
    let ready = seen.ready_pods();
    for answer in answers {
        let Some(pod) = answer.serving_pod() else {
            return Finding::Undecided {
                why: "an answer does not name the pod that served it (x-inference-pod)".into(),
            };
        };
        if !ready.contains(&*pod) {
            let known: Vec<&str> = ready.iter().copied().collect();
            let cause = Cause::new(CauseCode::AnswerFromOutsidePool)
                .because(format!("Ready pods of the pool: {}", known.join(", ")));
            return Finding::broken("a Ready pod of the pool served it", format!("served by {pod}"), cause);
        }
    }
    Finding::Holds
}

/// The guide's answer came from the pool.
pub(super) const GUIDE_ANSWER_FROM_POOL: Check = Check {
    name: "request-served-by-pool",
    sentence: |seen| match seen.guide_answer.as_ref().and_then(Answer::serving_pod) {
        Some(pod) => format!("it was served by pod {pod}, a Ready endpoint of the pool"),
        None => "it was served by a Ready endpoint of the pool".into(),
    },
    judge: JudgeFn::Answer(|answer, seen| {
        if answer.status() != Some(200) {
            return Finding::Skipped {
                why: "the request failed; errors do not name the pod".into(),
            };
        }
        served_by_pool(std::slice::from_ref(answer), seen)
    }),
    shown_by: guide_answer_where_wrong,
};

/// Every answer of the proof came from the pool.
pub(super) const PROOF_ANSWERS_FROM_POOL: Check = Check {
    name: "proof-served-by-pool",
    sentence: |_| "every pod that served is a Ready endpoint of the pool".into(),
    judge: JudgeFn::Proof(|seen| {
        let good: Vec<Answer> = seen
            .proof
            .answers
            .iter()
            .filter(|answer| answer.status() == Some(200))
            .cloned()
            .collect();
        served_by_pool(&good, seen)
    }),
    shown_by: |seen, finding| {
        let is_wrong = finding.is_wrong();
        let good = seen
            .proof
            .answers
            .iter()
            .filter(|answer| is_wrong && answer.status() == Some(200));
        good.into_iter()
            .find(|answer| served_by_pool(std::slice::from_ref(answer), seen) != Finding::Holds)
    },
};

/// Names of the pods that served these answers.
pub(super) fn serving_pods(answers: &[Answer]) -> BTreeSet<Cow<'_, str>> {
    answers.iter().filter_map(Answer::serving_pod).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{PoolPod, diagnosis::tests::answer},
        *,
    };

    fn seen(pods: &[(&str, bool)]) -> Observation {
        Observation {
            inference_pools: vec![serde_json::json!({"spec": {"selector": {"matchLabels": {"app": "x"}}}})],
            pool_pods: pods
                .iter()
                .map(|(name, ready)| PoolPod {
                    namespace: "default".into(),
                    name: (*name).into(),
                    address: None,
                    ready: *ready,
                    workload: Some("Deployment model".into()),
                })
                .collect(),
            guide_answer: Some(answer(200, true, "{}")),
            ..Observation::default()
        }
    }

    #[test]
    fn a_pool_that_selects_nothing_is_broken() {
        let finding = POOL_SELECTS_PODS.judge(&seen(&[]));
        assert!(matches!(finding, Finding::Broken(fault) if fault.cause.code == CauseCode::PoolSelectsNoPod));
        assert_eq!(POOL_SELECTS_PODS.judge(&seen(&[("pod-a", true)])), Finding::Holds);
        let early = Observation {
            pods_may_come: true,
            ..seen(&[("pod-a", false)])
        };
        assert!(matches!(POOL_SELECTS_PODS.judge(&early), Finding::Undecided { .. }));
    }

    #[test]
    fn a_pool_that_also_selects_somebody_elses_pod_is_broken() {
        let mut seen = seen(&[("pod-a", true), ("pod-b", true)]);
        assert_eq!(POOL_SELECTS_OWN_PODS.judge(&seen), Finding::Holds);
        seen.pool_pods[1].workload = None;
        let finding = POOL_SELECTS_OWN_PODS.judge(&seen);
        assert!(matches!(&finding, Finding::Broken(fault)
            if fault.cause.code == CauseCode::PoolSelectsForeignPod && fault.cause.evidence[0].contains("pod-b")));
    }

    #[test]
    fn an_answer_from_a_pod_that_is_not_ready_or_not_there_is_broken() {
        assert_eq!(GUIDE_ANSWER_FROM_POOL.judge(&seen(&[("pod-a", true)])), Finding::Holds);
        for pods in [&[("pod-a", false)][..], &[("pod-b", true)]] {
            assert!(matches!(GUIDE_ANSWER_FROM_POOL.judge(&seen(pods)), Finding::Broken(_)));
        }
    }

    #[test]
    fn of_the_proof_the_answer_from_outside_is_shown_and_none_where_all_are_from_the_pool() {
        let mut seen = seen(&[("pod-a", true)]);
        seen.proof.answers = vec![answer(200, true, "{}"), answer(503, false, "oh")];
        assert_eq!(
            PROOF_ANSWERS_FROM_POOL
                .shown_by(&seen, &PROOF_ANSWERS_FROM_POOL.judge(&seen))
                .map(Answer::text),
            None
        );
        seen.pool_pods.clear();
        let shown = PROOF_ANSWERS_FROM_POOL.shown_by(&seen, &PROOF_ANSWERS_FROM_POOL.judge(&seen));
        assert_eq!(shown.and_then(Answer::serving_pod).as_deref(), Some("pod-a"));
    }
}
