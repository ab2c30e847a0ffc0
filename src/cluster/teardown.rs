//! Taking away what a run made, and putting back what it changed: at the end of the run itself, and by [`super::reap`] after
//! one that was killed.
//!
//! It goes through the run's inventory, newest first. Only what the run made is touched: an object goes if it has the uid
//! that was noted, and so does a helm release, by the Secret that helm keeps it in, and a gateway provider, by its Deployment.
//! An object whose uid was never learned, since the answer to its making was lost, goes if it bears the run's mark. What is not
//! there is believed to be gone only when nothing that makes it can be under way any more.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Preconditions, PropagationPolicy},
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until};

use super::{
    ExistingCluster, address, existing,
    inventory::{HelmRelease, Inventory, Made, MadeObject, ProviderInstallation, Reach, name_of},
    kind, kubeconfig, mark,
    programs::Programs,
    resources::{AWAY_LIMIT, Resources, Trouble, api_in, has_lost_its_kind, persistently},
    scale::{Asked, Scaled},
};
use crate::{
    host::{Call, Host, in_words, poll},
    record::{Events, Stage},
};

/// How long an object may take to be gone after its deletion was accepted.
const GONE_LIMIT: Duration = Duration::from_mins(1);
/// How long a program may take to uninstall what it installed.
const UNINSTALL_LIMIT: Duration = Duration::from_mins(2);
/// How long requests that make something get to be answered before it is looked what they made.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long after the first look it is looked again for what was asked for and not there: an API server that was left while it
/// carried a request out may end it all the same.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long the API server gets to say whether an object is there that it would not delete.
const LAST_LOOK_LIMIT: Duration = Duration::from_secs(5);
/// How long the API server gets to take back what a Deployment had.
const ASKED_BACK_WITHIN: Duration = Duration::from_secs(15);

/// Why a thing stays that is there and may be anybody's.
const UNPROVEN: &str = "its uid was never learned, so it cannot be proven to be ours";

/// What became of something that teardown was to take away.
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

/// What of an inventory is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Everything.
    Everything,
    /// What was made stays, what was changed is put back.
    Changes,
}

/// A cluster that is talked to.
#[derive(Clone)]
struct Connection {
    client: Client,
    resources: Arc<Resources>,
}

/// One teardown of one inventory.
pub struct Teardown<'a> {
    host: &'a Host,
    inventory: &'a Inventory,
    events: &'a Events,
    /// The clusters that were reached, or why one could not be: each is tried once.
    clusters: HashMap<Reach, Result<Connection, String>>,
}

impl<'a> Teardown<'a> {
    /// A teardown of what is in the inventory.
    pub fn new(host: &'a Host, inventory: &'a Inventory, events: &'a Events) -> Self {
        Self {
            host,
            inventory,
            events,
            clusters: HashMap::new(),
        }
    }

    /// Uses this client for a cluster; others are connected to as the inventory says.
    #[must_use]
    pub(crate) fn connected(mut self, cluster: Reach, client: Client) -> Self {
        let resources = Arc::new(Resources::new(client.clone()));
        self.clusters.insert(cluster, Ok(Connection { client, resources }));
        self
    }

    /// Takes things away, newest first, and strikes from the inventory what is seen gone. Returns what became of each; what
    /// stays says why, and what a person types to take it away.
    pub async fn take_away(mut self, which: Which) -> Vec<(Made, Fate)> {
        if which == Which::Everything {
            self.events.waiting(Stage::Cleanup, "requests that are under way", "");
            self.inventory.answered(ANSWER_LIMIT).await;
        }
        let began = Instant::now();
        let all = self.inventory.made();
        let mut taken = Vec::new();
        let mut not_seen = Vec::new();
        for made in all.iter().rev() {
            if which == Which::Changes && !matches!(made, Made::Scaled { .. }) {
                continue;
            }
            if which == Which::Everything && all.iter().any(|other| holds(other, made)) {
                taken.push(self.struck(made, Fate::Absent));
                continue;
            }
            match self.take(made).await {
                Fate::Absent if made.may_come_late() => not_seen.push(made),
                fate => taken.push(self.struck(made, fate)),
            }
        }
        if !not_seen.is_empty() {
            self.events
                .waiting(Stage::Cleanup, not_seen[0].to_string(), "looking once more");
            sleep_until(began + LOOK_AGAIN_AFTER).await;
        }
        for made in not_seen {
            let fate = self.take(made).await;
            taken.push(self.struck(made, fate));
        }
        taken
    }

