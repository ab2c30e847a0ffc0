//! What a pod refers to by name and cannot start without: volume claims, Secrets, `ConfigMaps`, its account.
//!
//! Whether they exist is asked of the API server, and not read from what kubelet or scheduler say of it in words.

use std::{collections::BTreeSet, fmt};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, EnvFromSource, EnvVar, PersistentVolumeClaim, PodSpec, Secret, ServiceAccount, Volume},
};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::resources::persistently;

/// How long the API server may be away while it is asked for one of them.
const AWAY: std::time::Duration = std::time::Duration::from_secs(10);

/// A kind of thing that a pod refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Referent {
    /// A volume claim.
    PersistentVolumeClaim,
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
    /// The account that it runs under.
    ServiceAccount,
}

/// Something that a pod refers to, in its own namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) referent: Referent,
    pub(crate) name: String,
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} {}", self.referent, self.name)
    }
}

/// What a pod refers to and cannot start without. What is optional is left out; so are Secrets for pulling images, without
/// which a pod is started all the same.
pub(crate) fn references(spec: &PodSpec) -> BTreeSet<Reference> {
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let from_containers = containers.flat_map(|container| {
        let one_by_one = container.env.iter().flatten().filter_map(of_variable);
        let whole = container.env_from.iter().flatten().filter_map(of_whole);
        one_by_one.chain(whole).collect::<Vec<_>>()
    });
    let from_volumes = spec.volumes.iter().flatten().flat_map(of_volume);
    let account = spec.service_account_name.as_deref().filter(|name| !name.is_empty());
    let account = account.and_then(|name| needed(Referent::ServiceAccount, name, None));
    from_containers.chain(from_volumes).chain(account).collect()
}

fn needed(referent: Referent, name: &str, optional: Option<bool>) -> Option<Reference> {
    (optional != Some(true) && !name.is_empty()).then(|| Reference {
        referent,
        name: name.to_owned(),
    })
}

fn of_variable(variable: &EnvVar) -> Option<Reference> {
    let from = variable.value_from.as_ref()?;
    let map = from.config_map_key_ref.as_ref();
    let secret = from.secret_key_ref.as_ref();
    map.and_then(|map| needed(Referent::ConfigMap, &map.name, map.optional))
        .or_else(|| secret.and_then(|secret| needed(Referent::Secret, &secret.name, secret.optional)))
}

fn of_whole(from: &EnvFromSource) -> Option<Reference> {
    let (map, secret) = (from.config_map_ref.as_ref(), from.secret_ref.as_ref());
    map.and_then(|map| needed(Referent::ConfigMap, &map.name, map.optional))
        .or_else(|| secret.and_then(|secret| needed(Referent::Secret, &secret.name, secret.optional)))
}

fn of_volume(volume: &Volume) -> Vec<Reference> {
    let claim = volume.persistent_volume_claim.as_ref();
    let map = volume.config_map.as_ref();
    let secret = volume.secret.as_ref();
    let projected = volume.projected.iter().flat_map(|all| all.sources.iter().flatten());
    let projected = projected.flat_map(|source| {
        let map = source.config_map.as_ref();
        let secret = source.secret.as_ref();
        [
            map.and_then(|map| needed(Referent::ConfigMap, &map.name, map.optional)),
            secret.and_then(|secret| needed(Referent::Secret, &secret.name, secret.optional)),
        ]
    });
    [
        claim.and_then(|claim| needed(Referent::PersistentVolumeClaim, &claim.claim_name, None)),
        map.and_then(|map| needed(Referent::ConfigMap, &map.name, map.optional)),
        secret.and_then(|secret| needed(Referent::Secret, secret.secret_name.as_deref()?, secret.optional)),
    ]
    .into_iter()
    .chain(projected)
    .flatten()
    .collect()
}

/// Those of them that do not exist. Of one that may not be looked at, nothing is known, so it is not among them.
pub(crate) async fn absent(
    client: &Client,
    namespace: &str,
    references: impl IntoIterator<Item = Reference>,
) -> Vec<Reference> {
    let mut absent = Vec::new();
    for reference in references {
        let name = &reference.name;
        let is_absent = match reference.referent {
            Referent::PersistentVolumeClaim => is_absent::<PersistentVolumeClaim>(client, namespace, name).await,
            Referent::ConfigMap => is_absent::<ConfigMap>(client, namespace, name).await,
            Referent::Secret => is_absent::<Secret>(client, namespace, name).await,
            Referent::ServiceAccount => is_absent::<ServiceAccount>(client, namespace, name).await,
        };
        if is_absent {
            absent.push(reference);
        }
    }
    absent
}

async fn is_absent<K>(client: &Client, namespace: &str, name: &str) -> bool
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let all: Api<K> = Api::namespaced(client.clone(), namespace);
    let found = persistently(AWAY, || all.get_metadata_opt(name)).await;
    matches!(found, Ok(None))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(spec: &serde_json::Value) -> Vec<String> {
        let spec: PodSpec = serde_json::from_value(spec.clone()).unwrap();
        references(&spec).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_pod_refers_by_volumes_variables_and_its_account() {
        let spec = json!({
        "serviceAccountName": "epp",
        "imagePullSecrets": [{"name": "pull"}],
        "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "whole-secret"}}]}],
        "containers": [{"name": "c",
            "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "token", "key": "k"}}},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "k"}}},
                {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            "envFrom": [{"configMapRef": {"name": "whole-map"}}]}],
        "volumes": [
            {"name": "v1", "persistentVolumeClaim": {"claimName": "models"}},
            {"name": "v2", "configMap": {"name": "plugins"}},
            {"name": "v3", "secret": {"secretName": "certificate"}},
            {"name": "v4", "projected": {"sources": [{"configMap": {"name": "part-map"}}, {"secret": {"name": "part-secret"}},
                {"serviceAccountToken": {"path": "token"}}]}},
            {"name": "v5", "emptyDir": {}},
        ]});
        assert_eq!(
            listed(&spec),
            [
                "PersistentVolumeClaim models",
                "ConfigMap part-map",
                "ConfigMap plugins",
                "ConfigMap settings",
                "ConfigMap whole-map",
                "Secret certificate",
                "Secret part-secret",
                "Secret token",
                "Secret whole-secret",
                "ServiceAccount epp",
            ]
        );
    }

    #[test]
    fn what_is_optional_is_not_needed() {
        let spec = json!({
        "containers": [{"name": "c",
            "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": true}}}],
            "envFrom": [{"configMapRef": {"name": "m", "optional": true}}]}],
        "volumes": [
            {"name": "v2", "configMap": {"name": "m", "optional": true}},
            {"name": "v3", "secret": {"secretName": "s", "optional": true}},
            {"name": "v4", "projected": {"sources": [{"configMap": {"name": "m", "optional": true}}]}},
        ]});
        assert_eq!(listed(&spec), [] as [&str; 0]);
    }
}
