//! Whole runs against an API server in every mood, in virtual time: whatever it does, the release is not blamed for it, the
//! run ends in time, and what stays in its cluster is said.

use std::{fs, sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::*;
use crate::{
    api_server::{
        ApiServer, Asked, Body, EVERYTHING, Mood, On, Says, Verb, directory_in_memory, kubeconfig, write_release,
    },
    cluster::ExistingCluster,
    images::ImageSource,
    plan::Options,
    record::RunRecord,
    release::{Access, Source},
    scenario::Selection,
    verdict::{CauseCode, ExitCode, Finding},
};

/// `--timeout` of these runs.
const LIMIT: Duration = Duration::from_secs(20);

/// How a run ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: ExitCode,
    /// The causes of what is broken, in order.
    pub(super) causes: Vec<CauseCode>,
    /// In virtual time.
    pub(super) took: Duration,
    /// What the server has now and the report does not name.
    unsaid: Vec<String>,
    pub(super) record: RunRecord,
}

struct Silent;

impl Reporter for Silent {
    fn on_event(&mut self, _: &Event) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a guide asks an API server for: everything that guides ask for.
const COMMANDS: &str = "
kubectl apply -f m/definitions.yaml
kubectl get crds | grep things.example.io
kubectl apply -f m/objects.yaml
kubectl wait --for=condition=Available deployment/server
kubectl label configmap settings tier=gate
kubectl patch configmap settings --type merge -p '{\"data\": {\"a\": \"c\"}}'
kubectl rollout restart deployment/server
kubectl rollout status deployment/server
kubectl get pods
kubectl delete configmap passing
";

/// Carries a release with all that guides ask for out on this server.
async fn carried_out(server: ApiServer) -> Ended {
    carried_out_as(server, COMMANDS, &EVERYTHING).await
}

/// Carries a release whose guide has these commands, with these files, out in the namespace `quickstart` of this server.
pub(super) async fn carried_out_as(server: ApiServer, commands: &str, files: &[(&str, &str)]) -> Ended {
    let desk = directory_in_memory();
    let at = |name: &str| desk.path().join(name);
    write_release(&at("tree"), commands, files);
    fs::write(at("config"), kubeconfig("http://in-memory.test")).unwrap();
    let state = at("state").to_str().unwrap().to_owned();
    let host =
        Host::with_variables([("XDG_STATE_HOME", &state), ("XDG_CACHE_HOME", &state)]).on_network(server.dialled());
    let order = Order {
        source: Source::Directory {
            directory: at("tree"),
            tag: Some("v1.5.0".parse().unwrap()),
            repository: None,
        },
        options: Options {
            variant: "sim".into(),
            provider: "gke".into(),
            namespace: Some("quickstart".into()),
            ..Options::default()
        },
        access: Access::Offline,
        images: ImageSource::Pull,
        cluster: Some(ExistingCluster::Named("theirs".into())),
        kubeconfig: Some(at("config")),
        keep: Keep::No,
        strictness: Strictness::Ledger,
        limit: LIMIT,
        requests: 1,
        scenarios: Selection::default(),
        command: "quickproof verify".into(),
    };
    let run = Run::prepare(host, order).await.unwrap();
    let outputs = Outputs::open(&at("runs"), run.id(), crate::report::Copies::default()).unwrap();
    let began = Instant::now();
    let record = Box::pin(run.carry_out(outputs, Box::new(Silent))).await.unwrap();
    let took = began.elapsed();
    let causes = record.decisions.iter().filter_map(|decision| match &decision.finding {
        Finding::Broken(fault) => Some(fault.cause.code),
        _ => None,
    });
    // Pods are their Deployment's; the rest was there before.
    let is_ours =
        |title: &String| !title.starts_with("Pod ") && !["Namespace default", "Node node"].contains(&title.as_str());
    let said = record.left_behind.join("\n");
    Ended {
        code: record.exit_code(),
        causes: causes.collect(),
        took,
        unsaid: server
            .objects()
            .into_iter()
            .filter(|title| is_ours(title) && !said.contains(title.as_str()))
            .collect(),
        record,
    }
}

/// Carries the release out against each of these servers, on every processor; in their order.
fn all_carried_out(servers: Vec<ApiServer>) -> Vec<Ended> {
    let (count, work) = (servers.len(), Mutex::new(servers.into_iter().enumerate()));
    let ended = Mutex::new((0..count).map(|_| None).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = work.lock().unwrap().next();
                    let Some((index, server)) = next else { return };
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .start_paused(true)
                        .build()
                        .unwrap();
                    let one = runtime.block_on(carried_out(server));
                    ended.lock().unwrap()[index] = Some(one);
                }
            });
        }
    });
    ended.into_inner().unwrap().into_iter().map(Option::unwrap).collect()
}

