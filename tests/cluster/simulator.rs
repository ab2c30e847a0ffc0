//! The simulator alone, as the contract of `probe` and of the checks on answers: what they are tested against elsewhere
//! is what it really says.

use std::time::Duration;

use quickproof::{
    check::diagnosis::{Answerer, answerer},
    probe::{Answer, Outgoing, Probe},
};
use serde_json::{Value, json};
use testcontainers::{
    ContainerAsync, GenericImage, ImageExt as _,
    core::{IntoContainerPort as _, WaitFor},
    runners::AsyncRunner as _,
};

use crate::bench::{beside_others, output, quickproof};

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

/// A simulator in a container of its own, with these further arguments, and its address. The container goes when it is
/// dropped, however its test ends.
async fn simulator(further: &[&str]) -> (ContainerAsync<GenericImage>, String) {
    let (name, tag) = image();
    let container = GenericImage::new(name, tag)
        .with_exposed_port(8000.tcp())
        .with_wait_for(WaitFor::seconds(1))
        .with_env_var("POD_NAME", "pod-of-the-test")
        .with_cmd([&["--model", MODEL, "--port", "8000"], further].concat())
        .start()
        .await
        .unwrap();
    let port = container.get_host_port_ipv4(8000).await.unwrap();
    (container, format!("http://127.0.0.1:{port}"))
}

/// Whether the engine has a container of this id, running or not.
fn is_there(id: &str) -> bool {
    let filter = format!("id={id}");
    let found = output("docker", &["ps", "--all", "--quiet", "--filter", &filter]);
    !found.trim().is_empty()
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
    let _turn = beside_others();
    let (_container, base) = simulator(&[]).await;

    let good = ask(
        &base,
        &json!({"model": MODEL, "prompt": "a", "max_tokens": 5}).to_string(),
    )
    .await;
    assert_eq!(good.status(), Some(200), "{}", good.brief());
    assert_eq!(good.serving_pod().as_deref(), Some("pod-of-the-test"));
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

#[tokio::test]
async fn a_probe_of_the_simulator_alone_passes_and_says_what_it_did_not_prove() {
    let _turn = beside_others();
    let adapter = r#"{"name":"food-review"}"#;
    let (container, base) = simulator(&["--mode", "echo", "--lora-modules", adapter]).await;
    let up = ask(&base, &json!({"model": MODEL, "prompt": "a"}).to_string()).await;
    assert_eq!(up.status(), Some(200), "{}", up.brief());

    let directory = tempfile::tempdir().unwrap();
    let probed = quickproof(directory.path())
        .args(["probe", &base, "--model", MODEL, "-o", "json"])
        .env_remove("OPENAI_API_KEY")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&probed.stderr);
    assert_eq!(probed.status.code(), Some(0), "{said}");
    let found: Value = serde_json::from_slice(&probed.stdout).unwrap();
    assert_eq!(
        (&found["outcome"], &found["exit_code"], &found["never_decided"]),
        (&json!("passed"), &json!(0), &json!([]))
    );
    assert_eq!(
        found["subject"],
        format!(
            "the endpoint {base} with model {MODEL}: the wire only; nothing about a release, the endpoint picker or the \
             pool was tested"
        )
    );
    let check = |name: &str| {
        let checks = found["checks"].as_array().unwrap();
        let named = checks.iter().find(|check| check["check"] == name);
        named.unwrap_or_else(|| panic!("no check is called {name}: {checks:#?}"))
    };
    for name in [
        "endpoint-answers",
        "completions/answer-usage",
        "completions-stream/stream-usage",
        "chat/answer-choices",
        "chat-stream/stream-done",
        "models/models-name",
        "lora-adapter/answer-model",
        "refusals/unknown-model/error-body",
        "refusals/malformed-json/answered-by",
    ] {
        assert_eq!(check(name)["finding"], "holds", "{name}: {}", check(name));
    }
    for (name, why) in [
        ("missing-model", "an endpoint picker"),
        ("completions/passed-endpoint-picker", "an endpoint picker"),
    ] {
        assert_eq!(check(name)["finding"], "skipped", "{name}");
        let said = check(name)["why"].as_str().unwrap();
        assert!(said.contains(why), "{name}: {said}");
    }

    let id = container.id().to_owned();
    drop(container);
    assert!(!is_there(&id), "its container is gone");
}

/// A scenario for a model server that echoes: streamed or not, every answer says what was asked.
const ECHO: &str = "\
name: echo
proves: What is streamed says the same as what comes at once.
steps:
  - request:
      name: chat
      path: /v1/chat/completions
      json: {model: '${model}', messages: [{role: user, content: '${prompt}'}]}
      expect: {answer: success, says: '${prompt}'}
  - request:
      name: chat-stream
      path: /v1/chat/completions
      json: {model: '${model}', messages: [{role: user, content: '${prompt}'}], stream: true}
      expect:
        answer: success
        says: '${prompt}'
        cel:
          - name: tokens-have-times
            sentence: the first token comes before the end, and every other after it
            holds: answer.time_to_first_token_ms <= answer.took_ms && size(answer.inter_token_ms) > 0
  - request:
      name: completions
      path: /v1/completions
      json: {model: '${model}', prompt: '${prompt}'}
      expect: {answer: success, says: '${prompt}'}
  - request:
      name: completions-stream
      path: /v1/completions
      json: {model: '${model}', prompt: '${prompt}', stream: true}
      expect: {answer: success, says: '${prompt}'}
";

#[tokio::test]
async fn the_simulator_says_the_same_streamed_and_at_once() {
    let _turn = beside_others();
    let (_container, base) = simulator(&["--mode", "echo"]).await;
    let up = ask(&base, &json!({"model": MODEL, "prompt": "a"}).to_string()).await;
    assert_eq!(up.status(), Some(200), "{}", up.brief());
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("echo.yaml"), ECHO).unwrap();
    let probed = quickproof(directory.path())
        .args([
            "probe",
            &base,
            "--model",
            MODEL,
            "--scenarios",
            ".",
            "--scenario",
            "echo",
            "-o",
            "json",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&probed.stderr);
    assert_eq!(probed.status.code(), Some(0), "{said}");
    let found: Value = serde_json::from_slice(&probed.stdout).unwrap();
    let checks = found["checks"].as_array().unwrap();
    let holds = |name: &str| {
        checks
            .iter()
            .any(|check| check["check"] == name && check["finding"] == "holds")
    };
    for name in [
        "echo/chat/answer-text",
        "echo/chat-stream/answer-text",
        "echo/chat-stream/tokens-have-times",
        "echo/completions/answer-text",
        "echo/completions-stream/answer-text",
    ] {
        assert!(holds(name), "{name}: {checks:#?}");
    }
}

#[tokio::test]
async fn the_container_of_a_test_that_fails_is_gone_too() {
    let _turn = beside_others();
    let (container, _) = simulator(&[]).await;
    let id = container.id().to_owned();
    assert!(is_there(&id));
    let failed = tokio::spawn(async move {
        let _held = container;
        panic!("as a test does that fails");
    });
    assert!(failed.await.unwrap_err().is_panic());
    assert!(!is_there(&id), "its container is gone");
}
