//! Faults seeded into a copy of the embedded quickstart: each has the right outcome, blame and cause, well before any
//! time limit.

use std::{fs, path::Path, time::Duration};

use serde_json::Value;

use crate::{
    bench::{Ran, alone, beside_others, copied, output, quickproof, replace, repository, verify},
    existing::cluster,
};

/// Runs the embedded quickstart with a change to its files.
pub(crate) fn with(namespace: &str, change: impl FnOnce(&Path)) -> Ran {
    let tree = copied(&repository().join("manifests/quickstart"));
    change(tree.path());
    cluster().verify(tree.path(), namespace)
}

/// The decision that carries the cause.
#[track_caller]
pub(crate) fn evidence(ran: &Ran, cause: &str) -> String {
    let decisions = ran.decisions().iter();
    let found = decisions
        .map(|decision| &decision["finding"]["cause"])
        .find(|found| found["code"] == cause);
    found.unwrap_or_else(|| panic!("no {cause} in {:?}", ran.causes()))["evidence"].to_string()
}

/// Every condition is True all the same: conditions do not show this fault.
#[track_caller]
pub(crate) fn conditions_hold(ran: &Ran) {
    ran.holds(&["gateway-programmed", "http-route-resolved", "inference-pool-accepted"]);
}

/// Far below the ten minutes that a wait may take.
#[track_caller]
pub(crate) fn was_quick(ran: &Ran) {
    assert!(ran.took < Duration::from_secs(90), "took {:?}", ran.took);
}

#[test]
fn an_endpoint_picker_image_that_does_not_exist() {
    let _turn = beside_others();
    let ran = with("no-image", |tree| {
        replace(&tree.join("endpoint-picker.yaml"), "epp:v1.5.0", "epp:v9.9.9");
    });
    ran.expect(1, "failed", Some("pod-image-not-found"));
    assert!(evidence(&ran, "pod-image-not-found").contains("epp:v9.9.9"));
    was_quick(&ran);
}

#[test]
fn an_image_that_nothing_here_gives_is_not_the_releases_failure() {
    let _turn = beside_others();
    let ran = with("no-recipe", |tree| {
        let file = tree.join("model-server.yaml");
        replace(
            &file,
            "ghcr.io/llm-d/llm-d-inference-sim:",
            "quickproof.invalid/no-recipe:",
        );
    });
    ran.expect(3, "errored", Some("images-not-ready"));
    assert!(evidence(&ran, "images-not-ready").contains("quickproof.invalid/no-recipe"));
    was_quick(&ran);
}

#[test]
fn a_simulator_flag_that_it_does_not_know() {
    let _turn = beside_others();
    let ran = with("no-flag", |tree| {
        replace(
            &tree.join("model-server.yaml"),
            "- --port\n",
            "- --no-such-flag\n            - --port\n",
        );
    });
    ran.expect(1, "failed", Some("pod-argument-unknown"));
    assert!(evidence(&ran, "pod-argument-unknown").contains("no-such-flag"));
    was_quick(&ran);
}

/// The API server answers a server-side apply of it with 500, as if the cluster were at fault.
#[test]
fn a_field_that_a_deployment_does_not_have() {
    let _turn = beside_others();
    let ran = with("no-field", |tree| {
        replace(&tree.join("model-server.yaml"), "  replicas: 3\n", "  replicaz: 3\n");
    });
    ran.expect(1, "failed", Some("object-refused"));
    assert!(ran.report.to_string().contains("spec.replicaz"), "{:?}", ran.causes());
    was_quick(&ran);
}

