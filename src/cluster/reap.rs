//! Removing what killed runs left behind, and putting back what they had changed.
//!
//! It is conservative: it removes what an inventory says a run made, if that run's process is gone, and an object in
//! somebody's cluster only if it still has the uid that was noted. A cluster that merely bears our name is left alone.

use std::{fs, path::Path};

use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Preconditions},
    core::GroupVersionKind,
    discovery::{Scope as KindScope, pinned_kind},
};

use super::{
    ClusterError, ExistingCluster, existing,
    inventory::{Inventory, Listing, Made, Reach, same},
    kind,
    scale::{Asked, Scaled},
};
use crate::{
    host::{Host, in_words},
    record::{Events, Stage},
};

/// The label of containers that outlive a run on purpose, such as the image registry's.
pub const SHARED_LABEL: &str = "quickproof=1";

/// How much to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What runs left whose process is gone.
    Dead,
    /// Also what was kept on purpose, and the containers that runs share.
    All,
}

/// What became of a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is gone.
    Removed,
    /// It is as it was before it was changed.
    PutBack,
    /// It was gone already.
    Absent,
    /// It stays, and why.
    Left(String),
}

/// A thing that was found, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// The run that made it.
    pub run: String,
    /// In words, such as `kind cluster quickproof-ab12`.
    pub what: String,
    /// What became of it.
    pub fate: Fate,
}

/// The inventories that [`reap`] would go through.
///
/// # Errors
/// The state directory cannot be read.
pub fn left(host: &Host, scope: Scope) -> Result<Vec<Listing>, ClusterError> {
    let listings = Listing::all(host)?.into_iter().map(|(_, listing)| listing);
    Ok(listings.filter(|listing| is_due(listing, scope)).collect())
}

fn is_due(listing: &Listing, scope: Scope) -> bool {
    !listing.process.is_alive() && (scope == Scope::All || !listing.kept)
}

/// Removes what runs left whose process is gone. What cannot be removed stays in its inventory and is told.
///
/// # Errors
/// The state directory cannot be read or written.
pub async fn reap(host: &Host, scope: Scope, events: &Events) -> Result<Vec<Reaped>, ClusterError> {
    let mut reaped = Vec::new();
    for (path, mut listing) in Listing::all(host)? {
        if !is_due(&listing, scope) {
            continue;
        }
        for made in listing.made.clone().iter().rev() {
            let what = made.to_string();
            events.waiting(Stage::Cleanup, &what, "");
            let fate = remove(host, made, &listing.made).await;
            if !matches!(fate, Fate::Left(_)) {
                listing.made.retain(|other| !same(other, made));
                listing.write(&path)?;
            }
            reaped.push(Reaped {
                run: listing.run.clone(),
                what,
                fate,
            });
        }
        if listing.made.is_empty() {
            fs::remove_file(&path).map_err(|source| ClusterError::File {
                path: path.clone(),
                doing: "deleted",
                source,
            })?;
        }
    }
    if scope == Scope::All {
        reaped.extend(reap_shared(host).await?);
    }
    Ok(reaped)
}

/// Takes away what this run made, newest first: the end of every run. What cannot be removed stays in the inventory.
///
/// # Errors
/// The inventory cannot be written.
pub async fn take_away(host: &Host, inventory: &Inventory, events: &Events) -> Result<Vec<Reaped>, ClusterError> {
    let all = inventory.made();
    let mut taken = Vec::new();
    for made in all.iter().rev() {
        let what = made.to_string();
        events.waiting(Stage::Cleanup, &what, "");
        let fate = remove(host, made, &all).await;
        if !matches!(fate, Fate::Left(_)) {
            inventory.remove(made)?;
        }
        let run = String::new();
        taken.push(Reaped { run, what, fate });
    }
    Ok(taken)
}

