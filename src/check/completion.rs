//! Answers are completions as the OpenAI API promises: `object`, `model` as asked, `choices`, `usage`.
//!
//! Read leniently where the API leaves room (`finish_reason` may hold values it does not define), strictly where it
//! does not. Source: OpenAI API reference, "Completions".

use serde_json::Value;

use super::{Check, Observation, broken, not_sent};
use crate::{
    probe::Answer,
    record::Stage,
    verdict::{Cause, CauseCode, Finding},
};

/// What is wrong with the answer as a completion; empty when nothing is.
fn faults(answer: &Answer) -> Vec<String> {
    let body = match answer.json() {
        Ok(body) => body,
        Err(why) => return vec![format!("the body is not JSON: {why}")],
    };
    let mut faults = Vec::new();
    let chat = answer.request.url.ends_with("/chat/completions");
    let object = if chat { "chat.completion" } else { "text_completion" };
    if body["object"] != object {
        faults.push(format!("`object` is {}, not \"{object}\"", body["object"]));
    }
    let asked = answer.request.model().map_or(Value::Null, Value::String);
    if body["model"] != asked {
        faults.push(format!("`model` is {}, asked was {asked}", body["model"]));
    }
    match body["choices"].as_array() {
        None => faults.push("`choices` is not a list".into()),
        Some(choices) if choices.is_empty() => faults.push("`choices` is empty".into()),
        Some(choices) => faults.extend(
            choices
                .iter()
                .enumerate()
                .filter_map(|(index, choice)| choice_fault(index, choice, chat)),
        ),
    }
    let tokens = |field: &str| body["usage"][field].as_u64();
    match (
        tokens("prompt_tokens"),
        tokens("completion_tokens"),
        tokens("total_tokens"),
    ) {
        (Some(prompt), Some(completion), Some(total)) if prompt + completion == total => {}
        (Some(prompt), Some(completion), Some(total)) => {
            faults.push(format!(
                "`usage` does not add up: {prompt} + {completion} is not {total}"
            ));
        }
        _ => faults.push(format!("`usage` is incomplete: {}", body["usage"])),
    }
    faults
}

fn choice_fault(index: usize, choice: &Value, chat: bool) -> Option<String> {
    let text = if chat {
        &choice["message"]["content"]
    } else {
        &choice["text"]
    };
    if !text.is_string() {
        return Some(format!("choice {index} has no text"));
    }
    if choice["index"].as_u64() != u64::try_from(index).ok() {
        return Some(format!("choice {index} has index {}", choice["index"]));
    }
    if !choice["finish_reason"].is_string() {
        return Some(format!("choice {index} has no finish_reason"));
    }
    None
}

fn malformed(faults: &[String]) -> Finding {
    let cause = faults
        .iter()
        .fold(Cause::new(CauseCode::AnswerMalformed), |cause, fault| {
            cause.because(fault.clone())
        });
    broken(
        "a completion with object, model, choices and usage",
        faults.join("; "),
        cause,
    )
}

/// The guide's answer.
pub(super) struct GuideAnswerIsACompletion;

impl Check for GuideAnswerIsACompletion {
    fn name(&self) -> &'static str {
        "request-completion"
    }

    fn stage(&self) -> Stage {
        Stage::Request
    }

    fn sentence(&self, seen: &Observation) -> String {
        let model = seen.guide_answer.as_ref().and_then(|answer| answer.request.model());
        format!(
            "the answer is a completion of {} with choices and usage",
            model.unwrap_or_else(|| "the model asked for".into())
        )
    }

    fn judge(&self, seen: &Observation) -> Finding {
        let Some(answer) = &seen.guide_answer else {
            return Finding::Undecided {
                why: "the guide's request was not sent".into(),
            };
        };
        if answer.status() != Some(200) {
            return Finding::Skipped {
                why: "the request failed; its body is an error".into(),
            };
        }
        match faults(answer) {
            faults if faults.is_empty() => Finding::Holds,
            faults => malformed(&faults),
        }
    }
}

