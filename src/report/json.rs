//! The JSON report: the record, and what it comes to.

use std::io::Write;

use serde_json::{Map, Value, json};

use crate::{
    record::{Render, RunRecord},
    redact::printable_json,
    report::closing::where_the_time_went,
};

/// Renders `record.json`: an object with `record_version`, `outcome` (`passed`, `failed`, `errored`, `inconclusive`),
/// `exit_code` (`null` while the run has not ended), `root_cause` (`null` where nothing says why it did not pass), `where_the_time_went` (milliseconds by stage), and the fields of
/// [`RunRecord`].
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Render for Json {
    fn render(&self, record: &RunRecord, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut report = Map::new();
        report.insert("record_version".into(), json!(record.record_version));
        report.insert("outcome".into(), json!(record.outcome()));
        let exit_code = record.ended.map(|_| record.exit_code().number());
        report.insert("exit_code".into(), json!(exit_code));
        report.insert("root_cause".into(), serde_json::to_value(record.root_cause())?);
        let time: Map<String, Value> = where_the_time_went(record)
            .into_iter()
            .map(|(stage, ms)| (stage.to_owned(), json!(ms)))
            .collect();
        report.insert("where_the_time_went".into(), Value::Object(time));
        // Not `flatten`: fields keep the order of the type, and the five above stand first.
        if let Value::Object(fields) = serde_json::to_value(record)? {
            for (name, value) in fields {
                report.entry(name).or_insert(value);
            }
        }
        writeln!(out, "{}", printable_json(&serde_json::to_string_pretty(&report)?))?;
        Ok(())
    }
}
