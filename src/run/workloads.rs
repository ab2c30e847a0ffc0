//! Waiting until what was deployed is ready and stays so, or will never be.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Node, Pod},
};
use kube::{
    Api, Client,
    api::{ListParams, LogParams},
};
use tokio::time::Instant;

pub(super) use crate::cluster::ready::{has_labels, is_ready};

use super::{checks, deployment::Quickstart, stopped::Stopped};
use crate::{
    cluster::{
        ready::is_observed,
        unrecoverable::{PodHistory, Unrecoverable, request_against_nodes},
        watching::{Progress, WaitError, Watches},
    },
    deploy::Deployer,
    images::{self, ImageRef},
    manifest::Object,
    record::Stage,
    redact::cut,
    verdict::{Cause, CauseCode, Fault, Finding},
};

/// How long pods must have been Ready without a restart: a crash-looping simulator is Ready for a moment, twice.
const STABLE: Duration = Duration::from_millis(1500);

/// The same where a container has no readiness probe: Ready then says only that its process was started, and on a busy
/// machine a simulator takes seconds to read its arguments and refuse them.
const STABLE_UNPROBED: Duration = Duration::from_secs(4);

/// How often Deployments that were ready and fell back are waited for again.
const MOST_FALLS: usize = 3;

fn pods_of(watches: &Watches, deployment: &Deployment) -> Vec<std::sync::Arc<Pod>> {
    let selector = deployment.spec.selector.match_labels.clone().unwrap_or_default();
    watches
        .pods
        .all()
        .into_iter()
        .filter(|pod| pod.metadata.namespace == deployment.metadata.namespace && has_labels(pod, &selector))
        .collect()
}

/// How a wait for a Deployment ended early.
enum WillNotBeReady {
    Pod(Unrecoverable),
    Refused(String),
}

/// How a Deployment stands: how many of how many are ready, once they are stable.
fn standing(
    watches: &Watches,
    deployment: &Deployment,
    history: &mut PodHistory,
    since: &mut Option<Instant>,
) -> Progress<i32, WillNotBeReady> {
    let now = Instant::now();
    let pods = pods_of(watches, deployment);
    if let Some(pod) = history.first_unrecoverable(pods.iter().map(AsRef::as_ref), now) {
        return Progress::Never(WillNotBeReady::Pod(pod));
    }
    let status = deployment.status.as_ref();
    let failure = status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten())
        .find(|condition| {
            condition.type_.as_deref() == Some("ReplicaFailure") && condition.status.as_deref() == Some("True")
        });
    if let Some(failure) = failure {
        return Progress::Never(WillNotBeReady::Refused(failure.message.clone().unwrap_or_default()));
    }
    let (ready, wanted) = ready_of(deployment, pods.iter().map(AsRef::as_ref));
    let current = is_observed(deployment, deployment.metadata.generation.unwrap_or_default());
    if !current || ready < wanted {
        *since = None;
        return Progress::NotYet(format!("{ready} of {wanted} pods ready"));
    }
    let stable_since = *since.get_or_insert(now);
    if wanted > 0 && now.duration_since(stable_since) < steady_for(deployment) {
        return Progress::NotYet(format!("{ready} of {wanted} pods ready; seeing whether they stay so"));
    }
    Progress::Ready(wanted)
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
        let found = watches
            .deployments
            .get(object.namespace().unwrap_or_default(), object.name());
        found.is_some_and(|deployment| {
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

/// Waits until a Deployment is ready and stays so, or never will be; says which.
async fn await_one(quickstart: &Quickstart<'_>, object: &Object) -> Result<(), NeverReady> {
    let (context, watches) = (quickstart.context, &quickstart.deployer.site.watches);
    let began = Instant::now();
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name());
    let title = object.title();
    let (mut history, mut since) = (PodHistory::default(), None);
    let question = |watches: &Watches| match watches.deployments.get(namespace, name) {
        None => Progress::NotYet("not there".into()),
        Some(deployment) => standing(watches, &deployment, &mut history, &mut since),
    };
    let waited = watches
        .until(context.order.limit, question, |seen| {
            context.events.waiting(Stage::Deployment, title.clone(), seen);
        })
        .await;
    let decision = |sentence, finding| {
        checks::workload(namespace, name)
            .decision(sentence, finding)
            .took(began.elapsed())
    };
    let cause = match waited {
        Ok(ready) => {
            let sentence = format!("{title} has {ready} of {ready} pods ready");
            context.events.decide(decision(sentence, Finding::Holds));
            return Ok(());
        }
        Err(WaitError::Never(WillNotBeReady::Pod(failed))) => explain(quickstart, failed).await,
        Err(WaitError::Never(WillNotBeReady::Refused(message))) => Cause::new(CauseCode::PodRefused).because(message),
        Err(WaitError::TimedOut { seen, .. }) => Cause::new(CauseCode::PodNotReady).because(seen),
        Err(WaitError::ApiServerAway { trouble }) => trouble.cause(),
    };
    let cause = cause.because(format!("asked for at {}:{}", object.file, object.line));
    let is_infrastructure = !cause.code.blame().is_product();
    let fault = Fault::shown(format!("{title} becomes ready and stays so"), cause);
    Err(NeverReady {
        first: name.to_owned(),
        is_infrastructure,
        said: Stopped::at(
            &context.events,
            decision(format!("{title} will never be ready"), fault.into()),
        ),
    })
}

/// Why a pod will never be ready, with what makes it understood: the container's last words, or requests against what nodes have.
async fn explain(quickstart: &Quickstart<'_>, failed: Unrecoverable) -> Cause {
    let mut cause = failed.cause;
    let site = &quickstart.deployer.site;
    let pod = site.watches.pods.get(&failed.namespace, &failed.pod);
    if cause.code == CauseCode::PodImageNotFound
        && let Some(pod) = &pod
        && let Some(image) = image_of(pod, failed.container.as_deref())
        && may_be_published(quickstart, &image)
    {
        cause.code = CauseCode::ImagesNotReady;
        cause = cause.because(format!(
            "no image registry answers here and nothing here makes {image}: it may be published all the same"
        ));
    }
    if cause.code == CauseCode::PodUnschedulable
        && let Some(pod) = &pod
        && let Ok(nodes) = Api::<Node>::all(site.client.clone()).list(&ListParams::default()).await
    {
        cause.evidence.extend(request_against_nodes(pod, &nodes.items));
    }
    let crashed = matches!(cause.code, CauseCode::PodCrash | CauseCode::PodOutOfMemory);
    if let Some(container) = failed.container.filter(|_| crashed)
        && let Some(line) = last_line(&site.client, &failed.namespace, &failed.pod, &container).await
    {
        // Cobra's and Go's flag package's words; an unknown flag is the manifest's fault, not the image's. A log is text
        // and nothing else, so it is its text that tells.
        if line.contains("unknown flag") || line.contains("flag provided but not defined") {
            cause.code = CauseCode::PodArgumentUnknown;
        }
        cause = cause.because(format!("its last words: {line}"));
    }
    cause
}

/// The line that says why a container ended: of its run before this one, or of this one.
async fn last_line(client: &Client, namespace: &str, pod: &str, container: &str) -> Option<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for previous in [true, false] {
        let parameters = LogParams {
            container: Some(container.to_owned()),
            previous,
            tail_lines: Some(200),
            limit_bytes: Some(256 << 10),
            ..LogParams::default()
        };
        let log = pods.logs(pod, &parameters).await.unwrap_or_default();
        if let Some(line) = last_words(&log) {
            return Some(line);
        }
    }
    None
}

