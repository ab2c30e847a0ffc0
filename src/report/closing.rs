//! The last block: all that a busy person needs.
//!
//! Pure: from the record to lines.

use std::path::{Path, PathBuf};

use crate::{
    record::{Decision, DeviationKind, RootCause, RunRecord, Stage},
    report::{
        page::{self, one_line, seconds},
        paint::{Line, Tone},
    },
    verdict::{ExitCode, Fault, Finding, Outcome, Weight},
};

/// Broken or undecided checks named in the block; the rest is counted.
const NAMED: usize = 10;

/// Columns of the words at the left.
const WORD: usize = 10;

/// The block, an empty line before it left to the caller.
pub(super) fn closing(record: &RunRecord, reports: &[PathBuf]) -> Vec<Line> {
    let root = record.root_cause();
    let mut lines = head(record, root.as_ref());
    match (&record.interrupted, record.ended) {
        (Some(signal), _) => lines.push(said(
            "stopped",
            Tone::Warn,
            &format!("by {signal}; what was open then stays open"),
        )),
        (None, None) => lines.push(said(
            "stopped",
            Tone::Warn,
            "the run did not end; what follows is as far as it got",
        )),
        (None, Some(_)) => {}
    }
    let because_of_it = root.as_ref().map_or(&[][..], |root| &root.because_of_it);
    let by_itself = |decision: &Decision| !because_of_it.contains(&decision.check.as_str());
    lines.extend(named(record, "broken", Tone::Bad, |decision| {
        let is_broken = decision.weight == Weight::Gate && matches!(decision.finding, Finding::Broken(_));
        is_broken && by_itself(decision)
    }));
    lines.extend(root.as_ref().and_then(|root| follows(record, root)));
    let open = named(record, "open", Tone::Warn, |decision| {
        let is_open = decision.weight == Weight::Gate && matches!(decision.finding, Finding::Undecided { .. });
        is_open && by_itself(decision)
    });
    let word = if open.is_empty() { "open" } else { "" };
    lines.extend(open);
    if root.as_ref().is_none_or(|root| root.not_reached == 0) {
        lines.extend(never_decided(record, word));
    }
    lines.extend(named(record, "degraded", Tone::Warn, |decision| {
        decision.weight == Weight::Advisory && decision.finding.is_wrong() && by_itself(decision)
    }));
    lines.extend(ledger(record));
    if !record.left_behind.is_empty() {
        lines.push(said("left", Tone::Bad, &record.left_behind.join(", ")));
        lines.push(said("", Tone::Plain, "quickproof reap takes it away"));
    }
    for (index, how) in record.kept.iter().enumerate() {
        let word = if index == 0 { "kept" } else { "" };
        lines.push(said(word, Tone::Plain, how).unbroken());
    }
    lines.extend(time(record));
    if !reports.is_empty() {
        lines.push(said("report", Tone::Plain, &places(reports)).unbroken());
    }
    if !record.command.is_empty() {
        lines.push(said("again", Tone::Plain, &record.command).unbroken());
    }
    lines
}

/// The last line of a log of what is no pass, with a word that viewers of logs look for; nothing for a pass, in whose log they shall
/// find none. Source: the regular expressions of the build log lens in Prow's configuration.
pub(super) fn for_log_readers(record: &RunRecord) -> String {
    let code = match record.ended {
        Some(_) => record.exit_code(),
        None => return "error: the run did not end\n".to_owned(),
    };
    match code {
        ExitCode::Passed => String::new(),
        code => format!("error: exit code {}: {}\n", code.number(), code.sentence()),
    }
}

/// What the run came to, and why.
pub(super) fn verdict(outcome: Outcome, root: &RootCause<'_>) -> Line {
    let tone = if outcome == Outcome::Failed {
        Tone::Bad
    } else {
        Tone::Warn
    };
    Line::indented(0)
        .hanging(2)
        .with(tone, outcome.word())
        .with(Tone::Bold, format!("  {}", one_line(&root.sentence())))
}

