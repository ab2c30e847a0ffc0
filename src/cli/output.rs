//! Standard output of a subcommand: that it cannot be written changes nothing of what the subcommand does, nor its code.

use std::io::{self, Write};

use crate::verdict::ExitCode;

/// Where a subcommand writes what it was asked for.
///
/// Writing never fails: the first failure is kept, what comes after it is dropped, and the work goes on to its own end. So
/// the exit code is the subcommand's alone, whoever reads and for how long.
#[derive(Debug)]
pub(crate) struct Output<W> {
    stream: W,
    failure: Option<io::Error>,
}

impl<W: Write> Output<W> {
    pub(crate) fn to(stream: W) -> Self {
        Self { stream, failure: None }
    }

    /// Writes out what is left, and says why not everything was written. A reader that went away had enough: that is none.
    pub(crate) fn end(mut self) -> Option<io::Error> {
        self.keep_failure_of(W::flush);
        self.failure.filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }

    fn keep_failure_of(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) {
        if self.failure.is_none() {
            self.failure = write(&mut self.stream).err();
        }
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.keep_failure_of(|stream| stream.write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.keep_failure_of(W::flush);
        Ok(())
    }
}

/// The code of a subcommand whose output could not be written whole, though somebody wants to read it: never a pass, and
/// whatever else was decided stands.
pub(crate) fn without_output(code: ExitCode) -> ExitCode {
    match code {
        ExitCode::Passed => ExitCode::Errored,
        decided => decided,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Takes so many bytes, then fails in this way.
    struct Broken(usize, io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(self.1.into());
            }
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[rstest]
    #[case::a_reader_that_has_enough(io::ErrorKind::BrokenPipe, false)]
    #[case::a_full_disk(io::ErrorKind::StorageFull, true)]
    fn writing_never_fails_and_only_a_reader_may_be_missing(#[case] kind: io::ErrorKind, #[case] is_said: bool) {
        let mut output = Output::to(Broken(4, kind));
        for _ in 0..3 {
            writeln!(output, "three").unwrap();
            output.flush().unwrap();
        }
        assert_eq!(output.end().is_some(), is_said);
    }

    #[rstest]
    #[case(ExitCode::Passed, ExitCode::Errored)]
    #[case(ExitCode::Failed, ExitCode::Failed)]
    #[case(ExitCode::Usage, ExitCode::Usage)]
    fn output_that_is_lost_is_never_a_pass(#[case] code: ExitCode, #[case] without: ExitCode) {
        assert_eq!(without_output(code), without);
    }
}
