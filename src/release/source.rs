//! Where a release comes from, and how it is opened from there.

use std::path::{Path, PathBuf};

use super::{
    GitFacts, Layout, REPOSITORY, Release, ReleaseError, Repository, Tag, Tree,
    git::Checkout,
    github,
    identity::{Identity, Told},
    open_directory,
};
use crate::{
    host::Host,
    record::{Deviation, DeviationKind},
};

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

/// A point of a repository on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The repository, `owner/name`.
    pub repository: String,
    /// The point.
    pub point: Point,
    /// The tag that a branch or a commit is read as; `None` for the tag at its commit, else the newest release.
    pub read_as: Option<Tag>,
    /// Whether the network may be used.
    pub access: Access,
}

/// What names a commit. A branch is pinned to one before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
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
            } => open_tree(host, directory, tag.as_ref(), repository.as_deref()).await,
            Self::Remote(remote) => github::open(host, remote).await,
        }
    }

    /// Whether opening it needs neither the network nor another program.
    pub fn is_at_hand(&self) -> bool {
        match self {
            Self::Embedded => true,
            Self::Directory { directory, .. } => !directory.join(".git").exists(),
            Self::Remote(_) => false,
        }
    }
}

/// Opens what is in `directory`. Typed facts come first, then git, then the files (see `release::identity`).
async fn open_tree(
    host: &Host,
    directory: &Path,
    typed: Option<&Tag>,
    repository: Option<&str>,
) -> Result<Release, ReleaseError> {
    let named = directory.display().to_string();
    let tree = open_directory(directory)?;
    let quickstart = Layout::named("embedded")?.guide;
    if typed.is_none() && tree.exists(&quickstart) {
        return Release::open_quickstart(directory);
    }
    let identity = Identity::of(&tree)?;
    let known = match repository {
        Some(name) => Repository::known_as(name)?,
        None => identity.repository.clone(),
    };
    let checkout = Checkout::open(host, tree.root()).await;
    let mut notes = Vec::new();
    let checkout = match checkout {
        Some(Ok(checkout)) => Some(checkout),
        Some(Err(why)) => {
            notes.push(format!("git was not asked about the tree: {why}"));
            None
        }
        None => None,
    };
    let tag = if let Some(tag) = typed {
        tag.clone()
    } else {
        let at_head = checkout.as_ref().and_then(tag_at_head);
        let told = at_head.map_or_else(|| identity.tag(directory), |told| Ok(Some(told)))?;
        let Told { tag, by } = told.ok_or_else(|| ReleaseError::TagUnknown {
            directory: named.clone(),
            quickstart: quickstart.to_string(),
        })?;
        notes.push(format!("the tree is read as {tag}: {by}"));
        tag
    };
    let facts = match &checkout {
        Some(checkout) => Some(checkout.facts(known.as_ref(), Some(&tag)).await),
        None => None,
    };
    if facts.as_ref().is_some_and(|facts| facts.changed_files.is_none()) {
        let why = "its configuration names filters, which are not run";
        notes.push(format!(
            "whether files differ from the commit was not looked at: git failed, or {why}"
        ));
    }
    let own_commit = facts
        .as_ref()
        .and_then(|facts| facts.tag.as_ref())
        .map(|tag| &tag.commit);
    let head = facts.as_ref().map(|facts| facts.head.clone());
    if let (Some(commit), Some(head), Some(_)) = (own_commit, &head, typed)
        && commit != head
    {
        return Err(ReleaseError::NotTheTag {
            directory: named,
            tag,
            commit: short(commit).to_owned(),
            head: short(head).to_owned(),
        });
    }
    // What git proves, files need not confirm: that they name another tag is then a defect of the release.
    let proven = own_commit.is_some() && own_commit == head.as_ref();
    if !proven && let Some((found, file)) = identity.other_release(&tag) {
        return Err(ReleaseError::OtherRelease {
            directory: named,
            wanted: tag.to_string(),
            found: found.to_string(),
            file,
        });
    }
    let name = known
        .map(|known| known.repository)
        .or_else(|| repository.map(str::to_owned));
    let deviations = facts.as_ref().map(|facts| deviations(facts, &tag)).unwrap_or_default();
    let commit = head.or_else(|| super::git::commit(tree.root()));
    let name = name.unwrap_or_else(|| REPOSITORY.to_owned());
    let mut release = Release::with_guide(name, tag, commit, &named, Box::new(tree))?;
    release.git = facts;
    release.deviations = deviations;
    release.notes = notes;
    Ok(release)
}

/// The release's tag at the checkout's HEAD; of several the highest, so the release before its candidates.
fn tag_at_head(checkout: &Checkout<'_>) -> Option<Told> {
    let tag = highest_tag(
        checkout
            .references
            .iter()
            .filter(|found| found.commit() == checkout.head),
    )?;
    Some(Told {
        tag,
        by: "git has that tag at its HEAD".into(),
    })
}

/// The highest release's tag of some references.
pub(super) fn highest_tag<'a>(references: impl Iterator<Item = &'a super::git::Reference>) -> Option<Tag> {
    references.filter_map(|found| found.tag()?.parse().ok()).max()
}

/// Where a checkout is not the tag that it is tested as.
fn deviations(facts: &GitFacts, tag: &Tag) -> Vec<Deviation> {
    let mut deviations = Vec::new();
    let mut add = |what: String, why: &str| {
        deviations.push(Deviation {
            kind: DeviationKind::Substituted,
            subject: tag.to_string(),
            what,
            why: why.to_owned(),
            from: None,
        });
    };
    let head = short(&facts.head);
    match &facts.tag {
        Some(own) if own.commit == facts.head => {}
        Some(own) => add(
            format!("commit {head} is tested as {tag}, which is {}", short(&own.commit)),
            "it is what is checked out",
        ),
        None => add(
            format!("commit {head} is tested as {tag}, and whether it is that tag's is not known"),
            "the checkout has no such tag",
        ),
    }
    match facts.changed_files {
        None | Some(0) => {}
        Some(1) => add(
            format!("1 file differs from commit {head}"),
            "it was changed in the checkout",
        ),
        Some(count) => add(
            format!("{count} files differ from commit {head}"),
            "they were changed in the checkout",
        ),
    }
    deviations
}

/// The first characters of a commit, as git shows it.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
