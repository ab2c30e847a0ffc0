//! Sending requests and noting exactly what came back.
//!
//! A refused connection is something seen, not an error: [`Probe::send`] never fails. Nothing here judges an answer;
//! that is `check`'s work.

use std::{borrow::Cow, time::Duration};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    host::shell_quoted,
    record::{Exchange, WholeBody, milliseconds},
    redact::cut,
};

mod clock;
mod connection;
mod echo;
mod engine;
mod failure;
mod head;
pub mod latency;
pub(crate) mod load;
pub(crate) mod metrics;
pub mod openai;
mod outgoing;
mod patience;
pub mod sse;
mod trust;

pub(crate) use echo::Echo;
#[cfg(test)]
pub(crate) use echo::tests::echoed;
pub use engine::{BYTES_BOUND, Bounds, Probe, Protocol};
pub(crate) use head::Spoken;
use latency::Latencies;
pub(crate) use patience::says_not_now;
pub use trust::{Certificates, ProbeError, Trust};

/// A request, ready to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The method.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// The body, or `None`.
    pub body: Option<String>,
}

impl Outgoing {
    /// The request as a `curl` command line to copy into a shell, in the protocol in which the answer came, where `curl`
    /// must be told so. A stream that is asked for is shown as it comes.
    fn curl_in(&self, received: Option<&Received>) -> String {
        let mut line = String::from("curl -i ");
        let is_http2 = received.is_some_and(|received| received.version == "HTTP/2");
        if is_http2 && !self.url.starts_with("https:") {
            line.push_str("--http2-prior-knowledge ");
        }
        if self.asks_for_stream() {
            line.push_str("-N ");
        }
        line.push_str(&shell_quoted(&self.url));
        let implied = if self.body.is_some() { "POST" } else { "GET" };
        if self.method != implied {
            line.push_str(" -X ");
            line.push_str(&self.method);
        }
        for (name, value) in &self.headers {
            line.push_str(" -H ");
            line.push_str(&shell_quoted(&format!("{name}: {value}")));
        }
        if let Some(body) = &self.body {
            // Of `-d`, a body that begins with `@` is the name of a file.
            line.push_str(if body.starts_with('@') { " --data-raw " } else { " -d " });
            line.push_str(&shell_quoted(body));
        }
        line
    }

    /// The body as JSON, or `None` where there is none or it is something else.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(self.body.as_deref()?).ok()
    }

    /// Whether a stream is asked for: the body is JSON with `"stream": true`.
    pub(crate) fn asks_for_stream(&self) -> bool {
        self.json()
            .is_some_and(|body| body.get("stream").and_then(Value::as_bool) == Some(true))
    }

    /// The model asked for, where the body is JSON and names one.
    pub(crate) fn model(&self) -> Option<String> {
        Some(self.json()?.get("model")?.as_str()?.to_owned())
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What was sent.
    pub(crate) request: Outgoing,
    /// Which try of this request it was, counted from 1.
    pub(crate) attempt: u32,
    /// Why it was sent once more: what it met on a connection that had been used before and that the server had ended, so
    /// that nothing at all came back. The rest is of what was sent then, and all times count from the first sending. `None`
    /// where it was sent once.
    pub(crate) resent: Option<String>,
    /// What came back, or why no whole answer did.
    pub(crate) outcome: Result<Received, Unanswered>,
    /// What had come when the answer failed; `None` for whole answers, and where not even the headers came.
    pub(crate) partial: Option<Box<Received>>,
    /// When what happened, counted from sending.
    pub(crate) times: Times,
    /// From sending to the last byte, or to the failure.
    pub(crate) took: Duration,
}

/// When a request's first steps were done, each counted from sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Times {
    /// The host's name was resolved; `None` for an address, and where a connection was used again.
    pub(crate) resolved: Option<Duration>,
    /// The connection stood; `None` where one was used again, and where none came to be.
    pub(crate) connected: Option<Duration>,
    /// The response's headers were there; `None` without a response.
    pub(crate) head: Option<Duration>,
}

/// A piece of a body as it came off the connection, noted before anything was read in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// When it came, counted from sending.
    pub(crate) at: Duration,
    /// How many bytes it has.
    pub(crate) bytes: usize,
}

/// A response, read to its end or to where it failed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Received {
    /// The protocol that it came in: `HTTP/1.1`, `HTTP/1.0` or `HTTP/2`.
    pub(crate) version: String,
    /// Status code.
    pub(crate) status: u16,
    /// Headers as received: duplicates kept, in the order in which their names came first.
    ///
    /// What is lost: upper case in names, white space around values, and of a name that came again after other names
    /// its place among them. Bytes of a value that are not UTF-8 are replaced.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, up to [`BODY_BOUND`].
    pub(crate) body: Vec<u8>,
    /// How many bytes of body came, also where `body` was cut.
    pub(crate) body_bytes: usize,
    /// `sha256:` and the hexadecimal digest of all bytes of body that came, where `body` was cut; otherwise `None`.
    pub(crate) digest: Option<String>,
    /// The pieces in which the body came, in order. What came beyond [`BODY_BOUND`] counts as one piece, at the time of
    /// its last byte.
    pub(crate) chunks: Vec<Chunk>,
}

