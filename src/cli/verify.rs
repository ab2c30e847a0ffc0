//! `quickproof verify`: what may be typed, what is meant by it, and the run that comes of it.
//!
//! A command line is typed twice: [`VerifyArguments`] as written, [`Order`] as meant. What a tag, a layout or a provider
//! is, the rooms below know; their refusals come back as [`Usage`] errors.

mod lanes;

use std::{collections::BTreeMap, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;

use lanes::LaneArgument;

use crate::{
    cli::{
        CliContext, Usage, block_on, cannot_begin, reports::ReportArguments, scenario::SelectionArguments,
        source::SourceArguments,
    },
    cluster::ExistingCluster,
    host::Signals,
    images::ImageSource,
    plan::{self, Phase},
    release,
    run::{Keep, Order, Run, Strictness},
    scenario::duration,
    verdict::ExitCode,
};

/// Carry out a quickstart on a real cluster and say pass or fail.
///
/// Without `--release` the quickstart that comes with quickproof is carried out: that shows the whole in one command,
/// and tests no release. A kind cluster is made for the run and taken away after it, unless `--cluster` names one.
#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    source: SourceArguments,
    /// The model-server tab of the guide
    #[arg(long, value_name = "NAME", default_value = "sim", help_heading = "What is tested")]
    variant: String,
    /// The gateway-provider tab of the guide
    #[arg(long, value_name = "NAME", default_value = "istio", help_heading = "What is tested")]
    provider: String,
    /// Several lanes on one cluster, one after the other, and one report: `all` that the guide offers, or `VARIANT/PROVIDER` with
    /// commas between; `LAYOUT:VARIANT/PROVIDER` for another page. What cannot be run here is named and does not pass
    #[arg(
        long,
        value_name = "LANES",
        value_delimiter = ',',
        conflicts_with_all = ["variant", "provider", "keep"],
        help_heading = "What is tested"
    )]
    lane: Vec<LaneArgument>,
    /// How the release lays its guide out; without it the tag says so
    #[arg(long, value_name = "NAME", help_heading = "What is tested")]
    layout: Option<String>,
    /// Whether the release's own URLs exist already
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "before-publish",
        help_heading = "What is tested"
    )]
    phase: Phase,
    /// The directory with the assets of a release that is not published yet, such as `manifests.yaml`; without it they are
    /// built from the tree
    #[arg(long, value_name = "DIR", help_heading = "What is tested")]
    artifacts: Option<PathBuf>,

    /// Named overrides for a small machine or another purpose; each goes into the ledger
    #[arg(long, value_name = "NAME", help_heading = "Deviations from the guide")]
    profile: Option<String>,
    /// One value of the guide's charts, as `helm --set` takes it; may be given again. It goes into the ledger
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting, help_heading = "Deviations from the guide")]
    set: Vec<String>,
    /// Allow no deviation from the letter of the guide: with an entry in the ledger the run cannot pass
    #[arg(long, help_heading = "Deviations from the guide")]
    strict: bool,

    /// How container images come to the cluster
    #[arg(long, value_name = "HOW", default_value = "auto", help_heading = "Where it runs")]
    images: ImageSource,
    /// An existing cluster, by the name of its kubeconfig context; `current` is the current one, `in-cluster` that of this pod
    #[arg(
        long,
        visible_alias = "context",
        value_name = "CONTEXT",
        help_heading = "Where it runs"
    )]
    cluster: Option<String>,
    /// The kubeconfig file that knows the cluster; without it `KUBECONFIG` and then `~/.kube/config`
    #[arg(long, value_name = "FILE", requires = "cluster", help_heading = "Where it runs")]
    kubeconfig: Option<PathBuf>,
    /// The namespace to work in; without it the one that the guide uses
    #[arg(short, long, value_name = "NAME", help_heading = "Where it runs")]
    namespace: Option<String>,
    /// Keep what was made, and say how to look around
    #[arg(long, help_heading = "Where it runs")]
    keep: bool,

    /// Requests sent beyond the guide's own
    #[arg(long, value_name = "NUMBER", default_value = "20", help_heading = "How it is tested")]
    requests: NonZeroUsize,
    #[command(flatten, next_help_heading = "How it is tested")]
    scenarios: SelectionArguments,
    /// Longest that any one thing is waited for, such as `90s`, `10m`, `1h30m`. What can never happen is not waited for
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration, help_heading = "How it is tested")]
    timeout: Duration,

    #[command(flatten)]
    reports: ReportArguments,
}

/// Command lines to begin with, for the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  The quickstart that comes with quickproof, in a kind cluster of its own:
    quickproof verify
  A release that is tagged and not published yet, from its checkout:
    quickproof verify --tree . --release v1.5.0 --variant sim --provider istio
  A release as it is on GitHub:
    quickproof verify --release v1.5.0
  One from its checkout, on a machine with two processors; what is lowered stands in the ledger:
    quickproof verify --tree . --release v1.5.0 --profile small
  In a cluster that exists, keeping what was made:
    quickproof verify --tree . --release v1.5.0 --cluster kind-demo -n quickstart --keep";

/// Does it.
///
/// # Errors
/// Something is wrong with what was typed, or the run could not begin; nothing was made.
pub(crate) fn run(arguments: &VerifyArguments, context: &CliContext) -> anyhow::Result<ExitCode> {
    if !arguments.lane.is_empty() {
        return block_on(Box::pin(lanes::run(arguments, context)))?;
    }
    let order = arguments.order(context)?;
    block_on(async {
        let prepared = Run::prepare(context.host.clone(), order).await;
        let run = prepared.map_err(cannot_begin)?;
        let (run, outputs, live) = arguments.reports.open(run, context)?;
        let ended = Box::pin(run.carry_out(outputs, Box::new(live))).await;
        Signals::end_the_process();
        Ok(ended.map_err(Usage::new)?.exit_code())
    })?
}