    /// Strikes out what is gone.
    fn struck(&self, made: &Made, fate: Fate) -> (Made, Fate) {
        if !matches!(fate, Fate::Left(_)) {
            // What stays noted although it is gone costs `reap` one look.
            let _ = self.inventory.remove(made);
        }
        (made.clone(), fate)
    }

    async fn take(&mut self, made: &Made) -> Fate {
        let doing = match made {
            Made::Scaled { .. } => "putting them back",
            _ => "deleting",
        };
        self.events.waiting(Stage::Cleanup, made.to_string(), doing);
        let taken = self.take_or_say(made).await;
        taken.unwrap_or_else(|why| Fate::Left(format!("{why}; by hand: {}", made.by_hand())))
    }

    /// Takes one thing away. The error is why it stays.
    async fn take_or_say(&mut self, made: &Made) -> Result<Fate, String> {
        if let Some(cluster) = made.cluster()
            && self.is_gone(cluster).await?
        {
            return Ok(Fate::Absent);
        }
        match made {
            Made::KindCluster { name, kubeconfig } => {
                kind::delete(self.host, name).await.map_err(|error| in_words(&error))?;
                // It was deleted just now, unless the state directory was another one when it was noted.
                remove_file(kubeconfig)?;
                Ok(Fate::Removed)
            }
            Made::Object(object) => self.object(object).await,
            Made::HelmRelease(release) => self.helm_release(release).await,
            Made::Provider(provider) => self.provider(provider).await,
            Made::Address { node, address } => address::take_off(self.host, node, *address)
                .await
                .map_err(|error| in_words(&error)),
            Made::Scaled {
                cluster,
                namespace,
                name,
                uid,
                replicas,
            } => {
                let client = self.reached(cluster).await?.client;
                let scaled = Scaled {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    uid: uid.clone(),
                    replicas: *replicas,
                };
                put_back(&client, &scaled).await
            }
        }
    }

    /// Whether this was a kind cluster of ours that is gone, and its kubeconfig file with it.
    async fn is_gone(&self, cluster: &Reach) -> Result<bool, String> {
        let Some(name) = cluster.context.strip_prefix("kind-") else {
            return Ok(false);
        };
        let ours = kubeconfig::path_of(self.host, name);
        if cluster.kubeconfig != ours || ours.is_file() {
            return Ok(false);
        }
        let listed = kind::list(self.host).await.map_err(|error| in_words(&error))?;
        Ok(!listed.iter().any(|listed| listed.name == name))
    }

    async fn reached(&mut self, cluster: &Reach) -> Result<Connection, String> {
        if let Some(known) = self.clusters.get(cluster) {
            return known.clone();
        }
        let named = ExistingCluster::Named(cluster.context.clone());
        let reached =
            match existing::open(self.host, &named, Some(&cluster.kubeconfig), Duration::MAX, self.events).await {
                Ok(opened) => Ok(Connection {
                    resources: Arc::new(Resources::new(opened.client.clone())),
                    client: opened.client,
                }),
                Err(error) => Err(in_words(&error)),
            };
        self.clusters.insert(cluster.clone(), reached.clone());
        reached
    }

    async fn object(&mut self, object: &MadeObject) -> Result<Fate, String> {
        let Connection { client, resources } = self.reached(&object.cluster).await?;
        let kind = || resources.of_kind(&object.api_version, &object.object_kind);
        // Without its kind, its CustomResourceDefinition is gone, and every object with it.
        let Some(resource) = persistently(AWAY_LIMIT, kind).await.map_err(said)? else {
            return Ok(Fate::Absent);
        };
        let api = api_in(&client, &resource, object.namespace.as_deref());
        if let Some(uid) = &object.uid {
            return delete(&api, &object.name, uid).await.map_err(stays);
        }
        let found = look(&api, &object.name, AWAY_LIMIT).await.map_err(said)?;
        let Some(found) = found else {
            return Ok(Fate::Absent);
        };
        match &object.marked {
            None => Err(UNPROVEN.to_owned()),
            // Nothing of this run has reached it.
            Some(run) if !mark::bears(&found, run) => Ok(Fate::Absent),
            // No advice to delete what belongs to somebody else.
            Some(_) if mark::was_there_before(&found) => Ok(Fate::Left(
                "somebody else made it at the same moment, so it stays, with what this run has applied to it"
                    .to_owned(),
            )),
            Some(_) => {
                let uid = found.uid.unwrap_or_default();
                delete(&api, &object.name, &uid).await.map_err(stays)
            }
        }
    }

