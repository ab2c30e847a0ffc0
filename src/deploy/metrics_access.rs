//! Leave to read the endpoint picker's metrics, granted outside the objects under test and taken back.
//!
//! With the guide's values the endpoint picker answers 401 without a token and 500 with a valid one, because its
//! chart does not allow its account to review tokens. So for the time of the run its account is bound to
//! `system:auth-delegator`, and an account of our own may `get` `/metrics`. Source: measured on v1.5.0; chart
//! `epplib`, `_rbac.yaml`.

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, api::PostParams};
use serde_json::json;

use super::{Deployer, failure::refused};
use crate::{
    cluster::resources::persistently,
    manifest::Object,
    record::{Deviation, DeviationKind},
    verdict::Fault,
};

/// A bearer token for the endpoint picker's metrics.
#[derive(Clone)]
pub(crate) struct MetricsAccess {
    /// The token; it is never printed.
    pub(crate) token: String,
}

impl Deployer {
    /// Grants it for an endpoint picker that runs as `account` in `namespace`.
    ///
    /// # Errors
    /// An object is refused, or the API server is away.
    pub(crate) async fn grant_metrics_access(&self, namespace: &str, account: &str) -> Result<MetricsAccess, Fault> {
        let name = format!("quickproof-{}-metrics", self.site.run);
        let subject = |name: &str| json!([{"kind": "ServiceAccount", "name": name, "namespace": namespace}]);
        let role =
            |kind: &str, name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
        let rbac = "rbac.authorization.k8s.io/v1";
        let objects = [
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}),
            json!({"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": name},
                "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]}),
            json!({"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": {"name": name},
                "roleRef": role("ClusterRole", &name), "subjects": subject(&name)}),
            json!({"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": {"name": format!("{name}-review")},
                "roleRef": role("ClusterRole", "system:auth-delegator"), "subjects": subject(account)}),
        ]
        .map(|value| Object {
            value: value.into(),
            file: "quickproof".into(),
            line: 0,
        });
        self.apply(&objects, Some(namespace)).await?;
        // They are ours, not the release's: no wait or check may take them for part of it.
        self.deployed(|deployed| deployed.objects.retain(|object| object.file != "quickproof"));
        self.site.events.deviate(Deviation {
            kind: DeviationKind::Added,
            subject: format!("ServiceAccount {namespace}/{account}"),
            what: "may review tokens (system:auth-delegator), and an account of quickproof may get /metrics, for the time of the run".into(),
            why: "the endpoint picker's metrics cannot be read with the guide's values".into(),
            from: None,
        });
        let accounts: Api<ServiceAccount> = Api::namespaced(self.site.client.clone(), namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: Some(3600),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let parameters = PostParams::default();
        let answer = persistently(self.site.away_limit(), || {
            accounts.create_token_request(&name, &parameters, &request)
        })
        .await
        .map_err(|trouble| refused(trouble, "a token for reading metrics", &name))?;
        Ok(MetricsAccess {
            token: answer.status.and_then(|status| status.token).unwrap_or_default(),
        })
    }
}
