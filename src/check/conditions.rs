//! Conditions of Gateway, HTTPRoute and InferencePool: at the current generation, for every parent of the spec.
//!
//! A condition whose `observedGeneration` is older than the object says nothing. A route whose only parent was
//! renamed keeps the old parent's True conditions, so each `parentRef` of the spec must have its own entry.
//! Sources: Gateway API v1 types (`GatewayStatus`, `RouteParentStatus`), InferencePool v1 (`status.parents`).

use serde_json::Value;

use super::{Check, Observation};
use crate::{
    record::Stage,
    verdict::{Cause, CauseCode, Finding},
};

/// Why an object is not as it should be, by its conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// The condition or the parent that is missing, with reason and message.
    pub what: String,
    /// The cause it would be, were it to stay so.
    pub cause: CauseCode,
    /// Whether a controller has said no at the current generation, and not just nothing yet.
    pub said_no: bool,
}

fn name(object: &Value) -> &str {
    object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn generation(object: &Value) -> i64 {
    object
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or(0)
}

/// Whether a condition of this type is True at the object's generation; else what stands there instead.
fn condition(conditions: &Value, type_: &str, generation: i64, cause: CauseCode) -> Result<(), Unmet> {
    let found = conditions
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == type_);
    let Some(found) = found else {
        return Err(Unmet {
            what: format!("no condition {type_} yet"),
            cause,
            said_no: false,
        });
    };
    let word = |field: &str| found[field].as_str().unwrap_or_default().trim().to_owned();
    let observed = found["observedGeneration"].as_i64();
    if observed.is_some_and(|observed| observed < generation) {
        return Err(Unmet {
            what: format!(
                "{type_} speaks of generation {}, the object is at {generation}",
                observed.unwrap_or(0)
            ),
            cause,
            said_no: false,
        });
    }
    if word("status") == "True" {
        return Ok(());
    }
    Err(Unmet {
        what: format!("{type_}={} {}: {}", word("status"), word("reason"), word("message")),
        cause,
        said_no: word("status") == "False",
    })
}

/// Whether a Gateway is accepted, programmed and has an address.
///
/// # Errors
/// What stands in the way.
pub fn gateway(object: &Value) -> Result<(), Unmet> {
    let conditions = &object["status"]["conditions"];
    let generation = generation(object);
    condition(conditions, "Accepted", generation, CauseCode::GatewayClassMissing)?;
    condition(conditions, "Programmed", generation, CauseCode::GatewayNotProgrammed).map_err(|mut unmet| {
        // Controllers say no while an address or a data plane is still on its way.
        unmet.said_no = false;
        if unmet.what.contains("AddressNotAssigned") {
            unmet.cause = CauseCode::GatewayWithoutAddress;
        }
        unmet
    })?;
    if object.pointer("/status/addresses/0/value").is_none() {
        return Err(Unmet {
            what: "no address".into(),
            cause: CauseCode::GatewayWithoutAddress,
            said_no: false,
        });
    }
    Ok(())
}

/// Whether an entry of `status.parents` speaks of this `parentRef` of the spec.
fn speaks_of(entry: &Value, parent: &Value, own_namespace: &str) -> bool {
    let reference = &entry["parentRef"];
    let same = |field: &str, default: &str| {
        let word = |value: &Value| value[field].as_str().unwrap_or(default).to_owned();
        word(reference) == word(parent)
    };
    same("group", "gateway.networking.k8s.io")
        && same("kind", "Gateway")
        && same("name", "")
        && same("namespace", own_namespace)
        && reference["sectionName"] == parent["sectionName"]
        && reference["port"] == parent["port"]
}

/// Whether an HTTPRoute is accepted and resolved by every parent that its spec names.
///
/// # Errors
/// What stands in the way, for the first parent that is not satisfied.
pub fn http_route(object: &Value) -> Result<(), Unmet> {
    let generation = generation(object);
    let namespace = object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let parents = object.pointer("/spec/parentRefs").and_then(Value::as_array);
    let entries = object.pointer("/status/parents").and_then(Value::as_array);
    for parent in parents.into_iter().flatten() {
        let entry = entries
            .into_iter()
            .flatten()
            .find(|entry| speaks_of(entry, parent, namespace));
        let Some(entry) = entry else {
            return Err(Unmet {
                what: format!(
                    "no controller has answered for its parent {}",
                    parent["name"].as_str().unwrap_or_default()
                ),
                cause: CauseCode::RouteParentWithoutStatus,
                said_no: false,
            });
        };
        condition(
            &entry["conditions"],
            "Accepted",
            generation,
            CauseCode::RouteNotAccepted,
        )?;
        condition(
            &entry["conditions"],
            "ResolvedRefs",
            generation,
            CauseCode::RouteBackendUnresolved,
        )?;
    }
    Ok(())
}

