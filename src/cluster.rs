//! A cluster to deploy into: one of our own made with kind, or one that exists and was named.
//!
//! It knows nothing about inference, gateways or releases, and repairs nothing: a cluster that is not ready is an error.

use std::{path::PathBuf, time::Duration};

use kube::Client;

pub(crate) mod access;
pub mod address;
mod answerer;
mod bounded;
mod calls;
pub mod capacity;
pub(crate) mod configuration;
mod credentials;
mod engine;
mod error;
mod existing;
pub mod forward;
mod freezer;
pub mod inventory;
mod kind;
mod kubeconfig;
pub(crate) mod mark;
mod plugin;
mod pod;
pub(crate) mod probes;
pub(crate) mod programs;
pub(crate) mod ready;
pub(crate) mod reap;
pub(crate) mod references;
pub(crate) mod resources;
pub(crate) mod scale;
pub mod teardown;
pub(crate) mod unrecoverable;
pub(crate) mod watching;

pub use capacity::{Capacity, capacity};
pub(crate) use error::ClusterError;
pub use existing::{ExistingCluster, open};
pub use kind::{Listed, cluster_name, create, delete, list};
pub use ready::dns_ready;

/// The limit of a call that asks the container engine one thing.
pub(crate) const SHORT: Duration = Duration::from_mins(1);

/// Where a cluster comes from, which decides whether it may be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// We made it, so we delete it.
    Made,
    /// It was there and is used as it is.
    Existing,
}

/// A connection to a cluster, and where it comes from.
#[derive(Clone)]
pub struct Cluster {
    /// kind's name of a cluster of ours, else the context's name.
    pub name: String,
    /// The file its kubeconfig is in: ours alone for [`Origin::Made`].
    pub(crate) kubeconfig: PathBuf,
    /// The context in that file.
    pub(crate) context: String,
    /// The client. Its read timeout counts from each request on.
    pub client: Client,
    /// Where it comes from.
    pub origin: Origin,
}

impl Cluster {
    /// The container that is its only node, where it is a kind cluster of ours, made by this run or kept by an
    /// earlier one.
    pub fn node_container(&self) -> Option<String> {
        let ours = self.name.starts_with(kind::PREFIX) && self.context == format!("kind-{}", self.name);
        ours.then(|| kind::node_container(&self.name))
    }

    /// How it is reached again by another process.
    pub(crate) fn reach(&self) -> inventory::Reach {
        inventory::Reach {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
        }
    }
}
