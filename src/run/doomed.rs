//! Whole runs, in virtual time, against an API server in which a Deployment will never be ready: what is in its way, and who is
//! to blame.

use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use super::moods::{Ended, carried_out_as};
use crate::{
    api_server::ApiServer,
    verdict::{CauseCode, ExitCode, Finding},
};

mod early;
mod gateways;
mod patience;

/// A Deployment of one pod, which has this status and, beside its container, this in its spec.
fn deployment(annotations: &Value, spec: &Value, status: &Value) -> String {
    let mut pod = json!({"containers": [{"name": "c", "image": "registry.example/server:1"}]});
    for (name, value) in spec.as_object().unwrap() {
        pod[name] = value.clone();
    }
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "server", "annotations": annotations},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "server"}}, "template": {
            "metadata": {"labels": {"app": "server"}, "annotations": {"test/pod-status": status.to_string()}},
            "spec": pod}}})
    .to_string()
}

/// A run whose guide makes this Deployment, on this server.
async fn deployed(server: ApiServer, deployment: &str) -> Ended {
    carried_out_as(
        server,
        "kubectl apply -f m/server.yaml",
        &[("m/server.yaml", deployment)],
    )
    .await
}

/// What shows the cause of the first thing that is broken.
fn evidence(ended: &Ended) -> String {
    let first = ended.record.decisions.iter().find_map(|one| match &one.finding {
        Finding::Broken(fault) => Some(fault.cause.evidence.join("\n")),
        _ => None,
    });
    first.unwrap_or_default()
}

#[track_caller]
fn assert_blamed(ended: &Ended, code: CauseCode, shown_by: &str) {
    let expected = if code.blame().is_product() {
        ExitCode::Failed
    } else {
        ExitCode::Errored
    };
    assert_eq!((ended.causes.as_slice(), ended.code), (&[code][..], expected));
    assert!(evidence(ended).contains(shown_by), "{}", evidence(ended));
    assert!(ended.took < Duration::from_mins(1), "{:?}", ended.took);
}

/// In the namespace of the run, as somebody else made it before.
fn exists(kind: &str, name: &str, more: &Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "quickstart"}});
    for (name, value) in more.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

fn unschedulable(message: &str) -> Value {
    json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]})
}

fn claims(name: &str) -> Value {
    json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]})
}

/// The scheduler's words.
const NO_CLAIM: &str = "0/1 nodes are available: persistentvolumeclaim \"models\" not found. not found";
const UNBOUND: &str = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found";

#[tokio::test(start_paused = true)]
async fn a_volume_claim_that_no_step_makes_is_the_manifests_fault() {
    let made = deployment(&json!({}), &claims("models"), &unschedulable(NO_CLAIM));
    let ended = deployed(ApiServer::new(), &made).await;
    assert_blamed(
        &ended,
        CauseCode::PodConfigMissing,
        "PersistentVolumeClaim models does not exist in namespace quickstart",
    );
}

#[rstest]
#[case::no_class(json!({}))]
#[case::a_class_that_is_not_there(json!({"storageClassName": "fast"}))]
#[case::a_class_that_gives_at_once(json!({"storageClassName": "at-once"}))]
#[tokio::test(start_paused = true)]
async fn a_volume_claim_that_nothing_gives_a_volume_is_the_clusters_fault(#[case] spec: Value) {
    let server = ApiServer::new();
    server.put(exists("PersistentVolumeClaim", "models", &json!({"spec": spec})));
    server.put(
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "at-once"},
        "provisioner": "example.io/none", "volumeBindingMode": "Immediate"}),
    );
    let ended = deployed(
        server,
        &deployment(&json!({}), &claims("models"), &unschedulable(UNBOUND)),
    )
    .await;
    assert_blamed(
        &ended,
        CauseCode::PodVolumeUnbound,
        "PersistentVolumeClaim models of namespace quickstart",
    );
}

