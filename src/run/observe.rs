//! Looking at Gateway, HTTPRoute, InferencePool and the pool's pods until their conditions settle.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::{
    Context,
    workloads::{has_labels, is_ready},
};
use crate::{
    check::{
        Observation, PoolPod,
        conditions::{self, Unmet},
    },
    cluster::watching::{Progress, Watches},
    deploy::Deployer,
    manifest::Object,
    record::Stage,
    verdict::CauseCode,
};

/// How long conditions may take to become True while no controller says no.
const CONDITIONS_LIMIT: Duration = Duration::from_mins(1);
/// How long a controller's "no" at the current generation is borne: routes are applied before what they refer to.
const NO_IS_BORNE: Duration = Duration::from_secs(5);

/// Which objects are looked at, as the plan made them.
struct Looked {
    gateways: Vec<Object>,
    http_routes: Vec<Object>,
    inference_pools: Vec<Object>,
}

impl Context {
    /// Waits until the conditions hold or will not, and leaves what was last seen in `seen`. It judges nothing: the
    /// checks do, on what is left here.
    pub(super) async fn await_conditions(&self, deployer: &Deployer, seen: &mut Observation) {
        let looked = deployer.deployed(|deployed| Looked {
            gateways: deployed.of_kind("Gateway").cloned().collect(),
            http_routes: deployed.of_kind("HTTPRoute").cloned().collect(),
            inference_pools: deployed.of_kind("InferencePool").cloned().collect(),
        });
        let mut watched = BTreeMap::new();
        for object in looked
            .gateways
            .iter()
            .chain(&looked.http_routes)
            .chain(&looked.inference_pools)
        {
            let key = (object.api_version().to_owned(), object.kind().to_owned());
            if watched.contains_key(&key) {
                continue;
            }
            if let Ok(Some(resource)) = deployer.resources().of_kind(object.api_version(), object.kind()).await {
                watched.insert(key, deployer.site.watches.others(&resource.api, resource.placement));
            }
        }
        let current = |objects: &[Object]| -> Vec<Value> {
            objects
                .iter()
                .map(|object| {
                    let key = (object.api_version().to_owned(), object.kind().to_owned());
                    let found = watched
                        .get(&key)
                        .and_then(|watched| watched.get(object.namespace().unwrap_or_default(), object.name()));
                    found
                        .and_then(|found| serde_json::to_value(&*found).ok())
                        .unwrap_or_else(|| Value::clone(&object.value))
                })
                .collect()
        };
        let gatewayless = looked.gateways.is_empty();
        let mut no_since: Option<(String, Instant)> = None;
        let question = |watches: &Watches| {
            seen.gateways = current(&looked.gateways);
            seen.http_routes = current(&looked.http_routes);
            seen.inference_pools = current(&looked.inference_pools);
            seen.pool_pods = pool_pods(deployer, watches, &seen.inference_pools, &seen.http_routes);
            let unmet = first_unmet(seen, gatewayless);
            let Some(unmet) = unmet else {
                return Progress::<(), ()>::Ready(());
            };
            if unmet.said_no {
                let (_, since) = no_since
                    .take()
                    .filter(|(what, _)| *what == unmet.what)
                    .unwrap_or_else(|| (unmet.what.clone(), Instant::now()));
                no_since = Some((unmet.what.clone(), since));
                if since.elapsed() >= NO_IS_BORNE {
                    return Progress::Never(());
                }
            } else {
                no_since = None;
            }
            Progress::NotYet(unmet.what)
        };
        // However it ends, what was last seen is in `seen`, and the checks say what it means.
        let _ = deployer
            .site
            .watches
            .until(self.order.limit.min(CONDITIONS_LIMIT), question, |what| {
                self.events.waiting(Stage::Conditions, "conditions", what);
            })
            .await;
    }

    /// Looks at the pool's pods again: they may have changed while requests were sent.
    pub(super) fn refresh_pods(deployer: &Deployer, seen: &mut Observation) {
        seen.pool_pods = pool_pods(
            deployer,
            &deployer.site.watches,
            &seen.inference_pools,
            &seen.http_routes,
        );
    }
}

fn first_unmet(seen: &Observation, gatewayless: bool) -> Option<Unmet> {
    let gateways = seen.gateways.iter().map(conditions::gateway);
    let routes = seen.http_routes.iter().map(conditions::http_route);
    let pools = seen
        .inference_pools
        .iter()
        .filter(|_| !gatewayless)
        .map(conditions::inference_pool);
    // A route that was refused will not get better by waiting for the pool that it hides: the refusal goes first.
    let mut unmet: Vec<Unmet> = gateways.chain(routes).chain(pools).filter_map(Result::err).collect();
    unmet.sort_by_key(|unmet| !unmet.said_no);
    let no_pod = seen.pool_pods.iter().all(|pod| !pod.ready).then(|| Unmet {
        what: "the pool selects no Ready pod".into(),
        cause: CauseCode::PoolSelectsNoPod,
        // Every workload is ready by now; what selects nothing will go on to.
        said_no: true,
    });
    unmet.into_iter().next().or(no_pod)
}

/// What the plan made so far.
pub(super) fn kinds_and_names(deployer: &Deployer) -> Vec<(String, String)> {
    deployer.deployed(|deployed| {
        let objects = deployed.objects.iter();
        objects
            .map(|object| (object.kind().to_owned(), object.name().to_owned()))
            .collect()
    })
}

/// The pods of the pools that the routes lead to; of all pools where no route leads to any.
pub(super) fn pool_pods(deployer: &Deployer, watches: &Watches, pools: &[Value], routes: &[Value]) -> Vec<PoolPod> {
    let made = kinds_and_names(deployer);
    let is_led_to = |pool: &&Value| is_led_to(pool, routes);
    let any = pools.iter().any(|pool| is_led_to(&pool));
    let mut pods = Vec::new();
    for pool in pools.iter().filter(|pool| !any || is_led_to(pool)) {
        let namespace = pool.pointer("/metadata/namespace").and_then(Value::as_str);
        // v1: `selector.matchLabels`; v1alpha1 and 2: the labels themselves.
        let selector = &pool["spec"]["selector"];
        let labels = selector.get("matchLabels").unwrap_or(selector);
        let labels: BTreeMap<String, String> = serde_json::from_value(labels.clone()).unwrap_or_default();
        pods.extend(
            watches
                .pods
                .all()
                .into_iter()
                .filter(|pod| pod.metadata.namespace.as_deref() == namespace && has_labels(pod, &labels))
                .map(|pod| PoolPod {
                    namespace: pod.metadata.namespace.clone().unwrap_or_default(),
                    name: pod.metadata.name.clone().unwrap_or_default(),
                    ready: is_ready(&pod),
                    workload: workload(&pod, &made),
                }),
        );
    }
    pods
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
    #[case::by_name(json!({"kind": "InferencePool", "name": "a"}), true)]
    #[case::another_name(json!({"kind": "InferencePool", "name": "b"}), false)]
    #[case::a_service(json!({"kind": "Service", "name": "a"}), false)]
    #[case::another_namespace(json!({"kind": "InferencePool", "name": "a", "namespace": "m"}), false)]
    fn a_route_leads_to_the_pools_that_it_names(#[case] backend: Value, #[case] leads: bool) {
        let pool = json!({"metadata": {"name": "a", "namespace": "n"}});
        let route = json!({"metadata": {"namespace": "n"}, "spec": {"rules": [{}, {"backendRefs": [backend]}]}});
        assert_eq!(is_led_to(&pool, &[route]), leads);
    }
}
