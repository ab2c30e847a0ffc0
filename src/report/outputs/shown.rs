//! The reports in a run's directory, all of one state at every moment.
//!
//! Three files cannot be replaced by one rename, and a process can be killed between any two. So while a run goes on,
//! `record.json` and the others are links to `.reports/now/…`, where `now` is itself a link to the directory of one state.
//! A new state is written whole beside the old one, and then one rename makes `now` lead there: whoever looks before it sees
//! the old state in every file, whoever looks after it the new one, and no two files ever contradict each other. At the end
//! each file takes the place of its link; by then all of them say the same, whichever way they are reached.
//!
//! Where a file system has no links, each file is replaced by itself, one after the other.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{WriteError, replace};

/// Where states lie, in the run's directory.
const STATES: &str = ".reports";

/// The link to the state that holds.
const NOW: &str = "now";

/// A report, rendered, or why it could not be.
pub(super) type Rendered = (&'static str, io::Result<Vec<u8>>);

/// The reports of a run's directory.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    directory: PathBuf,
    way: Way,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    /// All by one rename; the number of the state that is shown next.
    AtOnce(u64),
    /// One after the other.
    InTurn,
}

impl Shown {
    /// Shows first reports in a directory.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn begin(directory: &Path, reports: impl Fn() -> Vec<Rendered>) -> Result<Self, WriteError> {
        let mut shown = Self {
            directory: directory.to_owned(),
            way: Way::AtOnce(0),
        };
        let linked = |shown: Self| {
            let first = reports();
            let names: Vec<&str> = first.iter().map(|(name, _)| *name).collect();
            shown.show(first)?;
            for name in names {
                let path = directory.join(name);
                symlink(Path::new(STATES).join(NOW).join(name), &path).map_err(|source| WriteError { path, source })?;
            }
            Ok::<_, WriteError>(())
        };
        if linked(shown.next()).is_err() {
            let _ = fs::remove_dir_all(directory.join(STATES));
            shown.way = Way::InTurn;
            shown.show(reports())?;
        }
        Ok(shown)
    }

    /// Shows these reports in the directory of a run that is over, and gives it its final form.
    ///
    /// # Errors
    /// Something could not be written.
    pub(super) fn again(directory: &Path, reports: Vec<Rendered>) -> Result<(), WriteError> {
        let entries = fs::read_dir(directory.join(STATES)).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
        let shown = Self {
            directory: directory.to_owned(),
            way: Way::AtOnce(numbers.max().map_or(0, |last| last + 1)),
        };
        let names: Vec<&str> = reports.iter().map(|(name, _)| *name).collect();
        shown.show(reports)?;
        shown.settle(names.into_iter())
    }

    /// The same reports, when their directory bears another name.
    pub(super) fn moved_to(self, directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            ..self
        }
    }

    /// The place of the next state.
    pub(super) fn next(&mut self) -> Self {
        let next = self.clone();
        if let Way::AtOnce(state) = &mut self.way {
            *state += 1;
        }
        next
    }

    /// Shows these reports in place of those before. A report that cannot be written stays as it was.
    ///
    /// # Errors
    /// Something could not be written; the first such thing.
    pub(super) fn show(&self, reports: Vec<Rendered>) -> Result<(), WriteError> {
        match self.way {
            Way::AtOnce(state) => self.at_once(reports, state),
            Way::InTurn => {
                let write = |(name, bytes): Rendered| {
                    let path = self.directory.join(name);
                    let written = bytes.and_then(|bytes| replace(&path, &bytes));
                    written.map_err(|source| WriteError { path, source })
                };
                // Each is tried, whatever becomes of those before it.
                reports.into_iter().map(write).fold(Ok(()), Result::and)
            }
        }
    }

    fn at_once(&self, reports: Vec<Rendered>, number: u64) -> Result<(), WriteError> {
        let states = self.directory.join(STATES);
        let state = states.join(number.to_string());
        fs::create_dir_all(&state).map_err(|source| WriteError {
            path: state.clone(),
            source,
        })?;
        let mut result = Ok(());
        for (name, bytes) in reports {
            let path = state.join(name);
            if let Err(source) = bytes.and_then(|bytes| write(&path, &bytes)) {
                // What is there of it may be cut.
                let _ = fs::remove_file(&path);
                let _ = fs::copy(states.join(NOW).join(name), &path);
                let path = self.directory.join(name);
                result = result.and(Err(WriteError { path, source }));
            }
        }
        let next = states.join("next");
        let _ = fs::remove_file(&next);
        symlink(number.to_string(), &next)
            .and_then(|()| fs::rename(&next, states.join(NOW)))
            .map_err(|source| WriteError { path: next, source })?;
        // The state before stays one turn longer: somebody may be on the way to a file of it.
        if let Some(older) = number.checked_sub(2) {
            let _ = fs::remove_dir_all(states.join(older.to_string()));
        }
        result
    }

    /// Puts each report in the place of its link, for good.
    ///
    /// # Errors
    /// A file could not be moved; it is a link then, and leads to what it says.
    pub(super) fn settle(&self, names: impl Iterator<Item = &'static str>) -> Result<(), WriteError> {
        let Way::AtOnce(_) = self.way else { return Ok(()) };
        for name in names {
            self.place(name)?;
        }
        let _ = fs::remove_dir_all(self.directory.join(STATES));
        Ok(())
    }

    /// Puts one report in the place of its link.
    fn place(&self, name: &str) -> Result<(), WriteError> {
        let path = self.directory.join(name);
        let state = self.directory.join(STATES).join(NOW);
        fs::rename(state.join(name), &path).map_err(|source| WriteError { path, source })
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["a.txt", "b.xml", "c.json"];

    fn all(text: &str) -> Vec<Rendered> {
        NAMES.map(|name| (name, Ok(text.as_bytes().to_vec()))).into()
    }

    /// What each report says.
    fn said(directory: &Path) -> Vec<String> {
        let read = |name| fs::read_to_string(directory.join(name)).unwrap();
        NAMES.map(read).into()
    }

    #[test]
    fn a_new_state_is_shown_by_every_report_in_the_same_moment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let mut shown = Shown::begin(path, || all("first")).unwrap();
        assert_eq!(said(path), ["first"; 3]);
        for number in 0..4 {
            let text = number.to_string();
            // Whatever is not yet renamed is not yet seen.
            let states = path.join(STATES);
            let before = said(path);
            let next = shown.next();
            fs::create_dir_all(states.join("half")).unwrap();
            assert_eq!(said(path), before);
            next.show(all(&text)).unwrap();
            assert_eq!(said(path), [text.as_str(); 3]);
        }
        for name in NAMES {
            assert!(path.join(name).is_symlink());
        }
        shown.settle(NAMES.into_iter()).unwrap();
        assert_eq!(said(path), ["3"; 3]);
        let mut left: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, NAMES);
        assert!(NAMES.iter().all(|name| !path.join(name).is_symlink()));
    }

    #[test]
    fn a_kill_while_the_final_form_is_given_leaves_no_two_that_differ() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let mut shown = Shown::begin(path, || all("first")).unwrap();
        shown.next().show(all("last")).unwrap();
        for name in NAMES {
            // Killed here, or after it.
            shown.place(name).unwrap();
            assert_eq!(said(path), ["last"; 3]);
        }
    }

    #[test]
    fn a_report_that_cannot_be_rendered_stays_as_it_was_and_the_others_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let mut shown = Shown::begin(path, || all("first")).unwrap();
        let mut reports = all("second");
        reports[1].1 = Err(io::Error::other("no"));
        let error = shown.next().show(reports).unwrap_err();
        assert_eq!(error.path, path.join("b.xml"));
        assert_eq!(said(path), ["second", "first", "second"]);
    }

    #[test]
    fn reports_of_a_run_that_was_killed_are_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let mut shown = Shown::begin(path, || all("first")).unwrap();
        shown.next().show(all("second")).unwrap();
        drop(shown);
        for text in ["again", "and again"] {
            Shown::again(path, all(text)).unwrap();
            assert_eq!(said(path), [text; 3]);
            assert!(!path.join(STATES).exists());
        }
    }
}