/// The answers of the proof.
pub(super) struct ProofAnswersAreCompletions;

impl Check for ProofAnswersAreCompletions {
    fn name(&self) -> &'static str {
        "proof-answers"
    }

    fn stage(&self) -> Stage {
        Stage::Proof
    }

    fn sentence(&self, seen: &Observation) -> String {
        if seen.proof.is_empty() {
            return "further requests are answered with completions, through the endpoint picker".into();
        }
        format!(
            "{} of {} requests are answered with a completion, through the endpoint picker",
            seen.proof.iter().filter(|answer| fault(answer).is_none()).count(),
            seen.proof.len()
        )
    }

    fn judge(&self, seen: &Observation) -> Finding {
        if seen.proof.is_empty() {
            return not_sent();
        }
        match seen.proof.iter().find_map(|answer| Some((answer, fault(answer)?))) {
            None => Finding::Holds,
            Some((answer, (code, what))) => broken(
                format!("{} completions through the endpoint picker", seen.proof.len()),
                what,
                match code {
                    Some(code) => Cause::new(code).because(answer.brief()),
                    None => super::diagnosis::diagnose(answer, seen),
                },
            ),
        }
    }
}

/// What is wrong with one answer of the proof; without a code the answer's own diagnosis says it.
fn fault(answer: &Answer) -> Option<(Option<CauseCode>, String)> {
    if answer.status() != Some(200) {
        return Some((None, answer.brief()));
    }
    if !answer.passed_endpoint_picker() {
        return Some((
            Some(CauseCode::EndpointPickerBypassed),
            "a 200 without x-went-into-resp-headers".into(),
        ));
    }
    let faults = faults(answer);
    (!faults.is_empty()).then(|| (Some(CauseCode::AnswerMalformed), faults.join("; ")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{super::diagnosis::tests::answer, *};

    const GOOD: &str = r#"{"object":"text_completion","model":"m","choices":[{"index":0,"text":"x","finish_reason":"stop"}],
        "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;

    #[rstest]
    #[case::good(GOOD.into(), None)]
    #[case::odd_finish_reason(GOOD.replace("stop", "cache_threshold"), None)]
    #[case::other_model(GOOD.replace("\"m\"", "\"n\""), Some("`model`"))]
    #[case::other_object(GOOD.replace("text_completion", "error"), Some("`object`"))]
    #[case::no_choices(GOOD.replace("{\"index\":0,\"text\":\"x\",\"finish_reason\":\"stop\"}", ""), Some("`choices` is empty"))]
    #[case::no_text(GOOD.replace("\"text\"", "\"tekst\""), Some("no text"))]
    #[case::wrong_index(GOOD.replace("\"index\":0", "\"index\":1"), Some("index"))]
    #[case::wrong_sum(GOOD.replace("\"total_tokens\":3", "\"total_tokens\":4"), Some("add up"))]
    #[case::no_usage(GOOD.replace("\"usage\"", "\"used\""), Some("`usage`"))]
    #[case::trailing(format!("{GOOD} x"), Some("not JSON"))]
    #[case::error_event(r#"{"error":{"message":"x"}}"#.into(), Some("`object`"))]
    fn answers_are_read(#[case] body: String, #[case] fault: Option<&str>) {
        let faults = faults(&answer(200, true, &body));
        match fault {
            None => assert_eq!(faults, Vec::<String>::new()),
            Some(fault) => assert!(faults.iter().any(|found| found.contains(fault)), "{faults:?}"),
        }
    }

    #[test]
    fn one_answer_around_the_endpoint_picker_breaks_the_proof() {
        let seen = Observation {
            proof: vec![answer(200, true, GOOD), answer(200, false, GOOD)],
            ..Observation::default()
        };
        let finding = ProofAnswersAreCompletions.judge(&seen);
        assert!(matches!(finding, Finding::Broken { cause, .. } if cause.code == CauseCode::EndpointPickerBypassed));
    }
}
