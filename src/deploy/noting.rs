//! Writing down what is about to be made in somebody else's cluster, and who it is once it is made.
//!
//! In a cluster of our own nothing is written down: everything goes with the cluster, which is in the inventory.

use std::{pin::pin, time::Duration};

use futures::future::join_all;
use kube::{
    Api, Resource,
    api::{ApiResource, DynamicObject},
};

use super::{Deployer, Ownership};
use crate::{
    cluster::{
        inventory::{Inventory, Made},
        mark,
    },
    host::poll,
    verdict::{CauseCode, Fault},
};

/// How often it is looked whether what a program makes is there.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// Something that a program is about to make, and the object whose uid says later whether it is still the same.
pub(super) struct Making {
    made: Made,
    objects: Api<DynamicObject>,
    name: String,
    /// The run whose label the object is given, where nothing else gives it one.
    marked_by: Option<String>,
}

impl Making {
    /// `made` is told by the object of kind `K` of this name; `namespace` is `None` for a kind that has none.
    pub(super) fn told_by<K>(deployer: &Deployer, made: Made, namespace: Option<&str>, name: impl Into<String>) -> Self
    where
        K: Resource<DynamicType = ()>,
    {
        let resource = ApiResource::erase::<K>(&());
        let client = deployer.site.client.clone();
        Self {
            made,
            objects: match namespace {
                Some(namespace) => Api::namespaced_with(client, namespace, &resource),
                None => Api::all_with(client, &resource),
            },
            name: name.into(),
            marked_by: None,
        }
    }

    /// The same, for an object that this run labels: a program makes it, and knows nothing of labels.
    pub(super) fn marked_by(mut self, run: &str) -> Self {
        self.marked_by = Some(run.to_owned());
        self
    }

    /// Whether the object is not there. That cannot be told where the API server does not answer.
    pub(super) async fn is_absent(&self) -> Result<bool, kube::Error> {
        Ok(self.objects.get_metadata_opt(&self.name).await?.is_none())
    }

    /// Notes the uid, once the object is there, and labels it.
    async fn learn(&self, inventory: &Inventory) -> Result<(), ()> {
        let found = self.objects.get_metadata_opt(&self.name).await.ok().flatten();
        let found = found.ok_or(())?.metadata;
        let uid = found.uid.clone().ok_or(())?;
        inventory.add(self.made.clone().with_uid(Some(uid))).map_err(drop)?;
        if let Some(run) = self.marked_by.as_ref().filter(|run| !mark::bears(&found, run)) {
            // It helps who has no inventory, and nobody else needs it.
            let (how, labels) = (mark::labelling(), mark::labels(run));
            let _ = self.objects.patch_metadata(&self.name, &how, &labels).await;
        }
        Ok(())
    }
}

impl Deployer {
    /// Notes what is about to be made, or what is now known of it.
    pub(super) fn note(&self, made: Made, expected: &str) -> Result<(), Fault> {
        if self.site.ownership == Ownership::Ours {
            return Ok(());
        }
        self.site.inventory.add(made).map_err(|error| {
            let actual = format!("the inventory cannot be written: {error}");
            Fault::new(expected, actual, CauseCode::HostToolFailed)
        })
    }

    /// Notes what a program is about to make, has it made, and notes each uid as soon as it can be seen: the run may end at
    /// any moment, and what has no uid then cannot be proven to be ours.
    pub(super) async fn noted<R>(
        &self,
        makings: Vec<Making>,
        expected: &str,
        program: impl Future<Output = R>,
    ) -> Result<R, Fault> {
        if self.site.ownership == Ownership::Ours {
            return Ok(program.await);
        }
        for making in &makings {
            self.note(making.made.clone(), expected)?;
        }
        let inventory = &self.site.inventory;
        let mut program = pin!(program);
        let learning = makings.iter().map(|making| {
            poll(self.site.step_limit, BETWEEN_LOOKS, async |_| {
                making.learn(inventory).await
            })
        });
        let ended = tokio::select! {
            biased;
            ended = &mut program => ended,
            _ = join_all(learning) => program.await,
        };
        for making in &makings {
            // What is not there now was not made, or is gone again.
            let _ = making.learn(inventory).await;
        }
        Ok(ended)
    }

    /// Whether an object may be changed: in a cluster of ours every one, elsewhere those that this run made.
    pub(super) fn is_ours(&self, uid: &str) -> bool {
        self.site.ownership == Ownership::Ours || self.site.inventory.has_object(uid)
    }

    /// Whether this may be uninstalled: in a cluster of ours everything, elsewhere what this run installed.
    pub(super) fn has_made(&self, made: &Made) -> bool {
        self.site.ownership == Ownership::Ours || self.site.inventory.has(made)
    }
}

#[cfg(test)]
mod tests;
