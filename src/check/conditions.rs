//! Conditions of Gateway, HTTPRoute and InferencePool: at the current generation, for every parent of the spec.
//!
//! A condition whose `observedGeneration` is older than the object says nothing. A route whose only parent was
//! renamed keeps the old parent's True conditions, so each `parentRef` of the spec must have its own entry.
//! Sources: Gateway API v1 types (`GatewayStatus`, `RouteParentStatus`), InferencePool v1 (`status.parents`).

use serde_json::Value;

use super::{
    Check, JudgeFn, Observation,
    classes::{Controllers, untaken},
    listeners,
};
use crate::verdict::{Cause, CauseCode, Fault, Finding};

/// Why an object is not as it should be, by its conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unmet {
    /// The condition or the parent that is missing, with reason and message.
    pub(crate) what: String,
    /// The cause it would be, were it to stay so.
    pub(crate) cause: CauseCode,
    /// Whether a controller has said no at the current generation, and not just nothing yet.
    pub(crate) said_no: bool,
    /// The reason of the condition that is not True, where it speaks of the current generation; else empty.
    pub(crate) reason: String,
}

/// Reasons with which a controller says no for what names and values are, so that no pod that comes up changes it: an object that
/// is missing (a backend, a certificate, parameters) may be made by one. Source: the comments of Gateway API v1.6's condition
/// reasons.
const OF_NO_POD: &[&str] = &[
    "HostnameConflict",
    "InvalidCACertificateKind",
    "InvalidKind",
    "InvalidRouteKinds",
    "NoMatchingListenerHostname",
    "NoMatchingParent",
    "NotAllowedByListeners",
    "ProtocolConflict",
    "RefNotPermitted",
    "UnsupportedAddress",
    "UnsupportedProtocol",
    "UnsupportedValue",
];

impl Unmet {
    /// Whether a controller has said no, and none of the pods that are still coming up will change it.
    pub(crate) fn is_for_good(&self) -> bool {
        self.said_no && OF_NO_POD.contains(&self.reason.as_str())
    }

    /// Nothing has been said yet.
    fn yet(what: impl Into<String>, cause: CauseCode) -> Self {
        Self {
            what: what.into(),
            cause,
            said_no: false,
            reason: String::new(),
        }
    }
}

pub(super) fn name(object: &Value) -> &str {
    object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

pub(super) fn generation(object: &Value) -> i64 {
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
        return Err(Unmet::yet(format!("no condition {type_} yet"), cause));
    };
    let word = |field: &str| found[field].as_str().unwrap_or_default().trim().to_owned();
    let observed = found["observedGeneration"].as_i64();
    if observed.is_some_and(|observed| observed < generation) {
        let observed = observed.unwrap_or(0);
        let what = format!("{type_} speaks of generation {observed}, the object is at {generation}");
        return Err(Unmet::yet(what, cause));
    }
    if word("status") == "True" {
        return Ok(());
    }
    Err(Unmet {
        what: format!("{type_}={} {}: {}", word("status"), word("reason"), word("message")),
        cause,
        said_no: word("status") == "False",
        reason: word("reason"),
    })
}

/// What the reason means with which a Gateway is not accepted or not programmed, where a controller has said it. Any other is
/// [`CauseCode::GatewayNotAccepted`] or [`CauseCode::GatewayNotProgrammed`]. Source: the comments of Gateway API v1.6's
/// `GatewayConditionReason`.
const GATEWAY_REASONS: &[(&str, &str, CauseCode)] = &[
    ("Accepted", "Invalid", CauseCode::GatewayNotAccepted),
    ("Accepted", "InvalidParameters", CauseCode::GatewayNotAccepted),
    ("Accepted", "UnsupportedAddress", CauseCode::GatewayNotAccepted),
    ("Accepted", "ListenersNotValid", CauseCode::GatewayListenerInvalid),
    ("Programmed", "Invalid", CauseCode::GatewayNotProgrammed),
    ("Programmed", "Pending", CauseCode::GatewayNotProgrammed),
    ("Programmed", "NoResources", CauseCode::GatewayNotProgrammed),
    ("Programmed", "AddressNotAssigned", CauseCode::GatewayWithoutAddress),
    // Istio says so of any Service that is not there yet, too.
    ("Programmed", "AddressNotUsable", CauseCode::GatewayWithoutAddress),
];

