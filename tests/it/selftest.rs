//! Seeded faults without a cluster: each is told, and a fault that is not told is a miss that nobody can overlook.

use std::{fs, path::Path, process::Output};

use assert_cmd::Command;
use rstest::rstest;
use serde_json::Value;

fn selftest(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("quickproof"));
    command.env_clear().current_dir(directory);
    command.arg("selftest").args(arguments).output().unwrap()
}

fn rows(output: &Output) -> Vec<Value> {
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    report["rows"].as_array().unwrap().clone()
}

/// What a directory with one fault of one's own comes to.
fn own(seed: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("own")).unwrap();
    fs::write(directory.path().join("own/own.yaml"), seed).unwrap();
    selftest(directory.path(), &["--quick", "--faults", "own", "--output", "json"])
}

#[test]
fn whatever_needs_no_cluster_is_told_as_it_must_be() {
    let directory = tempfile::tempdir().unwrap();
    let output = selftest(directory.path(), &["--quick", "--output", "json"]);
    let rows = rows(&output);
    let missed: Vec<&Value> = rows
        .iter()
        .filter(|row| row["misses"] != serde_json::json!([]))
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
    assert_eq!(output.status.code(), Some(0));
    let of_class = |class: &str| rows.iter().filter(|row| row["class"] == class).count();
    assert!(of_class("answer") >= 200, "{}", of_class("answer"));
    assert!(of_class("oddity") >= 2, "{}", of_class("oddity"));
    // The same stands in a file, for whoever looks while it goes on.
    let kept = fs::read(directory.path().join("quickproof-runs/selftest/selftest.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    assert_eq!(kept["rows"].as_array().map(Vec::len), Some(rows.len()));
}

const FAULT: &str = "name: own
class: pool
stands-for: The pool selects a label that no pod has.
change:
- file: pool.yaml
  replace: 'app: quickstart-sim'
  by: 'app: nothing'
lint: [pool-selects-no-pod]
";

#[test]
fn a_fault_of_ones_own_is_told() {
    let output = own(FAULT);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(rows(&output)[0]["got"], "lint finds pool-selects-no-pod");
}

#[rstest]
#[case::the_expectation_is_wrong(
    "[pool-selects-no-pod]",
    "[route-backend-missing]",
    "lint finds pool-selects-no-pod and not"
)]
#[case::more_is_found_than_expected("class: pool", "class: oddity", "")]
#[case::the_mutation_is_left_out(
    "by: 'app: nothing'",
    "by: 'app: quickstart-sim # as before'",
    "lint finds no break and not"
)]
#[case::the_mutation_fits_nothing("'app: quickstart-sim'", "'app: quickstart-sum'", "stands there 0 times")]
fn a_fault_that_is_not_told_as_it_must_be_is_a_miss(#[case] from: &str, #[case] to: &str, #[case] said: &str) {
    assert_eq!(FAULT.matches(from).count(), 1);
    let mut seed = FAULT.replace(from, to);
    if seed.contains("oddity") {
        seed = seed.replace("[pool-selects-no-pod]", "[]");
    }
    let output = own(&seed);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let misses = rows(&output)[0]["misses"].to_string();
    assert!(misses.len() > 2 && misses.contains(said), "{misses}");
}

#[test]
fn where_nothing_was_carried_out_nothing_is_proven() {
    let run = "run: {outcome: failed, cause: pool-selects-no-pod, blame: Manifest}";
    let output = own(&FAULT.replace("lint: [pool-selects-no-pod]", run));
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}

#[test]
fn a_wrong_file_and_an_unknown_name_are_errors_of_use() {
    let output = own(&FAULT.replace("class: pool", "class: poool"));
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("own.yaml:2:") && said.contains("did you mean `pool`"),
        "{said}"
    );
    let directory = tempfile::tempdir().unwrap();
    let output = selftest(directory.path(), &["no-such-fault"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_list_says_what_each_stands_for() {
    let directory = tempfile::tempdir().unwrap();
    let output = selftest(directory.path(), &["--list"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("pool-selects-nothing") && said.contains("The pool selects a label that no pod has."),
        "{said}"
    );
    assert!(
        !directory.path().join("quickproof-runs").exists(),
        "nothing is carried out"
    );
}
