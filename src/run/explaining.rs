//! Why a workload will never be ready, asked of the cluster once it is known that it will not: what it refers to and is not
//! there, which probe killed it, its last words.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{Node, PersistentVolumeClaim, Pod},
        storage::v1::StorageClass,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, LogParams},
};
use tokio::{io::AsyncReadExt as _, net::TcpStream};

mod gateway_log;
mod last_words;

pub(super) use gateway_log::said_of_the_picker;

use super::{advancing::getting_on, images::Images};
use crate::{
    cluster::{
        forward::forward,
        probes::{Unheard, events_of, killed, last_warning},
        ready::is_ready,
        references::{Reference, Referent, absent, references},
        unrecoverable::{Unrecoverable, request_against_nodes},
    },
    deploy::Deployer,
    images::{self, ImageRef},
    plan::Plan,
    redact::cut,
    verdict::{Cause, CauseCode},
};

/// What is known around a workload: what deployed it, from which plan, with which images.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) deployer: &'a Deployer,
    pub(super) plan: &'a Plan,
    pub(super) images: &'a Images,
}

/// Why a pod will never be ready, with what makes it understood: the container's last words, or requests against what nodes have.
pub(super) async fn explain(around: &Around<'_>, failed: Unrecoverable) -> Cause {
    let mut cause = failed.cause;
    let site = &around.deployer.site;
    let pod = site.watches.pods.get(&failed.namespace, &failed.pod);
    if cause.code == CauseCode::PodImageNotFound
        && let Some(pod) = &pod
        && let Some(image) = image_of(pod, failed.container.as_deref())
        && may_be_published(around, &image)
    {
        cause.code = CauseCode::ImagesNotReady;
        cause = cause.because(format!(
            "no image registry answers here and nothing here makes {image}: it may be published all the same"
        ));
    }
    if matches!(cause.code, CauseCode::PodImageNotFound | CauseCode::PodImagePull)
        && let Some(pod) = &pod
        && let Some(image) = image_of(pod, failed.container.as_deref())
    {
        cause = around.images.explain_pull(&image, cause).await;
    }
    if cause.code == CauseCode::PodUnschedulable
        && let Some(pod) = &pod
    {
        if let Some(volume) = volume_missing(&site.client, pod).await {
            return and_then(volume, cause);
        }
        if let Ok(nodes) = Api::<Node>::all(site.client.clone()).list(&ListParams::default()).await {
            cause.evidence.extend(request_against_nodes(pod, &nodes.items));
        }
    }
    let crashed = matches!(cause.code, CauseCode::PodCrash | CauseCode::PodOutOfMemory);
    let Some(container) = failed.container.filter(|_| crashed) else {
        return cause;
    };
    if cause.code == CauseCode::PodCrash
        && let Some(pod) = &pod
        && let Some(killed) = killed_by_probe(&site.client, pod, &container).await
    {
        cause = and_then(killed, cause);
    }
    if let Some(line) = last_line(&site.client, &failed.namespace, &failed.pod, &container).await {
        // Memory and probes are known from Kubernetes, whatever a log says.
        if cause.code == CauseCode::PodCrash {
            cause.code = last_words::told(&line).unwrap_or(cause.code);
        }
        cause = cause.because(format!("its last words: {line}"));
        if let Some(unknown) = around.deployer.unmatched_kind(&line).await {
            return and_then(unknown, cause);
        }
    }
    cause
}

/// Why pods of a Deployment are refused: the account that they are to run under does not exist, or what the cluster says.
pub(super) async fn explain_refusal(around: &Around<'_>, deployment: &Deployment, message: String) -> Cause {
    let refused = Cause::new(CauseCode::PodRefused).because(message);
    let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
    let spec = deployment.spec.template.spec.iter();
    let accounts = spec
        .flat_map(references)
        .filter(|one| one.referent == Referent::ServiceAccount);
    match missing(&around.deployer.site.client, namespace, accounts).await {
        Some(cause) => and_then(cause, refused),
        None => refused,
    }
}