/// Whether a Gateway is accepted, programmed and has an address.
///
/// # Errors
/// What stands in the way.
fn gateway(object: &Value) -> Result<(), Unmet> {
    let conditions = &object["status"]["conditions"];
    let generation = generation(object);
    if let Some(refused) = listeners::all_refused(object) {
        return Err(refused);
    }
    // What the API server writes by itself names no generation: where nobody else has written, nobody serves the class.
    let is_taken = conditions
        .as_array()
        .is_some_and(|conditions| conditions.iter().any(|one| one["observedGeneration"].is_i64()));
    let unaccepted = if is_taken {
        CauseCode::GatewayNotProgrammed
    } else {
        CauseCode::GatewayClassMissing
    };
    condition(conditions, "Accepted", generation, unaccepted).map_err(|unmet| {
        if !unmet.said_no {
            return unmet;
        }
        because_of(object, "Accepted", CauseCode::GatewayNotAccepted, unmet)
    })?;
    condition(conditions, "Programmed", generation, CauseCode::GatewayNotProgrammed).map_err(|unmet| {
        let mut unmet = because_of(object, "Programmed", CauseCode::GatewayNotProgrammed, unmet);
        // Controllers say no while an address or a data plane is still on its way.
        unmet.said_no = false;
        unmet
    })?;
    if object.pointer("/status/addresses/0/value").is_none() {
        return Err(Unmet::yet("no address", CauseCode::GatewayWithoutAddress));
    }
    // It works with those of its listeners that are valid; the release has asked for all of them.
    listeners::first_refused(object).map_or(Ok(()), Err)
}

/// The same in a cluster that has these classes, which say more than a Gateway that nobody looks at.
///
/// # Errors
/// What stands in the way.
pub(crate) fn gateway_of(object: &Value, classes: Option<&[Value]>, controllers: Controllers) -> Result<(), Unmet> {
    gateway(object).map_err(|unmet| {
        let classes = classes.filter(|_| unmet.cause == CauseCode::GatewayClassMissing);
        let told = classes.and_then(|classes| untaken(object, classes, controllers));
        told.unwrap_or(unmet)
    })
}

