//! Loads against servers that answer rightly, wrongly, or never.

use std::{fs, path::Path, process::Stdio, sync::mpsc, time::Duration};

use serde_json::{Value, json};

use quickproof::{
    probe::Probe,
    record::{Events, RunRecord},
    scenario::{self, NoChanges, Target},
    verdict::Finding,
};

use crate::{
    lies::{Ask, LIES, MODEL, PROMPT, liar},
    probe::{Probed, command, ends_at_a_signal},
    served::Served,
};

/// Longer than a busy machine needs.
const BOUND: Duration = Duration::from_mins(1);

/// What came of a load that asks this.
async fn loaded(ask: Ask, server: &Served, bound: Duration) -> RunRecord {
    let request = ask.request(server);
    let expect = match ask {
        Ask::UnknownModel => json!({"answer": "error", "status": [404], "answered-by": ["model-server"]}),
        Ask::BadRequest => json!({"answer": "error", "status": [400], "answered-by": ["endpoint-picker"]}),
        Ask::Models | Ask::Embeddings | Ask::Stop => json!({"answer": "success", "answered-by": ["model-server"]}),
        _ => json!({"answer": "success", "says": PROMPT, "answered-by": ["model-server"]}),
    };
    let mut step = json!({
        "method": request.method,
        "path": request.url.strip_prefix(&server.url("")).unwrap(),
        "workers": 2,
        "requests": 6,
        "slo": {"goodput": "100%"},
        "expect": expect,
    });
    if let Some(body) = request.json() {
        step["json"] = body;
    }
    let text = json!({"name": "a", "proves": "It holds.", "steps": [{"load": step}]}).to_string();
    let scenario = scenario::read("a.yaml", text.as_bytes()).unwrap();
    let target = Target {
        base: server.url(""),
        model: MODEL.into(),
        has_answered: true,
        ..Target::default()
    };
    let (events, mut heard) = Events::channel();
    scenario::perform(&scenario, &Probe::new(bound).unwrap(), &target, &NoChanges, &events).await;
    drop(events);
    let mut record = RunRecord::default();
    while let Some(event) = heard.recv().await {
        record.fold(&event);
    }
    record
}

fn broken(record: &RunRecord) -> Vec<&str> {
    let is_broken = |finding: &Finding| matches!(finding, Finding::Broken(_));
    let broken = record.decisions.iter().filter(|decision| is_broken(&decision.finding));
    broken.map(|decision| decision.check.as_str()).collect()
}

