//! Where a release comes from: the one way to open it.

use std::path::PathBuf;

use super::{Release, ReleaseError, Remote, Tag, directory, github};
use crate::host::Host;

/// Where a release comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The quickstart that is part of this program; no release is tested.
    Embedded,
    /// A directory on disk.
    Directory {
        /// The directory: a release's tree, a checkout of it, or a quickstart of one's own.
        directory: PathBuf,
        /// The tag it is of, or `None` to have it told by git, by its files, or by its name.
        tag: Option<Tag>,
        /// The repository it is of (`owner/name`), or `None` to have it told by its files.
        repository: Option<String>,
    },
    /// A repository on GitHub.
    Remote(Remote),
}

impl Source {
    /// Opens the release. Whatever a reader should know of it is in its notes and deviations.
    ///
    /// # Errors
    /// It cannot be had, or is not what it is said to be.
    pub async fn open(&self, host: &Host) -> Result<Release, ReleaseError> {
        match self {
            Self::Embedded => Ok(Release::embedded()),
            Self::Directory {
                directory,
                tag,
                repository,
            } => directory::open(host, directory, tag.as_ref(), repository.as_deref()).await,
            Self::Remote(remote) => github::open(host, remote).await,
        }
    }

    /// Opens the release at once where that needs neither the network nor another program; `None` elsewhere.
    ///
    /// ```
    /// use quickproof::{host::Host, release::Source};
    ///
    /// let source = Source::Directory {
    ///     directory: "tests/data/trees/mini".into(),
    ///     tag: None,
    ///     repository: None,
    /// };
    /// let release = source.open_at_hand(&Host::real()).unwrap()?;
    /// assert_eq!(release.tag.unwrap().to_string(), "v1.5.0");
    /// # Ok::<_, quickproof::release::ReleaseError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open_at_hand(&self, host: &Host) -> Option<Result<Release, ReleaseError>> {
        let is_at_hand = match self {
            Self::Embedded => true,
            Self::Directory { directory, .. } => !directory.join(".git").exists(),
            Self::Remote(_) => false,
        };
        // Nothing is waited for, so that no runtime need be started.
        is_at_hand.then(|| futures::executor::block_on(self.open(host)))
    }
}
