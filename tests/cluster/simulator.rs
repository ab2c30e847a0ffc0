//! The simulator alone, as the contract of `probe` and of the checks on answers: what they are tested against elsewhere
//! is what it really says.

use std::time::Duration;

use quickproof::{
    check::diagnosis::{Answerer, answerer},
    probe::{Answer, Outgoing, Probe},
};
use serde_json::json;
use testcontainers::{
    ContainerAsync, GenericImage, ImageExt as _,
    core::{IntoContainerPort as _, WaitFor},
    runners::AsyncRunner as _,
};

use crate::bench::output;

const MODEL: &str = "quickproof/contract";

/// The simulator's image as the engine can pull it here: from the local registry where there is one.
fn image() -> (String, String) {
    let name = "llm-d/llm-d-inference-sim";
    let registry = output("docker", &["ps", "--quiet", "--filter", "name=^quickproof-registry$"]);
    if registry.trim().is_empty() {
        return (format!("ghcr.io/{name}"), "v0.8.2".into());
    }
    let port = output("docker", &["port", "quickproof-registry", "5000/tcp"]);
    (
        format!("{}/{name}", port.lines().next().unwrap().trim()),
        "v0.8.2".into(),
    )
}

async fn simulator() -> (ContainerAsync<GenericImage>, String) {
    let (name, tag) = image();
    let container = GenericImage::new(name, tag)
        .with_exposed_port(8000.tcp())
        .with_wait_for(WaitFor::seconds(1))
        .with_env_var("POD_NAME", "pod-of-the-test")
        .with_cmd(["--model", MODEL, "--port", "8000"])
        .start()
        .await
        .unwrap();
    let port = container.get_host_port_ipv4(8000).await.unwrap();
    (container, format!("http://127.0.0.1:{port}"))
}

async fn ask(base: &str, body: &str) -> Answer {
    let probe = Probe::new(Duration::from_secs(10)).unwrap();
    let request = Outgoing {
        method: "POST".into(),
        url: format!("{base}/v1/completions"),
        headers: vec![("Content-Type".into(), "application/json".into())],
        body: Some(body.into()),
    };
    // Its port opens a moment after its process starts, or three seconds where outside names are not answered.
    for _ in 0..100 {
        let answer = probe.send(request.clone()).await;
        if answer.status().is_some() {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    probe.send(request).await
}

#[tokio::test]
async fn the_simulator_answers_as_the_checks_expect() {
    let (_container, base) = simulator().await;

    let good = ask(
        &base,
        &json!({"model": MODEL, "prompt": "a", "max_tokens": 5}).to_string(),
    )
    .await;
    assert_eq!(good.status(), Some(200), "{}", good.brief());
    assert_eq!(good.serving_pod(), Some("pod-of-the-test"));
    assert!(!good.passed_endpoint_picker(), "nobody but the endpoint picker says so");
    let body = good.json().unwrap();
    assert_eq!(
        (&body["object"], &body["model"]),
        (&json!("text_completion"), &json!(MODEL))
    );
    let usage = &body["usage"];
    let tokens = |field: &str| usage[field].as_u64().unwrap();
    assert_eq!(
        tokens("prompt_tokens") + tokens("completion_tokens"),
        tokens("total_tokens")
    );

    let unknown = ask(&base, &json!({"model": "${MODEL_NAME}", "prompt": "a"}).to_string()).await;
    assert_eq!(unknown.status(), Some(404));
    assert!(
        unknown.text().contains("The model `${MODEL_NAME}` does not exist."),
        "{}",
        unknown.text()
    );
    assert_eq!(answerer(&unknown), Answerer::ModelServerAround);

    let broken = ask(&base, "{").await;
    assert_eq!(broken.status(), Some(400));
}
