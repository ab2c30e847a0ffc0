//! Why a program that installs something failed, where that is the cluster: the API server is away or starved, or nodes cannot run
//! the pods of what is installed.
//!
//! The cluster is looked at first. What a program says is text and nothing else; what is read of it is the form in which Go
//! tells of a request that failed (`net/url.Error`: a verb, the address in quotes, the reason), to a path of the Kubernetes
//! API, and what the API server itself says when it cannot.

use super::Deployer;
use crate::{
    redact::cut,
    verdict::{Cause, CauseCode},
};

/// How the reason ends for which a request got no answer. Sources: Go's `net`, `net/http` and `context` packages.
const NO_ANSWER: &[&str] = &[
    "connection refused",
    "connection reset by peer",
    "context deadline exceeded",
    "EOF",
    "i/o timeout",
    "http2: client connection lost",
    "net/http: TLS handshake timeout",
    "no route to host",
    "(Client.Timeout exceeded while awaiting headers)",
];

/// What the API server says of itself, and etcd through it. Sources: `k8s.io/apimachinery/pkg/api/errors`,
/// `k8s.io/apiserver/pkg/endpoints` and `go.etcd.io/etcd/api/v3rpc/rpctypes`.
const ITS_OWN_WORDS: &[&str] = &[
    "etcdserver: ",
    "the server is currently unable to handle the request",
    "the server was unable to return a response in the time allotted",
    "the server has received too many requests and has asked us to try again later",
    "Timeout: request did not complete within",
    "apiserver is shutting down",
    "storage is (re)initializing",
];

/// Where the paths of the Kubernetes API begin.
const PATHS: [&str; 4] = ["/api/", "/apis/", "/version", "/openapi/"];

/// The line in which a program says that the API server did not answer, or only that it cannot.
fn told(said: &str) -> Option<&str> {
    said.lines()
        .map(str::trim)
        .find(|line| ITS_OWN_WORDS.iter().any(|words| line.contains(words)) || unanswered(line))
}

/// Whether a line tells of a request to the Kubernetes API that got no answer: `Get "https://HOST/api/…": REASON`.
fn unanswered(line: &str) -> bool {
    line.split("\"http").skip(1).any(|rest| {
        let Some((address, reason)) = rest.split_once("\": ") else {
            return false;
        };
        let path = address
            .split_once("://")
            .and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
        let is_of_kubernetes = path.is_some_and(|path| PATHS.iter().any(|begin| path.starts_with(begin)));
        is_of_kubernetes && NO_ANSWER.iter().any(|end| reason.contains(end))
    })
}

impl Deployer {
    /// Why a program failed that said this: the cluster, or `otherwise` with the program's words.
    pub(super) async fn failed_for(&self, said: &str, otherwise: CauseCode) -> Cause {
        if let Err(trouble) = self.site.watches.healthy().await {
            return trouble.cause().because(said);
        }
        match told(said) {
            Some(line) => Cause::new(CauseCode::ApiServerAway)
                .because(cut(line, 400))
                .because(said),
            None => Cause::new(otherwise).because(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// As istioctl, helm and kubectl say it.
    #[rstest]
    #[case::refused(
        r#"Error: INSTALLATION FAILED: Kubernetes cluster unreachable: Get "https://127.0.0.1:6443/version": dial tcp 127.0.0.1:6443: connect: connection refused"#
    )]
    #[case::handshake(
        r#"Error: Get "https://10.0.0.1:6443/api/v1/namespaces/istio-system": net/http: TLS handshake timeout"#
    )]
    #[case::too_slow(
        r#"Error: failed to install manifests: Patch "https://127.0.0.1:41001/apis/apps/v1/namespaces/istio-system/deployments/istiod?fieldManager=x": context deadline exceeded"#
    )]
    #[case::client_timeout(
        r#"Get "https://c.example/apis/apps/v1?timeout=32s": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"#
    )]
    #[case::cut_off(r#"Error: Post "https://127.0.0.1:41001/apis/x.example/v1/things": unexpected EOF"#)]
    #[case::etcd("Error: etcdserver: request timed out")]
    #[case::leader("2 errors occurred:\n\t* etcdserver: leader changed\n")]
    #[case::overloaded(
        "Error: the server was unable to return a response in the time allotted, but may still be processing the request"
    )]
    #[case::throttled(
        "Error from server (TooManyRequests): the server has received too many requests and has asked us to try again later"
    )]
    #[case::starting("Error from server: storage is (re)initializing")]
    fn an_api_server_that_does_not_answer_is_told(#[case] said: &str) {
        assert!(told(said).is_some(), "{said}");
    }

    /// What is said of anything else.
    #[rstest]
    #[case::pods_that_are_not_ready(
        "Error: failed to install manifests: resources not ready after 5m0s: timed out waiting for the condition"
    )]
    #[case::a_wait_that_ended("Error: INSTALLATION FAILED: context deadline exceeded")]
    #[case::a_webhook_of_the_provider(
        r#"Error: Internal error occurred: failed calling webhook "v.istio.io": Post "https://istiod.istio-system.svc:443/validate?timeout=10s": context deadline exceeded"#
    )]
    #[case::a_registry_of_charts(
        r#"Error: failed to do request: Head "https://charts.example/v2/epp/manifests/v1": dial tcp: i/o timeout"#
    )]
    #[case::a_refusal(r#"Error: Deployment.apps "epp" is invalid: spec.replicas: Invalid value: -1"#)]
    #[case::no_reason(r#"see "https://example.com/api/v1" for more"#)]
    #[case::nothing("")]
    fn nothing_else_is_taken_for_the_api_servers(#[case] said: &str) {
        assert_eq!(told(said), None);
    }
}
