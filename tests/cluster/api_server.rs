//! The API server of a real cluster: what `lint` asks it, and one that is away for a while. Faults of a release are data
//! (`manifests/faults`, and `selftest.rs` beside this).

use std::{fs, time::Duration};

use serde_json::Value;

use crate::{
    bench::{alone, beside_others, copied, output, quickproof, repository, verify},
    existing::cluster,
};

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
