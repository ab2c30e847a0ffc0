//! By what an object is known to be a run's own, also where the answer to its making was never heard.
//!
//! A run applies objects under one field manager, and in a cluster of somebody else each bears the run's id as a label of
//! its own metadata. Both stand in the request, so they are known before it is sent.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

/// The name under which we own fields.
pub(crate) const FIELD_MANAGER: &str = "quickproof";

/// The label with the id of the run that made an object in a cluster of somebody else.
pub(crate) const RUN_LABEL: &str = "quickproof/run";

/// Labels an object with the run that makes it. Its own metadata only: what it selects, and what it is a template of, stays.
pub(crate) fn label(object: &mut Value, run: &str) {
    if !object["metadata"]["labels"].is_object() {
        object["metadata"]["labels"] = json!({});
    }
    object["metadata"]["labels"][RUN_LABEL] = run.into();
}

/// The patch that labels what a program has made for a run, and by whose hand.
pub(crate) fn labels(run: &str) -> Patch<Value> {
    Patch::Merge(json!({"metadata": {"labels": {RUN_LABEL: run}}}))
}

/// With what that patch is sent.
pub(crate) fn labelling() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// The run that an object is of, by its label and by who wrote it: controllers copy labels to what they make, and people copy whole
/// objects.
pub(crate) fn run_of(metadata: &ObjectMeta) -> Option<&str> {
    let run = metadata.labels.as_ref()?.get(RUN_LABEL)?;
    let mut entries = metadata.managed_fields.iter().flatten();
    let is_ours = |entry: &ManagedFieldsEntry| entry.manager.as_deref() == Some(FIELD_MANAGER);
    entries.any(is_ours).then_some(run.as_str())
}

/// Whether an object bears the label of this run.
pub(crate) fn bears(metadata: &ObjectMeta, run: &str) -> bool {
    let labels = metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(RUN_LABEL)).map(String::as_str) == Some(run)
}

/// Whether somebody else had made the object before we first applied to it: between looking and applying they may.
///
/// The API server's own bookkeeping says so. Of an object that we made, our entry is no later than the object, for both
/// times are taken while one request is carried out; and nobody else's is as early and says what is in it. What controllers
/// write down early (finalizers, annotations, owners, a status) says nothing.
/// Source: Kubernetes, `apimachinery/pkg/util/managedfields`, and `apiserver/pkg/registry/rest/create.go`.
pub(crate) fn was_there_before(metadata: &ObjectMeta) -> bool {
    let entries = metadata.managed_fields.as_deref().unwrap_or_default();
    if entries.is_empty() {
        // An API server that keeps no such books refutes nothing.
        return false;
    }
    let is_ours = |entry: &&ManagedFieldsEntry| entry.manager.as_deref() == Some(FIELD_MANAGER);
    let applied = |entry: &&ManagedFieldsEntry| entry.operation.as_deref() == Some("Apply") && is_of_object(entry);
    let Some(ours) = entries.iter().find(|entry| is_ours(entry) && applied(entry)) else {
        return true;
    };
    if ours.time > metadata.creation_timestamp {
        return true;
    }
    let mut others = entries.iter().filter(|entry| !is_ours(entry) && is_of_object(entry));
    others.any(|entry| entry.time <= ours.time && says_what_is_in_it(entry))
}

/// Whether an entry is about the object itself and not about its status or scale.
fn is_of_object(entry: &ManagedFieldsEntry) -> bool {
    entry.subresource.as_deref().unwrap_or_default().is_empty()
}

