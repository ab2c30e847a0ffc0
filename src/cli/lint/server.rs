//! What the API server of a cluster that is there says to the objects of a release.

use std::{path::Path, time::Duration};

use crate::{
    cluster::{self, ExistingCluster},
    deploy::rehearse::{Answer, rehearse},
    host::Host,
    lint::{Applied, DryRun},
    manifest::Object,
    record::Events,
};

/// Asks a cluster about each object, by dry runs.
///
/// # Errors
/// There is no such cluster, or its API server does not answer or does not know who asks.
pub(super) async fn ask<'a>(
    host: &Host,
    name: &str,
    kubeconfig: Option<&Path>,
    applied: &'a [Applied<'a>],
) -> anyhow::Result<Vec<(&'a Applied<'a>, DryRun)>> {
    let cluster = cluster::open(
        host,
        &ExistingCluster::from(name),
        kubeconfig,
        Duration::MAX,
        &Events::unheard(),
    )
    .await?;
    let objects: Vec<(&Object, &str)> = applied.iter().map(|one| (one.object, one.namespace)).collect();
    let answers = rehearse(&cluster.client, &objects)
        .await
        .map_err(|trouble| anyhow::anyhow!("{trouble}"))
        .map_err(|error| error.context(format!("the cluster `{name}` cannot be asked")))?;
    let said = answers.into_iter().map(|answer| match answer {
        Answer::Taken => DryRun::Accepted,
        Answer::Refused { message } => DryRun::Refused(message),
        Answer::Open { why } => DryRun::Unknown(why),
    });
    Ok(applied.iter().zip(said).collect())
}
