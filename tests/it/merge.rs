//! `quickproof merge`, and the lanes that `quickproof plan --lanes` names.

use std::{fs, path::Path, process::Output};

use quickproof::{
    record::{Event, Render as _, RunRecord},
    report::Json,
};
use serde_json::Value;

use crate::report::{failed, interrupted, mended};

#[expect(
    clippy::disallowed_methods,
    reason = "the binary is what is tested, so a test starts it"
)]
fn quickproof(directory: &Path, arguments: &[&str]) -> Output {
    std::process::Command::new(assert_cmd::cargo::cargo_bin!("quickproof"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .output()
        .unwrap()
}

/// Writes the directory of a run.
fn write(directory: &Path, events: &[Event]) {
    fs::create_dir_all(directory).unwrap();
    let mut record = Vec::new();
    Json.render(&RunRecord::from_events(events), &mut record).unwrap();
    fs::write(directory.join("record.json"), record).unwrap();
}

/// Merges what is in a directory, and returns the code and the record.
#[track_caller]
fn merged(directory: &Path, arguments: &[&str]) -> (i32, Value, String) {
    let arguments = [
        &["merge", "--output-dir", "merged", "--json-file", "merged.json"],
        arguments,
    ]
    .concat();
    let output = quickproof(directory, &arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    let record = fs::read(directory.join("merged.json")).unwrap_or_else(|error| panic!("{error}: {said}"));
    (
        output.status.code().unwrap(),
        serde_json::from_slice(&record).unwrap(),
        said,
    )
}

#[test]
fn every_lane_has_its_verdict_in_the_reports_of_one_run() {
    let directory = tempfile::tempdir().unwrap();
    let runs = directory.path().join("runs");
    write(&runs.join("node-1/9a78"), &mended());
    write(&runs.join("node-2/8e85"), &mended());
    let (code, record, said) = merged(directory.path(), &["runs"]);
    assert_eq!((code, &record["outcome"]), (0, &"passed".into()), "{said}");
    assert!(said.contains("2 of 2 lanes passed"), "{said}");
    assert!(
        !record["ledger"].as_array().unwrap().is_empty(),
        "what they deviate in is told"
    );

    write(&runs.join("node-3/7f3a"), &failed());
    write(&runs.join("node-4/1c2d"), &interrupted());
    fs::create_dir(runs.join("node-5")).unwrap();
    let (code, record, said) = merged(directory.path(), &["runs"]);
    assert_eq!((code, &record["outcome"]), (1, &"failed".into()), "{said}");
    let lanes = record["decisions"].as_array().unwrap();
    let findings: Vec<&str> = lanes
        .iter()
        .map(|lane| lane["finding"]["finding"].as_str().unwrap())
        .collect();
    assert_eq!(
        findings,
        ["holds", "holds", "broken", "undecided", "undecided"],
        "{record:#}"
    );
    assert_eq!(record["root_cause"]["code"], "shell-variable-in-single-quotes");
    assert!(
        said.contains("node-5 has no verdict") && said.contains("2 of 5 lanes passed"),
        "{said}"
    );
    let run = fs::read_dir(directory.path().join("merged")).unwrap().count();
    assert_eq!(run, 2, "each merge has a directory of its own");
}

#[test]
fn a_lane_that_was_planned_and_not_run_does_not_pass() {
    let directory = tempfile::tempdir().unwrap();
    let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/trees/mini");
    let plan = |form: &str| quickproof(directory.path(), &["plan", "--lanes", "--tree", tree, "-o", form]);
    let lanes: Value = serde_json::from_slice(&plan("json").stdout).unwrap();
    fs::write(directory.path().join("lanes.json"), lanes.to_string()).unwrap();
    write(&directory.path().join("runs/9a78"), &mended());
    let (code, record, said) = merged(directory.path(), &["--lanes", "lanes.json", "runs"]);
    assert_eq!((code, &record["outcome"]), (4, &"inconclusive".into()), "{said}");
    assert!(said.contains("no run of it is among these directories"), "{said}");

    let unplanned = r#"{"lanes_version": 1, "tag": null, "lanes": [{"variant": "sim", "provider": "istio"}],
        "unplanned": [{"name": "x", "variant": "cpu", "provider": "istio", "why": "there is no such tab"}]}"#;
    fs::write(directory.path().join("lanes.json"), unplanned).unwrap();
    let (code, record, said) = merged(directory.path(), &["--lanes", "lanes.json", "runs"]);
    assert_eq!((code, &record["outcome"]), (4, &"inconclusive".into()), "{said}");
    assert!(said.contains("it was not run: there is no such tab"), "{said}");

    for text in [
        "{}",
        "[]",
        r#"{"lanes_version": 1, "tag": null, "lanes": []}"#,
        r#"{"lanes_version": 9, "tag": null, "lanes": []}"#,
    ] {
        fs::write(directory.path().join("lanes.json"), text).unwrap();
        let output = quickproof(directory.path(), &["merge", "--lanes", "lanes.json", "runs"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("plan --lanes -o json"), "{said}");
    }
}

#[test]
fn lanes_are_told_to_github_in_one_line_and_to_prow_as_jobs() {
    let directory = tempfile::tempdir().unwrap();
    let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/trees/mini");
    let plan = |arguments: &[&str]| {
        let output = quickproof(
            directory.path(),
            &[&["plan", "--lanes", "--tree", tree], arguments].concat(),
        );
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let json: Value = serde_json::from_str(&plan(&["-o", "json"])).unwrap();
    let lanes = json["lanes"].as_array().unwrap();
    assert!(lanes.len() > 1, "{json:#}");
    let github = plan(&["-o", "github"]);
    assert_eq!(github.lines().count(), 1);
    let matrix: Value = serde_json::from_str(&github).unwrap();
    let include = matrix["include"].as_array().unwrap();
    assert_eq!(include.len(), lanes.len());
    for (lane, job) in lanes.iter().zip(include) {
        assert_eq!(
            (&lane["variant"], &lane["provider"]),
            (&job["variant"], &job["provider"])
        );
    }
    let prow: Value = serde_saphyr::from_str(&plan(&["-o", "prow"])).unwrap();
    let jobs = prow["periodics"].as_array().unwrap();
    assert_eq!(jobs.len(), lanes.len());
    for job in jobs {
        let container = &job["spec"]["containers"][0];
        assert_eq!(container["resources"]["limits"], container["resources"]["requests"]);
        assert!(
            container["args"][2]
                .as_str()
                .unwrap()
                .contains("quickproof verify --branch main"),
            "{job:#}"
        );
    }
    let prow = plan(&["--profile", "small", "--set", "a=b c", "--namespace", "n", "-o", "prow"]);
    let prow: Value = serde_saphyr::from_str(&prow).unwrap();
    let call = prow["periodics"][0]["spec"]["containers"][0]["args"][2]
        .as_str()
        .unwrap();
    for kept in ["--profile small", "--set 'a=b c'", "--namespace n"] {
        assert!(call.contains(kept), "{kept}: {call}");
    }
    let one = plan(&["--variant", "sim", "-o", "json"]);
    let one: Value = serde_json::from_str(&one).unwrap();
    assert!(
        one["lanes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|lane| lane["variant"] == "sim"),
        "{one:#}"
    );
}

#[test]
fn lanes_that_nobody_offers_and_forms_of_lanes_without_them_are_errors_of_use() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, said) in [
        (&["plan", "-o", "github"][..], "add `--lanes`"),
        (&["plan", "--lanes", "--variant", "abacus"], "no such lane"),
    ] {
        let output = quickproof(directory.path(), arguments);
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.contains(said), "{words}");
    }
}
