//! The answer names the model that was asked for.

use serde_json::Value;

use super::{Judged, Seen, Unjudged, WireCheck, quoted};
use crate::verdict::CauseCode;

/// `model`, in every chunk of a stream.
pub(super) struct Model;

impl WireCheck for Model {
    fn name(&self) -> &'static str {
        "answer-model"
    }

    fn sentence(&self) -> &'static str {
        "the answer names the model that was asked for"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::AnswerWrongModel
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        let expected = seen.expected;
        let objects = seen.objects()?;
        let Some(asked) = &expected.model else {
            return Err(Unjudged::because("the request names no model"));
        };
        let right = |named: &&Value| {
            let named = named.as_str();
            named.is_some_and(|named| named == asked || expected.served_as.iter().any(|other| other == named))
        };
        let mut wrong: Vec<&Value> = Vec::new();
        for named in objects
            .iter()
            .map(|object| &object["model"])
            .filter(|named| !right(named))
        {
            if !wrong.contains(&named) && wrong.len() < super::MOST_TOLD {
                wrong.push(named);
            }
        }
        let fault = |named: &Value| format!("`model` is {}, asked was `{}`", quoted(named), quoted(asked));
        Ok(wrong.into_iter().map(fault).collect())
    }
}
