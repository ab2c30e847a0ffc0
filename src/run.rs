//! The nouns in order, and always teardown.
//!
//! Release → Guide → Plan are drawn before anything is made; then images, cluster, deployment, observation, verdict.
//! Whatever way the middle ends (a finding, an error, a panic, a signal), teardown runs and the reports are written.

use std::hash::{BuildHasher as _, RandomState};

use futures::FutureExt as _;

use crate::{
    cluster::ExistingCluster,
    host::{Host, Signals},
    merge::Lanes,
    plan::{self, Plan},
    probe::ProbeError,
    record::{Event, Events, Reporter, RunRecord, Stage},
    release::{Release, RemoteError},
    report::Outputs,
};

mod access;
mod address;
mod advancing;
mod built;
mod changing;
mod checks;
mod cluster;
mod conditions;
mod context;
mod deployment;
pub mod endpoint;
mod explaining;
mod guide;
mod images;
mod judging;
mod lanes;
mod lost;
mod models;
mod observation;
mod order;
mod picker;
mod pool;
mod proof;
mod published;
mod pulling;
mod reach;
mod request;
mod scenarios;
mod stopped;
mod teardown;
mod telling;
mod workloads;

#[cfg(test)]
mod doomed;
#[cfg(test)]
mod moods;

pub(crate) use built::built;
use context::Context;
use endpoint::{EndpointError, EndpointOrder, EndpointRun};
pub(crate) use order::{Keep, Order, Strictness};
pub(crate) use published::draw_whole;
use stopped::Stopped;
use telling::{Listeners, RunHeader};

