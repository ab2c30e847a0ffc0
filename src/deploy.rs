//! Carrying out the plan: objects applied, charts installed, what is made in somebody else's cluster written down before.
//!
//! Every step comes to a [`Carried`] or a [`Fault`]; the latter is a finding about the release (or, by its
//! cause, about the cluster), never a reason to panic. Nothing here sends inference requests, and nothing is taken away:
//! that is [`crate::cluster::teardown`].

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::Client;

use crate::{
    cluster::{
        ClusterError,
        inventory::{Inventory, Reach},
        programs::Programs,
        resources::{AWAY_LIMIT, Resources},
        watching::Watches,
    },
    guide::Variables,
    host::{Host, in_words},
    manifest::Object,
    record::Events,
    verdict::{CauseCode, Fault},
};

mod apply;
mod change;
mod failure;
#[cfg(test)]
mod fake;
pub(crate) mod helm;
mod kinds;
pub(crate) mod metrics_access;
mod noting;
mod outage;
pub(crate) mod provider;
pub(crate) mod rehearse;
mod scale;
mod steps;

/// Whose cluster it is, which decides how careful we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Made by this run: everything in it is ours and goes with it.
    Ours,
    /// Somebody else's: what exists stays untouched, and only what we made is deleted.
    Shared,
}

/// Where and with what the plan is carried out.
pub(crate) struct Site {
    /// The machine.
    pub(crate) host: Host,
    /// The connection.
    pub(crate) client: Client,
    /// The namespace for objects that name none.
    pub(crate) namespace: String,
    /// Whose cluster it is.
    pub(crate) ownership: Ownership,
    /// The run's id, in names of what we add.
    pub(crate) run: String,
    /// The run's watches.
    pub(crate) watches: Arc<Watches>,
    /// The run's events.
    pub(crate) events: Events,
    /// Where what is made in somebody else's cluster is written down before.
    pub(crate) inventory: Inventory,
    /// How the cluster is reached by programs, and again by another process.
    pub(crate) reach: Reach,
    /// Programs that are not on PATH, by name: `helm`, `istioctl`.
    pub(crate) programs: std::collections::BTreeMap<String, PathBuf>,
    /// How long one step may take.
    pub(crate) step_limit: Duration,
    /// A directory for charts and other files of this run; removed with it.
    pub(crate) scratch: PathBuf,
}

impl Site {
    /// How long the API server may be away while one thing is asked: no longer than a step may take.
    pub(crate) fn away_limit(&self) -> Duration {
        AWAY_LIMIT.min(self.step_limit)
    }
}

/// What the plan left running so far.
#[derive(Debug, Default)]
pub(crate) struct Deployed {
    /// Every object that the release's steps put there, charts included, as sent.
    pub(crate) objects: Vec<Object>,
    /// The steps that brought CRDs.
    brought: Vec<kinds::Brought>,
    /// Variables that steps have read.
    pub(crate) variables: Variables,
}

impl Deployed {
    /// The objects of a kind.
    pub(crate) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Object> {
        self.objects.iter().filter(move |object| object.kind() == kind)
    }
}

/// A step that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carried {
    /// What is true now, as one sentence; `None` for the plan's own sentence.
    pub(crate) sentence: Option<String>,
}

/// Carries out steps one after another and remembers what they made.
pub(crate) struct Deployer {
    /// Where.
    pub(crate) site: Site,
    resources: Resources,
    deployed: Mutex<Deployed>,
}

impl Deployer {
    /// A deployer for a site.
    pub(crate) fn new(site: Site) -> Self {
        Self {
            resources: Resources::new(site.client.clone()),
            site,
            deployed: Mutex::default(),
        }
    }

    /// Looks at, or changes, what was deployed so far.
    pub(crate) fn deployed<R>(&self, look: impl FnOnce(&mut Deployed) -> R) -> R {
        look(&mut self.deployed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known of the cluster's kinds.
    pub(crate) fn resources(&self) -> &Resources {
        &self.resources
    }

    /// What programs need to reach this cluster and no other.
    fn programs(&self) -> Result<Programs, Fault> {
        let unwritten = |error: ClusterError| {
            let expected = "programs can be told which cluster is meant";
            Fault::new(expected, in_words(&error), CauseCode::HostToolFailed)
        };
        Programs::new(&self.site.reach, &self.site.scratch).map_err(unwritten)
    }

    /// The path of a program that the run has seen to; else its name, to be found on PATH.
    fn program(&self, name: &str) -> PathBuf {
        let seen_to = self.site.programs.get(name);
        seen_to.cloned().unwrap_or_else(|| PathBuf::from(name))
    }
}
