//! A pool: the pods that it selects, their port, and the endpoint picker that it refers to.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    Look, Said, listed,
    rules::{
        PICKER_POOL, PICKER_PORT, PICKER_SERVICE, POOL_PORT, POOL_SELECTS_NONE, SERVICE_PORT, SERVICE_SELECTS_NONE,
    },
};
use crate::lint::{
    Severity,
    containers::{self, flags},
    pods::{self, PodSpec},
    world::{Placed, Sought},
};

/// The port of an endpoint picker where a pool names none (`portNumber` of `inference.networking.x-k8s.io/v1alpha2`).
const PICKER_PORT_BY_DEFAULT: u64 = 9002;

/// Pods that an object makes.
pub(super) struct Pods<'a> {
    pub(super) placed: Placed<'a>,
    pub(super) spec: PodSpec<'a>,
    labels: Option<&'a Map<String, Value>>,
}

impl Pods<'_> {
    fn are_selected_by(&self, selector: &Map<String, Value>) -> bool {
        selector
            .iter()
            .all(|(key, value)| self.labels.and_then(|labels| labels.get(key)) == Some(value))
    }

    /// Ports that the pods' servers are told to listen on.
    fn told(&self) -> BTreeSet<u64> {
        let containers = self.spec.value["containers"].as_array().into_iter().flatten();
        let ports = containers.filter_map(|container| containers::value(&flags(container), "port")?.parse().ok());
        ports.collect()
    }

    /// Ports that the pods' containers declare.
    fn declared(&self) -> BTreeSet<u64> {
        let containers = self.spec.containers();
        let ports = containers
            .iter()
            .flat_map(|container| container.value["ports"].as_array().into_iter().flatten());
        ports.filter_map(|port| port["containerPort"].as_u64()).collect()
    }

    fn has_port_named(&self, name: &str) -> bool {
        let containers = self.spec.containers();
        containers
            .iter()
            .any(|container| pods::items(&container.value["ports"]).any(|(_, port)| port["name"] == name))
    }
}

/// The pods of every object of the plan.
pub(super) fn all_pods<'a>(world: &crate::lint::world::World<'a>) -> Vec<Pods<'a>> {
    let mut all = Vec::new();
    for placed in &world.objects {
        for spec in pods::pod_specs(placed.object) {
            let above = spec.pointer.strip_suffix("/spec").unwrap_or_default();
            let labels = placed
                .object
                .value
                .pointer(&format!("{above}/metadata/labels"))
                .and_then(Value::as_object);
            all.push(Pods {
                placed: *placed,
                spec,
                labels,
            });
        }
    }
    all
}

/// The labels that a pool selects by, and where they stand.
pub(super) fn selector<'a>(pool: &Placed<'a>) -> Option<(&'a Map<String, Value>, &'static str)> {
    let value = &pool.object.value;
    let matched = value.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let flat = value.pointer("/spec/selector").and_then(Value::as_object);
    matched
        .map(|labels| (labels, "/spec/selector/matchLabels"))
        .or_else(|| {
            flat.filter(|labels| labels.values().all(Value::is_string))
                .map(|labels| (labels, "/spec/selector"))
        })
}