/// Why a request got no complete response. Told apart by the types of errors, never by their words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Unanswered {
    /// The request is none that can be sent: its method, its URL or a header is malformed.
    NotSent(String),
    /// No connection: refused, unreachable, name not found, no TLS.
    NotConnected(String),
    /// No connection, since this machine has no more descriptors, ports or memory for one.
    HostExhausted(String),
    /// The port speaks another protocol than the address says.
    OtherProtocol(Spoken, String),
    /// No connection, since the server's certificate is not trusted.
    Untrusted(String),
    /// No complete response within the bound of the whole exchange.
    TimedOut(String),
    /// Nothing came for longer than the bound of silence, before the headers or between two pieces.
    Silent(String),
    /// More bytes came than the bound allows; they may never have ended.
    Endless(String),
    /// The connection ended before the response did: truncated, or closed without a word.
    CutOff(String),
    /// The connection, or the request's stream in it, was reset.
    Reset(String),
    /// What came is not HTTP.
    Malformed(String),
}

/// Most of a body that is kept, in bytes.
pub(crate) const BODY_BOUND: usize = 1 << 20;

impl Unanswered {
    /// The kind of failure in a few words, without what is of this one answer.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NotSent(_) => "cannot be sent",
            Self::NotConnected(_) => "no connection",
            Self::HostExhausted(_) => "no connection: this machine has none left",
            Self::OtherProtocol(..) => "another protocol",
            Self::Untrusted(_) => "certificate not trusted",
            Self::TimedOut(_) => "no answer in time",
            Self::Silent(_) => "fell silent",
            Self::Endless(_) => "does not end",
            Self::CutOff(_) => "cut off",
            Self::Reset(_) => "reset",
            Self::Malformed(_) => "not HTTP",
        }
    }

    /// The failure in words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::NotSent(why) => format!("the request cannot be sent: {why}"),
            Self::NotConnected(why) => format!("no connection: {why}"),
            Self::HostExhausted(why) => format!("this machine has no connection left: {why}"),
            Self::OtherProtocol(spoken, why) => format!("{} ({why})", spoken.words()),
            Self::Untrusted(why) => format!("the server's certificate is not trusted: {why}"),
            Self::TimedOut(why) => format!("no answer in time: {why}"),
            Self::Silent(why) => format!("the answer fell silent: {why}"),
            Self::Endless(why) => format!("the answer does not end: {why}"),
            Self::CutOff(why) => format!("the answer was cut off: {why}"),
            Self::Reset(why) => format!("the connection was reset: {why}"),
            Self::Malformed(why) => format!("the answer is not HTTP: {why}"),
        }
    }
}

impl Answer {
    /// The same answer, of this try of its request, counted from 1.
    #[must_use]
    pub(crate) fn on_attempt(self, attempt: u32) -> Self {
        Self { attempt, ..self }
    }

    /// What came, whether or not it came to a clean end; `None` where not even the headers came. For showing and for
    /// measuring: what is proven is proven by `outcome`.
    pub(crate) fn received(&self) -> Option<&Received> {
        self.outcome.as_ref().ok().or(self.partial.as_deref())
    }

    /// The status code, or `None` without a whole response.
    pub fn status(&self) -> Option<u16> {
        self.outcome.as_ref().ok().map(|received| received.status)
    }

    /// The first header of this name (given in lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let received = self.outcome.as_ref().ok()?;
        received
            .headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text, invalid UTF-8 replaced; empty without a response.
    pub fn text(&self) -> String {
        self.outcome
            .as_ref()
            .map(|received| String::from_utf8_lossy(&received.body).into_owned())
            .unwrap_or_default()
    }

    /// The body as JSON, strictly: nothing may follow it.
    ///
    /// # Errors
    /// There is no response, the body was cut at the bound, or it is not JSON.
    pub fn json(&self) -> Result<Value, String> {
        let received = self.outcome.as_ref().map_err(Unanswered::words)?;
        if received.body.len() < received.body_bytes {
            return Err(format!("the body is longer than {BODY_BOUND} bytes"));
        }
        serde_json::from_slice(&received.body).map_err(|error| error.to_string())
    }

