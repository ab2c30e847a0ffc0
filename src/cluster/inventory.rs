//! What a run has made, written down before it is made, so that a killed run's remains can be found again.
//!
//! One file a run, in the state directory. It is on disk (fsync, rename, fsync of the directory) before `add` returns. What
//! was asked to be made stays in it until it is seen gone. It takes nothing away itself: that is [`super::teardown`].

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::api::DynamicObject;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use super::{ClusterError, mark, reap::Turn};
use crate::host::Host;

mod listing;
mod made;

pub(crate) use listing::Inventories;
#[cfg(test)]
pub(crate) use listing::ProcessName;
pub(super) use listing::opened_directory;
pub use listing::{Listing, Unreadable};
use listing::{delete, directory, file_error};
pub(super) use made::name_of;
pub use made::{HelmRelease, Made, MadeObject, ProviderInstallation, Reach};

/// How many names are tried for a file whose name is taken.
const MOST_NAMES: u32 = 100;

/// The inventory of this run; cheap to clone, all clones are one.
#[derive(Debug, Clone)]
pub struct Inventory {
    path: PathBuf,
    listing: Arc<Mutex<Listing>>,
    asked: Asked,
}

/// Requests that make something and whose answers are not there yet.
#[derive(Debug, Clone, Default)]
struct Asked {
    under_way: TaskTracker,
    given_up: CancellationToken,
}

impl Inventory {
    /// Begins the inventory of run `id`. A file of that name which an earlier run left stays as it is; then ours gets the next
    /// name.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(host: &Host, id: &str) -> Result<Self, ClusterError> {
        let directory = directory(host);
        fs::create_dir_all(&directory).map_err(|source| file_error(&directory, "written", source))?;
        let listing = Listing::begun(id);
        let mut number = 1;
        loop {
            let path = directory.join(match number {
                1 => format!("{id}.json"),
                _ => format!("{id}-{number}.json"),
            });
            match listing.write_new(&path) {
                Err(ClusterError::File { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists && number < MOST_NAMES =>
                {
                    number += 1;
                }
                written => return written.map(|()| Self::of(path, listing)),
            }
        }
    }

    /// Begins an inventory under a name that is used again and again, and takes over what stands in the one that a process
    /// which has ended left there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn take_over(host: &Host, name: &str, _turn: &Turn) -> Result<Self, ClusterError> {
        let path = directory(host).join(format!("{name}.json"));
        match Listing::at(&path) {
            Ok(Some(earlier)) if !earlier.process.is_alive() => {
                let mut listing = Listing::begun(name);
                listing.made = earlier.made;
                listing.write(&path)?;
                Ok(Self::of(path, listing))
            }
            _ => Self::open(host, name),
        }
    }

    /// The inventory that a run left behind.
    pub(super) fn left(path: PathBuf, listing: Listing) -> Self {
        Self::of(path, listing)
    }

    fn of(path: PathBuf, listing: Listing) -> Self {
        Self {
            path,
            listing: Arc::new(Mutex::new(listing)),
            asked: Asked::default(),
        }
    }

    /// The run that it is of.
    pub(crate) fn run(&self) -> String {
        self.lock().run.clone()
    }

    /// Notes something that is about to be made; making it may begin when this returns. Noting it again replaces
    /// what was noted, such as an object now that its uid is known; a uid that is known is not forgotten.
    ///
    /// # Errors
    /// The file cannot be written; then nothing may be made.
    pub(crate) fn add(&self, made: Made) -> Result<(), ClusterError> {
        let mut listing = self.lock();
        match listing.made.iter_mut().find(|earlier| earlier.is_same(&made)) {
            Some(earlier) if *earlier == made || (earlier.uid().is_some() && made.uid().is_none()) => return Ok(()),
            Some(earlier) => *earlier = made,
            None => listing.made.push(made),
        }
        listing.write(&self.path)
    }

    /// Has an object made that is noted, and notes its uid with the answer, or that it is not ours, where somebody else turns
    /// out to have made it in the meantime.
    ///
    /// The request goes on to its answer when this is dropped, such as by a signal: what it made is then known all the same.
    /// Teardown waits for it ([`Inventory::answered`]).
    ///
    /// # Errors
    /// The answer is one.
    pub(crate) async fn asked(
        &self,
        made: Made,
        request: impl Future<Output = Result<DynamicObject, kube::Error>> + Send + 'static,
    ) -> Result<DynamicObject, kube::Error> {
        let inventory = self.clone();
        let asking = async move {
            let answer = inventory.asked.given_up.run_until_cancelled(request).await;
            if let Some(Ok(stored)) = &answer
                && !inventory.has_object(stored.metadata.uid.as_deref().unwrap_or_default())
            {
                // Whoever still waits for the answer notes it again, and hears that it cannot be written.
                let _ = if mark::was_there_before(&stored.metadata) {
                    inventory.remove(&made)
                } else {
                    inventory.add(made.with_uid(stored.metadata.uid.clone()))
                };
            }
            answer
        };
        match self.asked.under_way.spawn(asking.in_current_span()).await {
            Ok(Some(answer)) => answer,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Teardown has given it up: the run is over.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Waits until every request that was sent is answered, for `limit` at most; then the rest is given up, which closes its
    /// connections.
    pub(super) async fn answered(&self, limit: Duration) {
        let Asked { under_way, given_up } = &self.asked;
        under_way.close();
        if tokio::time::timeout(limit, under_way.wait()).await.is_err() {
            given_up.cancel();
            under_way.wait().await;
        }
    }

    /// Notes that something is gone.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn remove(&self, made: &Made) -> Result<(), ClusterError> {
        let mut listing = self.lock();
        listing.made.retain(|other| !other.is_same(made));
        listing.write(&self.path)
    }

    /// Whether this is noted, whatever is known of its uid.
    pub(crate) fn has(&self, made: &Made) -> bool {
        self.lock().made.iter().any(|other| other.is_same(made))
    }

    /// Whether an object with this uid is noted. An empty one is nobody's.
    pub(crate) fn has_object(&self, wanted: &str) -> bool {
        let is_it = |made: &Made| matches!(made, Made::Object(object) if object.uid.as_deref() == Some(wanted));
        !wanted.is_empty() && self.lock().made.iter().any(is_it)
    }

    /// What is there, oldest first.
    pub(crate) fn made(&self) -> Vec<Made> {
        self.lock().made.clone()
    }

    /// Notes that what is there stays on purpose after this process has ended.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn keep(&self) -> Result<(), ClusterError> {
        let mut listing = self.lock();
        listing.kept = true;
        listing.write(&self.path)
    }

    /// Ends it: the file goes if nothing is left, and stays for `reap` otherwise.
    ///
    /// # Errors
    /// The file cannot be deleted.
    pub fn close(self) -> Result<(), ClusterError> {
        let listing = self.lock();
        if listing.made.is_empty() {
            delete(&self.path)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Listing> {
        // A panic while it was held leaves a list that is still true.
        self.listing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
