//! All chunks are of one answer.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    super::{Judged, Seen, WireCheck, quoted},
    is_timeless,
};
use crate::verdict::CauseCode;

/// `id` does not change from chunk to chunk, and `created` does not go back: vLLM says the time of the request in all of
/// them, `SGLang` the time of each (its `serving_chat.py`).
pub(in super::super) struct Constant;

impl WireCheck for Constant {
    fn name(&self) -> &'static str {
        "stream-constant"
    }

    fn sentence(&self) -> &'static str {
        "all chunks have the same id, and their time does not go back"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::StreamMalformed
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
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
    }
}
