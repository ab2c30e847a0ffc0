//! The rights that a run needs, gathered from its plan.

use std::collections::BTreeSet;

use kube::Client;
use serde_json::Value;

use crate::{
    cluster::{
        access::Right,
        resources::{Resource, Resources, api_in},
        watching::Placement,
    },
    manifest::Object,
    plan::Action,
};

/// Resources of a group, and what is done with them.
type Verbs = (&'static str, &'static str, &'static [&'static str]);

/// What is done with an object that the run applies and takes away again.
const OF_OBJECTS: &[&str] = &["get", "create", "patch", "delete"];

/// What every run does in its namespace: looks at pods and what they belong to, and reads the endpoint picker's metrics with an
/// account of its own. The rights in `manifests/lanes/access.yaml` are these, those of objects, and those that only tell more.
const OF_EVERY_RUN: &[Verbs] = &[
    ("", "pods", &["get", "list", "watch"]),
    // To begin one with a GET, as over a websocket, API servers want both. Source: Kubernetes, changelog of 1.35.
    ("", "pods/portforward", &["get", "create"]),
    ("", "services", &["list", "watch"]),
    ("", "serviceaccounts", OF_OBJECTS),
    ("", "serviceaccounts/token", &["create"]),
    ("apps", "deployments", &["get", "list", "watch"]),
];

/// The same in the whole cluster: the account that reads metrics, and the endpoint picker's, are given roles for the time of the run.
/// Nobody may give away more than he has.
const OF_EVERY_RUN_IN_CLUSTER: &[Verbs] = &[
    ("rbac.authorization.k8s.io", "clusterroles", OF_OBJECTS),
    ("rbac.authorization.k8s.io", "clusterrolebindings", OF_OBJECTS),
    ("authentication.k8s.io", "tokenreviews", &["create"]),
    ("authorization.k8s.io", "subjectaccessreviews", &["create"]),
    ("", "/metrics", &["get"]),
];

/// What is read in the namespace to tell more of what goes wrong; a run without it comes to the same verdict.
pub(super) const TELLING: &[Verbs] = &[
    ("", "configmaps", &["get"]),
    ("", "events", &["list", "watch"]),
    ("", "persistentvolumeclaims", &["get"]),
    ("", "pods/log", &["get"]),
    ("", "secrets", &["get"]),
];

/// The same in the whole cluster.
pub(super) const TELLING_OF_CLUSTER: &[Verbs] = &[
    ("gateway.networking.k8s.io", "gatewayclasses", &["list", "watch"]),
    ("", "nodes", &["list"]),
    ("", "pods", &["list"]),
    ("storage.k8s.io", "storageclasses", &["get"]),
];

/// Kinds whose conditions are waited for.
const AWAITED: &[&str] = &["CustomResourceDefinition", "Gateway", "HTTPRoute", "InferencePool"];

/// What is done with the Secrets that helm keeps its releases in.
const OF_HELM: &[&str] = &["get", "list", "create", "update", "patch", "delete"];

/// Rights that are gathered.
pub(super) struct Asked<'a> {
    client: &'a Client,
    resources: Resources,
    namespace: &'a str,
    pub(super) rights: BTreeSet<Right>,
}

impl<'a> Asked<'a> {
    /// None yet, of a run in this namespace.
    pub(super) fn of(client: &'a Client, namespace: &'a str) -> Self {
        Self {
            client,
            resources: Resources::new(client.clone()),
            namespace,
            rights: BTreeSet::new(),
        }
    }

    /// Those of a list.
    pub(super) fn all(&mut self, verbs: &[Verbs], namespace: Option<&str>) {
        for (group, resource, verbs) in verbs {
            self.add(group, resource, namespace, verbs);
        }
    }

    fn add(&mut self, group: &str, resource: &str, namespace: Option<&str>, verbs: &[&str]) {
        self.rights.extend(verbs.iter().map(|verb| Right {
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.map(str::to_owned),
            verb: (*verb).to_owned(),
        }));
    }

    /// What every run does, whatever its guide says.
    pub(super) async fn of_every_run(&mut self) {
        self.all(OF_EVERY_RUN, Some(self.namespace));
        self.all(OF_EVERY_RUN_IN_CLUSTER, None);
        self.namespace_named(self.namespace).await;
    }

    /// A namespace that is used as it is, and made where it is not there.
    async fn namespace_named(&mut self, name: &str) {
        let known = self.resources.of_kind("v1", "Namespace").await;
        let Ok(Some(resource)) = known else { return };
        let is_there = is_there(self.client, &resource, name, name).await;
        self.add(
            "",
            "namespaces",
            None,
            if is_there { &OF_OBJECTS[..1] } else { OF_OBJECTS },
        );
    }

