//! What happens to the cluster in the middle of a run, as by somebody else's hand.

use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};

use super::{Target, What};
use crate::{
    cluster::resources::{Resources, api_in},
    host::in_words,
};

/// Who changes objects, for their managed fields.
const MANAGER: &str = "quickproof-selftest";

/// Does it in a namespace.
///
/// # Errors
/// The object is not there, or the API server says no: in words.
pub(super) async fn interfere(
    client: &kube::Client,
    resources: &Resources,
    namespace: &str,
    what: &What,
) -> Result<(), String> {
    match what {
        What::Delete(target) => {
            let (api, name) = found(client, resources, namespace, target).await?;
            let deleted = api.delete(&name, &DeleteParams::default()).await;
            deleted.map(drop).map_err(|error| in_words(&error))
        }
        What::Patch(target, merge) => {
            let (api, name) = found(client, resources, namespace, target).await?;
            let by = PatchParams::apply(MANAGER);
            let patched = api
                .patch(&name, &PatchParams { force: false, ..by }, &Patch::Merge(merge))
                .await;
            patched.map(drop).map_err(|error| in_words(&error))
        }
        What::Create(object) => {
            let object: DynamicObject = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
            let types = object.types.clone().unwrap_or_default();
            let api = api(client, resources, namespace, &types.api_version, &types.kind).await?;
            let created = api.create(&PostParams::default(), &object).await;
            created.map(drop).map_err(|error| in_words(&error))
        }
    }
}

async fn api(
    client: &kube::Client,
    resources: &Resources,
    namespace: &str,
    api_version: &str,
    kind: &str,
) -> Result<kube::Api<DynamicObject>, String> {
    let resource = resources.of_kind(api_version, kind).await;
    let resource = resource.map_err(|error| in_words(&error))?;
    let resource = resource.ok_or_else(|| format!("the cluster has no {kind} of {api_version}"))?;
    Ok(api_in(client, &resource, Some(namespace)))
}

/// An API and the name of the object there.
async fn found(
    client: &kube::Client,
    resources: &Resources,
    namespace: &str,
    target: &Target,
) -> Result<(kube::Api<DynamicObject>, String), String> {
    let api = api(client, resources, namespace, &target.api_version, &target.kind).await?;
    if let Some(name) = &target.name {
        return Ok((api, name.clone()));
    }
    let labels = target.labels.as_deref().unwrap_or_default();
    let listed = api.list_metadata(&ListParams::default().labels(labels)).await;
    let listed = listed.map_err(|error| in_words(&error))?;
    let mut names: Vec<String> = listed
        .items
        .into_iter()
        .filter_map(|object| object.metadata.name)
        .collect();
    names.sort();
    let first = names.into_iter().next();
    let name = first.ok_or_else(|| format!("no {} has the labels {labels}", target.kind))?;
    Ok((api, name))
}
