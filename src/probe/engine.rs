//! How a request is sent and its answer read: to its end, or to a bound.

use std::{future::Future, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Response,
    body::{Bytes, Incoming},
};
use hyper_util::{
    client::legacy::{Client, connect::capture_connection},
    rt::{TokioExecutor, TokioTimer},
};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};
use tower::Service as _;
use tracing::{Instrument as _, Span, field::Empty};

use super::{
    Answer, BODY_BOUND, Chunk, Outgoing, Received, Unanswered, clock,
    connection::{Connector, Traffic},
    digest, failure, head, outgoing,
    patience::{Patience, Wanted},
    trust::{self, ProbeError, Trust},
};

/// Most bytes of a body that are read where nothing else is said.
pub const BYTES_BOUND: usize = 64 << 20;

/// No request takes longer than this, whatever its bounds say.
const LONGEST: Duration = Duration::from_hours(24);

/// The longest that a connection may take to stand.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);

/// The protocol in which a probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 from the first byte, also without TLS.
    H2PriorKnowledge,
    /// What both sides agree on in the TLS handshake; HTTP/1.1 without TLS.
    #[default]
    Negotiated,
}

/// Limits after which an answer that does not end by itself is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The longest that the whole exchange may take; at most a day counts.
    pub(crate) whole: Duration,
    /// The longest that nothing may come: from sending to the headers, and between two pieces of the body.
    pub(crate) silence: Duration,
    /// Most bytes of body that are read before the answer is given up.
    pub(crate) body_bytes: usize,
    /// The protocol.
    pub(crate) protocol: Protocol,
}

impl Bounds {
    /// Bounds of an exchange that may take as long as `whole`, silent or not, and up to [`BYTES_BOUND`].
    pub(crate) fn within(whole: Duration) -> Self {
        Self {
            whole,
            silence: whole,
            body_bytes: BYTES_BOUND,
            protocol: Protocol::default(),
        }
    }

    /// How long a connection may take to stand.
    fn connects_within(&self) -> Duration {
        CONNECTS_WITHIN.min(self.whole).min(self.silence)
    }
}

/// Sends requests. Its clones share their connections.
///
/// ```
/// # use std::io::{Read as _, Write as _};
/// use std::time::Duration;
///
/// use quickproof::{
///     check::wire::{self, Expected},
///     probe::{Outgoing, Probe},
/// };
///
/// # let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let address = server.local_addr().unwrap();
/// # let serving = std::thread::spawn(move || {
/// #     let (mut connection, _) = server.accept().unwrap();
/// #     let _ = connection.read(&mut [0; 1024]).unwrap();
/// #     let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
/// #     connection.write_all(head.as_bytes()).unwrap();
/// # });
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let request = Outgoing {
///     method: "GET".to_owned(),
///     url: format!("http://{address}/v1/models"),
///     headers: Vec::new(),
///     body: None,
/// };
/// let answer = Probe::new(Duration::from_secs(5))?.send(request.clone()).await;
/// assert_eq!((answer.status(), answer.text().as_str()), (Some(200), "{}"));
///
/// // A 200 is not enough: this is no list of models.
/// let faults = wire::faults(&Expected::of(&request), &answer);
/// assert_eq!(faults[0].check, "models-list");
/// # Ok::<_, quickproof::probe::ProbeError>(())
/// # }).unwrap();
/// # serving.join().unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct Probe {
    /// Uses connections again.
    client: Client<Connector, Full<Bytes>>,
    /// Makes a connection for each request.
    afresh: Client<Connector, Full<Bytes>>,
    bounds: Bounds,
    purpose: Purpose,
    patience: Arc<Patience>,
}

/// What requests are sent for, which decides how loudly the log speaks of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To look at each answer.
    Proof,
    /// To make load.
    Load,
}

impl Probe {
    /// A probe whose requests end after `limit` at the latest; the other bounds are those of [`Bounds::within`].
    ///
    /// # Errors
    /// The TLS machinery cannot be set up.
    pub fn new(limit: Duration) -> Result<Self, ProbeError> {
        Self::with(Bounds::within(limit))
    }

