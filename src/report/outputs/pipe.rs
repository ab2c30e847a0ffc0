//! A report that goes into a named pipe: whoever reads it, or does not, changes nothing of the run.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::unix::pipe::{OpenOptions, Sender},
};

/// How long a reader is waited for, and how long it may take nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether a reader came.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// A pipe that a report goes into once, at the end.
#[derive(Debug)]
pub(in crate::report) struct Pipe {
    path: PathBuf,
    /// Held from the moment a reader is there: it must not see an end before the report.
    sender: Option<Sender>,
}

/// What became of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::report) enum Delivery {
    /// It was read, or its reader had enough.
    Read,
    /// Nobody wanted it; why, as a sentence.
    Unread(String),
}

impl Pipe {
    pub(in crate::report) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            sender: None,
        }
    }

    pub(in crate::report) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks whether a reader is there, without waiting for one.
    ///
    /// # Errors
    /// It is no pipe any more, or may not be written.
    pub(in crate::report) fn look_for_reader(&mut self) -> io::Result<()> {
        if self.sender.is_none() {
            self.sender = match OpenOptions::new().open_sender(&self.path) {
                Ok(sender) => Some(sender),
                Err(error) if is_without_reader(&error) => None,
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }

    /// Gives the report to the reader; waits for one, and for its reading, no longer than [`PATIENCE`] each.
    ///
    /// # Errors
    /// The pipe cannot be written for a reason that is not its reader's.
    pub(in crate::report) async fn deliver(mut self, bytes: &[u8]) -> io::Result<Delivery> {
        let path = self.path.display().to_string();
        let sender = async {
            loop {
                self.look_for_reader()?;
                match self.sender.take() {
                    Some(sender) => return Ok::<_, io::Error>(sender),
                    None => tokio::time::sleep(BETWEEN_LOOKS).await,
                }
            }
        };
        let seconds = PATIENCE.as_secs();
        let Ok(sender) = tokio::time::timeout(PATIENCE, sender).await else {
            return Ok(Delivery::Unread(format!(
                "nobody reads `{path}`: what was to go there is in the run's directory"
            )));
        };
        let mut sender = sender?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match tokio::time::timeout(PATIENCE, sender.write(rest)).await {
                Ok(Ok(written)) => rest = &rest[written..],
                Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => break,
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    let why = format!(
                        "whoever reads `{path}` took nothing for {seconds} s: the report is in the run's directory"
                    );
                    return Ok(Delivery::Unread(why));
                }
            }
        }
        Ok(Delivery::Read)
    }
}

/// Source: open(2), `ENXIO`: opened without waiting, for writing only, and no process has it open for reading. The standard
/// library has no kind for it.
fn is_without_reader(error: &io::Error) -> bool {
    const ENXIO: i32 = 6;
    error.raw_os_error() == Some(ENXIO)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::host::tests::make_pipe;

    const MANY: usize = 1 << 20;

    fn pipe() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        make_pipe(&path);
        (directory, path)
    }

    fn unread(delivery: Delivery, path: &Path) -> String {
        match delivery {
            Delivery::Unread(why) => {
                assert!(why.contains(&path.display().to_string()), "{why}");
                why
            }
            Delivery::Read => panic!("it was read"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipe_that_nobody_reads_is_given_up() {
        let (_directory, path) = pipe();
        let mut pipe = Pipe::at(&path);
        pipe.look_for_reader().unwrap();
        assert!(unread(pipe.deliver(b"report").await.unwrap(), &path).contains("nobody"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_reads_nothing_is_given_up() {
        let (_directory, path) = pipe();
        let _reader = OpenOptions::new().open_receiver(&path).unwrap();
        let delivery = Pipe::at(&path).deliver(&vec![b'r'; MANY]).await.unwrap();
        assert!(unread(delivery, &path).contains("took nothing"));
    }

    #[tokio::test]
    async fn a_reader_that_has_enough_is_no_failure() {
        let (_directory, path) = pipe();
        let mut reader = OpenOptions::new().open_receiver(&path).unwrap();
        let leaving = async {
            reader.read_exact(&mut [0; 10]).await.unwrap();
            drop(reader);
        };
        let bytes = vec![b'r'; MANY];
        let (delivery, ()) = tokio::join!(Pipe::at(&path).deliver(&bytes), leaving);
        assert_eq!(delivery.unwrap(), Delivery::Read);
    }

    #[tokio::test]
    async fn a_reader_that_was_there_from_the_beginning_sees_the_whole_report_and_no_end_before_it() {
        let (_directory, path) = pipe();
        let mut reader = OpenOptions::new().open_receiver(&path).unwrap();
        let mut pipe = Pipe::at(&path);
        pipe.look_for_reader().unwrap();
        let mut read = Vec::new();
        let bytes = vec![b'r'; MANY];
        let (delivery, count) = tokio::join!(pipe.deliver(&bytes), reader.read_to_end(&mut read));
        assert_eq!((delivery.unwrap(), count.unwrap()), (Delivery::Read, MANY));
    }
}
