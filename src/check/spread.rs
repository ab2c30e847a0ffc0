//! More than one pod served: the path leads through a choice.

use super::{Check, JudgeFn, pool_pods::serving_pods};
use crate::verdict::{Cause, CauseCode, Finding};

/// At least so many pods served the requests of the proof.
pub(super) const SEVERAL_PODS_SERVED: Check = Check {
    name: "proof-several-pods",
    sentence: |seen| {
        format!(
            "{} of {} Ready pods served",
            serving_pods(&seen.proof.answers).len(),
            seen.ready_pods().len()
        )
    },
    judge: JudgeFn::Proof(|seen| {
        let wanted = seen.pods_wanted.min(seen.ready_pods().len());
        let serving = serving_pods(&seen.proof.answers);
        if serving.len() >= wanted && wanted > 0 {
            return Finding::Holds;
        }
        let names: Vec<&str> = serving.iter().map(AsRef::as_ref).collect();
        let cause = Cause::new(CauseCode::TooFewPodsServed).because(format!(
            "{} requests with different prompts were all served by {}",
            seen.proof.answers.len(),
            names.join(", ")
        ));
        Finding::broken(
            format!("at least {wanted} pods"),
            format!("{} pods", serving.len()),
            cause,
        )
    }),
    shown_by: |_, _| None,
};

#[cfg(test)]
mod tests {
    use super::{
        super::{Observation, PoolPod, Proof, diagnosis::tests::answer},
        *,
    };

    #[test]
    fn one_pod_of_two_is_too_few() {
        let mut seen = Observation {
            proof: Proof {
                answers: vec![answer(200, true, "{}"), answer(200, true, "{}")],
                ..Proof::default()
            },
            pods_wanted: 2,
            ..Observation::default()
        };
        seen.pool_pods = ["pod-a", "pod-b"]
            .map(|name| PoolPod {
                namespace: "default".into(),
                name: name.into(),
                address: None,
                ready: true,
                workload: None,
            })
            .into();
        assert!(matches!(SEVERAL_PODS_SERVED.judge(&seen), Finding::Broken(_)));
        seen.pool_pods.truncate(1);
        assert_eq!(
            SEVERAL_PODS_SERVED.judge(&seen),
            Finding::Holds,
            "a pool of one pod can do no better"
        );
    }
}
