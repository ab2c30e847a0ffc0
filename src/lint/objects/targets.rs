//! Objects that refer to others: routes, policies, rules of a mesh, models and objectives, and the guide's own request.

use super::{
    Checker, listed,
    rules::{DESTINATION_HOST, MODEL_POOL, POLICY_TARGET, REQUEST_HOST, ROUTE_BACKEND, ROUTE_GROUP, ROUTE_PARENT},
};
use crate::{
    guide::Piece,
    lint::{
        Severity,
        caret::caret,
        planned_objects::{DEFAULT_NAMESPACE, Lookup, Placed},
        pods::items,
    },
    plan::Action,
};

/// Policies without which nothing is served, and the reason. Others make a setting, and traffic flows without them.
///
/// Source: GKE's health check of an InferencePool asks `/` unless a `HealthCheckPolicy` says otherwise
/// (<https://cloud.google.com/kubernetes-engine/docs/how-to/configure-gateway-resources>), which model servers answer
/// with 404.
const NEEDED: &[(&str, &str)] = &[(
    "HealthCheckPolicy",
    "without it the load balancer's health check asks `/`, which model servers answer with 404, so it sends nothing to them",
)];

/// Kinds that a step of a guide makes, so that one that no step makes is not there.
const KINDS: &[&str] = &["Gateway", "HTTPRoute", "InferencePool", "Service"];

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    for route in checker.planned.of_kind("HTTPRoute") {
        parents(checker, route);
        backends(checker, route);
    }
    for rule in checker.planned.of_kind("DestinationRule") {
        host(checker, rule);
    }
    for policy in &checker.planned.objects {
        policy_targets(checker, *policy);
    }
    for kind in ["InferenceModel", "InferenceObjective"] {
        for model in checker.planned.of_kind(kind) {
            pool_of_model(checker, model);
        }
    }
    requests(checker);
}

fn parents(checker: &mut Checker<'_, '_>, route: Placed<'_>) {
    for (index, parent) in items(&route.object.value["spec"]["parentRefs"]) {
        let is_gateway = parent["kind"].as_str().is_none_or(|kind| kind == "Gateway");
        let (Some(name), true) = (parent["name"].as_str(), is_gateway) else {
            continue;
        };
        let namespace = parent["namespace"].as_str().unwrap_or(route.namespace);
        let lookup = checker.planned.find(None, "Gateway", namespace, name);
        if checker.is_absent(&ROUTE_PARENT, route, &lookup, &format!("a Gateway `{name}`")) {
            let route_name = route.object.name();
            let message = format!("the route `{route_name}` belongs to the Gateway `{name}`, which no step makes");
            let made = format!("Gateways: {}", checker.made("Gateway"));
            checker
                .add(&ROUTE_PARENT, route, &format!("/spec/parentRefs/{index}/name"), message)
                .because(made)
                .way_out("name the Gateway that the guide makes");
        }
    }
}

fn backends(checker: &mut Checker<'_, '_>, route: Placed<'_>) {
    for (rule, value) in items(&route.object.value["spec"]["rules"]) {
        for (index, backend) in items(&value["backendRefs"]) {
            let kind = backend["kind"].as_str().unwrap_or("Service");
            let group = backend["group"].as_str().unwrap_or_default();
            let Some(name) = backend["name"].as_str().filter(|_| KINDS.contains(&kind)) else {
                continue;
            };
            let pointer = format!("/spec/rules/{rule}/backendRefs/{index}");
            let namespace = backend["namespace"].as_str().unwrap_or(route.namespace);
            let lookup = checker.planned.find(Some(group), kind, namespace, name);
            if kind == "InferencePool" && matches!(lookup, Lookup::Unknown(None)) {
                unwatched(checker, route, group, &format!("{pointer}/group"));
            }
            if !checker.is_absent(&ROUTE_BACKEND, route, &lookup, &format!("an {kind} `{name}`")) {
                continue;
            }
            let mut alike = checker.planned.of_kind(kind);
            let other = alike.find(|other| other.object.name() == name && other.namespace == namespace);
            let sends = format!("the route `{}` sends to the {kind} `{name}`", route.object.name());
            let (field, message) = match other.as_ref().map(Placed::group) {
                Some(other) => (
                    "group",
                    format!("{sends} of `{group}`, and the one that is made is of `{other}`"),
                ),
                None => ("name", format!("{sends}, which no step makes")),
            };
            let made = format!("{kind}s: {}", checker.made_by_group(kind));
            checker
                .add(&ROUTE_BACKEND, route, &format!("{pointer}/{field}"), message)
                .because(made)
                .way_out("name the backend as it is made, with its group");
        }
    }
}

