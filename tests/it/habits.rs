//! `quickproof probe` against model servers with the habits of real ones: which of them pass, and what is said of the rest.

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    lies::{Draft, MODEL, right},
    probe::{Probed, probe},
    served::{Asked, Served},
};

/// A server that answers rightly but for this habit.
fn server(habit: impl Fn(&Asked, &mut Draft) + Send + Sync + 'static) -> Served {
    let served = Served::start(move |asked, mut wire| {
        let mut draft = right(asked);
        habit(asked, &mut draft);
        wire.send(draft.rendered())
    });
    served.unwrap()
}

/// A probe that asks for this model.
fn probed(server: &Served, model: &str) -> Probed {
    probe(&[&server.url(""), "--model", model, "-o", "json"])
}

/// How often the report says this; its lines are folded at the width of a page.
fn times_said(probed: &Probed, what: &str) -> usize {
    let report = probed.files["report.txt"]
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    report.matches(what).count()
}

#[test]
fn keep_alive_of_the_server_itself_is_noted_once() {
    let server = server(|_, draft| draft.add("keep-alive", "timeout=5, max=100"));
    let probed = probed(&server, MODEL);
    assert_eq!(
        (probed.code, probed.broken()),
        (Some(0), Vec::new()),
        "{}",
        probed.stderr
    );
    assert_eq!(times_said(&probed, "the server sends `keep-alive`"), 1);
}

#[test]
fn keep_alive_that_a_gateway_passes_on_is_a_fault() {
    let server = server(|_, draft| {
        draft.add("keep-alive", "timeout=5, max=100");
        draft.add("server", "nginx/1.22.1");
    });
    let probed = probed(&server, MODEL);
    let broken = probed.broken();
    assert_eq!(probed.code, Some(1));
    assert!(
        broken.iter().all(|check| check.ends_with("/hop-by-hop-headers")),
        "{broken:?}"
    );
}

/// A server that knows its model by a second name too, and answers in the name of the first; both stand in its list with
/// these roots.
fn twice_named(roots: [Value; 2]) -> Served {
    let server = Served::start(move |asked, mut wire| {
        let body = String::from_utf8_lossy(&asked.body).replace("\"m-short\"", "\"m\"");
        let mut draft = right(&Asked {
            head: asked.head.clone(),
            body: body.into_bytes(),
        });
        if let Some(models) = draft.json["data"].as_array_mut() {
            models.extend_from_within(..1);
            models[1]["id"] = json!("m-short");
            for (model, root) in models.iter_mut().zip(&roots) {
                model["root"] = root.clone();
            }
        }
        wire.send(draft.rendered())
    });
    server.unwrap()
}

#[test]
fn a_model_that_answers_under_another_of_its_names_passes_and_that_is_said() {
    let server = twice_named([json!("/models/m"), json!("/models/m")]);
    let probed = probed(&server, "m-short");
    assert_eq!(
        (probed.code, probed.broken()),
        (Some(0), Vec::new()),
        "{}",
        probed.stderr
    );
    assert_eq!(times_said(&probed, "asked as `m-short` the model answers as `m`"), 1);
}

#[rstest]
#[case::of_two_models([json!("/models/m"), json!("/models/n")])]
#[case::of_which_nothing_is_known([Value::Null, Value::Null])]
fn another_model_of_the_list_is_another_model(#[case] roots: [Value; 2]) {
    let probed = probed(&twice_named(roots), "m-short");
    let broken = probed.broken();
    assert_eq!(probed.code, Some(1));
    assert!(
        broken.iter().all(|check| check.ends_with("/answer-model")),
        "{broken:?}"
    );
}

#[rstest]
#[case::latest("m:latest", &[])]
#[case::another("m:8b", &["models/models-name"])]
#[case::another_model("n", &["models/models-name"])]
fn a_name_without_a_tag_means_the_latest(#[case] listed: &'static str, #[case] broken: &[&str]) {
    let server = server(move |_, draft| {
        if draft.json["data"].is_array() {
            draft.json["data"][0]["id"] = json!(listed);
        }
    });
    let probed = probed(&server, MODEL);
    assert_eq!(probed.broken(), broken);
    let noted = times_said(&probed, "the model `m` is listed as `m:latest`");
    assert_eq!(noted, usize::from(broken.is_empty()));
}

/// What a server makes of a request without looking at a parameter of it.
fn without(asked: &Asked, parameter: &str) -> Draft {
    let mut body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    if let Some(fields) = body.as_object_mut() {
        fields.remove(parameter);
    }
    right(&Asked {
        head: asked.head.clone(),
        body: body.to_string().into_bytes(),
    })
}

fn asks_for(asked: &Asked, parameter: &str) -> bool {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    body.get(parameter).is_some()
}

#[rstest]
#[case("n", "parameters/choices/answer-choices")]
#[case("max_completion_tokens", "parameters/max-completion-tokens/max-tokens")]
#[case("prompt", "parameters/prompts/answer-choices")]
#[case(
    "stop",
    "stop-sequences/chat-stream/stop-sequences stop-sequences/completion/stop-sequences"
)]
fn a_parameter_that_is_ignored_is_told(#[case] parameter: &'static str, #[case] told: &str) {
    let server = server(move |asked, draft| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        if !asks_for(asked, parameter) || parameter == "prompt" && !body["prompt"].is_array() {
            return;
        }
        *draft = without(asked, parameter);
        if parameter == "max_completion_tokens" {
            draft.json["usage"] = json!({"prompt_tokens": 3, "completion_tokens": 90, "total_tokens": 93});
        }
    });
    let arguments = ["--scenario", "parameters", "--scenario", "stop-sequences"];
    let probed = probe(&[&[&server.url(""), "--model", MODEL, "-o", "json"], &arguments[..]].concat());
    assert_eq!(
        (probed.code, probed.broken().join(" ")),
        (Some(1), told.to_owned()),
        "{}",
        probed.stderr
    );
}

/// A 400 that says why is no fault; one that says nothing, or another error, is.
#[rstest]
#[case(400, "`n` must be 1", 0)]
#[case(400, "", 1)]
#[case(500, "`n` must be 1", 1)]
fn a_parameter_may_be_refused_with_words(#[case] status: u16, #[case] words: &'static str, #[case] code: i32) {
    let server = server(move |asked, draft| {
        if asks_for(asked, "n") {
            draft.status = status;
            draft.json = json!({"error": {"message": words, "type": "BadRequestError", "code": status}});
        }
    });
    let probed = probe(&[
        &server.url(""),
        "--model",
        MODEL,
        "-o",
        "json",
        "--scenario",
        "parameters",
    ]);
    assert_eq!(probed.code, Some(code), "{}", probed.stderr);
    assert!(
        probed
            .broken()
            .iter()
            .all(|check| check.starts_with("parameters/choices/"))
    );
    assert_eq!(
        times_said(&probed, "scenario parameters, choices: it is refused: status 400"),
        usize::from(status == 400)
    );
}
