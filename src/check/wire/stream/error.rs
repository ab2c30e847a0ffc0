//! No error inside a stream that began with a success.

use super::{
    super::{Judged, Seen, WireCheck, quoted},
    Item,
};
use crate::verdict::CauseCode;

/// An event that tells an error: named `error`, or with one in its data.
pub(in super::super) struct ErrorEvent;

impl WireCheck for ErrorEvent {
    fn name(&self) -> &'static str {
        "stream-error"
    }

    fn sentence(&self) -> &'static str {
        "no event of the stream tells an error"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::StreamError
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        let items = seen.events()?.framed()?;
        let error = |(item, number): (&Item, usize)| match item {
            Item::Error(words) => Some(format!("event {number} tells an error: {}", quoted(words))),
            Item::Chunk(_) | Item::Done => None,
        };
        Ok(items.iter().zip(1_usize..).filter_map(error).collect())
    }
}
