//! From an answer to who failed: the decision table of the field.
//!
//! The endpoint picker marks every response that passed it (`x-went-into-resp-headers: true`) and speaks plain text of
//! its own ([`words_of_picker`]); the gateway's own errors have neither. Source: measured on v1.5.0 behind Istio and
//! Envoy AI Gateway, thirty seeded faults.

use super::{Observation, listeners};
use crate::{
    probe::{Answer, Received, Unanswered},
    verdict::{Blame, Cause, CauseCode},
};

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answerer {
    /// A model server, through the endpoint picker.
    ModelServer,
    /// A model server, around the endpoint picker.
    ModelServerAround,
    /// The endpoint picker itself.
    EndpointPicker,
    /// The gateway itself.
    Gateway,
    /// Nobody.
    Nobody,
}

/// How the endpoint picker's own errors begin, before `<Code> - <message>`. Source: measured on v1.5.0, which has the
/// first, and on v1.0.0 and v1.2.0, which have the second; the sources of the releases between change once, at v1.5.0.
const PICKERS_BEGINNINGS: &[&str] = &["inference error:", "inference gateway:"];

/// What the endpoint picker says in an error of its own, without the beginning; `None` for any other text.
pub(crate) fn words_of_picker(text: &str) -> Option<&str> {
    let mut beginnings = PICKERS_BEGINNINGS.iter();
    beginnings.find_map(|beginning| Some(text.strip_prefix(beginning)?.trim()))
}

/// Who answered, by the marks that each leaves.
pub fn answerer(answer: &Answer) -> Answerer {
    let Some(status) = answer.status() else {
        return Answerer::Nobody;
    };
    if answer.passed_endpoint_picker() {
        // Envoy's words for a picked pod that refuses; the pick was the endpoint picker's.
        if status == 503 && answer.text().starts_with("upstream connect error") {
            return Answerer::Gateway;
        }
        return Answerer::ModelServer;
    }
    // Nothing that is a success is an error in words, and of a load nearly all are.
    if status == 200 {
        return if is_page(answer) {
            Answerer::Gateway
        } else {
            Answerer::ModelServerAround
        };
    }
    let text = answer.text();
    if words_of_picker(&text).is_some() {
        return Answerer::EndpointPicker;
    }
    if text.trim_start().starts_with('{') || is_of_a_model_server(answer) {
        return Answerer::ModelServerAround;
    }
    Answerer::Gateway
}

/// How the `server` of model servers begins, in small letters. Some of their errors are plain text, as those of gateways are.
/// Sources: vLLM, `SGLang` and `TGI` are served by uvicorn; llama.cpp's server; hypercorn and granian serve the like.
const MODEL_SERVERS: &[&str] = &["uvicorn", "hypercorn", "granian", "llama.cpp"];

fn is_of_a_model_server(answer: &Answer) -> bool {
    let server = answer.header("server").unwrap_or_default().to_lowercase();
    MODEL_SERVERS.iter().any(|name| server.starts_with(name)) && !is_page(answer)
}

/// Whether the body is a page of HTML: no model server writes any, proxies and web sites do.
pub(crate) fn is_page(answer: &Answer) -> bool {
    let is_html = |value: &str| value.trim_start().to_ascii_lowercase().starts_with("text/html");
    let begins = |received: &Received| received.body.trim_ascii_start().starts_with(b"<");
    answer.header("content-type").is_some_and(is_html) && answer.outcome.as_ref().is_ok_and(begins)
}

/// Who is to blame for what is wrong with an answer, where that is told by who gave it and not by what is wrong: what a
/// gateway or the endpoint picker says itself is not the model server's.
pub(crate) fn by_answerer(code: CauseCode, answer: &Answer) -> Option<Blame> {
    match (code.blame(), answerer(answer)) {
        (Blame::ModelServer, Answerer::Gateway) => Some(Blame::Gateway),
        (Blame::ModelServer, Answerer::EndpointPicker) => Some(Blame::EndpointPicker),
        _ => None,
    }
}