/// What of all that a pod refers to does not exist, where that is why it does not start.
pub(super) async fn explain_delay(around: &Around<'_>, pod: &Pod) -> Option<Cause> {
    let client = &around.deployer.site.client;
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let cause = missing(client, namespace, pod.spec.iter().flat_map(references)).await?;
    let warned = last_warning(&events_of(client, pod).await);
    Some(match warned {
        Some(warning) => cause.because(cut(&warning, 400)),
        None => cause,
    })
}

/// That a probe asks the wrong port: nothing listens there, nobody else is sent there, and the container listens on every port
/// that it declares. `None` where it does not, and so may have more to do before it listens.
pub(super) async fn explain_unheard(around: &Around<'_>, pod: &Pod, unheard: &Unheard) -> Option<Cause> {
    let client = &around.deployer.site.client;
    if is_sent_to(around, unheard.port) {
        return None;
    }
    for port in &unheard.declared {
        if !listens(client, pod, *port).await {
            return None;
        }
    }
    // What the kubelet told last may be long past.
    if listens(client, pod, unheard.port).await {
        return None;
    }
    let declared: Vec<String> = unheard.declared.iter().map(u16::to_string).collect();
    Some(Cause::new(CauseCode::PodProbeRefused).because(format!(
        "pod {}: container {} listens on port {}, and its {} asks port {}, where nothing listens: {}",
        pod.name_any(),
        unheard.container,
        declared.join(", "),
        unheard.kind.field(),
        unheard.port,
        cut(&unheard.said, 400),
    )))
}

/// Whether a Service or a pool sends requests to this port of its pods: then it is meant, though no container declares it.
fn is_sent_to(around: &Around<'_>, port: u16) -> bool {
    let services = around.deployer.site.watches.services.all();
    let of_services = services.iter().any(|service| {
        let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
        ports.into_iter().any(|one| match &one.target_port {
            Some(IntOrString::Int(target)) => *target == i32::from(port),
            Some(IntOrString::String(_)) => false,
            None => one.port == i32::from(port),
        })
    });
    let of_pools = around.deployer.deployed(|deployed| {
        let targets = deployed.of_kind("InferencePool").map(|pool| {
            let spec = &pool.value["spec"];
            let several = spec["targetPorts"].as_array().cloned().unwrap_or_default();
            let numbers = several.iter().map(|target| target["number"].clone());
            numbers.chain([spec["targetPortNumber"].clone()]).collect::<Vec<_>>()
        });
        targets.flatten().any(|target| target == u64::from(port))
    });
    of_services || of_pools
}

/// Whether a connection to a port of a pod is taken, and kept.
async fn listens(client: &Client, pod: &Pod, port: u16) -> bool {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let asked = async {
        let forward = forward(client, namespace, &pod.name_any(), port).await.ok()?;
        let mut connection = TcpStream::connect(forward.address()).await.ok()?;
        // Where nothing listens, it is closed at once; whoever listens waits for a request.
        let closed = tokio::time::timeout(KEPT, connection.read(&mut [0; 1])).await;
        Some(!matches!(closed, Ok(Ok(0) | Err(_))))
    };
    tokio::time::timeout(LISTENING, asked)
        .await
        .ok()
        .flatten()
        .unwrap_or(false)
}

/// How long a connection is kept open by whoever listens.
const KEPT: Duration = Duration::from_secs(2);
/// How long it is tried to connect to one port of a pod.
const LISTENING: Duration = Duration::from_secs(5);

/// Why not all of these pods were ready in time: one that runs and no longer gets on, with what the cluster last warned of about
/// it; else they were slow.
pub(super) async fn explain_unready(around: &Around<'_>, pods: &[Arc<Pod>], seen: String) -> Cause {
    let client = &around.deployer.site.client;
    let mut slow = Cause::new(CauseCode::PodSlow).because(seen.clone());
    for pod in pods.iter().filter(|pod| !is_ready(pod)) {
        let events = events_of(client, pod).await;
        if let Some(how) = getting_on(client, pod, &events).await {
            slow = slow.because(format!("pod {}: {how}", pod.name_any()));
            continue;
        }
        let cause = Cause::new(CauseCode::PodNotReady).because(seen);
        return match last_warning(&events) {
            Some(warning) => cause.because(format!("pod {}: {}", pod.name_any(), cut(&warning, 400))),
            None => cause,
        };
    }
    if pods.is_empty() {
        slow = slow.because("the cluster has made none of its pods");
    }
    slow
}

