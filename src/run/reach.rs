//! How the gateway is reached from this machine: its address, a NodePort, or a port-forward, in that order.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{
    api::core::v1::{Node, Pod, Service, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{Api, api::ListParams};
use tokio::net::TcpStream;
use url::Url;

use super::{
    deployment::Quickstart,
    stopped::Stopped,
    workloads::{has_labels, is_ready},
};
use crate::{
    check::{self, Observation, listeners::nobody_at},
    cluster::forward::{LocalForward, forward},
    deploy::Site,
    host::poll,
    plan::Step,
    probe::Outgoing,
    record::{Deviation, DeviationKind, Stage},
    verdict::{Cause, CauseCode, Finding},
};

/// How long an address may take to accept a connection: it was programmed a moment ago.
const ADDRESS_GETS: Duration = Duration::from_secs(10);
/// The same for the further ways, which need nothing to be programmed.
const OTHERS_GET: Duration = Duration::from_secs(2);

/// How long one try may take. A packet that was dropped because the address was not programmed yet is sent again by the
/// kernel after 1, 3 and 7 seconds: a new try sees much sooner that it is.
const ONE_TRY: Duration = Duration::from_millis(400);
/// Between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

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
    let connected = poll(limit, BETWEEN_TRIES, async |_| {
        let connected = tokio::time::timeout(ONE_TRY, TcpStream::connect((host, port))).await;
        if matches!(connected, Ok(Ok(_))) {
            Ok(())
        } else {
            Err(())
        }
    });
    connected.await.is_ok()
}

/// The guide's request as it is sent from this machine.
pub(super) struct Reached {
    pub(super) outgoing: Outgoing,
    /// What it goes through, for as long as requests are sent.
    _forward: Option<LocalForward>,
}

impl Reached {
    /// Sent as the guide says.
    fn as_it_is(outgoing: Outgoing) -> Self {
        Self {
            outgoing,
            _forward: None,
        }
    }

    /// Sent another way than the guide says.
    fn by(way: Way, outgoing: Outgoing, instead_of: &str) -> Self {
        Self {
            outgoing: Outgoing {
                url: outgoing.url.replacen(instead_of, &way.authority, 1),
                ..outgoing
            },
            _forward: way.forward,
        }
    }
}

/// A way to the gateway or to a Service that is not the guide's.
struct Way {
    /// `HOST:PORT` as this machine sees it.
    authority: String,
    /// What it is, in a word.
    word: &'static str,
    forward: Option<LocalForward>,
}

/// The request, sent to the first way that answers. Where none does, it goes to the address all the same, and the answer
/// says so.
///
/// # Errors
/// It goes to a Service that does not exist.
pub(super) async fn reach(
    quickstart: &Quickstart<'_>,
    step: &Step,
    seen: &Observation,
    outgoing: Outgoing,
) -> Result<Reached, Stopped> {
    let events = &quickstart.context.events;
    let Ok(url) = Url::parse(&outgoing.url) else {
        let expected = "the guide's request has a URL";
        return Err(Stopped::by_harness(events, expected, &outgoing.url));
    };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(80);
    if is_name_in_cluster(&host) {
        return through_service(quickstart, step, outgoing, (&host, port)).await;
    }
    events.waiting(Stage::Request, format!("{host}:{port}"), "connecting");
    let gets = match nobody_at(&seen.gateways, &seen.node_ports, &outgoing.url) {
        // What is not in the Gateway's spec is not on its way; but what answers all the same is heard.
        Some(_) => OTHERS_GET,
        None => ADDRESS_GETS,
    };
    if accepts(&host, port, gets).await {
        let sentence = format!("the gateway is reached at its address {host}:{port}");
        events.note(Stage::Request, sentence);
        return Ok(Reached::as_it_is(outgoing));
    }
    let Some(way) = other_way(quickstart, port).await else {
        return Ok(Reached::as_it_is(outgoing));
    };
    let address = format!("{host}:{port}");
    events.deviate(Deviation {
        kind: DeviationKind::Substituted,
        subject: address.clone(),
        what: format!("the request is sent to {} ({})", way.authority, way.word),
        why: "nothing answers at the gateway's address from this machine".into(),
        from: None,
    });
    Ok(Reached::by(way, outgoing, &address))
}

