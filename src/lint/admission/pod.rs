//! Pods: containers, ports, volumes, variables, probes, resources.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Checker, names, rules, token};
use crate::{
    lint::{
        Severity,
        pods::{Container, PodSpec, items},
    },
    manifest::thousandths,
};

/// Handlers of a probe, of which it has exactly one.
const HANDLERS: &[&str] = &["exec", "grpc", "httpGet", "tcpSocket"];

pub(super) fn check(checker: &mut Checker<'_, '_>, spec: &PodSpec<'_>) {
    let mut volumes = BTreeSet::new();
    for (index, volume) in items(&spec.value["volumes"]) {
        let name = volume["name"].as_str().unwrap_or_default();
        if !volumes.insert(name) {
            let at = format!("{}/volumes/{index}/name", spec.pointer);
            checker.add(
                &rules::VOLUME_DUPLICATE,
                &at,
                format!("the volume `{name}` is there twice"),
            );
        }
    }
    let claims = items(&checker.object.value["spec"]["volumeClaimTemplates"]);
    volumes.extend(claims.filter_map(|(_, claim)| claim["metadata"]["name"].as_str()));
    let containers = spec.containers();
    let mut known = BTreeSet::new();
    let mut port_names: BTreeMap<&str, &str> = BTreeMap::new();
    for container in &containers {
        let name = container.name();
        if !names::is_dns_label(name) {
            let at = format!("{}/name", container.pointer);
            checker.add(&rules::NAME_INVALID, &at, format!("`{name}` is no name of a container"));
        }
        if !known.insert(name) {
            let at = format!("{}/name", container.pointer);
            checker.add(
                &rules::CONTAINER_DUPLICATE,
                &at,
                format!("the container `{name}` is there twice"),
            );
        }
        if container.value["image"]
            .as_str()
            .is_none_or(|image| image.trim().is_empty())
        {
            checker.add(
                &rules::IMAGE_ABSENT,
                &container.pointer,
                format!("the container `{name}` has no image"),
            );
        }
        restart_policy(checker, container);
        pull_policy(checker, container);
        ports(checker, container, &mut port_names);
        mounts(checker, container, &volumes);
        variables(checker, container);
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            handlers(checker, container, probe);
        }
        resources(checker, container);
    }
}

fn restart_policy(checker: &mut Checker<'_, '_>, container: &Container<'_>) {
    let is_first = container.pointer.contains("/initContainers/");
    if let Some(policy) = container.value["restartPolicy"].as_str()
        && is_first
        && policy != "Always"
    {
        let at = format!("{}/restartPolicy", container.pointer);
        let message = format!("`restartPolicy: {policy}` of the init container `{}`", container.name());
        let added = checker.add(&rules::INIT_RESTART_POLICY, &at, message);
        added.because("an init container's restartPolicy is `Always`, which makes it a sidecar, or absent");
        match policy {
            "IfNotPresent" => {
                added.because(format!("`{policy}` is a value of `imagePullPolicy`"));
            }
            "Never" | "OnFailure" => {
                added
                    .because("an API server takes it where KEP-5307 is switched on, and refuses it elsewhere")
                    .at_most(Severity::Degraded);
            }
            _ => {}
        }
        added.way_out("`restartPolicy: Always` for a sidecar, else leave it out");
    }
}

fn pull_policy(checker: &mut Checker<'_, '_>, container: &Container<'_>) {
    if let Some(policy) = container.value["imagePullPolicy"].as_str()
        && !["Always", "IfNotPresent", "Never"].contains(&policy)
    {
        let at = format!("{}/imagePullPolicy", container.pointer);
        checker
            .add(
                &rules::PULL_POLICY,
                &at,
                format!("`imagePullPolicy: {policy}` of the container `{}`", container.name()),
            )
            .way_out("`Always`, `IfNotPresent` or `Never`");
    }
}

fn ports<'a>(checker: &mut Checker<'_, '_>, container: &Container<'a>, pod: &mut BTreeMap<&'a str, &'a str>) {
    let mut own = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for (index, port) in items(&container.value["ports"]) {
        let at = format!("{}/ports/{index}", container.pointer);
        if let Some(name) = port["name"].as_str().filter(|name| !name.is_empty()) {
            if !names::is_port_name(name) {
                checker
                    .add(
                        &rules::PORT_INVALID,
                        &format!("{at}/name"),
                        format!("`{name}` is no name of a container's port"),
                    )
                    .because(format!("it has {} characters", name.len()))
                    .way_out("at most 15 lowercase letters, digits and single `-`, one letter at least");
            }
            if !own.insert(name) {
                let message = format!("the container `{}` has two ports `{name}`", container.name());
                checker.add(&rules::PORT_DUPLICATE, &format!("{at}/name"), message);
            } else if let Some(other) = pod.insert(name, container.name()) {
                let message = format!(
                    "the containers `{other}` and `{}` both have a port `{name}`",
                    container.name()
                );
                checker.add(&rules::PORT_NAME_SHARED, &format!("{at}/name"), message);
            }
        }
        let Some(number) = port["containerPort"].as_i64() else {
            continue;
        };
        if !(1..=65535).contains(&number) {
            checker.add(
                &rules::PORT_INVALID,
                &format!("{at}/containerPort"),
                format!("{number} is no port"),
            );
        }
        if !numbers.insert((number, port["protocol"].as_str().unwrap_or("TCP"))) {
            let message = format!("the container `{}` has port {number} twice", container.name());
            checker.add(&rules::PORT_NUMBER_TWICE, &format!("{at}/containerPort"), message);
        }
    }
}

