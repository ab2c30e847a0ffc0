//! The body is JSON, strictly, and that of an error says what is wrong.

use serde_json::Value;

use super::{AnswerKind, ErrorForm, WireCheck, form::Form, quoted, told};
use crate::{check::diagnosis::words_of_picker, verdict::CauseCode};

/// One JSON object, in UTF-8, every key once, nothing before or after it.
pub(super) const JSON: WireCheck = WireCheck {
    name: "json",
    sentence: "the body is one JSON object in UTF-8, with every key once and nothing around it",
    cause: |_| CauseCode::AnswerMalformed,
    decides: &[AnswerKind::Completion, AnswerKind::Models, AnswerKind::Embeddings],
    judge: |seen| Ok(seen.read_json()?.as_ref().err().cloned().unwrap_or_default()),
};

/// An error says what is wrong, in a form that clients read.
///
/// Sources: OpenAI API reference, "Error codes" (`{"error": {"message", "type", "param", "code"}}`); vLLM before v0.10 has
/// the same fields without the object around them; the endpoint picker answers `inference error: <Code> - <message>` in
/// plain text, before v1.5.0 `inference gateway: …`; the oldest answer with an empty body.
pub(super) const ERROR_BODY: WireCheck = WireCheck {
    name: "error-body",
    sentence: "the error says what is wrong, in a form that clients read",
    cause: |_| CauseCode::ErrorBodyMalformed,
    decides: &[AnswerKind::Error],
    judge: |seen| {
        let (received, admitted) = seen.error()?;
        match seen.form()? {
            Form::Empty if admitted == ErrorForm::JsonPickerOrEmpty => Ok(Vec::new()),
            Form::Empty => Ok(vec![format!("the status is {} and the body is empty", received.status)]),
            Form::PickersWords if admitted == ErrorForm::Json => Ok(vec![format!(
                "a model server must answer, and not the endpoint picker: {}",
                seen.answer.brief()
            )]),
            Form::PickersWords => Ok(pickers_fault(&seen.answer.text(), received.status)
                .into_iter()
                .collect()),
            _ => Ok(faults(seen.json()?, received.status)),
        }
    },
};

/// The endpoint picker's codes with the status that each goes with. Source: measured on v1.5.0; codes that are not
/// here go with any status that is.
const PICKERS_CODES: &[(&str, u16)] = &[
    ("BadRequest", 400),
    ("InferencePoolResourceExhausted", 429),
    ("ResourceExhausted", 429),
    ("Internal", 500),
    ("ServiceUnavailable", 503),
];

fn pickers_fault(text: &str, status: u16) -> Option<String> {
    let words = words_of_picker(text).unwrap_or_default();
    let Some((code, message)) = words.split_once(" - ") else {
        return Some(format!("`{}` is not `<words>: <Code> - <message>`", quoted(text)));
    };
    if message.trim().is_empty() {
        return Some(format!("`{}` has no message", quoted(text)));
    }
    match PICKERS_CODES.iter().find(|(known, _)| *known == code) {
        Some((_, wanted)) if *wanted != status => Some(format!("{code} goes with {wanted} and not with {status}")),
        None if !PICKERS_CODES.iter().any(|(_, known)| *known == status) => {
            Some(format!("the endpoint picker answers no {status}: {}", quoted(text)))
        }
        _ => None,
    }
}

fn faults(body: &Value, status: u16) -> Vec<String> {
    let error = match body.get("error") {
        Some(error) => error,
        None if body["object"] == "error" => body,
        None => return vec![format!("there is no `error`: {}", quoted(body))],
    };
    if !error.is_object() {
        return vec![format!("`error` is {} and no object", quoted(error))];
    }
    let mut faults = Vec::new();
    if error["message"]
        .as_str()
        .is_none_or(|message| message.trim().is_empty())
    {
        faults.push(format!("the error's `message` is {}", told(error.get("message"))));
    }
    if !error["type"].is_string() && !error["type"].is_null() {
        faults.push(format!("the error's `type` is {}", quoted(&error["type"])));
    }
    match &error["code"] {
        Value::Null | Value::String(_) => {}
        // OpenAI's codes are words; model servers repeat the status.
        code if code.as_u64() == Some(u64::from(status)) => {}
        code => faults.push(format!(
            "the error's `code` is {}, the status is {status}",
            quoted(code)
        )),
    }
    faults
}
