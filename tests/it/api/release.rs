//! Releases that runs against the server carry out, and the kubeconfig that leads there.

use std::{fs, path::Path};

use serde_json::json;

/// Files with one object of each kind of thing that guides make.
pub(crate) const EVERYTHING: [(&str, &str); 2] = [("m/definitions.yaml", DEFINITIONS), ("m/objects.yaml", OBJECTS)];

const DEFINITIONS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.io}
spec:
  group: example.io
  scope: Namespaced
  names: {kind: Thing, plural: things, singular: thing}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
";

const OBJECTS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: b}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: passing}
---
apiVersion: example.io/v1
kind: Thing
metadata: {name: one}
spec: {}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: server}
spec:
  replicas: 2
  selector: {matchLabels: {app: server}}
  template:
    metadata: {labels: {app: server}}
    spec: {containers: [{name: server, image: "registry.example/server:1", readinessProbe: {httpGet: {port: 80}}}]}
"#;

/// Writes a release whose guide has these commands, with these files.
pub(crate) fn write_release(tree: &Path, commands: &str, files: &[(&str, &str)]) {
    let commands = commands.trim();
    let guide = format!("=== \"Simulator\"\n\n    x\n\nthen\n\n=== \"GKE\"\n\n    x\n\n```bash\n{commands}\n```\n");
    for (name, text) in [("site-src/guides/index.md", guide.as_str())].iter().chain(files) {
        let path = tree.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A kubeconfig whose context `theirs` leads to this address.
pub(crate) fn kubeconfig(address: &str) -> String {
    json!({
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "contexts": [{"name": "theirs", "context": {"cluster": "c"}}],
    })
    .to_string()
}

/// A directory in memory, where the machine has a place for one: runs wait for the disk at every report.
pub(crate) fn directory_in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    }
    .unwrap()
}
