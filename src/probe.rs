//! Sending requests and noting exactly what came back.
//!
//! A refused connection is something seen, not an error: [`Probe::send`] never fails. Nothing here judges an answer;
//! that is `check`'s work.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::record::Exchange;

pub mod metrics;
pub mod sse;

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
    /// The request as a `curl` command line to copy into a shell.
    pub fn curl(&self) -> String {
        let mut line = format!("curl -i {}", shell_quoted(&self.url));
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
            line.push_str(" -d ");
            line.push_str(&shell_quoted(body));
        }
        line
    }

    /// The body as JSON, or `None` where there is none or it is something else.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(self.body.as_deref()?).ok()
    }

    /// The model asked for, where the body is JSON and names one.
    pub fn model(&self) -> Option<String> {
        Some(self.json()?.get("model")?.as_str()?.to_owned())
    }
}

fn shell_quoted(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=@%+,".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What was sent.
    pub request: Outgoing,
    /// Which try of this request it was, counted from 1.
    pub attempt: u32,
    /// What came back, or why no whole answer did.
    pub outcome: Result<Received, Unanswered>,
    /// What had come when the answer failed; `None` for whole answers, and where not even the headers came.
    pub partial: Option<Box<Received>>,
    /// When what happened, counted from sending.
    pub times: Times,
    /// From sending to the last byte, or to the failure.
    pub took: Duration,
}

/// When a request's first steps were done, each counted from sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// The host's name was resolved; `None` for an address, and where a connection was used again.
    pub resolved: Option<Duration>,
    /// The connection stood; `None` where one was used again, and where none came to be.
    pub connected: Option<Duration>,
    /// The response's headers were there; `None` without a response.
    pub head: Option<Duration>,
}

/// A piece of a body as it came off the connection, noted before anything was read in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// When it came, counted from sending.
    pub at: Duration,
    /// How many bytes it has.
    pub bytes: usize,
}

/// A response, read to its end or to the bound.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// Status code.
    pub status: u16,
    /// Headers as received: order and duplicates kept, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, up to [`BODY_BOUND`].
    pub body: Vec<u8>,
    /// The body's whole length in bytes, also where `body` was cut.
    pub body_bytes: usize,
    /// The pieces in which the body came, in order.
    pub chunks: Vec<Chunk>,
}

/// Why a request got no complete response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// No connection: refused, unreachable, name not found.
    NotConnected(String),
    /// No complete response in time.
    TimedOut(String),
    /// The connection ended inside the response.
    CutOff(String),
}

/// Most of a body that is kept, in bytes.
pub const BODY_BOUND: usize = 1 << 20;

impl Unanswered {
    /// The failure in words.
    pub fn words(&self) -> String {
        match self {
            Self::NotConnected(why) => format!("no connection: {why}"),
            Self::TimedOut(why) => format!("no answer in time: {why}"),
            Self::CutOff(why) => format!("the answer was cut off: {why}"),
        }
    }
}

impl Answer {
    /// The status code, or `None` without a response.
    pub fn status(&self) -> Option<u16> {
        self.outcome.as_ref().ok().map(|received| received.status)
    }

    /// The first header of this name (given in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
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

    /// The pod that served it (`x-inference-pod`, set by the simulator on generated answers).
    pub fn serving_pod(&self) -> Option<&str> {
        self.header("x-inference-pod")
    }

    /// Status and the beginning of the body, in one line.
    pub fn brief(&self) -> String {
        match &self.outcome {
            Err(unanswered) => unanswered.words(),
            Ok(received) => {
                let text = self.text();
                let begin: String = text.trim().chars().take(300).collect();
                if begin.is_empty() {
                    format!("status {} with an empty body", received.status)
                } else {
                    format!("status {}: {begin}", received.status)
                }
            }
        }
    }

    /// The exchange as evidence for the record.
    pub fn exchange(&self) -> Exchange {
        let received = self.outcome.as_ref().ok();
        Exchange {
            curl: self.request.curl(),
            status: self.status(),
            headers: received.map(|received| received.headers.clone()).unwrap_or_default(),
            body: self.text().chars().take(16 * 1024).collect(),
            took_ms: u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            failure: self.outcome.as_ref().err().map(Unanswered::words),
        }
    }
}

/// Sends requests.
#[derive(Debug, Clone)]
pub struct Probe {
    client: reqwest::Client,
}

impl Probe {
    /// A probe whose requests end after `limit` at the latest. It follows no redirects and uses no proxy: the address
    /// is the one under test.
    ///
    /// # Errors
    /// The TLS machinery cannot be set up.
    pub fn new(limit: Duration) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(limit.min(Duration::from_secs(5)))
            .timeout(limit)
            .build()?;
        Ok(Self { client })
    }

    /// Sends one request and reads the answer to its end. Never fails: what went wrong is in the answer.
    pub async fn send(&self, request: Outgoing) -> Answer {
        let began = Instant::now();
        let outcome = self.exchange(&request, began).await;
        Answer {
            request,
            attempt: 1,
            outcome,
            partial: None,
            times: Times::default(),
            took: began.elapsed(),
        }
    }

    async fn exchange(&self, request: &Outgoing, began: Instant) -> Result<Received, Unanswered> {
        let method = request
            .method
            .parse()
            .map_err(|_| Unanswered::NotConnected(format!("`{}` is not a method", request.method)))?;
        let mut outgoing = self.client.request(method, &request.url);
        for (name, value) in &request.headers {
            outgoing = outgoing.header(name, value);
        }
        if let Some(body) = &request.body {
            outgoing = outgoing.body(body.clone());
        }
        let mut response = outgoing.send().await.map_err(|error| unanswered(&error))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let (mut body, mut body_bytes, mut chunks) = (Vec::new(), 0, Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(|error| cut_off(&error))? {
            chunks.push(Chunk {
                at: began.elapsed(),
                bytes: chunk.len(),
            });
            body_bytes += chunk.len();
            body.extend_from_slice(&chunk[..chunk.len().min(BODY_BOUND - body.len())]);
        }
        Ok(Received {
            status,
            headers,
            body,
            body_bytes,
            chunks,
        })
    }
}

fn chain(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        words.push(error.to_string());
        next = error.source();
    }
    words.dedup();
    words.join(": ")
}

fn unanswered(error: &reqwest::Error) -> Unanswered {
    if error.is_connect() || error.is_builder() {
        Unanswered::NotConnected(chain(error))
    } else if error.is_timeout() {
        Unanswered::TimedOut(chain(error))
    } else {
        Unanswered::CutOff(chain(error))
    }
}

fn cut_off(error: &reqwest::Error) -> Unanswered {
    if error.is_timeout() {
        Unanswered::TimedOut(chain(error))
    } else {
        Unanswered::CutOff(chain(error))
    }
}

#[cfg(test)]
#[path = "../tests/it/served.rs"]
pub(crate) mod served;

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
            request.curl(),
            r#"curl -i 172.18.0.9:80/v1/completions -H 'Content-Type: application/json' -d '{"model": "it'\''s"}'"#
        );
        assert_eq!(request.model().as_deref(), Some("it's"));
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
    async fn a_response_that_ends_early_is_cut_off() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\"")
                .await
                .unwrap();
        };
        let probe = Probe::new(Duration::from_secs(5)).unwrap();
        let (answer, ()) = tokio::join!(probe.send(completion(format!("http://{address}/"))), serve);
        assert!(matches!(answer.outcome, Err(Unanswered::CutOff(_))), "{answer:?}");
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
