//! When a new cluster can be used: node, default service account, names.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Node, ServiceAccount},
};
use kube::{Api, Client};

use super::{
    Cluster, ClusterError,
    wait::{Patience, State, Waited, wait},
};
use crate::record::{Events, Stage};

const LIMIT: Duration = Duration::from_mins(3);

/// Waits until the node is Ready and pods can be made, which needs the `default` service account.
pub(super) async fn usable(client: &Client, cluster: &str, node: &str, events: &Events) -> Result<(), ClusterError> {
    let patience = Patience::of(LIMIT);
    let nodes = Api::<Node>::all(client.clone());
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
    tokio::try_join!(
        one(nodes, node, "node", cluster, node_is_ready, patience, events),
        one(
            accounts,
            "default",
            "service account",
            cluster,
            &exists,
            patience,
            events
        ),
    )?;
    Ok(())
}

/// Waits until `CoreDNS` is Available. It comes several seconds after the node is Ready; applying can begin before.
///
/// # Errors
/// It does not within three minutes, or the API server says that we may not look.
pub async fn dns_ready(cluster: &Cluster, events: &Events) -> Result<(), ClusterError> {
    let deployments = Api::<Deployment>::namespaced(cluster.client.clone(), "kube-system");
    let patience = Patience::of(LIMIT);
    one(
        deployments,
        "coredns",
        "Deployment",
        &cluster.name,
        deployment_is_available,
        patience,
        events,
    )
    .await
}

async fn one<K>(
    api: Api<K>,
    name: &str,
    kind: &str,
    cluster: &str,
    judge: impl Fn(Option<&K>) -> State,
    patience: Patience,
    events: &Events,
) -> Result<(), ClusterError>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let object = format!("{kind} {name}");
    events.waiting(Stage::Cluster, &object, "");
    let on_change = &mut |seen: &str| events.waiting(Stage::Cluster, &object, seen);
    let seen = match wait(api, name, judge, patience, on_change).await? {
        Waited::Ready => return Ok(()),
        Waited::TimedOut { seen } => seen,
    };
    Err(ClusterError::NotReady {
        cluster: cluster.to_owned(),
        object,
        seconds: patience.limit.as_secs(),
        seen,
    })
}

fn exists<K>(object: Option<&K>) -> State {
    match object {
        Some(_) => State::Ready,
        None => State::NotYet("not there".into()),
    }
}

fn node_is_ready(node: Option<&Node>) -> State {
    let Some(node) = node else {
        return State::NotYet("not registered".into());
    };
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref());
    let ready = conditions
        .unwrap_or_default()
        .iter()
        .find(|condition| condition.type_ == "Ready");
    match ready {
        Some(condition) if condition.status == "True" => State::Ready,
        Some(condition) => State::NotYet(condition.message.clone().unwrap_or_else(|| "not Ready".into())),
        None => State::NotYet("without a Ready condition".into()),
    }
}

pub(crate) fn deployment_is_available(deployment: Option<&Deployment>) -> State {
    let Some(deployment) = deployment else {
        return State::NotYet("not there".into());
    };
    let Some(status) = &deployment.status else {
        return State::NotYet("without a status".into());
    };
    // Conditions speak of the generation observed, which may be an older one.
    if status.observed_generation < deployment.metadata.generation {
        return State::NotYet("not yet observed".into());
    }
    let available = status.conditions.iter().flatten().any(|condition| {
        condition.type_.as_deref() == Some("Available") && condition.status.as_deref() == Some("True")
    });
    if available {
        return State::Ready;
    }
    let (up, of) = (status.available_replicas.unwrap_or(0), status.replicas.unwrap_or(0));
    State::NotYet(format!("{up} of {of} pods available"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn is_ready(state: &State) -> bool {
        *state == State::Ready
    }

    #[rstest]
    #[case::ready(json!([{"type": "Ready", "status": "True"}]), true)]
    #[case::network_missing(json!([{"type": "Ready", "status": "False", "message": "cni"}]), false)]
    #[case::another_condition(json!([{"type": "MemoryPressure", "status": "True"}]), false)]
    #[case::none(json!([]), false)]
    fn a_node_is_ready_by_its_condition(#[case] conditions: serde_json::Value, #[case] ready: bool) {
        let node = serde_json::from_value(json!({"metadata": {}, "status": {"conditions": conditions}})).unwrap();
        assert_eq!(is_ready(&node_is_ready(Some(&node))), ready);
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
        assert_eq!(is_ready(&deployment_is_available(Some(&deployment))), ready);
    }
}
