//! The endpoint picker of the pool: which pod it is, what it runs, what it counts.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::workloads::{has_labels, is_ready};
use crate::{
    check::Observation,
    cluster::forward::{LocalForward, forward},
    deploy::Deployer,
    host::poll,
    probe::{Answer, BODY_BOUND, Outgoing, Probe, Unanswered, metrics::Metrics},
    redact::Redactor,
};

/// The port of the endpoint picker's metrics, in every release.
const METRICS_PORT: u16 = 9090;
/// How long a scrape may take.
pub(super) const SCRAPE_LIMIT: Duration = Duration::from_secs(10);
/// How long a refusal is asked again: rights that were granted a moment ago may take one to be known.
const GRANTED_WITHIN: Duration = Duration::from_secs(10);
/// Between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(300);

/// What a pool says of its endpoint picker: v1 says it in `endpointPickerRef`, v1alpha2 in `extensionRef`.
pub(super) fn reference(pool: &Value) -> Option<&Value> {
    let spec = &pool["spec"];
    spec.get("endpointPickerRef").or_else(|| spec.get("extensionRef"))
}

/// The pods that the pool's endpoint picker reference leads to.
pub(super) fn pods(deployer: &Deployer, seen: &Observation) -> Vec<Arc<Pod>> {
    let Some(pool) = seen.inference_pools.first() else {
        return Vec::new();
    };
    let namespace = pool
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let service = reference(pool)
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

/// The metrics of an answer, all of them: half of a scrape would be taken for series that are not there.
fn read(answer: &Answer) -> Result<Metrics, String> {
    let whole = answer.outcome.as_ref().map_err(Unanswered::words)?;
    if whole.body.len() < whole.body_bytes {
        return Err(format!("they have {} bytes, over {BODY_BOUND}", whole.body_bytes));
    }
    Metrics::parse(&answer.text()).map_err(|error| error.to_string())
}

/// The metrics as they are now, or why they cannot be read.
pub(super) async fn look(scraper: &Result<Scraper, String>) -> Result<Metrics, String> {
    match scraper {
        Ok(scraper) => scraper.scrape().await,
        Err(why) => Err(why.clone()),
    }
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
    pub(super) async fn open(
        deployer: &Deployer,
        seen: &Observation,
        redactor: &Redactor,
        probe: Probe,
    ) -> Result<Self, String> {
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
        redactor.learn(access.token.clone());
        let name = pod.metadata.name.clone().unwrap_or_default();
        let forward = forward(&deployer.site.client, &namespace, &name, METRICS_PORT)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Self {
            forward,
            token: access.token,
            probe,
        })
    }

    /// Reads the metrics once.
    ///
    /// # Errors
    /// In words, why there are none: an answer that is not a 200 is never taken for zero.
    pub(super) async fn scrape(&self) -> Result<Metrics, String> {
        let url = format!("http://{}/metrics", self.forward.address());
        let failed = match asked(&self.probe, &url, &self.token, GRANTED_WITHIN).await {
            Ok(answer) => return read(&answer),
            Err(failed) => failed,
        };
        let why = self.forward.last_failure().map(|why| format!(" ({why})"));
        Err(failed + &why.unwrap_or_default())
    }
}

/// The answer to a scrape, which is a 200; a refusal is asked again.
async fn asked(probe: &Probe, url: &str, token: &str, within: Duration) -> Result<Answer, String> {
    let request = Outgoing {
        method: "GET".into(),
        url: url.to_owned(),
        headers: vec![("Authorization".into(), format!("Bearer {token}"))],
        body: None,
    };
    let asked = poll(within, BETWEEN_TRIES, async |attempt| {
        let answer = probe.send(request.clone()).await.on_attempt(attempt);
        if answer.status() == Some(200) {
            Ok(answer)
        } else {
            Err(answer.brief())
        }
    });
    asked.await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rstest::rstest;

    use super::*;
    use crate::probe::{Received, Times, served::Served};

    /// An endpoint picker whose authentication is on, and knows the token from its `granted`th request on.
    fn guarded(granted: usize) -> Served {
        let requests = AtomicUsize::new(1);
        let served = Served::start(move |asked, mut wire| {
            let is_known = requests.fetch_add(1, Ordering::Relaxed) >= granted;
            if is_known
                && asked
                    .head
                    .to_lowercase()
                    .contains("authorization: bearer of-the-test\r\n")
            {
                return wire.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nup 1\n");
            }
            wire.send("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")
        });
        served.unwrap()
    }

    #[rstest]
    #[case::at_once(1, "of-the-test", true)]
    #[case::a_moment_later(2, "of-the-test", true)]
    #[case::too_late(usize::MAX, "of-the-test", false)]
    #[case::with_another_token(1, "of-nobody", false)]
    #[tokio::test]
    async fn a_scrape_has_a_token_and_what_is_refused_is_no_zero(
        #[case] granted: usize,
        #[case] token: &str,
        #[case] is_read: bool,
    ) {
        let served = guarded(granted);
        let probe = Probe::new(Duration::from_mins(1)).unwrap();
        let within = if is_read {
            Duration::from_mins(1)
        } else {
            Duration::ZERO
        };
        let answer = asked(&probe, &served.url("/metrics"), token, within).await;
        match answer {
            Ok(answer) => {
                assert!(is_read);
                assert_eq!(read(&answer).unwrap().sum("up", &[]), Some(1.0));
            }
            Err(why) => assert!(!is_read && why.contains("401"), "{why}"),
        }
    }

    #[test]
    fn metrics_are_read_whole_or_not_at_all() {
        let text = b"up 1\n".to_vec();
        let answer = |body_bytes| Answer {
            request: Outgoing {
                method: "GET".into(),
                url: String::new(),
                headers: Vec::new(),
                body: None,
            },
            attempt: 1,
            resent: None,
            outcome: Ok(Received {
                status: 200,
                body: text.clone(),
                body_bytes,
                ..Received::default()
            }),
            partial: None,
            times: Times::default(),
            took: Duration::ZERO,
        };
        assert_eq!(read(&answer(5)).unwrap().sum("up", &[]), Some(1.0));
        assert!(read(&answer(BODY_BOUND + 1)).is_err());
    }
}
