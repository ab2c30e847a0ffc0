//! A pool: the pods that it selects, their port, and the endpoint picker that it refers to.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    Checker, listed,
    rules::{
        PICKER_POOL, PICKER_PORT, PICKER_SERVICE, POOL_PORT, POOL_SELECTS_NONE, SERVICE_PORT, SERVICE_SELECTS_NONE,
    },
};
use crate::lint::{
    Rule, Severity,
    containers::{self, flags},
    planned_objects::{Lookup, Placed, PlannedObjects},
    pods::{self, PodSpec},
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
    /// Whether an object in their namespace would select them by these labels.
    fn are_selected_by(&self, object: &Placed<'_>, labels: &Map<String, Value>) -> bool {
        let has = |(key, value): (&String, &Value)| self.labels.and_then(|own| own.get(key)) == Some(value);
        self.placed.namespace == object.namespace && labels.iter().all(has)
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
pub(super) fn all_pods<'a>(planned: &PlannedObjects<'a>) -> Vec<Pods<'a>> {
    let mut all = Vec::new();
    for placed in &planned.objects {
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
fn selector<'a>(pool: &Placed<'a>) -> Option<(&'a Map<String, Value>, &'static str)> {
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

/// Whether a pool selects pods.
pub(super) fn selects(pool: &Placed<'_>, pods: &Pods<'_>) -> bool {
    selector(pool).is_some_and(|(labels, _)| pods.are_selected_by(pool, labels))
}

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    let pods = all_pods(checker.planned);
    for pool in checker.planned.of_kind("InferencePool") {
        of_pool(checker, pool, &pods);
        picker(checker, pool);
    }
    for service in checker.planned.of_kind("Service") {
        of_service(checker, service, &pods);
    }
    for of_picker in &pods {
        told_pool(checker, of_picker);
    }
}

impl Checker<'_, '_> {
    /// Whether there is certainly no pod with some labels; where that is not known, it is said.
    fn has_no_pod(&mut self, rule: &Rule, at: Placed<'_>, labels: &str) -> bool {
        let lookup = self.planned.absent("Deployment", usize::MAX);
        self.is_absent(rule, at, &lookup, &format!("a pod with {labels}"))
    }
}

fn of_pool(checker: &mut Checker<'_, '_>, pool: Placed<'_>, pods: &[Pods<'_>]) {
    let Some((labels, pointer)) = selector(&pool) else {
        return;
    };
    let name = pool.object.name();
    let selected: Vec<&Pods<'_>> = pods.iter().filter(|pods| pods.are_selected_by(&pool, labels)).collect();
    if selected.is_empty() {
        let wanted = written(labels);
        if checker.has_no_pod(&POOL_SELECTS_NONE, pool, &wanted) {
            let beside = pods.iter().filter(|pods| pods.placed.namespace == pool.namespace);
            let offered = listed(beside.filter_map(|pods| Some(written(pods.labels?))));
            let message = format!("the pool `{name}` selects {wanted}, and no pod of this path has that");
            checker
                .add(&POOL_SELECTS_NONE, pool, pointer, message)
                .because(format!(
                    "labels of pods in the namespace `{}`: {offered}",
                    pool.namespace
                ))
                .way_out("give selector and pods the same labels");
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
            let message = format!("the pool `{name}` sends to port {port}, which its pods do not {how}");
            checker
                .add(&POOL_PORT, pool, &pointer, message)
                .because(format!("the pods of {} {how} {known:?}", pods.placed.object.title()))
                .way_out("name the port of the model server")
                .at_most(severity);
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

/// Labels as a selector on a command line has them.
fn written(labels: &Map<String, Value>) -> String {
    let labels = labels.iter();
    let labels = labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    labels.collect::<Vec<_>>().join(",")
}

/// The Service of the endpoint picker that a pool refers to.
fn picker(checker: &mut Checker<'_, '_>, pool: Placed<'_>) {
    let mut fields = ["/spec/endpointPickerRef", "/spec/extensionRef"].into_iter();
    let Some(field) = fields.find(|field| pool.at(field).is_some()) else {
        return;
    };
    let kind = pool.text(&format!("{field}/kind")).unwrap_or("Service");
    let (Some(name), "Service") = (pool.text(&format!("{field}/name")), kind) else {
        return;
    };
    let refers = format!("the pool `{}` refers to", pool.object.name());
    let lookup = checker.planned.find(Some(""), "Service", pool.namespace, name);
    if let Lookup::Found(service) = lookup {
        let port = ["port/number", "portNumber"].into_iter().find_map(|port| {
            let pointer = format!("{field}/{port}");
            Some((pool.at(&pointer)?.as_u64()?, pointer))
        });
        let (port, pointer) = port.unwrap_or((PICKER_PORT_BY_DEFAULT, format!("{field}/name")));
        let offered: BTreeSet<u64> = pods::items(&service.object.value["spec"]["ports"])
            .filter_map(|(_, port)| port["port"].as_u64())
            .collect();
        if !offered.contains(&port) {
            let message = format!("{refers} port {port} of the Service `{name}`, which has no such port");
            checker
                .add(&PICKER_PORT, pool, &pointer, message)
                .because(format!("its ports are {offered:?}"))
                .way_out("name a port that the Service has");
        }
    } else if checker.is_absent(&PICKER_SERVICE, pool, &lookup, &format!("a Service `{name}`")) {
        let message = format!("{refers} the Service `{name}`, which no step makes");
        let made = format!("Services: {}", checker.made("Service"));
        checker
            .add(&PICKER_SERVICE, pool, &format!("{field}/name"), message)
            .because(made)
            .way_out("refer to the Service of the endpoint picker");
    }
}

fn of_service(checker: &mut Checker<'_, '_>, service: Placed<'_>, pods: &[Pods<'_>]) {
    let selector = service.at("/spec/selector").and_then(Value::as_object);
    let Some(labels) = selector.filter(|labels| !labels.is_empty()) else {
        return;
    };
    let name = service.object.name();
    let selected: Vec<&Pods<'_>> = pods
        .iter()
        .filter(|pods| pods.are_selected_by(&service, labels))
        .collect();
    if selected.is_empty() {
        let wanted = written(labels);
        if checker.has_no_pod(&SERVICE_SELECTS_NONE, service, &wanted) {
            let message = format!("the Service `{name}` selects {wanted}, and no pod of this path has that");
            checker
                .add(&SERVICE_SELECTS_NONE, service, "/spec/selector", message)
                .way_out("give selector and pods the same labels");
        }
        return;
    }
    for (index, port) in pods::items(&service.object.value["spec"]["ports"]) {
        let field = if port["targetPort"].is_null() {
            "port"
        } else {
            "targetPort"
        };
        let target = &port[field];
        let (is_served, severity) = match target {
            Value::String(name) => (selected.iter().any(|pods| pods.has_port_named(name)), Severity::Break),
            Value::Number(number) => {
                let declared = selected
                    .iter()
                    .map(|pods| pods.declared())
                    .filter(|ports| !ports.is_empty());
                let declared: Vec<_> = declared.collect();
                let number = number.as_u64().unwrap_or_default();
                let is_declared = declared.is_empty() || declared.iter().any(|ports| ports.contains(&number));
                (is_declared, Severity::Degraded)
            }
            _ => continue,
        };
        if !is_served {
            let message = format!("the Service `{name}` sends to port {target}, which none of its pods declares");
            checker
                .add(&SERVICE_PORT, service, &format!("/spec/ports/{index}/{field}"), message)
                .way_out("name a port of the container")
                .at_most(severity);
        }
    }
}

/// The pool that an endpoint picker is told to watch.
fn told_pool(checker: &mut Checker<'_, '_>, of_picker: &Pods<'_>) {
    for container in of_picker.spec.containers() {
        let flags = flags(container.value);
        let told = |flag: &str| containers::value(&flags, flag).filter(|value| !value.contains("$("));
        let Some(name) = told("pool-name") else {
            continue;
        };
        let namespace = told("pool-namespace").unwrap_or(of_picker.placed.namespace);
        let group = told("pool-group");
        let lookup = checker.planned.find(group, "InferencePool", namespace, name);
        if checker.is_absent(&PICKER_POOL, of_picker.placed, &lookup, &format!("a pool `{name}`")) {
            let flag = flags.iter().find(|flag| flag.name == "pool-name");
            let pointer = flag.and_then(|flag| flag.index).map_or_else(
                || container.pointer.clone(),
                |index| format!("{}/args/{}", container.pointer, index + 1),
            );
            let of_group = group.map(|group| format!(" of {group}")).unwrap_or_default();
            let pools = checker.planned.of_kind("InferencePool");
            let pools =
                listed(pools.map(|pool| format!("{}/{} of {}", pool.namespace, pool.object.name(), pool.group())));
            let message =
                format!("the endpoint picker is told of the pool `{namespace}/{name}`{of_group}, which no step makes");
            checker
                .add(&PICKER_POOL, of_picker.placed, &pointer, message)
                .because(format!("pools: {pools}"))
                .way_out("give it name, namespace and group of the pool");
        }
    }
}
