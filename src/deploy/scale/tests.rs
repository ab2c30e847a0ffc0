//! Scaling against a small API server of the test: one Deployment, its pods, and a controller that does its work at once, or
//! not at all.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::{
    cluster::{
        inventory::{Inventories, Inventory, MadeObject, Reach},
        teardown::{Fate, Teardown, Which},
        watching::{Namespaces, Watches},
    },
    deploy::{Ownership, Site},
    host::Host,
    record::Events,
};

/// What the controller does about a number of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Controller {
    Works,
    /// It takes pods away and brings none.
    BringsNothing,
}

/// The body of an answer: whole, or as long as the client listens.
type Said = UnsyncBoxBody<Bytes, Infallible>;

/// An API server that knows the Deployment `n/d` with the uid `u`.
#[derive(Clone)]
struct ApiServer {
    host: Host,
    controller: Controller,
    state: Arc<Mutex<State>>,
    bell: watch::Sender<usize>,
}

struct State {
    generation: i64,
    asked: i64,
    pods: i64,
    /// The Deployment's uid; another one has taken its name where it is not `u`.
    uid: &'static str,
    /// For each patch the replicas that were asked for, and whether the inventory knew of it by then.
    patches: Vec<(i64, bool)>,
    /// What became of pods and Deployment, each with its plural; how many there are is the resourceVersion.
    news: Vec<(&'static str, Value)>,
}

impl State {
    fn deployment(&self) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "d", "namespace": "n", "uid": self.uid, "generation": self.generation,
                "resourceVersion": self.news.len().to_string()},
            "spec": {"replicas": self.asked, "selector": {"matchLabels": {"app": "d"}}, "template": {}},
            "status": {"observedGeneration": self.generation, "readyReplicas": self.pods},
        })
    }

    fn pod(&self, number: i64) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("d-{number}"), "namespace": "n", "labels": {"app": "d"},
                "resourceVersion": self.news.len().to_string()},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        })
    }

    fn tell(&mut self, what: &'static str, kind: &str, object: &Value) {
        self.news.push((what, json!({"type": kind, "object": object})));
    }
}

impl ApiServer {
    fn new(host: &Host, controller: Controller) -> Self {
        let state = State {
            generation: 1,
            asked: 3,
            pods: 3,
            uid: "u",
            patches: Vec::new(),
            news: Vec::new(),
        };
        Self {
            host: host.clone(),
            controller,
            state: Arc::new(Mutex::new(state)),
            bell: watch::Sender::new(0),
        }
    }

    fn state<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn patched(&self, patch: &Value) -> Result<Value, u16> {
        let wanted = patch["spec"]["replicas"].as_i64().unwrap();
        let is_noted = |made: &Made| matches!(made, Made::Scaled { .. });
        let noted = noted(&self.host).iter().any(is_noted);
        let stored = self.state(|state| {
            state.patches.push((wanted, noted));
            if patch["metadata"]["uid"] != state.uid {
                return Err(409);
            }
            let before = state.pods;
            state.generation += 1;
            state.asked = wanted;
            if self.controller == Controller::Works || wanted < before {
                state.pods = wanted;
            }
            for number in state.pods..before {
                state.tell("pods", "DELETED", &state.pod(number));
            }
            for number in before..state.pods {
                state.tell("pods", "ADDED", &state.pod(number));
            }
            state.tell("deployments", "MODIFIED", &state.deployment());
            Ok(state.deployment())
        });
        self.bell.send_modify(|rings| *rings += 1);
        stored
    }

    /// The news of a kind from a resourceVersion on, a line each, for as long as the client listens.
    fn watched(&self, what: &str, from: usize) -> Said {
        let (what, server, bell) = (what.to_owned(), self.clone(), self.bell.subscribe());
        let lines = futures::stream::unfold((from, bell), move |(mut next, mut bell)| {
            let (what, server) = (what.clone(), server.clone());
            async move {
                loop {
                    bell.borrow_and_update();
                    match server.state(|state| state.news.get(next).cloned()) {
                        None => bell.changed().await.ok()?,
                        Some((of, event)) => {
                            next += 1;
                            if of == what {
                                let line = Bytes::from(format!("{event}\n"));
                                return Some((Ok::<_, Infallible>(Frame::data(line)), (next, bell)));
                            }
                        }
                    }
                }
            }
        });
        StreamBody::new(lines).boxed_unsync()
    }