/// What the run came to: why, where it did not pass and something says so; of what; and how many checks.
fn head(record: &RunRecord, root: Option<&RootCause<'_>>) -> Vec<Line> {
    let outcome = record.outcome();
    let tone = match outcome {
        Outcome::Passed if record.left_behind.is_empty() => Tone::Good,
        Outcome::Failed => Tone::Bad,
        Outcome::Passed | Outcome::Errored | Outcome::Inconclusive => Tone::Warn,
    };
    let subject = record
        .subject
        .as_ref()
        .map_or_else(|| "nothing began".to_owned(), crate::record::Subject::sentence);
    let tally = record.tally();
    let counts: Vec<String> = [
        (tally.broken, "broken"),
        (tally.degraded, "degraded"),
        (tally.hold, "hold"),
        (tally.skipped, "skipped"),
        (tally.undecided, "undecided"),
        (record.ledger.len(), "in the ledger"),
    ]
    .into_iter()
    .filter(|(count, word)| *count > 0 || *word == "hold")
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    let counts = counts.join(", ");
    let (first, second) = if let Some(root) = root {
        let of = said("of", Tone::Bold, &subject).with(Tone::Plain, format!(": {counts}"));
        (verdict(outcome, root), Some(of))
    } else {
        let line = Line::indented(0).hanging(2).with(tone, outcome.word());
        let line = line.with(Tone::Bold, format!("  {subject}"));
        (line.with(Tone::Plain, format!(": {counts}")), None)
    };
    let first = match record.took_ms {
        Some(ms) => first.at_right(seconds(ms)),
        None => first,
    };
    [first].into_iter().chain(second).collect()
}

/// What is broken, open or was not reached because of the root cause.
fn follows(record: &RunRecord, root: &RootCause<'_>) -> Option<Line> {
    let what = |check: &&str| {
        let decision = record.decisions.iter().find(|decision| decision.check == **check)?;
        Some(match &decision.finding {
            Finding::Broken(fault) => fault.cause.evidence.first().unwrap_or(&fault.actual).clone(),
            _ => decision.sentence.clone(),
        })
    };
    let mut parts: Vec<String> = root.because_of_it.iter().take(NAMED).filter_map(what).collect();
    if root.because_of_it.len() > NAMED {
        parts.push(format!("and {} more", root.because_of_it.len() - NAMED));
    }
    match root.not_reached {
        0 => {}
        1 => parts.push("1 check not reached".to_owned()),
        count => parts.push(format!("{count} checks not reached")),
    }
    (!parts.is_empty()).then(|| said("follows", Tone::Plain, &format!("because of it: {}", parts.join("; "))))
}

/// The paths in a row; those beside the first by their file names alone.
fn places(reports: &[PathBuf]) -> String {
    let beside = reports.first().and_then(|path| path.parent());
    let places: Vec<String> = reports
        .iter()
        .enumerate()
        .map(|(index, path)| match path.file_name() {
            Some(name) if index > 0 && path.parent() == beside => Path::new(name).display().to_string(),
            _ => path.display().to_string(),
        })
        .collect();
    places.join("  ")
}

fn said(word: &str, tone: Tone, text: &str) -> Line {
    let word = format!("{word:<WORD$}");
    Line::indented(2)
        .hanging(WORD)
        .with(Tone::Dim, word)
        .with(tone, one_line(text))
}

