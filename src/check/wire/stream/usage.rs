//! A stream that was asked to count its tokens ends with the counts.

use serde_json::Value;

use super::super::{Judged, Seen, Unjudged, WireCheck};
use crate::verdict::CauseCode;

/// A chunk with `usage`, after every piece of the choices. That its counts add up is another check.
pub(in super::super) struct StreamUsage;

impl WireCheck for StreamUsage {
    fn name(&self) -> &'static str {
        "stream-usage"
    }

    fn sentence(&self) -> &'static str {
        "the token counts that were asked for come at the end of the stream"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::StreamMalformed
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
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
    }
}
