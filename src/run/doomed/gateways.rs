//! What is in the way of a Gateway: its class, its own pods.

use super::*;
use crate::api_server::{Mood, On, Says, Verb};

/// The proxy of a Gateway that the provider has made for it.
fn proxy(status: &Value) -> Value {
    let labels = json!({"name": "g-proxy", "namespace": "quickstart",
        "labels": {"gateway.networking.k8s.io/gateway-name": "g"}});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": labels, "status": status,
        "spec": {"containers": [{"name": "c", "image": "registry.example/proxy:1"}]}})
}

fn waits(reason: &str, message: &str) -> Value {
    json!({"phase": "Pending", "containerStatuses": [{"name": "c", "image": "registry.example/proxy:1", "imageID": "",
        "ready": false, "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}}]})
}

/// A run whose guide makes a Gateway of class `c`, on this server.
async fn with_a_gateway(server: ApiServer) -> Ended {
    let gateway = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "g"},
        "spec": {"gatewayClassName": "c", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]}});
    let files = [
        ("m/definitions.yaml", definition("Gateway", "gateway.networking.k8s.io")),
        ("m/gateway.yaml", gateway.to_string()),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let commands = "kubectl apply -f m/definitions.yaml\nkubectl apply -f m/gateway.yaml";
    carried_out_as(server, commands, &files).await
}

/// A Gateway with its own pod, which has this status.
async fn with_proxy(status: &Value) -> Ended {
    let server = ApiServer::new();
    server.put(proxy(status));
    with_a_gateway(server).await
}

#[rstest]
#[case::its_image_does_not_exist(
    waits("ErrImagePull", "proxy:1: not found"),
    CauseCode::PodImageNotFound,
    "not found"
)]
#[case::no_node_has_room(
    unschedulable("0/1 nodes are available: 1 Insufficient cpu."),
    CauseCode::PodUnschedulable,
    "Insufficient cpu"
)]
#[case::it_crashes(
    json!({"phase": "Running", "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 2,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}),
    CauseCode::PodCrash, "exit code 1")]
#[tokio::test(start_paused = true)]
async fn what_a_gateways_own_pod_lacks_is_why_it_is_not_in_order(
    #[case] status: Value,
    #[case] code: CauseCode,
    #[case] shown_by: &str,
) {
    assert_blamed(&with_proxy(&status).await, code, shown_by);
}

/// Whose pod runs and who says nothing has a class that nobody serves, as before.
#[tokio::test(start_paused = true)]
async fn a_gateway_whose_pod_is_ready_is_judged_by_its_conditions() {
    let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    assert_blamed(
        &with_proxy(&ready).await,
        CauseCode::GatewayClassMissing,
        "Gateway g: no condition Accepted yet",
    );
}

fn class(name: &str, accepted: &str) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": name},
        "spec": {"controllerName": "example.io/controller"},
        "status": {"conditions": [{"type": "Accepted", "status": accepted, "reason": "R", "message": "m"}]}})
}

/// A Gateway of class `c` that nobody looks at, beside these classes.
async fn unserved(classes: &[Value]) -> Ended {
    let server = ApiServer::new();
    let mut defined: Value = serde_json::from_str(&definition("GatewayClass", "gateway.networking.k8s.io")).unwrap();
    defined["spec"]["scope"] = json!("Cluster");
    defined["spec"]["names"]["plural"] = json!("gatewayclasses");
    server.put(defined);
    for class in classes {
        server.put(class.clone());
    }
    with_a_gateway(server).await
}

#[rstest]
#[case::absent(&[class("istio", "True")], "there is no GatewayClass c: the cluster has istio")]
#[case::absent_where_nothing_installs_a_controller(&[], "there is no GatewayClass c: the cluster has none at all")]
#[case::refused(&[class("c", "False")], "GatewayClass c is refused: R: m")]
#[case::its_controller_takes_another(
    &[class("c", "Unknown"), class("istio", "True")], "no controller has taken GatewayClass c, which is for example.io/controller")]
#[tokio::test(start_paused = true)]
async fn a_class_that_nobody_serves_is_called_within_seconds(#[case] classes: &[Value], #[case] shown_by: &str) {
    let ended = unserved(classes).await;
    assert_blamed(&ended, CauseCode::GatewayClassMissing, shown_by);
    assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
}

/// Its controller may be the first that comes up; one that has taken the class may be slow.
#[rstest]
#[case::nobody_is_at_work_yet(&[class("c", "Unknown")])]
#[case::taken(&[class("c", "True")])]
#[tokio::test(start_paused = true)]
async fn a_class_whose_controller_may_come_up_is_waited_for(#[case] classes: &[Value]) {
    let ended = unserved(classes).await;
    assert_blamed(&ended, CauseCode::GatewayClassMissing, "");
    assert!(ended.took >= Duration::from_secs(20), "{:?}", ended.took);
}

/// The image of a proxy that does not exist is called while commands are still carried out.
#[tokio::test(start_paused = true)]
async fn a_proxy_without_an_image_ends_the_run_before_its_commands_do() {
    let slow = Mood::new(On::Of(Verb::Apply, "services"), Says::AsItShould).late(Duration::from_secs(12));
    let server = ApiServer::new().in_mood(slow);
    server.put(proxy(&waits("ErrImagePull", "proxy:1: not found")));
    let gateway = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "g"},
        "spec": {"gatewayClassName": "c", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]}});
    let service =
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 1}]}});
    let files = [
        ("m/definitions.yaml", definition("Gateway", "gateway.networking.k8s.io")),
        ("m/gateway.yaml", gateway.to_string()),
        ("m/service.yaml", service.to_string()),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let commands =
        "kubectl apply -f m/definitions.yaml\nkubectl apply -f m/gateway.yaml\nkubectl apply -f m/service.yaml";
    let ended = carried_out_as(server, commands, &files).await;
    assert_blamed(&ended, CauseCode::PodImageNotFound, "not found");
    assert!(ended.took < Duration::from_secs(12), "{:?}", ended.took);
}
