//! Contracts with real servers: what `quickproof probe` says of them, check by check.
//!
//! They are installed by `.ci/setup model-servers` and serve a model that is made here, so that nothing is downloaded when a
//! test runs. Where they are not installed these tests fail and say so.

// Lints then know that all of it is tests, helpers too.
#![cfg(test)]

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Seek as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::LazyLock,
};

use serde_json::Value;
use tempfile::TempDir;

mod model;

/// A Python that knows some servers, put on the path by `.ci/setup` and installed by a target of make.
struct Python {
    program: &'static str,
    target: &'static str,
}

const MODEL_SERVERS: Python = Python {
    program: "model-servers-python",
    target: "make test-servers",
};
const VLLM: Python = Python {
    program: "vllm-python",
    target: "make test-vllm",
};

/// A server that runs until it is dropped.
struct Server {
    process: Child,
    /// Where it listens, as `http://127.0.0.1:PORT`.
    address: String,
}

impl Server {
    /// Starts a script of this directory, and waits until it says where it listens.
    fn start(python: &Python, script: &str, argument: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(script);
        let mut log: File = tempfile::tempfile().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test starts the server that it talks to")]
        let started = Command::new(python.program)
            .arg(script)
            .arg(argument)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .process_group(0)
            .spawn();
        let mut process = started.unwrap_or_else(|error| {
            let Python { program, target } = python;
            panic!("`{program}` cannot be started ({error}): run `{target}`, which installs it")
        });
        let mut line = String::new();
        let output = process.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        if !line.starts_with("http://") {
            let mut said = String::new();
            log.rewind().unwrap();
            log.read_to_string(&mut said).unwrap();
            panic!("it ended before it listened: {said}");
        }
        Self {
            process,
            address: line.trim_end().to_owned(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its whole group: vLLM has processes of its own, which go on without it.
        let group = format!("-{}", self.process.id());
        #[expect(
            clippy::disallowed_methods,
            reason = "the standard library sends no signals to groups"
        )]
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.process.wait();
    }
}

/// A directory with the model, made once.
static MODEL: LazyLock<TempDir> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    model::write(&directory.path().join("tiny.gguf")).unwrap();
    directory
});

fn llama_server() -> Server {
    let model = MODEL.path().join("tiny.gguf");
    Server::start(&MODEL_SERVERS, "llama_server.py", model.to_str().unwrap())
}

/// What a probe came to.
struct Probed {
    code: Option<i32>,
    checks: Vec<Value>,
    /// The report in one line.
    report: String,
}