/// What is unmet by a condition of a Gateway, with the cause that its reason tells; what a listener says of itself is more.
fn because_of(gateway: &Value, type_: &str, otherwise: CauseCode, unmet: Unmet) -> Unmet {
    if matches!(unmet.reason.as_str(), "ListenersNotValid" | "Invalid")
        && let Some(listener) = listeners::first_refused(gateway)
    {
        return listener;
    }
    let known = GATEWAY_REASONS
        .iter()
        .find(|(of, reason, _)| (*of, *reason) == (type_, unmet.reason.as_str()));
    let mut cause = known.map_or(otherwise, |(_, _, cause)| *cause);
    let asks_for_one = gateway.pointer("/spec/addresses/0").is_some();
    if unmet.reason == "AddressNotUsable" && asks_for_one {
        cause = CauseCode::GatewayNotAccepted;
    }
    Unmet { cause, ..unmet }
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
pub(crate) fn http_route(object: &Value) -> Result<(), Unmet> {
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
            let parent = parent["name"].as_str().unwrap_or_default();
            let what = format!("no controller has answered for its parent {parent}");
            return Err(Unmet::yet(what, CauseCode::RouteParentWithoutStatus));
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
pub(crate) fn inference_pool(object: &Value) -> Result<(), Unmet> {
    if pool_parents(object).next().is_none() {
        return Err(Unmet::yet("no parent has answered for it", CauseCode::PoolNotAccepted));
    }
    pool_parents(object).try_for_each(|parent| pool_parent(object, parent))
}

/// What each parent of an InferencePool says of it, in its status.
fn pool_parents(pool: &Value) -> impl Iterator<Item = &Value> {
    // v1alpha2 calls the list `parent`.
    let status = &pool["status"];
    let parents = status["parents"].as_array().or_else(|| status["parent"].as_array());
    // What stands there before any controller has answered.
    let is_default = |parent: &&Value| parent["parentRef"]["kind"] == "Status";
    parents.into_iter().flatten().filter(move |parent| !is_default(parent))
}

/// Whether one of its parents accepts an InferencePool and resolves its references.
fn pool_parent(pool: &Value, parent: &Value) -> Result<(), Unmet> {
    ["Accepted", "ResolvedRefs"].into_iter().try_for_each(|type_| {
        condition(
            &parent["conditions"],
            type_,
            generation(pool),
            CauseCode::PoolNotAccepted,
        )
    })
}

/// What is judged of the objects of one kind. Of one that nobody has said anything of yet nothing is decided where another is
/// refused: that was called first, and this may follow from it, or still come.
fn judge(
    seen: &Observation,
    kind: &str,
    objects: &[Value],
    expected: &str,
    met: impl Fn(&Value) -> Result<(), Unmet>,
) -> Finding {
    if objects.is_empty() {
        return Finding::Skipped {
            why: format!("the plan makes no {kind}"),
        };
    }
    let unmet = objects.iter().filter_map(|object| Some((object, met(object).err()?)));
    let unmet: Vec<(&Value, Unmet)> = unmet.collect();
    let refused = unmet.iter().find(|(_, unmet)| unmet.said_no);
    let Some((object, unmet)) = refused.or(unmet.first()) else {
        return Finding::Holds;
    };
    let what = format!("{kind} {}: {}", name(object), unmet.what);
    // What a controller has just said of an object while its Gateway has no proxy was borne by nobody.
    let is_new = seen.pods_may_come && seen.gateway_pods.is_some();
    if (!unmet.said_no || is_new)
        && let Some(before) = in_the_way(seen, kind)
    {
        return Finding::Undecided {
            why: format!("{what}; {before}"),
        };
    }
    Finding::broken(expected, unmet.what.clone(), Cause::new(unmet.cause).because(what))
}

/// What is in the way of objects of a kind of which nobody has said anything: a Gateway that is not in order, or an object of
/// another kind that is refused.
fn in_the_way(seen: &Observation, kind: &str) -> Option<String> {
    let in_order = |object: &Value| seen.gateway_pods.is_none() && gateway(object).is_ok();
    if kind != "Gateway" && !seen.gateways.iter().all(in_order) {
        return Some("the Gateway is not in order".to_owned());
    }
    // Where it had its time, it is what a route is refused for, and not the other way round.
    if kind == "Gateway" && !seen.pods_may_come {
        return None;
    }
    let refused = |of: &str, objects: &[Value], met: fn(&Value) -> Result<(), Unmet>| {
        let is_refused = |object: &&Value| of != kind && met(object).is_err_and(|unmet| unmet.said_no);
        let found = objects.iter().find(is_refused)?;
        Some(format!("it was not waited for, since {of} {} is refused", name(found)))
    };
    refused("HTTPRoute", &seen.http_routes, http_route)
        .or_else(|| refused("InferencePool", &seen.inference_pools, inference_pool))
}

/// The objects by kind and name, or all of a kind where there is none.
fn subject(kind: &str, objects: &[Value]) -> String {
    if objects.is_empty() {
        return format!("every {kind}");
    }
    format!("{kind} {}", objects.iter().map(name).collect::<Vec<_>>().join(", "))
}

/// The object that is not as a check of conditions wants it, by kind and name.
pub(crate) fn not_so<'a>(check: &str, seen: &'a Observation) -> Option<(&'static str, &'a str)> {
    let first = |objects: &'a [Value], met: &dyn Fn(&Value) -> Result<(), Unmet>| {
        let is_refused = |object: &&Value| met(object).is_err_and(|unmet| unmet.said_no);
        let unmet = objects.iter().find(|object| met(object).is_err());
        objects.iter().find(is_refused).or(unmet).or(objects.first())
    };
    let (kind, object) = if check == GATEWAY_PROGRAMMED.name {
        ("Gateway", first(&seen.gateways, &gateway))
    } else if check == HTTP_ROUTE_RESOLVED.name {
        ("HTTPRoute", first(&seen.http_routes, &http_route))
    } else {
        // Whatever else is judged of conditions is about pools.
        ("InferencePool", first(&seen.inference_pools, &inference_pool))
    };
    Some((kind, name(object?)))
}

/// Gateway: Accepted and Programmed, with an address.
pub(crate) const GATEWAY_PROGRAMMED: Check = Check {
    name: "gateway-programmed",
    sentence: |seen| {
        format!(
            "{} is programmed at its current generation",
            subject("Gateway", &seen.gateways)
        )
    },
    judge: JudgeFn::Deployment(|seen| {
        // What its pods lack is why it is not programmed, or why nobody answers although it is.
        if let Some(cause) = &seen.gateway_pods {
            return Fault::shown("the Gateway's pods are ready", cause.clone()).into();
        }
        judge(
            seen,
            "Gateway",
            &seen.gateways,
            "Accepted and Programmed are True, with an address",
            |object| gateway_of(object, seen.gateway_classes.as_deref(), Controllers::MayCome),
        )
    }),
    shown_by: |_, _| None,
};

