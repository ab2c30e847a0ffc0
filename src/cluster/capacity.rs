//! What a cluster can still hold: allocatable minus requested, by node.
//!
//! It speaks of requests, as the scheduler does, not of use.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, api::ListParams};

use super::{Cluster, ClusterError, resources::by_pages};
use crate::manifest::{amounts, is_gpu, requested};

/// How long the API server may be away for each page of nodes and pods: no run hangs on what they say.
const ASKED_FOR: Duration = Duration::from_secs(10);

/// What is still free in a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capacity {
    /// The nodes that take pods: Ready and not cordoned.
    pub nodes: Vec<NodeCapacity>,
}

/// What is still free on a node. Never negative: where more is requested than is allocatable, nothing is free.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeCapacity {
    /// Its name.
    pub(crate) name: String,
    /// Such as `amd64`.
    pub(crate) architecture: String,
    /// Thousandths of a core.
    pub(crate) cpu_millis: u64,
    /// Bytes of memory.
    pub(crate) memory_bytes: u64,
    /// Pods.
    pub(crate) pods: u64,
    /// GPUs, by resource name, such as `nvidia.com/gpu`.
    pub(crate) gpus: BTreeMap<String, u64>,
}

impl Capacity {
    /// Free thousandths of a core, over all nodes. A pod must fit on one of them.
    pub fn cpu_millis(&self) -> u64 {
        self.nodes.iter().map(|node| node.cpu_millis).sum()
    }

    /// Free bytes of memory, over all nodes.
    pub fn memory_bytes(&self) -> u64 {
        self.nodes.iter().map(|node| node.memory_bytes).sum()
    }

    /// Free GPUs of every kind, over all nodes.
    pub(crate) fn gpus(&self) -> u64 {
        self.nodes.iter().flat_map(|node| node.gpus.values()).sum()
    }
}

/// Asks the cluster what it can still hold. Of its nodes and pods, of which it may have ten thousands, no more is kept than
/// what they offer and ask for.
///
/// # Errors
/// Nodes or pods cannot be listed.
pub async fn capacity(cluster: &Cluster) -> Result<Capacity, ClusterError> {
    let (nodes, pods) = (
        &Api::<Node>::all(cluster.client.clone()),
        &Api::<Pod>::all(cluster.client.clone()),
    );
    let failed = |object: &'static str| move |trouble| ClusterError::trouble(object, &trouble);
    let mut offered = Vec::new();
    let page = async |wanted: ListParams| nodes.list(&wanted).await;
    let each = |nodes: Vec<Node>| offered.extend(nodes.iter().filter(|node| takes_pods(node)).map(Offered::by));
    by_pages(ASKED_FOR, ListParams::default(), page, each)
        .await
        .map_err(failed("nodes"))?;
    let running = ListParams::default().fields("status.phase!=Succeeded,status.phase!=Failed");
    let page = async |wanted: ListParams| pods.list(&wanted).await;
    let each = |pods: Vec<Pod>| pods.iter().for_each(|pod| take_from(&mut offered, pod));
    by_pages(ASKED_FOR, running, page, each)
        .await
        .map_err(failed("pods of all namespaces"))?;
    Ok(left_of(offered))
}

/// A node, and what of it is still free.
struct Offered {
    name: String,
    architecture: String,
    free: BTreeMap<String, u64>,
}

impl Offered {
    /// What a node offers, before any pod takes of it.
    fn by(node: &Node) -> Self {
        let status = node.status.clone().unwrap_or_default();
        Self {
            name: node.metadata.name.clone().unwrap_or_default(),
            free: amounts(status.allocatable.as_ref()),
            architecture: status.node_info.map(|info| info.architecture).unwrap_or_default(),
        }
    }
}

/// Takes what a pod asks for from the node it is on.
fn take_from(offered: &mut [Offered], pod: &Pod) {
    let Some(spec) = &pod.spec else { return };
    let its = offered
        .iter_mut()
        .find(|node| spec.node_name.as_ref() == Some(&node.name));
    let Some(node) = its else { return };
    for (resource, amount) in requested(spec) {
        if let Some(left) = node.free.get_mut(&resource) {
            *left = left.saturating_sub(amount);
        }
    }
}

