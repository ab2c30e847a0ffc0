//! Where made things are kept: the layout of `images/` and `programs/` below the cache directory.
//!
//! Each thing lies under the key of what it is made from and appears there whole, by a rename. A key that is there is
//! never made again, and an interrupted build leaves only files with a name of their own behind.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::ImagesError;
use crate::host::{Host, files};

/// The most bytes of what is written of a thing.
const MOST_RECORD: u64 = 64 << 20;

/// The directories of the cache.
#[derive(Debug, Clone)]
pub(super) struct Store {
    root: PathBuf,
    programs: PathBuf,
}

/// Names what goes wrong with a file.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> ImagesError {
    let path = path.to_owned();
    move |source| ImagesError::File { path, source }
}

impl Store {
    pub(super) fn of(host: &Host) -> Self {
        let cache = host.cache_directory();
        Self {
            root: cache.join("images"),
            programs: cache.join("programs"),
        }
    }

    /// What is unpacked or compiled, one directory a part.
    pub(super) fn parts(&self) -> PathBuf {
        self.root.join("parts")
    }

    /// Layers, configurations and manifests, each by its digest.
    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// A directory of small JSON files that say what was made: `layers`, `images`, `seen`.
    pub(super) fn records(&self, kind: &str) -> PathBuf {
        self.root.join(kind)
    }

    /// The registry's own data.
    pub(super) fn registry(&self) -> PathBuf {
        self.root.join("registry")
    }

    /// Where one build works: stays, since compilers keep paths and package tools keep lists.
    pub(super) fn work(&self, name: &str) -> PathBuf {
        self.root.join("work").join(name)
    }

    /// Programs for the host, ready to run.
    pub(super) fn programs(&self) -> &Path {
        &self.programs
    }

    /// The path of the blob with this digest, `sha256:…`.
    pub(super) fn blob(&self, digest: &str) -> PathBuf {
        self.blobs().join(digest.trim_start_matches("sha256:"))
    }

    /// Reads what was written of a thing, or `None`, also where it cannot be read: then it is made again.
    pub(super) fn recall<T: DeserializeOwned>(&self, kind: &str, key: &str) -> Option<T> {
        let bytes = files::read(&self.records(kind).join(format!("{key}.json")), MOST_RECORD).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes what there is to know of a thing, whole or not at all.
    pub(super) fn remember<T: Serialize>(&self, kind: &str, key: &str, value: &T) -> Result<(), ImagesError> {
        let path = self.records(kind).join(format!("{key}.json"));
        write_whole(&path, &serde_json::to_vec_pretty(value)?)
    }

    /// Keeps `bytes` as a blob and returns its digest.
    pub(super) fn keep_blob(&self, bytes: &[u8]) -> Result<String, ImagesError> {
        let digest = sha256(bytes);
        let path = self.blob(&digest);
        if !path.exists() {
            write_whole(&path, bytes)?;
        }
        Ok(digest)
    }

    /// Waits until no other process makes things in this cache, and keeps others out until the file is dropped.
    pub(super) async fn lock(&self) -> Result<fs::File, ImagesError> {
        let path = self.root.join("lock");
        fs::create_dir_all(&self.root).map_err(at(&self.root))?;
        let opened = path.clone();
        let locked = tokio::task::spawn_blocking(move || {
            let file = fs::File::create(&opened)?;
            file.lock()?;
            Ok::<_, io::Error>(file)
        });
        let locked = locked.await.map_err(|_| ImagesError::Stopped)?.map_err(at(&path))?;
        self.sweep();
        Ok(locked)
    }

    /// Removes what an interrupted build left unfinished. Only who holds the lock makes anything, so nobody needs it.
    fn sweep(&self) {
        for directory in [self.parts(), self.blobs()] {
            let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
            for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with('.')) {
                // What cannot be removed only takes room.
                let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
            }
        }
    }
}

/// Writes a file whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ImagesError> {
    write(path, bytes, None)
}

/// Writes a program that everybody may run, whole or not at all.
pub(super) fn write_whole_program(path: &Path, bytes: &[u8]) -> Result<(), ImagesError> {
    write(path, bytes, Some(0o755))
}

fn write(path: &Path, bytes: &[u8], mode: Option<u32>) -> Result<(), ImagesError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory).map_err(at(directory))?;
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(at(path))?;
    io::Write::write_all(&mut file, bytes).map_err(at(path))?;
    if let Some(mode) = mode {
        let permissions = fs::Permissions::from_mode(mode);
        file.as_file().set_permissions(permissions).map_err(at(path))?;
    }
    file.persist(path).map_err(|error| at(path)(error.error))?;
    Ok(())
}

/// The digest of bytes, as registries write it: `sha256:…`.
pub(super) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// A key of what something is made from: the first 16 hexadecimal digits of the SHA-256 of its JSON form.
pub(super) fn key_of<T: Serialize>(value: &T) -> Result<String, ImagesError> {
    let digest = Sha256::digest(serde_json::to_vec(value)?);
    let mut key = format!("{digest:x}");
    key.truncate(16);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_an_interrupted_build_left_is_swept_away_and_what_is_whole_stays() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::of(&Host::with_variables([(
            "XDG_CACHE_HOME",
            directory.path().to_str().unwrap(),
        )]));
        fs::create_dir_all(store.parts().join(".epp-1-x")).unwrap();
        fs::create_dir_all(store.parts().join("epp-1")).unwrap();
        drop(store.lock().await.unwrap());
        let left: Vec<_> = fs::read_dir(store.parts())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["epp-1"]);
    }

    #[test]
    fn keys_differ_where_what_they_are_made_from_differs() {
        let one = key_of(&("recipe", ["a", "b"])).unwrap();
        assert_eq!(one.len(), 16);
        assert_eq!(one, key_of(&("recipe", ["a", "b"])).unwrap());
        assert_ne!(one, key_of(&("recipe", ["a", "c"])).unwrap());
    }

    #[test]
    fn what_is_remembered_is_recalled_and_rubbish_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::with_variables([("XDG_CACHE_HOME", directory.path().to_str().unwrap())]);
        let store = Store::of(&host);
        assert_eq!(store.recall::<String>("layers", "k"), None);
        store.remember("layers", "k", &"there").unwrap();
        assert_eq!(store.recall::<String>("layers", "k").as_deref(), Some("there"));
        fs::write(store.records("layers").join("k.json"), "{").unwrap();
        assert_eq!(store.recall::<String>("layers", "k"), None);
    }
}
