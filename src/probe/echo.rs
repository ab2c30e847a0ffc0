//! Answers of the Gateway API conformance suite's echo server, `echo-basic`: what it was asked, and which pod says so.
//!
//! Source: the type `RequestAssertions` of `sigs.k8s.io/gateway-api/conformance/echo-basic` at v1.6.0.

use serde::Deserialize;

use super::Answer;

/// What an echo server says of a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Echo {
    /// The path with its query.
    pub(crate) path: String,
    /// The method.
    pub(crate) method: String,
    /// Not used; no answer of a model server has it.
    #[serde(rename = "ingress")]
    _ingress: String,
    /// The pod that answered, as its environment names it; empty where it names none.
    pub(crate) pod: String,
}

impl Echo {
    /// The echo that an answer is; `None` where it is none, or names no pod.
    pub(crate) fn of(answer: &Answer) -> Option<Self> {
        let body = &answer.outcome.as_ref().ok()?.body;
        // The answers of a load are not read for nothing.
        let has_mark = body.starts_with(b"{") && body.windows(MARK.len()).any(|part| part == MARK);
        let echo: Self = serde_json::from_slice(body).ok().filter(|_| has_mark)?;
        Some(echo).filter(|echo| !echo.pod.is_empty())
    }
}

/// What stands in every echo.
const MARK: &[u8] = b"\"ingress\"";

#[cfg(test)]
pub(crate) mod tests {
    use rstest::rstest;

    use crate::check::diagnosis::tests::answer;

    /// What an echo server answers to the request of [`answer`].
    pub(crate) fn echoed(pod: &str) -> String {
        serde_json::json!({"path": "/v1/completions", "host": "10.0.0.1", "method": "POST", "proto": "HTTP/1.1",
            "headers": {"Content-Type": ["application/json"]}, "httpPort": "3000", "namespace": "n", "ingress": "",
            "service": "", "pod": pod})
        .to_string()
    }

    #[rstest]
    #[case::an_echo(&echoed("pod-e"), Some("pod-e"))]
    #[case::without_a_name(&echoed(""), None)]
    #[case::a_completion(r#"{"id": "x", "object": "text_completion", "choices": []}"#, None)]
    #[case::another_body_with_a_pod(r#"{"pod": "pod-e"}"#, None)]
    fn an_echo_names_its_pod(#[case] body: &str, #[case] pod: Option<&str>) {
        let mut answer = answer(200, true, body);
        let Ok(received) = &mut answer.outcome else { panic!() };
        received.headers.retain(|(name, _)| name != "x-inference-pod");
        assert_eq!(answer.serving_pod().as_deref(), pod);
    }

    #[test]
    fn the_header_of_a_model_server_goes_first() {
        assert_eq!(
            answer(200, true, &echoed("pod-e")).serving_pod().as_deref(),
            Some("pod-a")
        );
    }
}
