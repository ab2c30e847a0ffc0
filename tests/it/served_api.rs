//! API servers of the tests on the loopback interface, for the built binary.

use std::sync::LazyLock;

use tokio::{net::TcpListener, runtime::Runtime};
use tokio_util::task::AbortOnDropHandle;

use crate::api_server::ApiServer;

/// What serves all of them.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
});

/// A server that listens until this is dropped.
pub(crate) struct ServedApi {
    /// Where, as `http://127.0.0.1:PORT`.
    pub(crate) address: String,
    _serving: AbortOnDropHandle<()>,
}

impl ServedApi {
    /// Serves on a port of the loopback interface.
    pub(crate) fn on_loopback(server: &ApiServer) -> Self {
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = server.clone();
        let serving = RUNTIME.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let server = server.clone();
                // That the other side goes is its own affair.
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        Self {
            address,
            _serving: AbortOnDropHandle::new(serving),
        }
    }
}
