//! What is lost while the guide's commands are still carried out: a workload that none of those to come can mend.
//!
//! A reader who sees it goes no further either, and a run that did would call it after an installation that takes a minute.

use std::{convert::Infallible, time::Duration};

use k8s_openapi::api::apps::v1::Deployment;

use super::{
    Context,
    explaining::{Around, explain},
    stopped::Stopped,
    workloads::{all_lost, never_ready},
};
use crate::{
    cluster::{
        unrecoverable::Unrecoverable,
        watching::{Progress, WaitError, Watches},
    },
    manifest::Object,
    plan::{Action, Makes, Step, Target, Until},
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

/// Waits until a workload is lost, and says so.
async fn first_lost(context: &Context, around: &Around<'_>, to_come: &[Step]) -> Stopped {
    let deployer = around.deployer;
    let question = |_: &Watches| {
        let mut lost = all_lost(deployer).into_iter();
        match lost.find(|(object, deployment, failed)| !may_be_mended(object, deployment, failed, to_come)) {
            Some((object, _, failed)) => Progress::<Infallible, _>::Never((object, failed)),
            None => Progress::NotYet(String::new()),
        }
    };
    let waited = deployer.site.watches.until(Duration::MAX, question, |_| {}).await;
    let Err(WaitError::Never((object, failed))) = waited else {
        // Nothing else ends it; the step has its own limit.
        return std::future::pending().await;
    };
    let cause = explain(around, failed).await;
    Stopped::at(&context.events, never_ready(&object, cause))
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
