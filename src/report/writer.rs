//! The one writer: journal first, then the record, the live report, the report files.
//!
//! Nothing that fails here ends the run: the run must go on to its teardown. A failure to write becomes a decision of
//! the run itself, so that it ends as errored and never as passed.

use std::{
    error::Error as _,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time::MissedTickBehavior};

use crate::{
    record::{Change, Decision, Event, Reporter, RunRecord, Stage},
    redact::Redactor,
    report::{
        Outputs,
        outputs::{Delivery, Draft, WriteError},
    },
    verdict::{CauseCode, Finding},
};

/// Between two ticks of the live report.
pub(crate) const TICK: Duration = Duration::from_millis(100);

/// Reports are not written more often than this while decisions come fast; the journal has each at once.
const BETWEEN_REPORTS: Duration = Duration::from_millis(250);

/// The check that the writer itself decides, when something could not be written.
const REPORTS_WRITTEN: &str = "reports-written";

/// The check that the writer itself decides, when events ended before the run did.
const RUN_ENDED: &str = "run-ended";

/// Takes a run's events until [`Event::Ended`], or until nobody is left to send one, and returns what they add up to.
///
/// Each event loses its secrets in `redactor`, is appended to the journal, and only then heard of by `reporter` and by the
/// report files. The record returned is the one that the reports show: its outcome and its exit code are the run's.
pub(crate) async fn write(
    mut receiver: mpsc::UnboundedReceiver<Event>,
    outputs: Outputs,
    reporter: Box<dyn Reporter>,
    redactor: Redactor,
) -> RunRecord {
    let mut writer = Writer {
        outputs,
        reporter: Some(reporter),
        record: RunRecord::default(),
        waiting: None,
        failed: false,
        stale: false,
        written_at: Instant::now(),
    };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last = None;
    loop {
        tokio::select! {
            biased;
            event = receiver.recv() => match event.map(|event| redactor.event(event)) {
                Some(ended @ Event::Ended { .. }) => {
                    last = Some(ended);
                    break;
                }
                Some(event) => writer.take(&event),
                None => break,
            },
            _ = ticks.tick() => writer.tick(),
        }
        if receiver.is_empty() {
            writer.refresh().await;
        }
    }
    writer.close(last).await
}

struct Writer {
    outputs: Outputs,
    /// `None` once the stream that it writes to is broken: nobody looks any more, which is no failure of the run.
    reporter: Option<Box<dyn Reporter>>,
    record: RunRecord,
    /// The last [`Event::Waiting`].
    waiting: Option<Event>,
    failed: bool,
    /// Whether report files say less than the record.
    stale: bool,
    written_at: Instant,
}

impl Writer {
    fn take(&mut self, event: &Event) {
        // What is waited for comes by the hundred, mostly the same: the journal needs to know when it changed.
        let kept = match event {
            Event::Waiting { .. } => self.waiting.replace(event.clone()).as_ref() != Some(event),
            _ => true,
        };
        if kept && let Err(source) = self.outputs.journal().append(event) {
            let path = self.outputs.journal().path().to_owned();
            self.fail(&WriteError { path, source });
        }
        let change = self.record.fold(event);
        self.stale |= change == Change::Telling && decides(event);
        self.tell(|reporter| reporter.on_event(event));
    }

    fn tick(&mut self) {
        self.tell(|reporter| reporter.on_tick());
    }

    fn tell(&mut self, what: impl FnOnce(&mut dyn Reporter) -> std::io::Result<()>) {
        if let Some(reporter) = &mut self.reporter
            && what(reporter.as_mut()).is_err()
        {
            self.reporter = None;
        }
    }

    /// Writes the report files, when they are stale and not just written.
    async fn refresh(&mut self) {
        if self.stale && self.written_at.elapsed() >= BETWEEN_REPORTS {
            let draft = self.outputs.draft(&self.record);
            self.put(draft).await;
        }
    }

    /// Not on this thread: fsync may take its time, and the other tasks of the run shall not.
    async fn put(&mut self, draft: Draft) {
        self.stale = false;
        match tokio::task::spawn_blocking(|| draft.write()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.fail(&error),
            Err(error) => self.fail(&WriteError {
                path: self.outputs.directory().to_owned(),
                source: std::io::Error::other(error),
            }),
        }
        self.written_at = Instant::now();
    }

