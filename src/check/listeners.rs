//! Listeners of a Gateway: whether one of them serves the port that a request goes to.
//!
//! Sources: Gateway API v1 types (`Listener`, `GatewayStatus`).

use serde_json::Value;
use url::Url;

use super::conditions::name;
use crate::verdict::{Cause, CauseCode};

/// Why nobody serves a request that goes to the address of a Gateway: none of its listeners has the port. `None` where one
/// has, and where that cannot be told: the address is no Gateway's, or its listeners stand in objects beside it.
///
/// `node_ports` are the ports of the nodes that lead to a Gateway: where its address is a node's, they are served too.
pub(crate) fn nobody_at(gateways: &[Value], node_ports: &[u16], url: &str) -> Option<Cause> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default()?;
    let mut there = gateways.iter().filter(|gateway| has_address(gateway, &host)).peekable();
    there.peek()?;
    let there: Vec<&Value> = there.collect();
    let is_served = there
        .iter()
        .any(|gateway| has_further(gateway) || listeners(gateway).any(|listener| listener["port"] == port));
    if is_served || node_ports.contains(&port) {
        return None;
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

    #[test]
    fn listeners_that_stand_beside_the_gateway_are_not_known_here() {
        let mut one = gateway("10.0.0.1", &[80]);
        one["status"]["attachedListenerSets"] = json!(1);
        assert_eq!(nobody_at(&[one], &[], "http://10.0.0.1:8080/"), None);
    }
}