    /// Whether the endpoint picker handled this response (`x-went-into-resp-headers: true`).
    ///
    /// Source: every EPP release from v0.1.0 sets it on responses that pass through it; it is absent on its own
    /// error answers, and when the gateway went around it.
    pub fn passed_endpoint_picker(&self) -> bool {
        self.header("x-went-into-resp-headers") == Some("true")
    }

    /// The pod that served it, as it says itself: `x-inference-pod`, which the simulator sets on generated answers, or in the
    /// body of an [`Echo`].
    pub fn serving_pod(&self) -> Option<Cow<'_, str>> {
        let named = self.header("x-inference-pod").map(Cow::Borrowed);
        named.or_else(|| Echo::of(self).map(|echo| Cow::Owned(echo.pod)))
    }

    /// Status and the beginning of the body, or why there is no answer, in one line.
    pub fn brief(&self) -> String {
        match &self.outcome {
            Err(unanswered) => match &self.partial {
                None => unanswered.words(),
                Some(came) => format!(
                    "{}; until then came status {} and {} bytes of body",
                    unanswered.words(),
                    came.status,
                    came.body_bytes
                ),
            },
            Ok(received) => {
                let text = self.text();
                let begin = cut(text.trim(), 300);
                if begin.is_empty() {
                    format!("status {} with an empty body", received.status)
                } else {
                    format!("status {}: {begin}", received.status)
                }
            }
        }
    }

    /// The exchange as evidence for the record: also of a response that failed, what came of it.
    pub(crate) fn exchange(&self) -> Exchange {
        let received = self.received();
        let latencies = Latencies::of(self, openai::carries_text);
        let (body, whole_body) = received.map(Received::evidence).unwrap_or_default();
        Exchange {
            curl: self.request.curl_in(received),
            attempt: self.attempt,
            status: received.map(|received| received.status),
            headers: received.map(|received| received.headers.clone()).unwrap_or_default(),
            body,
            whole_body,
            head_ms: self.times.head.map(milliseconds),
            time_to_first_token_ms: latencies.time_to_first_token.map(milliseconds),
            inter_token_ms: latencies.spread(),
            took_ms: milliseconds(self.took),
            failure: self.outcome.as_ref().err().map(Unanswered::words),
        }
    }
}

impl Received {
    /// The body as the record keeps it, and where that is not all of it, how much there is in all.
    fn evidence(&self) -> (String, Option<WholeBody>) {
        let mut text = String::from_utf8_lossy(&self.body).into_owned();
        let kept = text.floor_char_boundary(EVIDENCE_BOUND);
        let all = kept == text.len() && self.body.len() == self.body_bytes;
        text.truncate(kept);
        let whole = (!all).then(|| WholeBody {
            bytes: self.body_bytes as u64,
            digest: self
                .digest
                .clone()
                .unwrap_or_else(|| digest(Sha256::new_with_prefix(&self.body))),
        });
        (text, whole)
    }
}

/// How many of these were sent once more ([`Answer::resent`]).
pub(crate) fn resent<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> usize {
    answers.into_iter().filter(|answer| answer.resent.is_some()).count()
}

/// That some requests were sent once more, as a note; `None` where none was.
pub(crate) fn resent_note(resent: usize) -> Option<String> {
    let said = match resent {
        0 => return None,
        1 => "1 request met a connection that the server had closed without saying so, and was sent once more on a new one".to_owned(),
        many => format!(
            "{many} requests met a connection that the server had closed without saying so, and were sent once more on new ones"
        ),
    };
    Some(format!("{said} (RFC 9112, section 9.3.1)"))
}

/// Most bytes of a body that the record keeps as evidence.
const EVIDENCE_BOUND: usize = 16 * 1024;

/// A digest as it is written.
fn digest(hash: Sha256) -> String {
    format!("sha256:{:x}", hash.finalize())
}

#[cfg(test)]
#[path = "../tests/it/served.rs"]
pub(crate) mod served;

