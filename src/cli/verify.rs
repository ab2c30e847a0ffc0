//! `quickproof verify`: what may be typed, and what is meant by it.
//!
//! Arguments are typed twice: [`VerifyArguments`] as written, [`Verify`] as meant. What a tag, a layout or a provider is,
//! the rooms below know; their refusals come back as [`Usage`](crate::cli::Usage) errors.

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, ValueEnum};

use crate::{
    cli::{Caller, Usage, reports::ReportArguments, scenario::SelectionArguments, source::SourceArguments},
    release,
    scenario::duration,
    verdict::ExitCode,
};

/// Carry out a quickstart on a real cluster and say pass or fail.
///
/// Without `--release` the quickstart that comes with quickproof is carried out: that shows the whole in one command,
/// and tests no release. A kind cluster is made for the run and taken away after it, unless `--cluster` names one.
#[derive(Debug, Clone, Args)]
pub struct VerifyArguments {
    #[command(flatten)]
    source: SourceArguments,
    /// The model-server tab of the guide
    #[arg(long, value_name = "NAME", default_value = "sim", help_heading = "What is tested")]
    variant: String,
    /// The gateway-provider tab of the guide
    #[arg(long, value_name = "NAME", default_value = "istio", help_heading = "What is tested")]
    provider: String,
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
    phase: PhaseArgument,
    /// The directory with the assets of a release that is not published yet, such as `manifests.yaml`; without it they are
    /// built from the tree
    #[arg(long, value_name = "DIR", help_heading = "What is tested")]
    artifacts: Option<PathBuf>,

    /// Named overrides for a small machine or another purpose; each goes into the ledger
    #[arg(long, value_name = "NAME", help_heading = "Deviations from the guide")]
    profile: Option<String>,
    /// One value of the guide's charts, as `helm --set` takes it; may be given again. It goes into the ledger
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting, help_heading = "Deviations from the guide")]
    set: Vec<Setting>,
    /// Allow no deviation from the letter of the guide: with an entry in the ledger the run cannot pass
    #[arg(long, help_heading = "Deviations from the guide")]
    strict: bool,

    /// How container images come to the cluster
    #[arg(long, value_name = "HOW", default_value = "auto", help_heading = "Where it runs")]
    images: ImagesArgument,
    /// An existing cluster, by the name of its kubeconfig context; `current` is the current one
    #[arg(long, value_name = "CONTEXT", help_heading = "Where it runs")]
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
    requests: NonZeroU32,
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

/// When in a release's life it is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PhaseArgument {
    /// URLs of the tag are served from the tree, the chart and the CRDs are packed from it
    BeforePublish,
    /// The real URLs only
    AfterPublish,
}

/// How container images come to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImagesArgument {
    /// The first of the others that can work here; one line says which
    Auto,
    /// Pulled from their registries
    Pull,
    /// Built from packages (Go modules, Debian packages, wheels), for networks without image registries. Proves nothing
    /// about the published images, and says so
    Build,
    /// Already on this machine
    Present,
}

/// One override of `--set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// What is set; never empty.
    pub key: String,
    /// To what; may be empty.
    pub value: String,
}

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct Verify {
    /// What is tested, as typed.
    pub source: SourceArguments,
    /// The model-server variant.
    pub variant: String,
    /// The gateway provider.
    pub provider: String,
    /// The layout, or `None` to take the tag's.
    pub layout: Option<String>,
    /// Before or after publication.
    pub phase: PhaseArgument,
    /// The directory with the assets of a release that is not published yet.
    pub artifacts: Option<PathBuf>,
    /// The profile of overrides.
    pub profile: Option<String>,
    /// Further overrides, in the order typed.
    pub settings: Vec<Setting>,
    /// Whether deviations are allowed.
    pub ledger: LedgerRule,
    /// How images are had.
    pub images: ImagesArgument,
    /// Which cluster.
    pub cluster: ClusterChoice,
    /// The namespace, or `None` for the guide's.
    pub namespace: Option<String>,
    /// What becomes of what was made.
    pub afterwards: Afterwards,
    /// Requests beyond the guide's own.
    pub requests: NonZeroU32,
    /// Which scenarios are performed.
    pub scenarios: SelectionArguments,
    /// Longest that any one thing is waited for.
    pub timeout: Duration,
    /// Where reports go.
    pub reports: ReportArguments,
}

/// Whether deviations from the guide are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerRule {
    /// They are, and each is in the ledger.
    MayHoldEntries,
    /// `--strict`: none.
    MustBeEmpty,
}

