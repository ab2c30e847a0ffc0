//! Answers are what the OpenAI API promises for the guide's request: every wire check that applies holds.

use super::{
    Check, JudgeFn, Observation, echo, guide_answer_where_wrong, rewrite,
    wire::{self, Expected, ParsedAnswer, Violation, Way},
};
use crate::{
    probe::Answer,
    release::Servers,
    verdict::{Cause, CauseCode, Finding},
};

/// What is wrong with an answer that must be a good one for its request: every wire check, with the names that rewrites
/// of the plan may give the model.
pub(crate) fn faults(answer: &Answer, seen: &Observation) -> Vec<Violation> {
    if seen.servers == Servers::Echo {
        return echo::faults(answer);
    }
    wire::faults(&expected(answer, seen), answer)
}

/// What is odd about such an answer, and no fault.
pub(crate) fn oddities(answer: &Answer, seen: &Observation) -> Vec<String> {
    wire::oddities(&ParsedAnswer::of(&expected(answer, seen), answer))
}

/// What an answer must be that came through the gateway of the plan.
fn expected(answer: &Answer, seen: &Observation) -> Expected {
    let mut expected = Expected::of(&answer.request);
    expected.way = Way::ThroughGateway;
    if let Some(asked) = &expected.model {
        expected.served_as = rewrite::names(&seen.rewrites, asked).map(str::to_owned).collect();
        expected.also_named = seen.served.others(asked);
    }
    expected
}