/// HTTPRoute: Accepted and `ResolvedRefs` for every parent.
pub(super) const HTTP_ROUTE_RESOLVED: Check = Check {
    name: "http-route-resolved",
    sentence: |seen| {
        format!(
            "{} is accepted and its references resolve",
            subject("HTTPRoute", &seen.http_routes)
        )
    },
    judge: JudgeFn::Deployment(|seen| {
        judge(
            seen,
            "HTTPRoute",
            &seen.http_routes,
            "Accepted and ResolvedRefs are True for every parent",
            http_route,
        )
    }),
    shown_by: |_, _| None,
};

/// InferencePool: Accepted and `ResolvedRefs`.
pub(super) const INFERENCE_POOL_ACCEPTED: Check = Check {
    name: "inference-pool-accepted",
    sentence: |seen| {
        let subject = subject("InferencePool", &seen.inference_pools);
        let pools = seen.inference_pools.iter();
        let answered: Vec<bool> = pools
            .flat_map(|pool| pool_parents(pool).map(|parent| pool_parent(pool, parent).is_ok()))
            .collect();
        match answered.len() {
            0 => format!("{subject} is accepted by its parents"),
            parents => {
                let accepted = answered.into_iter().filter(|accepts| *accepts).count();
                format!("{subject} is accepted by {accepted} of {parents} parents")
            }
        }
    },
    judge: JudgeFn::Deployment(|seen| {
        if seen.gateways.is_empty() && !seen.inference_pools.is_empty() {
            return Finding::Skipped {
                why: "without a Gateway nobody writes an InferencePool's status".into(),
            };
        }
        judge(
            seen,
            "InferencePool",
            &seen.inference_pools,
            "Accepted and ResolvedRefs are True",
            inference_pool,
        )
    }),
    shown_by: |_, _| None,
};

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

    /// A Gateway that somebody has looked at, of which this condition says no.
    fn gateway_that(type_: &str, status: &str, reason: &str) -> Value {
        let mut no = condition_of(type_, status, 1);
        no["reason"] = reason.into();
        let accepted = condition_of("Accepted", "True", 1);
        let conditions = if type_ == "Accepted" {
            vec![no]
        } else {
            vec![accepted, no]
        };
        json!({"metadata": {"name": "g", "generation": 1}, "status": {"conditions": conditions}})
    }

    /// Every reason that the Gateway API has for a Gateway's "no", and one that it has not.
    #[rstest]
    #[case("Accepted", "False", "Invalid", CauseCode::GatewayNotAccepted, true)]
    #[case("Accepted", "False", "InvalidParameters", CauseCode::GatewayNotAccepted, true)]
    #[case("Accepted", "False", "UnsupportedAddress", CauseCode::GatewayNotAccepted, true)]
    #[case("Accepted", "False", "ListenersNotValid", CauseCode::GatewayListenerInvalid, true)]
    #[case("Accepted", "False", "NotReconciled", CauseCode::GatewayNotAccepted, true)]
    #[case("Accepted", "False", "SomethingOfAController", CauseCode::GatewayNotAccepted, true)]
    #[case("Accepted", "Unknown", "Pending", CauseCode::GatewayNotProgrammed, false)]
    #[case("Programmed", "False", "Invalid", CauseCode::GatewayNotProgrammed, false)]
    #[case("Programmed", "False", "Pending", CauseCode::GatewayNotProgrammed, false)]
    #[case("Programmed", "False", "NoResources", CauseCode::GatewayNotProgrammed, false)]
    #[case("Programmed", "False", "AddressNotAssigned", CauseCode::GatewayWithoutAddress, false)]
    #[case("Programmed", "False", "AddressNotUsable", CauseCode::GatewayWithoutAddress, false)]
    #[case("Programmed", "Unknown", "Pending", CauseCode::GatewayNotProgrammed, false)]
    fn the_reason_tells_why_a_gateway_is_not_in_order(
        #[case] type_: &str,
        #[case] status: &str,
        #[case] reason: &str,
        #[case] cause: CauseCode,
        #[case] said_no: bool,
    ) {
        let unmet = gateway(&gateway_that(type_, status, reason)).unwrap_err();
        assert_eq!((unmet.cause, unmet.said_no), (cause, said_no));
    }

    /// As the API server writes it where no controller has seen it, and as it is a moment before.
    #[rstest]
    #[case::by_default(json!([{"type": "Accepted", "status": "Unknown", "reason": "Pending", "message": "Waiting for controller"}]))]
    #[case::nothing(json!(null))]
    fn a_gateway_that_nobody_has_looked_at_has_a_class_that_nobody_serves(#[case] conditions: Value) {
        let object = json!({"metadata": {"generation": 1}, "status": {"conditions": conditions}});
        let unmet = gateway(&object).unwrap_err();
        assert_eq!((unmet.cause, unmet.said_no), (CauseCode::GatewayClassMissing, false));
    }

    #[test]
    fn an_address_that_the_gateway_asks_for_and_cannot_have_is_its_own_fault() {
        let mut object = gateway_that("Programmed", "False", "AddressNotUsable");
        object["spec"]["addresses"] = json!([{"value": "192.0.2.1"}]);
        assert_eq!(gateway(&object).unwrap_err().cause, CauseCode::GatewayNotAccepted);
    }

    /// Istio accepts a Gateway whose only certificate is missing, or does not: the listener says it in any case.
    #[rstest]
    #[case("True", "Accepted")]
    #[case("False", "ListenersNotValid")]
    fn what_a_listener_says_goes_before_what_the_gateway_says(#[case] status: &str, #[case] reason: &str) {
        let mut object = gateway_that("Accepted", status, reason);
        let mut unresolved = condition_of("ResolvedRefs", "False", 1);
        unresolved["reason"] = "InvalidCertificateRef".into();
        let mut unprogrammed = condition_of("Programmed", "False", 1);
        unprogrammed["reason"] = "Invalid".into();
        object["spec"]["listeners"] = json!([{"name": "https", "protocol": "HTTPS", "port": 443}]);
        object["status"]["listeners"] = json!([{"name": "https", "conditions": [unresolved, unprogrammed]}]);
        let unmet = gateway(&object).unwrap_err();
        assert_eq!(unmet.cause, CauseCode::GatewayCertificateMissing);
        assert!(unmet.what.contains("https (HTTPS, port 443)"), "{}", unmet.what);
    }

    /// The cluster has no room for the Gateway's proxy: that nobody answers for the pool is not the release's fault.
    #[rstest]
    #[case::nobody_has_answered(json!(null), false)]
    #[case::refused(json!([{"parentRef": {"kind": "Gateway", "name": "g"}, "conditions": [condition_of("Accepted", "False", 1)]}]), true)]
    fn what_nobody_says_while_the_gateway_is_not_in_order_is_undecided(
        #[case] parents: Value,
        #[case] is_broken: bool,
    ) {
        let pool = json!({"metadata": {"name": "p", "generation": 1}, "status": {"parents": parents}});
        let mut seen = Observation {
            gateways: vec![json!({"metadata": {"name": "g"}})],
            inference_pools: vec![pool],
            ..Observation::default()
        };
        let broken = |seen: &Observation| matches!(INFERENCE_POOL_ACCEPTED.judge(seen), Finding::Broken(_));
        assert_eq!(broken(&seen), is_broken);
        let conditions = [
            condition_of("Accepted", "True", 1),
            condition_of("Programmed", "True", 1),
        ];
        seen.gateways = vec![json!({"metadata": {"name": "g", "generation": 1},
            "status": {"conditions": conditions, "addresses": [{"value": "10.0.0.1"}]}})];
        assert!(broken(&seen));
        seen.gateway_pods = Some(Cause::new(CauseCode::PodUnschedulable));
        assert_eq!(broken(&seen), is_broken);
    }

    /// The proxy of a Gateway takes a while to start, and a refusal of its route is called before.
    #[test]
    fn a_gateway_that_is_not_in_order_yet_is_undecided_where_its_route_is_refused() {
        let mut seen = Observation {
            gateways: vec![gateway_that("Programmed", "False", "Pending")],
            http_routes: vec![route("g", "g", &both("False", 6))],
            pods_may_come: true,
            ..Observation::default()
        };
        let Finding::Undecided { why } = GATEWAY_PROGRAMMED.judge(&seen) else {
            panic!("{:?}", GATEWAY_PROGRAMMED.judge(&seen));
        };
        assert!(why.contains("since HTTPRoute r is refused"), "{why}");
        assert!(matches!(HTTP_ROUTE_RESOLVED.judge(&seen), Finding::Broken(_)));
        seen.pods_may_come = false;
        assert!(matches!(GATEWAY_PROGRAMMED.judge(&seen), Finding::Broken(_)));
    }

    #[test]
    fn the_route_that_is_refused_is_told_before_one_that_nobody_has_answered() {
        let mut refused = route("g", "g", &both("False", 6));
        refused["metadata"]["name"] = "refused".into();
        let seen = Observation {
            http_routes: vec![route("other", "g", &both("True", 6)), refused],
            ..Observation::default()
        };
        let Finding::Broken(fault) = HTTP_ROUTE_RESOLVED.judge(&seen) else {
            panic!("it is broken");
        };
        assert_eq!(fault.cause.code, CauseCode::RouteBackendUnresolved);
        assert_eq!(not_so("http-route-resolved", &seen), Some(("HTTPRoute", "refused")));
    }

    #[rstest]
    #[case::a_name("InvalidKind", true)]
    #[case::what_a_pod_may_make("BackendNotFound", false)]
    #[case::no_endpoint_is_ready("EndpointsNotFound", false)]
    #[case::nothing_yet("Pending", false)]
    fn only_what_no_pod_changes_is_for_good(#[case] reason: &str, #[case] is_for_good: bool) {
        let mut conditions = both("False", 6);
        conditions[1]["reason"] = reason.into();
        let unmet = http_route(&route("g", "g", &conditions)).unwrap_err();
        assert_eq!(unmet.is_for_good(), is_for_good);
    }

    /// A Gateway works with the listeners that are valid, and the release has asked for all of them.
    #[test]
    fn a_listener_that_is_refused_beside_a_valid_one_is_told() {
        let mut refused = condition_of("Accepted", "False", 1);
        refused["reason"] = "UnsupportedProtocol".into();
        let accepted = condition_of("Accepted", "True", 1);
        let conditions = json!([accepted, condition_of("Programmed", "True", 1)]);
        let object = json!({"metadata": {"name": "g", "generation": 1},
            "spec": {"listeners": [{"name": "http", "protocol": "HTTP", "port": 80}, {"name": "udp", "protocol": "UDP", "port": 81}]},
            "status": {"conditions": conditions, "addresses": [{"value": "10.0.0.1"}], "listeners": [
                {"name": "http", "conditions": [accepted]}, {"name": "udp", "conditions": [refused]}]}});
        let unmet = gateway(&object).unwrap_err();
        assert_eq!((unmet.cause, unmet.said_no), (CauseCode::GatewayListenerInvalid, true));
        assert!(unmet.what.contains("listener udp (UDP, port 81)"), "{}", unmet.what);
    }

    /// Istio calls a Gateway programmed that has an address, whatever becomes of its proxy.
    #[test]
    fn a_gateway_whose_pods_cannot_run_is_not_in_order_whatever_it_says() {
        let conditions = json!([
            condition_of("Accepted", "True", 1),
            condition_of("Programmed", "True", 1)
        ]);
        let status = json!({"conditions": conditions, "addresses": [{"value": "10.0.0.1"}]});
        let mut seen = Observation {
            gateways: vec![json!({"metadata": {"name": "g", "generation": 1}, "status": status})],
            ..Observation::default()
        };
        assert_eq!(GATEWAY_PROGRAMMED.judge(&seen), Finding::Holds);
        seen.gateway_pods = Some(Cause::new(CauseCode::PodImagePull).because("pod g: ErrImagePull: i/o timeout"));
        let Finding::Broken(fault) = GATEWAY_PROGRAMMED.judge(&seen) else {
            panic!("it is broken");
        };
        assert_eq!(fault.cause.code, CauseCode::PodImagePull);
        assert!(fault.actual.contains("ErrImagePull"));
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

    #[rstest]
    #[case::all("parents", &["True", "True"], "InferencePool p is accepted by 2 of 2 parents")]
    #[case::some("parents", &["True", "False"], "InferencePool p is accepted by 1 of 2 parents")]
    #[case::none("parents", &["False"], "InferencePool p is accepted by 0 of 1 parents")]
    #[case::v1alpha2("parent", &["True"], "InferencePool p is accepted by 1 of 1 parents")]
    #[case::nobody_has_answered("parents", &[], "InferencePool p is accepted by its parents")]
    fn the_sentence_counts_the_parents_that_accept_a_pool(
        #[case] field: &str,
        #[case] statuses: &[&str],
        #[case] sentence: &str,
    ) {
        let parents: Vec<Value> = statuses
            .iter()
            .map(|status| json!({"conditions": both(status, 1)}))
            .collect();
        let seen = Observation {
            inference_pools: vec![json!({"metadata": {"name": "p", "generation": 1}, "status": {field: parents}})],
            ..Observation::default()
        };
        assert_eq!(INFERENCE_POOL_ACCEPTED.sentence(&seen), sentence);
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