/// What stands in the way of every call that meets it, and is never the release's fault.
fn troubles() -> Vec<(&'static str, Says)> {
    let answer = Says::Answer;
    vec![
        ("200 html", answer(200, Body::Html)),
        ("200 empty", answer(200, Body::Empty)),
        ("200 {}", answer(200, Body::Json("{}"))),
        ("200 []", answer(200, Body::Json("[]"))),
        ("200 cut", answer(200, Body::Cut)),
        ("200 half", answer(200, Body::Half)),
        ("200 another kind", answer(200, Body::OtherKind)),
        ("200 Status", answer(200, Body::Status(""))),
        ("200 text", answer(200, Body::Text("text/plain", "ok"))),
        ("204", answer(204, Body::Empty)),
        ("302 html", answer(302, Body::Html)),
        ("400 html", answer(400, Body::Html)),
        ("401 html", answer(401, Body::Html)),
        ("403 html", answer(403, Body::Html)),
        ("404 html", answer(404, Body::Html)),
        (
            "404 text",
            answer(404, Body::Text("text/plain", "404 page not found\n")),
        ),
        ("405 Status", answer(405, Body::Status("MethodNotAllowed"))),
        ("406 Status", answer(406, Body::Status("NotAcceptable"))),
        ("408 empty", answer(408, Body::Empty)),
        ("410 Status", answer(410, Body::Status("Expired"))),
        ("415 Status", answer(415, Body::Status("UnsupportedMediaType"))),
        ("418 text", answer(418, Body::Text("text/plain", "teapot"))),
        ("422 html", answer(422, Body::Html)),
        ("429 Status", answer(429, Body::Status("TooManyRequests"))),
        (
            "429, wait for days",
            Says::With(429, Body::Status("TooManyRequests"), "retry-after", "999999"),
        ),
        ("500 Status", answer(500, Body::Status("InternalError"))),
        ("500 empty", answer(500, Body::Empty)),
        ("502 html", answer(502, Body::Html)),
        ("503 Status", answer(503, Body::Status("ServiceUnavailable"))),
        ("503, wait a second", Says::With(503, Body::Html, "retry-after", "1")),
        ("504 html", answer(504, Body::Html)),
        ("closed", Says::Closed),
        ("silent", Says::Silence),
        ("endless", answer(200, Body::Endless)),
        ("endless 500", answer(500, Body::Endless)),
        ("a byte a second", answer(200, Body::Drip)),
        ("60 MB", answer(200, Body::Large(60_000_000))),
    ]
}

/// Where they are met.
const PLACES: [On; 11] = [
    On::Everything,
    On::Objects,
    On::Verb(Verb::Version),
    On::Verb(Verb::Discovery),
    On::Verb(Verb::Get),
    On::Verb(Verb::List),
    On::Verb(Verb::Watch),
    On::Verb(Verb::Apply),
    On::Of(Verb::Apply, "configmaps"),
    On::Verb(Verb::Patch),
    On::Verb(Verb::Delete),
];

/// The server in one of these moods, and what to call it.
fn moody(what: &str, mood: Mood) -> (String, ApiServer) {
    let name = format!("{what} @ {:?}", mood.on);
    (name, ApiServer::new().in_mood(mood))
}