fn mounts(checker: &mut Checker<'_, '_>, container: &Container<'_>, volumes: &BTreeSet<&str>) {
    let mut paths = BTreeSet::new();
    for (index, mount) in items(&container.value["volumeMounts"]) {
        let at = format!("{}/volumeMounts/{index}", container.pointer);
        let name = mount["name"].as_str().unwrap_or_default();
        if !volumes.contains(name) {
            let message = format!(
                "the container `{}` mounts the volume `{name}`, which is not there",
                container.name()
            );
            let known: Vec<String> = volumes.iter().map(|volume| format!("`{volume}`")).collect();
            let added = checker.add(&rules::MOUNT_WITHOUT_VOLUME, &format!("{at}/name"), message);
            added.because(match known.as_slice() {
                [] => "the pod has no volumes".to_owned(),
                known => format!("the pod's volumes are {}", known.join(", ")),
            });
        }
        let path = mount["mountPath"].as_str().unwrap_or_default();
        if !paths.insert(path) {
            let message = format!("the container `{}` mounts two volumes at `{path}`", container.name());
            checker.add(&rules::MOUNT_PATH_TWICE, &format!("{at}/mountPath"), message);
        }
    }
}

fn variables(checker: &mut Checker<'_, '_>, container: &Container<'_>) {
    let mut known = BTreeSet::new();
    for (index, variable) in items(&container.value["env"]) {
        let at = format!("{}/env/{index}", container.pointer);
        let name = variable["name"].as_str().unwrap_or_default();
        if variable["value"].as_str().is_some_and(|value| !value.is_empty()) && variable["valueFrom"].is_object() {
            let message = format!("the variable `{name}` has both `value` and `valueFrom`");
            checker.add(&rules::ENV_TWO_SOURCES, &at, message);
        }
        if !known.insert(name) {
            let message = format!("the container `{}` sets the variable `{name}` twice", container.name());
            checker.add(&rules::ENV_TWICE, &format!("{at}/name"), message);
        }
    }
}

fn handlers(checker: &mut Checker<'_, '_>, container: &Container<'_>, probe: &str) {
    let value = &container.value[probe];
    if value.is_null() {
        return;
    }
    let at = format!("{}/{probe}", container.pointer);
    let handlers: Vec<&str> = HANDLERS
        .iter()
        .copied()
        .filter(|handler| !value[*handler].is_null())
        .collect();
    let said = match handlers.as_slice() {
        [_] => return,
        [] => "no handler".to_owned(),
        several => format!("{} handlers, `{}`", several.len(), several.join("` and `")),
    };
    checker
        .add(
            &rules::PROBE_HANDLER,
            &at,
            format!("the {probe} of the container `{}` has {said}", container.name()),
        )
        .way_out(format!("exactly one of `{}`", HANDLERS.join("`, `")));
}

fn resources(checker: &mut Checker<'_, '_>, container: &Container<'_>) {
    let resources = &container.value["resources"];
    for list in ["requests", "limits"] {
        for (name, value) in resources[list].as_object().into_iter().flatten() {
            let quantity = as_written(value);
            if thousandths(&quantity).is_none() {
                let at = format!("{}/resources/{list}/{}", container.pointer, token(name));
                let message = format!("`{quantity}` is no quantity of {name}");
                checker
                    .add(&rules::QUANTITY_INVALID, &at, message)
                    .way_out("a number, perhaps with a suffix such as `m`, `k`, `M`, `Ki`, `Mi` or `Gi`");
            }
        }
    }
    for (name, requested) in resources["requests"].as_object().into_iter().flatten() {
        let Some(limit) = resources["limits"].get(name).map(as_written) else {
            continue;
        };
        let requested = as_written(requested);
        let (Some(more), Some(most)) = (thousandths(&requested), thousandths(&limit)) else {
            continue;
        };
        // Extended resources such as GPUs are never overcommitted: both must be equal.
        let is_extended = name.contains('/') && !name.starts_with("kubernetes.io/");
        if more > most || (is_extended && more < most) {
            let at = format!("{}/resources/requests/{}", container.pointer, token(name));
            let message = format!(
                "the container `{}` requests {requested} {name} and is limited to {limit}",
                container.name(),
            );
            checker.add(&rules::REQUEST_ABOVE_LIMIT, &at, message);
        }
    }
}

/// A quantity as text; YAML may have it as a number.
fn as_written(quantity: &Value) -> String {
    quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned)
}
