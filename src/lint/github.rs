//! Findings as annotations of GitHub Actions.

use std::fmt;

use super::{Diagnostic, Findings, Place};
use crate::redact::steers;

/// A workflow command, escaped: the one line for which `::` at its head is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Annotation(String);

impl fmt::Display for Annotation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One workflow command a finding, each on its line. The runner shows ten errors and ten warnings of a step, so the
/// worst come first.
///
/// Source: "Workflow commands for GitHub Actions", and `packages/core/src/command.ts` of `actions/toolkit` for what is
/// escaped.
pub(crate) fn annotations(findings: &Findings) -> Vec<Annotation> {
    let mut sorted: Vec<&Diagnostic> = findings.diagnostics.iter().collect();
    sorted.sort_by_key(|found| std::cmp::Reverse(found.severity));
    let mut lines: Vec<Annotation> = sorted.into_iter().map(annotation).collect();
    for undecided in &findings.undecided {
        let text = format!("undecided: {}", undecided.why);
        let place = undecided.place.as_ref().map(|place| format!("{},", at(place)));
        lines.push(Annotation(format!(
            "::notice {}title={}::{}",
            place.unwrap_or_default(),
            property(undecided.code),
            data(&text)
        )));
    }
    lines
}

fn annotation(found: &Diagnostic) -> Annotation {
    let command = match found.severity.level() {
        "note" => "notice",
        level => level,
    };
    Annotation(format!(
        "::{command} {},title={}::{}",
        at(&found.place),
        property(&format!("{} {}", found.severity.word(), found.code)),
        data(&found.in_full("way out"))
    ))
}

fn at(place: &Place) -> String {
    let column = place.column.map(|column| format!(",col={column}")).unwrap_or_default();
    format!("file={},line={}{column}", property(&place.file), place.line)
}

fn data(text: &str) -> String {
    let mut data = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '%' => data.push_str("%25"),
            '\r' => data.push_str("%0D"),
            '\n' => data.push_str("%0A"),
            '\t' => data.push(' '),
            character if steers(character) => data.extend(character.escape_unicode()),
            character => data.push(character),
        }
    }
    data
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lint::{Severity, rules};

    #[test]
    fn annotations_are_escaped_and_the_worst_come_first() {
        let rule = rules().next().unwrap();
        let mut findings = Findings::default();
        findings
            .add(rule, Place::line("a", 1), "mild")
            .at_most(Severity::Hygiene);
        let place = Place {
            file: "b,c:d%.yaml".into(),
            line: 7,
            column: Some(3),
        };
        let added = findings.add(rule, place, "100% a::b\r\nc");
        added.severity = Severity::Break;
        added.because("a fact").way_out("pin it");
        findings.undecided(rule, None, "no helm");
        findings.undecided(rule, Place::line("a", 3), "no chart");
        assert_eq!(
            annotations(&findings)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            [
                format!(
                    "::error file=b%2Cc%3Ad%25.yaml,line=7,col=3,title=break {}::100%25 a::b%0D%0Ac%0Aa fact%0Away out: pin it",
                    rule.code
                ),
                format!("::notice file=a,line=1,title=hygiene {}::mild", rule.code),
                format!("::notice title={}::undecided: no helm", rule.code),
                format!("::notice file=a,line=3,title={}::undecided: no chart", rule.code),
            ]
        );
    }

    /// What a runner reads. Source: `UnescapeData` and `UnescapeProperty` of actions/runner.
    fn read_back(escaped: &str) -> String {
        let line_ends = escaped.replace("%0D", "\r").replace("%0A", "\n");
        line_ends.replace("%3A", ":").replace("%2C", ",").replace("%25", "%")
    }

    proptest! {
        #[test]
        fn whatever_a_release_says_a_runner_reads_one_command_with_it(file in ".{0,30}", said in "[ -~\n]{0,40}|.{0,40}") {
            let mut findings = Findings::default();
            findings.add(rules().next().unwrap(), Place::line(&file, 1), &said);
            let line = annotations(&findings).remove(0).to_string();
            prop_assert!(!line.chars().any(steers), "{}", line);
            let (command, rest) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
            prop_assert_eq!(command.matches(',').count(), 2);
            let named = command.split_once("file=").unwrap().1.split(',').next().unwrap();
            if !file.chars().any(steers) {
                prop_assert_eq!(read_back(named), file);
            }
            if !said.chars().any(|character| character != '\n' && steers(character)) {
                prop_assert!(read_back(rest).starts_with(&said), "{}", rest);
            }
        }
    }
}
