//! What a scenario expects of an answer beyond the wire, and an answer as expressions see it.

use serde_json::{Value, json};

use crate::{
    check::diagnosis::{self, Answerer},
    probe::Answer,
    scenario::{AnsweredBy, Expression, Variables, expression::Scope},
    verdict::{Cause, CauseCode, Finding},
};

/// A finding: broken, with its cause.
pub(super) fn broken(expected: impl Into<String>, actual: impl Into<String>, cause: Cause) -> Finding {
    Finding::Broken {
        expected: expected.into(),
        actual: actual.into(),
        cause,
    }
}

/// Words in a row: `a or b`.
pub(super) fn or<T: ToString>(words: impl Iterator<Item = T>) -> String {
    words.map(|word| word.to_string()).collect::<Vec<_>>().join(" or ")
}

/// Why nothing further is judged of an answer that another check has found wrong.
pub(super) fn not_admitted(answer: &Answer) -> Finding {
    let why = match answer.status() {
        None => "no whole answer came".to_owned(),
        Some(status) => format!("the status is {status}, answered by {}", who(answer)),
    };
    Finding::Skipped { why }
}

/// Whether the status is one of those wanted.
pub(super) fn status(wanted: &[u16], answer: &Answer) -> Finding {
    match answer.status() {
        None => not_admitted(answer),
        Some(status) if wanted.contains(&status) => Finding::Holds,
        Some(_) => broken(
            format!("status {}", or(wanted.iter())),
            format!("{}, answered by {}", answer.brief(), who(answer)),
            Cause::new(CauseCode::ExpectationNotMet),
        ),
    }
}

/// The component that answered, in words.
pub(super) fn who(answer: &Answer) -> &'static str {
    answerer(answer).map_or("nobody", AnsweredBy::words)
}

fn answerer(answer: &Answer) -> Option<AnsweredBy> {
    match diagnosis::answerer(answer) {
        Answerer::ModelServer | Answerer::ModelServerAround => Some(AnsweredBy::ModelServer),
        Answerer::EndpointPicker => Some(AnsweredBy::EndpointPicker),
        Answerer::Gateway => Some(AnsweredBy::Gateway),
        Answerer::Nobody => None,
    }
}

/// Whether one of the components wanted answered.
pub(super) fn answered_by(wanted: &[AnsweredBy], answer: &Answer) -> Finding {
    let by = answerer(answer);
    if by.is_some_and(|by| wanted.contains(&by)) {
        return Finding::Holds;
    }
    let code = match by {
        Some(AnsweredBy::Gateway) => CauseCode::GatewayAnsweredError,
        _ => CauseCode::ExpectationNotMet,
    };
    broken(
        format!("{} answers", or(wanted.iter().map(|by| by.words()))),
        format!("{} answered: {}", who(answer), answer.brief()),
        Cause::new(code),
    )
}

/// Whether an expression holds; what it asks for and was not seen counts as broken.
pub(super) fn holds(expression: &Expression, scope: &Scope) -> Finding {
    let expected = format!("`{}`", expression.text());
    match expression.value(scope) {
        Ok(Value::Bool(true)) => Finding::Holds,
        Ok(Value::Bool(false)) => broken(expected, "it is false", Cause::new(CauseCode::ExpectationNotMet)),
        Ok(other) => Finding::Undecided {
            why: format!(
                "the scenario's {expected} is neither true nor false but {}",
                short(&other.to_string())
            ),
        },
        Err(why) => broken(expected, short(&why), Cause::new(CauseCode::ExpectationNotMet)),
    }
}

/// As much of a text as a sentence bears.
pub(super) fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

/// What expressions are evaluated over.
pub(super) fn scope(variables: &Variables, answer: Option<&Value>, answers: &[Value]) -> Scope {
    let mut scope = Scope::default().with("answers", &Value::Array(answers.to_vec()));
    for (name, value) in variables {
        scope = scope.with(name, value);
    }
    match answer {
        Some(answer) => scope.with("answer", answer),
        None => scope,
    }
}

/// An answer as expressions see it.
pub(super) fn seen(answer: &Answer, number: usize) -> Value {
    let headers: serde_json::Map<String, Value> = answer
        .outcome
        .iter()
        .flat_map(|received| received.headers.iter().rev())
        .map(|(name, value)| (name.clone(), Value::String(value.clone())))
        .collect();
    json!({
        "answered_by": answerer(answer).map_or("nobody", |by| match by {
            AnsweredBy::ModelServer => "model-server",
            AnsweredBy::EndpointPicker => "endpoint-picker",
            AnsweredBy::Gateway => "gateway",
        }),
        "headers": headers,
        "json": answer.json().unwrap_or_default(),
        "model": answer.request.model(),
        "number": number,
        "passed_endpoint_picker": answer.passed_endpoint_picker(),
        "served_by": answer.serving_pod().unwrap_or_default(),
        "status": answer.status().unwrap_or_default(),
        "text": answer.text(),
        "took_ms": u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
    })
}
