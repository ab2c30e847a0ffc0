//! Calls that would not end.

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::ListParams, core::WatchEvent};
use rstest::rstest;
use tower::service_fn;

use super::*;
use crate::{
    api_server::{ApiServer, Body as Said, Mood, On, Says, Verb},
    cluster::resources::{Trouble, persistently, trouble},
    host::Host,
    verdict::CauseCode,
};

/// A client of this server, in virtual time.
fn client_of(server: &ApiServer) -> Client {
    let network = Host::with_variables([])
        .on_network(server.dialled())
        .network()
        .cloned()
        .unwrap();
    let service = service_fn(move |request| network.clone().send(request));
    client(ClientBuilder::new(service, "default"), &Events::unheard())
}

fn moody(on: On, says: Says) -> Client {
    client_of(&ApiServer::new().in_mood(Mood::new(on, says)))
}

fn code_of(error: &kube::Error) -> CauseCode {
    match trouble(error) {
        Trouble::Away { cause, .. } => cause,
        refused @ Trouble::Refused { .. } => panic!("{refused:?}"),
    }
}

#[rstest]
#[case::silent(Says::Silence, CauseCode::ApiServerAway, 30)]
#[case::a_byte_a_second(Says::Answer(200, Said::Drip), CauseCode::ApiServerAway, 30)]
#[case::endless(Says::Answer(200, Said::Endless), CauseCode::ApiAnswerTooLong, 0)]
#[case::endless_error(Says::Answer(503, Said::Endless), CauseCode::ApiAnswerTooLong, 0)]
#[case::too_long(Says::Answer(200, Said::Large(17 << 20)), CauseCode::ApiAnswerTooLong, 0)]
#[case::crowded(Says::Answer(200, Said::Crowded(100_000)), CauseCode::ApiAnswerTooLong, 0)]
#[case::html(Says::Answer(200, Said::Html), CauseCode::NotTheApiServer, 0)]
#[case::closed(Says::Closed, CauseCode::ApiServerAway, 0)]
#[tokio::test(start_paused = true)]
async fn a_call_ends_and_says_what_came(#[case] says: Says, #[case] cause: CauseCode, #[case] seconds: u64) {
    let began = Instant::now();
    let error = moody(On::Everything, says).apiserver_version().await.unwrap_err();
    assert_eq!(
        (code_of(&error), began.elapsed().as_secs()),
        (cause, seconds),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_good_time_comes_through() {
    let client = client_of(&ApiServer::new());
    assert_eq!(client.apiserver_version().await.unwrap().git_version, "v1.34.0");
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    assert!(maps.list(&ListParams::default()).await.unwrap().items.is_empty());
    assert!(maps.get_opt("none").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_is_asked_for_is_kept_up_to_the_limit() {
    let busy = Says::With(503, Said::Status("ServiceUnavailable"), "retry-after", "5");
    let server = ApiServer::new().in_mood(Mood::new(On::Everything, busy));
    let (client, began) = (client_of(&server), Instant::now());
    let asked = persistently(Duration::from_secs(12), || client.apiserver_version()).await;
    let trouble = asked.unwrap_err().to_string();
    assert!(trouble.contains("a pause of 5 s"), "{trouble}");
    assert_eq!((server.asked().len(), began.elapsed().as_secs()), (3, 10));
}

/// What a watch says until it ends, and how it ends.
async fn watched(says: Says) -> (usize, Option<String>, Duration) {
    let client = moody(On::Verb(Verb::Watch), says);
    let watch = http::Request::get("/api/v1/namespaces/default/configmaps?watch=true&timeoutSeconds=60");
    let events = client
        .request_events::<ConfigMap>(watch.body(Vec::new()).unwrap())
        .await;
    let began = Instant::now();
    let mut events = std::pin::pin!(events.unwrap());
    let mut heard = 0;
    let ended = loop {
        match events.try_next().await {
            Ok(Some(WatchEvent::<ConfigMap>::Added(_))) => heard += 1,
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error.to_string()),
        }
    };
    (heard, ended, began.elapsed())
}

#[rstest]
#[case::that_ends_at_once(Says::Answer(200, Said::Empty), "as soon as it has begun", 0)]
#[case::without_an_end_of_a_line(Says::Answer(200, Said::Endless), "more than 4 MiB", 0)]
#[case::of_very_many_objects(Says::Answer(200, Said::Crowded(100_000)), "more than 100000 objects", 0)]
#[case::whose_event_does_not_come_to_its_end(Says::Answer(200, Said::Drip), "within 10 s", 10)]
#[case::that_is_cut_at_once(Says::Answer(200, Said::Cut), "as soon as it has begun", 0)]
#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_an_error(#[case] says: Says, #[case] why: &str, #[case] seconds: u64) {
    let (heard, ended, took) = watched(says).await;
    assert!(ended.as_ref().is_some_and(|ended| ended.contains(why)), "{ended:?}");
    assert_eq!((heard, took.as_secs()), (0, seconds));
}
