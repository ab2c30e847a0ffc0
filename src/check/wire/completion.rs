//! What must be true of a generated answer: around its choices, of each of them, and of its token counts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    AnswerKind, Endpoint, MOST_TOLD, ParsedAnswer, Unjudged, WireCheck,
    choices::{self, Choice},
    counts::Counts,
    envelope, quoted,
    stream::is_news,
    told,
};
use crate::verdict::CauseCode;

/// `object`, `id`, `created`.
pub(super) const ENVELOPE: WireCheck = WireCheck {
    name: "answer-envelope",
    sentence: "the answer says what it is, and has an id and a time",
    cause: |_| CauseCode::AnswerMalformed,
    decides: &[AnswerKind::Completion],
    judge: |seen| {
        let object = match seen.expected.endpoint {
            Endpoint::Chat => "chat.completion",
            _ => "text_completion",
        };
        let body = seen.completion()?;
        let mut faults = envelope::faults(body, object);
        faults.extend(envelope::created_fault(body));
        Ok(faults)
    },
};

/// `model`, in every chunk of a stream.
pub(crate) const MODEL: WireCheck = WireCheck {
    name: "answer-model",
    sentence: "the answer names the model that was asked for",
    cause: |_| CauseCode::AnswerWrongModel,
    decides: &[AnswerKind::Completion, AnswerKind::Stream],
    judge: |seen| {
        let expected = seen.expected;
        let objects = seen.objects()?;
        let Some(asked) = &expected.model else {
            return Err(Unjudged::because("the request names no model"));
        };
        let right = |named: &&Value| named.as_str().is_some_and(|named| expected.admits_model(named));
        let mut wrong: Vec<&Value> = Vec::new();
        for named in objects
            .iter()
            .map(|object| &object["model"])
            .filter(|named| !right(named))
        {
            if !wrong.contains(&named) && wrong.len() < MOST_TOLD {
                wrong.push(named);
            }
        }
        let fault = |named: &Value| format!("`model` is {}, asked was `{}`", quoted(named), quoted(asked));
        Ok(wrong.into_iter().map(fault).collect())
    },
};

/// Every choice is there once and has a text or a message.
pub(super) const CHOICES: WireCheck = WireCheck {
    name: "answer-choices",
    sentence: "every choice asked for is there once, with its index and its text or message",
    cause: |_| CauseCode::AnswerMalformed,
    decides: &[AnswerKind::Completion],
    judge: |seen| {
        if !seen.is_stream() {
            let (_, faults) = choices::read(seen.completion()?, seen.expected.endpoint);
            if !faults.is_empty() {
                return Ok(faults);
            }
        }
        let choices = seen.choices()?;
        let mut times: BTreeMap<u64, usize> = BTreeMap::new();
        for choice in choices {
            *times.entry(choice.index).or_default() += 1;
        }
        let wanted = seen.expected.choices;
        let mut faults = Vec::new();
        if u64::try_from(choices.len()).ok() != Some(wanted) {
            faults.push(format!("there are {} choices and not {wanted}", choices.len()));
        }
        for (index, times) in times {
            if times > 1 {
                faults.push(format!("the index {index} stands {times} times"));
            }
            if index >= wanted {
                faults.push(format!("there is an index {index} of {wanted} choices"));
            }
        }
        Ok(faults)
    },
};

/// `finish_reason`. Values that OpenAI does not define are no fault: model servers have their own.
pub(super) const FINISH_REASON: WireCheck = WireCheck {
    name: "finish-reason",
    sentence: "every choice says why it ended",
    cause: |_| CauseCode::AnswerMalformed,
    decides: &[],
    judge: |seen| {
        if seen.is_stream() {
            return Err(Unjudged::because("the answer is a stream"));
        }
        seen.choices()?;
        let choices = seen.completion()?["choices"].as_array().into_iter().flatten();
        let reasonless = choices.filter(|choice| choice["finish_reason"].as_str().is_none_or(str::is_empty));
        let fault = |choice: &Value| {
            let (index, reason) = (&choice["index"], told(choice.get("finish_reason")));
            format!("the finish_reason of choice {index} is {reason}")
        };
        Ok(reasonless.map(fault).collect())
    },
};

