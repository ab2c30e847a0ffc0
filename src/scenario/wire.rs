//! The one door to the checks of the wire.

use super::{Expect, Ground, Wanted};
use crate::{
    check::wire::{self, Endpoint, Expected, Seen, StatusWanted},
    probe::{Answer, Outgoing, latency::Latencies},
    verdict::Finding,
};

pub(super) use crate::check::wire::oddities;

/// The names of all checks of the wire, in the order in which they are shown.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    wire::WIRE_CHECKS.iter().map(|check| check.name())
}

/// What is true when a check holds; empty for a name that no check of the wire has.
pub(super) fn sentence(name: &str) -> &'static str {
    wire::named(name).map_or("", |check| check.sentence())
}

/// The checks that must decide something about the answers to a request, whatever comes: without one of them nothing was
/// proven. The others say something where they have ground to stand on.
///
/// Where a scenario asks for neither a success nor an error, only that an answer came, and came to its end.
pub(super) fn keys(expect: &Expect, request: &Outgoing) -> Vec<&'static str> {
    let expected = expected(expect, request);
    let mut keys = vec![CAME, "answer-ended"];
    if expect.answer.is_none() {
        return keys;
    }
    keys.extend([STATUS, "content-type"]);
    keys.extend(match (&expected.status, expected.endpoint) {
        (StatusWanted::Error(_), _) => &["error-body"][..],
        (StatusWanted::Success, Endpoint::Chat | Endpoint::Completions) if expected.stream => &[
            "stream-framing",
            "stream-chunks",
            "stream-done",
            "answer-model",
            "answer-text",
        ],
        (StatusWanted::Success, Endpoint::Chat | Endpoint::Completions) => &[
            "json",
            "answer-envelope",
            "answer-model",
            "answer-choices",
            "answer-text",
            "answer-usage",
        ],
        (StatusWanted::Success, Endpoint::Models) => &["json", "models-list", "models-name"],
        (StatusWanted::Success, Endpoint::Embeddings) => &["json", "embeddings"],
        (StatusWanted::Success, Endpoint::Other) => &[],
    });
    keys
}

/// What the answers to a step's requests must be, told once for each request that differs from the one before it.
#[derive(Debug, Default)]
pub(super) struct Judging {
    /// The last request, and what its answer must be.
    last: Option<(Outgoing, Expected)>,
}

impl Judging {
    /// What the checks of the wire say of an answer, each with its name, and when the tokens of a stream came.
    ///
    /// A list of models must name the model that is asked for; every choice must say `says`, where that is known.
    pub(super) fn judge(
        &mut self,
        expect: &Expect,
        ground: &Ground,
        says: Option<String>,
        answer: &Answer,
    ) -> (Vec<(&'static str, Finding)>, Latencies) {
        let known = self.last.take().filter(|(request, _)| *request == answer.request);
        let (request, mut expected) = known.unwrap_or_else(|| {
            let mut expected = expected(expect, &answer.request);
            if expected.endpoint == Endpoint::Models {
                expected.model = Some(ground.model.clone());
            }
            expected.error_form = ground.error_form;
            (answer.request.clone(), expected)
        });
        expected.echo = says;
        let asked = |name: &str| expect.answer.is_some() || matches!(name, CAME | "answer-ended");
        let seen = Seen::of(&expected, answer);
        let findings = wire::judge(&seen)
            .into_iter()
            .map(|(check, finding)| (check.name(), finding))
            .filter(|(name, _)| asked(name))
            .collect();
        let latencies = seen.latencies();
        self.last = Some((request, expected));
        (findings, latencies)
    }
}

/// The check that anything came back.
pub(super) const CAME: &str = "answer-came";
/// The check of the status.
pub(super) const STATUS: &str = "answer-status";

/// What an answer must be, by the request and by what the scenario expects.
fn expected(expect: &Expect, request: &Outgoing) -> Expected {
    let expected = Expected::of(request);
    match expect.answer {
        Some(Wanted::Error) => expected.answered_with(StatusWanted::Error(expect.status.clone())),
        Some(Wanted::Success) | None => expected,
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
        let keys = keys(&expect, &request);
        assert!(keys.contains(&key), "{keys:?}");
        for key in keys {
            assert!(names().any(|name| name == key), "`{key}` is no check of the wire");
            assert_ne!(sentence(key), "");
        }
    }
}
