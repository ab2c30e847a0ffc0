use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::scenario::{Role, Step};

const GOOD: &str = "\
name: a-b
proves: It holds.
releases: {from: v0.5.0, before: v1.0.0}
needs:
  capabilities: [adapter]
weight: advisory
steps:
  - request:
      name: first
      path: /v1/models
      expect:
        status: [200]
      capture:
        id: answer.json.data[0].id
  - request:
      name: second
      method: POST
      path: /v1/completions
      headers:
        X-Tag: ${id}
      json:
        model: ${adapter}
        prompt: \"${number}. ${prompt} ${city}\"
      vary:
        city: [Rome, Oslo]
      repeat: 3
      concurrency: 2
      within: 1m30s
      expect:
        answer: success
        answered-by: [model-server]
        passed-endpoint-picker: true
        cel:
          - name: same-id
            sentence: the answer names what was captured
            holds: answer.json.model == id
";

#[test]
fn everything_that_a_scenario_may_say_is_read() {
    let scenario = read("a.yaml", GOOD.as_bytes()).unwrap();
    assert_eq!(
        (scenario.name.as_str(), scenario.weight),
        ("a-b", crate::verdict::Weight::Advisory)
    );
    let [Step::Request(first), Step::Request(second)] = scenario.steps.as_slice() else {
        panic!("two steps");
    };
    assert_eq!((first.method, first.requests()), (Method::Get, 1));
    assert_eq!(first.capture[0].0, "id");
    assert_eq!(second.headers[0].0, "x-tag");
    assert_eq!((second.requests(), second.concurrency), (6, 2));
    assert_eq!(second.within, Some(std::time::Duration::from_secs(90)));
    assert_eq!(second.vary[1]["city"], "Oslo");
    assert_eq!(second.expect.cel[0].holds.text(), "answer.json.model == id");
}

