//! `quickproof probe`: the wire part of the scenarios against an endpoint that is there, without a cluster.

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use url::Url;

use crate::{
    cli::{CliContext, Output, Usage, block_on, reports::ReportArguments, scenario::SelectionArguments},
    host::{Signals, files, in_words},
    probe::{Certificates, Trust},
    record::RunRecord,
    run::{Run, endpoint::EndpointOrder},
    scenario::duration,
    verdict::{ExitCode, Fault, Finding},
};

/// Prove what can be proven of an OpenAI-style endpoint from outside: a gateway of somebody else, or a model server alone.
///
/// Completions, chats, streams, the list of models and refusals, each answer read to its last byte. What needs a cluster
/// is skipped with the reason, and the verdict says what was not tested. Everything is bounded: an endpoint that never
/// answers, or answers for ever, ends the probe within its limits.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  quickproof probe localhost:8000\n  quickproof probe http://10.0.0.1/v1 --model Qwen/Qwen3-32B -o json\n  quickproof probe https://gateway.example --scenario 'chat.*' --skip errors --header 'x-tenant: a'"
)]
pub(crate) struct ProbeArguments {
    /// The endpoint: an address with or without `http://`, with or without `/v1`
    #[arg(value_name = "URL", value_parser = base)]
    base: String,
    /// The model to ask for; without it the only one that the endpoint lists
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// A low-rank adapter to ask for as well; without it one that the endpoint lists
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    #[command(flatten)]
    scenarios: SelectionArguments,
    /// A header that every request has; may be given again. `OPENAI_API_KEY` is sent as a bearer token where it is set.
    /// Its value appears in no report
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Longest that any one request may take, such as `5s`, `1m30s`
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    /// Wait so long for an endpoint that is not there yet, or that says that it is not ready (429, 502 to 504)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    wait: Option<Duration>,
    /// Trust the certificates of this file (PEM) too: of who signs the server's, or the server's own
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// Take whatever certificate the server has; every report says so
    #[arg(long, conflicts_with = "cacert")]
    insecure: bool,
    #[command(flatten)]
    reports: ReportArguments,
    /// How to say it on standard output
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Nothing: what is found is told on standard error, as it is found
    Text,
    /// An object with `outcome`, `exit_code`, `subject`, `checks`, each with its `finding`, and the figures of `loads`
    Json,
}

/// Does it.
///
/// # Errors
/// Something is wrong with what was typed, or it cannot be told which model is meant.
pub(crate) fn run(arguments: &ProbeArguments, context: &CliContext, out: &mut Output) -> anyhow::Result<ExitCode> {
    let scenarios = arguments.scenarios.selected(context)?;
    let headers = arguments.headers(context)?;
    let redactor = context.redactor();
    for (name, value) in &headers {
        redactor.learn_header(name, value);
    }
    let order = EndpointOrder {
        base: arguments.base.clone(),
        model: arguments.model.clone(),
        adapter: arguments.adapter.clone(),
        headers,
        scenarios,
        limit: arguments.timeout,
        wait: arguments.wait.unwrap_or_default(),
        trust: arguments.trust()?,
        command: context.command.clone(),
    };
    let record = block_on(async {
        let run = Run::of_endpoint(context.host.clone(), order).context("requests cannot be sent")?;
        let (run, outputs, live) = arguments.reports.open(run, context)?;
        let ended = Box::pin(run.carry_out(outputs, Box::new(live))).await;
        Signals::end_the_process();
        ended.map_err(|error| anyhow::Error::new(Usage::new(error)))
    })??;
    if arguments.output == Form::Json {
        out.json(&in_json(&record))?;
    }
    Ok(record.exit_code())
}

/// Most bytes of a file of certificates.
const MOST_CERTIFICATES: u64 = 4 << 20;

impl ProbeArguments {
    /// Whose certificates are taken.
    fn trust(&self) -> Result<Trust, Usage> {
        let Some(path) = &self.cacert else {
            return Ok(if self.insecure { Trust::Anyone } else { Trust::Machine });
        };
        let cannot = |why: String| Usage::new(anyhow::anyhow!("`--cacert {}`: {why}", path.display()));
        let pem = files::read(path, MOST_CERTIFICATES).map_err(|error| cannot(in_words(&error)))?;
        Certificates::read(&pem).map(Trust::Also).map_err(cannot)
    }

    /// The headers of every request: those given, and the key of the environment where none of them authorizes.
    fn headers(&self, context: &CliContext) -> Result<Vec<(String, String)>, Usage> {
        let read = self.headers.iter().map(|text| header(text));
        let mut headers: Vec<(String, String)> = read
            .collect::<Result<_, _>>()
            .map_err(|expected| Usage::new(anyhow::anyhow!("`--header`: {expected}")))?;
        let authorizes = headers.iter().any(|(name, _)| name == "authorization");
        if let Some(key) = context.host.variable(API_KEY).filter(|_| !authorizes) {
            headers.push(("authorization".to_owned(), format!("Bearer {key}")));
        }
        Ok(headers)
    }
}

/// The environment variable that clients of the `OpenAI` API read their key from.
const API_KEY: &str = "OPENAI_API_KEY";

