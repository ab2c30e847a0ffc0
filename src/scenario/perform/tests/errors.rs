//! Answers that are refusals, and answers that should be.

use super::*;
use crate::check::wire::ErrorForm;

#[rstest]
#[case::where_the_picker_explains_errors(ErrorForm::JsonOrPicker, Outcome::Failed)]
#[case::where_its_errors_are_empty(ErrorForm::JsonPickerOrEmpty, Outcome::Passed)]
#[tokio::test]
async fn an_error_without_a_body_is_one_where_the_release_answers_so(
    #[case] error_form: ErrorForm,
    #[case] outcome: Outcome,
) {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(400))
        .mount(&server)
        .await;
    let target = Target {
        error_form,
        capabilities: [Capability::EndpointPicker].into(),
        ..target(&server)
    };
    let record = performed(&shipped("missing-model"), &target).await;
    let findings = findings(&record);
    assert_eq!(
        *findings["missing-model/error-body"] == Finding::Holds,
        outcome == Outcome::Passed,
        "{findings:#?}"
    );
    let by = findings["missing-model/answered-by"];
    assert!(
        matches!(by, Finding::Skipped { why } if !why.is_empty()),
        "nothing tells who answered: {by:?}"
    );
    let parts: Vec<_> = record
        .decisions
        .iter()
        .map(|decision| (decision.check.as_str(), decision.weight, &decision.finding))
        .collect();
    assert_eq!(add_up([], &parts), outcome, "{parts:#?}");
}

#[tokio::test]
async fn a_success_where_an_error_is_expected_is_refused() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_json(completion(&json!({"model": "m", "prompt": "x"}))))
        .mount(&server)
        .await;
    let record = performed(&shipped("refusals"), &target(&server)).await;
    let broken = broken(&record);
    assert_eq!(
        broken,
        [
            "refusals/malformed-json/answer-status",
            "refusals/unknown-model-chat/answer-status",
            "refusals/unknown-model-stream/answer-status",
            "refusals/unknown-model/answer-status"
        ]
    );
    assert_eq!(record.never_decided(), Vec::<&str>::new());
}