/// Headers in a form that literals are compared with.
#[cfg(test)]
pub(crate) fn texts(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{body_string, header, method, path},
    };

    use super::*;

    fn completion(url: String) -> Outgoing {
        Outgoing {
            method: "POST".into(),
            url,
            headers: vec![("Content-Type".into(), "application/json".into())],
            body: Some(r#"{"model": "it's"}"#.into()),
        }
    }

    #[test]
    fn the_curl_line_reads_back_in_a_shell() {
        let request = completion("172.18.0.9:80/v1/completions".into());
        assert_eq!(
            request.curl_in(None),
            r#"curl -i 172.18.0.9:80/v1/completions -H 'Content-Type: application/json' -d '{"model": "it'\''s"}'"#
        );
        assert_eq!(request.model().as_deref(), Some("it's"));
    }

    #[test]
    fn the_curl_line_of_a_stream_shows_it_as_it_comes_and_reads_no_file() {
        let mut request = completion("http://g/".into());
        request.headers.clear();
        request.body = Some(r#"{"stream":true}"#.into());
        assert_eq!(request.curl_in(None), r#"curl -i -N http://g/ -d '{"stream":true}'"#);
        request.body = Some("@file".into());
        assert_eq!(request.curl_in(None), "curl -i http://g/ --data-raw @file");
    }

    fn answer(outcome: Result<Received, Unanswered>, partial: Option<Received>) -> Answer {
        Answer {
            request: completion("http://g/".into()),
            attempt: 1,
            resent: None,
            outcome,
            partial: partial.map(Box::new),
            times: Times {
                head: Some(Duration::from_millis(2)),
                ..Times::default()
            },
            took: Duration::from_millis(3),
        }
    }

    fn received(body: Vec<u8>) -> Received {
        Received {
            status: 200,
            headers: vec![("a".into(), "b".into())],
            body_bytes: body.len(),
            body,
            ..Received::default()
        }
    }

    #[test]
    fn the_evidence_of_an_answer_that_was_cut_off_is_what_came_and_why_it_failed() {
        let failed = answer(Err(Unanswered::CutOff("gone".into())), Some(received(b"abc".to_vec())));
        assert_eq!(failed.status(), None, "a truncated 200 is no 200");
        assert!(failed.brief().contains("status 200 and 3 bytes"), "{}", failed.brief());
        assert!(failed.json().is_err());
        let exchange = failed.on_attempt(2).exchange();
        assert_eq!(
            (exchange.status, exchange.attempt, exchange.head_ms),
            (Some(200), 2, Some(2))
        );
        assert_eq!((exchange.headers.len(), exchange.body.as_str()), (1, "abc"));
        assert_eq!(exchange.failure.as_deref(), Some("the answer was cut off: gone"));
        assert_eq!(exchange.whole_body, None);
    }

    #[test]
    fn the_curl_line_of_an_exchange_speaks_the_protocol_of_its_answer() {
        let mut came = received(Vec::new());
        came.version = "HTTP/2".into();
        let mut answered = answer(Ok(came), None);
        assert!(
            answered
                .exchange()
                .curl
                .starts_with("curl -i --http2-prior-knowledge http://g/ ")
        );
        answered.request.url = "https://g/".into();
        assert!(
            answered.exchange().curl.starts_with("curl -i https://g/ "),
            "TLS agrees on it"
        );
    }

    #[test]
    fn the_evidence_of_a_long_body_is_its_beginning_with_length_and_digest() {
        let body = "ä".repeat(EVIDENCE_BOUND).into_bytes();
        let whole = digest(Sha256::new_with_prefix(&body));
        let bytes = body.len() as u64;
        let mut long = received(format!("a{}", "ä".repeat(EVIDENCE_BOUND)).into_bytes());
        assert_eq!(answer(Ok(long.clone()), None).exchange().body.len(), EVIDENCE_BOUND - 1);
        long.body = body;
        long.body_bytes = long.body.len();
        let exchange = answer(Ok(long), None).exchange();
        assert_eq!(exchange.body.len(), EVIDENCE_BOUND);
        assert_eq!(exchange.whole_body, Some(WholeBody { bytes, digest: whole }));
    }

    #[tokio::test]
    async fn an_answer_is_read_whole_with_its_headers() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/v1/completions"))
            .and(header("content-type", "application/json"))
            .and(body_string(r#"{"model": "it's"}"#))
            .respond_with(
                ResponseTemplate::new(200)
                    .insert_header("x-went-into-resp-headers", "true")
                    .set_body_string("{\"a\":1}"),
            )
            .mount(&server)
            .await;
        let probe = Probe::new(Duration::from_secs(5)).unwrap();
        let answer = probe.send(completion(format!("{}/v1/completions", server.uri()))).await;
        assert_eq!(answer.status(), Some(200));
        assert!(answer.passed_endpoint_picker());
        assert_eq!(answer.json().unwrap()["a"], 1);
    }

    #[tokio::test]
    async fn a_refused_connection_is_something_seen() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let probe = Probe::new(Duration::from_secs(5)).unwrap();
        let answer = probe.send(completion(format!("http://{address}/"))).await;
        assert!(matches!(answer.outcome, Err(Unanswered::NotConnected(_))), "{answer:?}");
        assert!(answer.exchange().failure.is_some());
    }

    #[tokio::test]
    async fn an_answer_that_never_comes_is_timed_out() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_mins(1)))
            .mount(&server)
            .await;
        let probe = Probe::new(Duration::from_millis(50)).unwrap();
        let answer = probe.send(completion(server.uri())).await;
        assert!(matches!(answer.outcome, Err(Unanswered::TimedOut(_))), "{answer:?}");
    }
}
