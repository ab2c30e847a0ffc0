//! `quickproof verify --lane`: several lanes of a release on one cluster, one after the other, and one report with a verdict for each.
//!
//! Each lane is a run of its own, with a directory of its own, and takes away what it made before the next begins. A lane that
//! cannot be carried out here is named with the reason and does not pass.

use std::{path::PathBuf, str::FromStr, time::Duration};

use crate::{
    cli::{CliContext, Usage, cannot_begin, merge, reports::ReportArguments, telling_progress},
    cluster::{
        self, Capacity, ExistingCluster, Origin,
        inventory::Inventory,
        teardown::{Teardown, Which, left_of, still_there},
    },
    host::{Host, Signals},
    images::{self, ImageRef, ImageSource},
    merge::{Lanes, WantedLane},
    plan::{self, Options, Phase, Plan, Resources},
    record::Events,
    release::Release,
    run::{Order, Run},
    verdict::ExitCode,
};

use super::VerifyArguments;

/// How long a cluster may take to say what is free in it.
const CAPACITY_LIMIT: Duration = Duration::from_secs(10);

/// A lane, or all that the guide offers, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LaneArgument {
    /// Every variant on every provider that the guide has tabs for.
    All,
    /// One.
    One {
        /// The layout, where it is not that of `--layout` or of the tag.
        layout: Option<String>,
        variant: String,
        provider: String,
    },
}

impl FromStr for LaneArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let (layout, lane) = match text.split_once(':') {
            Some((layout, lane)) => (Some(layout), lane),
            None => (None, text),
        };
        match lane.split_once('/') {
            Some((variant, provider))
                if ![variant, provider, layout.unwrap_or("x")].contains(&"") && !provider.contains('/') =>
            {
                Ok(Self::One {
                    layout: layout.map(str::to_owned),
                    variant: variant.to_owned(),
                    provider: provider.to_owned(),
                })
            }
            _ => Err(
                "expected `all`, or lanes such as `sim/istio`, or `standalone:sim/none` with their layout".to_owned(),
            ),
        }
    }
}

/// Does it.
///
/// # Errors
/// No lane can begin, or the machine does not do its part.
pub(super) async fn run(arguments: &VerifyArguments, context: &CliContext) -> anyhow::Result<ExitCode> {
    let signals = Signals::listen();
    let order = arguments.order(context)?;
    let release = order.source.open(&context.host).await;
    let release = release.map_err(|error| cannot_begin(error.into()))?;
    let chosen = chosen(&arguments.lane, &release, &order.options)?;
    let mut planned = Vec::new();
    for options in chosen {
        planned.push(Planned::of(&order, options, &release, context).await?);
    }
    if planned.iter().all(|lane| lane.run.is_none()) {
        let why = planned.iter().map(|lane| {
            let why = lane.wanted.why_not.as_deref().unwrap_or_default();
            format!("{}/{}: {why}", lane.wanted.variant, lane.wanted.provider)
        });
        let why = why.collect::<Vec<_>>().join("; ");
        return Err(Usage::new(anyhow::anyhow!(
            "none of these lanes can be run here: {why}; `quickproof plan --lanes` shows what the guide offers"
        ))
        .into());
    }
    let id = planned.iter().find_map(|lane| lane.run.as_ref()).map_or("", Run::id);
    let inventory = Inventory::open(&context.host, &format!("lanes-{id}"))?;
    let opened = telling_progress(context, Duration::ZERO, async |events| {
        tokio::select! {
            biased;
            _ = signals.after(0) => Ok(None),
            opened = Ground::open(&order, &planned, &inventory, &context.host, events) => opened.map(Some),
        }
    });
    let opened = opened.await;
    let carried_out = match &opened {
        Ok(Some(ground)) => carry_out_all(planned, ground, arguments, context, &signals).await,
        _ => Ok((Vec::new(), Vec::new())),
    };
    let left = take_away(&inventory, context, &signals).await;
    inventory.close()?;
    for what in &left {
        context.console.say(format_args!("left     {what}"));
    }
    // Without a cluster there is nothing to report.
    if opened?.is_none() {
        return Ok(ExitCode::of_signal(signals.after(0).await));
    }
    let (directories, wanted) = carried_out?;
    let lanes = Lanes::read(&directories, &wanted).with_left_behind(left);
    let ended = merge::carry_out(lanes, &arguments.reports, context).await?;
    Ok(match signals.came() {
        0 => ended,
        _ => ExitCode::of_signal(signals.after(0).await),
    })
}