/// Which cluster is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterChoice {
    /// A kind cluster made for the run.
    Own,
    /// The current context.
    Current {
        /// The kubeconfig file, or `None` for the usual ones.
        kubeconfig: Option<PathBuf>,
    },
    /// A context by name.
    Named {
        /// Its name.
        context: String,
        /// The kubeconfig file, or `None` for the usual ones.
        kubeconfig: Option<PathBuf>,
    },
}

/// What becomes of what the run made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It is taken away.
    TakenAway,
    /// `--keep`.
    Kept,
}

impl From<VerifyArguments> for Verify {
    fn from(typed: VerifyArguments) -> Self {
        let kubeconfig = typed.kubeconfig;
        let cluster = match typed.cluster {
            None => ClusterChoice::Own,
            Some(name) if name == "current" => ClusterChoice::Current { kubeconfig },
            Some(context) => ClusterChoice::Named { context, kubeconfig },
        };
        Self {
            source: typed.source,
            variant: typed.variant,
            provider: typed.provider,
            layout: typed.layout,
            phase: typed.phase,
            artifacts: typed.artifacts,
            profile: typed.profile,
            settings: typed.set,
            ledger: if typed.strict {
                LedgerRule::MustBeEmpty
            } else {
                LedgerRule::MayHoldEntries
            },
            images: typed.images,
            cluster,
            namespace: typed.namespace,
            afterwards: if typed.keep {
                Afterwards::Kept
            } else {
                Afterwards::TakenAway
            },
            requests: typed.requests,
            scenarios: typed.scenarios,
            timeout: typed.timeout,
            reports: typed.reports,
        }
    }
}

impl Verify {
    /// The assets of `--artifacts`, by name; none where it was not given.
    ///
    /// # Errors
    /// The directory cannot be read, or the release is published and its own assets are asked for.
    pub fn artifacts(&self) -> Result<BTreeMap<String, Arc<[u8]>>, Usage> {
        match (&self.artifacts, self.phase) {
            (None, _) => Ok(BTreeMap::new()),
            (Some(directory), PhaseArgument::BeforePublish) => release::artifacts(directory).map_err(Usage::new),
            (Some(_), PhaseArgument::AfterPublish) => Err(Usage::new(anyhow::anyhow!(
                "`--artifacts` stands in for assets that are not published yet; leave it out with `--phase after-publish`"
            ))),
        }
    }
}

/// Does it.
///
/// # Errors
/// Something is wrong with what was typed, or the run could not begin.
pub fn run(arguments: VerifyArguments, caller: &Caller) -> anyhow::Result<ExitCode> {
    super::order::carry_out(&Verify::from(arguments), caller)
}

/// Reads `KEY=VALUE`.
fn setting(text: &str) -> Result<Setting, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok(Setting {
            key: key.trim().to_owned(),
            value: value.to_owned(),
        }),
        _ => Err("expected `KEY=VALUE`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;
    use crate::release::Source;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        verify: VerifyArguments,
    }

    fn meant(words: &[&str]) -> Result<Verify, clap::Error> {
        let words = std::iter::once("verify").chain(words.iter().copied());
        Alone::try_parse_from(words).map(|alone| alone.verify.into())
    }

    #[test]
    fn nothing_means_the_embedded_quickstart_in_a_cluster_of_its_own() {
        let verify = meant(&[]).unwrap();
        assert_eq!(verify.source.meant().unwrap(), Source::Embedded);
        assert_eq!(verify.cluster, ClusterChoice::Own);
        assert_eq!((verify.requests.get(), verify.timeout.as_secs()), (20, 600));
    }

    #[rstest]
    #[case::a_kubeconfig_for_no_cluster(&["--kubeconfig", "x"])]
    #[case::a_setting_without_a_value(&["--set", "key"])]
    #[case::a_setting_without_a_key(&["--set", "=value"])]
    #[case::no_requests(&["--requests", "0"])]
    #[case::no_time(&["--timeout", "0s"])]
    #[case::negative_time(&["--timeout=-1m"])]
    #[case::a_number_is_no_duration(&["--timeout", "10"])]
    #[case::an_unknown_phase(&["--phase", "later"])]
    fn what_makes_no_sense_is_refused(#[case] words: &[&str]) {
        assert!(meant(words).is_err());
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
        let verify = meant(&["--set", "a=b=c", "--set", "d="]).unwrap();
        assert_eq!(
            verify.settings,
            [("a", "b=c"), ("d", "")].map(|(key, value)| Setting {
                key: key.into(),
                value: value.into()
            })
        );
    }
}