fn left_of(offered: Vec<Offered>) -> Capacity {
    Capacity {
        nodes: offered.into_iter().map(free_on).collect(),
    }
}

fn takes_pods(node: &Node) -> bool {
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref());
    let ready = conditions
        .unwrap_or_default()
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    ready && !cordoned
}

fn free_on(node: Offered) -> NodeCapacity {
    let Offered {
        name,
        architecture,
        free,
    } = node;
    let whole = |resource: &str| free.get(resource).copied().unwrap_or(0) / 1000;
    let mut gpus = BTreeMap::new();
    for resource in free.keys().filter(|resource| is_gpu(resource)) {
        gpus.insert(resource.clone(), whole(resource));
    }
    NodeCapacity {
        architecture,
        cpu_millis: free.get("cpu").copied().unwrap_or(0),
        memory_bytes: whole("memory"),
        pods: whole("pods"),
        gpus,
        name,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn free(nodes: &[Node], pods: &[Pod]) -> Capacity {
        let nodes = nodes.iter().filter(|node| takes_pods(node));
        let mut offered: Vec<Offered> = nodes.map(Offered::by).collect();
        for pod in pods {
            take_from(&mut offered, pod);
        }
        left_of(offered)
    }

    fn pod(spec: &Value) -> Pod {
        serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap()
    }

    fn asks(cpu: &str) -> Value {
        json!({"name": "c", "resources": {"requests": {"cpu": cpu}}})
    }

    fn node(name: &str, ready: &str, cordoned: bool) -> Node {
        serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"unschedulable": cordoned},
            "status": {
                "allocatable": {"cpu": "2", "memory": "1Gi", "pods": "10", "nvidia.com/gpu": "2"},
                "conditions": [{"type": "Ready", "status": ready}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn what_is_free_is_what_is_allocatable_and_not_requested() {
        let pods = [
            pod(&json!({"nodeName": "a", "containers": [{"name": "c", "resources": {
                "requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"nvidia.com/gpu": "1"}}}]})),
            pod(&json!({"nodeName": "elsewhere", "containers": [asks("1")]})),
            pod(&json!({"containers": [asks("1")]})),
        ];
        let capacity = free(&[node("a", "True", false)], &pods);
        assert_eq!(capacity.cpu_millis(), 1500);
        assert_eq!(capacity.memory_bytes(), 768 << 20);
        assert_eq!(capacity.gpus(), 1);
        assert_eq!(capacity.nodes[0].pods, 9);
    }

    #[test]
    fn nodes_that_take_no_pods_hold_nothing() {
        let nodes = [
            node("a", "False", false),
            node("b", "True", true),
            node("c", "Unknown", false),
        ];
        assert_eq!(free(&nodes, &[]), Capacity::default());
    }

    #[rstest]
    #[case::containers_add_up(json!({"containers": [asks("1"), asks("1")]}), 2000)]
    #[case::a_large_init_container_wins(json!({"containers": [asks("1")], "initContainers": [asks("3")]}), 3000)]
    #[case::a_sidecar_adds(
        json!({"containers": [asks("1")], "initContainers": [
            {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}}, asks("500m")]}), 2000)]
    #[case::overhead_adds(json!({"containers": [asks("1")], "overhead": {"cpu": "250m"}}), 1250)]
    #[case::the_pod_as_a_whole(
        json!({"containers": [asks("1")], "resources": {"requests": {"cpu": "4"}}}), 4000)]
    fn a_pod_asks_for_what_the_scheduler_counts(#[case] spec: Value, #[case] millis: u64) {
        assert_eq!(requested(pod(&spec).spec.as_ref().unwrap())["cpu"], millis);
    }

    #[test]
    fn more_requested_than_allocatable_is_nothing_free() {
        let greedy = pod(&json!({"nodeName": "a", "containers": [asks("5")]}));
        assert_eq!(free(&[node("a", "True", false)], &[greedy]).cpu_millis(), 0);
    }
}