    async fn helm_release(&mut self, release: &HelmRelease) -> Result<Fate, String> {
        let client = self.reached(&release.cluster).await?.client;
        let records: Api<Secret> = Api::namespaced(client, &release.namespace);
        let arguments = ["uninstall", &release.name, "--namespace", &release.namespace];
        let found = uid_of(&records, &release.record()).await.map_err(said)?;
        match standing(found, release.uid.as_deref()) {
            Standing::Gone | Standing::Anothers => Ok(Fate::Absent),
            Standing::Unproven => Err(UNPROVEN.to_owned()),
            Standing::Ours => {
                let uninstall = |programs: &Programs, program: &Path| programs.helm(program).args(arguments);
                self.run(&release.cluster, &release.program, uninstall).await
            }
        }
    }

    async fn provider(&mut self, provider: &ProviderInstallation) -> Result<Fate, String> {
        let client = self.reached(&provider.cluster).await?.client;
        let deployments: Api<Deployment> = Api::namespaced(client, &provider.namespace);
        match standing(
            uid_of(&deployments, &provider.deployment).await.map_err(said)?,
            provider.uid.as_deref(),
        ) {
            Standing::Anothers => Ok(Fate::Absent),
            Standing::Unproven => Err(format!(
                "the uid of Deployment {}/{} was never learned, so it cannot be proven to be ours",
                provider.namespace, provider.deployment,
            )),
            // Without its Deployment nobody has it installed, but what an installation began with may be there.
            Standing::Gone | Standing::Ours => {
                let uninstall = |programs: &Programs, program: &Path| {
                    let call = programs.call(program).args(&provider.uninstall);
                    call.time_limit(UNINSTALL_LIMIT)
                };
                self.run(&provider.cluster, &provider.program, uninstall).await
            }
        }
    }

    /// Has a program take away what it installed.
    async fn run(
        &self,
        cluster: &Reach,
        program: &Path,
        call: impl FnOnce(&Programs, &Path) -> Call,
    ) -> Result<Fate, String> {
        let program = found_again(self.host, program)?;
        let scratch = tempfile::tempdir().map_err(|error| in_words(&error))?;
        let programs = Programs::new(cluster, scratch.path()).map_err(|error| in_words(&error))?;
        let ended = self.host.run_ok(&call(&programs, &program)).await;
        ended.map(|_| Fate::Removed).map_err(|error| in_words(&error))
    }
}

/// What stays, each with the reason.
pub(crate) fn left_of(taken: Vec<(Made, Fate)>) -> Vec<String> {
    let why = |(made, fate)| match fate {
        Fate::Left(why) => Some(format!("{made}: {why}")),
        Fate::Removed | Fate::PutBack | Fate::Absent => None,
    };
    taken.into_iter().filter_map(why).collect()
}

/// What is not seen gone yet, where there is no time to look.
pub(crate) fn still_there(inventory: &Inventory) -> Vec<String> {
    let there = inventory.made();
    if there.is_empty() {
        return Vec::new();
    }
    let said = there.iter().map(|made| format!("{made}; by hand: {}", made.by_hand()));
    said.chain(["quickproof reap removes it".to_owned()]).collect()
}

/// Whether `made` is in this kind cluster, and so goes with it.
fn holds(cluster: &Made, made: &Made) -> bool {
    let context = made.cluster().map(|reach| reach.context.as_str());
    matches!(cluster, Made::KindCluster { name, .. } if context.and_then(|context| context.strip_prefix("kind-")) == Some(name))
}

