//! Answers of the real gateway that are not what was asked for, or not all of it.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    bench::{beside_others, copied, output, replace, repository},
    existing::{Existing, cluster},
};

/// A model server that answers every request alike, and with the name of another model.
const IMPOSTOR: &str = r#"{"static_resources": {"listeners": [{
    "address": {"socket_address": {"address": "0.0.0.0", "port_value": 8000}},
    "filter_chains": [{"filters": [{"name": "http", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "impostor",
        "http_filters": [{"name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"path": "/metrics"}, "direct_response": {"status": 200, "body": {"inline_string":
                "vllm:num_requests_waiting 0\nvllm:num_requests_running 0\nvllm:kv_cache_usage_perc 0\n"}}},
            {"match": {"prefix": "/"},
             "response_headers_to_add": [
                {"header": {"key": "content-type", "value": "application/json"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
                {"header": {"key": "x-inference-pod", "value": "%ENVIRONMENT(POD_NAME)%"}}],
             "direct_response": {"status": 200, "body": {"inline_string":
                "{\"id\": \"cmpl-1\", \"object\": \"text_completion\", \"created\": 1760000000, \"model\": \"impostor/model\", \"choices\": [{\"index\": 0, \"text\": \"x\", \"finish_reason\": \"stop\"}], \"usage\": {\"prompt_tokens\": 1, \"completion_tokens\": 1, \"total_tokens\": 2}}"}}}]}]}}}]}]}]}}"#;

#[test]
fn pods_that_answer_with_another_model() {
    let _turn = beside_others();
    let tree = copied(&repository().join("manifests/quickstart"));
    let file = tree.path().join("model-server.yaml");
    replace(
        &file,
        "ghcr.io/llm-d/llm-d-inference-sim:v0.8.2",
        "docker.io/istio/proxyv2:1.28.0",
    );
    let text = fs::read_to_string(&file).unwrap();
    let (head, rest) = text.split_once("          args:\n").unwrap();
    let (_, tail) = rest.split_once("          env:\n").unwrap();
    let program =
        "          command: [/usr/local/bin/envoy]\n          args:\n            - --config-yaml\n            - |\n";
    let configuration = IMPOSTOR.replace('\n', "\n              ");
    fs::write(
        &file,
        format!("{head}{program}              {configuration}\n          env:\n{tail}"),
    )
    .unwrap();
    let ran = cluster().verify(tree.path(), "impostor");
    ran.expect(1, "failed", Some("answer-wrong-model"));
    // Only the model is wrong.
    ran.holds(&[
        "request-status",
        "request-passed-endpoint-picker",
        "request-served-by-pool",
    ]);
}

/// Waits until a pod of the namespace answers a request, and kills its model server in the midst of it.
///
/// Killed and not deleted: a pod that is deleted has time to finish its answers, and the simulator takes it.
fn kill_in_the_midst_of_an_answer(cluster: &Existing, namespace: &str) {
    let began = Instant::now();
    let serving = loop {
        assert!(began.elapsed() < Duration::from_mins(3), "no pod answers a request");
        if let Some(serving) = serving_container(cluster, namespace) {
            break serving;
        }
        thread::park_timeout(Duration::from_millis(200));
    };
    // Some words have come by then, and most have not.
    thread::park_timeout(Duration::from_secs(2));
    let still = serving_container(cluster, namespace);
    assert_eq!(still.as_ref(), Some(&serving), "the answer takes longer than that");
    let node = format!("{}-control-plane", cluster.name);
    let id = serving.trim_start_matches("containerd://");
    output(
        "docker",
        &[
            "exec", &node, "ctr", "-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", id,
        ],
    );
}

/// The container of a pod that has a request under way, by its own metrics.
fn serving_container(cluster: &Existing, namespace: &str) -> Option<String> {
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let pods: Value = serde_json::from_str(&cluster.raw(&path)?).ok()?;
    let serving = pods["items"].as_array()?.iter().find(|pod| {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let metrics = cluster.raw(&format!("{path}/{name}:8000/proxy/metrics"));
        metrics.is_some_and(|metrics| {
            let mut running = metrics
                .lines()
                .filter(|line| line.starts_with("vllm:num_requests_running{"));
            running.any(|line| line.ends_with(" 1"))
        })
    })?;
    let id = serving["status"]["containerStatuses"][0]["containerID"].as_str()?;
    Some(id.to_owned())
}

#[test]
fn a_stream_whose_pod_is_killed_is_truncated() {
    let _turn = beside_others();
    let tree = copied(&repository().join("manifests/quickstart"));
    replace(
        &tree.path().join("model-server.yaml"),
        "- --port\n",
        "- --mode\n            - echo\n            - --inter-token-latency\n            - 300ms\n            - --port\n",
    );
    let guide = tree.path().join("guide.md");
    replace(&guide, "\"max_tokens\": 40", "\"max_tokens\": 400, \"stream\": true");
    replace(
        &guide,
        "Say in one sentence what a gateway does",
        &"one word after the other ".repeat(16),
    );
    let cluster = cluster();
    let ran = thread::scope(|scope| {
        let killer = scope.spawn(|| kill_in_the_midst_of_an_answer(cluster, "cut"));
        let ran = cluster.verify(tree.path(), "cut");
        killer.join().unwrap();
        ran
    });
    ran.expect(1, "failed", Some("stream-truncated"));
    let broken = ran.broken();
    assert_eq!(broken.len(), 1, "{broken:?}");
    let actual = broken[0]["finding"]["actual"].as_str().unwrap();
    assert!(
        actual.contains("until then came status 200 and "),
        "it began well: {actual}"
    );
}