/// A run that is ready to begin: everything that can be wrong with the order has been looked at.
///
/// One carries a guide out on a cluster, asks an endpoint that somebody else runs, or adds up runs that are over. All begin,
/// are reported and end in the same way.
///
/// ```
/// use std::time::Duration;
///
/// use quickproof::{
///     host::Host,
///     probe::Trust,
///     report::{Copies, Outputs},
///     run::{Run, endpoint::EndpointOrder},
///     scenario::Selection,
///     verdict::Outcome,
/// };
///
/// # struct Silent;
/// # impl quickproof::record::Reporter for Silent {
/// #     fn on_event(&mut self, _: &quickproof::record::Event) -> std::io::Result<()> {
/// #         Ok(())
/// #     }
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let order = EndpointOrder {
///     // Nobody listens there.
///     base: "http://127.0.0.1:9".to_owned(),
///     model: None,
///     adapter: None,
///     headers: Vec::new(),
///     scenarios: Selection::default(),
///     limit: Duration::from_secs(5),
///     wait: Duration::ZERO,
///     trust: Trust::Machine,
///     command: "quickproof probe 127.0.0.1:9".to_owned(),
/// };
/// let run = Run::of_endpoint(Host::real(), order)?;
/// let directory = tempfile::tempdir()?;
/// let outputs = Outputs::open(directory.path(), run.id(), Copies::default())?;
/// let record = run.carry_out(outputs, Box::new(Silent)).await?;
/// // What is not there cannot be tested, so nothing is proven against it.
/// assert_eq!(record.outcome(), Outcome::Errored);
/// # Ok::<_, anyhow::Error>(())
/// # }).unwrap();
/// ```
pub struct Run {
    host: Host,
    id: String,
    command: String,
    kind: Kind,
    /// From before anything is written: no signal leaves half of it.
    signals: Signals,
}

/// What a run is about, and what it is carried out with.
enum Kind {
    /// The guide of a release, on a cluster.
    Guide(Box<(Order, Release, Plan)>),
    /// An endpoint that somebody else runs.
    Endpoint(Box<EndpointRun>),
    /// Runs that are over, a lane each.
    Lanes(Box<Lanes>),
}

impl std::fmt::Debug for Run {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Run")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// Why a run cannot begin. Nothing was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OrderError {
    /// The release cannot be had.
    #[error(transparent)]
    Release(#[from] crate::release::ReleaseError),
    /// What a published release has on the web cannot be had.
    #[error(transparent)]
    Published(#[from] RemoteError),
    /// The plan cannot be drawn.
    #[error(transparent)]
    Plan(#[from] plan::PlanError),
    /// The gateway provider comes with the clusters of a cloud, and no such cluster was named.
    #[error(
        "the provider `{provider}` comes with the clusters of its cloud, and a cluster of our own never has it; name such a \
         cluster with `--cluster`"
    )]
    Managed {
        /// The provider.
        provider: String,
    },
    /// A program that the run needs is missing.
    #[error("{what}; `make setup` installs what is missing, `.ci/setup --check` lists it")]
    Host {
        /// What is missing.
        what: String,
    },
}

impl OrderError {
    /// The exit code: 3 where this machine or the network is at fault, else 2.
    pub(crate) fn exit_code(&self) -> crate::verdict::ExitCode {
        match self {
            Self::Host { .. } => crate::verdict::ExitCode::Errored,
            Self::Release(error) if error.is_infrastructure() => crate::verdict::ExitCode::Errored,
            Self::Published(error) if error.is_infrastructure() => crate::verdict::ExitCode::Errored,
            _ => crate::verdict::ExitCode::Usage,
        }
    }
}

impl Run {
    /// Reads the release, draws the plan, looks for the engine. Makes nothing.
    ///
    /// # Errors
    /// Something of the order is wrong or missing; each is a sentence with the way out.
    pub(crate) async fn prepare(host: Host, mut order: Order) -> Result<Self, OrderError> {
        let mut release = order.source.open(&host).await?;
        let mut notes = Vec::new();
        let plan = draw_whole(&host, order.access, &release, &mut order.options, &mut notes).await?;
        release.notes.append(&mut notes);
        if order.cluster.is_none() {
            if plan.is_managed {
                let provider = plan.subject.provider.clone();
                return Err(OrderError::Managed { provider });
            }
            cluster::look_for_engine(&host).await?;
        }
        Ok(Self {
            id: run_id(),
            command: order.command.clone(),
            host,
            kind: Kind::Guide(Box::new((order, release, plan))),
            signals: Signals::listen(),
        })
    }

    /// A run against an endpoint. Asks and writes nothing yet; must be called within a runtime.
    ///
    /// # Errors
    /// The TLS machinery cannot be set up.
    pub fn of_endpoint(host: Host, order: EndpointOrder) -> Result<Self, ProbeError> {
        Ok(Self {
            id: run_id(),
            command: order.command.clone(),
            host,
            kind: Kind::Endpoint(Box::new(EndpointRun::new(order)?)),
            signals: Signals::listen(),
        })
    }

    /// A run that adds up runs; must be called within a runtime.
    pub(crate) fn of_lanes(host: Host, lanes: Lanes, command: String) -> Self {
        Self {
            id: run_id(),
            command,
            host,
            kind: Kind::Lanes(Box::new(lanes)),
            signals: Signals::listen(),
        }
    }

    /// The run's id, which names its directory.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is carried out, where it is a guide.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        match &self.kind {
            Kind::Guide(parts) => Some(&parts.2),
            Kind::Endpoint(_) | Kind::Lanes(_) => None,
        }
    }

    /// The same in a cluster that was made for it and for others.
    #[must_use]
    pub(crate) fn within(mut self, cluster: ExistingCluster) -> Self {
        if let Kind::Guide(parts) = &mut self.kind {
            parts.0.cluster = Some(cluster);
        }
        self
    }

    /// The same under another id, where the directory of its own is another run's.
    #[must_use]
    pub(crate) fn renamed(mut self) -> Self {
        self.id = run_id();
        self
    }

    /// Runs it to its end, or to a signal, and returns the record: whatever happens is in it.
    ///
    /// # Errors
    /// An endpoint lists its models, and which one is meant cannot be told: an error of use. No reports stay.
    pub async fn carry_out(self, outputs: Outputs, reporter: Box<dyn Reporter>) -> Result<RunRecord, EndpointError> {
        let Self {
            host,
            id,
            command,
            kind,
            signals,
        } = self;
        let evidence = outputs.directory().join("evidence");
        let mut listeners = Listeners {
            outputs,
            reporter,
            redactor: host.redactor().clone(),
        };
        let begin = |(subject, expected)| RunHeader {
            run: id.clone(),
            subject,
            command,
            expected,
        };
        let machine = host.clone();
        let told = match kind {
            Kind::Endpoint(run) => {
                let unasked = EndpointRun::unasked(run.order().clone());
                let question = run.question();
                let asking = listeners.shown(Stage::Scenarios, question, run.ask());
                let asked = tokio::select! {
                    biased;
                    signal = signals.after(0) => Err(signal),
                    asked = asking => Ok(asked),
                };
                match asked {
                    Ok(Ok(asked)) => {
                        let header = begin((asked.subject(), asked.expected()));
                        let middle = async move |events: Events, signals: Signals| {
                            guarded(&events, &signals, Stage::Scenarios.traced(asked.perform(&events))).await;
                        };
                        Box::pin(telling::told(&machine, header, listeners, signals, middle)).await
                    }
                    Ok(Err(error)) => {
                        listeners.outputs.discard();
                        return Err(error);
                    }
                    Err(signal) => {
                        let middle = async move |events: Events, _: Signals| {
                            let signal = signal.to_owned();
                            events.send(Event::Interrupted { signal });
                        };
                        Box::pin(telling::told(&machine, begin(unasked), listeners, signals, middle)).await
                    }
                }
            }
            Kind::Lanes(lanes) => {
                let header = begin((lanes.subject(), lanes::expected(&lanes)));
                let middle = async move |events: Events, _: Signals| lanes::tell(&lanes, &events);
                Box::pin(telling::told(&machine, header, listeners, signals, middle)).await
            }
            Kind::Guide(parts) => {
                let (order, release, plan) = *parts;
                let header = begin((plan.subject.clone(), guide::expected(&plan)));
                let middle = async move |events: Events, signals: Signals| {
                    let Ok(context) = Context::open(host, order, id, events, evidence) else {
                        return;
                    };
                    let nouns = Box::pin(nouns_in_order(&context, &release, plan));
                    guarded(&context.events, &signals, nouns).await;
                    guide::judge_strictness(&context);
                    Stage::Cleanup.traced(teardown::run(context, &signals)).await;
                };
                Box::pin(telling::told(&machine, header, listeners, signals, middle)).await
            }
        };
        Ok(told)
    }
}