/// A claim that waits for its pod to have a node, and one that is bound, are not what keeps the pod from one.
#[rstest]
#[case::waits(json!({"storageClassName": "later"}))]
#[case::bound(json!({"volumeName": "pv-1"}))]
#[tokio::test(start_paused = true)]
async fn a_pod_that_is_too_large_is_that_whatever_its_volumes_are(#[case] spec: Value) {
    let server = ApiServer::new();
    server.put(exists("PersistentVolumeClaim", "models", &json!({"spec": spec})));
    server.put(
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "later"},
        "provisioner": "example.io/none", "volumeBindingMode": "WaitForFirstConsumer"}),
    );
    let status = unschedulable("0/1 nodes are available: 1 Insufficient cpu.");
    let ended = deployed(server, &deployment(&json!({}), &claims("models"), &status)).await;
    assert_blamed(&ended, CauseCode::PodUnschedulable, "node node can give cpu 8");
}

/// The pod has its node, and the kubelet waits for ever, saying only `ContainerCreating`.
#[rstest]
#[case::map_as_volume(json!({"volumes": [{"name": "v", "configMap": {"name": "plugins"}}]}), "ConfigMap plugins")]
#[case::secret_as_volume(json!({"volumes": [{"name": "v", "secret": {"secretName": "token"}}]}), "Secret token")]
#[case::part_of_a_volume(
    json!({"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "part"}}]}}]}), "ConfigMap part")]
#[tokio::test(start_paused = true)]
async fn what_a_pod_mounts_and_no_step_makes_is_the_manifests_fault(#[case] mut spec: Value, #[case] missing: &str) {
    spec["nodeName"] = json!("node");
    let server = ApiServer::new();
    server.put(exists(
        "Event",
        "e",
        &json!({"type": "Warning", "reason": "FailedMount", "message": "MountVolume.SetUp failed for volume \"v\"",
            "involvedObject": {"kind": "Pod", "name": "server-0"}}),
    ));
    let ended = deployed(server, &deployment(&json!({}), &spec, &creating())).await;
    assert_blamed(
        &ended,
        CauseCode::PodConfigMissing,
        &format!("{missing} does not exist in namespace quickstart"),
    );
    assert!(evidence(&ended).contains("FailedMount: MountVolume.SetUp failed"));
}

fn creating() -> Value {
    json!({"phase": "Pending", "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false,
        "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}]})
}

/// An image that is long under way looks the same.
#[tokio::test(start_paused = true)]
async fn a_pod_that_has_all_that_it_refers_to_is_only_slow_and_the_release_is_not_to_blame() {
    let server = ApiServer::new();
    server.put(exists("ConfigMap", "plugins", &json!({})));
    let spec = json!({"nodeName": "node", "volumes": [{"name": "v", "configMap": {"name": "plugins"}}]});
    let ended = deployed(server, &deployment(&json!({}), &spec, &creating())).await;
    assert_blamed(&ended, CauseCode::PodSlow, "none of its containers was started");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_still_on_its_way_when_time_is_up_is_slow() {
    let server = ApiServer::new();
    server.put(exists(
        "Event",
        "e",
        &json!({"type": "Normal", "reason": "Pulling", "message": "Pulling image \"registry.example/server:1\"",
            "involvedObject": {"kind": "Pod", "name": "server-0"}}),
    ));
    let ended = deployed(
        server,
        &deployment(&json!({}), &json!({"nodeName": "node"}), &creating()),
    )
    .await;
    assert_blamed(
        &ended,
        CauseCode::PodSlow,
        "an image is still on its way: Pulling image \"registry.example/server:1\"",
    );
}

#[rstest]
#[case::its_account_is_missing(json!({"serviceAccountName": "epp"}), CauseCode::PodConfigMissing, "ServiceAccount epp does not exist")]
#[case::there_is_no_room(json!({}), CauseCode::PodRefused, "pods \"server-0\" is forbidden")]
#[tokio::test(start_paused = true)]
async fn pods_that_are_refused_are_so_for_their_account_or_by_the_cluster(
    #[case] spec: Value,
    #[case] code: CauseCode,
    #[case] shown_by: &str,
) {
    let refused = json!({"test/refused": "pods \"server-0\" is forbidden: no"});
    let ended = deployed(ApiServer::new(), &deployment(&refused, &spec, &json!({}))).await;
    assert_blamed(&ended, code, shown_by);
}

/// As the kubelet tells it: the container ended well, and what killed it stands in the events alone.
fn killed(probe: &str) -> (ApiServer, String) {
    let server = ApiServer::new();
    let place = json!({"kind": "Pod", "name": "server-0", "fieldPath": "spec.containers{c}"});
    let event = |name: &str, reason: &str, message: String| {
        exists(
            "Event",
            name,
            &json!({"reason": reason, "message": message, "count": 3, "involvedObject": place}),
        )
    };
    let lower = probe.to_lowercase();
    server.put(event(
        "a",
        "Killing",
        format!("Container c failed {lower} probe, will be restarted"),
    ));
    server.put(event(
        "b",
        "Unhealthy",
        format!("{probe} probe failed: HTTP probe failed with statuscode: 404"),
    ));
    let ended = json!({"terminated": {"exitCode": 0, "reason": "Completed"}});
    let status = json!({"phase": "Running", "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false,
        "restartCount": 3, "state": {"running": {}}, "lastState": ended}]});
    (server, deployment(&json!({}), &json!({}), &status))
}

#[rstest]
#[case(
    "Liveness",
    "killed 3 times by its livenessProbe, which last failed: HTTP probe failed with statuscode: 404"
)]
#[case(
    "Startup",
    "killed 3 times by its startupProbe, which last failed: HTTP probe failed with statuscode: 404"
)]
#[tokio::test(start_paused = true)]
async fn a_probe_that_kills_is_named_with_its_last_word(#[case] probe: &str, #[case] shown_by: &str) {
    let (server, made) = killed(probe);
    let ended = deployed(server, &made).await;
    assert_blamed(&ended, CauseCode::PodKilledByProbe, shown_by);
}

