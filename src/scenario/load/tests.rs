use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::method};

use super::{figures::Figures, judge::JudgedAnswer, *};
use crate::{
    probe::{
        Answer, Chunk, Outgoing, Received, Times, Unanswered,
        latency::Latencies,
        load::{Generated, Paced},
        openai,
    },
    record::{LoadFigures, RunRecord},
    scenario::{Library, NoChanges, Step, expected, perform as perform_scenario, read},
    verdict::{CauseCode, Fault, Finding, Weight},
};

mod goodput;

const MS: Duration = Duration::from_millis(1);

#[rstest]
#[case("99%", 9900, "99 %")]
#[case("99.95%", 9995, "99.95 %")]
#[case("99.5%", 9950, "99.50 %")]
#[case("0.01%", 1, "0.01 %")]
#[case("100%", 10_000, "100 %")]
fn a_share_is_read(#[case] text: &str, #[case] of_10000: u64, #[case] shown: &str) {
    let share: Share = text.parse().unwrap();
    assert_eq!((share.of_10000(), share.to_string().as_str()), (of_10000, shown));
}

#[rstest]
#[case("")]
#[case("99")]
#[case("0%")]
#[case("100.01%")]
#[case("-1%")]
#[case("1.234%")]
#[case("99,5%")]
#[case(".5%")]
#[case("9999999999%")]
fn what_is_no_share_is_refused(#[case] text: &str) {
    assert!(text.parse::<Share>().unwrap_err().contains("`99%`"));
}

proptest! {
    #[test]
    fn a_share_of_a_whole_is_the_least_number_that_reaches_it(share in 1_u16..=10_000, whole in any::<u64>()) {
        let wanted = Share(share).of(whole);
        let reaches = |part: u64| u128::from(part) * 10_000 >= u128::from(whole) * u128::from(share);
        prop_assert!(wanted <= whole && reaches(wanted) && (wanted == 0 || !reaches(wanted - 1)));
    }
}

/// A whole answer to a request for a stream, whose tokens came at these milliseconds after it was sent.
fn stream(tokens: &[u64], pod: &str) -> Answer {
    let mut received = Received {
        status: 200,
        headers: vec![("x-inference-pod".into(), pod.into())],
        ..Received::default()
    };
    for at in tokens {
        let event = "data: {\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\n";
        received.body.extend_from_slice(event.as_bytes());
        received.chunks.push(Chunk {
            at: Duration::from_millis(*at),
            bytes: event.len(),
        });
    }
    received.body_bytes = received.body.len();
    answer(Ok(received), tokens.last().copied().unwrap_or_default())
}

