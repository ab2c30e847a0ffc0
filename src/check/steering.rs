//! Requests that the endpoint picker must send to one pod arrive there.
//!
//! Requests that begin with the same long prompt go where that prompt is cached, by the endpoint picker's prefix scorer. A
//! gateway that chooses for itself spreads them.

use super::{
    Check, JudgeFn, Observation,
    pick::{picks, served},
    pool_pods::serving_pods,
    readable,
};
use crate::{
    probe::{Answer, metrics::Metrics},
    verdict::{Cause, CauseCode, Finding},
};

/// How often the prefix indexer was asked for a prompt of at least one block. It rises only where the prefix scorer is in
/// use; every release from v0.5.0 on has it.
const PREFIXES_ASKED: &str = "inference_extension_prefix_indexer_hit_ratio_count";

/// How often the endpoint picker looked for cached prefixes between two looks at its metrics.
fn prefixes_asked(before: &Metrics, after: &Metrics) -> f64 {
    after.sum(PREFIXES_ASKED, &[]).unwrap_or(0.0) - before.sum(PREFIXES_ASKED, &[]).unwrap_or(0.0)
}

/// The header by which the requests named the pod that must serve each; `None` where they named none.
fn asked_for(seen: &Observation) -> Option<&str> {
    let header = seen.steered_by.as_deref()?;
    let first = seen.proof.steered.first()?;
    named(first, header).map(|_| header)
}

/// The address that a request named in this header.
fn named<'a>(answer: &'a Answer, header: &str) -> Option<&'a str> {
    let mut headers = answer.request.headers.iter();
    headers.find_map(|(name, value)| name.eq_ignore_ascii_case(header).then_some(value.as_str()))
}

/// The pod that a request named by its address.
fn asked_pod<'a>(seen: &'a Observation, header: &str, answer: &Answer) -> Option<&'a str> {
    let address = named(answer, header)?;
    let mut pods = seen.pool_pods.iter();
    let pod = pods.find(|pod| pod.address.as_deref() == Some(address))?;
    Some(&pod.name)
}

fn is_where_asked(seen: &Observation, header: &str, answer: &Answer) -> bool {
    let asked = asked_pod(seen, header, answer);
    answer.status() == Some(200) && asked.is_some() && answer.serving_pod().as_deref() == asked
}

/// Whether each request arrived at the pod that it named.
fn by_header(seen: &Observation, header: &str) -> Finding {
    let steered = &seen.proof.steered;
    if let Some(failed) = steered.iter().find(|answer| answer.status() != Some(200)) {
        return Finding::broken("status 200", failed.brief(), super::diagnosis::diagnose(failed, seen));
    }
    let both = |answer: &Answer| {
        Some((
            asked_pod(seen, header, answer)?.to_owned(),
            answer.serving_pod()?.into_owned(),
        ))
    };
    let mut elsewhere = steered.iter().filter_map(|answer| Some((answer, both(answer)?)));
    let elsewhere = elsewhere.find(|(_, (asked, served))| asked != served);
    if let Some((answer, (asked, served))) = elsewhere {
        let cause = Cause::new(CauseCode::PickNotAsAsked).because(format!(
            "a request with `{header}: {}` was served by {served}",
            named(answer, header).unwrap_or_default()
        ));
        return Finding::broken(format!("at {asked}, which it named"), format!("at {served}"), cause);
    }
    if steered.iter().all(|answer| both(answer).is_some()) {
        return Finding::Holds;
    }
    Finding::Undecided {
        why: "a pod that a request named is gone, or the answer does not say who served it".to_owned(),
    }
}

