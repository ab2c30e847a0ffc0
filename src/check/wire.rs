//! Wire checks: one answer, held against what the OpenAI API promises for the request that was sent.
//!
//! Each check is a `const` in the file of its subject here and a line of [`WIRE_CHECKS`]. Files that read an answer (`parsed`
//! and what it stands on) know no check. A check judges one thing and stands on the ground that the
//! checks before it secure: an answer that was cut off is not judged for its JSON, and a stream without `[DONE]` not
//! for its usage. So one lie is told by one check. Read leniently where the API leaves room (fields and finish reasons
//! that it does not define), strictly where it does not.
//!
//! Pure: nothing is sent. Whose words an answer is (model server, endpoint picker, gateway) is
//! [`super::diagnosis`]'s business, and what only a gateway adds is that of the checks over an
//! [`super::Observation`]. Sources: OpenAI API reference; vLLM's and llm-d-inference-sim's answers.

use std::borrow::Cow;

use serde_json::Value;

use super::diagnosis::by_answerer;
use crate::{
    probe::Answer,
    redact::cut,
    verdict::{Cause, CauseCode, Finding},
};

mod arrival;
mod body;
mod choices;
mod completion;
mod counts;
mod embeddings;
mod envelope;
mod events;
mod expected;
mod form;
mod headers;
mod models;
mod parsed;
mod stream;
mod strict;

pub(crate) use arrival::{CAME, STATUS};
pub(crate) use completion::MODEL;
pub use expected::{AnswerKind, EmbeddingAsked, Endpoint, ErrorForm, Expected, StatusWanted, Way};
pub use models::ServedNames;
pub(crate) use parsed::ParsedAnswer;

/// What a check came to over one answer: its faults, of which none means that it holds; or why it could not judge.
pub(crate) type Judged = Result<Vec<String>, Unjudged>;

/// Why a check has nothing to say about an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unjudged {
    /// It is about something else, or another check has already found its ground missing.
    NotApplicable(Cow<'static, str>),
    /// It would apply, and too little was kept of the answer to decide it.
    Undecided(String),
}

impl Unjudged {
    /// Not applicable, for this reason.
    fn because(why: impl Into<Cow<'static, str>>) -> Self {
        Self::NotApplicable(why.into())
    }
}

/// One thing that must be true of an answer. [`faults`] judges an answer by all of them.
///
/// ```
/// use quickproof::check::wire;
///
/// let done = wire::named("stream-done").expect("the check of this name");
/// assert!(wire::WIRE_CHECKS.iter().any(|check| check.name == done.name));
/// ```
#[derive(Debug)]
pub struct WireCheck {
    /// Its stable name, such as `stream-done`.
    pub name: &'static str,
    /// What is true when it holds, one sentence without a full stop.
    pub(crate) sentence: &'static str,
    /// The kind of cause when it is broken by this answer.
    cause: fn(&ParsedAnswer<'_>) -> CauseCode,
    /// The kinds of answers of which it must decide something, whatever comes: without it nothing was proven. Of others it
    /// says something where it has ground to stand on.
    decides: &'static [AnswerKind],
    /// What it comes to.
    judge: fn(&ParsedAnswer<'_>) -> Judged,
}

impl WireCheck {
    /// Whether it must decide something of every answer of this kind, whatever comes.
    pub(crate) fn must_decide(&self, kind: AnswerKind) -> bool {
        self.decides.contains(&kind)
    }

    fn finding(&self, seen: &ParsedAnswer<'_>) -> Finding {
        match (self.judge)(seen) {
            Ok(faults) if faults.is_empty() => Finding::Holds,
            Ok(faults) => {
                let faults = shortened(faults);
                let code = (self.cause)(seen);
                let cause = Cause::new(code).blaming(by_answerer(code, seen.answer));
                let cause = faults.iter().fold(cause, Cause::because);
                Finding::broken(self.sentence, faults.join("; "), cause)
            }
            Err(Unjudged::NotApplicable(why)) => Finding::Skipped { why: why.into_owned() },
            Err(Unjudged::Undecided(why)) => Finding::Undecided { why },
        }
    }
}

/// Every wire check, each after those whose ground it stands on.
pub static WIRE_CHECKS: &[WireCheck] = &[
    arrival::CAME,
    arrival::ENDED,
    arrival::STATUS,
    headers::HOP_BY_HOP,
    headers::CONTENT_LENGTH,
    headers::CONTRADICTING_HEADERS,
    headers::CONTENT_TYPE,
    body::JSON,
    body::ERROR_BODY,
    completion::ENVELOPE,
    stream::FRAMING,
    stream::CHUNKS,
    stream::ERROR,
    stream::DONE,
    stream::CONSTANT,
    stream::ROLE,
    stream::NEWS,
    stream::FINISH,
    stream::USAGE,
    completion::MODEL,
    completion::CHOICES,
    completion::FINISH_REASON,
    completion::TEXT,
    completion::STOP,
    completion::USAGE,
    completion::MAX_TOKENS,
    models::LIST,
    models::NAMED,
    embeddings::EMBEDDINGS,
];

/// The wire check of this name.
pub fn named(name: &str) -> Option<&'static WireCheck> {
    WIRE_CHECKS.iter().find(|check| check.name == name)
}

/// Something wrong with an answer, as a check tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The name of the check.
    pub check: &'static str,
    /// What is wrong, as a fragment without a full stop.
    pub what: String,
    /// The kind of cause.
    pub(crate) cause: CauseCode,
}