/// What an answer says of the endpoint as a whole, where that has answered nothing as it must yet: then it says nothing of the
/// one request, and nothing of a release. `None` where it is an answer to the request.
pub(crate) fn of_the_whole(answer: &Answer) -> Option<CauseCode> {
    let is_json = || answer.text().trim_start().starts_with('{');
    match (&answer.outcome, answer.status()) {
        // Not even the beginning of HTTP: another protocol has the port.
        (Err(Unanswered::Malformed(_)), _) if answer.partial.is_none() => Some(CauseCode::AddressWrong),
        (_, Some(401 | 403)) => Some(CauseCode::CredentialsRefused),
        (_, Some(429)) => Some(CauseCode::EndpointNotReady),
        (_, Some(503)) if is_json() || answer.header("retry-after").is_some() => Some(CauseCode::EndpointNotReady),
        (_, Some(..500)) if is_page(answer) => Some(CauseCode::AddressWrong),
        _ => None,
    }
}

/// What befell an answer that did not come to its end.
pub(crate) fn cut_off(answer: &Answer) -> CauseCode {
    let streams = answer.received().is_some_and(|received| received.status == 200) && answer.request.asks_for_stream();
    if streams {
        CauseCode::StreamTruncated
    } else {
        CauseCode::AnswerCutOff
    }
}

/// Whether an answer may still change by itself shortly after a deployment: conditions run ahead of the data plane. One
/// that began and did not come to its end is an answer: asked again, it would hide what happened.
pub(crate) fn may_settle(answer: &Answer) -> bool {
    match answerer(answer) {
        Answerer::Nobody if answer.partial.is_some() => false,
        Answerer::ModelServer => false,
        Answerer::EndpointPicker => answer.status().is_some_and(|status| status >= 500),
        Answerer::ModelServerAround | Answerer::Gateway | Answerer::Nobody => true,
    }
}

/// Why nothing at all came back.
pub(crate) fn not_answering(answer: &Answer) -> CauseCode {
    match answer.outcome {
        Err(Unanswered::HostExhausted(_)) => CauseCode::HostExhausted,
        Err(Unanswered::OtherProtocol(..)) => CauseCode::AddressWrong,
        Err(Unanswered::Untrusted(_)) => CauseCode::CertificateNotTrusted,
        _ => CauseCode::EndpointNotAnswering,
    }
}

