//! A release: its tag, its commit, its files, and the layout that says where its guide stands.
//!
//! The tag is fixed before anything else. Nothing here reads a guide or knows what a command means.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

mod archive;
mod artifacts;
mod cache;
mod crds;
mod directory;
mod git;
mod github;
mod guides;
mod identity;
pub(crate) mod kustomization;
mod layout;
mod other;
mod path;
mod published;
mod remote;
mod repository;
pub mod schemas;
mod source;
mod tag;
mod tree;

pub(crate) use artifacts::artifacts;
pub(crate) use crds::BundleError;
pub use git::{CompanionTag, GitFacts, GitTag, OnBranch, Signature, TagKind, TagObject};
pub use github::{PacketError, RemoteError};
pub use layout::{ErrorBody, FlagDialect, Layout, Picker, Placeholder, Servers, Since, TabPattern};
pub(crate) use layout::{FurtherPage, Skip, VariantsAre};
pub(crate) use path::{PathError, RepoPath};
pub use published::{Address, Fetcher, Found, Published};
pub use remote::{Access, Remote, Revision};
pub(crate) use repository::{Repository, Untagged};
pub use source::Source;
pub use tag::{Tag, TagError};
pub use tree::{DirectoryTree, EmbeddedTree, MemoryTree, Tree, TreeError};

use serde_json::Value;

use crate::{
    manifest::{self, ManifestError, Object},
    record::Deviation,
};

/// The repository whose releases are tested where no other is named.
pub const REPOSITORY: &str = "kubernetes-sigs/gateway-api-inference-extension";

/// The objects of a manifest, or why it is none.
type ReadManifest = Result<Arc<[Object]>, ManifestError>;

/// A release that is open for reading: [`Source::open`] opens one.
///
/// ```
/// use quickproof::release::{MemoryTree, Release};
///
/// let mut tree = MemoryTree::default();
/// tree.insert("site-src/guides/index.md".parse()?, "# Getting started\n");
/// let tag = "v1.5.0".parse()?;
/// let release = Release::new(quickproof::release::REPOSITORY, Some(tag), None, Box::new(tree));
///
/// // The layout knows where a release of this tag has its guide.
/// let layout = release.layout(None)?;
/// assert!(release.tree.read(&layout.guide)?.starts_with(b"# Getting started"));
/// # Ok::<_, anyhow::Error>(())
/// ```
#[derive(Debug)]
pub struct Release {
    /// `owner/name`, or `embedded quickstart`.
    pub repository: String,
    /// The tag under test, or `None` for the embedded quickstart.
    pub tag: Option<Tag>,
    /// The commit, where the tree is a git checkout or was fetched.
    pub commit: Option<String>,
    /// What git knows of the tag; `None` for a tree without git, or where git does not answer (a note then says why).
    pub git: Option<GitFacts>,
    /// Its files.
    pub tree: Box<dyn Tree>,
    /// Where the tree is not what its tag says it is, for the ledger of every plan.
    pub deviations: Vec<Deviation>,
    /// The files of other tags that its guide names, where the checkout has these.
    files_of_tags: BTreeMap<String, BTreeSet<String>>,
    /// What a reader should know of how the release was found, such as what told its tag; each a sentence.
    pub notes: Vec<String>,
    /// Manifests of the tree that were read before: one plan after another asks for the same ones.
    read: Mutex<BTreeMap<RepoPath, ReadManifest>>,
    /// The same for files that are one document.
    documents: Mutex<BTreeMap<RepoPath, Result<Arc<Value>, ManifestError>>>,
}

