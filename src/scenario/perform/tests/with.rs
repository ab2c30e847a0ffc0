//! Steps inside of a change, with an executor that notes what it is asked and fails where the test says so.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use rstest::rstest;

use super::*;
use crate::{
    scenario::{Change, ChangeExecutor, ChangeResult, Role},
    verdict::Fault,
};

/// Where an executor fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fails {
    Never,
    Making,
    TakingBack,
    Recovering,
}

struct Noting {
    fails: Fails,
    asked: Mutex<Vec<&'static str>>,
}

impl Noting {
    fn new(fails: Fails) -> Self {
        Self {
            fails,
            asked: Mutex::default(),
        }
    }

    fn asked(&self) -> Vec<&'static str> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, what: &'static str, fails: Fails, code: CauseCode) -> ChangeResult {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        let finding = if self.fails == fails {
            Finding::broken(what.to_owned(), "it is not", code)
        } else {
            Finding::Holds
        };
        ChangeResult {
            sentence: what.to_owned(),
            finding,
        }
    }
}

impl ChangeExecutor for Noting {
    async fn make(&self, _: Change) -> ChangeResult {
        self.note("made", Fails::Making, CauseCode::StepTimedOut)
    }

    async fn take_back(&self, _: Change) -> ChangeResult {
        self.note("taken back", Fails::TakingBack, CauseCode::ChangeNotTakenBack)
    }

    async fn recover(&self, _: Change) -> ChangeResult {
        self.note("recovered", Fails::Recovering, CauseCode::EndpointPickerUnreachable)
    }
}

const UNDER: &str = "\
name: a
proves: It holds.
needs: {capabilities: [cluster]}
steps:
- with:
    name: away
    scale: {what: model-server, to: 0}
    steps:
    - request: {name: during, path: /v1/completions, json: {model: m, prompt: a}, expect: {status: [503]}}
- request: {name: after, path: /v1/models, expect: {answer: success}}
";

fn on_a_cluster(server: &MockServer) -> Target {
    Target {
        capabilities: BTreeSet::from([Capability::Cluster]),
        ..target(server)
    }
}

async fn performed_with(text: &str, target: &Target, executor: &Noting) -> (RunRecord, Option<String>) {
    let scenario = read("a.yaml", text.as_bytes()).unwrap();
    let (events, mut heard) = Events::channel();
    let mut record = RunRecord::default();
    record.fold(&Event::Expected {
        checks: expected(&scenario, target),
    });
    let probe = Probe::new(Duration::from_millis(500)).unwrap();
    let spoilt = perform(&scenario, &probe, target, executor, &events).await;
    drop(events);
    while let Some(event) = heard.recv().await {
        record.fold(&event);
    }
    (record, spoilt)
}

/// Checks in the order in which they were decided, without those of the wire.
fn order(record: &RunRecord) -> Vec<&str> {
    let own = |name: &&str| {
        ["/changed", "/restored", "/recovered", "/status"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    let names = record.decisions.iter().map(|decision| decision.check.as_str());
    names.filter(own).collect()
}

/// An empty pool: completions are refused, the list of models is there.
async fn empty_pool() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(503).set_body_string("inference error: ServiceUnavailable - no endpoint"))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({
            "object": "list",
            "data": [{"id": "m", "object": "model", "created": 1_700_000_000, "owned_by": "vllm"}],
        })))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn a_change_is_made_before_its_steps_and_taken_back_after_them() {
    let server = empty_pool().await;
    let executor = Noting::new(Fails::Never);
    let (record, spoilt) = performed_with(UNDER, &on_a_cluster(&server), &executor).await;
    assert_eq!(executor.asked(), ["made", "taken back", "recovered"]);
    assert_eq!(
        order(&record),
        [
            "a/away/changed",
            "a/during/status",
            "a/away/restored",
            "a/away/recovered"
        ]
    );
    assert_eq!(broken(&record), Vec::<&str>::new(), "{record:#?}");
    assert_eq!(record.never_decided(), Vec::<&str>::new());
    assert_eq!(spoilt, None);
    assert_eq!(*findings(&record)["a/after/models-list"], Finding::Holds);
}

#[tokio::test]
async fn a_change_is_taken_back_after_a_step_that_fails_and_the_blame_is_not_of_what_is_not_there() {
    let server = model_server().await;
    let executor = Noting::new(Fails::Never);
    let (record, spoilt) = performed_with(UNDER, &on_a_cluster(&server), &executor).await;
    assert_eq!(executor.asked(), ["made", "taken back", "recovered"]);
    assert_eq!(broken(&record), ["a/during/status"]);
    let finding = findings(&record)["a/during/status"];
    let Finding::Broken(Fault { cause, .. }) = finding else {
        panic!("{finding:?}")
    };
    assert_eq!(cause.code, CauseCode::AnswerFromOutsidePool, "{cause:?}");
    assert_eq!(cause.evidence[0], "the model server has 0 pods");
    assert_eq!(spoilt, None, "a finding about the product spoils nothing");
}

#[tokio::test]
async fn a_change_is_taken_back_after_a_step_that_nobody_answers() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(503).set_delay(Duration::from_mins(10)))
        .mount(&server)
        .await;
    let executor = Noting::new(Fails::Never);
    let (record, _) = performed_with(UNDER, &on_a_cluster(&server), &executor).await;
    assert_eq!(executor.asked(), ["made", "taken back", "recovered"]);
    let finding = findings(&record)["a/during/answer-came"];
    assert!(
        matches!(finding, Finding::Broken(fault) if fault.cause.code == CauseCode::EmptyPoolAnsweredOtherwise),
        "{finding:?}"
    );
}