/// Strikes a thing from every inventory of a run that has ended, now that it was removed by hand.
///
/// # Errors
/// The state directory cannot be read or written.
pub fn forget(host: &Host, is_it: impl Fn(&Made) -> bool) -> Result<(), ClusterError> {
    for (path, mut listing) in Listing::all(host)? {
        if listing.process.is_alive() || !listing.made.iter().any(&is_it) {
            continue;
        }
        listing.made.retain(|made| !is_it(made));
        listing.write(&path)?;
        if listing.made.is_empty() {
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}

/// Removes one thing; `all` is everything of its run, since an object goes with the cluster it is in.
async fn remove(host: &Host, made: &Made, all: &[Made]) -> Fate {
    let result = match made {
        Made::KindCluster { name, kubeconfig } => match kind::delete(host, name).await {
            // Deleted already, unless the state directory was another one then.
            Ok(()) => remove_file(kubeconfig).map(|_| Fate::Removed),
            Err(error) => Err(error),
        },
        Made::Container { name } => engine(host, "container", &["--force", "--volumes"], name).await,
        Made::Network { name } => engine(host, "network", &[], name).await,
        Made::Volume { name } => engine(host, "volume", &[], name).await,
        Made::File { path } => remove_file(path),
        Made::Object { cluster, .. } if all.iter().any(|other| holds(other, cluster)) => Ok(Fate::Absent),
        Made::Object { .. } => object(host, made).await,
        Made::Scaled { cluster, .. } if all.iter().any(|other| holds(other, cluster)) => Ok(Fate::Absent),
        Made::Scaled { .. } => scaled(host, made).await,
    };
    result.unwrap_or_else(|error| Fate::Left(in_words(&error)))
}

/// Whether this is the kind cluster that the object is in.
fn holds(made: &Made, reach: &Reach) -> bool {
    matches!(made, Made::KindCluster { name, .. } if reach.context == format!("kind-{name}"))
}

async fn engine(host: &Host, what: &str, flags: &[&str], name: &str) -> Result<Fate, ClusterError> {
    let filter = format!("name=^{name}$");
    // A listing says by its emptiness that a thing is absent; `rm` says so only in words.
    let all: &[&str] = if what == "container" { &["--all"] } else { &[] };
    let look = [&[what, "ls", "--quiet", "--filter", &filter], all].concat();
    if host.docker(look).await?.text().is_empty() {
        return Ok(Fate::Absent);
    }
    host.docker([&[what, "rm"], flags, &[name]].concat()).await?;
    Ok(Fate::Removed)
}

fn remove_file(path: &Path) -> Result<Fate, ClusterError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(Fate::Removed),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Fate::Absent),
        Err(source) => Err(ClusterError::File {
            path: path.to_owned(),
            doing: "deleted",
            source,
        }),
    }
}

async fn object(host: &Host, made: &Made) -> Result<Fate, ClusterError> {
    let Made::Object { cluster, uid, .. } = made else {
        return Ok(Fate::Absent);
    };
    if went_with_its_cluster(host, cluster).await? {
        return Ok(Fate::Absent);
    }
    let named = ExistingCluster::Named(cluster.context.clone());
    let opened = existing::open(host, &named, cluster.kubeconfig.as_deref()).await?;
    take_from(&opened.client, made, uid.as_deref()).await
}

/// Gives a Deployment the replicas back that it had, if it is still there.
async fn scaled(host: &Host, made: &Made) -> Result<Fate, ClusterError> {
    let Made::Scaled {
        cluster,
        namespace,
        name,
        uid,
        replicas,
    } = made
    else {
        return Ok(Fate::Absent);
    };
    if went_with_its_cluster(host, cluster).await? {
        return Ok(Fate::Absent);
    }
    let named = ExistingCluster::Named(cluster.context.clone());
    let opened = existing::open(host, &named, cluster.kubeconfig.as_deref()).await?;
    let scaled = Scaled {
        namespace: namespace.clone(),
        name: name.clone(),
        uid: uid.clone(),
        replicas: *replicas,
    };
    put_back(&opened.client, &scaled).await
}

async fn put_back(client: &Client, scaled: &Scaled) -> Result<Fate, ClusterError> {
    match scaled.ask(client, scaled.replicas).await {
        Ok(Asked::Generation(_)) => Ok(Fate::PutBack),
        Ok(Asked::Gone) => Ok(Fate::Absent),
        Err(error) => Err(ClusterError::api(scaled.title(), error)),
    }
}

