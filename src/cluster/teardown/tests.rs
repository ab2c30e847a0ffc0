//! Teardown against an API server that says what the test wants.

use http::{Method, Request, Response};
use kube::client::Body;
use rstest::rstest;
use serde_json::{Value, json};
use tower_test::mock;

use super::*;

/// A desk of one run: its state, and nothing on PATH.
struct Desk {
    host: Host,
    inventory: Inventory,
    _directory: tempfile::TempDir,
}

impl Desk {
    fn with(made: Vec<Made>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().to_str().unwrap();
        let host = Host::with_variables([("XDG_STATE_HOME", state), ("PATH", "/nowhere")]);
        let inventory = Inventory::open(&host, "ab12").unwrap();
        for one in made {
            inventory.add(one).unwrap();
        }
        Self {
            host,
            inventory,
            _directory: directory,
        }
    }

    async fn take_away(&self, client: Option<Client>, which: Which) -> Vec<Fate> {
        let events = Events::unheard();
        let mut teardown = Teardown::new(&self.host, &self.inventory, &events);
        if let Some(client) = client {
            teardown = teardown.connected(theirs(), client);
        }
        teardown
            .take_away(which)
            .await
            .into_iter()
            .map(|(_, fate)| fate)
            .collect()
    }
}

fn theirs() -> Reach {
    Reach {
        kubeconfig: "/nowhere/config".into(),
        context: "theirs".into(),
    }
}

fn object(uid: Option<&str>) -> Made {
    Made::Object(MadeObject {
        cluster: theirs(),
        api_version: "v1".into(),
        object_kind: "Namespace".into(),
        namespace: None,
        name: "n".into(),
        uid: uid.map(Into::into),
    })
}

fn scaled() -> Made {
    let scaled = Scaled {
        namespace: "n".into(),
        name: "d".into(),
        uid: "u".into(),
        replicas: 3,
    };
    scaled.noted(theirs())
}

/// Takes one thing away from a server that knows namespaces, answers the first request for anything else with `code` and
/// `answer`, and that nothing is there from then on. Returns what became of it, what is still noted, and that request.
async fn taken(made: Made, code: u16, answer: Value) -> (Fate, Vec<Made>, Method, Value) {
    let (service, mut server) = mock::pair::<Request<Body>, Response<Body>>();
    let desk = Desk::with(vec![made]);
    let serving = tokio::spawn(async move {
        let mut first = None;
        while let Some((request, send)) = server.next_request().await {
            let (parts, body) = request.into_parts();
            let (code, answer) = match (parts.uri.path(), &first) {
                ("/api/v1", _) => (200, kinds()),
                (_, None) => {
                    let sent = body.collect_bytes().await.unwrap();
                    first = Some((parts.method, serde_json::from_slice::<Value>(&sent).unwrap_or_default()));
                    (code, answer.clone())
                }
                (_, Some(_)) => (404, failure(404)),
            };
            let body = Body::from(answer.to_string().into_bytes());
            send.send_response(Response::builder().status(code).body(body).unwrap());
        }
        first.unwrap()
    });
    let fates = desk
        .take_away(Some(Client::new(service, "default")), Which::Everything)
        .await;
    let (method, sent) = serving.await.unwrap();
    (fates[0].clone(), desk.inventory.made(), method, sent)
}

fn kinds() -> Value {
    json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
        {"name": "namespaces", "singularName": "", "namespaced": false, "kind": "Namespace", "verbs": ["delete"]}]})
}

fn failure(code: u16) -> Value {
    let reason = if code == 404 { "NotFound" } else { "r" };
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "m"})
}

#[tokio::test]
async fn only_the_object_with_the_noted_uid_is_deleted() {
    let gone = json!({"apiVersion": "v1", "kind": "Status", "status": "Success"});
    let (fate, left, method, sent) = taken(object(Some("u-1")), 200, gone).await;
    assert_eq!((fate, left), (Fate::Removed, Vec::new()));
    assert_eq!((method, &sent["preconditions"]["uid"]), (Method::DELETE, &json!("u-1")));
}

#[rstest]
#[case::another_has_its_name(409)]
#[case::gone(404)]
#[tokio::test]
async fn an_object_that_is_not_there_any_more_is_absent_and_struck_out(#[case] code: u16) {
    let (fate, left, ..) = taken(object(Some("u-1")), code, failure(code)).await;
    assert_eq!((fate, left), (Fate::Absent, Vec::new()));
}

