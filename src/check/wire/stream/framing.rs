//! The stream is made of events, and ends between two of them.

use super::super::{Judged, Seen, WireCheck};
use crate::{probe::sse::Stream, verdict::CauseCode};

/// Framing as the HTML standard has it, and nothing left over.
pub(in super::super) struct Framing;

impl WireCheck for Framing {
    fn name(&self) -> &'static str {
        "stream-framing"
    }

    fn sentence(&self) -> &'static str {
        "the stream is made of whole events, and of nothing else"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::StreamMalformed
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        Ok(seen.events()?.framing.clone())
    }
}

/// What is wrong with the framing of a stream that came in these bytes.
pub(super) fn faults(stream: &Stream, body: &[u8]) -> Vec<String> {
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
