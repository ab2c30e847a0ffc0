//! `quickproof probe` where the endpoint as a whole is not what was meant, or not ready, and who is to blame for an answer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rstest::rstest;
use serde_json::Value;

use crate::{
    lies::{MODEL, right},
    probe::{Probed, probe},
    served::{Asked, Served},
};

/// An answer with this head and body, and its length.
fn answer(head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// A server that answers rightly but where `instead` has something else to say.
fn but(instead: impl Fn(&Asked, usize) -> Option<String> + Send + Sync + 'static) -> (Served, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let served = Served::start(move |request, mut wire| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        match instead(request, number) {
            Some(answer) => wire.send(answer),
            None => wire.send(right(request).rendered()),
        }
    });
    (served.unwrap(), asked)
}

/// The one check that is broken, its cause and its blame.
#[track_caller]
fn only_broken(probed: &Probed) -> (String, String, String) {
    let broken = probed.broken();
    assert_eq!(broken.len(), 1, "{broken:?}");
    let json = probed.json();
    let checks = json["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["check"] == broken[0].as_str())
        .unwrap();
    let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
    (text("check"), text("cause"), text("blame"))
}

const JSON: &str = "content-type: application/json";
const HTML: &str = "content-type: text/html";
const LOADING: &str = r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#;

/// Whatever is asked is answered so: that is told once, with the way out, and proves nothing against a release.
#[rstest]
#[case::no_key(answer(&format!("401 Unauthorized\r\n{JSON}"), r#"{"error":"Unauthorized"}"#), "credentials-refused", "OPENAI_API_KEY")]
#[case::a_key_that_may_not(answer(&format!("403 Forbidden\r\n{HTML}"), "<html>"), "credentials-refused", "--header")]
#[case::it_loads(answer(&format!("503 Service Unavailable\r\n{JSON}"), LOADING), "endpoint-not-ready", "--wait 5m")]
#[case::a_web_page(answer(&format!("200 OK\r\n{HTML}"), "<!doctype html>"), "address-wrong", "what stands before `/v1`")]
#[case::no_web_page(answer(&format!("404 Not Found\r\n{HTML}"), "<html>"), "address-wrong", "what stands before `/v1`")]
#[case::no_http("SSH-2.0-OpenSSH_9.6\r\n".to_owned(), "address-wrong", "https://")]
#[case::tls("\u{15}\u{3}\u{1}\0\u{2}\u{2}F".to_owned(), "address-wrong", "the address must begin with `https://`")]
#[case::http_2("\0\0\0\u{4}\0\0\0\0\0".to_owned(), "address-wrong", "HTTP/2")]
fn an_endpoint_that_is_not_what_was_meant_is_errored_once(
    #[case] says: String,
    #[case] cause: &str,
    #[case] way_out: &str,
    #[values(&[], &["--model", MODEL])] model: &[&str],
) {
    let (server, asked) = but(move |_, _| Some(says.clone()));
    let url = server.url("");
    let arguments: Vec<&str> = [url.as_str(), "-o", "json"].iter().chain(model).copied().collect();
    let probed = probe(&arguments);
    assert_eq!(probed.code, Some(3), "{}", probed.stderr);
    let (check, said, blame) = only_broken(&probed);
    assert_eq!(said, cause, "{check}");
    assert_ne!(blame, "ModelServer");
    assert_eq!(probed.json()["never_decided"], Value::Array(Vec::new()));
    let report = probed.files["report.txt"]
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(report.contains(way_out), "{report}");
    assert!(asked.load(Ordering::Relaxed) <= 10, "nothing more is sent");
}

#[test]
fn a_model_that_is_neither_listed_nor_served_was_typed_wrongly() {
    let (server, _) = but(|_, _| None);
    let probed = probe(&[&server.url(""), "--model", "typo", "-o", "json"]);
    assert_eq!(probed.code, Some(3), "{}", probed.stderr);
    let (check, cause, blame) = only_broken(&probed);
    assert_eq!(
        (cause.as_str(), blame.as_str()),
        ("model-not-served", "CommandLine"),
        "{check}"
    );
    assert!(
        probed.files["report.txt"].contains("the endpoint lists: m"),
        "{}",
        probed.stderr
    );
}

/// One request at a time is taken: what comes beside it is put off.
#[test]
fn requests_that_an_endpoint_puts_off_are_sent_again_and_that_is_noted() {
    let under_way = Arc::new(AtomicUsize::new(0));
    let put_off = Arc::new(AtomicUsize::new(0));
    let (count, off) = (Arc::clone(&under_way), Arc::clone(&put_off));
    let server = Served::start(move |request, mut wire| {
        let is_generated = request.path().ends_with("completions");
        let first = is_generated && off.fetch_add(1, Ordering::Relaxed) < 3;
        if first || count.fetch_add(1, Ordering::Relaxed) > 64 {
            return wire.send(answer(
                &format!("429 Too Many Requests\r\nretry-after: 0\r\n{JSON}"),
                "{}",
            ));
        }
        wire.send(right(request).rendered())
    })
    .unwrap();
    let probed = probe(&[&server.url(""), "--scenario", "completions", "-o", "json"]);
    assert_eq!(probed.code, Some(0), "{}", probed.stderr);
    let record: Value = serde_json::from_str(&probed.files["record.json"]).unwrap();
    let notes = record["notes"].to_string();
    assert!(
        notes.contains("were put off by the endpoint") && notes.contains("sent 4 at a time"),
        "{notes}"
    );
}

/// Who said it is to blame for it.
#[rstest]
#[case::a_proxys_page(&format!("504 Gateway Timeout\r\nserver: nginx\r\n{HTML}"), "<html>", "Gateway")]
#[case::envoys_own(&"503 Service Unavailable\r\nserver: envoy\r\ncontent-type: text/plain".to_owned(), "no healthy upstream", "Gateway")]
#[case::a_model_server(&format!("500 Internal Server Error\r\n{JSON}"), r#"{"error":{"message":"x","type":"y","code":500}}"#, "ModelServer")]
fn an_error_is_blamed_on_who_answered(#[case] head: &str, #[case] body: &'static str, #[case] blame: &str) {
    let head = head.to_owned();
    let (server, _) = but(move |asked, _| asked.path().ends_with("chat/completions").then(|| answer(&head, body)));
    let probed = probe(&[&server.url(""), "--scenario", "chat", "-o", "json"]);
    assert_eq!(probed.code, Some(1), "{}", probed.stderr);
    let (check, cause, said) = only_broken(&probed);
    assert_eq!(
        (check.as_str(), cause.as_str()),
        ("chat/answer-status", "answer-status-unexpected")
    );
    assert_eq!(said, blame);
}

#[test]
fn two_lengths_are_told_with_both() {
    let (server, _) = but(|asked, _| {
        let body = String::from_utf8_lossy(&right(asked).body()).into_owned();
        let is_chat = asked.path().ends_with("chat/completions");
        is_chat.then(|| answer(&format!("200 OK\r\n{JSON}\r\ncontent-length: 7"), &body))
    });
    let probed = probe(&[&server.url(""), "--scenario", "chat", "-o", "json"]);
    assert_eq!(probed.code, Some(1), "{}", probed.stderr);
    let (check, cause, _) = only_broken(&probed);
    assert_eq!(
        (check.as_str(), cause.as_str()),
        ("chat/contradicting-headers", "answer-headers-wrong")
    );
    assert!(
        probed.stdout.contains("`content-length` is `7` and `"),
        "{}",
        probed.stdout
    );
}

/// It lists its models before it has loaded them.
#[test]
fn an_endpoint_that_loads_is_waited_for_where_that_is_asked_for() {
    let (server, _) = but(|asked, number| {
        let loads = number <= 3 && (number <= 1 || asked.path().ends_with("completions"));
        loads.then(|| answer(&format!("503 Service Unavailable\r\n{JSON}"), LOADING))
    });
    let probed = probe(&[&server.url(""), "--wait", "5m", "-o", "json"]);
    assert_eq!(probed.code, Some(0), "{}", probed.stderr);
}

#[test]
fn a_fault_of_every_answer_is_told_by_one_check_and_its_way_out_once() {
    let (server, _) = but(|asked, _| {
        let right = right(asked);
        let head = format!("{} Said\r\n{JSON}\r\ncontent-length: 7", right.status);
        (asked.path() != "/v1/models").then(|| answer(&head, &String::from_utf8_lossy(&right.body())))
    });
    let probed = probe(&[&server.url(""), "--skip", "stream-pace", "-o", "json"]);
    assert_eq!(probed.code, Some(1), "{}", probed.stderr);
    let broken = probed.broken();
    assert!(
        broken.len() > 3 && broken.iter().all(|check| check.ends_with("/contradicting-headers")),
        "{broken:?}"
    );
    let report = probed.files["report.txt"]
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(
        report
            .matches("Compare them with those that the model server sends")
            .count(),
        1,
        "{report}"
    );
}
