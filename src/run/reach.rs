//! How the gateway is reached from this machine: its address, a NodePort, or a port-forward, in that order.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube::{Api, api::ListParams};
use tokio::net::TcpStream;
use url::Url;

use super::{
    Context,
    workloads::{has_labels, is_ready},
};
use crate::{
    cluster::forward::forward,
    deploy::Deployer,
    plan::Step,
    probe::Outgoing,
    record::{Decision, Deviation, DeviationKind, Stage},
    verdict::{Cause, CauseCode, Finding},
};

/// How long an address may take to accept a connection: it was programmed a moment ago.
const ADDRESS_GETS: Duration = Duration::from_secs(10);
/// The same for the further ways, which need nothing to be programmed.
const OTHERS_GET: Duration = Duration::from_secs(2);

/// How long one try may take. A packet that was dropped because the address was not programmed yet is sent again by the
/// kernel after 1, 3 and 7 seconds: a new try sees much sooner that it is.
const ONE_TRY: Duration = Duration::from_millis(400);

/// Whether a URL's host is a name that only the cluster knows: no address, and no name of the outside.
fn is_name_in_cluster(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_err()
        && host != "localhost"
        && match host.split_once('.') {
            None => true,
            // SERVICE.NAMESPACE.svc, with or without the cluster's domain.
            Some((_, domain)) => domain.split('.').nth(1) == Some("svc"),
        }
}

