//! Reading the choices of a generated answer: those that came at once, and those that came piece by piece.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Endpoint, told};

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
    /// Pieces that hold all that was said before them, and more; of a whole answer 0.
    pub(super) again: usize,
    /// Where in the text the last of these begins.
    said_from: usize,
}

impl Choice {
    /// Adds a piece of its text.
    fn say(&mut self, piece: &str) {
        if says_again(&self.text[self.said_from..], piece) {
            self.again += 1;
            self.said_from = self.text.len();
        }
        self.text.push_str(piece);
    }
}

/// The fewest letters that have been said before a piece can say them again: a word may well begin as the one before it.
const SAID: usize = 4;

/// Whether a piece holds all that was said, and more. One thing said over and over is no such piece: models that go round
/// in circles say it too, and a busy server sends several tokens of theirs at once.
fn says_again(said: &str, piece: &str) -> bool {
    let goes_on = piece.len() > said.len() && piece.starts_with(said) && said.chars().nth(SAID - 1).is_some();
    goes_on && !is_one_thing_repeated(piece)
}

/// Whether a text is a shorter one several times.
fn is_one_thing_repeated(text: &str) -> bool {
    let lengths =
        (1..=text.len() / 2).filter(|length| text.len().is_multiple_of(*length) && text.is_char_boundary(*length));
    lengths.into_iter().any(|length| {
        text.as_bytes()
            .chunks(length)
            .all(|part| part == &text.as_bytes()[..length])
    })
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
            vec![format!("`choices` is {} and not a list", told(body.get("choices")))],
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
        .ok_or_else(|| format!("has no index: it is {}", told(choice.get("index"))))?;
    let finished = choice["finish_reason"]
        .as_str()
        .map(str::to_owned)
        .into_iter()
        .collect();
    if endpoint == Endpoint::Completions {
        let text = choice["text"].as_str();
        let text = text
            .ok_or_else(|| format!("has no text: it is {}", told(choice.get("text"))))?
            .to_owned();
        return Ok(Choice {
            index,
            text,
            finished,
            ..Choice::default()
        });
    }
    let message = &choice["message"];
    if !message.is_object() {
        return Err(format!("has no message: it is {}", told(choice.get("message"))));
    }
    if message["role"] != "assistant" {
        return Err(format!(
            "has the role {} and not \"assistant\"",
            told(message.get("role"))
        ));
    }
    let text = message.get("content");
    let text = content(text).ok_or_else(|| format!("has a content that is no text: it is {}", told(text)))?;
    let says_other = says_other(message);
    Ok(Choice {
        index,
        text,
        says_other,
        finished,
        ..Choice::default()
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
        choice.say(&text);
        choice.says_other |= other;
        choice
            .finished
            .extend(piece["finish_reason"].as_str().map(str::to_owned));
    }
    choices
}

/// What is wrong with the reason for which a choice ended, where it has one; `None` where that is null.
fn reason_fault(choice: &Value) -> Option<String> {
    match &choice["finish_reason"] {
        Value::Null => None,
        Value::String(reason) if !reason.is_empty() => None,
        reason => Some(format!("finish_reason is {}", told(Some(reason)))),
    }
}

/// What is wrong with the form of one piece of a stream; `None` where it is good.
pub(super) fn piece_fault(piece: &Value, endpoint: Endpoint) -> Option<String> {
    let is = |what: &str, field: Option<&Value>| Some(format!("{what} of a choice is {}", told(field)));
    if piece["index"].as_u64().is_none() {
        return is("the index", piece.get("index"));
    }
    if let Some(fault) = reason_fault(piece) {
        return Some(format!("{fault}, and neither null nor a reason"));
    }
    match endpoint {
        Endpoint::Completions if !piece["text"].is_string() => is("the text", piece.get("text")),
        Endpoint::Chat if !piece["delta"].is_object() => is("the delta", piece.get("delta")),
        Endpoint::Chat if content(piece["delta"].get("content")).is_none() => {
            is("the content of the delta", piece["delta"].get("content"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::news(&["one ", "two ", "three "], 0)]
    #[case::the_whole_text_each_time(&["one ", "one two ", "one two three ", "one two three four"], 3)]
    #[case::from_some_piece_on(&["one ", "two ", "one two three ", "one two three four "], 2)]
    #[case::the_same_word(&["ha ", "ha ", "ha ", "ha "], 0)]
    #[case::more_and_more_of_it(&["well ", "well well ", "well well well well "], 0)]
    #[case::words_that_begin_alike(&["then", "thence", "forward"], 1)]
    #[case::not_of_letters_that_are_halved(&["ß", "ßß", "ßßa"], 0)]
    fn pieces_that_say_again_what_was_said_are_counted(#[case] pieces: &[&str], #[case] again: usize) {
        let mut choice = Choice::default();
        for piece in pieces {
            choice.say(piece);
        }
        assert_eq!(choice.again, again);
        assert_eq!(choice.text, pieces.concat());
    }
}
