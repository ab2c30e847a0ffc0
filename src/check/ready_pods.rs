//! The endpoint picker and Kubernetes count the same ready pods.

use super::{Check, JudgeFn, Observation, unreadable};
use crate::verdict::{Cause, CauseCode, Finding};

/// The gauge, from v0.2.0 on. It is refreshed every few seconds.
pub(crate) const READY_PODS: &str = "inference_pool_ready_pods";

/// Whether the gauge agrees with Kubernetes. An endpoint picker of a pool with several ports counts each port of a pod
/// (from v1.3.0 on, `targetPorts` of the pool's API).
pub(crate) fn ready_pods_agree(seen: &Observation, counted: f64) -> bool {
    let ports = |pool: &serde_json::Value| pool["spec"]["targetPorts"].as_array().map_or(1, Vec::len);
    let ports = seen.inference_pools.iter().map(ports).max().unwrap_or(1);
    let ready = seen.ready_pods().len();
    #[expect(clippy::cast_precision_loss, reason = "a pool has far fewer than 2^52 pods")]
    [ready, ready * ports]
        .iter()
        .any(|count| (counted - *count as f64).abs() < 0.5)
}

/// `inference_pool_ready_pods` equals the pool's Ready pods.
pub(super) const READY_PODS_AGREE: Check = Check {
    name: "proof-ready-pods",
    sentence: |seen| {
        format!(
            "the endpoint picker knows all {} Ready pods of the pool",
            seen.ready_pods().len()
        )
    },
    judge: JudgeFn::Proof(|seen| {
        if let Some(Err(why)) = &seen.proof.endpoint_picker.after {
            return unreadable(why);
        }
        let Some(counted) = seen.proof.endpoint_picker.ready_pods else {
            return Finding::Skipped {
                why: format!("this endpoint picker has no {READY_PODS}"),
            };
        };
        if ready_pods_agree(seen, counted) {
            return Finding::Holds;
        }
        let ready = seen.ready_pods().len();
        let cause = Cause::new(CauseCode::EndpointPickerGaugeWrong).because(format!(
            "{READY_PODS} is {counted}, and {ready} pods of the pool are Ready"
        ));
        Finding::broken(format!("{ready} pods"), format!("{counted} pods"), cause)
    }),
    shown_by: |_, _| None,
};

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{
        super::{PoolPod, Proof, diagnosis::tests::answer},
        *,
    };

    #[test]
    fn each_port_of_a_pod_may_be_counted() {
        let seen = Observation {
            inference_pools: vec![serde_json::json!({"spec": {"targetPorts": [{"number": 1}, {"number": 2}]}})],
            pool_pods: vec![PoolPod {
                namespace: "default".into(),
                name: "pod-a".into(),
                address: None,
                ready: true,
                workload: None,
            }],
            ..Observation::default()
        };
        assert_eq!(
            [0.0, 1.0, 2.0, 3.0].map(|counted| ready_pods_agree(&seen, counted)),
            [false, true, true, false]
        );
    }

    #[rstest]
    #[case::agreed(Some(1.0), Some(true))]
    #[case::fewer(Some(0.0), Some(false))]
    #[case::more(Some(2.0), Some(false))]
    #[case::not_a_number(Some(f64::NAN), Some(false))]
    #[case::no_gauge(None, None)]
    fn the_gauge_must_agree(#[case] gauge: Option<f64>, #[case] holds: Option<bool>) {
        let mut seen = Observation {
            proof: Proof {
                answers: vec![answer(200, true, "{}")],
                ..Proof::default()
            },
            pool_pods: vec![
                PoolPod {
                    namespace: "default".into(),
                    name: "pod-a".into(),
                    address: None,
                    ready: true,
                    workload: None,
                },
                PoolPod {
                    namespace: "default".into(),
                    name: "pod-b".into(),
                    address: None,
                    ready: false,
                    workload: None,
                },
            ],
            ..Observation::default()
        };
        seen.proof.endpoint_picker.ready_pods = gauge;
        let finding = READY_PODS_AGREE.judge(&seen);
        match holds {
            Some(true) => assert_eq!(finding, Finding::Holds),
            Some(false) => assert!(matches!(finding, Finding::Broken(_)), "{finding:?}"),
            None => assert!(matches!(finding, Finding::Skipped { .. }), "{finding:?}"),
        }
    }
}
