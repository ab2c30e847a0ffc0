//! The middle of a run: images, cluster, deployment, conditions, request, proof.

use std::{sync::Arc, time::Instant};

use tokio_util::task::AbortOnDropHandle;

use super::{Context, Strictness, address, ground};
use crate::{
    check::Observation,
    cluster::{
        self, Cluster, Origin,
        watching::{Scope, Watches},
    },
    deploy::{Deployer, Ownership, Site},
    plan::{self, Action, Plan, Step},
    record::{Decision, Event, Stage},
    release::{Release, schemas},
    verdict::{Cause, CauseCode, Fault, Finding, Weight},
};

/// The check that every command of the guide is understood.
pub(super) const GUIDE_UNDERSTOOD: &str = "guide-understood";

/// What a stage tells the next: go on, or it has been said why not.
pub(super) type Onward<T> = Option<T>;

/// Runs the middle. Every way it ends early has been said through events.
pub(super) async fn run(context: &Context, release: &Release) -> Onward<()> {
    say_release(context, release);
    // Somebody else's cluster is opened first: whether its nodes ask our registry decides how images are had.
    let existing = match &context.order.cluster {
        Some(which) => Some(context.open_existing(which).await?),
        None => None,
    };
    let nodes = match existing.as_ref().map(Cluster::node_container) {
        Some(None) => ground::Nodes::Theirs,
        Some(Some(_)) | None => ground::Nodes::Ours,
    };
    let (provided, programs) = context.provide_images(nodes).await?;
    let mut plan = context.plan.clone();
    if ground::are_built(provided.as_ref()) {
        plan = plan.with_built_images();
    }
    for deviation in &plan.ledger {
        context.events.deviate(deviation.clone());
    }
    if context.order.strictness == Strictness::Strict && context.events.deviations() > 0 {
        // Nothing is gained by going on: it is said at the end why this cannot pass.
        return None;
    }
    match schemas::objects(&context.host, &plan.schemas).await {
        Ok(objects) => plan.supply(objects),
        Err(error) => {
            let cause = Cause::new(CauseCode::HostToolFailed).because(format!("{:#}", anyhow::Error::from(error)));
            let expected = "the Gateway API CRDs that the provider needs";
            say(
                context,
                Stage::Images,
                "schemas",
                "CRDs can be had",
                Fault::shown(expected, cause).into(),
            );
            return None;
        }
    }
    let cluster = context.ready_cluster(existing, provided.as_ref()).await?;
    let deployer = Arc::new(Deployer::new(site(context, &cluster, programs)));
    context.hold(|held| held.deployer = Some(Arc::clone(&deployer)));
    materialise(context, release, &plan)?;
    let standing_in = tokio::spawn(address::stand_in(
        context.host.clone(),
        cluster.clone(),
        Arc::clone(&deployer.site.watches),
        context.events.clone(),
        context.hold(|held| Arc::clone(&held.addresses)),
        plan.gateway_label.clone(),
    ));
    let _standing_in = AbortOnDropHandle::new(standing_in);
    // CoreDNS comes up while the first steps are carried out; only what talks inside the cluster needs it.
    let dns = (cluster.origin == Origin::Made).then(|| {
        let (cluster, events) = (cluster.clone(), context.events.clone());
        AbortOnDropHandle::new(tokio::spawn(async move { cluster::dns_ready(&cluster, &events).await }))
    });
    deploy_and_judge(context, &deployer, &plan, dns).await
}

fn say(context: &Context, stage: Stage, check: &str, sentence: &str, finding: Finding) {
    context.events.decide(Decision::new(stage, check, sentence, finding));
}

fn say_release(context: &Context, release: &Release) {
    context.events.send(Event::Entered { stage: Stage::Release });
    for note in &release.notes {
        context.events.note(Stage::Release, note.clone());
    }
    let plan = &context.plan;
    let commands = plan.steps.len();
    let finding = match plan.steps.iter().find_map(|step| match &step.action {
        Action::Unsupported { why } => Some((step, why)),
        _ => None,
    }) {
        None => Finding::Holds,
        Some((step, why)) => Finding::Undecided {
            why: format!("{}: `{}`: {why}", step.from, step.command),
        },
    };
    let subject = &plan.subject;
    let sentence = format!(
        "the guide is {commands} commands for {} on {}, all understood",
        subject.variant, subject.provider
    );
    say(context, Stage::Release, GUIDE_UNDERSTOOD, &sentence, finding);
}

fn site(
    context: &Context,
    cluster: &Cluster,
    programs: std::collections::BTreeMap<String, std::path::PathBuf>,
) -> Site {
    let namespace = context
        .order
        .options
        .namespace
        .clone()
        .unwrap_or_else(|| "default".into());
    let (ownership, scope) = match cluster.origin {
        Origin::Made => (Ownership::Ours, Scope::Everything),
        Origin::Existing => (Ownership::Shared, Scope::Namespace(namespace.clone())),
    };
    Site {
        host: context.host.clone(),
        client: cluster.client.clone(),
        kubeconfig: cluster.kubeconfig.clone(),
        context: Some(cluster.context.clone()),
        namespace,
        ownership,
        run: context.id.clone(),
        watches: Arc::new(Watches::start(&cluster.client, scope)),
        events: context.events.clone(),
        inventory: context.inventory.clone(),
        reach: cluster.reach(),
        programs,
        step_limit: context.order.limit,
        scratch: context.scratch.path().to_owned(),
    }
}

