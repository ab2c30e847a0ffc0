//! Charts that commands install: their versions, and the values that are set in them.

use std::sync::Arc;

use super::{
    at_most,
    rules::{CHART_EPP_FOREIGN, CHART_MISSING, CHART_OTHER_RELEASE, CHART_UNPINNED, CHART_VALUE_UNKNOWN},
};
use crate::{
    guide::Argument,
    lint::{ChartFiles, Examined, caret::ReaderChecker, reader::ReaderCommand},
    manifest::Object,
    plan::own_chart,
    record::Provenance,
    release::Tag,
};

/// A `helm install` or `helm upgrade`.
struct Install {
    reference: String,
    version: Option<Argument>,
    set: Vec<String>,
}

pub(super) fn check(checker: &mut ReaderChecker<'_, '_>, command: &ReaderCommand) {
    let Some(install) = install(command) else {
        return;
    };
    let (examined, at, reference) = (checker.examined, &command.program.at, &install.reference);
    let Some(name) = own_chart(reference, &examined.layout.charts) else {
        if reference.contains("://") {
            foreign(checker, command, &install);
        }
        return;
    };
    let directory = format!("config/charts/{name}");
    let charts = &examined.files.charts;
    let Some(chart) = charts.iter().find(|chart| chart.directory.as_str() == directory) else {
        if charts.is_empty() {
            let why = format!("the tree has no charts, so whether the release has `{name}` is not known");
            checker.undecided(&CHART_MISSING, at, reference, why);
            return;
        }
        let known: Vec<String> = charts.iter().map(|chart| format!("`{}`", chart.directory)).collect();
        let message = format!("the release has no chart `{name}`");
        checker
            .add(&CHART_MISSING, at, reference, message)
            .because(format!("it has {}", known.join(", ")))
            .way_out("install a chart that the release has")
            .at_most(at_most(command.role));
        return;
    };
    match install.version.as_ref().map(Argument::known) {
        None => {
            let message = format!("the chart `{name}` is installed in whichever version is the newest");
            checker
                .add(&CHART_UNPINNED, at, reference, message)
                .way_out("add `--version` with the release's tag");
        }
        Some(Some(version)) => of_version(checker, at, name, &version),
        Some(None) => {}
    }
    for set in &install.set {
        value(checker, at, chart, set);
    }
}

fn install(command: &ReaderCommand) -> Option<Install> {
    if command.program.name != "helm" {
        return None;
    }
    let arguments = command.program.arguments().ok()?;
    let [verb, _, .., reference] = arguments.positional.as_slice() else {
        return None;
    };
    (verb.is("install") || verb.is("upgrade")).then(|| Install {
        reference: reference.shown(),
        version: arguments.last("--version").cloned(),
        set: arguments
            .values("--set")
            .chain(arguments.values("--set-string"))
            .map(Argument::shown)
            .collect(),
    })
}

/// A chart of another project.
fn foreign(checker: &mut ReaderChecker<'_, '_>, command: &ReaderCommand, install: &Install) {
    let name = install.reference.rsplit('/').next().unwrap_or_default();
    let version = install.version.as_ref().map(Argument::known);
    let (message, way_out) = match version {
        None => (
            format!("the chart `{name}` is installed in whichever version is the newest"),
            "add `--version` with a version that was tried with this release",
        ),
        Some(Some(version)) if is_moving(&version) => (
            format!("the chart `{name}` is installed as `{version}`, which is built anew from a branch"),
            "name a version that was published once and for all, and tried with this release",
        ),
        Some(_) => return,
    };
    checker
        .add(&CHART_UNPINNED, &command.program.at, &install.reference, message)
        .way_out(way_out);
}

/// Whether a version names a branch and not a build.
fn is_moving(version: &str) -> bool {
    let last = version.rsplit(['-', '.']).next().unwrap_or_default();
    matches!(last, "main" | "master" | "latest" | "nightly" | "dev" | "snapshot")
}

