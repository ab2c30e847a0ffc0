//! What the last words of a container tell: a log is text and nothing else, so it is its text that tells.

use crate::{redact::cut, verdict::CauseCode};

/// Words that a program says only where what it was given is at fault, and not the program; in small letters. Sources: Go's flag
/// package and cobra; Python's argparse; endpoint pickers v1.0.0 to v1.5.0.
const SAYINGS: &[(&str, CauseCode)] = &[
    ("unknown flag", CauseCode::PodArgumentUnknown),
    ("flag provided but not defined", CauseCode::PodArgumentUnknown),
    ("unrecognized arguments", CauseCode::PodArgumentUnknown),
    ("failed to load config", CauseCode::PodConfigurationRefused),
    ("failed to load the configuration", CauseCode::PodConfigurationRefused),
    ("failed to parse config", CauseCode::PodConfigurationRefused),
    ("failed to parse configuration", CauseCode::PodConfigurationRefused),
];

/// The cause that a line tells by itself; `None` where it tells none.
pub(super) fn told(line: &str) -> Option<CauseCode> {
    let line = line.to_lowercase();
    SAYINGS
        .iter()
        .find_map(|(words, code)| line.contains(words).then_some(*code))
}

/// The line of a log that says why it ended: one that tells a cause, else the last that speaks of an error, else the last.
pub(super) fn of(log: &str) -> Option<String> {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = |is_it: &dyn Fn(&str) -> bool| lines.iter().rev().find(|line| is_it(line));
    let speaks_of_an_error = |line: &str| {
        let line = line.to_lowercase();
        ["not defined", "error", "fatal", "panic"]
            .iter()
            .any(|word| line.contains(word))
    };
    // A kind without its CRD is what others are lost for.
    last(&|line| line.contains("no matches for kind"))
        .or_else(|| last(&|line| told(line).is_some() || breaks_down(line)))
        .or_else(|| last(&speaks_of_an_error))
        .or(lines.last())
        .map(|line| cut(line, 400))
}

/// Whether a line is how a program breaks down by itself: then what it said before of what it was given was borne.
fn breaks_down(line: &str) -> bool {
    line.starts_with("panic:") || line.starts_with("fatal error:") || line.starts_with("Traceback")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_telling_line_of_a_log_is_found_before_usage_text() {
        let log = "Usage of epp:\n  --v int\nError: unknown flag: --no-such-flag\nsee help\n";
        assert_eq!(of(log).as_deref(), Some("Error: unknown flag: --no-such-flag"));
        assert_eq!(of("a\nb\n").as_deref(), Some("b"));
        assert_eq!(of("error: one\nbye\n").as_deref(), Some("error: one"));
        assert_eq!(of("\n"), None);
    }

    #[test]
    fn what_tells_a_cause_goes_before_the_errors_that_follow_from_it() {
        let log = "Failed to parse configuration: plugin type 'x' is not registered\nerror: exiting\n";
        assert!(of(log).unwrap().contains("plugin type 'x'"));
    }

    #[test]
    fn a_program_that_broke_down_later_had_borne_what_it_was_given() {
        let log =
            "warn: failed to load config, using defaults\npanic: runtime error: index out of range\ngoroutine 1\n";
        assert!(of(log).unwrap().starts_with("panic:"));
    }

    #[rstest]
    #[case::cobra("Error: unknown flag: --x", Some(CauseCode::PodArgumentUnknown))]
    #[case::argparse("vllm: error: unrecognized arguments: --x", Some(CauseCode::PodArgumentUnknown))]
    #[case::a_file_that_is_not_there(
        r#"{"level":"error","msg":"Failed to parse configuration","error":"failed to load config from a file '/c/x.yaml'"}"#,
        Some(CauseCode::PodConfigurationRefused)
    )]
    #[case::a_crash_of_its_own("panic: runtime error: index out of range", None)]
    fn what_a_program_was_given_is_told_from_what_it_does(#[case] line: &str, #[case] cause: Option<CauseCode>) {
        assert_eq!(told(line), cause);
    }
}