/// Release, guide, plan, images, cluster, what is deployed, what is observed of it: each takes the one before. Where one of
/// them stops, it has said why.
async fn nouns_in_order(context: &Context, release: &Release, plan: Plan) -> Result<(), Stopped> {
    guide::present(context, release, &plan);
    // Whether the nodes of somebody's cluster ask our registry decides how images are had, so it is opened first.
    let existing = Stage::Cluster.traced(cluster::open_existing(context)).await?;
    let looked = access::look(context, &plan, existing.as_ref());
    Stage::Cluster.traced(looked).await?;
    let images = images::provide(context, &plan, existing.as_ref());
    let images = Stage::Images.traced(images).await?;
    let plan = guide::complete(context, plan, &images).await?;
    let cluster = cluster::ready(context, existing, &images);
    let cluster = Stage::Cluster.traced(cluster).await?;
    let quickstart = deployment::deploy(context, release, &plan, cluster, images);
    let quickstart = Stage::Deployment.traced(quickstart).await?;
    let seen = Stage::Conditions.traced(judging::await_ready(&quickstart)).await?;
    Stage::Deployment.traced(quickstart.read_values()).await?;
    let asked = Stage::Request.traced(request::ask(&quickstart, seen)).await?;
    let proven = Box::pin(proof::prove(&quickstart, asked));
    let proven = Stage::Proof.traced(proven).await?;
    let performed = scenarios::perform_selected(&quickstart, &proven);
    Stage::Scenarios.traced(performed).await
}

/// A part of a run, up to its end, a signal, or a panic.
async fn guarded(events: &Events, signals: &Signals, part: impl Future<Output = Result<(), Stopped>>) {
    let part = std::panic::AssertUnwindSafe(part).catch_unwind();
    tokio::select! {
        // Signals are caught before the part does anything.
        biased;
        signal = signals.after(0) => {
            events.send(Event::Interrupted { signal: signal.to_owned() });
        }
        ended = part => {
            if let Err(panic) = ended {
                Stopped::by_panic(events, &*panic);
            }
        }
    }
}

/// Eight hexadecimal digits: of ten thousand runs on one machine, two have the same once in a hundred times, and then the later
/// one takes others ([`Run::renamed`]).
fn run_id() -> String {
    // Keys of hash maps are what the standard library has of the operating system's randomness.
    let random = RandomState::new().hash_one(std::process::id());
    format!("{:08x}", random >> 32)
}