fn remove_file(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("`{}` cannot be deleted: {error}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The program that a run used, where it was; else one of its name on PATH.
fn found_again(host: &Host, program: &Path) -> Result<PathBuf, String> {
    let name = name_of(program);
    let found = host.find_program(&program.to_string_lossy());
    found.or_else(|| host.find_program(&name)).ok_or_else(|| {
        format!(
            "`{}` is not there any more, and `{name}` is not on PATH; install it, then run this again",
            program.display()
        )
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands on")]
fn said(trouble: Trouble) -> String {
    trouble.to_string()
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands on")]
fn stays(why: Stays) -> String {
    why.to_string()
}

/// Whether an object is still the one that the run made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is not there.
    Gone,
    /// It has the uid that was noted.
    Ours,
    /// It has another one.
    Anothers,
    /// It is there, and no uid was noted.
    Unproven,
}

fn standing(found: Option<String>, noted: Option<&str>) -> Standing {
    match (found, noted) {
        (None, _) => Standing::Gone,
        (Some(_), None) => Standing::Unproven,
        (Some(found), Some(noted)) if found == noted => Standing::Ours,
        (Some(_), Some(_)) => Standing::Anothers,
    }
}

/// The metadata of an object; `None` where the API server itself says that there is none of this name, or no such kind any
/// more.
///
/// # Errors
/// Nobody says whether it is there.
pub(crate) async fn look<K>(api: &Api<K>, name: &str, limit: Duration) -> Result<Option<ObjectMeta>, Trouble>
where
    K: kube::Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let asking = || async {
        match api.get_metadata(name).await {
            Ok(found) => Ok(Some(found.metadata)),
            // A 404 of anybody else, such as a page in front of the API server, says nothing about the object.
            Err(kube::Error::Api(status)) if status.code == 404 && status.reason == "NotFound" => Ok(None),
            Err(error) if has_lost_its_kind(api, &error).await? => Ok(None),
            Err(error) => Err(error),
        }
    };
    persistently(limit, asking).await
}

/// The uid of an object; `None` where there is none of this name.
async fn uid_of<K>(api: &Api<K>, name: &str) -> Result<Option<String>, Trouble>
where
    K: kube::Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let found = look(api, name, AWAY_LIMIT).await?;
    Ok(found.map(|found| found.uid.unwrap_or_default()))
}

/// Why an object stays that was to be deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stays {
    /// The API server does not delete it, or does not say whether it is gone.
    #[error("{0}")]
    Trouble(Trouble),
    /// It was to be deleted, and is there all the same.
    #[error("still there after {} s{}", GONE_LIMIT.as_secs(), waits_for(.finalizers))]
    StillThere {
        /// What somebody must take off before it goes.
        finalizers: Vec<String>,
    },
}

fn waits_for(finalizers: &[String]) -> String {
    if finalizers.is_empty() {
        return String::new();
    }
    format!(", since nobody takes off its finalizers: {}", finalizers.join(", "))
}

/// Deletes an object if it still has this uid, with everything that it owns, and waits until it is gone.
///
/// # Errors
/// Why it stays.
pub(crate) async fn delete(api: &Api<DynamicObject>, name: &str, uid: &str) -> Result<Fate, Stays> {
    let parameters = DeleteParams {
        // The server compares: between looking and deleting, somebody else may make one of the same name.
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        propagation_policy: Some(PropagationPolicy::Foreground),
        ..DeleteParams::default()
    };
    let asking = || async {
        match api.delete(name, &parameters).await {
            Ok(_) => Ok(Fate::Removed),
            Err(error) if has_lost_its_kind(api, &error).await? => Ok(Fate::Absent),
            Err(error) => Err(error),
        }
    };
    let (fate, refused) = match persistently(AWAY_LIMIT, asking).await {
        Ok(fate) => (fate, None),
        // It is gone, another object has taken its name, or it is on its way out already.
        Err(Trouble::Refused { code: 404 | 409, .. }) => (Fate::Absent, None),
        // It may be deleted all the same: an answer can get lost on its way.
        Err(trouble) => (Fate::Removed, Some(trouble)),
    };
    let limit = if refused.is_none() { AWAY_LIMIT } else { LAST_LOOK_LIMIT };
    let look = async |_| match look(api, name, limit).await {
        Ok(Some(found)) if found.uid.as_deref() == Some(uid) => match &refused {
            Some(why) if found.deletion_timestamp.is_none() => Ok(Err(Stays::Trouble(why.clone()))),
            _ => Err(found.finalizers.unwrap_or_default()),
        },
        Ok(_) => Ok(Ok(())),
        Err(trouble) => Ok(Err(Stays::Trouble(refused.clone().unwrap_or(trouble)))),
    };
    match poll(GONE_LIMIT, Duration::from_millis(200), look).await {
        Ok(gone) => gone.map(|()| fate),
        Err(finalizers) => Err(Stays::StillThere { finalizers }),
    }
}

/// Asks for the replicas that a Deployment had, where it is still there, without waiting for its pods.
async fn put_back(client: &Client, scaled: &Scaled) -> Result<Fate, String> {
    let asking = scaled.ask(client, scaled.replicas);
    match tokio::time::timeout(ASKED_BACK_WITHIN, asking).await {
        Ok(Ok(Asked::Generation(_))) => Ok(Fate::PutBack),
        Ok(Ok(Asked::Gone)) => Ok(Fate::Absent),
        Ok(Err(error)) => Err(in_words(&error)),
        Err(_) => Err(format!("no answer within {} s", ASKED_BACK_WITHIN.as_secs())),
    }
}

#[cfg(test)]
mod tests;
