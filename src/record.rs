//! What a run says about itself: events, the journal they are appended to, and the record they add up to.
//!
//! [`Event`] is the whole interface between a run and its reports. Stages send events through [`Events`]; one task
//! (`report::write`) appends each to the [`Journal`], folds it into the [`RunRecord`], and feeds the reporters. Nothing here
//! decides anything: the outcome is added up by [`crate::verdict::add_up`].

use std::{
    collections::BTreeSet,
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tracing::{Instrument as _, instrument::Instrumented};

use crate::verdict::{Finding, Weight};

mod fold;
mod journal;
mod load;
mod logged;
mod outcome;
mod redacted;
mod root;

pub use fold::{Change, RunRecord};
pub use journal::{Journal, JournalError, Journaled, NotAnEvent};
pub use load::{ConfiguredLatencies, Counted, LoadFigures, Objective, Quantiles, in_percent};
pub(crate) use root::RootCause;

/// The version of the record's JSON form; raised when a field changes its meaning or goes away.
pub(crate) const RECORD_VERSION: u32 = 1;

/// The part of a run that an event belongs to, in the order in which a run goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The tag, its tree, its guide.
    Release,
    /// Container images pulled or built.
    Images,
    /// The cluster opened or created.
    Cluster,
    /// The guide's commands carried out.
    Deployment,
    /// Conditions of Gateway, HTTPRoute, InferencePool.
    Conditions,
    /// The guide's own request.
    Request,
    /// What proves more than a 200 does.
    Proof,
    /// Scenarios: what is proven beyond the guide's own request.
    Scenarios,
    /// What runs came to that are added up, each a lane.
    Lanes,
    /// Everything made is taken away.
    Cleanup,
}

impl Stage {
    /// Its heading.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Images => "images",
            Self::Cluster => "cluster",
            Self::Deployment => "deployment",
            Self::Conditions => "conditions",
            Self::Request => "request",
            Self::Proof => "proof",
            Self::Scenarios => "scenarios",
            Self::Lanes => "lanes",
            Self::Cleanup => "cleanup",
        }
    }

    /// Work of this stage, as a span of the log.
    pub(crate) fn traced<W: Future>(self, work: W) -> Instrumented<W> {
        work.instrument(tracing::info_span!("stage", name = self.word()))
    }
}

/// Where something comes from: a file of the release, its line (from 1), and the section heading above it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Provenance {
    /// Path relative to the root of the release's tree.
    pub file: String,
    /// Line in that file, counted from 1.
    pub line: u32,
    /// The nearest heading above it; empty where there is none.
    pub(crate) section: String,
}

impl fmt::Display for Provenance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// Why the run deviates from the letter of the guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviationKind {
    /// A reference was served from somewhere else, as the phase demands (local tree in place of an unpublished URL).
    Substituted,
    /// Something was added that the guide does not say (Gateway API CRDs, an address, a role for reading).
    Added,
    /// Something the guide asks was changed (resources, settings), because a flag or profile said so.
    Overridden,
    /// A command of the guide was left out, for a stated reason.
    LeftOut,
    /// An image or a program was built from packages and is not the published one.
    Built,
    /// Of what the guide leaves open something was chosen, such as which helm runs. It deviates from nothing, so that it is
    /// no reason why a strict run cannot pass.
    Chosen,
}

impl DeviationKind {
    /// Its word for a person: `left out`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Substituted => "substituted",
            Self::Added => "added",
            Self::Overridden => "overridden",
            Self::LeftOut => "left out",
            Self::Built => "built",
            Self::Chosen => "chosen",
        }
    }
}

/// One entry of the ledger: a deviation from the letter of the guide, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deviation {
    /// What kind.
    pub kind: DeviationKind,
    /// What it is about, such as a URL, an image name, an object.
    pub subject: String,
    /// What was done, in place of what, as one sentence.
    pub what: String,
    /// Why.
    pub(crate) why: String,
    /// The line of the guide it concerns, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Provenance>,
}

/// What the run is about; printed in the first line and in every report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The repository or `embedded quickstart`.
    pub(crate) repository: String,
    /// The tag, or `None` when no release is tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
    /// The commit, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    /// Model-server variant, such as `sim`.
    pub(crate) variant: String,
    /// Gateway provider, such as `istio`; `standalone` where there is no gateway.
    pub provider: String,
    /// `before-publish` or `after-publish`.
    pub(crate) phase: String,
    /// How far the run goes, where that is less than a quickstart: what alone is tested and what is not, as the end of a
    /// sentence. Then variant, provider and phase say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) extent: Option<String>,
}

impl Subject {
    /// The subject in a few words: `v1.5.0 on istio with sim` or `embedded quickstart (no release was tested)`.
    pub(crate) fn sentence(&self) -> String {
        match (&self.tag, &self.extent) {
            (_, Some(extent)) => format!("{}: {extent}", self.repository),
            (Some(tag), None) => format!("{tag} on {} with {}", self.provider, self.variant),
            (None, None) => format!("{} (no release was tested)", self.repository),
        }
    }
}

