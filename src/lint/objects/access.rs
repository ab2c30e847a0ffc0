//! Who may do what: bindings, the roles they refer to, and whether the endpoint picker may watch what it watches.

use super::{
    Checker, listed,
    pool::all_pods,
    rules::{BINDING_INCOMPLETE, BINDING_SUBJECT, PICKER_ACCESS, ROLE_MISSING},
};
use crate::lint::{
    containers,
    planned_objects::{Lookup, Placed, PlannedObjects},
    pods::{Container, items},
};

/// The group of roles and bindings.
const GROUP: &str = "rbac.authorization.k8s.io";

/// Roles that every cluster has, beside those whose names begin with `system:` (Kubernetes documentation, "Using RBAC
/// Authorization", user-facing roles).
const OF_EACH_CLUSTER: &[&str] = &["admin", "cluster-admin", "edit", "view"];

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    for kind in ["RoleBinding", "ClusterRoleBinding"] {
        for binding in checker.planned.of_kind(kind) {
            role(checker, binding);
            subjects(checker, binding);
        }
    }
    picker(checker);
}

fn role(checker: &mut Checker<'_, '_>, binding: Placed<'_>) {
    let title = binding.object.title();
    if binding.text("/roleRef/apiGroup").is_none() {
        let message = format!("the `roleRef` of {title} names no `apiGroup`");
        checker
            .add(&BINDING_INCOMPLETE, binding, "/roleRef", message)
            .because("the API server puts in the default of this version")
            .way_out("add `apiGroup: rbac.authorization.k8s.io`");
    }
    let (Some(kind), Some(name)) = (binding.text("/roleRef/kind"), binding.text("/roleRef/name")) else {
        return;
    };
    if kind == "ClusterRole" && (name.starts_with("system:") || OF_EACH_CLUSTER.contains(&name)) {
        return;
    }
    let lookup = checker.planned.find(Some(GROUP), kind, binding.namespace, name);
    if checker.is_absent(&ROLE_MISSING, binding, &lookup, &format!("a {kind} `{name}`")) {
        let message = format!("{title} gives the {kind} `{name}`, which no step makes");
        let made = format!("{kind}s: {}", checker.made(kind));
        checker
            .add(&ROLE_MISSING, binding, "/roleRef/name", message)
            .because(made)
            .way_out("name the role that is made");
    }
}

fn subjects(checker: &mut Checker<'_, '_>, binding: Placed<'_>) {
    for (index, subject) in items(&binding.object.value["subjects"]) {
        let (Some("ServiceAccount"), Some(name)) = (subject["kind"].as_str(), subject["name"].as_str()) else {
            continue;
        };
        let namespace = subject["namespace"].as_str().unwrap_or(binding.namespace);
        // Accounts of other namespaces are those of what is installed by others.
        if name == "default" || !checker.planned.uses_namespace(namespace) {
            continue;
        }
        let lookup = checker.planned.find(Some(""), "ServiceAccount", namespace, name);
        let account = format!("service account `{namespace}/{name}`");
        if checker.is_absent(&BINDING_SUBJECT, binding, &lookup, &format!("a {account}")) {
            let title = binding.object.title();
            let message = format!("{title} gives its role to the {account}, which no step makes");
            let made = format!("service accounts: {}", checker.made("ServiceAccount"));
            checker
                .add(&BINDING_SUBJECT, binding, &format!("/subjects/{index}/name"), message)
                .because(made)
                .way_out("name the account that the pods run as");
        }
    }
}

/// Whether every kind that the endpoint picker of this release watches may be watched by its account.
fn picker(checker: &mut Checker<'_, '_>) {
    let Some(facts) = checker.examined.layout.picker.as_ref() else {
        return;
    };
    let tag = checker.examined.release.tag.as_ref();
    let kinds: Vec<&str> = facts
        .kinds
        .iter()
        .filter(|kind| tag.is_none_or(|tag| kind.is_in(tag)))
        .map(|kind| kind.name.as_str())
        .collect();
    for pods in all_pods(checker.planned) {
        let is_picker = |one: &Container<'_>| containers::value(&containers::flags(one.value), "pool-name").is_some();
        let Some(container) = pods.spec.containers().into_iter().find(is_picker) else {
            continue;
        };
        let account = pods.spec.value["serviceAccountName"].as_str().unwrap_or("default");
        for kind in &kinds {
            let (group, plural) = resource_of(kind);
            // A kind that the release has no CRD of cannot be watched by anybody, which is another matter.
            let has_crd = checker.examined.crds().any(|crd| {
                let spec = &crd.value["spec"];
                spec["group"] == group && spec["names"]["plural"] == plural
            });
            if !has_crd || may_watch(checker.planned, pods.placed.namespace, account, &group, &plural) {
                continue;
            }
            let lookup = checker.planned.absent("RoleBinding", usize::MAX);
            let what = format!("a role that lets `{account}` watch {plural}.{group}");
            if checker.is_absent(&PICKER_ACCESS, pods.placed, &lookup, &what) {
                let message = format!(
                    "the endpoint picker may not watch {plural}.{group}: no role gives it to the account `{account}`"
                );
                let watched = listed(kinds.iter().copied());
                checker
                    .add(&PICKER_ACCESS, pods.placed, &container.pointer, message)
                    .because(format!("the endpoint picker of this release watches {watched}"))
                    .way_out("add a rule with the verbs get, list and watch to its role");
            }
        }
    }
}

/// Group and plural of `GROUP/VERSION KIND`.
fn resource_of(kind: &str) -> (String, String) {
    let (version, kind) = kind.split_once(' ').unwrap_or(("", kind));
    let group = version.split('/').next().unwrap_or_default();
    (group.to_owned(), format!("{}s", kind.to_lowercase()))
}

/// Whether a binding gives an account a role that lets it list and watch a resource in a namespace.
fn may_watch(planned: &PlannedObjects<'_>, namespace: &str, account: &str, group: &str, plural: &str) -> bool {
    let bindings = planned
        .of_kind("RoleBinding")
        .filter(|binding| binding.namespace == namespace);
    let mut bindings = bindings.chain(planned.of_kind("ClusterRoleBinding"));
    bindings.any(|binding| {
        let is_bound = items(&binding.object.value["subjects"]).any(|(_, subject)| {
            let of = subject["namespace"].as_str().unwrap_or(binding.namespace);
            subject["kind"] == "ServiceAccount" && subject["name"] == account && of == namespace
        });
        let role = binding.text("/roleRef/kind").zip(binding.text("/roleRef/name"));
        let role = role.map(|(kind, name)| planned.find(Some(GROUP), kind, binding.namespace, name));
        let Some(Lookup::Found(role)) = role.filter(|_| is_bound) else {
            return false;
        };
        items(&role.object.value["rules"]).any(|(_, rule)| {
            let names = |field: &str, wanted: &str| items(&rule[field]).any(|(_, one)| one == wanted || one == "*");
            names("apiGroups", group) && names("resources", plural) && names("verbs", "list") && names("verbs", "watch")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_its_group_and_its_plural() {
        let found = resource_of("inference.networking.k8s.io/v1 InferencePool");
        assert_eq!(found, ("inference.networking.k8s.io".into(), "inferencepools".into()));
    }
}