    /// A probe whose requests end at these bounds at the latest. It follows no redirects and uses no proxy: the address is
    /// the one under test. A connection that does not stand after five seconds counts as none. Nothing is sent twice but
    /// what met a connection that was used before and that the server had closed meanwhile ([`Answer::resent`]).
    ///
    /// # Errors
    /// The TLS machinery cannot be set up.
    pub(crate) fn with(bounds: Bounds) -> Result<Self, ProbeError> {
        Self::trusting(bounds, &Trust::Machine)
    }

    /// The same, which takes the certificates of these.
    ///
    /// # Errors
    /// The TLS machinery cannot be set up.
    pub(crate) fn trusting(bounds: Bounds, trust: &Trust) -> Result<Self, ProbeError> {
        let connector = Connector::new(trust::tls(bounds.protocol, trust)?, bounds.connects_within());
        let client = |idle| {
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_max_idle_per_host(idle)
                .http2_only(bounds.protocol == Protocol::H2PriorKnowledge)
                .build(connector.clone())
        };
        Ok(Self {
            client: client(usize::MAX),
            afresh: client(0),
            bounds,
            purpose: Purpose::Proof,
            patience: Arc::default(),
        })
    }

    /// The same probe, whose requests are too many for the log to speak of each.
    #[must_use]
    pub(crate) fn for_load(&self) -> Self {
        Self {
            purpose: Purpose::Load,
            ..self.clone()
        }
    }

    /// Sends one request and reads the answer to its end. Never fails: what went wrong is in the answer.
    ///
    /// All times are noted when a piece comes off the connection, before anything in it is read.
    pub async fn send(&self, request: Outgoing) -> Answer {
        let span = self.span(&request);
        let answer = Box::pin(self.exchange(request)).instrument(span.clone()).await;
        span.record("status", answer.received().map(|received| received.status));
        if let Err(unanswered) = &answer.outcome {
            span.record("failure", unanswered.kind());
        }
        if let Some(why) = &answer.resent {
            tracing::debug!(parent: &span, %why, "the connection was used before and had ended: sent once more on a new one");
        }
        answer
    }

    /// Sends one request, and again after a pause while the answer says that it is not the time for it, within the bounds of
    /// [`Patience`]. An answer that is wanted is never asked for again.
    pub(crate) async fn send_patiently(&self, request: Outgoing, wanted: impl Wanted) -> Answer {
        let send = async || self.send(request.clone()).await;
        self.patience.insist(send, wanted).await
    }

    /// Whether the port of this address speaks TLS, whatever the address says.
    pub(crate) async fn speaks_tls(&self, address: &str) -> bool {
        let secured = || {
            let mut url: url::Url = address.parse().ok()?;
            let port = url.port_or_known_default();
            url.set_scheme("https").ok()?;
            url.set_port(port).ok()?;
            url.as_str().parse().ok()
        };
        let (Some(uri), Ok(tls)) = (secured(), trust::tls(self.bounds.protocol, &Trust::Anyone)) else {
            return false;
        };
        let mut connector = Connector::new(tls, self.bounds.connects_within());
        connector.call(uri).await.is_ok()
    }

    fn span(&self, request: &Outgoing) -> Span {
        let Outgoing { method, url, .. } = request;
        match self.purpose {
            Purpose::Proof => tracing::debug_span!("request", %method, %url, status = Empty, failure = Empty),
            Purpose::Load => tracing::trace_span!("request", %method, %url, status = Empty, failure = Empty),
        }
    }

    async fn exchange(&self, request: Outgoing) -> Answer {
        let began = Instant::now();
        clock::with_notes(began, async {
            let limits = Limits {
                began,
                deadline: began + self.bounds.whole.min(LONGEST),
                bounds: self.bounds,
            };
            let mut resent = None;
            let mut head = self.head(&self.client, &request, &limits).await;
            if let Err(NoHead {
                why,
                meets: Meets::AnEnd,
                ..
            }) = &head
            {
                resent = Some(why.words());
                head = self.head(&self.afresh, &request, &limits).await;
            }
            let (outcome, partial) = match head {
                Err(NoHead { why, came, .. }) => (Err(why), came.map(Box::new)),
                Ok(response) => {
                    let (parts, incoming) = response.into_parts();
                    let mut received = PartialResponse::new(&parts);
                    match body(incoming, &limits, &mut received).await {
                        Ok(()) => (Ok(received.end()), None),
                        Err(unanswered) => (Err(unanswered), Some(Box::new(received.end()))),
                    }
                }
            };
            Answer {
                request,
                attempt: 1,
                resent,
                outcome,
                partial,
                times: clock::times(),
                took: began.elapsed(),
            }
        })
        .await
    }