/// A request that was sent and what came back, kept as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The request as a `curl` command line to copy.
    pub(crate) curl: String,
    /// Which try of this request it was, counted from 1.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub(crate) attempt: u32,
    /// Status code, or `None` when nothing answered. Where there is also a `failure`, the answer began and did not end.
    pub(crate) status: Option<u16>,
    /// Response headers in the order received, duplicates kept.
    pub(crate) headers: Vec<(String, String)>,
    /// The body as text, cut at 16 KiB.
    pub(crate) body: String,
    /// What the whole body was, where `body` was cut; `None` where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) whole_body: Option<WholeBody>,
    /// Milliseconds from sending to the response's headers, or `None` where they never came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) head_ms: Option<u64>,
    /// Milliseconds from sending to the first event of a stream that carries text; `None` where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time_to_first_token_ms: Option<u64>,
    /// Milliseconds between each such event and the one before it; `None` where there are not two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inter_token_ms: Option<Spread>,
    /// Milliseconds from sending to the last byte.
    pub(crate) took_ms: u64,
    /// Why there was no whole answer, where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

/// Many values of one kind: how many, the median and the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spread {
    /// How many there are, at least one.
    pub(crate) count: u64,
    /// The one in the middle of them in order; of an even number the higher of the two.
    pub(crate) median: u64,
    /// The highest.
    pub(crate) longest: u64,
}

/// A body of which only the beginning was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WholeBody {
    /// How many bytes of it came.
    pub(crate) bytes: u64,
    /// `sha256:` and their hexadecimal digest.
    pub(crate) digest: String,
}

fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(attempt: &u32) -> bool {
    *attempt == first()
}

/// One thing decided: a check, what it says, and what it came to.
///
/// ```
/// use quickproof::{
///     record::{Decision, Stage},
///     verdict::{Finding, Weight},
/// };
///
/// let holds = Decision::new(Stage::Cluster, "cluster", "kind cluster quickproof-8e85 is ready", Finding::Holds);
/// assert_eq!(holds.weight, Weight::Gate);
/// let line = serde_json::to_string(&holds)?;
/// assert!(line.contains(r#""check":"cluster""#));
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The part of the run.
    pub(crate) stage: Stage,
    /// The stable name of the check, unique in a run, such as `request-status` or `apply:Deployment/server`.
    pub check: String,
    /// What is true when it holds, as one sentence without a full stop; what is the case when it is broken.
    pub(crate) sentence: String,
    /// What it came to.
    pub finding: Finding,
    /// Whether it decides the verdict.
    pub weight: Weight,
    /// The line of the release that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Provenance>,
    /// Milliseconds it took, where that says something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) took_ms: Option<u64>,
    /// The request and answer that show it; of those that hold, only where it is the first of its kind, so that every kind
    /// of request that was sent can be sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Box<Exchange>>,
}

/// Something that happened in a run. Each event is one line of the journal.
///
/// ```
/// use quickproof::record::{Event, Stage};
///
/// let line = r#"{"event":"noted","stage":"images","sentence":"all images are there"}"#;
/// let event: Event = serde_json::from_str(line)?;
/// assert!(matches!(event, Event::Noted { stage: Stage::Images, .. }));
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run began. Always the first.
    Began {
        /// The run's id: 4 or more hexadecimal digits.
        run: String,
        /// quickproof's version.
        version: String,
        /// The wall clock.
        at: jiff::Timestamp,
        /// What is tested.
        subject: Subject,
        /// The command line, redacted, as one would type it again.
        command: String,
    },
    /// Checks that must be decided before the run can pass.
    Expected {
        /// Their names.
        checks: Vec<String>,
    },
    /// A deviation from the guide.
    Deviated {
        /// The ledger's entry.
        deviation: Deviation,
    },
    /// A stage began or goes on after another.
    Entered {
        /// Which.
        stage: Stage,
    },
    /// A plain fact worth a line, such as how images are had; decides nothing.
    Noted {
        /// The part of the run.
        stage: Stage,
        /// One sentence without a full stop.
        sentence: String,
    },
    /// What is being waited for right now. Never part of the record; live reporters show the last one.
    Waiting {
        /// The part of the run.
        stage: Stage,
        /// For what, such as `Deployment vllm-qwen3-32b`.
        on: String,
        /// What was last seen, or an estimate; may be empty.
        seen: String,
    },
    /// Something was decided.
    Decided {
        /// The decision.
        decision: Decision,
    },
    /// A load was generated, and came to this.
    Loaded {
        /// The figures.
        figures: Box<LoadFigures>,
    },
    /// A stage took so long, for "where the time went".
    Spent {
        /// The part of the run.
        stage: Stage,
        /// Milliseconds.
        took_ms: u64,
    },
    /// A signal asked the run to end; what follows is teardown.
    Interrupted {
        /// `SIGINT`, `SIGTERM` or `SIGHUP`.
        signal: String,
    },
    /// Something that the run made could not be removed.
    LeftBehind {
        /// Each thing, as one would type it.
        what: Vec<String>,
    },
    /// Kept on purpose (`--keep`), with how to look around.
    Kept {
        /// Lines to copy.
        how: Vec<String>,
    },
    /// The run ended. Always the last, and missing when the process was killed.
    Ended {
        /// The wall clock.
        at: jiff::Timestamp,
        /// Milliseconds since it began.
        took_ms: u64,
    },
}

