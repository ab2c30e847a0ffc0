//! The pods of the pool under test, and what of the plan they belong to.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::workloads::{has_labels, is_ready};
use crate::{
    check::{Observation, PoolPod},
    deploy::Deployer,
};

/// What the plan made so far.
pub(super) fn kinds_and_names(deployer: &Deployer) -> Vec<(String, String)> {
    deployer.deployed(|deployed| {
        let objects = deployed.objects.iter();
        objects
            .map(|object| (object.kind().to_owned(), object.name().to_owned()))
            .collect()
    })
}

/// The pools that the routes lead to; all where no route leads to any. To another one beside them no request goes, and no
/// parent takes it. Routes of other kinds than `HTTPRoute` are not known here.
pub(super) fn in_question(mut pools: Vec<Value>, routes: &[Value]) -> Vec<Value> {
    if pools.iter().any(|pool| is_led_to(pool, routes)) {
        pools.retain(|pool| is_led_to(pool, routes));
    }
    pools
}

/// The pods of these pools.
pub(super) fn pods(deployer: &Deployer, pools: &[Value]) -> Vec<PoolPod> {
    let made = kinds_and_names(deployer);
    let mut pods = Vec::new();
    for pool in pools {
        let namespace = pool.pointer("/metadata/namespace").and_then(Value::as_str);
        // v1: `selector.matchLabels`; v1alpha1 and 2: the labels themselves.
        let selector = &pool["spec"]["selector"];
        let labels = selector.get("matchLabels").unwrap_or(selector);
        let labels: BTreeMap<String, String> = serde_json::from_value(labels.clone()).unwrap_or_default();
        pods.extend(
            deployer
                .site
                .watches
                .pods
                .all()
                .into_iter()
                .filter(|pod| pod.metadata.namespace.as_deref() == namespace && has_labels(pod, &labels))
                .map(|pod| PoolPod {
                    namespace: pod.metadata.namespace.clone().unwrap_or_default(),
                    name: pod.metadata.name.clone().unwrap_or_default(),
                    address: pod.status.as_ref().and_then(|status| status.pod_ip.clone()),
                    ready: is_ready(&pod),
                    workload: workload(&pod, &made),
                }),
        );
    }
    pods
}

/// The pool's pods as they are now: they may have changed since they were last seen.
pub(super) fn pods_now(deployer: &Deployer, seen: &Observation) -> Vec<PoolPod> {
    pods(deployer, &seen.inference_pools)
}

/// The pods that are known as those of a pool, as Kubernetes has them now.
pub(super) fn as_objects(deployer: &Deployer, known: &[PoolPod]) -> Vec<Arc<Pod>> {
    let mut pods = deployer.site.watches.pods.all();
    pods.retain(|pod| known.iter().any(|known| is(known, pod)));
    pods
}

/// Whether a pod of the pool is this pod: the same name in another namespace is another pod.
fn is(known: &PoolPod, pod: &Pod) -> bool {
    let (namespace, name) = (pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref());
    namespace == Some(known.namespace.as_str()) && name == Some(known.name.as_str())
}

/// Whether a rule of a route leads to a pool.
pub(super) fn is_led_to(pool: &Value, routes: &[Value]) -> bool {
    let backends = routes.iter().flat_map(|route| {
        let rules = route.pointer("/spec/rules").and_then(Value::as_array);
        let backends = rules
            .into_iter()
            .flatten()
            .filter_map(|rule| rule["backendRefs"].as_array());
        backends.flatten().map(move |backend| (route, backend))
    });
    let namespace = |value: &Value| value.pointer("/metadata/namespace").cloned();
    let mut backends = backends.filter(|(_, backend)| backend["kind"] == "InferencePool");
    backends.any(|(route, backend)| {
        let of_backend = backend.get("namespace").cloned().or_else(|| namespace(route));
        backend["name"] == pool["metadata"]["name"] && of_backend == namespace(pool)
    })
}

