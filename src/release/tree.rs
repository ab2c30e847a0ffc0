//! The files of a release, wherever they are kept.

use std::{
    collections::{BTreeMap, HashSet},
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use super::RepoPath;
use crate::host::{FileError, files};

/// The most bytes of one file that are read.
pub(super) const MOST_BYTES: u64 = 32 << 20;

/// The most files that are listed below one directory.
const MOST_FILES: usize = 20_000;

/// Files of a release, read only.
pub trait Tree: fmt::Debug + Send + Sync {
    /// The bytes of a file.
    ///
    /// # Errors
    /// It does not exist, leaves the tree through a symbolic link, or cannot be read.
    fn read(&self, path: &RepoPath) -> Result<Vec<u8>, TreeError>;

    /// Every file below a directory, at any depth, sorted; symbolic links to directories are not followed.
    ///
    /// # Errors
    /// It does not exist or cannot be read.
    fn list(&self, directory: &RepoPath) -> Result<Vec<RepoPath>, TreeError>;

    /// Every file of the tree, at any depth, sorted; what git keeps for itself (`.git`) is left out.
    ///
    /// # Errors
    /// It cannot be read.
    fn all(&self) -> Result<Vec<RepoPath>, TreeError>;

    /// Whether there is a file of this name.
    fn exists(&self, path: &RepoPath) -> bool;

    /// Copies a directory to disk: its files, at any depth, below `to`, which is made.
    ///
    /// Programs that need files (helm) get a copy, because they write beside what they read.
    ///
    /// # Errors
    /// A file cannot be read or written.
    fn materialize(&self, directory: &RepoPath, to: &Path) -> Result<(), TreeError> {
        for path in self.list(directory)? {
            let below = path.as_str().strip_prefix(directory.as_str()).unwrap_or_default();
            let target = to.join(below.trim_start_matches('/'));
            let bytes = self.read(&path)?;
            let write = || {
                if let Some(parent) = target.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::write(&target, bytes)
            };
            write().map_err(|source| TreeError::Write {
                path: target.display().to_string(),
                source,
            })?;
        }
        Ok(())
    }
}

/// Why a file of a tree could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// There is no such file or directory.
    #[error("the release has no `{path}`")]
    Missing {
        /// The path.
        path: RepoPath,
    },
    /// A symbolic link leads out of the tree.
    #[error("`{path}` leads out of the tree; only files inside it are read")]
    Outside {
        /// The path.
        path: RepoPath,
    },
    /// The file or the directory is larger than any of a release.
    #[error("`{path}` is too large ({what}); is this the tree of a release?")]
    TooLarge {
        /// The path.
        path: RepoPath,
        /// Its size in words.
        what: String,
    },
    /// It cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The path.
        path: RepoPath,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// A copy cannot be written.
    #[error("cannot write `{path}`")]
    Write {
        /// The path on disk.
        path: String,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
}

/// A tree that is a directory on disk.
#[derive(Debug)]
pub struct DirectoryTree {
    /// Absolute, without symbolic links.
    root: PathBuf,
    /// Directories below it that were seen to be reached without symbolic links, so that nobody looks again.
    plain: RwLock<HashSet<RepoPath>>,
}

impl DirectoryTree {
    /// Opens a directory.
    ///
    /// # Errors
    /// It does not exist, is no directory, or cannot be read.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let root = directory.canonicalize()?;
        fs::read_dir(&root)?;
        Ok(Self {
            root,
            plain: RwLock::default(),
        })
    }

    /// The directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The real place of a path: links followed, and refused where they lead out of the tree.
    fn locate(&self, path: &RepoPath) -> Result<PathBuf, TreeError> {
        let plain = self.root.join(path.as_str());
        let parent_is_plain = path.parent().is_none_or(|parent| self.is_plain(&parent));
        if parent_is_plain && plain.symlink_metadata().is_ok_and(|found| !found.is_symlink()) {
            return Ok(plain);
        }
        let real = self
            .root
            .join(path.as_str())
            .canonicalize()
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => TreeError::Missing { path: path.clone() },
                _ => TreeError::Read {
                    path: path.clone(),
                    source,
                },
            })?;
        if real.starts_with(&self.root) {
            return Ok(real);
        }
        Err(TreeError::Outside { path: path.clone() })
    }

    /// Whether a directory is one, and no part of its path a symbolic link. Each is looked at once, however many files
    /// are below it: with a look at every part of every path a deep tree would take minutes.
    fn is_plain(&self, directory: &RepoPath) -> bool {
        let known = |path: &RepoPath| self.plain.read().unwrap_or_else(PoisonError::into_inner).contains(path);
        let unknown = std::iter::successors(Some(directory.clone()), RepoPath::parent).take_while(|path| !known(path));
        let unknown: Vec<RepoPath> = unknown.collect();
        for path in unknown.into_iter().rev() {
            let found = self.root.join(path.as_str()).symlink_metadata();
            if !found.is_ok_and(|found| found.is_dir()) {
                return false;
            }
            self.plain.write().unwrap_or_else(PoisonError::into_inner).insert(path);
        }
        true
    }

    fn walk(&self, directory: &RepoPath, found: &mut Vec<RepoPath>) -> Result<(), TreeError> {
        self.enter(
            &self.locate(directory)?,
            directory,
            &|name| directory.join(name).ok(),
            found,
        )
    }

    /// Adds every file below a directory; `named` is the path of an entry, `directory` is what errors name.
    fn enter(
        &self,
        real: &Path,
        directory: &RepoPath,
        named: &dyn Fn(&str) -> Option<RepoPath>,
        found: &mut Vec<RepoPath>,
    ) -> Result<(), TreeError> {
        let broken = |source| TreeError::Read {
            path: directory.clone(),
            source,
        };
        for entry in fs::read_dir(real).map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let Some(path) = entry.file_name().to_str().and_then(named) else {
                continue;
            };
            if found.len() >= MOST_FILES {
                return Err(TreeError::TooLarge {
                    path: directory.clone(),
                    what: format!("more than {MOST_FILES} files"),
                });
            }
            match entry.file_type().map_err(broken)? {
                // No link, in a directory that is none: it is where it seems to be.
                kind if kind.is_dir() => {
                    let below = real.join(entry.file_name());
                    self.enter(&below, &path, &|name| path.join(name).ok(), found)?;
                }
                kind if kind.is_file() || self.exists(&path) => found.push(path),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Tree for DirectoryTree {
    fn read(&self, path: &RepoPath) -> Result<Vec<u8>, TreeError> {
        let path = path.clone();
        files::read(&self.locate(&path)?, MOST_BYTES).map_err(|error| match error {
            FileError::TooLarge { most, .. } => TreeError::TooLarge {
                path,
                what: format!("more than {most} bytes"),
            },
            FileError::Unreadable { source, .. } => TreeError::Read { path, source },
            FileError::Missing { .. }
            | FileError::NotRegular { .. }
            | FileError::Heavy { .. }
            | FileError::NotText { .. } => TreeError::Missing { path },
        })
    }

    fn list(&self, directory: &RepoPath) -> Result<Vec<RepoPath>, TreeError> {
        let mut found = Vec::new();
        self.walk(directory, &mut found)?;
        found.sort();
        Ok(found)
    }

    fn all(&self) -> Result<Vec<RepoPath>, TreeError> {
        let mut found = Vec::new();
        let named = |name: &str| (name != ".git").then(|| name.parse().ok())?;
        self.enter(&self.root, &RepoPath::root(), &named, &mut found)?;
        found.sort();
        Ok(found)
    }

    fn exists(&self, path: &RepoPath) -> bool {
        self.locate(path).is_ok_and(|real| real.is_file())
    }
}

/// A tree that is held in memory, such as one that was fetched, or one that a test writes.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree(BTreeMap<RepoPath, Vec<u8>>);

impl MemoryTree {
    /// Puts a file in; one of the same name is replaced.
    pub fn insert(&mut self, path: RepoPath, bytes: impl Into<Vec<u8>>) {
        self.0.insert(path, bytes.into());
    }
}

impl Tree for MemoryTree {
    fn read(&self, path: &RepoPath) -> Result<Vec<u8>, TreeError> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| TreeError::Missing { path: path.clone() })
    }

    fn list(&self, directory: &RepoPath) -> Result<Vec<RepoPath>, TreeError> {
        let below = format!("{directory}/");
        let found: Vec<RepoPath> = self
            .0
            .keys()
            .filter(|path| path.as_str().starts_with(&below))
            .cloned()
            .collect();
        if found.is_empty() {
            return Err(TreeError::Missing {
                path: directory.clone(),
            });
        }
        Ok(found)
    }

    fn all(&self) -> Result<Vec<RepoPath>, TreeError> {
        Ok(self.0.keys().cloned().collect())
    }

    fn exists(&self, path: &RepoPath) -> bool {
        self.0.contains_key(path)
    }
}

