//! An answer read once for all checks, and the ground that each of them stands on.

use std::cell::OnceCell;

use serde_json::Value;

use super::{
    Endpoint, ErrorForm, Expected, StatusWanted, Unjudged,
    choices::{self, Choice},
    counts::Counts,
    events::Events,
    form::{self, Form},
    strict,
};
use crate::{
    check::diagnosis::words_of_picker,
    probe::{Answer, Received, Unanswered, latency::Latencies},
};

/// An answer, parsed once for all checks, together with what it must be.
#[derive(Debug)]
pub(crate) struct ParsedAnswer<'a> {
    /// What it must be.
    pub(crate) expected: &'a Expected,
    /// What came.
    pub(crate) answer: &'a Answer,
    body: Body,
    /// The choices, once a check has asked for them.
    choices: OnceCell<Result<Vec<Choice>, Unjudged>>,
}

#[derive(Debug)]
enum Body {
    Unread(Unjudged),
    Json(Result<Value, Vec<String>>),
    Stream(Events),
}

impl<'a> ParsedAnswer<'a> {
    /// Reads an answer.
    pub(crate) fn of(expected: &'a Expected, answer: &'a Answer) -> Self {
        let body = Body::Unread(Unjudged::because("nothing of the body was read"));
        let mut seen = Self {
            expected,
            answer,
            body,
            choices: OnceCell::new(),
        };
        seen.body = seen.read().unwrap_or_else(Body::Unread);
        seen
    }

    fn read(&self) -> Result<Body, Unjudged> {
        let received = self.wanted()?;
        let form = self.form()?;
        if !form::faults(received, form).is_empty() {
            return Err(Unjudged::because("the body is of another type than it must be"));
        }
        let kept = || {
            if received.body.len() == received.body_bytes {
                return Ok(&received.body);
            }
            let (kept, all) = (received.body.len(), received.body_bytes);
            Err(Unjudged::Undecided(format!(
                "only {kept} of the body's {all} bytes were kept"
            )))
        };
        match form {
            Form::Json => Ok(Body::Json(strict::read_object(kept()?))),
            Form::Stream => {
                kept()?;
                Ok(Body::Stream(Events::read(received, self.expected.endpoint)))
            }
            Form::PickersWords => Err(Unjudged::because("the endpoint picker answers in plain text")),
            Form::Empty => Err(Unjudged::because("the error has no body")),
            Form::Unknown => Err(Unjudged::because("nothing is known of what this endpoint answers")),
        }
    }

