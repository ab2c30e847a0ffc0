use std::{collections::BTreeMap, time::Duration};

use rstest::rstest;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path, path_regex},
};

use super::*;
use crate::{
    record::{Event, RunRecord},
    scenario::{Capability, Library, NoChanges, read},
    verdict::{CauseCode, Fault, Outcome, add_up},
};

mod errors;
mod expressions;

fn completion(body: &Value) -> Value {
    json!({
        "id": "cmpl-1", "object": "text_completion", "created": 1_700_000_000, "model": body["model"],
        "choices": [{"index": 0, "text": body["prompt"], "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6},
    })
}

/// A model server that serves `m` and says what it is asked.
async fn model_server() -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/v1/models"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({
            "object": "list",
            "data": [{"id": "m", "object": "model", "created": 1_700_000_000, "owned_by": "vllm"}],
        })))
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path_regex("^/v1/(chat/)?completions$"))
        .respond_with(|request: &Request| {
            let error = |status: u16, message: &str| {
                let error = json!({"error": {"message": message, "type": "Error", "param": null, "code": status}});
                ResponseTemplate::new(status).set_body_json(error)
            };
            match serde_json::from_slice::<Value>(&request.body) {
                Err(_) => error(400, "the body is no JSON"),
                Ok(body) if body["model"] == "m" => ResponseTemplate::new(200).set_body_json(completion(&body)),
                Ok(_) => error(404, "the model does not exist"),
            }
        })
        .mount(&server)
        .await;
    server
}

fn target(server: &MockServer) -> Target {
    Target {
        base: server.uri(),
        model: "m".into(),
        prompt: "Say hi".into(),
        has_answered: true,
        ..Target::default()
    }
}

/// Performs a scenario and returns what it came to; the names that were expected are among them.
async fn performed(scenario: &Scenario, target: &Target) -> RunRecord {
    let probe = Probe::new(Duration::from_secs(5)).unwrap();
    let (events, mut heard) = Events::channel();
    let mut record = RunRecord::default();
    record.fold(&Event::Expected {
        checks: expected(scenario, target),
    });
    perform(scenario, &probe, target, &NoChanges, &events).await;
    drop(events);
    while let Some(event) = heard.recv().await {
        record.fold(&event);
    }
    record
}

fn findings(record: &RunRecord) -> BTreeMap<&str, &Finding> {
    record
        .decisions
        .iter()
        .map(|decision| (decision.check.as_str(), &decision.finding))
        .collect()
}

/// Names of the checks that are broken.
fn broken(record: &RunRecord) -> Vec<&str> {
    let is_broken = |(_, finding): &(&str, &Finding)| matches!(finding, Finding::Broken(_));
    findings(record)
        .into_iter()
        .filter(is_broken)
        .map(|(name, _)| name)
        .collect()
}

fn shipped(name: &str) -> Scenario {
    let library = Library::shipped().unwrap();
    library
        .scenarios
        .into_iter()
        .find(|scenario| scenario.name == name)
        .unwrap()
}

fn scenario(steps: &str) -> Scenario {
    read(
        "a.yaml",
        format!("name: a\nproves: It holds.\nsteps:\n{steps}").as_bytes(),
    )
    .unwrap()
}

#[rstest]
#[case::completions("completions")]
#[case::models("models")]
#[case::refusals("refusals")]
#[tokio::test]
async fn a_shipped_scenario_holds_against_a_good_model_server(#[case] name: &str) {
    let server = model_server().await;
    let record = performed(&shipped(name), &target(&server)).await;
    assert_eq!(broken(&record), Vec::<&str>::new(), "{record:#?}");
    assert_eq!(record.never_decided(), Vec::<&str>::new());
    let parts: Vec<_> = record
        .decisions
        .iter()
        .map(|decision| (decision.check.as_str(), decision.weight, &decision.finding))
        .collect();
    assert_eq!(add_up([], &parts), Outcome::Passed, "{parts:#?}");
}

