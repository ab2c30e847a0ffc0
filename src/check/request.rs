//! The guide's own request: answered with 200, and through the endpoint picker.

use super::{Check, JudgeFn, diagnosis, guide_answer_where_wrong};
use crate::{
    probe::Answer,
    verdict::{Cause, CauseCode, Finding},
};

/// Status 200. Where the run itself knows that the request cannot be sent, it decides this check and no other.
pub(crate) const REQUEST_STATUS: Check = Check {
    name: "request-status",
    sentence: |seen| {
        let answer = seen.guide_answer.as_ref();
        match answer.map(Answer::status) {
            Some(None) if answer.is_some_and(|answer| answer.partial.is_some()) => {
                "the answer to the guide's request is cut off".into()
            }
            Some(None) => "the guide's request is not answered".into(),
            Some(Some(status)) if status != 200 => format!("the guide's request is answered with {status}, not 200"),
            Some(Some(_)) | None => "the guide's request is answered with 200".into(),
        }
    },
    judge: JudgeFn::Answer(|answer, seen| {
        if answer.status() == Some(200) {
            return Finding::Holds;
        }
        Finding::broken("status 200", answer.brief(), diagnosis::diagnose(answer, seen))
    }),
    shown_by: |seen, _| seen.guide_answer.as_ref(),
};

/// `x-went-into-resp-headers: true`.
pub(super) const PASSED_ENDPOINT_PICKER: Check = Check {
    name: "request-passed-endpoint-picker",
    sentence: |_| "the answer passed through the endpoint picker".into(),
    judge: JudgeFn::Answer(|answer, _| {
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
    }),
    shown_by: guide_answer_where_wrong,
};

#[cfg(test)]
mod tests {
    use super::{
        super::{Observation, diagnosis::tests::answer},
        *,
    };

    fn seen(status: u16, passed: bool) -> Observation {
        Observation {
            guide_answer: Some(answer(status, passed, "{}")),
            ..Observation::default()
        }
    }

    #[test]
    fn a_200_around_the_endpoint_picker_is_broken() {
        assert_eq!(REQUEST_STATUS.judge(&seen(200, false)), Finding::Holds);
        let finding = PASSED_ENDPOINT_PICKER.judge(&seen(200, false));
        assert!(matches!(finding, Finding::Broken(fault) if fault.cause.code == CauseCode::EndpointPickerBypassed));
        assert_eq!(PASSED_ENDPOINT_PICKER.judge(&seen(200, true)), Finding::Holds);
    }

    #[test]
    fn another_status_is_broken() {
        assert!(matches!(REQUEST_STATUS.judge(&seen(404, true)), Finding::Broken(_)));
    }

    #[test]
    fn the_guides_request_is_shown_once_where_all_is_well_and_by_each_check_that_is_broken() {
        let shown = |check: &Check, seen: &Observation| check.shown_by(seen, &check.judge(seen)).is_some();
        assert!(shown(&REQUEST_STATUS, &seen(200, true)));
        assert!(!shown(&PASSED_ENDPOINT_PICKER, &seen(200, true)));
        assert!(shown(&PASSED_ENDPOINT_PICKER, &seen(200, false)));
        assert!(shown(&REQUEST_STATUS, &seen(503, false)));
        assert!(!shown(&PASSED_ENDPOINT_PICKER, &seen(503, false)));
    }
}
