//! The embedded quickstart, in a cluster of its own.

use crate::bench::{OF_SCENARIOS, alone, beside_others, left_in_the_engine, nothing_is_left, verify};

/// Checks that must have been decided, and hold, for the embedded quickstart to have passed.
const MUST_HOLD: &[&str] = &[
    "guide-understood",
    "cluster",
    "gateway-programmed",
    "http-route-resolved",
    "inference-pool-accepted",
    "pool-selects-pods",
    "pool-selects-own-pods",
    "request-status",
    "request-completion",
    "request-passed-endpoint-picker",
    "request-served-by-pool",
    "proof-answers",
    "proof-served-by-pool",
    "proof-several-pods",
    "proof-counter",
    "proof-picked-is-served",
    "proof-steered",
    "proof-ready-pods",
    "proof-build-ref",
    "proof-image-digests",
    "cleanup",
];

#[test]
fn the_embedded_quickstart_passes_and_leaves_nothing() {
    let _turn = alone();
    let before = left_in_the_engine();
    let ran = verify(&[]);
    ran.expect(0, "passed", None);
    ran.holds(MUST_HOLD);
    ran.holds(OF_SCENARIOS);
    assert!(
        ran.stderr
            .contains("PASSED  embedded quickstart (no release was tested)")
    );
    let ledger = ran.report["ledger"].as_array().unwrap();
    let built = ledger.iter().filter(|entry| entry["kind"] == "built").count();
    assert!(
        built == 0 || ran.stderr.contains("no proof of that"),
        "built images never count as proof"
    );
    nothing_is_left(&before);
}

#[test]
fn strict_allows_no_deviation_and_makes_no_cluster_for_it() {
    let _turn = beside_others();
    let ran = verify(&["--strict"]);
    ran.expect(4, "inconclusive", None);
    let strict = ran.decision("strict").unwrap();
    assert_eq!(strict["finding"]["finding"], "undecided");
    assert!(ran.decision("cluster").is_none(), "nothing was made");
}