/// A container that runs and is not ready, whose readiness probe has failed with these words for so many seconds.
async fn unready(said: &str, seconds: u8) -> Ended {
    let server = ApiServer::new();
    server.put(exists(
        "Event",
        "e",
        &json!({"type": "Warning", "reason": "Unhealthy", "message": format!("Readiness probe failed: {said}"), "count": 9,
            "firstTimestamp": "2026-01-01T00:00:01Z", "lastTimestamp": format!("2026-01-01T00:00:{:02}Z", 1 + seconds),
            "involvedObject": {"kind": "Pod", "name": "server-0", "fieldPath": "spec.containers{c}"}}),
    ));
    let spec = json!({"nodeName": "node", "containers": [{"name": "c", "image": "registry.example/server:1",
        "readinessProbe": {"httpGet": {"port": 80, "path": "/nothing"}}}]});
    let status = json!({"phase": "Running", "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false,
        "started": true, "restartCount": 0, "state": {"running": {}}}]});
    deployed(server, &deployment(&json!({}), &spec, &status)).await
}

#[tokio::test(start_paused = true)]
async fn a_readiness_probe_that_is_refused_for_good_ends_the_wait() {
    let ended = unready("HTTP probe failed with statuscode: 404", 9).await;
    assert_blamed(
        &ended,
        CauseCode::PodProbeRefused,
        "its readinessProbe (HTTP /nothing at port 80) is refused: HTTP probe failed with statuscode: 404",
    );
    assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
}

