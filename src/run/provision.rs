//! Providing what a run needs before anything is deployed: images, programs, the cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{
    Context, OrderError,
    checks::{self, RunCheck},
    engine_answers,
    stopped::Stopped,
};
use crate::{
    cluster::{self, Cluster, Origin},
    host::{Host, in_words},
    images::{self, ImageOrigin, ImageRef, ImageSource, Provided},
    plan::{Plan, Step},
    record::{Deviation, DeviationKind, Events, Stage},
    verdict::{Cause, CauseCode, Fault, Finding},
};

/// Looks whether a cluster of our own can be made at all.
pub(super) async fn look_for_engine(host: &Host) -> Result<(), OrderError> {
    if host.find_program("kind").is_none() {
        return Err(OrderError::Host {
            what: "`kind` is not on PATH and a cluster of our own needs it (or name one with `--cluster`)".into(),
        });
    }
    engine_answers(host).await.map_err(|what| OrderError::Host {
        what: format!("{what} (a cluster of our own needs one; `.ci/setup engine-up` starts it, or name a cluster with `--cluster`)"),
    })
}

/// The images of a run, and the programs that its steps call.
pub(super) struct Images {
    /// `None` where the cluster's nodes pull images by themselves.
    provided: Option<Provided>,
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

    /// What their names lead to, by digest, where nodes ask for them by name: of what is put into nodes from here they know
    /// another digest than that of the registry.
    pub(super) fn digests(&self) -> BTreeMap<ImageRef, String> {
        let provided = self.provided.iter();
        provided
            .flat_map(|provided| provided.images.iter().filter(|had| !provided.load.contains(&had.image)))
            .map(|had| (had.image.clone(), had.digest.clone()))
            .collect()
    }
}

/// Says that something of our own or of the machine failed.
fn failed(events: &Events, check: RunCheck, sentence: &str, code: CauseCode, error: &dyn std::error::Error) -> Stopped {
    let fault = Fault::shown(sentence, Cause::new(code).because(in_words(error)));
    Stopped::at(events, check.decision(sentence, fault.into()))
}

/// Sees to the images of a plan and to the programs that its steps call. Nodes that are somebody else's pull images
/// themselves; those of a kind cluster that quickproof made, in this run or an earlier one, ask our registry.
///
/// # Errors
/// An image or a program cannot be had.
pub(super) async fn provide_images(
    context: &Context,
    plan: &Plan,
    existing: Option<&Cluster>,
) -> Result<Images, Stopped> {
    let began = context.enter(Stage::Images);
    let are_theirs = existing.is_some_and(|cluster| cluster.node_container().is_none());
    let provided = if are_theirs {
        context.events.note(
            Stage::Images,
            "the cluster is somebody else's: its nodes pull images as they are set up to",
        );
        None
    } else {
        Some(provide(context, plan).await?)
    };
    let mut programs = BTreeMap::new();
    for name in programs_needed(plan) {
        let program = images::program(&context.host, &name, &context.events).await;
        let program = program.map_err(|error| {
            let sentence = format!("{name} is on this machine");
            failed(
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

async fn provide(context: &Context, plan: &Plan) -> Result<Provided, Stopped> {
    let events = &context.events;
    let wanted: Vec<ImageRef> = plan.images.iter().filter_map(|image| image.parse().ok()).collect();
    let provided = images::provide(&context.host, context.order.images, &wanted, events).await;
    let provided = provided.map_err(|error| {
        let sentence = "the images that the plan names are ready";
        failed(
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

/// Opens the cluster that was named; `None` where none was.
///
/// # Errors
/// It does not answer.
pub(super) async fn open_existing(context: &Context) -> Result<Option<Cluster>, Stopped> {
    let Some(which) = &context.order.cluster else {
        return Ok(None);
    };
    context.enter(Stage::Cluster);
    let opened = cluster::open(&context.host, which, context.order.kubeconfig.as_deref()).await;
    opened.map(Some).map_err(|error| {
        let sentence = "the cluster answers";
        failed(
            &context.events,
            checks::CLUSTER,
            sentence,
            CauseCode::ApiServerAway,
            &error,
        )
    })
}

/// Makes the cluster unless there is one, and puts images into its nodes.
///
/// # Errors
/// It cannot be made, or they cannot be put there.
pub(super) async fn ready_cluster(
    context: &Context,
    existing: Option<Cluster>,
    images: &Images,
) -> Result<Cluster, Stopped> {
    let (host, events) = (&context.host, &context.events);
    let began = context.enter(Stage::Cluster);
    let provided = images.provided.as_ref();
    let cluster = if let Some(cluster) = existing {
        cluster
    } else {
        let image = provided.and_then(|provided| provided.node_image.as_deref());
        let made = cluster::create(host, &context.id, image, &context.inventory, events).await;
        made.map_err(|error| {
            let sentence = "the cluster is ready";
            failed(events, checks::CLUSTER, sentence, CauseCode::ClusterNotCreated, &error)
        })?
    };
    context.pending_teardown(|pending| pending.cluster = Some(cluster.clone()));
    if let Some(provided) = provided {
        let loaded = images::load(host, &provided.load, &cluster.name, events).await;
        loaded.map_err(|error| {
            let sentence = "images are loaded into the node";
            failed(
                events,
                checks::IMAGES_LOADED,
                sentence,
                CauseCode::ImagesNotReady,
                &error,
            )
        })?;
    }
    let what = match cluster.origin {
        Origin::Made => format!("kind cluster {} is ready", cluster.name),
        Origin::Existing => format!("cluster {} answers", cluster.name),
    };
    events.decide(checks::CLUSTER.decision(what, Finding::Holds).took(began.elapsed()));
    note_capacity(&cluster, events).await;
    context.spent(Stage::Cluster, began);
    Ok(cluster)
}

/// Says what the nodes offer; not knowing it decides nothing.
async fn note_capacity(cluster: &Cluster, events: &Events) {
    if let Ok(capacity) = cluster::capacity(cluster).await {
        #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
        let gibibytes = capacity.memory_bytes() as f64 / f64::from(1 << 30);
        events.note(
            Stage::Cluster,
            format!(
                "its nodes have {} millicpu and {gibibytes:.1} GiB free, {} GPUs",
                capacity.cpu_millis(),
                capacity.gpus()
            ),
        );
    }
}
