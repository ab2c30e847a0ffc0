//! What the server has, what happened to it, and the controllers that every cluster has.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    asked::Asked,
    discovery::{self, Served},
};

/// `GROUP/VERSION`, plural, namespace (empty for what has none), name.
pub(super) type Key = (String, String, String, String);

/// What the server has.
pub(crate) struct Store {
    /// What nobody may do: verb and resource.
    pub(super) denied: Vec<(&'static str, &'static str)>,
    /// The rights that were asked about: verb and resource.
    pub(super) reviewed: Vec<(String, String)>,
    objects: BTreeMap<Key, Value>,
    /// What happened, in order: revision, `ADDED`, `MODIFIED` or `DELETED`, which object, and how it then was.
    history: Vec<(u64, &'static str, Key, Value)>,
    revision: u64,
    uids: u64,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            denied: Vec::new(),
            reviewed: Vec::new(),
            objects: BTreeMap::new(),
            history: Vec::new(),
            revision: 1,
            uids: 0,
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn titles(&self) -> Vec<String> {
        let title = |((_, _, namespace, name), object): (&Key, &Value)| {
            let kind = object["kind"].as_str().unwrap_or_default();
            if namespace.is_empty() {
                format!("{kind} {name}")
            } else {
                format!("{kind} {namespace}/{name}")
            }
        };
        self.objects.iter().map(title).collect()
    }

    /// Every kind that is served now.
    pub(super) fn served(&self) -> Vec<Served> {
        let definitions = self
            .objects
            .iter()
            .filter(|((_, plural, ..), _)| plural == "customresourcedefinitions");
        discovery::served(definitions.map(|(_, object)| object))
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// Puts an object there whole, as somebody else would.
    pub(super) fn put(&mut self, object: Value) {
        let served = self.served();
        let kind = served
            .iter()
            .find(|served| object["kind"] == *served.kind && object["apiVersion"] == *served.api_version)
            .unwrap_or_else(|| panic!("the server does not serve {} {}", object["apiVersion"], object["kind"]));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        let key = (
            kind.api_version.clone(),
            kind.plural.clone(),
            text(&metadata["namespace"]),
            text(&metadata["name"]),
        );
        self.store(key, object);
    }

    /// Stores an object, gives it what every object has, lets the controllers look, and returns it.
    pub(super) fn store(&mut self, key: Key, mut object: Value) -> Value {
        let before = self.objects.get(&key).cloned();
        self.revision += 1;
        let (_, plural, namespace, name) = &key;
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(name);
        if !namespace.is_empty() {
            metadata["namespace"] = json!(namespace);
        }
        metadata["resourceVersion"] = json!(self.revision.to_string());
        if let Some(before) = &before {
            metadata["uid"] = before["metadata"]["uid"].clone();
            let generation = before["metadata"]["generation"].as_u64().unwrap_or(1);
            let same = before["spec"] == object["spec"];
            object["metadata"]["generation"] = json!(if same { generation } else { generation + 1 });
        } else {
            self.uids += 1;
            metadata["uid"] = json!(format!("00000000-0000-4000-8000-{:012}", self.uids));
            metadata["generation"] = json!(1);
            metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        match plural.as_str() {
            "customresourcedefinitions" => {
                let condition = |type_| json!({"type": type_, "status": "True"});
                object["status"] = json!({"conditions": [condition("NamesAccepted"), condition("Established")]});
            }
            "deployments" => self.deploy(&key, &mut object),
            _ => {}
        }
        let what = if before.is_some() { "MODIFIED" } else { "ADDED" };
        self.history.push((self.revision, what, key.clone(), object.clone()));
        self.objects.insert(key, object.clone());
        object
    }

    /// A Deployment is ready at once, with all of its pods; unless its annotations say what becomes of them: `test/refused`,
    /// why there are none, or in its template `test/pod-status`, the status of each as JSON.
    fn deploy(&mut self, key: &Key, deployment: &mut Value) {
        if let Some(why) = deployment["metadata"]["annotations"]["test/refused"].as_str() {
            deployment["status"] = json!({"observedGeneration": deployment["metadata"]["generation"],
                "conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": why}]});
            return;
        }
        let replicas = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
        let template = deployment["spec"]["template"].clone();
        let told = template["metadata"]["annotations"]["test/pod-status"].as_str();
        let (up, available) = if told.is_none() {
            (replicas, "True")
        } else {
            (0, "False")
        };
        deployment["status"] = json!({
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": replicas, "readyReplicas": up, "updatedReplicas": replicas, "availableReplicas": up,
            "conditions": [{"type": "Available", "status": available}],
        });
        let (_, _, namespace, name) = key;
        let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        let status = told.map_or(ready, |told| serde_json::from_str(told).unwrap());
        for number in 0..replicas {
            let pod = json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": namespace, "name": format!("{name}-{number}"),
                    "labels": template["metadata"]["labels"],
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": name,
                        "uid": deployment["metadata"]["uid"]}]},
                "spec": template["spec"],
                "status": status});
            self.put(pod);
        }
    }

    /// Takes an object away, and what it owns or holds with it.
    pub(super) fn remove(&mut self, key: &Key) {
        let Some(object) = self.objects.remove(key) else { return };
        self.revision += 1;
        self.history
            .push((self.revision, "DELETED", key.clone(), object.clone()));
        let uid = &object["metadata"]["uid"];
        let is_its = |other: &Value| {
            let owners = other["metadata"]["ownerReferences"].as_array();
            owners.is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == *uid))
        };
        let held = |other: &Key| key.1 == "namespaces" && other.2 == key.3;
        let with_it: Vec<Key> = self
            .objects
            .iter()
            .filter(|(other, value)| is_its(value) || held(other))
            .map(|(other, _)| other.clone())
            .collect();
        for other in with_it {
            self.remove(&other);
        }
    }

    /// The objects that are asked for, in order.
    pub(super) fn listed(&self, asked: &Asked) -> Vec<&Value> {
        let objects = self.objects.iter().filter(|(key, object)| is_meant(asked, key, object));
        objects.map(|(_, object)| object).collect()
    }

    /// What happened to the objects that are asked for, after a revision.
    pub(super) fn events(&self, asked: &Asked, after: u64) -> Vec<Value> {
        let happened = self.history.iter().filter(|(revision, ..)| *revision > after);
        happened
            .filter(|(_, _, key, object)| is_meant(asked, key, object))
            .map(|(_, what, _, object)| json!({"type": what, "object": only_metadata(asked, object)}))
            .collect()
    }
}

/// An object, or its metadata where no more is wanted.
pub(super) fn only_metadata(asked: &Asked, object: &Value) -> Value {
    if asked.only_metadata {
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
    } else {
        object.clone()
    }
}

/// Whether an object is among those that are asked for.
fn is_meant(asked: &Asked, (api_version, plural, namespace, name): &Key, object: &Value) -> bool {
    let of_kind = *api_version == asked.api_version && *plural == asked.resource;
    let there = asked.namespace.as_ref().is_none_or(|asked| asked == namespace);
    let labelled = asked.text("labelSelector").is_none_or(|selector| {
        let labels = &object["metadata"]["labels"];
        let mut wanted = selector.split(',').filter(|one| !one.is_empty());
        wanted.all(|one| match one.split_once('=') {
            Some((label, value)) => labels[label] == value.trim_start_matches('='),
            None => !labels[one].is_null(),
        })
    });
    let named = asked.text("fieldSelector").is_none_or(|selector| {
        let mut wanted = selector.split(',').filter_map(|one| one.strip_prefix("metadata.name="));
        wanted.all(|wanted| wanted == name)
    });
    of_kind && there && labelled && named
}