/// All of them arrive at one pod.
pub(super) const STEERED_TO_ONE_POD: Check = Check {
    name: "proof-steered",
    sentence: |seen| match seen.proof.steered.first().and_then(Answer::serving_pod) {
        Some(_) if asked_for(seen).is_some() => format!(
            "{} requests that each name a pod arrive there, at {} pods in turn",
            seen.proof.steered.len(),
            serving_pods(&seen.proof.steered).len()
        ),
        Some(pod) => format!(
            "{} requests with one long prompt all arrive where it is cached, at {pod}",
            seen.proof.steered.len()
        ),
        None => "requests with one long prompt all arrive where it is cached".into(),
    },
    judge: JudgeFn::Proof(|seen| {
        let skipped = |why: &str| Finding::Skipped { why: why.to_owned() };
        if seen.ready_pods().len() < 2 {
            return skipped("the pool has one Ready pod, and nothing to choose from");
        }
        if let Some(header) = asked_for(seen) {
            return by_header(seen, header);
        }
        let Some((first, rest)) = seen.proof.steered.split_first() else {
            return skipped("the requests were not sent: those before them were not all answered");
        };
        let picker = &seen.proof.endpoint_picker;
        let looks = readable(picker.after.as_ref()).and_then(|before| Ok((before, readable(picker.steered.as_ref())?)));
        let (before, after) = match looks {
            Ok(looks) => looks,
            Err(finding) => return finding,
        };
        if let Some(failed) = seen.proof.steered.iter().find(|answer| answer.status() != Some(200)) {
            return Finding::broken("status 200", failed.brief(), super::diagnosis::diagnose(failed, seen));
        }
        if prefixes_asked(before, after) < 0.5 {
            return skipped(
                "this endpoint picker shows no way to tell beforehand where a request must go (no prefix scorer is in \
                 use): the proof is weaker",
            );
        }
        let Some(pod) = first.serving_pod() else {
            return skipped("the model server does not say which pod served (x-inference-pod)");
        };
        if rest.iter().all(|answer| answer.serving_pod().as_ref() == Some(&pod)) {
            return Finding::Holds;
        }
        let served = served(&seen.proof.steered);
        if picks(before, after).as_ref() == Some(&served) {
            return skipped(
                "the endpoint picker itself spread requests with one prompt, as its record of picks says: what it picked \
                 is what served, and where a request must go is not known beforehand",
            );
        }
        let spread: Vec<String> = served.iter().map(|(pod, count)| format!("{pod} {count}")).collect();
        let cause = Cause::new(CauseCode::PickNotHonoured).because(format!(
            "requests with one long prompt, one after the other, were served by {}",
            spread.join(", ")
        ));
        Finding::broken(format!("all at {pod}"), spread.join(", "), cause)
    }),
    shown_by: |seen, _| {
        if let Some(header) = asked_for(seen) {
            return seen
                .proof
                .steered
                .iter()
                .find(|answer| !is_where_asked(seen, header, answer));
        }
        let first = seen.proof.steered.first()?;
        let is_other = |answer: &&Answer| answer.status() != Some(200) || answer.serving_pod() != first.serving_pod();
        seen.proof.steered.iter().find(is_other).or(Some(first))
    },
};

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use std::borrow::Cow;

    use super::{
        super::{EndpointPickerSeen, PoolPod, Proof, diagnosis::tests::answer},
        *,
    };
    fn metrics(text: &str) -> Metrics {
        Metrics::parse(text).unwrap()
    }

    fn served_by(pod: &str) -> Answer {
        let mut answer = answer(200, true, "{}");
        let headers = &mut answer.outcome.as_mut().unwrap().headers;
        headers.retain(|(name, _)| name != "x-inference-pod");
        headers.push(("x-inference-pod".to_owned(), pod.to_owned()));
        answer
    }

    fn seen(pods: &[&str]) -> Observation {
        Observation {
            proof: Proof {
                answers: vec![answer(200, true, "{}")],
                endpoint_picker: EndpointPickerSeen {
                    after: Some(Ok(Metrics::default())),
                    steered: Some(Ok(metrics("inference_extension_prefix_indexer_hit_ratio_count 8\n"))),
                    ..EndpointPickerSeen::default()
                },
                steered: pods.iter().map(|pod| served_by(pod)).collect(),
                ..Proof::default()
            },
            pool_pods: ["pod-a", "pod-b"]
                .map(|name| PoolPod {
                    namespace: "default".into(),
                    name: name.into(),
                    address: None,
                    ready: true,
                    workload: None,
                })
                .into(),
            ..Observation::default()
        }
    }

    fn attempts(a: u32, b: u32) -> Metrics {
        let line = |pod: &str, count| {
            format!("inference_extension_scheduler_attempts_total{{status=\"success\",pod_name=\"{pod}\"}} {count}\n")
        };
        let asked = format!("inference_extension_prefix_indexer_hit_ratio_count {}\n", a + b);
        metrics(&(line("pod-a", a) + &line("pod-b", b) + &asked))
    }

    #[rstest]
    #[case::one_pod(&["pod-a", "pod-a", "pod-a"], Some(Finding::Holds))]
    #[case::spread(&["pod-a", "pod-b", "pod-a"], None)]
    fn requests_with_one_prompt_arrive_at_one_pod(#[case] pods: &[&str], #[case] finding: Option<Finding>) {
        let judged = STEERED_TO_ONE_POD.judge(&seen(pods));
        match finding {
            Some(finding) => assert_eq!(judged, finding),
            None => assert!(
                matches!(&judged, Finding::Broken(fault) if fault.cause.code == CauseCode::PickNotHonoured),
                "{judged:?}"
            ),
        }
    }

    #[test]
    fn what_the_endpoint_picker_spread_itself_is_not_the_gateways_fault() {
        let mut seen = seen(&["pod-a", "pod-b", "pod-a"]);
        seen.proof.endpoint_picker.after = Some(Ok(attempts(5, 5)));
        seen.proof.endpoint_picker.steered = Some(Ok(attempts(7, 6)));
        assert!(matches!(STEERED_TO_ONE_POD.judge(&seen), Finding::Skipped { .. }));
        seen.proof.endpoint_picker.steered = Some(Ok(attempts(8, 5)));
        assert!(matches!(STEERED_TO_ONE_POD.judge(&seen), Finding::Broken(_)));
    }

    #[test]
    fn without_a_way_to_steer_the_proof_is_said_to_be_weaker() {
        let mut seen = seen(&["pod-a", "pod-b"]);
        seen.proof.endpoint_picker.steered = seen.proof.endpoint_picker.after.clone();
        assert!(matches!(STEERED_TO_ONE_POD.judge(&seen), Finding::Skipped { why } if why.contains("weaker")));
    }

    #[test]
    fn metrics_that_cannot_be_read_are_no_reason_to_skip() {
        let mut seen = seen(&["pod-a", "pod-a"]);
        seen.proof.endpoint_picker.steered = Some(Err("401".into()));
        let finding = STEERED_TO_ONE_POD.judge(&seen);
        assert!(matches!(finding, Finding::Broken(fault) if fault.cause.code == CauseCode::MetricsUnreadable));
    }

    #[test]
    fn an_answer_that_is_no_200_is_broken() {
        let mut seen = seen(&["pod-a", "pod-a"]);
        seen.proof.steered.push(answer(503, false, "no healthy upstream"));
        assert!(matches!(STEERED_TO_ONE_POD.judge(&seen), Finding::Broken(_)));
    }

    #[test]
    fn the_answer_that_went_elsewhere_is_shown() {
        let shown = |seen: &Observation| {
            let finding = STEERED_TO_ONE_POD.judge(seen);
            let answer = STEERED_TO_ONE_POD.shown_by(seen, &finding).unwrap();
            answer.serving_pod().map(Cow::into_owned)
        };
        assert_eq!(shown(&seen(&["pod-a", "pod-b", "pod-a"])).as_deref(), Some("pod-b"));
        assert_eq!(shown(&seen(&["pod-a", "pod-a"])).as_deref(), Some("pod-a"));
    }

    /// Requests that each named pod-a's or pod-b's address, as they were served.
    fn named_and_served(pairs: &[(&str, &str)]) -> Observation {
        let mut seen = seen(&[]);
        seen.steered_by = Some("x-go-to".into());
        for (pod, address) in seen.pool_pods.iter_mut().zip(["10.0.0.1", "10.0.0.2"]) {
            pod.address = Some(address.to_owned());
        }
        let steered = pairs.iter().map(|(address, pod)| {
            let mut answer = served_by(pod);
            answer
                .request
                .headers
                .push(("X-Go-To".to_owned(), (*address).to_owned()));
            answer
        });
        seen.proof.steered = steered.collect();
        seen
    }

    #[test]
    fn requests_that_name_their_pod_must_arrive_there_whatever_the_metrics_say() {
        let mut seen = named_and_served(&[("10.0.0.1", "pod-a"), ("10.0.0.2", "pod-b")]);
        seen.proof.endpoint_picker = EndpointPickerSeen::default();
        assert_eq!(STEERED_TO_ONE_POD.judge(&seen), Finding::Holds);
        assert!(STEERED_TO_ONE_POD.sentence(&seen).contains("at 2 pods in turn"));
        let seen = named_and_served(&[("10.0.0.1", "pod-a"), ("10.0.0.2", "pod-a")]);
        let finding = STEERED_TO_ONE_POD.judge(&seen);
        assert!(
            matches!(&finding, Finding::Broken(fault) if fault.cause.code == CauseCode::PickNotAsAsked
                && fault.cause.evidence[0].contains("x-go-to: 10.0.0.2")),
            "{finding:?}"
        );
        let shown = STEERED_TO_ONE_POD.shown_by(&seen, &finding).unwrap();
        assert_eq!(named(shown, "x-go-to"), Some("10.0.0.2"));
    }

    #[test]
    fn a_pod_that_was_named_and_is_gone_decides_nothing() {
        let seen = named_and_served(&[("10.0.0.9", "pod-a")]);
        assert!(matches!(STEERED_TO_ONE_POD.judge(&seen), Finding::Undecided { .. }));
    }
}
