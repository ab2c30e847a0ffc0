//! `quickproof diff`: what differs between two runs or plans.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::{
    cli::{Output, Usage, plan::Form},
    host::files,
    verdict::ExitCode,
};

/// The name of a run's record in its directory.
const RECORD: &str = "record.json";

/// Show what differs between two runs or plans: steps, ledger, images, findings.
///
/// The exit code is 0 where nothing differs and 1 where something does.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  quickproof diff before/ after/\n  quickproof plan --tree a -o json > a.json\n  quickproof plan --tree b -o json > b.json\n  quickproof diff a.json b.json"
)]
pub(crate) struct DiffArguments {
    /// A run's directory, its `record.json`, or a plan saved with `plan -o json`
    #[arg(value_name = "A")]
    left: PathBuf,
    /// The same, to compare with
    #[arg(value_name = "B")]
    right: PathBuf,
    /// How to say it
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,
}

/// Parts of a run or plan that are compared: for each part, each thing by its name, told in one line.
type Parts = BTreeMap<&'static str, BTreeMap<String, String>>;

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Difference {
    /// `subject`, `steps`, `findings`, `ledger`, `images` or `charts`.
    part: &'static str,
    /// What it is about.
    name: String,
    /// What the first says of it; null where the first has no such thing.
    a: Option<String>,
    /// What the second says of it; null where the second has no such thing.
    b: Option<String>,
}

/// Compares and prints.
///
/// # Errors
/// One of the two is not there, or neither run nor plan.
pub(crate) fn run(arguments: &DiffArguments, out: &mut Output) -> anyhow::Result<ExitCode> {
    let left = parts(&open(&arguments.left)?, &arguments.left)?;
    let right = parts(&open(&arguments.right)?, &arguments.right)?;
    let differences = compare(&left, &right);
    match arguments.output {
        Form::Text => out.say(fmt::from_fn(|words| print(&differences, words))),
        Form::Json => out.json(&differences)?,
    }
    Ok(if differences.is_empty() {
        ExitCode::Passed
    } else {
        ExitCode::Failed
    })
}

fn open(path: &Path) -> Result<Value, Usage> {
    let path = if path.is_dir() {
        path.join(RECORD)
    } else {
        path.to_owned()
    };
    let named = path.display().to_string();
    let unreadable = |error: &dyn std::fmt::Display| {
        Usage::new(anyhow::anyhow!(
            "cannot read `{named}`: {error}; give a run's directory, its `{RECORD}`, or what `plan -o json` wrote"
        ))
    };
    let text = files::read_json(&path).map_err(|error| unreadable(&error))?;
    serde_json::from_slice(&text).map_err(|error| unreadable(&error))
}

fn parts(value: &Value, path: &Path) -> Result<Parts, Usage> {
    let mut parts = Parts::new();
    let mut add = |part: &'static str, name: String, told: String| {
        let part = parts.entry(part).or_default();
        // Several of one name, such as two steps on one line, are told apart by their number.
        let mut unique = name.clone();
        let mut number = 1;
        while part.contains_key(&unique) {
            number += 1;
            unique = format!("{name}#{number}");
        }
        part.insert(unique, told);
    };
    let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
    if let Some(subject) = value["subject"].as_object() {
        for (name, of) in subject {
            add("subject", name.clone(), text(of));
        }
    }
    if value.get("plan_version").is_some() {
        for step in list("steps") {
            let told = format!(
                "{} · {} · {}",
                text(&step["action"]),
                text(&step["command"]),
                step["details"]
            );
            add("steps", text(&step["check"]), told);
            if !step["known"].is_null() {
                add("findings", text(&step["check"]), finding(&step["known"]));
            }
        }
        for chart in list("charts") {
            let told = format!("{} {}", text(&chart["chart"]), text(&chart["version"]));
            add("charts", text(&chart["release"]), told);
        }
    } else if value.get("record_version").is_some() {
        for decision in list("decisions") {
            let told = format!("{} · {}", finding(&decision["finding"]), text(&decision["sentence"]));
            add("findings", text(&decision["check"]), told);
        }
        for check in list("expected") {
            add("steps", text(&check), "expected".to_owned());
        }
    } else {
        return Err(Usage::new(anyhow::anyhow!(
            "`{}` is neither a run's record nor a plan",
            path.display()
        )));
    }
    for entry in list("ledger") {
        let name = format!("{} {}", text(&entry["kind"]), text(&entry["subject"]));
        add(
            "ledger",
            name,
            format!("{}: {}", text(&entry["what"]), text(&entry["why"])),
        );
    }
    for image in list("images") {
        add("images", text(&image["image"]), text(&image["pin"]));
    }
    Ok(parts)
}

