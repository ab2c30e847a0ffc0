//! What a run needs to be allowed in a cluster of somebody else, looked at before anything is made there.
//!
//! Asked for is what the plan's own objects need, and what every run reads. An object that is there already is used as it is, and
//! needs to be read only: the CRDs of a cluster in which others work. What helm charts and a provider's program make is not known
//! before they run; their own words tell what they lack.

use std::{collections::BTreeSet, time::Duration};

use super::{Context, checks, stopped::Stopped};
use crate::{
    cluster::{
        Cluster,
        access::{Right, lacking},
        resources::{Resource, Resources, api_in},
        watching::Placement,
    },
    manifest::Object,
    plan::{Action, Makes, Plan},
    record::Stage,
    verdict::{Cause, CauseCode, Fault},
};

/// How long is asked; not knowing it decides nothing.
const LIMIT: Duration = Duration::from_secs(10);

/// What is done with an object that the run applies and takes away again.
const OF_OBJECTS: [&str; 4] = ["get", "create", "patch", "delete"];

/// What every run does in its namespace: looks at pods and what they belong to, and talks to the endpoint picker.
const OF_EVERY_RUN: &[(&str, &str, &[&str])] = &[
    ("", "pods", &["get", "list", "watch"]),
    ("", "services", &["list", "watch"]),
    ("apps", "deployments", &["get", "list", "watch"]),
];

/// Stops where the account lacks a right that the run needs; all that are lacking are named at once.
///
/// # Errors
/// It does.
pub(super) async fn look(context: &Context, plan: &Plan, cluster: Option<&Cluster>) -> Result<(), Stopped> {
    let Some(cluster) = cluster else { return Ok(()) };
    context.events.waiting(Stage::Cluster, "what the account may do", "");
    let asked = async {
        let rights = needed(plan, &context.namespace(), &cluster.client).await;
        lacking(&cluster.client, rights).await
    };
    let lacking = tokio::time::timeout(LIMIT, asked).await.unwrap_or_default();
    if lacking.is_empty() {
        return Ok(());
    }
    let expected = "the account may do what the run needs";
    let cause = lacking
        .iter()
        .fold(Cause::new(CauseCode::ObjectForbidden), |cause, right| {
            cause.because(format!("it may not {right}"))
        });
    let actual = format!("{} rights are lacking; nothing was made", lacking.len());
    let fault = Fault::new(expected, actual, cause);
    Err(Stopped::at(
        &context.events,
        checks::CLUSTER.decision(expected, fault.into()),
    ))
}

/// The rights that a run needs in its namespace and for the plan's objects.
async fn needed(plan: &Plan, namespace: &str, client: &kube::Client) -> BTreeSet<Right> {
    let resources = Resources::new(client.clone());
    let mut rights = BTreeSet::new();
    let mut add = |group: &str, resource: &str, namespace: Option<&str>, verbs: &[&'static str]| {
        rights.extend(verbs.iter().copied().map(|verb| Right {
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.map(str::to_owned),
            verb,
        }));
    };
    for (group, resource, verbs) in OF_EVERY_RUN {
        add(group, resource, Some(namespace), verbs);
    }
    let facts = plan.steps.iter().map(|step| step.action.facts().makes);
    let objects: Vec<(&Object, Option<&str>)> = facts
        .flat_map(|makes| match makes {
            Makes::Objects { objects, namespace } => objects.iter().map(|object| (object, namespace)).collect(),
            Makes::Nothing | Makes::Unknown => Vec::new(),
        })
        .collect();
    for (object, of_step) in &objects {
        let (api_version, kind) = (object.api_version(), object.kind());
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let own = object.namespace().or(*of_step).unwrap_or(namespace);
        let (plural, placement, verbs) = match resources.of_kind(api_version, kind).await {
            Ok(Some(resource)) if is_there(client, &resource, own, object.name()).await => {
                (resource.api.plural, resource.placement, &OF_OBJECTS[..1])
            }
            Ok(Some(resource)) => (resource.api.plural, resource.placement, &OF_OBJECTS[..]),
            // Not served yet: a step before this one brings it.
            Ok(None) => match objects.iter().find_map(|(other, _)| defined(other, group, kind)) {
                Some((plural, placement)) => (plural, placement, &OF_OBJECTS[..]),
                None => continue,
            },
            Err(_) => continue,
        };
        add(
            group,
            &plural,
            (placement == Placement::Namespaced).then_some(own),
            verbs,
        );
    }
    for action in plan.steps.iter().map(|step| &step.action) {
        if let Action::Helm { namespace: own, .. } = action {
            // Where helm keeps its releases.
            let own = own.as_deref().unwrap_or(namespace);
            add("", "secrets", Some(own), &["get", "list", "create", "update", "delete"]);
        }
    }
    rights
}

/// Whether there is an object of this name.
async fn is_there(client: &kube::Client, resource: &Resource, namespace: &str, name: &str) -> bool {
    let found = api_in(client, resource, Some(namespace)).get_metadata_opt(name).await;
    matches!(found, Ok(Some(_)))
}

/// The plural and the placement that a CRD gives a kind; `None` where it is no CRD of it.
fn defined(object: &Object, group: &str, kind: &str) -> Option<(String, Placement)> {
    let spec = &object.value["spec"];
    let is_of_kind = object.kind() == "CustomResourceDefinition"
        && spec["group"].as_str() == Some(group)
        && spec["names"]["kind"].as_str() == Some(kind);
    let plural = spec["names"]["plural"].as_str().filter(|_| is_of_kind)?;
    let placement = match spec["scope"].as_str() {
        Some("Cluster") => Placement::Cluster,
        _ => Placement::Namespaced,
    };
    Some((plural.to_owned(), placement))
}