#[tokio::test]
async fn each_request_is_sent_as_often_as_the_step_says_and_each_with_its_own_prompt() {
    let server = model_server().await;
    performed(&shipped("completions"), &target(&server)).await;
    let mut prompts: Vec<String> = server
        .received_requests()
        .await
        .unwrap()
        .iter()
        .map(|request| {
            request.body_json::<Value>().unwrap()["prompt"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    prompts.sort();
    prompts.dedup();
    assert_eq!(prompts.len(), 8, "{prompts:?}");
}

#[tokio::test]
async fn one_wrong_answer_among_good_ones_is_told_with_its_exchange() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(|request: &Request| {
            let mut body: Value = serde_json::from_slice(&request.body).unwrap();
            if body["prompt"] == "3" {
                body["model"] = "n".into();
            }
            ResponseTemplate::new(200).set_body_json(completion(&body))
        })
        .mount(&server)
        .await;
    let scenario = scenario(
        "- request: {path: /v1/completions, json: {model: '${model}', prompt: '${number}x'}, vary: {x: [a]}, expect: {answer: success}}\n"
            .replace("${number}x", "${x}")
            .replace("[a]", "['1', '2', '3']")
            .as_str(),
    );
    let record = performed(&scenario, &target(&server)).await;
    assert_eq!(broken(&record), ["a/answer-model"]);
    let decision = record
        .decisions
        .iter()
        .find(|decision| decision.check == "a/answer-model")
        .unwrap();
    let Finding::Broken(Fault { actual, cause, .. }) = &decision.finding else {
        panic!("it is broken");
    };
    assert!(actual.starts_with("1 of 3 answers: "), "{actual}");
    assert_eq!(cause.code, CauseCode::AnswerWrongModel);
    assert!(decision.exchange.as_ref().unwrap().curl.contains("\"prompt\":\"3\""));
}

#[tokio::test]
async fn the_first_request_of_each_step_is_shown_where_all_is_well() {
    let server = model_server().await;
    let record = performed(&shipped("refusals"), &target(&server)).await;
    let shown: Vec<(&str, &str, u32)> = record
        .decisions
        .iter()
        .filter_map(|decision| {
            let exchange = decision.exchange.as_deref()?;
            Some((decision.check.as_str(), exchange.curl.as_str(), exchange.attempt))
        })
        .collect();
    let checks: Vec<&str> = shown.iter().map(|(check, ..)| *check).collect();
    assert_eq!(
        checks,
        [
            "refusals/unknown-model/answer-came",
            "refusals/unknown-model-chat/answer-came",
            "refusals/unknown-model-stream/answer-came",
            "refusals/malformed-json/answer-came"
        ]
    );
    for (check, curl, attempt) in shown {
        let is_chat = check.contains("-chat/") || check.contains("-stream/");
        let asked = if is_chat {
            "/v1/chat/completions "
        } else {
            "/v1/completions "
        };
        let asked = format!("{}{asked}", server.uri());
        assert!(curl.contains(&asked) && curl.contains(" -d "), "{check}: {curl}");
        assert_eq!(attempt, 1);
    }
}

#[tokio::test]
async fn a_finish_reason_of_the_model_servers_own_is_noted_and_no_fault() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(|request: &Request| {
            let mut answer = completion(&serde_json::from_slice(&request.body).unwrap());
            answer["choices"][0]["finish_reason"] = "cache_threshold".into();
            ResponseTemplate::new(200).set_body_json(answer)
        })
        .mount(&server)
        .await;
    let record = performed(&shipped("completions"), &target(&server)).await;
    assert_eq!(broken(&record), Vec::<&str>::new());
    let noted = |(_, note): &&(Stage, String)| note.contains("cache_threshold");
    assert_eq!(record.notes.iter().filter(noted).count(), 1, "{:?}", record.notes);
}

const CAPTURES: &str = "\
- request:
    name: list
    path: /v1/models
    expect: {answer: success}
    capture: {first: 'answer.json.data[0].id'}
- request:
    name: ask
    path: /v1/completions
    json: {model: '${first}', prompt: a}
    expect: {answer: success}
";

#[tokio::test]
async fn what_a_step_captures_a_later_one_sends() {
    let server = model_server().await;
    let record = performed(&scenario(CAPTURES), &target(&server)).await;
    assert_eq!(broken(&record), Vec::<&str>::new());
    let told: Vec<&str> = record.notes.iter().map(|(_, sentence)| sentence.as_str()).collect();
    assert!(
        matches!(told[..], [one] if one.starts_with("a: ") && one.ends_with("checks hold")),
        "{told:?}"
    );
    assert_eq!(*findings(&record)["a/list/captured"], Finding::Holds);
    assert_eq!(*findings(&record)["a/ask/answer-model"], Finding::Holds);
}

#[tokio::test]
async fn what_cannot_be_captured_breaks_its_step_and_skips_the_later_one() {
    let server = model_server().await;
    let text = CAPTURES.replace("data[0].id", "date[0].id");
    let record = performed(&scenario(&text), &target(&server)).await;
    assert_eq!(broken(&record), ["a/list/captured"]);
    let skipped = findings(&record)["a/ask/answer-model"];
    assert!(
        matches!(skipped, Finding::Skipped { why } if why.contains("`first`")),
        "{skipped:?}"
    );
    assert_eq!(record.never_decided(), Vec::<&str>::new());
}

#[tokio::test]
async fn what_a_scenario_needs_and_is_not_there_skips_it_with_the_reason() {
    let server = model_server().await;
    let record = performed(&shipped("lora-adapter"), &target(&server)).await;
    assert_eq!(record.decisions.len(), 1);
    let skipped = findings(&record)["lora-adapter"];
    assert!(
        matches!(skipped, Finding::Skipped { why } if why.contains("--adapter")),
        "{skipped:?}"
    );
    assert_eq!(record.never_decided(), Vec::<&str>::new());
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[rstest]
#[case::not_known(false, false, None)]
#[case::there_and_passed(true, true, Some(true))]
#[case::there_and_bypassed(true, false, Some(false))]
#[tokio::test]
async fn whether_an_answer_passed_the_endpoint_picker_is_decided_where_there_is_one(
    #[case] there: bool,
    #[case] passed: bool,
    #[case] holds: Option<bool>,
) {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(completion(&json!({"model": "m", "prompt": "x"})));
    let answer = if passed {
        answer.insert_header("x-went-into-resp-headers", "true")
    } else {
        answer
    };
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    let mut target = target(&server);
    if there {
        target.capabilities.insert(Capability::EndpointPicker);
    }
    let record = performed(&shipped("completions"), &target).await;
    let finding = findings(&record)["completions/passed-endpoint-picker"];
    match holds {
        None => assert!(matches!(finding, Finding::Skipped { .. }), "{finding:?}"),
        Some(true) => assert_eq!(*finding, Finding::Holds),
        Some(false) => assert!(
            matches!(finding, Finding::Broken(fault) if fault.cause.code == CauseCode::EndpointPickerBypassed),
            "{finding:?}"
        ),
    }
}

#[tokio::test]
async fn answers_that_are_not_there_in_time_are_counted_and_not_waited_for() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_mins(10)))
        .mount(&server)
        .await;
    let scenario = scenario(
        "- request: {path: /v1/completions, json: {model: m}, repeat: 3, within: 50ms, expect: {answer: success}}\n",
    );
    let record = performed(&scenario, &target(&server)).await;
    assert_eq!(broken(&record), ["a/within"]);
    let Finding::Broken(Fault { actual, .. }) = findings(&record)["a/within"] else {
        panic!("it is broken");
    };
    assert_eq!(actual, "0 answers, 3 were missing");
    assert_eq!(record.never_decided(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_step_gives_up_where_nothing_comes_back() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let target = Target {
        base: format!("http://{gone}"),
        ..Target::default()
    };
    let scenario = scenario("- request: {path: /v1/models, repeat: 10000, expect: {answer: success}}\n");
    let record = performed(&scenario, &target).await;
    assert_eq!(broken(&record), ["a/answer-came"]);
    let Finding::Broken(Fault { actual, .. }) = findings(&record)["a/answer-came"] else {
        panic!("it is broken");
    };
    assert!(actual.starts_with("5 of 10000 answers: "), "{actual}");
    assert!(
        record.notes[0].1.contains("the other 9995 were given up"),
        "{:?}",
        record.notes
    );
}

#[tokio::test]
async fn an_advisory_scenario_is_shown_and_expected_of_nobody() {
    let server = MockServer::start().await;
    let text = "name: a\nproves: It holds.\nweight: advisory\nsteps:\n- request: {path: /x, expect: {status: [200]}}\n";
    let scenario = read("a.yaml", text.as_bytes()).unwrap();
    let record = performed(&scenario, &target(&server)).await;
    assert!(record.expected.is_empty());
    assert_eq!(broken(&record), ["a/status"]);
    assert!(
        record
            .decisions
            .iter()
            .all(|decision| decision.weight == Weight::Advisory)
    );
}

#[rstest]
#[case::never_answered_before(false, CauseCode::EndpointNotAnswering)]
#[case::answered_before(true, CauseCode::AnswerCutOff)]
#[tokio::test]
async fn silence_is_the_endpoints_own_where_it_answered_before(#[case] before: bool, #[case] code: CauseCode) {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_mins(10)))
        .mount(&server)
        .await;
    let target = Target {
        has_answered: before,
        ..target(&server)
    };
    let scenario = scenario("- request: {path: /v1/models, expect: {answer: success}}\n");
    let probe = Probe::new(Duration::from_millis(50)).unwrap();
    let (events, mut heard) = Events::channel();
    perform(&scenario, &probe, &target, &NoChanges, &events).await;
    drop(events);
    let mut record = RunRecord::default();
    while let Some(event) = heard.recv().await {
        record.fold(&event);
    }
    assert_eq!(broken(&record), ["a/answer-came"]);
    assert!(
        matches!(findings(&record)["a/answer-came"], Finding::Broken(fault) if fault.cause.code == code),
        "{record:#?}"
    );
}

mod with;
