use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::probe::{Outgoing, Received, Times, Unanswered};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":4}"#;
const STREAMED: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#;
const GOOD: &str = r#"{"id":"c-1","object":"chat.completion","created":1750000000,"model":"m",
    "choices":[{"index":0,"message":{"role":"assistant","content":"größer"},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}"#;

fn answer(path: &str, request: &str, content_type: &str, body: &[u8]) -> Answer {
    Answer {
        request: Outgoing {
            method: "POST".into(),
            url: format!("http://10.0.0.1{path}"),
            headers: Vec::new(),
            body: Some(request.into()),
        },
        attempt: 1,
        resent: None,
        outcome: Ok(Received {
            status: 200,
            headers: vec![("content-type".into(), content_type.into())],
            body: body.to_vec(),
            body_bytes: body.len(),
            ..Received::default()
        }),
        partial: None,
        times: Times::default(),
        took: Duration::from_millis(3),
    }
}

fn told(answer: &Answer) -> BTreeSet<&'static str> {
    faults(&Expected::of(&answer.request), answer)
        .into_iter()
        .map(|fault| fault.check)
        .collect()
}

fn odd(answer: &Answer) -> Vec<String> {
    oddities(&ParsedAnswer::of(&Expected::of(&answer.request), answer))
}

fn chat(body: &[u8]) -> Answer {
    answer("/v1/chat/completions", CHAT, "application/json", body)
}

/// A good stream whose lines end like this.
fn events(line_end: &str) -> Vec<u8> {
    let chunk = |choices: &str, usage: &str| {
        format!(
            r#"data: {{"id":"c-1","object":"chat.completion.chunk","created":1750000000,"model":"m","choices":[{choices}],"usage":{usage}}}"#
        )
    };
    let lines = [
        ": alive".to_owned(),
        chunk(
            r#"{"index":0,"delta":{"role":"assistant"},"finish_reason":null}"#,
            "null",
        ),
        chunk(r#"{"index":0,"delta":{"content":"grö"},"finish_reason":null}"#, "null"),
        chunk(r#"{"index":0,"delta":{"content":"ßer"},"finish_reason":null}"#, "null"),
        chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#, "null"),
        chunk("", r#"{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}"#),
        "data: [DONE]".to_owned(),
    ];
    lines
        .iter()
        .flat_map(|line| [line, line_end, line_end])
        .collect::<String>()
        .into_bytes()
}

fn streamed(body: &[u8]) -> Answer {
    answer("/v1/chat/completions", STREAMED, "text/event-stream", body)
}

#[test]
fn names_are_unique_and_sentences_are_fragments() {
    let names: BTreeSet<_> = WIRE_CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(names.len(), WIRE_CHECKS.len());
    for check in WIRE_CHECKS {
        assert_eq!(named(check.name).map(|check| check.name), Some(check.name));
        assert!(!check.sentence.ends_with('.'), "{}", check.name);
    }
    assert!(named("no-such-check").is_none());
}

#[test]
fn good_answers_hold_and_what_does_not_apply_says_why() {
    for (answer, applies) in [
        (chat(GOOD.as_bytes()), "json"),
        (streamed(&events("\n")), "stream-done"),
    ] {
        let findings = judge(&ParsedAnswer::of(&Expected::of(&answer.request), &answer));
        assert_eq!(findings.len(), WIRE_CHECKS.len());
        for (check, finding) in findings {
            match finding {
                Finding::Holds => {}
                Finding::Skipped { why } => assert!(!why.is_empty() && check.name != applies, "{}", check.name),
                other => panic!("{}: {other:?}", check.name),
            }
        }
    }
}

#[test]
fn every_proper_prefix_of_a_good_body_is_refused() {
    assert_eq!(told(&chat(GOOD.as_bytes())), BTreeSet::new());
    for end in 0..GOOD.len() {
        assert_eq!(told(&chat(&GOOD.as_bytes()[..end])), BTreeSet::from(["json"]), "{end}");
    }
}

#[test]
fn every_proper_prefix_of_a_good_stream_is_refused_whatever_ends_its_lines() {
    for line_end in ["\n", "\r\n", "\r"] {
        let whole = events(line_end);
        assert_eq!(told(&streamed(&whole)), BTreeSet::new());
        for end in 0..whole.len() {
            let told = told(&streamed(&whole[..end]));
            assert_eq!(told.len(), 1, "{line_end:?} {end}: {told:?}");
            assert!(
                told.contains("stream-framing") || told.contains("stream-done"),
                "{line_end:?} {end}: {told:?}"
            );
        }
    }
}

#[test]
fn a_body_of_which_too_little_was_kept_is_not_decided_and_no_pass() {
    for mut answer in [chat(GOOD.as_bytes()), streamed(&events("\n"))] {
        if let Ok(received) = &mut answer.outcome {
            received.body_bytes += 1;
        }
        let findings = judge(&ParsedAnswer::of(&Expected::of(&answer.request), &answer));
        assert!(
            findings
                .iter()
                .any(|(_, finding)| matches!(finding, Finding::Undecided { .. }))
        );
        assert!(!told(&answer).is_empty());
    }
}

#[test]
fn an_answer_that_is_none_is_told_by_one_check() {
    let mut nobody = chat(b"");
    nobody.outcome = Err(Unanswered::NotConnected("refused".into()));
    assert_eq!(told(&nobody), BTreeSet::from(["answer-came"]));
    let mut cut = chat(b"");
    cut.partial = cut.outcome.ok().map(Box::new);
    cut.outcome = Err(Unanswered::CutOff("closed".into()));
    assert_eq!(told(&cut), BTreeSet::from(["answer-ended"]));
}

#[test]
fn a_finish_reason_of_its_own_is_noted_and_no_fault() {
    let body = GOOD.replace("stop", "cache_threshold");
    let answer = chat(body.as_bytes());
    assert_eq!(told(&answer), BTreeSet::new());
    assert!(matches!(&odd(&answer)[..], [one] if one.contains("cache_threshold")));
    assert_eq!(odd(&chat(GOOD.as_bytes())), Vec::<String>::new());
}

/// A good stream of these texts, each a choice that comes word by word.
fn stream_of(texts: &[String], line_end: &str) -> Vec<u8> {
    let mut choices = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        choices.push(json!({"index": index, "delta": {"role": "assistant"}, "finish_reason": null}));
        for word in text.split_inclusive(' ') {
            choices.push(json!({"index": index, "delta": {"content": word}, "finish_reason": null}));
        }
        choices.push(json!({"index": index, "delta": {}, "finish_reason": "stop"}));
    }
    let chunk = |choice| {
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})
            .to_string()
    };
    let data = choices.into_iter().map(chunk).chain(["[DONE]".to_owned()]);
    data.flat_map(|data| format!("data: {data}{line_end}{line_end}").into_bytes())
        .collect()
}