#[tokio::test]
async fn each_lie_under_load_is_told_by_exactly_the_check_that_is_meant_to() {
    let mut wrong = Vec::new();
    for lie in LIES {
        let nothing_comes = lie.check == "answer-came";
        let bound = Duration::from_millis(if nothing_comes { 200 } else { 20_000 });
        let record = loaded(lie.ask, &liar(Some(lie)), bound).await;
        let told = [format!("a/{}", lie.check), "a/goodput".to_owned()];
        if broken(&record) != told {
            wrong.push(format!(
                "{:?} {}: {:?} and not {told:?}",
                lie.ask,
                lie.what,
                broken(&record)
            ));
        }
        let right = record.loads[0].right;
        if right != 0 {
            wrong.push(format!(
                "{:?} {}: {right} answers are counted as right",
                lie.ask, lie.what
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn right_answers_under_load_are_all_right() {
    let server = liar(None);
    for ask in Ask::ALL {
        let record = loaded(ask, &server, BOUND).await;
        assert_eq!(broken(&record), Vec::<&str>::new(), "{ask:?}");
        let figures = &record.loads[0];
        assert_eq!((figures.right, figures.good), (6, 6), "{ask:?}");
        let streams = matches!(ask, Ask::ChatStream | Ask::CompletionsStream);
        assert_eq!(figures.time_to_first_token.is_some(), streams, "{ask:?}");
    }
}

/// A scenario of this name in a directory of its own, with a load of these fields.
fn own(directory: &Path, name: &str, fields: &Value) -> String {
    let mut load = json!({
        "path": "/v1/chat/completions",
        "json": {"model": "${model}", "messages": [{"role": "user", "content": "${prompt}"}], "stream": true},
        "expect": {"answer": "success"},
    });
    for (field, value) in fields.as_object().unwrap() {
        load[field] = value.clone();
    }
    let scenario = json!({
        "name": name, "proves": "It holds.", "weight": "advisory", "when": "asked", "steps": [{"load": load}],
    });
    let path = directory.join("scenarios");
    fs::create_dir(&path).unwrap();
    fs::write(path.join(format!("{name}.yaml")), scenario.to_string()).unwrap();
    path.display().to_string()
}

#[test]
fn a_load_that_is_asked_for_stands_in_every_report_in_figures() {
    let directory = tempfile::tempdir().unwrap();
    let fields = json!({"rate": "50/s", "requests": 20, "slo": {"time-to-first-token": "30s", "goodput": "99%"}});
    let scenarios = own(directory.path(), "smoke-load", &fields);
    let server = liar(None);
    let url = server.url("");
    let arguments = [
        url.as_str(),
        "--scenarios",
        &scenarios,
        "--scenario",
        "models",
        "--scenario",
        "smoke-load",
        "-o",
        "json",
    ];
    let probed = Probed::of(
        directory.path(),
        command(directory.path(), &arguments).output().unwrap(),
    );
    assert_eq!(probed.code, Some(0), "{}", probed.stderr);
    let findings = probed.findings();
    for check in ["smoke-load/stream-done", "smoke-load/goodput"] {
        assert_eq!(findings[check], "holds", "{findings:#?}");
    }
    let record: Value = serde_json::from_str(&probed.files["record.json"]).unwrap();
    let figures = &record["loads"][0];
    assert_eq!(figures, &probed.json()["loads"][0]);
    assert_eq!((&figures["of"], &figures["sent"]), (&json!("smoke-load"), &json!(20)));
    assert_eq!(figures["asked_per_1000_s"], 50_000);
    assert_eq!(figures["time_to_first_token"]["count"], 20);
    for text in [&probed.files["report.txt"], &probed.stderr] {
        for said in ["load smoke-load", "20 requests sent", "time to first token", "goodput"] {
            assert!(text.contains(said), "no `{said}` in {text}");
        }
    }
}

#[test]
fn a_load_that_nobody_asked_for_is_named_and_not_performed() {
    let server = liar(None);
    let directory = tempfile::tempdir().unwrap();
    let url = server.url("");
    let output = command(directory.path(), &[&url, "-o", "json"]).output().unwrap();
    let probed = Probed::of(directory.path(), output);
    assert_eq!(probed.code, Some(0), "{}", probed.stderr);
    assert!(probed.findings().keys().all(|check| !check.starts_with("smoke-load")));
    assert!(probed.json().get("loads").is_none());
    let report = &probed.files["report.txt"];
    assert!(report.contains("`--scenario smoke-load`"), "{report}");
}

#[test]
fn a_signal_ends_a_load_at_once_with_valid_reports() {
    let (asked, requests) = mpsc::channel();
    let server = Served::start(move |request, mut wire| {
        if request.path() == "/v1/models" {
            return wire.send("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        }
        let _ = asked.send(());
        wire.hold()
    })
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let scenarios = own(directory.path(), "burst", &json!({"rate": "100/s", "for": "1h"}));
    let url = server.url("");
    let arguments = [
        url.as_str(),
        "--model",
        MODEL,
        "--timeout",
        "10m",
        "--scenarios",
        &scenarios,
        "--scenario",
        "burst",
    ];
    let child = command(directory.path(), &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..3 {
        requests.recv_timeout(BOUND).unwrap();
    }
    ends_at_a_signal(directory.path(), child);
}
