//! Deployments and their like: selectors, restart policies.

use serde_json::Value;

use super::{Seen, rules, token};

pub(super) fn look(seen: &mut Seen<'_, '_>) {
    match (seen.object.api_version(), seen.object.kind()) {
        ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
            selector(seen);
            restart_policy(seen, "/spec/template/spec/restartPolicy", &["Always"], "Always");
        }
        ("batch/v1", "Job") => {
            restart_policy(seen, "/spec/template/spec/restartPolicy", &["Never", "OnFailure"], "");
        }
        ("batch/v1", "CronJob") => {
            let pointer = "/spec/jobTemplate/spec/template/spec/restartPolicy";
            restart_policy(seen, pointer, &["Never", "OnFailure"], "");
        }
        _ => {}
    }
}

/// The selector must be there and must match the labels of the template (`ValidateDeploymentSpec`).
fn selector(seen: &mut Seen<'_, '_>) {
    let spec = &seen.object.value["spec"];
    let selector = &spec["selector"];
    let wanted = selector["matchLabels"].as_object();
    let expressions = selector["matchExpressions"].as_array().map_or(0, Vec::len);
    if wanted.is_none_or(serde_json::Map::is_empty) && expressions == 0 {
        seen.add(&rules::SELECTOR_MISMATCH, "/spec/selector", "it has no selector")
            .way_out("`selector.matchLabels` with labels of the template");
        return;
    }
    let labels = &spec["template"]["metadata"]["labels"];
    for (key, value) in wanted.into_iter().flatten() {
        let found = labels.get(key);
        if found == Some(value) {
            continue;
        }
        let found = match found {
            Some(Value::String(found)) => format!("the template's label `{key}` is `{found}`"),
            _ => format!("the template has no label `{key}`"),
        };
        let value = value.as_str().unwrap_or_default();
        seen.add(
            &rules::SELECTOR_MISMATCH,
            &format!("/spec/selector/matchLabels/{}", token(key)),
            format!("the selector `{key}={value}` does not match its own template"),
        )
        .because(found);
    }
}

fn restart_policy(seen: &mut Seen<'_, '_>, pointer: &str, allowed: &[&str], default: &str) {
    if seen.object.value.pointer("/spec/suspend").is_some_and(Value::is_object) {
        return;
    }
    let policy = seen
        .object
        .value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or(default);
    if !allowed.contains(&policy) {
        let said = if policy.is_empty() {
            "no `restartPolicy`".to_owned()
        } else {
            format!("`restartPolicy: {policy}`")
        };
        seen.add(
            &rules::RESTART_POLICY,
            pointer,
            format!("{said} in the pods of a {}", seen.object.kind()),
        )
        .way_out(format!("`restartPolicy: {}`", allowed.join("` or `")));
    }
}