#[tokio::test]
async fn an_object_that_may_not_be_deleted_stays_and_says_why() {
    let (fate, left, ..) = taken(object(Some("u-1")), 403, failure(403)).await;
    assert_eq!(fate, Fate::Left("the API server answers 403: m".into()));
    assert_eq!(left, [object(Some("u-1"))]);
}

#[tokio::test]
async fn an_object_that_was_written_down_and_never_made_is_absent() {
    let (fate, _, method, _) = taken(object(None), 404, failure(404)).await;
    assert_eq!((fate, method), (Fate::Absent, Method::GET));
}

#[tokio::test]
async fn an_object_whose_uid_was_never_learned_is_left() {
    let there =
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": "n", "uid": "v"}});
    let (fate, left, method, _) = taken(object(None), 200, there).await;
    assert!(matches!(fate, Fate::Left(why) if why.contains("uid")));
    assert_eq!((left, method), (vec![object(None)], Method::GET));
}

#[rstest]
#[case::there(200, json!({"metadata": {"name": "d"}, "spec": {"selector": {}, "template": {}}}), Some(Fate::PutBack))]
#[case::gone(404, failure(404), Some(Fate::Absent))]
#[case::anothers(409, failure(409), Some(Fate::Absent))]
#[case::forbidden(403, failure(403), None)]
#[tokio::test]
async fn what_was_scaled_is_put_back_if_it_is_the_very_object(
    #[case] code: u16,
    #[case] answer: Value,
    #[case] wanted: Option<Fate>,
) {
    let (fate, left, method, sent) = taken(scaled(), code, answer).await;
    assert_eq!(method, Method::PATCH);
    assert_eq!(sent, json!({"metadata": {"uid": "u"}, "spec": {"replicas": 3}}));
    assert_eq!(left.is_empty(), wanted.is_some());
    match wanted {
        Some(wanted) => assert_eq!(fate, wanted),
        None => assert!(
            matches!(&fate, Fate::Left(why) if why.contains("by hand: kubectl scale deployment d")),
            "{fate:?}"
        ),
    }
}

fn cluster_of_the_run() -> Made {
    Made::KindCluster {
        name: "quickproof-ab12".into(),
        kubeconfig: "/k".into(),
    }
}

/// The same thing in the cluster of the run itself.
fn in_the_runs_own(made: &Made) -> Made {
    let mut made = made.clone();
    if let Made::Object(MadeObject { cluster, .. }) | Made::Scaled { cluster, .. } = &mut made {
        cluster.context = "kind-quickproof-ab12".into();
    }
    made
}

#[rstest]
#[case::an_object(object(Some("u")))]
#[case::what_was_scaled(scaled())]
#[tokio::test]
async fn what_is_in_a_cluster_of_the_run_goes_with_it(#[case] made: Made) {
    let desk = Desk::with(vec![cluster_of_the_run(), in_the_runs_own(&made)]);
    let fates = desk.take_away(None, Which::Everything).await;
    assert_eq!(fates[0], Fate::Absent);
    assert!(
        matches!(&fates[1], Fate::Left(why) if why.contains("kind")),
        "{fates:?}"
    );
    assert_eq!(desk.inventory.made(), [cluster_of_the_run()]);
}

#[tokio::test]
async fn where_the_cluster_of_the_run_is_kept_only_what_was_scaled_is_put_back() {
    let desk = Desk::with(vec![cluster_of_the_run(), in_the_runs_own(&scaled())]);
    let fates = desk.take_away(None, Which::Changes).await;
    assert!(
        matches!(&fates[..], [Fate::Left(_)]),
        "it was tried, and no cluster answers: {fates:?}"
    );
    assert_eq!(desk.inventory.made().len(), 2);
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_is_tried_once_and_said_for_each_thing_in_it() {
    let desk = Desk::with(vec![object(Some("u")), scaled()]);
    let fates = desk.take_away(None, Which::Everything).await;
    let says = |fate: &Fate| matches!(fate, Fate::Left(why) if why.contains("/nowhere/config"));
    assert!(fates.len() == 2 && fates.iter().all(says), "{fates:?}");
}