    /// Makes a failure to write part of the run. Once: a full disk fails at every event.
    fn fail(&mut self, error: &WriteError) {
        if self.failed {
            return;
        }
        self.failed = true;
        let reason = error.source().map_or_else(String::new, |source| format!(": {source}"));
        let finding = Finding::broken(
            "the journal and every report are written",
            format!("{error}{reason}"),
            CauseCode::ReportNotWritten,
        );
        self.take(&Event::Decided {
            decision: Decision::new(
                Stage::Cleanup,
                REPORTS_WRITTEN,
                "not everything that was seen could be written down",
                finding,
            ),
        });
    }

    async fn close(mut self, ended: Option<Event>) -> RunRecord {
        match ended {
            Some(event) => {
                // Told to the reporter and written by `take`, before the reports are: they show the end.
                self.take(&event);
            }
            None => self.take(&Event::Decided {
                decision: Decision::new(
                    Stage::Cleanup,
                    RUN_ENDED,
                    "the run ended without saying so",
                    Finding::broken("an end", "nobody is left who could say more", CauseCode::HarnessError),
                ),
            }),
        }
        let failed_before = self.failed;
        let draft = self.outputs.last_draft(&self.record);
        self.put(draft).await;
        self.deliver().await;
        if self.failed && !failed_before {
            // The reports that could be written must not say what the exit code does not.
            let draft = self.outputs.draft(&self.record);
            self.put(draft).await;
        }
        if let Err(error) = self.outputs.settle() {
            // What it says can be read all the same.
            tracing::warn!("{error}: {}", error.source);
        }
        self.tell(|reporter| reporter.on_close());
        self.record
    }

    /// Gives reports to whoever reads the pipes that were named. That nobody does is said, and decides nothing.
    async fn deliver(&mut self) {
        for (pipe, format) in self.outputs.take_pipes() {
            let path = pipe.path().to_owned();
            let delivery = match format.of(&self.record) {
                Ok(bytes) => pipe.deliver(&bytes).await,
                Err(error) => Err(error),
            };
            match delivery {
                Ok(Delivery::Read) => {}
                Ok(Delivery::Unread(sentence)) => {
                    let stage = Stage::Cleanup;
                    self.tell(|reporter| reporter.on_event(&Event::Noted { stage, sentence }));
                }
                Err(source) => self.fail(&WriteError { path, source }),
            }
        }
    }
}

/// Whether an event changes what a report says about the verdict.
fn decides(event: &Event) -> bool {
    matches!(
        event,
        Event::Began { .. }
            | Event::Decided { .. }
            | Event::Deviated { .. }
            | Event::LeftBehind { .. }
            | Event::Ended { .. }
            | Event::Interrupted { .. }
    )
}

#[cfg(test)]
mod tests {
    use std::{
        fs, io,
        path::Path,
        sync::{Arc, Mutex},
    };

    use super::*;
    use crate::{
        record::{Events, Journal},
        report::{Copies, JOURNAL_FILE},
        verdict::{ExitCode, Outcome},
    };

    /// Notes what it hears, and whether the journal had it by then.
    #[derive(Clone, Default)]
    struct Ear {
        heard: Arc<Mutex<Vec<String>>>,
        journal: std::path::PathBuf,
        deaf: bool,
    }

    impl Reporter for Ear {
        fn on_event(&mut self, event: &Event) -> io::Result<()> {
            if self.deaf {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let line = serde_json::to_string(event)?;
            let journal = fs::read_to_string(&self.journal).unwrap_or_default();
            assert!(journal.ends_with(&format!("{line}\n")), "journal first");
            self.heard.lock().unwrap().push(line);
            Ok(())
        }

        fn on_close(&mut self) -> io::Result<()> {
            self.heard.lock().unwrap().push("closed".into());
            Ok(())
        }
    }

    fn holds() -> Event {
        Event::Decided {
            decision: Decision::new(Stage::Request, "a", "it holds", Finding::Holds),
        }
    }

    fn ended() -> Event {
        Event::Ended {
            at: jiff::Timestamp::UNIX_EPOCH,
            took_ms: 1,
        }
    }

