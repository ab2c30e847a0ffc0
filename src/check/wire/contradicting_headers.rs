//! A header that may stand once says one thing.

use super::{Judged, Seen, WireCheck, quoted};
use crate::{probe::Received, verdict::CauseCode};

/// Headers of which two different values cannot both be true. `server` and `date` are left out: many a proxy adds its
/// own beside that of the server behind it, and nobody acts on them.
const ONCE: &[&str] = &[
    "content-type",
    "content-length",
    "content-encoding",
    "location",
    "retry-after",
    "x-inference-pod",
    "x-inference-namespace",
    "x-inference-port",
    "x-went-into-resp-headers",
];

/// The different values of a header, in order. Of lengths a list in one line counts as several lines: so a proxy may
/// have joined them (RFC 9110, section 8.6).
pub(super) fn values<'a>(received: &'a Received, name: &str) -> Vec<&'a str> {
    let mut values = Vec::new();
    for (_, value) in received.headers.iter().filter(|(header, _)| header == name) {
        let separator = if name == "content-length" { ',' } else { '\0' };
        for value in value.split(separator).map(str::trim) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
    values
}

/// No contradicting duplicates.
pub(super) struct ContradictingHeaders;

impl WireCheck for ContradictingHeaders {
    fn name(&self) -> &'static str {
        "contradicting-headers"
    }

    fn sentence(&self) -> &'static str {
        "no header that may stand once says two things"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::AnswerHeadersWrong
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        let received = seen.whole()?;
        let fault = |name: &&&str| {
            let values = values(received, name);
            (values.len() > 1).then(|| format!("`{name}` is `{}`", quoted(&values.join("` and `"))))
        };
        Ok(ONCE.iter().filter_map(|name| fault(&name)).collect())
    }
}