/// The version of a chart of this project.
fn of_version(checker: &mut ReaderChecker<'_, '_>, at: &Provenance, name: &str, version: &str) {
    let Ok(other) = version.parse::<Tag>() else {
        if is_moving(version) || version.len() < 4 {
            let message = format!("the chart `{name}` is installed as `{version}`, which moves");
            checker
                .add(&CHART_UNPINNED, at, version, message)
                .way_out("give the release's tag as `--version`");
        }
        return;
    };
    let Some(own) = checker.examined.release.tag.as_ref().filter(|own| **own != other) else {
        return;
    };
    let examined = checker.examined;
    let crds: Vec<&Object> = examined.published_crds().collect();
    let lacks = examined.release.kinds_lacking_for(&other, examined.layout, &crds);
    if lacks.is_empty() {
        let message = format!("the chart `{name}` of {other} is installed in the guide of {own}");
        checker
            .add(&CHART_OTHER_RELEASE, at, version, message)
            .way_out(format!("install it as {own}"));
        return;
    }
    let message = format!("the endpoint picker of {other} is installed, and it cannot start with the CRDs of {own}");
    checker
        .add(&CHART_EPP_FOREIGN, at, version, message)
        .because(format!("the endpoint picker of {other} watches {}", lacks.join(", ")))
        .because(format!(
            "`config/crd` of {own} has no such kind, so its watch never syncs and it never becomes ready"
        ))
        .way_out(format!("install the chart as {own}"));
}

/// Whether a value that is set is one that the chart reads.
fn value(checker: &mut ReaderChecker<'_, '_>, at: &Provenance, chart: &ChartFiles, set: &str) {
    for one in set.split(',') {
        let Some((path, _)) = one
            .split_once('=')
            .filter(|(path, _)| !path.contains(['\\', '[', '$', '{']))
        else {
            continue;
        };
        let parts: Vec<&str> = path.split('.').collect();
        let mut known = Some(&*chart.values);
        for part in &parts {
            known = known.and_then(|value| value.get(part));
        }
        if known.is_some_and(|value| !value.is_null()) || is_read(checker.examined, chart, &parts) {
            continue;
        }
        let message = format!("the chart `{}` reads no value `{path}`", name_of(chart));
        checker
            .add(&CHART_VALUE_UNKNOWN, at, path, message)
            .because(format!(
                "neither `{}/values.yaml` nor a template names it, so helm takes it and nothing changes",
                chart.directory
            ))
            .way_out("set a value that the chart reads");
    }
}

fn name_of(chart: &ChartFiles) -> &str {
    chart.chart["name"].as_str().unwrap_or_else(|| chart.directory.as_str())
}

/// Whether a template of the chart, or of a chart that it depends on, reads the value or one around it.
fn is_read(examined: &Examined<'_>, chart: &ChartFiles, parts: &[&str]) -> bool {
    // Without the templates of a chart that is not in the tree it is not known what they read.
    let Some(templates) = examined.templates(chart) else {
        return true;
    };
    // `.Values.a.b` hands everything below it on; the top level alone (`.Values.a`) is no evidence for a path below it.
    let least = parts.len().min(2);
    (least..=parts.len()).any(|length| {
        let wanted = format!(".Values.{}", parts[..length].join("."));
        templates.iter().any(|text| reads(text, &wanted))
    }) || reads_by_index(&templates, parts)
}

fn reads(text: &str, wanted: &str) -> bool {
    text.match_indices(wanted).any(|(at, _)| {
        let next = text[at + wanted.len()..].chars().next();
        next.is_none_or(|sign| !(sign.is_alphanumeric() || matches!(sign, '_' | '.')))
    })
}

/// `(index .Values "a" "b")`, and a whole section handed on by name.
fn reads_by_index(templates: &[Arc<str>], parts: &[&str]) -> bool {
    let quoted: Vec<String> = parts.iter().take(2).map(|part| format!("\"{part}\"")).collect();
    let indexed = format!(".Values {}", quoted.join(" "));
    let whole = format!(".Values.{}", parts.first().copied().unwrap_or_default());
    templates.iter().any(|text| {
        text.contains(&indexed)
            || text.contains(&format!("with {whole} "))
            || text.contains(&format!("toYaml {whole} "))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("v2.2.0-main", true)]
    #[case("latest", true)]
    #[case("v2.0.4", false)]
    #[case("v2.0.0-rc.2", false)]
    #[case("0.1.0-alpha.1", false)]
    fn a_version_that_names_a_branch_moves(#[case] version: &str, #[case] moves: bool) {
        assert_eq!(is_moving(version), moves);
    }

    #[rstest]
    #[case("{{ .Values.a.b }}", ".Values.a.b", true)]
    #[case("{{ .Values.a.bc }}", ".Values.a.b", false)]
    #[case("{{ .Values.a.b.c }}", ".Values.a.b", false)]
    #[case("range .Values.a.b", ".Values.a.b", true)]
    fn a_template_reads_a_value_by_its_whole_name(#[case] text: &str, #[case] wanted: &str, #[case] does: bool) {
        assert_eq!(reads(text, wanted), does);
    }
}
