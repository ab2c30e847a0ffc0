//! One run's record, and what it comes to.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{
    Lane,
    find::{FILES, Found},
};
use crate::{
    host::files,
    record::{RECORD_VERSION, RunRecord},
    verdict::{Finding, Outcome},
};

/// What a record says of itself.
#[derive(Debug, Deserialize)]
struct Says {
    record_version: u32,
    outcome: Outcome,
    exit_code: Option<u8>,
}

/// What became of a directory.
pub(super) fn lane(found: Found) -> Lane {
    match found {
        Found::NoRun(place, why) => without_record(place, format!("it is no run's directory: {why}")),
        Found::Run(place) => match record(&place) {
            Ok(record) => of_record(place, record),
            Err(why) => without_record(place, why),
        },
    }
}

/// The record of a run, where it can be read and does not contradict itself.
fn record(directory: &Path) -> Result<RunRecord, String> {
    let [record, _] = FILES;
    let broken =
        |error: String| format!("its `{record}` cannot be read: {error}; `quickproof report` may make it again");
    let text = files::read_json(&directory.join(record)).map_err(|error| broken(error.to_string()))?;
    let says: Says = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
    if says.record_version != RECORD_VERSION {
        return Err(format!(
            "its `{record}` has version {}, and this quickproof reads {RECORD_VERSION}: merge with the quickproof that wrote it",
            says.record_version
        ));
    }
    let read: RunRecord = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
    let exit_code = read.ended.map(|_| read.exit_code().number());
    if says.outcome != read.outcome() || says.exit_code != exit_code {
        return Err(format!(
            "its `{record}` says {} and adds up to {}: it was changed, or not written whole",
            says.outcome.word().to_lowercase(),
            read.outcome().word().to_lowercase()
        ));
    }
    Ok(read)
}

fn without_record(place: PathBuf, why: String) -> Lane {
    Lane {
        sentence: format!("{} has no verdict", place.display()),
        place,
        subject: None,
        finding: Finding::Undecided { why },
        from: None,
        exchange: None,
        took_ms: None,
        ledger: Vec::new(),
        left_behind: Vec::new(),
    }
}

fn of_record(place: PathBuf, record: RunRecord) -> Lane {
    let outcome = record.outcome();
    let root = record.root_cause();
    let shown = root.as_ref().and_then(|root| {
        let mut decisions = record.decisions.iter();
        decisions.find(|decision| decision.check == root.check)
    });
    let why = || match (&record.interrupted, record.ended, &root) {
        (Some(signal), _, _) => format!("{signal} ended the run before it was decided"),
        (None, None, _) => "the run did not end: it was killed, or goes on".to_owned(),
        (None, Some(_), Some(root)) => root.sentence(),
        (None, Some(_), None) => match record.never_decided().as_slice() {
            [] => "nothing was proven".to_owned(),
            [first, ..] => format!(
                "{} checks were never decided, `{first}` first",
                record.never_decided().len()
            ),
        },
    };
    let finding = match (outcome, shown.map(|decision| &decision.finding)) {
        (Outcome::Passed, _) => Finding::Holds,
        (Outcome::Failed | Outcome::Errored, Some(Finding::Broken(fault))) => Finding::Broken(fault.clone()),
        _ => Finding::Undecided { why: why() },
    };
    let of = record
        .subject
        .as_ref()
        .map_or_else(|| "a run that never began".to_owned(), crate::record::Subject::sentence);
    let tally = record.tally();
    let counts = format!("{} hold, {} in the ledger", tally.hold, record.ledger.len());
    let sentence = match outcome {
        Outcome::Passed => format!("{of} passed: {counts} ({})", place.display()),
        outcome => format!("{of} is {}: {counts} ({})", outcome.word(), place.display()),
    };
    let from = shown.and_then(|decision| decision.from.clone());
    let exchange = shown.and_then(|decision| decision.exchange.clone());
    Lane {
        place,
        sentence,
        finding,
        from,
        exchange,
        took_ms: record.took_ms,
        subject: record.subject,
        ledger: record.ledger,
        left_behind: record.left_behind,
    }
}
