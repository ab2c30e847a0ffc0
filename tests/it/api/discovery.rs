//! The kinds that the server serves: those of Kubernetes that the product uses, and those that are defined in it.

use serde_json::{Value, json};

/// A kind that is served.
#[derive(Debug, Clone)]
pub(super) struct Served {
    /// `GROUP/VERSION`, or `v1`.
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) plural: String,
    pub(super) namespaced: bool,
}

/// Those that every server has.
const OWN: &[(&str, &str, &str, bool)] = &[
    ("v1", "Namespace", "namespaces", false),
    ("v1", "Node", "nodes", false),
    ("v1", "Pod", "pods", true),
    ("v1", "Service", "services", true),
    ("v1", "ServiceAccount", "serviceaccounts", true),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Secret", "secrets", true),
    ("v1", "Event", "events", true),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", false),
    ("apps/v1", "Deployment", "deployments", true),
    ("batch/v1", "Job", "jobs", true),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        false,
    ),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", true),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
    ),
];

/// Every kind that is served now.
pub(super) fn served<'a>(definitions: impl Iterator<Item = &'a Value>) -> Vec<Served> {
    let own = OWN.iter().map(|&(api_version, kind, plural, namespaced)| Served {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        namespaced,
    });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let defined = definitions.flat_map(|definition| {
        let spec = &definition["spec"];
        let versions = spec["versions"].as_array().cloned().unwrap_or_default();
        let of = move |version: Value| Served {
            api_version: format!("{}/{}", text(&spec["group"]), text(&version["name"])),
            kind: text(&spec["names"]["kind"]),
            plural: text(&spec["names"]["plural"]),
            namespaced: spec["scope"] == "Namespaced",
        };
        versions.into_iter().map(of)
    });
    own.chain(defined).collect()
}

/// The kinds of one group in one version; `None` where it is not served.
pub(super) fn resources(served: &[Served], api_version: &str) -> Option<Value> {
    let of_it = served.iter().filter(|served| served.api_version == api_version);
    let resources: Vec<Value> = of_it
        .map(|served| {
            json!({"name": served.plural, "singularName": served.kind.to_lowercase(), "kind": served.kind,
                "namespaced": served.namespaced, "verbs": ["get", "list", "watch", "patch", "create", "delete"]})
        })
        .collect();
    let list =
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources});
    (!resources.is_empty()).then_some(list)
}

/// The groups and their versions: those of `/apis`.
pub(super) fn groups(served: &[Served]) -> Value {
    let groups: Vec<Value> = versions(served)
        .into_iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, version)| {
            let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
            json!({"name": group, "versions": [version], "preferredVersion": version})
        })
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// The same with their kinds in one answer; the core group where `core`, else all others.
pub(super) fn aggregated(served: &[Served], path: &str) -> Value {
    let of_path = versions(served)
        .into_iter()
        .filter(|(group, _)| group.is_empty() == (path == "/api"));
    let items: Vec<Value> = of_path
        .map(|(group, version)| {
            let api_version = if group.is_empty() {
                version.clone()
            } else {
                format!("{group}/{version}")
            };
            let of_it = served.iter().filter(|served| served.api_version == api_version);
            let resources: Vec<Value> = of_it
                .map(|served| {
                    json!({"resource": served.plural, "singularResource": served.kind.to_lowercase(),
                        "responseKind": {"group": group, "version": version, "kind": served.kind},
                        "scope": if served.namespaced { "Namespaced" } else { "Cluster" },
                        "verbs": ["get", "list", "watch", "patch", "create", "delete"]})
                })
                .collect();
            json!({"metadata": {"name": group}, "versions": [
                {"version": version, "freshness": "Current", "resources": resources}]})
        })
        .collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

/// Group and version, each pair once; the core group is empty.
fn versions(served: &[Served]) -> Vec<(String, String)> {
    let mut versions: Vec<(String, String)> = Vec::new();
    for served in served {
        let (group, version) = served.api_version.split_once('/').unwrap_or(("", &served.api_version));
        let pair = (group.to_owned(), version.to_owned());
        if !versions.contains(&pair) {
            versions.push(pair);
        }
    }
    versions
}
