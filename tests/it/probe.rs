//! `quickproof probe` against servers that answer rightly, wrongly, or never.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use rstest::rstest;
use serde_json::Value;

use futures::StreamExt as _;
use quickproof::{
    host::Host,
    probe::Trust,
    record::{Decision, Event, Reporter, RunRecord},
    report::{Copies, Outputs},
    run::{Run, endpoint::EndpointOrder},
    scenario::{self, Scenario},
    verdict::{Finding, Outcome},
};

use crate::{
    lies::{Ask, LIES, Lie, MODEL, PROMPT, liar, right},
    served::Served,
};

/// The longest that a probe whose requests are given half a second may take, on a machine that is busy.
const BOUND: Duration = Duration::from_mins(1);

/// How long one request may take that is answered, on a machine that is busy.
const PATIENT: Duration = Duration::from_secs(20);
/// How long one request may take that is never answered.
const SHORT: Duration = Duration::from_secs(2);

#[expect(
    clippy::disallowed_methods,
    reason = "the binary is what is tested, so a test starts it"
)]
fn quickproof(directory: &Path, subcommand: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("quickproof"));
    command
        .arg(subcommand)
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::null());
    command
}

pub(crate) fn command(directory: &Path, arguments: &[&str]) -> Command {
    quickproof(directory, "probe", arguments)
}

/// Interrupts a probe: it ends with the exit code for that, and its reports are whole.
#[track_caller]
pub(crate) fn ends_at_a_signal(directory: &Path, child: Child) {
    send("-INT", &child);
    let probed = Probed::of(directory, child.wait_with_output().unwrap());
    assert_eq!(probed.code, Some(130), "{}", probed.stderr);
    let record: Value = serde_json::from_str(&probed.files["record.json"]).unwrap();
    assert_eq!(record["interrupted"], "SIGINT");
    assert!(probed.files["junit_quickproof.xml"].ends_with("</testsuites>\n"));
}