/// The pods of a plan that a pool selects.
pub(super) fn selected<'p, 'a>(pool: &Placed<'_>, pods: &'p [Pods<'a>]) -> Vec<&'p Pods<'a>> {
    let Some((labels, _)) = selector(pool) else {
        return Vec::new();
    };
    let in_namespace = pods.iter().filter(|pods| pods.placed.namespace == pool.namespace);
    in_namespace.filter(|pods| pods.are_selected_by(labels)).collect()
}

pub(super) fn look(look: &mut Look<'_, '_>) {
    let pods = all_pods(look.world);
    for pool in look.world.of_kind("InferencePool") {
        of_pool(look, pool, &pods);
        picker(look, pool);
    }
    for service in look.world.of_kind("Service") {
        of_service(look, service, &pods);
    }
    for of_picker in &pods {
        told_pool(look, of_picker);
    }
}

fn of_pool(look: &mut Look<'_, '_>, pool: Placed<'_>, pods: &[Pods<'_>]) {
    let Some((labels, pointer)) = selector(&pool) else {
        return;
    };
    let selected = selected(&pool, pods);
    if selected.is_empty() {
        let sought = look.world.absent("Deployment", usize::MAX);
        let wanted = said(labels);
        if look.is_absent(&POOL_SELECTS_NONE, &sought, &format!("a pod with {wanted}")) {
            let beside = pods.iter().filter(|pods| pods.placed.namespace == pool.namespace);
            let offered: Vec<String> = beside.filter_map(|pods| Some(said(pods.labels?))).collect();
            let said = Said {
                message: format!(
                    "the pool `{}` selects {wanted}, and no pod of this path has that",
                    pool.object.name()
                ),
                why: vec![format!(
                    "labels of pods in the namespace `{}`: {}",
                    pool.namespace,
                    listed(offered.iter().map(String::as_str))
                )],
                way_out: "give selector and pods the same labels",
            };
            look.wrong(&POOL_SELECTS_NONE, pool, pointer, said);
        }
        return;
    }
    for (pointer, port) in ports(&pool) {
        for pods in &selected {
            let (told, declared) = (pods.told(), pods.declared());
            let (known, severity, how) = if told.is_empty() {
                (declared, Severity::Degraded, "declare")
            } else {
                (told, Severity::Break, "listen on")
            };
            if known.is_empty() || known.contains(&port) {
                continue;
            }
            let said = Said {
                message: format!(
                    "the pool `{}` sends to port {port}, which its pods do not {how}",
                    pool.object.name()
                ),
                why: vec![format!("the pods of {} {how} {known:?}", pods.placed.object.title())],
                way_out: "name the port of the model server",
            };
            look.at_most(&POOL_PORT, pool, &pointer, said, severity);
        }
    }
}

/// The ports that a pool sends to, with their places.
fn ports(pool: &Placed<'_>) -> Vec<(String, u64)> {
    let flat = pool.at("/spec/targetPortNumber").and_then(Value::as_u64);
    let flat = flat.map(|port| ("/spec/targetPortNumber".to_owned(), port));
    let listed = pods::items(&pool.object.value["spec"]["targetPorts"])
        .filter_map(|(index, port)| Some((format!("/spec/targetPorts/{index}/number"), port["number"].as_u64()?)));
    flat.into_iter().chain(listed).collect()
}

fn said(labels: &Map<String, Value>) -> String {
    let labels = labels
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    labels.collect::<Vec<_>>().join(",")
}

/// The Service of the endpoint picker that a pool refers to.
fn picker(look: &mut Look<'_, '_>, pool: Placed<'_>) {
    let Some(field) = ["/spec/endpointPickerRef", "/spec/extensionRef"]
        .into_iter()
        .find(|field| pool.at(field).is_some())
    else {
        return;
    };
    let kind = pool.text(&format!("{field}/kind")).unwrap_or("Service");
    let (Some(name), "Service") = (pool.text(&format!("{field}/name")), kind) else {
        return;
    };
    let sought = look.world.find(Some(""), "Service", pool.namespace, name);
    if let Sought::Here(service) = sought {
        let port = ["port/number", "portNumber"].into_iter().find_map(|port| {
            let pointer = format!("{field}/{port}");
            Some((pool.at(&pointer)?.as_u64()?, pointer))
        });
        let (port, pointer) = port.unwrap_or((PICKER_PORT_BY_DEFAULT, format!("{field}/name")));
        let offered: BTreeSet<u64> = pods::items(&service.object.value["spec"]["ports"])
            .filter_map(|(_, port)| port["port"].as_u64())
            .collect();
        if !offered.contains(&port) {
            let said = Said {
                message: format!(
                    "the pool `{}` refers to port {port} of the Service `{name}`, which has no such port",
                    pool.object.name()
                ),
                why: vec![format!("its ports are {offered:?}")],
                way_out: "name a port that the Service has",
            };
            look.wrong(&PICKER_PORT, pool, &pointer, said);
        }
        return;
    }
    if look.is_absent(&PICKER_SERVICE, &sought, &format!("a Service `{name}`")) {
        let said = Said {
            message: format!(
                "the pool `{}` refers to the Service `{name}`, which no step makes",
                pool.object.name()
            ),
            why: vec![format!(
                "Services: {}",
                listed(look.world.of_kind("Service").map(|service| service.object.name()))
            )],
            way_out: "refer to the Service of the endpoint picker",
        };
        look.wrong(&PICKER_SERVICE, pool, &format!("{field}/name"), said);
    }
}

