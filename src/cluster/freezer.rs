//! Lets the processes of a dying node die, on cgroup v1.
//!
//! There runc freezes a container's processes while it sets their devices. Is the node killed in that moment, runc dies
//! before it thaws them; frozen processes cannot die, and the engine gives up on the container. cgroup v2 kills what is
//! frozen, so this file can go when nothing runs on version 1 any more.

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use crate::host::Host;

/// Carries `dying` out, and thaws what is frozen in the container meanwhile. Where there is nothing to thaw, or we may
/// not, it only carries `dying` out.
pub(super) async fn thawing<T>(host: &Host, container: &str, dying: impl Future<Output = T>) -> T {
    let Some(freezer) = freezer_of(host, container).await else {
        return dying.await;
    };
    let mut dying = pin!(dying);
    let mut again = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            ended = &mut dying => return ended,
            _ = again.tick() => thaw(&freezer),
        }
    }
}

/// The container's directory in the freezer hierarchy of this machine; `None` on cgroup v2.
async fn freezer_of(host: &Host, container: &str) -> Option<PathBuf> {
    let root = Path::new("/sys/fs/cgroup/freezer");
    if !root.is_dir() {
        return None;
    }
    let id = host
        .docker(["inspect", "--format", "{{.Id}}", container])
        .await
        .ok()?
        .text();
    directory_of(root, &id)
}

/// The directory named by a container's id, as `docker/ID` or `system.slice/docker-ID.scope`. Not by its process: one
/// that is dying is in no group any more. Ids are long enough that those of an engine elsewhere name nothing here.
fn directory_of(root: &Path, id: &str) -> Option<PathBuf> {
    let below: Vec<PathBuf> = directories(root).collect();
    let named = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().contains(id)
    };
    let found = (id.len() == 64).then(|| below.iter().find(named)).flatten();
    found
        .cloned()
        .or_else(|| below.iter().find_map(|path| directory_of(path, id)))
}

fn directories(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

fn thaw(directory: &Path) {
    for below in directories(directory) {
        thaw(&below);
    }
    let state = directory.join("freezer.state");
    if fs::read_to_string(&state).is_ok_and(|now| now.trim() != "THAWED") {
        // Not being allowed to is told by the engine: the container does not die.
        let _ = fs::write(&state, "THAWED");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_found_by_its_id_whatever_the_engine_calls_its_group() {
        let (root, id) = (tempfile::tempdir().unwrap(), "ab".repeat(32));
        let group = root.path().join(format!("system.slice/docker-{id}.scope"));
        fs::create_dir_all(group.join("kubelet.slice")).unwrap();
        assert_eq!(directory_of(root.path(), &id), Some(group));
        assert_eq!(directory_of(root.path(), &"cd".repeat(32)), None);
        assert_eq!(directory_of(root.path(), ""), None);
    }

    #[test]
    fn everything_below_is_thawed() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("freezer.state"), "FROZEN\n").unwrap();
        thaw(root.path());
        assert_eq!(fs::read_to_string(deep.join("freezer.state")).unwrap(), "THAWED");
    }
}
