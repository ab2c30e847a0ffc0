//! A revision of a repository on GitHub, as it is meant; and what is said of commits and their tags.

use super::{Tag, git::Reference};

/// A revision of a repository on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The repository, `owner/name`.
    pub repository: String,
    /// What of it.
    pub revision: Revision,
    /// The tag that a branch or a commit is read as; `None` for the tag at its commit, else the newest release.
    pub read_as: Option<Tag>,
    /// Whether the network may be used.
    pub access: Access,
}

/// What names a commit (gitrevisions(7)). A branch is pinned to one before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// A release's tag.
    Tag(Tag),
    /// A branch, by its name.
    Branch(String),
    /// A commit, by all of its digits.
    Commit(String),
}

/// Whether the network may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// It may, and what is fetched is kept.
    #[default]
    Online,
    /// Only what was fetched before is used.
    Offline,
}

/// The highest release's tag of some references.
pub(super) fn highest_tag<'a>(references: impl Iterator<Item = &'a Reference>) -> Option<Tag> {
    references.filter_map(|found| found.tag()?.parse().ok()).max()
}

/// The first characters of a commit, as git shows it.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
