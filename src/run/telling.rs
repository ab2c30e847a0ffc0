//! Telling a run: its first and its last event, and the one writer between them and the reports.

use std::{future::Future, time::Instant};

use tracing::Instrument as _;

use super::stopped::harness_failed;
use crate::{
    host::Host,
    record::{Event, Events, Reporter, RunRecord, Stage, Subject, milliseconds},
    redact::Redactor,
    report::{self, Outputs},
};

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

/// Says that a run begins, lets its middle say what happens, says that it ended, and returns the record; never fails.
pub(super) async fn told<F: Future<Output = ()>>(
    host: &Host,
    header: RunHeader,
    listeners: Listeners,
    middle: impl FnOnce(Events) -> F,
) -> RunRecord {
    let span = tracing::info_span!("run", id = %header.run);
    tell(host, header, listeners, middle).instrument(span).await
}

async fn tell<F: Future<Output = ()>>(
    host: &Host,
    header: RunHeader,
    listeners: Listeners,
    middle: impl FnOnce(Events) -> F,
) -> RunRecord {
    let (events, receiver) = Events::channel();
    let Listeners {
        outputs,
        reporter,
        redactor,
    } = listeners;
    let writer = tokio::spawn(report::write(receiver, outputs, reporter, redactor));
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
    middle(events.clone()).await;
    events.send(Event::Ended {
        at: host.now(),
        took_ms: milliseconds(began.elapsed()),
    });
    drop(events);
    // The writer catches its own failures; it can only be missing when it panicked.
    writer.await.unwrap_or_else(|_| {
        let mut record = RunRecord::default();
        record.fold(&Event::Decided {
            decision: harness_failed(Stage::Cleanup, "the reports are written", "the report writer panicked"),
        });
        record
    })
}
