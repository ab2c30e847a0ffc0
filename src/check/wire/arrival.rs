//! An answer came, came to its end, and has the status that its request must get.

use super::{AnswerKind, StatusWanted, Unjudged, WireCheck, headers};
use crate::{
    check::diagnosis::{cut_off, not_answering},
    probe::{Answer, Unanswered},
    verdict::CauseCode,
};

/// Something came back.
pub(crate) const CAME: WireCheck = WireCheck {
    name: "answer-came",
    sentence: "the request is answered",
    cause: |seen| not_answering(seen.answer),
    decides: AnswerKind::ALL,
    judge: |seen| {
        Ok(match &seen.answer.outcome {
            Err(why) if nothing_came(why, seen.answer) => vec![why.words()],
            Err(_) | Ok(_) => Vec::new(),
        })
    },
};

/// The response did not stop before its end, and had one.
pub(super) const ENDED: WireCheck = WireCheck {
    name: "answer-ended",
    sentence: "the answer comes to its end: not cut off, not silent, not endless",
    cause: |seen| cut_off(seen.answer),
    decides: AnswerKind::ALL,
    judge: |seen| {
        let why = match &seen.answer.outcome {
            Ok(_) => return Ok(Vec::new()),
            Err(why) if nothing_came(why, seen.answer) => return Err(Unjudged::because("nothing came back")),
            Err(_) if headers::are_refused(seen) => {
                return Err(Unjudged::because(
                    "its headers say where it ends in two ways, or in none",
                ));
            }
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
    },
};

/// The status is the one that the request must get.
pub(crate) const STATUS: WireCheck = WireCheck {
    name: "answer-status",
    sentence: "the status is the one that the request must get",
    cause: |seen| {
        let got = seen.answer.status().unwrap_or_default();
        match seen.expected.status {
            StatusWanted::Error(_) if (200..300).contains(&got) => CauseCode::RequestNotRefused,
            _ => CauseCode::AnswerStatusUnexpected,
        }
    },
    decides: AnswerKind::ASKED,
    judge: |seen| {
        let status = seen.whole()?.status;
        if seen.expected.status.admits(status) {
            return Ok(Vec::new());
        }
        let wanted = match &seen.expected.status {
            StatusWanted::Success => "200".to_owned(),
            StatusWanted::Error(wanted) => wanted.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "),
        };
        Ok(vec![format!("{}; the status must be {wanted}", seen.answer.brief())])
    },
};

/// Whether nothing at all came back, so that nothing tells the server from the way to it. A connection that was taken
/// and then closed or reset is something that came back.
fn nothing_came(why: &Unanswered, answer: &Answer) -> bool {
    match why {
        Unanswered::NotSent(_)
        | Unanswered::NotConnected(_)
        | Unanswered::HostExhausted(_)
        | Unanswered::OtherProtocol(..)
        | Unanswered::Untrusted(_) => true,
        Unanswered::TimedOut(_) | Unanswered::Silent(_) => answer.partial.is_none(),
        Unanswered::Endless(_) | Unanswered::CutOff(_) | Unanswered::Reset(_) | Unanswered::Malformed(_) => false,
    }
}