/// Sends a signal to a probe that is there.
#[track_caller]
pub(crate) fn send(signal: &str, child: &Child) {
    #[expect(clippy::disallowed_methods, reason = "the standard library sends no signals")]
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// What a probe printed, and what it wrote.
pub(crate) struct Probed {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The run's files by name; empty where none were written.
    pub(crate) files: BTreeMap<String, String>,
}

impl Probed {
    pub(crate) fn of(directory: &Path, output: Output) -> Self {
        let runs = directory.join("quickproof-runs");
        let mut files = BTreeMap::new();
        for run in fs::read_dir(runs).into_iter().flatten() {
            for file in fs::read_dir(run.unwrap().path()).into_iter().flatten() {
                let path = file.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                files.insert(name, fs::read_to_string(&path).unwrap_or_default());
            }
        }
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            files,
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }

    /// What each check of `-o json` was found to be.
    pub(crate) fn findings(&self) -> BTreeMap<String, String> {
        let json = self.json();
        let checks = json["checks"].as_array().unwrap();
        checks
            .iter()
            .map(|check| {
                let text = |field: &str| check[field].as_str().unwrap().to_owned();
                (text("check"), text("finding"))
            })
            .collect()
    }

    pub(crate) fn broken(&self) -> Vec<String> {
        let is_broken = |(_, finding): &(String, String)| finding == "broken";
        self.findings()
            .into_iter()
            .filter(is_broken)
            .map(|(check, _)| check)
            .collect()
    }
}

pub(crate) fn probe(arguments: &[&str]) -> Probed {
    let directory = tempfile::tempdir().unwrap();
    let output = command(directory.path(), arguments).output().unwrap();
    Probed::of(directory.path(), output)
}

#[test]
fn a_good_model_server_passes_and_the_verdict_says_what_was_not_tested() {
    let server = liar(None);
    let probed = probe(&[&server.url("/v1"), "-o", "json"]);
    assert_eq!(probed.code, Some(0), "{}", probed.stderr);
    let json = probed.json();
    assert_eq!((&json["outcome"], &json["exit_code"]), (&"passed".into(), &0.into()));
    let findings = probed.findings();
    for check in [
        "endpoint-answers",
        "completions/answer-usage",
        "chat/answer-choices",
        "chat-stream/stream-done",
        "completions-stream/stream-usage",
        "models/models-name",
        "refusals/unknown-model/error-body",
        "refusals/malformed-json/answered-by",
    ] {
        assert_eq!(
            findings.get(check).map(String::as_str),
            Some("holds"),
            "{check}: {findings:#?}"
        );
    }
    for check in ["lora-adapter", "missing-model", "completions/passed-endpoint-picker"] {
        assert_eq!(findings.get(check).map(String::as_str), Some("skipped"), "{check}");
    }
    let sentence = format!(
        "the endpoint {} with model {MODEL}: the wire only; nothing about a release, the endpoint picker or the pool was tested",
        server.url("")
    );
    assert_eq!(json["subject"], sentence.as_str());
    // Lines are folded at the width of a page.
    let report = probed.files["report.txt"]
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(report.contains(&format!("PASSED {sentence}")), "{report}");
    for file in ["journal.jsonl", "record.json", "junit_quickproof.xml"] {
        assert!(!probed.files[file].is_empty(), "{file}");
    }
}

/// It closes each connection when the second request comes on it, without having said that it would.
#[test]
fn a_server_that_closes_connections_without_saying_so_passes_and_that_is_noted() {
    let server = Served::start(|request, mut wire| {
        let mut answer = right(request);
        answer.headers.retain(|(name, _)| *name != "connection");
        wire.send(answer.rendered())?;
        wire.next().map(drop)
    })
    .unwrap();
    let probed = probe(&[&server.url(""), "-o", "json"]);
    assert_eq!(probed.code, Some(0), "{}", probed.stderr);
    let noted = "closed without saying so";
    assert!(probed.stderr.contains(noted), "{}", probed.stderr);
    let record: Value = serde_json::from_str(&probed.files["record.json"]).unwrap();
    assert!(record["notes"].to_string().contains(noted), "{}", record["notes"]);
    let report = probed.files["report.txt"]
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(report.contains(noted), "{report}");
}

#[test]
fn only_the_scenarios_that_are_chosen_are_performed() {
    let server = liar(None);
    let probed = probe(&[
        &server.url(""),
        "--scenario",
        "chat.*",
        "--skip",
        ".*-stream",
        "-o",
        "json",
    ]);
    assert_eq!(probed.code, Some(0), "{}", probed.stderr);
    let scenarios: Vec<String> = probed
        .findings()
        .into_keys()
        .filter_map(|check| Some(check.split_once('/')?.0.to_owned()))
        .collect();
    assert!(scenarios.iter().all(|scenario| scenario == "chat"), "{scenarios:?}");
}

/// A scenario that asks this as the table of lies does, and expects the right answer.
fn scenario_of(ask: Ask, server: &Served) -> Scenario {
    let request = ask.request(server);
    let mut step = serde_json::json!({
        "method": request.method,
        "path": request.url.strip_prefix(&server.url("")).unwrap(),
        "expect": match ask {
            Ask::UnknownModel => serde_json::json!({"answer": "error", "status": [404], "answered-by": ["model-server"]}),
            Ask::BadRequest => serde_json::json!({"answer": "error", "status": [400], "answered-by": ["endpoint-picker"]}),
            Ask::Models | Ask::Embeddings | Ask::Stop => serde_json::json!({"answer": "success", "answered-by": ["model-server"]}),
            _ => serde_json::json!({"answer": "success", "says": PROMPT, "answered-by": ["model-server"]}),
        },
    });
    if let Some(body) = request.json() {
        step["json"] = body;
    }
    let scenario = serde_json::json!({"name": "a", "proves": "It holds.", "steps": [{"request": step}]});
    scenario::read("a.yaml", scenario.to_string().as_bytes()).unwrap()
}

/// A reporter that says nothing.
struct Silent;

impl Reporter for Silent {
    fn on_event(&mut self, _: &Event) -> std::io::Result<()> {
        Ok(())
    }
}

/// What came of a run against an endpoint, as `quickproof probe` makes it, with one scenario that asks this.
async fn performed(ask: Ask, server: &Served, limit: Duration) -> RunRecord {
    let directory = tempfile::tempdir().unwrap();
    let order = EndpointOrder {
        base: server.url(""),
        model: Some(MODEL.into()),
        adapter: None,
        headers: Vec::new(),
        scenarios: scenario::Selection {
            performed: vec![scenario_of(ask, server)],
            unasked: Vec::new(),
        },
        limit,
        wait: Duration::ZERO,
        trust: Trust::Machine,
        command: String::new(),
    };
    let run = Run::of_endpoint(Host::real(), order).unwrap();
    let outputs = Outputs::open(directory.path(), run.id(), Copies::default()).unwrap();
    run.carry_out(outputs, Box::new(Silent)).await.unwrap()
}

fn broken_in(record: &RunRecord) -> Vec<&str> {
    let is_broken = |decision: &&Decision| matches!(decision.finding, Finding::Broken(_));
    let broken = record.decisions.iter().filter(is_broken);
    broken.map(|decision| decision.check.as_str()).collect()
}

/// Several at a time: a run takes as long as its reports take to reach the disk.
#[tokio::test(flavor = "multi_thread")]
async fn each_lie_fails_the_run_with_exactly_the_check_that_is_meant_to() {
    let runs = LIES.iter().map(|lie| async move {
        let limit = if lie.check == "answer-came" { SHORT } else { PATIENT };
        let record = performed(lie.ask, &liar(Some(lie)), limit).await;
        let told = format!("a/{}", lie.check);
        let (outcome, broken) = (record.outcome(), broken_in(&record));
        // Nothing has shown that the model is served, so the name that was typed may be the wrong one.
        let wanted = if lie.check == "models-name" {
            Outcome::Errored
        } else {
            Outcome::Failed
        };
        let right = outcome == wanted && broken == [told.as_str()];
        (!right).then(|| {
            let (ask, what) = (lie.ask, lie.what);
            format!("{ask:?} {what}: {outcome:?} by {broken:?} and not {told}")
        })
    });
    let runs = futures::stream::iter(runs).buffer_unordered(8);
    let wrong: Vec<String> = runs.filter_map(std::future::ready).collect().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn right_answers_pass() {
    let server = liar(None);
    for ask in Ask::ALL {
        let record = performed(ask, &server, PATIENT).await;
        assert_eq!(record.outcome(), Outcome::Passed, "{ask:?}: {record:#?}");
    }
}

#[rstest]
#[case("answer-status", "/answer-status")]
#[case("stream-done", "-stream/stream-done")]
#[case("answer-model", "/answer-model")]
fn a_lie_fails_the_probe(#[case] check: &str, #[case] told: &str) {
    let by_streams = |ask| matches!(ask, Ask::ChatStream | Ask::CompletionsStream);
    let fits = |lie: &&Lie| {
        lie.check == check
            && (check != "answer-status" || lie.ask == Ask::UnknownModel)
            && (check != "stream-done" || by_streams(lie.ask))
    };
    let server = liar(LIES.iter().find(fits));
    let probed = probe(&[&server.url(""), "--model", MODEL, "-o", "json"]);
    assert_eq!(probed.code, Some(1), "{}", probed.stderr);
    let broken = probed.broken();
    assert!(
        !broken.is_empty() && broken.iter().all(|check| check.ends_with(told)),
        "{broken:?}"
    );
}

/// What a server does with every connection, and the exit code that follows.
#[rstest]
#[case::never_answers("hold", 3)]
#[case::says_its_head_byte_by_byte("drip-head", 3)]
#[case::says_its_body_byte_by_byte("drip-body", 1)]
#[case::answers_for_ever("endless", 1)]
#[case::says_only_that_it_lives("keep-alive", 1)]
#[case::closes_at_once("close", 1)]
fn a_server_that_never_comes_to_an_end_does_not_keep_the_probe(#[case] manner: &'static str, #[case] code: i32) {
    let server = Served::start(move |_, mut wire| match manner {
        "hold" => wire.hold(),
        "close" => Ok(()),
        "drip-head" => loop {
            wire.send("H")?;
            std::thread::sleep(Duration::from_millis(100));
        },
        "drip-body" => {
            wire.send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")?;
            loop {
                wire.send(" ")?;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        "keep-alive" => {
            wire.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")?;
            loop {
                wire.send(": ping\n\n")?;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        _ => {
            wire.send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")?;
            loop {
                wire.send([b' '; 4096])?;
            }
        }
    })
    .unwrap();
    let began = Instant::now();
    let probed = probe(&[&server.url(""), "--model", MODEL, "--timeout", "500ms", "-o", "json"]);
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    assert_eq!(probed.code, Some(code), "{}", probed.stderr);
    assert_eq!(probed.json()["never_decided"], Value::Array(Vec::new()));
    if code == 3 {
        assert_eq!(probed.broken(), ["endpoint-answers"]);
    }
}

/// An address where nobody listens.
pub(crate) fn away() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn an_endpoint_that_is_not_there_is_errored_with_reports() {
    let gone = away();
    for model in [&["--model", MODEL][..], &[]] {
        let arguments: Vec<&str> = [gone.as_str(), "-o", "json"].iter().chain(model).copied().collect();
        let probed = probe(&arguments);
        assert_eq!(probed.code, Some(3), "{}", probed.stderr);
        assert_eq!(probed.json()["outcome"], "errored");
        assert_eq!(probed.broken(), ["endpoint-answers"]);
        assert!(probed.files["report.txt"].contains("endpoint-not-answering"));
    }
}

fn list_of(models: &[&str]) -> Served {
    let data: Vec<Value> = models
        .iter()
        .map(|name| serde_json::json!({"id": name, "object": "model"}))
        .collect();
    let body = serde_json::json!({"object": "list", "data": data}).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Served::bytes(format!("{head}{body}")).unwrap()
}

#[rstest]
#[case::several(&["alpha", "beta"], "`alpha`, `beta`")]
#[case::none(&[], "--model")]
fn which_model_is_meant_must_be_told_where_it_cannot_be_seen(#[case] models: &[&str], #[case] said: &str) {
    let server = list_of(models);
    let probed = probe(&[&server.url("")]);
    assert_eq!(probed.code, Some(2));
    assert!(probed.stderr.contains(said), "{}", probed.stderr);
    assert!(probed.files.is_empty(), "nothing is made");
}

#[test]
fn of_very_many_models_some_are_named() {
    let names: Vec<String> = (0..5000).map(|number| format!("model-{number}")).collect();
    let server = list_of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let probed = probe(&[&server.url("")]);
    assert_eq!(probed.code, Some(2));
    assert!(
        probed.stderr.contains("5000 models") && probed.stderr.contains("`model-0`"),
        "{}",
        probed.stderr
    );
    assert!(probed.stderr.len() < 2000, "{}", probed.stderr);
}

/// What a server says to the look at its models, when no model is named: it is there, and wrong.
#[rstest]
#[case::an_error(
    "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno",
    "answer-status-unexpected"
)]
#[case::nothing_of_the_kind("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "answer-status-unexpected")]
#[case::no_list("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "answer-malformed")]
#[case::cut_off("HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n{\"data\":[", "answer-cut-off")]
#[case::two_lengths(
    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    "answer-headers-wrong"
)]
#[case::not_a_word("", "answer-cut-off")]
#[case::a_reset("reset", "answer-cut-off")]
fn a_wrong_first_answer_is_a_finding_with_reports(#[case] says: &'static str, #[case] cause: &str) {
    let server = Served::start(move |_, mut wire| match says {
        "reset" => wire.reset(),
        says => wire.send(says),
    })
    .unwrap();
    let probed = probe(&[&server.url(""), "-o", "json"]);
    assert_eq!(probed.code, Some(1), "{}", probed.stderr);
    assert_eq!(probed.broken(), ["endpoint-models"]);
    let json = probed.json();
    assert_eq!(
        (&json["outcome"], &json["never_decided"]),
        (&"failed".into(), &serde_json::json!([]))
    );
    let checks = json["checks"].as_array().unwrap();
    let broken = checks.iter().find(|check| check["check"] == "endpoint-models").unwrap();
    assert_eq!(broken["cause"], cause, "{broken}");
    let record: Value = serde_json::from_str(&probed.files["record.json"]).unwrap();
    assert_eq!(record["outcome"], "failed");
    assert!(probed.files["junit_quickproof.xml"].contains("endpoint-models"));
    assert!(probed.files["report.txt"].contains("--model"), "the way out is named");
}

/// The run directory's reports, which agree: none says what another does not.
#[track_caller]
fn agreed(directory: &Path) -> Value {
    let files = Probed::of(directory, silent()).files;
    let record: Value = serde_json::from_str(&files["record.json"]).unwrap();
    let outcome = record["outcome"].as_str().unwrap();
    let junit = &files["junit_quickproof.xml"];
    assert!(
        junit.ends_with("</testsuites>\n") && junit.contains(&format!("value=\"{outcome}\"")),
        "{outcome}: {junit}"
    );
    assert!(
        files["report.txt"].contains(&outcome.to_uppercase()),
        "{outcome}: {}",
        files["report.txt"]
    );
    record
}

/// The output of a program that said nothing.
fn silent() -> Output {
    Output {
        status: std::process::ExitStatus::default(),
        stdout: Vec::new(),
        stderr: Vec::new(),
    }
}

/// Before the endpoint has answered anything.
#[rstest]
#[case::interrupted("-INT", Some(130))]
#[case::ended("-TERM", Some(143))]
#[case::killed("-KILL", None)]
fn a_signal_before_the_first_answer_leaves_whole_reports(#[case] signal: &str, #[case] code: Option<i32>) {
    let (asked, requests) = mpsc::channel();
    let server = Served::start(move |_, wire| {
        let _ = asked.send(());
        wire.hold()
    })
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut child = command(directory.path(), &[&server.url(""), "--timeout", "10m"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    requests.recv_timeout(BOUND).unwrap();
    assert_eq!(
        agreed(directory.path())["outcome"],
        "inconclusive",
        "nothing was decided yet"
    );
    send(signal, &child);
    assert_eq!(child.wait().unwrap().code(), code);
    let record = agreed(directory.path());
    assert_eq!(record["outcome"], "inconclusive");
    assert_eq!(record["interrupted"].is_string(), code.is_some());
}

/// A process that is killed leaves reports that may be behind its journal; they are made again from it.
#[test]
fn reports_are_made_again_from_the_journal_of_a_run_that_was_killed() {
    let (asked, requests) = mpsc::channel();
    let server = Served::start(move |request, mut wire| {
        let _ = asked.send(request.path().to_owned());
        match request.path() {
            "/v1/models" => wire.send(right(request).rendered()),
            _ => wire.hold(),
        }
    })
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        &server.url(""),
        "--scenario",
        "models",
        "--scenario",
        "prompt-tokens",
        "--timeout",
        "10m",
    ];
    let mut child = command(directory.path(), &arguments)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while requests.recv_timeout(BOUND).unwrap() == "/v1/models" {}
    let run = fs::read_dir(directory.path().join("quickproof-runs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let again = || {
        quickproof(directory.path(), "report", &[run.to_str().unwrap()])
            .output()
            .unwrap()
    };
    let early = again();
    assert_eq!(early.status.code(), Some(2), "its run goes on");
    assert!(String::from_utf8_lossy(&early.stderr).contains("its run goes on"));
    send("-KILL", &child);
    child.wait().unwrap();
    // As if it had been killed while it wrote a line.
    let journal = run.join("journal.jsonl");
    let mut text = fs::read_to_string(&journal).unwrap();
    let lines = text.lines().count();
    text.push_str("{\"event\":\"noted\",\"sta");
    fs::write(&journal, &text).unwrap();
    for file in ["record.json", "junit_quickproof.xml"] {
        fs::write(run.join(file), "half of").unwrap();
    }
    let output = again();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("cut off") && said.contains("record.json"), "{said}");
    let record = agreed(directory.path());
    assert_eq!(record["outcome"], "inconclusive");
    let decided = text
        .lines()
        .filter(|line| line.contains("\"event\":\"decided\""))
        .count();
    assert!(decided > 1 && lines > decided);
    assert_eq!(record["decisions"].as_array().unwrap().len(), decided);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        fs::read_to_string(run.join("report.txt")).unwrap()
    );
}

#[rstest]
#[case::no_address(&["http://"], "expected an address")]
#[case::no_scenario(&["localhost:1", "--scenario", "chatt"], "did you mean `chat`?")]
#[case::no_skip(&["localhost:1", "--skip", "embeddings"], "`completions`")]
#[case::no_duration(&["localhost:1", "--timeout", "5"], "expected a duration")]
#[case::no_directory(&["localhost:1", "--scenarios", "/no/such/directory"], "/no/such/directory")]
fn what_is_wrong_with_a_probe_is_a_usage_error(#[case] arguments: &[&str], #[case] said: &str) {
    let probed = probe(arguments);
    assert_eq!(probed.code, Some(2), "{}", probed.stderr);
    assert!(probed.stderr.contains(said), "{}", probed.stderr);
    assert!(probed.files.is_empty(), "nothing is made");
}

const KEY: &str = "correct-horse-battery";
const TENANT: &str = "staple-of-tenants";

#[test]
fn keys_are_sent_and_appear_nowhere() {
    // The server tells everything that it was asked, in place of an answer.
    let (asked, heads) = mpsc::channel();
    let server = Served::start(move |request, mut wire| {
        let _ = asked.send(request.head.clone());
        let body = request.head.clone();
        wire.send(format!(
            "HTTP/1.1 200 OK\r\nx-told: {KEY}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    })
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let header = format!("X-Tenant: {TENANT}");
    let url = server.url("");
    let arguments = [
        url.as_str(),
        "--model",
        MODEL,
        "--header",
        &header,
        "-o",
        "json",
        "--verbose",
    ];
    let output = command(directory.path(), &arguments)
        .env("OPENAI_API_KEY", KEY)
        .output()
        .unwrap();
    let probed = Probed::of(directory.path(), output);
    assert_eq!(probed.code, Some(1), "{}", probed.stderr);
    for head in heads.try_iter() {
        assert!(head.contains(&format!("authorization: Bearer {KEY}")), "{head}");
        assert!(head.contains(&format!("x-tenant: {TENANT}")), "{head}");
    }
    let said = probed.files.values().chain([&probed.stdout, &probed.stderr]);
    for text in said {
        assert!(!text.contains(KEY) && !text.contains(TENANT), "{text}");
        assert!(!text.is_empty());
    }
}

#[test]
fn a_header_that_is_none_is_refused_without_repeating_it() {
    let probed = probe(&["localhost:1", "--header", KEY]);
    assert_eq!(probed.code, Some(2));
    assert!(
        probed.stderr.contains("--header") && !probed.stderr.contains(KEY),
        "{}",
        probed.stderr
    );
}

#[test]
fn a_signal_ends_it_with_valid_reports() {
    let (asked, requests) = mpsc::channel();
    let server = Served::start(move |request, mut wire| {
        let _ = asked.send(request.path().to_owned());
        if request.path() == "/v1/models" {
            return wire.send("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        }
        wire.hold()
    })
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = server.url("");
    let child = command(directory.path(), &[&url, "--model", MODEL, "--timeout", "10m"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first is the look at the models, the second the request that is never answered.
    for _ in 0..2 {
        requests.recv_timeout(BOUND).unwrap();
    }
    ends_at_a_signal(directory.path(), child);
}