/// Takes the cluster away that was made for the lanes, and says what of it stays.
async fn take_away(inventory: &Inventory, context: &CliContext, signals: &Signals) -> Vec<String> {
    let heeded = signals.came();
    telling_progress(context, Duration::ZERO, async |events| {
        let teardown = Teardown::new(&context.host, inventory, events);
        tokio::select! {
            taken = teardown.take_away(Which::Everything) => left_of(taken),
            _ = signals.after(heeded) => still_there(inventory),
        }
    })
    .await
}

/// The cluster in which the lanes are carried out.
struct Ground {
    /// The one that was made; `None` where one was named.
    made: Option<ExistingCluster>,
    /// What is free in it before the first lane; `None` where it does not say.
    free: Option<Capacity>,
}

impl Ground {
    /// Opens the cluster that was named, or makes one and notes it.
    ///
    /// # Errors
    /// It does not answer, or cannot be made.
    async fn open(
        order: &Order,
        planned: &[Planned],
        inventory: &Inventory,
        host: &Host,
        events: &Events,
    ) -> anyhow::Result<Self> {
        let cluster = if let Some(which) = &order.cluster {
            cluster::open(host, which, order.kubeconfig.as_deref(), order.limit, events).await?
        } else {
            // As a run does it: whether images are pulled or made decides which node there is.
            let source = match (order.images, order.options.phase) {
                (ImageSource::Auto, Phase::AfterPublish) => ImageSource::Pull,
                (asked, _) => asked,
            };
            let plans = planned.iter().filter_map(|lane| lane.run.as_ref()?.plan());
            let wanted: Vec<ImageRef> = plans
                .flat_map(Plan::images)
                .filter_map(|image| image.parse().ok())
                .collect();
            let provided = images::provide(host, source, &wanted, events).await?;
            let (id, node) = (inventory.run(), provided.node_image.as_deref());
            let made = cluster::create(host, &id, node, inventory, events).await?;
            cluster::dns_ready(&made, events).await?;
            made
        };
        let asked = tokio::time::timeout(CAPACITY_LIMIT, cluster::capacity(&cluster)).await;
        // Its client hears these events for as long as it lives, so each lane has its own.
        Ok(Self {
            made: (cluster.origin == Origin::Made).then_some(ExistingCluster::Named(cluster.name)),
            free: asked.ok().and_then(Result::ok),
        })
    }
}

/// The lanes that are meant, each once, in the order in which they were named.
fn chosen(typed: &[LaneArgument], release: &Release, options: &Options) -> Result<Vec<Options>, Usage> {
    let mut chosen: Vec<Options> = Vec::new();
    for lane in typed {
        let lanes = match lane {
            LaneArgument::All => {
                let layout = release.layout(options.layout.as_deref()).map_err(Usage::new)?;
                let offers = plan::offers(release, &layout).map_err(Usage::new)?;
                offers
                    .into_iter()
                    .map(|offer| (options.layout.clone(), offer.variant, offer.provider))
                    .collect()
            }
            LaneArgument::One {
                layout,
                variant,
                provider,
            } => {
                let layout = layout.clone().or_else(|| options.layout.clone());
                vec![(layout, variant.clone(), provider.clone())]
            }
        };
        for (layout, variant, provider) in lanes {
            let is_it =
                |other: &Options| (&other.layout, &other.variant, &other.provider) == (&layout, &variant, &provider);
            if !chosen.iter().any(is_it) {
                chosen.push(Options {
                    variant,
                    provider,
                    layout,
                    ..options.clone()
                });
            }
        }
    }
    Ok(chosen)
}

/// A lane, and its run where one can begin.
struct Planned {
    wanted: WantedLane,
    run: Option<Run>,
}

impl Planned {
    /// Draws the plan of a lane. One of which there is none is a lane all the same.
    ///
    /// # Errors
    /// This machine lacks what every lane needs.
    async fn of(order: &Order, options: Options, release: &Release, context: &CliContext) -> anyhow::Result<Self> {
        let mut wanted = WantedLane {
            tag: release.tag.as_ref().map(ToString::to_string),
            variant: options.variant.clone(),
            provider: options.provider.clone(),
            why_not: None,
        };
        let order = Order {
            options,
            ..order.clone()
        };
        let run = match Run::prepare(context.host.clone(), order).await {
            Ok(run) => Some(run),
            // What is this machine's or the network's says nothing of the lane.
            Err(error) if error.exit_code() == ExitCode::Errored => return Err(cannot_begin(error)),
            Err(error) => {
                wanted.why_not = Some(error.to_string());
                None
            }
        };
        Ok(Self { wanted, run })
    }
}

