//! Which release is meant: the arguments that `verify`, `plan`, `guide` and `lint` share.

use std::{io::Write as _, path::PathBuf};

use clap::Args;

use super::{Caller, Usage, block_on};
use crate::{
    redact::Redactor,
    release::{Release, Source, Tag},
    report::Verbosity,
};

/// Which release is meant. Without any of these it is the quickstart that comes with quickproof.
#[derive(Debug, Clone, Default, Args)]
pub struct SourceArguments {
    /// The release's tag, such as `v1.5.0` or `v1.5.0-rc.2`; without it git, the files or the name of `--tree` say which it is
    #[arg(long, value_name = "TAG", help_heading = "What is tested")]
    pub release: Option<String>,
    /// A checkout of the release's repository at that tag, or its files alone, or a quickstart of your own in the form of
    /// the embedded one
    #[arg(long, value_name = "DIR", help_heading = "What is tested")]
    pub tree: Option<PathBuf>,
    /// The repository that it is a release of; without it the files of `--tree` say so
    #[arg(long, value_name = "OWNER/NAME", help_heading = "What is tested")]
    pub repository: Option<String>,
}

impl SourceArguments {
    /// What is meant by them.
    ///
    /// # Errors
    /// They contradict each other, or name no tag.
    pub fn meant(&self) -> Result<Source, Usage> {
        let tag: Option<Tag> = self
            .release
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(Usage::new)?;
        match (&self.tree, tag) {
            (Some(directory), tag) => Ok(Source::Directory {
                directory: directory.clone(),
                tag,
                repository: self.repository.clone(),
            }),
            (None, Some(tag)) => Err(Usage::new(anyhow::anyhow!(
                "releases are not fetched yet: check out {tag} and name the directory with `--tree DIR`"
            ))),
            (None, None) => Ok(Source::Embedded),
        }
    }

    /// Opens the release, and tells on standard error what a reader should know of how it was found.
    ///
    /// # Errors
    /// It does not exist, cannot be told, or cannot be had.
    pub fn open(&self, caller: &Caller) -> anyhow::Result<Release> {
        let source = self.meant()?;
        let opening = source.open(&caller.host);
        let opened = if source.is_at_hand() {
            // Nothing is waited for, so that no runtime need be started.
            futures::executor::block_on(opening)
        } else {
            block_on(opening)?
        };
        let release = opened.map_err(Usage::new)?;
        if caller.manner.verbosity() != Verbosity::Quiet {
            let redactor = Redactor::new();
            for note in &release.notes {
                // Whoever closed standard error does not want to read it.
                let _ = writeln!(anstream::stderr(), "{}", redactor.redact(note));
            }
        }
        Ok(release)
    }
}
