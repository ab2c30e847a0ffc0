//! What somebody else has in the namespace, and what gets between the quickstart and its proof.

use crate::{
    bench::{Ran, beside_others, repository},
    existing::cluster,
};

/// Runs the embedded quickstart in a namespace where somebody has applied a file of `tests/data/strangers` before.
fn beside(file: &str, namespace: &str) -> Ran {
    let cluster = cluster();
    let file = repository().join("tests/data/strangers").join(file);
    cluster.kubectl(&["create", "namespace", namespace]);
    cluster.kubectl(&["apply", "-n", namespace, "-f", file.to_str().unwrap()]);
    let ran = cluster.verify(&repository().join("manifests/quickstart"), namespace);
    cluster.kubectl(&["delete", "namespace", namespace, "--wait=true"]);
    ran
}

#[test]
fn a_pool_that_also_selects_a_pod_of_somebody_else() {
    let _turn = beside_others();
    let ran = beside("pod.yaml", "foreign-pod");
    ran.expect(1, "failed", Some("pool-selects-foreign-pod"));
}

#[test]
fn an_answer_of_a_pod_of_a_second_pool() {
    let _turn = beside_others();
    let ran = beside("pool.yaml", "second-pool");
    ran.expect(1, "failed", Some("answer-from-outside-pool"));
    // The endpoint picker was in the path, and its pick went nowhere.
    ran.holds(&["request-passed-endpoint-picker"]);
}
