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
        marked: None,
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

/// The same in the name of a run, and with no answer to its making.
fn asked_for() -> Made {
    let Made::Object(object) = object(None) else {
        unreachable!()
    };
    Made::Object(MadeObject {
        marked: Some("ab12".into()),
        ..object
    })
}

/// Takes one thing away from a server whose namespace `n` is what `answer` says to a method and the number of that request
/// with it, from 1 on. Returns what became of it, what is still noted, and the methods.
async fn taken_from(
    made: Made,
    answer: impl Fn(&Method, usize) -> (u16, Value) + Send + 'static,
) -> (Fate, Vec<Made>, Vec<Method>) {
    let (service, mut server) = mock::pair::<Request<Body>, Response<Body>>();
    let desk = Desk::with(vec![made]);
    let serving = tokio::spawn(async move {
        let mut methods = Vec::new();
        while let Some((request, send)) = server.next_request().await {
            let (code, answer) = if request.uri().path() == "/api/v1" {
                (200, kinds())
            } else {
                methods.push(request.method().clone());
                let number = methods.iter().filter(|method| *method == request.method()).count();
                answer(request.method(), number)
            };
            let body = match answer {
                Value::String(page) => page,
                answer => answer.to_string(),
            };
            let body = Body::from(body.into_bytes());
            send.send_response(Response::builder().status(code).body(body).unwrap());
        }
        methods
    });
    let client = Client::new(service, "default");
    let fate = desk.take_away(Some(client), Which::Everything).await.remove(0);
    (fate, desk.inventory.made(), serving.await.unwrap())
}

/// A namespace that bears the label of a run, and what the API server's books say of it.
fn labelled(run: &str, books: &Value) -> Value {
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {
        "name": "n", "uid": "u-1", "labels": {mark::RUN_LABEL: run}, "managedFields": books}})
}

fn deleted() -> Value {
    json!({"apiVersion": "v1", "kind": "Status", "status": "Success"})
}

#[tokio::test(start_paused = true)]
async fn what_was_made_and_never_answered_is_found_by_its_mark_and_deleted_by_its_uid() {
    let (fate, left, methods) = taken_from(asked_for(), |method, number| match (method.as_str(), number) {
        ("GET", 1) => (200, labelled("ab12", &json!([]))),
        ("DELETE", _) => (200, deleted()),
        _ => (404, failure(404)),
    })
    .await;
    assert_eq!((fate, left), (Fate::Removed, Vec::new()));
    assert_eq!(methods, [Method::GET, Method::DELETE, Method::GET]);
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_and_comes_after_the_first_look_is_found_by_the_second() {
    let began = Instant::now();
    let (fate, left, methods) = taken_from(asked_for(), |method, number| match (method.as_str(), number) {
        ("GET", 2) => (200, labelled("ab12", &json!([]))),
        ("DELETE", _) => (200, deleted()),
        _ => (404, failure(404)),
    })
    .await;
    assert_eq!((fate, left), (Fate::Removed, Vec::new()));
    assert_eq!(methods, [Method::GET, Method::GET, Method::DELETE, Method::GET]);
    assert_eq!(began.elapsed().as_secs(), LOOK_AGAIN_AFTER.as_secs());
}

#[rstest]
#[case::of_nobodys_run(json!({"metadata": {"name": "n", "uid": "u-1"}}))]
#[case::of_another_run(labelled("cd34", &json!([])))]
#[tokio::test(start_paused = true)]
async fn an_object_that_this_run_has_not_reached_is_somebody_elses(#[case] there: Value) {
    let (fate, left, methods) = taken_from(asked_for(), move |_, _| (200, there.clone())).await;
    assert_eq!((fate, left), (Fate::Absent, Vec::new()));
    assert!(methods.iter().all(|method| method == Method::GET), "{methods:?}");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_somebody_made_at_the_same_moment_is_left_without_advice_to_delete_it() {
    let books = json!([{"manager": "kubectl-create", "operation": "Update", "fieldsV1": {"f:spec": {}}},
        {"manager": mark::FIELD_MANAGER, "operation": "Apply"}]);
    let there = labelled("ab12", &books);
    let (fate, left, methods) = taken_from(asked_for(), move |_, _| (200, there.clone())).await;
    assert!(
        matches!(&fate, Fate::Left(why) if why.contains("somebody else") && !why.contains("kubectl delete")),
        "{fate:?}"
    );
    assert_eq!((left, methods), (vec![asked_for()], vec![Method::GET]));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_says_404_is_not_believed() {
    let page = |_: &Method, _| (404, json!("<html>404 page not found</html>"));
    for made in [asked_for(), object(Some("u-1"))] {
        let (fate, left, _) = taken_from(made.clone(), page).await;
        assert!(
            matches!(&fate, Fate::Left(why) if why.contains("kubectl delete namespace n")),
            "{fate:?}"
        );
        assert_eq!(left, [made]);
    }
}

#[rstest]
#[case::in_trouble(500)]
#[case::a_login(401)]
#[tokio::test(start_paused = true)]
async fn what_is_gone_is_gone_whatever_was_answered_to_its_deletion(#[case] code: u16) {
    let (fate, left, _) = taken_from(object(Some("u-1")), move |method, _| match method.as_str() {
        "DELETE" => (code, failure(code)),
        _ => (404, failure(404)),
    })
    .await;
    assert_eq!((fate, left), (Fate::Removed, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_its_finalizers_is_left_and_names_them() {
    let there = json!({"metadata": {"name": "n", "uid": "u-1", "finalizers": ["example.com/a", "example.com/b"]}});
    let (fate, left, _) = taken_from(object(Some("u-1")), move |method, _| match method.as_str() {
        "DELETE" => (200, deleted()),
        _ => (200, there.clone()),
    })
    .await;
    assert!(
        matches!(&fate, Fate::Left(why) if why.contains("finalizers: example.com/a, example.com/b; by hand: kubectl")),
        "{fate:?}"
    );
    assert_eq!(left.len(), 1);
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
async fn an_object_that_may_not_be_deleted_stays_and_says_why_and_what_to_type() {
    let there = json!({"metadata": {"name": "n", "uid": "u-1"}});
    let (fate, left, _) = taken_from(object(Some("u-1")), move |method, _| match method.as_str() {
        "DELETE" => (403, failure(403)),
        _ => (200, there.clone()),
    })
    .await;
    let by_hand = "kubectl delete namespace n --context theirs --kubeconfig /nowhere/config";
    assert_eq!(
        fate,
        Fate::Left(format!("the API server answers 403: m; by hand: {by_hand}"))
    );
    assert_eq!(left, [object(Some("u-1"))]);
}

#[tokio::test(start_paused = true)]
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
