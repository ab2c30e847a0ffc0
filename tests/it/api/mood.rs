//! Moods, as data: which calls meet one, from when on, what becomes of what they ask, and what they hear.

use std::time::Duration;

use super::asked::{Asked, Verb};

/// What some calls meet in place of what they should.
#[derive(Debug, Clone)]
pub(crate) struct Mood {
    /// The calls.
    pub(crate) on: On,
    /// From which of them on, beginning with 1.
    pub(crate) from: u32,
    /// Up to which of them.
    pub(crate) to: u32,
    /// Whether what they ask is done all the same.
    pub(crate) effect: Effect,
    /// How late the answer begins.
    pub(crate) late: Duration,
    /// What they hear.
    pub(crate) says: Says,
}

/// Which calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Everything,
    /// Of one verb, whatever they are about.
    Verb(Verb),
    /// Of one verb, about one resource.
    Of(Verb, &'static str),
    /// All that are about objects, whatever is asked of them.
    Objects,
}

/// What becomes of what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It is done, and the answer is lost.
    Made,
    /// Nothing.
    None,
}

/// What is said.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    /// What should be said.
    AsItShould,
    /// An answer with this code and body.
    Answer(u16, Body),
    /// The same with one header more.
    With(u16, Body, &'static str, &'static str),
    /// The connection is closed without a word.
    Closed,
    /// Nothing, for ever.
    Silence,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Empty,
    /// A page of HTML, as of a login.
    Html,
    /// Text of this content type.
    Text(&'static str, &'static str),
    /// JSON.
    Json(&'static str),
    /// A `Status` with the answer's code and this reason.
    Status(&'static str),
    /// JSON that breaks off although more was promised.
    Cut,
    /// JSON that is not whole although all that was promised came.
    Half,
    /// An object of another kind.
    OtherKind,
    /// Blanks without end.
    Endless,
    /// A byte a second, without end.
    Drip,
    /// A whole answer of so many bytes.
    Large(usize),
    /// A list of so many empty objects.
    Crowded(usize),
}

impl Mood {
    /// These calls hear this, and nothing of what they ask is done.
    pub(crate) fn new(on: On, says: Says) -> Self {
        Self {
            on,
            from: 1,
            to: u32::MAX,
            effect: Effect::None,
            late: Duration::ZERO,
            says,
        }
    }

    /// The same, and what is asked is done.
    #[must_use]
    pub(crate) fn made(self) -> Self {
        Self {
            effect: Effect::Made,
            ..self
        }
    }

    /// The same so late.
    #[must_use]
    pub(crate) fn late(self, late: Duration) -> Self {
        Self { late, ..self }
    }

    /// The same from this call on, and up to that one.
    #[must_use]
    pub(crate) fn calls(self, from: u32, to: u32) -> Self {
        Self { from, to, ..self }
    }

    pub(super) fn is_on(&self, call: u32) -> bool {
        (self.from..=self.to).contains(&call)
    }
}

impl On {
    pub(super) fn is_about(self, asked: &Asked) -> bool {
        match self {
            Self::Everything => true,
            Self::Verb(verb) => asked.verb == verb,
            Self::Of(verb, resource) => asked.verb == verb && asked.resource == resource,
            Self::Objects => !matches!(asked.verb, Verb::Version | Verb::Discovery),
        }
    }
}