/// Why the guide's request was not answered with a 200 that passed the endpoint picker.
pub(crate) fn diagnose(answer: &Answer, seen: &Observation) -> Cause {
    let evidence = answer.brief();
    // A gateway may answer by itself at a port that no listener has, such as one for its own health.
    if matches!(answerer(answer), Answerer::Nobody | Answerer::Gateway)
        && answer.partial.is_none()
        && let Some(cause) = listeners::nobody_at(&seen.gateways, &seen.node_ports, &answer.request.url)
    {
        return cause.because(evidence);
    }
    let code = match (answerer(answer), answer.status()) {
        (Answerer::Nobody, _) => match &answer.outcome {
            _ if answer.partial.is_some() => cut_off(answer),
            Err(Unanswered::HostExhausted(_)) => CauseCode::HostExhausted,
            Err(
                Unanswered::NotSent(_)
                | Unanswered::NotConnected(_)
                | Unanswered::Untrusted(_)
                | Unanswered::TimedOut(_)
                | Unanswered::Silent(_),
            ) => CauseCode::GatewayUnreachable,
            _ => CauseCode::GatewayAnsweredError,
        },
        (Answerer::ModelServer | Answerer::ModelServerAround, Some(404)) => {
            let asked = answer.request.model().unwrap_or_default();
            if asked.contains('$') && !seen.unexpanded.is_empty() {
                CauseCode::ShellVariableInSingleQuotes
            } else {
                CauseCode::ModelNotServed
            }
        }
        (Answerer::ModelServerAround, Some(200)) => CauseCode::EndpointPickerBypassed,
        // Envoy's words where a server took the request and the route's time was up before it answered.
        (Answerer::ModelServer, Some(504)) if answer.text().starts_with("upstream request timeout") => {
            CauseCode::AnswerCutOff
        }
        (Answerer::ModelServer | Answerer::ModelServerAround, _) => CauseCode::ModelServerError,
        (Answerer::EndpointPicker, Some(503)) if seen.pool_pods.is_empty() => CauseCode::PoolSelectsNoPod,
        (Answerer::EndpointPicker, Some(503)) => CauseCode::PodNotReady,
        (Answerer::EndpointPicker, _) => CauseCode::GuideCommandFailed,
        (Answerer::Gateway, Some(503)) if answer.passed_endpoint_picker() => CauseCode::PoolPortRefused,
        (Answerer::Gateway, Some(500..=504)) if seen.gateway_says.is_some() => CauseCode::EndpointPickerBreaksProtocol,
        // The route resolves (checked before), yet requests with a body fail: the gateway cannot ask the picker.
        (Answerer::Gateway, Some(500..=504)) => CauseCode::EndpointPickerUnreachable,
        (Answerer::Gateway, _) => CauseCode::GatewayAnsweredError,
    };
    let mut cause = Cause::new(code).because(evidence);
    if code == CauseCode::EndpointPickerBreaksProtocol
        && let Some(line) = &seen.gateway_says
    {
        cause = cause.because(format!("the gateway's log: {line}"));
    }
    if code == CauseCode::ShellVariableInSingleQuotes {
        let asked = answer.request.model().unwrap_or_default();
        cause = cause.because(format!(
            "the model asked for is the literal text `{asked}`: the variable stands inside single quotes, so the shell does not replace it"
        ));
    }
    cause
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::probe::{Outgoing, Received, Times};

    /// An answer with this status, endpoint picker's mark, and body.
    pub(crate) fn answer(status: u16, passed: bool, body: &str) -> Answer {
        let content_type = if body.starts_with('{') {
            "application/json"
        } else {
            "text/plain"
        };
        let mut headers = vec![
            ("content-type".to_owned(), content_type.to_owned()),
            ("x-inference-pod".to_owned(), "pod-a".to_owned()),
        ];
        if passed {
            headers.push(("x-went-into-resp-headers".into(), "true".into()));
        }
        Answer {
            request: Outgoing {
                method: "POST".into(),
                url: "http://10.0.0.1/v1/completions".into(),
                headers: Vec::new(),
                body: Some(r#"{"model": "m"}"#.into()),
            },
            attempt: 1,
            resent: None,
            outcome: Ok(Received {
                status,
                headers,
                body: body.as_bytes().to_vec(),
                body_bytes: body.len(),
                ..Received::default()
            }),
            partial: None,
            times: Times::default(),
            took: Duration::from_millis(3),
        }
    }

    fn failed(unanswered: fn(String) -> Unanswered) -> Answer {
        let mut answer = answer(0, false, "");
        answer.outcome = Err(unanswered("so it was".into()));
        answer
    }

    const STREAM: &str = r#"{"stream": true}"#;

    fn silent_inside(asked: &str, status: u16) -> Answer {
        let mut answer = failed(Unanswered::Silent);
        answer.request.body = Some(asked.into());
        answer.partial = Some(Box::new(Received {
            status,
            ..Received::default()
        }));
        answer
    }

    const NOT_FOUND: &str =
        r#"{"error":{"message":"The model `m` does not exist.","type":"NotFoundError","code":404}}"#;

    #[rstest]
    #[case::model_unknown(answer(404, true, NOT_FOUND), CauseCode::ModelNotServed, false)]
    #[case::no_route(answer(404, false, ""), CauseCode::GatewayAnsweredError, true)]
    #[case::picker_away(answer(500, false, ""), CauseCode::EndpointPickerUnreachable, true)]
    #[case::no_candidates(
        answer(
            503,
            false,
            "inference error: ServiceUnavailable - failed to find endpoint candidates"
        ),
        CauseCode::PoolSelectsNoPod,
        true
    )]
    #[case::port_refused(
        answer(503, true, "upstream connect error or disconnect/reset"),
        CauseCode::PoolPortRefused,
        true
    )]
    #[case::bypassed(answer(200, false, "{}"), CauseCode::EndpointPickerBypassed, true)]
    #[case::server_error(answer(500, true, "{\"error\":{}}"), CauseCode::ModelServerError, false)]
    #[case::too_slow_for_the_route(answer(504, true, "upstream request timeout"), CauseCode::AnswerCutOff, false)]
    #[case::bad_request(
        answer(400, false, "inference error: BadRequest - x"),
        CauseCode::GuideCommandFailed,
        false
    )]
    #[case::bad_request_of_old(
        answer(400, false, "inference gateway: BadRequest - x"),
        CauseCode::GuideCommandFailed,
        false
    )]
    #[case::refused(failed(Unanswered::NotConnected), CauseCode::GatewayUnreachable, true)]
    #[case::never_answered(failed(Unanswered::Silent), CauseCode::GatewayUnreachable, true)]
    #[case::not_in_time(failed(Unanswered::TimedOut), CauseCode::GatewayUnreachable, true)]
    #[case::closed_at_once(failed(Unanswered::CutOff), CauseCode::GatewayAnsweredError, true)]
    #[case::reset(failed(Unanswered::Reset), CauseCode::GatewayAnsweredError, true)]
    #[case::silent_inside(silent_inside("{}", 200), CauseCode::AnswerCutOff, false)]
    #[case::silent_in_a_stream(silent_inside(STREAM, 200), CauseCode::StreamTruncated, false)]
    #[case::silent_in_an_error(silent_inside(STREAM, 500), CauseCode::AnswerCutOff, false)]
    fn the_answer_tells_who_failed(#[case] answer: Answer, #[case] cause: CauseCode, #[case] settles: bool) {
        assert_eq!(diagnose(&answer, &Observation::default()).code, cause);
        assert_eq!(may_settle(&answer), settles);
    }

    #[rstest]
    #[case::refused(failed(Unanswered::NotConnected), 8080, CauseCode::RequestPortNotServed)]
    #[case::not_in_time(failed(Unanswered::TimedOut), 8080, CauseCode::RequestPortNotServed)]
    #[case::answered_by_the_gateway_itself(answer(404, false, ""), 8080, CauseCode::RequestPortNotServed)]
    #[case::a_listener_has_it(failed(Unanswered::NotConnected), 80, CauseCode::GatewayUnreachable)]
    #[case::a_model_server_answered(answer(404, true, NOT_FOUND), 8080, CauseCode::ModelNotServed)]
    #[case::our_own_descriptors(failed(Unanswered::HostExhausted), 80, CauseCode::HostExhausted)]
    fn nobody_answers_at_a_port_that_no_listener_has(
        #[case] mut answer: Answer,
        #[case] port: u16,
        #[case] cause: CauseCode,
    ) {
        answer.request.url = format!("http://10.0.0.1:{port}/v1/completions");
        let gateway = serde_json::json!({"metadata": {"name": "g"}, "spec": {"listeners": [{"name": "http", "port": 80}]},
            "status": {"addresses": [{"value": "10.0.0.1"}]}});
        let seen = Observation {
            gateways: vec![gateway],
            ..Observation::default()
        };
        assert_eq!(diagnose(&answer, &seen).code, cause);
    }

    fn said(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut answer = answer(status, false, body);
        if let Ok(received) = &mut answer.outcome {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            received.headers = headers.iter().map(owned).collect();
        }
        answer
    }

    const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");
    const TEXT: (&str, &str) = ("content-type", "text/plain");

    #[rstest]
    #[case::a_proxys_page(said(504, &[("server", "nginx"), HTML], "<html>"), Some(Blame::Gateway))]
    #[case::a_page_for_a_success(said(200, &[HTML], " <!doctype html>"), Some(Blame::Gateway))]
    #[case::envoys_own_words(said(429, &[("server", "envoy"), TEXT], "local_rate_limited"), Some(Blame::Gateway))]
    #[case::envoy_has_no_route(said(404, &[("server", "envoy")], ""), Some(Blame::Gateway))]
    #[case::a_routers_text(said(400, &[TEXT], "Failed to parse the request body"), Some(Blame::Gateway))]
    #[case::the_endpoint_pickers_words(said(500, &[TEXT], "inference error: Internal - x"), Some(Blame::EndpointPicker))]
    #[case::a_model_servers_error(said(500, &[("server", "envoy")], NOT_FOUND), None)]
    #[case::a_model_servers_text(said(500, &[("server", "uvicorn"), TEXT], "Internal Server Error"), None)]
    #[case::a_success(said(200, &[("server", "envoy")], "{}"), None)]
    fn who_answered_is_to_blame(#[case] answer: Answer, #[case] blame: Option<Blame>) {
        for code in [CauseCode::AnswerStatusUnexpected, CauseCode::AnswerMalformed] {
            assert_eq!(by_answerer(code, &answer), blame);
        }
        assert_eq!(by_answerer(CauseCode::ExpectationNotMet, &answer), blame);
        assert_eq!(by_answerer(CauseCode::HostExhausted, &answer), None);
    }

    #[rstest]
    #[case::no_key(said(401, &[], "{}"), Some(CauseCode::CredentialsRefused))]
    #[case::forbidden(said(403, &[HTML], "<html>"), Some(CauseCode::CredentialsRefused))]
    #[case::too_many(said(429, &[], ""), Some(CauseCode::EndpointNotReady))]
    #[case::loading(said(503, &[], NOT_FOUND), Some(CauseCode::EndpointNotReady))]
    #[case::comes_back(said(503, &[("retry-after", "1")], ""), Some(CauseCode::EndpointNotReady))]
    #[case::no_upstream(said(503, &[("server", "envoy"), TEXT], "no healthy upstream"), None)]
    #[case::a_web_page(said(200, &[HTML], "<html>"), Some(CauseCode::AddressWrong))]
    #[case::a_web_page_that_is_not_there(said(404, &[HTML], "<html>"), Some(CauseCode::AddressWrong))]
    #[case::a_proxy_without_a_server(said(502, &[HTML], "<html>"), None)]
    #[case::not_html_whatever_it_is_called(said(200, &[HTML], "{}"), None)]
    #[case::no_http(failed(Unanswered::Malformed), Some(CauseCode::AddressWrong))]
    #[case::cut_off(failed(Unanswered::CutOff), None)]
    #[case::an_error(said(404, &[], NOT_FOUND), None)]
    fn some_answers_are_about_the_endpoint_and_not_about_the_request(
        #[case] answer: Answer,
        #[case] code: Option<CauseCode>,
    ) {
        assert_eq!(of_the_whole(&answer), code);
    }

    #[test]
    fn a_literal_variable_is_the_guides_fault() {
        let mut answer = answer(404, true, NOT_FOUND);
        answer.request.body = Some(r#"{"model": "${MODEL_NAME}"}"#.into());
        let seen = Observation {
            unexpanded: vec!["MODEL_NAME".into()],
            ..Observation::default()
        };
        assert_eq!(diagnose(&answer, &seen).code, CauseCode::ShellVariableInSingleQuotes);
    }

    #[test]
    fn what_the_gateways_log_says_of_the_picker_is_the_cause_of_its_error() {
        let seen = Observation {
            gateway_says: Some("Spurious response message 4".into()),
            ..Observation::default()
        };
        let cause = diagnose(&answer(500, false, ""), &seen);
        assert_eq!(cause.code, CauseCode::EndpointPickerBreaksProtocol);
        assert!(
            cause.evidence[1].contains("Spurious response message 4"),
            "{:?}",
            cause.evidence
        );
        let without = diagnose(&answer(500, false, ""), &Observation::default());
        assert_eq!(without.code, CauseCode::EndpointPickerUnreachable);
    }
}
