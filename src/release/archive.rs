//! Reads the archive of a commit, a compressed tar file, into memory.
//!
//! Nothing of it reaches the disk, so a name in it can only be a name in the [`MemoryTree`]. What no archive of git holds
//! (names that climb or are absolute, hard links, devices) is refused as a whole; it was not made by git. A symbolic link
//! to a file of the archive becomes a copy of that file; other links, and names that are no [`RepoPath`], are left out and
//! counted.

use std::{
    borrow::Cow,
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
};

use flate2::read::GzDecoder;
use tar::EntryType;

use super::{MemoryTree, RepoPath, Tree};

/// The most bytes of a name or of an extended header; git's own stay under a few hundred.
const MOST_HEADER_BYTES: u64 = 64 << 10;

/// The most links that are followed to reach a file.
const MOST_LINKS: usize = 8;

/// What an archive may be at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes when uncompressed, headers and copies that links make counted.
    pub(super) bytes: u64,
    /// Entries.
    pub(super) entries: usize,
    /// Bytes of one file.
    pub(super) file_bytes: u64,
}

/// What an archive held.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    /// Its files, without the directory that all of them stand in.
    pub(super) tree: MemoryTree,
    /// The commit that git wrote into it.
    pub(super) commit: Option<String>,
    /// Links and names that were left out.
    pub(super) left_out: usize,
}

/// Why an archive is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It is no compressed tar file, is cut off, or its checksum is wrong.
    #[error("the archive is damaged, cut off, or none at all")]
    Damaged(#[source] io::Error),
    /// It inflates to more than any release has.
    #[error("the archive holds more than {limit} bytes uncompressed, no release has so many")]
    TooManyBytes {
        /// The limit.
        limit: u64,
    },
    /// It holds more entries than any release has.
    #[error("the archive holds more than {limit} entries, no release has so many")]
    TooManyEntries {
        /// The limit.
        limit: usize,
    },
    /// A file or a header in it is larger than any of a release.
    #[error("`{name}` in the archive has {bytes} bytes, no file of a release has so many")]
    EntryTooLarge {
        /// Its name.
        name: String,
        /// Its bytes.
        bytes: u64,
    },
    /// Git makes no such entry.
    #[error("`{name}` in the archive {what}, which git never writes; nothing of it is used")]
    Hostile {
        /// Its name, cut.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Reads an archive to its end.
///
/// # Errors
/// It is damaged, over a limit, or holds what git never writes.
pub(super) fn unpack(bytes: impl Read, limits: &Limits) -> Result<Unpacked, ArchiveError> {
    let over = Cell::new(false);
    let mut inflated = Limited {
        inner: GzDecoder::new(bytes),
        left: limits.bytes,
        over: &over,
    };
    let unpacked = Unpacking::new(limits).all(&mut inflated).and_then(|unpacked| {
        // Only at the end of the compressed stream is its checksum compared.
        io::copy(&mut inflated, &mut io::sink()).map_err(ArchiveError::Damaged)?;
        Ok(unpacked)
    });
    // The tar reader wraps what its source says, so that the source must be asked itself.
    if over.get() {
        return Err(ArchiveError::TooManyBytes { limit: limits.bytes });
    }
    unpacked
}

/// A reader that fails where it would give more than it may.
struct Limited<'a, R> {
    inner: R,
    left: u64,
    over: &'a Cell<bool>,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(read as u64) else {
            self.over.set(true);
            return Err(io::Error::other("over the limit"));
        };
        self.left = left;
        Ok(read)
    }
}

/// What is known while an archive is read.
struct Unpacking<'a> {
    limits: &'a Limits,
    found: Unpacked,
    /// The directory that everything stands in.
    top: Option<String>,
    files: BTreeSet<RepoPath>,
    links: BTreeMap<RepoPath, String>,
    /// Bytes of files, to count copies against the limit.
    bytes: u64,
    /// What headers say of the next entry.
    next: Extended,
}

/// What an extended header says of the entry after it.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

