//! What is around the choices of every generated answer, and of every chunk of a stream: `object`, `id`, `created`.

use serde_json::Value;

use super::told;

/// A time in seconds that lies beyond this one (the year 5138) was meant in milliseconds.
const LATEST: u64 = 100_000_000_000;

/// What is wrong with `object` and `id` of a whole answer or a chunk.
pub(super) fn faults(body: &Value, object: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if body["object"] != object {
        faults.push(format!("`object` is {}, not \"{object}\"", told(body.get("object"))));
    }
    if body["id"].as_str().is_none_or(str::is_empty) {
        faults.push(format!("`id` is {}", told(body.get("id"))));
    }
    faults
}

/// What is wrong with a time; `None` where it is one, in seconds since 1970.
pub(super) fn created_fault(body: &Value) -> Option<String> {
    let created = body.get("created");
    match created.and_then(Value::as_u64) {
        Some(1..LATEST) => None,
        _ => Some(format!("`created` is {}, no time in seconds since 1970", told(created))),
    }
}
