//! Every choice of a stream ends once, and says nothing after that.

use super::super::{Judged, Seen, Unjudged, WireCheck};
use crate::verdict::CauseCode;

/// `finish_reason` once for each choice.
pub(in super::super) struct StreamFinish;

impl WireCheck for StreamFinish {
    fn name(&self) -> &'static str {
        "stream-finish"
    }

    fn sentence(&self) -> &'static str {
        "every choice says once why it ended, and nothing after that"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::StreamMalformed
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        if !seen.is_stream() {
            return Err(Unjudged::because("the answer is not a stream"));
        }
        let mut faults = Vec::new();
        for choice in seen.choices()? {
            let index = choice.index;
            match choice.finished.len() {
                0 => faults.push(format!("choice {index} has no finish_reason")),
                1 if choice.finished.iter().all(String::is_empty) => {
                    faults.push(format!("the finish_reason of choice {index} is empty"));
                }
                1 => {}
                times => faults.push(format!("choice {index} has {times} finish_reasons")),
            }
            if choice.late > 0 {
                faults.push(format!("choice {index} goes on after its finish_reason"));
            }
        }
        Ok(faults)
    }
}
