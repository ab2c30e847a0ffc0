//! Whether the registries of some images answer, so that images can be pulled.

use std::{collections::BTreeSet, time::Duration};

use futures::future;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};

use super::{ImageRef, ImageSource, ImagesError, progress::Progress, store::Store};
use crate::{
    host::Host,
    record::{Events, Stage},
};

/// How long a registry may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long it is remembered that registries do not answer. That they do is asked anew each time.
const MEMORY: SignedDuration = SignedDuration::from_mins(10);

/// A note that registries did not answer a moment ago.
#[derive(Debug, Serialize, Deserialize)]
struct Unanswered {
    hosts: BTreeSet<String>,
    at: Timestamp,
}

/// Where kind's own node images are published.
const STOCK_NODE_REGISTRY: &str = "docker.io";

/// Pulls where the registries of all wanted images answer, builds where one does not.
pub(super) async fn choose(host: &Host, wanted: &[ImageRef], events: &Events) -> Result<ImageSource, ImagesError> {
    // The stock node image comes from the default registry, whatever else is wanted.
    let node = [STOCK_NODE_REGISTRY.to_owned()];
    let hosts: BTreeSet<String> = wanted.iter().map(|image| image.host().to_owned()).chain(node).collect();
    let store = Store::of(host);
    let last: Option<Unanswered> = store.recall("seen", "silence");
    if last.is_some_and(|last| last.hosts == hosts && host.now().duration_since(last.at) < MEMORY) {
        return Ok(ImageSource::Build);
    }
    let progress = Progress::new(events);
    let _job = progress.begin("finding out whether image registries answer", Some(PATIENCE));
    let http = Client::builder().timeout(PATIENCE).build()?;
    let answers = future::join_all(hosts.iter().map(|name| answers(&http, name))).await;
    let silent: Vec<&str> = hosts
        .iter()
        .zip(&answers)
        .filter(|(_, answers)| !**answers)
        .map(|(name, _)| name.as_str())
        .collect();
    if silent.is_empty() {
        return Ok(ImageSource::Pull);
    }
    let who = silent.join(", ");
    events.note(
        Stage::Images,
        format!("no answer from {who}: images are made from packages"),
    );
    let unanswered = Unanswered { hosts, at: host.now() };
    store.remember("seen", "silence", &unanswered)?;
    Ok(ImageSource::Build)
}

/// Whether a registry answers as the distribution specification says: 200, or 401 where it wants a token first.
async fn answers(http: &Client, host: &str) -> bool {
    let answer = http.get(format!("https://{host}/v2/")).send().await;
    match (answer, host) {
        // The name of the default registry is not that of the machine which serves it, and leads to a page for people.
        (Ok(answer), "docker.io") => !answer.status().is_server_error(),
        (Ok(answer), _) => matches!(answer.status(), StatusCode::OK | StatusCode::UNAUTHORIZED),
        (Err(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn registries_that_did_not_answer_a_moment_ago_are_not_asked_again() {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::with_variables([("XDG_CACHE_HOME", directory.path().to_str().unwrap())]);
        let wanted: [ImageRef; 1] = ["registry.example/x:1".parse().unwrap()];
        let unanswered = Unanswered {
            hosts: BTreeSet::from(["registry.example", STOCK_NODE_REGISTRY].map(str::to_owned)),
            at: host.now(),
        };
        Store::of(&host).remember("seen", "silence", &unanswered).unwrap();
        let (events, mut receiver) = Events::channel();
        assert_eq!(choose(&host, &wanted, &events).await.unwrap(), ImageSource::Build);
        drop(events);
        assert!(receiver.recv().await.is_none(), "nobody was asked, so nothing is said");
    }
}
