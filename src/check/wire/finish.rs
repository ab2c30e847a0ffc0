//! Every choice of an answer that came at once says why it ended.

use super::{Judged, Seen, Unjudged, WireCheck};
use crate::verdict::CauseCode;

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
