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
pub(super) struct Beginning {
    /// The run's id.
    pub(super) run: String,
    /// What is tested.
    pub(super) subject: Subject,
    /// The command line, to type again.
    pub(super) command: String,
    /// Names of the checks that must be decided.
    pub(super) expected: Vec<String>,
}

/// Who hears of a run.
pub(super) struct Hearers {
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
    beginning: Beginning,
    hearers: Hearers,
    middle: impl FnOnce(Events) -> F,
) -> RunRecord {
    let span = tracing::info_span!("run", id = %beginning.run);
    tell(host, beginning, hearers, middle).instrument(span).await
}

async fn tell<F: Future<Output = ()>>(
    host: &Host,
    beginning: Beginning,
    hearers: Hearers,
    middle: impl FnOnce(Events) -> F,
) -> RunRecord {
    let (events, receiver) = Events::channel();
    let Hearers {
        outputs,
        reporter,
        redactor,
    } = hearers;
    let writer = tokio::spawn(report::write(receiver, outputs, reporter, redactor));
    let began = Instant::now();
    events.send(Event::Began {
        run: beginning.run,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at: host.now(),
        subject: beginning.subject,
        command: beginning.command,
    });
    events.send(Event::Expected {
        checks: beginning.expected,
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
