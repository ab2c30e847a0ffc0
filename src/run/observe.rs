//! Looking at Gateway, HTTPRoute, InferencePool and the pool's pods until their conditions settle.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

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
                        .unwrap_or_else(|| object.value.clone())
                })
                .collect()
        };
        let gatewayless = looked.gateways.is_empty();
        let mut no_since: Option<(String, Instant)> = None;
        let question = |watches: &Watches| {
            seen.gateways = current(&looked.gateways);
            seen.http_routes = current(&looked.http_routes);
            seen.inference_pools = current(&looked.inference_pools);
            seen.pool_pods = pool_pods(watches, &seen.inference_pools);
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
        seen.pool_pods = pool_pods(&deployer.site.watches, &seen.inference_pools);
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

/// The pods that the pools select.
fn pool_pods(watches: &Watches, pools: &[Value]) -> Vec<PoolPod> {
    let mut pods = Vec::new();
    for pool in pools {
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
                    name: pod.metadata.name.clone().unwrap_or_default(),
                    ready: is_ready(&pod),
                }),
        );
    }
    pods
}
