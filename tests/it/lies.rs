//! A model server that answers rightly but for one lie, and the wire check that each lie is told by.

use std::{collections::BTreeSet, time::Duration};

use quickproof::{
    check::wire::{self, Expected, StatusWanted, WIRE_CHECKS},
    probe::{Outgoing, Probe},
};
use serde_json::{Value, json};

use crate::served::{Asked, Served};

/// The model that is served.
pub(crate) const MODEL: &str = "m";
/// What is asked, and what the server says again.
pub(crate) const PROMPT: &str = "one two three";
/// Where an answer to it must stop.
const STOP: &str = " two";
const CREATED: u64 = 1_750_000_000;

/// What is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Completions,
    Chat,
    CompletionsStream,
    ChatStream,
    /// A completion that must stop before the second word.
    Stop,
    Models,
    Embeddings,
    /// Something of a model that is not served: 404.
    UnknownModel,
    /// A body that is no JSON or names no model: 400.
    BadRequest,
}

impl Ask {
    /// Everything that may be asked.
    pub(crate) const ALL: [Self; 9] = [
        Self::Completions,
        Self::Chat,
        Self::CompletionsStream,
        Self::ChatStream,
        Self::Stop,
        Self::Models,
        Self::Embeddings,
        Self::UnknownModel,
        Self::BadRequest,
    ];

    /// What a request asks.
    fn of(path: &str, body: &[u8]) -> Self {
        if path.ends_with("/models") {
            return Self::Models;
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match (body["model"].as_str(), body["stream"] == true) {
            (None, _) => Self::BadRequest,
            (Some(model), _) if model != MODEL => Self::UnknownModel,
            (Some(_), _) if path.ends_with("/embeddings") => Self::Embeddings,
            (Some(_), true) if path.ends_with("/chat/completions") => Self::ChatStream,
            (Some(_), false) if path.ends_with("/chat/completions") => Self::Chat,
            (Some(_), true) => Self::CompletionsStream,
            (Some(_), false) if body["stop"] == STOP => Self::Stop,
            (Some(_), false) => Self::Completions,
        }
    }

    /// The request that asks it.
    pub(crate) fn request(self, server: &Served) -> Outgoing {
        let messages = json!([{"role": "user", "content": PROMPT}]);
        let counted = json!({"include_usage": true});
        let (path, body) = match self {
            Self::Completions => (
                "/v1/completions",
                json!({"model": MODEL, "prompt": PROMPT, "n": 2, "max_tokens": 5}),
            ),
            Self::Chat => (
                "/v1/chat/completions",
                json!({"model": MODEL, "messages": messages, "max_tokens": 5}),
            ),
            Self::CompletionsStream => (
                "/v1/completions",
                json!({"model": MODEL, "prompt": PROMPT, "stream": true, "max_tokens": 5, "stream_options": counted}),
            ),
            Self::ChatStream => (
                "/v1/chat/completions",
                json!({"model": MODEL, "messages": messages, "n": 2, "stream": true, "stream_options": counted}),
            ),
            Self::Stop => (
                "/v1/completions",
                json!({"model": MODEL, "prompt": PROMPT, "stop": STOP}),
            ),
            Self::Models => ("/v1/models", Value::Null),
            Self::Embeddings => (
                "/v1/embeddings",
                json!({"model": MODEL, "input": [PROMPT, "four"], "dimensions": 3}),
            ),
            Self::UnknownModel => ("/v1/completions", json!({"model": "nobody", "prompt": PROMPT})),
            Self::BadRequest => ("/v1/completions", json!({"prompt": PROMPT})),
        };
        Outgoing {
            method: if body.is_null() { "GET" } else { "POST" }.into(),
            url: server.url(path),
            headers: vec![("content-type".into(), "application/json".into())],
            body: (!body.is_null()).then(|| body.to_string()),
        }
    }

    fn expected(self, request: &Outgoing) -> Expected {
        let mut expected = Expected::of(request);
        match self {
            Self::Models => expected.model = Some(MODEL.into()),
            Self::UnknownModel => expected.status = StatusWanted::Error(vec![404]),
            Self::BadRequest => expected.status = StatusWanted::Error(vec![400]),
            Self::Stop | Self::Embeddings => {}
            Self::Completions | Self::Chat | Self::CompletionsStream | Self::ChatStream => {
                expected.echo = Some(PROMPT.into());
            }
        }
        expected
    }
}

/// How the end of the body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framed {
    Length,
    Chunked,
    Nothing,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Everything is sent.
    Close,
    /// So many bytes at the end are not.
    CutBy(usize),
    /// Nothing is sent, and the connection is held.
    Hold,
    /// Nothing is sent.
    CloseAtOnce,
}

