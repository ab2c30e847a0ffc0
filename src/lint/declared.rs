//! Guides in YAML: what their own reader refuses, choices that do nothing, and pages that say something else than the YAML that
//! they are rendered from.

use std::collections::BTreeMap;

use super::{Examined, Family, Findings, Place};
use crate::{
    guide::{Declared, DeclaredStep, DeclaredVariable, declared},
    release::RepoPath,
};

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "declared",
    rules: ALL,
    look,
};

rules! {
    /// A guide in YAML says what its own reader refuses: an unknown or a repeated key, a `when` over a variable that is not
    /// declared, a default that is none of its values, or no YAML at all. Whoever carries it out by program cannot.
    Break WRONG = "guide-yaml-refused";

    /// A guide in YAML offers a value, and the steps that count for it hold comments alone: whoever carries the guide out by
    /// program for that choice leaves out what the step is for, though the default choice works.
    Degraded CHOICE_EMPTY = "guide-choice-empty";

    /// A page holds something else between its marks than what the YAML beside it says: two readers do two things. The page is
    /// to be rendered again, or the change to be made in the YAML.
    Drift PAGE_DIFFERS = "guide-page-differs";
}

/// What a guide in YAML is called; a directory with one is a guide.
const FILE: &str = "guide.yaml";

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    let is_guide = |file: &&RepoPath| {
        let is_below = examined
            .layout
            .pages
            .iter()
            .any(|pages| file.as_str().starts_with(&format!("{pages}/")));
        is_below && file.as_str().rsplit('/').next() == Some(FILE)
    };
    for file in examined.files.all.iter().filter(is_guide) {
        let Some(text) = examined.files.text(examined.release, file.as_str()) else {
            continue;
        };
        // Benchmarks have files of the same name that are no guides.
        if !text.lines().any(|row| row.starts_with("deploy:")) {
            continue;
        }
        match declared(file.as_str(), &text) {
            Err(error) => {
                let said = error.to_string();
                let message = said.lines().next().unwrap_or_default();
                findings.add(&WRONG, Place::line(file.as_str(), 1), message);
            }
            Ok(guide) => {
                for fault in &guide.faults {
                    let place = Place::at(file.as_str(), fault.at.line, fault.at.column);
                    findings
                        .add(&WRONG, place, fault.why.as_str())
                        .way_out("say it as the other guides do");
                }
                empty_choices(examined, findings, file, &guide);
                page(examined, findings, file, &guide);
            }
        }
    }
}

/// Values that the guide offers and for which the steps that count hold comments alone.
fn empty_choices(examined: &Examined<'_>, findings: &mut Findings, file: &RepoPath, guide: &Declared) {
    let is_left_out = |step: &DeclaredStep| {
        let mut groups = examined.layout.groups_left_out.iter();
        groups.any(|skip| step.is_in(&skip.text)) || step.is_in("cleanup")
    };
    for step in guide
        .steps
        .iter()
        .filter(|step| !step.has_commands() && !is_left_out(step))
    {
        for (name, values) in &step.when {
            let offered = guide.variable(name).and_then(|variable| variable.values.as_ref());
            let empty: Vec<&str> = values
                .iter()
                .filter(|value| offered.is_none_or(|offered| offered.contains(value)))
                .filter(|value| {
                    let set = BTreeMap::from([(name.clone(), (*value).clone())]);
                    let values = guide.values(&set);
                    let counts = |other: &&DeclaredStep| {
                        other.path == step.path && !other.when.is_empty() && other.counts(&values)
                    };
                    step.counts(&values) && !guide.steps.iter().filter(counts).any(DeclaredStep::has_commands)
                })
                .map(String::as_str)
                .collect();
            if empty.is_empty() {
                continue;
            }
            let message = format!("`{}` does nothing for {name}={}", step.path.join("."), empty.join(", "));
            findings
                .add(&CHOICE_EMPTY, Place::line(file.as_str(), step.line), message)
                .because("the steps that count for this choice hold comments alone")
                .way_out("write the commands, or take the value out of what the guide offers");
        }
    }
}

