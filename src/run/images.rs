//! The images of a run, from the plan's names to what the pods run, and the programs that its steps call.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures::future;
use k8s_openapi::api::core::v1::Pod;

use super::{Context, checks, stopped::Stopped};
use crate::{
    check::{MeantImage, PublishedImage, RunningId, RunningImage},
    cluster::Cluster,
    deploy::provider::is_installed,
    images::{
        self, ImageOrigin, ImageRef, ImageSource, ImagesError, Program, ProgramOrigin, Provided, Said, Unanswered,
    },
    plan::{Action, Phase, Plan},
    record::{Deviation, DeviationKind, Stage},
    verdict::{Cause, CauseCode},
};

/// How long is looked whether a provider is there; where nobody knows, its installer is had.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

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

    /// Whether nodes pull them from the registries that names name.
    pub(super) fn are_pulled(&self) -> bool {
        self.provided
            .as_ref()
            .is_some_and(|provided| provided.upstream.is_some())
    }

    /// How many bytes nodes fetch for an image, where they pull it and its registry has said so.
    pub(super) fn size(&self, image: &str) -> Option<u64> {
        let upstream = self.provided.as_ref()?.upstream.as_ref()?;
        upstream.size(&image.parse().ok()?)
    }

    /// The images of pods' containers as they run, beside what was provided under their names. Registries that nodes pull
    /// from are asked once more what the names lead to.
    pub(super) async fn running<'a>(&self, pods: impl IntoIterator<Item = &'a Arc<Pod>>) -> Vec<RunningImage> {
        let mut running: Vec<RunningImage> = pods.into_iter().flat_map(|pod| running_in(pod)).collect();
        let mut by_name: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for one in &running {
            let id = one
                .running
                .iter()
                .map(|(RunningId::OfRegistry(id) | RunningId::OfNode(id))| id.clone());
            by_name.entry(one.image.clone()).or_default().extend(id);
        }
        let meant = by_name.into_iter().map(async |(name, ids)| {
            let meant = self.meant(&name, &ids).await;
            (name, meant)
        });
        let meant: BTreeMap<String, MeantImage> = future::join_all(meant).await.into_iter().collect();
        for one in &mut running {
            one.meant = meant.get(&one.image).cloned().unwrap_or(MeantImage::Unknown);
        }
        running
    }

    /// What a name means, where nodes run these under it.
    async fn meant(&self, name: &str, running: &BTreeSet<String>) -> MeantImage {
        let (Ok(image), Some(provided)) = (name.parse::<ImageRef>(), &self.provided) else {
            return MeantImage::Unknown;
        };
        let had = provided.images.iter().find(|one| one.image == image);
        let Some(upstream) = &provided.upstream else {
            // Of what is put into nodes from here they know another digest than that of the registry.
            let served = had.filter(|one| !provided.load.contains(&one.image));
            return served.map_or(MeantImage::Unknown, |one| MeantImage::Served(one.digest.clone()));
        };
        let asked = async {
            let now = match upstream.leads_to(&image).await? {
                Said::Digest(digest) => Some(digest),
                Said::Absent => None,
            };
            let before = match had {
                Some(one) => Some(one.digest.clone()),
                None if provided.missing.contains(&image) => None,
                // Something that no manifest of the plan names.
                None => now.clone(),
            };
            let digests = match &before {
                None => BTreeSet::new(),
                Some(digest) if running.iter().all(|id| id == digest) => BTreeSet::from([digest.clone()]),
                Some(digest) => upstream.parts(&image, digest).await?,
            };
            Ok::<_, Unanswered>(PublishedImage { before, digests, now })
        };
        match asked.await {
            Ok(published) => MeantImage::Published(published),
            Err(unanswered) => MeantImage::Unanswered(unanswered.to_string()),
        }
    }

    /// Why a node did not get an image, by what its registry says of it, where nodes pull from registries: one that has it
    /// is not what kept it away, and one that does not answer says nothing of it.
    pub(super) async fn explain_pull(&self, image: &ImageRef, mut cause: Cause) -> Cause {
        let upstream = self.provided.as_ref().and_then(|provided| provided.upstream.as_ref());
        let Some(upstream) = upstream else { return cause };
        let said = upstream.leads_to(image).await;
        let line;
        (cause.code, line) = if upstream.is_private(image) {
            (
                CauseCode::PodImageNotFound,
                format!(
                    "{} gives {image} to this machine's account of docker and to nobody else: it is not public",
                    image.host()
                ),
            )
        } else {
            pulled_in_vain(image, &said, cause.code)
        };
        cause.because(line)
    }
}

/// Why a node did not get an image, given what its registry says of it, and what the node has said.
fn pulled_in_vain(image: &ImageRef, said: &Result<Said, Unanswered>, of_the_node: CauseCode) -> (CauseCode, String) {
    match said {
        Ok(Said::Absent) => (
            CauseCode::PodImageNotFound,
            format!("{} says that it has no {image}", image.host()),
        ),
        Ok(Said::Digest(digest)) if of_the_node == CauseCode::PodImageNotFound => (
            CauseCode::PodImageNotFound,
            format!(
                "{} has {image}, as {digest}, and not all of it that the node needs: nothing for the node's platform, or a \
                 part is missing",
                image.host()
            ),
        ),
        Ok(Said::Digest(digest)) => (
            CauseCode::PodImagePull,
            format!(
                "{} has {image}, as {digest}: that a node does not get it is not the image's fault",
                image.host()
            ),
        ),
        Err(unanswered) => (CauseCode::RegistryNotAnswering, unanswered.to_string()),
    }
}

