//! `kill -9` in the middle: reports parse, do not say passed, and `reap` leaves nothing.

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines},
    process::{Child, ChildStderr, Stdio},
};

use serde_json::Value;

use crate::bench::{alone, left_in_the_engine, nothing_is_left, output, quickproof};

/// Reads what a run says until it is in the middle of the deployment: the cluster is there, something was decided, nothing
/// has passed. Returns what it goes on to say.
#[track_caller]
fn in_the_middle(run: &mut Child) -> Lines<BufReader<ChildStderr>> {
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines();
    let seen = lines
        .by_ref()
        .map_while(Result::ok)
        .find(|line| line.contains("is applied"));
    assert!(seen.is_some(), "the run ended before its middle");
    lines
}

#[test]
fn a_killed_run_leaves_true_reports_and_reap_leaves_nothing() {
    let _turn = alone();
    let before = left_in_the_engine();
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let mut run = quickproof(directory.path())
        .args(["verify", "--json-file", "record.json", "--junit-file", "junit.xml"])
        .env("XDG_STATE_HOME", &state)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its pipe stays open until it is killed: a run that cannot say anything is another test.
    let _lines = in_the_middle(&mut run);
    run.kill().unwrap();
    run.wait().unwrap();

    let record: Value =
        serde_json::from_str(&fs::read_to_string(directory.path().join("record.json")).unwrap()).unwrap();
    assert_ne!(record["outcome"], "passed");
    assert!(
        !record["decisions"].as_array().unwrap().is_empty(),
        "what was decided is in the report"
    );
    let junit = fs::read_to_string(directory.path().join("junit.xml")).unwrap();
    assert!(junit.contains("</testsuites>") && junit.contains("<error"), "{junit}");
    assert_ne!(left_in_the_engine(), before, "a killed run leaves its cluster");

    let reaped = quickproof(directory.path())
        .arg("reap")
        .env("XDG_STATE_HOME", &state)
        .output()
        .unwrap();
    assert!(reaped.status.success(), "{}", String::from_utf8_lossy(&reaped.stderr));
    nothing_is_left(&before);
    let left: Vec<_> = files(&state);
    assert_eq!(left, Vec::<String>::new(), "no inventory, no kubeconfig");
}

#[test]
fn an_interrupted_run_takes_everything_away_and_says_so() {
    let _turn = alone();
    let before = left_in_the_engine();
    let directory = tempfile::tempdir().unwrap();
    let mut run = quickproof(directory.path())
        .args(["verify", "--json-file", "record.json"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = in_the_middle(&mut run);
    output("kill", &["-INT", &run.id().to_string()]);
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(run.wait().unwrap().code(), Some(130), "{rest:?}");
    let record: Value =
        serde_json::from_str(&fs::read_to_string(directory.path().join("record.json")).unwrap()).unwrap();
    assert_eq!(record["outcome"], "inconclusive");
    nothing_is_left(&before);
}

fn files(directory: &std::path::Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .flat_map(|entry| {
            if entry.path().is_dir() {
                files(&entry.path())
            } else {
                vec![entry.path().display().to_string()]
            }
        })
        .collect()
}