/// The text of the choices; of a stream, its deltas put together.
pub(super) const TEXT: WireCheck = WireCheck {
    name: "answer-text",
    sentence: "the tokens that were generated say something, and what the model server echoes is what was asked",
    cause: |_| CauseCode::AnswerTextWrong,
    decides: &[AnswerKind::Completion, AnswerKind::Stream],
    judge: |seen| {
        let choices = seen.choices()?;
        if choices.is_empty() {
            return Err(Unjudged::because("there is no choice"));
        }
        if !choices.iter().all(is_news) {
            return Err(Unjudged::because("the stream says again what it has said"));
        }
        if let Some(echo) = &seen.expected.echo {
            let other = choices.iter().filter(|choice| choice.text != *echo);
            let fault = |choice: &Choice| {
                let (says, wanted) = (quoted(&choice.text), quoted(echo));
                format!("choice {} says `{says}` and not `{wanted}`", choice.index)
            };
            return Ok(other.map(fault).collect());
        }
        let silent = choices
            .iter()
            .all(|choice| choice.text.is_empty() && !choice.says_other);
        // A model may end at once: its one token is the end itself. Reasons of their own (a cache that was too cold)
        // are a model server's way to say that nothing was generated.
        let ended = |reason: &String| reason == "stop" || reason == "length";
        let generated = choices.iter().flat_map(|choice| &choice.finished).any(ended);
        let tokens = seen.counts().map(|counts| counts.completion).ok();
        let several = tokens.is_none_or(|tokens| tokens > seen.expected.choices);
        let may_stop = !seen.expected.stop.is_empty();
        if silent && generated && several && !may_stop {
            let tokens = tokens.map_or_else(|| "tokens".to_owned(), |tokens| format!("{tokens} tokens"));
            return Ok(vec![format!("{tokens} were generated, and no choice says anything")]);
        }
        Ok(Vec::new())
    },
};

/// `stop`. Source: OpenAI API reference: "The returned text will not contain the stop sequence."
pub(super) const STOP: WireCheck = WireCheck {
    name: "stop-sequences",
    sentence: "the text ends before the sequences at which it must stop",
    cause: |_| CauseCode::AnswerTextWrong,
    decides: &[],
    judge: |seen| {
        let stop = &seen.expected.stop;
        if stop.is_empty() {
            return Err(Unjudged::because("the request names no stop sequence"));
        }
        let found = |choice: &Choice| {
            let sequence = stop.iter().find(|sequence| choice.text.contains(sequence.as_str()))?;
            let (index, sequence, text) = (choice.index, quoted(sequence), quoted(&choice.text));
            Some(format!(
                "choice {index} goes past the stop sequence `{sequence}`: `{text}`"
            ))
        };
        Ok(seen.choices()?.iter().filter_map(found).collect())
    },
};

/// `usage`.
pub(super) const USAGE: WireCheck = WireCheck {
    name: "answer-usage",
    sentence: "the token counts are there, add up, and fit what was said",
    cause: |_| CauseCode::TokenCountWrong,
    decides: &[AnswerKind::Completion],
    judge: |seen| {
        let counts = match seen.usage()? {
            Some(usage) => Counts::of(usage, seen.expected.endpoint),
            None if seen.is_stream() => return Err(Unjudged::because("the stream counts no tokens")),
            None => return Ok(vec!["`usage` is missing".into()]),
        };
        let counts = match counts {
            Ok(counts) => counts,
            Err(faults) => return Ok(faults),
        };
        let says = seen
            .choices()
            .is_ok_and(|choices| choices.iter().any(|choice| !choice.text.is_empty()));
        if says && counts.completion == 0 {
            return Ok(vec!["`usage.completion_tokens` is 0, and there is text".into()]);
        }
        Ok(Vec::new())
    },
};

/// `max_tokens` (of chats also `max_completion_tokens`) against the tokens counted.
pub(super) const MAX_TOKENS: WireCheck = WireCheck {
    name: "max-tokens",
    sentence: "no more tokens are generated than the request allows",
    cause: |_| CauseCode::TokenCountWrong,
    decides: &[],
    judge: |seen| {
        let counts = seen.counts()?;
        let Some(each) = seen.expected.max_tokens else {
            return Err(Unjudged::because("the request sets no bound"));
        };
        let most = each.saturating_mul(seen.expected.choices);
        if counts.completion <= most {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "{} tokens were generated, and at most {most} were asked for",
            counts.completion
        )])
    },
};

/// Finish reasons that OpenAI defines. Source: OpenAI API reference, completions and chat completions.
const DEFINED: &[&str] = &["stop", "length", "content_filter", "tool_calls", "function_call"];

/// Finish reasons of a good answer that OpenAI does not define, each once.
pub(super) fn oddities(seen: &ParsedAnswer<'_>) -> Vec<String> {
    let choices = seen.choices().unwrap_or_default();
    let reasons: BTreeSet<&str> = choices
        .iter()
        .flat_map(|choice| &choice.finished)
        .map(String::as_str)
        .collect();
    let odd = reasons
        .into_iter()
        .filter(|reason| !reason.is_empty() && !DEFINED.contains(reason));
    odd.map(|reason| {
        format!(
            "the finish reason `{}` is one of the model server's own",
            quoted(reason)
        )
    })
    .chain(other_name(seen))
    .collect()
}

/// That the answer goes under another name of the model, where it does.
fn other_name(seen: &ParsedAnswer<'_>) -> Option<String> {
    let (asked, also) = (seen.expected.model.as_ref()?, &seen.expected.also_named);
    if also.is_empty() {
        return None;
    }
    let objects = seen.objects().ok()?;
    let mut named = objects.iter().filter_map(|object| object["model"].as_str());
    let other = named.find(|named| *named != asked && also.iter().any(|also| also == named))?;
    let (asked, other) = (quoted(asked), quoted(other));
    Some(format!(
        "asked as `{asked}` the model answers as `{other}`; by the list of models both are one"
    ))
}
