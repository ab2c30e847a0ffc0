//! A proxy before the API server of a run: for faults that only an API server can have, and to count what is asked of it.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, stream};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
    upgrade,
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use super::Says;
use crate::host::in_words;

/// The body of an answer.
type Answered = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// A proxy on the loopback interface, for as long as it is held.
pub(super) struct Proxy {
    address: SocketAddr,
    mood: watch::Sender<Option<Now>>,
    state: Arc<State>,
    _accepting: AbortOnDropHandle<()>,
}

/// What the API server does for a while.
#[derive(Debug, Clone, Copy)]
struct Now {
    says: Says,
    until: Instant,
}

struct State {
    client: kube::Client,
    mood: watch::Receiver<Option<Now>>,
    asked: AtomicU64,
    /// Of those, how many met a mood.
    refused: AtomicU64,
}

impl Proxy {
    /// Listens at a free port, and asks with this client.
    ///
    /// # Errors
    /// No port can be had.
    pub(super) async fn start(client: kube::Client) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (mood, heard) = watch::channel(None);
        let state = Arc::new(State {
            client,
            mood: heard,
            asked: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            mood,
            state,
            _accepting: AbortOnDropHandle::new(accepting),
        })
    }

    /// Writes a kubeconfig that leads through it, with one context of this name. It has no credentials: the proxy's are used.
    pub(super) fn write_kubeconfig(&self, path: &Path, context: &str) -> io::Result<()> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": context,
            "clusters": [{"name": context, "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": context, "user": {}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        });
        std::fs::write(path, config.to_string())
    }

    /// From now on, and for so long, the API server does this.
    pub(super) fn begin(&self, says: Says, lasts: Duration) {
        let until = Instant::now() + lasts;
        let _ = self.mood.send(Some(Now { says, until }));
    }

    /// How many requests came.
    pub(super) fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::Relaxed)
    }

    /// How many of them the API server did not answer as it should.
    pub(super) fn refused(&self) -> u64 {
        self.state.refused.load(Ordering::Relaxed)
    }
}

impl State {
    /// The mood right now.
    fn mood(&self) -> Option<Now> {
        self.mood.borrow().filter(|mood| Instant::now() < mood.until)
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((connection, _)) = listener.accept().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        let state = Arc::clone(&state);
        let service = service_fn(move |request| answer(Arc::clone(&state), request));
        let serving = http1::Builder::new().serve_connection(TokioIo::new(connection), service);
        // How a connection ends is for whoever began it.
        connections.spawn(async move { drop(serving.with_upgrades().await) });
    }
}

/// # Errors
/// The connection is to be closed without a word.
async fn answer(state: Arc<State>, request: Request<Incoming>) -> io::Result<Answered> {
    state.asked.fetch_add(1, Ordering::Relaxed);
    if let Some(mood) = state.mood() {
        if mood.says != Says::AsItShould {
            state.refused.fetch_add(1, Ordering::Relaxed);
        }
        match mood.says {
            Says::AsItShould => {}
            Says::Error => return Ok(status(StatusCode::INTERNAL_SERVER_ERROR, SAID)),
            Says::Busy => return Ok(status(StatusCode::TOO_MANY_REQUESTS, SAID)),
            Says::Expired => return Ok(status(StatusCode::GONE, SAID)),
            Says::Closed => return Err(io::Error::other(SAID)),
            Says::Silence => tokio::time::sleep_until(mood.until).await,
        }
    }
    match forward(&state, request).await {
        Ok(answered) => Ok(answered),
        Err(error) => Ok(status(StatusCode::BAD_GATEWAY, &in_words(&*error))),
    }
}

const JSON: header::HeaderValue = header::HeaderValue::from_static("application/json");

/// Why nothing else is said.
const SAID: &str = "the selftest says so";

/// What the API server itself says of an error.
fn status(code: StatusCode, message: &str) -> Answered {
    let reason = match code {
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::GONE => "Expired",
        _ => "InternalError",
    };
    let body = json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "reason": reason,
        "message": message, "code": code.as_u16()});
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never: Infallible| match never {});
    let mut answered = Response::new(body.boxed_unsync());
    *answered.status_mut() = code;
    answered.headers_mut().insert(header::CONTENT_TYPE, JSON);
    answered
}

