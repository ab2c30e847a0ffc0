//! Which release is meant: the arguments that `verify`, `plan`, `guide` and `lint` share.

use std::path::PathBuf;

use clap::Args;

use super::{CliContext, Usage, block_on};
use crate::release::{Access, REPOSITORY, Release, Remote, Revision, Source, Tag, TagError};

/// Which release is meant. Without any of these it is the quickstart that comes with quickproof.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SourceArguments {
    /// The release's tag, such as `v1.5.0` or `v1.5.0-rc.2`; without it git, the files or the name of `--tree` say which it is
    #[arg(long, value_name = "TAG", help_heading = "What is tested")]
    pub(crate) release: Option<String>,
    /// A checkout of the release's repository at that tag, or its files alone, or a quickstart of your own in the form of
    /// the embedded one
    #[arg(long, value_name = "DIR", help_heading = "What is tested")]
    pub(crate) tree: Option<PathBuf>,
    /// The tip of a branch, such as `main` for a nightly run: pinned to its commit first, and read as the newest release or
    /// as what `--release` says
    #[arg(long, value_name = "NAME", conflicts_with_all = ["tree", "commit"], help_heading = "What is tested")]
    pub(crate) branch: Option<String>,
    /// A commit, by all of its digits: read as its tag, as the newest release, or as what `--release` says
    #[arg(long, value_name = "SHA", conflicts_with = "tree", help_heading = "What is tested")]
    pub(crate) commit: Option<String>,
    /// The repository that it is a release of; without it the files of `--tree` say so, and what is fetched is of
    /// `kubernetes-sigs/gateway-api-inference-extension`
    #[arg(long, value_name = "OWNER/NAME", help_heading = "What is tested")]
    pub(crate) repository: Option<String>,
    /// Fetch nothing: use only what was fetched before
    #[arg(long, help_heading = "What is tested")]
    pub(crate) offline: bool,
}

impl SourceArguments {
    /// What is meant by them.
    ///
    /// # Errors
    /// They contradict each other, or name no tag.
    pub(crate) fn meant(&self) -> Result<Source, Usage> {
        let tag = self.release.as_deref().map(tag).transpose()?;
        if let Some(directory) = &self.tree {
            return Ok(Source::Directory {
                directory: directory.clone(),
                tag,
                repository: self.repository.clone(),
            });
        }
        let (revision, read_as) = match (&self.branch, &self.commit, tag) {
            (Some(branch), _, tag) => (Revision::Branch(branch.clone()), tag),
            (None, Some(commit), tag) => (Revision::Commit(commit.clone()), tag),
            (None, None, Some(tag)) => (Revision::Tag(tag), None),
            (None, None, None) => return self.embedded(),
        };
        Ok(Source::Remote(Remote {
            repository: self.repository.clone().unwrap_or_else(|| REPOSITORY.to_owned()),
            revision,
            read_as,
            access: self.access(),
        }))
    }

    /// Whether the network may be used.
    pub(crate) fn access(&self) -> Access {
        if self.offline { Access::Offline } else { Access::Online }
    }

    /// The quickstart that comes with quickproof: nothing can be said of it.
    fn embedded(&self) -> Result<Source, Usage> {
        let said = [("--repository", self.repository.is_some()), ("--offline", self.offline)];
        match said.iter().find(|(_, is_said)| *is_said) {
            None => Ok(Source::Embedded),
            Some((flag, _)) => Err(Usage::new(anyhow::anyhow!(
                "`{flag}` says something of a release, and none is named; add `--release TAG`, `--branch NAME`, `--commit SHA` or `--tree DIR`"
            ))),
        }
    }

    /// Opens the release, and tells on standard error what a reader should know of how it was found.
    ///
    /// # Errors
    /// It does not exist, cannot be told, or cannot be had.
    pub(crate) fn open(&self, context: &CliContext) -> anyhow::Result<Release> {
        let source = self.meant()?;
        let opened = match source.open_at_hand(&context.host) {
            Some(opened) => opened,
            None => block_on(source.open(&context.host))?,
        };
        let release = match opened {
            Err(error) if !error.is_infrastructure() => return Err(Usage::new(error).into()),
            opened => opened?,
        };
        context.tell(&release.notes);
        Ok(release)
    }
}

/// Reads a tag; for what may be a branch, the way to name one is added.
fn tag(text: &str) -> Result<Tag, Usage> {
    text.parse().map_err(|error: TagError| {
        let may_be_branch =
            !text.starts_with('v') && text != "latest" && !text.starts_with(|c: char| c.is_ascii_digit());
        if may_be_branch {
            Usage::new(anyhow::anyhow!("{error}; a branch as it is now is `--branch NAME`"))
        } else {
            Usage::new(error)
        }
    })
}
