//! Programs of this machine that talk to a cluster: helm, and those by which gateway providers are installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use super::{ClusterError, inventory::Reach};
use crate::host::Call;

/// How long helm may take to package, install or uninstall; it is not asked to wait for readiness.
const HELM_LIMIT: Duration = Duration::from_mins(2);

/// What programs need to reach one cluster, and no other.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    kubeconfig: String,
    home: PathBuf,
}

impl Programs {
    /// For the cluster that is reached so. `directory` holds what they need, and must outlive their calls.
    ///
    /// What the person's kubeconfig calls its current context may change at any time, and not every program can be told
    /// another. So a file that says which is laid over theirs: of the files in `KUBECONFIG`, the first that says a thing
    /// wins (Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files").
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn new(reach: &Reach, directory: &Path) -> Result<Self, ClusterError> {
        let context = directory.join("context.kubeconfig");
        let says = json!({"apiVersion": "v1", "kind": "Config", "current-context": reach.context});
        let written = fs::create_dir_all(directory).and_then(|()| fs::write(&context, says.to_string()));
        let unwritten = |source| ClusterError::File {
            path: context.clone(),
            doing: "written",
            source,
        };
        written.map_err(unwritten)?;
        let both = env::join_paths([&context, &reach.kubeconfig])
            .map_err(|error| unwritten(std::io::Error::new(std::io::ErrorKind::InvalidInput, error)))?;
        Ok(Self {
            kubeconfig: both.to_string_lossy().into_owned(),
            home: directory.join("helm"),
        })
    }

    /// A call of a program, by path or by name.
    pub(crate) fn call(&self, program: &Path) -> Call {
        Call::new(program.to_string_lossy()).variable("KUBECONFIG", self.kubeconfig.clone())
    }

    /// A call of helm, with nothing of the person's own configuration: it keeps releases in Secrets.
    pub(crate) fn helm(&self, program: &Path) -> Call {
        let home = self.home.display();
        self.call(program)
            .variable("HELM_CACHE_HOME", format!("{home}/cache"))
            .variable("HELM_CONFIG_HOME", format!("{home}/config"))
            .variable("HELM_DATA_HOME", format!("{home}/data"))
            .variable("HELM_DRIVER", "secret")
            .time_limit(HELM_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;

    #[tokio::test]
    async fn a_program_is_led_to_the_context_that_was_meant_whatever_is_the_current_one() {
        let directory = tempfile::tempdir().unwrap();
        let theirs = directory.path().join("config");
        fs::write(&theirs, "current-context: production\n").unwrap();
        let reach = Reach {
            kubeconfig: theirs.clone(),
            context: "kind-a: b".into(),
        };
        let programs = Programs::new(&reach, &directory.path().join("scratch")).unwrap();
        let call = programs.call(Path::new("sh")).args(["-c", "echo $KUBECONFIG"]);
        let said = Host::real().run_ok(&call).await.unwrap().text();
        let files: Vec<PathBuf> = env::split_paths(&said).collect();
        assert_eq!(files[1], theirs);
        let mut merged = kube::config::Kubeconfig::read_from(&files[0]).unwrap();
        merged = merged
            .merge(kube::config::Kubeconfig::read_from(&files[1]).unwrap())
            .unwrap();
        assert_eq!(merged.current_context.as_deref(), Some("kind-a: b"));
    }
}
