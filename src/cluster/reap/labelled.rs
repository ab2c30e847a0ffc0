//! What runs left in a cluster, told by the label that each object of theirs bears: of a run whose machine is gone, and its
//! inventory with it, such as a pod or a runner that was thrown away.
//!
//! Whether such a run still goes on nobody here can know, so nothing is taken away but what is of the run that is named. What a
//! run has changed and not made, an address on a node, and what a provider's own program installed bear no label.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use kube::{
    Client, Discovery,
    api::{DynamicObject, ListParams},
    core::PartialObjectMeta,
    discovery::{ApiCapabilities, verbs},
};

use super::Turn;
use crate::{
    cluster::{
        Cluster, ClusterError,
        inventory::{HelmRelease, Inventories, Inventory, Made, MadeObject, Reach},
        mark,
        resources::{AWAY_LIMIT, Resource, Trouble, api_in, by_pages, placement},
        teardown::{Fate, Teardown, Which},
    },
    host::Host,
    record::Events,
};

/// How many kinds are listed at the same time.
const AT_ONCE: usize = 8;

/// What runs left in a cluster.
#[derive(Debug, Default)]
pub(crate) struct Labelled {
    /// By run, oldest first.
    pub(crate) runs: BTreeMap<String, Vec<Made>>,
    /// The kinds that could not be looked at, and why: what there is of them nobody knows.
    pub(crate) unseen: Vec<String>,
}

/// Something that was found: when it was made, its uid, the run that made it, and what it is.
type Found = (Option<String>, String, String, Made);

/// Looks at every kind of the cluster that can be listed and deleted.
///
/// # Errors
/// The cluster does not say which kinds it has.
pub(crate) async fn left_in(cluster: &Cluster) -> Result<Labelled, ClusterError> {
    let discovery = Discovery::new(cluster.client.clone()).run_aggregated().await;
    let discovery = discovery.map_err(|source| ClusterError::api("the kinds of the cluster", source))?;
    let can = |capabilities: &ApiCapabilities| {
        capabilities.supports_operation(verbs::LIST) && capabilities.supports_operation(verbs::DELETE)
    };
    let kinds: Vec<Resource> = discovery
        .groups()
        .flat_map(kube::discovery::ApiGroup::recommended_resources)
        .filter(|(_, capabilities)| can(capabilities))
        .map(|(api, capabilities)| Resource {
            api,
            placement: placement(&capabilities.scope),
        })
        .collect();
    let reach = cluster.reach();
    let looking = kinds.into_iter().map(|kind| {
        let (client, reach) = (cluster.client.clone(), reach.clone());
        async move {
            let found = of_kind(&client, &kind, &reach).await;
            found.map_err(|trouble| format!("{}: {trouble}", kind.api.plural))
        }
    });
    let looked: Vec<_> = futures::stream::iter(looking).buffered(AT_ONCE).collect().await;
    let mut labelled = Labelled::default();
    let mut found: Vec<Found> = Vec::new();
    for one in looked {
        match one {
            Ok(some) => found.extend(some),
            Err(unseen) => labelled.unseen.push(unseen),
        }
    }
    // A namespace holds the others, and goes last whatever its time.
    found.sort_by_key(|(made_at, ..)| made_at.clone());
    found.sort_by_key(|(.., made)| !matches!(made, Made::Object(object) if object.object_kind == "Namespace"));
    let mut seen = BTreeSet::new();
    for (_, uid, run, made) in found {
        // Some kinds are served by two groups.
        if seen.insert(uid) {
            labelled.runs.entry(run).or_default().push(made);
        }
    }
    Ok(labelled)
}

async fn of_kind(client: &Client, kind: &Resource, reach: &Reach) -> Result<Vec<Found>, Trouble> {
    let api = api_in(client, kind, None);
    let wanted = ListParams::default().labels(mark::RUN_LABEL);
    let mut found = Vec::new();
    let page = async |wanted: ListParams| api.list_metadata(&wanted).await;
    let each = |objects: Vec<PartialObjectMeta<DynamicObject>>| {
        found.extend(objects.into_iter().filter_map(|object| one(object, kind, reach)));
    };
    by_pages(AWAY_LIMIT, wanted, page, each).await?;
    Ok(found)
}

fn one(object: PartialObjectMeta<DynamicObject>, kind: &Resource, reach: &Reach) -> Option<Found> {
    let metadata = object.metadata;
    let run = mark::run_of(&metadata)?.to_owned();
    let (name, uid) = (metadata.name.clone()?, metadata.uid.clone()?);
    let label = |name: &str| metadata.labels.as_ref()?.get(name).cloned();
    // Helm's own record of a release. Source: helm v3, `pkg/storage/driver/secrets.go`.
    let of_helm = label("owner").filter(|owner| owner == "helm" && kind.api.kind == "Secret");
    let made = match of_helm.and_then(|_| label("name")) {
        Some(release) => Made::HelmRelease(HelmRelease {
            cluster: reach.clone(),
            program: "helm".into(),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: release,
            uid: Some(uid.clone()),
        }),
        // Somebody made it at the moment at which the run applied to it: it is theirs, whatever label it bears.
        None if mark::was_there_before(&metadata) => return None,
        None => Made::Object(MadeObject {
            cluster: reach.clone(),
            api_version: kind.api.api_version.clone(),
            object_kind: kind.api.kind.clone(),
            namespace: metadata.namespace.clone(),
            name,
            marked: Some(run.clone()),
            uid: Some(uid.clone()),
        }),
    };
    let made_at = metadata.creation_timestamp.as_ref().map(|time| time.0.to_string());
    Some((made_at, uid, run, made))
}

/// Whether a run of this machine that goes on is this one.
///
/// # Errors
/// The state directory cannot be read.
pub(crate) fn goes_on_here(host: &Host, run: &str) -> Result<bool, ClusterError> {
    let mut listings = Inventories::all(host)?.readable.into_iter();
    Ok(listings.any(|(_, listing)| listing.run == run && listing.process.is_alive()))
}

/// Takes away what a run left. It is noted first, so that what stays is in an inventory of this machine.
///
/// # Errors
/// The state directory cannot be written.
pub(crate) async fn take_away(
    host: &Host,
    run: &str,
    cluster: &Cluster,
    made: Vec<Made>,
    _turn: &Turn,
    events: &Events,
) -> Result<Vec<(Made, Fate)>, ClusterError> {
    let inventory = Inventory::open(host, run)?;
    for one in made {
        inventory.add(one)?;
    }
    let teardown = Teardown::new(host, &inventory, events).connected(cluster.reach(), cluster.client.clone());
    let taken = teardown.take_away(Which::Everything).await;
    inventory.close()?;
    Ok(taken)
}

#[cfg(test)]
mod tests;
