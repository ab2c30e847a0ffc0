//! `run.log` and what is logged on standard error, by the built binary.

use std::process::Stdio;

use crate::{
    lies::{MODEL, liar},
    probe::{Probed, command},
};

const KEY: &str = "key-that-nobody-shall-read";
const TENANT: &str = "tenant-that-nobody-shall-read";

/// What a probe of a good server left, with this filter and these further arguments.
fn probed(filter: Option<&str>, arguments: &[&str]) -> Probed {
    let (server, directory) = (liar(None), tempfile::tempdir().unwrap());
    let url = server.url("");
    let mut command = command(directory.path(), &[&url, "--model", MODEL]);
    command.args(arguments).env("OPENAI_API_KEY", KEY);
    if let Some(filter) = filter {
        command.env("QUICKPROOF_LOG", filter);
    }
    Probed::of(directory.path(), command.output().unwrap())
}

#[test]
fn a_run_leaves_a_log_that_says_what_took_how_long() {
    let header = format!("x-tenant: {TENANT}");
    let probed = probed(None, &["--scenario", "chat", "--header", &header]);
    assert_eq!(probed.code, Some(0), "{}", probed.stderr);
    let log = &probed.files["run.log"];
    let closed = |span: &str| {
        let closes = |line: &&str| line.contains(span) && line.contains(": close ") && line.contains("time.idle=");
        log.lines().any(|line| closes(&line))
    };
    assert!(closes_once(log, "run{id="), "{log}");
    assert!(closed("stage{name=\"scenarios\"}"), "{log}");
    assert!(closed("request{method=POST url="), "{log}");
    assert!(log.contains("/v1/chat/completions status=200"), "{log}");
    assert!(log.contains("check=chat/answer-status"), "{log}");
    assert!(log.lines().all(|line| line.contains("Z ")), "a time in each: {log}");
    for secret in [KEY, TENANT] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(!probed.stderr.contains("time.idle"), "{}", probed.stderr);
}

/// Whether the span closes in a line that is of no span inside it.
fn closes_once(log: &str, span: &str) -> bool {
    let closes = |line: &&str| line.contains(span) && line.contains("}: quickproof::") && line.contains(": close ");
    let of_span_itself = |line: &&str| !line.contains("stage{");
    log.lines().filter(closes).filter(of_span_itself).count() == 1
}

#[test]
fn a_chatty_filter_fills_no_disk_and_tells_no_secret() {
    let header = format!("x-tenant: {TENANT}");
    let probed = probed(Some("trace"), &["--header", &header]);
    assert_eq!(probed.code, Some(0), "{}", probed.stderr);
    let log = &probed.files["run.log"];
    assert!(log.len() <= 4 << 20, "{}", log.len());
    for text in [log, &probed.stderr] {
        assert!(text.contains("request{"), "{text}");
        assert!(!text.contains(KEY) && !text.contains(TENANT), "{text}");
        // Libraries tell more than may be told.
        assert!(!text.contains(" hyper") && !text.contains(" h2::"), "{text}");
    }
}

#[test]
fn twice_verbose_is_told_what_the_log_holds() {
    let probed = probed(None, &["--scenario", "models", "-vv"]);
    assert_eq!(probed.code, Some(0), "{}", probed.stderr);
    assert!(probed.stderr.contains("request{method=GET"), "{}", probed.stderr);
    assert!(!probed.stderr.contains(KEY), "{}", probed.stderr);
}

#[test]
fn a_filter_takes_nothing_from_the_file() {
    let probed = probed(Some("off"), &["--scenario", "models"]);
    assert!(!probed.stderr.contains("request{"), "{}", probed.stderr);
    assert!(probed.files["run.log"].contains("request{method=GET"));
}

#[test]
fn a_filter_that_is_none_is_a_usage_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = command(directory.path(), &["localhost:1"]);
    let output = command
        .env("QUICKPROOF_LOG", "nonsense[")
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let probed = Probed::of(directory.path(), output);
    assert_eq!(probed.code, Some(2));
    assert!(
        probed.stderr.contains("`QUICKPROOF_LOG`: `nonsense[` is no filter"),
        "{}",
        probed.stderr
    );
    assert!(probed.files.is_empty());
}
