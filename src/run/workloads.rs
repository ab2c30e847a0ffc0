//! Waiting until what was deployed is ready and stays so, or will never be.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerStatus, Pod},
};
use kube::ResourceExt as _;
use tokio::time::Instant;

pub(super) use crate::cluster::ready::{has_labels, is_ready};

use super::{
    checks,
    deployment::Quickstart,
    explaining::{Around, explain, explain_delay, explain_refusal, explain_unheard, explain_unready},
    images::Images,
    pulling::Pulls,
    stopped::Stopped,
};
use crate::{
    cluster::{
        probes::{Unheard, first_refused, unheard},
        ready::is_observed,
        unrecoverable::{Unrecoverable, stuck},
        watching::{Progress, WaitError, Watches},
    },
    deploy::Deployer,
    manifest::Object,
    record::{Decision, Provenance, Stage},
    verdict::{Cause, Fault, Finding},
};

/// How long pods must have been Ready without a restart: a crash-looping simulator is Ready for a moment, twice.
const STABLE: Duration = Duration::from_millis(1500);

/// The same where a container has no readiness probe: Ready then says only that its process was started, and on a busy
/// machine a simulator takes seconds to read its arguments and refuse them.
const STABLE_UNPROBED: Duration = Duration::from_secs(4);

/// How long it is borne that pods are refused: what they need, such as their account, may be made a moment later.
const REFUSAL_IS_BORNE: Duration = Duration::from_secs(5);

/// How long a pod that has its node may start none of its containers before it is asked whether what it refers to exists.
/// Images may take longer, and then nothing comes of it.
const UNSTARTED_FOR: Duration = Duration::from_secs(10);

/// How often a pod whose probe meets nobody is asked where it listens: no watch tells.
const LISTENED_EVERY: Duration = Duration::from_secs(10);

/// How often Deployments that were ready and fell back are waited for again.
const MOST_FALLS: usize = 3;

fn pods_of(watches: &Watches, deployment: &Deployment) -> Vec<Arc<Pod>> {
    let selector = deployment.spec.selector.match_labels.clone().unwrap_or_default();
    watches
        .pods
        .all()
        .into_iter()
        .filter(|pod| pod.metadata.namespace == deployment.metadata.namespace && has_labels(pod, &selector))
        .collect()
}

/// Why a wait for a Deployment halts.
enum Halt {
    /// A pod will never be ready.
    Pod(Unrecoverable),
    /// Its pods are refused, and the cluster says why.
    Refused(Arc<Deployment>, String),
    /// A pod is asked where nothing listens; it may be ready all the same.
    Unheard(Arc<Pod>, Unheard),
    /// None of the containers of a pod was started for a while; it may be ready all the same.
    Unstarted(Arc<Pod>),
}

/// What was seen of a Deployment so far, and since when.
#[derive(Default)]
struct Seen {
    ready: Option<Instant>,
    refused: Option<Instant>,
    unstarted: Option<Instant>,
    /// When it was last asked where a pod listens.
    listened: Option<Instant>,
    /// The pods of which it was asked already why they do not start.
    asked: BTreeSet<String>,
    pulls: Pulls,
}