/// A change of the good text, where the error stands, and what it says.
#[rstest]
#[case::field("weight:", "wieght:", 6, 1, "did you mean `weight`?")]
#[case::field_of_a_request("method: POST", "methd: POST", 17, 7, "did you mean `method`?")]
#[case::kind_of_step(
    "- request:\n      name: first",
    "- requst:\n      name: first",
    8,
    5,
    "did you mean `request`?"
)]
#[case::check("answered-by: [m", "answerd-by: [m", 31, 9, "did you mean `answered-by`?")]
#[case::component("[model-server]", "[modelserver]", 31, 23, "did you mean `model-server`?")]
#[case::method("POST", "POSR", 17, 15, "did you mean `POST`?")]
#[case::capability("[adapter]", "[adaptor]", 5, 18, "did you mean `adapter`?")]
#[case::weight("advisory", "advise", 6, 9, "did you mean `advisory`?")]
#[case::variable_in_json("${adapter}", "x ${adaptr}", 22, 18, "did you mean `adapter`?")]
#[case::variable_in_a_header("X-Tag: ${id}", "X-Tag: ${ident}", 20, 16, "no variable is called `ident`")]
#[case::variable_that_comes_later("path: /v1/models", "path: /v1/${id}", 10, 17, "no variable is called `id`")]
#[case::open_variable("${prompt} ", "${prompt ", 23, 18, "names no variable")]
#[case::expression("data[0].id", "data[0", 14, 13, "no CEL expression")]
#[case::variable_of_an_expression("== id", "== ident", 36, 20, "no variable is called `ident`")]
#[case::field_of_an_answer("holds: answer.json", "holds: answer.jason", 36, 20, "did you mean `json`?")]
#[case::name("name: a-b", "name: A b", 1, 7, "is no name")]
#[case::name_of_ours("name: same-id", "name: status", 34, 19, "a check of ours")]
#[case::two_steps_of_one_name("name: second", "name: first", 16, 13, "another step")]
#[case::a_step_without_a_name("      name: second\n", "", 15, 5, "`name` is missing")]
#[case::duration("1m30s", "90", 28, 15, "expected a duration")]
#[case::releases("before: v1.0.0", "before: v0.5.0", 3, 34, "no release is")]
#[case::tag("from: v0.5.0", "from: 0.5.0", 3, 18, "lacks its `v`")]
#[case::lists_of_different_lengths("city: [Rome, Oslo]", "{city: [Rome], town: [a, b]}", 25, 24, "town")]
#[case::no_requests("repeat: 3", "repeat: 0", 26, 15, "1 to 10000 requests")]
#[case::too_many_at_once("concurrency: 2", "concurrency: 1000", 27, 20, "1 to 256")]
#[case::nothing_expected("expect:\n        status: [200]", "expect: {}", 11, 7, "nothing is expected")]
#[case::no_status("[200]", "[2000]", 12, 18, "no status code")]
#[case::relative_path("path: /v1/models", "path: v1/models", 10, 13, "begin with `/`")]
#[case::given_variable("id: answer", "model: answer", 14, 16, "a variable of ours")]
#[case::no_adapter("[adapter]", "[cluster]", 22, 16, "`needs: {capabilities: [adapter]}`")]
#[case::missing("proves: It holds.\n", "", 6, 1, "`proves` is missing")]
#[case::twice("proves: It holds.", "proves: It holds.\nproves: Twice.", 3, 1, "proves")]
#[case::two_bodies("      vary:", "      body: x\n      vary:", 24, 13, "keep one")]
#[case::success_with_a_status(
    "answer: success",
    "answer: success\n        status: [200]",
    31,
    9,
    "a success is a 200"
)]
#[case::error_without_a_status("answer: success", "answer: error", 30, 17, "needs the status codes")]
#[case::words_of_an_error(
    "status: [200]",
    "status: [200]\n        says: x",
    13,
    15,
    "only with `answer: success`"
)]
#[case::not_a_sentence("proves: It holds.", "proves: ''", 2, 9, "one sentence")]
fn what_is_wrong_is_said_with_its_place(
    #[case] good: &str,
    #[case] bad: &str,
    #[case] at_line: u32,
    #[case] at_column: u32,
    #[case] said: &str,
) {
    assert!(GOOD.contains(good), "the test changes nothing");
    let text = GOOD.replacen(good, bad, 1);
    let Err(ScenarioError::Wrong {
        line,
        column,
        why,
        excerpt,
        ..
    }) = read("a.yaml", text.as_bytes())
    else {
        panic!("it is read");
    };
    assert!(why.contains(said), "{why}");
    assert_eq!((line, column), (at_line, at_column), "{why}{excerpt}");
    let caret = excerpt.lines().last().unwrap();
    assert_eq!(
        caret.find('^'),
        Some(5 + usize::try_from(column).unwrap() - 1),
        "{excerpt}"
    );
}

const CHANGES: &str = "\
name: a-b
proves: It holds.
needs: {capabilities: [cluster]}
steps:
  - with:
      name: away
      scale: {what: model-server, to: 0}
      steps:
        - request:
            name: first
            path: /v1/models
            expect: {status: [503]}
  - request:
      name: second
      path: /v1/models
      expect: {answer: success}
";

#[test]
fn a_change_is_read_with_the_steps_that_stand_inside_of_it() {
    let scenario = read("a.yaml", CHANGES.as_bytes()).unwrap();
    let [Step::With(with), Step::Request(second)] = scenario.steps.as_slice() else {
        panic!("a change and a request");
    };
    let change = Change::Scale {
        what: Role::ModelServer,
        to: 0,
    };
    assert_eq!((with.name.as_deref(), with.change), (Some("away"), change));
    let [Step::Request(first)] = with.steps.as_slice() else {
        panic!("one request inside");
    };
    assert_eq!((first.under, second.under), (Some(change), None));
    assert_eq!(scenario.changes().collect::<Vec<_>>(), [change]);
}

