//! Waits against an API server that says what the test wants.

use std::time::Duration;

use axum::body::Body as Said;
use http::{Request, Response};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, client::Body};
use serde_json::{Value, json};
use tower_test::mock;

use super::*;

type Server = mock::Handle<Request<Body>, Response<Said>>;

/// What the server says to one request.
enum Say {
    /// A status code and a body; a watch then ends.
    Answer(u16, Value),
    /// 200, and a body that never ends.
    Silence,
}

const LONG: Duration = Duration::from_secs(20);

fn maps() -> (Api<ConfigMap>, Server) {
    let (service, server) = mock::pair::<Request<Body>, Response<Said>>();
    (Api::namespaced(Client::new(service, "default"), "default"), server)
}

/// Answers requests in order and returns whether each was a watch; then leaves the connection open.
async fn serve(mut server: Server, answers: Vec<Say>) -> Vec<bool> {
    let mut watches = Vec::new();
    for answer in answers {
        let (request, send) = server.next_request().await.expect("a request");
        watches.push(request.uri().query().unwrap_or_default().contains("watch=true"));
        let (code, body) = match answer {
            Say::Answer(code, body) => (code, Said::from(format!("{body}\n").into_bytes())),
            Say::Silence => {
                let never = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
                (200, Said::from_stream(never))
            }
        };
        send.send_response(Response::builder().status(code).body(body).unwrap());
    }
    // Later requests are neither answered nor refused: the server hangs.
    futures::future::pending::<()>().await;
    watches
}

fn map(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
           "metadata": {"name": "a", "namespace": "default", "resourceVersion": "7"}, "data": {"is": value}})
}

fn listed(items: &[Value]) -> Say {
    let list =
        json!({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "6"}, "items": items});
    Say::Answer(200, list)
}

fn event(kind: &str, object: &Value) -> Say {
    Say::Answer(200, json!({"type": kind, "object": object}))
}

fn status(code: u16, reason: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": code, "reason": reason, "message": "m"})
}

fn refuse(code: u16) -> Say {
    Say::Answer(code, status(code, "Reason"))
}

fn says_done(object: Option<&ConfigMap>) -> Progress<(), kube::Error> {
    let says = object.and_then(|map| map.data.as_ref()?.get("is").cloned());
    match says.as_deref() {
        Some("done") => Progress::Ready(()),
        Some(other) => Progress::NotYet(other.to_owned()),
        None => Progress::NotYet("absent".to_owned()),
    }
}

type Waited = Result<(), WaitError<kube::Error>>;

async fn waited(answers: Vec<Say>, limit: Duration) -> (Waited, Vec<String>) {
    let (api, server) = maps();
    let mut seen = Vec::new();
    let note = |state: &str| seen.push(state.to_owned());
    let result = tokio::select! {
        _ = serve(server, answers) => unreachable!("the server never ends"),
        result = until_object(api, "a", limit, says_done, note) => result,
    };
    (result, seen)
}

#[tokio::test(start_paused = true)]
async fn what_is_ready_already_is_seen_in_the_first_answer() {
    let (result, seen) = waited(vec![listed(&[map("done")])], LONG).await;
    assert!(result.is_ok() && seen.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_absent_object_is_heard_of_when_it_comes() {
    let (result, seen) = waited(vec![listed(&[]), event("ADDED", &map("done"))], LONG).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(seen, ["absent"]);
}

#[tokio::test(start_paused = true)]
async fn each_new_state_is_told_once() {
    let answers = vec![
        listed(&[map("b")]),
        event("MODIFIED", &map("b")),
        event("MODIFIED", &map("done")),
    ];
    let (result, seen) = waited(answers, LONG).await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(seen, ["b"]);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_passes_does_not_end_the_wait() {
    let (result, _) = waited(vec![refuse(500), refuse(503), listed(&[map("done")])], LONG).await;
    assert!(result.is_ok(), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_too_old_begins_anew() {
    let expired = event("ERROR", &status(410, "Expired"));
    let (result, _) = waited(vec![listed(&[map("b")]), expired, listed(&[map("done")])], LONG).await;
    assert!(result.is_ok(), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn never_ready_ends_at_the_limit_with_what_was_last_seen() {
    let (result, _) = waited(vec![listed(&[map("half")]), Say::Silence], Duration::from_millis(50)).await;
    assert!(matches!(result, Err(WaitError::TimedOut { seen, .. }) if seen == "half"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_ends_at_the_limit() {
    let (result, _) = waited(Vec::new(), Duration::from_millis(50)).await;
    assert!(matches!(result, Err(WaitError::ApiServerAway { trouble }) if trouble.to_string().contains("silent")));
}

#[tokio::test(start_paused = true)]
async fn a_server_in_trouble_is_named_at_the_limit() {
    let troubles = (0..4).map(|_| refuse(500)).collect();
    let (result, _) = waited(troubles, Duration::from_millis(200)).await;
    assert!(matches!(result, Err(WaitError::ApiServerAway { trouble }) if trouble.to_string().contains("500")));
}

#[tokio::test(start_paused = true)]
async fn being_forbidden_to_look_is_an_error() {
    let (result, _) = waited(vec![refuse(403)], LONG).await;
    assert!(matches!(result, Err(WaitError::Never(kube::Error::Api(status))) if status.code == 403));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_goes_on_from_where_it_was() {
    let (api, server) = maps();
    let answers = vec![listed(&[map("b")]), event("MODIFIED", &map("c")), Say::Silence];
    let (answered, _) = tokio::join!(
        tokio::time::timeout(Duration::from_millis(50), serve(server, answers)),
        until_object(api, "a", Duration::from_millis(100), says_done, |_| ()),
    );
    assert!(answered.is_err(), "the list was asked for once, then only watches");
}
