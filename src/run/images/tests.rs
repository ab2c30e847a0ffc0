use rstest::rstest;
use serde_json::json;

use super::*;
use crate::{
    api_server::{ApiServer, directory_in_memory, kubeconfig},
    cluster::{self, ExistingCluster},
    host::Host,
    images::{ProvidedImage, Upstream},
    plan::{Options, draw},
    record::Events,
    release::Release,
};

#[tokio::test(start_paused = true)]
async fn the_installer_of_a_provider_that_somebodys_cluster_has_is_not_fetched() {
    let (server, desk) = (ApiServer::new(), directory_in_memory());
    let config = desk.path().join("config");
    std::fs::write(&config, kubeconfig("http://in-memory.test")).unwrap();
    let host = Host::with_variables([]).on_network(server.dialled());
    let (events, which) = (Events::unheard(), ExistingCluster::Named("theirs".into()));
    let opened = cluster::open(&host, &which, Some(&config), LOOK_LIMIT, &events);
    let cluster = opened.await.unwrap();
    let options = Options {
        variant: "sim".into(),
        provider: "istio".into(),
        ..Options::default()
    };
    let plan = draw(&Release::embedded(), &options).unwrap();
    let needed = async |cluster| programs_needed(&plan, cluster).await.contains("istioctl");
    assert!(needed(Some(&cluster)).await);
    server.put(json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "istiod", "namespace": "istio-system"}}));
    assert!(!needed(Some(&cluster)).await);
    assert!(needed(None).await, "a cluster of our own has none");
}

/// Images that are to be had, each with the digest `sha256:9`; those of them that are put into nodes; and those that nobody
/// has.
fn provided(images: &[&str], load: &[&str], missing: &[&str]) -> Provided {
    let named = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    let image = |image: &&str| ProvidedImage {
        image: image.parse().unwrap(),
        digest: "sha256:9".to_owned(),
        origin: ImageOrigin::Pulled,
    };
    Provided {
        source: ImageSource::Pull,
        sentence: String::new(),
        node_image: None,
        images: images.iter().map(image).collect(),
        missing: named(missing),
        registry: None,
        load: named(load),
        upstream: None,
    }
}

fn images(provided: Provided) -> Images {
    Images {
        provided: Some(provided),
        programs: BTreeMap::new(),
    }
}

/// A pod with a container for each image, and what the node says that it runs.
fn pod(containers: &[(&str, &str)]) -> Arc<Pod> {
    let numbered = || containers.iter().enumerate();
    let specs: Vec<_> = numbered()
        .map(|(number, (image, _))| json!({"name": number.to_string(), "image": image}))
        .collect();
    let statuses: Vec<_> = numbered()
        .map(|(number, (_, id))| {
            json!({"name": number.to_string(), "image": "x", "imageID": id, "ready": true, "restartCount": 0})
        })
        .collect();
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": specs}, "status": {"containerStatuses": statuses}});
    Arc::new(serde_json::from_value(pod).unwrap())
}

#[tokio::test]
async fn what_ran_before_the_others_counts_too() {
    let images = images(provided(&["r.example/fetch:1"], &[], &[]));
    let status =
        json!({"name": "fetch", "image": "x", "imageID": "r.example/fetch@sha256:8", "ready": true, "restartCount": 0});
    let pod = json!({"metadata": {"name": "p"}, "spec": {"initContainers": [{"name": "fetch", "image": "r.example/fetch:1"}], "containers": []},
        "status": {"initContainerStatuses": [status]}});
    let running = images.running([&Arc::new(serde_json::from_value(pod).unwrap())]).await;
    let told: Vec<_> = running
        .iter()
        .map(|one| (&one.image[..], &one.running, &one.meant))
        .collect();
    let (runs, meant) = (Some(of_registry("sha256:8")), MeantImage::Served("sha256:9".into()));
    assert_eq!(told, [("r.example/fetch:1", &runs, &meant)]);
}

fn of_registry(digest: &str) -> RunningId {
    RunningId::OfRegistry(digest.to_owned())
}

#[tokio::test]
async fn what_our_registry_serves_is_meant_by_its_digest_and_what_is_put_into_nodes_is_not() {
    let images = images(provided(&["r.example/a:1", "r.example/b:1"], &["r.example/b:1"], &[]));
    let pod = pod(&[
        ("r.example/a:1", "r.example/a@sha256:1"),
        ("r.example/b:1", "sha256:2"),
        ("r.example/c:1", ""),
    ]);
    let known = images.running([&pod]).await;
    let known: Vec<_> = known.into_iter().map(|one| (one.running, one.meant)).collect();
    assert_eq!(
        known,
        [
            (Some(of_registry("sha256:1")), MeantImage::Served("sha256:9".to_owned())),
            (Some(RunningId::OfNode("sha256:2".to_owned())), MeantImage::Unknown),
            (None, MeantImage::Unknown),
        ]
    );
}