#[test]
fn where_a_change_is_the_only_step_and_has_one_no_name_is_needed() {
    let text = "name: a\nproves: It holds.\nneeds: {capabilities: [cluster]}\nsteps:\n- with: {scale: {what: endpoint-picker, to: 2}, steps: [{request: {path: /, expect: {status: [200]}}}]}\n";
    read("a.yaml", text.as_bytes()).unwrap();
}

#[rstest]
#[case::no_cluster("[cluster]", "[adapter]", 5, 5, "needs `needs: {capabilities: [cluster]}`")]
#[case::part("model-server", "modelserver", 7, 21, "did you mean `model-server`?")]
#[case::field("scale:", "scael:", 7, 7, "did you mean `scale`?")]
#[case::too_many("to: 0", "to: 21", 7, 39, "0 to 20 pods")]
#[case::below_none("to: 0", "to: -1", 7, 39, "0 to 20 pods")]
#[case::no_name("      name: away\n", "", 5, 5, "`name` is missing")]
#[case::no_name_inside("            name: first\n", "", 9, 11, "`name` is missing")]
#[case::the_name_of_one_inside("name: second", "name: first", 14, 13, "another step is called `first`")]
#[case::its_own_name_again("name: second", "name: away", 14, 13, "another step is called `away`")]
#[case::a_change_inside(
    "            path: /v1/models\n            expect: {status: [503]}\n",
    "            path: /x\n            expect: {status: [503]}\n        - with: {name: x, scale: {what: model-server, to: 1}, steps: []}\n",
    13,
    11,
    "inside of another"
)]
#[case::a_check_of_ours(
    "{answer: success}",
    "{cel: [{name: restored, sentence: x, holds: 'true'}]}",
    16,
    29,
    "a check of ours"
)]
fn what_is_wrong_with_a_change_is_said_with_its_place(
    #[case] good: &str,
    #[case] bad: &str,
    #[case] at_line: u32,
    #[case] at_column: u32,
    #[case] said: &str,
) {
    assert!(CHANGES.contains(good), "the test changes nothing");
    let text = CHANGES.replacen(good, bad, 1);
    let Err(ScenarioError::Wrong { line, column, why, .. }) = read("a.yaml", text.as_bytes()) else {
        panic!("it is read");
    };
    assert!(why.contains(said), "{why}");
    assert_eq!((line, column), (at_line, at_column), "{why}");
}

#[test]
fn a_change_without_steps_is_refused() {
    let (head, _) = CHANGES
        .split_once("        - request:\n            name: first")
        .unwrap();
    let text = head.replace("      steps:\n", "      steps: []\n");
    let why = read("a.yaml", text.as_bytes()).unwrap_err().to_string();
    assert!(why.contains("1 to 50 steps"), "{why}");
}

#[test]
fn the_message_names_file_line_and_column() {
    let error = read("dir/a.yaml", b"name: [").unwrap_err().to_string();
    assert!(error.starts_with("dir/a.yaml:1:"), "{error}");
}

#[rstest]
#[case::not_text(b"name: \xff".to_vec())]
#[case::too_large(vec![b' '; 300 << 10])]
#[case::deep("[".repeat(100_000).into_bytes())]
#[case::empty(Vec::new())]
#[case::several_documents(format!("{GOOD}---\n{GOOD}").into_bytes())]
fn hostile_files_are_errors(#[case] bytes: Vec<u8>) {
    read("a.yaml", &bytes).unwrap_err();
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read("a.yaml", &bytes);
    }

    #[test]
    fn no_slip_in_a_good_text_makes_it_panic(at in 0..GOOD.len(), sign in "[-a:\\[\\]{}&*!|>'\"%@ \n#,?<~$0-9]") {
        let mut text = GOOD.to_owned();
        text.insert_str(at, &sign);
        let _ = read("a.yaml", text.as_bytes());
    }
}