#[test]
fn lint_asks_the_api_server_and_stores_nothing() {
    let _turn = beside_others();
    let cluster = cluster();
    let tree = copied(&repository().join("tests/data/trees/lint"));
    let lint = |field: &str| {
        let model = tree.path().join("config/manifests/model/sim.yaml");
        let text = fs::read_to_string(&model).unwrap();
        fs::write(&model, text.replace("replicas:", field)).unwrap();
        let output = quickproof(tree.path())
            .args(["lint", "--tree", ".", "--release", "v1.5.0", "-o", "json", "--no-helm"])
            .args(["--server", "--cluster", cluster.name])
            .output()
            .unwrap();
        let found: Vec<Value> = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        let is_refused = |one: &Value| one["code"] == "server-refuses" && one["severity"] != "undecided";
        let refused = found.into_iter().filter(is_refused);
        refused
            .map(|one| format!("{} {}", one["file"], one["variant"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(lint("replicas:"), [] as [&str; 0]);
    assert_eq!(lint("replicaz:"), ["\"config/manifests/model/sim.yaml\" \"sim\""]);
    let stored = cluster.kubectl(&["get", "deployments", "-n", "default", "-o", "name"]);
    assert_eq!(stored, "");
}

#[test]
fn a_pool_selector_that_matches_nothing() {
    let _turn = beside_others();
    let ran = with("no-match", |tree| {
        let file = tree.join("pool.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let (head, tail) = text.split_once("matchLabels:\n").unwrap();
        let (label, rest) = tail.split_once('\n').unwrap();
        let (name, _) = label.split_once(':').unwrap();
        fs::write(&file, format!("{head}matchLabels:\n{name}: nothing-has-this\n{rest}")).unwrap();
    });
    ran.expect(1, "failed", Some("pool-selects-no-pod"));
    was_quick(&ran);
}

#[test]
fn a_route_to_a_wrong_api_group() {
    let _turn = beside_others();
    let ran = with("wrong-group", |tree| {
        replace(
            &tree.join("pool.yaml"),
            "group: inference.networking.k8s.io",
            "group: inference.networking.x-k8s.io",
        );
    });
    ran.expect(1, "failed", Some("route-backend-unresolved"));
    was_quick(&ran);
}

#[test]
fn an_endpoint_picker_that_asks_for_64_cpus_is_pending_while_the_pool_fails_open() {
    let _turn = beside_others();
    let ran = with("too-large", |tree| {
        replace(&tree.join("endpoint-picker.yaml"), "cpu: 100m", "cpu: \"64\"");
    });
    // The cluster is too small: that is not the release's failure, yet never a pass.
    ran.expect(3, "errored", Some("pod-unschedulable"));
    let evidence = evidence(&ran, "pod-unschedulable");
    assert!(
        evidence.contains("requests cpu 64") && evidence.contains("can give cpu"),
        "{evidence}"
    );
    assert!(
        ran.causes().contains(&"endpoint-picker-bypassed"),
        "every answer was a 200: {:?}",
        ran.causes()
    );
    was_quick(&ran);
}

#[test]
fn an_endpoint_picker_scaled_to_zero_while_the_pool_fails_open() {
    let _turn = beside_others();
    let ran = with("scaled-zero", |tree| {
        replace(&tree.join("endpoint-picker.yaml"), "replicas: 1", "replicas: 0");
    });
    ran.expect(1, "failed", Some("endpoint-picker-bypassed"));
    // The answer is a 200 all the same.
    ran.holds(&["request-status"]);
    conditions_hold(&ran);
    was_quick(&ran);
}

#[test]
fn a_missing_destination_rule() {
    let _turn = beside_others();
    let ran = with("no-rule", |tree| {
        let guide = tree.join("guide.md");
        let text = fs::read_to_string(&guide).unwrap();
        let (head, tail) = text.rsplit_once("=== \"Istio\"").unwrap();
        assert!(tail.contains("kind: DestinationRule"));
        let (_, rest) = tail.split_once("### ").unwrap();
        fs::write(&guide, format!("{head}### {rest}")).unwrap();
    });
    ran.expect(1, "failed", Some("endpoint-picker-unreachable"));
    conditions_hold(&ran);
    was_quick(&ran);
}

#[test]
fn an_include_that_is_missing_fails_the_run_and_does_not_end_it() {
    let _turn = beside_others();
    let ran = with("no-include", |tree| {
        let guide = tree.join("guide.md");
        let text = fs::read_to_string(&guide).unwrap();
        fs::write(&guide, format!("--8<-- \"not-there.md\"\n\n{text}")).unwrap();
    });
    ran.expect(1, "failed", Some("guide-reference-missing"));
    assert_eq!(ran.causes().len(), 1, "{:?}", ran.causes());
    // A reader sees nothing of it and goes on; so it is known of the rest that it works.
    ran.holds(&["proof-answers"]);
}

#[test]
fn a_guide_that_sends_no_request_is_no_pass() {
    let _turn = beside_others();
    let ran = with("no-request", |tree| {
        let guide = tree.join("guide.md");
        let text = fs::read_to_string(&guide).unwrap();
        let (head, _) = text.split_once("curl -i").unwrap();
        fs::write(&guide, format!("{head}```\n")).unwrap();
    });
    ran.expect(4, "inconclusive", None);
    conditions_hold(&ran);
    assert_eq!(
        ran.decision("request-status").unwrap()["finding"]["finding"],
        "undecided"
    );
}

#[test]
fn an_api_server_paused_for_20_seconds_is_never_the_releases_failure() {
    let _turn = alone();
    let cluster = cluster();
    let node = format!("{}-control-plane", cluster.name);
    let container = output(
        "docker",
        &[
            "exec",
            &node,
            "sh",
            "-c",
            "ctr -n k8s.io containers ls | awk '/kube-apiserver/ {print $1}' | while read c; do ctr -n k8s.io tasks ls | grep -q \"^$c .*RUNNING\" && echo $c; done",
        ],
    );
    let container = container.trim().to_owned();
    assert!(!container.is_empty(), "the API server's container is found");
    let pausing = std::thread::spawn(move || {
        // Somewhere in the deployment of a run that takes about ten seconds.
        std::thread::park_timeout(Duration::from_secs(4));
        output(
            "docker",
            &["exec", &node, "ctr", "-n", "k8s.io", "tasks", "pause", &container],
        );
        std::thread::park_timeout(Duration::from_secs(20));
        output(
            "docker",
            &["exec", &node, "ctr", "-n", "k8s.io", "tasks", "resume", &container],
        );
    });
    let ran = verify(&["--cluster", cluster.name, "-n", "paused"]);
    pausing.join().unwrap();
    assert_ne!(ran.code, Some(1), "{}", ran.stderr);
    assert_ne!(ran.report["outcome"], "failed");
}
