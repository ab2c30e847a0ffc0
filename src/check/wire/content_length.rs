//! `content-length` is the length of the body, and does not stand beside `transfer-encoding`.
//!
//! Source: RFC 9112, sections 6.1 to 6.3: both together are how one message is smuggled in another.

use super::{Judged, Seen, Unjudged, WireCheck, contradicting_headers, quoted};
use crate::verdict::CauseCode;

const NAME: &str = "content-length";

/// The length said and the length sent.
pub(super) struct ContentLength;

impl WireCheck for ContentLength {
    fn name(&self) -> &'static str {
        NAME
    }

    fn sentence(&self) -> &'static str {
        "the content-length, where there is one, is the body's, and nothing else tells its end"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::AnswerHeadersWrong
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        let received = seen.whole()?;
        let values = contradicting_headers::values(received, NAME);
        let value = match values[..] {
            [] => return Err(Unjudged::because("the answer has no content-length")),
            [value] => value,
            _ => return Err(Unjudged::because("the answer says two lengths")),
        };
        let mut faults = Vec::new();
        if received.headers.iter().any(|(name, _)| name == "transfer-encoding") {
            faults.push("content-length stands beside transfer-encoding".into());
        }
        // Such an answer has no body, and may say the length that another would have. Source: RFC 9110, section 8.6.
        let bodiless = seen.answer.request.method == "HEAD" || received.status == 304;
        match value.parse::<usize>() {
            Err(_) => faults.push(format!("content-length is `{}`, and no number", quoted(value))),
            Ok(said) if said != received.body_bytes && !bodiless => {
                faults.push(format!(
                    "content-length is {said} and the body has {} bytes",
                    received.body_bytes
                ));
            }
            Ok(_) => {}
        }
        Ok(faults)
    }
}
