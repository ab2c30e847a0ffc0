//! Findings for a person: each with the line it stands in, what proves it, and the way out.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    cli::Output,
    lint::{Combination, Diagnostic, Findings, Severity},
    release::Release,
    report::{Line, Look, Tone, Verbosity},
};

/// The most characters of a line that are shown.
const WIDEST: usize = 160;

/// How many characters before the column are shown of a line that is cut.
const BEFORE: usize = 40;

/// What the last line says beside the counts.
pub(super) struct Summary<'a> {
    pub(super) combinations: &'a [Combination],
    pub(super) took: Duration,
    pub(super) verbosity: Verbosity,
}

/// Prints what is undecided, every finding, and the counts.
///
/// The worst comes last: a terminal that has printed a page shows the end of it.
pub(super) fn print(findings: &Findings, release: &Release, summary: &Summary<'_>, look: Look, out: &mut Output) {
    let mut put = |line: &Line| out.paint(&look, line);
    for undecided in &findings.undecided {
        let line = Line::indented(0).hanging(11).with(Tone::Warn, "undecided  ");
        let place = undecided
            .place
            .as_ref()
            .map(|place| format!("{}:{}: ", place.file, place.line));
        put(&line
            .with(Tone::Bold, undecided.code)
            .with(Tone::Plain, format!("  {}{}", place.unwrap_or_default(), undecided.why)));
    }
    if summary.verbosity == Verbosity::Verbose {
        for suppressed in &findings.suppressed {
            let found = &suppressed.diagnostic;
            let what = format!(
                "  {}:{}  {}: {}",
                found.place.file, found.place.line, found.message, suppressed.reason
            );
            let line = Line::indented(0).hanging(11).with(Tone::Dim, "suppressed ");
            put(&line.with(Tone::Plain, found.code).with(Tone::Dim, what));
        }
    }
    let mut lines_of: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let width = findings
        .diagnostics
        .iter()
        .map(|found| found.severity.word().len())
        .max();
    let mut worst_last: Vec<&Diagnostic> = findings.diagnostics.iter().collect();
    worst_last.sort_by_key(|found| found.severity);
    for found in worst_last {
        let text = lines_of
            .entry(&found.place.file)
            .or_insert_with(|| String::from_utf8(release.tree.read(&found.place.file.parse().ok()?).ok()?).ok());
        let number = usize::try_from(found.place.line).unwrap_or(usize::MAX);
        let row = text
            .as_deref()
            .and_then(|text| text.lines().nth(number.saturating_sub(1)));
        for line in finding(found, row, width.unwrap_or(0)) {
            put(&line);
        }
        put(&Line::indented(0));
    }
    put(&Line::indented(0)
        .with(Tone::Bold, counted(findings))
        .with(Tone::Plain, looked_at(release, summary.combinations))
        .at_right(format!("{} ms", summary.took.as_millis())));
}

fn finding(found: &Diagnostic, row: Option<&str>, width: usize) -> Vec<Line> {
    let tone = match found.severity {
        Severity::Break => Tone::Bad,
        Severity::BreakLater | Severity::Degraded => Tone::Warn,
        Severity::Drift | Severity::Hygiene => Tone::Dim,
    };
    let mut place = format!("  {}:{}", found.place.file, found.place.line);
    for (name, value) in [("variant", &found.variant), ("provider", &found.provider)] {
        if let Some(value) = value {
            place.extend(["  (", name, " ", value, ")"]);
        }
    }
    let head = Line::indented(0)
        .with(tone, format!("{:<width$}", found.severity.word()))
        .with(Tone::Bold, format!("  {}", found.code))
        .with(Tone::Plain, place)
        .unbroken();
    let mut lines = vec![head];
    let number = found.place.line.to_string();
    let gutter = number.len();
    let edge = format!("{:gutter$} |", "");
    match row.filter(|row| !row.trim().is_empty()) {
        Some(row) => {
            let (shown, caret) = excerpt(row, found.place.column);
            lines.push(Line::indented(0).with(Tone::Dim, &edge).unbroken());
            let text = Line::indented(0).with(Tone::Dim, format!("{number} | "));
            lines.push(text.with(Tone::Plain, shown).unbroken());
            let under = Line::indented(0).hanging(gutter + 3 + caret + 2);
            let under = under.with(Tone::Dim, &edge).with(tone, format!("{:caret$} ^ ", ""));
            lines.push(under.with(Tone::Plain, &found.message));
        }
        None => lines.push(
            Line::indented(gutter + 1)
                .hanging(2)
                .with(tone, "= ")
                .with(Tone::Plain, &found.message),
        ),
    }
    for fact in found.facts("way out") {
        let line = Line::indented(gutter + 1).hanging(2).with(Tone::Dim, "= ");
        lines.push(line.with(Tone::Plain, fact));
    }
    lines
}

