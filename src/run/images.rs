//! The images of a run, from the plan's names to what the pods run, and the programs that its steps call.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use k8s_openapi::api::core::v1::Pod;

use super::{Context, checks, stopped::Stopped};
use crate::{
    check::RunningImage,
    cluster::Cluster,
    images::{self, ImageOrigin, ImageRef, ImageSource, Provided},
    plan::{Plan, Step},
    record::{Deviation, DeviationKind, Stage},
    verdict::CauseCode,
};

/// The images of a run, and the programs that its steps call.
pub(super) struct Images {
    /// `None` where the cluster's nodes pull images by themselves.
    pub(super) provided: Option<Provided>,
    /// Programs by name.
    pub(super) programs: BTreeMap<String, PathBuf>,
}

impl Images {
    /// Whether some of them are made from packages.
    pub(super) fn are_built(&self) -> bool {
        self.provided.as_ref().is_some_and(|provided| {
            provided.source == ImageSource::Build
                || provided
                    .images
                    .iter()
                    .any(|had| matches!(had.origin, ImageOrigin::Built { .. }))
        })
    }

    /// Whether nodes get images from our registry and from nobody else.
    pub(super) fn are_only_ours(&self) -> bool {
        self.provided
            .as_ref()
            .is_some_and(|provided| provided.registry.is_some())
    }

    /// The images of pods' containers as they run, beside what was provided under their names.
    pub(super) fn running<'a>(&self, pods: impl IntoIterator<Item = &'a Arc<Pod>>) -> Vec<RunningImage> {
        pods.into_iter().flat_map(|pod| self.running_in(pod)).collect()
    }

    fn running_in(&self, pod: &Pod) -> Vec<RunningImage> {
        let asked = pod.spec.iter().flat_map(|spec| &spec.containers);
        let statuses = pod.status.iter().flat_map(|status| &status.container_statuses);
        let statuses: Vec<_> = statuses.flatten().collect();
        let running = asked.filter_map(|container| {
            let image = container.image.clone()?;
            let status = statuses.iter().find(|status| status.name == container.name)?;
            Some(RunningImage {
                pod: pod.metadata.name.clone().unwrap_or_default(),
                // `REPOSITORY@sha256:…` where the node has it from a registry; only an id of the node's own otherwise.
                running: status.image_id.rsplit_once('@').map(|(_, digest)| digest.to_owned()),
                meant: self.digest(&image),
                image,
            })
        });
        running.collect()
    }

    /// The digest that was provided under a name, where nodes ask for it by name: of what is put into nodes from here they
    /// know another digest than that of the registry.
    fn digest(&self, image: &str) -> Option<String> {
        let (image, provided) = (image.parse::<ImageRef>().ok()?, self.provided.as_ref()?);
        let mut by_name = provided.images.iter().filter(|one| !provided.load.contains(&one.image));
        Some(by_name.find(|one| one.image == image)?.digest.clone())
    }
}

/// Sees to the images of a plan and to the programs that its steps call. Nodes that are somebody else's pull images
/// themselves; those of a kind cluster that quickproof made, in this run or an earlier one, ask our registry.
///
/// # Errors
/// An image or a program cannot be had.
pub(super) async fn provide(context: &Context, plan: &Plan, existing: Option<&Cluster>) -> Result<Images, Stopped> {
    let began = context.enter(Stage::Images);
    let are_theirs = existing.is_some_and(|cluster| cluster.node_container().is_none());
    let provided = if are_theirs {
        context.events.note(
            Stage::Images,
            "the cluster is somebody else's: its nodes pull images as they are set up to",
        );
        None
    } else {
        Some(provide_to_own_nodes(context, plan).await?)
    };
    let mut programs = BTreeMap::new();
    for name in programs_needed(plan) {
        let program = images::program(&context.host, &name, &context.events).await;
        let program = program.map_err(|error| {
            let sentence = format!("{name} is on this machine");
            Stopped::for_error(
                &context.events,
                checks::program(&name),
                &sentence,
                CauseCode::HostToolFailed,
                &error,
            )
        })?;
        programs.insert(name, program);
    }
    context.spent(Stage::Images, began);
    Ok(Images { provided, programs })
}

