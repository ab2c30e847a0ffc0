//! What the endpoint picker counts agrees with what was sent and with what Kubernetes says.

use super::{Check, JudgeFn, Observation, readable};
use crate::{
    probe::{metrics::Metrics, resent},
    verdict::{Cause, CauseCode, Finding},
};

/// The counter of forwarded requests, by era: v1.1.0 and later, v0.1.0 to v1.0.x.
const REQUEST_TOTAL: &[&str] = &["inference_objective_request_total", "inference_model_request_total"];

/// The names that the counter of this release may have; empty where they are not known.
fn names(seen: &Observation) -> Vec<&str> {
    match &seen.picker_metrics {
        Some(metrics) => {
            let named = metrics.iter().map(String::as_str);
            named.filter(|name| name.ends_with("_request_total")).collect()
        }
        None => REQUEST_TOTAL.to_vec(),
    }
}

/// Requests that the endpoint picker counted for a model; zero before the first, `None` where it never counts.
fn counted(metrics: &Metrics, names: &[&str], model: &str) -> Option<f64> {
    names
        .iter()
        .find_map(|name| metrics.sum(name, &[("model_name", model)]))
}

pub(super) fn both(seen: &Observation) -> Result<(&Metrics, &Metrics), Finding> {
    let picker = &seen.proof.endpoint_picker;
    Ok((readable(picker.before.as_ref())?, readable(picker.after.as_ref())?))
}

fn rise(seen: &Observation) -> Option<f64> {
    let (before, after) = both(seen).ok()?;
    let model = seen.proof.answers.first()?.request.model()?;
    let names = names(seen);
    Some(counted(after, &names, &model)? - counted(before, &names, &model).unwrap_or(0.0))
}

/// The request counter rose by exactly as many as were sent.
pub(super) const COUNTER_ROSE_BY_REQUESTS: Check = Check {
    name: "proof-counter",
    sentence: |seen| format!("the endpoint picker counted {} requests", rise(seen).unwrap_or(0.0)),
    judge: JudgeFn::Proof(|seen| {
        if let Err(finding) = both(seen) {
            return finding;
        }
        let names = names(seen);
        if names.is_empty() {
            return Finding::Skipped {
                why:
                    "how this release's endpoint picker counts requests is not written down in it: the proof is weaker"
                        .into(),
            };
        }
        let sent = seen.proof.answers.len();
        // What was sent once more may have been counted before its connection ended.
        let at_most = sent + resent(&seen.proof.answers);
        let expected = match at_most {
            most if most == sent => format!("the counter rises by {sent}"),
            most => format!("the counter rises by {sent} to {most}"),
        };
        match rise(seen) {
            #[expect(clippy::cast_precision_loss, reason = "a run sends far fewer than 2^52 requests")]
            Some(rise) if rise > sent as f64 - 0.5 && rise < at_most as f64 + 0.5 => Finding::Holds,
            Some(rise) => Finding::broken(
                expected,
                format!("it rose by {rise}"),
                Cause::new(CauseCode::EndpointPickerNotCounting).because(format!("{sent} requests were sent")),
            ),
            None => Finding::broken(
                expected,
                format!("there is none of {}", names.join(", ")),
                Cause::new(CauseCode::EndpointPickerNotCounting).because("the series is absent after the requests"),
            ),
        }
    }),
    shown_by: |_, _| None,
};

#[cfg(test)]
pub(crate) mod tests {
    use rstest::rstest;

    use super::{
        super::{EndpointPickerSeen, Proof, diagnosis::tests::answer},
        *,
    };

    /// Two requests that pod-a served, between two looks at these metrics.
    pub(crate) fn seen(before: &str, after: &str) -> Observation {
        Observation {
            proof: Proof {
                answers: vec![answer(200, true, "{}"), answer(200, true, "{}")],
                endpoint_picker: EndpointPickerSeen {
                    before: Some(Ok(Metrics::parse(before).unwrap())),
                    after: Some(Ok(Metrics::parse(after).unwrap())),
                    ..EndpointPickerSeen::default()
                },
                ..Proof::default()
            },
            ..Observation::default()
        }
    }

    #[rstest]
    #[case::first("", "inference_objective_request_total{model_name=\"m\"} 2\n", true)]
    #[case::further(
        "inference_objective_request_total{model_name=\"m\"} 5\n",
        "inference_objective_request_total{model_name=\"m\"} 7\n",
        true
    )]
    #[case::older_name("", "inference_model_request_total{model_name=\"m\"} 2\n", true)]
    #[case::other_model("", "inference_objective_request_total{model_name=\"n\"} 2\n", false)]
    #[case::too_few("", "inference_objective_request_total{model_name=\"m\"} 1\n", false)]
    #[case::too_many("", "inference_objective_request_total{model_name=\"m\"} 3\n", false)]
    fn the_counter_must_rise_by_what_was_sent(#[case] before: &str, #[case] after: &str, #[case] holds: bool) {
        assert_eq!(
            COUNTER_ROSE_BY_REQUESTS.judge(&seen(before, after)) == Finding::Holds,
            holds
        );
    }

    #[rstest]
    #[case::not_counted(1, false)]
    #[case::once(2, true)]
    #[case::twice(3, true)]
    #[case::more_often(4, false)]
    fn what_was_sent_once_more_may_be_counted_twice(#[case] rises: u8, #[case] holds: bool) {
        let after = format!("inference_objective_request_total{{model_name=\"m\"}} {rises}\n");
        let mut seen = seen("", &after);
        seen.proof.answers[0].resent = Some("closed".into());
        assert_eq!(COUNTER_ROSE_BY_REQUESTS.judge(&seen) == Finding::Holds, holds);
    }

    #[rstest]
    #[case::as_written(&["inference_objective_request_total"], Some(true))]
    #[case::under_another_name(&["other_request_total"], Some(false))]
    #[case::not_written_down(&["other_ready_pods"], None)]
    fn the_counter_is_that_of_the_release(#[case] metrics: &[&str], #[case] holds: Option<bool>) {
        let mut seen = seen("", "inference_objective_request_total{model_name=\"m\"} 2\n");
        seen.picker_metrics = Some(metrics.iter().map(|&name| name.to_owned()).collect());
        let finding = COUNTER_ROSE_BY_REQUESTS.judge(&seen);
        match holds {
            Some(true) => assert_eq!(finding, Finding::Holds),
            Some(false) => assert!(matches!(finding, Finding::Broken(_)), "{finding:?}"),
            None => assert!(matches!(finding, Finding::Skipped { .. }), "{finding:?}"),
        }
    }

    #[test]
    fn metrics_that_cannot_be_read_are_not_zero() {
        let mut unread = seen("", "");
        unread.proof.endpoint_picker.after = Some(Err("401".into()));
        let finding = COUNTER_ROSE_BY_REQUESTS.judge(&unread);
        assert!(matches!(finding, Finding::Broken(fault) if fault.cause.code == CauseCode::MetricsUnreadable));
    }
}
