//! No more tokens than were asked for.

use super::{Judged, Seen, Unjudged, WireCheck};
use crate::verdict::CauseCode;

/// `max_tokens` (of chats also `max_completion_tokens`) against the tokens counted.
pub(super) struct MaxTokens;

impl WireCheck for MaxTokens {
    fn name(&self) -> &'static str {
        "max-tokens"
    }

    fn sentence(&self) -> &'static str {
        "no more tokens are generated than the request allows"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::TokenCountWrong
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
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
    }
}