/// What of the plan a pod belongs to, as `KIND NAME`; `None` where nothing that the plan made is its owner.
///
/// A Deployment owns its pods through a ReplicaSet `NAME-HASH`, and controllers of other kinds name what is between by the
/// same habit; `HASH` is the pod's own label where it has one.
pub(super) fn workload(pod: &Pod, made: &[(String, String)]) -> Option<String> {
    let owner = pod
        .metadata
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true));
    let (kind, name) = match owner {
        None => ("Pod", pod.metadata.name.as_deref()?),
        Some(owner) => (owner.kind.as_str(), owner.name.as_str()),
    };
    let hash = pod
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get("pod-template-hash"));
    let deployment = hash.and_then(|hash| name.strip_suffix(hash.as_str())?.strip_suffix('-'));
    let is_owner = |(made_kind, made_name): &&(String, String)| match kind {
        "Pod" => made_kind == "Pod" && made_name == name,
        "ReplicaSet" if deployment.is_some() => made_kind == "Deployment" && Some(made_name.as_str()) == deployment,
        _ => {
            let rest = name.strip_prefix(made_name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        }
    };
    let (kind, name) = made.iter().find(is_owner)?;
    Some(format!("{kind} {name}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::of_a_deployment(json!({"name": "a-7d9-x1", "labels": {"pod-template-hash": "7d9"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "a-7d9", "controller": true}]}), Some("Deployment a"))]
    #[case::of_a_longer_name(json!({"name": "a-b-7d9-x1", "labels": {"pod-template-hash": "7d9"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "a-b-7d9", "controller": true}]}), None)]
    #[case::of_a_set(json!({"name": "s-0",
        "ownerReferences": [{"kind": "StatefulSet", "name": "s-0", "controller": true}]}), Some("LeaderWorkerSet s"))]
    #[case::of_another_set(json!({"name": "set-0",
        "ownerReferences": [{"kind": "StatefulSet", "name": "set", "controller": true}]}), None)]
    #[case::alone_and_made(json!({"name": "p"}), Some("Pod p"))]
    #[case::alone_and_not_made(json!({"name": "p-2"}), None)]
    fn a_pod_belongs_to_what_made_it(#[case] metadata: Value, #[case] expected: Option<&str>) {
        let mut metadata = metadata;
        for owner in metadata["ownerReferences"].as_array_mut().into_iter().flatten() {
            owner["apiVersion"] = "apps/v1".into();
            owner["uid"] = "u".into();
        }
        let pod: Pod = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        let made = [("Deployment", "a"), ("LeaderWorkerSet", "s"), ("Pod", "p")]
            .map(|(kind, name)| (kind.to_owned(), name.to_owned()));
        assert_eq!(workload(&pod, &made).as_deref(), expected);
    }

    #[rstest]
    #[case::the_same(json!({"namespace": "n", "name": "p"}), true)]
    #[case::another_name(json!({"namespace": "n", "name": "q"}), false)]
    #[case::another_namespace(json!({"namespace": "m", "name": "p"}), false)]
    #[case::no_namespace(json!({"name": "p"}), false)]
    fn a_pod_of_the_pool_is_known_by_namespace_and_name(#[case] metadata: Value, #[case] same: bool) {
        let known = PoolPod {
            namespace: "n".into(),
            name: "p".into(),
            address: None,
            ready: true,
            workload: None,
        };
        let pod: Pod = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        assert_eq!(is(&known, &pod), same);
    }

    #[rstest]
    #[case::by_name(json!({"kind": "InferencePool", "name": "a"}), true)]
    #[case::another_name(json!({"kind": "InferencePool", "name": "b"}), false)]
    #[case::a_service(json!({"kind": "Service", "name": "a"}), false)]
    #[case::another_namespace(json!({"kind": "InferencePool", "name": "a", "namespace": "m"}), false)]
    fn a_route_leads_to_the_pools_that_it_names(#[case] backend: Value, #[case] leads: bool) {
        let pool = json!({"metadata": {"name": "a", "namespace": "n"}});
        let route = json!({"metadata": {"namespace": "n"}, "spec": {"rules": [{}, {"backendRefs": [backend]}]}});
        assert_eq!(is_led_to(&pool, &[route]), leads);
    }

    #[test]
    fn a_pool_beside_that_no_route_leads_to_is_not_in_question() {
        let [one, beside] = ["a", "b"].map(|name| json!({"metadata": {"name": name, "namespace": "n"}}));
        let to = |name: &str| json!({"metadata": {"namespace": "n"}, "spec": {"rules": [{"backendRefs": [{"kind": "InferencePool", "name": name}]}]}});
        let both = || vec![one.clone(), beside.clone()];
        assert_eq!(in_question(both(), &[to("a")]), std::slice::from_ref(&one));
        // Where routes lead to none of them, whatever is wrong is about all.
        assert_eq!(in_question(both(), &[to("c")]), both());
    }
}
