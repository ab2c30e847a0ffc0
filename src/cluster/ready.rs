//! When a new cluster can be used: node, default service account, names.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Node, Pod, ServiceAccount},
};
use kube::{Api, Client};

use super::{
    Cluster, ClusterError,
    watching::{Progress, WaitError, until_object},
};
use crate::record::{Events, Stage};

const LIMIT: Duration = Duration::from_mins(3);

/// Waits until the node is Ready and pods can be made, which needs the `default` service account.
pub(super) async fn usable(client: &Client, cluster: &str, node: &str, events: &Events) -> Result<(), ClusterError> {
    let nodes = Api::<Node>::all(client.clone());
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
    tokio::try_join!(
        one(nodes, node, "node", cluster, node_is_ready, events),
        one(accounts, "default", "service account", cluster, &exists, events),
    )?;
    Ok(())
}

/// Waits until `CoreDNS` is Available. It comes several seconds after the node is Ready; applying can begin before.
///
/// # Errors
/// It does not within three minutes, or the API server says that we may not look.
pub async fn dns_ready(cluster: &Cluster, events: &Events) -> Result<(), ClusterError> {
    let deployments = Api::<Deployment>::namespaced(cluster.client.clone(), "kube-system");
    one(
        deployments,
        "coredns",
        "Deployment",
        &cluster.name,
        deployment_is_available,
        events,
    )
    .await
}

async fn one<K>(
    api: Api<K>,
    name: &str,
    kind: &str,
    cluster: &str,
    question: impl Fn(Option<&K>) -> Progress<(), kube::Error>,
    events: &Events,
) -> Result<(), ClusterError>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let object = format!("{kind} {name}");
    events.waiting(Stage::Cluster, &object, "");
    let on_change = |seen: &str| events.waiting(Stage::Cluster, &object, seen);
    let seen = match until_object(api, name, LIMIT, question, on_change).await {
        Ok(()) => return Ok(()),
        Err(WaitError::Never(refused)) => return Err(ClusterError::api(name, refused)),
        Err(WaitError::TimedOut { seen, .. }) => seen,
        Err(WaitError::ApiServerAway { trouble }) => trouble.to_string(),
    };
    Err(ClusterError::NotReady {
        cluster: cluster.to_owned(),
        object,
        seconds: LIMIT.as_secs(),
        seen,
    })
}

fn exists<K, N>(object: Option<&K>) -> Progress<(), N> {
    match object {
        Some(_) => Progress::Ready(()),
        None => Progress::NotYet("not there".into()),
    }
}

fn node_is_ready<N>(node: Option<&Node>) -> Progress<(), N> {
    let Some(node) = node else {
        return Progress::NotYet("not registered".into());
    };
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref());
    let ready = conditions
        .unwrap_or_default()
        .iter()
        .find(|condition| condition.type_ == "Ready");
    match ready {
        Some(condition) if condition.status == "True" => Progress::Ready(()),
        Some(condition) => Progress::NotYet(condition.message.clone().unwrap_or_else(|| "not Ready".into())),
        None => Progress::NotYet("without a Ready condition".into()),
    }
}

pub(crate) fn deployment_is_available<N>(deployment: Option<&Deployment>) -> Progress<(), N> {
    let Some(deployment) = deployment else {
        return Progress::NotYet("not there".into());
    };
    let Some(status) = &deployment.status else {
        return Progress::NotYet("without a status".into());
    };
    if !is_observed(deployment, deployment.metadata.generation.unwrap_or_default()) {
        return Progress::NotYet("not yet observed".into());
    }
    let available = status.conditions.iter().flatten().any(|condition| {
        condition.type_.as_deref() == Some("Available") && condition.status.as_deref() == Some("True")
    });
    if available {
        return Progress::Ready(());
    }
    let (up, of) = (status.available_replicas.unwrap_or(0), status.replicas.unwrap_or(0));
    Progress::NotYet(format!("{up} of {of} pods available"))
}

/// Whether the controller of a Deployment has seen this generation of it: its status and conditions may be of an older one.
pub(crate) fn is_observed(deployment: &Deployment, generation: i64) -> bool {
    let status = deployment.status.as_ref();
    status.and_then(|status| status.observed_generation).unwrap_or_default() >= generation
}

/// Whether a pod is Ready by its condition and not on its way out.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready" && condition.status == "True");
    pod.metadata.deletion_timestamp.is_none() && ready.next().is_some()
}

/// Whether a pod has all of these labels. No labels are those of no pod.
pub(crate) fn has_labels(pod: &Pod, wanted: &BTreeMap<String, String>) -> bool {
    let labels = pod.metadata.labels.as_ref();
    let has = |(name, value)| labels.is_some_and(|labels| labels.get(name) == Some(value));
    !wanted.is_empty() && wanted.iter().all(has)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn answers_ready(state: &Progress<(), ()>) -> bool {
        *state == Progress::Ready(())
    }

    #[rstest]
    #[case::ready(json!([{"type": "Ready", "status": "True"}]), true)]
    #[case::network_missing(json!([{"type": "Ready", "status": "False", "message": "cni"}]), false)]
    #[case::another_condition(json!([{"type": "MemoryPressure", "status": "True"}]), false)]
    #[case::none(json!([]), false)]
    fn a_node_is_ready_by_its_condition(#[case] conditions: serde_json::Value, #[case] ready: bool) {
        let node = serde_json::from_value(json!({"metadata": {}, "status": {"conditions": conditions}})).unwrap();
        assert_eq!(answers_ready(&node_is_ready(Some(&node))), ready);
    }

    #[rstest]
    #[case::current(2, true)]
    #[case::of_an_older_generation(1, false)]
    fn a_deployment_counts_at_its_current_generation(#[case] observed: i64, #[case] ready: bool) {
        let deployment = serde_json::from_value(json!({
            "metadata": {"generation": 2},
            "status": {"observedGeneration": observed, "conditions": [{"type": "Available", "status": "True"}]},
        }))
        .unwrap();
        assert_eq!(answers_ready(&deployment_is_available(Some(&deployment))), ready);
    }

    #[test]
    fn an_empty_selector_matches_no_pod() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"labels": {"app": "x"}}})).unwrap();
        assert!(!has_labels(&pod, &BTreeMap::new()));
        assert!(has_labels(&pod, &BTreeMap::from([("app".into(), "x".into())])));
        assert!(!has_labels(&pod, &BTreeMap::from([("app".into(), "y".into())])));
    }
}
