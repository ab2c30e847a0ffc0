//! What git knows of a tree.
//!
//! The commit of a checkout is read from git's own files, git itself need not be installed. Everything else, such as tags
//! and ancestry, is asked of the `git` program where it is there: objects lie in packs that are not worth reading ourselves.

use std::path::{Path, PathBuf};

use crate::host::{FileError, files};

mod facts;

pub(super) use facts::{Checkout, Reference};
pub use facts::{CompanionTag, GitFacts, GitTag, OnBranch, Signature, TagKind, TagObject};

/// The most bytes of a file of git's that holds one name, and of the one that holds all.
const MOST_BYTES: (u64, u64) = (4096, 64 << 20);

/// The commit that is checked out in `root`; `None` where it is no git checkout or cannot be told.
///
/// Only `root` itself counts: a plain directory inside some other repository says nothing about the release.
/// Source: gitrepository-layout(5).
pub(super) fn commit(root: &Path) -> Option<String> {
    let directory = git_directory(root)?;
    let head = short_file(&directory.join("HEAD"))?;
    let Some(reference) = head.strip_prefix("ref: ") else {
        return object_id(&head);
    };
    if reference.split('/').any(|part| part == "..") {
        return None;
    }
    let common = common_directory(&directory);
    [&directory, &common]
        .into_iter()
        .find_map(|place| object_id(&short_file(&place.join(reference))?))
        .or_else(|| packed(&common, reference))
}

/// A file that git would wait for, or read without end: a pipe or a device in place of one of its own.
fn unreadable(root: &Path) -> Option<PathBuf> {
    let directory = git_directory(root)?;
    let common = common_directory(&directory);
    let own = ["HEAD", "index", "commondir"].map(|name| directory.join(name));
    let shared = ["config", "packed-refs", "shallow", "info/grafts"].map(|name| common.join(name));
    own.into_iter()
        .chain(shared)
        .find(|path| matches!(files::open(path), Err(FileError::NotRegular { .. })))
}

/// Whether the checkout's history is cut off.
fn is_shallow(root: &Path) -> bool {
    git_directory(root).is_some_and(|directory| common_directory(&directory).join("shallow").exists())
}

/// A linked worktree keeps its own HEAD and shares everything else with the main one.
fn common_directory(directory: &Path) -> PathBuf {
    short_file(&directory.join("commondir")).map_or_else(|| directory.to_owned(), |to| directory.join(to))
}

fn git_directory(root: &Path) -> Option<PathBuf> {
    let dot_git = root.join(".git");
    if dot_git.is_dir() {
        return Some(dot_git);
    }
    let pointer = short_file(&dot_git)?;
    Some(root.join(pointer.strip_prefix("gitdir: ")?))
}

fn packed(common: &Path, reference: &str) -> Option<String> {
    let packed = files::read_text(&common.join("packed-refs"), MOST_BYTES.1).ok()?;
    packed.lines().find_map(|line| {
        let (id, name) = line.split_once(' ')?;
        if name == reference { object_id(id) } else { None }
    })
}

fn short_file(path: &Path) -> Option<String> {
    let text = files::read_text(path, MOST_BYTES.0).ok()?;
    Some(text.trim().to_owned())
}

fn object_id(text: &str) -> Option<String> {
    let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;
    use crate::host::tests::make_pipe;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_detached_head_a_branch_and_a_packed_branch_are_read() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(commit(root), None);
        write(root, ".git/HEAD", &format!("{ID}\n"));
        assert_eq!(commit(root).as_deref(), Some(ID));
        write(root, ".git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(commit(root), None);
        write(
            root,
            ".git/packed-refs",
            &format!("# pack-refs\n{ID} refs/heads/main\n"),
        );
        assert_eq!(commit(root).as_deref(), Some(ID));
        let other = ID.replace('0', "f");
        write(root, ".git/refs/heads/main", &other);
        assert_eq!(commit(root), Some(other));
    }

    /// Each in place of a file of git's: none is waited for, and git is not asked to.
    #[rstest]
    fn what_is_no_regular_file_is_not_read(
        #[values("HEAD", "packed-refs", "commondir", "index", "config")] name: &str,
        #[values("pipe", "endless", "sparse")] kind: &str,
    ) {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, ".git/HEAD", "ref: refs/heads/main");
        write(root, ".git/refs/heads/main", ID);
        let path = root.join(".git").join(name);
        let _ = fs::remove_file(&path);
        match kind {
            "pipe" => make_pipe(&path),
            "endless" => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
            _ => fs::File::create(&path).unwrap().set_len(1 << 40).unwrap(),
        }
        let known = commit(root);
        assert!(known.is_none() || known.as_deref() == Some(ID), "{known:?}");
        assert_eq!(unreadable(root).is_some(), kind != "sparse");
    }

    #[test]
    fn a_checkout_that_is_a_pipe_is_none() {
        let root = tempfile::tempdir().unwrap();
        make_pipe(&root.path().join(".git"));
        assert_eq!(commit(root.path()), None);
    }

    #[test]
    fn a_linked_worktree_is_read() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "main/.git/refs/heads/x", ID);
        write(root, "main/.git/worktrees/w/HEAD", "ref: refs/heads/x\n");
        write(root, "main/.git/worktrees/w/commondir", "../..\n");
        write(
            root,
            "w/.git",
            &format!("gitdir: {}/main/.git/worktrees/w\n", root.display()),
        );
        assert_eq!(commit(&root.join("w")).as_deref(), Some(ID));
    }
}