async fn provide_to_own_nodes(context: &Context, plan: &Plan) -> Result<Provided, Stopped> {
    let events = &context.events;
    let wanted: Vec<ImageRef> = plan.images().iter().filter_map(|image| image.parse().ok()).collect();
    let provided = images::provide(&context.host, context.order.images, &wanted, events).await;
    let provided = provided.map_err(|error| {
        let sentence = "the images that the plan names are ready";
        Stopped::for_error(
            &context.events,
            checks::IMAGES,
            sentence,
            CauseCode::ImagesNotReady,
            &error,
        )
    })?;
    events.note(Stage::Images, provided.sentence.clone());
    for image in &provided.images {
        match &image.origin {
            ImageOrigin::Pulled | ImageOrigin::Present => {
                events.note(Stage::Images, format!("{} is {}", image.image, image.digest));
            }
            ImageOrigin::Built { note } => events.deviate(Deviation {
                kind: DeviationKind::Built,
                subject: image.image.to_string(),
                what: format!("{note}; {}", image.digest),
                why: "no image registry answers here: it is built from packages and is not the published image".into(),
                from: None,
            }),
        }
    }
    for missing in &provided.missing {
        events.note(
            Stage::Images,
            format!("{missing} is not to be had here; the cluster will say what comes of it"),
        );
    }
    Ok(provided)
}

/// Programs that steps call: the provider's installer, and helm where there is a chart.
fn programs_needed(plan: &Plan) -> BTreeSet<String> {
    let program = |step: &Step| step.action.facts().program.map(str::to_owned);
    plan.steps.iter().filter_map(program).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::images::ProvidedImage;

    /// Images that are here, each with the digest `sha256:9`, and those of them that are put into nodes.
    fn provided(images: &[&str], load: &[&str]) -> Images {
        let image = |image: &&str| ProvidedImage {
            image: image.parse().unwrap(),
            digest: "sha256:9".to_owned(),
            origin: ImageOrigin::Pulled,
        };
        Images {
            provided: Some(Provided {
                source: ImageSource::Pull,
                sentence: String::new(),
                node_image: None,
                images: images.iter().map(image).collect(),
                missing: Vec::new(),
                registry: None,
                load: load.iter().map(|image| image.parse().unwrap()).collect(),
            }),
            programs: BTreeMap::new(),
        }
    }

    #[test]
    fn what_is_put_into_nodes_has_another_digest_there_than_its_registry_says() {
        let images = provided(&["r.example/a:1", "r.example/b:1"], &["r.example/b:1"]);
        assert_eq!(images.digest("r.example/a:1").as_deref(), Some("sha256:9"));
        assert_eq!(images.digest("r.example/b:1"), None);
        assert_eq!(images.digest("r.example/c:1"), None);
    }

    #[test]
    fn a_digest_is_known_where_the_node_has_the_image_from_a_registry() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"containers": [
            {"name": "a", "image": "r.example/a:1"}, {"name": "b", "image": "r.example/b:1"}, {"name": "c", "image": "r.example/c:1"}]},
            "status": {"containerStatuses": [
                {"name": "a", "image": "x", "imageID": "r.example/a@sha256:1", "ready": true, "restartCount": 0},
                {"name": "b", "image": "x", "imageID": "sha256:2", "ready": true, "restartCount": 0}]}}))
        .unwrap();
        let known: Vec<_> = provided(&["r.example/a:1"], &[])
            .running([&Arc::new(pod)])
            .into_iter()
            .map(|image| (image.image, image.running, image.meant))
            .collect();
        let digest = |text: &str| Some(text.to_owned());
        assert_eq!(
            known,
            [
                ("r.example/a:1".to_owned(), digest("sha256:1"), digest("sha256:9")),
                ("r.example/b:1".to_owned(), None, None),
            ]
        );
    }
}
