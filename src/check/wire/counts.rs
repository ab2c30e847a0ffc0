//! Reading token counts.

use serde_json::Value;

use super::{Endpoint, told};

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
                faults.push(format!("`usage.{field}` is {}", told(usage.get(field))));
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
