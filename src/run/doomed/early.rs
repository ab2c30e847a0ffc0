//! What is called before the run comes to it: while the guide's commands are carried out, and while pods come up.

use super::*;
use crate::api_server::{Mood, On, Says, Verb};

/// A container that waits for this reason.
fn waits(reason: &str, message: &str) -> Value {
    json!({"phase": "Pending", "containerStatuses": [{"name": "c", "image": "registry.example/server:1", "imageID": "",
        "ready": false, "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}}]})
}

/// How long the second command of the guide takes.
const SECOND: Duration = Duration::from_secs(12);

/// A run whose guide makes a Deployment whose pods have this status, then a ConfigMap, which takes long, then `last`.
async fn with_a_slow_command(status: &Value, last: &str) -> Ended {
    let slow = Mood::new(On::Of(Verb::Apply, "configmaps"), Says::AsItShould).late(SECOND);
    let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}).to_string();
    let made = deployment(&json!({}), &json!({}), status);
    carried_out_as(
        ApiServer::new().in_mood(slow),
        &format!("kubectl apply -f m/server.yaml\nkubectl apply -f m/settings.yaml\n{last}"),
        &[("m/server.yaml", &made), ("m/settings.yaml", &settings)],
    )
    .await
}

#[rstest]
#[case::image_gone(
    waits("ErrImagePull", "server:1: not found"),
    "kubectl get nodes",
    CauseCode::PodImageNotFound,
    true
)]
#[case::its_deployment_comes_again(
    waits("ErrImagePull", "server:1: not found"),
    "kubectl apply -f m/server.yaml",
    CauseCode::PodImageNotFound,
    false
)]
#[case::it_is_patched_later(
    waits("ErrImagePull", "server:1: not found"),
    "kubectl patch deployment server --type merge -p '{\"metadata\": {\"labels\": {\"a\": \"b\"}}}'",
    CauseCode::PodImageNotFound,
    false
)]
#[case::access_may_come(
    waits("ErrImagePull", "server:1: not found"),
    "kubectl create secret generic pull --from-literal=a=b",
    CauseCode::PodImageNotFound,
    false
)]
#[case::what_it_lacks_may_come(
    waits("CreateContainerConfigError", "configmap \"settings\" not found"),
    "kubectl get nodes",
    CauseCode::PodConfigMissing,
    false
)]
#[tokio::test(start_paused = true)]
async fn what_no_command_to_come_mends_is_called_at_once(
    #[case] status: Value,
    #[case] last: &str,
    #[case] code: CauseCode,
    #[case] is_early: bool,
) {
    let ended = with_a_slow_command(&status, last).await;
    assert_blamed(&ended, code, "");
    assert_eq!(ended.took < SECOND, is_early, "{:?}", ended.took);
}

/// `kubectl wait` would wait for five minutes, and so would a reader.
#[rstest]
#[case::by_condition("kubectl wait --for=condition=Available deployment/server --timeout=5m")]
#[case::by_rollout("kubectl rollout status deployment/server")]
#[tokio::test(start_paused = true)]
async fn a_wait_of_the_guide_for_what_is_lost_says_why(#[case] wait: &str) {
    let crashes = json!({"phase": "Running", "containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false,
        "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]});
    let made = deployment(&json!({}), &json!({}), &crashes);
    let commands = format!("kubectl apply -f m/server.yaml\n{wait}");
    let ended = carried_out_as(ApiServer::new(), &commands, &[("m/server.yaml", &made)]).await;
    assert_blamed(&ended, CauseCode::PodCrash, "exit code 1");
}

/// As `kubectl apply` of a mended manifest leaves it for a moment: the pod of before is still there.
#[tokio::test(start_paused = true)]
async fn what_the_last_command_has_changed_is_not_called_for_the_pods_of_before() {
    let slow = Mood::new(On::Of(Verb::Apply, "configmaps"), Says::AsItShould).late(SECOND);
    let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}).to_string();
    let made = deployment(&json!({}), &json!({}), &waits("ErrImagePull", "server:1: not found"));
    let commands = "kubectl apply -f m/server.yaml\nkubectl apply -f m/server.yaml\nkubectl apply -f m/settings.yaml";
    let files = [("m/server.yaml", made.as_str()), ("m/settings.yaml", settings.as_str())];
    let ended = carried_out_as(ApiServer::new().in_mood(slow), commands, &files).await;
    assert_blamed(&ended, CauseCode::PodImageNotFound, "");
    assert!(ended.took >= SECOND, "{:?}", ended.took);
}

/// A run whose route is refused for this reason, while the model server is still coming up.
async fn with_a_refused_route(reason: &str, server: ApiServer) -> Ended {
    let parent = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "g"});
    let said = |type_: &str, status: &str, reason: &str| json!({"type": type_, "status": status, "reason": reason, "message": "m"});
    let conditions = [
        said("Accepted", "True", "Accepted"),
        said("ResolvedRefs", "False", reason),
    ];
    let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r"},
        "spec": {"parentRefs": [{"name": "g"}]},
        "status": {"parents": [{"parentRef": parent, "controllerName": "example.io/c", "conditions": conditions}]}});
    let made = deployment(&json!({}), &json!({"nodeName": "node"}), &creating());
    let files = [
        (
            "m/definitions.yaml",
            definition("HTTPRoute", "gateway.networking.k8s.io"),
        ),
        ("m/server.yaml", made),
        ("m/route.yaml", route.to_string()),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let commands = "kubectl apply -f m/definitions.yaml\nkubectl apply -f m/server.yaml\nkubectl apply -f m/route.yaml";
    carried_out_as(server, commands, &files).await
}

#[tokio::test(start_paused = true)]
async fn a_route_that_is_refused_for_good_is_called_while_pods_still_come_up() {
    let ended = with_a_refused_route("InvalidKind", ApiServer::new()).await;
    assert_blamed(&ended, CauseCode::RouteBackendUnresolved, "InvalidKind");
    assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
}

/// Such as Envoy Gateway's, while no endpoint is ready; and what is missing, an operator may make.
#[rstest]
#[case("EndpointsNotFound")]
#[case("BackendNotFound")]
#[tokio::test(start_paused = true)]
async fn a_refusal_that_pods_may_end_is_no_cause_while_they_come_up(#[case] reason: &str) {
    let ended = with_a_refused_route(reason, ApiServer::new()).await;
    assert_blamed(&ended, CauseCode::PodSlow, "");
}

/// What was said before the API server fell silent may long have been taken back.
#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_cause_once_the_api_server_is_away() {
    // Once at the beginning, and then whenever it is asked whether it still answers.
    let away = Mood::new(On::Verb(Verb::Version), Says::Silence).calls(2, u32::MAX);
    let ended = with_a_refused_route("InvalidKind", ApiServer::new().in_mood(away)).await;
    assert_eq!(ended.code, ExitCode::Errored, "{:?}", ended.causes);
}