    fn listed(&self, what: &str) -> Value {
        self.state(|state| {
            let items: Vec<Value> = match what {
                "deployments" => vec![state.deployment()],
                "pods" => (0..state.pods).map(|number| state.pod(number)).collect(),
                _ => Vec::new(),
            };
            json!({"metadata": {"resourceVersion": state.news.len().to_string()}, "items": items})
        })
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Said>, Infallible> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        let json = |code: u16, value: &Value| {
            let body = Full::new(Bytes::from(value.to_string()));
            Response::builder().status(code).body(body.boxed_unsync()).unwrap()
        };
        Ok(if parts.method == Method::PATCH {
            let asked = serde_json::from_slice(&body.collect_bytes().await.unwrap()).unwrap();
            match self.patched(&asked) {
                Ok(stored) => json(200, &stored),
                Err(code) => json(
                    code,
                    &json!({"kind": "Status", "status": "Failure", "code": code, "reason": "x", "message": "no"}),
                ),
            }
        } else if last == "version" {
            let keys = [
                "major",
                "minor",
                "gitVersion",
                "gitCommit",
                "gitTreeState",
                "buildDate",
                "goVersion",
                "compiler",
                "platform",
            ];
            let version: BTreeMap<&str, &str> = keys.map(|key| (key, "1")).into();
            json(200, &json!(version))
        } else if query.contains("watch=true") {
            let from = query.split('&').find_map(|part| part.strip_prefix("resourceVersion="));
            Response::new(self.watched(last, from.and_then(|from| from.parse().ok()).unwrap_or_default()))
        } else {
            json(200, &self.listed(last))
        })
    }
}

/// What the inventory on disk holds.
fn noted(host: &Host) -> Vec<Made> {
    let listings = Inventories::all(host).unwrap().readable;
    listings.into_iter().flat_map(|(_, listing)| listing.made).collect()
}

struct Desk {
    server: ApiServer,
    deployer: Deployer,
    host: Host,
    _directory: tempfile::TempDir,
}

impl Desk {
    /// What becomes of what is noted when the run ends here.
    async fn torn_down(&self) -> Vec<Fate> {
        let Site {
            inventory,
            events,
            client,
            reach,
            ..
        } = &self.deployer.site;
        let teardown = Teardown::new(&self.host, inventory, events).connected(reach.clone(), client.clone());
        let taken = teardown.take_away(Which::Everything).await;
        taken.into_iter().map(|(_, fate)| fate).collect()
    }
}

fn desk(controller: Controller) -> Desk {
    let directory = tempfile::tempdir().unwrap();
    let host = Host::with_variables([("XDG_STATE_HOME", directory.path().to_str().unwrap())]);
    let server = ApiServer::new(&host, controller);
    let serving = server.clone();
    let service = tower::service_fn(move |request| serving.clone().answer(request));
    let client = kube::Client::new(service, "n");
    let deployer = Deployer::new(Site {
        host: host.clone(),
        client: client.clone(),
        namespace: "n".into(),
        ownership: Ownership::Shared,
        run: "ab12".into(),
        watches: Arc::new(Watches::start(&client, Namespaces::Only("n".into()))),
        events: Events::unheard(),
        inventory: Inventory::open(&host, "ab12").unwrap(),
        reach: theirs(),
        programs: BTreeMap::new(),
        step_limit: Duration::from_secs(5),
        scratch: Path::new("/nowhere").to_owned(),
    });
    Desk {
        server,
        deployer,
        host,
        _directory: directory,
    }
}

fn theirs() -> Reach {
    Reach {
        kubeconfig: "/nowhere".into(),
        context: "theirs".into(),
    }
}

fn scaled() -> Scaled {
    Scaled {
        namespace: "n".into(),
        name: "d".into(),
        uid: "u".into(),
        replicas: 3,
    }
}

#[tokio::test]
async fn what_is_scaled_is_written_down_before_awaited_and_struck_out_when_it_is_back() {
    let desk = desk(Controller::Works);
    desk.deployer.scale(&scaled(), 0).await.unwrap();
    assert!(desk.deployer.site.watches.pods.all().is_empty(), "its pods are gone");
    assert_eq!(noted(&desk.host).len(), 1);
    desk.deployer.scale_back(&scaled()).await.unwrap();
    assert_eq!(desk.deployer.site.watches.pods.all().len(), 3);
    assert_eq!(noted(&desk.host), []);
    assert_eq!(desk.server.state(|state| state.patches.clone()), [(0, true), (3, true)]);
}

