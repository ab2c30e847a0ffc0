//! Objects that refer to others: routes, policies, rules of a mesh, models and objectives, and the guide's own request.

use super::{
    Look, Said, listed,
    rules::{DESTINATION_HOST, MODEL_POOL, POLICY_TARGET, REQUEST_HOST, ROUTE_BACKEND, ROUTE_GROUP, ROUTE_PARENT},
};
use crate::{
    lint::{
        Severity,
        pods::items,
        world::{Placed, Sought, group_of},
    },
    plan::{Action, Piece},
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

pub(super) fn look(look: &mut Look<'_, '_>) {
    for route in look.world.of_kind("HTTPRoute") {
        parents(look, route);
        backends(look, route);
    }
    for rule in look.world.of_kind("DestinationRule") {
        host(look, rule);
    }
    for policy in &look.world.objects {
        policy_targets(look, *policy);
    }
    for kind in ["InferenceModel", "InferenceObjective"] {
        for model in look.world.of_kind(kind) {
            pool_of_model(look, model);
        }
    }
    requests(look);
}

fn parents(look: &mut Look<'_, '_>, route: Placed<'_>) {
    for (index, parent) in items(&route.object.value["spec"]["parentRefs"]) {
        let is_gateway = parent["kind"].as_str().is_none_or(|kind| kind == "Gateway");
        let (Some(name), true) = (parent["name"].as_str(), is_gateway) else {
            continue;
        };
        let namespace = parent["namespace"].as_str().unwrap_or(route.namespace);
        let sought = look.world.find(None, "Gateway", namespace, name);
        if look.is_absent(&ROUTE_PARENT, &sought, &format!("a Gateway `{name}`")) {
            let said = Said {
                message: format!(
                    "the route `{}` belongs to the Gateway `{name}`, which no step makes",
                    route.object.name()
                ),
                why: vec![format!(
                    "Gateways: {}",
                    listed(look.world.of_kind("Gateway").map(|gateway| gateway.object.name()))
                )],
                way_out: "name the Gateway that the guide makes",
            };
            look.wrong(&ROUTE_PARENT, route, &format!("/spec/parentRefs/{index}/name"), said);
        }
    }
}

fn backends(look: &mut Look<'_, '_>, route: Placed<'_>) {
    for (rule, value) in items(&route.object.value["spec"]["rules"]) {
        for (index, backend) in items(&value["backendRefs"]) {
            let kind = backend["kind"].as_str().unwrap_or("Service");
            let group = backend["group"].as_str().unwrap_or_default();
            let Some(name) = backend["name"].as_str().filter(|_| KINDS.contains(&kind)) else {
                continue;
            };
            let namespace = backend["namespace"].as_str().unwrap_or(route.namespace);
            let sought = look.world.find(Some(group), kind, namespace, name);
            if kind == "InferencePool" && matches!(sought, Sought::Unknown(None)) {
                unwatched(
                    look,
                    route,
                    group,
                    &format!("/spec/rules/{rule}/backendRefs/{index}/group"),
                );
            }
            if !look.is_absent(&ROUTE_BACKEND, &sought, &format!("an {kind} `{name}`")) {
                continue;
            }
            let pointer = format!("/spec/rules/{rule}/backendRefs/{index}");
            let other = look
                .world
                .of_kind(kind)
                .find(|other| other.object.name() == name && other.namespace == namespace);
            let (field, message) = match other {
                Some(other) => (
                    "group",
                    format!(
                        "the route `{}` sends to the {kind} `{name}` of `{group}`, and the one that is made is of `{}`",
                        route.object.name(),
                        other.group()
                    ),
                ),
                None => (
                    "name",
                    format!(
                        "the route `{}` sends to the {kind} `{name}`, which no step makes",
                        route.object.name()
                    ),
                ),
            };
            let there: Vec<String> = look
                .world
                .of_kind(kind)
                .map(|one| format!("{} of {}", one.object.name(), one.group()))
                .collect();
            let said = Said {
                message,
                why: vec![format!("{kind}s: {}", listed(there.iter().map(String::as_str)))],
                way_out: "name the backend as it is made, with its group",
            };
            look.wrong(&ROUTE_BACKEND, route, &format!("{pointer}/{field}"), said);
        }
    }
}

/// A route to a pool of a group that the endpoint picker of this release does not watch; said where the pool that is made
/// is not known, because another release makes it.
fn unwatched(look: &mut Look<'_, '_>, route: Placed<'_>, group: &str, pointer: &str) {
    let facts = look.examined.layout.picker.as_ref();
    let kinds = facts
        .into_iter()
        .flat_map(|picker| &picker.kinds)
        .map(|kind| kind.name.as_str());
    let pools: Vec<&str> = kinds.filter(|kind| kind.ends_with(" InferencePool")).collect();
    if pools.is_empty() || pools.iter().any(|kind| kind.split('/').next() == Some(group)) {
        return;
    }
    let said = Said {
        message: format!(
            "the route `{}` sends to a pool of `{group}`, which the endpoint picker of this release does not watch",
            route.object.name()
        ),
        why: vec![format!("it watches {}", listed(pools.iter().copied()))],
        way_out: "name the group of the pools that this release makes",
    };
    look.wrong(&ROUTE_GROUP, route, pointer, said);
}

/// The Service of a DestinationRule.
fn host(look: &mut Look<'_, '_>, rule: Placed<'_>) {
    let Some(host) = rule.text("/spec/host").filter(|host| !host.contains('*')) else {
        return;
    };
    let short = host
        .strip_suffix(".svc.cluster.local")
        .or_else(|| host.strip_suffix(".svc"))
        .unwrap_or(host);
    let (name, namespace) = short.split_once('.').unwrap_or((short, rule.namespace));
    // Anything else is a name of the world outside.
    if namespace.contains('.') || !look.world.uses_namespace(namespace) {
        return;
    }
    let sought = look.world.find(Some(""), "Service", namespace, name);
    if look.is_absent(&DESTINATION_HOST, &sought, &format!("a Service `{name}`")) {
        let tls = rule.at("/spec/trafficPolicy/tls").is_some();
        let mut why = vec![format!(
            "Services: {}",
            listed(look.world.of_kind("Service").map(|service| service.object.name()))
        )];
        if tls {
            why.push(
                "its TLS settings then hold for nothing, so the certificate of the endpoint picker is refused".into(),
            );
        }
        let said = Said {
            message: format!(
                "the rule `{}` is for the host `{host}`, which no step makes",
                rule.object.name()
            ),
            why,
            way_out: "name the Service that the guide makes",
        };
        let severity = if tls { Severity::Break } else { Severity::Degraded };
        look.at_most(&DESTINATION_HOST, rule, "/spec/host", said, severity);
    }
}

fn policy_targets(look: &mut Look<'_, '_>, policy: Placed<'_>) {
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
        let sought = look.world.find(Some(group), kind, namespace, name);
        if !look.is_absent(&POLICY_TARGET, &sought, &format!("an {kind} `{name}` of `{group}`")) {
            continue;
        }
        let there: Vec<String> = look
            .world
            .of_kind(kind)
            .map(|one| format!("{} of {}", one.object.name(), one.group()))
            .collect();
        let needed = NEEDED.iter().find(|(needed, _)| *needed == policy.object.kind());
        let mut why = vec![format!("{kind}s: {}", listed(there.iter().map(String::as_str)))];
        why.extend(needed.map(|(_, reason)| (*reason).to_owned()));
        let said = Said {
            message: format!(
                "{} is for the {kind} `{name}` of `{group}`, which no step makes",
                policy.object.title()
            ),
            why,
            way_out: "name the target as it is made, with its group",
        };
        let severity = if needed.is_some() {
            Severity::Break
        } else {
            Severity::Degraded
        };
        let named_elsewhere = look.world.of_kind(kind).any(|one| one.object.name() == name);
        let field = if named_elsewhere { "group" } else { "name" };
        look.at_most(&POLICY_TARGET, policy, &format!("{pointer}/{field}"), said, severity);
    }
}