    /// What applying these objects needs, each in the namespace beside it where it names none.
    pub(super) async fn objects(&mut self, objects: &[(&Object, Option<&str>)]) {
        for (object, of_step) in objects {
            let (api_version, kind) = (object.api_version(), object.kind());
            let group = group_of(api_version);
            let own = object.namespace().or(*of_step).unwrap_or(self.namespace);
            let (plural, placement, verbs) = match self.resources.of_kind(api_version, kind).await {
                Ok(Some(resource)) if is_there(self.client, &resource, own, object.name()).await => {
                    (resource.api.plural, resource.placement, &OF_OBJECTS[..1])
                }
                Ok(Some(resource)) => (resource.api.plural, resource.placement, OF_OBJECTS),
                // Not served yet: a step before this one brings it.
                Ok(None) => match objects.iter().find_map(|(other, _)| defined(other, group, kind)) {
                    Some((plural, placement)) => (plural, placement, OF_OBJECTS),
                    None => continue,
                },
                Err(_) => continue,
            };
            let namespace = (placement == Placement::Namespaced).then_some(own);
            self.add(group, &plural, namespace, verbs);
            if AWAITED.contains(&kind) {
                self.add(group, &plural, namespace, &["list", "watch"]);
            }
            if verbs == OF_OBJECTS && matches!(kind, "Role" | "ClusterRole") {
                self.given_away(&object.value["rules"], (kind == "Role").then_some(own));
            }
        }
    }

    /// The rights that a role holds: nobody may make one that holds more than he has.
    fn given_away(&mut self, rules: &Value, namespace: Option<&str>) {
        let texts = |value: &Value| -> Vec<String> {
            let all = value.as_array().into_iter().flatten();
            all.filter_map(|one| one.as_str().map(str::to_owned)).collect()
        };
        for rule in rules.as_array().into_iter().flatten() {
            let verbs = texts(&rule["verbs"]);
            let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    self.add(&group, &resource, namespace, &verbs);
                }
            }
            for path in texts(&rule["nonResourceURLs"]) {
                self.add("", &path, None, &verbs);
            }
        }
    }

    /// What a step needs beside the objects that it is known to make.
    pub(super) async fn step(&mut self, action: &Action) {
        match action {
            Action::Helm {
                namespace: own,
                makes_namespace,
                ..
            } => {
                // Where helm keeps its releases.
                let own = own.as_deref().unwrap_or(self.namespace);
                self.add("", "secrets", Some(own), OF_HELM);
                if *makes_namespace {
                    self.namespace_named(own).await;
                }
            }
            Action::InstallProvider { witness, .. } | Action::InstallManifests { witness, .. } => {
                self.add("apps", "deployments", Some(&witness.namespace), &["get"]);
            }
            Action::Secret { namespace, .. } => {
                let own = namespace.as_deref().unwrap_or(self.namespace);
                self.add("", "secrets", Some(own), OF_OBJECTS);
            }
            Action::Read {
                resource, namespace, ..
            } => self.word(resource, namespace.as_deref(), &["list", "watch"]).await,
            Action::Inspect {
                resource,
                name,
                namespace,
                ..
            } => {
                let verb = if name.is_some() { "get" } else { "list" };
                self.word(resource, namespace.as_deref(), &[verb]).await;
            }
            Action::Await { target, .. } => {
                let namespace = target.namespace.as_deref();
                self.word(&target.resource, namespace, &["list", "watch"]).await;
            }
            Action::Label { target, .. } | Action::Patch { target, .. } | Action::Restart { target } => {
                let namespace = target.namespace.as_deref();
                self.word(&target.resource, namespace, &["get", "patch"]).await;
            }
            // What is deleted is the run's own, and what is uninstalled was installed by it.
            Action::Apply { .. }
            | Action::Delete { .. }
            | Action::HelmUninstall { .. }
            | Action::UninstallProvider { .. }
            | Action::Tool { .. }
            | Action::Request(_)
            | Action::Variables
            | Action::LeftOut { .. }
            | Action::Unsupported { .. }
            | Action::Broken => {}
        }
    }

    /// What is done with a resource as a command writes it. One that is not served yet is brought by a step.
    async fn word(&mut self, word: &str, namespace: Option<&str>, verbs: &[&str]) {
        let Ok(Some(Resource { api, placement })) = self.resources.by_word(word).await else {
            return;
        };
        let own = namespace.unwrap_or(self.namespace);
        let namespace = (placement == Placement::Namespaced).then_some(own);
        self.add(&api.group, &api.plural, namespace, verbs);
    }
}

fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Whether there is an object of this name.
async fn is_there(client: &Client, resource: &Resource, namespace: &str, name: &str) -> bool {
    let found = api_in(client, resource, Some(namespace)).get_metadata_opt(name).await;
    matches!(found, Ok(Some(_)))
}

/// The plural and the placement that a CRD gives a kind; `None` where it is no CRD of it.
fn defined(object: &Object, group: &str, kind: &str) -> Option<(String, Placement)> {
    let spec = &object.value["spec"];
    let is_of_kind = object.kind() == "CustomResourceDefinition"
        && spec["group"].as_str() == Some(group)
        && spec["names"]["kind"].as_str() == Some(kind);
    let plural = spec["names"]["plural"].as_str().filter(|_| is_of_kind)?;
    let placement = match spec["scope"].as_str() {
        Some("Cluster") => Placement::Cluster,
        _ => Placement::Namespaced,
    };
    Some((plural.to_owned(), placement))
}