/// Whether something accepts connections there, tried until `limit`.
async fn accepts(host: &str, port: u16, limit: Duration) -> bool {
    let tries = async {
        while !matches!(
            tokio::time::timeout(ONE_TRY, TcpStream::connect((host, port))).await,
            Ok(Ok(_))
        ) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(limit, tries).await.is_ok()
}

impl Context {
    /// The request, sent to the first way that answers. Where none does, it goes to the address all the same, and the
    /// answer says so.
    pub(super) async fn reachable(&self, deployer: &Deployer, step: &Step, outgoing: Outgoing) -> Option<Outgoing> {
        let Ok(url) = Url::parse(&outgoing.url) else {
            super::harness_error(&self.events, "the guide's request has a URL", &outgoing.url);
            return None;
        };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        if is_name_in_cluster(&host) {
            return self.through_service(deployer, step, outgoing, (&host, port)).await;
        }
        self.events
            .waiting(Stage::Request, format!("{host}:{port}"), "connecting");
        if accepts(&host, port, ADDRESS_GETS).await {
            self.events.note(
                Stage::Request,
                format!("the gateway is reached at its address {host}:{port}"),
            );
            return Some(outgoing);
        }
        let other = match self.node_port(deployer, port).await {
            Some(found) => Some(found),
            None => self.port_forward(deployer, port).await,
        };
        let Some((authority, way)) = other else {
            return Some(outgoing);
        };
        self.events.deviate(Deviation {
            kind: DeviationKind::Substituted,
            subject: format!("{host}:{port}"),
            what: format!("the request is sent to {authority} ({way})"),
            why: "nothing answers at the gateway's address from this machine".into(),
            from: None,
        });
        Some(Outgoing {
            url: outgoing.url.replacen(&format!("{host}:{port}"), &authority, 1),
            headers: outgoing.headers,
            ..outgoing
        })
    }

    /// A request that the guide sends from inside the cluster, to a Service by name: through a port-forward to one of
    /// its pods. A Service that does not exist is the guide's fault.
    async fn through_service(
        &self,
        deployer: &Deployer,
        step: &Step,
        outgoing: Outgoing,
        (name, port): (&str, u16),
    ) -> Option<Outgoing> {
        let namespace = &deployer.site.namespace;
        let services = &deployer.site.watches.services;
        let Some(service) = services.get(namespace, name.split('.').next().unwrap_or(name)) else {
            let there: Vec<String> = services
                .all()
                .iter()
                .filter(|service| service.metadata.namespace.as_deref() == Some(namespace))
                .filter_map(|service| service.metadata.name.clone())
                .collect();
            let finding = Finding::broken(
                format!("Service {name} exists in namespace {namespace}"),
                format!("there is none; there are {}", there.join(", ")),
                Cause::new(CauseCode::GuideReferenceMissing).because(format!("the guide sends to {}", outgoing.url)),
            );
            let sentence = format!("the guide sends its request to Service {name}, which does not exist");
            let decision = Decision::new(Stage::Request, "request-status", sentence, finding);
            self.events.decide(decision.from_line(step.from.clone()));
            return None;
        };
        let Some((authority, way)) = self.port_forward_to(deployer, &service, port).await else {
            self.events
                .note(Stage::Request, format!("no pod of Service {name} can be forwarded to"));
            return Some(outgoing);
        };
        self.events.deviate(Deviation {
            kind: DeviationKind::Substituted,
            subject: format!("{name}:{port}"),
            what: format!("the request is sent to {authority} ({way} to a pod of that Service)"),
            why: "the guide sends it from inside the cluster, quickproof from this machine".into(),
            from: None,
        });
        Some(Outgoing {
            url: outgoing.url.replacen(&format!("{name}:{port}"), &authority, 1),
            ..outgoing
        })
    }

    fn gateway_service(&self, deployer: &Deployer) -> Option<std::sync::Arc<Service>> {
        let gateway = deployer.deployed(|deployed| {
            deployed
                .of_kind("Gateway")
                .next()
                .map(|object| object.name().to_owned())
        })?;
        deployer.site.watches.services.all().into_iter().find(|service| {
            let labels = service.metadata.labels.as_ref();
            labels.and_then(|labels| labels.get(&self.plan.gateway_label)) == Some(&gateway)
        })
    }

    async fn node_port(&self, deployer: &Deployer, port: u16) -> Option<(String, &'static str)> {
        let service = self.gateway_service(deployer)?;
        let ports = service.spec.as_ref()?.ports.as_ref()?;
        let node_port = ports.iter().find(|entry| entry.port == i32::from(port))?.node_port?;
        let node_port = u16::try_from(node_port).ok()?;
        let nodes = Api::<Node>::all(deployer.site.client.clone())
            .list(&ListParams::default())
            .await
            .ok()?;
        for node in nodes {
            let addresses = node.status.and_then(|status| status.addresses).unwrap_or_default();
            for address in addresses.iter().filter(|address| address.type_ == "InternalIP") {
                if accepts(&address.address, node_port, OTHERS_GET).await {
                    return Some((format!("{}:{node_port}", address.address), "NodePort"));
                }
            }
        }
        None
    }

    async fn port_forward(&self, deployer: &Deployer, port: u16) -> Option<(String, &'static str)> {
        let service = self.gateway_service(deployer)?;
        self.port_forward_to(deployer, &service, port).await
    }

    async fn port_forward_to(
        &self,
        deployer: &Deployer,
        service: &Service,
        port: u16,
    ) -> Option<(String, &'static str)> {
        let namespace = service.metadata.namespace.clone()?;
        let spec = service.spec.as_ref()?;
        let selector: BTreeMap<String, String> = spec.selector.clone()?;
        let pods = deployer.site.watches.pods.all();
        let pod = pods.iter().find(|pod| {
            pod.metadata.namespace.as_deref() == Some(namespace.as_str()) && has_labels(pod, &selector) && is_ready(pod)
        })?;
        let target = spec
            .ports
            .as_ref()?
            .iter()
            .find(|entry| entry.port == i32::from(port))?;
        let target = target_port(pod, target.target_port.as_ref(), port)?;
        let forwarded = forward(&deployer.site.client, &namespace, pod.metadata.name.as_deref()?, target)
            .await
            .ok()?;
        let authority = forwarded.address().to_string();
        self.hold(|held| held.forwards.push(forwarded));
        Some((authority, "port-forward"))
    }
}

fn target_port(
    pod: &Pod,
    target: Option<&k8s_openapi::apimachinery::pkg::util::intstr::IntOrString>,
    port: u16,
) -> Option<u16> {
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
    match target {
        None => Some(port),
        Some(IntOrString::Int(number)) => u16::try_from(*number).ok(),
        Some(IntOrString::String(name)) => pod
            .spec
            .iter()
            .flat_map(|spec| &spec.containers)
            .flat_map(|container| container.ports.iter().flatten())
            .find(|entry| entry.name.as_deref() == Some(name))
            .and_then(|entry| u16::try_from(entry.container_port).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("vllm-qwen3-32b-epp", true)]
    #[case("epp.default.svc", true)]
    #[case("epp.default.svc.cluster.local", true)]
    #[case("172.18.255.201", false)]
    #[case("::1", false)]
    #[case("localhost", false)]
    #[case("gateway.example.com", false)]
    fn names_of_the_cluster_are_told_from_addresses(#[case] host: &str, #[case] inside: bool) {
        assert_eq!(is_name_in_cluster(host), inside);
    }

    #[tokio::test]
    async fn a_listening_port_accepts_and_a_closed_one_does_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(accepts("127.0.0.1", port, Duration::from_secs(5)).await);
        drop(listener);
        assert!(!accepts("127.0.0.1", port, Duration::from_millis(150)).await);
    }
}
