//! An address for the Gateway where nobody else gives one.
//!
//! A LoadBalancer provider of the cluster gets a few seconds. In a kind cluster of our own we then do its work: an
//! address of the kind network on the node, and in the Service's status.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Service;

use crate::{
    cluster::{
        self, Cluster,
        inventory::Inventory,
        watching::{Progress, Watches},
    },
    host::Host,
    record::{Deviation, DeviationKind, Events, Stage},
};

/// What a LoadBalancer provider gets, from the first sight of a Service without an address.
const PROVIDER_GETS: Duration = Duration::from_secs(2);

/// Does the work of a LoadBalancer provider, for each Gateway's Service, until it is dropped. `label` bears the name of its
/// Gateway on such a Service.
pub(super) async fn assign_addresses(
    host: Host,
    cluster: Cluster,
    watches: Arc<Watches>,
    events: Events,
    inventory: Inventory,
    label: String,
) {
    if cluster.node_container().is_none() {
        return std::future::pending().await;
    }
    let mut given: Vec<String> = Vec::new();
    loop {
        let question = |watches: &Watches| {
            let waiting = watches
                .services
                .all()
                .into_iter()
                .find(|service| is_waiting(service, &label) && !given.contains(&title(service)));
            match waiting {
                Some(service) => Progress::<_, ()>::Ready(service),
                None => Progress::NotYet(String::new()),
            }
        };
        let Ok(service) = watches.until(Duration::from_hours(1), question, |_| ()).await else {
            continue;
        };
        let name = title(&service);
        // A provider of the cluster that answers in this time has done our work.
        let answered = |watches: &Watches| {
            let (namespace, name) = (namespace_of(&service), name_of(&service));
            match watches.services.get(namespace, name) {
                Some(now) if is_waiting(&now, &label) => Progress::<_, ()>::NotYet(String::new()),
                _ => Progress::Ready(()),
            }
        };
        given.push(name.clone());
        if watches.until(PROVIDER_GETS, answered, |_| ()).await.is_ok() {
            continue;
        }
        let (namespace, service) = (namespace_of(&service), name_of(&service));
        match cluster::address::assign(&host, &cluster, &inventory, namespace, service).await {
            Ok(address) => events.deviate(Deviation {
                kind: DeviationKind::Added,
                subject: format!("Service {name}"),
                what: format!("address {address} of the kind network, put on the node and into the Service's status"),
                why: "the cluster has no provider for Services of type LoadBalancer, which the guide requires".into(),
                from: None,
            }),
            Err(error) => events.note(
                Stage::Deployment,
                format!("no address could be given to Service {name}: {error}"),
            ),
        }
    }
}

fn namespace_of(service: &Service) -> &str {
    service.metadata.namespace.as_deref().unwrap_or_default()
}

fn name_of(service: &Service) -> &str {
    service.metadata.name.as_deref().unwrap_or_default()
}

fn title(service: &Service) -> String {
    format!("{}/{}", namespace_of(service), name_of(service))
}

/// Whether it is a Gateway's Service of type LoadBalancer without an address.
fn is_waiting(service: &Service, label: &str) -> bool {
    let labels = service.metadata.labels.as_ref();
    let of_gateway = labels.is_some_and(|labels| labels.contains_key(label));
    let balanced = service.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("LoadBalancer");
    let addresses = service
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref())
        .and_then(|balancer| balancer.ingress.as_ref());
    of_gateway && balanced && addresses.is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::waiting(json!({"type": "LoadBalancer"}), json!({}), true)]
    #[case::has_one(json!({"type": "LoadBalancer"}), json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}), false)]
    #[case::not_balanced(json!({"type": "ClusterIP"}), json!({}), false)]
    fn only_a_gateways_service_without_address_waits(#[case] spec: Value, #[case] status: Value, #[case] waits: bool) {
        let service: Service = serde_json::from_value(
            json!({"metadata": {"name": "s", "labels": {"a.example/gateway": "g"}}, "spec": spec, "status": status}),
        )
        .unwrap();
        assert_eq!(is_waiting(&service, "a.example/gateway"), waits);
        assert!(!is_waiting(&service, "b.example/gateway"));
    }
}
