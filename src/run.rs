//! The nouns in order, and always teardown.
//!
//! Release → Guide → Plan are drawn before anything is made; then images, cluster, deployment, observation, verdict.
//! Whatever way the middle ends (a finding, an error, a panic, a signal), teardown runs and the reports are written.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::FutureExt as _;

use crate::{
    check,
    cluster::{Cluster, ExistingCluster, inventory::Inventory, scale::Scaled},
    deploy::Deployer,
    host::{Host, docker},
    images::{ImageRef, Way},
    plan::{self, Action, Plan},
    record::{Decision, Event, Events, Reporter, RunRecord, Stage},
    release::{Access, Release, RemoteError, Source},
    report::{Outputs, Sink},
    scenario::Selection,
    verdict::{Cause, CauseCode, Finding, Weight},
};

mod address;
mod changing;
pub mod endpoint;
mod ground;
mod judging;
mod observe;
mod picker;
mod proof;
mod published;
mod reach;
mod request;
mod scenarios;
mod signals;
mod stages;
mod teardown;
mod telling;
mod workloads;

pub use published::draw_whole;
use telling::{Beginning, Hearers};

/// What is asked for, checked for form but not yet against the release.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is tested.
    pub source: Source,
    /// What the plan is drawn with, apart from how images are had.
    pub options: plan::Options,
    /// Whether what a published release has on the web may be fetched.
    pub access: Access,
    /// How images are had.
    pub images: Way,
    /// An existing cluster, or `None` for one of our own.
    pub cluster: Option<ExistingCluster>,
    /// The kubeconfig file of an existing cluster.
    pub kubeconfig: Option<PathBuf>,
    /// Whether what was made stays.
    pub keep: Keep,
    /// Whether deviations are allowed.
    pub strictness: Strictness,
    /// How long one wait may take.
    pub limit: Duration,
    /// Requests of the proof.
    pub requests: usize,
    /// What is proven beyond the guide's own request.
    pub scenarios: Selection,
    /// The command line, to type again.
    pub command: String,
}

/// Whether what was made stays after the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It goes.
    No,
    /// It stays, and the report says how to look around.
    Yes,
}

/// Whether deviations from the guide are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// They are, and stand in the ledger.
    Ledger,
    /// None is: the first makes the verdict inconclusive.
    Strict,
}

/// A run that is ready to begin: everything that can be wrong with the order has been looked at.
pub struct Run {
    host: Host,
    order: Order,
    release: Release,
    plan: Plan,
    id: String,
    sink: Sink,
}

