//! Programs that tests write, in place of those that are not there; and a network that ends in the test.

use std::{fmt, path::Path, sync::Arc};

use http::{HeaderValue, Request, Response, uri::PathAndQuery};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tower::BoxError;

use super::{Call, Host};

/// Makes a shell script that can be run at once. It is not written by this process: as long as a child that was just forked
/// holds it open for writing, the system would refuse to run it.
pub(crate) async fn script(path: &Path, text: &str) {
    let write = "cat >\"$0\" && chmod +x \"$0\"";
    let call = Call::new("sh").args(["-c", write]).arg(path.to_string_lossy());
    let whole = format!("#!/bin/sh\nset -e\n{text}\n");
    Host::real().run_ok(&call.input(whole)).await.unwrap();
}

/// A network within the process: whatever address is meant, a connection leads to the test. Unlike sockets it keeps
/// virtual time, which goes on only where everybody waits for it.
#[derive(Clone)]
pub(crate) struct Network(Arc<dyn Fn() -> DuplexStream + Send + Sync>);

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Network")
    }
}

impl Network {
    /// Sends one request on a connection of its own.
    pub(crate) async fn send<B>(self, request: Request<B>) -> Result<Response<Incoming>, BoxError>
    where
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned();
        parts.uri = path.parse()?;
        parts
            .headers
            .insert(http::header::HOST, HeaderValue::from_static("in-memory.test"));
        let (mut sender, connection) = http1::handshake(TokioIo::new((self.0)())).await?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender.send_request(Request::from_parts(parts, body)).await?)
    }
}

impl Host {
    /// This machine with a network of the test: each connection is one end of a pipe, whose other end `dialled` has.
    pub(crate) fn on_network(self, dialled: impl Fn() -> DuplexStream + Send + Sync + 'static) -> Self {
        Self {
            network: Some(Network(Arc::new(dialled))),
            ..self
        }
    }

    /// The network of the test, where there is one.
    pub(crate) fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }
}
