//! Which release is meant: the arguments that `verify`, `plan`, `guide` and `lint` share.

use std::path::PathBuf;

use clap::Args;

use crate::{cli::Usage, release::Release};

/// Which release is meant. Without any of these it is the quickstart that comes with quickproof.
#[derive(Debug, Clone, Default, Args)]
pub struct SourceArguments {
    /// The release's tag, such as `v1.5.0` or `v1.5.0-rc.2`; without it the files of `--tree` say which it is
    #[arg(long, value_name = "TAG", help_heading = "What is tested")]
    pub release: Option<String>,
    /// A checkout of the release's repository at that tag, or a quickstart of your own in the form of the embedded one
    #[arg(long, value_name = "DIR", help_heading = "What is tested")]
    pub tree: Option<PathBuf>,
}

impl SourceArguments {
    /// Opens the release.
    ///
    /// # Errors
    /// It does not exist, or cannot be told.
    pub fn open(&self) -> Result<Release, Usage> {
        match (&self.tree, &self.release) {
            (Some(tree), Some(tag)) => Release::open_tree(tree, tag.parse().map_err(Usage::new)?).map_err(Usage::new),
            (Some(tree), None) => Release::open_any(tree).map_err(Usage::new),
            (None, Some(tag)) => Err(Usage::new(anyhow::anyhow!(
                "releases are not fetched yet: check out {tag} and name the directory with `--tree DIR`"
            ))),
            (None, None) => Ok(Release::embedded()),
        }
    }
}