fn running_in(pod: &Pod) -> Vec<RunningImage> {
    let asked = pod.spec.iter().flat_map(|spec| {
        let before = spec.init_containers.iter().flatten();
        before.chain(&spec.containers)
    });
    let statuses = pod.status.iter().flat_map(|status| {
        let before = status.init_container_statuses.iter().flatten();
        before.chain(status.container_statuses.iter().flatten())
    });
    let statuses: Vec<_> = statuses.collect();
    let running = asked.filter_map(|container| {
        let image = container.image.clone()?;
        let status = statuses.iter().find(|status| status.name == container.name)?;
        Some(RunningImage {
            pod: pod.metadata.name.clone().unwrap_or_default(),
            image,
            running: running_id(&status.image_id),
            meant: MeantImage::Unknown,
        })
    });
    running.collect()
}

/// `REPOSITORY@sha256:…` where the node has it from a registry; only an id of the node's own otherwise.
fn running_id(said: &str) -> Option<RunningId> {
    match said.rsplit_once('@') {
        Some((_, digest)) => Some(RunningId::OfRegistry(digest.to_owned())),
        None => (!said.is_empty()).then(|| RunningId::OfNode(said.to_owned())),
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
        Some(provide_to_own_nodes(context, plan, existing).await?)
    };
    let mut programs = BTreeMap::new();
    for name in programs_needed(plan, existing).await {
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
        context.events.deviate(ran(&program));
        programs.insert(name, program.path);
    }
    context.spent(Stage::Images, began);
    Ok(Images { provided, programs })
}

async fn provide_to_own_nodes(context: &Context, plan: &Plan, existing: Option<&Cluster>) -> Result<Provided, Stopped> {
    let events = &context.events;
    let wanted: Vec<ImageRef> = plan.images().iter().filter_map(|image| image.parse().ok()).collect();
    let provided = async {
        let nodes = match existing.and_then(|cluster| Some((cluster, cluster.node_container()?))) {
            Some((cluster, node)) if images::asks_our_registry(&context.host, &node).await? => {
                Nodes::Ours(&cluster.name)
            }
            _ => Nodes::Any,
        };
        let source = source(context.order.images, context.order.options.phase, nodes)?;
        images::provide(&context.host, source, &wanted, events).await
    };
    let provided = provided.await.map_err(|error| {
        let sentence = "the images that the plan names are ready";
        Stopped::for_error(&context.events, checks::IMAGES, sentence, error.cause(), &error)
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

/// Whom the nodes of a cluster ask for images.
#[derive(Debug, Clone, Copy)]
enum Nodes<'a> {
    /// Our registry and nobody else, in the cluster of this name.
    Ours(&'a str),
    /// Whom the names name; or there is no node yet.
    Any,
}

/// How images are had. A release that is published is tested with what is published, unless somebody says otherwise; and
/// nodes that ask our registry alone pull nothing.
fn source(asked: ImageSource, phase: Phase, nodes: Nodes<'_>) -> Result<ImageSource, ImagesError> {
    let source = match (asked, phase) {
        (ImageSource::Auto, Phase::AfterPublish) => ImageSource::Pull,
        (asked, _) => asked,
    };
    match (source, nodes) {
        (ImageSource::Pull, Nodes::Ours(cluster)) => Err(ImagesError::NodesAskOurs {
            cluster: cluster.to_owned(),
        }),
        (ImageSource::Auto, Nodes::Ours(_)) => Ok(ImageSource::Build),
        _ => Ok(source),
    }
}

/// The entry of the ledger that says which program runs.
fn ran(program: &Program) -> Deviation {
    let (kind, why) = match program.origin {
        ProgramOrigin::OnPath => (
            DeviationKind::Chosen,
            "its version is one that the guide's commands work with",
        ),
        ProgramOrigin::Published { .. } => (DeviationKind::Chosen, "there is none on PATH that will do"),
        ProgramOrigin::Compiled => (DeviationKind::Built, "nobody who publishes it answers here"),
    };
    Deviation {
        kind,
        subject: program.name.clone(),
        what: program.sentence(),
        why: why.to_owned(),
        from: None,
    }
}

/// Programs that steps call: helm where there is a chart, and the provider's installer, unless somebody's cluster has the
/// provider already: then nothing is installed.
async fn programs_needed(plan: &Plan, existing: Option<&Cluster>) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    for action in plan.steps.iter().map(|step| &step.action) {
        if let (Action::InstallProvider { witness, .. }, Some(cluster)) = (action, existing)
            && let Ok(true) = is_installed(&cluster.client, witness, LOOK_LIMIT).await
        {
            continue;
        }
        needed.extend(action.facts().program.map(str::to_owned));
    }
    needed
}

#[cfg(test)]
mod tests;