/// How a Deployment stands: how many of how many are ready, once they are stable.
fn standing(watches: &Watches, deployment: &Arc<Deployment>, seen: &mut Seen, images: &Images) -> Progress<i32, Halt> {
    let now = Instant::now();
    let pods = pods_of(watches, deployment);
    if let Some(pod) = lost(watches, &pods) {
        return Progress::Never(Halt::Pod(pod));
    }
    let told = watches.failed_probes.all();
    if seen
        .listened
        .is_none_or(|asked| now.duration_since(asked) >= LISTENED_EVERY)
        && let Some((pod, unheard)) = pods.iter().find_map(|pod| Some((pod, unheard(pod, &told)?)))
    {
        seen.listened = Some(now);
        return Progress::Never(Halt::Unheard(Arc::clone(pod), unheard));
    }
    let unstarted = pods.iter().find(|pod| is_unstarted(pod));
    let unstarted_for = lasts(&mut seen.unstarted, unstarted.is_some(), now);
    if let Some(pod) = unstarted
        && unstarted_for >= UNSTARTED_FOR
        && seen.asked.insert(pod.name_any())
    {
        return Progress::Never(Halt::Unstarted(Arc::clone(pod)));
    }
    let failure = refusal(deployment);
    let lasts_for = lasts(&mut seen.refused, failure.is_some(), now);
    if let Some(message) = failure.filter(|_| lasts_for >= REFUSAL_IS_BORNE) {
        return Progress::Never(Halt::Refused(Arc::clone(deployment), message));
    }
    let (ready, wanted) = ready_of(deployment, pods.iter().map(AsRef::as_ref));
    let current = is_observed(deployment, deployment.metadata.generation.unwrap_or_default());
    if !current || ready < wanted {
        seen.ready = None;
        let pulling = seen
            .pulls
            .seen(&pods, &watches.pulls.all(), |image| images.size(image), now);
        let pulling = pulling.map_or_else(String::new, |pulling| format!("; {pulling}"));
        return Progress::NotYet(format!("{ready} of {wanted} pods ready{pulling}"));
    }
    if wanted > 0 && lasts(&mut seen.ready, true, now) < steady_for(deployment) {
        return Progress::NotYet(format!("{ready} of {wanted} pods ready; seeing whether they stay so"));
    }
    Progress::Ready(wanted)
}

/// The first of these pods that will never be ready.
fn lost(watches: &Watches, pods: &[Arc<Pod>]) -> Option<Unrecoverable> {
    let lost = watches.first_unrecoverable(pods.iter().map(AsRef::as_ref));
    lost.or_else(|| refused(watches, pods))
}

/// The Deployments that steps have made so far, as they are now, each with the first of its pods that will never be ready.
pub(super) fn all_lost(deployer: &Deployer) -> Vec<(Object, Arc<Deployment>, Unrecoverable)> {
    let watches = &deployer.site.watches;
    let lost = made(deployer).into_iter().filter_map(|object| {
        let deployment = seen_of(watches, &object)?;
        let failed = lost(watches, &pods_of(watches, &deployment))?;
        Some((object, deployment, failed))
    });
    lost.collect()
}

/// The Deployment as last seen.
fn seen_of(watches: &Watches, object: &Object) -> Option<Arc<Deployment>> {
    watches
        .deployments
        .get(object.namespace().unwrap_or_default(), object.name())
}

/// The first of these pods whose probe is refused for good, where the kubelet's events may be watched.
fn refused(watches: &Watches, pods: &[Arc<Pod>]) -> Option<Unrecoverable> {
    first_refused(pods.iter().map(AsRef::as_ref), &watches.failed_probes.all())
}

/// For how long something holds, of which `since` remembers since when.
fn lasts(since: &mut Option<Instant>, holds: bool, now: Instant) -> Duration {
    if !holds {
        *since = None;
        return Duration::ZERO;
    }
    now.duration_since(*since.get_or_insert(now))
}

/// Whether a pod has its node, and none of its containers was started yet.
pub(super) fn is_unstarted(pod: &Pod) -> bool {
    let has_node = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let statuses = pod.status.iter().flat_map(|status| {
        let containers = status.container_statuses.iter().flatten();
        containers.chain(status.init_container_statuses.iter().flatten())
    });
    let was_started = |status: &ContainerStatus| {
        let state = status.state.as_ref();
        status.restart_count > 0 || state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    };
    has_node && pod.metadata.deletion_timestamp.is_none() && !statuses.into_iter().any(was_started)
}

/// How many of a Deployment's pods are ready, and how many it wants.
fn ready_of<'a>(deployment: &Deployment, pods: impl IntoIterator<Item = &'a Pod>) -> (i32, i32) {
    let ready = pods.into_iter().filter(|pod| is_ready(pod)).count();
    (
        i32::try_from(ready).unwrap_or(i32::MAX),
        deployment.spec.replicas.unwrap_or(1),
    )
}

/// How long a Deployment's pods must have been Ready.
fn steady_for(deployment: &Deployment) -> Duration {
    let containers = deployment.spec.template.spec.iter().flat_map(|spec| &spec.containers);
    let is_probed = containers
        .into_iter()
        .all(|container| container.readiness_probe.is_some());
    if is_probed { STABLE } else { STABLE_UNPROBED }
}

