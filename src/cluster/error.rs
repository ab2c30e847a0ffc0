//! What can go wrong with a cluster. All of it is infrastructure, none of it the product under test.

use std::{error::Error, io, path::PathBuf};

use super::{
    plugin::PluginError,
    resources::{Trouble, trouble},
};
use crate::{host::HostError, verdict::CauseCode};

/// Why there is no cluster, or why it did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A child process gave no result.
    #[error(transparent)]
    Host(#[from] HostError),
    /// No container engine answers.
    #[error("no container engine answers ({said}); start it, or let `.ci/setup engine-up` do so")]
    EngineAway {
        /// What its client said.
        said: String,
    },
    /// This process runs in no pod that may speak to its cluster.
    #[error(
        "`--cluster in-cluster` is for a pod with the credentials of a ServiceAccount, and {what}; elsewhere name a context of \
         a kubeconfig: `--cluster CONTEXT`"
    )]
    NotInCluster {
        /// What it lacks.
        what: String,
    },
    /// The name cannot be part of a cluster's name.
    #[error("`{name}` cannot name a cluster; expected 1 to 32 of a-z, 0-9 and `-`, such as `ab12`")]
    Name {
        /// As given.
        name: String,
    },
    /// One of the embedded configuration files cannot be read.
    #[error("the embedded cluster configuration cannot be read")]
    Configuration {
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// kind did not make the cluster; what it left was deleted.
    #[error("kind did not make cluster `{name}`: {said}")]
    Create {
        /// The cluster.
        name: String,
        /// The last words of kind and of the node.
        said: String,
    },
    /// The cluster was made and did not become ready.
    #[error("cluster `{cluster}`: {object} was not ready within {seconds} s; last seen: {seen}")]
    NotReady {
        /// The cluster.
        cluster: String,
        /// What was waited for.
        object: String,
        /// The limit.
        seconds: u64,
        /// What it last said.
        seen: String,
    },
    /// A kubeconfig file cannot be used.
    #[error("kubeconfig `{}` cannot be used: {what}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where. Nothing of what it holds, which may be a secret.
        what: String,
    },
    /// What says to the API server who asks cannot be had.
    #[error("context `{context}`: its credentials cannot be had: {what}")]
    Credentials {
        /// The context.
        context: String,
        /// Why. Nothing of what a program printed, which may be a secret.
        what: String,
    },
    /// The program that a kubeconfig names for credentials gives none.
    #[error(transparent)]
    Plugin {
        /// Why.
        source: PluginError,
    },
    /// There is no kubeconfig file.
    #[error("no kubeconfig at `{}`; name one with `--kubeconfig FILE`", path.display())]
    KubeconfigMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// No cluster was named. We never take whatever context happens to be current.
    #[error("no cluster was named; name a context, or say `current` to mean the current one; there are: {contexts}")]
    Unnamed {
        /// The contexts there are.
        contexts: String,
    },
    /// Nothing is called so.
    #[error("no context `{name}`, nor `kind-{name}`; there are: {contexts}")]
    Unknown {
        /// As given.
        name: String,
        /// The contexts there are.
        contexts: String,
    },
    /// A client could not be made, or the API server refused.
    #[error("{object}: the API server refused or did not answer")]
    Api {
        /// What was asked for.
        object: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server did not do what was asked, however often it was asked.
    #[error("{object}: {what}")]
    Trouble {
        /// What was asked for.
        object: String,
        /// What that means.
        cause: CauseCode,
        /// What was seen.
        what: String,
    },
    /// An address cannot be given to a Service.
    #[error("no address for Service `{service}`: {why}")]
    NoAddress {
        /// `namespace/name`.
        service: String,
        /// What stands in the way.
        why: String,
    },
    /// A file of ours cannot be read or written.
    #[error("`{}` cannot be {doing}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// `read`, `written`, `deleted`.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process goes through what runs left behind, and does not end.
    #[error(
        "another quickproof has been taking away what runs left behind for a quarter of an hour; end it, then try again"
    )]
    Busy,
    /// No port of ours can be listened on.
    #[error("cannot listen on the loopback address")]
    Listen {
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ClusterError {
    /// What this means where a cluster that is there cannot be used.
    pub(crate) fn cause(&self) -> CauseCode {
        match self {
            Self::Trouble { cause, .. } => *cause,
            Self::Api { source, .. } => trouble(source).code(),
            Self::Credentials { .. }
            | Self::File { .. }
            | Self::Kubeconfig { .. }
            | Self::Plugin { .. }
            | Self::KubeconfigMissing { .. }
            | Self::Unnamed { .. }
            | Self::NotInCluster { .. }
            | Self::Unknown { .. } => CauseCode::KubeconfigUnusable,
            _ => CauseCode::ApiServerAway,
        }
    }

    pub(crate) fn trouble(object: impl Into<String>, trouble: &Trouble) -> Self {
        Self::Trouble {
            object: object.into(),
            cause: trouble.code(),
            what: trouble.to_string(),
        }
    }

    pub(crate) fn api(object: impl Into<String>, source: kube::Error) -> Self {
        Self::Api {
            object: object.into(),
            source: Box::new(source),
        }
    }
}
