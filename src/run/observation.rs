//! The observation, put together here from what each part of a run has seen.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    check::{Observation, PoolPod, Proof, wire::ServedNames},
    plan::{Plan, Request},
    probe::Answer,
    record::Provenance,
    verdict::Cause,
};

/// How many pods must have served the requests of the proof.
const PODS_WANTED: usize = 2;

/// The objects under test and the pool's pods, as last seen.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) gateways: Vec<Value>,
    /// `None` where it cannot be seen which there are.
    pub(super) gateway_classes: Option<Vec<Value>>,
    /// Where they stand in the release, by kind and name.
    pub(super) places: BTreeMap<(String, String), Provenance>,
    pub(super) http_routes: Vec<Value>,
    pub(super) inference_pools: Vec<Value>,
    pub(super) pool_pods: Vec<PoolPod>,
    /// Whether more of them may come: what was deployed was not waited for.
    pub(super) pods_may_come: bool,
    /// Why the Gateways' own pods will never be ready.
    pub(super) gateway_pods: Option<Cause>,
}

/// Before any request: what the plan says, and the objects.
pub(super) fn of_objects(plan: &Plan, objects: Objects) -> Observation {
    Observation {
        gateways: objects.gateways,
        places: objects.places,
        gateway_classes: objects.gateway_classes,
        http_routes: objects.http_routes,
        inference_pools: objects.inference_pools,
        pool_pods: objects.pool_pods,
        pods_may_come: objects.pods_may_come,
        gateway_pods: objects.gateway_pods,
        servers: plan.servers,
        build_ref: plan.build_ref.clone(),
        steered_by: plan.picker.as_ref().and_then(|picker| picker.steered_by.clone()),
        picker_metrics: plan.picker.as_ref().map(|picker| picker.metrics.clone()),
        pods_wanted: PODS_WANTED,
        ..Observation::default()
    }
}

/// With what the guide's request is judged by: what its own text lacks, the objects that rewrite its model's name, and the
/// ports of the nodes that lead to the Gateway.
pub(super) fn with_request(
    seen: Observation,
    request: &Request,
    rewrites: Vec<Value>,
    node_ports: Vec<u16>,
) -> Observation {
    Observation {
        unexpanded: request.unexpanded.clone(),
        rewrites,
        node_ports,
        ..seen
    }
}

/// With the names that stand for one model.
pub(super) fn with_served(seen: Observation, served: ServedNames) -> Observation {
    Observation { served, ..seen }
}

/// With what the gateway's log says of the endpoint picker.
pub(super) fn with_gateways_word(seen: Observation, gateway_says: Option<String>) -> Observation {
    Observation { gateway_says, ..seen }
}

/// With the answer to the guide's request, and the pool's pods after it.
pub(super) fn with_answer(seen: Observation, answer: Answer, pool_pods: Vec<PoolPod>) -> Observation {
    Observation {
        guide_answer: Some(answer),
        pool_pods,
        ..seen
    }
}

/// With the proof, and the pool's pods after it.
pub(super) fn with_proof(seen: Observation, proof: Proof, pool_pods: Vec<PoolPod>) -> Observation {
    Observation {
        pool_pods,
        proof,
        ..seen
    }
}

/// What requests and pods are judged by, without what was measured: for judging a later request the same way.
pub(super) fn without_answers(seen: &Observation) -> Observation {
    Observation {
        gateways: seen.gateways.clone(),
        http_routes: seen.http_routes.clone(),
        inference_pools: seen.inference_pools.clone(),
        rewrites: seen.rewrites.clone(),
        served: seen.served.clone(),
        servers: seen.servers,
        ..Observation::default()
    }
}
