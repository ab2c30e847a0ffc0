//! The pod that the endpoint picker picked is the pod that served, by its own record.
//!
//! A mark in the headers says only that the endpoint picker saw the answer. Its record of picks joined with the names of
//! the pods that served says that the gateway did what it was told.

use std::collections::BTreeMap;

use super::{Check, JudgeFn, Observation, counter::both};
use crate::{
    probe::{Answer, metrics::Metrics, resent},
    verdict::{Cause, CauseCode, Finding},
};

/// Successful picks; with the label `pod_name` from v1.5.0 on, and only a sum before.
const ATTEMPTS: &str = "inference_extension_scheduler_attempts_total";

/// How often each pod was picked between two looks; `None` where the endpoint picker does not say which it picked.
pub(super) fn picks(before: &Metrics, after: &Metrics) -> Option<BTreeMap<String, f64>> {
    after
        .named(ATTEMPTS)
        .any(|sample| sample.labels.contains_key("pod_name"))
        .then_some(())?;
    let by_pod = |metrics: &Metrics| {
        let mut sums = BTreeMap::<String, f64>::new();
        for sample in metrics.named(ATTEMPTS) {
            let label = |name: &str| sample.labels.get(name).map(String::as_str).unwrap_or_default();
            if label("status") == "success" && !label("pod_name").is_empty() {
                *sums.entry(label("pod_name").to_owned()).or_default() += sample.value;
            }
        }
        sums
    };
    let before = by_pod(before);
    let rises = by_pod(after).into_iter().map(|(pod, sum)| {
        let rise = sum - before.get(&pod).copied().unwrap_or(0.0);
        (pod, rise)
    });
    Some(rises.filter(|(_, rise)| *rise > 0.0).collect())
}

/// How often each pod served.
pub(super) fn served(answers: &[Answer]) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::<String, f64>::new();
    for pod in answers.iter().filter_map(Answer::serving_pod) {
        *sums.entry(pod.into_owned()).or_default() += 1.0;
    }
    sums
}

/// `pod-a 3, pod-b 2`.
fn listed(counts: &BTreeMap<String, f64>) -> String {
    let each: Vec<String> = counts.iter().map(|(pod, count)| format!("{pod} {count}")).collect();
    if each.is_empty() {
        "none".into()
    } else {
        each.join(", ")
    }
}

/// Whether there are no more picks without an answer than requests that were sent once more: of those, what was sent first may
/// have been picked for before its connection ended.
fn is_explained(picked: &BTreeMap<String, f64>, served: &BTreeMap<String, f64>, resent: usize) -> bool {
    let of = |counts: &BTreeMap<String, f64>, pod: &String| counts.get(pod).copied().unwrap_or_default();
    let all_picked = served.iter().all(|(pod, times)| of(picked, pod) >= *times);
    let beyond: f64 = picked.iter().map(|(pod, times)| times - of(served, pod)).sum();
    #[expect(clippy::cast_precision_loss, reason = "a run sends far fewer than 2^52 requests")]
    let allowed = resent as f64;
    all_picked && beyond <= allowed
}

/// The header in which an endpoint picker says which address served. Source: `ConformanceTestResultHeader` of the light endpoint
/// picker at v1.6.0, which takes it from what the gateway told it.
const SERVED: &str = "x-conformance-test-served-endpoint";

/// Whether the address that the endpoint picker names for each answer is that of the pod that says so itself; `None` where no answer
/// names one.
fn by_report(seen: &Observation) -> Option<Finding> {
    let answers = &seen.proof.answers;
    let told: Vec<(&Answer, Vec<&str>)> = answers.iter().map(|answer| (answer, told(answer))).collect();
    if told.iter().all(|(_, told)| told.is_empty()) {
        return None;
    }
    let mut undecided = None;
    for (answer, told) in &told {
        let served = answer.serving_pod().unwrap_or_default();
        let pod = seen.pool_pods.iter().find(|pod| pod.name == served);
        let Some(address) = pod.and_then(|pod| pod.address.as_deref()) else {
            undecided.get_or_insert_with(|| format!("the address of pod {served}, which served, is not known"));
            continue;
        };
        for endpoint in told.iter().filter(|told| !told.starts_with(UNTOLD)) {
            if !is_at(endpoint, address) {
                let cause = Cause::new(CauseCode::PickNotHonoured)
                    .because(format!("the endpoint picker says that `{endpoint}` served"))
                    .because(format!("pod {served} answered, at {address}"));
                return Some(Finding::broken(
                    format!("{endpoint} served"),
                    format!("{served} at {address} served"),
                    cause,
                ));
            }
        }
    }
    if let Some(why) = undecided {
        return Some(Finding::Undecided { why });
    }
    let names_none = |told: &[&str]| told.iter().all(|told| told.starts_with(UNTOLD));
    let unnamed = told.iter().filter(|(_, told)| names_none(told)).count();
    Some(match unnamed {
        0 => Finding::Holds,
        all if all == told.len() => Finding::Skipped {
            why: format!(
                "this gateway does not tell the endpoint picker who served ({}): the proof is weaker, and rests on steering",
                told[0].1.first().unwrap_or(&"nothing is said")
            ),
        },
        some => Finding::Undecided {
            why: format!(
                "of {some} of {} answers the endpoint picker does not say who served",
                told.len()
            ),
        },
    })
}

