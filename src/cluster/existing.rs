//! Clusters that are already there: they are used only when named.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use kube::{
    Client,
    config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use super::{Cluster, ClusterError, Origin, kind};
use crate::host::Host;

/// Which existing cluster is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExistingCluster {
    /// A context, or a kind cluster by kind's name for it.
    Named(String),
    /// The current context, asked for literally.
    Current,
}

impl From<&str> for ExistingCluster {
    /// `current` means the current context; everything else is a name.
    fn from(text: &str) -> Self {
        match text {
            "current" => Self::Current,
            name => Self::Named(name.to_owned()),
        }
    }
}

/// Opens a cluster that is there already and checks that its API server answers.
///
/// The kubeconfig is `kubeconfig`, else the files of `$KUBECONFIG`, else `~/.kube/config`; a cluster of our own that was
/// kept is found by its name without any of them.
///
/// # Errors
/// No cluster or an unknown one was named, the kubeconfig cannot be used, or the API server does not answer.
pub async fn open(host: &Host, which: &ExistingCluster, kubeconfig: Option<&Path>) -> Result<Cluster, ClusterError> {
    let (path, config) = match (which, kubeconfig) {
        (ExistingCluster::Named(name), None) if kind::kubeconfig_path(host, name).is_file() => {
            let path = kind::kubeconfig_path(host, name);
            let config = read(&path)?;
            (path, config)
        }
        _ => read_all(host, kubeconfig)?,
    };
    let context = choose(&config, which)?;
    let client = connect(&path, config, &context).await?;
    client
        .apiserver_version()
        .await
        .map_err(|source| ClusterError::api(format!("context `{context}`"), source))?;
    let name = match which {
        // A kept cluster of ours goes by kind's name for it, as it did when it was made.
        ExistingCluster::Named(name) if kind::kubeconfig_path(host, name) == path => name.clone(),
        _ => context.clone(),
    };
    Ok(Cluster {
        name,
        kubeconfig: path,
        context,
        client,
        origin: Origin::Existing,
    })
}

/// A client for a context. One that reads a response for five minutes without a byte gives up.
pub(super) async fn connect(path: &Path, config: Kubeconfig, context: &str) -> Result<Client, ClusterError> {
    let unusable = |source| ClusterError::Kubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let options = KubeConfigOptions {
        context: Some(context.to_owned()),
        ..KubeConfigOptions::default()
    };
    let mut config = Config::from_custom_kubeconfig(config, &options)
        .await
        .map_err(unusable)?;
    config.connect_timeout = Some(Duration::from_secs(10));
    // Above the 290 s after which the API server ends an idle watch by itself, so that a quiet watch is no error.
    config.read_timeout = Some(Duration::from_mins(5));
    // Without, the time a pooled connection sat idle counts, and the next request on it times out.
    config.reset_reader_on_write = true;
    // A proxy of the environment is for the world outside, never for this machine.
    if matches!(config.cluster_url.host(), Some("127.0.0.1" | "localhost" | "[::1]")) {
        config.proxy_url = None;
    }
    Client::try_from(config).map_err(|source| ClusterError::api(format!("context `{context}`"), source))
}

pub(super) fn read(path: &Path) -> Result<Kubeconfig, ClusterError> {
    if !path.is_file() {
        return Err(ClusterError::KubeconfigMissing { path: path.to_owned() });
    }
    Kubeconfig::read_from(path).map_err(|source| unusable(path, source))
}

fn unusable(path: &Path, source: KubeconfigError) -> ClusterError {
    ClusterError::Kubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    }
}

/// The kubeconfig a person works with. Not kube's own reading of it, which looks at the environment itself.
fn read_all(host: &Host, named: Option<&Path>) -> Result<(PathBuf, Kubeconfig), ClusterError> {
    let paths: Vec<PathBuf> = match (named, host.variable("KUBECONFIG")) {
        (Some(path), _) => vec![path.to_owned()],
        (None, Some(list)) => std::env::split_paths(list).filter(|path| path.is_file()).collect(),
        (None, None) => vec![Path::new(host.variable("HOME").unwrap_or("/")).join(".kube/config")],
    };
    let Some((first, others)) = paths.split_first() else {
        return Err(ClusterError::KubeconfigMissing {
            path: PathBuf::from(host.variable("KUBECONFIG").unwrap_or_default()),
        });
    };
    let mut config = read(first)?;
    for path in others {
        config = config.merge(read(path)?).map_err(|source| unusable(path, source))?;
    }
    Ok((first.clone(), config))
}

fn choose(config: &Kubeconfig, which: &ExistingCluster) -> Result<String, ClusterError> {
    let names: Vec<&str> = config.contexts.iter().map(|context| context.name.as_str()).collect();
    let contexts = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    match which {
        ExistingCluster::Current => match config.current_context.as_deref() {
            Some(current) if !current.is_empty() => Ok(current.to_owned()),
            _ => Err(ClusterError::Unnamed { contexts }),
        },
        ExistingCluster::Named(name) if name.trim().is_empty() => Err(ClusterError::Unnamed { contexts }),
        ExistingCluster::Named(name) => [name.clone(), format!("kind-{name}")]
            .into_iter()
            .find(|candidate| names.contains(&candidate.as_str()))
            .ok_or_else(|| ClusterError::Unknown {
                name: name.clone(),
                contexts,
            }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn config(current: Option<&str>) -> Kubeconfig {
        let current = current.map_or(String::new(), |name| format!("current-context: {name}\n"));
        let text = format!(
            "{current}contexts:\n- name: production\n  context: {{cluster: a}}\n- name: kind-lab\n  context: {{cluster: b}}\n"
        );
        Kubeconfig::from_yaml(&text).unwrap()
    }

    #[rstest]
    #[case::by_context("production", Some("production"))]
    #[case::by_kinds_name("lab", Some("kind-lab"))]
    #[case::by_kinds_context("kind-lab", Some("kind-lab"))]
    #[case::current("current", Some("production"))]
    #[case::nothing("", None)]
    #[case::unknown("staging", None)]
    fn a_cluster_is_taken_only_when_named(#[case] named: &str, #[case] context: Option<&str>) {
        let chosen = choose(&config(Some("production")), &ExistingCluster::from(named));
        assert_eq!(chosen.ok().as_deref(), context);
    }

    #[test]
    fn without_a_current_context_current_means_nothing() {
        let error = choose(&config(None), &ExistingCluster::Current).unwrap_err();
        assert!(matches!(error, ClusterError::Unnamed { contexts } if contexts == "production, kind-lab"));
    }

    #[test]
    fn the_kubeconfig_is_the_one_named_then_the_variable_then_the_home() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        std::fs::write(&file, "contexts: []\n").unwrap();
        let host = Host::with_variables([("KUBECONFIG", file.to_str().unwrap()), ("HOME", "/nowhere")]);
        assert_eq!(read_all(&host, None).unwrap().0, file);
        let other = Path::new("/nowhere/else");
        assert!(matches!(read_all(&host, Some(other)), Err(ClusterError::KubeconfigMissing { path }) if path == other));
        let host = Host::with_variables([("HOME", "/nowhere")]);
        assert!(
            matches!(read_all(&host, None), Err(ClusterError::KubeconfigMissing { path }) if path == Path::new("/nowhere/.kube/config"))
        );
    }
}
