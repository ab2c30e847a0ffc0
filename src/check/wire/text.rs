//! Something was said, and the right thing where that is known.

use super::{Judged, Seen, Unjudged, WireCheck, choices::Choice, quoted};
use crate::verdict::CauseCode;

/// The text of the choices; of a stream, its deltas put together.
pub(super) struct Text;

impl WireCheck for Text {
    fn name(&self) -> &'static str {
        "answer-text"
    }

    fn sentence(&self) -> &'static str {
        "the tokens that were generated say something, and what the model server echoes is what was asked"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::AnswerTextWrong
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        let choices = seen.choices()?;
        if choices.is_empty() {
            return Err(Unjudged::because("there is no choice"));
        }
        if let Some(echo) = &seen.expected.echo {
            let other = choices.iter().filter(|choice| choice.text != *echo);
            let fault = |choice: &Choice| {
                let (says, wanted) = (quoted(&choice.text), quoted(echo));
                format!("choice {} says `{says}` and not `{wanted}`", choice.index)
            };
            return Ok(other.map(fault).collect());
        }
        let silent = choices
            .iter()
            .all(|choice| choice.text.is_empty() && !choice.says_other);
        // A model may end at once: its one token is the end itself. Reasons of their own (a cache that was too cold)
        // are a model server's way to say that nothing was generated.
        let ended = |reason: &String| reason == "stop" || reason == "length";
        let generated = choices.iter().flat_map(|choice| &choice.finished).any(ended);
        let tokens = seen.counts().map(|counts| counts.completion).ok();
        let several = tokens.is_none_or(|tokens| tokens > seen.expected.choices);
        if silent && generated && several {
            let tokens = tokens.map_or_else(|| "tokens".to_owned(), |tokens| format!("{tokens} tokens"));
            return Ok(vec![format!("{tokens} were generated, and no choice says anything")]);
        }
        Ok(Vec::new())
    }
}
