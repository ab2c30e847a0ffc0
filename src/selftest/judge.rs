//! What a run came to, against what it must.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Expected, results::word};
use crate::verdict::Outcome;

/// What of a run's report is not as it must be, each in a sentence; empty where all is.
pub(super) fn misses(expected: &Expected, report: &Value) -> Vec<String> {
    if expected.or_passes && report["outcome"] == word(&Outcome::Passed) {
        return left_behind(report).into_iter().collect();
    }
    let root = &report["root_cause"];
    let mut misses = Vec::new();
    let mut compare = |what: &str, wanted: String, got: &Value| {
        let got = got.as_str().unwrap_or("none");
        if wanted != got {
            misses.push(format!("{what} is {got} and not {wanted}"));
        }
    };
    let wanted = |wanted: Option<String>| wanted.unwrap_or_else(|| "none".to_owned());
    compare("the outcome", word(&expected.outcome), &report["outcome"]);
    compare(
        "the root cause",
        wanted(expected.cause.as_ref().map(word)),
        &root["code"],
    );
    compare("the blame", wanted(expected.blame.as_ref().map(word)), &root["blame"]);
    let shown = shown(report);
    let unnamed = expected.names.iter().filter(|name| !shown.contains(*name));
    misses.extend(unnamed.map(|name| format!("nothing that shows the root cause names `{name}`")));
    misses.extend(left_behind(report));
    misses
}

/// What a run says that it left behind.
fn left_behind(report: &Value) -> Option<String> {
    let left = report["left_behind"].as_array().filter(|left| !left.is_empty())?;
    Some(format!("left behind: {}", Value::from(left.clone())))
}

/// What a run came to, in a few words.
pub(super) fn got(report: &Value) -> String {
    let root = &report["root_cause"];
    let mut got = report["outcome"].as_str().unwrap_or("no report").to_owned();
    if let Some(code) = root["code"].as_str() {
        let _ = write!(got, " {code} ({})", root["blame"].as_str().unwrap_or("nobody"));
    }
    if let Some(what) = root["what"].as_str() {
        let _ = write!(got, ": {what}");
    }
    got
}

/// All that shows the root cause: its sentence, its place, and the evidence of the check that it stands with.
fn shown(report: &Value) -> String {
    let root = &report["root_cause"];
    let decisions = report["decisions"].as_array().map_or(&[][..], Vec::as_slice);
    let its = decisions.iter().find(|decision| decision["check"] == root["check"]);
    format!("{} {} {}", root["what"], root["from"], its.unwrap_or(&Value::Null))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::{
        selftest::Grace,
        verdict::{Blame, CauseCode},
    };

    fn red() -> Value {
        json!({
            "outcome": "failed",
            "root_cause": {"check": "pool", "code": "pool-selects-no-pod", "blame": "Manifest", "what": "No pod: quickstart", "from": null},
            "decisions": [
                {"check": "other", "sentence": "elsewhere"},
                {"check": "pool", "finding": {"cause": {"evidence": ["it selects app=nothing"]}}},
            ],
            "left_behind": [],
        })
    }

    fn expected() -> Expected {
        Expected {
            outcome: Outcome::Failed,
            cause: Some(CauseCode::PoolSelectsNoPod),
            blame: Some(Blame::Manifest),
            names: vec!["quickstart".into(), "app=nothing".into()],
            or_passes: false,
            grace: Grace::None,
        }
    }

    #[test]
    fn what_is_as_it_must_be_is_no_miss() {
        assert_eq!(misses(&expected(), &red()), [""; 0]);
        assert_eq!(got(&red()), "failed pool-selects-no-pod (Manifest): No pod: quickstart");
    }

    #[test]
    fn what_may_be_waited_out_may_pass_and_leaves_nothing_all_the_same() {
        let expected = Expected {
            outcome: Outcome::Errored,
            or_passes: true,
            ..expected()
        };
        let passed = |left: &[&str]| json!({"outcome": "passed", "root_cause": null, "left_behind": left});
        assert_eq!(misses(&expected, &passed(&[])), [""; 0]);
        assert_eq!(misses(&expected, &passed(&["Pod a"])), ["left behind: [\"Pod a\"]"]);
        assert_eq!(
            misses(&expected, &red())[0],
            "the outcome is failed and not errored",
            "a release that is blamed is a miss"
        );
    }

    #[rstest]
    #[case::the_unmutated_base(json!({"outcome": "passed", "root_cause": null}), "the outcome is passed and not failed")]
    #[case::no_report(Value::Null, "the outcome is none and not failed")]
    #[case::another_cause(
        json!({"outcome": "failed", "root_cause": {"code": "pod-crash", "blame": "Image", "what": "quickstart app=nothing"}}),
        "the root cause is pod-crash and not pool-selects-no-pod"
    )]
    fn another_end_is_a_miss(#[case] report: Value, #[case] said: &str) {
        let misses = misses(&expected(), &report);
        assert!(misses.iter().any(|miss| miss == said), "{misses:?}");
    }

    #[test]
    fn each_part_of_the_expectation_can_be_missed() {
        let wrong: [fn(&mut Expected); 4] = [
            |it| it.outcome = Outcome::Errored,
            |it| it.cause = Some(CauseCode::PodCrash),
            |it| it.blame = Some(Blame::Guide),
            // It stands in another decision.
            |it| it.names.push("elsewhere".into()),
        ];
        for change in wrong {
            let mut other = expected();
            change(&mut other);
            assert_eq!(misses(&other, &red()).len(), 1, "{other:?}");
        }
        let mut left = red();
        left["left_behind"] = json!(["Namespace a"]);
        assert_eq!(misses(&expected(), &left).len(), 1);
    }

    #[test]
    fn a_pass_has_no_root_cause() {
        let passes = Expected {
            or_passes: false,
            outcome: Outcome::Passed,
            cause: None,
            blame: None,
            names: Vec::new(),
            grace: Grace::None,
        };
        assert_eq!(
            misses(&passes, &json!({"outcome": "passed", "root_cause": null})),
            [""; 0]
        );
        assert!(!misses(&passes, &red()).is_empty());
    }
}