#[tokio::test]
async fn where_a_change_cannot_be_made_nothing_is_sent_and_it_is_taken_back_all_the_same() {
    let server = empty_pool().await;
    let executor = Noting::new(Fails::Making);
    let (record, spoilt) = performed_with(UNDER, &on_a_cluster(&server), &executor).await;
    assert_eq!(executor.asked(), ["made", "taken back", "recovered"]);
    assert_eq!(broken(&record), ["a/away/changed"]);
    let skipped = findings(&record)["a/during/status"];
    assert!(
        matches!(skipped, Finding::Skipped { why } if why.contains("the model server has 0 pods")),
        "{skipped:?}"
    );
    assert_eq!(*findings(&record)["a/after/models-list"], Finding::Holds);
    assert_eq!((record.never_decided(), spoilt), (Vec::<&str>::new(), None));
}

#[rstest]
#[case::not_as_it_was(Fails::TakingBack, "a/away/restored", "could not be put back")]
#[case::not_serving(Fails::Recovering, "a/away/recovered", "not answered as before")]
#[tokio::test]
async fn where_it_is_not_as_before_nothing_more_is_performed(
    #[case] fails: Fails,
    #[case] check: &str,
    #[case] said: &str,
) {
    let server = empty_pool().await;
    let executor = Noting::new(fails);
    let target = on_a_cluster(&server);
    let (record, spoilt) = performed_with(UNDER, &target, &executor).await;
    assert_eq!(broken(&record), [check]);
    let skipped = findings(&record)["a/after/models-list"];
    assert!(
        matches!(skipped, Finding::Skipped { why } if why.contains(said)),
        "{skipped:?}"
    );
    assert_eq!(record.never_decided(), Vec::<&str>::new());
    let spoilt = spoilt.expect("the target is spoilt");
    assert!(spoilt.contains("the scenario a") && spoilt.contains(said), "{spoilt}");
    // The next scenario is left out check by check, as it was expected.
    let next = shipped("models");
    let (events, mut heard) = Events::channel();
    leave_out(&next, &target, &spoilt, &events);
    drop(events);
    let mut record = RunRecord::default();
    record.fold(&Event::Expected {
        checks: expected(&next, &target),
    });
    while let Some(event) = heard.recv().await {
        record.fold(&event);
    }
    assert!(!record.decisions.is_empty());
    assert_eq!(record.never_decided(), Vec::<&str>::new());
}

#[tokio::test]
async fn of_an_advisory_scenario_only_that_the_change_is_taken_back_decides() {
    let server = model_server().await;
    let text = UNDER.replace("steps:\n- with", "weight: advisory\nsteps:\n- with");
    let target = on_a_cluster(&server);
    let scenario = read("a.yaml", text.as_bytes()).unwrap();
    assert_eq!(expected(&scenario, &target), ["a/away/restored"]);
    let (record, _) = performed_with(&text, &target, &Noting::new(Fails::Never)).await;
    let gates: Vec<&str> = record
        .decisions
        .iter()
        .filter(|decision| decision.weight == Weight::Gate)
        .map(|decision| decision.check.as_str())
        .collect();
    assert_eq!(gates, ["a/away/restored"]);
}

#[rstest]
#[case::no_cluster(BTreeSet::new(), BTreeMap::new(), "it needs a cluster")]
#[case::not_ours(
    BTreeSet::from([Capability::Cluster]),
    BTreeMap::from([(Role::ModelServer, "Deployment x is not ours".to_owned())]),
    "Deployment x is not ours"
)]
#[tokio::test]
async fn what_may_not_be_changed_is_not_touched(
    #[case] capabilities: BTreeSet<Capability>,
    #[case] unchangeable: BTreeMap<Role, String>,
    #[case] said: &str,
) {
    let server = model_server().await;
    let executor = Noting::new(Fails::Never);
    let target = Target {
        capabilities,
        unchangeable,
        ..target(&server)
    };
    let (record, spoilt) = performed_with(UNDER, &target, &executor).await;
    assert_eq!((executor.asked(), spoilt), (Vec::new(), None));
    let skipped = findings(&record)["a"];
    assert!(
        matches!(skipped, Finding::Skipped { why } if why.contains(said)),
        "{skipped:?}"
    );
    assert_eq!(record.never_decided(), Vec::<&str>::new());
}

/// While the endpoint picker is away it is the gateway that answers or not, by the pool's failure mode.
#[rstest]
#[case::fails_open_and_should_not(200, "status: [500, 503]", "status")]
#[case::fails_closed_and_should_not(500, "answer: success", "answer-status")]
#[tokio::test]
async fn without_an_endpoint_picker_the_gateway_is_to_blame(
    #[case] answers: u16,
    #[case] expect: &str,
    #[case] check: &str,
) {
    let server = MockServer::start().await;
    let template = match answers {
        200 => ResponseTemplate::new(200).set_body_json(completion(&json!({"model": "m", "prompt": "x"}))),
        other => ResponseTemplate::new(other),
    };
    Mock::given(method("POST")).respond_with(template).mount(&server).await;
    let text = format!(
        "name: a\nproves: It holds.\nneeds: {{capabilities: [cluster]}}\nsteps:\n- with:\n    scale: {{what: endpoint-picker, to: 0}}\n    steps:\n    - request: {{path: /v1/completions, json: {{model: m, prompt: a}}, expect: {{{expect}}}}}\n"
    );
    let (record, _) = performed_with(&text, &on_a_cluster(&server), &Noting::new(Fails::Never)).await;
    assert_eq!(broken(&record), [format!("a/{check}")]);
    let finding = findings(&record)[format!("a/{check}").as_str()];
    assert!(
        matches!(finding, Finding::Broken(fault) if fault.cause.code == CauseCode::FailureModeNotKept),
        "{finding:?}"
    );
}