/// The files of the quickstart that is part of this program.
#[derive(Debug)]
pub struct EmbeddedTree;

#[derive(rust_embed::RustEmbed)]
#[folder = "manifests/quickstart"]
struct Quickstart;

impl Tree for EmbeddedTree {
    fn read(&self, path: &RepoPath) -> Result<Vec<u8>, TreeError> {
        let file = Quickstart::get(path.as_str()).ok_or_else(|| TreeError::Missing { path: path.clone() })?;
        Ok(file.data.into_owned())
    }

    fn list(&self, directory: &RepoPath) -> Result<Vec<RepoPath>, TreeError> {
        let below = format!("{directory}/");
        let mut found: Vec<RepoPath> = Quickstart::iter()
            .filter(|name| name.starts_with(&below))
            .filter_map(|name| name.parse().ok())
            .collect();
        found.sort();
        if found.is_empty() {
            return Err(TreeError::Missing {
                path: directory.clone(),
            });
        }
        Ok(found)
    }

    fn all(&self) -> Result<Vec<RepoPath>, TreeError> {
        let mut found: Vec<RepoPath> = Quickstart::iter().filter_map(|name| name.parse().ok()).collect();
        found.sort();
        Ok(found)
    }

    fn exists(&self, path: &RepoPath) -> bool {
        Quickstart::get(path.as_str()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RepoPath {
        text.parse().unwrap()
    }

    #[test]
    fn a_directory_is_listed_read_and_copied_and_links_out_of_it_are_refused() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "s").unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("a/b")).unwrap();
        fs::write(directory.path().join("a/b/one"), "1").unwrap();
        fs::write(directory.path().join("a/two"), "2").unwrap();
        std::os::unix::fs::symlink(outside.path(), directory.path().join("a/out")).unwrap();
        std::os::unix::fs::symlink("two", directory.path().join("a/within")).unwrap();
        let tree = DirectoryTree::open(directory.path()).unwrap();