fn answer(outcome: Result<Received, Unanswered>, took: u64) -> Answer {
    Answer {
        request: Outgoing {
            method: "POST".into(),
            url: "http://h/v1/completions".into(),
            headers: Vec::new(),
            body: Some(r#"{"stream":true}"#.into()),
        },
        attempt: 1,
        resent: None,
        outcome,
        partial: None,
        times: Times::default(),
        took: Duration::from_millis(took),
    }
}

/// What becomes of a right answer.
fn right(answer: &Answer) -> JudgedAnswer {
    JudgedAnswer {
        wrong: None,
        latencies: Latencies::of(answer, openai::carries_text),
    }
}

/// What becomes of an answer that breaks this check.
fn wrong(check: &str) -> JudgedAnswer {
    JudgedAnswer {
        wrong: Some(check.to_owned()),
        ..JudgedAnswer::default()
    }
}

fn take_right(figures: &mut Figures, late: u64, answer: Answer) {
    let judged = right(&answer);
    figures.take(&paced(late, answer), judged);
}

fn paced(late: u64, answer: Answer) -> Paced<Answer> {
    Paced {
        number: 1,
        due: 10 * MS,
        sent: Duration::from_millis(10 + late),
        answer,
    }
}

fn level(goodput: &str) -> ServiceLevel {
    ServiceLevel {
        time_to_first_token: Some(30 * MS),
        inter_token_latency: Some(10 * MS),
        end_to_end: Some(100 * MS),
        goodput: goodput.parse().unwrap(),
    }
}

fn step(fields: &str) -> LoadStep {
    let text = format!(
        "name: a\nproves: It holds.\nsteps:\n- load: {{path: /v1/completions, json: {{model: m, prompt: a}}, {fields}, expect: {{answer: success}}}}\n"
    );
    match read("a.yaml", text.as_bytes()).unwrap().steps.remove(0) {
        Step::Load(step) => *step,
        _ => panic!("it is a load"),
    }
}

fn told(figures: &Figures, done: &Generated) -> LoadFigures {
    figures.told("a".into(), &step("rate: 10/s, for: 1s"), done, None)
}

#[test]
fn times_of_an_open_loop_count_from_when_the_request_was_due() {
    let mut figures = Figures::new(None);
    take_right(&mut figures, 5, stream(&[20, 30, 60], "a"));
    let done = Generated {
        due: 1,
        sent: 1,
        ..Generated::default()
    };
    let told = told(&figures, &done);
    let p50 = |quantiles: Option<crate::record::Quantiles>| quantiles.unwrap().p50_us / 1000;
    assert_eq!(p50(told.late), 5);
    assert_eq!(p50(told.time_to_first_token), 25);
    assert_eq!(p50(told.end_to_end), 65);
    let between = told.inter_token_latency.unwrap();
    assert_eq!(
        (between.count, between.p50_us / 1000, between.max_us / 1000),
        (2, 10, 30)
    );
}

#[rstest]
#[case::within(0, &[20, 30, 40], true)]
#[case::first_token(0, &[31, 32], false)]
#[case::first_token_of_a_late_request(15, &[20, 30], false)]
#[case::between(0, &[20, 41], false)]
#[case::the_mean_between_counts(0, &[20, 35, 40], true)]
#[case::whole(0, &[20, 30, 40, 50, 60, 70, 80, 90, 95, 101], false)]
#[case::one_token_has_none_between(0, &[20], true)]
#[case::no_token(0, &[], false)]
fn an_answer_is_good_within_every_limit(#[case] late: u64, #[case] tokens: &[u64], #[case] is_good: bool) {
    let mut figures = Figures::new(Some(level("100%")));
    take_right(&mut figures, late, stream(tokens, "a"));
    let told = told(&figures, &Generated::default());
    assert_eq!((told.right, told.good), (1, u64::from(is_good)));
}

#[rstest]
#[case::status(Ok(503), "answer-status", "status 503")]
#[case::other_name_of_the_status(Ok(404), "status", "status 404")]
#[case::check(Ok(200), "stream-done", "check stream-done")]
#[case::cut_off(Err(Unanswered::CutOff("x".into())), "answer-ended", "cut off")]
#[case::time(Err(Unanswered::TimedOut("30 s".into())), "answer-came", "no answer in time")]
#[case::reset(Err(Unanswered::Reset("x".into())), "answer-ended", "reset")]
fn a_wrong_answer_is_counted_by_what_is_wrong_first(
    #[case] outcome: Result<u16, Unanswered>,
    #[case] broken: &str,
    #[case] class: &str,
) {
    let mut figures = Figures::new(None);
    let outcome = outcome.map(|status| Received {
        status,
        ..Received::default()
    });
    for _ in 0..2 {
        figures.take(&paced(0, answer(outcome.clone(), 1)), wrong(broken));
    }
    let told = told(&figures, &Generated::default());
    let counted: Vec<(&str, u64)> = told.wrong.iter().map(|one| (one.what.as_str(), one.count)).collect();
    assert_eq!(counted, [(class, 2)]);
    assert_eq!((told.right, told.good, told.end_to_end), (0, 0, None));
}

#[test]
fn pods_are_counted_the_most_frequent_first_and_their_names_are_bounded() {
    let mut figures = Figures::new(None);
    for number in 0..1000 {
        take_right(&mut figures, 0, stream(&[1], &format!("pod-{number}")));
    }
    take_right(&mut figures, 0, stream(&[1], "pod-7"));
    let told = told(&figures, &Generated::default());
    assert_eq!((told.pods[0].what.as_str(), told.pods[0].count), ("others", 1000 - 256));
    assert_eq!((told.pods[1].what.as_str(), told.pods[1].count), ("pod-7", 2));
    assert_eq!(told.pods.len(), 257);
}

fn after(good: u64, slow: u64, late: u64, due: u64, held_back: u64) -> (Figures, Generated) {
    let mut figures = Figures::new(Some(level("90%")));
    for _ in 0..good {
        take_right(&mut figures, 0, stream(&[20], "a"));
    }
    for _ in 0..slow {
        take_right(&mut figures, late, stream(&[20], "a"));
    }
    let done = Generated {
        due,
        sent: good + slow,
        held_back,
        ..Generated::default()
    };
    (figures, done)
}

#[rstest]
#[case::on_time(10, 0, 0, "holds")]
#[case::late_by_our_own_machine(5, 5, 0, "undecided")]
#[case::held_back(5, 5, 5, "broken")]
fn the_rate_is_kept_where_no_request_had_to_wait(
    #[case] good: u64,
    #[case] slow: u64,
    #[case] held_back: u64,
    #[case] wanted: &str,
) {
    let (figures, done) = after(good, slow, 200, 10, held_back);
    assert_eq!(word(&figures.rate_kept(&done)), wanted);
}

fn word(finding: &Finding) -> &'static str {
    match finding {
        Finding::Holds => "holds",
        Finding::Broken(_) => "broken",
        Finding::Undecided { .. } => "undecided",
        Finding::Skipped { .. } => "skipped",
    }
}

