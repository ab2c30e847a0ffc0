//! What a cluster can still hold: allocatable minus requested, by node.
//!
//! It speaks of requests, as the scheduler does, not of use.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Node, Pod, PodSpec, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{Api, api::ListParams};

use super::{Cluster, ClusterError};

/// What is still free in a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capacity {
    /// The nodes that take pods: Ready and not cordoned.
    pub nodes: Vec<NodeCapacity>,
}

/// What is still free on a node. Negative never: more requested than allocatable counts as nothing free.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeCapacity {
    /// Its name.
    pub name: String,
    /// Such as `amd64`.
    pub architecture: String,
    /// Thousandths of a core.
    pub cpu_millis: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Pods.
    pub pods: u64,
    /// GPUs, by resource name, such as `nvidia.com/gpu`.
    pub gpus: BTreeMap<String, u64>,
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
    pub fn gpus(&self) -> u64 {
        self.nodes.iter().flat_map(|node| node.gpus.values()).sum()
    }
}

/// Asks the cluster what it can still hold.
///
/// # Errors
/// Nodes or pods cannot be listed.
pub async fn capacity(cluster: &Cluster) -> Result<Capacity, ClusterError> {
    let everything = ListParams::default();
    let running = ListParams::default().fields("status.phase!=Succeeded,status.phase!=Failed");
    let nodes = Api::<Node>::all(cluster.client.clone());
    let pods = Api::<Pod>::all(cluster.client.clone());
    let (nodes, pods) = tokio::try_join!(
        async {
            let nodes = nodes.list(&everything).await;
            nodes.map_err(|source| ClusterError::api("nodes", source))
        },
        async {
            let pods = pods.list(&running).await;
            pods.map_err(|source| ClusterError::api("pods of all namespaces", source))
        },
    )?;
    Ok(free(&nodes.items, &pods.items))
}

fn free(nodes: &[Node], pods: &[Pod]) -> Capacity {
    let nodes = nodes.iter().filter(|node| takes_pods(node));
    Capacity {
        nodes: nodes.map(|node| free_on(node, pods)).collect(),
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

fn free_on(node: &Node, pods: &[Pod]) -> NodeCapacity {
    let name = node.metadata.name.clone().unwrap_or_default();
    let status = node.status.clone().unwrap_or_default();
    let mut free = amounts(status.allocatable.as_ref());
    let here = pods.iter().filter_map(|pod| pod.spec.as_ref());
    for spec in here.filter(|spec| spec.node_name.as_deref() == Some(name.as_str())) {
        for (resource, amount) in requested(spec) {
            if let Some(left) = free.get_mut(&resource) {
                *left = left.saturating_sub(amount);
            }
        }
    }
    let whole = |resource: &str| free.get(resource).copied().unwrap_or(0) / 1000;
    let mut gpus = BTreeMap::new();
    for resource in free.keys().filter(|resource| is_gpu(resource)) {
        gpus.insert(resource.clone(), whole(resource));
    }
    NodeCapacity {
        architecture: status.node_info.map(|info| info.architecture).unwrap_or_default(),
        cpu_millis: free.get("cpu").copied().unwrap_or(0),
        memory_bytes: whole("memory"),
        pods: whole("pods"),
        gpus,
        name,
    }
}

/// Device plugins call them `nvidia.com/gpu`, `amd.com/gpu`, `gpu.intel.com/i915`, `nvidia.com/mig-1g.5gb`.
fn is_gpu(resource: &str) -> bool {
    resource.ends_with("/gpu") || resource.starts_with("gpu.") || resource.starts_with("nvidia.com/mig-")
}

/// What a pod asks for, in thousandths: its containers and sidecars together, or an init container (with the sidecars
/// started before it) where that asks for more; plus overhead and the pod's own slot. As in the scheduler
/// (`k8s.io/component-helpers/resource/helpers.go`, `PodRequests`).
fn requested(spec: &PodSpec) -> BTreeMap<String, u64> {
    let mut running = BTreeMap::new();
    for container in &spec.containers {
        add(&mut running, &requests(container.resources.as_ref()));
    }
    let (mut sidecars, mut starting) = (BTreeMap::new(), BTreeMap::new());
    for container in spec.init_containers.iter().flatten() {
        let own = requests(container.resources.as_ref());
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut running, &own);
            add(&mut sidecars, &own);
            take_larger(&mut starting, &sidecars);
        } else {
            let mut with_sidecars = sidecars.clone();
            add(&mut with_sidecars, &own);
            take_larger(&mut starting, &with_sidecars);
        }
    }
    take_larger(&mut running, &starting);
    // Requests of the pod as a whole take the place of what its containers add up to (KEP-2837).
    running.extend(requests(spec.resources.as_ref()));
    add(&mut running, &amounts(spec.overhead.as_ref()));
    running.insert("pods".to_owned(), 1000);
    running
}

