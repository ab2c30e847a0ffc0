//! The journal: every event as a line of JSON, on disk before anything else hears of it.

use std::{
    fs::{File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::Event;
use crate::host::{FileError, files};

/// A file of events, appended to and flushed one by one.
#[derive(Debug)]
pub struct Journal {
    /// Locked as long as the run goes on.
    file: File,
    path: PathBuf,
}

/// What a journal holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journaled {
    /// Its events.
    pub events: Vec<Event>,
    /// The bytes of its last line, where that was cut off: the process was killed, or the power, while it was written.
    pub cut: usize,
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The run that writes it goes on.
    #[error("`{path}` is still being written: its run goes on")]
    Written {
        /// Its path.
        path: PathBuf,
    },
    /// A line in the middle of it is not an event.
    #[error("`{path}`, {why}")]
    NotAnEvent {
        /// Its path.
        path: PathBuf,
        /// Which line, and what is wrong with it.
        why: NotAnEvent,
    },
}

/// A line that is not an event.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: not an event that this version of quickproof knows ({what})")]
pub struct NotAnEvent {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    what: serde_json::Error,
}

impl Journal {
    /// Creates the journal anew.
    ///
    /// # Errors
    /// The file cannot be created.
    pub(crate) fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let file = File::create(&path)?;
        // Where the file system knows no locks, nobody can tell that the run goes on.
        let _ = file.try_lock();
        Ok(Self { file, path })
    }

    /// The same journal, after its directory was renamed.
    pub(crate) fn moved_to(self, path: PathBuf) -> Self {
        Self { path, ..self }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one event; it is with the operating system when this returns.
    ///
    /// # Errors
    /// Writing fails, such as on a full disk.
    pub(crate) fn append(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }

    /// Reads the events of a journal. A last line that was cut off is left out.
    ///
    /// # Errors
    /// The file cannot be read, or a line other than the last is not an event.
    pub fn read(path: &Path) -> Result<Journaled, JournalError> {
        let bytes = files::read_json(path)?;
        Self::parse(&bytes).map_err(|why| JournalError::NotAnEvent {
            path: path.to_owned(),
            why,
        })
    }

    /// Reads the events of a journal's bytes, as [`Journal::read`] does.
    ///
    /// # Errors
    /// A line other than the last is not an event.
    pub fn parse(bytes: &[u8]) -> Result<Journaled, NotAnEvent> {
        let mut journaled = Journaled {
            events: Vec::new(),
            cut: 0,
        };
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').zip(1..).peekable();
        while let Some((bytes, line)) = lines.next() {
            match serde_json::from_slice(bytes) {
                Ok(event) => journaled.events.push(event),
                Err(_) if lines.peek().is_none() => journaled.cut = bytes.len(),
                Err(what) => return Err(NotAnEvent { line, what }),
            }
        }
        Ok(journaled)
    }

    /// Reads the journal of a run that is over, however it ended.
    ///
    /// # Errors
    /// As [`Journal::read`], and where the run goes on.
    pub(crate) fn read_of_ended_run(path: &Path) -> Result<Journaled, JournalError> {
        match files::open(path)?.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Err(JournalError::Written { path: path.to_owned() }),
            Ok(()) | Err(TryLockError::Error(_)) => Self::read(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::record::Stage;

    const EVENT: Event = Event::Entered { stage: Stage::Proof };

    /// A journal with two events, and its text.
    fn journal() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let mut journal = Journal::create(&path).unwrap();
        journal.append(&EVENT).unwrap();
        journal.append(&EVENT).unwrap();
        let text = fs::read(&path).unwrap();
        (directory, path, text)
    }

    #[rstest]
    #[case::cut_in_its_last_line(|text: &mut Vec<u8>| text.truncate(text.len() - 5), 1)]
    #[case::zeros_of_a_power_cut(|text: &mut Vec<u8>| text.extend([0; 4096]), 2)]
    #[case::half_a_sign(|text: &mut Vec<u8>| text.extend(b"{\"event\":\"noted\",\"sentence\":\"\xe2\x9c"), 2)]
    fn a_journal_that_was_cut_reads_up_to_there(#[case] cut: fn(&mut Vec<u8>), #[case] events: usize) {
        let (_directory, path, mut text) = journal();
        cut(&mut text);
        fs::write(&path, &text).unwrap();
        let read = Journal::read(&path).unwrap();
        assert_eq!(read.events, vec![EVENT; events]);
        assert!(read.cut > 0);
    }

    #[test]
    fn a_line_in_the_middle_that_is_no_event_is_named() {
        let (_directory, path, text) = journal();
        fs::write(&path, [b"{}\n", text.as_slice()].concat()).unwrap();
        let error = Journal::read(&path).unwrap_err().to_string();
        assert!(error.contains("journal.jsonl`, line 1"), "{error}");
    }

    #[test]
    fn a_journal_that_is_still_written_is_told_from_one_of_a_run_that_is_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let journal = Journal::create(&path).unwrap();
        let error = Journal::read_of_ended_run(&path).unwrap_err();
        assert!(matches!(error, JournalError::Written { .. }), "{error}");
        drop(journal);
        assert_eq!(Journal::read_of_ended_run(&path).unwrap().events, []);
    }

    proptest! {
        #[test]
        fn wherever_it_is_cut_what_was_whole_is_read(length in 0..80_usize) {
            let (_directory, path, text) = journal();
            let length = length.min(text.len());
            fs::write(&path, &text[..length]).unwrap();
            let whole = text[..length].split(|byte| *byte == b'\n').count() - 1;
            let read = Journal::read(&path).unwrap().events;
            // The last line may lack nothing but its end.
            prop_assert!(read.len() == whole || read.len() == whole + 1);
        }
    }
}