/// What is shown of a line, and how many columns before the caret; without a column it stands under the first character
/// that is not blank.
fn excerpt(row: &str, column: Option<u32>) -> (String, usize) {
    let first = row.chars().take_while(|character| character.is_whitespace()).count();
    let column = column.and_then(|column| usize::try_from(column.saturating_sub(1)).ok());
    let at = column.unwrap_or(first);
    let cut = if at + BEFORE < WIDEST { 0 } else { at - BEFORE };
    let shown: String = row.chars().skip(cut).take(WIDEST).collect();
    let (mark, more) = (
        if cut > 0 { "…" } else { "" },
        row.chars().nth(cut + WIDEST).map_or("", |_| "…"),
    );
    let before = shown.char_indices().nth(at - cut).map_or(shown.len(), |(end, _)| end);
    let caret = unicode_width::UnicodeWidthStr::width(shown[..before].replace('\t', " ").as_str());
    (format!("{mark}{shown}{more}"), caret + mark.chars().count())
}

/// `5 break, 2 drift`, and what was suppressed; `nothing found` where there is nothing.
fn counted(findings: &Findings) -> String {
    let count = |severity: Severity| {
        findings
            .diagnostics
            .iter()
            .filter(|found| found.severity == severity)
            .count()
    };
    let mut counts: Vec<String> = Severity::ALL
        .into_iter()
        .filter(|severity| count(*severity) > 0)
        .map(|severity| format!("{} {}", count(severity), severity.word()))
        .collect();
    if counts.is_empty() {
        counts.push("nothing found".to_owned());
    }
    for (count, word) in [
        (findings.undecided.len(), "undecided"),
        (findings.suppressed.len(), "suppressed"),
    ] {
        if count > 0 {
            counts.push(format!("{count} {word}"));
        }
    }
    counts.join(", ")
}

fn looked_at(release: &Release, combinations: &[Combination]) -> String {
    let files = release.tree.all().map_or(0, |files| files.len());
    let distinct = |of: &dyn Fn(&Combination) -> String| {
        combinations
            .iter()
            .map(of)
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
    let (variants, providers) = (
        distinct(&|combination| combination.offer.variant.clone()),
        distinct(&|combination| combination.offer.provider.clone()),
    );
    let counted = |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    format!(
        " in {}, {} × {}",
        counted(files, "file"),
        counted(variants, "variant"),
        counted(providers, "provider")
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        cli::output::tests::written,
        lint::{self, Place, Undecided},
        redact::Redactor,
        release::MemoryTree,
    };

    #[rstest]
    #[case::whole_line("  a: b", None, "  a: b", 2)]
    #[case::column("  a: b", Some(6), "  a: b", 5)]
    #[case::past_the_end("a", Some(9), "a", 1)]
    #[case::wide("日本: b", Some(5), "日本: b", 6)]
    fn the_caret_stands_under_its_column(
        #[case] row: &str,
        #[case] column: Option<u32>,
        #[case] shown: &str,
        #[case] caret: usize,
    ) {
        assert_eq!(excerpt(row, column), (shown.to_owned(), caret));
    }

    #[test]
    fn a_long_line_is_cut_around_its_column() {
        let row = "x".repeat(500) + "here" + &"y".repeat(500);
        let (shown, caret) = excerpt(&row, Some(501));
        assert!(shown.starts_with('…') && shown.ends_with('…'), "{shown}");
        assert_eq!(shown.chars().count(), WIDEST + 2);
        assert_eq!(shown.chars().nth(caret), Some('h'));
    }

    #[test]
    fn a_finding_is_printed_with_its_line_its_proof_and_its_way_out() {
        let mut tree = MemoryTree::default();
        tree.insert("a.yaml".parse().unwrap(), "kind: X\nimage: y:latest\n");
        let release = Release::new("o/r", None, None, Box::new(tree));
        let rule = lint::rules().next().unwrap();
        let mut findings = Findings::default();
        let place = Place {
            file: "a.yaml".into(),
            line: 2,
            column: Some(8),
        };
        let added = findings.add(rule, place, "it moves");
        added.because("a fact").way_out("pin it");
        added.severity = Severity::Break;
        added.variant = Some("cpu".into());
        findings
            .add(rule, Place::line("b.yaml", 1), "untidy")
            .at_most(Severity::Drift);
        findings.undecided.push(Undecided {
            code: "other",
            place: Some(Place::line("a.yaml", 1)),
            why: "helm is not there".into(),
        });
        let summary = Summary {
            combinations: &[],
            took: Duration::from_millis(31),
            verbosity: Verbosity::Normal,
        };
        let text = written(Redactor::new(), |out| {
            print(&findings, &release, &summary, Look::for_files(), out);
        });
        let expected = format!(
            "undecided  other  a.yaml:1: helm is not there\ndrift  {code}  b.yaml:1\n  = untidy\n\nbreak  {code}  a.yaml:2  (variant cpu)\n  |\n2 | image: y:latest\n  |        ^ it moves\n  = a fact\n  = way out: pin it\n\n",
            code = rule.code
        );
        assert!(text.starts_with(&expected), "{text}");
        let last = text.lines().last().unwrap();
        assert!(
            last.starts_with("1 break, 1 drift, 1 undecided in 1 file") && last.ends_with("31 ms"),
            "{last}"
        );
    }
}