/// The Deployments that have fewer ready pods than they want, right now.
fn fallen(watches: &Watches, wanted: &[Object]) -> Vec<Object> {
    let stands = |object: &&Object| {
        seen_of(watches, object).is_some_and(|deployment| {
            let pods = pods_of(watches, &deployment);
            let (ready, wanted) = ready_of(&deployment, pods.iter().map(AsRef::as_ref));
            ready >= wanted
        })
    };
    wanted.iter().filter(|object| !stands(object)).cloned().collect()
}

/// Workloads that will never be ready. A decision about each of them was sent.
pub(super) struct NeverReady {
    /// The name of the first.
    pub(super) first: String,
    /// Whether the release is to blame for none of them.
    pub(super) is_infrastructure: bool,
    pub(super) said: Stopped,
}

/// Waits until every Deployment that the steps made is ready at the same time; says each.
///
/// One that was ready and fell back while others were waited for is waited for again, and says so in its place.
///
/// # Errors
/// Some of them will never be ready.
pub(super) async fn await_ready(quickstart: &Quickstart<'_>) -> Result<(), NeverReady> {
    let deployments = made(&quickstart.deployer);
    let mut open = deployments.clone();
    for _ in 0..=MOST_FALLS {
        let waits = open.iter().map(|object| await_one(quickstart, object));
        let waited = futures::future::join_all(waits).await;
        let never = waited
            .into_iter()
            .filter_map(Result::err)
            .reduce(|first, next| NeverReady {
                is_infrastructure: first.is_infrastructure && next.is_infrastructure,
                ..first
            });
        if let Some(never) = never {
            return Err(never);
        }
        open = fallen(&quickstart.deployer.site.watches, &deployments);
        if open.is_empty() {
            break;
        }
    }
    Ok(())
}

/// Whether a Deployment that was ready has fallen back since.
pub(super) fn have_fallen(quickstart: &Quickstart<'_>) -> bool {
    !fallen(&quickstart.deployer.site.watches, &made(&quickstart.deployer)).is_empty()
}

/// The Deployments that steps have made.
fn made(deployer: &Deployer) -> Vec<Object> {
    deployer.deployed(|deployed| deployed.of_kind("Deployment").cloned().collect())
}

/// Why a Deployment that steps have made is not ready, as it stands now; `None` where all are, and where nothing says why. A wait
/// of the guide has ended, so that nothing more is borne.
pub(super) async fn why_not_ready(around: &Around<'_>) -> Option<Cause> {
    let watches = &around.deployer.site.watches;
    for object in made(around.deployer) {
        let Some(deployment) = seen_of(watches, &object) else {
            continue;
        };
        let pods = pods_of(watches, &deployment);
        let stuck = stuck(pods.iter().map(AsRef::as_ref)).or_else(|| refused(watches, &pods));
        let cause = if let Some(stuck) = stuck {
            Some(explain(around, stuck).await)
        } else if let Some(failure) = refusal(&deployment) {
            Some(explain_refusal(around, &deployment, failure).await)
        } else if let Some(pod) = pods.iter().find(|pod| is_unstarted(pod)) {
            explain_delay(around, pod).await
        } else {
            None
        };
        if let Some(cause) = cause {
            return Some(cause.because(format!("asked for at {}:{}", object.file, object.line)));
        }
    }
    None
}

/// Why the pods of a Deployment are refused; `None` where they are not.
fn refusal(deployment: &Deployment) -> Option<String> {
    let conditions = deployment
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let mut failures = conditions.filter(|condition| {
        condition.type_.as_deref() == Some("ReplicaFailure") && condition.status.as_deref() == Some("True")
    });
    Some(failures.next()?.message.clone().unwrap_or_default())
}

/// Where an object stands in the release, or in what a chart of it makes.
pub(super) fn place_of(object: &Object) -> Provenance {
    Provenance {
        file: object.file.clone(),
        line: object.line,
        section: String::new(),
    }
}