/// A value as one would read it aloud: text without its quotes.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn finding(value: &Value) -> String {
    match (value["finding"].as_str(), value["cause"]["code"].as_str()) {
        (Some(finding), Some(code)) => format!("{finding} [{code}]"),
        (Some(finding), None) => finding.to_owned(),
        _ => value.to_string(),
    }
}

fn compare(left: &Parts, right: &Parts) -> Vec<Difference> {
    let nothing = BTreeMap::new();
    let mut differences = Vec::new();
    for part in ["subject", "steps", "findings", "ledger", "charts", "images"] {
        let (a, b) = (left.get(part).unwrap_or(&nothing), right.get(part).unwrap_or(&nothing));
        let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for name in names {
            if a.get(name) != b.get(name) {
                differences.push(Difference {
                    part,
                    name: name.clone(),
                    a: a.get(name).cloned(),
                    b: b.get(name).cloned(),
                });
            }
        }
    }
    differences
}

fn print(differences: &[Difference], out: &mut dyn Write) -> fmt::Result {
    let mut part = "";
    for difference in differences {
        if difference.part != part {
            part = difference.part;
            writeln!(out, "{part}")?;
        }
        writeln!(out, "  {}", difference.name)?;
        for (sign, side) in [("-", &difference.a), ("+", &difference.b)] {
            if let Some(side) = side {
                writeln!(out, "    {sign} {side}")?;
            }
        }
    }
    match differences.len() {
        0 => writeln!(out, "nothing differs"),
        1 => writeln!(out, "1 difference"),
        count => writeln!(out, "{count} differences"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn plan(command: &str, image: &str) -> Value {
        json!({"plan_version": 1, "subject": {"tag": "v1.0.0"}, "charts": [], "ledger": [],
            "images": [{"image": image, "pin": "tag"}],
            "steps": [{"check": "apply:g.md:3", "action": "apply", "command": command, "details": {}, "known": null}]})
    }

    fn of(left: &Value, right: &Value) -> Vec<(&'static str, String)> {
        let read = |value| parts(value, Path::new("p")).unwrap();
        let differences = compare(&read(left), &read(right));
        differences.into_iter().map(|one| (one.part, one.name)).collect()
    }

    #[rstest]
    #[case::equal(plan("k", "i:1"), &[])]
    #[case::another_command(plan("l", "i:1"), &[("steps", "apply:g.md:3")])]
    #[case::another_image(plan("k", "i:2"), &[("images", "i:1"), ("images", "i:2")])]
    fn plans_differ_where_a_part_of_them_differs(#[case] right: Value, #[case] wanted: &[(&'static str, &str)]) {
        let found = of(&plan("k", "i:1"), &right);
        let found: Vec<_> = found.iter().map(|(part, name)| (*part, name.as_str())).collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn records_differ_in_what_was_found_and_two_of_one_name_are_told_apart() {
        let record = |finding: &str| {
            json!({"record_version": 1, "expected": ["c"], "ledger": [], "decisions": [
                {"check": "c", "sentence": "s", "finding": {"finding": "holds"}},
                {"check": "c", "sentence": "s", "finding": {"finding": finding, "cause": {"code": "x-y"}}}]})
        };
        assert!(of(&record("broken"), &record("broken")).is_empty());
        assert_eq!(
            of(&record("broken"), &record("holds")),
            [("findings", "c#2".to_owned())]
        );
    }

    #[test]
    fn what_is_neither_run_nor_plan_is_refused() {
        assert!(parts(&json!({"a": 1}), Path::new("p")).is_err());
        assert!(open(Path::new("/nowhere/at/all")).is_err());
    }
}
