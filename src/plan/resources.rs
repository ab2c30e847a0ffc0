//! What steps ask of a cluster, added up.

use std::{collections::BTreeMap, ops::AddAssign};

use k8s_openapi::api::core::v1::{PodSpec, ResourceRequirements};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, Makes, Plan};
use crate::manifest::{Object, is_gpu, requested};

/// What pods ask for, all replicas together. A pod must fit on one node, which these sums do not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resources {
    /// Pods. One of a `DaemonSet` counts once, whatever the number of nodes.
    pub(crate) pods: u64,
    /// Thousandths of a core.
    pub(crate) cpu_millis: u64,
    /// Bytes of memory.
    pub(crate) memory_bytes: u64,
    /// Bytes of ephemeral storage.
    pub(crate) ephemeral_storage_bytes: u64,
    /// GPUs of every kind.
    pub(crate) gpus: u64,
}

impl Plan {
    /// What its steps ask for in all, and of how many steps that is not known.
    pub(crate) fn asks_for(&self) -> (Resources, usize) {
        let mut sum = Resources::default();
        self.steps
            .iter()
            .filter_map(|step| step.resources)
            .for_each(|resources| sum += resources);
        (sum, self.steps.iter().filter(|step| step.resources.is_none()).count())
    }
}

impl AddAssign for Resources {
    fn add_assign(&mut self, more: Self) {
        self.pods = self.pods.saturating_add(more.pods);
        self.cpu_millis = self.cpu_millis.saturating_add(more.cpu_millis);
        self.memory_bytes = self.memory_bytes.saturating_add(more.memory_bytes);
        self.ephemeral_storage_bytes = self
            .ephemeral_storage_bytes
            .saturating_add(more.ephemeral_storage_bytes);
        self.gpus = self.gpus.saturating_add(more.gpus);
    }
}

/// What a step asks for; `None` where that is not known without rendering a chart or running a program.
pub(super) fn of(action: &Action) -> Option<Resources> {
    match action.facts().makes {
        Makes::Nothing => Some(Resources::default()),
        Makes::Objects { objects, .. } => Some(objects.iter().map(of_object).fold(Resources::default(), sum)),
        Makes::Unknown => None,
    }
}

fn sum(mut sum: Resources, more: Resources) -> Resources {
    sum += more;
    sum
}

fn of_object(object: &Object) -> Resources {
    let value = &object.value;
    let count = |field: &str| value["spec"][field].as_u64().unwrap_or(1);
    let (pods, spec) = match object.kind() {
        "Pod" => (1, &value["spec"]),
        "Deployment" | "StatefulSet" | "ReplicaSet" => (count("replicas"), &value["spec"]["template"]["spec"]),
        "DaemonSet" => (1, &value["spec"]["template"]["spec"]),
        "Job" => (count("parallelism"), &value["spec"]["template"]["spec"]),
        _ => return Resources::default(),
    };
    // What is no pod's specification is refused by the API server and asks for nothing.
    PodSpec::deserialize(spec).map_or_else(|_| Resources::default(), |spec| times(&requested(&spec), pods))
}

/// The containers of one pod with these `resources`, several times.
pub(super) fn of_container(resources: &Value, pods: u64) -> Resources {
    let resources = ResourceRequirements::deserialize(resources).unwrap_or_default();
    let spec = PodSpec {
        containers: vec![k8s_openapi::api::core::v1::Container {
            resources: Some(resources),
            ..k8s_openapi::api::core::v1::Container::default()
        }],
        ..PodSpec::default()
    };
    times(&requested(&spec), pods)
}

fn times(thousandths: &BTreeMap<String, u64>, pods: u64) -> Resources {
    let of = |resource: &str| thousandths.get(resource).copied().unwrap_or(0).saturating_mul(pods);
    let gpus = thousandths.iter().filter(|(resource, _)| is_gpu(resource));
    Resources {
        pods,
        cpu_millis: of("cpu"),
        memory_bytes: of("memory") / 1000,
        ephemeral_storage_bytes: of("ephemeral-storage") / 1000,
        gpus: gpus.map(|(_, amount)| amount.saturating_mul(pods) / 1000).sum(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn template(requests: &Value) -> Value {
        json!({"spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}]}})
    }

    #[rstest]
    #[case::deployment(json!({"kind": "Deployment", "spec": {"replicas": 3,
        "template": template(&json!({"cpu": "10m", "memory": "1Gi", "ephemeral-storage": "1k", "nvidia.com/gpu": 1}))}}),
        Resources { pods: 3, cpu_millis: 30, memory_bytes: 3 << 30, ephemeral_storage_bytes: 3000, gpus: 3 })]
    #[case::one_where_none_is_said(json!({"kind": "Deployment", "spec": {"template": template(&json!({"cpu": "1.5"}))}}),
        Resources { pods: 1, cpu_millis: 1500, ..Resources::default() })]
    #[case::scaled_to_nothing(json!({"kind": "StatefulSet", "spec": {"replicas": 0, "template": template(&json!({"cpu": 1}))}}),
        Resources::default())]
    #[case::no_workload(json!({"kind": "Service", "spec": {"replicas": 3}}), Resources::default())]
    #[case::no_pod_specification(json!({"kind": "Pod", "spec": {"containers": 3}}), Resources::default())]
    fn a_workload_asks_for_all_its_replicas(#[case] mut value: Value, #[case] wanted: Resources) {
        value["apiVersion"] = "v1".into();
        value["metadata"] = json!({"name": "n"});
        let object = Object {
            value: value.into(),
            file: "f.yaml".into(),
            line: 1,
        };
        assert_eq!(of_object(&object), wanted);
    }

    #[test]
    fn sums_stop_at_the_largest_number() {
        let mut sum = of_container(&json!({"requests": {"cpu": "9E"}}), 3);
        sum += sum;
        assert_eq!((sum.cpu_millis, sum.pods), (u64::MAX, 6));
    }
}
