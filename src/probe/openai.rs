//! Requests of the OpenAI API, and the one shape of its answers that measuring needs.
//!
//! Source: the API reference of OpenAI for completions, chat completions, embeddings and models, as vLLM serves them. What an
//! answer must be is not known here; that is `check`'s.

use serde_json::{Value, json};

use super::Outgoing;

/// Where requests go: a base URL, and the headers that each carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAi {
    /// Without a slash at its end, and without `/v1`.
    base: String,
    headers: Vec<(String, String)>,
}

impl OpenAi {
    /// Requests to this base URL, such as `http://10.0.0.1:80`; a `/v1` or a slash at its end changes nothing.
    pub fn at(base: &str) -> Self {
        let base = base.trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base).trim_end_matches('/');
        Self {
            base: base.to_owned(),
            headers: Vec::new(),
        }
    }

    /// The same, where each request carries these headers too.
    #[must_use]
    pub fn with_headers(mut self, headers: impl IntoIterator<Item = (String, String)>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// A completion of `prompt`, of at most `max_tokens` tokens.
    pub fn completions(&self, model: &str, prompt: &str, max_tokens: u32) -> Outgoing {
        self.post("/v1/completions", &completion(model, prompt, max_tokens))
    }

    /// The same as a stream, with the usage in a chunk of its own at the end.
    pub fn completions_stream(&self, model: &str, prompt: &str, max_tokens: u32) -> Outgoing {
        self.post("/v1/completions", &streamed(completion(model, prompt, max_tokens)))
    }

    /// A chat of one message, which a user says; the answer has at most `max_tokens` tokens.
    pub fn chat(&self, model: &str, message: &str, max_tokens: u32) -> Outgoing {
        self.post("/v1/chat/completions", &chat(model, message, max_tokens))
    }

    /// The same as a stream, with the usage in a chunk of its own at the end.
    pub fn chat_stream(&self, model: &str, message: &str, max_tokens: u32) -> Outgoing {
        self.post("/v1/chat/completions", &streamed(chat(model, message, max_tokens)))
    }

    /// The embedding of a text.
    pub fn embeddings(&self, model: &str, input: &str) -> Outgoing {
        self.post("/v1/embeddings", &json!({"model": model, "input": input}))
    }

    /// The models that are served.
    pub fn models(&self) -> Outgoing {
        Outgoing {
            method: "GET".into(),
            url: format!("{}/v1/models", self.base),
            headers: self.headers.clone(),
            body: None,
        }
    }

    /// A request with a JSON body to a path, which begins with a slash.
    pub fn post(&self, path: &str, body: &Value) -> Outgoing {
        let mut headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        headers.extend(self.headers.iter().cloned());
        Outgoing {
            method: "POST".into(),
            url: format!("{}{path}", self.base),
            headers,
            body: Some(body.to_string()),
        }
    }
}

fn completion(model: &str, prompt: &str, max_tokens: u32) -> Value {
    json!({"model": model, "prompt": prompt, "max_tokens": max_tokens})
}

fn chat(model: &str, message: &str, max_tokens: u32) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": message}], "max_tokens": max_tokens})
}

fn streamed(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    body
}

/// Whether the data of a stream's event is a chunk that carries text of a choice: of the answer, of the reasoning before it
/// (`reasoning_content`, which later vLLM calls `reasoning`), or of a tool call. A chunk that only gives the role, the end or
/// the usage carries none.
pub fn carries_text(data: &str) -> bool {
    serde_json::from_str::<Value>(data).is_ok_and(|chunk| chunk_carries_text(&chunk))
}

/// The same of a chunk that was read.
pub fn chunk_carries_text(chunk: &Value) -> bool {
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
    #[case("http://g:80")]
    #[case("http://g:80/")]
    #[case("http://g:80/v1")]
    #[case("http://g:80/v1/")]
    fn the_base_is_the_same_however_it_is_written(#[case] base: &str) {
        assert_eq!(OpenAi::at(base).models().url, "http://g:80/v1/models");
    }

    #[test]
    fn a_path_before_the_api_stays() {
        assert_eq!(OpenAi::at("http://g/pool/v1").models().url, "http://g/pool/v1/models");
    }

    #[rstest]
    #[case::completions(OpenAi::completions, "/v1/completions", false)]
    #[case::completions_stream(OpenAi::completions_stream, "/v1/completions", true)]
    #[case::chat(OpenAi::chat, "/v1/chat/completions", false)]
    #[case::chat_stream(OpenAi::chat_stream, "/v1/chat/completions", true)]
    fn each_request_asks_for_its_model_and_its_length(
        #[case] build: fn(&OpenAi, &str, &str, u32) -> Outgoing,
        #[case] path: &str,
        #[case] stream: bool,
    ) {
        let endpoint = OpenAi::at("http://g").with_headers([("Authorization".to_owned(), "Bearer k".to_owned())]);
        let request = build(&endpoint, "m", "say \"hi\"", 7);
        let body = request.json().unwrap();
        assert_eq!(request.url, format!("http://g{path}"));
        assert_eq!(request.model().as_deref(), Some("m"));
        assert_eq!(body["max_tokens"], 7);
        assert!(body.to_string().contains(r#""say \"hi\"""#));
        assert_eq!(request.asks_for_stream(), stream);
        assert_eq!(body.pointer("/stream_options/include_usage").is_some(), stream);
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Content-Type", "Authorization"]);
    }

    #[test]
    fn models_are_asked_for_without_a_body_and_embeddings_with_their_text() {
        let endpoint = OpenAi::at("http://g");
        assert_eq!(
            (endpoint.models().method.as_str(), endpoint.models().body),
            ("GET", None)
        );
        assert_eq!(
            endpoint.embeddings("m", "a").json(),
            Some(json!({"model": "m", "input": "a"}))
        );
    }

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
