//! Clusters that are already there: they are used only when named.

use std::{path::Path, time::Duration};

use kube::config::Kubeconfig;

use super::{Cluster, ClusterError, Origin, kubeconfig, pod, resources::persistently};
use crate::{host::Host, record::Events};

/// How long the API server of a cluster that is named gets to answer for the first time, where its caller gives it longer.
const OPENING_LIMIT: Duration = Duration::from_secs(15);

/// Which existing cluster is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExistingCluster {
    /// A context, or a kind cluster by kind's name for it.
    Named(String),
    /// The current context, asked for literally.
    Current,
    /// The one that this process runs in, as a pod.
    InCluster,
}

impl From<&str> for ExistingCluster {
    /// `current` means the current context, `in-cluster` the cluster of this pod; everything else is a name.
    fn from(text: &str) -> Self {
        match text {
            "current" => Self::Current,
            pod::NAME => Self::InCluster,
            name => Self::Named(name.to_owned()),
        }
    }
}

/// Opens a cluster that is there already and checks that its API server answers. A program of the kubeconfig that gives
/// credentials, and the first answer, may each take `limit` at most ([`Duration::MAX`]: what they take by themselves).
///
/// The kubeconfig is `kubeconfig`, else the files of `$KUBECONFIG`, else `~/.kube/config`; a cluster of our own that was
/// kept is found by its name without any of them, and so is that of this pod.
///
/// # Errors
/// No cluster or an unknown one was named, the kubeconfig cannot be used, or the API server does not answer.
pub async fn open(
    host: &Host,
    which: &ExistingCluster,
    kubeconfig: Option<&Path>,
    limit: Duration,
    events: &Events,
) -> Result<Cluster, ClusterError> {
    let (path, config) = match (which, kubeconfig) {
        (ExistingCluster::InCluster, Some(_)) => {
            let what = "`--kubeconfig` names the file of another".to_owned();
            return Err(ClusterError::NotInCluster { what });
        }
        (ExistingCluster::InCluster, None) => {
            let path = pod::kubeconfig(host, Path::new(pod::CREDENTIALS))?;
            let config = kubeconfig::read(&path)?;
            (path, config)
        }
        (ExistingCluster::Named(name), None) if kubeconfig::path_of(host, name).is_file() => {
            let path = kubeconfig::path_of(host, name);
            let config = kubeconfig::read(&path)?;
            (path, config)
        }
        _ => kubeconfig::read_all(host, kubeconfig)?,
    };
    let context = choose(&config, which)?;
    let client = kubeconfig::connect(host, &path, config, &context, limit, events).await?;
    persistently(limit.min(OPENING_LIMIT), || client.apiserver_version())
        .await
        .map_err(|trouble| ClusterError::trouble(format!("context `{context}`"), &trouble))?;
    let name = match which {
        // A kept cluster of ours goes by kind's name for it, as it did when it was made.
        ExistingCluster::Named(name) if kubeconfig::path_of(host, name) == path => name.clone(),
        _ => context.clone(),
    };
    Ok(Cluster {
        name,
        // Another process may look for it from elsewhere.
        kubeconfig: std::path::absolute(&path).unwrap_or(path),
        context,
        client,
        origin: Origin::Existing,
    })
}

fn choose(config: &Kubeconfig, which: &ExistingCluster) -> Result<String, ClusterError> {
    let names: Vec<&str> = config.contexts.iter().map(|context| context.name.as_str()).collect();
    let contexts = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    match which {
        ExistingCluster::InCluster => Ok(pod::NAME.to_owned()),
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
}