/// The page beside the guide, rendered from it: lines between its marks that one of both does not have.
fn page(examined: &Examined<'_>, findings: &mut Findings, file: &RepoPath, guide: &Declared) {
    let Some(page) = file.parent().and_then(|directory| directory.join("README.md").ok()) else {
        return;
    };
    let Some(text) = examined.files.text(examined.release, page.as_str()) else {
        return;
    };
    let mut open: Option<Marked<'_>> = None;
    for (number, row) in (1..).zip(text.lines()) {
        let mark = row
            .trim()
            .strip_prefix("<!-- guide:")
            .and_then(|rest| rest.strip_suffix("-->"));
        match (mark.map(str::trim), &mut open) {
            (Some(mark), _) if mark.ends_with(" start") => {
                open = Some(Marked {
                    path: mark.trim_end_matches(" start"),
                    begin: number,
                    rows: Vec::new(),
                });
            }
            (Some(mark), _) if mark.ends_with(" end") => {
                if let Some(marked) = open.take() {
                    compare(findings, &page, &marked, (file, &rendered(guide, marked.path)));
                }
            }
            (_, Some(marked)) if is_content(row) => marked.rows.push((number, row.trim_end())),
            _ => {}
        }
    }
}

/// What stands between two marks of a page.
struct Marked<'a> {
    /// The path of the guide that it is rendered from.
    path: &'a str,
    /// The line of the first mark.
    begin: u32,
    /// Its lines of shell, each with its number.
    rows: Vec<(u32, &'a str)>,
}

/// Whether a line between marks is one that a shell reads.
fn is_content(row: &str) -> bool {
    let row = row.trim();
    !row.is_empty() && !row.starts_with("```") && !row.starts_with("<!--")
}

/// The lines that a path of the guide is rendered as, each with its line in the guide.
fn rendered(guide: &Declared, path: &str) -> Vec<(u32, String)> {
    match path {
        "env.static" => {
            let line = |variable: &DeclaredVariable| {
                let options = variable
                    .values
                    .as_ref()
                    .map(|values| format!(" # options: {}", values.join(", ")));
                let text = format!(
                    "export {}={}{}",
                    variable.name,
                    variable.value,
                    options.unwrap_or_default()
                );
                (variable.line, text.trim_end().to_owned())
            };
            guide.variables.iter().map(line).collect()
        }
        "env.source" => guide
            .sources
            .iter()
            .map(|(script, line)| (*line, format!("source {script}")))
            .collect(),
        path => {
            let mut rows = Vec::new();
            for step in guide.steps.iter().filter(|step| step.is_in(path)) {
                if !step.when.is_empty() {
                    let conditions = step
                        .when
                        .iter()
                        .map(|(name, values)| format!("{name}={}", values.join(" or ")));
                    let conditions: Vec<String> = conditions.collect();
                    rows.push((step.line, format!("# only when {}:", conditions.join(" and "))));
                }
                let lines = step.run.lines().zip(step.line..);
                let lines = lines.filter(|(row, _)| !row.trim().is_empty());
                rows.extend(lines.map(|(row, line)| (line, row.trim_end().to_owned())));
            }
            rows
        }
    }
}

/// What of a block of the page the guide does not say, and the reverse; lines that set the same variable are one difference.
fn compare(
    findings: &mut Findings,
    page: &RepoPath,
    marked: &Marked<'_>,
    (file, wanted): (&RepoPath, &[(u32, String)]),
) {
    // A path that is not the guide's, such as `steps[1]`, is not compared.
    if wanted.is_empty() {
        return;
    }
    let sets = |row: &str| {
        row.trim()
            .strip_prefix("export ")
            .and_then(|rest| rest.split_once('='))
            .map(|(name, _)| name.to_owned())
    };
    let mut lacking: Vec<&(u32, String)> = wanted
        .iter()
        .filter(|(_, row)| !marked.rows.iter().any(|(_, own)| own.trim() == row.trim()))
        .collect();
    for (number, row) in marked
        .rows
        .iter()
        .filter(|(_, own)| !wanted.iter().any(|(_, row)| own.trim() == row.trim()))
    {
        let pair = lacking
            .iter()
            .position(|(_, other)| sets(row).is_some() && sets(other) == sets(row));
        let other = pair.map(|pair| lacking.remove(pair));
        let message = match other {
            Some((line, other)) => format!("`{}` stands here, and `{other}` in `{file}`:{line}", row.trim()),
            None => format!("`{}` stands here, and not in `{file}`", row.trim()),
        };
        findings
            .add(&PAGE_DIFFERS, Place::line(page.as_str(), *number), message)
            .way_out("render the page again");
    }
    for (line, row) in lacking {
        let message = format!("`{row}` of `{file}`:{line} does not stand here");
        findings
            .add(&PAGE_DIFFERS, Place::line(page.as_str(), marked.begin), message)
            .way_out("render the page again");
    }
}
