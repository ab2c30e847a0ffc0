//! A stream of events, read once: which event is a chunk, which an error, which the end.
//!
//! Source: OpenAI API reference, "Streaming"; framing is `probe::sse`'s.

use std::time::Duration;

use serde_json::Value;

use super::{Endpoint, Unjudged, strict};
use crate::probe::{
    Received,
    latency::Latencies,
    openai,
    sse::{Stream, StreamEvent},
};

pub(super) mod chunks;
pub(super) mod constant;
pub(super) mod done;
pub(super) mod error;
pub(super) mod finish;
pub(super) mod framing;
pub(super) mod role;
pub(super) mod usage;

/// The data of the event that ends a stream.
const DONE: &str = "[DONE]";

/// Whether a chunk has no choice and the time 0: the simulator gives the chunk that counts the tokens no time where
/// there are several choices (seen with v0.10.2), and no client reads it there.
fn is_timeless(chunk: &Value) -> bool {
    chunk["created"] == 0 && chunk["choices"].as_array().is_some_and(Vec::is_empty)
}

/// What an event of the stream is.
#[derive(Debug)]
pub(super) enum Item {
    /// A piece of the answer; or what is wrong with it as JSON.
    Chunk(Result<Value, Vec<String>>),
    /// An error, in the words of its event.
    Error(String),
    /// `[DONE]`.
    Done,
}

impl Item {
    fn of(event: &StreamEvent) -> Self {
        if event.data.trim() == DONE {
            return Self::Done;
        }
        let read = strict::read_object(event.data.as_bytes());
        let tells_error = read
            .as_ref()
            .is_ok_and(|chunk| chunk.get("error").is_some_and(|error| !error.is_null()) || chunk["object"] == "error");
        if tells_error || event.name.as_deref() == Some("error") {
            return Self::Error(event.data.clone());
        }
        Self::Chunk(read)
    }
}

/// A stream as its events tell it, and what is wrong with the ground that other checks stand on.
#[derive(Debug)]
pub(super) struct Events {
    items: Vec<Item>,
    /// When each of them came, counted from sending.
    times: Vec<Duration>,
    framing: Vec<String>,
    chunks: Vec<String>,
    done: Vec<String>,
}

impl Events {
    /// The stream that is the body of a response.
    pub(super) fn read(received: &Received, endpoint: Endpoint) -> Self {
        let stream = Stream::read(received);
        let items: Vec<Item> = stream.events.iter().map(Item::of).collect();
        Self {
            framing: framing::faults(&stream, &received.body),
            chunks: chunks::faults(&items, endpoint),
            done: done::faults(&items),
            items,
            times: stream.events.iter().map(|event| event.at).collect(),
        }
    }

    /// When the tokens came.
    pub(super) fn latencies(&self) -> Latencies {
        let carries_text = |item: &Item| matches!(item, Item::Chunk(Ok(chunk)) if openai::chunk_carries_text(chunk));
        let with_text = self
            .items
            .iter()
            .zip(&self.times)
            .filter(|(item, _)| carries_text(item));
        Latencies::at(with_text.map(|(_, at)| *at))
    }

    /// The events, where they are framed as they must be.
    fn framed(&self) -> Result<&[Item], Unjudged> {
        if self.framing.is_empty() {
            return Ok(&self.items);
        }
        Err(Unjudged::because("the stream is not framed as it must be"))
    }

    /// The same, where none of them tells an error.
    fn undisturbed(&self) -> Result<&[Item], Unjudged> {
        let items = self.framed()?;
        if items.iter().any(|item| matches!(item, Item::Error(_))) {
            return Err(Unjudged::because("the stream broke off with an error"));
        }
        Ok(items)
    }

    /// The chunks, where each is well formed and the stream came to its end.
    pub(super) fn ended(&self) -> Result<Vec<&Value>, Unjudged> {
        let items = self.undisturbed()?;
        if !self.chunks.is_empty() {
            return Err(Unjudged::because("the stream has malformed chunks"));
        }
        if !self.done.is_empty() {
            return Err(Unjudged::because("the stream did not end as it must"));
        }
        let chunks = items.iter().filter_map(|item| match item {
            Item::Chunk(chunk) => chunk.as_ref().ok(),
            Item::Error(_) | Item::Done => None,
        });
        Ok(chunks.collect())
    }
}
