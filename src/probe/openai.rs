//! The one shape of answers of the OpenAI API that measuring needs.
//!
//! Source: the API reference of OpenAI for completions and chat completions, as vLLM serves them. What an answer must be is
//! not known here; that is `check`'s.

use serde_json::Value;

/// Whether the data of a stream's event is a chunk that carries text of a choice: of the answer, of the reasoning before it
/// (`reasoning_content`, which later vLLM calls `reasoning`), or of a tool call. A chunk that only gives the role, the end or
/// the usage carries none.
pub fn carries_text(data: &str) -> bool {
    serde_json::from_str::<Value>(data).is_ok_and(|chunk| chunk_carries_text(&chunk))
}

/// The same of a chunk that was read.
pub(crate) fn chunk_carries_text(chunk: &Value) -> bool {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let choices = chunk.get("choices").and_then(Value::as_array);
    choices.into_iter().flatten().any(|choice| {
        let delta = choice.get("delta");
        let of_delta = |name| delta.and_then(|delta| delta.get(name));
        text(choice.get("text"))
            || ["content", "reasoning_content", "reasoning"]
                .into_iter()
                .any(|name| text(of_delta(name)))
            || of_delta("tool_calls")
                .and_then(Value::as_array)
                .is_some_and(|calls| !calls.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::chat(r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#, true)]
    #[case::completion(r#"{"choices":[{"index":0,"text":"a"}]}"#, true)]
    #[case::second_choice(r#"{"choices":[{"delta":{}},{"delta":{"content":"a"}}]}"#, true)]
    #[case::reasoning(r#"{"choices":[{"delta":{"reasoning_content":"a","content":null}}]}"#, true)]
    #[case::tool(r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#, true)]
    #[case::role(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, false)]
    #[case::end(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, false)]
    #[case::usage(r#"{"choices":[],"usage":{"total_tokens":3}}"#, false)]
    #[case::done("[DONE]", false)]
    #[case::number(r#"{"choices":[{"text":1}]}"#, false)]
    fn an_event_carries_text_where_a_choice_has_some(#[case] data: &str, #[case] expected: bool) {
        assert_eq!(carries_text(data), expected);
    }
}
