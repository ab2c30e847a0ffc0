//! The running endpoint picker says itself which tag it was built from.

use super::{Check, JudgeFn, Observation, readable};
use crate::verdict::{Cause, CauseCode, Finding};

fn expected(seen: &Observation) -> Option<String> {
    let of_image = || {
        Some(
            seen.proof
                .endpoint_picker
                .image
                .as_deref()?
                .rsplit_once(':')?
                .1
                .to_owned(),
        )
    };
    seen.build_ref.clone().or_else(of_image)
}

/// `inference_extension_info{build_ref}` equals the tag under test.
pub(super) const BUILD_REF_IS_THE_TAG: Check = Check {
    name: "proof-build-ref",
    sentence: |seen| {
        format!(
            "the endpoint picker says it was built from {}",
            expected(seen).unwrap_or_else(|| "the tag of its image".into())
        )
    },
    judge: JudgeFn::Proof(|seen| {
        let Some(expected) = expected(seen) else {
            return Finding::Undecided {
                why: "no tag is known for the endpoint picker".into(),
            };
        };
        let metrics = match readable(seen.proof.endpoint_picker.after.as_ref()) {
            Ok(metrics) => metrics,
            Err(finding) => return finding,
        };
        let said = metrics
            .named("inference_extension_info")
            .find_map(|sample| sample.labels.get("build_ref").cloned());
        match said {
            Some(said) if said == expected => Finding::Holds,
            said => {
                let actual = said.map_or("it does not say".to_owned(), |said| format!("build_ref is `{said}`"));
                let cause = Cause::new(CauseCode::EndpointPickerOtherBuild).because(actual.clone());
                Finding::broken(format!("build_ref is `{expected}`"), actual, cause)
            }
        }
    }),
    shown_by: |_, _| None,
};

#[cfg(test)]
mod tests {
    use super::{
        super::{EndpointPickerSeen, Proof, diagnosis::tests::answer},
        *,
    };
    use crate::probe::metrics::Metrics;

    fn seen(metrics: &str, image: &str) -> Observation {
        Observation {
            proof: Proof {
                answers: vec![answer(200, true, "{}")],
                endpoint_picker: EndpointPickerSeen {
                    image: Some(image.into()),
                    before: None,
                    after: Some(Ok(Metrics::parse(metrics).unwrap())),
                    ..EndpointPickerSeen::default()
                },
                ..Proof::default()
            },
            ..Observation::default()
        }
    }

    #[test]
    fn the_build_must_be_of_the_tag() {
        let metrics = "inference_extension_info{build_ref=\"v1.5.0\",commit=\"x\"} 1\n";
        assert_eq!(
            BUILD_REF_IS_THE_TAG.judge(&seen(metrics, "r/epp:v1.5.0")),
            Finding::Holds
        );
        assert!(matches!(
            BUILD_REF_IS_THE_TAG.judge(&seen(metrics, "r/epp:v1.4.0")),
            Finding::Broken(_)
        ));
        assert!(matches!(
            BUILD_REF_IS_THE_TAG.judge(&seen("", "r/epp:v1.5.0")),
            Finding::Broken(_)
        ));
    }
}