impl VerifyArguments {
    /// What is meant by them: the order of a run.
    ///
    /// # Errors
    /// They contradict each other, or name what does not exist.
    fn order(&self, context: &CliContext) -> Result<Order, Usage> {
        Ok(Order {
            source: self.source.meant()?,
            options: plan::Options {
                variant: self.variant.clone(),
                provider: self.provider.clone(),
                phase: self.phase,
                profile: self.profile.clone(),
                helm_set: self.set.clone(),
                namespace: self.namespace.clone(),
                layout: self.layout.clone(),
                artifacts: self.artifacts()?,
                ..plan::Options::default()
            },
            access: self.source.access(),
            images: self.images,
            cluster: self.cluster.as_deref().map(ExistingCluster::from),
            kubeconfig: self.kubeconfig.clone(),
            keep: if self.keep { Keep::Yes } else { Keep::No },
            strictness: if self.strict {
                Strictness::Strict
            } else {
                Strictness::Ledger
            },
            limit: self.timeout,
            requests: self.requests.get(),
            scenarios: self.scenarios.selected(context)?,
            command: context.command.clone(),
        })
    }

    /// The assets of `--artifacts`, by name; none where it was not given.
    fn artifacts(&self) -> Result<BTreeMap<String, Arc<[u8]>>, Usage> {
        match (&self.artifacts, self.phase) {
            (None, _) => Ok(BTreeMap::new()),
            (Some(directory), Phase::BeforePublish) => release::artifacts(directory).map_err(Usage::new),
            (Some(_), Phase::AfterPublish) => Err(Usage::new(anyhow::anyhow!(
                "`--artifacts` stands in for assets that are not published yet; leave it out with `--phase after-publish`"
            ))),
        }
    }
}

/// Reads `KEY=VALUE`, without blanks around the key.
fn setting(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok(format!("{}={value}", key.trim())),
        _ => Err("expected `KEY=VALUE`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;
    use crate::{cli::OutputArguments, host::Host, log::Kept, release::Source};

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        verify: VerifyArguments,
    }

    fn typed(words: &[&str]) -> Result<VerifyArguments, clap::Error> {
        let words = std::iter::once("verify").chain(words.iter().copied());
        Alone::try_parse_from(words).map(|alone| alone.verify)
    }

    fn order(words: &[&str]) -> Result<Order, Usage> {
        let (host, command) = (Host::with_variables([]), "quickproof verify".into());
        let context = CliContext::new(host, OutputArguments::default(), command, Kept::Nowhere)?;
        typed(words).unwrap().order(&context)
    }

    #[test]
    fn nothing_means_the_embedded_quickstart_in_a_cluster_of_its_own() {
        let order = order(&[]).unwrap();
        assert_eq!(order.source, Source::Embedded);
        assert_eq!((order.cluster, order.kubeconfig), (None, None));
        assert_eq!((order.keep, order.strictness), (Keep::No, Strictness::Ledger));
        assert_eq!((order.requests, order.limit.as_secs()), (20, 600));
    }

    #[rstest]
    #[case("current", ExistingCluster::Current)]
    #[case("in-cluster", ExistingCluster::InCluster)]
    #[case("kind-demo", ExistingCluster::Named("kind-demo".into()))]
    fn a_cluster_is_meant_by_its_name_or_as_the_current_one(#[case] text: &str, #[case] meant: ExistingCluster) {
        let order = order(&["--cluster", text, "--kubeconfig", "file", "--keep", "--strict"]).unwrap();
        assert_eq!((order.cluster, order.kubeconfig), (Some(meant), Some("file".into())));
        assert_eq!((order.keep, order.strictness), (Keep::Yes, Strictness::Strict));
    }

    #[test]
    fn assets_stand_in_only_for_what_is_not_published() {
        let words = ["--phase", "after-publish", "--artifacts", "anywhere"];
        assert!(order(&words).unwrap_err().to_string().contains("--artifacts"));
    }

    #[rstest]
    #[case::a_kubeconfig_for_no_cluster(&["--kubeconfig", "x"])]
    #[case::a_setting_without_a_value(&["--set", "key"])]
    #[case::a_setting_without_a_key(&["--set", "=value"])]
    #[case::no_requests(&["--requests", "0"])]
    #[case::a_lane_without_a_provider(&["--lane", "sim"])]
    #[case::lanes_beside_one_variant(&["--lane", "all", "--variant", "sim"])]
    #[case::lanes_that_are_kept(&["--lane", "all", "--keep"])]
    #[case::no_time(&["--timeout", "0s"])]
    #[case::negative_time(&["--timeout=-1m"])]
    #[case::a_number_is_no_duration(&["--timeout", "10"])]
    #[case::an_unknown_phase(&["--phase", "later"])]
    fn what_makes_no_sense_is_refused(#[case] words: &[&str]) {
        assert!(typed(words).is_err());
    }

    #[rstest]
    #[case("300ms", 300)]
    #[case("90s", 90_000)]
    #[case("10m", 600_000)]
    #[case("1h30m", 5_400_000)]
    #[case("1.5h", 5_400_000)]
    fn durations_are_read_as_go_writes_them(#[case] text: &str, #[case] ms: u64) {
        assert_eq!(duration(text), Ok(Duration::from_millis(ms)));
    }

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        let order = order(&["--set", " a =b=c", "--set", "d="]).unwrap();
        assert_eq!(order.options.helm_set, ["a=b=c", "d="]);
    }
}
