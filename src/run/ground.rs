//! The ground of the run: images, programs, the cluster.

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use super::{Context, OrderError, engine_answers};
use crate::{
    cluster::{self, Cluster, ExistingCluster, Origin},
    host::{Host, in_words},
    images::{self, How, ImageRef, Provided, Way},
    plan::Action,
    record::{Decision, Deviation, DeviationKind, Event, Stage},
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

/// Whose nodes run the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nodes {
    /// Nodes of a kind cluster that quickproof made, in this run or an earlier one: they ask our registry.
    Ours,
    /// Somebody else's.
    Theirs,
}

fn failed(
    context: &Context,
    stage: Stage,
    check: &str,
    sentence: &str,
    code: CauseCode,
    error: &dyn std::error::Error,
) {
    context.events.decide(Decision::new(
        stage,
        check,
        sentence,
        Fault::shown(sentence, Cause::new(code).because(in_words(error))).into(),
    ));
}

impl Context {
    /// Sees to images and programs. `None`: it failed, which has been said.
    pub(super) async fn provide_images(&self, nodes: Nodes) -> Option<(Option<Provided>, BTreeMap<String, PathBuf>)> {
        let began = Instant::now();
        self.events.send(Event::Entered { stage: Stage::Images });
        let provided = match nodes {
            Nodes::Theirs => {
                self.events.note(
                    Stage::Images,
                    "the cluster is somebody else's: its nodes pull images as they are set up to",
                );
                None
            }
            Nodes::Ours => Some(self.images().await?),
        };
        let mut programs = BTreeMap::new();
        for name in self.programs_needed() {
            match images::program(&self.host, &name, &self.events).await {
                Ok(path) => {
                    programs.insert(name, path);
                }
                Err(error) => {
                    let sentence = format!("{name} is on this machine");
                    failed(
                        self,
                        Stage::Images,
                        &format!("program:{name}"),
                        &sentence,
                        CauseCode::HostToolFailed,
                        &error,
                    );
                    return None;
                }
            }
        }
        self.spent(Stage::Images, began);
        Some((provided, programs))
    }

    async fn images(&self) -> Option<Provided> {
        let wanted: Vec<ImageRef> = self.plan.images.iter().filter_map(|image| image.parse().ok()).collect();
        match images::provide(&self.host, self.order.images, &wanted, &self.events).await {
            Ok(provided) => {
                self.hold(|held| {
                    held.only_our_images = provided.registry.is_some();
                    // Of what is put into nodes from here they know another digest than that of the registry.
                    held.digests = provided
                        .images
                        .iter()
                        .filter(|had| !provided.load.contains(&had.image))
                        .map(|had| (had.image.clone(), had.digest.clone()))
                        .collect();
                });
                self.events.note(Stage::Images, provided.sentence.clone());
                for image in &provided.images {
                    if matches!(image.how, How::Pulled | How::Present) {
                        self.events
                            .note(Stage::Images, format!("{} is {}", image.image, image.digest));
                    }
                    if let How::Built { note } = &image.how {
                        self.events.deviate(Deviation {
                            kind: DeviationKind::Built,
                            subject: image.image.to_string(),
                            what: format!("{note}; {}", image.digest),
                            why: "no image registry answers here: it is built from packages and is not the published image".into(),
                            from: None,
                        });
                    }
                }
                for missing in &provided.missing {
                    self.events.note(
                        Stage::Images,
                        format!("{missing} is not to be had here; the cluster will say what comes of it"),
                    );
                }
                Some(provided)
            }
            Err(error) => {
                let sentence = "the images that the plan names are ready";
                failed(
                    self,
                    Stage::Images,
                    "images",
                    sentence,
                    CauseCode::ImagesNotReady,
                    &error,
                );
                None
            }
        }
    }

    /// Programs that steps call: the provider's installer, and helm where there is a chart.
    fn programs_needed(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for step in &self.plan.steps {
            match &step.action {
                Action::Helm { .. } => names.push("helm".into()),
                Action::InstallProvider { program, .. } => names.push(program.clone()),
                _ => {}
            }
        }
        names.sort();
        names.dedup();
        names
    }

    /// Opens a cluster that was named. `None`: it failed, which has been said.
    pub(super) async fn open_existing(&self, which: &ExistingCluster) -> Option<Cluster> {
        self.events.send(Event::Entered { stage: Stage::Cluster });
        match cluster::open(&self.host, which, self.order.kubeconfig.as_deref()).await {
            Ok(cluster) => Some(cluster),
            Err(error) => {
                let sentence = "the cluster answers";
                failed(
                    self,
                    Stage::Cluster,
                    "cluster",
                    sentence,
                    CauseCode::ApiServerAway,
                    &error,
                );
                None
            }
        }
    }

    /// Makes the cluster unless there is one, and puts images into its nodes. `None`: it failed, which has been said.
    pub(super) async fn ready_cluster(
        &self,
        existing: Option<Cluster>,
        provided: Option<&Provided>,
    ) -> Option<Cluster> {
        let began = Instant::now();
        self.events.send(Event::Entered { stage: Stage::Cluster });
        let cluster = if let Some(cluster) = existing {
            cluster
        } else {
            let image = provided.and_then(|provided| provided.node_image.as_deref());
            match cluster::create(&self.host, &self.id, image, &self.inventory, &self.events).await {
                Ok(cluster) => cluster,
                Err(error) => {
                    let sentence = "the cluster is ready";
                    failed(
                        self,
                        Stage::Cluster,
                        "cluster",
                        sentence,
                        CauseCode::ClusterNotCreated,
                        &error,
                    );
                    return None;
                }
            }
        };
        self.hold(|held| held.cluster = Some(cluster.clone()));
        if let Some(provided) = provided.filter(|provided| !provided.load.is_empty())
            && let Err(error) = images::load(&self.host, provided, &cluster.name, &self.events).await
        {
            failed(
                self,
                Stage::Cluster,
                "images-loaded",
                "images are loaded into the node",
                CauseCode::ImagesNotReady,
                &error,
            );
            return None;
        }
        let what = match cluster.origin {
            Origin::Made => format!("kind cluster {} is ready", cluster.name),
            Origin::Existing => format!("cluster {} answers", cluster.name),
        };
        self.events
            .decide(Decision::new(Stage::Cluster, "cluster", what, Finding::Holds).took(began.elapsed()));
        self.note_capacity(&cluster).await;
        self.spent(Stage::Cluster, began);
        Some(cluster)
    }

    /// Says what the nodes offer; not knowing it decides nothing.
    async fn note_capacity(&self, cluster: &Cluster) {
        if let Ok(capacity) = cluster::capacity(cluster).await {
            #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
            let gibibytes = capacity.memory_bytes() as f64 / f64::from(1 << 30);
            self.events.note(
                Stage::Cluster,
                format!(
                    "its nodes have {} millicpu and {gibibytes:.1} GiB free, {} GPUs",
                    capacity.cpu_millis(),
                    capacity.gpus()
                ),
            );
        }
    }

    /// Notes the time that a stage took.
    pub(super) fn spent(&self, stage: Stage, since: Instant) {
        self.events.send(Event::Spent {
            stage,
            took_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }
}

/// Whether the images are made from packages.
pub(super) fn are_built(provided: Option<&Provided>) -> bool {
    provided.is_some_and(|provided| {
        provided.way == Way::Build || provided.images.iter().any(|had| matches!(had.how, How::Built { .. }))
    })
}