/// Deletes an object if it still has the uid that it had when it was made. Without one it was refused and is not there, or
/// it is there and nobody knows whose it is.
async fn take_from(client: &Client, made: &Made, uid: Option<&str>) -> Result<Fate, ClusterError> {
    let Some(objects) = objects_of(client, made).await? else {
        return Ok(Fate::Absent);
    };
    match uid {
        Some(uid) => delete(&objects, made, uid).await,
        None => look_for(&objects, made).await,
    }
}

/// Whether the object was in a kind cluster of ours that is gone, and its kubeconfig file with it.
async fn went_with_its_cluster(host: &Host, reach: &Reach) -> Result<bool, ClusterError> {
    let Some(name) = reach.context.strip_prefix("kind-") else {
        return Ok(false);
    };
    let ours = kind::kubeconfig_path(host, name);
    if reach.kubeconfig.as_ref() != Some(&ours) || ours.is_file() {
        return Ok(false);
    }
    Ok(!kind::list(host).await?.iter().any(|listed| listed.name == name))
}

/// Where objects of its kind are; `None` where the cluster has no such kind, and so no such object.
async fn objects_of(client: &Client, made: &Made) -> Result<Option<Api<DynamicObject>>, ClusterError> {
    let Made::Object {
        api_version,
        object_kind,
        namespace,
        ..
    } = made
    else {
        return Ok(None);
    };
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = GroupVersionKind::gvk(group, version, object_kind);
    let (resource, capabilities) = match pinned_kind(client, &kind).await {
        Ok(found) => found,
        // Its CustomResourceDefinition is gone, and every object with it.
        Err(kube::Error::Discovery(_)) => return Ok(None),
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
        Err(error) => return Err(ClusterError::api(made.to_string(), error)),
    };
    Ok(Some(match (&capabilities.scope, namespace) {
        (KindScope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, &resource),
        _ => Api::all_with(client.clone(), &resource),
    }))
}

fn name_of(made: &Made) -> &str {
    match made {
        Made::Object { name, .. } => name,
        _ => "",
    }
}

async fn look_for(objects: &Api<DynamicObject>, made: &Made) -> Result<Fate, ClusterError> {
    match objects.get_metadata_opt(name_of(made)).await {
        Ok(None) => Ok(Fate::Absent),
        Ok(Some(_)) => Ok(Fate::Left(
            "its uid was never learned, so it cannot be proven to be ours".into(),
        )),
        Err(source) => Err(ClusterError::api(made.to_string(), source)),
    }
}

async fn delete(objects: &Api<DynamicObject>, made: &Made, uid: &str) -> Result<Fate, ClusterError> {
    // The server compares: between looking and deleting, somebody else may make one of the same name.
    let only_ours = Preconditions {
        uid: Some(uid.to_owned()),
        resource_version: None,
    };
    let parameters = DeleteParams::background().preconditions(only_ours);
    match objects.delete(name_of(made), &parameters).await {
        Ok(_) => Ok(Fate::Removed),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Fate::Absent),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Fate::Left(
            "another object has taken its name; that one is not ours".into(),
        )),
        Err(error) => Err(ClusterError::api(made.to_string(), error)),
    }
}

/// The containers that runs share: they go when everything does, unless a run is using them.
async fn reap_shared(host: &Host) -> Result<Vec<Reaped>, ClusterError> {
    let label = format!("label={SHARED_LABEL}");
    let call = ["container", "ls", "--all", "--filter", &label, "--format", "{{.Names}}"];
    let names = host.docker(call).await?.text();
    let mut users = Listing::all(host)?.into_iter().map(|(_, listing)| listing);
    let user = users.find(|listing| listing.process.is_alive());
    let mut reaped = Vec::new();
    for name in names.lines() {
        let made = Made::Container { name: name.to_owned() };
        let fate = match &user {
            Some(user) => Fate::Left(format!("run {} is using it", user.run)),
            None => remove(host, &made, &[]).await,
        };
        reaped.push(Reaped {
            run: "shared".to_owned(),
            what: made.to_string(),
            fate,
        });
    }
    Ok(reaped)
}

#[cfg(test)]
mod tests;