/// Reads `Name: value`; the name in lower case. The error does not repeat what was typed: it is most likely a secret.
fn header(text: &str) -> Result<(String, String), &'static str> {
    const EXPECTED: &str = "expected `Name: value`";
    let (name, value) = text.split_once(':').ok_or(EXPECTED)?;
    let (name, value) = (name.trim(), value.trim());
    let is_name = http::header::HeaderName::from_bytes(name.as_bytes()).is_ok();
    let is_value = http::header::HeaderValue::from_str(value).is_ok();
    if !is_name || !is_value || value.is_empty() {
        return Err(EXPECTED);
    }
    Ok((name.to_lowercase(), value.to_owned()))
}

/// Paths of the API's requests, behind which nothing can be asked for.
const PATHS: &[&str] = &[
    "/chat/completions",
    "/completions",
    "/models",
    "/embeddings",
    "/responses",
];

/// Reads the endpoint's address: what paths such as `/v1/models` are appended to.
fn base(text: &str) -> Result<String, String> {
    const EXPECTED: &str =
        "expected an address such as `localhost:8000`, `http://10.0.0.1` or `https://gateway.example/v1`";
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url: Url = with_scheme.parse().map_err(|_| EXPECTED.to_owned())?;
    let is_http = matches!(url.scheme(), "http" | "https");
    if !is_http || url.host_str().is_none_or(str::is_empty) || url.query().is_some() || url.fragment().is_some() {
        return Err(EXPECTED.to_owned());
    }
    let base = url.as_str().trim_end_matches('/');
    for path in PATHS {
        if let Some(before) = base.strip_suffix(path) {
            let before = before.trim_end_matches('/');
            return Err(format!(
                "`{path}` is the path of one request; give what stands before it: `{}`",
                before.strip_suffix("/v1").unwrap_or(before)
            ));
        }
    }
    Ok(base.strip_suffix("/v1").unwrap_or(base).to_owned())
}

/// What scripts read: the verdict, and each check with its finding.
fn in_json(record: &RunRecord) -> serde_json::Value {
    let checks: Vec<serde_json::Value> = record
        .decisions
        .iter()
        .map(|decision| {
            let mut check = serde_json::json!({ "check": decision.check, "sentence": decision.sentence });
            match &decision.finding {
                Finding::Holds => check["finding"] = "holds".into(),
                Finding::Broken(Fault {
                    expected,
                    actual,
                    cause,
                }) => {
                    check["finding"] = "broken".into();
                    check["expected"] = expected.as_str().into();
                    check["actual"] = actual.as_str().into();
                    check["cause"] = cause.code.code().into();
                    check["blame"] = format!("{:?}", cause.blame()).into();
                }
                Finding::Undecided { why } => {
                    check["finding"] = "undecided".into();
                    check["why"] = why.as_str().into();
                }
                Finding::Skipped { why } => {
                    check["finding"] = "skipped".into();
                    check["why"] = why.as_str().into();
                }
            }
            check
        })
        .collect();
    let mut json = serde_json::json!({
        "outcome": record.outcome().word().to_lowercase(),
        "exit_code": record.exit_code().number(),
        "subject": record.subject.as_ref().map(crate::record::Subject::sentence),
        "never_decided": record.never_decided(),
        "checks": checks,
    });
    if !record.loads.is_empty() {
        json["loads"] = serde_json::json!(record.loads);
    }
    json
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("localhost:8000", "http://localhost:8000")]
    #[case("10.0.0.1:80/v1", "http://10.0.0.1")]
    #[case("http://10.0.0.1/", "http://10.0.0.1")]
    #[case("http://[::1]:8000/v1/", "http://[::1]:8000")]
    #[case("https://gateway.example/team/v1", "https://gateway.example/team")]
    fn an_address_may_be_written_in_several_ways(#[case] text: &str, #[case] meant: &str) {
        assert_eq!(base(text).unwrap(), meant);
    }

    #[rstest]
    #[case("")]
    #[case("ftp://h")]
    #[case("http://")]
    #[case("http://h/v1?x=1")]
    #[case("http://h:99999")]
    #[case("http://h/v1/chat/completions")]
    #[case("h:8000/v1/completions/")]
    #[case("https://h/team/v1/models")]
    fn what_is_no_address_is_refused(#[case] text: &str) {
        base(text).unwrap_err();
    }

    #[test]
    fn of_the_address_of_a_request_what_is_meant_is_named() {
        let said = base("http://h/team/v1/chat/completions").unwrap_err();
        assert!(said.ends_with("`http://h/team`"), "{said}");
    }

    #[rstest]
    #[case("Authorization: Bearer a:b", Some(("authorization", "Bearer a:b")))]
    #[case("x-tenant:a", Some(("x-tenant", "a")))]
    #[case("no-colon", None)]
    #[case("x y: a", None)]
    #[case("x: a\nb: c", None)]
    #[case("x:", None)]
    fn headers_are_read(#[case] text: &str, #[case] meant: Option<(&str, &str)>) {
        let read = header(text).ok();
        assert_eq!(read, meant.map(|(name, value)| (name.to_owned(), value.to_owned())));
        if let Err(said) = header(text) {
            assert!(!said.contains(text), "{said}");
        }
    }
}
