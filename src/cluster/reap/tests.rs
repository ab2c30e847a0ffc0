//! Reaping with programs that are not there and an API server that says what the test wants.

use std::path::PathBuf;

use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tower_test::mock;

use super::*;
use crate::cluster::inventory::ProcessName;

struct Desk {
    directory: tempfile::TempDir,
    host: Host,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::with_variables([
            ("XDG_STATE_HOME", directory.path().to_str().unwrap()),
            ("PATH", "/nowhere"),
        ]);
        Self { directory, host }
    }

    fn path(&self, run: &str) -> PathBuf {
        self.directory.path().join(format!("quickproof/runs/{run}.json"))
    }

    /// An inventory as a process that is gone left it.
    fn dead(&self, run: &str, kept: bool, made: Vec<Made>) {
        fs::create_dir_all(self.path(run).parent().unwrap()).unwrap();
        let process = ProcessName {
            started: 0,
            ..ProcessName::own()
        };
        let run = run.to_owned();
        let path = self.path(&run);
        let listing = Listing {
            run,
            process,
            kept,
            made,
        };
        listing.write(&path).unwrap();
    }

    fn file(&self, name: &str) -> Made {
        let path = self.directory.path().join(name);
        fs::write(&path, "x").unwrap();
        Made::File { path }
    }

    fn exists(&self, name: &str) -> bool {
        self.directory.path().join(name).exists()
    }
}

#[tokio::test]
async fn what_a_killed_run_left_is_removed_newest_first_and_its_inventory_with_it() {
    let desk = Desk::new();
    desk.dead("ab12", false, vec![desk.file("one"), desk.file("two")]);
    let reaped = reap(&desk.host, Scope::Dead, &Events::unheard()).await.unwrap();
    assert!(reaped[0].what.ends_with("two") && reaped.iter().all(|reaped| reaped.fate == Fate::Removed));
    assert!(!desk.exists("one") && !desk.exists("two") && !desk.path("ab12").exists());
}

#[tokio::test]
async fn what_a_live_run_made_is_left_alone() {
    let desk = Desk::new();
    let inventory = Inventory::open(&desk.host, "ab12").unwrap();
    inventory.add(desk.file("one")).unwrap();
    assert!(
        reap(&desk.host, Scope::Dead, &Events::unheard())
            .await
            .unwrap()
            .is_empty()
    );
    assert!(desk.exists("one") && desk.path("ab12").exists());
}

#[tokio::test]
async fn what_was_kept_on_purpose_goes_only_with_everything() {
    let desk = Desk::new();
    desk.dead("ab12", true, vec![desk.file("one")]);
    assert!(left(&desk.host, Scope::Dead).unwrap().is_empty());
    assert!(
        reap(&desk.host, Scope::Dead, &Events::unheard())
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(left(&desk.host, Scope::All).unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_removed_stays_in_the_inventory_and_the_rest_goes() {
    let desk = Desk::new();
    let container = Made::Container { name: "c".into() };
    desk.dead("ab12", false, vec![desk.file("one"), container.clone()]);
    // The engine's client is not there.
    let reaped = reap(&desk.host, Scope::Dead, &Events::unheard()).await.unwrap();
    assert!(matches!(&reaped[0].fate, Fate::Left(why) if why.contains("docker")));
    assert!(!desk.exists("one"));
    assert_eq!(Listing::all(&desk.host).unwrap()[0].1.made, [container]);
}

#[tokio::test]
async fn the_end_of_a_run_takes_away_what_it_made() {
    let desk = Desk::new();
    let inventory = Inventory::open(&desk.host, "ab12").unwrap();
    inventory.add(desk.file("one")).unwrap();
    take_away(&desk.host, &inventory, &Events::unheard()).await.unwrap();
    inventory.close().unwrap();
    assert!(!desk.exists("one") && !desk.path("ab12").exists());
}

#[test]
fn what_was_removed_by_hand_is_struck_off() {
    let desk = Desk::new();
    desk.dead("ab12", true, vec![Made::Container { name: "c".into() }]);
    forget(
        &desk.host,
        |made| matches!(made, Made::Container { name } if name == "c"),
    )
    .unwrap();
    assert!(!desk.path("ab12").exists());
}

fn object(uid: Option<&str>) -> Made {
    Made::Object {
        cluster: Reach {
            kubeconfig: None,
            context: "kind-quickproof-ab12".into(),
        },
        api_version: "v1".into(),
        object_kind: "Namespace".into(),
        namespace: None,
        name: "n".into(),
        uid: uid.map(Into::into),
    }
}

#[tokio::test]
async fn an_object_goes_with_its_cluster() {
    let cluster = Made::KindCluster {
        name: "quickproof-ab12".into(),
        kubeconfig: PathBuf::from("/k"),
    };
    assert_eq!(
        remove(&Desk::new().host, &object(Some("u")), &[cluster]).await,
        Fate::Absent
    );
}

/// Takes the object from a server that knows namespaces and answers what is asked of this one so; returns what was asked.
async fn taken(uid: Option<&str>, code: u16, answer: Value) -> (Result<Fate, ClusterError>, Value) {
    let (service, mut server) = mock::pair::<Request<Body>, Response<Body>>();
    let client = Client::new(service, "default");
    let may_delete = uid.is_some();
    let serve = async move {
        loop {
            let (request, send) = server.next_request().await.expect("a request");
            let (parts, body) = request.into_parts();
            let is_last = parts.uri.path() != "/api/v1";
            let (code, answer) = if is_last {
                assert_eq!(parts.method == Method::DELETE, may_delete, "{}", parts.method);
                (code, answer.clone())
            } else {
                (
                    200,
                    json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
                        {"name": "namespaces", "singularName": "", "namespaced": false, "kind": "Namespace", "verbs": ["delete"]}]}),
                )
            };
            send.send_response(
                Response::builder()
                    .status(code)
                    .body(Body::from(answer.to_string().into_bytes()))
                    .unwrap(),
            );
            if is_last {
                let bytes = body.collect_bytes().await.unwrap();
                return serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
            }
        }
    };
    let object = object(uid);
    tokio::join!(take_from(&client, &object, uid), serve)
}

