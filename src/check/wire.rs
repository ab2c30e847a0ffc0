//! Wire checks: one answer, held against what the OpenAI API promises for the request that was sent.
//!
//! Each check is a file here and a line in `wire_checks!`. A check judges one thing and stands on the ground that the
//! checks before it secure: an answer that was cut off is not judged for its JSON, and a stream without `[DONE]` not
//! for its usage. So one lie is told by one check. Read leniently where the API leaves room (fields and finish reasons
//! that it does not define), strictly where it does not.
//!
//! Pure: nothing is sent. Whose words an answer is (model server, endpoint picker, gateway) is
//! [`super::diagnosis`]'s business, and what only a gateway adds is that of the checks over an
//! [`super::Observation`]. Sources: OpenAI API reference; vLLM's and llm-d-inference-sim's answers.

use std::borrow::Cow;

use crate::{
    probe::Answer,
    verdict::{Cause, CauseCode, Finding},
};

mod choices;
mod content_length;
mod content_type;
mod contradicting_headers;
mod embeddings;
mod ended;
mod envelope;
mod error_body;
mod expected;
mod finish;
mod hop_by_hop;
mod json;
mod max_tokens;
mod model;
mod models;
mod seen;
mod status;
mod stream;
mod strict;
mod text;
mod usage;

pub use expected::{EmbeddingAsked, Endpoint, ErrorForm, Expected, StatusWanted};
pub use seen::Seen;

/// What a check came to over one answer: its faults, of which none means that it holds; or why it could not judge.
pub type Judged = Result<Vec<String>, Unjudged>;

/// Why a check has nothing to say about an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unjudged {
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

/// One thing that must be true of an answer.
pub trait WireCheck: Sync {
    /// Its stable name, such as `stream-done`.
    fn name(&self) -> &'static str;
    /// What is true when it holds, one sentence without a full stop.
    fn sentence(&self) -> &'static str;
    /// The kind of cause when it is broken by this answer.
    fn cause(&self, seen: &Seen<'_>) -> CauseCode;
    /// What it comes to.
    ///
    /// # Errors
    /// It does not apply to this answer, or the answer was not kept whole.
    fn judge(&self, seen: &Seen<'_>) -> Judged;
}

macro_rules! wire_checks {
    ($($check:path,)*) => {
        /// Every wire check, each after those whose ground it stands on.
        pub static WIRE_CHECKS: &[&dyn WireCheck] = &[$(&$check,)*];
    };
}

wire_checks! {
    ended::Came,
    ended::Ended,
    status::Status,
    hop_by_hop::HopByHopHeaders,
    content_length::ContentLength,
    contradicting_headers::ContradictingHeaders,
    content_type::ContentType,
    json::Json,
    error_body::ErrorBody,
    envelope::Envelope,
    stream::framing::Framing,
    stream::chunks::Chunks,
    stream::error::ErrorEvent,
    stream::done::Done,
    stream::constant::Constant,
    stream::role::RoleFirst,
    stream::finish::StreamFinish,
    stream::usage::StreamUsage,
    model::Model,
    choices::Choices,
    finish::FinishReason,
    text::Text,
    usage::Usage,
    max_tokens::MaxTokens,
    models::ModelsList,
    models::ModelNamed,
    embeddings::Embeddings,
}

/// The wire check of this name.
pub fn named(name: &str) -> Option<&'static dyn WireCheck> {
    WIRE_CHECKS.iter().copied().find(|check| check.name() == name)
}

/// Something wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The name of the check that tells it.
    pub check: &'static str,
    /// What is wrong, as a fragment without a full stop.
    pub what: String,
    /// The kind of cause.
    pub cause: CauseCode,
}

/// Every wire check with what it says of an answer, in the order of [`WIRE_CHECKS`].
///
/// A check that does not apply is skipped with its reason.
pub fn judge(seen: &Seen<'_>) -> Vec<(&'static dyn WireCheck, Finding)> {
    let finding = |check: &'static dyn WireCheck| match check.judge(seen) {
        Ok(faults) if faults.is_empty() => Finding::Holds,
        Ok(faults) => {
            let faults = shortened(faults);
            let cause = faults.iter().fold(Cause::new(check.cause(seen)), Cause::because);
            Finding::broken(check.sentence(), faults.join("; "), cause)
        }
        Err(Unjudged::NotApplicable(why)) => Finding::Skipped { why: why.into_owned() },
        Err(Unjudged::Undecided(why)) => Finding::Undecided { why },
    };
    WIRE_CHECKS.iter().map(|check| (*check, finding(*check))).collect()
}

/// What is wrong with this answer; empty when nothing is. What could not be decided counts as wrong: who asks for
/// faults takes none for a pass.
pub fn faults(expected: &Expected, answer: &Answer) -> Vec<Fault> {
    let seen = Seen::of(expected, answer);
    let faults = |check: &&'static dyn WireCheck| {
        let what = match check.judge(&seen) {
            Ok(faults) => shortened(faults),
            Err(Unjudged::Undecided(why)) => vec![format!("not decided: {why}")],
            Err(Unjudged::NotApplicable(_)) => Vec::new(),
        };
        let (check, cause) = (check.name(), check.cause(&seen));
        what.into_iter().map(move |what| Fault { check, what, cause })
    };
    WIRE_CHECKS.iter().flat_map(faults).collect()
}

/// What is odd about a good answer to its request, and no fault: each a sentence without a full stop.
pub fn oddities(answer: &Answer) -> Vec<String> {
    let expected = Expected::of(&answer.request);
    finish::oddities(&Seen::of(&expected, answer))
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
    let text = value.to_string();
    match text.char_indices().nth(MOST_QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
