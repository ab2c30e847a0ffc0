//! Reading the choices of a generated answer: those that came at once, and those that came piece by piece.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Endpoint, quoted};

/// Fields of a message beside `content` in which a model may have said something. Source: OpenAI API reference
/// (`tool_calls`, `function_call`, `refusal`, `audio`); vLLM (`reasoning_content`, `reasoning`).
const OTHER_SPEECH: &[&str] = &[
    "tool_calls",
    "function_call",
    "refusal",
    "audio",
    "reasoning_content",
    "reasoning",
];

/// One choice of an answer, whole or put together from its pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its index.
    pub(super) index: u64,
    /// What it says, in full.
    pub(super) text: String,
    /// Whether it says something other than text: a call of a tool, a refusal, reasoning.
    pub(super) says_other: bool,
    /// Its finish reasons, in order.
    pub(super) finished: Vec<String>,
    /// Pieces of text that came after a finish reason; of a whole answer 0.
    pub(super) late: usize,
}

/// The text of a message's content; `None` where it is no content. An absent or null one is empty.
fn content(content: Option<&Value>) -> Option<String> {
    match content {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::String(text)) => Some(text.clone()),
        // A list of parts, of which some are text: what a model that speaks of images and sounds answers.
        Some(Value::Array(parts)) => parts
            .iter()
            .map(|part| part.is_object().then(|| part["text"].as_str().unwrap_or_default()))
            .collect(),
        Some(_) => None,
    }
}

fn says_other(message: &Value) -> bool {
    let says = |field: &&str| match &message[*field] {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    };
    OTHER_SPEECH.iter().any(says)
}

/// The choices of an answer that came at once, and what is wrong with their form.
pub(super) fn read(body: &Value, endpoint: Endpoint) -> (Vec<Choice>, Vec<String>) {
    let Some(list) = body["choices"].as_array() else {
        return (
            Vec::new(),
            vec![format!("`choices` is {} and not a list", quoted(&body["choices"]))],
        );
    };
    let (mut choices, mut faults) = (Vec::new(), Vec::new());
    for (place, choice) in list.iter().enumerate() {
        match one(choice, endpoint) {
            Ok(choice) => choices.push(choice),
            Err(fault) => faults.push(format!("choice {place} {fault}")),
        }
    }
    (choices, faults)
}

fn one(choice: &Value, endpoint: Endpoint) -> Result<Choice, String> {
    let index = choice["index"]
        .as_u64()
        .ok_or_else(|| format!("has index {}", quoted(&choice["index"])))?;
    let finished = choice["finish_reason"]
        .as_str()
        .map(str::to_owned)
        .into_iter()
        .collect();
    if endpoint == Endpoint::Completions {
        let text = choice["text"].as_str().ok_or("has no text")?.to_owned();
        return Ok(Choice {
            index,
            text,
            finished,
            ..Choice::default()
        });
    }
    let message = &choice["message"];
    if !message.is_object() {
        return Err("has no message".into());
    }
    if message["role"] != "assistant" {
        return Err(format!(
            "has the role {} and not \"assistant\"",
            quoted(&message["role"])
        ));
    }
    let text = content(message.get("content")).ok_or("has a content that is no text")?;
    let says_other = says_other(message);
    Ok(Choice {
        index,
        text,
        says_other,
        finished,
        late: 0,
    })
}

/// The choices of a stream's chunks, whose form is good, put together.
pub(super) fn joined(chunks: &[&Value], endpoint: Endpoint) -> Vec<Choice> {
    let mut choices: Vec<Choice> = Vec::new();
    let mut places = BTreeMap::new();
    for piece in chunks.iter().filter_map(|chunk| chunk["choices"].as_array()).flatten() {
        let Some(index) = piece["index"].as_u64() else { continue };
        let place = *places.entry(index).or_insert(choices.len());
        if place == choices.len() {
            choices.push(Choice {
                index,
                ..Choice::default()
            });
        }
        let choice = &mut choices[place];
        let message = if endpoint == Endpoint::Chat {
            &piece["delta"]
        } else {
            piece
        };
        let field = if endpoint == Endpoint::Chat { "content" } else { "text" };
        let text = content(message.get(field)).unwrap_or_default();
        let other = says_other(message);
        choice.late += usize::from(!choice.finished.is_empty() && (!text.is_empty() || other));
        choice.text.push_str(&text);
        choice.says_other |= other;
        choice
            .finished
            .extend(piece["finish_reason"].as_str().map(str::to_owned));
    }
    choices
}

/// What is wrong with the form of one piece of a stream; `None` where it is good.
pub(super) fn piece_fault(piece: &Value, endpoint: Endpoint) -> Option<String> {
    if piece["index"].as_u64().is_none() {
        return Some(format!("a choice has index {}", quoted(&piece["index"])));
    }
    if !matches!(piece["finish_reason"], Value::Null | Value::String(_)) {
        return Some(format!("a finish_reason is {}", quoted(&piece["finish_reason"])));
    }
    match endpoint {
        Endpoint::Completions if !piece["text"].is_string() => Some("a choice has no text".into()),
        Endpoint::Chat if !piece["delta"].is_object() => Some("a choice has no delta".into()),
        Endpoint::Chat if content(piece["delta"].get("content")).is_none() => {
            Some("a delta has a content that is no text".into())
        }
        _ => None,
    }
}
