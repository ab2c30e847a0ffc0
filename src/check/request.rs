//! The guide's own request: answered with 200, and through the endpoint picker.

use super::{Check, Observation, diagnosis};
use crate::{
    probe::Answer,
    record::Stage,
    verdict::{Cause, CauseCode, Finding},
};

fn unsent() -> Finding {
    Finding::Undecided {
        why: "the guide's request was not sent".into(),
    }
}

/// Status 200.
pub(super) struct StatusIs200;

impl Check for StatusIs200 {
    fn name(&self) -> &'static str {
        "request-status"
    }

    fn stage(&self) -> Stage {
        Stage::Request
    }

    fn sentence(&self, seen: &Observation) -> String {
        let answer = seen.guide_answer.as_ref();
        match answer.map(Answer::status) {
            Some(None) if answer.is_some_and(|answer| answer.partial.is_some()) => {
                "the answer to the guide's request is cut off".into()
            }
            Some(None) => "the guide's request is not answered".into(),
            Some(Some(status)) if status != 200 => format!("the guide's request is answered with {status}, not 200"),
            Some(Some(_)) | None => "the guide's request is answered with 200".into(),
        }
    }

    fn judge(&self, seen: &Observation) -> Finding {
        let Some(answer) = &seen.guide_answer else {
            return unsent();
        };
        if answer.status() == Some(200) {
            return Finding::Holds;
        }
        Finding::broken("status 200", answer.brief(), diagnosis::diagnose(answer, seen))
    }

    fn shown_by<'a>(&self, seen: &'a Observation, _: &Finding) -> Option<&'a Answer> {
        seen.guide_answer.as_ref()
    }
}

/// `x-went-into-resp-headers: true`.
pub(super) struct PassedEndpointPicker;

impl Check for PassedEndpointPicker {
    fn name(&self) -> &'static str {
        "request-passed-endpoint-picker"
    }

    fn stage(&self) -> Stage {
        Stage::Request
    }

    fn sentence(&self, _: &Observation) -> String {
        "the answer passed through the endpoint picker".into()
    }

    fn judge(&self, seen: &Observation) -> Finding {
        let Some(answer) = &seen.guide_answer else {
            return unsent();
        };
        if answer.status() != Some(200) {
            return Finding::Skipped {
                why: "the request failed; only good answers prove the path".into(),
            };
        }
        if answer.passed_endpoint_picker() {
            return Finding::Holds;
        }
        let cause = Cause::new(CauseCode::EndpointPickerBypassed).because(
            "the answer is a 200 without x-went-into-resp-headers: the gateway went around the endpoint picker",
        );
        Finding::broken("header x-went-into-resp-headers: true", "the header is absent", cause)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::diagnosis::tests::answer, *};

    fn seen(status: u16, passed: bool) -> Observation {
        Observation {
            guide_answer: Some(answer(status, passed, "{}")),
            ..Observation::default()
        }
    }

    #[test]
    fn a_200_around_the_endpoint_picker_is_broken() {
        assert_eq!(StatusIs200.judge(&seen(200, false)), Finding::Holds);
        let finding = PassedEndpointPicker.judge(&seen(200, false));
        assert!(matches!(finding, Finding::Broken(fault) if fault.cause.code == CauseCode::EndpointPickerBypassed));
        assert_eq!(PassedEndpointPicker.judge(&seen(200, true)), Finding::Holds);
    }

    #[test]
    fn another_status_is_broken() {
        assert!(matches!(StatusIs200.judge(&seen(404, true)), Finding::Broken(_)));
    }

    #[test]
    fn the_guides_request_is_shown_once_where_all_is_well_and_by_each_check_that_is_broken() {
        let shown = |check: &dyn Check, seen: &Observation| check.shown_by(seen, &check.judge(seen)).is_some();
        assert!(shown(&StatusIs200, &seen(200, true)));
        assert!(!shown(&PassedEndpointPicker, &seen(200, true)));
        assert!(shown(&PassedEndpointPicker, &seen(200, false)));
        assert!(shown(&StatusIs200, &seen(503, false)));
        assert!(!shown(&PassedEndpointPicker, &seen(503, false)));
    }
}