/// The faults in one line, each with the check that tells it.
fn told(faults: &[Violation]) -> String {
    let line = |fault: &Violation| format!("{} ({})", fault.what, fault.check);
    faults.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// The guide's answer.
pub(super) const GUIDE_ANSWER_IS_A_COMPLETION: Check = Check {
    name: "request-completion",
    sentence: |seen| {
        if seen.servers == Servers::Echo {
            return "the answer is the echo of the request".to_owned();
        }
        let model = seen.guide_answer.as_ref().and_then(|answer| answer.request.model());
        format!(
            "the answer is a completion of {} with choices and usage",
            model.unwrap_or_else(|| "the model asked for".into())
        )
    },
    judge: JudgeFn::Answer(|answer, seen| {
        if answer.status() != Some(200) {
            return Finding::Skipped {
                why: "the request failed; its body is an error".into(),
            };
        }
        let faults = faults(answer, seen);
        // Checks stand on the ground of those before them: the first that is broken says why the others would be.
        let Some(first) = faults.first() else {
            return Finding::Holds;
        };
        let cause = faults
            .iter()
            .fold(Cause::new(first.cause), |cause, fault| cause.because(&fault.what));
        Finding::broken(
            match seen.servers {
                Servers::Models => "an answer as the OpenAI API promises it for this request",
                Servers::Echo => "an echo of this request",
            },
            told(&faults),
            cause,
        )
    }),
    shown_by: guide_answer_where_wrong,
};

/// The answers of the proof.
pub(super) const PROOF_ANSWERS_ARE_COMPLETIONS: Check = Check {
    name: "proof-answers",
    sentence: |seen| {
        if seen.proof.answers.is_empty() {
            return "further requests are answered with completions, through the endpoint picker".into();
        }
        let with = match seen.servers {
            Servers::Models => "a completion",
            Servers::Echo => "their echo",
        };
        format!(
            "{} of {} requests are answered with {with}, through the endpoint picker",
            seen.proof
                .answers
                .iter()
                .filter(|answer| fault(answer, seen).is_none())
                .count(),
            seen.proof.answers.len()
        )
    },
    judge: JudgeFn::Proof(|seen| {
        match seen
            .proof
            .answers
            .iter()
            .find_map(|answer| Some((answer, fault(answer, seen)?)))
        {
            None => Finding::Holds,
            Some((answer, (code, what))) => Finding::broken(
                format!("{} good answers through the endpoint picker", seen.proof.answers.len()),
                what,
                match code {
                    Some(code) => Cause::new(code).because(answer.brief()),
                    None => super::diagnosis::diagnose(answer, seen),
                },
            ),
        }
    }),
    shown_by: |seen, _| {
        let faulty = seen.proof.answers.iter().find(|answer| fault(answer, seen).is_some());
        faulty.or(seen.proof.answers.first())
    },
};

/// What is wrong with one answer of the proof; without a code the answer's own diagnosis says it.
fn fault(answer: &Answer, seen: &Observation) -> Option<(Option<CauseCode>, String)> {
    if answer.status() != Some(200) {
        return Some((None, answer.brief()));
    }
    if !answer.passed_endpoint_picker() {
        return Some((
            Some(CauseCode::EndpointPickerBypassed),
            "a 200 without x-went-into-resp-headers".into(),
        ));
    }
    let faults = faults(answer, seen);
    faults.first().map(|first| (Some(first.cause), told(&faults)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{
        super::{Proof, diagnosis::tests::answer},
        *,
    };

    const GOOD: &str = r#"{"id":"cmpl-1","created":1750000000,"object":"text_completion","model":"m",
        "choices":[{"index":0,"text":"x","finish_reason":"stop"}],
        "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;

    #[rstest]
    #[case::good(GOOD.into(), None)]
    #[case::odd_finish_reason(GOOD.replace("stop", "cache_threshold"), None)]
    #[case::other_model(GOOD.replace("\"m\"", "\"n\""), Some("`model`"))]
    #[case::other_object(GOOD.replace("text_completion", "error"), Some("`object`"))]
    #[case::no_choices(GOOD.replace("{\"index\":0,\"text\":\"x\",\"finish_reason\":\"stop\"}", ""), Some("0 choices"))]
    #[case::no_text(GOOD.replace("\"text\"", "\"tekst\""), Some("no text"))]
    #[case::wrong_index(GOOD.replace("\"index\":0", "\"index\":1"), Some("index"))]
    #[case::wrong_sum(GOOD.replace("\"total_tokens\":3", "\"total_tokens\":4"), Some("add up"))]
    #[case::no_usage(GOOD.replace("\"usage\"", "\"used\""), Some("`usage`"))]
    #[case::trailing(format!("{GOOD} x"), Some("not JSON"))]
    #[case::error_event(r#"{"error":{"message":"x"}}"#.into(), Some("`object`"))]
    fn answers_are_read(#[case] body: String, #[case] fault: Option<&str>) {
        let faults = faults(&answer(200, true, &body), &Observation::default());
        match fault {
            None => assert_eq!(faults, []),
            Some(fault) => assert!(faults.iter().any(|found| found.what.contains(fault)), "{faults:?}"),
        }
    }

    #[test]
    fn the_target_of_a_rewrite_may_answer() {
        let guide_answer = Some(answer(200, true, &GOOD.replace("\"m\"", "\"m-1\"")));
        let rewrites = vec![serde_json::json!({"spec": {"modelName": "m", "targetModels": [{"name": "m-1"}]}})];
        let seen = Observation {
            guide_answer,
            rewrites,
            ..Observation::default()
        };
        assert_eq!(GUIDE_ANSWER_IS_A_COMPLETION.judge(&seen), Finding::Holds);
    }

    #[test]
    fn the_cause_is_that_of_the_first_wire_check_that_is_broken() {
        let guide_answer = Some(answer(200, true, &GOOD.replace("\"m\"", "\"n\"")));
        let seen = Observation {
            guide_answer,
            ..Observation::default()
        };
        let finding = GUIDE_ANSWER_IS_A_COMPLETION.judge(&seen);
        assert!(matches!(finding, Finding::Broken(fault) if fault.cause.code == CauseCode::AnswerWrongModel));
    }

    #[test]
    fn one_answer_around_the_endpoint_picker_breaks_the_proof() {
        let seen = Observation {
            proof: Proof {
                answers: vec![answer(200, true, GOOD), answer(200, false, GOOD)],
                ..Proof::default()
            },
            ..Observation::default()
        };
        let finding = PROOF_ANSWERS_ARE_COMPLETIONS.judge(&seen);
        assert!(matches!(finding, Finding::Broken(fault) if fault.cause.code == CauseCode::EndpointPickerBypassed));
    }

    #[test]
    fn the_proof_is_shown_by_the_first_answer_at_fault_or_else_by_the_first() {
        let mut seen = Observation {
            proof: Proof {
                answers: vec![
                    answer(200, true, GOOD),
                    answer(200, true, &GOOD.replace("stop", "length")),
                ],
                ..Proof::default()
            },
            ..Observation::default()
        };
        let shown = |seen: &Observation| {
            let finding = PROOF_ANSWERS_ARE_COMPLETIONS.judge(seen);
            PROOF_ANSWERS_ARE_COMPLETIONS.shown_by(seen, &finding).map(Answer::text)
        };
        assert_eq!(shown(&seen).as_deref(), Some(GOOD));
        seen.proof.answers.push(answer(503, false, "oh"));
        assert_eq!(shown(&seen).as_deref(), Some("oh"));
        assert_eq!(shown(&Observation::default()), None);
    }
}
