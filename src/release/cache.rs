//! What was fetched, kept by content below `$XDG_CACHE_HOME/quickproof/releases`.
//!
//! A thing lies in `blobs/` under its digest; `index/` says which blob was found under which name, and when. Both appear
//! whole, by a rename. A blob that no longer has its digest is taken for missing, and fetched anew.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::host::{Host, files};

/// The most bytes of what was fetched, which is more than of anything that is fetched.
const MOST_BYTES: u64 = 128 << 20;

/// The most bytes of what is said of it.
const MOST_ENTRY: u64 = 64 << 10;

/// Responses that were fetched, kept on disk.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
}

/// A response that was fetched, kept on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CachedResponse {
    /// The status it was answered with.
    pub(super) status: u16,
    /// When it was fetched.
    pub(super) at: jiff::Timestamp,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    status: u16,
    at: jiff::Timestamp,
    digest: String,
}

impl Cache {
    pub(super) fn of(host: &Host) -> Self {
        Self {
            root: host.cache_directory().join("releases"),
        }
    }

    /// What was found under a name the last time; `None` where it never was, or no longer is what it was.
    pub(super) fn recall(&self, name: &str) -> Option<CachedResponse> {
        let entry: Entry = serde_json::from_slice(&files::read(&self.entry(name), MOST_ENTRY).ok()?).ok()?;
        let is_digest = entry.digest.len() == 64 && entry.digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if entry.name != name || !is_digest {
            return None;
        }
        let bytes = files::read(&self.blob(&entry.digest), MOST_BYTES).ok()?;
        (digest(&bytes) == entry.digest).then_some(CachedResponse {
            status: entry.status,
            at: entry.at,
            bytes,
        })
    }

    /// Keeps what was found under a name.
    pub(super) fn keep(&self, name: &str, kept: &CachedResponse) -> io::Result<()> {
        let digest = digest(&kept.bytes);
        // Written anew also where it is there: it may be there damaged.
        write_whole(&self.blob(&digest), &kept.bytes)?;
        let entry = Entry {
            name: name.to_owned(),
            status: kept.status,
            at: kept.at,
            digest,
        };
        write_whole(&self.entry(name), &serde_json::to_vec_pretty(&entry)?)
    }

    fn entry(&self, name: &str) -> PathBuf {
        self.root
            .join("index")
            .join(format!("{}.json", digest(name.as_bytes())))
    }

    fn blob(&self, digest: &str) -> PathBuf {
        self.root.join("blobs").join(digest)
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(directory: &Path) -> Cache {
        Cache::of(&Host::with_variables([("XDG_CACHE_HOME", directory.to_str().unwrap())]))
    }

    fn kept(bytes: &[u8]) -> CachedResponse {
        CachedResponse {
            status: 200,
            at: jiff::Timestamp::UNIX_EPOCH,
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn what_is_kept_is_recalled_until_it_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache(directory.path());
        assert_eq!(cache.recall("a"), None);
        cache.keep("a", &kept(b"one")).unwrap();
        cache.keep("b", &kept(b"one")).unwrap();
        cache.keep("a", &kept(b"two")).unwrap();
        assert_eq!(cache.recall("a"), Some(kept(b"two")));
        assert_eq!(cache.recall("b"), Some(kept(b"one")));
    }

    #[test]
    fn what_is_no_regular_file_or_too_large_is_taken_for_missing() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache(directory.path());
        cache.keep("a", &kept(b"one")).unwrap();
        for place in [cache.blob(&digest(b"one")), cache.entry("a")] {
            let before = fs::read(&place).unwrap();
            fs::remove_file(&place).unwrap();
            crate::host::tests::make_pipe(&place);
            assert_eq!(cache.recall("a"), None);
            fs::remove_file(&place).unwrap();
            fs::File::create(&place).unwrap().set_len(3 << 30).unwrap();
            assert_eq!(cache.recall("a"), None);
            fs::write(&place, before).unwrap();
            assert_eq!(cache.recall("a"), Some(kept(b"one")));
        }
    }

    #[test]
    fn what_is_damaged_is_taken_for_missing_and_can_be_kept_anew() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache(directory.path());
        cache.keep("a", &kept(b"one")).unwrap();
        fs::write(cache.blob(&digest(b"one")), "On").unwrap();
        assert_eq!(cache.recall("a"), None);
        cache.keep("a", &kept(b"one")).unwrap();
        assert_eq!(cache.recall("a"), Some(kept(b"one")));
        fs::write(cache.entry("a"), "{").unwrap();
        assert_eq!(cache.recall("a"), None);
    }
}
