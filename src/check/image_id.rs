//! What runs is what was meant: the digests of the running images.

use super::{Check, JudgeFn, MeantImage, PublishedImage, RunningId, RunningImage};
use crate::verdict::{Cause, CauseCode, Fault, Finding};

/// What the digests of one container say.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Compared {
    /// Both are not known.
    Unknown,
    Same,
    Wrong(What, Box<Fault>),
}

/// What is wrong; what was seen of an image goes before what nobody says of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// It runs another image.
    Other,
    /// It runs the right one, and the name leads elsewhere meanwhile.
    Moved,
    /// Nobody says any more what the name leads to.
    Unanswered,
}

/// The running digest of each image is one of those that were had for its name before the run, and the name leads there
/// still.
pub(super) const RUNS_THE_IMAGE_MEANT: Check = Check {
    name: "proof-image-digests",
    sentence: |seen| {
        let known = seen
            .proof
            .images
            .iter()
            .map(compare)
            .filter(|one| *one != Compared::Unknown);
        format!(
            "{} containers of endpoint picker, pool and gateway run the images that were meant, by digest",
            known.count()
        )
    },
    judge: JudgeFn::Proof(|seen| {
        let compared: Vec<Compared> = seen.proof.images.iter().map(compare).collect();
        if compared.iter().all(|one| *one == Compared::Unknown) {
            return Finding::Skipped {
                why: "the digests of the running images are not known, or those that were meant are not".into(),
            };
        }
        let wrong = compared.into_iter().filter_map(|one| match one {
            Compared::Wrong(what, fault) => Some((what, fault)),
            Compared::Unknown | Compared::Same => None,
        });
        let worst = wrong.min_by_key(|(what, _)| *what);
        worst.map_or(Finding::Holds, |(_, fault)| Finding::from(*fault))
    }),
    shown_by: |_, _| None,
};

