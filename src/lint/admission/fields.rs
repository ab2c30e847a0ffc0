//! Fields that Kubernetes does not know, and values of another type than it wants.
//!
//! `kubectl apply` asks the server for strict field validation since v1.25 and refuses an object with an unknown field
//! (KEP-2885). What is known is what the newest API types of `k8s-openapi` know: an object is read into its type and
//! written again, and what is then gone was unknown.

use k8s_openapi::api::{apps, autoscaling, batch, core, networking, policy, rbac};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Checker, rules, token};
use crate::{
    guide::Role,
    lint::{Examined, Findings, Place, Severity},
    manifest::ManifestError,
    plan::{Reference, classify},
    release::RepoPath,
};

/// Where the CRDs of a release stand.
const CRDS: &str = "config/crd";

/// A file that should be YAML and is not.
pub(super) fn unreadable(examined: &Examined<'_>, file: &RepoPath, error: &ManifestError, findings: &mut Findings) {
    let (line, why) = match error {
        ManifestError::Syntax { line, why, .. } => (*line, why.clone()),
        error => (1, error.to_string()),
    };
    findings
        .add(
            &rules::UNREADABLE,
            Place::line(file.as_str(), line),
            format!("the file is no YAML: {why}"),
        )
        .at_most(if is_typed(examined, file) {
            Severity::Break
        } else {
            examined.files.at_most(file.as_str())
        });
}

/// Whether a reader types the address of a file, or of the bundle that it is part of. Of a file that cannot be read no
/// plan knows objects, so that plans do not tell.
fn is_typed(examined: &Examined<'_>, file: &RepoPath) -> bool {
    let commands = examined.readers().iter().flat_map(|reader| &reader.commands);
    let mut words = commands
        .filter(|command| command.role != Role::Cleanup)
        .flat_map(|command| &command.program.words);
    words.any(|word| match classify(&word.shown()) {
        Reference::File { path, .. } => path == file.as_str(),
        Reference::Directory { path, .. } => path == CRDS && file.as_str().starts_with(CRDS),
        Reference::Asset { name, .. } => name == "manifests.yaml" && file.as_str().starts_with(CRDS),
        _ => false,
    })
}

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    let value = &checker.object.value;
    let read = match (checker.object.api_version(), checker.object.kind()) {
        ("apps/v1", "Deployment") => again::<apps::v1::Deployment>(value),
        ("apps/v1", "StatefulSet") => again::<apps::v1::StatefulSet>(value),
        ("apps/v1", "DaemonSet") => again::<apps::v1::DaemonSet>(value),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => again::<autoscaling::v2::HorizontalPodAutoscaler>(value),
        ("batch/v1", "Job") => again::<batch::v1::Job>(value),
        ("batch/v1", "CronJob") => again::<batch::v1::CronJob>(value),
        ("networking.k8s.io/v1", "NetworkPolicy") => again::<networking::v1::NetworkPolicy>(value),
        ("policy/v1", "PodDisruptionBudget") => again::<policy::v1::PodDisruptionBudget>(value),
        ("rbac.authorization.k8s.io/v1", "Role") => again::<rbac::v1::Role>(value),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => again::<rbac::v1::RoleBinding>(value),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => again::<rbac::v1::ClusterRole>(value),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => again::<rbac::v1::ClusterRoleBinding>(value),
        ("v1", "ConfigMap") => again::<core::v1::ConfigMap>(value),
        ("v1", "Namespace") => again::<core::v1::Namespace>(value),
        ("v1", "PersistentVolumeClaim") => again::<core::v1::PersistentVolumeClaim>(value),
        ("v1", "Pod") => again::<core::v1::Pod>(value),
        ("v1", "Secret") => again::<core::v1::Secret>(value),
        ("v1", "Service") => again::<core::v1::Service>(value),
        ("v1", "ServiceAccount") => again::<core::v1::ServiceAccount>(value),
        // Objects of other APIs are compared with the release's own CRDs, where it has them.
        _ => return,
    };
    match read {
        Ok(read) => {
            let because = format!(
                "{} {} has none, and kubectl asks for strict validation",
                checker.object.api_version(),
                checker.object.kind()
            );
            let mut unknown = Vec::new();
            gone(value, &read, "", &mut unknown);
            for pointer in unknown {
                let field = pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/");
                checker
                    .add(&rules::FIELD_UNKNOWN, &pointer, format!("there is no field `{field}`"))
                    .because(because.as_str());
            }
        }
        Err(error) => {
            let pointer = not_text(value).unwrap_or_default();
            let message = format!("a value has the wrong type: {error}");
            checker
                .add(&rules::FIELD_TYPE, &pointer, message)
                .way_out("quote a number or a boolean where text is wanted");
        }
    }
}