/// How the endpoint picker begins where the gateway did not tell it.
const UNTOLD: &str = "fail:";

/// What the endpoint picker says of who served an answer; every value of the header.
fn told(answer: &Answer) -> Vec<&str> {
    let headers = answer.outcome.iter().flat_map(|received| &received.headers);
    let values = headers.filter(|(name, _)| name.eq_ignore_ascii_case(SERVED));
    values.flat_map(|(_, value)| value.split(',')).map(str::trim).collect()
}

/// Whether an endpoint, `ADDRESS:PORT` or `[ADDRESS]:PORT`, is at an address.
fn is_at(endpoint: &str, address: &str) -> bool {
    let bare = endpoint.strip_prefix(address);
    let bracketed = endpoint
        .strip_prefix('[')
        .and_then(|rest| rest.strip_prefix(address)?.strip_prefix(']'));
    let rest = if address.contains(':') { bracketed } else { bare };
    endpoint == address || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// Picks per pod equal answers per pod.
pub(super) const PICKED_IS_SERVED: Check = Check {
    name: "proof-picked-is-served",
    sentence: |seen| {
        format!(
            "each pod served as often as the endpoint picker picked it: {}",
            listed(&served(&seen.proof.answers))
        )
    },
    judge: JudgeFn::Proof(|seen| {
        let (before, after) = match both(seen) {
            Ok(both) => both,
            Err(finding) => return finding,
        };
        if seen.proof.answers.iter().any(|answer| answer.status() != Some(200)) {
            return Finding::Skipped {
                why: "not every request was answered; errors do not name the pod".into(),
            };
        }
        if seen.proof.answers.iter().any(|answer| answer.serving_pod().is_none()) {
            return Finding::Skipped {
                why: "the model server does not say which pod served (x-inference-pod): the proof is weaker".into(),
            };
        }
        let Some(picked) = picks(before, after) else {
            if let Some(finding) = by_report(seen) {
                return finding;
            }
            return Finding::Skipped {
                why: format!(
                    "this endpoint picker does not say which pod it picked ({ATTEMPTS} has no `pod_name`): \
                     the proof is weaker, and rests on its counter and on steering"
                ),
            };
        };
        let served = served(&seen.proof.answers);
        if picked == served || is_explained(&picked, &served, resent(&seen.proof.answers)) {
            return Finding::Holds;
        }
        let cause = Cause::new(CauseCode::PickNotHonoured)
            .because(format!("picked: {}", listed(&picked)))
            .because(format!("served: {}", listed(&served)));
        Finding::broken(listed(&picked), listed(&served), cause)
    }),
    shown_by: |_, _| None,
};

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{
        super::{PoolPod, counter::tests::seen},
        *,
    };

    const TWO_OF_A: &str =
        "inference_extension_scheduler_attempts_total{status=\"success\",pod_name=\"pod-a\",port=\"8000\"} 2\n";
    const FOUR_OF_A: &str =
        "inference_extension_scheduler_attempts_total{status=\"success\",pod_name=\"pod-a\",port=\"8000\"} 4\n";
    const OTHER: &str =
        "inference_extension_scheduler_attempts_total{status=\"success\",pod_name=\"pod-b\",port=\"8000\"} 2\n";
    const FAILED: &str = "inference_extension_scheduler_attempts_total{status=\"failure\",pod_name=\"\"} 9\n";
    const UNLABELLED: &str = "inference_extension_scheduler_attempts_total{status=\"success\"} 2\n";

    #[rstest]
    #[case::first("", TWO_OF_A)]
    #[case::further(TWO_OF_A, FOUR_OF_A)]
    #[case::with_failed_attempts(TWO_OF_A, &format!("{FOUR_OF_A}{FAILED}"))]
    fn picks_that_were_served_hold(#[case] before: &str, #[case] after: &str) {
        assert_eq!(PICKED_IS_SERVED.judge(&seen(before, after)), Finding::Holds);
    }

    #[rstest]
    #[case::another_pod("", OTHER)]
    #[case::too_few(TWO_OF_A, &FOUR_OF_A.replace(" 4", " 3"))]
    #[case::both(TWO_OF_A, &format!("{FOUR_OF_A}{OTHER}"))]
    fn picks_that_were_not_served_are_the_gateways_fault(#[case] before: &str, #[case] after: &str) {
        let finding = PICKED_IS_SERVED.judge(&seen(before, after));
        assert!(
            matches!(&finding, Finding::Broken(fault) if fault.cause.code == CauseCode::PickNotHonoured),
            "{finding:?}"
        );
    }

    #[rstest]
    #[case::once_more("", &TWO_OF_A.replace(" 2", " 3"), true)]
    #[case::of_another_pod("", &format!("{TWO_OF_A}{}", OTHER.replace(" 2", " 1")), true)]
    #[case::too_often("", FOUR_OF_A, false)]
    #[case::too_few("", &TWO_OF_A.replace(" 2", " 1"), false)]
    fn what_was_sent_once_more_may_have_been_picked_for_twice(
        #[case] before: &str,
        #[case] after: &str,
        #[case] holds: bool,
    ) {
        let mut seen = seen(before, after);
        seen.proof.answers[1].resent = Some("closed".into());
        assert_eq!(PICKED_IS_SERVED.judge(&seen) == Finding::Holds, holds);
    }

    #[test]
    fn a_record_without_pods_is_said_to_prove_less() {
        let finding = PICKED_IS_SERVED.judge(&seen("", UNLABELLED));
        assert!(matches!(finding, Finding::Skipped { why } if why.contains("weaker")));
    }

    #[test]
    fn no_picks_at_all_are_not_taken_for_an_older_endpoint_picker() {
        let finding = PICKED_IS_SERVED.judge(&seen(TWO_OF_A, TWO_OF_A));
        assert!(matches!(finding, Finding::Broken(_)), "{finding:?}");
    }

    /// Answers that are served by pod-a at 10.0.0.7, of which the gateway has told this.
    fn reported(told: &str) -> Observation {
        let mut seen = seen("", "");
        seen.pool_pods = vec![PoolPod {
            namespace: "default".into(),
            name: "pod-a".into(),
            address: Some("10.0.0.7".into()),
            ready: true,
            workload: None,
        }];
        for answer in &mut seen.proof.answers {
            let Ok(received) = &mut answer.outcome else { panic!() };
            received.headers.push((SERVED.to_owned(), told.to_owned()));
        }
        seen
    }

    #[test]
    fn what_the_gateway_told_of_who_served_is_compared_with_who_says_so() {
        assert_eq!(PICKED_IS_SERVED.judge(&reported("10.0.0.7:3000")), Finding::Holds);
        for other in ["10.0.0.8:3000", "10.0.0.77:3000", "fail: x, 10.0.0.8:3000", ""] {
            let finding = PICKED_IS_SERVED.judge(&reported(other));
            assert!(
                matches!(&finding, Finding::Broken(fault) if fault.cause.code == CauseCode::PickNotHonoured),
                "{other}: {finding:?}"
            );
        }
        let mut first_untold = reported("10.0.0.8:3000");
        let Ok(received) = &mut first_untold.proof.answers[0].outcome else {
            panic!()
        };
        received.headers.retain(|(name, _)| name != SERVED);
        assert!(matches!(PICKED_IS_SERVED.judge(&first_untold), Finding::Broken(_)));
        let mut some = reported("10.0.0.7:3000");
        let Ok(received) = &mut some.proof.answers[0].outcome else {
            panic!()
        };
        received.headers.retain(|(name, _)| name != SERVED);
        assert!(matches!(PICKED_IS_SERVED.judge(&some), Finding::Undecided { .. }));
        assert!(is_at("[fd00::5]:3000", "fd00::5") && !is_at("[fd00::55]:3000", "fd00::5"));
        let untold = PICKED_IS_SERVED.judge(&reported("fail: missing envoy lb metadata"));
        assert!(matches!(untold, Finding::Skipped { why } if why.contains("missing envoy lb metadata")));
    }

    #[test]
    fn who_served_is_not_decided_by_an_address_that_nobody_knows() {
        let mut seen = reported("10.0.0.7:3000");
        seen.pool_pods[0].address = None;
        assert!(matches!(PICKED_IS_SERVED.judge(&seen), Finding::Undecided { .. }));
    }
}