/// Puts the charts of the tree on disk, where helm can read them.
fn materialise(context: &Context, release: &Release, plan: &Plan) -> Onward<()> {
    let needed = plan.steps.iter().any(|step| {
        matches!(
            &step.action,
            Action::Helm {
                chart: plan::Chart::Tree { .. },
                ..
            }
        )
    });
    if !needed {
        return Some(());
    }
    let result = "config/charts"
        .parse()
        .map_err(anyhow::Error::from)
        .and_then(|directory| {
            Ok(release
                .tree
                .materialize(&directory, &context.scratch.path().join("tree").join("config/charts"))?)
        });
    if let Err(error) = result {
        super::harness_error(
            &context.events,
            "the charts of the tree can be written to disk",
            &format!("{error:#}"),
        );
        return None;
    }
    Some(())
}

/// CoreDNS on its way up.
type Dns = Option<AbortOnDropHandle<Result<(), cluster::ClusterError>>>;

async fn deploy_and_judge(context: &Context, deployer: &Arc<Deployer>, plan: &Plan, mut dns: Dns) -> Onward<()> {
    let began = Instant::now();
    context.events.send(Event::Entered {
        stage: Stage::Deployment,
    });
    if let Err(failed) = deployer.ensure_namespace().await {
        say(
            context,
            Stage::Deployment,
            "namespace",
            "the namespace exists",
            failed.into(),
        );
        return None;
    }
    let requirements = &plan.requirements;
    if !requirements.is_empty() {
        let applied = deployer.apply(requirements, None).await;
        let sentence = format!("{} CRDs that the provider requires are established", requirements.len());
        let finding = applied.map_or_else(Finding::Broken, |()| Finding::Holds);
        let goes_on = finding == Finding::Holds;
        say(context, Stage::Deployment, "requirements", &sentence, finding);
        goes_on.then_some(())?;
    }
    let request = plan
        .steps
        .iter()
        .enumerate()
        .find_map(|(position, step)| match &step.action {
            Action::Request(request) => Some((position, step, request)),
            _ => None,
        });
    let position = request.map_or(plan.steps.len(), |(position, ..)| position);
    let mut settled = false;
    let mut seen = Observation {
        build_ref: plan.build_ref.clone(),
        picker_metrics: plan.picker.as_ref().map(|picker| picker.metrics.clone()),
        pods_wanted: 2,
        ..Observation::default()
    };
    for step in &plan.steps[..position] {
        // A reader waits before going on to what needs the result; so the wait stands before the first value read.
        if matches!(step.action, Action::Read { .. }) && !settled {
            settled = true;
            context.spent(Stage::Deployment, began);
            await_dns(context, dns.take()).await?;
            if !context.await_ready(deployer, &mut seen).await {
                return None;
            }
        }
        carry_out(context, deployer, step).await?;
    }
    if !settled {
        context.spent(Stage::Deployment, began);
        await_dns(context, dns.take()).await?;
        if !context.await_ready(deployer, &mut seen).await {
            return None;
        }
    }
    let Some((_, step, request)) = request else {
        let why = format!(
            "no command of the guide sends one for {} on {}",
            plan.subject.variant, plan.subject.provider
        );
        let sentence = "the guide's request is answered with 200";
        say(
            context,
            Stage::Request,
            "request-status",
            sentence,
            Finding::Undecided { why },
        );
        return None;
    };
    context.request_and_prove(deployer, step, request, &mut seen).await;
    Some(())
}

async fn await_dns(context: &Context, dns: Dns) -> Onward<()> {
    let Some(dns) = dns else { return Some(()) };
    let actual = match dns.await {
        Ok(Ok(())) => return Some(()),
        Ok(Err(error)) => format!("{:#}", anyhow::Error::from(error)),
        Err(error) => error.to_string(),
    };
    let cause = Cause::new(CauseCode::ClusterNotCreated).because(actual);
    say(
        context,
        Stage::Cluster,
        "cluster-dns",
        "CoreDNS is available",
        Fault::shown("CoreDNS is available", cause).into(),
    );
    None
}

/// Carries out one step and says what it came to. A command that fails ends the deployment. What the page lacks does not:
/// a reader does not see it, and goes on.
async fn carry_out(context: &Context, deployer: &Deployer, step: &Step) -> Onward<()> {
    if matches!(
        step.action,
        Action::Variables | Action::LeftOut { .. } | Action::Unsupported { .. }
    ) {
        return Some(());
    }
    let began = Instant::now();
    context.events.waiting(Stage::Deployment, step.command.clone(), "");
    // What is known without running it is not run.
    let carried = match &step.known {
        Some(fault) => Err(fault.clone()),
        None => deployer.carry_out(step).await,
    };
    let (sentence, finding) = match carried {
        Ok(carried) => (
            carried.sentence.unwrap_or_else(|| step.sentence.clone()),
            Finding::Holds,
        ),
        Err(failed) if step.origin.is_none() => ("the page lacks something".to_owned(), failed.into()),
        Err(failed) => (format!("`{}` fails", step.command), failed.into()),
    };
    let failed = finding != Finding::Holds;
    let mut decision = Decision::new(Stage::Deployment, step.check.clone(), sentence, finding)
        .from_line(step.from.clone())
        .took(began.elapsed());
    decision.weight = step.weight;
    context.events.decide(decision);
    (!failed || step.weight == Weight::Advisory || step.origin.is_none()).then_some(())
}
