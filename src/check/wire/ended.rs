//! An answer came, and came to its end.

use super::{Judged, Seen, Unjudged, WireCheck};
use crate::{
    check::diagnosis::cut_off,
    probe::{Answer, Unanswered},
    verdict::CauseCode,
};

/// Whether nothing at all came back, so that nothing tells the server from the way to it. A connection that was taken
/// and then closed or reset is something that came back.
fn nothing_came(why: &Unanswered, answer: &Answer) -> bool {
    match why {
        Unanswered::NotSent(_) | Unanswered::NotConnected(_) => true,
        Unanswered::TimedOut(_) | Unanswered::Silent(_) => answer.partial.is_none(),
        Unanswered::Endless(_) | Unanswered::CutOff(_) | Unanswered::Reset(_) | Unanswered::Malformed(_) => false,
    }
}

/// Something came back.
pub(super) struct Came;

impl WireCheck for Came {
    fn name(&self) -> &'static str {
        "answer-came"
    }

    fn sentence(&self) -> &'static str {
        "the request is answered"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::EndpointNotAnswering
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        Ok(match &seen.answer.outcome {
            Err(why) if nothing_came(why, seen.answer) => vec![why.words()],
            Err(_) | Ok(_) => Vec::new(),
        })
    }
}

/// The response did not stop before its end, and had one.
pub(super) struct Ended;

impl WireCheck for Ended {
    fn name(&self) -> &'static str {
        "answer-ended"
    }

    fn sentence(&self) -> &'static str {
        "the answer comes to its end: not cut off, not silent, not endless"
    }

    fn cause(&self, seen: &Seen<'_>) -> CauseCode {
        cut_off(seen.answer)
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        let why = match &seen.answer.outcome {
            Ok(_) => return Ok(Vec::new()),
            Err(why) if nothing_came(why, seen.answer) => return Err(Unjudged::because("nothing came back")),
            Err(why) => why.words(),
        };
        Ok(vec![match &seen.answer.partial {
            None => why,
            Some(partial) => {
                format!(
                    "{why} (after a status {} and {} bytes of its body)",
                    partial.status, partial.body_bytes
                )
            }
        }])
    }
}