/// Whether an entry has more than what controllers add to an object that somebody else made.
fn says_what_is_in_it(entry: &ManagedFieldsEntry) -> bool {
    let fields = entry.fields_v1.as_ref().and_then(|fields| fields.0.as_object());
    let added = ["f:finalizers", "f:annotations", "f:ownerReferences"];
    fields.into_iter().flatten().any(|(key, below)| match key.as_str() {
        "f:status" => false,
        "f:metadata" => {
            let mut keys = below.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
            keys.any(|key| !added.contains(&key))
        }
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn entry(manager: &str, operation: &str, second: u8, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1",
            "time": format!("2026-01-01T00:00:{second:02}Z"), "fieldsV1": fields})
    }

    /// An object that was made in second 5, with these entries.
    fn object(entries: &Value) -> ObjectMeta {
        serde_json::from_value(json!({"name": "x", "creationTimestamp": "2026-01-01T00:00:05Z",
            "labels": {RUN_LABEL: "ab12"}, "managedFields": entries}))
        .unwrap()
    }

    #[test]
    fn an_object_is_of_the_run_whose_label_we_wrote_and_no_copy_of_it_is() {
        let written = object(&json!([ours(5)]));
        assert_eq!(run_of(&written), Some("ab12"));
        let copied = object(&json!([entry("istiod", "Apply", 5, &json!({}))]));
        assert_eq!(run_of(&copied), None);
        assert_eq!(run_of(&ObjectMeta::default()), None);
    }

    fn ours(second: u8) -> Value {
        entry(
            FIELD_MANAGER,
            "Apply",
            second,
            &json!({"f:metadata": {"f:labels": {}}, "f:spec": {}}),
        )
    }

    #[rstest]
    #[case::nobody_keeps_books(json!([]), false)]
    #[case::we_made_it(json!([ours(5)]), false)]
    #[case::our_request_took_over_the_full_second(json!([ours(4)]), false)]
    #[case::we_came_a_second_later(json!([ours(6)]), true)]
    #[case::somebody_made_it_in_the_same_second(json!([entry("kubectl-create", "Update", 5, &json!({"f:data": {}})), ours(5)]), true)]
    #[case::of_a_time_without_books(json!([entry("before-first-apply", "Update", 5, &json!({"f:spec": {}})), ours(5)]), true)]
    #[case::a_namespace_of_somebody(
        json!([entry("kubectl-create", "Update", 5, &json!({"f:metadata": {"f:labels": {}}})), ours(5)]), true)]
    #[case::a_controller_put_a_finalizer(json!([ours(5), entry("c", "Update", 5, &json!({"f:metadata": {"f:finalizers": {}}}))]), false)]
    #[case::a_controller_wrote_the_status(json!([ours(5), entry("c", "Update", 5, &json!({"f:status": {}}))]), false)]
    #[case::somebody_changed_it_later(json!([ours(5), entry("hpa", "Update", 9, &json!({"f:spec": {"f:replicas": {}}}))]), false)]
    #[case::we_changed_it_ourselves(json!([ours(5), entry(FIELD_MANAGER, "Update", 5, &json!({"f:spec": {}}))]), false)]
    #[case::nobody_applied_as_we_do(json!([entry("kubectl", "Apply", 5, &json!({"f:spec": {}}))]), true)]
    fn who_made_an_object_is_told_by_the_api_servers_books(#[case] entries: Value, #[case] before: bool) {
        assert_eq!(was_there_before(&object(&entries)), before);
    }

    #[test]
    fn a_status_of_the_same_second_is_of_no_weight() {
        let mut status = entry("c", "Update", 5, &json!({"f:spec": {}}));
        status["subresource"] = "status".into();
        assert!(!was_there_before(&object(&json!([ours(5), status]))));
    }

    #[test]
    fn only_the_metadata_of_the_object_itself_is_labelled() {
        let mut object = json!({"metadata": {"name": "x", "labels": {"app": "a"}},
            "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": {"metadata": {"labels": {"app": "a"}}}}});
        let spec = object["spec"].clone();
        label(&mut object, "ab12");
        assert_eq!(object["metadata"]["labels"], json!({"app": "a", RUN_LABEL: "ab12"}));
        assert_eq!(object["spec"], spec);
    }

    #[rstest]
    #[case::its_own("ab12", true)]
    #[case::another_runs("cd34", false)]
    fn an_object_bears_the_label_of_one_run(#[case] run: &str, #[case] bears_it: bool) {
        let mut value = json!({"metadata": {"name": "x", "labels": null}});
        label(&mut value, "ab12");
        let metadata: ObjectMeta = serde_json::from_value(value["metadata"].clone()).unwrap();
        assert_eq!(bears(&metadata, run), bears_it);
        assert!(!bears(&ObjectMeta::default(), run));
    }
}
