//! Deployments and their like: selectors, restart policies.

use serde_json::Value;

use super::{Checker, rules, token};

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    match (checker.object.api_version(), checker.object.kind()) {
        ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => {
            selector(checker);
            restart_policy(checker, "/spec/template/spec/restartPolicy", &["Always"], "Always");
        }
        ("batch/v1", "Job") => {
            restart_policy(
                checker,
                "/spec/template/spec/restartPolicy",
                &["Never", "OnFailure"],
                "",
            );
        }
        ("batch/v1", "CronJob") => {
            let pointer = "/spec/jobTemplate/spec/template/spec/restartPolicy";
            restart_policy(checker, pointer, &["Never", "OnFailure"], "");
        }
        _ => {}
    }
}

/// The selector must be there and must match the labels of the template (`ValidateDeploymentSpec`).
fn selector(checker: &mut Checker<'_, '_>) {
    let spec = &checker.object.value["spec"];
    let selector = &spec["selector"];
    let wanted = selector["matchLabels"].as_object();
    let expressions = selector["matchExpressions"].as_array().map_or(0, Vec::len);
    if wanted.is_none_or(serde_json::Map::is_empty) && expressions == 0 {
        checker
            .add(&rules::SELECTOR_MISMATCH, "/spec/selector", "it has no selector")
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
        checker
            .add(
                &rules::SELECTOR_MISMATCH,
                &format!("/spec/selector/matchLabels/{}", token(key)),
                format!("the selector `{key}={value}` does not match its own template"),
            )
            .because(found);
    }
}

fn restart_policy(checker: &mut Checker<'_, '_>, pointer: &str, allowed: &[&str], default: &str) {
    let policy = checker.object.value.pointer(pointer).and_then(Value::as_str);
    let policy = policy.unwrap_or(default);
    if !allowed.contains(&policy) {
        let written = match policy {
            "" => "no `restartPolicy`".to_owned(),
            policy => format!("`restartPolicy: {policy}`"),
        };
        let message = format!("{written} in the pods of a {}", checker.object.kind());
        checker
            .add(&rules::RESTART_POLICY, pointer, message)
            .way_out(format!("`restartPolicy: {}`", allowed.join("` or `")));
    }
}