/// Whether an image that a node did not get may be published all the same: nodes ask our registry alone, and it has
/// only what can be made here.
fn may_be_published(quickstart: &Quickstart<'_>, image: &ImageRef) -> bool {
    let tested = quickstart.plan.subject.tag.as_deref();
    quickstart.images.are_only_ours() && images::may_be_published(image, tested).unwrap_or(true)
}

/// The image that a container of a pod runs.
fn image_of(pod: &Pod, container: Option<&str>) -> Option<ImageRef> {
    let spec = pod.spec.as_ref()?;
    let mut containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let found = containers.find(|one| Some(one.name.as_str()) == container)?;
    found.image.as_deref()?.parse().ok()
}

/// The line of a log that says why it ended: the last that speaks of an error, else the last.
fn last_words(log: &str) -> Option<String> {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let telling = lines.iter().rev().find(|line| {
        ["unknown flag", "not defined", "error", "fatal", "panic"]
            .iter()
            .any(|word| line.to_lowercase().contains(word))
    });
    telling.or(lines.last()).map(|line| cut(line, 400))
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

    #[test]
    fn the_telling_line_of_a_log_is_found_before_usage_text() {
        let log = "Usage of epp:\n  --v int\nError: unknown flag: --no-such-flag\nsee help\n";
        assert_eq!(last_words(log).as_deref(), Some("Error: unknown flag: --no-such-flag"));
        assert_eq!(last_words("a\nb\n").as_deref(), Some("b"));
        assert_eq!(last_words("\n"), None);
    }

    #[test]
    fn the_image_of_a_container_is_found_among_all_of_the_pods() {
        let pod: Pod = serde_json::from_value(json!({"spec": {
            "containers": [{"name": "a", "image": "r.example/a:1"}, {"name": "none"}],
            "initContainers": [{"name": "b", "image": "r.example/b:2"}],
        }}))
        .unwrap();
        let image = |name| image_of(&pod, name).map(|image| image.to_string());
        assert_eq!(image(Some("a")).as_deref(), Some("r.example/a:1"));
        assert_eq!(image(Some("b")).as_deref(), Some("r.example/b:2"));
        assert_eq!([image(Some("none")), image(Some("c")), image(None)], [None, None, None]);
    }
}