fn of_service(look: &mut Look<'_, '_>, service: Placed<'_>, pods: &[Pods<'_>]) {
    let Some(labels) = service
        .at("/spec/selector")
        .and_then(Value::as_object)
        .filter(|labels| !labels.is_empty())
    else {
        return;
    };
    let in_namespace = pods.iter().filter(|pods| pods.placed.namespace == service.namespace);
    let selected: Vec<&Pods<'_>> = in_namespace.filter(|pods| pods.are_selected_by(labels)).collect();
    if selected.is_empty() {
        let sought = look.world.absent("Deployment", usize::MAX);
        if look.is_absent(
            &SERVICE_SELECTS_NONE,
            &sought,
            &format!("a pod with {}", super::pool::said(labels)),
        ) {
            let said = Said {
                message: format!(
                    "the Service `{}` selects {}, and no pod of this path has that",
                    service.object.name(),
                    said(labels)
                ),
                why: Vec::new(),
                way_out: "give selector and pods the same labels",
            };
            look.wrong(&SERVICE_SELECTS_NONE, service, "/spec/selector", said);
        }
        return;
    }
    for (index, port) in pods::items(&service.object.value["spec"]["ports"]) {
        let target = if port["targetPort"].is_null() {
            &port["port"]
        } else {
            &port["targetPort"]
        };
        let pointer = format!(
            "/spec/ports/{index}/{}",
            if port["targetPort"].is_null() {
                "port"
            } else {
                "targetPort"
            }
        );
        let (is_served, severity) = match target {
            Value::String(name) => (selected.iter().any(|pods| pods.has_port_named(name)), Severity::Break),
            Value::Number(number) => {
                let number = number.as_u64().unwrap_or_default();
                let known = |pods: &&&Pods<'_>| !pods.declared().is_empty();
                let mut declaring = selected.iter().filter(known).peekable();
                let none_declares = declaring.peek().is_none();
                (
                    none_declares || declaring.any(|pods| pods.declared().contains(&number)),
                    Severity::Degraded,
                )
            }
            _ => continue,
        };
        if !is_served {
            let said = Said {
                message: format!(
                    "the Service `{}` sends to port {target}, which none of its pods declares",
                    service.object.name()
                ),
                why: Vec::new(),
                way_out: "name a port of the container",
            };
            look.at_most(&SERVICE_PORT, service, &pointer, said, severity);
        }
    }
}

/// The pool that an endpoint picker is told to watch.
fn told_pool(look: &mut Look<'_, '_>, of_picker: &Pods<'_>) {
    for container in of_picker.spec.containers() {
        let flags = flags(container.value);
        let Some(name) = containers::value(&flags, "pool-name").filter(|name| !name.contains("$(")) else {
            continue;
        };
        let told = containers::value(&flags, "pool-namespace").filter(|namespace| !namespace.contains("$("));
        let namespace = told.unwrap_or(of_picker.placed.namespace);
        let group = containers::value(&flags, "pool-group").filter(|group| !group.contains("$("));
        let sought = look.world.find(group, "InferencePool", namespace, name);
        let index = flags
            .iter()
            .find(|flag| flag.name == "pool-name")
            .and_then(|flag| flag.index);
        let pointer = index.map_or_else(
            || container.pointer.clone(),
            |index| format!("{}/args/{}", container.pointer, index + 1),
        );
        let of_group = group.map(|group| format!(" of {group}")).unwrap_or_default();
        if look.is_absent(&PICKER_POOL, &sought, &format!("a pool `{name}`")) {
            let pools = look
                .world
                .of_kind("InferencePool")
                .map(|pool| format!("{}/{} of {}", pool.namespace, pool.object.name(), pool.group()));
            let pools: Vec<String> = pools.collect();
            let said = Said {
                message: format!(
                    "the endpoint picker is told of the pool `{namespace}/{name}`{of_group}, which no step makes"
                ),
                why: vec![format!("pools: {}", listed(pools.iter().map(String::as_str)))],
                way_out: "give it name, namespace and group of the pool",
            };
            look.wrong(&PICKER_POOL, of_picker.placed, &pointer, said);
        }
    }
}
