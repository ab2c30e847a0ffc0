//! What pods need that is not part of them: secrets, configuration, service accounts.

use serde_json::Value;

use super::{
    Look, Said, listed,
    pool::all_pods,
    rules::{NO_CONFIG_MAP, NO_SECRET, NO_SERVICE_ACCOUNT},
};
use crate::lint::{
    Rule,
    pods::{PodSpec, items},
    world::{Placed, Sought},
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

pub(super) fn look(look: &mut Look<'_, '_>) {
    for pods in all_pods(look.world) {
        for need in needs(&pods.spec) {
            of_need(look, pods.placed, &need);
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

fn of_need(look: &mut Look<'_, '_>, placed: Placed<'_>, need: &Need<'_>) {
    let (rule, of_each): (&Rule, _) = match need.kind {
        "Secret" => (&NO_SECRET, ""),
        "ConfigMap" => (&NO_CONFIG_MAP, CONFIG_MAP_OF_EACH),
        _ => (&NO_SERVICE_ACCOUNT, ACCOUNT_OF_EACH),
    };
    if need.name == of_each {
        return;
    }
    let literal = look
        .world
        .secrets
        .iter()
        .find(|secret| need.kind == "Secret" && secret.name == need.name && secret.namespace == placed.namespace);
    let keys: Option<Vec<String>> = match look.world.find(Some(""), need.kind, placed.namespace, need.name) {
        _ if literal.is_some() => literal.map(|secret| secret.keys.iter().map(|key| (*key).to_owned()).collect()),
        // The key of such a Secret is put in by the cluster.
        Sought::Here(found) if found.text("/type") == Some("kubernetes.io/service-account-token") => None,
        Sought::Here(found) => {
            let fields = ["data", "stringData", "binaryData"].into_iter();
            let keys = fields
                .filter_map(|field| found.object.value[field].as_object())
                .flat_map(serde_json::Map::keys);
            Some(keys.cloned().collect())
        }
        sought => {
            if look.is_absent(rule, &sought, &format!("a {} `{}`", need.kind, need.name)) {
                let said = Said {
                    message: format!(
                        "the pods of {} need the {} `{}`, which no step makes",
                        placed.object.title(),
                        need.kind,
                        need.name
                    ),
                    why: vec![format!(
                        "{}s in `{}`: {}",
                        need.kind,
                        placed.namespace,
                        listed(look.world.of_kind(need.kind).map(|one| one.object.name()))
                    )],
                    way_out: "make it by a step before, or name the one that is made",
                };
                look.wrong(rule, placed, &need.pointer, said);
            }
            return;
        }
    };
    if let (Some(keys), Some(key)) = (keys, need.key)
        && !keys.iter().any(|known| known == key)
    {
        let said = Said {
            message: format!(
                "the pods of {} need the key `{key}` of the {} `{}`, which has none",
                placed.object.title(),
                need.kind,
                need.name
            ),
            why: vec![format!("its keys: {}", listed(keys.iter().map(String::as_str)))],
            way_out: "name a key that it has",
        };
        look.wrong(rule, placed, &need.pointer, said);
    }
}
