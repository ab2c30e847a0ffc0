//! Pod specs and containers inside objects, whatever kind of object makes the pods.

use serde_json::Value;

use crate::manifest::Object;

/// Where kinds keep the spec of their pods: Pod, then Deployment and its like, `CronJob`, and `LeaderWorkerSet`
/// (`leaderworkerset.x-k8s.io/v1`).
const SPECS: &[&str] = &[
    "/spec",
    "/spec/template/spec",
    "/spec/jobTemplate/spec/template/spec",
    "/spec/leaderWorkerTemplate/leaderTemplate/spec",
    "/spec/leaderWorkerTemplate/workerTemplate/spec",
];

/// Lists of containers in a pod's spec.
const LISTS: &[&str] = &["initContainers", "containers", "ephemeralContainers"];

/// A pod's spec inside an object.
#[derive(Debug, Clone)]
pub(super) struct PodSpec<'a> {
    /// Where it is in the object, as JSON pointer.
    pub(super) pointer: String,
    /// The spec.
    pub(super) value: &'a Value,
}

/// A container inside an object.
#[derive(Debug, Clone)]
pub(super) struct Container<'a> {
    /// Where it is in the object, as JSON pointer.
    pub(super) pointer: String,
    /// The container.
    pub(super) value: &'a Value,
}

impl<'a> Container<'a> {
    /// Its name; empty where it has none.
    pub(super) fn name(&self) -> &'a str {
        self.value["name"].as_str().unwrap_or_default()
    }
}

impl<'a> PodSpec<'a> {
    /// Its containers, those that start first before the others.
    pub(super) fn containers(&self) -> Vec<Container<'a>> {
        let mut containers = Vec::new();
        for list in LISTS {
            for (index, value) in items(&self.value[list]) {
                containers.push(Container {
                    pointer: format!("{}/{list}/{index}", self.pointer),
                    value,
                });
            }
        }
        containers
    }
}

/// The specs of the pods that an object is or makes.
pub(super) fn pod_specs(object: &Object) -> Vec<PodSpec<'_>> {
    let spec = |pointer: &&str| {
        let value = object.value.pointer(pointer)?;
        value["containers"].is_array().then(|| PodSpec {
            pointer: (*pointer).to_owned(),
            value,
        })
    };
    SPECS.iter().filter_map(spec).collect()
}

/// The items of a list with their indexes; none where it is no list.
pub(super) fn items(list: &Value) -> impl Iterator<Item = (usize, &Value)> {
    list.as_array().into_iter().flatten().enumerate()
}

/// A key as a token of a JSON pointer.
pub(super) fn token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_of_each_kind_of_object_are_found() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: one}], initContainers: [{name: two}]}\n---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: b}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: three}]}}}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: c}\nspec: {ports: []}\n";
        let objects = crate::manifest::read("f.yaml", text.as_bytes()).unwrap();
        let found: Vec<String> = objects
            .iter()
            .flat_map(pod_specs)
            .flat_map(|spec| spec.containers())
            .map(|container| format!("{} {}", container.pointer, container.name()))
            .collect();
        assert_eq!(
            found,
            [
                "/spec/initContainers/0 two",
                "/spec/containers/0 one",
                "/spec/jobTemplate/spec/template/spec/containers/0 three"
            ]
        );
    }
}