/// Every wire check with what it says of an answer, in the order of [`WIRE_CHECKS`].
///
/// A check that does not apply is skipped with its reason.
pub(crate) fn judge(seen: &ParsedAnswer<'_>) -> Vec<(&'static WireCheck, Finding)> {
    WIRE_CHECKS.iter().map(|check| (check, check.finding(seen))).collect()
}

/// What is wrong with this answer; empty when nothing is. What could not be decided counts as wrong: who asks for
/// faults takes none for a pass.
pub fn faults(expected: &Expected, answer: &Answer) -> Vec<Violation> {
    let seen = ParsedAnswer::of(expected, answer);
    let faults = |check: &'static WireCheck| {
        let what = match (check.judge)(&seen) {
            Ok(faults) => shortened(faults),
            Err(Unjudged::Undecided(why)) => vec![format!("not decided: {why}")],
            Err(Unjudged::NotApplicable(_)) => Vec::new(),
        };
        let (check, cause) = (check.name, (check.cause)(&seen));
        what.into_iter().map(move |what| Violation { check, what, cause })
    };
    WIRE_CHECKS.iter().flat_map(faults).collect()
}

/// What is odd about an answer, and no fault: each a sentence without a full stop.
pub(crate) fn oddities(seen: &ParsedAnswer<'_>) -> Vec<String> {
    let mut odd = completion::oddities(seen);
    odd.extend(headers::oddity(seen));
    odd.extend(models::oddity(seen));
    odd
}

/// Most faults of one check that are told one by one.
const MOST_TOLD: usize = 5;

/// The first few faults, and how many more there are.
fn shortened(mut faults: Vec<String>) -> Vec<String> {
    let more = faults.len().saturating_sub(MOST_TOLD);
    if more > 0 {
        faults.truncate(MOST_TOLD);
        faults.push(format!("and {more} more"));
    }
    faults
}

/// Most characters of a value that are told.
const MOST_QUOTED: usize = 80;

/// Something of an answer, short enough for a sentence.
fn quoted(value: &(impl ToString + ?Sized)) -> String {
    cut(&value.to_string(), MOST_QUOTED)
}

/// What a field of an answer is, in words.
fn told(field: Option<&Value>) -> Cow<'static, str> {
    match field {
        None => "missing".into(),
        Some(Value::String(text)) if text.is_empty() => "an empty text".into(),
        Some(value) => quoted(value).into(),
    }
}

#[cfg(test)]
mod tests;
