//! A run in a Prow job: where its files go, and what Prow's page shows of them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::{Map, Value};

use crate::{
    lies::{LIES, liar},
    probe::command,
};

const JOB_SPEC: &str = r#"{"type":"periodic","job":"nightly","buildid":"17","prowjobid":"1f",
    "decoration_config":{"gcs_configuration":{"bucket":"kubernetes-ci-logs","path_strategy":"legacy"}}}"#;

/// What Prow's log viewer highlights: its own default, and the expressions that prow.k8s.io has in their place. Sources: Prow,
/// `pkg/spyglass/lenses/buildlog/lens.go`; test-infra, `config/prow/config.yaml`.
const HIGHLIGHTED: &str = r"(?x)
    timed\ out | ERROR: | (FAIL|Failure\ \[)\b | panic\b
    | (Error|ERROR|error)s?: | (FAIL|FAILED|Failure\ \[)\b | [Tt]imed\ out | want.+got | Expected.+got | verify.+failed
    | make:.+Error | \[(0;)?31m | curl.+Failed\ to\ connect | flag\ provided\ but\ not\ defined";

/// The lines of a log that Prow's page shows first.
pub(crate) fn highlighted(log: &str) -> Vec<&str> {
    let highlighted = regex::Regex::new(HIGHLIGHTED).unwrap();
    log.lines().filter(|line| highlighted.is_match(line)).collect()
}

/// A directory with the artifacts of a job, and what a probe in it printed.
struct Job {
    directory: tempfile::TempDir,
    ended: Output,
}

impl Job {
    fn probing(url: &str, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let arguments: Vec<&str> = [&[url], arguments].concat();
        let ended = command(directory.path(), &arguments)
            .env("PROW_JOB_ID", "1f")
            .env("ARTIFACTS", directory.path().join("artifacts"))
            .env("JOB_SPEC", JOB_SPEC)
            .output()
            .unwrap();
        Self { directory, ended }
    }

    fn artifacts(&self) -> PathBuf {
        self.directory.path().join("artifacts")
    }

    fn metadata(&self) -> Map<String, Value> {
        serde_json::from_slice(&fs::read(self.artifacts().join("metadata.json")).unwrap()).unwrap()
    }

    fn log(&self) -> String {
        String::from_utf8(self.ended.stderr.clone()).unwrap()
    }
}

/// The only directory in a directory.
fn run_in(directory: &Path) -> PathBuf {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut runs = entries.filter(|path| path.is_dir());
    let run = runs.next().unwrap();
    assert_eq!(runs.next(), None);
    run
}

#[test]
fn the_artifacts_hold_the_run_what_it_came_to_and_a_link_to_its_report() {
    let server = liar(None);
    let job = Job::probing(&server.url(""), &[]);
    assert_eq!(job.ended.status.code(), Some(0), "{}", job.log());
    let run = run_in(&job.artifacts());
    let id = run.file_name().unwrap().to_str().unwrap();
    for file in ["junit_quickproof.xml", "report.txt", "journal.jsonl"] {
        assert!(run.join(file).is_file(), "{file}");
    }
    let metadata = job.metadata();
    assert!(metadata.values().all(Value::is_string), "{metadata:?}");
    for (field, value) in [
        ("outcome", "passed"),
        ("exit-code", "0"),
        ("failure-category", ""),
        ("cause", ""),
        ("run", id),
        ("deviations", "0"),
    ] {
        assert_eq!(metadata[field], value, "{field}");
    }
    let link = fs::read_to_string(job.artifacts().join(format!("quickproof-{id}.link.txt"))).unwrap();
    let place = "kubernetes-ci-logs/logs/nightly/17/artifacts";
    assert_eq!(link, format!("https://storage.googleapis.com/{place}/{id}/report.txt"));
    assert!(!job.directory.path().join("quickproof-runs").exists());
}

#[test]
fn a_directory_that_is_named_takes_the_run_and_the_artifacts_what_it_came_to() {
    let server = liar(None);
    let job = Job::probing(&server.url(""), &["--output-dir", "here", "--scenario", "chat"]);
    assert_eq!(job.ended.status.code(), Some(0), "{}", job.log());
    assert!(run_in(&job.directory.path().join("here")).join("record.json").is_file());
    let artifacts: Vec<_> = fs::read_dir(job.artifacts())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(artifacts, ["metadata.json"]);
}

#[test]
fn what_is_no_pass_says_whose_it_is_and_its_log_is_highlighted() {
    let lie = LIES.iter().find(|lie| lie.what == "an error").unwrap();
    let server = liar(Some(lie));
    for (url, code, category) in [
        (server.url(""), 1, "release"),
        ("127.0.0.1:9".to_owned(), 3, "infrastructure"),
    ] {
        let job = Job::probing(&url, &[]);
        let metadata = job.metadata();
        assert_eq!(job.ended.status.code(), Some(code), "{}", job.log());
        assert_eq!(metadata["failure-category"], category);
        assert!(metadata["cause"] != "" && metadata["why"] != "", "{metadata:?}");
        assert!(!highlighted(&job.log()).is_empty(), "{}", job.log());
    }
}

#[test]
fn nothing_is_highlighted_in_the_log_of_a_pass() {
    let server = liar(None);
    for verbosity in ["--color=auto", "-v", "-q"] {
        let job = Job::probing(&server.url(""), &[verbosity]);
        assert_eq!(job.ended.status.code(), Some(0), "{}", job.log());
        assert_eq!(highlighted(&job.log()), [""; 0], "{verbosity}");
    }
}