/// A request that the guide sends from inside the cluster, to a Service by name: through a port-forward to one of its
/// pods. A Service that does not exist is the guide's fault.
async fn through_service(
    quickstart: &Quickstart<'_>,
    step: &Step,
    outgoing: Outgoing,
    (name, port): (&str, u16),
) -> Result<Reached, Stopped> {
    let (events, site) = (&quickstart.context.events, &quickstart.deployer.site);
    let (namespace, services) = (&site.namespace, &site.watches.services);
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
        let decision = check::REQUEST_STATUS.decision(sentence, finding);
        return Err(Stopped::at(events, decision.at_line(step.from.clone())));
    };
    if port_of(&service, port).is_none() {
        let decision = check::REQUEST_STATUS.decision(
            format!("the guide sends its request to port {port} of Service {name}, which has no such port"),
            port_missing(&service, name, port, &outgoing.url),
        );
        return Err(Stopped::at(events, decision.at_line(step.from.clone())));
    }
    if selects_none(&service, &site.watches.pods.all()) {
        let decision = check::REQUEST_STATUS.decision(
            format!("the guide sends its request to Service {name}, which selects no Ready pod"),
            Finding::broken(
                format!("Service {name} selects a Ready pod"),
                "it selects none, though everything that steps made is ready",
                Cause::new(CauseCode::ServiceSelectsNoPod).because(format!("the guide sends to {}", outgoing.url)),
            ),
        );
        return Err(Stopped::at(events, decision.at_line(step.from.clone())));
    }
    let Some(way) = port_forward(site, &service, port).await else {
        events.note(Stage::Request, format!("no pod of Service {name} can be forwarded to"));
        return Ok(Reached::as_it_is(outgoing));
    };
    let address = format!("{name}:{port}");
    events.deviate(Deviation {
        kind: DeviationKind::Substituted,
        subject: address.clone(),
        what: format!(
            "the request is sent to {} ({} to a pod of that Service)",
            way.authority, way.word
        ),
        why: "the guide sends it from inside the cluster, quickproof from this machine".into(),
        from: None,
    });
    Ok(Reached::by(way, outgoing, &address))
}

/// A way to the gateway that needs no address: a port of the nodes, else one of this machine.
async fn other_way(quickstart: &Quickstart<'_>, port: u16) -> Option<Way> {
    let site = &quickstart.deployer.site;
    let service = gateway_service(quickstart)?;
    match node_port(site, &service, port).await {
        Some(way) => Some(way),
        None => port_forward(site, &service, port).await,
    }
}

/// The Service of the Gateway's proxies.
fn gateway_service(quickstart: &Quickstart<'_>) -> Option<Arc<Service>> {
    let deployer = &quickstart.deployer;
    let gateway = deployer.deployed(|deployed| {
        let gateway = deployed.of_kind("Gateway").next()?;
        Some(gateway.name().to_owned())
    })?;
    deployer.site.watches.services.all().into_iter().find(|service| {
        let labels = service.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(&quickstart.plan.gateway_label)) == Some(&gateway)
    })
}

/// The ports of the nodes that lead to the Gateway.
pub(super) fn node_ports(quickstart: &Quickstart<'_>) -> Vec<u16> {
    let service = gateway_service(quickstart);
    let ports = service.iter().flat_map(|service| ports_of(service));
    ports.filter_map(|port| u16::try_from(port.node_port?).ok()).collect()
}

/// Whether none of the Ready pods is one of a Service that selects its pods itself.
fn selects_none(service: &Service, pods: &[Arc<Pod>]) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let Some(selector) = selector.filter(|selector| !selector.is_empty()) else {
        return false;
    };
    !pods
        .iter()
        .any(|pod| pod.metadata.namespace == service.metadata.namespace && has_labels(pod, selector) && is_ready(pod))
}