/// An answer before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body of an answer that is no stream.
    pub(crate) json: Value,
    /// The data of the events of a stream.
    pub(crate) events: Vec<String>,
    /// The body as bytes, in place of both.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) framed: Framed,
    pub(crate) then: Then,
}

impl Draft {
    fn new(status: u16, content_type: &str) -> Self {
        Self {
            status,
            headers: vec![
                ("content-type", content_type.into()),
                ("x-inference-pod", "pod-a".into()),
                ("connection", "close".into()),
            ],
            json: Value::Null,
            events: Vec::new(),
            bytes: None,
            framed: Framed::Length,
            then: Then::Close,
        }
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        match &self.bytes {
            Some(bytes) => bytes.clone(),
            None if self.events.is_empty() => self.json.to_string().into_bytes(),
            None => self
                .events
                .iter()
                .flat_map(|data| format!("data: {data}\n\n").into_bytes())
                .collect(),
        }
    }

    pub(crate) fn rendered(&self) -> Vec<u8> {
        let mut out = format!("HTTP/1.1 {} Said\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            out.extend(format!("{name}: {value}\r\n").bytes());
        }
        let body = self.body();
        match self.framed {
            Framed::Length => {
                out.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
                out.extend(body);
            }
            Framed::Nothing => {
                out.extend(b"\r\n");
                out.extend(body);
            }
            Framed::Chunked => {
                out.extend(b"transfer-encoding: chunked\r\n\r\n");
                for piece in body.chunks(100) {
                    out.extend(format!("{:x}\r\n", piece.len()).bytes());
                    out.extend(piece);
                    out.extend(b"\r\n");
                }
                out.extend(b"0\r\n\r\n");
            }
        }
        out
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.headers.retain(|(header, _)| *header != name);
        self.headers.push((name, value.into()));
    }

    pub(crate) fn add(&mut self, name: &'static str, value: &str) {
        self.headers.push((name, value.into()));
    }

    fn bytes(&mut self, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut body = self.body();
        edit(&mut body);
        self.bytes = Some(body);
    }

    /// Changes the chunk in one event of the stream.
    fn chunk(&mut self, number: usize, edit: impl FnOnce(&mut Value)) {
        let mut chunk = serde_json::from_str(&self.events[number]).unwrap();
        edit(&mut chunk);
        self.events[number] = chunk.to_string();
    }

    /// The place of the first event whose data holds this.
    fn event_with(&self, text: &str) -> usize {
        self.events.iter().position(|data| data.contains(text)).unwrap()
    }
}

/// A lie: what it is, where it is told, and the check that must tell it.
pub(crate) struct Lie {
    pub(crate) check: &'static str,
    pub(crate) ask: Ask,
    pub(crate) what: &'static str,
    pub(crate) tell: fn(&mut Draft),
}

const fn lie(check: &'static str, ask: Ask, what: &'static str, tell: fn(&mut Draft)) -> Lie {
    Lie { check, ask, what, tell }
}

