//! Any text wherever others have a word in a run's events: every report is whole, and steers nobody.

use std::{collections::BTreeMap, sync::LazyLock};

use quickproof::{
    record::{Event, RunRecord},
    redact::steers_a_reader,
    report::FORMATS,
};
use serde_json::Value;

/// An event, and where in it a word stands that may be any.
struct Said {
    event: Value,
    words: Vec<String>,
}

/// Events of real runs: of each kind the longest, which says most.
static EVENTS: LazyLock<Vec<Said>> = LazyLock::new(|| {
    let runs = [
        include_str!("../../data/runs/failed.jsonl"),
        include_str!("../../data/runs/interrupted.jsonl"),
    ];
    let mut longest = BTreeMap::<String, &str>::new();
    for line in runs.iter().flat_map(|run| run.lines()) {
        let event: Value = serde_json::from_str(line).expect("a line of a journal is JSON");
        let kept = longest.entry(event["event"].to_string()).or_default();
        if line.len() > kept.len() {
            *kept = line;
        }
    }
    longest
        .into_values()
        .map(|line| {
            let event: Value = serde_json::from_str(line).expect("it was read before");
            let mut words = Vec::new();
            texts(&event, String::new(), &mut words);
            words.retain(|word| serde_json::from_value::<Event>(with(&event, [word], "\u{1b} any")).is_ok());
            Said { event, words }
        })
        .collect()
});

/// The paths of all texts in a value.
fn texts(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(path),
        Value::Array(items) => (0..)
            .zip(items)
            .for_each(|(at, item)| texts(item, format!("{path}/{at}"), found)),
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                texts(field, format!("{path}/{name}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The event with these words in place of its own.
fn with<'a>(event: &Value, words: impl IntoIterator<Item = &'a String>, said: &str) -> Value {
    let mut event = event.clone();
    for word in words {
        *event.pointer_mut(word).expect("it stands in the event") = said.into();
    }
    event
}

pub(super) fn read(bytes: &[u8]) {
    let Ok(said) = std::str::from_utf8(bytes) else { return };
    let mut record = RunRecord::default();
    for Said { event, words } in EVENTS.iter() {
        let event = serde_json::from_value(with(event, words, said)).expect("each of its words may be any");
        record.fold(&event);
    }
    reports_are_whole(&record);
}

/// Every report of a run can be written, is what its format says, and steers nobody.
pub(super) fn reports_are_whole(record: &RunRecord) {
    for format in FORMATS {
        let mut report = Vec::new();
        format
            .render
            .render(record, &mut report)
            .expect("memory takes everything");
        let report = String::from_utf8(report).expect("a report is text");
        assert!(!steers_a_reader(&report), "{}: {report}", format.name);
        match format.name {
            "json" => assert!(serde_json::from_str::<Value>(&report).is_ok(), "{report}"),
            "junit" => assert!(roxmltree::Document::parse(&report).is_ok(), "{report}"),
            _ => {}
        }
    }
}
