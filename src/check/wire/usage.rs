//! Token counts are there and add up.

use serde_json::Value;

use super::{Endpoint, Judged, Seen, Unjudged, WireCheck, quoted};
use crate::verdict::CauseCode;

/// Token counts, each as the answer has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// Of the prompts.
    pub(super) prompt: u64,
    /// Of what was generated, over all choices; 0 for embeddings.
    pub(super) completion: u64,
    /// Of both.
    pub(super) total: u64,
}

impl Counts {
    /// The counts of `usage`, or what is wrong with them.
    pub(super) fn of(usage: &Value, endpoint: Endpoint) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let mut count = |field: &str| {
            usage[field].as_u64().unwrap_or_else(|| {
                faults.push(format!("`usage.{field}` is {}", quoted(&usage[field])));
                0
            })
        };
        let (prompt, total) = (count("prompt_tokens"), count("total_tokens"));
        let completion = match endpoint {
            Endpoint::Embeddings if usage.get("completion_tokens").is_none_or(Value::is_null) => 0,
            _ => count("completion_tokens"),
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        if prompt.checked_add(completion) != Some(total) {
            faults.push(format!(
                "`usage` does not add up: {prompt} + {completion} is not {total}"
            ));
        }
        for (details, part, whole) in [
            ("prompt_tokens_details", "cached_tokens", prompt),
            ("completion_tokens_details", "reasoning_tokens", completion),
        ] {
            if let Some(count) = usage[details][part].as_u64().filter(|count| *count > whole) {
                faults.push(format!("`usage.{details}.{part}` is {count}, of {whole} tokens"));
            }
        }
        if faults.is_empty() {
            Ok(Self {
                prompt,
                completion,
                total,
            })
        } else {
            Err(faults)
        }
    }
}

impl Seen<'_> {
    /// The token counts, where they are there and add up.
    pub(super) fn counts(&self) -> Result<Counts, Unjudged> {
        let usage = self
            .usage()?
            .ok_or_else(|| Unjudged::because("the answer counts no tokens"))?;
        Counts::of(usage, self.expected.endpoint).map_err(|_| Unjudged::because("the token counts are wrong"))
    }
}

/// `usage`.
pub(super) struct Usage;

impl WireCheck for Usage {
    fn name(&self) -> &'static str {
        "answer-usage"
    }

    fn sentence(&self) -> &'static str {
        "the token counts are there, add up, and fit what was said"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::TokenCountWrong
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
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
    }
}