        let names: Vec<String> = tree.list(&path("a")).unwrap().iter().map(RepoPath::to_string).collect();
        assert_eq!(names, ["a/b/one", "a/two", "a/within"]);
        fs::create_dir(directory.path().join(".git")).unwrap();
        fs::write(directory.path().join(".git/HEAD"), "h").unwrap();
        fs::write(directory.path().join("top"), "t").unwrap();
        let all: Vec<String> = tree.all().unwrap().iter().map(RepoPath::to_string).collect();
        assert_eq!(all, ["a/b/one", "a/two", "a/within", "top"]);
        assert_eq!(tree.read(&path("a/within")).unwrap(), b"2");
        assert!(matches!(
            tree.read(&path("a/out/secret")),
            Err(TreeError::Outside { .. })
        ));
        assert!(matches!(tree.read(&path("a/none")), Err(TreeError::Missing { .. })));
        assert!(matches!(tree.read(&path("a")), Err(TreeError::Missing { .. })));
        assert!(!tree.exists(&path("a/out/secret")));

        let copy = tempfile::tempdir().unwrap();
        tree.materialize(&path("a"), &copy.path().join("c")).unwrap();
        assert_eq!(fs::read(copy.path().join("c/b/one")).unwrap(), b"1");
    }

    /// Each part of a path was looked at again for every file: 800 deep took a minute.
    #[test]
    fn a_deep_tree_is_listed_and_read_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut place = directory.path().to_owned();
        for _ in 0..1000 {
            place.push("d");
            fs::create_dir(&place).unwrap();
            fs::write(place.join("f"), "f").unwrap();
        }
        let begun = std::time::Instant::now();
        let tree = DirectoryTree::open(directory.path()).unwrap();
        let all = tree.all().unwrap();
        assert_eq!(all.len(), 1000);
        assert!(all.iter().all(|path| tree.read(path).unwrap() == b"f"));
        // Milliseconds in truth; what was mended took minutes.
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(10),
            "{:?}",
            begun.elapsed()
        );
    }

    #[test]
    fn a_link_in_the_middle_of_a_path_is_still_followed_and_refused_outside() {
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir(outside.path().join("d")).unwrap();
        fs::write(outside.path().join("d/secret"), "s").unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("a/d")).unwrap();
        fs::write(directory.path().join("a/d/f"), "f").unwrap();
        std::os::unix::fs::symlink("a", directory.path().join("inside")).unwrap();
        std::os::unix::fs::symlink(outside.path(), directory.path().join("outside")).unwrap();
        let tree = DirectoryTree::open(directory.path()).unwrap();
        for _ in 0..2 {
            assert_eq!(tree.read(&path("a/d/f")).unwrap(), b"f");
            assert_eq!(tree.read(&path("inside/d/f")).unwrap(), b"f");
            assert!(matches!(
                tree.read(&path("outside/d/secret")),
                Err(TreeError::Outside { .. })
            ));
        }
    }

    #[test]
    fn a_tree_in_memory_is_read_and_listed_as_one_on_disk_is() {
        let mut tree = MemoryTree::default();
        tree.insert(path("a/b/one"), "1");
        tree.insert(path("ab/two"), "2");
        assert_eq!(tree.list(&path("a")).unwrap(), [path("a/b/one")]);
        assert!(matches!(tree.list(&path("b")), Err(TreeError::Missing { .. })));
        assert!(matches!(tree.read(&path("a/b")), Err(TreeError::Missing { .. })));
        assert_eq!(tree.read(&path("ab/two")).unwrap(), b"2");
        assert!(tree.exists(&path("a/b/one")) && !tree.exists(&path("a")));
    }

    #[test]
    fn what_is_no_directory_cannot_be_opened() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(DirectoryTree::open(file.path()).is_err());
        assert!(DirectoryTree::open(&file.path().join("none")).is_err());
    }

    #[test]
    fn the_embedded_quickstart_has_its_guide() {
        assert!(EmbeddedTree.exists(&path("guide.md")));
        assert!(matches!(
            EmbeddedTree.list(&path("none")),
            Err(TreeError::Missing { .. })
        ));
    }
}
