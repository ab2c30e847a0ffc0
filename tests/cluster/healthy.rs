//! What is healthy passes, every time.

use std::collections::BTreeMap;

use crate::{
    bench::{Ran, repository},
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
