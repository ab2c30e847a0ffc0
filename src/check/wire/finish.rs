//! Every choice of an answer that came at once says why it ended.

use std::collections::BTreeSet;

use super::{Judged, Seen, Unjudged, WireCheck, quoted};
use crate::verdict::CauseCode;

/// Finish reasons that OpenAI defines. Source: OpenAI API reference, completions and chat completions.
const DEFINED: &[&str] = &["stop", "length", "content_filter", "tool_calls", "function_call"];

/// Finish reasons of a good answer that OpenAI does not define, each once.
pub(super) fn oddities(seen: &Seen<'_>) -> Vec<String> {
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
    .collect()
}

/// `finish_reason`. Values that OpenAI does not define are no fault: model servers have their own.
pub(super) struct FinishReason;

impl WireCheck for FinishReason {
    fn name(&self) -> &'static str {
        "finish-reason"
    }

    fn sentence(&self) -> &'static str {
        "every choice says why it ended"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::AnswerMalformed
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        if seen.is_stream() {
            return Err(Unjudged::because("the answer is a stream"));
        }
        let choices = seen.choices()?;
        let silent = choices
            .iter()
            .filter(|choice| choice.finished.iter().all(String::is_empty));
        Ok(silent
            .map(|choice| format!("choice {} has no finish_reason", choice.index))
            .collect())
    }
}