/// Whether an InferencePool is accepted and resolved by at least one parent, and refused by none.
///
/// # Errors
/// What stands in the way.
pub fn inference_pool(object: &Value) -> Result<(), Unmet> {
    let generation = generation(object);
    // v1alpha2 calls the list `parent`.
    let status = &object["status"];
    let entries = status["parents"].as_array().or_else(|| status["parent"].as_array());
    let entries: Vec<&Value> = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry["parentRef"]["kind"] != "Status")
        .collect();
    if entries.is_empty() {
        return Err(Unmet {
            what: "no parent has answered for it".into(),
            cause: CauseCode::PoolNotAccepted,
            said_no: false,
        });
    }
    for entry in entries {
        condition(&entry["conditions"], "Accepted", generation, CauseCode::PoolNotAccepted)?;
        condition(
            &entry["conditions"],
            "ResolvedRefs",
            generation,
            CauseCode::PoolNotAccepted,
        )?;
    }
    Ok(())
}

fn judge(kind: &str, objects: &[Value], expected: &str, met: impl Fn(&Value) -> Result<(), Unmet>) -> Finding {
    if objects.is_empty() {
        return Finding::Skipped {
            why: format!("the plan makes no {kind}"),
        };
    }
    for object in objects {
        if let Err(unmet) = met(object) {
            let cause = Cause::new(unmet.cause).because(format!("{kind} {}: {}", name(object), unmet.what));
            return Finding::broken(expected, unmet.what, cause);
        }
    }
    Finding::Holds
}

/// The objects by kind and name, or all of a kind where there is none.
fn subject(kind: &str, objects: &[Value]) -> String {
    if objects.is_empty() {
        return format!("every {kind}");
    }
    format!("{kind} {}", objects.iter().map(name).collect::<Vec<_>>().join(", "))
}

/// Gateway: Accepted and Programmed, with an address.
pub(super) struct GatewayProgrammed;

impl Check for GatewayProgrammed {
    fn name(&self) -> &'static str {
        "gateway-programmed"
    }

    fn stage(&self) -> Stage {
        Stage::Conditions
    }

    fn sentence(&self, seen: &Observation) -> String {
        format!(
            "{} is programmed at its current generation",
            subject("Gateway", &seen.gateways)
        )
    }

    fn judge(&self, seen: &Observation) -> Finding {
        judge(
            "Gateway",
            &seen.gateways,
            "Accepted and Programmed are True, with an address",
            gateway,
        )
    }
}

/// HTTPRoute: Accepted and `ResolvedRefs` for every parent.
pub(super) struct HttpRouteResolved;

impl Check for HttpRouteResolved {
    fn name(&self) -> &'static str {
        "http-route-resolved"
    }

    fn stage(&self) -> Stage {
        Stage::Conditions
    }

    fn sentence(&self, seen: &Observation) -> String {
        format!(
            "{} is accepted and its references resolve",
            subject("HTTPRoute", &seen.http_routes)
        )
    }

    fn judge(&self, seen: &Observation) -> Finding {
        judge(
            "HTTPRoute",
            &seen.http_routes,
            "Accepted and ResolvedRefs are True for every parent",
            http_route,
        )
    }
}

/// InferencePool: Accepted and `ResolvedRefs`.
pub(super) struct InferencePoolAccepted;