fn stream_asked_for(texts: &[String], body: &[u8]) -> Answer {
    let request = json!({"model": "m", "messages": [], "stream": true, "n": texts.len()}).to_string();
    answer("/v1/chat/completions", &request, "text/event-stream", body)
}

proptest! {
    #[test]
    fn any_good_stream_holds_and_no_proper_prefix_of_it_does(
        texts in proptest::collection::vec("[a-zß😀 ]{1,20}", 1..4),
        line_end in proptest::sample::select(vec!["\n", "\r\n", "\r"]),
        cut in any::<proptest::sample::Index>(),
    ) {
        let whole = stream_of(&texts, line_end);
        prop_assert_eq!(told(&stream_asked_for(&texts, &whole)), BTreeSet::new());
        let prefix = &whole[..cut.index(whole.len())];
        prop_assert_ne!(told(&stream_asked_for(&texts, prefix)), BTreeSet::new());
    }

    #[test]
    fn any_bytes_are_judged_without_panic(
        path in proptest::sample::select(vec!["/v1/completions", "/v1/chat/completions", "/v1/models", "/v1/embeddings"]),
        content_type in proptest::sample::select(vec!["application/json", "text/event-stream"]),
        good in any::<bool>(),
        noise in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut body = if good { GOOD.as_bytes().to_vec() } else { events("\n") };
        for (place, byte) in noise {
            let place = place.index(body.len());
            body[place] = byte;
        }
        for request in [CHAT, STREAMED, "{"] {
            let answer = answer(path, request, content_type, &body);
            prop_assert_eq!(judge(&ParsedAnswer::of(&Expected::of(&answer.request), &answer)).len(), WIRE_CHECKS.len());
        }
    }
}

#[test]
fn many_faults_are_counted_and_few_told() {
    let chunk = |number| format!("data: {{\"id\": {number}}}\n\n");
    let chunks: String = (0..1000).map(chunk).collect();
    let answer = streamed(format!("{chunks}data: [DONE]\n\n").as_bytes());
    let faults = faults(&Expected::of(&answer.request), &answer);
    assert_eq!(faults.len(), MOST_TOLD + 1);
    // Each has an id of its own that is none; that there is no object, no time and no choice is three more.
    assert_eq!(faults[MOST_TOLD].what, "and 998 more");
}

#[test]
fn one_fault_of_many_events_is_told_once() {
    let chunks = "data: {}\n\n".repeat(1000);
    let answer = streamed(format!("{chunks}data: [DONE]\n\n").as_bytes());
    let faults = faults(&Expected::of(&answer.request), &answer);
    assert_eq!(faults.len(), 4);
    assert_eq!(faults[1].what, "event 1 and 999 more: `id` is missing");
}

#[test]
fn a_finish_reason_that_is_an_empty_text_is_told_as_that() {
    let stream = String::from_utf8(events("\n"))
        .unwrap()
        .replace("\"finish_reason\":null", "\"finish_reason\":\"\"");
    for (answer, check) in [
        (streamed(stream.as_bytes()), "stream-chunks"),
        (chat(GOOD.replace("\"stop\"", "\"\"").as_bytes()), "finish-reason"),
    ] {
        let faults = faults(&Expected::of(&answer.request), &answer);
        assert!(
            matches!(&faults[..], [one] if one.check == check && one.what.contains("finish_reason") && one.what.contains(" is an empty text")),
            "{faults:?}"
        );
    }
}

#[test]
fn what_is_quoted_is_short_and_cut_between_characters() {
    let quoted = quoted(&"ß".repeat(1000));
    assert_eq!(quoted.chars().count(), MOST_QUOTED + 1);
}
