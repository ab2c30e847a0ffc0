//! Every call of the API server has an end: in time, in bytes, and in who may answer it.
//!
//! This is the one way to an API server: a client is made here and nowhere else (`tests/it/architecture` holds that). It
//! tries nothing again; that is [`super::resources::persistently`].

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use http::{Request, Response, StatusCode, response::Parts};
use http_body_util::{BodyDataStream, BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Body, Bytes, Frame};
use kube::{
    Client,
    client::{Body as Sent, ClientBuilder},
};
use tokio::time::{Instant, timeout_at};
use tower::{BoxError, Service, layer::layer_fn};

use super::{
    answerer::{NoAnswer, Wanted, own_answer},
    calls::Logged,
};
use crate::{
    host::{in_words, json::Pieces},
    record::Events,
};

/// How long a call may take, to the last byte of its answer.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(30);
/// The longest answer that is read. An object has 1.5 MiB at most (etcd's limit of a request), and lists come in pages.
pub(crate) const ANSWER_MEBIBYTES: usize = 16;
/// The most objects of an answer or an event, those within others counted. One takes up to 2 KB as a type of Kubernetes.
const MOST_OBJECTS: usize = 100_000;
/// The longest event of a watch.
const EVENT_MEBIBYTES: usize = 4;
/// How soon a watch must not end.
const SOON: Duration = Duration::from_secs(1);
/// How long a watch may take to begin, since it has nothing to look for first; and an event of it to be whole.
const WATCH_BEGINS_WITHIN: Duration = Duration::from_secs(10);
/// How long the API server lets a watch stand that names no time. Source: kube's watcher, which asks for 290 s.
const WATCH_LIMIT: Duration = Duration::from_secs(290);

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// The client of a cluster, over a service that sends its calls. `events` hears of each that the API server does not answer.
pub(super) fn client<S, B>(service: ClientBuilder<S>, events: &Events) -> Client
where
    S: Service<Request<Sent>, Response = Response<B>, Error: Into<BoxError>, Future: Send> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let bounded = layer_fn(|service| Bounded {
        service,
        events: events.clone(),
    });
    service.with_layer(&bounded).with_layer(&layer_fn(Logged)).build()
}

/// A service of the Kubernetes client whose calls end.
#[derive(Clone)]
pub(super) struct Bounded<S> {
    service: S,
    events: Events,
}

impl<S, B> Service<Request<Sent>> for Bounded<S>
where
    S: Service<Request<Sent>, Response = Response<B>, Error: Into<BoxError>, Future: Send + 'static>,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Sent>) -> Self::Future {
        let wanted = Wanted::of(request.method(), request.uri());
        let stands = stands(request.uri().query());
        let sent = self.service.call(request);
        let (began, events) = (Instant::now(), self.events.clone());
        let answered = async move {
            let (ends, begins_within) = match wanted {
                Wanted::Stream => (began + CALL_LIMIT, WATCH_BEGINS_WITHIN),
                _ => (began + CALL_LIMIT, CALL_LIMIT),
            };
            let answer = timeout_at(began + begins_within, sent).await;
            let answer = answer.map_err(|_| too_slow(begins_within))?;
            let (parts, body) = answer.map_err(Into::into)?.into_parts();
            if parts.status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(Response::from_parts(parts, body.map_err(Into::into).boxed_unsync()));
            }
            if wanted == Wanted::Stream && parts.status == StatusCode::OK {
                return Ok(Response::from_parts(parts, watched(body, began, stands)));
            }
            let whole = timeout_at(ends, whole(body))
                .await
                .map_err(|_| too_slow(CALL_LIMIT))??;
            Ok::<_, BoxError>(own(&wanted, parts, whole)?)
        };
        Box::pin(async move {
            let answer = answered.await;
            match &answer {
                Ok(answer) if !is_trouble(answer.status()) => {}
                // Whoever asked may ask again, for as long as its limit allows: somebody who looks on sees why.
                Ok(answer) => events.waiting(events.stage(), ON, format!("it answers {}", answer.status())),
                Err(error) => events.waiting(events.stage(), ON, in_words(error.as_ref())),
            }
            answer
        })
    }
}