fn named(record: &RunRecord, word: &str, tone: Tone, wanted: impl Fn(&Decision) -> bool) -> Vec<Line> {
    let all: Vec<&Decision> = record.decisions.iter().filter(|decision| wanted(decision)).collect();
    // A cause that several scenarios show is named once.
    let is_first = |(index, decision): &(usize, &&Decision)| {
        let key = page::same_cause(decision);
        key.is_none() || !all[..*index].iter().any(|one| page::same_cause(one) == key)
    };
    let decisions: Vec<&Decision> = all.iter().enumerate().filter(is_first).map(|(_, one)| *one).collect();
    let mut lines: Vec<Line> = decisions
        .iter()
        .take(NAMED)
        .enumerate()
        .map(|(index, decision)| {
            let mut line = said(if index == 0 { word } else { "" }, tone, &decision.sentence);
            let key = page::same_cause(decision);
            let as_it = all
                .iter()
                .filter(|one| key.is_some() && page::same_cause(one) == key)
                .count();
            if as_it > 1 {
                line = line.with(Tone::Plain, format!(" (and the same in {} more steps)", as_it - 1));
            }
            match &decision.finding {
                Finding::Broken(Fault { cause, .. }) => {
                    line.with(Tone::Dim, format!(" · {} · blame {:?}", cause.code, cause.blame()))
                }
                _ => line,
            }
        })
        .collect();
    if decisions.len() > NAMED {
        lines.push(said("", Tone::Dim, &format!("and {} more", decisions.len() - NAMED)));
    }
    lines
}

fn never_decided(record: &RunRecord, word: &str) -> Option<Line> {
    let names = record.never_decided();
    if names.is_empty() {
        return None;
    }
    let mut text = names[..names.len().min(NAMED)].join(", ");
    if names.len() > NAMED {
        text = format!("{text} and {} more", names.len() - NAMED);
    }
    Some(said(word, Tone::Warn, &format!("never decided: {text}")))
}

fn ledger(record: &RunRecord) -> Vec<Line> {
    const KINDS: [DeviationKind; 6] = [
        DeviationKind::Built,
        DeviationKind::Substituted,
        DeviationKind::Overridden,
        DeviationKind::Added,
        DeviationKind::LeftOut,
        DeviationKind::Chosen,
    ];
    let count = |kind| record.ledger.iter().filter(|entry| entry.kind == kind).count();
    let kinds: Vec<String> = KINDS
        .into_iter()
        .filter(|kind| count(*kind) > 0)
        .map(|kind| format!("{} {}", count(kind), kind.word()))
        .collect();
    if kinds.is_empty() {
        return Vec::new();
    }
    let deviations = match record.ledger.len() - count(DeviationKind::Chosen) {
        0 => "no deviation".to_owned(),
        1 => "1 deviation".to_owned(),
        many => format!("{many} deviations"),
    };
    let mut lines = vec![said(
        "ledger",
        Tone::Plain,
        &format!("{deviations} from the guide: {}", kinds.join(", ")),
    )];
    if count(DeviationKind::Built) > 0 {
        lines.push(said(
            "",
            Tone::Plain,
            "what was built stands in for what is published: this run is no proof of that",
        ));
    }
    lines
}

fn time(record: &RunRecord) -> Option<Line> {
    if record.spent.is_empty() {
        return None;
    }
    let parts: Vec<String> = where_the_time_went(record)
        .into_iter()
        .map(|(stage, ms)| format!("{stage} {}", seconds(ms)))
        .collect();
    Some(said("time", Tone::Plain, &parts.join(" · ")))
}

/// Milliseconds by stage, and under `other` what no stage accounts for, once the run ended. Stages may overlap: then
/// there is nothing else.
pub(super) fn where_the_time_went(record: &RunRecord) -> Vec<(&'static str, u64)> {
    let mut spent: Vec<(Stage, u64)> = record.spent.clone();
    spent.sort_by_key(|(stage, _)| *stage);
    let sum: u64 = spent.iter().map(|(_, ms)| ms).sum();
    let mut parts: Vec<(&'static str, u64)> = spent.into_iter().map(|(stage, ms)| (stage.word(), ms)).collect();
    if let Some(other) = record.took_ms.map(|took| took.saturating_sub(sum)).filter(|ms| *ms > 0) {
        parts.push(("other", other));
    }
    parts
}