/// Why a release cannot be tested. Found before anything is made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The tag is not a release's tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// It cannot be had from GitHub.
    #[error(transparent)]
    Remote(#[from] RemoteError),
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
    /// What bears no tag lacks the guide of the newest releases.
    #[error(
        "`{directory}` bears no tag and holds no `{guide}`, where the newest releases of `{repository}` keep their guide; say with `--release TAG` which it is"
    )]
    NoGuideOfBranch {
        /// The directory.
        directory: String,
        /// The guide.
        guide: String,
        /// The repository.
        repository: String,
    },
    /// Nothing says which release the tree is of.
    #[error(
        "nothing says which release `{directory}` is of: no tag of git, no file, not its name; add `--release TAG` \
         (a quickstart of your own has a `{quickstart}`)"
    )]
    TagUnknown {
        /// The directory as named.
        directory: String,
        /// The guide's path in a quickstart of one's own.
        quickstart: String,
    },
    /// The directory's name is a tag that none of its files agrees with.
    #[error(
        "the name of `{directory}` says {tag}, and its files say {found} (such as `{file}`); say with `--release TAG` which it is"
    )]
    NameContradicts {
        /// The directory as named.
        directory: String,
        /// The tag of its name.
        tag: String,
        /// The tag that most of its files name.
        found: String,
        /// A file that names it.
        file: RepoPath,
    },
    /// The checkout is not at the tag.
    #[error(
        "`{directory}` is at commit {head}, and {tag} is {commit}; check {tag} out, or leave `--release` out to test the commit as it is"
    )]
    NotTheTag {
        /// The directory as named.
        directory: String,
        /// The tag that was asked for.
        tag: Tag,
        /// The tag's commit.
        commit: String,
        /// The commit that is checked out.
        head: String,
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
    /// The assets of a release that is not published yet cannot be read.
    #[error("cannot read the assets in `{directory}`; give `--artifacts` the directory that they were built into")]
    Artifacts {
        /// The directory as named.
        directory: String,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// No layout is of the repository.
    #[error(
        "no layout is known for releases of `{repository}`; known are those of {known}; a new one is a file in `manifests/layouts`"
    )]
    NoLayoutOf {
        /// The repository asked for.
        repository: String,
        /// The repositories that layouts are of.
        known: String,
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

impl ReleaseError {
    /// Whether the network or a server failed; anything else is an error of use.
    pub fn is_infrastructure(&self) -> bool {
        matches!(self, Self::Remote(error) if error.is_infrastructure())
    }
}

impl Release {
    /// A release from its parts.
    pub fn new(repository: impl Into<String>, tag: Option<Tag>, commit: Option<String>, tree: Box<dyn Tree>) -> Self {
        Self {
            repository: repository.into(),
            tag,
            commit,
            git: None,
            tree,
            deviations: Vec::new(),
            files_of_tags: BTreeMap::new(),
            notes: Vec::new(),
            read: Mutex::default(),
            documents: Mutex::default(),
        }
    }

    /// Whether another tag of the repository has a file or a directory; `None` where nobody looked.
    pub(crate) fn tag_holds(&self, tag: &str, path: &str) -> Option<bool> {
        let files = self.files_of_tags.get(tag)?;
        let below = format!("{}/", path.trim_end_matches('/'));
        Some(files.iter().any(|file| file == path || file.starts_with(&below)))
    }

    /// The objects of one manifest of the tree, in order.
    ///
    /// # Errors
    /// The file is missing or no manifest.
    pub(crate) fn objects(&self, path: &RepoPath) -> Result<Arc<[Object]>, ReleaseError> {
        let known = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = known().get(path) {
            return Ok(read.clone()?);
        }
        let read = manifest::read(path.as_str(), &self.tree.read(path)?).map(Arc::from);
        known().insert(path.clone(), read.clone());
        Ok(read?)
    }

    /// A file of the tree that is one YAML document, such as a chart's values; each is read once.
    ///
    /// # Errors
    /// The file is missing or no YAML.
    pub(crate) fn document(&self, path: &RepoPath) -> Result<Arc<Value>, ReleaseError> {
        let known = || self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = known().get(path) {
            return Ok(read.clone()?);
        }
        let read = manifest::document(path.as_str(), &self.tree.read(path)?).map(Arc::new);
        known().insert(path.clone(), read.clone());
        Ok(read?)
    }

    /// The objects of the CRD bundle, as `kubectl kustomize config/crd` builds it; each file is read once.
    ///
    /// # Errors
    /// A file is missing or broken, or the kustomization has a field that is not understood.
    pub(crate) fn crd_bundle(&self) -> Result<Vec<Object>, BundleError> {
        let read = |file: &RepoPath| {
            self.objects(file).map_err(|error| match error {
                ReleaseError::Tree(error) => BundleError::Tree(error),
                ReleaseError::Manifest(error) => BundleError::Manifest(error),
                // Reading a file has no other way to fail.
                _ => BundleError::Tree(TreeError::Missing { path: file.clone() }),
            })
        };
        crds::crd_bundle(self.tree.as_ref(), &read)
    }

    /// The quickstart that is part of this program; no release is tested with it. Others are opened by [`Source::open`].
    pub fn embedded() -> Self {
        Self::new("embedded quickstart", None, None, Box::new(EmbeddedTree))
    }

    /// What bears no tag: a branch of a repository, read as the newest release is laid out.
    fn of_branch(
        repository: String,
        commit: Option<String>,
        named: &str,
        tree: Box<dyn Tree>,
    ) -> Result<Self, ReleaseError> {
        let Some(layout) = Layout::newest(&repository)? else {
            return Err(ReleaseError::TagUnknown {
                directory: named.to_owned(),
                quickstart: Layout::named("embedded")?.guide.to_string(),
            });
        };
        if !tree.exists(&layout.guide) {
            return Err(ReleaseError::NoGuideOfBranch {
                directory: named.to_owned(),
                guide: layout.guide.to_string(),
                repository,
            });
        }
        let mut release = Self::new(repository, None, commit, tree);
        let name = &layout.name;
        release.notes.push(format!(
            "nothing says which release the tree is of, so it is read as a branch, laid out as the newest release (`{name}`)"
        ));
        Ok(release)
    }

    /// A release whose files are known to be the wanted ones; `named` is how the tree is called in errors.
    fn with_guide(
        repository: String,
        tag: Tag,
        commit: Option<String>,
        named: &str,
        tree: Box<dyn Tree>,
    ) -> Result<Self, ReleaseError> {
        let layout = Layout::of_tag(&repository, &tag)?;
        if !layout.guide_tree(tree.as_ref()).exists(&layout.guide) {
            return Err(ReleaseError::NoGuide {
                directory: named.to_owned(),
                guide: layout.guide.to_string(),
                tag,
            });
        }
        Ok(Self::new(repository, Some(tag), commit, tree))
    }

    /// The layout `name`, or without a name the one that the tag falls in.
    ///
    /// # Errors
    /// There is none.
    pub fn layout(&self, name: Option<&str>) -> Result<Layout, ReleaseError> {
        match (name, &self.tag) {
            (Some(name), _) => Layout::named(name),
            (None, Some(tag)) => Layout::of_tag(&self.repository, tag),
            (None, None) if let Some(newest) = Layout::newest(&self.repository)? => Ok(newest),
            (None, None) => Layout::named("embedded"),
        }
    }
}
