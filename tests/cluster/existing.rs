//! Somebody else's cluster: what is there stays as it is, what was made goes. Also the faults that are seeded into a
//! quickstart, since a cluster that has its gateway already shows each within seconds.

use std::{path::Path, sync::OnceLock};

use serde_json::Value;

use crate::bench::{Ran, alone, cluster_up, ended, output, verify};

/// A cluster with CRDs and gateway provider installed, for all tests of this process. `make test-cluster` deletes it when
/// they are done; the next run of the tests does so too.
pub(crate) struct Existing {
    pub(crate) name: &'static str,
    pub(crate) kubeconfig: String,
}

const NAME: &str = "quickproof-tests";

/// The cluster; made at the first call.
pub(crate) fn cluster() -> &'static Existing {
    static CLUSTER: OnceLock<Existing> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let here = tempfile::tempdir().unwrap();
        let kubeconfig = cluster_up(here.path(), "tests");
        // Run once and kept: from now on the provider and the CRDs are somebody else's.
        let first = verify(&["--cluster", NAME, "-n", "first", "--keep"]);
        first.expect(0, "passed", None);
        let existing = Existing { name: NAME, kubeconfig };
        existing.kubectl(&["delete", "namespace", "first", "--wait=true"]);
        existing
    })
}

impl Existing {
    /// Standard output of kubectl.
    #[track_caller]
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let mut all = vec!["--kubeconfig", &self.kubeconfig];
        all.extend(arguments);
        output("kubectl", &all)
    }

    /// What the API server answers at a path, or `None` where it refuses.
    pub(crate) fn raw(&self, path: &str) -> Option<String> {
        let output = ended("kubectl", &["--kubeconfig", &self.kubeconfig, "get", "--raw", path]);
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a quickstart in a namespace of its own.
    pub(crate) fn verify(&self, tree: &Path, namespace: &str) -> Ran {
        verify(&[
            "--cluster",
            self.name,
            "-n",
            namespace,
            "--tree",
            tree.to_str().unwrap(),
        ])
    }
}

/// Everything of a kind in the cluster, by namespace, name, uid and resourceVersion.
fn listed(cluster: &Existing, kind: &str, namespace: &str) -> Vec<String> {
    let text = cluster.kubectl(&["get", kind, "-n", namespace, "-o", "json"]);
    let list: Value = serde_json::from_str(&text).unwrap();
    let line = |object: &Value| {
        let metadata = &object["metadata"];
        format!(
            "{} {} {}",
            metadata["name"], metadata["uid"], metadata["resourceVersion"]
        )
    };
    list["items"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn another_users_deployment_of_the_same_name_stays_untouched() {
    let _turn = alone();
    let cluster = cluster();
    cluster.kubectl(&["create", "namespace", "theirs"]);
    cluster.kubectl(&[
        "create",
        "deployment",
        "quickstart-sim",
        "-n",
        "theirs",
        "--image",
        "quickproof.invalid/none:1",
        "--replicas=0",
    ]);
    let theirs = || listed(cluster, "deployment,configmap,serviceaccount", "theirs");
    // The Deployment controller writes a status shortly after.
    cluster.kubectl(&[
        "wait",
        "-n",
        "theirs",
        "deployment/quickstart-sim",
        "--for=condition=Available",
        "--timeout=30s",
    ]);
    let before = theirs();

    // In their namespace: refused, and nothing of it changed.
    let ran = verify(&["--cluster", cluster.name, "-n", "theirs"]);
    ran.expect(3, "errored", Some("object-conflict"));
    assert_eq!(theirs(), before);

    let node = format!("{}-control-plane", cluster.name);
    let addresses = || output("docker", &["exec", &node, "ip", "-oneline", "address", "show", "eth0"]);
    let addresses_before = addresses();

    // Beside it: works, and nothing of theirs changed.
    let ran = verify(&["--cluster", cluster.name, "-n", "ours"]);
    ran.expect(0, "passed", None);
    assert_eq!(theirs(), before);
    assert_eq!(
        cluster
            .kubectl(&["get", "namespaces", "-o", "name"])
            .matches("namespace/ours\n")
            .count(),
        0,
        "what was made is gone"
    );
    assert_eq!(
        addresses(),
        addresses_before,
        "the node gave back what stood in for a load balancer"
    );
    cluster.kubectl(&["delete", "namespace", "theirs"]);
}

/// What the kernel knows of an address that an earlier node had makes it lose ten seconds, or take another way in.
#[test]
fn each_run_has_an_address_that_this_machine_knows_nothing_of() {
    let _turn = alone();
    let cluster = cluster();
    for namespace in ["first-address", "second-address"] {
        let known = std::fs::read_to_string("/proc/net/arp").unwrap();
        let ran = verify(&["--cluster", cluster.name, "-n", namespace]);
        ran.expect(0, "passed", None);
        let ledger = ran.report["ledger"].as_array().unwrap().iter();
        let given: Vec<&str> = ledger
            .filter_map(|entry| entry["what"].as_str()?.strip_prefix("address ")?.split(' ').next())
            .collect();
        assert_eq!(given.len(), 1, "{}", ran.report["ledger"]);
        let is_it = |line: &str| line.split_whitespace().next() == Some(given[0]);
        assert!(!known.lines().any(is_it), "{} in {known}", given[0]);
        assert_eq!(ran.substituted("the request is sent to").len(), 0, "by its address");
    }
}
