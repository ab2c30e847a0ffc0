//! Services: what `ValidateService` refuses.

use std::collections::BTreeMap;

use super::{Checker, names, rules};
use crate::lint::pods::items;

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    if (checker.object.api_version(), checker.object.kind()) != ("v1", "Service") {
        return;
    }
    let spec = &checker.object.value["spec"];
    let ports: Vec<_> = items(&spec["ports"]).collect();
    let needs_none = spec["clusterIP"] == "None" || spec["type"] == "ExternalName";
    if ports.is_empty() && !needs_none {
        checker
            .add(&rules::SERVICE_WITHOUT_PORTS, "/spec", "it has no ports")
            .because("only headless Services and those of type ExternalName may do without");
    }
    let (mut by_number, mut by_name) = (BTreeMap::new(), BTreeMap::new());
    for (index, port) in &ports {
        let at = format!("/spec/ports/{index}");
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        if let Some(number) = port["port"].as_i64() {
            if !(1..=65535).contains(&number) {
                checker.add(
                    &rules::PORT_INVALID,
                    &format!("{at}/port"),
                    format!("{number} is no port"),
                );
            }
            if let Some(before) = by_number.insert((number, protocol), *index) {
                checker
                    .add(
                        &rules::PORT_DUPLICATE,
                        &format!("{at}/port"),
                        format!("port {number}/{protocol} is there twice"),
                    )
                    .because(format!("it is the port of item {before} too"));
            }
        }
        match port["name"].as_str().filter(|name| !name.is_empty()) {
            None if ports.len() > 1 => {
                checker
                    .add(&rules::PORT_UNNAMED, &at, "a port without a name among several")
                    .way_out("give each port a `name`");
            }
            None => {}
            Some(name) => {
                if !names::is_dns_label(name) {
                    checker.add(
                        &rules::PORT_INVALID,
                        &format!("{at}/name"),
                        format!("`{name}` is no name of a port"),
                    );
                }
                if let Some(before) = by_name.insert(name, *index) {
                    checker
                        .add(
                            &rules::PORT_DUPLICATE,
                            &format!("{at}/name"),
                            format!("the name `{name}` is there twice"),
                        )
                        .because(format!("it is the name of item {before} too"));
                }
            }
        }
        if let Some(name) = port["targetPort"].as_str()
            && !names::is_port_name(name)
        {
            checker
                .add(
                    &rules::PORT_INVALID,
                    &format!("{at}/targetPort"),
                    format!("`{name}` is no name of a container's port"),
                )
                .because("such a name has at most 15 lowercase letters, digits and single `-`, one letter at least")
                .way_out("a port's number is written without quotes");
        }
    }
}
