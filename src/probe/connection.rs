//! A probe's connections: below the HTTP client and above TLS, so that what a connection carried is known where the client
//! says no more than that it failed.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use hyper::{
    Uri,
    rt::{Read, ReadBuf, ReadBufCursor, Write},
};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use tokio::{net::TcpStream, time::timeout};
use tower::Service;

use super::clock::{self, Resolver};

/// Most bytes of what came that are kept: more than heads have.
const HEAD_BOUND: usize = 16 << 10;

/// Most bytes that are read at once.
const PIECE_BOUND: usize = 16 << 10;

/// What a connection carried.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Whether an answer has begun on it.
    has_answered: AtomicBool,
    /// What came of the exchange that is under way. Of HTTP/2, which has many at a time, of all since the last that was
    /// written.
    exchange: Mutex<Exchange>,
}

#[derive(Debug, Default)]
struct Exchange {
    /// The first bytes that came.
    head: Vec<u8>,
    /// Whether anything came, so that what is written next begins another exchange.
    came: bool,
}

impl Traffic {
    /// Notes that an answer has begun.
    pub(super) fn answered(&self) {
        self.has_answered.store(true, Ordering::Relaxed);
    }

    /// Whether an answer has begun on it before.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    /// The first bytes that came for what was sent last.
    pub(super) fn head(&self) -> Vec<u8> {
        self.with(|exchange| exchange.head.clone())
    }

    /// Notes that something is written, whether or not it can be.
    fn written(&self) {
        self.with(|exchange| {
            if std::mem::take(&mut exchange.came) {
                exchange.head.clear();
            }
        });
    }

    fn read(&self, bytes: &[u8]) {
        self.with(|exchange| {
            exchange.came = true;
            let room = HEAD_BOUND - exchange.head.len();
            exchange.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        });
    }

    fn with<T>(&self, what: impl FnOnce(&mut Exchange) -> T) -> T {
        what(&mut self.exchange.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes connections, each of which stands within its time or not at all.
#[derive(Clone)]
pub(super) struct Connector {
    connector: HttpsConnector<HttpConnector<Resolver>>,
    within: Duration,
}

impl Connector {
    /// Connections that are secured by this where they are, and stand within this time.
    pub(super) fn new(tls: rustls::ClientConfig, within: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        Self {
            connector: HttpsConnector::from((tcp, tls)),
            within,
        }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = Noted;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Noted, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connection, within) = (self.connector.call(to), self.within);
        Box::pin(clock::connecting(async move {
            let Ok(stands) = timeout(within, connection).await else {
                let never = format!("none stands after {within:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, never).into());
            };
            Ok(Noted::new(stands?))
        }))
    }
}

/// A connection whose traffic is noted.
pub(super) struct Noted {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    /// Where a piece is looked at before it is handed on.
    piece: Box<[u8]>,
    traffic: Arc<Traffic>,
}

impl Noted {
    fn new(stream: MaybeHttpsStream<TokioIo<TcpStream>>) -> Self {
        Self {
            stream,
            piece: vec![0; PIECE_BOUND].into(),
            traffic: Arc::default(),
        }
    }
}

impl Connection for Noted {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(Arc::clone(&self.traffic))
    }
}

impl Read for Noted {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, mut into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let Self { stream, piece, traffic } = self.get_mut();
        let most = piece.len().min(into.remaining());
        let mut piece = ReadBuf::new(&mut piece[..most]);
        let read = Pin::new(stream).poll_read(context, piece.unfilled());
        let came = piece.filled();
        if matches!(read, Poll::Ready(Ok(()))) && !came.is_empty() {
            traffic.read(came);
            into.put_slice(came);
        }
        read
    }
}

impl Write for Noted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.traffic.written();
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.traffic.written();
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }
}