fn failure(code: u16) -> Value {
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": "r", "message": "m"})
}

#[tokio::test]
async fn only_the_object_with_the_noted_uid_is_deleted() {
    let gone = json!({"apiVersion": "v1", "kind": "Status", "status": "Success"});
    let (fate, asked) = taken(Some("u-1"), 200, gone).await;
    assert_eq!(fate.unwrap(), Fate::Removed);
    assert_eq!(asked["preconditions"]["uid"], "u-1");
}

#[tokio::test]
async fn an_object_that_took_its_name_is_left() {
    let (fate, _) = taken(Some("u-1"), 409, failure(409)).await;
    assert!(matches!(fate.unwrap(), Fate::Left(_)));
}

#[tokio::test]
async fn an_object_that_is_gone_is_absent() {
    let (fate, _) = taken(Some("u-1"), 404, failure(404)).await;
    assert_eq!(fate.unwrap(), Fate::Absent);
}

#[tokio::test]
async fn an_object_that_was_written_down_and_never_made_is_absent() {
    let mut absent = failure(404);
    absent["reason"] = "NotFound".into();
    let (fate, _) = taken(None, 404, absent).await;
    assert_eq!(fate.unwrap(), Fate::Absent);
}

#[tokio::test]
async fn an_object_whose_uid_was_never_learned_is_left() {
    let there = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": "n"}});
    let (fate, _) = taken(None, 200, there).await;
    assert!(matches!(fate.unwrap(), Fate::Left(why) if why.contains("uid")));
}

#[rstest::rstest]
#[case::there(200, json!({"metadata": {"name": "d"}, "spec": {"selector": {}, "template": {}}}), Some(Fate::PutBack))]
#[case::gone(404, failure(404), Some(Fate::Absent))]
#[case::anothers(409, failure(409), Some(Fate::Absent))]
#[case::forbidden(403, failure(403), None)]
#[tokio::test]
async fn what_was_scaled_is_put_back_if_it_is_the_very_object(
    #[case] code: u16,
    #[case] answer: Value,
    #[case] fate: Option<Fate>,
) {
    let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
    let scaled = Scaled {
        namespace: "n".into(),
        name: "d".into(),
        uid: "u".into(),
        replicas: 3,
    };
    let serve = async {
        let (request, respond) = handle.next_request().await.unwrap();
        let (parts, body) = request.into_parts();
        respond.send_response(
            Response::builder()
                .status(code)
                .body(Body::from(answer.to_string().into_bytes()))
                .unwrap(),
        );
        assert_eq!(parts.method, Method::PATCH);
        serde_json::from_slice::<Value>(&body.collect_bytes().await.unwrap()).unwrap()
    };
    let client = Client::new(service, "default");
    let (put, sent) = tokio::join!(put_back(&client, &scaled), serve);
    assert_eq!(sent, json!({"metadata": {"uid": "u"}, "spec": {"replicas": 3}}));
    assert_eq!(put.ok(), fate);
}

#[tokio::test]
async fn what_was_scaled_in_a_cluster_of_the_run_goes_with_it() {
    let desk = Desk::new();
    let scaled = Made::Scaled {
        cluster: Reach {
            kubeconfig: None,
            context: "kind-quickproof-ab12".into(),
        },
        namespace: "n".into(),
        name: "d".into(),
        uid: "u".into(),
        replicas: 3,
    };
    let cluster = Made::KindCluster {
        name: "quickproof-ab12".into(),
        kubeconfig: desk.path("ab12"),
    };
    let all = [cluster, scaled.clone()];
    assert_eq!(remove(&desk.host, &scaled, &all).await, Fate::Absent);
    assert!(
        matches!(remove(&desk.host, &scaled, &[]).await, Fate::Left(_)),
        "no cluster answers"
    );
}
