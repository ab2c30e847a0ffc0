//! `[DONE]` ends a stream: once, and last.

use super::{
    super::{Judged, Seen, WireCheck},
    Item,
};
use crate::verdict::CauseCode;

/// `[DONE]`.
pub(in super::super) struct Done;

impl WireCheck for Done {
    fn name(&self) -> &'static str {
        "stream-done"
    }

    fn sentence(&self) -> &'static str {
        "`[DONE]` comes once, and last"
    }

    fn cause(&self, seen: &Seen<'_>) -> CauseCode {
        let ends = |items: &[Item]| items.iter().any(|item| matches!(item, Item::Done));
        match seen.events().and_then(super::Events::framed).map(ends) {
            Ok(true) => CauseCode::StreamMalformed,
            Ok(false) | Err(_) => CauseCode::StreamTruncated,
        }
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        let events = seen.events()?;
        events.undisturbed()?;
        Ok(events.done.clone())
    }
}

/// What is wrong with the end of a stream.
pub(super) fn faults(items: &[Item]) -> Vec<String> {
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
