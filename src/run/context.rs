//! What the parts of a run share.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::{Order, stopped::Stopped};
use crate::{
    cluster::{Cluster, inventory::Inventory, scale::Scaled},
    deploy::Deployer,
    host::Host,
    record::{Event, Events, Stage, milliseconds},
};

/// What the parts of a run share, and what must outlive them for teardown.
pub(super) struct Context {
    pub(super) host: Host,
    pub(super) order: Order,
    /// The run's id.
    pub(super) id: String,
    pub(super) events: Events,
    pub(super) inventory: Inventory,
    /// The directory for evidence.
    pub(super) evidence: PathBuf,
    /// A directory that goes with the run.
    pub(super) scratch: tempfile::TempDir,
    pending_teardown: Mutex<PendingTeardown>,
}

/// What teardown takes back at the end, as far as the run got.
#[derive(Default)]
pub(super) struct PendingTeardown {
    pub(super) cluster: Option<Cluster>,
    pub(super) deployer: Option<Arc<Deployer>>,
    /// What a scenario has scaled and not put back yet, as it was before.
    pub(super) scaled: Vec<Scaled>,
}

impl Context {
    /// Opens the run's inventory and its scratch directory.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn open(
        host: Host,
        order: Order,
        id: String,
        events: Events,
        evidence: PathBuf,
    ) -> Result<Self, Stopped> {
        let unwritten =
            |why: String| Stopped::by_harness(&events, "the run's inventory and scratch directory are written", &why);
        let inventory = Inventory::open(&host, &id).map_err(|error| unwritten(error.to_string()))?;
        let scratch = tempfile::tempdir().map_err(|error| unwritten(error.to_string()))?;
        Ok(Self {
            host,
            order,
            id,
            events,
            inventory,
            evidence,
            scratch,
            pending_teardown: Mutex::default(),
        })
    }

    /// The namespace of the run, where the guide does not name its own.
    pub(super) fn namespace(&self) -> String {
        let namespace = self.order.options.namespace.clone();
        namespace.unwrap_or_else(|| "default".into())
    }

    /// Looks at, or changes, what teardown takes back.
    pub(super) fn pending_teardown<R>(&self, change: impl FnOnce(&mut PendingTeardown) -> R) -> R {
        change(&mut self.pending_teardown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says that a stage begins, and when that was.
    pub(super) fn enter(&self, stage: Stage) -> Instant {
        self.events.send(Event::Entered { stage });
        Instant::now()
    }

    /// Says how long a stage took.
    pub(super) fn spent(&self, stage: Stage, since: Instant) {
        self.events.send(Event::Spent {
            stage,
            took_ms: milliseconds(since.elapsed()),
        });
    }
}
