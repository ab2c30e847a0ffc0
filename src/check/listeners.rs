//! Listeners of a Gateway: whether one of them serves the port that a request goes to, and why one is refused.
//!
//! Sources: Gateway API v1.6 types (`Listener`, `ListenerStatus`, `GatewayStatus`), whose comments say which reasons each
//! condition may have; Istio's and Envoy Gateway's controllers, for what they write of it.

use serde_json::Value;
use url::Url;

use super::conditions::{Unmet, generation, name};
use crate::verdict::{Cause, CauseCode};

/// What the reasons of a listener's conditions mean; any other is [`CauseCode::GatewayListenerInvalid`]. The most telling
/// conditions go first: what a reference lacks is why a listener is not programmed.
const REASONS: &[(&str, &str, CauseCode)] = &[
    (
        "ResolvedRefs",
        "InvalidCertificateRef",
        CauseCode::GatewayCertificateMissing,
    ),
    (
        "ResolvedRefs",
        "InvalidCACertificateRef",
        CauseCode::GatewayCertificateMissing,
    ),
    (
        "ResolvedRefs",
        "InvalidCACertificateKind",
        CauseCode::GatewayCertificateMissing,
    ),
    ("ResolvedRefs", "RefNotPermitted", CauseCode::GatewayCertificateMissing),
    ("ResolvedRefs", "InvalidRouteKinds", CauseCode::GatewayListenerInvalid),
    ("Conflicted", "HostnameConflict", CauseCode::GatewayListenerConflict),
    ("Conflicted", "ProtocolConflict", CauseCode::GatewayListenerConflict),
    ("Accepted", "PortUnavailable", CauseCode::GatewayListenerConflict),
    ("Accepted", "NoValidCACertificate", CauseCode::GatewayCertificateMissing),
    ("Accepted", "UnsupportedProtocol", CauseCode::GatewayListenerInvalid),
    ("Accepted", "UnsupportedValue", CauseCode::GatewayListenerInvalid),
    ("Programmed", "Invalid", CauseCode::GatewayListenerInvalid),
];

/// The conditions of listeners in the order of [`REASONS`], and the status by which each says no.
const SAYING_NO: [(&str, &str); 4] = [
    ("ResolvedRefs", "False"),
    ("Conflicted", "True"),
    ("Accepted", "False"),
    ("Programmed", "False"),
];

/// Why a Gateway serves nothing: each of its listeners is refused. `None` where one is not, and while it is not yet said.
pub(super) fn all_refused(gateway: &Value) -> Option<Unmet> {
    let mut refused = listeners(gateway).map(|listener| refused(gateway, listener));
    let first = refused.next()?;
    let every = refused.all(|one| one.is_some());
    first.filter(|_| every && !has_further(gateway))
}

/// Why the first listener of a Gateway that is refused is so.
pub(super) fn first_refused(gateway: &Value) -> Option<Unmet> {
    listeners(gateway).find_map(|listener| refused(gateway, listener))
}

/// Why a listener of a Gateway is refused at its current generation. One that is programmed all the same, such as with the
/// kinds of routes that are valid, is not.
fn refused(gateway: &Value, listener: &Value) -> Option<Unmet> {
    let statuses = gateway["status"]["listeners"].as_array()?;
    let status = statuses.iter().find(|status| status["name"] == listener["name"])?;
    let conditions = status["conditions"].as_array()?;
    let says_no = |(type_, no): (&str, &str)| {
        conditions.iter().find(|condition| {
            let observed = condition["observedGeneration"].as_i64();
            condition["type"] == type_
                && condition["status"] == no
                && condition["reason"] != "Pending"
                && observed.is_none_or(|observed| observed >= generation(gateway))
        })
    };
    let [unresolved, conflicted, refused, unprogrammed] = SAYING_NO.map(says_no);
    let unprogrammed = unprogrammed.filter(|condition| unresolved.is_some() || condition["reason"] == "Invalid");
    conflicted.or(refused).or(unprogrammed)?;
    let telling = unresolved.or(conflicted).or(refused).or(unprogrammed)?;
    let word = |field: &str| telling[field].as_str().unwrap_or_default().trim();
    let (type_, reason) = (word("type"), word("reason"));
    let known = REASONS.iter().find(|(of, name, _)| (*of, *name) == (type_, reason));
    Some(Unmet {
        what: format!(
            "listener {}: {type_}={} {reason}: {}",
            title(listener),
            word("status"),
            word("message")
        ),
        cause: known.map_or(CauseCode::GatewayListenerInvalid, |(_, _, cause)| *cause),
        said_no: true,
        reason: reason.to_owned(),
    })
}

