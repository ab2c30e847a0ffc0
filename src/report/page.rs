//! What is said, line by line: the words of the terminal and text reports.
//!
//! Pure: from parts of the record to [`Line`]s. How they look is [`super::paint`]'s, when they are printed is
//! [`super::terminal`]'s.

use std::fmt::Write as _;

use crate::{
    record::{Decision, Deviation, Exchange, Stage, Subject},
    redact::cut,
    report::{
        Verbosity,
        paint::{Line, Tone},
    },
    verdict::{Blame, CauseCode, Fault, Finding, Weight},
};

/// Columns before the text of a finding's details.
const DETAIL: usize = 6;

/// Lines of evidence shown without `--verbose`.
const EVIDENCE_LINES: usize = 8;

/// Characters of a body shown without `--verbose`.
const BODY_CHARACTERS: usize = 300;

/// Times under this are not worth a column.
const SHORTEST_TIME_SHOWN_MS: u64 = 500;

/// The first line: what ran, on what.
pub(super) fn header(version: &str, subject: &Subject) -> Line {
    let mut what = subject.repository.clone();
    if let Some(tag) = &subject.tag {
        what.push(' ');
        what.push_str(tag);
    }
    if let Some(commit) = &subject.commit {
        what = format!("{what} ({})", commit.get(..7).unwrap_or(commit));
    }
    let phase = subject.phase.replace('-', " ");
    let how = match &subject.extent {
        Some(extent) => extent.clone(),
        None => format!("{} · {} · {phase}", subject.variant, subject.provider),
    };
    Line::indented(0)
        .with(Tone::Bold, format!("quickproof {version}"))
        .with(Tone::Plain, format!(" · {what} · {how}"))
}

/// A stage's heading.
pub(super) fn heading(stage: Stage, spent_ms: Option<u64>) -> Line {
    let line = Line::indented(0).with(Tone::Bold, stage.word());
    match spent_ms {
        Some(ms) => line.at_right(seconds(ms)),
        None => line,
    }
}

/// A heading of another kind.
pub(super) fn section(word: &str) -> Line {
    Line::indented(0).with(Tone::Bold, word)
}

/// A fact.
pub(super) fn note(sentence: &str) -> Line {
    Line::indented(2)
        .hanging(2)
        .with(Tone::Dim, "· ")
        .with(Tone::Plain, one_line(sentence))
}

/// A deviation as it is entered into the ledger under `number`.
pub(super) fn deviation(number: usize, deviation: &Deviation) -> Line {
    let line = Line::indented(2)
        .hanging(2)
        .with(Tone::Warn, format!("ledger {number} · {}", deviation.kind.word()))
        .with(Tone::Plain, format!(" · {}", what_was_done(deviation)));
    match &deviation.from {
        Some(from) => line.at_right(from.to_string()),
        None => line,
    }
}

/// What was done, and to what where the sentence does not say it itself.
fn what_was_done(deviation: &Deviation) -> String {
    let what = one_line(&deviation.what);
    if what.contains(&deviation.subject) {
        return what;
    }
    format!("{}: {what}", deviation.subject)
}

/// Several images and programs built in a row, as one line.
pub(super) fn built(first: usize, subjects: &[String]) -> Line {
    let last = first + subjects.len() - 1;
    Line::indented(2)
        .hanging(2)
        .with(Tone::Warn, format!("ledger {first}-{last} · built"))
        .with(
            Tone::Plain,
            format!(
                " · {} are built from packages, not the published ones: {}",
                subjects.len(),
                subjects.join(", ")
            ),
        )
}

/// A deviation in full, with its reason, as the ledger of a text report has it.
pub(super) fn deviation_in_full(number: usize, entry: &Deviation) -> [Line; 2] {
    let why = Line::indented(DETAIL).with(Tone::Dim, format!("why: {}", one_line(&entry.why)));
    [deviation(number, entry), why]
}

