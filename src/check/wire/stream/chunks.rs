//! Every event of a stream is a chunk of the answer.

use super::{
    super::{Endpoint, Judged, Seen, WireCheck, choices::piece_fault, envelope, quoted},
    Item, is_timeless,
};
use crate::verdict::CauseCode;

/// JSON, `object`, `id`, `created`, and choices with their text or delta.
pub(in super::super) struct Chunks;

impl WireCheck for Chunks {
    fn name(&self) -> &'static str {
        "stream-chunks"
    }

    fn sentence(&self) -> &'static str {
        "every event is a chunk of the answer: strict JSON with what it is, an id, a time and choices"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::StreamMalformed
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        let events = seen.events()?;
        events.framed()?;
        Ok(events.chunks.clone())
    }
}

/// What is wrong with the chunks; each fault names its event, counted from 1.
pub(super) fn faults(items: &[Item], endpoint: Endpoint) -> Vec<String> {
    let mut faults = Vec::new();
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
                    found.extend(envelope::created_fault(&chunk["created"]));
                }
                match chunk["choices"].as_array() {
                    Some(choices) => found.extend(choices.iter().filter_map(|piece| piece_fault(piece, endpoint))),
                    None => found.push(format!("`choices` is {}", quoted(&chunk["choices"]))),
                }
                found
            }
            Err(found) => found.clone(),
        };
        faults.extend(found.into_iter().map(|fault| format!("event {number}: {fault}")));
    }
    faults
}
