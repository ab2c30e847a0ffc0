//! Standard output of a subcommand: what may be put out, and that it cannot be written changes nothing of what the
//! subcommand does, nor its code.

use std::{
    fmt,
    io::{self, Write},
};

use crate::{
    lint::Annotation,
    record::{Render, RunRecord},
    redact::{Redactor, printable_json, printable_lines},
    report::{Line, Look},
    verdict::ExitCode,
};

/// Where a subcommand puts what it was asked for: words, painted lines, JSON, annotations and reports, each without secrets
/// and so that it steers nobody. It is no stream: nothing gets out in another way.
///
/// Writing never fails: the first failure is kept, what comes after it is dropped, and the work goes on to its own end. So
/// the exit code is the subcommand's alone, whoever reads and for how long.
pub(crate) struct Output {
    stream: Box<dyn Write + Send>,
    redactor: Redactor,
    failure: Option<io::Error>,
}

impl Output {
    pub(crate) fn to(stream: impl Write + Send + 'static, redactor: Redactor) -> Self {
        Self {
            stream: Box::new(stream),
            redactor,
            failure: None,
        }
    }

    /// Says something in lines of its own.
    pub(crate) fn say(&mut self, words: impl fmt::Display) {
        let words = self.redactor.redact(&words.to_string());
        self.put(&printable_lines(&words));
    }

    /// A line with tones.
    pub(crate) fn paint(&mut self, look: &Look, line: &Line) {
        let painted = self.redactor.redact(&look.paint(line));
        self.put(&painted);
    }

    /// A value for a script, over several lines.
    ///
    /// # Errors
    /// The value cannot be JSON.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> serde_json::Result<()> {
        let value = self.redactor.json(serde_json::to_value(value)?);
        self.put(&printable_json(&format!("{value:#}")));
        Ok(())
    }

    /// A command for the runner of a workflow.
    pub(crate) fn annotation(&mut self, annotation: &Annotation) {
        let command = self.redactor.redact(&annotation.to_string());
        self.put(&command);
    }

    /// A run's report.
    ///
    /// # Errors
    /// It cannot be rendered.
    pub(crate) fn report(&mut self, format: &dyn Render, record: &RunRecord) -> anyhow::Result<()> {
        let mut report = Vec::new();
        format.render(record, &mut report)?;
        self.keep_failure_of(|stream| stream.write_all(&report));
        Ok(())
    }

    /// What a shell needs to complete a command line, as it is: nobody else has a word in it.
    pub(crate) fn completions(&mut self, shell: clap_complete::Shell, mut command: clap::Command) {
        let mut script = Vec::new();
        let name = command.get_name().to_owned();
        clap_complete::generate(shell, &mut command, name, &mut script);
        self.keep_failure_of(|stream| stream.write_all(&script));
    }

    /// Writes out what is left, and says why not everything was written. A reader that went away had enough: that is none.
    pub(crate) fn end(mut self) -> Option<io::Error> {
        self.keep_failure_of(|stream| stream.flush());
        self.failure.filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }

    fn put(&mut self, lines: &str) {
        self.keep_failure_of(|stream| writeln!(stream, "{lines}"));
    }

    fn keep_failure_of(&mut self, write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>) {
        if self.failure.is_none() {
            self.failure = write(&mut *self.stream).err();
        }
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
pub(crate) mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::{redact::steers_a_reader, report::Paper};

    /// What is put out.
    pub(crate) fn written(redactor: Redactor, write: impl FnOnce(&mut Output)) -> String {
        let paper = Paper::default();
        let mut output = Output::to(paper.clone(), redactor);
        write(&mut output);
        assert!(output.end().is_none());
        paper.text()
    }

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
        let mut output = Output::to(Broken(4, kind), Redactor::new());
        for _ in 0..3 {
            output.say("three");
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
    #[test]
    fn whatever_is_put_out_loses_its_secrets() {
        let redactor = Redactor::new();
        redactor.learn("opensesame");
        let text = written(redactor, |output| {
            output.say("open it: opensesame, and\nb3BlbnNlc2FtZQ==");
            output
                .json(&serde_json::json!({ "opensesame": "%6fpensesame" }))
                .unwrap();
            output.paint(
                &Look::for_files(),
                &Line::indented(0).with(crate::report::Tone::Bad, "opensesame"),
            );
        });
        assert_eq!(
            text,
            "open it: [redacted], and\n[redacted]\n{\n  \"[redacted]\": \"[redacted]\"\n}\n[redacted]\n"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_put_out_steers_nobody(said in r"[ :a#\[\n\r]{0,40}|(.|\n){0,40}") {
            let value = serde_json::json!({ "a": [said, 1, null] });
            let words = written(Redactor::new(), |output| output.say(&said));
            let json = written(Redactor::new(), |output| output.json(&value).unwrap());
            prop_assert!(!steers_a_reader(&words), "{}", words);
            prop_assert!(!steers_a_reader(&json), "{}", json);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
        }
    }
}
