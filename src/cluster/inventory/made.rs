//! What a run makes or changes outside of its own process, and how a person takes it away by hand.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::host::shell_quoted;

/// How a cluster is reached again: file and context.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reach {
    /// The kubeconfig file.
    pub(crate) kubeconfig: PathBuf,
    /// The context in it.
    pub(crate) context: String,
}

/// Something that a run makes or changes outside of its own process.
///
/// On disk each is a JSON object whose `kind` is the variant's name, such as `helm-release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Made {
    /// A kind cluster and the kubeconfig file that goes with it.
    KindCluster {
        /// kind's name for it, such as `quickproof-ab12`.
        name: String,
        /// Our own file.
        kubeconfig: PathBuf,
    },
    /// An object in somebody else's cluster, namespaces included.
    Object(MadeObject),
    /// A helm release in somebody else's cluster.
    HelmRelease(HelmRelease),
    /// A gateway provider that its own program installed into somebody else's cluster.
    Provider(ProviderInstallation),
    /// An address of the engine's network, put on a node that stays.
    Address {
        /// The node's container.
        node: String,
        /// The address.
        address: IpAddr,
    },
    /// A Deployment that was scaled for a while: not made, but changed.
    Scaled {
        /// The cluster it is in.
        cluster: Reach,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its uid: only this very object is put back.
        uid: String,
        /// The replicas that it had.
        replicas: i32,
    },
}

/// An object in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeObject {
    /// The cluster it is in.
    pub(crate) cluster: Reach,
    /// Such as `apps/v1`.
    pub(crate) api_version: String,
    /// Such as `Deployment`.
    #[serde(rename = "object-kind")]
    pub(crate) object_kind: String,
    /// `None` where its kind has none.
    pub(crate) namespace: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// The run in whose name it is applied, which it bears as a label (`cluster::mark`). `None` where a program makes it: then
    /// only its uid can prove that it is ours.
    #[serde(default)]
    pub(crate) marked: Option<String>,
    /// Its uid, once it is made.
    pub(crate) uid: Option<String>,
}

impl MadeObject {
    /// Its kind as kubectl takes it, such as `deployment.v1.apps`.
    fn word(&self) -> String {
        let kind = self.object_kind.to_lowercase();
        match self.api_version.split_once('/') {
            Some((group, version)) => format!("{kind}.{version}.{group}"),
            None => kind,
        }
    }
}

/// A helm release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelmRelease {
    /// The cluster it is in.
    pub(crate) cluster: Reach,
    /// The `helm` that installed it: a path, or a name to be found on PATH.
    pub(crate) program: PathBuf,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// The uid of the Secret that helm keeps it in ([`HelmRelease::record`]), once that is there.
    pub(crate) uid: Option<String>,
}

impl HelmRelease {
    /// The name of the Secret in which helm keeps the first revision of a release. Source: helm v3,
    /// `pkg/storage/storage.go`, `makeKey`.
    pub(crate) fn record(&self) -> String {
        format!("sh.helm.release.v1.{}.v1", self.name)
    }
}

/// A gateway provider that a program of its own installed, such as `istioctl`. It was noted when the cluster had none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderInstallation {
    /// The cluster it is in.
    pub(crate) cluster: Reach,
    /// The program: a path, or a name to be found on PATH.
    pub(crate) program: PathBuf,
    /// The arguments with which it takes everything away again.
    pub(crate) uninstall: Vec<String>,
    /// The namespace of the Deployment that says whether the provider is there.
    pub(crate) namespace: String,
    /// The name of that Deployment.
    pub(crate) deployment: String,
    /// The uid of that Deployment, once it is there.
    pub(crate) uid: Option<String>,
}

impl Made {
    /// The same, now that its uid is known. What has none stays as it is.
    #[must_use]
    pub(crate) fn with_uid(mut self, uid: Option<String>) -> Self {
        match &mut self {
            Self::Object(MadeObject { uid: own, .. })
            | Self::HelmRelease(HelmRelease { uid: own, .. })
            | Self::Provider(ProviderInstallation { uid: own, .. }) => *own = uid,
            Self::KindCluster { .. } | Self::Address { .. } | Self::Scaled { .. } => {}
        }
        self
    }

