//! What a run came to in a few words: an object of strings and nothing else, for systems that show or pass on no more.
//!
//! Prow puts the fields of `$ARTIFACTS/metadata.json` into `finished.json`, where `TestGrid` finds the headers of its columns;
//! both take strings only. Source: Prow, `pkg/sidecar/run.go`.

use std::io::Write;

use serde_json::{Map, Value};

use crate::{
    record::{Deviation, DeviationKind, Render, RootCause, RunRecord, Subject},
    redact::printable,
    report::page::one_line,
    verdict::ExitCode,
};

/// Renders `metadata.json`. Every field is always there; what is not known, or does not apply, is an empty string.
#[derive(Debug, Clone, Copy)]
pub struct Metadata;

impl Render for Metadata {
    fn render(&self, record: &RunRecord, out: &mut dyn Write) -> anyhow::Result<()> {
        let fields = fields(record).into_iter();
        let object: Map<String, Value> = fields
            .map(|(name, value)| (name.to_owned(), Value::String(printable(&one_line(&value)))))
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&object)?)?;
        Ok(())
    }
}

fn fields(record: &RunRecord) -> Vec<(&'static str, String)> {
    let code = record.ended.map(|_| record.exit_code());
    let root = record.root_cause();
    let cause = root.as_ref().and_then(|root| root.code);
    let blame = root.as_ref().and_then(|root| root.blame);
    let of_subject =
        |field: fn(&Subject) -> Option<String>| record.subject.as_ref().and_then(field).unwrap_or_default();
    let deviates = record.ledger.iter().filter(|entry| entry.kind != DeviationKind::Chosen);
    // A program is built too, and has no registry in its name.
    let built = |entry: &&Deviation| entry.kind == DeviationKind::Built && entry.subject.contains('/');
    let built = record.ledger.iter().filter(built);
    vec![
        ("outcome", record.outcome().word().to_lowercase()),
        (
            "exit-code",
            code.map_or_else(String::new, |code| code.number().to_string()),
        ),
        ("failure-category", failure_category(code).to_owned()),
        ("cause", cause.map_or_else(String::new, |code| code.code().to_owned())),
        ("blame", blame.map_or_else(String::new, |blame| format!("{blame:?}"))),
        ("why", root.as_ref().map_or_else(String::new, RootCause::sentence)),
        ("tag", of_subject(|subject| subject.tag.clone())),
        ("commit", of_subject(|subject| subject.commit.clone())),
        ("repository", of_subject(|subject| Some(subject.repository.clone()))),
        ("provider", of_subject(|subject| Some(subject.provider.clone()))),
        ("variant", of_subject(|subject| Some(subject.variant.clone()))),
        ("phase", of_subject(|subject| Some(subject.phase.clone()))),
        ("deviations", deviates.count().to_string()),
        ("built-images", built.count().to_string()),
        ("run", record.run.clone()),
        ("quickproof", record.quickproof.clone()),
    ]
}

/// Whose it is that a run is no pass, in one word; empty for a pass, `undecided` for a run that has not ended.
fn failure_category(code: Option<ExitCode>) -> &'static str {
    match code {
        Some(ExitCode::Passed) => "",
        Some(ExitCode::Failed) => "release",
        Some(ExitCode::Errored | ExitCode::Usage) => "infrastructure",
        Some(ExitCode::LeftBehind) => "left-behind",
        Some(ExitCode::HungUp | ExitCode::Interrupted | ExitCode::Terminated) => "interrupted",
        Some(ExitCode::Inconclusive) | None => "undecided",
    }
}
