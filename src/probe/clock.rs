//! When a request's first steps were done, noted for the request that caused them.
//!
//! Requests share a client with its connections, and a resolver and a connector know nothing of requests. Both are polled
//! by the request that waits for them, so what is noted goes to the task-local notes of whoever polls. A connection that
//! goes on in the background because another one became free first is polled by nobody's request, and noted nowhere.

use std::{
    cell::Cell,
    future::Future,
    io,
    net::SocketAddr,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::time::Instant;
use tower::Service;

use super::Times;

tokio::task_local! {
    static NOTES: Notes;
}

#[derive(Debug)]
struct Notes {
    began: Instant,
    times: Cell<Times>,
    connecting: Cell<bool>,
}

/// Does `work` with notes of its own, whose times are counted from `began`.
pub(super) async fn with_notes<T>(began: Instant, work: impl Future<Output = T>) -> T {
    let notes = Notes {
        began,
        times: Cell::default(),
        connecting: Cell::default(),
    };
    NOTES.scope(notes, work).await
}

/// What was noted so far.
pub(super) fn times() -> Times {
    NOTES.try_with(|notes| notes.times.get()).unwrap_or_default()
}

/// Whether a connection was begun that does not stand yet.
pub(super) fn is_connecting() -> bool {
    NOTES
        .try_with(|notes| notes.connecting.get() && notes.times.get().connected.is_none())
        .unwrap_or_default()
}

/// Notes that the response's headers are there.
pub(super) fn head_came() {
    note(|times, now| times.head = Some(now));
}

fn note(what: impl FnOnce(&mut Times, Duration)) {
    // Outside of a request there is nobody to note it for.
    let _ = NOTES.try_with(|notes| {
        let mut times = notes.times.get();
        what(&mut times, notes.began.elapsed());
        notes.times.set(times);
    });
}

/// Waits for a connection, TLS included, and notes that it began and that it stands.
pub(super) fn connecting<C, E>(connection: impl Future<Output = Result<C, E>>) -> impl Future<Output = Result<C, E>> {
    let _ = NOTES.try_with(|notes| notes.connecting.set(true));
    async {
        let connection = connection.await?;
        note(|times, now| times.connected = Some(now));
        Ok(connection)
    }
}

/// The system's name resolution, with a note of when it was done.
#[derive(Debug, Clone)]
pub(super) struct Resolver;

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            // The connector puts the URL's port in place of this one.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            note(|times, now| times.resolved = Some(now));
            Ok(found.into_iter())
        })
    }
}