    pub(super) fn uid(&self) -> Option<&str> {
        match self {
            Self::Object(MadeObject { uid, .. })
            | Self::HelmRelease(HelmRelease { uid, .. })
            | Self::Provider(ProviderInstallation { uid, .. }) => uid.as_deref(),
            Self::KindCluster { .. } | Self::Address { .. } | Self::Scaled { .. } => None,
        }
    }

    /// The cluster it is in; `None` for what is in none.
    pub(crate) fn cluster(&self) -> Option<&Reach> {
        match self {
            Self::Object(MadeObject { cluster, .. })
            | Self::HelmRelease(HelmRelease { cluster, .. })
            | Self::Provider(ProviderInstallation { cluster, .. })
            | Self::Scaled { cluster, .. } => Some(cluster),
            Self::KindCluster { .. } | Self::Address { .. } => None,
        }
    }

    /// Whether both are about the same thing, whatever is known of its uid.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.clone().with_uid(None) == other.clone().with_uid(None)
    }

    /// Whether it may be there in a moment although it is not yet: a request for it was sent, and no answer heard.
    pub(in crate::cluster) fn may_come_late(&self) -> bool {
        matches!(self, Self::Object(_) | Self::HelmRelease(_)) && self.uid().is_none()
    }

    /// What a person types to take it away, or to put it back.
    pub fn by_hand(&self) -> String {
        let (words, context) = match self {
            Self::KindCluster { name, .. } => (format!("kind delete cluster --name {}", shell_quoted(name)), ""),
            Self::Object(object) => {
                let namespace = object.namespace.as_deref();
                let namespace =
                    namespace.map_or_else(String::new, |name| format!(" --namespace {}", shell_quoted(name)));
                let (word, name) = (shell_quoted(&object.word()), shell_quoted(&object.name));
                (format!("kubectl delete {word} {name}{namespace}"), "--context")
            }
            Self::HelmRelease(release) => {
                let (name, namespace) = (shell_quoted(&release.name), shell_quoted(&release.namespace));
                (
                    format!("helm uninstall {name} --namespace {namespace}"),
                    "--kube-context",
                )
            }
            Self::Provider(provider) => {
                let words = [name_of(&provider.program)]
                    .into_iter()
                    .chain(provider.uninstall.clone());
                let words: Vec<String> = words.map(|word| shell_quoted(&word)).collect();
                (words.join(" "), "--context")
            }
            Self::Address { node, address } => {
                let node = shell_quoted(node);
                (format!("docker exec {node} ip address del {address}/32 dev eth0"), "")
            }
            Self::Scaled {
                namespace,
                name,
                replicas,
                ..
            } => {
                let (name, namespace) = (shell_quoted(name), shell_quoted(namespace));
                let words = format!("kubectl scale deployment {name} --namespace {namespace} --replicas {replicas}");
                (words, "--context")
            }
        };
        match self.cluster() {
            Some(cluster) => format!(
                "{words} {context} {} --kubeconfig {}",
                shell_quoted(&cluster.context),
                shell_quoted(&cluster.kubeconfig.to_string_lossy())
            ),
            None => words,
        }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KindCluster { name, .. } => write!(formatter, "kind cluster {name}"),
            Self::Object(object) => match &object.namespace {
                Some(namespace) => write!(formatter, "{} {namespace}/{}", object.object_kind, object.name),
                None => write!(formatter, "{} {}", object.object_kind, object.name),
            },
            Self::HelmRelease(release) => write!(formatter, "helm release {}/{}", release.namespace, release.name),
            Self::Provider(provider) => write!(formatter, "what {} installed", name_of(&provider.program)),
            Self::Address { node, address } => write!(formatter, "address {address} on node {node}"),
            Self::Scaled {
                namespace,
                name,
                replicas,
                ..
            } => write!(formatter, "the {replicas} replicas of Deployment {namespace}/{name}"),
        }?;
        match self.cluster() {
            Some(cluster) => write!(formatter, " in {}", cluster.context),
            None => Ok(()),
        }
    }
}

/// The name of a program that is known by its path.
pub(in crate::cluster) fn name_of(program: &Path) -> String {
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