    async fn written(base: &Path, events: Vec<Event>, mut ear: Ear, redactor: Redactor) -> RunRecord {
        let outputs = Outputs::open(base, "7f3a", Copies::default()).unwrap();
        ear.journal = base.join("7f3a").join(JOURNAL_FILE);
        let (sender, receiver) = Events::channel();
        for event in events {
            sender.send(event);
        }
        drop(sender);
        write(receiver, outputs, Box::new(ear), redactor).await
    }

    fn outcome_on_disk(base: &Path) -> serde_json::Value {
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(base.join("7f3a/record.json")).unwrap()).unwrap();
        json["outcome"].clone()
    }

    #[tokio::test]
    async fn the_journal_has_each_event_before_anybody_hears_of_it() {
        let base = tempfile::tempdir().unwrap();
        let ear = Ear::default();
        let record = written(base.path(), vec![holds(), ended()], ear.clone(), Redactor::new()).await;
        assert_eq!(record.exit_code(), ExitCode::Passed);
        assert_eq!(ear.heard.lock().unwrap().len(), 3);
        assert_eq!(ear.heard.lock().unwrap().last().unwrap(), "closed");
        assert_eq!(outcome_on_disk(base.path()), "passed");
    }

    #[tokio::test]
    async fn a_run_that_falls_silent_is_errored_on_disk_too() {
        let base = tempfile::tempdir().unwrap();
        let record = written(base.path(), vec![holds()], Ear::default(), Redactor::new()).await;
        assert_eq!(record.outcome(), Outcome::Errored);
        assert_eq!(outcome_on_disk(base.path()), "errored");
    }

    #[tokio::test]
    async fn a_reporter_that_nobody_reads_does_not_touch_the_outcome() {
        let base = tempfile::tempdir().unwrap();
        let ear = Ear {
            deaf: true,
            ..Ear::default()
        };
        let record = written(base.path(), vec![holds(), ended()], ear, Redactor::new()).await;
        assert_eq!(record.exit_code(), ExitCode::Passed);
    }

    #[tokio::test]
    async fn a_secret_reaches_neither_journal_nor_reports() {
        let base = tempfile::tempdir().unwrap();
        let redactor = Redactor::new();
        redactor.learn("correct-horse-battery");
        let note = Event::Noted {
            stage: Stage::Release,
            sentence: "token correct-horse-battery".into(),
        };
        written(base.path(), vec![note, holds(), ended()], Ear::default(), redactor).await;
        for file in fs::read_dir(base.path().join("7f3a")).unwrap() {
            let path = file.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("correct-horse"), "{}", path.display());
        }
    }

    #[tokio::test]
    async fn a_report_that_can_no_longer_be_written_makes_the_run_errored() {
        let base = tempfile::tempdir().unwrap();
        let further = base.path().join("further");
        let junit = further.join("junit.xml");
        let copies = Copies {
            junit: Some(&junit),
            ..Copies::default()
        };
        let outputs = Outputs::open(base.path(), "7f3a", copies).unwrap();
        // A directory in its place: no rename can replace it, not even as root.
        fs::remove_file(further.join("junit.xml")).unwrap();
        fs::create_dir_all(further.join("junit.xml/in-the-way")).unwrap();
        let (sender, receiver) = Events::channel();
        for event in [holds(), ended()] {
            sender.send(event);
        }
        let record = write(receiver, outputs, Box::new(Silent), Redactor::new()).await;
        assert_eq!(record.exit_code(), ExitCode::Errored);
        assert_eq!(outcome_on_disk(base.path()), "errored", "the others say so as well");
    }

    struct Silent;

    impl Reporter for Silent {
        fn on_event(&mut self, _: &Event) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_is_waited_for_is_journaled_when_it_changes() {
        let base = tempfile::tempdir().unwrap();
        let waiting = |seen: &str| Event::Waiting {
            stage: Stage::Cluster,
            on: "Node".into(),
            seen: seen.into(),
        };
        let events = vec![waiting("a"), waiting("b"), ended()];
        written(base.path(), events, Ear::default(), Redactor::new()).await;
        let journal = Journal::read(&base.path().join("7f3a").join(JOURNAL_FILE))
            .unwrap()
            .events;
        assert_eq!(journal.len(), 3);
    }
}