/// The value as its type writes it again.
fn again<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, serde_json::Error> {
    let mut value = value.clone();
    quantities_as_text(&mut value, Quantities::None);
    serde_json::to_value(T::deserialize(value)?)
}

/// Whether a value, or what is in it, is a quantity.
#[derive(Clone, Copy)]
enum Quantities {
    /// It is none.
    None,
    /// It is one.
    This,
    /// Its fields are.
    Fields,
}

/// Writes quantities that are numbers as text, as the API server reads them too (`Quantity.UnmarshalJSON`); the type of
/// `k8s-openapi` takes text only.
fn quantities_as_text(value: &mut Value, quantities: Quantities) {
    match (value, quantities) {
        (value @ Value::Number(_), Quantities::This) => *value = Value::String(value.to_string()),
        (Value::Object(fields), quantities) => {
            for (key, value) in fields {
                let is_one = matches!(quantities, Quantities::Fields);
                let of = match key.as_str() {
                    "requests" | "limits" | "overhead" if !is_one => Quantities::Fields,
                    key if is_one || ["sizeLimit", "divisor", "averageValue"].contains(&key) => Quantities::This,
                    _ => Quantities::None,
                };
                quantities_as_text(value, of);
            }
        }
        (Value::Array(items), _) => items
            .iter_mut()
            .for_each(|item| quantities_as_text(item, Quantities::None)),
        _ => {}
    }
}

/// Fields of `written` that `read` no longer has, outermost first. Null and empty ones say nothing, read or not.
fn gone(written: &Value, read: &Value, pointer: &str, unknown: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (key, value) in written {
                let at = format!("{pointer}/{}", token(key));
                match read.get(key) {
                    Some(read) => gone(value, read, &at, unknown),
                    None if is_empty(value) => {}
                    None => unknown.push(at),
                }
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            for (index, (written, read)) in written.iter().zip(read).enumerate() {
                gone(written, read, &format!("{pointer}/{index}"), unknown);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The first value that is a number or a boolean where only text may be: labels, annotations, arguments, variables,
/// data. The reader of the types does not say where it stopped.
fn not_text(value: &Value) -> Option<String> {
    search(value, "", Wanted::Any)
}

/// Fields that hold nothing but text, at whatever depth.
const TEXTS: &[&str] = &[
    "labels",
    "annotations",
    "matchLabels",
    "nodeSelector",
    "data",
    "stringData",
    "args",
    "command",
];

/// What a value may be.
#[derive(Clone, Copy)]
enum Wanted {
    Text,
    Any,
}

fn search(value: &Value, pointer: &str, wanted: Wanted) -> Option<String> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            let is_variable = key == "value" && pointer.contains("/env/");
            let wanted = if is_variable || TEXTS.contains(&key.as_str()) {
                Wanted::Text
            } else {
                wanted
            };
            search(value, &format!("{pointer}/{}", token(key)), wanted)
        }),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| search(item, &format!("{pointer}/{index}"), wanted))
        }
        Value::Number(_) | Value::Bool(_) => matches!(wanted, Wanted::Text).then(|| pointer.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_type_does_not_know_is_gone_when_it_is_written_again() {
        let written = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "labels": {}, "creationTimestamp": null},
            "spec": {"ports": [{"port": 80, "targtPort": 1}], "selector": {"app": "a"}, "portz": []},
            "extra": 1
        });
        let read = again::<core::v1::Service>(&written).unwrap();
        let mut unknown = Vec::new();
        gone(&written, &read, "", &mut unknown);
        assert_eq!(unknown, ["/spec/ports/0/targtPort", "/extra"]);
    }

    #[test]
    fn a_quantity_may_be_a_number() {
        let value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {
            "containers": [{"name": "a", "resources": {"limits": {"nvidia.com/gpu": 1}, "requests": {"cpu": 1.5}}}],
            "volumes": [{"name": "v", "emptyDir": {"sizeLimit": 100}}]}});
        let read = again::<core::v1::Pod>(&value).unwrap();
        assert_eq!(
            read.pointer("/spec/containers/0/resources/requests/cpu"),
            Some(&json!("1.5"))
        );
        assert!(again::<core::v1::ConfigMap>(&json!({"data": {"a": 1}})).is_err());
    }

    #[test]
    fn a_number_where_text_belongs_is_located() {
        let value =
            json!({"spec": {"containers": [{"env": [{"name": "A", "value": 1}], "ports": [{"containerPort": 1}]}]}});
        assert_eq!(not_text(&value).as_deref(), Some("/spec/containers/0/env/0/value"));
        assert_eq!(not_text(&json!({"spec": {"replicas": 1}})), None);
    }
}