async fn forward(state: &State, mut request: Request<Incoming>) -> anyhow::Result<Answered> {
    let is_upgrade = request.headers().contains_key(header::UPGRADE);
    let theirs = is_upgrade.then(|| upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    // Where it goes and who asks is the client's to say.
    parts.headers.remove(header::HOST);
    parts.headers.remove(header::AUTHORIZATION);
    parts.headers.remove(header::ACCEPT_ENCODING);
    // The client knows answers of an API server by their JSON; programs of others ask for another form where there is one.
    let asks = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if asks.is_some_and(|asks| asks.contains("protobuf")) {
        parts.headers.insert(header::ACCEPT, JSON);
    }
    let body = body.collect().await?.to_bytes();
    let asked = Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
    let mut answered = state.client.send(asked).await?;
    if let Some(theirs) = theirs
        && answered.status() == StatusCode::SWITCHING_PROTOCOLS
    {
        let ours = upgrade::on(&mut answered);
        tokio::spawn(async move {
            let (theirs, ours) = tokio::try_join!(theirs, ours)?;
            tokio::io::copy_bidirectional(&mut TokioIo::new(theirs), &mut TokioIo::new(ours)).await?;
            anyhow::Ok(())
        });
    }
    let (parts, body) = answered.into_parts();
    let frames = body.into_data_stream().map(|data| data.map_err(io::Error::other));
    let frames = unless_cut(frames, state.mood.clone());
    Ok(Response::from_parts(parts, StreamBody::new(frames).boxed_unsync()))
}

/// The data of an answer, which breaks off when the API server begins to refuse, and says nothing while it is silent.
fn unless_cut(
    data: impl stream::Stream<Item = io::Result<Bytes>> + Send + 'static,
    mood: watch::Receiver<Option<Now>>,
) -> impl stream::Stream<Item = io::Result<Frame<Bytes>>> + Send {
    stream::unfold(Some((Box::pin(data), mood)), |open| async {
        let (mut data, mut mood) = open?;
        loop {
            let next = tokio::select! {
                biased;
                // Whoever holds the proxy is there for as long as this is asked.
                changed = mood.changed() => changed.err().map(|_| None),
                next = data.next() => Some(next),
            };
            match next {
                Some(Some(Ok(bytes))) => return Some((Ok(Frame::data(bytes)), Some((data, mood)))),
                Some(Some(Err(error))) => return Some((Err(error), None)),
                Some(None) => return None,
                None => {}
            }
            // One that is over is nothing to an answer that began after it.
            let now = mood.borrow_and_update().filter(|mood| Instant::now() < mood.until);
            match now {
                Some(Now {
                    says: Says::Silence,
                    until,
                }) => tokio::time::sleep_until(until).await,
                Some(Now {
                    says: Says::Error | Says::Busy | Says::Expired | Says::Closed,
                    ..
                }) => return Some((Err(io::Error::other(SAID)), None)),
                Some(Now {
                    says: Says::AsItShould, ..
                })
                | None => {}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers that begin before, while and after an API server closes connections for a second.
    #[tokio::test(start_paused = true)]
    async fn an_answer_is_cut_while_the_mood_stands_and_not_after_it() {
        let (mood, heard) = watch::channel(None);
        let pieces = || stream::iter([Ok(Bytes::from_static(b"a"))]).chain(stream::pending());
        let mut before = Box::pin(unless_cut(pieces(), heard.clone()));
        assert!(before.next().await.unwrap().is_ok());
        let until = Instant::now() + Duration::from_secs(1);
        let says = Says::Closed;
        mood.send(Some(Now { says, until })).unwrap();
        assert!(before.next().await.unwrap().is_err());
        assert!(before.next().await.is_none());
        tokio::time::sleep_until(until).await;
        let mut after = Box::pin(unless_cut(pieces(), heard));
        assert!(after.next().await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_says_nothing_while_the_api_server_is_silent_and_goes_on_after_it() {
        let (mood, heard) = watch::channel(None);
        let until = Instant::now() + Duration::from_secs(20);
        let says = Says::Silence;
        mood.send(Some(Now { says, until })).unwrap();
        let mut silent = Box::pin(unless_cut(stream::iter([Ok(Bytes::from_static(b"a"))]), heard));
        assert!(silent.next().await.unwrap().is_ok());
        assert!(Instant::now() >= until);
        assert!(silent.next().await.is_none());
    }
}
