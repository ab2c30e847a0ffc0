//! What a scenario expects of an answer beyond the wire, and an answer as expressions see it.

use serde_json::{Value, json};

use crate::{
    check::{
        diagnosis::{self, Answerer},
        wire::ErrorForm,
    },
    probe::{Answer, latency::Latencies, openai::carries_text},
    record::milliseconds,
    redact::cut,
    scenario::{
        AnsweredBy, Expression, Variables,
        expression::{EVALUATES_WITHIN, NoValue, Scope},
    },
    verdict::{Cause, CauseCode, Finding},
};

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
        Some(_) => Finding::broken(
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

/// Whether an answer passed through the endpoint picker, by the mark that it puts on answers.
pub(super) fn through_endpoint_picker(answer: &Answer) -> Finding {
    if answer.passed_endpoint_picker() {
        return Finding::Holds;
    }
    let cause = Cause::new(CauseCode::EndpointPickerBypassed).because(answer.brief());
    Finding::broken("header x-went-into-resp-headers: true", "the header is absent", cause)
}

/// Whether an answer came without passing through the endpoint picker.
pub(super) fn around_endpoint_picker(answer: &Answer) -> Finding {
    if !answer.passed_endpoint_picker() {
        return Finding::Holds;
    }
    let cause = Cause::new(CauseCode::ExpectationNotMet).because(answer.brief());
    Finding::broken("no header x-went-into-resp-headers", "the header is there", cause)
}

/// Whether one of the components wanted answered. Where endpoint pickers leave the bodies of their errors empty, such an
/// error may be the gateway's as well, and nothing tells.
pub(super) fn answered_by(wanted: &[AnsweredBy], form: ErrorForm, answer: &Answer) -> Finding {
    let by = answerer(answer);
    let is_empty = answer.outcome.as_ref().is_ok_and(|received| received.body_bytes == 0);
    if is_empty
        && form == ErrorForm::JsonPickerOrEmpty
        && by == Some(AnsweredBy::Gateway)
        && wanted.contains(&AnsweredBy::EndpointPicker)
    {
        return Finding::Skipped {
            why: "the endpoint picker of this release leaves the bodies of its errors empty, as a gateway may do too: who \
                  answered cannot be told"
                .to_owned(),
        };
    }
    if by.is_some_and(|by| wanted.contains(&by)) {
        return Finding::Holds;
    }
    let code = match by {
        Some(AnsweredBy::Gateway) => CauseCode::GatewayAnsweredError,
        _ => CauseCode::ExpectationNotMet,
    };
    Finding::broken(
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
        Ok(Value::Bool(false)) => Finding::broken(expected, "it is false", Cause::new(CauseCode::ExpectationNotMet)),
        Ok(other) => Finding::Undecided {
            why: format!(
                "the scenario's {expected} is neither true nor false but {}",
                short(&other.to_string())
            ),
        },
        Err(NoValue::OutOfTime(_)) => given_up(expression),
        Err(why) => Finding::broken(
            expected,
            short(&why.to_string()),
            Cause::new(CauseCode::ExpectationNotMet),
        ),
    }
}

/// A finding with what the expression was evaluated over, where it is broken: the captured variables that it asks for, and of
/// streams when they came.
pub(super) fn with_values(
    finding: Finding,
    expression: &Expression,
    variables: &Variables,
    answers: &[Value],
) -> Finding {
    let Finding::Broken(mut fault) = finding else {
        return finding;
    };
    let captured = variables.iter().filter(|(name, _)| expression.uses(name));
    let values = captured.map(|(name, value)| format!("`{name}` is {}", short(&value.to_string())));
    let streams = answers
        .iter()
        .filter(|answer| answer["time_to_first_token_ms"].is_u64());
    let times = streams.map(|answer| {
        let (first, last) = (&answer["time_to_first_token_ms"], &answer["took_ms"]);
        format!("a stream has its first token after {first} ms and its end after {last} ms")
    });
    for value in values.chain(times).take(MOST_VALUES) {
        fault.actual = format!("{}; {value}", fault.actual);
    }
    Finding::Broken(fault)
}

/// The most values that are told of an expression that is false.
const MOST_VALUES: usize = 6;

/// What is said of an expression that takes too long: neither that it holds nor that it does not.
pub(super) fn given_up(expression: &Expression) -> Finding {
    Finding::Undecided {
        why: format!(
            "the scenario's `{}` took longer than {EVALUATES_WITHIN:?} and was given up; let it loop over less",
            expression.text()
        ),
    }
}

/// As much of a text as a sentence bears.
pub(super) fn short(text: &str) -> String {
    cut(text, 200)
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
    let latencies = Latencies::of(answer, carries_text);
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
        "inter_token_ms": latencies.inter_token.into_iter().map(milliseconds).collect::<Vec<_>>(),
        "json": answer.json().unwrap_or_default(),
        "model": answer.request.model(),
        "number": number,
        "passed_endpoint_picker": answer.passed_endpoint_picker(),
        "served_by": answer.serving_pod().unwrap_or_default(),
        "status": answer.status().unwrap_or_default(),
        "text": answer.text(),
        "time_to_first_token_ms": latencies.time_to_first_token.map(milliseconds),
        "took_ms": milliseconds(answer.took),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::{
        probe::{Chunk, Outgoing, Received, Times},
        scenario::{Library, Step, expression::ANSWER_FIELDS},
    };

    /// A stream of two tokens, that came 20 and 50 ms after the request.
    fn stream() -> Answer {
        let token = |text: &str| format!("data: {{\"choices\":[{{\"index\":0,\"text\":\"{text}\"}}]}}\n\n");
        let pieces = [(20, token("a")), (50, token("b")), (60, "data: [DONE]\n\n".to_owned())];
        let body: String = pieces.iter().map(|(_, piece)| piece.as_str()).collect();
        Answer {
            request: Outgoing {
                method: "POST".into(),
                url: "http://g/v1/completions".into(),
                headers: Vec::new(),
                body: Some(r#"{"model":"m","stream":true}"#.into()),
            },
            attempt: 1,
            resent: None,
            outcome: Ok(Received {
                status: 200,
                body_bytes: body.len(),
                body: body.into_bytes(),
                chunks: pieces
                    .map(|(at, piece)| Chunk {
                        at: Duration::from_millis(at),
                        bytes: piece.len(),
                    })
                    .into(),
                ..Received::default()
            }),
            partial: None,
            times: Times::default(),
            took: Duration::from_millis(61),
        }
    }

    #[rstest]
    #[case::first("answer.time_to_first_token_ms == 20")]
    #[case::between("answer.inter_token_ms == [30]")]
    #[case::each("answer.inter_token_ms.all(ms, ms < 100)")]
    #[case::whole("answer.took_ms == 61")]
    fn an_expression_knows_when_the_tokens_of_a_stream_came(#[case] text: &str) {
        let expression = Expression::compile(text, &["answer"]).unwrap();
        let scope = scope(&Variables::new(), Some(&seen(&stream(), 1)), &[]);
        assert_eq!(holds(&expression, &scope), Finding::Holds);
        let exchange = stream().exchange();
        assert_eq!(exchange.time_to_first_token_ms, Some(20));
        assert_eq!(
            exchange.inter_token_ms.map(|spread| (spread.count, spread.median)),
            Some((1, 30))
        );
    }

    #[test]
    fn an_answer_that_is_no_stream_has_no_first_token() {
        let mut answer = stream();
        answer.outcome.as_mut().unwrap().body = b"{\"choices\":[]}".to_vec();
        let seen = seen(&answer, 1);
        assert_eq!(seen["time_to_first_token_ms"], Value::Null);
        assert_eq!(seen["inter_token_ms"], json!([]));
        assert_eq!(answer.exchange().inter_token_ms, None);
    }

    /// The first token and the end of two streams, in milliseconds; the whole answer took 800 of them, its first token 20.
    #[rstest]
    #[case::as_it_is_made([(Some(20), 805), (Some(22), 810)], true)]
    #[case::all_at_the_end([(Some(798), 800), (Some(801), 801)], false)]
    #[case::one_of_them([(Some(798), 800), (Some(30), 801)], true)]
    #[case::out_of_a_cache([(Some(3), 4), (Some(3), 4)], true)]
    #[case::begun_late_and_told_piece_by_piece([(Some(600), 795), (Some(600), 795)], true)]
    #[case::without_a_token([(None, 800), (None, 800)], true)]
    fn a_stream_that_is_kept_back_is_told_by_its_times(
        #[case] streams: [(Option<u64>, u64); 2],
        #[case] is_good: bool,
    ) {
        let (pace, variables) = pace(&[20, 25], &[800]);
        let answers = streams.map(|(first, took)| json!({"time_to_first_token_ms": first, "took_ms": took}));
        let finding = holds(&pace, &scope(&variables, None, &answers));
        let finding = with_values(finding, &pace, &variables, &answers);
        match finding {
            Finding::Holds => assert!(is_good),
            Finding::Broken(fault) => {
                assert!(!is_good);
                for told in ["`whole_ms` is [800]", "after 798 ms and its end after 800 ms"] {
                    assert!(fault.actual.contains(told), "{fault:?}");
                }
            }
            other => panic!("{other:?}"),
        }
    }

    #[rstest]
    #[case::fast(&[20, 30], &[400])]
    #[case::a_first_answer_that_waited(&[20, 780], &[800])]
    fn what_cannot_be_told_of_a_stream_is_no_fault(#[case] first: &[u64], #[case] whole: &[u64]) {
        let (pace, variables) = pace(first, whole);
        let answers = [json!({"time_to_first_token_ms": 800, "took_ms": 800})];
        assert_eq!(holds(&pace, &scope(&variables, None, &answers)), Finding::Holds);
    }

    /// What the shipped scenario asks of streams, and the times that it took before, in milliseconds.
    fn pace(first: &[u64], whole: &[u64]) -> (Expression, Variables) {
        let shipped = Library::shipped().unwrap().scenarios;
        let scenario = shipped
            .into_iter()
            .find(|scenario| scenario.name == "stream-pace")
            .unwrap();
        let Some(Step::Request(step)) = scenario.steps.last() else {
            panic!("its last step is a request");
        };
        let variables = [("first_ms", first), ("whole_ms", whole)].map(|(name, ms)| (name.to_owned(), json!(ms)));
        (step.expect.cel[0].holds.clone(), variables.into())
    }

    #[test]
    fn an_expression_may_ask_for_every_field_of_an_answer_and_for_no_other() {
        let seen = seen(&stream(), 1);
        let fields: Vec<&str> = seen.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ANSWER_FIELDS);
    }
}
