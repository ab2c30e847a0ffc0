//! What is lost while the guide's commands are still carried out: a workload that none of those to come can mend.
//!
//! A reader who sees it goes no further either, and a run that did would call it after an installation that takes a minute.

use std::{convert::Infallible, time::Duration};

use k8s_openapi::api::apps::v1::Deployment;

use super::{
    Context,
    conditions::{proxy_without_image, without_proxy},
    explaining::{Around, explain},
    judging::judge,
    observation,
    stopped::Stopped,
    workloads::{all_lost, never_ready},
};
use crate::{
    cluster::{
        unrecoverable::Unrecoverable,
        watching::{Progress, WaitError, Watches},
    },
    manifest::Object,
    plan::{Action, Chart, Makes, Step, Target, Until},
    record::Stage,
    verdict::CauseCode,
};

/// Carries out the first of these steps, unless a workload that was made before is lost meanwhile.
///
/// # Errors
/// The step fails, or one is lost.
pub(super) async fn unless_lost(
    context: &Context,
    around: &Around<'_>,
    to_come: &[Step],
    carried: impl Future<Output = Result<(), Stopped>>,
) -> Result<(), Stopped> {
    tokio::select! {
        biased;
        carried = carried => carried,
        stopped = Box::pin(first_lost(context, around, to_come)) => Err(stopped),
    }
}

/// What is lost.
enum Lost {
    /// A Deployment of the steps, by a pod of it.
    Workload(Object, Unrecoverable),
    /// A pod that the provider has made for a Gateway of the steps.
    Proxy(Unrecoverable),
}

/// Waits until a workload is lost, and says so.
async fn first_lost(context: &Context, around: &Around<'_>, to_come: &[Step]) -> Stopped {
    let deployer = around.deployer;
    let question = |_: &Watches| {
        let mut lost = all_lost(deployer).into_iter();
        let lost = lost.find(|(object, deployment, failed)| !may_be_mended(object, deployment, failed, to_come));
        let workload = lost.map(|(object, _, failed)| Lost::Workload(object, failed));
        let proxy = || {
            let changes_gateways = to_come.iter().any(|step| changes_a_gateway(&step.action));
            proxy_without_image(around)
                .filter(|_| !changes_gateways)
                .map(Lost::Proxy)
        };
        workload
            .or_else(proxy)
            .map_or_else(|| Progress::NotYet(String::new()), Progress::<Infallible, _>::Never)
    };
    let waited = deployer.site.watches.until(Duration::MAX, question, |_| {}).await;
    let judged = match waited {
        Err(WaitError::Never(Lost::Workload(object, failed))) => {
            let cause = explain(around, failed).await;
            Err(Stopped::at(&context.events, never_ready(&object, cause)))
        }
        Err(WaitError::Never(Lost::Proxy(failed))) => {
            let seen = observation::of_objects(around.plan, without_proxy(around, failed).await);
            judge(&context.events, Stage::Conditions, &seen, None)
        }
        _ => Ok(()),
    };
    match judged {
        Err(stopped) => stopped,
        // Nothing else ends it; the step has its own limit.
        Ok(()) => std::future::pending().await,
    }
}

/// Whether an action may give a Gateway other pods.
fn changes_a_gateway(action: &Action) -> bool {
    let is_one = |kind: &str| kind.eq_ignore_ascii_case("gateway") || kind.eq_ignore_ascii_case("gateways");
    match action {
        Action::Apply { objects, .. } => objects.iter().any(|object| is_one(object.kind())),
        Action::Patch { target, .. } | Action::Label { target, .. } => is_one(&target.resource),
        Action::Delete { targets, .. } => targets.iter().any(|target| is_one(&target.resource)),
        // The charts of the tree are the release's own; others may be the provider's.
        Action::Helm { chart, .. } => matches!(chart, Chart::Published { .. }),
        Action::HelmUninstall { .. }
        | Action::InstallProvider { .. }
        | Action::UninstallProvider { .. }
        | Action::InstallManifests { .. } => true,
        _ => false,
    }
}

/// Whether one of the steps to come, of which the first is under way, may yet mend it.
fn may_be_mended(object: &Object, deployment: &Deployment, failed: &Unrecoverable, to_come: &[Step]) -> bool {
    let actions = || to_come.iter().map(|step| &step.action);
    match failed.cause.code {
        // A reader goes no further.
        _ if actions().next().is_some_and(|first| awaits(first, object)) => false,
        CauseCode::PodImageInvalid | CauseCode::PodImageNotFound | CauseCode::PodOutOfMemory => {
            actions().any(|action| changes(action, object, deployment))
        }
        _ => actions().any(changes_anything),
    }
}

/// Whether an action changes this object.
fn changes(action: &Action, object: &Object, deployment: &Deployment) -> bool {
    match action {
        Action::Helm { release, .. } | Action::HelmUninstall { release, .. } => {
            let annotations = deployment.metadata.annotations.as_ref();
            annotations.and_then(|all| all.get("meta.helm.sh/release-name")) == Some(release)
        }
        Action::Delete { targets, .. } => targets.iter().any(|target| names(target, object)),
        Action::Label { target, .. } | Action::Patch { target, .. } | Action::Restart { target } => {
            names(target, object)
        }
        other => match other.facts().makes {
            Makes::Objects { objects, .. } => {
                let is_it = |one: &Object| one.kind() == object.kind() && one.name() == object.name();
                objects.iter().any(is_it)
            }
            Makes::Nothing | Makes::Unknown => false,
        },
    }
}

/// Whether an action waits for this Deployment.
fn awaits(action: &Action, object: &Object) -> bool {
    match action {
        Action::Await { target, until, .. } => {
            let is_a_deployment = target.resource.to_lowercase().starts_with("deploy");
            *until != Until::Gone && is_a_deployment && names(target, object)
        }
        _ => false,
    }
}

/// Whether a target may be this object: its kind is written in many ways.
fn names(target: &Target, object: &Object) -> bool {
    target.name == object.name()
}

/// Whether an action changes anything in the cluster.
fn changes_anything(action: &Action) -> bool {
    !matches!(
        action,
        Action::Await { .. }
            | Action::Read { .. }
            | Action::Inspect { .. }
            | Action::Tool { .. }
            | Action::Request(_)
            | Action::Variables
            | Action::LeftOut { .. }
            | Action::Unsupported { .. }
            | Action::Broken
    )
}