#[tokio::test]
async fn what_nodes_pull_is_asked_for_once_more_when_it_runs() {
    let server = wiremock::MockServer::start().await;
    let name = |path: &str| format!("{}/{path}:1", server.address());
    let leads_to = |path: &str, digest: &str| {
        let there = wiremock::ResponseTemplate::new(200).insert_header("docker-content-digest", digest);
        wiremock::Mock::given(wiremock::matchers::path(format!("/v2/{path}/manifests/1"))).respond_with(there)
    };
    server.register(leads_to("stays", "sha256:9")).await;
    server.register(leads_to("moved", "sha256:8")).await;
    server.register(leads_to("unplanned", "sha256:7")).await;
    let private = wiremock::ResponseTemplate::new(403);
    server
        .register(wiremock::Mock::given(wiremock::matchers::path("/v2/private/manifests/1")).respond_with(private))
        .await;
    let [stays, moved, gone, unplanned, private] = ["stays", "moved", "gone", "unplanned", "private"].map(name);
    let mut provided = provided(&[&stays, &moved], &[], &[&gone]);
    provided.upstream = Some(Arc::new(Upstream::new(&Host::with_variables([])).unwrap()));
    let pod = pod(&[
        (&stays, "r@sha256:9"),
        (&moved, "r@sha256:9"),
        (&gone, "r@sha256:9"),
        (&unplanned, "r@sha256:7"),
        (&private, "r@sha256:9"),
    ]);
    let published = |before: Option<&str>, now: Option<&str>| {
        MeantImage::Published(PublishedImage {
            before: before.map(str::to_owned),
            digests: before.iter().map(|digest| (*digest).to_owned()).collect(),
            now: now.map(str::to_owned),
        })
    };
    let meant: Vec<MeantImage> = images(provided)
        .running([&pod])
        .await
        .into_iter()
        .map(|one| one.meant)
        .collect();
    let (refused, answered) = meant.split_last().unwrap();
    assert_eq!(
        answered,
        [
            published(Some("sha256:9"), Some("sha256:9")),
            published(Some("sha256:9"), Some("sha256:8")),
            published(None, None),
            published(Some("sha256:7"), Some("sha256:7")),
        ]
    );
    assert!(matches!(refused, MeantImage::Unanswered(what) if what.contains("answers 403")));
}

#[test]
fn a_registry_that_has_an_image_is_not_why_a_node_does_not_get_it() {
    let image: ImageRef = "r.example/a:1".parse().unwrap();
    let (kept_away, not_there) = (CauseCode::PodImagePull, CauseCode::PodImageNotFound);
    assert_eq!(pulled_in_vain(&image, &Ok(Said::Absent), kept_away).0, not_there);
    let found = Ok(Said::Digest("sha256:9".to_owned()));
    let there = pulled_in_vain(&image, &found, kept_away);
    assert_eq!(there.0, CauseCode::PodImagePull);
    assert!(!there.0.blame().is_product() && there.1.contains("sha256:9"));
    // The name leads somewhere, and not to all that the node wants: an index without its platform.
    let there = pulled_in_vain(&image, &found, not_there);
    assert!(
        there.0.blame().is_product() && there.1.contains("platform"),
        "{there:?}"
    );
}

#[rstest]
#[case::before(ImageSource::Auto, Phase::BeforePublish, Nodes::Any, Some(ImageSource::Auto))]
#[case::after(ImageSource::Auto, Phase::AfterPublish, Nodes::Any, Some(ImageSource::Pull))]
#[case::as_somebody_says(ImageSource::Build, Phase::AfterPublish, Nodes::Any, Some(ImageSource::Build))]
#[case::nodes_of_ours(ImageSource::Auto, Phase::BeforePublish, Nodes::Ours("c"), Some(ImageSource::Build))]
#[case::nodes_of_ours_built(ImageSource::Build, Phase::AfterPublish, Nodes::Ours("c"), Some(ImageSource::Build))]
#[case::nodes_of_ours_cannot_pull(ImageSource::Pull, Phase::BeforePublish, Nodes::Ours("c"), None)]
#[case::nor_what_is_published(ImageSource::Auto, Phase::AfterPublish, Nodes::Ours("c"), None)]
fn what_is_published_is_pulled_unless_somebody_says_otherwise(
    #[case] asked: ImageSource,
    #[case] phase: Phase,
    #[case] nodes: Nodes<'_>,
    #[case] wanted: Option<ImageSource>,
) {
    assert_eq!(source(asked, phase, nodes).ok(), wanted);
}
