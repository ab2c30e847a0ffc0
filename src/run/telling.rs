//! Telling a run: its first and its last event, and the one writer between them and the reports.

use std::{
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use tracing::Instrument as _;

use super::stopped::{Stopped, harness_failed};
use crate::{
    host::{Host, Signals},
    record::{Event, Events, Reporter, RunRecord, Stage, Subject, milliseconds},
    redact::Redactor,
    report::{self, Outputs},
};

/// How long reports may still take to be written after a signal.
const GRACE: Duration = Duration::from_secs(5);

/// What is said of a run before anything of it happens.
pub(super) struct RunHeader {
    /// The run's id.
    pub(super) run: String,
    /// What is tested.
    pub(super) subject: Subject,
    /// The command line, to type again.
    pub(super) command: String,
    /// Names of the checks that must be decided.
    pub(super) expected: Vec<String>,
}

/// Who is given the events of a run.
pub(super) struct Listeners {
    /// The reports that are written.
    pub(super) outputs: Outputs,
    /// The live reporter.
    pub(super) reporter: Box<dyn Reporter>,
    /// What takes secrets out before anybody hears anything.
    pub(super) redactor: Redactor,
}

impl Listeners {
    /// Does what comes before the run begins, and shows meanwhile what is waited for.
    pub(super) async fn shown<T>(&mut self, stage: Stage, on: String, work: impl Future<Output = T>) -> T {
        let waiting = Event::Waiting {
            stage,
            on,
            seen: String::new(),
        };
        // Whoever closed the stream does not want to read it.
        let _ = self.reporter.on_event(&self.redactor.event(waiting));
        let mut ticks = tokio::time::interval(report::TICK);
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => {
                    let _ = self.reporter.on_tick();
                }
            }
        }
    }
}

/// Says that a run begins, lets its middle say what happens, says that it ended, and returns the record; never fails.
pub(super) async fn told(
    host: &Host,
    header: RunHeader,
    listeners: Listeners,
    signals: Signals,
    middle: impl AsyncFnOnce(Events, Signals),
) -> RunRecord {
    let span = tracing::info_span!("run", id = %header.run);
    tell(host, header, listeners, signals, middle).instrument(span).await
}

async fn tell(
    host: &Host,
    header: RunHeader,
    listeners: Listeners,
    signals: Signals,
    middle: impl AsyncFnOnce(Events, Signals),
) -> RunRecord {
    let (events, receiver) = Events::channel();
    let Listeners {
        outputs,
        reporter,
        redactor,
    } = listeners;
    let mut writer = tokio::spawn(report::write(receiver, outputs, reporter, redactor));
    let began = Instant::now();
    events.send(Event::Began {
        run: header.run,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at: host.now(),
        subject: header.subject,
        command: header.command,
    });
    events.send(Event::Expected {
        checks: header.expected,
    });
    let middle = std::panic::AssertUnwindSafe(middle(events.clone(), signals.clone()));
    // A part of a run catches what panics in it; what comes around it must not take the reports along.
    if let Err(panic) = middle.catch_unwind().await {
        Stopped::by_panic(&events, &*panic);
    }
    let heeded = signals.came();
    events.send(Event::Ended {
        at: host.now(),
        took_ms: milliseconds(began.elapsed()),
    });
    drop(events);
    // A disk or a terminal that takes nothing must not keep a run that somebody wants to end.
    let written = tokio::select! {
        written = &mut writer => written,
        signal = after_grace(&signals, heeded) => return abandoned(signal),
    };
    // The writer catches its own failures; it can only be missing when it panicked.
    written.unwrap_or_else(|_| {
        let mut record = RunRecord::default();
        record.fold(&Event::Decided {
            decision: harness_failed(Stage::Cleanup, "the reports are written", "the report writer panicked"),
        });
        record
    })
}

/// Waits for one more signal, and then as long as reports may still take.
async fn after_grace(signals: &Signals, heeded: usize) -> &'static str {
    let signal = signals.after(heeded).await;
    tokio::time::sleep(GRACE).await;
    signal
}

/// What is known of a run whose reports were still being written when a signal ended it.
fn abandoned(signal: &str) -> RunRecord {
    let mut record = RunRecord::default();
    record.fold(&Event::Interrupted {
        signal: signal.to_owned(),
    });
    record
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{
        run::guarded,
        verdict::{CauseCode, ExitCode, Finding},
    };

    struct Silent;

    impl Reporter for Silent {
        fn on_event(&mut self, _: &Event) -> io::Result<()> {
            Ok(())
        }
    }

    /// A run with this middle, which must have decided one check: its record, and its report as it lies in its directory.
    async fn run(middle: impl AsyncFnOnce(Events, Signals)) -> (RunRecord, serde_json::Value) {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::real();
        let listeners = Listeners {
            outputs: Outputs::open(directory.path(), "7f3a", report::Copies::default()).unwrap(),
            reporter: Box::new(Silent),
            redactor: Redactor::new(),
        };
        let header = RunHeader {
            run: "7f3a".into(),
            subject: Subject {
                repository: "embedded quickstart".into(),
                tag: None,
                commit: None,
                variant: "sim".into(),
                provider: "istio".into(),
                phase: "before-publish".into(),
                extent: None,
            },
            command: String::new(),
            expected: vec!["later".into()],
        };
        let record = told(&host, header, listeners, Signals::listen(), middle).await;
        let report = std::fs::read(directory.path().join("7f3a/record.json")).unwrap();
        (record, serde_json::from_slice(&report).unwrap())
    }

    #[track_caller]
    fn assert_ours(record: &RunRecord, report: &serde_json::Value) {
        let Finding::Broken(fault) = &record.decisions[0].finding else {
            panic!("{:?}", record.decisions);
        };
        assert_eq!(
            (fault.cause.code, fault.actual.as_str()),
            (CauseCode::HarnessError, "boom 7")
        );
        assert_eq!(record.exit_code(), ExitCode::Errored);
        let root = &report["root_cause"];
        assert_eq!(report["outcome"], "errored");
        assert_eq!(
            (&root["blame"], &root["code"]),
            (&"Harness".into(), &"harness-error".into())
        );
        assert_eq!(report["exit_code"], 3);
    }

    #[tokio::test]
    async fn a_panic_in_a_part_of_a_run_is_ours_and_its_reports_are_written() {
        let seven = 7;
        let (record, report) = run(async |events: Events, signals: Signals| {
            guarded(&events, &signals, async { panic!("boom {seven}") }).await;
        })
        .await;
        assert_ours(&record, &report);
    }

    #[tokio::test]
    async fn a_panic_around_the_parts_of_a_run_is_ours_too() {
        let seven = 7;
        let (record, report) = run(async |_: Events, _: Signals| panic!("boom {seven}")).await;
        assert_ours(&record, &report);
    }
}
