//! Inventories as they lie on disk: written as a whole, and read with care, since anything may lie there by now.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{super::ClusterError, Made};
use crate::host::{
    Host,
    files::{self, FileError},
    in_words,
};

/// The form of the files that this program writes. One of a later form is not read: what it means is not known here.
const FORM: u32 = 1;

/// Bytes of the largest file that is read: many times what a run makes.
const LARGEST: u64 = 16 << 20;

/// A process, identified by its id and its start time: the id alone is given to another process later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessName {
    /// Process id.
    pub(crate) pid: u32,
    /// Field 22 of `/proc/PID/stat`: clock ticks from boot to its start (proc(5)).
    pub(crate) started: u64,
    /// `/proc/sys/kernel/random/boot_id`: the same pid and ticks can come again after a reboot.
    pub(crate) boot: String,
}

impl ProcessName {
    /// This process. Where there is no `/proc`, start time and boot are empty and only the pid is compared.
    pub(crate) fn own() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            started: start_time(pid).unwrap_or_default(),
            boot: boot(),
        }
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.boot == boot() && start_time(self.pid) == Some(self.started)
    }
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the program's name in brackets, may hold blanks and brackets itself.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// What an inventory file says.
///
/// ```
/// use quickproof::cluster::inventory::Listing;
///
/// let text = br#"{"run": "7f3a", "process": {"pid": 1, "started": 2, "boot": "b"}, "made": [
///     {"kind": "kind-cluster", "name": "quickproof-7f3a", "kubeconfig": "/k"}]}"#;
/// let listing = Listing::read(text).unwrap();
/// assert_eq!(listing.made()[0].to_string(), "kind cluster quickproof-7f3a");
/// // What is cut off, or of a later version, is never read as an inventory of nothing.
/// assert!(Listing::read(&text[..40]).is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The form of the file.
    #[serde(default = "first_form")]
    form: u32,
    /// The run's id.
    pub(crate) run: String,
    /// The process that wrote it.
    pub(crate) process: ProcessName,
    /// Kept on purpose: reaped only when everything is.
    #[serde(default)]
    pub(crate) kept: bool,
    /// What was made, oldest first.
    pub(crate) made: Vec<Made>,
}

fn first_form() -> u32 {
    1
}

/// What is read of every form: enough to know whether the run still goes on.
#[derive(Deserialize)]
struct Head {
    #[serde(default = "first_form")]
    form: u32,
    process: ProcessName,
}

/// An inventory that cannot be read: what its run made is not known here.
#[derive(Debug, thiserror::Error)]
#[error("it {why}")]
pub struct Unreadable {
    why: String,
    /// The process that wrote it, where that much can be read.
    process: Option<ProcessName>,
}

/// The inventories of all runs.
#[derive(Debug, Default)]
pub(crate) struct Inventories {
    /// Those that can be read, with their files.
    pub(crate) readable: Vec<(PathBuf, Listing)>,
    /// The files of the others, each with the reason; without those of runs that go on.
    pub(crate) unreadable: Vec<(PathBuf, Unreadable)>,
}

impl Inventories {
    /// Reads them all, in order of their files' names.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn all(host: &Host) -> Result<Self, ClusterError> {
        let directory = directory(host);
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(file_error(&directory, "read", source)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| file_error(&directory, "read", source))?.path();
            paths.extend(
                path.extension()
                    .is_some_and(|extension| extension == "json")
                    .then_some(path),
            );
        }
        paths.sort();
        let mut all = Self::default();
        for path in paths {
            match Listing::at(&path) {
                Ok(Some(listing)) => all.readable.push((path, listing)),
                // Its run has ended in the meantime, and left nothing.
                Ok(None) => {}
                Err(unreadable) if unreadable.process.as_ref().is_some_and(ProcessName::is_alive) => {}
                Err(unreadable) => all.unreadable.push((path, unreadable)),
            }
        }
        Ok(all)
    }
}

impl Listing {
    /// The listing of a run of this process that has made nothing yet.
    pub(super) fn begun(run: &str) -> Self {
        Self {
            form: FORM,
            run: run.to_owned(),
            process: ProcessName::own(),
            kept: false,
            made: Vec::new(),
        }
    }