fn requests(resources: Option<&ResourceRequirements>) -> BTreeMap<String, u64> {
    let Some(resources) = resources else {
        return BTreeMap::new();
    };
    // A limit without a request is a request too.
    let mut amount = amounts(resources.limits.as_ref());
    amount.extend(amounts(resources.requests.as_ref()));
    amount
}

fn add(sum: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>) {
    for (resource, amount) in more {
        let sum = sum.entry(resource.clone()).or_default();
        *sum = sum.saturating_add(*amount);
    }
}

fn take_larger(most: &mut BTreeMap<String, u64>, other: &BTreeMap<String, u64>) {
    for (resource, amount) in other {
        let most = most.entry(resource.clone()).or_default();
        *most = (*most).max(*amount);
    }
}

fn amounts(quantities: Option<&BTreeMap<String, Quantity>>) -> BTreeMap<String, u64> {
    let quantities = quantities.into_iter().flatten();
    quantities
        .filter_map(|(resource, quantity)| Some((resource.clone(), thousandths(&quantity.0)?)))
        .collect()
}

/// A quantity in thousandths of its unit, rounded up as the API server does: `100m` is 100, `1` is 1000, `1Ki` is
/// 1,024,000. `None` for what is no quantity, or negative. Grammar: `k8s.io/apimachinery/pkg/api/resource/quantity.go`.
pub fn thousandths(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || fraction.len() > 15 {
        return None;
    }
    // number = digits / 10^places; value in thousandths = digits * scale * 1000 / 10^places
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let (times, by) = scale(suffix)?;
    let by = by.checked_mul(10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?)?;
    let value = digits.checked_mul(times)?.checked_mul(1000)?.div_ceil(by);
    Some(u64::try_from(value).unwrap_or(u64::MAX))
}

/// A suffix as a fraction.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    let power = |base: u128, at: usize| Some((base.pow(u32::try_from(at).ok()? + 1), 1));
    if let Some(at) = BINARY.iter().position(|unit| *unit == suffix) {
        return power(1024, at);
    }
    if let Some(at) = DECIMAL.iter().position(|unit| *unit == suffix) {
        return power(1000, at);
    }
    match suffix {
        "" => return Some((1, 1)),
        "m" => return Some((1, 1000)),
        "u" => return Some((1, 1_000_000)),
        "n" => return Some((1, 1_000_000_000)),
        _ => (),
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let ten = 10_u128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, ten) } else { (ten, 1) })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case("100m", Some(100))]
    #[case("1", Some(1000))]
    #[case("1.5", Some(1500))]
    #[case(".5", Some(500))]
    #[case("0.0001", Some(1))]
    #[case("1Ki", Some(1_024_000))]
    #[case("2M", Some(2_000_000_000))]
    #[case("1e3", Some(1_000_000))]
    #[case("5E", Some(u64::MAX))]
    #[case("1E2", Some(100_000))]
    #[case("9n", Some(1))]
    #[case("-1", None)]
    #[case("", None)]
    #[case("1.2.3", None)]
    #[case("4 GB", None)]
    fn quantities_are_read_as_the_api_server_does(#[case] text: &str, #[case] value: Option<u64>) {
        assert_eq!(thousandths(text), value);
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