/// A model server of which every answer that a number says names another model.
async fn model_server(lies: impl Fn(usize) -> bool + Send + Sync + 'static) -> MockServer {
    let server = MockServer::start().await;
    let count = std::sync::atomic::AtomicUsize::new(0);
    Mock::given(method("POST"))
        .respond_with(move |request: &Request| {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            let asked: Value = serde_json::from_slice(&request.body).unwrap();
            let model = if lies(number) {
                json!("n")
            } else {
                asked["model"].clone()
            };
            ResponseTemplate::new(200)
                .insert_header("x-inference-pod", if number.is_multiple_of(3) { "b" } else { "a" })
                .set_body_json(json!({
                    "id": "cmpl-1", "object": "text_completion", "created": 1_700_000_000, "model": model,
                    "choices": [{"index": 0, "text": "x", "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
                }))
        })
        .mount(&server)
        .await;
    server
}

fn scenario(fields: &str) -> Scenario {
    let text = format!(
        "name: a\nproves: It holds.\nsteps:\n- load: {{path: /v1/completions, json: {{model: '${{model}}', prompt: a}}, {fields}, expect: {{answer: success}}}}\n"
    );
    read("a.yaml", text.as_bytes()).unwrap()
}

async fn performed(scenario: &Scenario, base: String) -> RunRecord {
    let target = Target {
        base,
        model: "m".into(),
        prompt: "Say hi".into(),
        has_answered: true,
        ..Target::default()
    };
    let probe = Probe::new(Duration::from_secs(30)).unwrap();
    let (events, mut heard) = Events::channel();
    let mut record = RunRecord::default();
    record.fold(&Event::Expected {
        checks: expected(scenario, &target),
    });
    perform_scenario(scenario, &probe, &target, &NoChanges, &events).await;
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

#[rstest]
#[case::closed("workers: 3, requests: 40", 40)]
#[case::open("rate: 1000/s, requests: 40", 40)]
#[tokio::test]
async fn every_answer_of_a_load_is_judged_and_the_figures_add_up(#[case] fields: &str, #[case] requests: u64) {
    let server = model_server(|_| false).await;
    let record = performed(&scenario(fields), server.uri()).await;
    assert_eq!(record.never_decided(), Vec::<&str>::new());
    let findings = findings(&record);
    assert_eq!(findings["a/answer-usage"], &Finding::Holds);
    let [figures] = record.loads.as_slice() else {
        panic!("one load: {record:#?}");
    };
    assert_eq!(
        (figures.due, figures.sent, figures.right, figures.good),
        (requests, requests, requests, requests)
    );
    assert_eq!(figures.of, "a");
    let pods: Vec<(&str, u64)> = figures.pods.iter().map(|pod| (pod.what.as_str(), pod.count)).collect();
    assert_eq!(pods, [("a", 27), ("b", 13)]);
    assert_eq!(figures.end_to_end.unwrap().count, requests);
    assert_eq!(figures.time_to_first_token, None, "no answer is a stream");
    assert!(server.received_requests().await.unwrap().len() == 40);
}

#[tokio::test]
async fn a_lie_under_load_is_told_by_the_check_that_is_meant_to_and_counted() {
    let server = model_server(|number| number.is_multiple_of(10)).await;
    let record = performed(&scenario("workers: 4, requests: 50, slo: {goodput: 99%}"), server.uri()).await;
    let findings = findings(&record);
    let broken: Vec<&str> = findings
        .iter()
        .filter(|(_, finding)| matches!(finding, Finding::Broken(_)))
        .map(|(check, _)| *check)
        .collect();
    assert_eq!(broken, ["a/answer-model", "a/goodput"]);
    let Finding::Broken(Fault { actual, cause, .. }) = findings["a/answer-model"] else {
        panic!("it is broken");
    };
    assert!(actual.starts_with("5 of 50 answers: "), "{actual}");
    assert_eq!(cause.code, CauseCode::AnswerWrongModel);
    assert!(matches!(findings["a/goodput"], Finding::Broken(fault)
            if fault.cause.code == CauseCode::ServiceLevelNotMet && fault.actual == "45"));
    let wrong = &record.loads[0].wrong;
    assert_eq!((wrong[0].what.as_str(), wrong[0].count), ("check answer-model", 5));
}

#[tokio::test]
async fn a_load_that_nothing_answers_is_given_up() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let record = performed(&scenario("workers: 1, for: 1h"), format!("http://{gone}")).await;
    assert!(matches!(findings(&record)["a/answer-came"], Finding::Broken(_)));
    assert_eq!(record.loads[0].sent, 5);
    assert!(
        record.notes[0].1.contains("the load was given up"),
        "{:?}",
        record.notes
    );
    assert_eq!(record.never_decided(), Vec::<&str>::new());
}

#[tokio::test]
async fn each_request_has_its_own_number_where_the_scenario_asks_for_it() {
    let server = model_server(|_| false).await;
    let scenario = scenario("workers: 2, requests: 5, headers: {x-number: '${number}'}");
    performed(&scenario, server.uri()).await;
    let mut numbers: Vec<String> = server
        .received_requests()
        .await
        .unwrap()
        .iter()
        .map(|request| request.headers["x-number"].to_str().unwrap().to_owned())
        .collect();
    numbers.sort();
    assert_eq!(numbers, ["1", "2", "3", "4", "5"]);
}

#[test]
fn the_shipped_load_is_advisory_must_be_asked_for_and_lasts_half_a_minute() {
    let library = Library::shipped().unwrap();
    let shipped = library.scenarios.iter().find(|one| one.name == "smoke-load").unwrap();
    assert_eq!(
        (shipped.weight, shipped.when),
        (Weight::Advisory, crate::scenario::Inclusion::Asked)
    );
    let [Step::Load(step)] = shipped.steps.as_slice() else {
        panic!("one load");
    };
    assert_eq!(step.asked(), "20/s for 30s, at most 256 under way");
    assert!(step.objective.is_some());
}

#[test]
fn what_was_sent_once_more_is_counted_and_is_no_fault() {
    let mut figures = Figures::new(None);
    let mut again = stream(&[10, 20], "a");
    again.resent = Some("closed".into());
    take_right(&mut figures, 0, again);
    take_right(&mut figures, 0, stream(&[10, 20], "a"));
    let (_, done) = after(1, 0, 0, 1, 0);
    let told = told(&figures, &done);
    assert_eq!((told.resent, told.right), (1, 2));
}
