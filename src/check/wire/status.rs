//! The status is the one that the request must get.

use super::{Judged, Seen, StatusWanted, WireCheck};
use crate::verdict::CauseCode;

/// The status.
pub(super) struct Status;

impl WireCheck for Status {
    fn name(&self) -> &'static str {
        "answer-status"
    }

    fn sentence(&self) -> &'static str {
        "the status is the one that the request must get"
    }

    fn cause(&self, seen: &Seen<'_>) -> CauseCode {
        let got = seen.answer.status().unwrap_or_default();
        match seen.expected.status {
            StatusWanted::Error(_) if (200..300).contains(&got) => CauseCode::RequestNotRefused,
            _ => CauseCode::AnswerStatusUnexpected,
        }
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        let status = seen.whole()?.status;
        if seen.expected.status.admits(status) {
            return Ok(Vec::new());
        }
        let wanted = match &seen.expected.status {
            StatusWanted::Success => "200".to_owned(),
            StatusWanted::Error(wanted) => wanted.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "),
        };
        Ok(vec![format!("{}; the status must be {wanted}", seen.answer.brief())])
    }
}