    /// Sends, and waits for the headers.
    async fn head(
        &self,
        client: &Client<Connector, Full<Bytes>>,
        request: &Outgoing,
        limits: &Limits,
    ) -> Result<Response<Incoming>, NoHead> {
        let mut request = outgoing::request(request).map_err(|why| NoHead::because(Unanswered::NotSent(why)))?;
        let captured = capture_connection(&mut request);
        let came = limits.next(limits.began, client.request(request)).await;
        let carried = || {
            let mut extras = http::Extensions::new();
            let connection = captured.connection_metadata();
            let connected = connection.as_ref()?;
            connected.get_extras(&mut extras);
            let traffic = extras.remove::<Arc<Traffic>>()?;
            Some((traffic, connected.is_negotiated_h2()))
        };
        match came {
            Ok(Ok(response)) => {
                clock::head_came();
                if let Some((traffic, _)) = carried() {
                    traffic.answered();
                }
                Ok(response)
            }
            Ok(Err(error)) => {
                let (traffic, is_negotiated) = carried().unwrap_or_default();
                let is_h2 = is_negotiated || self.bounds.protocol == Protocol::H2PriorKnowledge;
                let bytes = if is_h2 { Vec::new() } else { traffic.head() };
                let has_ended = traffic.has_answered() && bytes.is_empty();
                let meets_an_end = has_ended && failure::is_of_a_connection_that_went(&error);
                let why = failure::unsent(&error);
                let came = head::head(&bytes).filter(|_| matches!(why, Unanswered::Malformed(_)));
                if came.is_some() {
                    clock::head_came();
                }
                Err(NoHead {
                    came,
                    why: match head::spoken(&bytes) {
                        Some(spoken) => Unanswered::OtherProtocol(spoken, failure::words(&error)),
                        None => why,
                    },
                    meets: if meets_an_end { Meets::AnEnd } else { Meets::Nothing },
                })
            }
            Err(Unanswered::TimedOut(_) | Unanswered::Silent(_)) if clock::is_connecting() => {
                let took = limits.began.elapsed();
                let why = Unanswered::NotConnected(format!("none stands after {took:.1?}"));
                Err(NoHead::because(why))
            }
            Err(why) => Err(NoHead::because(why)),
        }
    }
}

/// Why no headers came.
struct NoHead {
    why: Unanswered,
    /// Those that came, where the client takes none such.
    came: Option<Received>,
    meets: Meets,
}

/// What a request met where no answer to it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meets {
    /// A connection that was used before, and that the server had ended: a server may do so at any time, and a client sends
    /// the request again on another (RFC 9112, sections 9.3.1 and 9.5).
    AnEnd,
    /// What the failure says.
    Nothing,
}

impl NoHead {
    fn because(why: Unanswered) -> Self {
        Self {
            why,
            came: None,
            meets: Meets::Nothing,
        }
    }
}

/// Reads the body to its end, into `received`, where what came stays when it has none.
async fn body(mut incoming: Incoming, limits: &Limits, received: &mut PartialResponse) -> Result<(), Unanswered> {
    let mut last = Instant::now();
    while let Some(frame) = limits.next(last, incoming.frame()).await? {
        let frame = frame.map_err(|error| failure::unread(&error))?;
        // An empty piece ends no silence, and neither do trailers.
        let Some(piece) = frame.into_data().ok().filter(|piece| !piece.is_empty()) else {
            continue;
        };
        last = Instant::now();
        received.take(&piece, last - limits.began);
        let most = limits.bounds.body_bytes;
        if received.so_far.body_bytes > most {
            return Err(Unanswered::Endless(format!("more than {most} bytes of body came")));
        }
    }
    Ok(())
}

