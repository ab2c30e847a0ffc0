//! The web: one request, whole answers of bounded size, and failures told apart.
//!
//! What a server says (404, a page in place of an archive) is an answer. What keeps it from answering is infrastructure,
//! and only that is asked for again. Proxies are those of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use reqwest::{
    Client, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
    redirect,
};
use url::Url;

use super::{Host, Pauses, in_words, retry};
use crate::redact::cut;

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long a server may be silent.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// How long an answer may take as a whole, with the requests that are sent again.
const ANSWER_LIMIT: Duration = Duration::from_mins(5);

/// How often a request is sent again when infrastructure fails it.
const MOST_RETRIES: usize = 2;

/// How long before the first time; before the second it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(600);

/// How many redirects are followed.
const MOST_REDIRECTS: usize = 5;

/// Something asked of a server.
#[derive(Debug, Clone)]
pub(crate) struct WebRequest {
    pub(crate) url: Url,
    /// The body; a request with one is a POST.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// How to show who asks. It does not follow a redirect to another host.
    pub(crate) credential: Credential,
    /// The most bytes of the answer.
    pub(crate) most_bytes: usize,
}

impl WebRequest {
    pub(crate) fn get(url: Url, most_bytes: usize) -> Self {
        Self {
            url,
            body: None,
            headers: Vec::new(),
            credential: Credential::None,
            most_bytes,
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// How to show who asks.
#[derive(Clone, Default)]
pub(crate) enum Credential {
    #[default]
    None,
    /// A token, as the API takes it.
    Bearer(String),
    /// A token, as git takes it over HTTP.
    Basic(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(…)",
            Self::Basic(_) => "Basic(…)",
        })
    }
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct WebResponse {
    pub(crate) status: StatusCode,
    /// Where it came from in the end, redirects followed.
    pub(crate) url: Url,
    /// The kind of content, as the server names it; may be empty.
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// Nobody answered, or the answer broke off.
    #[error("`{url}` does not answer ({what}); see that this machine reaches it, also through `HTTPS_PROXY`")]
    Unreachable {
        /// The address asked.
        url: String,
        /// What was seen, with its sources.
        what: String,
    },
    /// The server is broken.
    #[error("`{url}` is broken (status {status}); try again later")]
    ServerBroken {
        /// The address asked.
        url: String,
        /// The status.
        status: u16,
    },
    /// Too many requests came from here.
    #[error("`{host}` takes no more requests from here{until} (status {status}); {way_out}")]
    RateLimited {
        /// The host asked.
        host: String,
        /// The status.
        status: u16,
        /// When it takes some again, as ` until TIME`; empty where it does not say.
        until: String,
        /// What to do.
        way_out: &'static str,
    },
    /// The answer is larger than anything that is asked for.
    #[error("`{url}` gave more than {limit} bytes, which nothing that is asked for has")]
    TooLarge {
        /// The address asked.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// An address of ours or of the environment is none.
    #[error("`{text}` is no address of a server{from}; expected one such as `https://github.com`")]
    NoAddress {
        /// The text.
        text: String,
        /// Where it comes from, as ` (VARIABLE)`; may be empty.
        from: String,
    },
}

/// Reads the address of a server. `from` says where it comes from, as ` (VARIABLE)`; it may be empty.
pub(crate) fn address(text: &str, from: String) -> Result<Url, WebError> {
    let parsed = Url::parse(text).ok();
    let url = parsed.filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| WebError::NoAddress {
        text: cut(text, 200),
        from,
    })
}

/// An address without what only its owner may know, its userinfo: under this name what was fetched is kept.
pub(crate) fn without_userinfo(url: &Url) -> Url {
    let mut url = url.clone();
    // Only an address that can have none refuses, and such a one has none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// A client for all requests that belong together, such as those of one release.
#[derive(Debug)]
pub(crate) struct Web {
    http: Client,
    /// What to do where a server takes no more requests.
    way_out: &'static str,
    notes: Mutex<Vec<String>>,
}

impl Web {
    /// A client for a release's requests, all of which may be in the cache already.
    pub(crate) fn new(host: &Host) -> Result<Self, WebError> {
        Self::with_way_out(if host.variable("GITHUB_TOKEN").is_some() {
            "wait until then, or use what is in the cache with `--offline`"
        } else {
            "set `GITHUB_TOKEN`, which has a limit of its own, or use what is in the cache with `--offline`"
        })
    }

    /// A client. `way_out` says what to do where a server takes no more requests.
    pub(crate) fn with_way_out(way_out: &'static str) -> Result<Self, WebError> {
        // What began encrypted stays so: a redirect to plain HTTP would let anybody on the way answer.
        let redirects = redirect::Policy::custom(|attempt| {
            let downgraded = attempt.url().scheme() == "http"
                && attempt
                    .previous()
                    .first()
                    .is_some_and(|first| first.scheme() == "https");
            if downgraded {
                attempt.error("it redirects from https to http")
            } else if attempt.previous().len() > MOST_REDIRECTS {
                attempt.error("it redirects too often")
            } else {
                attempt.follow()
            }
        });
        let http = Client::builder()
            .user_agent(concat!("quickproof/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(SILENCE_LIMIT)
            .redirect(redirects)
            .build()
            .map_err(|error| WebError::Unreachable {
                url: "the web".into(),
                what: in_words(&error),
            })?;
        Ok(Self {
            http,
            way_out,
            notes: Mutex::default(),
        })
    }

    /// Sends a request, and sends it again where infrastructure fails it; each failure that was got over is noted.
    pub(crate) async fn send(&self, request: &WebRequest) -> Result<WebResponse, WebError> {
        let answered = tokio::time::timeout(ANSWER_LIMIT, self.send_patiently(request)).await;
        answered.unwrap_or_else(|_| {
            Err(WebError::Unreachable {
                url: request.url.to_string(),
                what: format!("no whole answer within {} s", ANSWER_LIMIT.as_secs()),
            })
        })
    }

    async fn send_patiently(&self, request: &WebRequest) -> Result<WebResponse, WebError> {
        let mut pauses = Pauses::doubling(FIRST_PAUSE, 2 * FIRST_PAUSE).take(MOST_RETRIES);
        let may_pass = |error: &WebError| matches!(error, WebError::Unreachable { .. } | WebError::ServerBroken { .. });
        let note = |error: &WebError| {
            let note = format!("asked again after a failure: {}", in_words(error));
            self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
        };
        retry(|_| pauses.next(), || self.send_once(request), may_pass, note).await
    }

    /// What should be known of the requests so far.
    pub(crate) fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[tracing::instrument(name = "fetch", level = "debug", skip_all, fields(url = %request.url, status, bytes), err(level = "debug"))]
    async fn send_once(&self, request: &WebRequest) -> Result<WebResponse, WebError> {
        let unreachable = |error: reqwest::Error| WebError::Unreachable {
            url: request.url.to_string(),
            // The address is in the message already.
            what: in_words(&error.without_url()),
        };
        let mut sending = match &request.body {
            None => self.http.get(request.url.clone()),
            Some(body) => self.http.post(request.url.clone()).body(body.clone()),
        };
        for (name, value) in &request.headers {
            sending = sending.header(*name, value);
        }
        sending = match &request.credential {
            Credential::None => sending,
            Credential::Bearer(token) => sending.bearer_auth(token),
            // GitHub takes any user name with a token for password.
            Credential::Basic(token) => sending.basic_auth("x-access-token", Some(token)),
        };
        let answer = sending.send().await.map_err(unreachable)?;
        let status = answer.status();
        let span = tracing::Span::current();
        span.record("status", status.as_u16());
        if status.is_server_error() {
            return Err(WebError::ServerBroken {
                url: request.url.to_string(),
                status: status.as_u16(),
            });
        }
        if let Some(until) = rate_limit(&answer) {
            return Err(WebError::RateLimited {
                host: answer.url().host_str().unwrap_or_default().to_owned(),
                status: status.as_u16(),
                until,
                way_out: self.way_out,
            });
        }
        let url = answer.url().clone();
        let content_type = text_of(answer.headers(), CONTENT_TYPE.as_str());
        let mut body = Vec::new();
        let mut parts = answer.bytes_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(unreachable)?;
            if body.len() + part.len() > request.most_bytes {
                return Err(WebError::TooLarge {
                    url: request.url.to_string(),
                    limit: request.most_bytes,
                });
            }
            body.extend_from_slice(&part);
        }
        Ok(WebResponse {
            status,
            url,
            content_type,
            body,
        })
    }
}

/// Until when no request is taken, where that is what the answer says. Source: GitHub REST API, "Rate limits".
fn rate_limit(answer: &Response) -> Option<String> {
    let headers = answer.headers();
    let used_up = text_of(headers, "x-ratelimit-remaining") == "0";
    let waits = headers.contains_key(RETRY_AFTER);
    match answer.status() {
        StatusCode::TOO_MANY_REQUESTS => {}
        StatusCode::FORBIDDEN if used_up || waits => {}
        _ => return None,
    }
    let reset: Option<i64> = text_of(headers, "x-ratelimit-reset").parse().ok();
    let until = reset.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let seconds = text_of(headers, RETRY_AFTER.as_str());
    Some(match (until, seconds.parse::<u64>()) {
        (Some(until), _) => format!(" until {until}"),
        (None, Ok(seconds)) => format!(" for {seconds} s"),
        (None, Err(_)) => String::new(),
    })
}

fn text_of(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        time::{Instant, sleep},
    };

    use super::*;

    /// A server that says a byte a second, for ever.
    async fn dripping() -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                tokio::spawn(async move {
                    connection.read_buf(&mut Vec::new()).await?;
                    connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                    loop {
                        sleep(Duration::from_secs(1)).await;
                        connection.write_all(b"x").await?;
                    }
                    #[expect(unreachable_code, reason = "the type of the errors")]
                    Ok::<(), std::io::Error>(())
                });
            }
        });
        url.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_drips_ends_within_the_bound_of_all_its_tries() {
        let web = Web::new(&Host::with_variables([])).unwrap();
        let request = WebRequest::get(dripping().await, 1 << 20);
        let began = Instant::now();
        let error = web.send(&request).await.unwrap_err();
        assert!(matches!(error, WebError::Unreachable { .. }), "{error}");
        let took = began.elapsed();
        assert!(took <= ANSWER_LIMIT + Duration::from_secs(1), "{took:?}");
    }
}
