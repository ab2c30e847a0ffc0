//! The journal: every event as a line of JSON, on disk before anything else hears of it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use super::Event;

/// A file of events, appended to and flushed one by one.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Creates the journal anew.
    ///
    /// # Errors
    /// The file cannot be created.
    pub(crate) fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        Ok(Self {
            file: File::create(&path)?,
            path,
        })
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

    /// Reads the events of a journal. A last line that was cut off (the process was killed while writing) is left out.
    ///
    /// # Errors
    /// The file cannot be read, or a line other than the last is not an event.
    pub fn read(path: &Path) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        let mut lines = BufReader::new(File::open(path)?).lines().peekable();
        while let Some(line) = lines.next() {
            match serde_json::from_str(&line?) {
                Ok(event) => events.push(event),
                Err(_) if lines.peek().is_none() => break,
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::record::Stage;

    #[test]
    fn a_journal_cut_in_its_last_line_reads_up_to_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let mut journal = Journal::create(&path).unwrap();
        let event = Event::Entered { stage: Stage::Proof };
        journal.append(&event).unwrap();
        journal.append(&event).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 5]).unwrap();
        assert_eq!(Journal::read(&path).unwrap(), [event]);
    }
}
