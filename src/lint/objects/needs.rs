//! What pods need that is not part of them: secrets, configuration, service accounts.

use serde_json::{Map, Value};

use super::{
    Checker, listed,
    pool::all_pods,
    rules::{NO_CONFIG_MAP, NO_SECRET, NO_SERVICE_ACCOUNT},
};
use crate::lint::{
    Rule,
    planned_objects::{Lookup, Placed},
    pods::{PodSpec, items},
};

/// The ConfigMap that every namespace has (Kubernetes v1.20 and later).
const CONFIG_MAP_OF_EACH: &str = "kube-root-ca.crt";

/// The service account that every namespace has.
const ACCOUNT_OF_EACH: &str = "default";

/// Something that a pod asks for.
struct Need<'a> {
    kind: &'static str,
    name: &'a str,
    key: Option<&'a str>,
    pointer: String,
}

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    for pods in all_pods(checker.planned) {
        for need in needs(&pods.spec) {
            of_need(checker, pods.placed, &need);
        }
    }
}

fn needs<'a>(spec: &PodSpec<'a>) -> Vec<Need<'a>> {
    let mut needs = Vec::new();
    let mut add = |kind, reference: &'a Value, name: &str, key: Option<&'a str>, pointer: String| {
        let is_optional = reference["optional"] == true;
        if let Some(name) = reference[name].as_str().filter(|name| !name.is_empty() && !is_optional) {
            needs.push(Need {
                kind,
                name,
                key,
                pointer,
            });
        }
    };
    for container in spec.containers() {
        for (index, env) in items(&container.value["env"]) {
            for (field, kind) in [("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")] {
                let pointer = format!("{}/env/{index}/valueFrom/{field}/name", container.pointer);
                let reference = &env["valueFrom"][field];
                add(kind, reference, "name", reference["key"].as_str(), pointer);
            }
        }
        for (index, env) in items(&container.value["envFrom"]) {
            for (field, kind) in [("secretRef", "Secret"), ("configMapRef", "ConfigMap")] {
                let pointer = format!("{}/envFrom/{index}/{field}/name", container.pointer);
                add(kind, &env[field], "name", None, pointer);
            }
        }
    }
    for (index, volume) in items(&spec.value["volumes"]) {
        let pointer = format!("{}/volumes/{index}", spec.pointer);
        add(
            "Secret",
            &volume["secret"],
            "secretName",
            None,
            format!("{pointer}/secret/secretName"),
        );
        add(
            "ConfigMap",
            &volume["configMap"],
            "name",
            None,
            format!("{pointer}/configMap/name"),
        );
    }
    let account = "serviceAccountName";
    add(
        "ServiceAccount",
        spec.value,
        account,
        None,
        format!("{}/{account}", spec.pointer),
    );
    needs
}

fn of_need(checker: &mut Checker<'_, '_>, placed: Placed<'_>, need: &Need<'_>) {
    let Need {
        kind,
        name,
        key,
        pointer,
    } = need;
    let (rule, of_each): (&Rule, _) = match *kind {
        "Secret" => (&NO_SECRET, ""),
        "ConfigMap" => (&NO_CONFIG_MAP, CONFIG_MAP_OF_EACH),
        _ => (&NO_SERVICE_ACCOUNT, ACCOUNT_OF_EACH),
    };
    if *name == of_each {
        return;
    }
    let title = placed.object.title();
    let mut literals = checker.planned.secrets.iter();
    let literal =
        literals.find(|secret| *kind == "Secret" && secret.name == *name && secret.namespace == placed.namespace);
    let keys: Vec<&str> = match (literal, checker.planned.find(Some(""), kind, placed.namespace, name)) {
        (Some(literal), _) => literal.keys.clone(),
        // The key of such a Secret is put in by the cluster.
        (None, Lookup::Found(found)) if found.text("/type") == Some("kubernetes.io/service-account-token") => return,
        (None, Lookup::Found(found)) => {
            let fields = ["data", "stringData", "binaryData"].into_iter();
            let fields = fields.filter_map(|field| found.object.value[field].as_object());
            fields.flat_map(Map::keys).map(String::as_str).collect()
        }
        (None, lookup) => {
            if checker.is_absent(rule, placed, &lookup, &format!("a {kind} `{name}`")) {
                let message = format!("the pods of {title} need the {kind} `{name}`, which no step makes");
                let made = format!("{kind}s in `{}`: {}", placed.namespace, checker.made(kind));
                checker
                    .add(rule, placed, pointer, message)
                    .because(made)
                    .way_out("make it by a step before, or name the one that is made");
            }
            return;
        }
    };
    if let Some(key) = key.filter(|key| !keys.contains(key)) {
        let message = format!("the pods of {title} need the key `{key}` of the {kind} `{name}`, which has none");
        checker
            .add(rule, placed, pointer, message)
            .because(format!("its keys: {}", listed(keys)))
            .way_out("name a key that it has");
    }
}