/// A route to a pool of a group that the endpoint picker of this release does not watch; said where the pool that is made
/// is not known, because another release makes it.
fn unwatched(checker: &mut Checker<'_, '_>, route: Placed<'_>, group: &str, pointer: &str) {
    let facts = checker.examined.layout.picker.as_ref();
    let kinds = facts
        .into_iter()
        .flat_map(|picker| &picker.kinds)
        .map(|kind| kind.name.as_str());
    let pools: Vec<&str> = kinds.filter(|kind| kind.ends_with(" InferencePool")).collect();
    if pools.is_empty() || pools.iter().any(|kind| kind.split('/').next() == Some(group)) {
        return;
    }
    let message = format!(
        "the route `{}` sends to a pool of `{group}`, which the endpoint picker of this release does not watch",
        route.object.name()
    );
    checker
        .add(&ROUTE_GROUP, route, pointer, message)
        .because(format!("it watches {}", listed(pools)))
        .way_out("name the group of the pools that this release makes");
}

/// Name and namespace of the Service that a host in the cluster stands for; the namespace of a bare name is `own`.
/// `None` for a name of the world outside.
fn service_of<'a>(host: &'a str, own: &'a str) -> Option<(&'a str, &'a str)> {
    let short = host
        .strip_suffix(".svc.cluster.local")
        .or_else(|| host.strip_suffix(".svc"))
        .unwrap_or(host);
    let (name, namespace) = short.split_once('.').unwrap_or((short, own));
    (!namespace.contains('.')).then_some((name, namespace))
}

/// The Service of a DestinationRule.
fn host(checker: &mut Checker<'_, '_>, rule: Placed<'_>) {
    let Some(host) = rule.text("/spec/host").filter(|host| !host.contains('*')) else {
        return;
    };
    let service = service_of(host, rule.namespace);
    let Some((name, namespace)) = service.filter(|(_, namespace)| checker.planned.uses_namespace(namespace)) else {
        return;
    };
    let lookup = checker.planned.find(Some(""), "Service", namespace, name);
    if checker.is_absent(&DESTINATION_HOST, rule, &lookup, &format!("a Service `{name}`")) {
        let message = format!(
            "the rule `{}` is for the host `{host}`, which no step makes",
            rule.object.name()
        );
        let made = format!("Services: {}", checker.made("Service"));
        let added = checker.add(&DESTINATION_HOST, rule, "/spec/host", message);
        added.because(made).way_out("name the Service that the guide makes");
        if rule.at("/spec/trafficPolicy/tls").is_some() {
            added.because(
                "its TLS settings then hold for nothing, so the certificate of the endpoint picker is refused",
            );
        } else {
            added.at_most(Severity::Degraded);
        }
    }
}

