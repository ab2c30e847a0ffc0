//! A port of a pod on this machine, through the API server: for what has no address of its own.
//!
//! It is a way to look (metrics, a pod's own answer). It is not how the product is reached: that is the gateway.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use futures::future;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

use super::ClusterError;

/// A forwarded port. Dropping it ends it, with every connection through it.
#[derive(Debug)]
pub struct LocalForward {
    address: SocketAddr,
    failure: Arc<Mutex<Option<String>>>,
    _accepting: AbortOnDropHandle<()>,
}

impl LocalForward {
    /// Where to connect to, on the loopback interface.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why the last connection that failed did, such as nothing listening on the pod's port. The one who connects sees
    /// only that it was closed.
    pub fn last_failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Forwards a free port of the loopback interface to `port` of a pod. Each connection gets a stream of its own.
///
/// # Errors
/// The pod is not there, or no port can be listened on. A pod that does not listen shows only when connected to.
pub async fn forward(client: &Client, namespace: &str, pod: &str, port: u16) -> Result<LocalForward, ClusterError> {
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    pods.get_metadata(pod)
        .await
        .map_err(|source| ClusterError::api(format!("pod {namespace}/{pod}"), source))?;
    let listen = |source| ClusterError::Listen { source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let failure = Arc::new(Mutex::new(None));
    let accepting = tokio::spawn(accept(listener, pods, pod.to_owned(), port, Arc::clone(&failure)));
    Ok(LocalForward {
        address,
        failure,
        _accepting: AbortOnDropHandle::new(accepting),
    })
}

async fn accept(listener: TcpListener, pods: Api<Pod>, pod: String, port: u16, failure: Arc<Mutex<Option<String>>>) {
    // Dropped with this future, and every connection with it.
    let mut connections = JoinSet::new();
    while let Ok((mut connection, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (pods, pod, failure) = (pods.clone(), pod.clone(), Arc::clone(&failure));
        connections.spawn(async move {
            // The one who connected sees the end when `connection` is dropped, and may ask at once why.
            if let Err(why) = pipe(&mut connection, &pods, &pod, port).await {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
            }
        });
    }
}

async fn pipe(connection: &mut TcpStream, pods: &Api<Pod>, pod: &str, port: u16) -> Result<(), String> {
    let mut forwarder = pods
        .portforward(pod, &[port])
        .await
        .map_err(|error| error.to_string())?;
    let told = forwarder.take_error(port);
    let mut stream = forwarder
        .take_stream(port)
        .ok_or_else(|| "the API server gave no stream".to_owned())?;
    // What the kubelet says comes on a channel of its own and tells more than a closed stream does.
    let said = async {
        let said = match told {
            Some(told) => told.await,
            None => None,
        };
        match said {
            Some(said) => said,
            None => future::pending().await,
        }
    };
    let outcome = tokio::select! {
        biased;
        said = said => Err(said),
        copied = copy_bidirectional(connection, &mut stream) => copied.map(drop).map_err(|error| error.to_string()),
    };
    forwarder.abort();
    outcome
}