    /// The response, where it came whole.
    pub(super) fn whole(&self) -> Result<&'a Received, Unjudged> {
        let answer = self.answer;
        answer
            .outcome
            .as_ref()
            .map_err(|_| Unjudged::because("no whole answer came"))
    }

    /// The headers of the response, where it came whole, or where they came and the HTTP client takes none such.
    pub(super) fn head(&self) -> Result<&'a Received, Unjudged> {
        match (&self.answer.outcome, &self.answer.partial) {
            (Err(Unanswered::Malformed(_)), Some(head)) => Ok(head),
            _ => self.whole(),
        }
    }

    /// The response, where it came whole and its status is wanted.
    pub(super) fn wanted(&self) -> Result<&'a Received, Unjudged> {
        let received = self.whole()?;
        if self.expected.status.admits(received.status) {
            return Ok(received);
        }
        Err(Unjudged::because(format!("the status is {}", received.status)))
    }

    /// The form that the body must have.
    pub(super) fn form(&self) -> Result<Form, Unjudged> {
        let received = self.wanted()?;
        let is_error = matches!(self.expected.status, StatusWanted::Error(_));
        Ok(if is_error && received.body.trim_ascii().is_empty() {
            Form::Empty
        } else if is_error && words_of_picker(&self.answer.text()).is_some() {
            Form::PickersWords
        } else if !is_error && self.expected.endpoint == Endpoint::Other {
            Form::Unknown
        } else if !is_error && self.expected.stream {
            Form::Stream
        } else {
            Form::Json
        })
    }

    /// Whether an error was wanted and is there.
    pub(super) fn error(&self) -> Result<(&'a Received, ErrorForm), Unjudged> {
        match self.expected.status {
            StatusWanted::Error(_) => Ok((self.wanted()?, self.expected.error_form)),
            StatusWanted::Success => Err(Unjudged::because("the answer is no error")),
        }
    }

    /// The body as JSON, or what is wrong with it as that.
    pub(super) fn read_json(&self) -> Result<&Result<Value, Vec<String>>, Unjudged> {
        match &self.body {
            Body::Json(read) => Ok(read),
            Body::Stream(_) => Err(Unjudged::because("the answer is a stream")),
            Body::Unread(why) => Err(why.clone()),
        }
    }

    /// The body, where it is one good JSON text.
    pub(super) fn json(&self) -> Result<&Value, Unjudged> {
        self.read_json()?
            .as_ref()
            .map_err(|_| Unjudged::because("the body is not JSON"))
    }

    /// The body, where it is good JSON and must be a list of models or of embeddings or generated at once.
    pub(super) fn success(&self) -> Result<&Value, Unjudged> {
        match self.expected.status {
            StatusWanted::Success => self.json(),
            StatusWanted::Error(_) => Err(Unjudged::because("an error was asked for")),
        }
    }

    /// The body, where it must be a generated answer that came at once.
    pub(super) fn completion(&self) -> Result<&Value, Unjudged> {
        let body = self.success()?;
        if self.expected.endpoint.generates() {
            return Ok(body);
        }
        Err(Unjudged::because("the answer is not a generated one"))
    }

    /// The stream, where the answer must be one.
    pub(super) fn events(&self) -> Result<&Events, Unjudged> {
        match &self.body {
            Body::Stream(events) => Ok(events),
            Body::Json(_) => Err(Unjudged::because("the answer is not a stream")),
            Body::Unread(why) => Err(why.clone()),
        }
    }

    /// When the tokens of a stream came; none where the answer is no stream.
    pub(crate) fn latencies(&self) -> Latencies {
        match &self.body {
            Body::Stream(events) => events.latencies(),
            Body::Json(_) | Body::Unread(_) => Latencies::default(),
        }
    }

    /// Whether what came is to be judged as a stream.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.body, Body::Stream(_))
    }

    /// The JSON objects in which the answer of a model came: the body, or each chunk of a stream that came to its end.
    pub(super) fn objects(&self) -> Result<Vec<&Value>, Unjudged> {
        if self.is_stream() {
            return self.events()?.ended();
        }
        let body = match self.expected.endpoint {
            Endpoint::Embeddings => self.success(),
            _ => self.completion(),
        };
        body.map(|body| vec![body])
    }

    /// The choices, where each is well formed; those of a stream put together, in the order of their first piece.
    pub(super) fn choices(&self) -> Result<&[Choice], Unjudged> {
        let choices = self.choices.get_or_init(|| self.read_choices());
        choices.as_deref().map_err(Clone::clone)
    }

    fn read_choices(&self) -> Result<Vec<Choice>, Unjudged> {
        if self.is_stream() {
            return Ok(choices::joined(&self.events()?.ended()?, self.expected.endpoint));
        }
        let (choices, faults) = choices::read(self.completion()?, self.expected.endpoint);
        if faults.is_empty() {
            return Ok(choices);
        }
        Err(Unjudged::because("the choices are malformed"))
    }

    /// The token counts as they came; `None` where there are none. Of a stream those that came last count.
    pub(super) fn usage(&self) -> Result<Option<&Value>, Unjudged> {
        let objects = self.objects()?;
        let usage = |object: &&'_ Value| object.get("usage").is_some_and(|usage| !usage.is_null());
        Ok(objects.into_iter().rfind(usage).and_then(|object| object.get("usage")))
    }

    /// The token counts, where they are there and add up.
    pub(super) fn counts(&self) -> Result<Counts, Unjudged> {
        let usage = self
            .usage()?
            .ok_or_else(|| Unjudged::because("the answer counts no tokens"))?;
        Counts::of(usage, self.expected.endpoint).map_err(|_| Unjudged::because("the token counts are wrong"))
    }
}
