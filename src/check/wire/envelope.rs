//! What every generated answer has around its choices: `object`, `id`, `created`.

use serde_json::Value;

use super::{Endpoint, Judged, Seen, WireCheck, quoted};
use crate::verdict::CauseCode;

/// A time in seconds that lies beyond this one (the year 5138) was meant in milliseconds.
const LATEST: u64 = 100_000_000_000;

/// `object`, `id`, `created`.
pub(super) struct Envelope;

impl WireCheck for Envelope {
    fn name(&self) -> &'static str {
        "answer-envelope"
    }

    fn sentence(&self) -> &'static str {
        "the answer says what it is, and has an id and a time"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::AnswerMalformed
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        let object = match seen.expected.endpoint {
            Endpoint::Chat => "chat.completion",
            _ => "text_completion",
        };
        let body = seen.completion()?;
        let mut faults = faults(body, object);
        faults.extend(created_fault(&body["created"]));
        Ok(faults)
    }
}

/// What is wrong with `object` and `id` of a whole answer or a chunk.
pub(super) fn faults(body: &Value, object: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if body["object"] != object {
        faults.push(format!("`object` is {}, not \"{object}\"", quoted(&body["object"])));
    }
    if body["id"].as_str().is_none_or(str::is_empty) {
        faults.push(format!("`id` is {}", quoted(&body["id"])));
    }
    faults
}

/// What is wrong with a time; `None` where it is one, in seconds since 1970.
pub(super) fn created_fault(created: &Value) -> Option<String> {
    match created.as_u64() {
        Some(1..LATEST) => None,
        _ => Some(format!(
            "`created` is {}, no time in seconds since 1970",
            quoted(created)
        )),
    }
}