/// The sending end of a run's events; cheap to clone.
///
/// ```
/// use quickproof::record::{Event, Events, Stage};
///
/// let (events, mut receiver) = Events::channel();
/// events.note(Stage::Cluster, "the cluster has 2 nodes");
/// assert!(matches!(receiver.try_recv(), Ok(Event::Noted { stage: Stage::Cluster, .. })));
/// ```
#[derive(Debug, Clone)]
pub struct Events {
    sender: mpsc::UnboundedSender<Event>,
    deviations: Arc<AtomicUsize>,
    stage: Arc<Mutex<Stage>>,
    waits: Arc<logged::Waits>,
    /// What [`Events::note_first`] has noted.
    noted: Arc<Mutex<BTreeSet<String>>>,
}

impl Events {
    /// A channel of events: the sending end for the stages, the receiving end for the one writer.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let events = Self {
            sender,
            deviations: Arc::default(),
            stage: Arc::new(Mutex::new(Stage::Release)),
            waits: Arc::default(),
            noted: Arc::default(),
        };
        (events, receiver)
    }

    /// Events that nobody hears, for tests and for calls outside a run.
    pub fn unheard() -> Self {
        Self::channel().0
    }

    /// Logs one event and sends it. The writer lives as long as the run does; once it is gone nobody is left to tell.
    pub(crate) fn send(&self, event: Event) {
        if let Event::Entered { stage } = event {
            *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
        }
        logged::log(&event, &self.waits);
        let _ = self.sender.send(event);
    }

    /// Notes a fact.
    pub fn note(&self, stage: Stage, sentence: impl Into<String>) {
        self.send(Event::Noted {
            stage,
            sentence: sentence.into(),
        });
    }

    /// Notes what is seen `at` one place and holds for the whole run: said once, however often it is seen.
    pub(crate) fn note_first(&self, stage: Stage, at: &str, sentence: &str) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.insert(sentence.to_owned()) {
            self.note(stage, format!("{at}: {sentence}"));
        }
    }

    /// Says what is waited for.
    pub(crate) fn waiting(&self, stage: Stage, on: impl Into<String>, seen: impl Into<String>) {
        self.send(Event::Waiting {
            stage,
            on: on.into(),
            seen: seen.into(),
        });
    }

    /// Adds a deviation to the ledger.
    pub(crate) fn deviate(&self, deviation: Deviation) {
        if deviation.kind != DeviationKind::Chosen {
            self.deviations.fetch_add(1, Ordering::Relaxed);
        }
        self.send(Event::Deviated { deviation });
    }

    /// How many deviations were added so far, by any clone. What was chosen is none.
    pub(crate) fn deviations(&self) -> usize {
        self.deviations.load(Ordering::Relaxed)
    }

    /// The stage that was entered last, by any clone; [`Stage::Release`] before the first.
    pub(crate) fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a decision.
    pub(crate) fn decide(&self, decision: Decision) {
        self.send(Event::Decided { decision });
    }
}

impl Decision {
    /// A gate decision with nothing but what it says.
    pub fn new(stage: Stage, check: impl Into<String>, sentence: impl Into<String>, finding: Finding) -> Self {
        Self {
            stage,
            check: check.into(),
            sentence: sentence.into(),
            finding,
            weight: Weight::Gate,
            from: None,
            took_ms: None,
            exchange: None,
        }
    }

    /// With the line of the release that it concerns.
    #[must_use]
    pub(crate) fn at_line(mut self, from: Provenance) -> Self {
        self.from = Some(from);
        self
    }

    /// With the time it took.
    #[must_use]
    pub(crate) fn took(mut self, took: std::time::Duration) -> Self {
        self.took_ms = Some(milliseconds(took));
        self
    }

    /// Shown, but deciding nothing.
    #[must_use]
    pub(crate) fn advisory(mut self) -> Self {
        self.weight = Weight::Advisory;
        self
    }

    /// With the request and answer that show it.
    #[must_use]
    pub(crate) fn shown_by(mut self, exchange: Exchange) -> Self {
        self.exchange = Some(Box::new(exchange));
        self
    }
}

/// A duration in whole milliseconds, as events have it.
pub(crate) fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A report that is shown while the run goes on.
pub trait Reporter: Send {
    /// Takes one event.
    ///
    /// # Errors
    /// The stream it writes to is broken.
    fn on_event(&mut self, event: &Event) -> io::Result<()>;

    /// Called about ten times a second while the run goes on, for what moves without an event.
    ///
    /// # Errors
    /// The stream it writes to is broken.
    fn on_tick(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Called once, after the last event and after every report is in its final form.
    ///
    /// # Errors
    /// The stream it writes to is broken.
    fn on_close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A report that is written from the record, at any moment.
pub trait Render: Send + Sync {
    /// Writes the whole report.
    ///
    /// # Errors
    /// Writing fails.
    fn render(&self, record: &RunRecord, out: &mut dyn io::Write) -> anyhow::Result<()>;
}