/// The pool of an `InferenceModel` or `InferenceObjective`.
fn pool_of_model(look: &mut Look<'_, '_>, model: Placed<'_>) {
    let Some(name) = model.text("/spec/poolRef/name") else {
        return;
    };
    // Where none is named, the group is that of the object itself in `v1alpha2`, and that of the pool's v1 later; either
    // way one pool of the name is enough here.
    let group = model.text("/spec/poolRef/group");
    let sought = look.world.find(group, "InferencePool", model.namespace, name);
    if look.is_absent(&MODEL_POOL, &sought, &format!("a pool `{name}`")) {
        // A model that no pool has is refused to clients; an objective only sets a priority.
        let is_model = model.object.kind() == "InferenceModel";
        let of_group = group
            .map(|group| format!(" of `{}`", group_of(&format!("{group}/"))))
            .unwrap_or_default();
        let said = Said {
            message: format!(
                "{} is for the pool `{name}`{of_group}, which no step makes",
                model.object.title()
            ),
            why: vec![format!(
                "pools: {}",
                listed(look.world.of_kind("InferencePool").map(|pool| pool.object.name()))
            )],
            way_out: "name the pool as it is made, with its group",
        };
        let severity = if is_model { Severity::Break } else { Severity::Degraded };
        look.at_most(&MODEL_POOL, model, "/spec/poolRef/name", said, severity);
    }
}

/// Requests of the guide to a Service by its name.
fn requests(look: &mut Look<'_, '_>) {
    for step in &look.world.plan.steps {
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
        let short = host
            .strip_suffix(".svc.cluster.local")
            .or_else(|| host.strip_suffix(".svc"))
            .unwrap_or(host);
        let (name, namespace) = short
            .split_once('.')
            .unwrap_or((short, crate::lint::world::DEFAULT_NAMESPACE));
        let is_outside = namespace.contains('.')
            || name.is_empty()
            || name == "localhost"
            || name.chars().all(|sign| sign.is_ascii_digit());
        if is_outside || !is_whole || !look.world.uses_namespace(namespace) {
            continue;
        }
        let sought: Sought<'_> = look.world.find(Some(""), "Service", namespace, name);
        if look.is_absent(&REQUEST_HOST, &sought, &format!("a Service `{name}`")) {
            let place = crate::lint::caret::caret(look.examined, &step.from.file, step.from.line, host);
            look.findings
                .add(
                    &REQUEST_HOST,
                    place,
                    format!("the request goes to the Service `{name}`, which no step makes"),
                )
                .because(format!(
                    "Services: {}",
                    listed(look.world.of_kind("Service").map(|service| service.object.name()))
                ))
                .way_out("name the Service that the guide makes")
                .only_for(look.world.offer);
        }
    }
}
