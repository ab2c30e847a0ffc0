//! The form that the body of an answer must have, and whether its headers say that it has it.

use super::quoted;
use crate::probe::Received;

/// The form that the body of an answer must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON text.
    Json,
    /// A stream of events.
    Stream,
    /// The endpoint picker's plain text.
    PickersWords,
    /// An error without a body.
    Empty,
    /// Whatever an endpoint that nothing is known of sends.
    Unknown,
}

/// What is wrong with the headers of a body that must have this form: its type, and a coding that nobody asked for.
pub(super) fn faults(received: &Received, form: Form) -> Vec<String> {
    let wanted = match form {
        Form::Json => "application/json",
        Form::Stream => "text/event-stream",
        Form::PickersWords => "text/plain",
        Form::Empty | Form::Unknown => return Vec::new(),
    };
    let header = |name: &str| received.headers.iter().find(|(header, _)| header == name);
    let mut faults = Vec::new();
    match header("content-type") {
        // What the endpoint picker says goes through the gateway, which may leave the type of plain text out.
        None if form == Form::PickersWords => {}
        None => faults.push(format!("there is no content-type; it must be {wanted}")),
        Some((_, value)) => faults.extend(type_fault(value, wanted)),
    }
    if let Some((_, coding)) = header("content-encoding")
        && !coding.trim().eq_ignore_ascii_case("identity")
    {
        faults.push(format!(
            "the body is packed with {}, which was not asked for",
            quoted(coding)
        ));
    }
    faults
}

fn type_fault(value: &str, wanted: &str) -> Option<String> {
    let mut parts = value.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    if !media.eq_ignore_ascii_case(wanted) {
        return Some(format!("the content-type is `{}`; it must be {wanted}", quoted(value)));
    }
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    })?;
    let unicode = ["utf-8", "utf8", "us-ascii"];
    let other = !unicode.iter().any(|name| charset.eq_ignore_ascii_case(name));
    other.then(|| {
        format!(
            "the content-type names the charset `{}`; JSON and events are UTF-8",
            quoted(charset)
        )
    })
}