/// Both may mean that a model is still being loaded; and what was refused once may be there a moment later.
#[rstest]
#[case::not_yet("HTTP probe failed with statuscode: 503", 58)]
#[case::nothing_listens_yet("Get \"http://10.0.0.1:80/\": dial tcp 10.0.0.1:80: connect: connection refused", 58)]
#[case::not_for_long("HTTP probe failed with statuscode: 404", 2)]
#[tokio::test(start_paused = true)]
async fn a_readiness_probe_that_says_not_yet_is_waited_for(#[case] said: &str, #[case] seconds: u8) {
    let ended = unready(said, seconds).await;
    assert_blamed(&ended, CauseCode::PodNotReady, said);
    assert!(ended.took >= Duration::from_secs(20), "{:?}", ended.took);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ends_by_itself_crashes() {
    let (_, made) = killed("Liveness");
    let ended = deployed(ApiServer::new(), &made).await;
    assert_blamed(&ended, CauseCode::PodCrash, "exit code 0 (Completed)");
}

/// A CRD of `example.io`, as a release's bundle has it.
fn definition(kind: &str, group: &str) -> String {
    let plural = format!("{}s", kind.to_lowercase());
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": true, "storage": true}]}})
    .to_string()
}

#[rstest]
#[case::made("kubectl apply -f m/definitions.yaml\nkubectl apply -f m/other.yaml")]
#[case::looked_for("kubectl apply -f m/definitions.yaml\nkubectl get crds | grep others.example.io")]
#[tokio::test(start_paused = true)]
async fn the_bundle_that_lacks_a_crd_is_named(#[case] commands: &str) {
    let other = json!({"apiVersion": "example.io/v1", "kind": "Other", "metadata": {"name": "o"}}).to_string();
    let files = [
        ("m/definitions.yaml", definition("Thing", "example.io")),
        ("m/other.yaml", other),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let ended = carried_out_as(ApiServer::new(), commands, &files).await;
    assert_blamed(
        &ended,
        CauseCode::ObjectKindUnknown,
        "`kubectl apply -f m/definitions.yaml` (",
    );
    assert!(evidence(&ended).contains("Thing.example.io"), "{}", evidence(&ended));
}

/// The guide's own wait ends before ours has begun.
#[rstest]
#[case::by_condition("kubectl wait --for=condition=Available deployment/server --timeout=15s")]
#[case::by_rollout("kubectl rollout status deployment/server")]
#[tokio::test(start_paused = true)]
async fn a_wait_of_the_guide_that_ends_in_vain_says_why(#[case] wait: &str) {
    let commands = format!("kubectl apply -f m/server.yaml\n{wait}");
    let lacking = deployment(&json!({}), &claims("models"), &unschedulable(NO_CLAIM));
    let ended = carried_out_as(ApiServer::new(), &commands, &[("m/server.yaml", &lacking)]).await;
    assert_blamed(
        &ended,
        CauseCode::PodConfigMissing,
        "PersistentVolumeClaim models does not exist",
    );
    let mounts = json!({"nodeName": "node", "volumes": [{"name": "v", "configMap": {"name": "plugins"}}]});
    let lacking = deployment(&json!({}), &mounts, &creating());
    let ended = carried_out_as(ApiServer::new(), &commands, &[("m/server.yaml", &lacking)]).await;
    assert_blamed(&ended, CauseCode::PodConfigMissing, "ConfigMap plugins does not exist");
}

/// Nothing says why: it is slow.
#[tokio::test(start_paused = true)]
async fn a_wait_of_the_guide_that_ends_while_images_are_under_way_is_the_clusters() {
    let commands = "kubectl apply -f m/server.yaml\nkubectl rollout status deployment/server";
    let slow = deployment(&json!({}), &json!({"nodeName": "node"}), &creating());
    let ended = carried_out_as(ApiServer::new(), commands, &[("m/server.yaml", &slow)]).await;
    assert_blamed(&ended, CauseCode::StepTimedOut, "");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_of_a_step_leaves_the_run_undecided() {
    let of_another_tag = "kubectl apply -f \
        https://github.com/kubernetes-sigs/gateway-api-inference-extension/raw/refs/tags/v1.4.0/m/objects.yaml";
    let ended = carried_out_as(ApiServer::new(), of_another_tag, &[]).await;
    assert_eq!(
        (ended.code, ended.causes.as_slice()),
        (ExitCode::Inconclusive, [].as_slice())
    );
    let undecided = ended
        .record
        .decisions
        .iter()
        .find_map(|decision| match &decision.finding {
            Finding::Undecided { why } => Some(why.as_str()),
            _ => None,
        });
    let why = undecided.unwrap();
    assert!(
        why.contains("is of v1.4.0, and nothing but v1.5.0's own files"),
        "{why}"
    );
}