/// A decision: its line, and under it, where it does not hold, what a reader needs to act.
pub(super) fn decision(decision: &Decision, ledger: &[Deviation], verbosity: Verbosity) -> Vec<Line> {
    let advisory = decision.weight == Weight::Advisory;
    let mut lines = vec![headline(decision, ledger)];
    match &decision.finding {
        Finding::Holds if verbosity == Verbosity::Verbose => {
            lines.extend(decision.exchange.iter().flat_map(|exchange| sent(exchange)));
        }
        Finding::Holds => {}
        Finding::Broken(fault) => {
            let exchange = decision.exchange.as_deref();
            lines.extend(because(fault, exchange, verbosity));
            let body = if fault.cause.evidence.is_empty() {
                Body::Excerpt
            } else {
                Body::LeftOut
            };
            lines.extend(
                exchange
                    .into_iter()
                    .flat_map(|exchange| exchanged(exchange, body, verbosity)),
            );
        }
        Finding::Undecided { why } => {
            let word = if advisory { "undecided, advisory" } else { "undecided" };
            lines.extend(why_not(word, why));
            if let Some(exchange) = &decision.exchange {
                lines.extend(exchanged(exchange, Body::Excerpt, verbosity));
            }
        }
        Finding::Skipped { why } if why.trim().is_empty() => lines.extend(why_not("skipped", "no reason was given")),
        Finding::Skipped { why } => lines.extend(why_not("skipped", why)),
    }
    lines
}

/// A decision whose cause an earlier one has told: its line, and what was seen.
pub(super) fn decision_again(decision: &Decision, ledger: &[Deviation]) -> Vec<Line> {
    let mut lines = vec![headline(decision, ledger)];
    if let Finding::Broken(fault) = &decision.finding {
        let detail = |word: &str, text: String| {
            let line = Line::indented(DETAIL).hanging(9).with(Tone::Dim, word);
            line.with(Tone::Plain, text)
        };
        lines.push(detail("actual   ", one_line(&cut(&fault.actual, BODY_CHARACTERS))));
        lines.push(detail("as above ", fault.cause.code.to_string()));
    }
    lines
}

/// Whether one of these has told the cause of a decision: it is the same check of another scenario, or of another step, and broken
/// for the same cause.
pub(super) fn is_told(decision: &Decision, earlier: &[Decision]) -> bool {
    let key = same_cause(decision);
    key.is_some()
        && earlier
            .iter()
            .any(|one| one.check != decision.check && same_cause(one) == key)
}

/// What decisions about scenarios have in common that are broken for the same cause.
pub(super) fn same_cause(decision: &Decision) -> Option<(&str, CauseCode, Blame, Weight)> {
    let (_, check) = decision
        .check
        .rsplit_once('/')
        .filter(|_| decision.stage == Stage::Scenarios)?;
    match &decision.finding {
        Finding::Broken(fault) => Some((check, fault.cause.code, fault.cause.blame(), decision.weight)),
        _ => None,
    }
}

/// The line of a decision.
fn headline(decision: &Decision, ledger: &[Deviation]) -> Line {
    let advisory = decision.weight == Weight::Advisory;
    let (tone, glyph) = match &decision.finding {
        Finding::Holds => (Tone::Good, "√"),
        Finding::Broken(_) if advisory => (Tone::Warn, "‼"),
        Finding::Broken(_) => (Tone::Bad, "×"),
        Finding::Undecided { .. } => (Tone::Warn, "‼"),
        Finding::Skipped { .. } => (Tone::Dim, "-"),
    };
    let mut first = Line::indented(2)
        .hanging(2)
        .with(tone, format!("{glyph} "))
        .with(Tone::Plain, one_line(&decision.sentence));
    if let Some(from) = &decision.from {
        first = first.at_right(from.to_string());
        if let Some(entry) = ledger.iter().position(|entry| entry.from.as_ref() == Some(from)) {
            first = first.at_right(format!("ledger {}", entry + 1));
        }
    }
    if let Some(ms) = decision.took_ms.filter(|ms| *ms >= SHORTEST_TIME_SHOWN_MS) {
        first = first.at_right(seconds(ms));
    }
    first
}

/// What was expected, what was seen in its place, the evidence, and what to do.
fn because(fault: &Fault, exchange: Option<&Exchange>, verbosity: Verbosity) -> Vec<Line> {
    let Fault {
        expected,
        actual,
        cause,
    } = fault;
    let mut lines = Vec::new();
    for (word, text) in [("expected ", expected), ("actual   ", actual)] {
        for (index, part) in text.trim().lines().enumerate() {
            let word = if index == 0 { word } else { "         " };
            lines.push(
                Line::indented(DETAIL)
                    .hanging(9)
                    .with(Tone::Dim, word)
                    .with(Tone::Plain, part),
            );
        }
    }
    let evidence: Vec<&str> = cause.evidence.iter().flat_map(|text| text.trim_end().lines()).collect();
    let shown = match verbosity {
        Verbosity::Verbose => evidence.len(),
        Verbosity::Quiet | Verbosity::Normal => EVIDENCE_LINES,
    };
    for line in evidence.iter().take(shown) {
        lines.push(Line::indented(DETAIL + 2).with(Tone::Plain, line));
    }
    if evidence.len() > shown {
        let more = evidence.len() - shown;
        lines.push(Line::indented(DETAIL + 2).with(Tone::Dim, format!("… {more} more lines in the reports")));
    }
    if expected.is_empty() && actual.is_empty() && evidence.is_empty() && exchange.is_none() {
        lines.push(Line::indented(DETAIL).with(Tone::Plain, cause.code.sentence()));
    }
    lines.push(
        Line::indented(DETAIL)
            .hanging(2)
            .with(Tone::Bold, "→ ")
            .with(Tone::Plain, cause.code.next_step()),
    );
    lines.push(
        Line::indented(DETAIL)
            .with(
                Tone::Dim,
                format!(
                    "cause {code} · blame {blame:?} · quickproof explain {code}",
                    code = cause.code,
                    blame = cause.blame()
                ),
            )
            .unbroken(),
    );
    lines
}