    /// What was made, oldest first.
    pub fn made(&self) -> &[Made] {
        &self.made
    }

    /// Reads the bytes of an inventory file.
    ///
    /// # Errors
    /// They are not the whole of one, or one of a later form.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let unreadable = |why: String, process| Unreadable { why, process };
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(unreadable("holds nothing".to_owned(), None));
        }
        let head: Head =
            serde_json::from_slice(bytes).map_err(|error| unreadable(format!("is no inventory: {error}"), None))?;
        if head.form != FORM {
            let why = format!(
                "is of another version of quickproof: its form is {}, and this one reads {FORM}",
                head.form
            );
            return Err(unreadable(why, Some(head.process)));
        }
        serde_json::from_slice(bytes).map_err(|error| {
            let why = format!("is damaged, or of a newer version of quickproof: {error}");
            unreadable(why, Some(head.process))
        })
    }

    /// Reads an inventory file; `None` where there is none (any more).
    pub(super) fn at(path: &Path) -> Result<Option<Self>, Unreadable> {
        match files::read(path, LARGEST) {
            Ok(bytes) => Self::read(&bytes).map(Some),
            Err(FileError::Missing { .. }) => Ok(None),
            Err(error) => Err(Unreadable {
                why: format!("cannot be read: {}", in_words(&error)),
                process: None,
            }),
        }
    }

    /// The bytes of its file.
    ///
    /// # Errors
    /// A path in it is not UTF-8, which JSON cannot hold.
    pub fn written(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec_pretty(self)?)
    }

    /// Writes it in place of what the file held.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), ClusterError> {
        let write = || self.beside(path)?.persist(path).map_err(|error| error.error);
        put(path, write)
    }

    /// Writes it where there is no file yet.
    ///
    /// # Errors
    /// The file cannot be written; one that is there stays as it is, and is told by [`io::ErrorKind::AlreadyExists`].
    pub(super) fn write_new(&self, path: &Path) -> Result<(), ClusterError> {
        let write = || self.beside(path)?.persist_noclobber(path).map_err(|error| error.error);
        put(path, write)
    }

    /// A temporary file in the same directory that holds it, and is on disk.
    fn beside(&self, path: &Path) -> io::Result<tempfile::NamedTempFile> {
        let directory = path.parent().unwrap_or(Path::new("."));
        let prefix = temporary_prefix(path);
        let mut file = tempfile::Builder::new().prefix(&prefix).tempfile_in(directory)?;
        file.write_all(&self.written()?)?;
        file.as_file().sync_all()?;
        Ok(file)
    }
}

/// Puts a file in its place, for good.
fn put(path: &Path, write: impl FnOnce() -> io::Result<File>) -> Result<(), ClusterError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    // Without the second a power cut may forget the rename.
    let written = write().and_then(|_| File::open(directory)?.sync_all());
    written.map_err(|source| file_error(path, "written", source))
}

/// Deletes an inventory file, and what a kill between writing and renaming has left beside it. One that is gone is no error.
pub(super) fn delete(path: &Path) -> Result<(), ClusterError> {
    let prefix = temporary_prefix(path);
    let entries = path.parent().map(fs::read_dir).into_iter().flatten().flatten();
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            // Nobody reads it.
            let _ = fs::remove_file(entry.path());
        }
    }
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(file_error(path, "deleted", source)),
        _ => Ok(()),
    }
}

/// What the names of temporary files beside an inventory begin with.
fn temporary_prefix(path: &Path) -> String {
    format!(".{}.", path.file_stem().unwrap_or_default().to_string_lossy())
}

/// The directory of inventories, opened to be locked by whoever changes those of runs that have ended; `None` where there is
/// none yet.
///
/// # Errors
/// It cannot be opened.
pub(in crate::cluster) fn opened_directory(host: &Host) -> Result<Option<File>, ClusterError> {
    let path = directory(host);
    match File::open(&path) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(file_error(&path, "read", source)),
    }
}

pub(super) fn directory(host: &Host) -> PathBuf {
    host.state_directory().join("runs")
}

pub(super) fn file_error(path: &Path, doing: &'static str, source: io::Error) -> ClusterError {
    ClusterError::File {
        path: path.to_owned(),
        doing,
        source,
    }
}
