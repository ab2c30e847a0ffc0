//! What a published release has on the web, as far as a plan asked for it.
//!
//! A plan is drawn without touching anything. After publication it names what it lacks, somebody has it fetched, and the
//! plan is drawn again with what was found, until it lacks nothing.

use std::{collections::BTreeMap, fmt, sync::Arc};

mod fetch;

pub use fetch::Fetcher;

/// Something on the web that a plan cannot be drawn without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// A file, by its URL as the guide's command names it.
    File(String),
    /// The newest release of a repository (`owner/name`) that is no candidate, as the releases API gives it.
    NewestRelease(String),
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(url) => formatter.write_str(url),
            Self::NewestRelease(repository) => write!(formatter, "the newest release of {repository}"),
        }
    }
}

/// What was found at an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The file's bytes.
    File(Arc<[u8]>),
    /// The newest release's tag, as written.
    Tag(String),
    /// The server says that there is nothing, with its status.
    Absent {
        /// The status, such as 404.
        status: u16,
    },
}

/// What was found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published(BTreeMap<Address, Found>);

impl Published {
    /// Notes what was found.
    pub fn insert(&mut self, address: Address, found: Found) {
        self.0.insert(address, found);
    }

    /// What was found there; `None` where nobody has looked yet.
    pub fn get(&self, address: &Address) -> Option<&Found> {
        self.0.get(address)
    }
}
