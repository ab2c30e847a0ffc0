//! What is lost while the guide's commands are still carried out: a workload that none of those to come can mend.
//!
//! A reader who sees it goes no further either, and a run that did would call it after an installation that takes a minute. Only an
//! image that does not exist is called so, and what a wait of the guide waits for in vain: all else may yet be mended, and a kubelet
//! takes a while to see that it is.

use std::{convert::Infallible, sync::Arc, time::Duration};

use k8s_openapi::api::apps::v1::Deployment;
use tokio::time::Instant;

use super::{
    Context,
    conditions::{proxy_without_image, without_proxy},
    explaining::{Around, explain},
    observation,
    stopped::Stopped,
    workloads::{all_lost, never_ready},
};
use crate::{
    check::conditions::GATEWAY_PROGRAMMED,
    cluster::{
        unrecoverable::Unrecoverable,
        watching::{Progress, WaitError, Watches},
    },
    manifest::Object,
    plan::{Action, Chart, Makes, Step, Target, Until},
};

/// How long a wait of the guide bears what may still heal, from when it began: the kubelet tries a container that lacked something, or
/// ended, again within this time.
const HEALS_WITHIN: Duration = Duration::from_secs(30);

/// Carries out the step at this place, unless a workload that was made before is lost meanwhile.
///
/// # Errors
/// The step fails, or one is lost.
pub(super) async fn unless_lost(
    context: &Context,
    around: &Around<'_>,
    steps: &[Step],
    position: usize,
    carried: impl Future<Output = Result<(), Stopped>>,
) -> Result<(), Stopped> {
    let (before, to_come) = steps.split_at(position);
    tokio::select! {
        biased;
        carried = carried => carried,
        stopped = Box::pin(first_lost(context, around, before, to_come)) => Err(stopped),
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
async fn first_lost(context: &Context, around: &Around<'_>, before: &[Step], to_come: &[Step]) -> Stopped {
    let (deployer, began) = (around.deployer, Instant::now());
    let may_give_proxies = to_come.iter().any(|step| may_give_proxies(&step.action));
    let question = |_: &Watches| {
        let is_final = |(object, deployment, failed): &(Object, Arc<Deployment>, Unrecoverable)| {
            is_final(object, deployment, failed, before, to_come, began.elapsed())
        };
        let workload = all_lost(deployer).into_iter().find(is_final);
        let workload = workload.map(|(object, _, failed)| Lost::Workload(object, failed));
        let proxy = || {
            let lost = if may_give_proxies {
                None
            } else {
                proxy_without_image(around)
            };
            lost.map(Lost::Proxy)
        };
        workload
            .or_else(proxy)
            .map_or_else(|| Progress::NotYet(String::new()), Progress::<Infallible, _>::Never)
    };
    let watches = &deployer.site.watches;
    let Err(WaitError::Never(lost)) = watches.until(Duration::MAX, question, |_| {}).await else {
        // Nothing else ends it; the step has its own limit.
        return std::future::pending().await;
    };
    // What was said before the API server fell silent may long have been taken back; the step says that nothing is known.
    if watches.healthy().await.is_err() {
        return std::future::pending().await;
    }
    let decision = match lost {
        Lost::Workload(object, failed) => never_ready(&object, explain(around, failed).await),
        Lost::Proxy(failed) => {
            // Of what else stands behind the Gateway the steps to come may make a part.
            let seen = observation::of_objects(around.plan, without_proxy(around, failed).await);
            let finding = GATEWAY_PROGRAMMED.judge(&seen);
            GATEWAY_PROGRAMMED.decision(GATEWAY_PROGRAMMED.sentence(&seen), finding)
        }
    };
    Stopped::at(&context.events, decision)
}

/// Kinds that give a Gateway no other pods, and pods no other image.
const BESIDE: &[&str] = &[
    "ClusterRole",
    "ClusterRoleBinding",
    "Deployment",
    "DestinationRule",
    "HTTPRoute",
    "InferenceModel",
    "InferenceObjective",
    "InferencePool",
    "Role",
    "RoleBinding",
    "Service",
];

/// Whether an action may give a Gateway other pods.
fn may_give_proxies(action: &Action) -> bool {
    match action {
        Action::Apply { objects, .. } => objects.iter().any(|object| !BESIDE.contains(&object.kind())),
        // The charts of the tree are the release's own; others may be the provider's.
        Action::Helm { chart, .. } => matches!(chart, Chart::Published { .. }),
        other => changes_anything(other),
    }
}

/// Whether nothing mends a Deployment any more: its image does not exist, and no step changes it, or what an image is got with; or
/// the guide waits for it, and what it lacks had time enough to come. One that a step has changed since it was made may still have
/// pods of before.
fn is_final(
    object: &Object,
    deployment: &Deployment,
    failed: &Unrecoverable,
    before: &[Step],
    to_come: &[Step],
    waited: Duration,
) -> bool {
    let changing = |steps: &[Step]| {
        let changes = steps.iter().filter(|step| changes(&step.action, object, deployment));
        changes.count()
    };
    if changing(before) > 1 || changing(to_come) > 0 {
        return false;
    }
    let may_give_access = to_come.iter().any(|step| gives_access(&step.action));
    let is_awaited = to_come.first().is_some_and(|step| awaits(&step.action, object));
    (failed.has_no_image() && !may_give_access) || (is_awaited && waited >= HEALS_WITHIN)
}

/// Whether an action may give pods access to an image.
fn gives_access(action: &Action) -> bool {
    match action {
        Action::Apply { objects, .. } => objects
            .iter()
            .any(|object| matches!(object.kind(), "Secret" | "ServiceAccount")),
        Action::Secret { .. } => true,
        _ => false,
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