fn compare(image: &RunningImage) -> Compared {
    let (RunningImage { pod, image, meant, .. }, Some(running)) = (image, &image.running) else {
        return Compared::Unknown;
    };
    let other = |meant: &str, digest: &str, more: Option<String>| {
        let mut cause =
            Cause::new(CauseCode::ImageOther).because(format!("pod {pod} runs {digest} as {image}, meant was {meant}"));
        cause.evidence.extend(more);
        Compared::Wrong(What::Other, Box::new(Fault::new(meant, digest, cause)))
    };
    let (MeantImage::Published(published), RunningId::OfRegistry(id) | RunningId::OfNode(id)) = (meant, running) else {
        return match (meant, running) {
            (MeantImage::Served(served), RunningId::OfRegistry(id)) if id == served => Compared::Same,
            (MeantImage::Served(served), RunningId::OfRegistry(id)) => other(served, id, None),
            (MeantImage::Unanswered(what), _) => {
                let expected = format!("the registry of {image} says what it leads to, as before");
                let cause = Cause::new(CauseCode::RegistryNotAnswering).because(what);
                Compared::Wrong(What::Unanswered, Box::new(Fault::new(expected, what, cause)))
            }
            // What our registry serves is not known by the digest of its configuration.
            _ => Compared::Unknown,
        };
    };
    let PublishedImage { before, digests, now } = published;
    let nothing = || "nothing".to_owned();
    let (then, now_said) = (
        before.clone().unwrap_or_else(nothing),
        now.clone().unwrap_or_else(nothing),
    );
    let moved = (before != now).then(|| {
        format!("{image} led to {then} before anything was deployed and leads to {now_said} now: its tag was moved meanwhile")
    });
    match moved {
        moved if !digests.contains(id) => other(&then, id, moved),
        Some(moved) => {
            let cause = Cause::new(CauseCode::ImageOther).because(moved);
            Compared::Wrong(What::Moved, Box::new(Fault::new(then, now_said, cause)))
        }
        None => Compared::Same,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{
        super::{Observation, Proof, diagnosis::tests::answer},
        *,
    };

    /// What a node says that it runs: a digest of a registry, `id:` and one of its own, or nothing.
    fn image(running: &str, meant: MeantImage) -> RunningImage {
        RunningImage {
            pod: "pod-a".into(),
            image: "r.example/a:1".into(),
            running: match running.strip_prefix("id:") {
                _ if running.is_empty() => None,
                Some(id) => Some(RunningId::OfNode(id.into())),
                None => Some(RunningId::OfRegistry(running.into())),
            },
            meant,
        }
    }

    fn served(digest: &str) -> MeantImage {
        MeantImage::Served(digest.into())
    }

    /// An image that led to an index `i1` with the manifest `m1` and the configuration `c1`, and leads there now.
    fn published(before: Option<&str>, now: Option<&str>) -> MeantImage {
        MeantImage::Published(PublishedImage {
            before: before.map(Into::into),
            digests: before
                .map(|_| ["i1", "m1", "c1"].map(Into::into).into())
                .unwrap_or_default(),
            now: now.map(Into::into),
        })
    }

    fn unanswered() -> MeantImage {
        MeantImage::Unanswered("r.example answers 503".into())
    }

    const OTHER: Option<Result<(), CauseCode>> = Some(Err(CauseCode::ImageOther));
    const AWAY: Option<Result<(), CauseCode>> = Some(Err(CauseCode::RegistryNotAnswering));

    #[rstest]
    #[case::the_same(&[image("1", served("1"))], Some(Ok(())))]
    #[case::another(&[image("1", served("1")), image("2", served("1"))], OTHER)]
    #[case::one_is_not_known(&[image("1", served("1")), image("", served("1"))], Some(Ok(())))]
    #[case::none_is_known(&[image("1", MeantImage::Unknown), image("", served("1")), image("id:2", served("1"))], None)]
    #[case::the_index(&[image("i1", published(Some("i1"), Some("i1")))], Some(Ok(())))]
    #[case::the_manifest_of_the_platform(&[image("m1", published(Some("i1"), Some("i1")))], Some(Ok(())))]
    #[case::put_there_by_hand_and_the_same(&[image("id:c1", published(Some("i1"), Some("i1")))], Some(Ok(())))]
    #[case::put_there_by_hand_and_older(&[image("id:c0", published(Some("i1"), Some("i1")))], OTHER)]
    #[case::an_older_one_that_the_node_had(&[image("i0", published(Some("i1"), Some("i1")))], OTHER)]
    #[case::no_registry_has_it_and_it_runs(&[image("i0", published(None, None))], OTHER)]
    #[case::a_tag_that_moved(&[image("i1", published(Some("i1"), Some("i2")))], OTHER)]
    #[case::a_tag_that_moved_before_it_was_pulled(&[image("i2", published(Some("i1"), Some("i2")))], OTHER)]
    #[case::a_tag_that_was_taken_away(&[image("i1", published(Some("i1"), None))], OTHER)]
    #[case::a_registry_that_went_away(&[image("i1", published(Some("i1"), Some("i1"))), image("i1", unanswered())], AWAY)]
    #[case::another_beside_it(&[image("i1", unanswered()), image("i0", published(Some("i1"), Some("i1")))], OTHER)]
    fn digests_must_be_the_same(#[case] images: &[RunningImage], #[case] said: Option<Result<(), CauseCode>>) {
        let found = match judged(images) {
            Finding::Holds => Some(Ok(())),
            Finding::Broken(fault) => Some(Err(fault.cause.code)),
            Finding::Skipped { .. } => None,
            other @ Finding::Undecided { .. } => panic!("{other:?}"),
        };
        assert_eq!(found, said);
    }

    #[test]
    fn a_tag_that_moved_is_said_to_have_moved() {
        let Finding::Broken(fault) = judged(&[image("i1", published(Some("i1"), Some("i2")))]) else {
            panic!("a tag that moved is no pass");
        };
        assert_eq!((fault.expected.as_str(), fault.actual.as_str()), ("i1", "i2"));
        let said =
            "r.example/a:1 led to i1 before anything was deployed and leads to i2 now: its tag was moved meanwhile";
        assert_eq!(fault.cause.evidence, [said]);
    }

    fn judged(images: &[RunningImage]) -> Finding {
        let seen = Observation {
            proof: Proof {
                answers: vec![answer(200, true, "{}")],
                images: images.to_vec(),
                ..Proof::default()
            },
            ..Observation::default()
        };
        RUNS_THE_IMAGE_MEANT.judge(&seen)
    }
}