/// Every lie.
pub(crate) const LIES: &[Lie] = &[
    lie("answer-came", Ask::Chat, "never answers", |it| it.then = Then::Hold),
    lie("answer-ended", Ask::Chat, "closes at once", |it| {
        it.then = Then::CloseAtOnce;
    }),
    lie("answer-ended", Ask::Completions, "a byte too few", |it| {
        it.then = Then::CutBy(1);
    }),
    lie("answer-ended", Ask::ChatStream, "no last chunk", |it| {
        it.then = Then::CutBy(5);
    }),
    lie("answer-status", Ask::Completions, "an error", |it| it.status = 500),
    lie("answer-status", Ask::Chat, "another success", |it| it.status = 206),
    lie(
        "answer-status",
        Ask::UnknownModel,
        "a success where an error must be",
        |it| it.status = 200,
    ),
    lie("answer-status", Ask::BadRequest, "another error", |it| it.status = 500),
    lie("hop-by-hop-headers", Ask::Chat, "a header of a request", |it| {
        it.add("te", "trailers");
    }),
    lie(
        "hop-by-hop-headers",
        Ask::ChatStream,
        "another connection's header",
        |it| {
            it.add("via", "1.1 gateway");
            it.add("keep-alive", "timeout=5");
        },
    ),
    lie("hop-by-hop-headers", Ask::CompletionsStream, "chunked twice", |it| {
        it.add("transfer-encoding", "chunked");
    }),
    lie("content-length", Ask::ChatStream, "a length beside chunks", |it| {
        it.add("content-length", "7");
    }),
    lie("contradicting-headers", Ask::Chat, "two types", |it| {
        it.add("content-type", "text/html");
    }),
    lie("contradicting-headers", Ask::ChatStream, "two pods", |it| {
        it.add("x-inference-pod", "pod-b");
    }),
    lie("contradicting-headers", Ask::Chat, "two lengths", |it| {
        it.add("content-length", "7");
    }),
    lie("content-length", Ask::Chat, "a length that is no number", |it| {
        it.framed = Framed::Nothing;
        it.add("content-length", "all");
    }),
    lie("content-type", Ask::Chat, "HTML", |it| {
        it.set("content-type", "text/html");
    }),
    lie("content-type", Ask::Models, "none", |it| {
        it.headers.retain(|(name, _)| *name != "content-type");
    }),
    lie("content-type", Ask::Completions, "Latin-1", |it| {
        it.set("content-type", "application/json; charset=latin1");
    }),
    lie("content-type", Ask::ChatStream, "no stream", |it| {
        it.set("content-type", "application/json");
        it.events.clear();
    }),
    lie("content-type", Ask::UnknownModel, "plain text", |it| {
        it.set("content-type", "text/plain");
        it.bytes = Some(b"Not Found".to_vec());
    }),
    lie("content-type", Ask::Embeddings, "packed", |it| {
        it.add("content-encoding", "gzip");
    }),
    lie("json", Ask::Chat, "bytes after it", |it| {
        it.bytes(|body| body.extend(b"\n{}"));
    }),
    lie("json", Ask::Chat, "a byte order mark", |it| {
        it.bytes(|body| drop(body.splice(..0, *b"\xef\xbb\xbf")));
    }),
    lie("json", Ask::Completions, "cut, and its length right", |it| {
        it.bytes(|body| body.truncate(40));
    }),
    lie("json", Ask::Completions, "a key twice", |it| {
        it.bytes(|body| drop(body.splice(1..1, *b"\"id\":\"x\",")));
    }),
    lie("json", Ask::Models, "Latin-1 bytes", |it| {
        it.bytes(|body| body[9] = 0xe9);
    }),
    lie("json", Ask::Embeddings, "nested absurdly", |it| {
        it.bytes = Some(vec![b'['; 100_000]);
    }),
    lie("json", Ask::UnknownModel, "an error that is no JSON", |it| {
        it.bytes = Some(b"oh no".to_vec());
    }),
    lie("json", Ask::Completions, "nothing", |it| it.bytes = Some(Vec::new())),
    lie("error-body", Ask::UnknownModel, "no `error`", |it| {
        it.json = json!({"detail": "Not Found"});
    }),
    lie("error-body", Ask::UnknownModel, "no message", |it| {
        it.json["error"]["message"] = json!("");
    }),
    lie("error-body", Ask::UnknownModel, "another status inside", |it| {
        it.json["error"]["code"] = json!(500);
    }),
    lie("error-body", Ask::UnknownModel, "nothing", |it| {
        it.bytes = Some(Vec::new());
    }),
    lie("error-body", Ask::BadRequest, "no code", |it| {
        it.bytes = Some(b"inference error: oh".to_vec());
    }),
    lie("error-body", Ask::BadRequest, "another code", |it| {
        it.bytes = Some(b"inference error: Internal - oh".to_vec());
    }),
    lie("answer-envelope", Ask::Chat, "another object", |it| {
        it.json["object"] = json!("text_completion");
    }),
    lie("answer-envelope", Ask::Completions, "no id", |it| {
        drop(it.json["id"].take());
    }),
    lie("answer-envelope", Ask::Completions, "milliseconds", |it| {
        it.json["created"] = json!(CREATED * 1000);
    }),
    lie("json", Ask::Chat, "no object", |it| it.json = json!([])),
    lie("stream-framing", Ask::ChatStream, "no blank line at the end", |it| {
        it.bytes(|body| body.truncate(body.len() - 1));
    }),
    lie("stream-framing", Ask::ChatStream, "bare JSON", |it| {
        it.bytes(|body| body.extend(b"{}\n\n"));
    }),
    lie("stream-framing", Ask::CompletionsStream, "half a character", |it| {
        it.bytes(|body| body.extend(b": \xc3\n\n"));
    }),
    lie("stream-framing", Ask::CompletionsStream, "nothing", |it| {
        it.bytes = Some(Vec::new());
    }),
    lie("stream-chunks", Ask::ChatStream, "no JSON", |it| {
        it.events[1] = "{".into();
    }),
    lie("stream-chunks", Ask::ChatStream, "a key twice", |it| {
        it.events[1].insert_str(1, "\"id\":\"x\",");
    }),
    lie("stream-chunks", Ask::ChatStream, "another object", |it| {
        it.chunk(2, |chunk| chunk["object"] = json!("chat.completion"));
    }),
    lie("stream-chunks", Ask::ChatStream, "no delta", |it| {
        it.chunk(2, |chunk| drop(chunk["choices"][0]["delta"].take()));
    }),
    lie("stream-chunks", Ask::CompletionsStream, "no choices", |it| {
        it.chunk(0, |chunk| drop(chunk["choices"].take()));
    }),
    lie("stream-chunks", Ask::CompletionsStream, "no index", |it| {
        it.chunk(0, |chunk| drop(chunk["choices"][0]["index"].take()));
    }),
    lie("stream-chunks", Ask::CompletionsStream, "no id", |it| {
        it.chunk(1, |chunk| chunk["id"] = json!(""));
    }),
    lie("stream-error", Ask::ChatStream, "an error inside", |it| {
        it.events.truncate(2);
        it.events
            .push(json!({"error": {"message": "oh", "code": 500}}).to_string());
        it.events.push("[DONE]".into());
    }),
    lie(
        "stream-error",
        Ask::CompletionsStream,
        "a named error at the end",
        |it| {
            it.bytes(|body| body.extend(b"event: error\ndata: oh\n\n"));
        },
    ),
    lie("stream-done", Ask::ChatStream, "no [DONE]", |it| drop(it.events.pop())),
    lie("stream-done", Ask::CompletionsStream, "cut between two events", |it| {
        it.events.truncate(2);
    }),
    lie("stream-done", Ask::CompletionsStream, "[DONE] twice", |it| {
        it.events.push("[DONE]".into());
    }),
    lie("stream-done", Ask::ChatStream, "[DONE] too early", |it| {
        let last = it.events.len() - 1;
        it.events.swap(last - 1, last);
    }),
    lie("stream-constant", Ask::ChatStream, "another id", |it| {
        it.chunk(3, |chunk| chunk["id"] = json!("cmpl-2"));
    }),
    lie(
        "stream-constant",
        Ask::CompletionsStream,
        "a time that goes back",
        |it| {
            it.chunk(1, |chunk| chunk["created"] = json!(CREATED - 1));
        },
    ),
    lie("stream-role", Ask::ChatStream, "no role", |it| {
        it.chunk(0, |chunk| drop(chunk["choices"][0]["delta"]["role"].take()));
    }),
    lie("stream-role", Ask::ChatStream, "the user speaks", |it| {
        it.chunk(0, |chunk| chunk["choices"][0]["delta"]["role"] = json!("user"));
    }),
    lie("stream-role", Ask::ChatStream, "another role later", |it| {
        let number = it.event_with("content");
        it.chunk(number, |chunk| chunk["choices"][0]["delta"]["role"] = json!("tool"));
    }),
    lie("stream-finish", Ask::ChatStream, "no reason", |it| {
        let number = it.event_with("stop");
        drop(it.events.remove(number));
    }),
    lie("stream-finish", Ask::CompletionsStream, "a reason twice", |it| {
        let number = it.event_with("stop");
        let again = it.events[number].clone();
        it.events.insert(number, again);
    }),
    lie("stream-finish", Ask::CompletionsStream, "text after the reason", |it| {
        let number = it.event_with("stop");
        it.events.swap(number - 1, number);
    }),
    lie("stream-usage", Ask::ChatStream, "no counts", |it| {
        let number = it.events.len() - 2;
        drop(it.events.remove(number));
    }),
    lie("stream-usage", Ask::CompletionsStream, "counts before the end", |it| {
        let number = it.events.len() - 2;
        it.events.swap(number - 1, number);
    }),
    lie("answer-model", Ask::Completions, "another model", |it| {
        it.json["model"] = json!("m-1");
    }),
    lie("answer-model", Ask::Chat, "no model", |it| {
        drop(it.json["model"].take());
    }),
    lie("answer-model", Ask::Embeddings, "another model", |it| {
        it.json["model"] = json!("m-1");
    }),
    lie("answer-model", Ask::ChatStream, "another model in one chunk", |it| {
        it.chunk(3, |chunk| chunk["model"] = json!("n"));
    }),
    lie("answer-choices", Ask::Completions, "one of two", |it| {
        drop(it.json["choices"].as_array_mut().unwrap().pop());
    }),
    lie("answer-choices", Ask::Completions, "the same twice", |it| {
        it.json["choices"][1]["index"] = json!(0);
    }),
    lie("answer-choices", Ask::Completions, "no text", |it| {
        drop(it.json["choices"][1]["text"].take());
    }),
    lie("answer-choices", Ask::Chat, "none", |it| it.json["choices"] = json!([])),
    lie("answer-choices", Ask::Chat, "no list", |it| {
        drop(it.json["choices"].take());
    }),
    lie("answer-choices", Ask::Chat, "the user speaks", |it| {
        it.json["choices"][0]["message"]["role"] = json!("user");
    }),
    lie("answer-choices", Ask::Chat, "an index too high", |it| {
        it.json["choices"][0]["index"] = json!(1);
    }),
    lie("answer-choices", Ask::ChatStream, "one of two", |it| {
        it.events.retain(|data| !data.contains("\"index\":1"));
    }),
    lie("answer-choices", Ask::CompletionsStream, "a choice too many", |it| {
        for number in [it.event_with("stop"), 0] {
            let other = it.events[number]
                .replace("\"index\":0", "\"index\":1")
                .replace("one ", PROMPT);
            it.events.insert(number, other);
        }
    }),
    lie("finish-reason", Ask::Chat, "null", |it| {
        it.json["choices"][0]["finish_reason"] = Value::Null;
    }),
    lie("finish-reason", Ask::Completions, "an empty reason", |it| {
        it.json["choices"][1]["finish_reason"] = json!("");
    }),
    lie("stream-chunks", Ask::ChatStream, "an empty reason", |it| {
        it.chunk(2, |chunk| chunk["choices"][0]["finish_reason"] = json!(""));
    }),
    lie(
        "stream-news",
        Ask::CompletionsStream,
        "the whole text each time",
        |it| {
            let mut said = String::new();
            for number in 0..3 {
                it.chunk(number, |chunk| {
                    said.push_str(chunk["choices"][0]["text"].as_str().unwrap());
                    chunk["choices"][0]["text"] = json!(said);
                });
            }
        },
    ),
    lie("stop-sequences", Ask::Stop, "goes on", |it| {
        it.json["choices"][0]["text"] = json!(PROMPT);
    }),
    lie("answer-text", Ask::Chat, "other words", |it| {
        it.json["choices"][0]["message"]["content"] = json!("four");
    }),
    lie("answer-text", Ask::Completions, "nothing", |it| {
        it.json["choices"][0]["text"] = json!("");
    }),
    lie("answer-text", Ask::ChatStream, "a delta lost", |it| {
        let number = it.event_with("two");
        drop(it.events.remove(number));
    }),
    lie("answer-text", Ask::CompletionsStream, "a delta twice", |it| {
        let again = it.events[1].clone();
        it.events.insert(1, again);
    }),
    lie("answer-usage", Ask::Chat, "a wrong sum", |it| {
        it.json["usage"]["total_tokens"] = json!(7);
    }),
    lie("answer-usage", Ask::Completions, "none", |it| {
        drop(it.json["usage"].take());
    }),
    lie("answer-usage", Ask::Completions, "fewer than none", |it| {
        it.json["usage"]["prompt_tokens"] = json!(-1);
    }),
    lie("answer-usage", Ask::Chat, "text of no tokens", |it| {
        it.json["usage"] = json!({"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3});
    }),
    lie("answer-usage", Ask::Chat, "more cached than asked", |it| {
        it.json["usage"]["prompt_tokens_details"] = json!({"cached_tokens": 9});
    }),
    lie("answer-usage", Ask::Embeddings, "a wrong sum", |it| {
        it.json["usage"]["total_tokens"] = json!(7);
    }),
    lie("answer-usage", Ask::ChatStream, "a wrong sum", |it| {
        let number = it.events.len() - 2;
        it.chunk(number, |chunk| chunk["usage"]["total_tokens"] = json!(7));
    }),
    lie("max-tokens", Ask::Chat, "more than allowed", |it| {
        it.json["usage"] = usage(3, 6);
    }),
    lie("max-tokens", Ask::CompletionsStream, "more than allowed", |it| {
        let number = it.events.len() - 2;
        it.chunk(number, |chunk| chunk["usage"] = usage(3, 6));
    }),
    lie("models-list", Ask::Models, "no list", |it| drop(it.json["data"].take())),
    lie("models-list", Ask::Models, "an empty list", |it| {
        it.json["data"] = json!([]);
    }),
    lie("models-list", Ask::Models, "another object", |it| {
        it.json["object"] = json!("models");
    }),
    lie("models-list", Ask::Models, "a model twice", |it| {
        let again = it.json["data"][0].clone();
        it.json["data"].as_array_mut().unwrap().push(again);
    }),
    lie("models-name", Ask::Models, "another model", |it| {
        it.json["data"][0]["id"] = json!("n");
    }),
    lie("embeddings", Ask::Embeddings, "one of two", |it| {
        drop(it.json["data"].as_array_mut().unwrap().pop());
    }),
    lie("embeddings", Ask::Embeddings, "of two lengths", |it| {
        it.json["data"][1]["embedding"] = json!([0.5]);
    }),
    lie("embeddings", Ask::Embeddings, "no numbers", |it| {
        it.json["data"][0]["embedding"][1] = json!("x");
    }),
    lie("embeddings", Ask::Embeddings, "the same index twice", |it| {
        it.json["data"][1]["index"] = json!(0);
    }),
    lie("embeddings", Ask::Embeddings, "other dimensions", |it| {
        for number in 0..2 {
            it.json["data"][number]["embedding"] = json!([0.5, 0.5]);
        }
    }),
];

fn usage(prompt: u64, completion: u64) -> Value {
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
}

/// The right answer to a request: it echoes.
pub(crate) fn right(asked: &Asked) -> Draft {
    let ask = Ask::of(asked.path(), &asked.body);
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let mut draft = Draft::new(200, "application/json");
    match ask {
        Ask::Models => {
            draft.json = json!({"object": "list", "data": [
                {"id": MODEL, "object": "model", "created": CREATED, "owned_by": "tests", "root": MODEL, "parent": null},
            ]});
        }
        Ask::Embeddings => {
            let inputs = body["input"].as_array().map_or(1, Vec::len);
            let one = |index| json!({"object": "embedding", "index": index, "embedding": [0.5, -1.0, 0.25]});
            let data: Vec<Value> = (0..inputs).map(one).collect();
            let usage = json!({"prompt_tokens": 4, "total_tokens": 4});
            draft.json = json!({"object": "list", "model": MODEL, "data": data, "usage": usage});
        }
        Ask::UnknownModel => {
            draft.status = 404;
            let message = "there is no such model";
            draft.json = json!({"error": {"message": message, "type": "NotFoundError", "param": null, "code": 404}});
        }
        Ask::BadRequest => {
            draft = Draft::new(400, "text/plain");
            draft.bytes = Some(b"inference error: BadRequest - no model in the request".to_vec());
        }
        Ask::Completions | Ask::Chat | Ask::Stop => draft.json = at_once(ask, &body),
        Ask::CompletionsStream | Ask::ChatStream => {
            draft.set("content-type", "text/event-stream");
            draft.framed = Framed::Chunked;
            draft.events = piece_by_piece(ask, &body);
        }
    }
    draft
}

/// The words to answer with, how many choices, and why they end.
fn words(body: &Value) -> (Vec<String>, u64, &'static str) {
    let prompt = body["prompt"][0]
        .as_str()
        .or_else(|| body["prompt"].as_str())
        .or_else(|| body["messages"][0]["content"].as_str())
        .unwrap_or("hello");
    let stops: Vec<&str> = match &body["stop"] {
        Value::Array(stops) => stops.iter().filter_map(Value::as_str).collect(),
        stop => stop.as_str().into_iter().collect(),
    };
    let end = stops.iter().filter_map(|stop| prompt.find(stop)).min();
    let prompt = &prompt[..end.unwrap_or(prompt.len())];
    let mut words: Vec<String> = prompt.split_inclusive(' ').map(str::to_owned).collect();
    let most = body["max_completion_tokens"]
        .as_u64()
        .or_else(|| body["max_tokens"].as_u64())
        .and_then(|most| usize::try_from(most).ok())
        .unwrap_or(usize::MAX);
    let reason = if words.len() > most { "length" } else { "stop" };
    words.truncate(most);
    let prompts = body["prompt"].as_array().map_or(1, |prompts| prompts.len() as u64);
    (words, prompts * body["n"].as_u64().unwrap_or(1), reason)
}

fn at_once(ask: Ask, body: &Value) -> Value {
    let (words, count, reason) = words(body);
    let text = words.concat();
    let choice = |index| match ask {
        Ask::Chat => {
            json!({"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": reason})
        }
        _ => json!({"index": index, "text": text, "finish_reason": reason}),
    };
    let choices: Vec<Value> = (0..count).map(choice).collect();
    let object = if ask == Ask::Chat {
        "chat.completion"
    } else {
        "text_completion"
    };
    let usage = usage(3, count * words.len() as u64);
    json!({"id": "cmpl-1", "object": object, "created": CREATED, "model": MODEL, "choices": choices, "usage": usage})
}

fn piece_by_piece(ask: Ask, body: &Value) -> Vec<String> {
    let (words, count, reason) = words(body);
    let object = if ask == Ask::ChatStream {
        "chat.completion.chunk"
    } else {
        "text_completion"
    };
    let chunk = |choices: Value, usage: Value| {
        json!({"id": "cmpl-1", "object": object, "created": CREATED, "model": MODEL, "choices": choices, "usage": usage})
            .to_string()
    };
    let piece = |index: u64, delta: Value, text: &str, reason: Value| {
        let choice = match ask {
            Ask::ChatStream => json!({"index": index, "delta": delta, "finish_reason": reason}),
            _ => json!({"index": index, "text": text, "finish_reason": reason}),
        };
        chunk(json!([choice]), Value::Null)
    };
    let mut events = Vec::new();
    if ask == Ask::ChatStream {
        events.extend((0..count).map(|index| piece(index, json!({"role": "assistant"}), "", Value::Null)));
    }
    for word in &words {
        events.extend((0..count).map(|index| piece(index, json!({"content": word}), word, Value::Null)));
    }
    events.extend((0..count).map(|index| piece(index, json!({}), "", json!(reason))));
    if body["stream_options"]["include_usage"] == true {
        events.push(chunk(json!([]), usage(3, count * words.len() as u64)));
    }
    events.push("[DONE]".into());
    events
}

/// A server that answers rightly but for this lie.
pub(crate) fn liar(lie: Option<&'static Lie>) -> Served {
    let served = Served::start(move |asked, mut wire| {
        let mut draft = right(asked);
        if let Some(lie) = lie.filter(|lie| lie.ask == Ask::of(asked.path(), &asked.body)) {
            (lie.tell)(&mut draft);
        }
        let bytes = draft.rendered();
        match draft.then {
            Then::Close => wire.send(&bytes),
            Then::CutBy(count) => wire.send(&bytes[..bytes.len() - count]),
            Then::Hold => wire.hold(),
            Then::CloseAtOnce => Ok(()),
        }
    });
    served.unwrap()
}

/// The names of the checks that find fault with the answer to this.
async fn told(probe: &Probe, server: &Served, ask: Ask) -> BTreeSet<&'static str> {
    let request = ask.request(server);
    let expected = ask.expected(&request);
    let answer = probe.send(request).await;
    wire::faults(&expected, &answer)
        .into_iter()
        .map(|fault| fault.check)
        .collect()
}

/// A probe that waits longer than any loaded machine needs.
fn patient() -> Probe {
    Probe::new(Duration::from_secs(20)).unwrap()
}

#[tokio::test]
async fn right_answers_hold() {
    let (probe, server) = (patient(), liar(None));
    for ask in Ask::ALL {
        assert_eq!(told(&probe, &server, ask).await, BTreeSet::new(), "{ask:?}");
    }
}

#[tokio::test]
async fn each_lie_is_told_by_exactly_the_check_that_is_meant_to() {
    let mut wrong = Vec::new();
    let (patient, impatient) = (patient(), Probe::new(Duration::from_millis(200)).unwrap());
    for lie in LIES {
        let probe = if lie.check == "answer-came" {
            &impatient
        } else {
            &patient
        };
        let told = told(probe, &liar(Some(lie)), lie.ask).await;
        if told != BTreeSet::from([lie.check]) {
            wrong.push(format!("{:?} {}: {told:?} and not {}", lie.ask, lie.what, lie.check));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_wire_check_has_a_lie() {
    let lies: BTreeSet<_> = LIES.iter().map(|lie| lie.check).collect();
    let checks: BTreeSet<_> = WIRE_CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(lies, checks);
}

#[tokio::test]
async fn an_answer_cut_at_any_byte_on_the_wire_is_refused() {
    let probe = patient();
    for ask in [Ask::Chat, Ask::ChatStream] {
        let whole = {
            let server = liar(None);
            let request = ask.request(&server);
            let asked = Asked {
                head: format!(
                    "POST {} HTTP/1.1\r\n\r\n",
                    request.url.trim_start_matches(&server.url(""))
                ),
                body: request.body.unwrap_or_default().into_bytes(),
            };
            right(&asked).rendered()
        };
        let length = whole.len();
        let cuts = std::sync::atomic::AtomicUsize::new(0);
        let server = Served::start(move |_, mut wire| {
            wire.send(&whole[..cuts.fetch_add(1, std::sync::atomic::Ordering::Relaxed)])
        })
        .unwrap();
        for cut in 0..length {
            assert!(
                !told(&probe, &server, ask).await.is_empty(),
                "{ask:?} cut after {cut} of {length} bytes"
            );
        }
        assert_eq!(told(&probe, &server, ask).await, BTreeSet::new());
    }
}
