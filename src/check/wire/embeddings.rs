//! Embeddings: one for each input, each a list of numbers of the same length.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{AnswerKind, Endpoint, Expected, Unjudged, WireCheck, quoted};
use crate::verdict::CauseCode;

/// The list of embeddings and the model that made them.
pub(super) const EMBEDDINGS: WireCheck = WireCheck {
    name: "embeddings",
    sentence: "there is one embedding for each input, in the form and of the length asked for",
    cause: |_| CauseCode::AnswerMalformed,
    decides: &[AnswerKind::Embeddings],
    judge: |seen| {
        if seen.expected.endpoint != Endpoint::Embeddings {
            return Err(Unjudged::because("the answer is no list of embeddings"));
        }
        Ok(faults(seen.success()?, seen.expected))
    },
};

fn faults(body: &Value, expected: &Expected) -> Vec<String> {
    let Some(list) = body["data"].as_array() else {
        return vec![format!("`data` is {} and not a list", quoted(&body["data"]))];
    };
    let mut faults = Vec::new();
    if body["object"] != "list" {
        faults.push(format!("`object` is {}, not \"list\"", quoted(&body["object"])));
    }
    if u64::try_from(list.len()).ok() != Some(expected.choices) {
        faults.push(format!(
            "there are {} embeddings for {} inputs",
            list.len(),
            expected.choices
        ));
    }
    let (mut indices, mut lengths) = (BTreeSet::new(), BTreeSet::new());
    for (place, embedding) in list.iter().enumerate() {
        if embedding["object"] != "embedding" {
            faults.push(format!(
                "`object` of embedding {place} is {}",
                quoted(&embedding["object"])
            ));
        }
        match embedding["index"].as_u64() {
            Some(index) if index < expected.choices && indices.insert(index) => {}
            _ => faults.push(format!("embedding {place} has index {}", quoted(&embedding["index"]))),
        }
        match dimensions(&embedding["embedding"], expected.embedding.base64) {
            Ok(length) => {
                lengths.insert(length);
            }
            Err(fault) => faults.push(format!("embedding {place} {fault}")),
        }
    }
    if lengths.len() > 1 {
        faults.push("the embeddings are not of one length".into());
    }
    if let (Some(wanted), Some(length)) = (expected.embedding.dimensions, lengths.first())
        && wanted != *length
    {
        faults.push(format!("the embeddings have {length} dimensions, asked was {wanted}"));
    }
    faults
}

/// How many numbers an embedding has. In base64 each is a float of four bytes.
fn dimensions(embedding: &Value, base64: bool) -> Result<u64, String> {
    let length = match embedding {
        Value::Array(numbers) if !base64 => {
            if !numbers.iter().all(Value::is_number) {
                return Err("holds something that is no number".into());
            }
            numbers.len()
        }
        Value::String(text) if base64 => {
            let digits = text.trim_end_matches('=');
            let digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
            let bytes = digits.len() * 3 / 4;
            if !text.len().is_multiple_of(4) || !digits.bytes().all(digit) || !bytes.is_multiple_of(4) {
                return Err("is no base64 of floats".into());
            }
            bytes / 4
        }
        Value::Array(_) => return Err("is a list, asked was base64".into()),
        other => return Err(format!("is {} and no list of numbers", quoted(other))),
    };
    if length == 0 {
        return Err("is empty".into());
    }
    u64::try_from(length).map_err(|_| "is too long".into())
}
