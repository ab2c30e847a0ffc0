//! The directories of runs among those that were named.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// The files by which a run's directory is known; the first is what is read of it.
pub(super) const FILES: [&str; 2] = ["record.json", "journal.jsonl"];

/// Directories within one another that are looked into.
const DEEPEST: usize = 6;

/// Directories that are looked into in all.
const MOST: usize = 100_000;

/// A directory, and what it was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A run's.
    Run(PathBuf),
    /// No run's, and none is below it; or why nobody knows.
    NoRun(PathBuf, String),
}

/// The runs in and below these directories, in the order of their names; and each directory in which there is none.
pub(super) fn runs(directories: &[PathBuf]) -> Vec<Found> {
    let mut search = Search {
        found: Vec::new(),
        seen: BTreeSet::new(),
    };
    for directory in directories {
        search.look(directory, 0);
    }
    search.found
}

struct Search {
    found: Vec<Found>,
    /// By their real paths: what is named twice is one run.
    seen: BTreeSet<PathBuf>,
}

impl Search {
    fn look(&mut self, directory: &Path, depth: usize) {
        let found = match self.what_is(directory) {
            Ok(None) => return,
            Ok(Some(What::Run)) => Found::Run(directory.to_owned()),
            Ok(Some(What::Other(below))) if below.is_empty() => {
                let [record, journal] = FILES;
                let why = format!("there is neither a `{record}` nor a `{journal}` in it");
                Found::NoRun(directory.to_owned(), why)
            }
            Ok(Some(What::Other(_))) if depth == DEEPEST || self.seen.len() > MOST => {
                let why = format!("runs are looked for in {MOST} directories, {DEEPEST} deep; name the runs' own");
                Found::NoRun(directory.to_owned(), why)
            }
            Ok(Some(What::Other(below))) => {
                for one in below {
                    self.look(&one, depth + 1);
                }
                return;
            }
            Err(error) => Found::NoRun(directory.to_owned(), error.to_string()),
        };
        self.found.push(found);
    }

    /// What a directory is; `None` where it was seen before.
    fn what_is(&mut self, directory: &Path) -> io::Result<Option<What>> {
        if !self.seen.insert(fs::canonicalize(directory)?) {
            return Ok(None);
        }
        // Also a link that leads nowhere: reports of a run that goes on are links.
        let has = |file: &&str| directory.join(file).symlink_metadata().is_ok();
        if FILES.iter().any(has) {
            return Ok(Some(What::Run));
        }
        below(directory).map(|below| Some(What::Other(below)))
    }
}

enum What {
    Run,
    /// With these directories in it.
    Other(Vec<PathBuf>),
}

/// The directories in a directory, in the order of their names; hidden ones are nobody's runs.
fn below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut below = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.path().is_dir() && !is_hidden {
            below.push(entry.path());
        }
    }
    below.sort();
    Ok(below)
}
