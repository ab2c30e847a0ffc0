//! Another number of replicas for a Deployment, and the way back to the number that it had.
//!
//! Only the very object that was looked at is ever scaled, told by its uid, which the API server compares.

use std::sync::Arc;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{
    inventory::{Made, Reach},
    ready::{has_labels, is_observed, is_ready},
    watching::Watches,
};

/// A Deployment, and how many replicas it had before it was scaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scaled {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// Its uid.
    pub(crate) uid: String,
    /// The replicas that it asked for before.
    pub(crate) replicas: i32,
}

/// What came of asking the API server for another number of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is asked for, by this generation of the object.
    Generation(i64),
    /// The object is gone, or another one has taken its name.
    Gone,
}

impl Scaled {
    /// A Deployment as it is now; `None` for one that no API server has stored.
    pub(crate) fn of(deployment: &Deployment) -> Option<Self> {
        let metadata = &deployment.metadata;
        Some(Self {
            namespace: metadata.namespace.clone()?,
            name: metadata.name.clone()?,
            uid: metadata.uid.clone()?,
            replicas: deployment.spec.replicas.unwrap_or(1),
        })
    }

    /// Kind, namespace and name.
    pub(crate) fn title(&self) -> String {
        format!("Deployment {}/{}", self.namespace, self.name)
    }

    /// How it stands in the inventory of a run.
    pub(crate) fn noted(&self, cluster: Reach) -> Made {
        Made::Scaled {
            cluster,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            replicas: self.replicas,
        }
    }

    /// Asks for so many replicas of this very object.
    ///
    /// # Errors
    /// The API server is away or refuses; that the object is gone is no error.
    pub(crate) async fn ask(&self, client: &Client, replicas: i32) -> Result<Asked, kube::Error> {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), &self.namespace);
        let patch = Patch::Merge(json!({"metadata": {"uid": self.uid}, "spec": {"replicas": replicas}}));
        match deployments.patch(&self.name, &PatchParams::default(), &patch).await {
            Ok(stored) => Ok(Asked::Generation(stored.metadata.generation.unwrap_or_default())),
            // 409: the uid is another one's.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(Asked::Gone),
            Err(error) => Err(error),
        }
    }

    /// Whether the Deployment has exactly so many pods by now, all of them Ready; what is seen instead otherwise.
    ///
    /// # Errors
    /// In words, what is not so yet. `None` inside of them where it never will be, since the object is gone.
    pub(crate) fn stands_at(&self, watches: &Watches, replicas: i32, generation: i64) -> Result<(), Option<String>> {
        let found = watches.deployments.get(&self.namespace, &self.name);
        let found = found.filter(|found| found.metadata.uid.as_ref() == Some(&self.uid));
        let pods = watches.pods.all();
        stands_at(&*found.ok_or(None)?, &pods, replicas, generation).map_err(Some)
    }
}

