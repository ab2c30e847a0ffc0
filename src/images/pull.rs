//! Has images pulled by the container engine, and puts them into the nodes of a cluster.

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, TryStreamExt, future, stream};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};

use super::{
    Had, How, ImageRef, ImagesError, Provided, Way,
    engine::{Engine, EngineImage},
    progress::Progress,
    serve::counted,
    store::Store,
};
use crate::{
    host::{Call, Host},
    record::{Events, Stage},
};

/// How long a registry may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long it is remembered that registries do not answer. That they do is asked anew each time.
const MEMORY: SignedDuration = SignedDuration::from_mins(10);

/// What was seen of registries.
#[derive(Debug, Serialize, Deserialize)]
struct Silence {
    hosts: BTreeSet<String>,
    at: Timestamp,
}

/// Where kind's own node images are published.
const STOCK_NODE_REGISTRY: &str = "docker.io";

/// Pulls where the registries of all wanted images answer, builds where one does not.
pub(super) async fn choose(host: &Host, wanted: &[ImageRef], events: &Events) -> Result<Way, ImagesError> {
    // The stock node image comes from the default registry, whatever else is wanted.
    let node = [STOCK_NODE_REGISTRY.to_owned()];
    let hosts: BTreeSet<String> = wanted.iter().map(|image| image.host().to_owned()).chain(node).collect();
    let store = Store::of(host);
    let silence: Option<Silence> = store.recall("seen", "silence");
    if silence.is_some_and(|silence| silence.hosts == hosts && host.now().duration_since(silence.at) < MEMORY) {
        return Ok(Way::Build);
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
        return Ok(Way::Pull);
    }
    events.note(
        Stage::Images,
        format!("no answer from {}: images are made from packages", silent.join(", ")),
    );
    store.remember(
        "seen",
        "silence",
        &Silence {
            hosts: hosts.clone(),
            at: host.now(),
        },
    )?;
    Ok(Way::Build)
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

/// Pulls the wanted images; those that the engine has are not asked for again.
pub(super) async fn provide(host: &Host, wanted: &[ImageRef], events: &Events) -> Result<Provided, ImagesError> {
    let engine = Engine::answering(host).await?;
    let progress = Progress::new(events);
    let (engine, progress) = (&engine, &progress);
    let pulled = stream::iter(wanted.iter().map(|name| pull(engine, progress, name)))
        .buffered(3)
        .try_collect();
    let pulled: Vec<Result<Had, ImageRef>> = progress.during(pulled).await?;
    let (mut images, mut missing) = (Vec::new(), Vec::new());
    for one in pulled {
        match one {
            Ok(had) => images.push(had),
            Err(name) => missing.push(name),
        }
    }
    let before = images.iter().filter(|had| had.how == How::Present).count();
    let mut parts = vec![format!("{} pulled", counted(images.len() - before))];
    if before > 0 {
        parts.push(format!("{before} found in the engine"));
    }
    if !missing.is_empty() {
        parts.push(format!(
            "{} left to the cluster, since they cannot be pulled here",
            missing.len()
        ));
    }
    Ok(Provided {
        way: Way::Pull,
        sentence: parts.join(", "),
        node_image: None,
        load: images.iter().map(|had| had.image.clone()).collect(),
        images,
        missing,
        registry: None,
    })
}

/// Pulls one image. One that cannot be pulled is left to the cluster, which says why in its own words: there it is
/// the deployment that fails, and here it would be us.
async fn pull(engine: &Engine<'_>, progress: &Progress, name: &ImageRef) -> Result<Result<Had, ImageRef>, ImagesError> {
    let found = |image: &EngineImage, how| Had {
        image: name.clone(),
        digest: digest_of(image, name),
        how,
    };
    if let Some(image) = engine.images(vec![name.to_string()]).await?.first() {
        return Ok(Ok(found(image, How::Present)));
    }
    let _job = progress.begin(format!("pulling {name}"), None);
    let ended = engine.try_docker(["pull", "--quiet", &name.to_string()]).await?;
    if !ended.status.success() {
        progress.note(format!("{name} cannot be pulled: {}", ended.last_words()));
        return Ok(Err(name.clone()));
    }
    let pulled = engine.images(vec![name.to_string()]).await?;
    Ok(pulled
        .first()
        .map(|image| found(image, How::Pulled))
        .ok_or_else(|| name.clone()))
}

/// The digest that the registry gave an image; the engine's own id where it came from none.
fn digest_of(image: &EngineImage, name: &ImageRef) -> String {
    let of_registry = image.repo_digests.iter().find_map(|digest| {
        let parsed: ImageRef = digest.parse().ok()?;
        (parsed.host() == name.host() && parsed.repository() == name.repository())
            .then(|| parsed.digest().map(str::to_owned))
            .flatten()
    });
    of_registry.unwrap_or_else(|| image.id.clone())
}

/// Puts the images that need it into the nodes of a kind cluster.
///
/// # Errors
/// The tool that does it fails.
pub async fn load(host: &Host, provided: &Provided, cluster: &str, events: &Events) -> Result<(), ImagesError> {
    if provided.load.is_empty() {
        return Ok(());
    }
    let progress = Progress::new(events);
    let _job = progress.begin(
        format!("putting {} into the cluster's node", counted(provided.load.len())),
        None,
    );
    let names = provided.load.iter().map(ToString::to_string);
    let call = Call::new("kind")
        .args(["load", "docker-image", "--name", cluster])
        .args(names);
    progress
        .during(host.run_ok(&call))
        .await
        .map(drop)
        .map_err(ImagesError::Tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_registrys_own_where_there_is_one() {
        let digest = format!("sha256:{}", "b".repeat(64));
        let mut image = EngineImage {
            id: "sha256:1".to_owned(),
            repo_tags: vec![],
            repo_digests: vec![format!("istio/pilot@{digest}")],
            size: 1,
        };
        let name: ImageRef = "docker.io/istio/pilot:1.28.0".parse().unwrap();
        assert_eq!(digest_of(&image, &name), digest);
        image.repo_digests.clear();
        assert_eq!(digest_of(&image, &name), "sha256:1");
    }

    #[tokio::test]
    async fn registries_that_did_not_answer_a_moment_ago_are_not_asked_again() {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::with_variables([("XDG_CACHE_HOME", directory.path().to_str().unwrap())]);
        let wanted: [ImageRef; 1] = ["registry.example/x:1".parse().unwrap()];
        let silence = Silence {
            hosts: BTreeSet::from(["registry.example", STOCK_NODE_REGISTRY].map(str::to_owned)),
            at: host.now(),
        };
        Store::of(&host).remember("seen", "silence", &silence).unwrap();
        let (events, mut receiver) = Events::channel();
        assert_eq!(choose(&host, &wanted, &events).await.unwrap(), Way::Build);
        drop(events);
        assert!(receiver.recv().await.is_none(), "nobody was asked, so nothing is said");
    }

    #[tokio::test]
    async fn nothing_to_load_asks_nothing_of_anyone() {
        let provided = Provided {
            way: Way::Build,
            sentence: String::new(),
            node_image: None,
            images: vec![],
            missing: vec![],
            registry: None,
            load: vec![],
        };
        let host = Host::with_variables([("PATH", "/nowhere")]);
        load(&host, &provided, "quickproof-x", &Events::unheard())
            .await
            .unwrap();
    }
}