/// Carries the lanes out that can be, one after the other, until a signal comes. Returns the directories of their runs, and every lane,
/// with the reason where it was not run.
///
/// # Errors
/// Reports cannot be written.
async fn carry_out_all(
    planned: Vec<Planned>,
    ground: &Ground,
    arguments: &VerifyArguments,
    context: &CliContext,
    signals: &Signals,
) -> anyhow::Result<(Vec<PathBuf>, Vec<WantedLane>)> {
    let reports = ReportArguments {
        junit_file: None,
        json_file: None,
        ..arguments.reports.clone()
    };
    let (mut directories, mut wanted) = (Vec::new(), Vec::new());
    for lane in planned {
        let mut told = lane.wanted;
        let Some(run) = lane.run else {
            wanted.push(told);
            continue;
        };
        told.why_not = if signals.came() > 0 {
            Some("a signal ended the runs before its turn".to_owned())
        } else {
            let asks = run.plan().map(|plan| plan.asks_for().0);
            asks.zip(ground.free.as_ref())
                .and_then(|(asks, free)| too_large(&asks, free))
        };
        if told.why_not.is_some() {
            wanted.push(told);
            continue;
        }
        wanted.push(told);
        let run = match &ground.made {
            Some(made) => run.within(made.clone()),
            None => run,
        };
        let (run, outputs, live) = reports.open(run, context)?;
        directories.push(outputs.directory().to_owned());
        Box::pin(run.carry_out(outputs, Box::new(live)))
            .await
            .map_err(Usage::new)?;
    }
    Ok((directories, wanted))
}

/// Why a cluster with this much free cannot hold what a lane asks for, all of it taken together. What charts ask for is not known
/// here; a pod that fits on no node is told by the run.
fn too_large(asks: &Resources, free: &Capacity) -> Option<String> {
    let gibibytes = |bytes: u64| bytes.div_ceil(1 << 30);
    let amounts = [
        ("GPUs", asks.gpus, free.gpus()),
        ("millicpu", asks.cpu_millis, free.cpu_millis()),
        (
            "GiB of memory",
            gibibytes(asks.memory_bytes),
            gibibytes(free.memory_bytes()),
        ),
    ];
    let lacking = amounts.into_iter().filter(|(_, asks, free)| asks > free);
    let lacking: Vec<String> = lacking
        .map(|(of, asks, free)| format!("it asks for {asks} {of}, and the cluster has {free} free"))
        .collect();
    (!lacking.is_empty()).then(|| lacking.join("; "))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("all", Some(LaneArgument::All))]
    #[case("sim/istio", Some(one(None, "sim", "istio")))]
    #[case("standalone:sim/none", Some(one(Some("standalone"), "sim", "none")))]
    #[case("sim", None)]
    #[case("sim/", None)]
    #[case("/istio", None)]
    #[case(":sim/istio", None)]
    #[case("sim/istio/x", None)]
    #[case("", None)]
    fn a_lane_is_a_variant_and_a_provider(#[case] typed: &str, #[case] meant: Option<LaneArgument>) {
        assert_eq!(typed.parse().ok(), meant);
    }

    fn one(layout: Option<&str>, variant: &str, provider: &str) -> LaneArgument {
        LaneArgument::One {
            layout: layout.map(str::to_owned),
            variant: variant.to_owned(),
            provider: provider.to_owned(),
        }
    }

    #[test]
    fn all_lanes_are_those_of_the_guide_and_each_is_meant_once() {
        let options = Options::default();
        let typed = ["all", "sim/istio", "sim/envoy-ai-gateway"].map(|text| text.parse().unwrap());
        let chosen = chosen(&typed, &Release::embedded(), &options).unwrap();
        let named: Vec<String> = chosen
            .iter()
            .map(|options| format!("{}/{}", options.variant, options.provider))
            .collect();
        assert_eq!(named.iter().filter(|name| *name == "sim/istio").count(), 1, "{named:?}");
        assert_eq!(named.last().map(String::as_str), Some("sim/envoy-ai-gateway"));
    }

    #[test]
    fn what_a_cluster_cannot_hold_is_said_amount_by_amount() {
        let free = Capacity::default();
        let asks = Resources {
            gpus: 3,
            cpu_millis: 200,
            ..Resources::default()
        };
        let why = too_large(&asks, &free).unwrap();
        assert_eq!(
            why,
            "it asks for 3 GPUs, and the cluster has 0 free; it asks for 200 millicpu, and the cluster has 0 free"
        );
        assert_eq!(too_large(&Resources::default(), &free), None);
    }
}
