//! A release: its tag, its commit, its files, and the layout that says where its guide stands.
//!
//! The tag is fixed before anything else. Nothing here reads a guide or knows what a command means.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

mod crds;
mod git;
mod identity;
mod layout;
mod path;
mod published;
pub mod schemas;
mod tag;
mod tree;

pub use crds::{BundleError, crd_bundle};
pub use layout::{Layout, LayoutSchema, Placeholder, Sections, Skip, TabPattern};
pub use path::{PathError, RepoPath};
pub use published::{Address, Found, Published};
pub use tag::{Tag, TagError};
pub use tree::{DirectoryTree, EmbeddedTree, MemoryTree, Tree, TreeError};

use crate::manifest::{self, ManifestError, Object};

/// The repository whose releases are tested.
pub const REPOSITORY: &str = "kubernetes-sigs/gateway-api-inference-extension";

/// A release that is open for reading.
#[derive(Debug)]
pub struct Release {
    /// `owner/name`, or `embedded quickstart`.
    pub repository: String,
    /// The tag under test, or `None` for the embedded quickstart.
    pub tag: Option<Tag>,
    /// The commit, where the tree is a git checkout.
    pub commit: Option<String>,
    /// Its files.
    pub tree: Box<dyn Tree>,
    /// Manifests of the tree that were read before: one plan after another asks for the same ones.
    read: Mutex<BTreeMap<RepoPath, Arc<[Object]>>>,
}

/// Why a release cannot be tested. Each is an error of use, found before anything is made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The tag is not a release's tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// The tree cannot be read.
    #[error("cannot read the tree `{directory}`; give `--tree` a directory that holds the release's files")]
    Unreadable {
        /// The directory as named.
        directory: String,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A file of the tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file of the tree or of our own data is not what it must be.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The tree holds no guide where releases of this tag keep it.
    #[error(
        "`{directory}` holds no `{guide}`, where {tag} keeps its guide; give `--tree` the root of the checked-out tag"
    )]
    NoGuide {
        /// The directory as named.
        directory: String,
        /// The guide's path.
        guide: String,
        /// The tag.
        tag: Tag,
    },
    /// No file of the tree says which release it is of.
    #[error("no file of `{directory}` says which release it is of; add `--release TAG`")]
    TagUnknown {
        /// The directory as named.
        directory: String,
    },
    /// A directory without a release holds no quickstart.
    #[error(
        "`{directory}` holds no `{guide}`; a quickstart of your own has one, for a release's tree add `--release TAG`"
    )]
    NoQuickstart {
        /// The directory as named.
        directory: String,
        /// The guide's path.
        guide: String,
    },
    /// The tree is that of another release.
    #[error(
        "the tree `{directory}` is of {found}, not of {wanted} (`{file}` says so); \
         give `--release {found}`, or `--tree` the tree of {wanted}"
    )]
    OtherRelease {
        /// The directory as named.
        directory: String,
        /// The tag that was asked for.
        wanted: String,
        /// The tag that the tree names.
        found: String,
        /// The file that names it.
        file: RepoPath,
    },
    /// No layout covers the tag.
    #[error("no layout is known for {tag}; known are {known}; a new one is a file in `manifests/layouts`")]
    NoLayoutFor {
        /// The tag.
        tag: Tag,
        /// Each layout with its range of tags.
        known: String,
    },
    /// No layout has this name.
    #[error("there is no layout `{name}`; known are {known}")]
    UnknownLayout {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
}

impl Release {
    /// A release from its parts.
    pub fn new(repository: impl Into<String>, tag: Option<Tag>, commit: Option<String>, tree: Box<dyn Tree>) -> Self {
        Self {
            repository: repository.into(),
            tag,
            commit,
            tree,
            read: Mutex::default(),
        }
    }

    /// The objects of one manifest of the tree, in order.
    ///
    /// # Errors
    /// The file is missing or no manifest.
    pub fn objects(&self, path: &RepoPath) -> Result<Arc<[Object]>, ReleaseError> {
        let known = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(objects) = known().get(path) {
            return Ok(objects.clone());
        }
        let objects: Arc<[Object]> = manifest::read(path.as_str(), &self.tree.read(path)?)?.into();
        known().insert(path.clone(), objects.clone());
        Ok(objects)
    }

    /// The quickstart that is part of this program; no release is tested with it.
    pub fn embedded() -> Self {
        Self::new("embedded quickstart", None, None, Box::new(EmbeddedTree))
    }

    /// A quickstart in `directory`, in the form of the embedded one; no release is tested with it.
    ///
    /// # Errors
    /// The directory cannot be read, or holds no guide.
    pub fn open_quickstart(directory: &Path) -> Result<Self, ReleaseError> {
        let named = directory.display().to_string();
        let tree = DirectoryTree::open(directory).map_err(|source| ReleaseError::Unreadable {
            directory: named.clone(),
            source,
        })?;
        let layout = Layout::named("embedded")?;
        if !tree.exists(&layout.guide) {
            return Err(ReleaseError::NoQuickstart {
                directory: named,
                guide: layout.guide.to_string(),
            });
        }
        let commit = git::commit(tree.root());
        Ok(Self::new(
            format!("quickstart in {named}"),
            None,
            commit,
            Box::new(tree),
        ))
    }

    /// What `directory` holds: a release, whose tag its files name, or a quickstart in the form of the embedded one.
    ///
    /// # Errors
    /// As [`Release::open_tree`] and [`Release::open_quickstart`]; no file names the tag.
    pub fn open_any(directory: &Path) -> Result<Self, ReleaseError> {
        let named = directory.display().to_string();
        let tree = DirectoryTree::open(directory).map_err(|source| ReleaseError::Unreadable {
            directory: named.clone(),
            source,
        })?;
        if tree.exists(&Layout::named("embedded")?.guide) {
            return Self::open_quickstart(directory);
        }
        match identity::tag_of(&tree)? {
            Some(tag) => Self::open_tree(directory, tag),
            None => Err(ReleaseError::TagUnknown { directory: named }),
        }
    }

    /// The release `tag` from the files in `directory`.
    ///
    /// # Errors
    /// The directory cannot be read, is of another release, or holds no guide; the tag has no known layout.
    pub fn open_tree(directory: &Path, tag: Tag) -> Result<Self, ReleaseError> {
        let named = directory.display().to_string();
        let tree = DirectoryTree::open(directory).map_err(|source| ReleaseError::Unreadable {
            directory: named.clone(),
            source,
        })?;
        if let Some((found, file)) = identity::other_release(&tree, &tag)? {
            return Err(ReleaseError::OtherRelease {
                directory: named,
                wanted: tag.to_string(),
                found: found.to_string(),
                file,
            });
        }
        let layout = Layout::of_tag(&tag)?;
        if !tree.exists(&layout.guide) {
            return Err(ReleaseError::NoGuide {
                directory: named,
                guide: layout.guide.to_string(),
                tag,
            });
        }
        let commit = git::commit(tree.root());
        Ok(Self::new(REPOSITORY, Some(tag), commit, Box::new(tree)))
    }

    /// The layout `name`, or without a name the one that the tag falls in.
    ///
    /// # Errors
    /// There is none.
    pub fn layout(&self, name: Option<&str>) -> Result<Layout, ReleaseError> {
        match (name, &self.tag) {
            (Some(name), _) => Layout::named(name),
            (None, Some(tag)) => Layout::of_tag(tag),
            (None, None) => Layout::named("embedded"),
        }
    }
}
