//! The body is JSON, strictly.

use super::{Judged, Seen, WireCheck};
use crate::verdict::CauseCode;

/// One JSON object, in UTF-8, every key once, nothing before or after it.
pub(super) struct Json;

impl WireCheck for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn sentence(&self) -> &'static str {
        "the body is one JSON object in UTF-8, with every key once and nothing around it"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::AnswerMalformed
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        Ok(seen.read_json()?.as_ref().err().cloned().unwrap_or_default())
    }
}
