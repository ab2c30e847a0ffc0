//! Taking away what was made, in reverse, on its own time budget; nothing else is ever deleted.

use std::time::{Duration, Instant};

use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, Preconditions, PropagationPolicy},
};

use super::{Deployer, Made, apply::AWAY_LIMIT, resources::persistently};
use crate::{cluster::inventory, record::Stage};

/// How long an object may take to be gone after its deletion was accepted.
const GONE_LIMIT: Duration = Duration::from_mins(1);

impl Deployer {
    /// Deletes everything that this run made in somebody else's cluster. Returns what could not be deleted, in words.
    pub async fn take_away(&self) -> Vec<String> {
        let mut made = self.deployed(|deployed| std::mem::take(&mut deployed.made));
        let mut left = Vec::new();
        while let Some(thing) = made.pop() {
            let title = thing.title();
            self.site.events.waiting(Stage::Cleanup, title.clone(), "deleting");
            match self.take_one_away(&thing).await {
                Ok(()) => self.strike_out(&thing),
                Err(why) => left.push(format!("{title}: {why}")),
            }
        }
        left
    }

    fn strike_out(&self, thing: &Made) {
        if let Made::Object {
            api_version,
            kind,
            namespace,
            name,
            ..
        } = thing
        {
            // What stays noted although it is gone costs `reap` one look.
            let _ = self.site.inventory.remove(&inventory::Made::Object {
                cluster: self.site.reach.clone(),
                api_version: api_version.clone(),
                object_kind: kind.clone(),
                namespace: namespace.clone(),
                name: name.clone(),
                uid: None,
            });
        }
    }

    async fn take_one_away(&self, thing: &Made) -> Result<(), String> {
        match thing {
            Made::Object {
                api_version,
                kind,
                plural,
                namespace,
                name,
                uid,
            } => {
                let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
                let resource = ApiResource {
                    group: group.into(),
                    version: version.into(),
                    api_version: api_version.clone(),
                    kind: kind.clone(),
                    plural: plural.clone(),
                };
                let api: Api<DynamicObject> = match namespace {
                    Some(namespace) => Api::namespaced_with(self.site.client.clone(), namespace, &resource),
                    None => Api::all_with(self.site.client.clone(), &resource),
                };
                delete(&api, name, uid).await
            }
            Made::HelmRelease { name, namespace } => {
                let call = self
                    .helm()
                    .args(["uninstall", name, "--namespace", namespace, "--ignore-not-found"]);
                self.site
                    .host
                    .run_ok(&call)
                    .await
                    .map(|_| ())
                    .map_err(|error| error.to_string())
            }
            Made::Provider { program } => {
                let path = self
                    .site
                    .programs
                    .get(program)
                    .map_or_else(|| program.clone(), |path| path.display().to_string());
                let call = self
                    .with_cluster(crate::host::Call::new(path))
                    .args(["uninstall", "-y", "--purge"])
                    .time_limit(Duration::from_mins(2));
                self.site
                    .host
                    .run_ok(&call)
                    .await
                    .map(|_| ())
                    .map_err(|error| error.to_string())
            }
        }
    }
}

/// Deletes an object if it still has this uid, and waits until it is gone.
///
/// # Errors
/// It cannot be deleted, or does not go.
pub async fn delete(api: &Api<DynamicObject>, name: &str, uid: &str) -> Result<(), String> {
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        propagation_policy: Some(PropagationPolicy::Foreground),
        ..DeleteParams::default()
    };
    let deleted = persistently(AWAY_LIMIT, || api.delete(name, &parameters)).await;
    match deleted {
        Ok(_) => {}
        // 404: gone already. 409: another object of the same name, which is not ours.
        Err(super::resources::Trouble::Refused { code: 404 | 409, .. }) => return Ok(()),
        Err(trouble) => return Err(format!("{trouble:?}")),
    }
    let began = Instant::now();
    let mut pause = Duration::from_millis(50);
    while began.elapsed() < GONE_LIMIT {
        let (found, _) = persistently(AWAY_LIMIT, || api.get_metadata_opt(name))
            .await
            .map_err(|trouble| format!("{trouble:?}"))?;
        if found.is_none_or(|found| found.metadata.uid.as_deref() != Some(uid)) {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
    Err(format!("still there after {} s", GONE_LIMIT.as_secs()))
}

impl Made {
    /// Kind and name, as one would type it.
    pub fn title(&self) -> String {
        match self {
            Self::Object {
                kind, namespace, name, ..
            } => match namespace {
                Some(namespace) => format!("{kind} {namespace}/{name}"),
                None => format!("{kind} {name}"),
            },
            Self::HelmRelease { name, namespace } => format!("helm release {namespace}/{name}"),
            Self::Provider { program } => format!("what {program} installed"),
        }
    }
}