/// A request, to send again, and what became of it.
fn sent(exchange: &Exchange) -> Vec<Line> {
    let mut lines: Vec<Line> = exchange
        .curl
        .lines()
        .map(|part| Line::indented(DETAIL).with(Tone::Plain, part).unbroken())
        .collect();
    lines.push(Line::indented(DETAIL).with(Tone::Dim, one_line(&answered(exchange))));
    lines
}

/// What is shown of a body where not all of it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Its beginning.
    Excerpt,
    /// Nothing: the evidence tells what is in it.
    LeftOut,
}

fn exchanged(exchange: &Exchange, shown: Body, verbosity: Verbosity) -> Vec<Line> {
    let mut lines = sent(exchange);
    let body = exchange.body.trim();
    if verbosity == Verbosity::Verbose {
        for (name, value) in &exchange.headers {
            lines.push(Line::indented(DETAIL + 2).with(Tone::Dim, format!("{name}: {value}")));
        }
        lines.extend(
            body.lines()
                .map(|part| Line::indented(DETAIL + 2).with(Tone::Plain, part)),
        );
        if let Some(whole) = &exchange.whole_body {
            let more = format!("… {} bytes in all, {}", whole.bytes, whole.digest);
            lines.push(Line::indented(DETAIL + 2).with(Tone::Dim, more));
        }
    } else if shown == Body::Excerpt && !body.is_empty() {
        let excerpt = one_line(&cut(body, BODY_CHARACTERS));
        lines.push(Line::indented(DETAIL + 2).with(Tone::Plain, excerpt));
    }
    lines
}

/// What became of a request, such as `answered 404 after 0.6 s`.
pub(super) fn answered(exchange: &Exchange) -> String {
    let took = seconds(exchange.took_ms);
    let mut text = match (exchange.status, &exchange.failure) {
        (Some(status), None) => format!("answered {status} after {took}"),
        (Some(status), Some(_)) => format!("answered {status} and failed after {took}"),
        (None, _) => format!("no answer after {took}"),
    };
    if exchange.attempt > 1 {
        let _ = write!(text, " at try {}", exchange.attempt);
    }
    if let Some(failure) = &exchange.failure {
        text.push_str(": ");
        text.push_str(failure);
    }
    text
}

fn why_not(word: &str, why: &str) -> Option<Line> {
    (!why.trim().is_empty()).then(|| {
        Line::indented(DETAIL)
            .with(Tone::Dim, format!("{word}: "))
            .with(Tone::Plain, one_line(why))
    })
}

/// Text of several lines as one: a pod's message may be a page long, a line of the report is one line.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for part in text.lines().map(str::trim).filter(|part| !part.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(part);
    }
    line
}

/// Milliseconds as seconds, to a tenth; under a tenth of a second in milliseconds.
pub(super) fn seconds(ms: u64) -> String {
    if ms < 100 {
        return format!("{ms} ms");
    }
    // Tenths, rounded half up, without a detour over floating point.
    let tenths = (ms + 50) / 100;
    if tenths >= 10 * 120 {
        return format!("{} min {:02} s", tenths / 600, tenths % 600 / 10);
    }
    format!("{}.{} s", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 ms")]
    #[case(99, "99 ms")]
    #[case(149, "0.1 s")]
    #[case(150, "0.2 s")]
    #[case(34_240, "34.2 s")]
    #[case(119_949, "119.9 s")]
    #[case(125_000, "2 min 05 s")]
    fn times_read_as_a_person_says_them(#[case] ms: u64, #[case] said: &str) {
        assert_eq!(seconds(ms), said);
    }

    #[test]
    fn a_page_of_text_becomes_one_line() {
        assert_eq!(one_line(" a\n\n  b\r\nc "), "a b c");
    }
}