impl<'a> Unpacking<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            found: Unpacked::default(),
            top: None,
            files: BTreeSet::new(),
            links: BTreeMap::new(),
            bytes: 0,
            next: Extended::default(),
        }
    }

    fn all(mut self, source: &mut dyn Read) -> Result<Unpacked, ArchiveError> {
        let mut archive = tar::Archive::new(source);
        // Raw: the library would read headers of any size into memory.
        let entries = archive.entries().map_err(ArchiveError::Damaged)?.raw(true);
        for (count, entry) in entries.enumerate() {
            if count >= self.limits.entries {
                return Err(ArchiveError::TooManyEntries {
                    limit: self.limits.entries,
                });
            }
            self.entry(entry.map_err(ArchiveError::Damaged)?)?;
        }
        self.copy_links()?;
        Ok(self.found)
    }

    fn entry<R: Read>(&mut self, mut entry: tar::Entry<'_, R>) -> Result<(), ArchiveError> {
        match entry.header().entry_type() {
            EntryType::XGlobalHeader => {
                let records = records(&content(&mut entry, MOST_HEADER_BYTES)?);
                let comment = records
                    .into_iter()
                    .find_map(|(key, value)| (key == b"comment").then_some(value));
                let commit = comment.and_then(|value| String::from_utf8(value).ok());
                self.found.commit = commit.filter(|commit| !commit.is_empty());
                Ok(())
            }
            EntryType::XHeader => {
                for (key, value) in records(&content(&mut entry, MOST_HEADER_BYTES)?) {
                    match key.as_slice() {
                        b"path" => self.next.name = Some(value),
                        b"linkpath" => self.next.target = Some(value),
                        b"size" => return Err(hostile(&entry.path_bytes(), "gives its size twice")),
                        _ => {}
                    }
                }
                Ok(())
            }
            EntryType::GNULongName => {
                self.next.name = Some(long_name(&mut entry)?);
                Ok(())
            }
            EntryType::GNULongLink => {
                self.next.target = Some(long_name(&mut entry)?);
                Ok(())
            }
            kind => self.file(kind, &mut entry),
        }
    }

    fn file<R: Read>(&mut self, kind: EntryType, entry: &mut tar::Entry<'_, R>) -> Result<(), ArchiveError> {
        let extended = std::mem::take(&mut self.next);
        let name = extended.name.unwrap_or_else(|| entry.path_bytes().into_owned());
        let path = self.below_top(&name)?;
        match kind {
            EntryType::Directory => Ok(()),
            EntryType::Regular | EntryType::Continuous => {
                let bytes = content(entry, self.limits.file_bytes)?;
                self.bytes += bytes.len() as u64;
                let Some(path) = path else {
                    self.found.left_out += 1;
                    return Ok(());
                };
                if self.links.contains_key(&path) || !self.files.insert(path.clone()) {
                    return Err(hostile(&name, "stands there twice"));
                }
                self.found.tree.insert(path, bytes);
                Ok(())
            }
            EntryType::Symlink => {
                let target = extended.target.or_else(|| entry.link_name_bytes().map(Cow::into_owned));
                let target = target.and_then(|target| String::from_utf8(target).ok());
                let (Some(path), Some(target)) = (path, target) else {
                    self.found.left_out += 1;
                    return Ok(());
                };
                if self.files.contains(&path) || self.links.insert(path, target).is_some() {
                    return Err(hostile(&name, "stands there twice"));
                }
                Ok(())
            }
            EntryType::Link => Err(hostile(&name, "is a hard link")),
            _ => Err(hostile(&name, "is neither file, directory nor link")),
        }
    }

    /// The path below the directory that everything stands in; `None` for that directory itself and for a name that is
    /// no path of ours.
    fn below_top(&mut self, name: &[u8]) -> Result<Option<RepoPath>, ArchiveError> {
        let text = String::from_utf8_lossy(name);
        if text.starts_with('/') {
            return Err(hostile(name, "is an absolute path"));
        }
        let mut parts = text.trim_end_matches('/').split('/');
        if parts.clone().any(|part| part == "..") {
            return Err(hostile(name, "climbs out of its directory"));
        }
        let top = parts.next().unwrap_or_default();
        match &self.top {
            None => self.top = Some(top.to_owned()),
            Some(known) if known == top => {}
            Some(_) => return Err(hostile(name, "stands beside the one directory of the archive")),
        }
        let below: Vec<&str> = parts.collect();
        let is_text = matches!(text, Cow::Borrowed(_));
        Ok(is_text.then(|| below.join("/").parse().ok()).flatten())
    }

    /// Puts in place of each link a copy of the file that it leads to.
    fn copy_links(&mut self) -> Result<(), ArchiveError> {
        for link in self.links.keys() {
            let Some(file) = self.follow(link) else {
                self.found.left_out += 1;
                continue;
            };
            let Ok(bytes) = self.found.tree.read(&file) else {
                continue;
            };
            self.bytes += bytes.len() as u64;
            if self.bytes > self.limits.bytes {
                return Err(ArchiveError::TooManyBytes {
                    limit: self.limits.bytes,
                });
            }
            self.found.tree.insert(link.clone(), bytes);
        }
        Ok(())
    }

    /// The file that a link leads to; `None` where it leads to none in the archive.
    fn follow(&self, link: &RepoPath) -> Option<RepoPath> {
        let mut at = link.clone();
        for _ in 0..MOST_LINKS {
            let target = self.links.get(&at)?;
            at = match at.parent() {
                Some(directory) => directory.join(target).ok()?,
                None => target.parse().ok()?,
            };
            if self.files.contains(&at) {
                return Some(at);
            }
        }
        None
    }
}

/// The content of an entry, whole.
fn content<R: Read>(entry: &mut tar::Entry<'_, R>, most: u64) -> Result<Vec<u8>, ArchiveError> {
    let size = entry.header().entry_size().map_err(ArchiveError::Damaged)?;
    if size > most {
        return Err(ArchiveError::EntryTooLarge {
            name: readable(&entry.path_bytes()),
            bytes: size,
        });
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(ArchiveError::Damaged)?;
    if bytes.len() as u64 != size {
        return Err(ArchiveError::Damaged(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

fn long_name<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Vec<u8>, ArchiveError> {
    let mut name = content(entry, MOST_HEADER_BYTES)?;
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    name.truncate(end);
    Ok(name)
}

/// The records of an extended header, `LENGTH KEY=VALUE\n` each (POSIX.1, pax); what is malformed ends them.
fn records(mut bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut records = Vec::new();
    while let Some(space) = bytes.iter().position(|&byte| byte == b' ') {
        let length = std::str::from_utf8(&bytes[..space])
            .ok()
            .and_then(|digits| digits.parse::<usize>().ok());
        let Some(record) = length.and_then(|length| bytes.get(space + 1..length)) else {
            break;
        };
        let (Some(record), Some(length)) = (record.strip_suffix(b"\n"), length) else {
            break;
        };
        let Some(equals) = record.iter().position(|&byte| byte == b'=') else {
            break;
        };
        records.push((record[..equals].to_vec(), record[equals + 1..].to_vec()));
        bytes = &bytes[length..];
    }
    records
}

fn hostile(name: &[u8], what: &'static str) -> ArchiveError {
    ArchiveError::Hostile {
        name: readable(name),
        what,
    }
}

fn readable(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    text.chars()
        .filter(|character| !character.is_control())
        .take(120)
        .collect()
}

#[cfg(test)]
mod tests;