/// Why nobody serves a request that goes to the address of a Gateway: none of its listeners has the port, or each that has
/// it is refused. `None` where one serves it, and where that cannot be told: the address is no Gateway's, or its listeners
/// stand in objects beside it.
///
/// `node_ports` are the ports of the nodes that lead to a Gateway: where its address is a node's, they are served too.
pub(crate) fn nobody_at(gateways: &[Value], node_ports: &[u16], url: &str) -> Option<Cause> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default()?;
    let mut there = gateways.iter().filter(|gateway| has_address(gateway, &host)).peekable();
    there.peek()?;
    let there: Vec<&Value> = there.collect();
    if there.iter().any(|gateway| has_further(gateway)) || node_ports.contains(&port) {
        return None;
    }
    let at_port = there.iter().flat_map(|gateway| {
        let listeners = listeners(gateway).filter(|listener| listener["port"] == port);
        listeners.map(|listener| (name(gateway), refused(gateway, listener)))
    });
    let mut at_port = at_port.peekable();
    if let Some((name, first)) = at_port.peek().cloned() {
        // A listener that is refused opens no port; one that is not may be served, whatever the others are.
        let unmet = first.filter(|_| at_port.all(|(_, refused)| refused.is_some()))?;
        return Some(Cause::new(unmet.cause).because(format!("Gateway {name}: {}", unmet.what)));
    }
    let mut cause = Cause::new(CauseCode::RequestPortNotServed);
    for gateway in there {
        let listed: Vec<String> = listeners(gateway).map(title).collect();
        let listed = if listed.is_empty() {
            "none".to_owned()
        } else {
            listed.join(", ")
        };
        cause = cause.because(format!(
            "the request goes to port {port} of {host}; listeners of Gateway {}: {listed}",
            name(gateway)
        ));
    }
    Some(cause)
}

fn listeners(gateway: &Value) -> impl Iterator<Item = &Value> {
    gateway["spec"]["listeners"].as_array().into_iter().flatten()
}

fn title(listener: &Value) -> String {
    let word = |field: &str| listener[field].as_str().unwrap_or_default();
    format!("{} ({}, port {})", word("name"), word("protocol"), listener["port"])
}

/// Whether its listeners are not all in its own spec. Source: Gateway API v1, `ListenerSet`.
fn has_further(gateway: &Value) -> bool {
    gateway["status"]["attachedListenerSets"].as_u64().unwrap_or(0) > 0
}