/// What is waited for where a call is not answered.
const ON: &str = "the API server";

/// Whether the API server speaks of itself by this.
fn is_trouble(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

fn too_slow(limit: Duration) -> NoAnswer {
    NoAnswer::TooSlow {
        seconds: limit.as_secs(),
    }
}

/// The answer if it is the API server's own.
fn own(wanted: &Wanted, parts: Parts, body: Vec<u8>) -> Result<Answer, NoAnswer> {
    let body = own_answer(wanted, parts.status, &parts.headers, body)?;
    Ok(Response::from_parts(
        parts,
        Full::from(body).map_err(|never| match never {}).boxed_unsync(),
    ))
}

/// Reads an answer to its end.
async fn whole<B>(body: B) -> Result<Vec<u8>, BoxError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let mut pieces = std::pin::pin!(BodyDataStream::new(body));
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(Into::into)?;
        if whole.len() + piece.len() > ANSWER_MEBIBYTES << 20 {
            return Err(NoAnswer::TooLong {
                mebibytes: ANSWER_MEBIBYTES,
            }
            .into());
        }
        whole.extend_from_slice(&piece);
    }
    few(Pieces::of(&whole).objects)?;
    Ok(whole)
}

/// Says no to more objects than memory is given to.
fn few(objects: usize) -> Result<(), NoAnswer> {
    if objects > MOST_OBJECTS {
        return Err(NoAnswer::TooMany { most: MOST_OBJECTS });
    }
    Ok(())
}

/// How long a watch may stand: as long as it asks for, and a call's limit more.
fn stands(query: Option<&str>) -> Duration {
    let asked = query.into_iter().flat_map(|query| query.split('&'));
    let mut asked = asked.filter_map(|one| one.strip_prefix("timeoutSeconds=")?.parse().ok());
    asked.next().map_or(WATCH_LIMIT, Duration::from_secs) + CALL_LIMIT
}

/// A watch under way.
struct Watch<P> {
    pieces: Pin<Box<P>>,
    began: Instant,
    /// How long it may stand.
    limit: Duration,
    /// Bytes since the last end of a line.
    event: usize,
    /// What has come since then.
    json: Pieces,
    /// Since when there are some.
    event_since: Option<Instant>,
}

/// A watch whose events end, and which ends itself.
fn watched<B>(body: B, began: Instant, limit: Duration) -> UnsyncBoxBody<Bytes, BoxError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let watch = Watch {
        pieces: Box::pin(BodyDataStream::new(body)),
        began,
        limit,
        event: 0,
        json: Pieces::default(),
        event_since: None,
    };
    StreamBody::new(stream::try_unfold(watch, async |mut watch| {
        let (ends, limit) = match watch.event_since {
            Some(since) => (since + WATCH_BEGINS_WITHIN, WATCH_BEGINS_WITHIN),
            None => (watch.began + watch.limit, watch.limit),
        };
        let next = timeout_at(ends, watch.pieces.next()).await;
        let Some(piece) = next.map_err(|_| too_slow(limit))? else {
            return if watch.began.elapsed() < SOON {
                Err(NoAnswer::Short.into())
            } else {
                Ok(None)
            };
        };
        let piece: Bytes = match piece {
            Ok(piece) => piece,
            // kube takes a cut for an end, too.
            Err(_) if watch.began.elapsed() < SOON => return Err(NoAnswer::Short.into()),
            Err(error) => return Err(error.into()),
        };
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            watch.event += line.len();
            watch.json.feed(line);
            few(watch.json.objects)?;
            if line.ends_with(b"\n") {
                (watch.event, watch.json) = (0, Pieces::default());
            }
        }
        let is_whole = watch.event == 0 || piece.contains(&b'\n');
        watch.event_since = match watch.event_since {
            _ if watch.event == 0 => None,
            Some(since) if !is_whole => Some(since),
            _ => Some(Instant::now()),
        };
        if watch.event > EVENT_MEBIBYTES << 20 {
            return Err(BoxError::from(NoAnswer::TooLong {
                mebibytes: EVENT_MEBIBYTES,
            }));
        }
        Ok(Some((Frame::data(piece), watch)))
    }))
    .boxed_unsync()
}

#[cfg(test)]
mod tests;