/// Why a run cannot begin. Nothing was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The release cannot be had.
    #[error(transparent)]
    Release(#[from] crate::release::ReleaseError),
    /// What a published release has on the web cannot be had.
    #[error(transparent)]
    Published(#[from] RemoteError),
    /// The plan cannot be drawn.
    #[error(transparent)]
    Plan(#[from] plan::PlanError),
    /// A program that the run needs is missing.
    #[error("{what}; `make setup` installs what is missing, `.ci/setup --check` lists it")]
    Host {
        /// What is missing.
        what: String,
    },
}

impl OrderError {
    /// The exit code: 3 where this machine or the network is at fault, else 2.
    pub fn exit_code(&self) -> crate::verdict::ExitCode {
        match self {
            Self::Host { .. } => crate::verdict::ExitCode::Errored,
            Self::Release(error) if error.is_infrastructure() => crate::verdict::ExitCode::Errored,
            Self::Published(error) if error.is_infrastructure() => crate::verdict::ExitCode::Errored,
            _ => crate::verdict::ExitCode::Usage,
        }
    }
}

/// What the parts of a run share, and what must outlive the middle of it for teardown.
struct Context {
    host: Host,
    order: Order,
    plan: Plan,
    id: String,
    events: Events,
    sink: Sink,
    inventory: Inventory,
    evidence: PathBuf,
    scratch: tempfile::TempDir,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    cluster: Option<Cluster>,
    deployer: Option<Arc<Deployer>>,
    /// Addresses of the kind network that were put on the node.
    addresses: address::Addresses,
    /// What the names of images lead to, by digest, where nodes ask for them by name.
    digests: BTreeMap<ImageRef, String>,
    /// Whether nodes get images from our registry and from nobody else.
    only_our_images: bool,
    /// What a scenario has scaled and not put back yet, as it was before.
    scaled: Vec<Scaled>,
    /// Port-forwards that requests go through.
    forwards: Vec<crate::cluster::forward::LocalForward>,
}

impl Context {
    fn hold<R>(&self, change: impl FnOnce(&mut Held) -> R) -> R {
        change(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Run {
    /// Reads the release, draws the plan, looks for the engine. Makes nothing.
    ///
    /// # Errors
    /// Something of the order is wrong or missing; each is a sentence with the way out.
    pub async fn prepare(host: Host, mut order: Order, sink: Sink) -> Result<Self, OrderError> {
        let mut release = order.source.open(&host).await?;
        let mut notes = Vec::new();
        let plan = draw_whole(&host, order.access, &release, &mut order.options, &mut notes).await?;
        release.notes.append(&mut notes);
        if order.cluster.is_none() {
            ground::look_for_engine(&host).await?;
        }
        let id = run_id(&host);
        Ok(Self {
            host,
            order,
            release,
            plan,
            id,
            sink,
        })
    }

    /// The run's id, which names its directory.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Runs it to its end and returns the record; never fails, whatever happens is in it.
    pub async fn carry_out(self, outputs: Outputs, reporter: Box<dyn Reporter>) -> RunRecord {
        let host = self.host.clone();
        let evidence = outputs.directory().join("evidence");
        let beginning = Beginning {
            run: self.id.clone(),
            subject: self.plan.subject.clone(),
            command: self.order.command.clone(),
            expected: expected(&self.plan),
        };
        let hearers = Hearers {
            outputs,
            reporter,
            sink: self.sink.clone(),
        };
        Box::pin(telling::told(&host, beginning, hearers, |events| {
            self.middle(events, evidence)
        }))
        .await
    }

    /// Everything between the first event and the last.
    async fn middle(self, events: Events, evidence: PathBuf) {
        let opened = Inventory::open(&self.host, &self.id)
            .map_err(|error| error.to_string())
            .and_then(|inventory| Ok((inventory, tempfile::tempdir().map_err(|error| error.to_string())?)));
        let (inventory, scratch) = match opened {
            Ok(opened) => opened,
            Err(what) => {
                harness_error(&events, "the run's inventory and scratch directory are written", &what);
                return;
            }
        };
        let context = Context {
            host: self.host,
            order: self.order,
            plan: self.plan,
            id: self.id,
            events,
            sink: self.sink,
            inventory,
            evidence,
            scratch,
            held: Mutex::default(),
        };
        guarded(&context, &self.release).await;
        judge_strictness(&context);
        teardown::run(context).await;
    }
}

/// With `--strict`, a run that deviated anywhere cannot pass, however well it went.
fn judge_strictness(context: &Context) {
    let deviations = context.events.deviations();
    if context.order.strictness == Strictness::Strict && deviations > 0 {
        let why = format!("`--strict` allows no deviation from the guide, and the ledger has {deviations}");
        let sentence = "the run follows the guide to the letter";
        let finding = Finding::Undecided { why };
        context
            .events
            .decide(Decision::new(Stage::Release, "strict", sentence, finding));
    }
}

/// The middle of the run, up to its end, a signal, or a panic.
async fn guarded(context: &Context, release: &Release) {
    let middle = std::panic::AssertUnwindSafe(stages::run(context, release)).catch_unwind();
    tokio::select! {
        ended = middle => {
            if let Err(panic) = ended {
                let what = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
                    .unwrap_or_else(|| "a panic without words".into());
                harness_error(&context.events, "quickproof does not panic", &what);
            }
        }
        signal = signals::first() => {
            context.events.send(Event::Interrupted { signal: signal.to_owned() });
        }
    }
}

fn harness_decision(expected: &str, actual: &str) -> Decision {
    Decision::new(
        Stage::Cleanup,
        "harness",
        "quickproof itself failed",
        Finding::broken(
            expected.to_owned(),
            actual.to_owned(),
            Cause::new(CauseCode::HarnessError).because(actual),
        ),
    )
}

fn harness_error(events: &Events, expected: &str, actual: &str) {
    events.decide(harness_decision(expected, actual));
}

/// Names of the checks that must be decided: every step that does something and decides, every check.
fn expected(plan: &Plan) -> Vec<String> {
    let steps = plan
        .steps
        .iter()
        .filter(|step| step.weight == Weight::Gate)
        .filter(|step| {
            !matches!(
                step.action,
                Action::Variables | Action::LeftOut { .. } | Action::Request(_)
            )
        })
        .map(|step| step.check.clone());
    let checks = check::CHECKS.iter().map(|check| check.name().to_owned());
    steps
        .chain(checks)
        .chain([stages::GUIDE_UNDERSTOOD.to_owned()])
        .collect()
}

/// Four hexadecimal digits that no other run of this moment has: from the clock and the process id.
fn run_id(host: &Host) -> String {
    let clock = host.now().as_microsecond().unsigned_abs();
    let mixed = (clock ^ (u64::from(std::process::id()) << 20)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:04x}", mixed >> 48)
}

/// Whether a container engine answers, asked in the cheapest way.
async fn engine_answers(host: &Host) -> Result<(), String> {
    let call = docker(["version", "--format", "{{.Server.Version}}"]).time_limit(Duration::from_secs(5));
    match host.run(&call).await {
        Ok(ended) if ended.status.success() => Ok(()),
        Ok(ended) => Err(format!("no container engine answers: {}", ended.last_words())),
        Err(error) => Err(error.to_string()),
    }
}