/// A cause with the evidence of the one that it explains behind its own.
pub(super) fn and_then(mut cause: Cause, explained: Cause) -> Cause {
    cause.evidence.extend(explained.evidence);
    cause
}

/// That some of these do not exist; `None` where all do.
async fn missing(client: &Client, namespace: &str, references: impl IntoIterator<Item = Reference>) -> Option<Cause> {
    let absent = absent(client, namespace, references).await;
    (!absent.is_empty()).then(|| {
        absent
            .iter()
            .fold(Cause::new(CauseCode::PodConfigMissing), |cause, one| {
                cause.because(format!(
                    "{one} does not exist in namespace {namespace}: no step before this one makes it"
                ))
            })
    })
}

/// Why a pod gets no volume: a claim of it does not exist, which is its manifest's fault; or nothing in the cluster gives it
/// one. `None` where its claims are not what is in the way.
async fn volume_missing(client: &Client, pod: &Pod) -> Option<Cause> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let claims = pod.spec.iter().flat_map(references);
    let claims: Vec<Reference> = claims
        .filter(|one| one.referent == Referent::PersistentVolumeClaim)
        .collect();
    if let Some(cause) = missing(client, namespace, claims.iter().cloned()).await {
        return Some(cause);
    }
    let all: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    for claim in claims {
        let Ok(found) = all.get(&claim.name).await else {
            continue;
        };
        let class = found.spec.as_ref().and_then(|spec| spec.storage_class_name.clone());
        let is_bound = found.spec.as_ref().is_some_and(|spec| spec.volume_name.is_some());
        if !is_bound && !waits_for_its_pod(client, class.as_deref()).await {
            let class = class.filter(|name| !name.is_empty());
            let class = class.map_or("no storage class".to_owned(), |name| format!("storage class {name}"));
            return Some(Cause::new(CauseCode::PodVolumeUnbound).because(format!(
                "{claim} of namespace {namespace} ({class}) is not bound to a volume"
            )));
        }
    }
    None
}

/// Whether a claim of this class gets its volume only once its pod has a node: then what keeps the pod from having one is
/// something else. Of a class that may not be looked at it is taken for so.
async fn waits_for_its_pod(client: &Client, class: Option<&str>) -> bool {
    let Some(class) = class.filter(|name| !name.is_empty()) else {
        return false;
    };
    let classes: Api<StorageClass> = Api::all(client.clone());
    match classes.get_opt(class).await {
        Ok(Some(class)) => class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"),
        Ok(None) => false,
        Err(_) => true,
    }
}

/// The probe that has killed a container again and again.
async fn killed_by_probe(client: &Client, pod: &Pod, container: &str) -> Option<Cause> {
    let status = pod.status.as_ref()?;
    let mut statuses = status
        .init_container_statuses
        .iter()
        .chain(status.container_statuses.iter())
        .flatten();
    let restarts = statuses.find(|one| one.name == container)?.restart_count;
    let killed = killed(&events_of(client, pod).await, container, restarts)?;
    let said = match killed.said.as_str() {
        "" => String::new(),
        said => format!(": {}", cut(said, 400)),
    };
    Some(Cause::new(CauseCode::PodKilledByProbe).because(format!(
        "container {container} was killed {} times by its {}, which last failed{said}",
        killed.times,
        killed.by.field()
    )))
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
        if let Some(line) = last_words::of(&log) {
            return Some(line);
        }
    }
    None
}

/// Whether an image that a node did not get may be published all the same: nodes ask our registry alone, and it has
/// only what can be made here.
fn may_be_published(around: &Around<'_>, image: &ImageRef) -> bool {
    let tested = around.plan.subject.tag.as_deref();
    around.images.are_only_ours() && images::may_be_published(image, tested).unwrap_or(true)
}

/// The image that a container of a pod runs.
fn image_of(pod: &Pod, container: Option<&str>) -> Option<ImageRef> {
    let spec = pod.spec.as_ref()?;
    let mut containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let found = containers.find(|one| Some(one.name.as_str()) == container)?;
    found.image.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