fn probe(server: &Server, arguments: &[&str]) -> Probed {
    let directory = tempfile::tempdir().unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "the binary is what is tested, so a test starts it"
    )]
    let output = Command::new(assert_cmd::cargo::cargo_bin!("quickproof"))
        .args(["probe", &server.address, "-o", "json", "--output-dir", "runs"])
        .args(arguments)
        .current_dir(directory.path())
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(json["never_decided"], Value::Array(Vec::new()), "{said}");
    let run = std::fs::read_dir(directory.path().join("runs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let report = std::fs::read_to_string(run.path().join("report.txt")).unwrap();
    Probed {
        code: output.status.code(),
        checks: json["checks"].as_array().unwrap().clone(),
        report: report.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

impl Probed {
    /// Names of the checks that neither hold nor are skipped.
    fn wrong(&self) -> BTreeSet<&str> {
        let is_wrong = |check: &&Value| !["holds", "skipped"].contains(&check["finding"].as_str().unwrap());
        let wrong = self.checks.iter().filter(is_wrong);
        wrong.map(|check| check["check"].as_str().unwrap()).collect()
    }

    fn holds(&self, name: &str) -> bool {
        let is_it = |check: &&Value| check["check"] == name;
        self.checks
            .iter()
            .find(is_it)
            .is_some_and(|check| check["finding"] == "holds")
    }
}

/// It serves its one model to whoever asks for any other.
const ANSWERS_FOR_UNKNOWN_MODELS: [&str; 3] = [
    "refusals/unknown-model/answer-status",
    "refusals/unknown-model-chat/answer-status",
    "refusals/unknown-model-stream/answer-status",
];

#[test]
fn of_llama_server_nothing_is_wrong_but_that_it_answers_for_models_that_it_does_not_have() {
    let server = llama_server();
    let probed = probe(&server, &[]);
    assert_eq!(
        probed.wrong(),
        BTreeSet::from(ANSWERS_FOR_UNKNOWN_MODELS),
        "{}",
        probed.report
    );
    assert_eq!(probed.code, Some(1));
    assert_eq!(
        probed.report.matches("the server sends `keep-alive`").count(),
        1,
        "{}",
        probed.report
    );
    for check in [
        "models/models-name",
        "completions/answer-usage",
        "chat/answer-choices",
        "chat-stream/stream-usage",
        "completions-stream/stream-done",
        "refusals/malformed-json/error-body",
    ] {
        assert!(probed.holds(check), "{check}: {}", probed.report);
    }
}

/// It closes the connection after each stream without saying so, which is its right.
#[test]
fn llama_server_answers_as_well_the_tenth_time() {
    let server = llama_server();
    for _ in 0..10 {
        let probed = probe(&server, &["--skip", "refusals"]);
        assert_eq!(
            (probed.code, probed.wrong()),
            (Some(0), BTreeSet::new()),
            "{}",
            probed.report
        );
    }
}

#[test]
fn llama_server_obeys_every_parameter_that_a_scenario_asks_for() {
    let server = llama_server();
    let probed = probe(&server, &["--scenario", "parameters", "--scenario", "stop-sequences"]);
    assert_eq!(
        (probed.code, probed.wrong()),
        (Some(0), BTreeSet::new()),
        "{}",
        probed.report
    );
    for check in [
        "parameters/choices/answer-choices",
        "stop-sequences/completion/stop-sequences",
    ] {
        assert!(probed.holds(check), "{check}: {}", probed.report);
    }
}

/// The router refuses what is no JSON in plain text; all else is the model server's.
#[test]
fn of_a_router_before_it_its_own_refusals_are_told_too() {
    let server = llama_server();
    let router = Server::start(&MODEL_SERVERS, "router.py", &server.address);
    let probed = probe(&router, &[]);
    let mut wrong = BTreeSet::from(ANSWERS_FOR_UNKNOWN_MODELS);
    wrong.insert("refusals/malformed-json/content-type");
    assert_eq!(probed.wrong(), wrong, "{}", probed.report);
    assert_eq!(probed.code, Some(1));
}

/// vLLM takes a minute to start and 6 GB to install, so that only `make test-vllm` runs it.
#[test]
#[ignore = "needs vLLM: `make test-vllm`"]
fn of_vllm_nothing_is_wrong_whatever_a_scenario_asks_for() {
    let directory = tempfile::tempdir().unwrap();
    model::write_without_weights(directory.path()).unwrap();
    let server = Server::start(&VLLM, "vllm_server.py", directory.path().to_str().unwrap());
    let all = ["--scenario", ".*", "--skip", "smoke-load"];
    for model in ["tiny", "small"] {
        let probed = probe(&server, &[&["--model", model], &all[..]].concat());
        assert_eq!(
            (probed.code, probed.wrong()),
            (Some(0), BTreeSet::new()),
            "{}",
            probed.report
        );
        let says = "asked as `small` the model answers as `tiny`";
        assert_eq!(probed.report.contains(says), model == "small", "{}", probed.report);
        for check in [
            "refusals/unknown-model-stream/error-body",
            "parameters/choices/answer-choices",
            "stop-sequences/chat-stream/stop-sequences",
            "stream-pace/stream/comes-as-it-is-made",
        ] {
            assert!(probed.holds(check), "{check}: {}", probed.report);
        }
    }
}
