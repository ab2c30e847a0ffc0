//! Somebody else's cluster without a gateway provider: what helm and the provider's program installed there is found again
//! after a `kill -9`, and taken away.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{
    bench::{beside_others, cluster_down, cluster_up, ended, output, quickproof},
    release::tree_of,
};

const NAME: &str = "quickproof-foreign";

/// A cluster that others made, as far as runs are concerned: their state directory knows no run of it. It is taken down
/// when this is dropped.
struct Foreign {
    directory: tempfile::TempDir,
    kubeconfig: String,
}

impl Foreign {
    fn up() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = cluster_up(directory.path(), "foreign");
        let (_, place) = kubeconfig.split_once("/quickproof/").unwrap();
        let copy = directory.path().join("state/quickproof").join(place);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(&kubeconfig, copy).unwrap();
        Self { directory, kubeconfig }
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// What there is of a kind, by namespace and name, without what every cluster has.
    fn listed(&self, kind: &str) -> Vec<String> {
        let columns = "custom-columns=:.metadata.namespace,:.metadata.name";
        let of_all = ["get", kind, "--all-namespaces", "--no-headers", "--output", columns];
        let said = output("kubectl", &[&["--kubeconfig", &self.kubeconfig], &of_all[..]].concat());
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        // istiod puts these ConfigMaps into every namespace, and its program leaves them there.
        let others = ["kube-", "local-path", " default", "istio-ca-root-cert", "istio-ca-crl"];
        let of_others = |line: &String| others.iter().any(|other| line.contains(other));
        said.lines().map(words).filter(|line| !of_others(line)).collect()
    }

    /// Everything of which the guide, its chart or the provider make some.
    fn everything(&self) -> Vec<String> {
        let kinds = [
            "namespaces",
            "customresourcedefinitions",
            "deployments",
            "services",
            "secrets",
            "configmaps",
            "serviceaccounts",
            "mutatingwebhookconfigurations",
            "validatingwebhookconfigurations",
        ];
        kinds.iter().flat_map(|kind| self.listed(kind)).collect()
    }

    /// Runs v1.5.0 until helm and istioctl have installed, and kills it.
    fn killed_once_both_have_installed(&self, tree: &Path) {
        let mut run = quickproof(self.directory.path())
            .args(["verify", "--tree", tree.to_str().unwrap(), "--release", "v1.5.0"])
            .args(["--variant", "sim", "--provider", "istio", "--profile", "small"])
            .args(["--cluster", NAME, "-n", "foreign"])
            .env("XDG_STATE_HOME", self.state())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut open = vec!["istioctl is done after", "helm release vllm-qwen3-32b is installed"];
        let mut said = Vec::new();
        let mut lines = BufReader::new(run.stderr.take().unwrap()).lines();
        while !open.is_empty() {
            let Some(Ok(line)) = lines.next() else { break };
            open.retain(|wanted| !line.contains(wanted));
            said.push(line);
        }
        run.kill().unwrap();
        run.wait().unwrap();
        assert!(open.is_empty(), "{open:?} was never said: {said:#?}");
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        cluster_down(self.directory.path(), "foreign");
    }
}

#[test]
fn what_helm_and_the_provider_installed_for_a_killed_run_is_taken_away_by_reap() {
    let _turn = beside_others();
    let Some(tree) = tree_of("v1.5.0") else { return };
    let foreign = Foreign::up();
    let before = foreign.everything();
    foreign.killed_once_both_have_installed(&tree);
    assert!(
        foreign
            .listed("deployments")
            .contains(&"istio-system istiod".to_owned())
    );
    let record = "foreign sh.helm.release.v1.vllm-qwen3-32b.v1".to_owned();
    assert!(foreign.listed("secrets").contains(&record));

    let reap = || {
        let reaped = quickproof(foreign.directory.path())
            .arg("reap")
            .env("XDG_STATE_HOME", foreign.state())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&reaped.stdout).into_owned();
        assert!(
            reaped.status.success(),
            "{said}\n{}",
            String::from_utf8_lossy(&reaped.stderr)
        );
        said
    };
    let said = reap();
    for what in [
        "helm release foreign/vllm-qwen3-32b",
        "what istioctl installed",
        "Namespace istio-system",
        "Namespace foreign",
    ] {
        assert!(
            said.contains(&format!("removed  {what} in kind-{NAME}\n")),
            "{what}: {said}"
        );
    }
    assert_eq!(foreign.everything(), before, "{said}");
    assert_eq!(reap(), "no run left anything behind\n");
    let running = ended("docker", &["exec", &format!("{NAME}-control-plane"), "true"]);
    assert!(running.status.success(), "the cluster itself stays");
}
