//! The endpoint picker of the pool: which pod it is, what it runs, what it counts.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::workloads::{has_labels, is_ready};
use crate::{
    check::Observation,
    cluster::forward::{LocalForward, forward},
    deploy::Deployer,
    probe::{Outgoing, Probe, metrics::Metrics},
    report::Sink,
};

/// The port of the endpoint picker's metrics, in every release.
const METRICS_PORT: u16 = 9090;
/// How long a scrape may take.
const SCRAPE_LIMIT: Duration = Duration::from_secs(10);

/// The pods that the pool's endpoint picker reference leads to.
pub(super) fn pods(deployer: &Deployer, seen: &Observation) -> Vec<Arc<Pod>> {
    let Some(pool) = seen.inference_pools.first() else {
        return Vec::new();
    };
    let namespace = pool
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    // v1 says `endpointPickerRef`, v1alpha2 `extensionRef`.
    let reference = pool["spec"]
        .get("endpointPickerRef")
        .or_else(|| pool["spec"].get("extensionRef"));
    let service = reference
        .and_then(|reference| reference["name"].as_str())
        .unwrap_or_default();
    let watches = &deployer.site.watches;
    let selector = watches
        .services
        .get(namespace, service)
        .and_then(|service| service.spec.as_ref()?.selector.clone())
        .unwrap_or_default();
    let mut pods = watches.pods.all();
    pods.retain(|pod| pod.metadata.namespace.as_deref() == Some(namespace) && has_labels(pod, &selector));
    pods
}

/// The image of the container that is the endpoint picker: the one that listens on its ports, by name or position.
pub(super) fn image(pod: &Pod) -> Option<String> {
    let containers = &pod.spec.as_ref()?.containers;
    let picker = containers
        .iter()
        .find(|container| container.name == "epp")
        .or_else(|| containers.first())?;
    picker.image.clone()
}

/// A way to the metrics of one endpoint picker.
pub(super) struct Scraper {
    forward: LocalForward,
    token: String,
    probe: Probe,
}

impl Scraper {
    /// Opens it: leave to read, and a port-forward.
    ///
    /// # Errors
    /// In words, why not.
    pub(super) async fn open(deployer: &Deployer, seen: &Observation, sink: &Sink) -> Result<Self, String> {
        let pods = pods(deployer, seen);
        let pod = pods
            .iter()
            .find(|pod| is_ready(pod))
            .ok_or("the endpoint picker has no Ready pod")?;
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let account = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.service_account_name.clone())
            .unwrap_or_else(|| "default".into());
        let access = deployer
            .grant_metrics_access(&namespace, &account)
            .await
            .map_err(|failed| format!("leave to read cannot be granted: {}", failed.actual))?;
        sink.learn(access.token.clone());
        let name = pod.metadata.name.clone().unwrap_or_default();
        let forward = forward(&deployer.site.client, &namespace, &name, METRICS_PORT)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Self {
            forward,
            token: access.token,
            probe: Probe::new(SCRAPE_LIMIT).map_err(|error| error.to_string())?,
        })
    }

    /// Reads the metrics once. Rights that were granted a moment ago may take one to be known, so a refusal is asked
    /// again for a few seconds.
    ///
    /// # Errors
    /// In words, why there are none: an answer that is not a 200 is never taken for zero.
    pub(super) async fn scrape(&self) -> Result<Metrics, String> {
        let mut tries = 0;
        loop {
            let answer = self
                .probe
                .send(Outgoing {
                    method: "GET".into(),
                    url: format!("http://{}/metrics", self.forward.address()),
                    headers: vec![("Authorization".into(), format!("Bearer {}", self.token))],
                    body: None,
                })
                .await;
            if answer.status() == Some(200) {
                return Metrics::parse(&answer.text()).map_err(|error| error.to_string());
            }
            tries += 1;
            if tries >= 10 {
                let why = self
                    .forward
                    .last_failure()
                    .map(|why| format!(" ({why})"))
                    .unwrap_or_default();
                return Err(format!("{}{why}", answer.brief()));
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}
