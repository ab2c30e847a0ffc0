//! What a gateway's log says of its endpoint picker.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{LogParams, ResourceExt as _},
};

use crate::{
    redact::cut,
    run::{conditions, deployment::Quickstart},
};

/// Envoy's words for an answer of an external processor that its protocol does not have at that moment, such as a plain one where
/// bodies are streamed both ways. Source: its filter `ext_proc`, as measured with v1.40.0.
const OUT_OF_PROTOCOL: &str = "Spurious response message";

/// The last line in which a proxy of the Gateways says that its endpoint picker breaks their protocol; `None` where none does.
pub(in crate::run) async fn said_of_the_picker(quickstart: &Quickstart<'_>) -> Option<String> {
    let client = &quickstart.deployer.site.client;
    for proxy in conditions::proxies(&quickstart.around()) {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &proxy.namespace().unwrap_or_default());
        // Beside the proxy there may be others, such as Envoy Gateway's `shutdown-manager`.
        for container in proxy.spec.iter().flat_map(|spec| &spec.containers) {
            let parameters = LogParams {
                container: Some(container.name.clone()),
                tail_lines: Some(200),
                limit_bytes: Some(256 << 10),
                ..LogParams::default()
            };
            // What cannot be read says nothing.
            let log = pods.logs(&proxy.name_any(), &parameters).await.unwrap_or_default();
            if let Some(line) = out_of_protocol(&log) {
                return Some(line);
            }
        }
    }
    None
}

fn out_of_protocol(log: &str) -> Option<String> {
    let line = log.lines().rev().find(|line| line.contains(OUT_OF_PROTOCOL))?;
    Some(cut(line.trim(), 400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_complaint_of_a_proxy_is_found_among_its_lines() {
        let log = "info started\nwarning envoy ext_proc [Tags: \"1\"] Spurious response message 3 received on gRPC stream\n\
            warning envoy ext_proc [Tags: \"2\"] Spurious response message 4 received on gRPC stream\ninfo done\n";
        assert!(out_of_protocol(log).unwrap().contains("message 4"));
        assert_eq!(out_of_protocol("warning envoy config rejected\n"), None);
    }
}
