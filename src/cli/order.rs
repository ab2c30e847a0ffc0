//! From what `verify` was asked to a run: the order, the runtime, the exit code.

use crate::{
    cli::{
        Caller, Usage,
        verify::{Afterwards, ClusterChoice, ImagesArgument, LedgerRule, PhaseArgument, Verify},
    },
    cluster::ExistingCluster,
    images::Way,
    plan,
    report::Sink,
    run::{Keep, Order, Run, Strictness},
    verdict::ExitCode,
};

fn order(wanted: &Verify, caller: &Caller) -> Result<Order, Usage> {
    let (cluster, kubeconfig) = match wanted.cluster.clone() {
        ClusterChoice::Own => (None, None),
        ClusterChoice::Current { kubeconfig } => (Some(ExistingCluster::Current), kubeconfig),
        ClusterChoice::Named { context, kubeconfig } => (Some(ExistingCluster::Named(context)), kubeconfig),
    };
    Ok(Order {
        source: wanted.source.meant()?,
        options: plan::Options {
            variant: wanted.variant.clone(),
            provider: wanted.provider.clone(),
            phase: match wanted.phase {
                PhaseArgument::BeforePublish => plan::Phase::BeforePublish,
                PhaseArgument::AfterPublish => plan::Phase::AfterPublish,
            },
            profile: wanted.profile.clone(),
            helm_set: wanted
                .settings
                .iter()
                .map(|setting| format!("{}={}", setting.key, setting.value))
                .collect(),
            built: false,
            namespace: wanted.namespace.clone(),
            layout: wanted.layout.clone(),
            artifacts: wanted.artifacts()?,
            ..plan::Options::default()
        },
        access: wanted.source.access(),
        images: match wanted.images {
            ImagesArgument::Auto => Way::Auto,
            ImagesArgument::Pull => Way::Pull,
            ImagesArgument::Build => Way::Build,
            ImagesArgument::Present => Way::Present,
        },
        cluster,
        kubeconfig,
        keep: match wanted.afterwards {
            Afterwards::TakenAway => Keep::No,
            Afterwards::Kept => Keep::Yes,
        },
        strictness: match wanted.ledger {
            LedgerRule::MayHoldEntries => Strictness::Ledger,
            LedgerRule::MustBeEmpty => Strictness::Strict,
        },
        limit: wanted.timeout,
        requests: usize::try_from(wanted.requests.get()).unwrap_or(usize::MAX),
        scenarios: wanted.scenarios.selected(caller)?,
        command: caller.command.clone(),
    })
}

/// Carries the wanted run out.
///
/// # Errors
/// Something of the order is wrong, or this machine lacks what it needs; nothing was made.
pub(super) fn carry_out(wanted: &Verify, caller: &Caller) -> anyhow::Result<ExitCode> {
    let order = order(wanted, caller)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let run = match Run::prepare(caller.host.clone(), order, Sink::new(caller.redactor())).await {
            Ok(run) => run,
            Err(error) if error.exit_code() == ExitCode::Usage => return Err(Usage::new(error).into()),
            Err(error) => return Err(error.into()),
        };
        let (outputs, live) = wanted.reports.open(run.id(), caller)?;
        let record = Box::pin(run.carry_out(outputs, Box::new(live))).await;
        Ok(record.exit_code())
    })
}