fn policy_targets(checker: &mut Checker<'_, '_>, policy: Placed<'_>) {
    let spec = &policy.object.value["spec"];
    let one = (!spec["targetRef"].is_null()).then(|| ("/spec/targetRef".to_owned(), &spec["targetRef"]));
    let many = items(&spec["targetRefs"]).map(|(index, target)| (format!("/spec/targetRefs/{index}"), target));
    for (pointer, target) in one.into_iter().chain(many) {
        let (Some(kind), Some(name)) = (target["kind"].as_str(), target["name"].as_str()) else {
            continue;
        };
        if !KINDS.contains(&kind) {
            continue;
        }
        let group = target["group"].as_str().unwrap_or_default();
        let namespace = target["namespace"].as_str().unwrap_or(policy.namespace);
        let lookup = checker.planned.find(Some(group), kind, namespace, name);
        let wanted = format!("{kind} `{name}` of `{group}`");
        if !checker.is_absent(&POLICY_TARGET, policy, &lookup, &format!("an {wanted}")) {
            continue;
        }
        let is_named_elsewhere = checker.planned.of_kind(kind).any(|one| one.object.name() == name);
        let field = if is_named_elsewhere { "group" } else { "name" };
        let message = format!("{} is for the {wanted}, which no step makes", policy.object.title());
        let made = format!("{kind}s: {}", checker.made_by_group(kind));
        let added = checker.add(&POLICY_TARGET, policy, &format!("{pointer}/{field}"), message);
        added
            .because(made)
            .way_out("name the target as it is made, with its group");
        match NEEDED.iter().find(|(needed, _)| *needed == policy.object.kind()) {
            Some((_, reason)) => added.because(*reason),
            None => added.at_most(Severity::Degraded),
        };
    }
}

/// The pool of an `InferenceModel` or `InferenceObjective`.
fn pool_of_model(checker: &mut Checker<'_, '_>, model: Placed<'_>) {
    let Some(name) = model.text("/spec/poolRef/name") else {
        return;
    };
    // Where none is named, the group is that of the object itself in `v1alpha2`, and that of the pool's v1 later; either
    // way one pool of the name is enough here.
    let group = model.text("/spec/poolRef/group");
    let lookup = checker.planned.find(group, "InferencePool", model.namespace, name);
    if checker.is_absent(&MODEL_POOL, model, &lookup, &format!("a pool `{name}`")) {
        let of_group = group.map(|group| format!(" of `{group}`")).unwrap_or_default();
        let title = model.object.title();
        let message = format!("{title} is for the pool `{name}`{of_group}, which no step makes");
        let made = format!("pools: {}", checker.made("InferencePool"));
        let added = checker.add(&MODEL_POOL, model, "/spec/poolRef/name", message);
        added
            .because(made)
            .way_out("name the pool as it is made, with its group");
        // A model that no pool has is refused to clients; an objective only sets a priority.
        if model.object.kind() != "InferenceModel" {
            added.at_most(Severity::Degraded);
        }
    }
}

/// Requests of the guide to a Service by its name.
fn requests(checker: &mut Checker<'_, '_>) {
    for step in &checker.planned.plan.steps {
        let Action::Request(request) = &step.action else {
            continue;
        };
        let Some(Piece::Text(first)) = request.url.0.first() else {
            continue;
        };
        let authority = first.split_once("://").map_or(first.as_str(), |(_, rest)| rest);
        let authority = authority.split('/').next().unwrap_or_default();
        let is_whole = request.url.0.len() == 1 || first.len() > first.find(authority).unwrap_or(0) + authority.len();
        let host = authority.split(':').next().unwrap_or_default();
        let is_inside = |(name, namespace): &(&str, &str)| {
            let is_address = name.chars().all(|sign| sign.is_ascii_digit());
            is_whole && !is_address && *name != "localhost" && checker.planned.uses_namespace(namespace)
        };
        let Some((name, namespace)) = service_of(host, DEFAULT_NAMESPACE).filter(is_inside) else {
            continue;
        };
        let lookup = checker.planned.find(Some(""), "Service", namespace, name);
        let place = caret(checker.examined, &step.from.file, step.from.line, host);
        if checker.is_absent(&REQUEST_HOST, place.clone(), &lookup, &format!("a Service `{name}`")) {
            let message = format!("the request goes to the Service `{name}`, which no step makes");
            let made = format!("Services: {}", checker.made("Service"));
            let added = checker.findings.add(&REQUEST_HOST, place, message);
            added.because(made).way_out("name the Service that the guide makes");
            added.only_for(checker.planned.offer);
        }
    }
}