fn stands_at(deployment: &Deployment, pods: &[Arc<Pod>], replicas: i32, generation: i64) -> Result<(), String> {
    let status = deployment.status.as_ref();
    if !is_observed(deployment, generation) {
        return Err("its controller has not looked yet".to_owned());
    }
    if deployment.spec.replicas.unwrap_or(1) != replicas {
        let now = deployment.spec.replicas.unwrap_or(1);
        return Err(format!("somebody else asks for {now} replicas"));
    }
    let labels = deployment.spec.selector.match_labels.clone().unwrap_or_default();
    let is_its = |pod: &&Arc<Pod>| pod.metadata.namespace == deployment.metadata.namespace && has_labels(pod, &labels);
    let its: Vec<&Arc<Pod>> = pods.iter().filter(is_its).collect();
    let ready = its.iter().filter(|pod| is_ready(pod)).count();
    let counted = status.and_then(|status| status.ready_replicas).unwrap_or_default();
    let wanted = usize::try_from(replicas).unwrap_or_default();
    if its.len() == wanted && ready == wanted && counted == replicas {
        return Ok(());
    }
    Err(format!("{} pods are there, {ready} Ready, of {wanted}", its.len()))
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;
    use rstest::rstest;
    use serde_json::Value;
    use tower_test::mock;

    use super::*;

    fn deployment(replicas: i32, observed: i64, counted: i32) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "d", "namespace": "n", "uid": "u", "generation": 2},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "d"}}, "template": {}},
            "status": {"observedGeneration": observed, "readyReplicas": counted},
        }))
        .unwrap()
    }

    fn pod(namespace: &str, app: &str, ready: &str) -> Arc<Pod> {
        let pod = json!({"metadata": {"name": "p", "namespace": namespace, "labels": {"app": app}},
            "status": {"conditions": [{"type": "Ready", "status": ready}]}});
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn leaving() -> Arc<Pod> {
        let mut pod = Pod::clone(&pod("n", "d", "True"));
        pod.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        Arc::new(pod)
    }

    #[rstest]
    #[case::empty(deployment(0, 2, 0), vec![pod("n", "other", "True"), pod("m", "d", "True")], 0, None)]
    #[case::one_is_leaving(deployment(0, 2, 0), vec![leaving()], 0, Some("1 pods are there"))]
    #[case::controller_has_not_looked(deployment(0, 1, 0), vec![], 0, Some("has not looked"))]
    #[case::not_counted_down(deployment(0, 2, 3), vec![], 0, Some("of 0"))]
    #[case::somebody_scales_too(deployment(2, 2, 0), vec![], 0, Some("asks for 2"))]
    #[case::back(deployment(1, 2, 1), vec![pod("n", "d", "True")], 1, None)]
    #[case::not_ready(deployment(1, 2, 0), vec![pod("n", "d", "False")], 1, Some("0 Ready"))]
    #[case::ready_and_not_counted(deployment(1, 2, 0), vec![pod("n", "d", "True")], 1, Some("1 Ready"))]
    #[case::one_too_many(deployment(1, 2, 1), vec![pod("n", "d", "True"), leaving()], 1, Some("2 pods"))]
    fn a_deployment_stands_at_a_number_when_pods_and_controller_agree(
        #[case] deployment: Deployment,
        #[case] pods: Vec<Arc<Pod>>,
        #[case] replicas: i32,
        #[case] otherwise: Option<&str>,
    ) {
        let stands = stands_at(&deployment, &pods, replicas, 2);
        match otherwise {
            None => assert_eq!(stands, Ok(())),
            Some(words) => assert!(stands.as_ref().is_err_and(|seen| seen.contains(words)), "{stands:?}"),
        }
    }

    fn scaled() -> Scaled {
        Scaled::of(&deployment(3, 2, 3)).unwrap()
    }

    /// What came of asking an API server that answers so, and what it was asked.
    async fn asked(code: u16, body: &Value) -> (Result<Asked, kube::Error>, String, Value) {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let body = body.to_string();
        let serving = tokio::spawn(async move {
            let (request, respond) = handle.next_request().await.unwrap();
            let (parts, sent) = request.into_parts();
            respond.send_response(
                Response::builder()
                    .status(code)
                    .body(Body::from(body.into_bytes()))
                    .unwrap(),
            );
            let sent = sent.collect_bytes().await.unwrap();
            (
                format!("{} {}", parts.method, parts.uri.path()),
                serde_json::from_slice(&sent).unwrap(),
            )
        });
        let asked = scaled().ask(&Client::new(service, "default"), 0).await;
        let (line, sent) = serving.await.unwrap();
        (asked, line, sent)
    }

    #[tokio::test]
    async fn only_the_very_object_that_was_looked_at_is_scaled() {
        let stored = json!({"metadata": {"name": "d", "generation": 7}, "spec": {"selector": {}, "template": {}}});
        let (asked, line, sent) = asked(200, &stored).await;
        assert_eq!(asked.unwrap(), Asked::Generation(7));
        assert_eq!(line, "PATCH /apis/apps/v1/namespaces/n/deployments/d");
        assert_eq!(sent, json!({"metadata": {"uid": "u"}, "spec": {"replicas": 0}}));
    }

    #[rstest]
    #[case::gone(404, true)]
    #[case::anothers(409, true)]
    #[case::forbidden(403, false)]
    #[case::failing(500, false)]
    #[tokio::test]
    async fn an_object_that_is_gone_is_told_from_an_api_server_that_refuses(#[case] code: u16, #[case] gone: bool) {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "message": "no", "reason": "x"});
        let (asked, ..) = asked(code, &status).await;
        assert_eq!(matches!(asked, Ok(Asked::Gone)), gone, "{asked:?}");
        assert_eq!(asked.is_err(), !gone);
    }
}
