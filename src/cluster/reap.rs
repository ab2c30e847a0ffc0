//! What killed runs left behind: found in their inventories, and taken away as the runs themselves would have.
//!
//! It is conservative: an inventory is gone through only if its run's process is gone, and what was kept on purpose only
//! when everything is asked for. A cluster that merely bears our name is left alone.

use std::{
    fs::{File, TryLockError},
    path::PathBuf,
    time::Duration,
};

use super::{
    ClusterError,
    inventory::{Inventories, Inventory, Listing, Made, Unreadable, opened_directory},
    teardown::{Fate, Teardown, Which},
};
use crate::{
    host::{Host, in_words, poll},
    record::{Events, Stage},
};

pub(crate) mod labelled;

/// The label of containers that outlive a run on purpose, such as the image registry's.
pub(crate) const SHARED_LABEL: &str = "quickproof=1";

/// How long another process may be at work on what runs left.
const TURN_LIMIT: Duration = Duration::from_mins(15);
/// How often it is looked whether it has ended.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How much to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What runs left whose process is gone.
    Dead,
    /// Also what was kept on purpose, and the containers that runs share.
    All,
}

/// Something that a run left behind, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reaped {
    /// The run that made it.
    pub(crate) run: String,
    /// In words, such as `kind cluster quickproof-ab12`.
    pub(crate) what: String,
    /// What became of it.
    pub(crate) fate: Fate,
}

/// What runs left behind.
#[derive(Debug)]
pub(crate) struct Left {
    /// The inventories that [`reap`] would go through.
    pub(crate) listings: Vec<Listing>,
    /// The files that may be inventories and cannot be read: what they name is not known.
    pub(crate) unreadable: Vec<(PathBuf, Unreadable)>,
}

/// The turn of this process: inventories of runs that have ended are changed by one process at a time. It is over when this is
/// dropped, and when the process ends, whatever its end.
#[derive(Debug)]
pub(crate) struct Turn {
    _directory: Option<File>,
}

impl Turn {
    /// Waits for it, while another process has it.
    ///
    /// # Errors
    /// The directory of inventories cannot be opened, or the other process takes very long.
    pub(crate) async fn take(host: &Host, events: &Events) -> Result<Self, ClusterError> {
        let Some(directory) = opened_directory(host)? else {
            return Ok(Self { _directory: None });
        };
        let look = async |_| match directory.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let on = "another quickproof, which takes away what runs left behind";
                events.waiting(Stage::Cleanup, on, "");
                Err(())
            }
            // Where directories cannot be locked, such as on some file servers, everybody has a turn.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
        };
        let waited = poll(TURN_LIMIT, BETWEEN_LOOKS, look).await;
        waited.map_err(|()| ClusterError::Busy)?;
        Ok(Self {
            _directory: Some(directory),
        })
    }
}

/// What there is to reap.
///
/// # Errors
/// The state directory cannot be read.
pub(crate) fn left(host: &Host, scope: Scope) -> Result<Left, ClusterError> {
    let Inventories { readable, unreadable } = Inventories::all(host)?;
    let listings = readable.into_iter().map(|(_, listing)| listing);
    Ok(Left {
        listings: listings.filter(|listing| is_due(listing, scope)).collect(),
        unreadable,
    })
}

fn is_due(listing: &Listing, scope: Scope) -> bool {
    !listing.process.is_alive() && (scope == Scope::All || !listing.kept)
}

/// Removes what runs left whose process is gone. What cannot be removed stays in its inventory and is told.
///
/// # Errors
/// The state directory cannot be read or written.
pub(crate) async fn reap(
    host: &Host,
    scope: Scope,
    _turn: &Turn,
    events: &Events,
) -> Result<Vec<Reaped>, ClusterError> {
    let mut reaped = Vec::new();
    for (path, listing) in Inventories::all(host)?.readable {
        if !is_due(&listing, scope) {
            continue;
        }
        let run = listing.run.clone();
        let inventory = Inventory::left(path, listing);
        let taken = Teardown::new(host, &inventory, events)
            .take_away(Which::Everything)
            .await;
        reaped.extend(taken.into_iter().map(|(made, fate)| Reaped {
            run: run.clone(),
            what: made.to_string(),
            fate,
        }));
        inventory.close()?;
    }
    if scope == Scope::All {
        reaped.extend(reap_shared(host).await?);
    }
    Ok(reaped)
}

/// Strikes a thing from every inventory of a run that has ended, now that it was removed by hand.
///
/// # Errors
/// The state directory cannot be read or written.
pub(crate) fn forget(host: &Host, _turn: &Turn, is_it: impl Fn(&Made) -> bool) -> Result<(), ClusterError> {
    for (path, mut listing) in Inventories::all(host)?.readable {
        if listing.process.is_alive() || !listing.made.iter().any(&is_it) {
            continue;
        }
        listing.made.retain(|made| !is_it(made));
        listing.write(&path)?;
        Inventory::left(path, listing).close()?;
    }
    Ok(())
}

/// The containers that runs share: they go when everything does, unless a run is using them.
async fn reap_shared(host: &Host) -> Result<Vec<Reaped>, ClusterError> {
    let label = format!("label={SHARED_LABEL}");
    let call = ["container", "ls", "--all", "--filter", &label, "--format", "{{.Names}}"];
    let names = host.docker(call).await?.text();
    let mut users = Inventories::all(host)?.readable.into_iter().map(|(_, listing)| listing);
    let user = users.find(|listing| listing.process.is_alive());
    let mut reaped = Vec::new();
    for name in names.lines() {
        let fate = match &user {
            Some(user) => Fate::Left(format!("run {} is using it", user.run)),
            None => match host.docker(["container", "rm", "--force", "--volumes", name]).await {
                Ok(_) => Fate::Removed,
                Err(error) => Fate::Left(in_words(&error)),
            },
        };
        reaped.push(Reaped {
            run: "shared".to_owned(),
            what: format!("container {name}"),
            fate,
        });
    }
    Ok(reaped)
}

#[cfg(test)]
mod tests;