/// The bounds of one exchange that has begun.
struct Limits {
    began: Instant,
    deadline: Instant,
    bounds: Bounds,
}

impl Limits {
    /// Waits for the next thing to come, where the last came at `last`.
    async fn next<T>(&self, last: Instant, next: impl Future<Output = T>) -> Result<T, Unanswered> {
        let silent_at = last + self.bounds.silence.min(LONGEST);
        let end = silent_at.min(self.deadline);
        // A timeout lets through what is there already, and of an endless flood something always is.
        let came = if Instant::now() < end {
            timeout_at(end, next).await.ok()
        } else {
            None
        };
        match came {
            Some(came) => Ok(came),
            None if self.deadline <= silent_at => {
                let whole = self.bounds.whole;
                Err(Unanswered::TimedOut(format!("not whole after {whole:?}")))
            }
            None => {
                let silence = self.bounds.silence;
                Err(Unanswered::Silent(format!("nothing came for {silence:?}")))
            }
        }
    }
}

/// A response as far as it was read.
struct PartialResponse {
    so_far: Received,
    /// The digest of what came, from when more came than is kept.
    digest: Option<Sha256>,
}

impl PartialResponse {
    fn new(head: &http::response::Parts) -> Self {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter();
        let so_far = Received {
            version: match head.version {
                // What `curl -i` prints, without a minor version.
                http::Version::HTTP_2 => "HTTP/2".to_owned(),
                version => format!("{version:?}"),
            },
            status: head.status.as_u16(),
            headers: headers.map(|(name, value)| (name.to_string(), text(value))).collect(),
            ..Received::default()
        };
        Self { so_far, digest: None }
    }

    fn take(&mut self, piece: &[u8], at: Duration) {
        let Received {
            body,
            body_bytes,
            chunks,
            ..
        } = &mut self.so_far;
        *body_bytes = body_bytes.saturating_add(piece.len());
        let (kept, beyond) = piece.split_at(piece.len().min(BODY_BOUND - body.len()));
        if !kept.is_empty() {
            body.extend_from_slice(kept);
            let bytes = kept.len();
            chunks.push(Chunk { at, bytes });
        }
        if beyond.is_empty() {
            return;
        }
        let begun = self.digest.is_some();
        let digest = self.digest.get_or_insert_with(|| Sha256::new_with_prefix(&*body));
        digest.update(beyond);
        match chunks.last_mut() {
            Some(last) if begun => {
                last.at = at;
                last.bytes = last.bytes.saturating_add(beyond.len());
            }
            _ => chunks.push(Chunk {
                at,
                bytes: beyond.len(),
            }),
        }
    }