#[tokio::test]
async fn what_does_not_come_back_is_told_with_the_way_out_and_stays_written_down() {
    let mut desk = desk(Controller::BringsNothing);
    desk.deployer.scale(&scaled(), 0).await.unwrap();
    desk.deployer.site.step_limit = Duration::from_millis(50);
    let cause = desk.deployer.scale_back(&scaled()).await.unwrap_err();
    assert_eq!(cause.code, CauseCode::ChangeNotTakenBack);
    assert!(!cause.blame().is_product());
    let [seen, way_out] = cause.evidence.as_slice() else {
        panic!("{cause:?}");
    };
    assert!(seen.contains("0 pods are there, 0 Ready, of 3"), "{seen}");
    assert!(
        way_out.contains("kubectl scale deployment d --namespace n --replicas 3"),
        "{way_out}"
    );
    assert_eq!(noted(&desk.host).len(), 1);
}

#[rstest]
#[case::scaling(0)]
#[case::back(3)]
#[tokio::test]
async fn an_object_that_took_its_name_is_not_scaled(#[case] to: i32) {
    let desk = desk(Controller::Works);
    desk.server.state(|state| state.uid = "v");
    let result = if to == 0 {
        desk.deployer.scale(&scaled(), 0).await
    } else {
        desk.deployer.scale_back(&scaled()).await
    };
    let cause = result.unwrap_err();
    assert!(
        cause.evidence[0].contains("another one has taken its name"),
        "{cause:?}"
    );
    assert_eq!(desk.server.state(|state| state.asked), 3, "it was left as it was");
    // What is gone need not be put back.
    let put_back = desk.torn_down().await;
    assert!(put_back.iter().all(|fate| *fate == Fate::Absent), "{put_back:?}");
    assert_eq!(noted(&desk.host), []);
}

#[tokio::test]
async fn at_the_end_of_a_run_it_is_asked_back_without_waiting() {
    let desk = desk(Controller::BringsNothing);
    desk.deployer.scale(&scaled(), 0).await.unwrap();
    assert_eq!(desk.torn_down().await, [Fate::PutBack]);
    assert_eq!(desk.server.state(|state| (state.asked, state.pods)), (3, 0));
    assert_eq!(noted(&desk.host), []);
}

#[rstest]
#[case::of_ours("epp", "n", true)]
#[case::of_another_release("other", "n", false)]
#[case::of_another_namespace("epp", "m", false)]
fn what_a_chart_of_the_run_made_is_ours(#[case] release: &str, #[case] namespace: &str, #[case] ours: bool) {
    let made = [Made::HelmRelease(HelmRelease {
        cluster: theirs(),
        program: "helm".into(),
        namespace: "n".into(),
        name: "epp".into(),
        uid: None,
    })];
    let deployment = |annotations: Value| -> Deployment {
        let metadata = json!({"name": "d", "annotations": annotations});
        serde_json::from_value(json!({"metadata": metadata, "spec": {"selector": {}, "template": {}}})).unwrap()
    };
    let noted = json!({(HELM_RELEASE[0]): release, (HELM_RELEASE[1]): namespace});
    assert_eq!(is_of_a_chart(&deployment(noted), &made), ours);
    assert!(!is_of_a_chart(&deployment(json!({})), &made));
}

#[tokio::test]
async fn in_somebody_elses_cluster_only_what_the_run_made_may_be_changed() {
    let desk = desk(Controller::Works);
    let theirs_of_that_name: Deployment =
        serde_json::from_value(desk.server.state(|state| state.deployment())).unwrap();
    assert!(!desk.deployer.may_change(&theirs_of_that_name));
    let made = |uid: &str| {
        Made::Object(MadeObject {
            cluster: theirs(),
            api_version: "apps/v1".into(),
            object_kind: "Deployment".into(),
            namespace: Some("n".into()),
            name: "d".into(),
            marked: None,
            uid: Some(uid.into()),
        })
    };
    desk.deployer.site.inventory.add(made("v")).unwrap();
    assert!(!desk.deployer.may_change(&theirs_of_that_name));
    desk.deployer.site.inventory.add(made("u")).unwrap();
    assert!(desk.deployer.may_change(&theirs_of_that_name));
}

#[rstest]
#[case::refused(Trouble::Refused { code: 403, message: "no".into() }, CauseCode::ObjectForbidden)]
#[case::away(
    Trouble::away(CauseCode::ApiServerAway, "connection refused"),
    CauseCode::ApiServerAway
)]
fn that_nothing_can_be_scaled_is_never_the_releases_fault(#[case] trouble: Trouble, #[case] code: CauseCode) {
    let cause = unscaled("Deployment n/d", trouble);
    assert_eq!(cause.code, code);
    assert!(!cause.blame().is_product());
}
