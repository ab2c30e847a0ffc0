//! What runs is what was meant: the digests of the running images.

use super::{Check, JudgeFn, Observation, RunningImage};
use crate::verdict::{Cause, CauseCode, Finding};

/// Images of which both digests are known.
fn known(seen: &Observation) -> impl Iterator<Item = (&RunningImage, &str, &str)> {
    seen.proof
        .images
        .iter()
        .filter_map(|image| Some((image, image.running.as_deref()?, image.meant.as_deref()?)))
}

/// The running digest of each image equals the one that was had for its name before the run.
pub(super) const RUNS_THE_IMAGE_MEANT: Check = Check {
    name: "proof-image-digests",
    sentence: |seen| {
        format!(
            "{} containers of endpoint picker and pool run the images that were meant, by digest",
            known(seen).count()
        )
    },
    judge: JudgeFn::Proof(|seen| {
        if let Some((image, running, meant)) = known(seen).find(|(_, running, meant)| running != meant) {
            let cause = Cause::new(CauseCode::ImageOther).because(format!(
                "pod {} runs {running} as {}, meant was {meant}",
                image.pod, image.image
            ));
            return Finding::broken(meant, running, cause);
        }
        if known(seen).next().is_none() {
            return Finding::Skipped {
                why: "the digests of the running images are not known, or those that were meant are not".into(),
            };
        }
        Finding::Holds
    }),
    shown_by: |_, _| None,
};

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{
        super::{Proof, diagnosis::tests::answer},
        *,
    };

    fn image(running: Option<&str>, meant: Option<&str>) -> RunningImage {
        RunningImage {
            pod: "pod-a".into(),
            image: "r.example/a:1".into(),
            running: running.map(Into::into),
            meant: meant.map(Into::into),
        }
    }

    #[rstest]
    #[case::the_same(&[image(Some("sha256:1"), Some("sha256:1"))], Some(true))]
    #[case::another(&[image(Some("sha256:1"), Some("sha256:1")), image(Some("sha256:2"), Some("sha256:1"))], Some(false))]
    #[case::one_is_not_known(&[image(Some("sha256:1"), Some("sha256:1")), image(None, Some("sha256:1"))], Some(true))]
    #[case::none_is_known(&[image(Some("sha256:1"), None), image(None, Some("sha256:1"))], None)]
    fn digests_must_be_the_same(#[case] images: &[RunningImage], #[case] holds: Option<bool>) {
        let seen = Observation {
            proof: Proof {
                answers: vec![answer(200, true, "{}")],
                images: images.to_vec(),
                ..Proof::default()
            },
            ..Observation::default()
        };
        let finding = RUNS_THE_IMAGE_MEANT.judge(&seen);
        match holds {
            Some(true) => assert_eq!(finding, Finding::Holds),
            Some(false) => {
                assert!(matches!(finding, Finding::Broken(fault) if fault.cause.code == CauseCode::ImageOther));
            }
            None => assert!(matches!(finding, Finding::Skipped { .. })),
        }
    }
}