    fn end(self) -> Received {
        Received {
            digest: self.digest.map(digest),
            ..self.so_far
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::LazyLock};

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::probe::{
        served::{Served, Wire},
        texts,
    };

    /// Long enough for anything that comes at all.
    const PATIENT: Duration = Duration::from_mins(1);
    /// Short, where the other side never comes to an end.
    const SHORT: Duration = Duration::from_millis(100);
    /// After which the other side is silent; long enough for what it says before to arrive on a busy machine.
    const QUIET: Duration = Duration::from_secs(1);

    fn get(url: impl Into<String>) -> Outgoing {
        Outgoing {
            method: "GET".into(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    async fn asked_of(served: &Served, bounds: Bounds) -> Answer {
        Probe::with(bounds).unwrap().send(get(served.url("/"))).await
    }

    /// The variant's name: what a failure is, without its words.
    fn failure(answer: &Answer) -> String {
        let debug = format!("{:?}", answer.outcome.as_ref().unwrap_err());
        debug.split('(').next().unwrap_or_default().to_owned()
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

    #[tokio::test]
    async fn each_step_has_its_time_and_each_piece_too() {
        let served = Served::bytes(format!("{HEAD}1\r\na\r\n2\r\nbc\r\n1\r\nd\r\n0\r\n\r\n")).unwrap();
        let url = served.url("/").replace("127.0.0.1", "localhost");
        let answer = Probe::new(PATIENT).unwrap().send(get(url)).await;
        let received = answer.outcome.unwrap();
        assert_eq!(received.body, b"abcd");
        assert_eq!(received.version, "HTTP/1.1");
        let sizes: Vec<usize> = received.chunks.iter().map(|chunk| chunk.bytes).collect();
        assert_eq!(sizes, [1, 2, 1]);
        let steps = [answer.times.resolved, answer.times.connected, answer.times.head].map(Option::unwrap);
        let pieces = received.chunks.iter().map(|chunk| chunk.at);
        assert!(steps.into_iter().chain(pieces).chain([answer.took]).is_sorted());
    }

    #[tokio::test]
    async fn a_connection_that_is_used_again_has_no_time_of_its_own() {
        let server = wiremock::MockServer::start().await;
        let probe = Probe::new(PATIENT).unwrap();
        let first = probe.send(get(server.uri())).await;
        let second = probe.send(get(server.uri())).await;
        assert!(first.times.connected.is_some());
        assert_eq!(second.times.connected, None);
        assert!(second.times.head.is_some());
        assert_eq!(second.status(), Some(404));
    }

    /// What becomes of a second request on a connection.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Second {
        Closed,
        Reset,
        ClosedAfterAByte,
    }

    /// Answers the first request of each connection, without a word about closing it, and does this with the second. Past
    /// so many connections none is answered at all. Says each request that it got.
    fn closing(second: Second, answered: usize) -> (Served, std::sync::mpsc::Receiver<()>) {
        let (asked, requests) = std::sync::mpsc::channel();
        let connections = std::sync::atomic::AtomicUsize::new(0);
        let served = Served::start(move |_, mut wire| {
            let _ = asked.send(());
            if connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= answered {
                return Ok(());
            }
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
            wire.next()?;
            let _ = asked.send(());
            match second {
                Second::Closed => Ok(()),
                Second::Reset => wire.reset(),
                Second::ClosedAfterAByte => wire.send("H"),
            }
        });
        (served.unwrap(), requests)
    }

    /// Two requests, one after the other.
    async fn two_of(served: &Served) -> [Answer; 2] {
        let probe = Probe::new(PATIENT).unwrap();
        let first = probe.send(get(served.url("/"))).await;
        [first, probe.send(get(served.url("/"))).await]
    }

    #[rstest]
    #[case(Second::Closed)]
    #[case(Second::Reset)]
    #[tokio::test]
    async fn what_meets_a_connection_that_the_server_had_ended_is_sent_once_more_on_a_new_one(#[case] second: Second) {
        let (served, requests) = closing(second, usize::MAX);
        let [first, second] = two_of(&served).await;
        assert_eq!((first.status(), first.resent), (Some(200), None));
        assert_eq!((second.status(), second.text().as_str()), (Some(200), "ok"));
        assert!(
            second.resent.is_some() && second.times.connected.is_some(),
            "{second:?}"
        );
        assert_eq!(requests.try_iter().count(), 3);
    }

    #[tokio::test]
    async fn an_answer_that_began_is_not_asked_for_again() {
        let (served, requests) = closing(Second::ClosedAfterAByte, usize::MAX);
        let [_, second] = two_of(&served).await;
        assert_eq!(
            (failure(&second).as_str(), &second.resent),
            ("CutOff", &None),
            "{second:?}"
        );
        assert_eq!(requests.try_iter().count(), 2);
    }

    #[tokio::test]
    async fn what_is_sent_once_more_is_not_sent_a_third_time() {
        let (served, requests) = closing(Second::Closed, 1);
        let [_, second] = two_of(&served).await;
        assert_eq!(failure(&second), "CutOff");
        assert!(second.resent.is_some(), "{second:?}");
        assert_eq!(requests.try_iter().count(), 3);
    }

    #[tokio::test]
    async fn a_new_connection_that_ends_without_an_answer_is_the_servers_doing() {
        let (served, requests) = closing(Second::Closed, 0);
        let answer = asked_of(&served, Bounds::within(PATIENT)).await;
        assert_eq!((failure(&answer).as_str(), &answer.resent), ("CutOff", &None));
        assert_eq!(requests.try_iter().count(), 1);
    }

    #[rstest]
    #[case::short_of_its_length("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", "CutOff", Some("abc"))]
    #[case::no_body_at_all("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", "CutOff", Some(""))]
    #[case::no_last_chunk(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "CutOff",
        Some("abc")
    )]
    #[case::half_a_chunk(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nabc",
        "CutOff",
        Some("abc")
    )]
    #[case::half_a_last_chunk(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        "CutOff",
        Some("abc")
    )]
    #[case::half_a_head("HTTP/1.1 200 OK\r\ncontent-", "CutOff", None)]
    #[case::closed_at_once("", "CutOff", None)]
    #[case::not_http("hello, world\r\n\r\n", "Malformed", None)]
    #[case::two_lengths(
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        "Malformed",
        Some("")
    )]
    #[case::tls("\u{15}\u{3}\u{1}\0\u{2}\u{2}F", "OtherProtocol", None)]
    #[case::no_chunk(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n",
        "Malformed",
        Some("abc")
    )]
    #[tokio::test]
    async fn what_does_not_end_as_it_should_is_no_answer(
        #[case] bytes: &str,
        #[case] expected: &str,
        #[case] partial: Option<&str>,
    ) {
        let served = Served::bytes(bytes).unwrap();
        let answer = asked_of(&served, Bounds::within(PATIENT)).await;
        assert_eq!(failure(&answer), expected, "{answer:?}");
        assert_eq!(answer.status(), None);
        assert_eq!(answer.times.head.is_some(), partial.is_some());
        let came = answer.partial.map(|received| String::from_utf8(received.body).unwrap());
        assert_eq!(came.as_deref(), partial);
    }

    #[rstest]
    #[case::by_length("HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\ndata: a\n\n12\n")]
    #[case::by_chunks(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nt: u\r\n\r\n"
    )]
    #[tokio::test]
    async fn a_response_cut_off_after_any_byte_is_no_answer(#[case] whole: &'static str) {
        let served = Served::start(|asked, mut wire| {
            let sent = asked.path().trim_start_matches('/').parse().unwrap_or(0);
            wire.send(&whole[..sent])
        })
        .unwrap();
        let probe = Probe::new(PATIENT).unwrap();
        for sent in 0..whole.len() {
            let answer = probe.send(get(served.url(&format!("/{sent}")))).await;
            assert_eq!(failure(&answer), "CutOff", "after {sent} bytes: {answer:?}");
        }
        let answer = probe.send(get(served.url(&format!("/{}", whole.len())))).await;
        assert_eq!(answer.status(), Some(200), "{answer:?}");
    }

    /// Setting up TLS is most of what a case would cost.
    static ONE_FOR_ALL: LazyLock<(tokio::runtime::Runtime, Probe)> = LazyLock::new(|| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        (runtime, Probe::new(PATIENT).unwrap())
    });

    proptest! {
        #[test]
        fn whatever_bytes_come_end_as_an_answer_or_a_failure(
            head in prop::sample::select(vec!["", "HTTP/1.1 200 OK\r\n", HEAD]),
            bytes in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let served = Served::bytes([head.as_bytes(), &bytes].concat()).unwrap();
            let (runtime, probe) = &*ONE_FOR_ALL;
            let answer = runtime.block_on(probe.send(get(served.url("/"))));
            prop_assert!(answer.took < PATIENT);
            prop_assert!(answer.received().is_none_or(|received| received.body_bytes <= bytes.len()));
        }
    }

    #[tokio::test]
    async fn a_body_without_a_length_ends_with_its_connection() {
        let served = Served::bytes("HTTP/1.0 200 OK\r\n\r\nabc").unwrap();
        let received = asked_of(&served, Bounds::within(PATIENT)).await.outcome.unwrap();
        assert_eq!(
            (received.version.as_str(), received.body.as_slice()),
            ("HTTP/1.0", &b"abc"[..])
        );
    }

    #[rstest]
    #[case::before_the_head("", false)]
    #[case::inside_the_body("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", true)]
    #[tokio::test]
    async fn a_reset_is_told_from_an_end(#[case] before: &'static str, #[case] partial: bool) {
        let served = Served::start(move |_, mut wire| {
            wire.send(before)?;
            wire.reset()
        })
        .unwrap();
        let answer = asked_of(&served, Bounds::within(PATIENT)).await;
        assert_eq!(failure(&answer), "Reset", "{answer:?}");
        assert_eq!(answer.partial.is_some(), partial);
    }

    #[rstest]
    #[case::before_the_head("", false)]
    #[case::inside_the_body("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", true)]
    #[tokio::test]
    async fn silence_ends_at_its_bound(#[case] before: &'static str, #[case] partial: bool) {
        let served = Served::start(move |_, mut wire| {
            wire.send(before)?;
            wire.hold()
        })
        .unwrap();
        let bounds = Bounds {
            silence: QUIET,
            ..Bounds::within(PATIENT)
        };
        let answer = asked_of(&served, bounds).await;
        assert_eq!(failure(&answer), "Silent", "{answer:?}");
        assert_eq!(answer.partial.is_some(), partial);
        assert!(answer.took >= QUIET);
    }

    fn for_ever(mut wire: Wire, piece: &[u8], between: Duration) -> io::Result<()> {
        wire.send("HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            wire.send(piece)?;
            std::thread::sleep(between);
        }
    }

    #[rstest]
    #[case::drips(b"a", Duration::from_millis(10))]
    #[case::flows(&[b'a'; 4096], Duration::ZERO)]
    #[tokio::test]
    async fn a_body_that_goes_on_for_ever_ends_at_the_bound_of_the_whole(
        #[case] piece: &'static [u8],
        #[case] between: Duration,
    ) {
        let served = Served::start(move |_, wire| for_ever(wire, piece, between)).unwrap();
        let bounds = Bounds {
            silence: PATIENT,
            body_bytes: usize::MAX,
            ..Bounds::within(SHORT)
        };
        let answer = asked_of(&served, bounds).await;
        assert_eq!(failure(&answer), "TimedOut", "{answer:?}");
        assert!(answer.partial.unwrap().body_bytes > 0);
    }

    #[tokio::test]
    async fn a_body_that_flows_for_ever_ends_at_the_bound_of_its_bytes() {
        let served = Served::start(|_, wire| for_ever(wire, &[b'a'; 4096], Duration::ZERO)).unwrap();
        let bounds = Bounds {
            body_bytes: BODY_BOUND + 9,
            ..Bounds::within(PATIENT)
        };
        let answer = asked_of(&served, bounds).await;
        assert_eq!(failure(&answer), "Endless", "{answer:?}");
        let partial = answer.partial.unwrap();
        assert_eq!(partial.body.len(), BODY_BOUND);
        assert!(partial.body_bytes > bounds.body_bytes);
        assert!(partial.digest.is_some());
    }

    #[tokio::test]
    async fn of_a_long_body_the_beginning_the_length_and_the_digest_are_kept() {
        let body = vec![b'a'; BODY_BOUND + 3];
        let whole = digest(Sha256::new_with_prefix(&body));
        let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(&body);
        let served = Served::bytes(bytes).unwrap();
        let received = asked_of(&served, Bounds::within(PATIENT)).await.outcome.unwrap();
        assert_eq!(received.body, body[..BODY_BOUND]);
        assert_eq!(received.body_bytes, body.len());
        assert_eq!(received.digest, Some(whole));
        let noted: usize = received.chunks.iter().map(|chunk| chunk.bytes).sum();
        assert_eq!(noted, body.len());
    }

    #[tokio::test]
    async fn headers_keep_their_order_and_their_duplicates() {
        let head = "HTTP/1.1 200 OK\r\nX-B: 1\r\nX-A: 2\r\nX-C: 3\r\nX-A: 4\r\ncontent-length: 0\r\n\r\n";
        let served = Served::bytes(head).unwrap();
        let received = asked_of(&served, Bounds::within(PATIENT)).await.outcome.unwrap();
        assert_eq!(
            texts(&received.headers),
            [
                ("x-b", "1"),
                ("x-a", "2"),
                ("x-a", "4"),
                ("x-c", "3"),
                ("content-length", "0")
            ]
        );
    }

    #[rstest]
    #[case::method("G T", "http://127.0.0.1/", "x-a")]
    #[case::url("GET", "127.0.0.1", "x-a")]
    #[case::scheme("GET", "hxxp://127.0.0.1/", "x-a")]
    #[case::header("GET", "http://127.0.0.1/", "x a")]
    #[tokio::test]
    async fn what_is_no_request_is_not_sent(#[case] method: &str, #[case] url: &str, #[case] header: &str) {
        let request = Outgoing {
            method: method.into(),
            url: url.into(),
            headers: vec![(header.into(), "1".into())],
            body: None,
        };
        let answer = Probe::new(PATIENT).unwrap().send(request).await;
        assert_eq!(failure(&answer), "NotSent", "{answer:?}");
    }

    #[tokio::test]
    async fn a_connection_that_never_stands_is_none() {
        // The second connection to a listener with room for one, which accepts none, gets no answer at all.
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let anywhere: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&anywhere.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let _first = std::net::TcpStream::connect(address).unwrap();
        let bounds = Bounds {
            silence: QUIET,
            ..Bounds::within(PATIENT)
        };
        let answer = Probe::with(bounds)
            .unwrap()
            .send(get(format!("http://{address}/")))
            .await;
        assert_eq!(failure(&answer), "NotConnected", "{answer:?}");
        assert_eq!(answer.times.connected, None);
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_no_connection() {
        // Too long for a label, so that nobody is asked for it (RFC 1035, section 2.3.4).
        let url = format!("http://{}.invalid/", "a".repeat(64));
        let answer = Probe::new(PATIENT).unwrap().send(get(url)).await;
        assert_eq!(failure(&answer), "NotConnected", "{answer:?}");
        assert_eq!(answer.times, super::super::Times::default());
    }

    /// Serves both protocols, each from the first byte.
    async fn served_by_axum(router: axum::Router) -> (String, tokio::task::JoinHandle<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (url, serving)
    }

    fn h2() -> Bounds {
        Bounds {
            protocol: Protocol::H2PriorKnowledge,
            ..Bounds::within(PATIENT)
        }
    }

    #[rstest]
    #[case(Protocol::H2PriorKnowledge, "HTTP/2")]
    #[case(Protocol::Http1, "HTTP/1.1")]
    #[case(Protocol::Negotiated, "HTTP/1.1")]
    #[tokio::test]
    async fn a_request_is_sent_in_the_protocol_that_was_chosen(#[case] protocol: Protocol, #[case] version: &str) {
        let router = axum::Router::new().route("/", axum::routing::get(async || "hello"));
        let (url, serving) = served_by_axum(router).await;
        let bounds = Bounds {
            protocol,
            ..Bounds::within(PATIENT)
        };
        let received = Probe::with(bounds).unwrap().send(get(url)).await.outcome.unwrap();
        assert_eq!(
            (received.version.as_str(), received.body.as_slice()),
            (version, &b"hello"[..])
        );
        serving.abort();
    }

    #[tokio::test]
    async fn a_reset_of_one_stream_of_a_connection_is_a_reset() {
        let broken = || async {
            let pieces = [Ok("abc"), Err(io::Error::other("broken"))];
            axum::body::Body::from_stream(futures::stream::iter(pieces))
        };
        let (url, serving) = served_by_axum(axum::Router::new().route("/", axum::routing::get(broken))).await;
        let answer = Probe::with(h2()).unwrap().send(get(url)).await;
        assert_eq!(failure(&answer), "Reset", "{answer:?}");
        serving.abort();
    }

    #[tokio::test]
    async fn a_server_of_another_protocol_is_malformed() {
        let served = Served::start(|_, mut wire| {
            wire.send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")?;
            wire.hold()
        })
        .unwrap();
        let answer = asked_of(&served, h2()).await;
        assert_eq!(failure(&answer), "Malformed", "{answer:?}");
    }
}
