//! What must be true of a stream beside what it says.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    AnswerKind, Endpoint, Unjudged, WireCheck,
    choices::Choice,
    events::{Events, Item, is_timeless},
    quoted,
};
use crate::verdict::CauseCode;

/// Framing as the HTML standard has it, and nothing left over.
pub(super) const FRAMING: WireCheck = WireCheck {
    name: "stream-framing",
    sentence: "the stream is made of whole events, and of nothing else",
    cause: |_| CauseCode::StreamMalformed,
    decides: &[AnswerKind::Stream],
    judge: |seen| Ok(seen.events()?.framing.clone()),
};

/// JSON, `object`, `id`, `created`, and choices with their text or delta.
pub(super) const CHUNKS: WireCheck = WireCheck {
    name: "stream-chunks",
    sentence: "every event is a chunk of the answer: strict JSON with what it is, an id, a time and choices",
    cause: |_| CauseCode::StreamMalformed,
    decides: &[AnswerKind::Stream],
    judge: |seen| {
        let events = seen.events()?;
        events.framed()?;
        Ok(events.chunks.clone())
    },
};

/// An event that tells an error: named `error`, or with one in its data.
pub(super) const ERROR: WireCheck = WireCheck {
    name: "stream-error",
    sentence: "no event of the stream tells an error",
    cause: |_| CauseCode::StreamError,
    decides: &[],
    judge: |seen| {
        let items = seen.events()?.framed()?;
        let error = |(item, number): (&Item, usize)| match item {
            Item::Error(words) => Some(format!("event {number} tells an error: {}", quoted(words))),
            Item::Chunk(_) | Item::Done => None,
        };
        Ok(items.iter().zip(1_usize..).filter_map(error).collect())
    },
};

/// `[DONE]`.
pub(super) const DONE: WireCheck = WireCheck {
    name: "stream-done",
    sentence: "`[DONE]` comes once, and last",
    cause: |seen| {
        let ends = |items: &[Item]| items.iter().any(|item| matches!(item, Item::Done));
        match seen.events().and_then(Events::framed).map(ends) {
            Ok(true) => CauseCode::StreamMalformed,
            Ok(false) | Err(_) => CauseCode::StreamTruncated,
        }
    },
    decides: &[AnswerKind::Stream],
    judge: |seen| {
        let events = seen.events()?;
        events.undisturbed()?;
        Ok(events.end.clone())
    },
};

/// `id` does not change from chunk to chunk, and `created` does not go back: vLLM says the time of the request in all of
/// them, `SGLang` the time of each (its `serving_chat.py`).
pub(super) const CONSTANT: WireCheck = WireCheck {
    name: "stream-constant",
    sentence: "all chunks have the same id, and their time does not go back",
    cause: |_| CauseCode::StreamMalformed,
    decides: &[],
    judge: |seen| {
        let chunks = seen.events()?.ended()?;
        // To some servers several prompts are several requests: then what must not change is that of each choice.
        let of = |chunk: &Value| match chunk["choices"][0]["index"].as_u64() {
            index @ Some(_) if seen.expected.several_prompts => index,
            _ => None,
        };
        let mut faults = Vec::new();
        for field in ["id", "created"] {
            let mut last: BTreeMap<Option<u64>, &Value> = BTreeMap::new();
            let told = chunks
                .iter()
                .zip(1_usize..)
                .filter(|(chunk, _)| field != "created" || !is_timeless(chunk));
            for (chunk, number) in told {
                let value = &chunk[field];
                let known = last.entry(of(chunk)).or_insert(value);
                let goes_on = field == "created" && value.as_u64() >= known.as_u64();
                if *known != value && !goes_on {
                    let (known, value) = (quoted(known), quoted(value));
                    faults.push(format!("`{field}` was {known} and is {value} in chunk {number}"));
                    break;
                }
                *known = value;
            }
        }
        Ok(faults)
    },
};

