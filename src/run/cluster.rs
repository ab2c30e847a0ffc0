//! The cluster of a run: opened or made, with the images in its nodes.

use std::time::Duration;

use super::{Context, OrderError, checks, images::Images, stopped::Stopped};
use crate::{
    cluster::{self, Cluster, Origin},
    host::{Host, docker},
    images,
    record::{Events, Stage},
    redact::cut,
    verdict::{CauseCode, Finding},
};

/// How long is looked what the nodes offer, which decides nothing: a large cluster tells it page by page.
const CAPACITY_LIMIT: Duration = Duration::from_secs(10);

/// The variable by which kind is told to make nodes with another engine.
const PROVIDER: &str = "KIND_EXPERIMENTAL_PROVIDER";

/// Looks whether a cluster of our own can be made at all.
pub(super) async fn look_for_engine(host: &Host) -> Result<(), OrderError> {
    if let Some(other) = host
        .variable(PROVIDER)
        .filter(|engine| !matches!(*engine, "" | "docker"))
    {
        return Err(OrderError::Host {
            what: format!(
                "`{PROVIDER}={}` has kind make nodes where Docker's client does not see them, and quickproof looks into its \
                 nodes with that client alone: unset it, or make the cluster yourself and name it with `--cluster`",
                cut(other, 40)
            ),
        });
    }
    if host.find_program("kind").is_none() {
        return Err(OrderError::Host {
            what: "`kind` is not on PATH and a cluster of our own needs it (or name one with `--cluster`)".into(),
        });
    }
    engine_answers(host).await.map_err(|what| OrderError::Host {
        what: format!("{what} (a cluster of our own needs one; `.ci/setup engine-up` starts it, or name a cluster with `--cluster`)"),
    })
}

/// Whether a container engine answers, asked in the cheapest way.
async fn engine_answers(host: &Host) -> Result<(), String> {
    let call = docker(["version", "--format", "{{.Server.Version}}"]).time_limit(Duration::from_secs(5));
    match host.run(&call).await {
        Ok(ended) if ended.status.success() => Ok(()),
        Ok(ended) => Err(format!("no container engine answers: {}", ended.last_words())),
        Err(error) => Err(error.to_string()),
    }
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
    let (kubeconfig, limit) = (context.order.kubeconfig.as_deref(), context.order.limit);
    let opened = cluster::open(&context.host, which, kubeconfig, limit, &context.events).await;
    opened.map(Some).map_err(|error| {
        let sentence = "the cluster answers";
        Stopped::for_error(&context.events, checks::CLUSTER, sentence, error.cause(), &error)
    })
}

/// Makes the cluster unless there is one, and puts images into its nodes.
///
/// # Errors
/// It cannot be made, or they cannot be put there.
pub(super) async fn ready(context: &Context, existing: Option<Cluster>, images: &Images) -> Result<Cluster, Stopped> {
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
            Stopped::for_error(events, checks::CLUSTER, sentence, CauseCode::ClusterNotCreated, &error)
        })?
    };
    context.pending_teardown(|pending| pending.cluster = Some(cluster.clone()));
    if let Some(provided) = provided {
        let loaded = images::load(host, &provided.load, &cluster.name, events).await;
        loaded.map_err(|error| {
            let sentence = "images are loaded into the node";
            Stopped::for_error(
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
    let asked = tokio::time::timeout(CAPACITY_LIMIT, cluster::capacity(cluster)).await;
    if let Ok(Ok(capacity)) = asked {
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