fn has_address(gateway: &Value, host: &str) -> bool {
    let addresses = gateway["status"]["addresses"].as_array().into_iter().flatten();
    addresses
        .filter_map(|address| address["value"].as_str())
        .any(|address| address.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn gateway(address: &str, ports: &[u16]) -> Value {
        let listeners: Vec<Value> = ports
            .iter()
            .map(|port| json!({"name": "http", "protocol": "HTTP", "port": port}))
            .collect();
        json!({"metadata": {"name": "g"}, "spec": {"listeners": listeners},
            "status": {"addresses": [{"type": "IPAddress", "value": address}]}})
    }

    #[rstest]
    #[case::the_port("http://10.0.0.1/v1", &[80], false)]
    #[case::one_of_two("http://10.0.0.1:8080/v1", &[80, 8080], false)]
    #[case::another_port("http://10.0.0.1:8080/v1", &[80], true)]
    #[case::the_default_of_http("http://10.0.0.1/v1", &[8080], true)]
    #[case::the_default_of_https("https://10.0.0.1/v1", &[80], true)]
    #[case::no_listener("http://10.0.0.1/v1", &[], true)]
    #[case::a_node_port("http://10.0.0.1:30080/v1", &[80], false)]
    #[case::another_host("http://10.0.0.2:8080/v1", &[80], false)]
    #[case::no_address_at_all("nonsense", &[80], false)]
    fn a_port_is_served_by_a_listener_that_has_it(#[case] url: &str, #[case] ports: &[u16], #[case] nobody: bool) {
        let gateways = [gateway("10.0.0.1", ports)];
        let cause = nobody_at(&gateways, &[30080], url);
        assert_eq!(cause.is_some(), nobody, "{cause:?}");
    }

    #[test]
    fn the_port_and_the_listeners_that_there_are_are_named() {
        let gateways = [gateway("10.0.0.1", &[80]), gateway("10.0.0.9", &[8080])];
        let cause = nobody_at(&gateways, &[], "http://10.0.0.1:8080/v1").unwrap();
        assert_eq!(cause.code, CauseCode::RequestPortNotServed);
        assert!(cause.code.blame().is_product());
        assert_eq!(
            cause.evidence,
            ["the request goes to port 8080 of 10.0.0.1; listeners of Gateway g: http (HTTP, port 80)"]
        );
    }

    #[test]
    fn addresses_are_names_too_and_several_gateways_may_share_one() {
        let gateways = [gateway("gw.example.com", &[80]), gateway("GW.example.com", &[8080])];
        assert_eq!(nobody_at(&gateways, &[], "http://gw.example.com:8080/"), None);
        assert!(nobody_at(&gateways, &[], "http://gw.example.com:9090/").is_some());
        let gateways = [gateway("fd00::1", &[80])];
        assert_eq!(nobody_at(&gateways, &[], "http://[fd00::1]/"), None);
        assert!(nobody_at(&gateways, &[], "http://[fd00::1]:81/").is_some());
    }

    fn said(type_: &str, status: &str, reason: &str) -> Value {
        json!({"type": type_, "status": status, "reason": reason, "message": "m", "observedGeneration": 3})
    }

    /// A Gateway with listeners at ports 80, 81 … that have these conditions.
    fn with_conditions(of_listeners: &[&[Value]]) -> Value {
        let ports: Vec<u16> = (80..).take(of_listeners.len()).collect();
        let mut one = gateway("10.0.0.1", &ports);
        one["metadata"]["generation"] = json!(3);
        one["status"]["listeners"] = json!([]);
        for (index, conditions) in of_listeners.iter().enumerate() {
            one["spec"]["listeners"][index]["name"] = json!(format!("l{index}"));
            let status = json!({"name": format!("l{index}"), "conditions": conditions});
            one["status"]["listeners"].as_array_mut().unwrap().push(status);
        }
        one
    }

    /// Every reason that the Gateway API has for a listener's "no".
    #[rstest]
    #[case("ResolvedRefs", "InvalidCertificateRef", CauseCode::GatewayCertificateMissing)]
    #[case("ResolvedRefs", "InvalidCACertificateRef", CauseCode::GatewayCertificateMissing)]
    #[case("ResolvedRefs", "InvalidCACertificateKind", CauseCode::GatewayCertificateMissing)]
    #[case("ResolvedRefs", "RefNotPermitted", CauseCode::GatewayCertificateMissing)]
    #[case("ResolvedRefs", "InvalidRouteKinds", CauseCode::GatewayListenerInvalid)]
    #[case("Accepted", "PortUnavailable", CauseCode::GatewayListenerConflict)]
    #[case("Accepted", "UnsupportedProtocol", CauseCode::GatewayListenerInvalid)]
    #[case("Accepted", "UnsupportedValue", CauseCode::GatewayListenerInvalid)]
    #[case("Accepted", "NoValidCACertificate", CauseCode::GatewayCertificateMissing)]
    #[case("Accepted", "SomethingOfAController", CauseCode::GatewayListenerInvalid)]
    #[case("Conflicted", "HostnameConflict", CauseCode::GatewayListenerConflict)]
    #[case("Conflicted", "ProtocolConflict", CauseCode::GatewayListenerConflict)]
    #[case("Programmed", "Invalid", CauseCode::GatewayListenerInvalid)]
    fn the_reason_tells_why_a_listener_is_refused(#[case] type_: &str, #[case] reason: &str, #[case] cause: CauseCode) {
        let status = if type_ == "Conflicted" { "True" } else { "False" };
        // Controllers say beside it that the listener is not programmed.
        let conditions = [said("Programmed", "False", "Invalid"), said(type_, status, reason)];
        let unmet = all_refused(&with_conditions(&[&conditions])).unwrap();
        assert_eq!((unmet.cause, unmet.said_no), (cause, true));
        assert!(unmet.what.contains(reason), "{}", unmet.what);
        assert!(cause.blame().is_product());
    }

    #[rstest]
    #[case::all_is_well(&[said("Accepted", "True", "Accepted"), said("Conflicted", "False", "NoConflicts")])]
    #[case::not_yet(&[said("Programmed", "False", "Pending"), said("Accepted", "False", "Pending")])]
    #[case::its_data_plane_is_on_its_way(&[said("Programmed", "False", "AddressNotAssigned")])]
    #[case::programmed_with_what_is_valid(
        &[said("ResolvedRefs", "False", "InvalidRouteKinds"), said("Programmed", "True", "Programmed")])]
    #[case::of_an_older_generation(
        &[json!({"type": "Accepted", "status": "False", "reason": "PortUnavailable", "observedGeneration": 2})])]
    #[case::nothing_was_said(&[])]
    fn a_listener_is_not_refused(#[case] conditions: &[Value]) {
        assert_eq!(first_refused(&with_conditions(&[conditions])), None);
    }

    #[test]
    fn a_gateway_works_with_the_listeners_that_are_valid() {
        let (good, bad) = (
            said("Accepted", "True", "Accepted"),
            said("Accepted", "False", "PortUnavailable"),
        );
        let mixed = with_conditions(&[from_ref(&bad), from_ref(&good)]);
        assert_eq!(all_refused(&mixed), None);
        assert!(first_refused(&mixed).is_some());
        assert!(all_refused(&with_conditions(&[from_ref(&bad), from_ref(&bad)])).is_some());
        assert_eq!(all_refused(&with_conditions(&[])), None);
    }

    #[test]
    fn a_request_to_the_port_of_a_refused_listener_has_its_cause() {
        let (good, bad) = (
            said("Accepted", "True", "Accepted"),
            [
                said("ResolvedRefs", "False", "InvalidCertificateRef"),
                said("Programmed", "False", "Invalid"),
            ],
        );
        let gateways = [with_conditions(&[&[good], &bad])];
        assert_eq!(nobody_at(&gateways, &[], "http://10.0.0.1:80/"), None);
        let cause = nobody_at(&gateways, &[], "http://10.0.0.1:81/").unwrap();
        assert_eq!(cause.code, CauseCode::GatewayCertificateMissing);
        assert!(
            cause.evidence[0].starts_with("Gateway g: listener l1"),
            "{:?}",
            cause.evidence
        );
    }

    #[test]
    fn listeners_that_stand_beside_the_gateway_are_not_known_here() {
        let mut one = gateway("10.0.0.1", &[80]);
        one["status"]["attachedListenerSets"] = json!(1);
        assert_eq!(nobody_at(&[one], &[], "http://10.0.0.1:8080/"), None);
    }
}
