//! Any bytes as the files that a guide's commands ask for: plans and findings or errors, never a panic.

use quickproof::{
    lint::{self, Rendered},
    release::{MemoryTree, REPOSITORY, Release, Tag},
};

/// A guide that asks for a manifest, the bundle of CRDs, and a chart that depends on another.
const GUIDE: &str = "\
=== \"Simulator\"

    ```bash
    kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/raw/refs/tags/v1.5.0/config/manifests/a.yaml
    ```

Done

=== \"Istio\"

    ```bash
    kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/v1.5.0/manifests.yaml
    kubectl apply -k config/crd
    helm install a --set inferencePool.modelServers.matchLabels.app=b --version v1.5.0 oci://registry.k8s.io/gateway-api-inference-extension/charts/inferencepool
    kubectl delete -f config/manifests
    ```
";

/// The files that the guide's commands reach, in the order in which the bytes fill them.
const FILES: [&str; 9] = [
    "config/manifests/a.yaml",
    "config/crd/kustomization.yaml",
    "config/crd/bases/a.yaml",
    "config/charts/inferencepool/values.yaml",
    "config/charts/inferencepool/Chart.yaml",
    "config/charts/epplib/values.yaml",
    "config/charts/inferencepool/templates/a.yaml",
    "config/charts/inferencepool/templates/_helpers.tpl",
    "README.md",
];

// Bytes that are zero separate the files.
pub(super) fn read(bytes: &[u8]) {
    let tag: Tag = "v1.5.0".parse().expect("a tag");
    let mut tree = MemoryTree::default();
    tree.insert("site-src/guides/index.md".parse().expect("a path"), GUIDE);
    for (name, file) in FILES.into_iter().zip(bytes.split(|byte| *byte == 0)) {
        tree.insert(name.parse().expect("a path"), file);
    }
    let release = Release::new(REPOSITORY, Some(tag), None, Box::new(tree));
    let layout = release.layout(None).expect("the tag has a layout");
    let combinations = lint::draw(&release, &layout).expect("the guide can be read");
    assert!(!combinations.is_empty() && combinations.iter().all(|combination| combination.plan.is_ok()));
    lint::examine(&release, &layout, &combinations, &Rendered::new());
}