/// The first delta of each choice of a chat has `role`.
pub(super) const ROLE: WireCheck = WireCheck {
    name: "stream-role",
    sentence: "the first delta of every choice says that the assistant speaks, and no other says otherwise",
    cause: |_| CauseCode::StreamMalformed,
    decides: &[],
    judge: |seen| {
        let chunks = seen.events()?.ended()?;
        if seen.expected.endpoint != Endpoint::Chat {
            return Err(Unjudged::because("the answer is no chat"));
        }
        let mut roles: BTreeMap<u64, &Value> = BTreeMap::new();
        let mut faults = Vec::new();
        for piece in chunks.iter().filter_map(|chunk| chunk["choices"].as_array()).flatten() {
            let index = piece["index"].as_u64().unwrap_or_default();
            let role = &piece["delta"]["role"];
            let first = !roles.contains_key(&index);
            roles.entry(index).or_insert(role);
            if first && role != "assistant" {
                faults.push(format!(
                    "the first delta of choice {index} has the role {}",
                    quoted(role)
                ));
            } else if !first && !role.is_null() && role != "assistant" {
                faults.push(format!("a later delta of choice {index} has the role {}", quoted(role)));
            }
        }
        Ok(faults)
    },
};

/// The fewest pieces of a choice that must say again what was said before it is no accident.
const AGAIN: usize = 2;

/// Each piece says what is new. Seen in public: servers whose pieces hold all of the text so far, so that a client that puts
/// them together shows it again and again.
pub(super) const NEWS: WireCheck = WireCheck {
    name: "stream-news",
    sentence: "each chunk has what is new, and not what was said before it",
    cause: |_| CauseCode::StreamMalformed,
    decides: &[],
    judge: |seen| {
        if !seen.is_stream() {
            return Err(Unjudged::because("the answer is not a stream"));
        }
        let repeated = seen.choices()?.iter().filter(|choice| !is_news(choice));
        let fault = |choice: &Choice| {
            let (index, again, text) = (choice.index, choice.again, quoted(&choice.text));
            format!(
                "in {again} chunks choice {index} says all of its text again, and more: put together it says `{text}`"
            )
        };
        Ok(repeated.map(fault).collect())
    },
};

/// Whether a choice's text is what the model said, and not some of it several times.
pub(super) fn is_news(choice: &Choice) -> bool {
    choice.again < AGAIN
}

/// `finish_reason` once for each choice.
pub(super) const FINISH: WireCheck = WireCheck {
    name: "stream-finish",
    sentence: "every choice says once why it ended, and nothing after that",
    cause: |_| CauseCode::StreamMalformed,
    decides: &[],
    judge: |seen| {
        if !seen.is_stream() {
            return Err(Unjudged::because("the answer is not a stream"));
        }
        let mut faults = Vec::new();
        for choice in seen.choices()? {
            let index = choice.index;
            match choice.finished.len() {
                0 => faults.push(format!("choice {index} has no finish_reason")),
                1 => {}
                times => faults.push(format!("choice {index} has {times} finish_reasons")),
            }
            if choice.late > 0 {
                faults.push(format!("choice {index} goes on after its finish_reason"));
            }
        }
        Ok(faults)
    },
};

/// A chunk with `usage`, after every piece of the choices. That its counts add up is another check.
pub(super) const USAGE: WireCheck = WireCheck {
    name: "stream-usage",
    sentence: "the token counts that were asked for come at the end of the stream",
    cause: |_| CauseCode::StreamMalformed,
    decides: &[],
    judge: |seen| {
        let chunks = seen.events()?.ended()?;
        if !seen.expected.usage_asked {
            return Err(Unjudged::because("the request does not ask for token counts"));
        }
        let counts = |chunk: &&Value| chunk.get("usage").is_some_and(|usage| !usage.is_null());
        let speaks = |chunk: &Value| chunk["choices"].as_array().is_some_and(|choices| !choices.is_empty());
        let Some(last) = chunks.iter().rposition(counts) else {
            return Ok(vec!["no chunk has `usage`, which `stream_options` asked for".into()]);
        };
        if chunks[last + 1..].iter().any(|chunk| speaks(chunk)) {
            return Ok(vec!["the choices go on after the chunk with `usage`".into()]);
        }
        Ok(Vec::new())
    },
};
