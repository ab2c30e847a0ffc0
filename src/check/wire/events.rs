//! A stream of events, read once: which event is a chunk, which an error, which the end, and what is wrong with the ground
//! that checks of streams stand on.
//!
//! Source: OpenAI API reference, "Streaming"; framing is `probe::sse`'s.

use std::time::Duration;

use serde_json::Value;

use super::{Endpoint, Unjudged, choices::piece_fault, envelope, strict, told};
use crate::probe::{
    Received,
    latency::Latencies,
    openai,
    sse::{Stream, StreamEvent},
};

/// The data of the event that ends a stream.
const DONE: &str = "[DONE]";

/// Whether a chunk has no choice and the time 0: the simulator gives the chunk that counts the tokens no time where
/// there are several choices (seen with v0.10.2), and no client reads it there.
pub(super) fn is_timeless(chunk: &Value) -> bool {
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

/// The events of a stream, parsed, and the faults because of which other checks cannot judge it.
#[derive(Debug)]
pub(super) struct Events {
    items: Vec<Item>,
    /// When each of them came, counted from sending.
    times: Vec<Duration>,
    /// What is wrong with its framing, as the HTML standard has it.
    pub(super) framing: Vec<String>,
    /// What is wrong with its chunks.
    pub(super) chunks: Vec<String>,
    /// What is wrong with its end.
    pub(super) end: Vec<String>,
}

impl Events {
    /// The stream that is the body of a response.
    pub(super) fn read(received: &Received, endpoint: Endpoint) -> Self {
        let stream = Stream::read(received);
        let items: Vec<Item> = stream.events.iter().map(Item::of).collect();
        Self {
            framing: framing_faults(&stream, &received.body),
            chunks: chunk_faults(&items, endpoint),
            end: end_faults(&items),
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
    pub(super) fn framed(&self) -> Result<&[Item], Unjudged> {
        if self.framing.is_empty() {
            return Ok(&self.items);
        }
        Err(Unjudged::because("the stream is not framed as it must be"))
    }

    /// The same, where none of them tells an error.
    pub(super) fn undisturbed(&self) -> Result<&[Item], Unjudged> {
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
        if !self.end.is_empty() {
            return Err(Unjudged::because("the stream did not end as it must"));
        }
        let chunks = items.iter().filter_map(|item| match item {
            Item::Chunk(chunk) => chunk.as_ref().ok(),
            Item::Error(_) | Item::Done => None,
        });
        Ok(chunks.collect())
    }
}

/// What is wrong with the framing of a stream that came in these bytes.
fn framing_faults(stream: &Stream, body: &[u8]) -> Vec<String> {
    let mut faults = stream.faults.clone();
    // A CR ends a line by itself. Where lines end in CR LF, one without its LF is the end of what was sent, not of a line.
    let halved = body.last() == Some(&b'\r') && body.windows(2).any(|two| two == b"\r\n");
    if stream.unfinished || halved {
        faults.push("the stream ends inside an event".into());
    }
    if stream.events.is_empty() && faults.is_empty() {
        faults.push("there is no event in the stream".into());
    }
    faults
}

/// What is wrong with the chunks; each fault names its first event, counted from 1.
fn chunk_faults(items: &[Item], endpoint: Endpoint) -> Vec<String> {
    let mut faults: Vec<(String, usize, usize)> = Vec::new();
    let chunks = items.iter().zip(1_usize..).filter_map(|(item, number)| match item {
        Item::Chunk(chunk) => Some((chunk, number)),
        Item::Error(_) | Item::Done => None,
    });
    for (chunk, number) in chunks {
        let found = match chunk {
            Ok(chunk) => {
                let object = match endpoint {
                    Endpoint::Chat => "chat.completion.chunk",
                    _ => "text_completion",
                };
                let mut found = envelope::faults(chunk, object);
                if !is_timeless(chunk) {
                    found.extend(envelope::created_fault(chunk));
                }
                match chunk["choices"].as_array() {
                    Some(choices) => found.extend(choices.iter().filter_map(|piece| piece_fault(piece, endpoint))),
                    None => found.push(format!("`choices` is {}", told(chunk.get("choices")))),
                }
                found
            }
            Err(found) => found.clone(),
        };
        for fault in found {
            match faults.iter_mut().find(|(known, _, _)| *known == fault) {
                Some((_, _, others)) => *others += 1,
                None => faults.push((fault, number, 0_usize)),
            }
        }
    }
    let told = |(fault, number, others)| match others {
        0 => format!("event {number}: {fault}"),
        others => format!("event {number} and {others} more: {fault}"),
    };
    faults.into_iter().map(told).collect()
}

/// What is wrong with the end of a stream.
fn end_faults(items: &[Item]) -> Vec<String> {
    let ends = items.iter().filter(|item| matches!(item, Item::Done)).count();
    let after = items
        .iter()
        .skip_while(|item| !matches!(item, Item::Done))
        .skip(1)
        .count();
    match (ends, after) {
        (0, _) => vec![format!("the stream ends after {} events without `[DONE]`", items.len())],
        (1, 0) => Vec::new(),
        (1, after) => vec![format!("{after} events come after `[DONE]`")],
        (ends, _) => vec![format!("`[DONE]` comes {ends} times")],
    }
}