impl Check for InferencePoolAccepted {
    fn name(&self) -> &'static str {
        "inference-pool-accepted"
    }

    fn stage(&self) -> Stage {
        Stage::Conditions
    }

    fn sentence(&self, seen: &Observation) -> String {
        let parents: usize = seen
            .inference_pools
            .iter()
            .map(|pool| pool["status"]["parents"].as_array().map_or(0, Vec::len))
            .sum();
        format!(
            "{} is accepted by {parents} of {parents} parents",
            subject("InferencePool", &seen.inference_pools)
        )
    }

    fn judge(&self, seen: &Observation) -> Finding {
        if seen.gateways.is_empty() && !seen.inference_pools.is_empty() {
            return Finding::Skipped {
                why: "without a Gateway nobody writes an InferencePool's status".into(),
            };
        }
        judge(
            "InferencePool",
            &seen.inference_pools,
            "Accepted and ResolvedRefs are True",
            inference_pool,
        )
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn condition_of(type_: &str, status: &str, generation: i64) -> Value {
        json!({"type": type_, "status": status, "reason": "R", "message": "m", "observedGeneration": generation})
    }

    fn route(parent: &str, answered: &str, conditions: &Value) -> Value {
        json!({"metadata": {"name": "r", "namespace": "default", "generation": 6},
            "spec": {"parentRefs": [{"name": parent}]},
            "status": {"parents": [{"parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": answered},
                "conditions": conditions}]}})
    }

    fn both(status: &str, generation: i64) -> Value {
        json!([
            condition_of("Accepted", "True", generation),
            condition_of("ResolvedRefs", status, generation)
        ])
    }

    #[rstest]
    #[case::good(route("g", "g", &both("True", 6)), None)]
    #[case::unresolved(route("g", "g", &both("False", 6)), Some((CauseCode::RouteBackendUnresolved, true)))]
    #[case::stale(route("g", "g", &both("True", 5)), Some((CauseCode::RouteNotAccepted, false)))]
    #[case::stale_parent(route("other", "g", &both("True", 5)), Some((CauseCode::RouteParentWithoutStatus, false)))]
    #[case::silent(route("g", "g", &json!([])), Some((CauseCode::RouteNotAccepted, false)))]
    fn a_route_is_judged_by_each_of_its_parents(#[case] route: Value, #[case] expected: Option<(CauseCode, bool)>) {
        let unmet = http_route(&route).err().map(|unmet| (unmet.cause, unmet.said_no));
        assert_eq!(unmet, expected);
    }

    #[test]
    fn a_gateway_needs_an_address_beside_its_conditions() {
        let conditions = json!([
            condition_of("Accepted", "True", 1),
            condition_of("Programmed", "True", 1)
        ]);
        let mut object = json!({"metadata": {"name": "g", "generation": 1}, "status": {"conditions": conditions}});
        assert_eq!(gateway(&object).unwrap_err().cause, CauseCode::GatewayWithoutAddress);
        object["status"]["addresses"] = json!([{"value": "10.0.0.1"}]);
        assert_eq!(gateway(&object), Ok(()));
    }

    #[test]
    fn a_gateway_that_waits_for_its_address_has_not_said_no() {
        let mut pending = condition_of("Programmed", "False", 1);
        pending["reason"] = "AddressNotAssigned".into();
        let object = json!({"metadata": {"generation": 1}, "status": {"conditions": [condition_of("Accepted", "True", 1), pending]}});
        let unmet = gateway(&object).unwrap_err();
        assert_eq!((unmet.cause, unmet.said_no), (CauseCode::GatewayWithoutAddress, false));
    }

    /// As Envoy AI Gateway v1.0.0 writes them: no `controllerName`, and reasons of its own.
    #[rstest]
    #[case::good("True", "ResolvedRefs", None)]
    #[case::bad("False", "ResolvedRefs", Some((CauseCode::PoolNotAccepted, true)))]
    fn a_pool_is_judged_by_types_and_statuses_and_not_by_who_wrote_them_or_why(
        #[case] status: &str,
        #[case] reason: &str,
        #[case] expected: Option<(CauseCode, bool)>,
    ) {
        let mut conditions = both(status, 1);
        conditions[1]["reason"] = reason.into();
        let parent =
            json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "g", "namespace": "default"});
        let pool = json!({"metadata": {"name": "p", "generation": 1},
            "status": {"parents": [{"parentRef": parent, "conditions": conditions}]}});
        let unmet = inference_pool(&pool).err().map(|unmet| (unmet.cause, unmet.said_no));
        assert_eq!(unmet, expected);
    }

    #[test]
    fn a_pool_without_parents_is_not_accepted() {
        assert!(inference_pool(&json!({"metadata": {"name": "p"}})).is_err());
        let good = json!({"metadata": {"generation": 1}, "status": {"parents": [{"conditions": both("True", 1)}]}});
        assert_eq!(inference_pool(&good), Ok(()));
        let refused = json!({"metadata": {"generation": 1}, "status": {"parents": [{"conditions": both("False", 1)}]}});
        assert!(inference_pool(&refused).unwrap_err().said_no);
    }
}
