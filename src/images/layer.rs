//! Writes the layers of images as the OCI image specification 1.1 has them: compressed tars.
//!
//! The same files give the same digests: entries are sorted and times are zero.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    ImagesError,
    store::{Store, at},
};
use crate::host::files;

/// The files of one layer, by their path without the leading slash.
#[derive(Debug, Default)]
pub(super) struct Layer {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    what: What,
    mode: u32,
    user: u64,
    group: u64,
}

#[derive(Debug)]
enum What {
    Directory,
    File(Content),
    Link(PathBuf),
    HardLink(PathBuf),
}

/// What is in a file of a layer.
#[derive(Debug)]
pub(super) enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The bytes of a file.
    Whole(PathBuf),
    /// Some bytes of a file, as of an uncompressed archive.
    Section { path: PathBuf, from: u64, length: u64 },
}

/// A layer in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PackedLayer {
    /// Digest of the compressed layer.
    pub(crate) digest: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Digest of the layer as a tar, which the image configuration names.
    pub(crate) diff_id: String,
}

impl Layer {
    /// Adds a directory.
    pub(super) fn directory(&mut self, path: &str, mode: u32) {
        self.put(path, What::Directory, mode);
    }

    /// Adds a file.
    pub(super) fn file(&mut self, path: &str, content: Content, mode: u32) {
        self.put(path, What::File(content), mode);
    }

    /// Adds a symbolic link.
    pub(super) fn link(&mut self, path: &str, target: impl Into<PathBuf>) {
        self.put(path, What::Link(target.into()), 0o777);
    }

    fn put(&mut self, path: &str, what: What, mode: u32) {
        let path = path.trim_matches('/');
        let parents = path.char_indices().filter(|(_, letter)| *letter == '/');
        for parent in parents.map(|(end, _)| path[..end].to_owned()) {
            self.entries.entry(parent).or_insert(Entry {
                what: What::Directory,
                mode: 0o755,
                user: 0,
                group: 0,
            });
        }
        let entry = Entry {
            what,
            mode,
            user: 0,
            group: 0,
        };
        if !path.is_empty() {
            self.entries.insert(path.to_owned(), entry);
        }
    }

    /// Adds the entries of an uncompressed tar, with their owners and rights, but for those that `leave_out` matches.
    /// Device files are left out: a container gets its own.
    pub(super) fn archive(&mut self, tar_file: &Path, leave_out: &[String]) -> io::Result<()> {
        let mut archive = tar::Archive::new(files::open(tar_file)?);
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let path = entry.path()?.to_string_lossy().into_owned();
            let path = path.trim_start_matches("./").trim_matches('/').to_owned();
            if path.is_empty() || leave_out.iter().any(|pattern| matches(pattern, &path)) {
                continue;
            }
            let target = entry.link_name()?.map(std::borrow::Cow::into_owned).unwrap_or_default();
            let header = entry.header();
            let what = match header.entry_type() {
                tar::EntryType::Directory => What::Directory,
                tar::EntryType::Symlink => What::Link(target),
                tar::EntryType::Link => What::HardLink(target),
                tar::EntryType::Regular | tar::EntryType::Continuous => What::File(Content::Section {
                    path: tar_file.to_owned(),
                    from: entry.raw_file_position(),
                    length: entry.size(),
                }),
                _ => continue,
            };
            let entry = Entry {
                what,
                mode: header.mode()? & 0o7777,
                user: header.uid()?,
                group: header.gid()?,
            };
            self.entries.insert(path, entry);
        }
        Ok(())
    }

    /// Writes the layer as a tar.
    pub(super) fn write<W: Write>(&self, out: W) -> io::Result<W> {
        let mut tar = tar::Builder::new(out);
        // A hard link has to follow what it points to, wherever the sorting puts either.
        let is_hard = |entry: &Entry| matches!(entry.what, What::HardLink(_));
        let first = self.entries.iter().filter(|(_, entry)| !is_hard(entry));
        let last = self.entries.iter().filter(|(_, entry)| is_hard(entry));
        for (path, entry) in first.chain(last) {
            let mut header = tar::Header::new_gnu();
            header.set_mtime(0);
            header.set_mode(entry.mode);
            header.set_uid(entry.user);
            header.set_gid(entry.group);
            header.set_size(0);
            match &entry.what {
                What::Directory => {
                    header.set_entry_type(tar::EntryType::Directory);
                    tar.append_data(&mut header, path, io::empty())?;
                }
                What::Link(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    tar.append_link(&mut header, path, target)?;
                }
                What::HardLink(target) => {
                    header.set_entry_type(tar::EntryType::Link);
                    let target = target.strip_prefix("./").unwrap_or(target);
                    tar.append_link(&mut header, path, target)?;
                }
                What::File(content) => {
                    header.set_entry_type(tar::EntryType::Regular);
                    let (length, bytes) = content.open()?;
                    header.set_size(length);
                    tar.append_data(&mut header, path, bytes)?;
                }
            }
        }
        tar.into_inner()
    }

    /// Packs the layer into the store.
    pub(super) fn pack(&self, store: &Store) -> Result<PackedLayer, ImagesError> {
        let directory = store.blobs();
        std::fs::create_dir_all(&directory).map_err(at(&directory))?;
        let packed = || -> io::Result<(tempfile::NamedTempFile, PackedLayer)> {
            let file = tempfile::NamedTempFile::new_in(&directory)?;
            let outer = Hashing::new(io::BufWriter::with_capacity(1 << 20, file));
            // Level 3: the layers cross one machine, not a network, and are unpacked once a cluster.
            let inner = Hashing::new(zstd::Encoder::new(outer, 3)?);
            let inner = self.write(inner)?;
            let diff_id = inner.digest();
            let outer = inner.inner.finish()?;
            let (digest, size) = (outer.digest(), outer.written);
            let file = outer.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
            Ok((file, PackedLayer { digest, size, diff_id }))
        };
        let (file, layer) = packed().map_err(at(&directory))?;
        let path = store.blob(&layer.digest);
        file.persist(&path).map_err(|error| at(&path)(error.error))?;
        Ok(layer)
    }
}

impl Content {
    fn open(&self) -> io::Result<(u64, Box<dyn Read + '_>)> {
        Ok(match self {
            Self::Bytes(bytes) => (bytes.len() as u64, Box::new(bytes.as_slice())),
            Self::Whole(path) => {
                let file = files::open(path)?;
                (file.metadata()?.len(), Box::new(file))
            }
            Self::Section { path, from, length } => {
                let mut file = files::open(path)?;
                file.seek(SeekFrom::Start(*from))?;
                (*length, Box::new(file.take(*length)))
            }
        })
    }
}

/// Whether a path, or a directory above it, matches a pattern in which `*` stands for any text within one path part.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    pattern
        .split('/')
        .all(|pattern| parts.next().is_some_and(|part| part_matches(pattern, part)))
}

fn part_matches(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == part,
        Some((before, after)) => part.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|skip| rest.is_char_boundary(skip) && part_matches(after, &rest[skip..]))
        }),
    }
}

/// Counts and hashes what is written through it.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
    written: u64,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            written: 0,
        }
    }

    fn digest(&self) -> String {
        format!("sha256:{:x}", self.hash.clone().finalize())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests;