/// What it comes to that a Service has no such port.
fn port_missing(service: &Service, name: &str, port: u16, url: &str) -> Finding {
    let there: Vec<String> = ports_of(service).map(|one| one.port.to_string()).collect();
    Finding::broken(
        format!("Service {name} has port {port}"),
        format!("it has none of that number; it has {}", there.join(", ")),
        Cause::new(CauseCode::RequestPortNotServed).because(format!("the guide sends to {url}")),
    )
}

fn ports_of(service: &Service) -> impl Iterator<Item = &ServicePort> {
    service.spec.iter().flat_map(|spec| spec.ports.iter().flatten())
}

/// The port of a Service with this number.
fn port_of(service: &Service, port: u16) -> Option<&ServicePort> {
    ports_of(service).find(|entry| entry.port == i32::from(port))
}

async fn node_port(site: &Site, service: &Service, port: u16) -> Option<Way> {
    let node_port = u16::try_from(port_of(service, port)?.node_port?).ok()?;
    let nodes = Api::<Node>::all(site.client.clone()).list(&ListParams::default()).await;
    for node in nodes.ok()? {
        let addresses = node.status.and_then(|status| status.addresses).unwrap_or_default();
        for address in addresses.iter().filter(|address| address.type_ == "InternalIP") {
            if accepts(&address.address, node_port, OTHERS_GET).await {
                return Some(Way {
                    authority: format!("{}:{node_port}", address.address),
                    word: "NodePort",
                    forward: None,
                });
            }
        }
    }
    None
}

async fn port_forward(site: &Site, service: &Service, port: u16) -> Option<Way> {
    let namespace = service.metadata.namespace.clone()?;
    let selector: BTreeMap<String, String> = service.spec.as_ref()?.selector.clone()?;
    let pods = site.watches.pods.all();
    let pod = pods.iter().find(|pod| {
        pod.metadata.namespace.as_deref() == Some(namespace.as_str()) && has_labels(pod, &selector) && is_ready(pod)
    })?;
    let target = target_port(pod, port_of(service, port)?.target_port.as_ref(), port)?;
    let forwarded = forward(&site.client, &namespace, pod.metadata.name.as_deref()?, target).await;
    let forwarded = forwarded.ok()?;
    Some(Way {
        authority: forwarded.address().to_string(),
        word: "port-forward",
        forward: Some(forwarded),
    })
}

fn target_port(pod: &Pod, target: Option<&IntOrString>, port: u16) -> Option<u16> {
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

    #[test]
    fn a_service_selects_ready_pods_of_its_namespace_by_all_of_its_labels() {
        let service = |selector: &serde_json::Value| -> Service {
            serde_json::from_value(serde_json::json!({"metadata": {"namespace": "n"}, "spec": {"selector": selector}}))
                .unwrap()
        };
        let pod = |namespace: &str, ready: &str| -> Arc<Pod> {
            let pod = serde_json::json!({"metadata": {"namespace": namespace, "labels": {"app": "epp", "tier": "x"}},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}});
            Arc::new(serde_json::from_value(pod).unwrap())
        };
        let (epp, other) = (serde_json::json!({"app": "epp"}), serde_json::json!({"app": "other"}));
        assert!(!selects_none(&service(&epp), &[pod("n", "True")]));
        assert!(selects_none(&service(&other), &[pod("n", "True")]));
        assert!(selects_none(&service(&epp), &[pod("n", "False"), pod("m", "True")]));
        assert!(selects_none(&service(&epp), &[]));
        // Endpoints of one without a selector are somebody else's.
        assert!(!selects_none(&service(&serde_json::json!({})), &[]));
    }

    #[test]
    fn a_port_that_a_service_lacks_is_the_guides_fault_and_those_that_it_has_are_named() {
        let service: Service =
            serde_json::from_value(serde_json::json!({"spec": {"ports": [{"port": 9002}, {"port": 8081}]}})).unwrap();
        assert!(port_of(&service, 8081).is_some());
        assert!(port_of(&service, 8080).is_none());
        let Finding::Broken(fault) = port_missing(&service, "epp", 8080, "http://epp:8080/v1") else {
            panic!("it is broken");
        };
        assert_eq!(fault.cause.code, CauseCode::RequestPortNotServed);
        assert!(fault.actual.ends_with("it has 9002, 8081"), "{}", fault.actual);
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
