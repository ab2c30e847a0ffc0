//! The cluster that this process runs in, as a pod: told by what the kubelet puts into every pod.
//!
//! Source: Kubernetes, "Accessing the API from a Pod".

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{ClusterError, kubeconfig};
use crate::host::Host;

/// The name by which it is asked for, and that of its context.
pub(super) const NAME: &str = "in-cluster";

/// Where a pod finds the credentials of its `ServiceAccount`.
pub(super) const CREDENTIALS: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Writes the kubeconfig that leads to it, with the context [`NAME`], and returns where. No token is in it: it names the file,
/// which the kubelet renews, so that every program that is given it has the one that is valid.
///
/// # Errors
/// This is no pod, or one without credentials; or the file cannot be written.
pub(super) fn kubeconfig(host: &Host, credentials: &Path) -> Result<PathBuf, ClusterError> {
    let variable = |name: &str| host.variable(name).filter(|value| !value.is_empty());
    let missing = |what: &str| ClusterError::NotInCluster { what: what.to_owned() };
    let address = variable("KUBERNETES_SERVICE_HOST").ok_or_else(|| missing("`KUBERNETES_SERVICE_HOST` is not set"))?;
    let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or("443");
    let (token, authority) = (credentials.join("token"), credentials.join("ca.crt"));
    for file in [&token, &authority] {
        if !file.is_file() {
            return Err(missing(&format!("`{}` is not there", file.display())));
        }
    }
    let address = if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    };
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {
            "server": format!("https://{address}:{port}"), "certificate-authority": authority}}],
        "users": [{"name": NAME, "user": {"tokenFile": token}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "current-context": NAME,
    });
    let path = kubeconfig::path_of(host, NAME);
    let written = || {
        let directory = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory)?;
        // Another run in the same pod may be reading it.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        serde_json::to_writer_pretty(&mut file, &config)?;
        file.persist(&path).map_err(|error| error.error)
    };
    match written() {
        Ok(_) => Ok(path),
        Err(source) => Err(ClusterError::File {
            path,
            doing: "written",
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kube::config::{Config, KubeConfigOptions};
    use rstest::rstest;

    use super::*;

    /// What a kubelet puts into a pod, but for the files named.
    fn credentials(without: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [("token", "secret-token"), ("ca.crt", ""), ("namespace", "ci")] {
            if !without.contains(&name) {
                fs::write(directory.path().join(name), text).unwrap();
            }
        }
        directory
    }

    fn host(state: &Path, address: &str) -> Host {
        let state = state.to_str().unwrap();
        Host::with_variables([
            ("XDG_STATE_HOME", state),
            ("KUBERNETES_SERVICE_HOST", address),
            ("KUBERNETES_SERVICE_PORT", "6443"),
        ])
    }

    #[rstest]
    #[case("10.96.0.1", "https://10.96.0.1:6443/")]
    #[case("fd00::1", "https://[fd00::1]:6443/")]
    #[tokio::test]
    async fn a_pod_is_led_to_its_own_cluster_by_files_that_the_kubelet_renews(
        #[case] address: &str,
        #[case] server: &str,
    ) {
        let (state, credentials) = (tempfile::tempdir().unwrap(), credentials(&[]));
        let path = super::kubeconfig(&host(state.path(), address), credentials.path()).unwrap();
        assert!(!fs::read_to_string(&path).unwrap().contains("secret-token"));
        let read = kubeconfig::read(&path).unwrap();
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
            .await
            .unwrap();
        assert_eq!(config.cluster_url, server);
        let token = credentials.path().join("token");
        assert_eq!(config.auth_info.token_file.as_deref(), token.to_str());
    }

    #[rstest]
    #[case::no_pod("", &[], "`KUBERNETES_SERVICE_HOST` is not set")]
    #[case::no_token("10.96.0.1", &["token"], "token` is not there")]
    #[case::no_authority("10.96.0.1", &["ca.crt"], "ca.crt` is not there")]
    fn what_is_no_pod_with_credentials_says_what_it_lacks_and_the_way_out(
        #[case] address: &str,
        #[case] without: &[&str],
        #[case] lacks: &str,
    ) {
        let (state, credentials) = (tempfile::tempdir().unwrap(), credentials(without));
        let refused = super::kubeconfig(&host(state.path(), address), credentials.path()).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains(lacks) && said.contains("--cluster CONTEXT"), "{said}");
    }
}
