//! `helm` commands.

use super::{
    Action, Chart, Phase, change,
    planner::{Invocation, NotPlanned, Planned, Planner, texts},
    reference, source,
};
use crate::{guide::Arguments, record::DeviationKind, release::RepoPath};

/// Flags that are carried out. Dependencies are always brought up to date, and readiness is waited for by watching.
pub(super) const CARRIED_OUT: &[&str] = &[
    "-f",
    "--set",
    "--version",
    "-n",
    "-i",
    "--dependency-update",
    "--wait",
    "--create-namespace",
    "--ignore-not-found",
];

impl Planner<'_> {
    pub(super) fn helm(&mut self, run: &Invocation<'_>) -> Result<Planned, NotPlanned> {
        let arguments = Arguments::read("helm", &run.words[1..])?;
        arguments.only(CARRIED_OUT)?;
        let positional = texts(&arguments.positional)?;
        let positional: Vec<&str> = positional.iter().map(String::as_str).collect();
        let (release, reference) = match positional.as_slice() {
            ["install", release, reference] => (*release, *reference),
            ["upgrade", release, reference] if arguments.has("-i") => (*release, *reference),
            ["uninstall" | "delete", release] => {
                return Ok(Planned::new(
                    format!("helm release {release} is gone"),
                    Action::HelmUninstall {
                        release: (*release).to_owned(),
                        namespace: arguments.text("-n")?,
                        absent: change::absent(&arguments),
                    },
                ));
            }
            _ => {
                return Err(NotPlanned::Unsupported(format!(
                    "`helm {}` is not known",
                    positional.join(" ")
                )));
            }
        };
        let version = arguments.text("--version")?;
        let set = texts(arguments.values("--set"))?;
        let values = texts(arguments.values("-f"))?;
        // helm takes several files joined by commas.
        let values = values.iter().flat_map(|files| files.split(','));
        let values = values.map(|file| self.file(file)).collect::<Result<Vec<_>, _>>()?;
        let (chart, version) = self.chart(run, reference, version)?;
        let is_own = reference::own_chart(reference, &self.layout.charts).is_some();
        let set = match &chart {
            Chart::Published { .. } if !is_own => set,
            chart => self.overridden(run, chart, set),
        };
        let name = reference.trim_end_matches('/').rsplit('/').next().unwrap_or(reference);
        Ok(Planned::new(
            format!("chart {name} is installed as {release}"),
            Action::Helm {
                release: release.to_owned(),
                chart,
                version,
                values,
                set,
                namespace: arguments.text("-n")?,
                makes_namespace: arguments.has("--create-namespace"),
            },
        ))
    }

    fn chart(
        &mut self,
        run: &Invocation<'_>,
        reference: &str,
        version: Option<String>,
    ) -> Result<(Chart, Option<String>), NotPlanned> {
        let tag = self.release.tag.as_ref().map(ToString::to_string);
        let directory = match reference::own_chart(reference, &self.layout.charts) {
            Some(chart) => {
                let at = version.as_deref().unwrap_or("latest");
                let named = format!("{reference}:{at}");
                self.has_their_kinds(at, &named)?;
                self.of_this_release(at, &named)?;
                if self.options.phase == Phase::AfterPublish {
                    let reference = reference.to_owned();
                    return Ok((Chart::Published { reference }, version));
                }
                format!("config/charts/{chart}")
            }
            None if reference.contains("://") => {
                let reference = reference.to_owned();
                return Ok((Chart::Published { reference }, version));
            }
            None => reference.to_owned(),
        };
        let directory = if reference.contains("://") {
            directory.parse().map_err(|_| source::missing(reference))
        } else {
            self.session.path(&directory).map_err(NotPlanned::Unsupported)
        };
        let directory: RepoPath = directory?;
        let is_chart = directory
            .join("Chart.yaml")
            .is_ok_and(|file| self.release.tree.exists(&file));
        if !is_chart {
            return Err(source::missing(reference));
        }
        if reference.contains("://") {
            let what = format!(
                "`{directory}` of the tree is packaged as {}",
                tag.as_deref().unwrap_or_default()
            );
            self.serve(reference, what, version.as_deref().unwrap_or("latest"), run);
        }
        let directory = directory.to_string();
        Ok((Chart::Tree { directory }, tag))
    }

    /// Values, each as for `helm --set`, that publication puts into the tree's charts.
    pub(super) fn at_publication(&self) -> Vec<String> {
        let tag = self.release.tag.as_ref().map(ToString::to_string).unwrap_or_default();
        let values = self.layout.at_publication.iter();
        values.map(|value| value.set.replace("{tag}", &tag)).collect()
    }

    /// The guide's values, then those of the profile, then those of the command line; helm takes the last of each. Values
    /// that publication would put into the tree's chart come first, as if they stood in it.
    fn overridden(&mut self, run: &Invocation<'_>, chart: &Chart, set: Vec<String>) -> Vec<String> {
        let layout = self.layout;
        let at_publication = match chart {
            Chart::Tree { .. } => self.at_publication(),
            Chart::Published { .. } => Vec::new(),
        };
        let mut given = Vec::new();
        for (value_set, value) in at_publication.into_iter().zip(&layout.at_publication) {
            self.deviate(
                DeviationKind::Substituted,
                value_set.split('=').next().unwrap_or_default(),
                format!("`--set {value_set}` is added to the guide's command"),
                value.why.clone(),
                Some(run.at),
            );
            given.push(value_set);
        }
        given.extend(set);
        let mut set = given;
        let profile = self.profile.into_iter().flat_map(|profile| {
            let why = |why: &str| format!("profile {}: {why}", profile.name);
            profile
                .helm
                .iter()
                .map(move |value| (value.set.clone(), why(&value.why)))
        });
        let command_line = self.options.helm_set.iter();
        let overrides: Vec<(String, String)> = profile
            .chain(command_line.map(|value| (value.clone(), "the command line asks for it".to_owned())))
            .collect();
        for (value, why) in overrides {
            self.deviate(
                DeviationKind::Overridden,
                value.split('=').next().unwrap_or_default(),
                format!("`--set {value}` is added to the guide's command"),
                why,
                Some(run.at),
            );
            set.push(value);
        }
        set
    }
}
