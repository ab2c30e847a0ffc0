//! Seeded faults, which are data, carried out by the product itself: of each class one, another at each landing. `make selftest`
//! carries out all of them.

use std::fs;

use serde_json::Value;

use crate::{
    bench::{alone, output, quickproof, repository},
    existing::cluster,
};

/// Runs `quickproof selftest ARGUMENTS` on the shared cluster.
fn selftest(arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let directory = tempfile::tempdir().unwrap();
    let place = ["selftest", "--cluster", cluster().name, "--output", "json"];
    let output = quickproof(directory.path())
        .args(place)
        .args(arguments)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report["rows"].as_array().unwrap().clone())
}

/// How many commits led here: another number at each landing.
fn turn() -> String {
    let here = repository();
    let counted = output("git", &["-C", here.to_str().unwrap(), "rev-list", "--count", "HEAD"]);
    counted.trim().to_owned()
}

#[test]
fn of_each_class_a_fault_turns_the_verdict_red_for_its_own_cause() {
    let _turn = alone();
    let turn = turn();
    let (code, rows) = selftest(&["--turn", &turn]);
    let missed: Vec<&Value> = rows
        .iter()
        .filter(|row| row["misses"] != serde_json::json!([]))
        .collect();
    assert!(missed.is_empty(), "turn {turn}: {missed:#?}");
    assert_eq!(code, Some(0));
    assert!(rows.len() > 10, "{}", rows.len());
    let left = cluster().kubectl(&["get", "namespaces", "-o", "name"]);
    let is_left = |line: &&str| line.contains("selftest-") && !line.ends_with("selftest-healthy");
    assert_eq!(left.lines().filter(is_left).collect::<Vec<_>>(), [""; 0]);
}

/// Nothing is wrong with what it changes: a driver that does not say so could not fail.
#[test]
fn a_fault_that_is_none_is_a_miss() {
    let _turn = alone();
    let directory = tempfile::tempdir().unwrap();
    let seed = "name: none-at-all
class: route
stands-for: The route is as it was.
change:
- file: pool.yaml
  append: '# nothing'
run: {outcome: failed, cause: route-backend-unresolved, blame: Manifest}
";
    fs::write(directory.path().join("none.yaml"), seed).unwrap();
    let (code, rows) = selftest(&["--faults", directory.path().to_str().unwrap()]);
    assert_eq!(code, Some(1));
    let row = rows.iter().find(|row| row["name"] == "none-at-all").unwrap();
    assert_eq!(row["misses"][0], "the outcome is passed and not failed", "{row}");
}
