//! Carrying out the plan: objects applied, charts installed, what was made written down, and taken away again.
//!
//! Every step comes to a [`Carried`] or a [`crate::verdict::Fault`]; the latter is a finding about the release (or, by its
//! cause, about the cluster), never a reason to panic. Nothing here sends inference requests.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::Client;

use crate::{
    cluster::{
        inventory::{Inventory, Reach},
        watching::Watches,
    },
    guide::Variables,
    host::Host,
    manifest::Object,
    record::Events,
};

mod apply;
mod change;
pub mod helm;
pub mod metrics_access;
mod provider;
pub mod rehearse;
pub mod resources;
mod scale;
mod steps;
pub mod takeaway;

/// Whose cluster it is, which decides how careful we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Made by this run: everything in it is ours and goes with it.
    Ours,
    /// Somebody else's: what exists stays untouched, and only what we made is deleted.
    Shared,
}

/// Where and with what the plan is carried out.
pub struct Site {
    /// The machine.
    pub host: Host,
    /// The connection.
    pub client: Client,
    /// The kubeconfig file that child processes use.
    pub kubeconfig: PathBuf,
    /// The context in that file, or `None` for its current one.
    pub context: Option<String>,
    /// The namespace for objects that name none.
    pub namespace: String,
    /// Whose cluster it is.
    pub ownership: Ownership,
    /// The run's id, in names of what we add.
    pub run: String,
    /// The run's watches.
    pub watches: Arc<Watches>,
    /// The run's events.
    pub events: Events,
    /// Where objects in somebody else's cluster are written down before they are made.
    pub inventory: Inventory,
    /// How the cluster is reached again by another process.
    pub reach: Reach,
    /// Programs that are not on PATH, by name: `helm`, `istioctl`.
    pub programs: std::collections::BTreeMap<String, PathBuf>,
    /// How long one step may take.
    pub step_limit: Duration,
    /// A directory for charts and other files of this run; removed with it.
    pub scratch: PathBuf,
}

/// Something that exists because of this run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Made {
    /// An object, by its address and uid.
    Object {
        /// `apiVersion`.
        api_version: String,
        /// `kind`.
        kind: String,
        /// The plural, as in URLs.
        plural: String,
        /// Its namespace, or `None` for cluster-wide ones.
        namespace: Option<String>,
        /// Its name.
        name: String,
        /// Its uid: only this very object is ever deleted.
        uid: String,
    },
    /// A helm release.
    HelmRelease {
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// A gateway provider installed by its own program.
    Provider {
        /// The program, such as `istioctl`.
        program: String,
    },
}

/// What the plan left running so far.
#[derive(Debug, Default)]
pub struct Deployed {
    /// What exists because of this run, in the order it was made.
    pub made: Vec<Made>,
    /// Every object that the release's steps put there, charts included, as sent.
    pub objects: Vec<Object>,
    /// Variables that steps have read.
    pub variables: Variables,
}

impl Deployed {
    /// The objects of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Object> {
        self.objects.iter().filter(move |object| object.kind() == kind)
    }
}

/// A step that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// What is true now, as one sentence; `None` for the plan's own sentence.
    pub sentence: Option<String>,
}

/// Carries out steps one after another and remembers what they made.
pub struct Deployer {
    /// Where.
    pub site: Site,
    resources: resources::Resources,
    deployed: Mutex<Deployed>,
}

impl Deployer {
    /// A deployer for a site.
    pub fn new(site: Site) -> Self {
        Self {
            resources: resources::Resources::new(site.client.clone()),
            site,
            deployed: Mutex::default(),
        }
    }

    /// Looks at, or changes, what was deployed so far.
    pub fn deployed<R>(&self, look: impl FnOnce(&mut Deployed) -> R) -> R {
        look(&mut self.deployed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known of the cluster's kinds.
    pub fn resources(&self) -> &resources::Resources {
        &self.resources
    }
}
