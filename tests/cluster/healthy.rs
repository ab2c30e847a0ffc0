//! What is healthy passes, every time.

use std::collections::BTreeMap;

use crate::{
    bench::{Ran, alone, beside_others, copied, replace, repository, verify},
    existing::cluster,
};

/// How often in a row.
const RUNS: usize = 20;

/// What each check came to.
fn findings(ran: &Ran) -> BTreeMap<String, String> {
    let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let decisions = ran.decisions().iter();
    decisions
        .map(|decision| (word(&decision["check"]), word(&decision["finding"]["finding"])))
        .collect()
}

#[test]
fn a_healthy_quickstart_passes_twenty_times_in_a_row_with_the_same_findings() {
    let _turn = beside_others();
    let cluster = cluster();
    let quickstart = repository().join("manifests/quickstart");
    let mut first = BTreeMap::new();
    for run in 1..=RUNS {
        let ran = cluster.verify(&quickstart, "healthy");
        ran.expect(0, "passed", None);
        assert_eq!(ran.causes(), [""; 0], "run {run} found nothing, advisory or not");
        let found = findings(&ran);
        if run == 1 {
            first = found;
        } else {
            assert_eq!(found, first, "run {run} proved what the first did");
        }
    }
}

#[test]
fn a_healthy_quickstart_is_as_fast_under_load_as_its_simulator_is_told_to_be() {
    let _turn = alone();
    let tree = copied(&repository().join("manifests/quickstart"));
    replace(
        &tree.path().join("model-server.yaml"),
        "- --port\n",
        "- --time-to-first-token\n            - 100ms\n            - --inter-token-latency\n            - 20ms\n            - --port\n",
    );
    let cluster = cluster();
    let tree = tree.path().to_str().unwrap();
    let ran = verify(&[
        "--cluster",
        cluster.name,
        "-n",
        "load",
        "--tree",
        tree,
        "--scenario",
        "smoke-load",
    ]);
    ran.expect(0, "passed", None);
    ran.holds(&["smoke-load/stream-done", "smoke-load/passed-endpoint-picker"]);
    let load = &ran.report["loads"][0];
    assert_eq!(load["configured"]["time_to_first_token"], "100ms", "{load}");
    assert_eq!(load["configured"]["inter_token_latency"], "20ms", "{load}");
    // Nothing is faster than the simulator; how much slower it may be, the scenario says, and a busy machine decides.
    assert!(
        load["time_to_first_token"]["p50_us"].as_u64().unwrap() >= 100_000,
        "{load}"
    );
    assert!(
        load["inter_token_latency"]["p50_us"].as_u64().unwrap() >= 15_000,
        "{load}"
    );
    assert_eq!(load["right"], load["due"], "{load}");
    let served: u64 = load["pods"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|pod| pod["count"].as_u64())
        .sum();
    assert_eq!(load["pods"].as_array().unwrap().len(), 3, "{load}");
    assert_eq!(
        Some(served),
        load["sent"].as_u64(),
        "every answer names its pod: {load}"
    );
}
