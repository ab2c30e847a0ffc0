//! What expressions decide.

use super::*;

#[rstest]
#[case::holds("answer.json.model == 'm'", None)]
#[case::all("answers.all(one, one.status == 200) && size(answers) == 2", None)]
#[case::is_false("answer.json.model == 'n'", Some("broken"))]
#[case::not_there("answer.json.nothing == 1", Some("broken"))]
#[case::not_a_truth("answer.status", Some("undecided"))]
#[tokio::test]
async fn expressions_decide_over_each_answer_or_all(#[case] holds: &str, #[case] otherwise: Option<&str>) {
    let server = model_server().await;
    let text = format!(
        "- request:\n    path: /v1/completions\n    json: {{model: '${{model}}', prompt: a}}\n    repeat: 2\n    expect: {{answer: success, cel: [{{name: it, sentence: it is so, holds: \"{holds}\"}}]}}\n"
    );
    let record = performed(&scenario(&text), &target(&server)).await;
    let finding = findings(&record)["a/it"];
    match otherwise {
        None => assert_eq!(*finding, Finding::Holds),
        Some("broken") => assert!(
            matches!(finding, Finding::Broken(fault) if fault.cause.code == CauseCode::ExpectationNotMet),
            "{finding:?}"
        ),
        Some(_) => assert!(matches!(finding, Finding::Undecided { .. }), "{finding:?}"),
    }
}

/// Nine loops in each other over ten numbers: an hour, if nobody ended it.
const FOR_AGES: &str = "[[0,1,2,3,4,5,6,7,8,9]].all(l, l.all(a, l.all(b, l.all(c, l.all(d, l.all(e, l.all(f, \
    l.all(g, l.all(h, l.all(i, answer.status > a + i))))))))))";

#[tokio::test]
async fn an_expression_that_runs_for_ages_is_given_up_once_and_decides_nothing() {
    let server = model_server().await;
    let text = format!(
        "- request:\n    path: /v1/completions\n    json: {{model: '${{model}}', prompt: a}}\n    repeat: 50\n    expect: {{answer: success, cel: [{{name: it, sentence: it is so, holds: \"{FOR_AGES}\"}}]}}\n"
    );
    let began = Instant::now();
    let record = performed(&scenario(&text), &target(&server)).await;
    let finding = findings(&record)["a/it"];
    assert!(
        matches!(finding, Finding::Undecided { why } if why.contains("given up")),
        "{finding:?}"
    );
    assert_eq!(broken(&record), Vec::<&str>::new());
    assert!(began.elapsed() < Duration::from_secs(40), "each answer was tried anew");
}

/// Where an earlier step could not capture, nothing is said of what was to be compared with it.
#[tokio::test]
async fn an_expectation_over_what_could_not_be_captured_is_skipped() {
    let server = model_server().await;
    let scenario = scenario(
        "- request: {name: list, path: /nowhere, expect: {status: [200]}, capture: {listed: 'answer.json.data[0].id'}}
- request:
    name: ask
    path: /v1/models
    expect:
      answer: success
      cel:
        - {name: each, sentence: It is so, holds: 'answer.json.data[0].id == listed'}
        - {name: all, sentence: It is so, holds: 'answers.all(one, one.json.data[0].id == listed)'}
",
    );
    let record = performed(&scenario, &target(&server)).await;
    assert_eq!(broken(&record), ["a/list/status"]);
    let findings = findings(&record);
    for check in ["a/ask/each", "a/ask/all"] {
        let finding = findings[check];
        assert!(
            matches!(finding, Finding::Skipped { why } if why.contains("`listed`")),
            "{check}: {finding:?}"
        );
    }
}