/// Waits until a Deployment is ready and stays so, or never will be; says which.
async fn await_one(quickstart: &Quickstart<'_>, object: &Object) -> Result<(), NeverReady> {
    let events = &quickstart.context.events;
    let began = Instant::now();
    match ready_or_why(quickstart, object, began).await {
        Ok(ready) => {
            let sentence = format!("{} has {ready} of {ready} pods ready", object.title());
            events.decide(decision(object, sentence, Finding::Holds).took(began.elapsed()));
            Ok(())
        }
        Err(cause) => Err(NeverReady {
            first: object.name().to_owned(),
            is_infrastructure: !cause.blame().is_product(),
            said: Stopped::at(events, never_ready(object, cause).took(began.elapsed())),
        }),
    }
}

fn decision(object: &Object, sentence: String, finding: Finding) -> Decision {
    checks::workload(object.namespace().unwrap_or_default(), object.name()).decision(sentence, finding)
}

/// That a Deployment will never be ready, and why.
pub(super) fn never_ready(object: &Object, cause: Cause) -> Decision {
    let title = object.title();
    let fault = Fault::shown(format!("{title} becomes ready and stays so"), cause);
    decision(object, format!("{title} will never be ready"), fault.into()).at_line(place_of(object))
}

/// Waits until a Deployment is ready and stays so, and returns how many pods it has; else why it will never be.
async fn ready_or_why(quickstart: &Quickstart<'_>, object: &Object, began: Instant) -> Result<i32, Cause> {
    let (context, watches) = (quickstart.context, &quickstart.deployer.site.watches);
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name());
    let title = object.title();
    let mut so_far = Seen::default();
    loop {
        let question = |watches: &Watches| match watches.deployments.get(namespace, name) {
            None => Progress::NotYet("not there".into()),
            Some(deployment) => standing(watches, &deployment, &mut so_far, &quickstart.images),
        };
        let remaining = context.order.limit.saturating_sub(began.elapsed());
        let waited = watches
            .until(remaining, question, |seen| {
                context.events.waiting(Stage::Deployment, title.clone(), seen);
            })
            .await;
        return Err(match waited {
            Ok(ready) => return Ok(ready),
            Err(WaitError::Never(Halt::Pod(failed))) => explain(&quickstart.around(), failed).await,
            Err(WaitError::Never(Halt::Refused(deployment, message))) => {
                explain_refusal(&quickstart.around(), &deployment, message).await
            }
            Err(WaitError::Never(Halt::Unheard(pod, unheard))) => {
                match explain_unheard(&quickstart.around(), &pod, &unheard).await {
                    Some(cause) => cause,
                    // It does not listen anywhere yet.
                    None => continue,
                }
            }
            Err(WaitError::Never(Halt::Unstarted(pod))) => match explain_delay(&quickstart.around(), &pod).await {
                Some(cause) => cause,
                // All is there that it refers to, so it is only slow.
                None => continue,
            },
            Err(WaitError::TimedOut { seen, .. }) => {
                let deployment = watches.deployments.get(namespace, name);
                let pods = deployment.map(|deployment| pods_of(watches, &deployment));
                explain_unready(&quickstart.around(), &pods.unwrap_or_default(), seen).await
            }
            Err(WaitError::ApiServerAway { trouble }) => trouble.cause(),
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(replicas: i32, containers: &serde_json::Value) -> Deployment {
        serde_json::from_value(
            json!({"metadata": {"name": "d"}, "spec": {"replicas": replicas, "selector": {},
            "template": {"spec": {"containers": containers}}}}),
        )
        .unwrap()
    }

    #[test]
    fn ready_without_a_probe_says_less_and_is_watched_for_longer() {
        let probed = json!({"name": "a", "readinessProbe": {"httpGet": {"port": 1}}});
        assert_eq!(steady_for(&deployment(1, &json!([probed]))), STABLE);
        assert_eq!(
            steady_for(&deployment(1, &json!([probed, {"name": "b"}]))),
            STABLE_UNPROBED
        );
    }

    #[test]
    fn pods_that_are_on_their_way_out_are_not_counted_as_ready() {
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        let pod = |metadata: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"metadata": metadata, "status": ready})).unwrap()
        };
        let pods = [
            pod(json!({"name": "a"})),
            pod(json!({"name": "b", "deletionTimestamp": "2026-01-01T00:00:00Z"})),
        ];
        assert_eq!(ready_of(&deployment(2, &json!([{"name": "c"}])), &pods), (1, 2));
    }
}