/// Carries out all of these, and says of each what is wrong with how it ended.
fn assert_all(cases: Vec<(String, ApiServer)>, wrong_with: impl Fn(&str, &Ended) -> Option<String>) {
    let (names, servers): (Vec<String>, Vec<ApiServer>) = cases.into_iter().unzip();
    let ended = all_carried_out(servers);
    let wrong = names.iter().zip(&ended).filter_map(|(name, ended)| {
        let (code, told, took) = (ended.code, &ended.causes, ended.took);
        wrong_with(name, ended).map(|why| format!("{name}: {why}: {code:?} {told:?} after {took:?}"))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        names.len(),
        wrong.join("\n")
    );
}

/// What must hold of every run that an API server stands in the way of.
fn wrong_with_any(ended: &Ended) -> Option<String> {
    /// One wait of the run that fails, the last look at the API server, evidence, and teardown, each of which has its bound.
    const BOUND: Duration = Duration::from_secs(2 * LIMIT.as_secs() + 5 + 15 + 180);
    if ended.causes.iter().any(|cause| cause.blame().is_product()) {
        return Some("the release is blamed".to_owned());
    }
    if ended.took > BOUND {
        return Some("it takes too long".to_owned());
    }
    if ended.record.ended.is_none() {
        return Some("its end is not told".to_owned());
    }
    (!ended.unsaid.is_empty()).then(|| format!("{:?} stay and are not said", ended.unsaid))
}

#[test]
fn a_run_in_a_good_cluster_ends_as_its_guide_does_and_leaves_nothing() {
    assert_all(vec![("good".to_owned(), ApiServer::new())], |_, ended| {
        // No command of the guide sends a request, so that nothing is proven.
        let is_good = ended.code == ExitCode::Inconclusive && ended.causes.is_empty();
        let left = &ended.record.left_behind;
        (!is_good || !left.is_empty() || !ended.unsaid.is_empty()).then(|| format!("{left:?} {:?}", ended.unsaid))
    });
}

#[tokio::test(start_paused = true)]
async fn rights_that_the_account_lacks_are_named_together_before_anything_is_made() {
    let server = ApiServer::new().denying("create", "things").denying("watch", "pods");
    let ended = Box::pin(carried_out(server.clone())).await;
    assert_eq!(
        (ended.code, &ended.causes[..]),
        (ExitCode::Errored, &[CauseCode::ObjectForbidden][..])
    );
    let told = serde_json::to_string(&ended.record.decisions).unwrap();
    for right in [
        "it may not create things.example.io in namespace quickstart",
        "it may not watch pods in namespace quickstart",
    ] {
        assert!(told.contains(right), "{told}");
    }
    assert!(told.contains("2 rights are lacking; nothing was made"), "{told}");
    let makes = |asked: &Asked| match asked.verb {
        Verb::Apply | Verb::Patch | Verb::Delete => true,
        Verb::Create => asked.resource != "selfsubjectaccessreviews",
        _ => false,
    };
    let made: Vec<Asked> = server.asked().into_iter().filter(makes).collect();
    assert!(made.is_empty(), "{made:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_has_the_crds_already_asks_for_no_right_to_make_them() {
    let crd = serde_json::json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.io"}, "spec": {"group": "example.io", "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
    let server = ApiServer::new().denying("create", "customresourcedefinitions");
    let ended = Box::pin(carried_out(server.clone())).await;
    assert_eq!(ended.causes, [CauseCode::ObjectForbidden]);
    server.put(crd);
    let ended = Box::pin(carried_out(server)).await;
    assert!(
        !ended.causes.contains(&CauseCode::ObjectForbidden),
        "{:?}",
        ended.causes
    );
}

/// What is read beside what a run needs: not to have it decides nothing, or the call itself says so.
const BESIDE: &[&str] = &["namespaces", "nodes", "events", "gatewayclasses"];

#[tokio::test(start_paused = true)]
async fn a_run_asks_beforehand_for_every_right_that_it_uses_in_its_namespace() {
    let server = ApiServer::new();
    let ended = Box::pin(carried_out(server.clone())).await;
    assert!(ended.causes.is_empty(), "{:?}", ended.causes);
    let reviewed = server.reviewed();
    let verbs = |verb| match verb {
        Verb::Get => Some("get"),
        Verb::List => Some("list"),
        Verb::Watch => Some("watch"),
        Verb::Apply | Verb::Patch => Some("patch"),
        Verb::Delete => Some("delete"),
        _ => None,
    };
    let used = server.asked().into_iter().filter_map(|asked| {
        let in_question = !BESIDE.contains(&asked.resource.as_str()) && asked.namespace.is_some();
        verbs(asked.verb)
            .filter(|_| in_question)
            .map(|verb| (verb.to_owned(), asked.resource))
    });
    let unasked: std::collections::BTreeSet<_> = used.filter(|used| !reviewed.contains(used)).collect();
    assert!(unasked.is_empty(), "{unasked:?} of {reviewed:?}");
}

#[test]
fn no_trouble_of_an_api_server_is_the_releases_fault() {
    let places = PLACES.into_iter();
    let cases: Vec<_> = places
        .flat_map(|place| {
            troubles()
                .into_iter()
                .map(move |(what, says)| moody(what, Mood::new(place, says)))
        })
        .collect();
    assert!(cases.len() >= 200, "{}", cases.len());
    assert_all(cases, |name, ended| {
        // A watch that is too old is begun anew with a list, and so goes on; a good one is never looked at by its words.
        let passes = ["410 Status @ Verb(Watch)"].contains(&name);
        let expected = ended.code == ExitCode::Errored || passes && ended.code == ExitCode::Inconclusive;
        wrong_with_any(ended).or_else(|| (!expected).then(|| "another exit code".to_owned()))
    });
}

#[test]
fn what_passes_by_is_waited_out() {
    let lasting = ["429, wait for days", "silent", "a byte a second"];
    let places = [On::Everything, On::Verb(Verb::Apply), On::Verb(Verb::List)];
    let passing = troubles().into_iter().filter(|(what, _)| !lasting.contains(what));
    let cases =
        passing.flat_map(|(what, says)| places.map(|place| moody(what, Mood::new(place, says.clone()).calls(1, 2))));
    assert_all(cases.collect(), |_, ended| {
        let is_good = ended.code == ExitCode::Inconclusive && ended.record.left_behind.is_empty();
        wrong_with_any(ended).or_else(|| (!is_good).then(|| "another end than in a good cluster".to_owned()))
    });
}

#[test]
fn what_is_made_although_its_answer_is_lost_is_gone_or_said() {
    let lost = [
        "200 html",
        "200 empty",
        "200 cut",
        "401 html",
        "500 Status",
        "504 html",
        "closed",
        "silent",
        "endless",
    ];
    let places = [
        On::Verb(Verb::Apply),
        On::Of(Verb::Apply, "configmaps"),
        On::Verb(Verb::Patch),
        On::Verb(Verb::Delete),
    ];
    let losing = troubles().into_iter().filter(|(what, _)| lost.contains(what));
    let cases = losing.flat_map(|(what, says)| places.map(|place| moody(what, Mood::new(place, says.clone()).made())));
    assert_all(cases.collect(), |_, ended| wrong_with_any(ended));
}

#[test]
fn answers_that_are_late_are_nobodys_fault_but_the_clusters() {
    let late = |place| moody("late", Mood::new(place, Says::AsItShould).late(Duration::from_secs(40)));
    assert_all(PLACES.into_iter().map(late).collect(), |_, ended| wrong_with_any(ended));
}

#[test]
fn the_api_servers_own_refusals_are_told_apart() {
    let refused = [
        (400, "BadRequest", CauseCode::ObjectRefused),
        (401, "Unauthorized", CauseCode::ObjectForbidden),
        (403, "Forbidden", CauseCode::ObjectForbidden),
        (404, "NotFound", CauseCode::ObjectRefused),
        (409, "Conflict", CauseCode::ObjectConflict),
        (413, "RequestEntityTooLarge", CauseCode::ObjectRefused),
        (422, "Invalid", CauseCode::ObjectRefused),
    ];
    let refusing = |(code, reason, _): &(u16, &'static str, CauseCode)| {
        let says = Says::Answer(*code, Body::Status(reason));
        moody(reason, Mood::new(On::Of(Verb::Apply, "configmaps"), says))
    };
    let cases = refused.iter().map(refusing).collect();
    assert_all(cases, |name, ended| {
        let (_, _, cause) = refused.iter().find(|(_, reason, _)| name.starts_with(reason)).unwrap();
        let code = if cause.blame().is_product() {
            ExitCode::Failed
        } else {
            ExitCode::Errored
        };
        ((ended.code, &ended.causes[..]) != (code, &[*cause])).then(|| format!("{cause:?} was expected"))
    });
}
