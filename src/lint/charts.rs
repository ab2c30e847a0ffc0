//! Charts: their versions, whether they can be rendered, and what `helm template` printed, as objects that know their
//! templates.

use std::{collections::BTreeSet, sync::Arc};

use super::{ChartUse, Combination, Examined, Family, Findings, NotRendered, Place};
use crate::{
    manifest::{self, ManifestError, Object},
    release::RepoPath,
};

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "charts",
    rules: ALL,
    look,
};

rules! {
    /// A chart of the release cannot be rendered with the values that the guide installs it with, or what is rendered
    /// is no YAML: `helm install` fails.
    Break RENDER = "chart-render-fails";

    /// A chart's version or appVersion in the tree is not the release's tag. Upstream sets both when it publishes a
    /// chart and keeps `0.0.0` in the tree, which is suppressed.
    Drift VERSION = "chart-version-other";
}

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    versions(examined, findings);
    let uses: BTreeSet<ChartUse> = examined.combinations.iter().flat_map(Combination::charts).collect();
    let mut missing = BTreeSet::new();
    for chart in uses {
        let place = || Place::line(format!("{}/Chart.yaml", chart.directory), 1);
        match examined.rendered.get(&chart) {
            Some(Ok(_)) => {}
            Some(Err(NotRendered::Fails(why))) => {
                let offers = examined.combinations.iter().filter(|one| one.charts().contains(&chart));
                for combination in offers {
                    let message = format!("`{}` cannot be rendered as the guide installs it", chart.directory);
                    findings
                        .add(&RENDER, place(), message)
                        .because(why.as_str())
                        .because(format!("values: {}", chart.set.join(", ")))
                        .only_for(&combination.offer);
                }
            }
            Some(Err(NotRendered::NotTried(why))) => {
                findings.undecided(
                    &RENDER,
                    place(),
                    format!("`{}` was not rendered: {why}", chart.directory),
                );
            }
            None => {
                missing.insert(chart.directory.to_string());
            }
        }
    }
    if !missing.is_empty() {
        let charts = missing.into_iter().collect::<Vec<_>>().join(", ");
        findings.undecided(
            &RENDER,
            None,
            format!("{charts}: not rendered, so no rule saw the objects; leave `--no-helm` out"),
        );
    }
}

fn versions(examined: &Examined<'_>, findings: &mut Findings) {
    let Some(tag) = examined.release.tag.as_ref().map(ToString::to_string) else {
        return;
    };
    for chart in &examined.files.charts {
        let file = format!("{}/Chart.yaml", chart.directory);
        for field in ["version", "appVersion"] {
            let Some(said) = chart.chart[field].as_str() else {
                continue;
            };
            if said.trim_start_matches('v') == tag.trim_start_matches('v') {
                continue;
            }
            let place = examined.files.place_in(examined.release, &file, &format!("/{field}"));
            let message = format!("the {field} of `{}` is `{said}`", chart.directory);
            findings
                .add(&VERSION, place, message)
                .because(format!("the release is {tag}"));
        }
    }
}

/// Reads what `helm template` printed of the chart in `directory`; the file of each object is its template, as the
/// `# Source:` comment above it says, and its line the first.
///
/// # Errors
/// It is no manifest, which is a fault of the chart.
pub(crate) fn rendered(directory: &RepoPath, text: &str) -> Result<Arc<[Object]>, ManifestError> {
    let mut objects = manifest::read(&format!("{directory} (rendered)"), text.as_bytes())?;
    let sources: Vec<(u32, &str)> = (1..)
        .zip(text.lines())
        .filter_map(|(line, row)| Some((line, row.strip_prefix("# Source: ")?)))
        .collect();
    for object in &mut objects {
        let source = sources.iter().rev().find(|(line, _)| *line <= object.line);
        // The first part of a source is the chart's name, which stands for its directory.
        if let Some((_, below)) = source.and_then(|(_, source)| source.trim().split_once('/')) {
            object.file = format!("{directory}/{below}");
            object.line = 1;
        }
    }
    Ok(objects.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_a_chart_know_their_templates() {
        let text = "---\n# Source: pool/templates/a.yaml\napiVersion: v1\nkind: A\nmetadata: {name: a}\n---\n# Source: pool/templates/b.yaml\n\napiVersion: v1\nkind: B\nmetadata: {name: b}\n---\napiVersion: v1\nkind: C\nmetadata: {name: c}\n";
        let objects = rendered(&"config/charts/pool".parse().unwrap(), text).unwrap();
        let files: Vec<_> = objects
            .iter()
            .map(|object| (object.file.as_str(), object.line))
            .collect();
        assert_eq!(
            files,
            [
                ("config/charts/pool/templates/a.yaml", 1),
                ("config/charts/pool/templates/b.yaml", 1),
                ("config/charts/pool/templates/b.yaml", 1)
            ]
        );
        assert!(rendered(&"c".parse().unwrap(), "a: [").is_err());
    }
}
