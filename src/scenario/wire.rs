//! The one door to the checks of the wire.

use super::{Expect, Target, Wanted};
use crate::{
    check::wire::{self, AnswerKind, Endpoint, Expected, ParsedAnswer, StatusWanted, WIRE_CHECKS, Way, WireCheck},
    probe::{Answer, Outgoing, latency::Latencies},
    verdict::Finding,
};

/// The kind of answer of which checks must decide something, whatever comes. Where a scenario does not ask for the one or the
/// other of a success and an error, only that an answer came, and came to its end.
fn kind(expect: &Expect, expected: &Expected) -> AnswerKind {
    match expect.answer {
        Some(Wanted::Success | Wanted::Error) => expected.kind(),
        Some(Wanted::SuccessOrRefusal) | None => AnswerKind::Any,
    }
}

/// Statuses of a server that cannot do what it is asked: the request is wrong to it, or it has not learnt that. Sources: RFC
/// 9110, sections 15.5.1, 15.5.21 and 15.6.2; vLLM answers 400.
const REFUSALS: &[u16] = &[400, 422, 501];

/// Whether an answer is a refusal where one will do.
fn is_refusal(expect: &Expect, answer: &Answer) -> bool {
    let refuses = |status| REFUSALS.contains(&status);
    expect.answer == Some(Wanted::SuccessOrRefusal) && answer.status().is_some_and(refuses)
}

/// The checks that must decide something about the answers to a request.
pub(super) fn keys(expect: &Expect, request: &Outgoing) -> impl Iterator<Item = &'static WireCheck> {
    let kind = kind(expect, &expected(expect, request));
    WIRE_CHECKS.iter().filter(move |check| check.must_decide(kind))
}

/// What the checks of the wire say of an answer.
#[derive(Debug)]
pub(super) struct OfTheWire {
    pub(super) findings: Vec<(&'static WireCheck, Finding)>,
    /// Whether it is a refusal where one will do.
    pub(super) is_refused: bool,
    /// What is odd about it, and no fault.
    pub(super) odd: Vec<String>,
    /// When the tokens of a stream came.
    pub(super) latencies: Latencies,
}

/// What the answers to a step's requests must be, told once for each request that differs from the one before it.
#[derive(Debug, Default)]
pub(super) struct Judging {
    /// The last request, and what its answer must be.
    last: Option<(Outgoing, Expected)>,
}

impl Judging {
    /// What the checks of the wire say of an answer.
    ///
    /// A list of models must name the model that is asked for; every choice must say `says`, where that is known.
    pub(super) fn judge(
        &mut self,
        expect: &Expect,
        target: &Target,
        says: Option<String>,
        answer: &Answer,
    ) -> OfTheWire {
        let known = self.last.take().filter(|(request, _)| *request == answer.request);
        let (request, mut expected) = known.unwrap_or_else(|| {
            let mut expected = expected(expect, &answer.request);
            if expected.endpoint == Endpoint::Models {
                expected.model = Some(target.model.clone());
            }
            expected.error_form = target.error_form;
            if target.provider.is_some() {
                expected.way = Way::ThroughGateway;
            }
            if let Some(asked) = &expected.model {
                expected.served_as = target.rewritten.get(asked).cloned().unwrap_or_default();
                expected.also_named = target.served.others(asked);
            }
            (answer.request.clone(), expected)
        });
        expected.echo = says;
        let is_refused = is_refusal(expect, answer);
        if expect.answer == Some(Wanted::SuccessOrRefusal) {
            let refusal = is_refused.then(|| StatusWanted::Error(REFUSALS.to_vec()));
            expected.status = refusal.unwrap_or(StatusWanted::Success);
        }
        let seen = ParsedAnswer::of(&expected, answer);
        let mut findings = wire::judge(&seen);
        if expect.answer.is_none() {
            // Of an answer that did not come to its end another check may have to say why.
            let says_why = |finding: &Finding| answer.outcome.is_err() && finding.is_wrong();
            findings.retain(|(check, finding)| check.must_decide(AnswerKind::Any) || says_why(finding));
        }
        let (mut odd, latencies) = (wire::oddities(&seen), seen.latencies());
        odd.extend(is_refused.then(|| format!("it is refused: {}", answer.brief())));
        self.last = Some((request, expected));
        OfTheWire {
            findings,
            is_refused,
            odd,
            latencies,
        }
    }
}

/// What an answer must be, by the request and by what the scenario expects.
fn expected(expect: &Expect, request: &Outgoing) -> Expected {
    let expected = Expected::of(request);
    match expect.answer {
        Some(Wanted::Error) => expected.answered_with(StatusWanted::Error(expect.status.clone())),
        Some(Wanted::Success | Wanted::SuccessOrRefusal) | None => expected,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::completion(Some(Wanted::Success), "/v1/completions", "{}", "answer-usage")]
    #[case::stream(Some(Wanted::Success), "/v1/chat/completions", r#"{"stream": true}"#, "stream-done")]
    #[case::models(Some(Wanted::Success), "/v1/models", "{}", "models-list")]
    #[case::embeddings(Some(Wanted::Success), "/v1/embeddings", "{}", "embeddings")]
    #[case::error(Some(Wanted::Error), "/v1/completions", "{}", "error-body")]
    #[case::success_or_not(Some(Wanted::SuccessOrRefusal), "/v1/completions", "{}", "answer-ended")]
    #[case::anything(None, "/v1/completions", "{}", "answer-ended")]
    #[case::elsewhere(Some(Wanted::Success), "/metrics", "{}", "answer-status")]
    fn each_kind_of_answer_has_checks_that_must_decide(
        #[case] answer: Option<Wanted>,
        #[case] path: &str,
        #[case] body: &str,
        #[case] key: &str,
    ) {
        let request = Outgoing {
            method: "POST".into(),
            url: format!("http://h{path}"),
            headers: Vec::new(),
            body: Some(body.into()),
        };
        let expect = Expect {
            answer,
            status: vec![404],
            ..Expect::default()
        };
        let keys: Vec<&str> = keys(&expect, &request).map(|check| check.name).collect();
        assert!(keys.contains(&key), "{keys:?}");
    }
}
