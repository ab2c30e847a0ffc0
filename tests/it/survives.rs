//! The built binary against an API server on the loopback interface.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    api_server::{ApiServer, Body, Mood, On, Says, Verb, kubeconfig, write_release},
    served_api::ServedApi,
};

/// How a run of the built binary ended.
struct Ended {
    code: Option<i32>,
    took: Duration,
    /// The most memory that it had, in MiB.
    mebibytes: u64,
    record: Value,
}

/// Carries a release of one ConfigMap out against this server, with `--timeout 2s`.
fn verified(server: &ApiServer) -> Ended {
    let desk = tempfile::tempdir().unwrap();
    let listening = ServedApi::on_loopback(server);
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n";
    let commands = "kubectl apply -f m/map.yaml\nkubectl get pods";
    write_release(&desk.path().join("tree"), commands, &[("m/map.yaml", map)]);
    fs::write(desk.path().join("config"), kubeconfig(&listening.address)).unwrap();
    let arguments = "verify --tree tree --release v1.5.0 --variant sim --provider gke --cluster theirs \
        --kubeconfig config -n default --timeout 2s --requests 1";
    let began = Instant::now();
    #[expect(clippy::disallowed_methods, reason = "the test looks at its memory while it runs")]
    let mut child = Command::new(env!("CARGO_BIN_EXE_quickproof"))
        .args(arguments.split(' ').filter(|word| !word.is_empty()))
        .current_dir(desk.path())
        .env_clear()
        .env("HOME", desk.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status_file = format!("/proc/{}/status", child.id());
    let mut mebibytes = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        let status = fs::read_to_string(&status_file).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        mebibytes = mebibytes.max(kibibytes.unwrap_or(0) >> 10);
        // The kernel keeps the peak: it need not be caught.
        thread::park_timeout(Duration::from_millis(1));
    };
    let took = began.elapsed();
    let runs = desk.path().join("quickproof-runs");
    let run = fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
    let record = fs::read_to_string(run.join("record.json")).unwrap();
    Ended {
        code: status.code(),
        took,
        mebibytes,
        record: serde_json::from_str(&record).unwrap(),
    }
}

#[rstest]
#[case::endless(On::Everything, Says::Answer(200, Body::Endless), "api-answer-too-long")]
#[case::endless_lists(On::Verb(Verb::List), Says::Answer(200, Body::Endless), "api-answer-too-long")]
#[case::crowded_lists(
    On::Verb(Verb::List),
    Says::Answer(200, Body::Crowded(4_000_000)),
    "api-answer-too-long"
)]
#[case::a_version_of_60_mb(On::Everything, Says::Answer(200, Body::Large(60_000_000)), "api-answer-too-long")]
#[case::a_login_page(On::Everything, Says::Answer(200, Body::Html), "not-the-api-server")]
#[case::a_pause_of_days(
    On::Everything,
    Says::With(503, Body::Status("x"), "retry-after", "999999"),
    "api-server-away"
)]
#[case::silence(On::Everything, Says::Silence, "api-server-away")]
#[case::a_byte_a_second(On::Everything, Says::Answer(200, Body::Drip), "api-server-away")]
#[case::a_closed_door(On::Verb(Verb::Apply), Says::Closed, "api-server-away")]
fn an_api_server_that_is_none_ends_the_run_soon_and_in_little_memory(
    #[case] on: On,
    #[case] says: Says,
    #[case] cause: &str,
) {
    let ended = verified(&ApiServer::new().in_mood(Mood::new(on, says)));
    assert_eq!(ended.code, Some(3), "{:#}", ended.record);
    // On a busy machine the time that a run has may be over before so much is read; nothing else may be told in its place.
    let starved = (cause == "api-answer-too-long").then_some("api-server-away");
    let record = ended.record.to_string();
    let is_told = |cause: &str| record.contains(&format!("\"{cause}\""));
    assert!(is_told(cause) || starved.is_some_and(is_told), "{:#}", ended.record);
    assert!(ended.mebibytes < 256, "{} MiB", ended.mebibytes);
    assert!(ended.took < Duration::from_secs(40), "{:?}", ended.took);
}

#[test]
fn fifty_thousand_pods_are_no_burden() {
    let server = ApiServer::new();
    for number in 0..50_000 {
        server.put(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("pod-{number}"), "namespace": "elsewhere",
                "annotations": {"filling": "x".repeat(200)}},
            "spec": {"containers": [{"name": "c", "image": "registry.example/i:1"}], "nodeName": "node"}}));
    }
    let ended = verified(&server);
    assert!(ended.mebibytes > 0 && ended.mebibytes < 256, "{} MiB", ended.mebibytes);
    assert_eq!(
        ended.code,
        Some(1),
        "the guide's `kubectl get pods` finds none: {:#}",
        ended.record
    );
}
