//! What can be known of a release without a cluster: rules over its files and over the plans of every combination of
//! variant and provider that its guide offers.
//!
//! A rule never guesses. What it cannot decide it says so, and what it does not say is not proven. Nothing here runs a
//! program or touches the network: charts are rendered beforehand, by whoever calls, and handed in.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use crate::{
    guide::GuideBook,
    manifest::Object,
    plan::{Action, Chart, Offer, Plan, PlanError},
    release::{Layout, Release, RepoPath},
};

#[macro_use]
mod rule;

mod admission;
mod caret;
mod charts;
mod containers;
mod crds;
mod declared;
mod examine;
mod files;
mod finding;
mod git;
mod github;
mod guide;
mod images;
mod json;
mod kustomizations;
mod models;
mod named_paths;
mod objects;
mod order;
mod pages;
mod pattern;
mod planned_objects;
mod pods;
mod reader;
mod references;
mod sarif;
mod server;
mod shell;
mod suppress;
mod templates;

pub(crate) use charts::rendered;
pub use examine::{draw, examine};
pub(crate) use examine::{draw_built, unbuilt};
pub(crate) use files::{ChartFiles, Files};
pub use finding::Diagnostic;
pub(crate) use finding::{Findings, Place, Undecided};
pub(crate) use github::{Annotation, annotations};
pub(crate) use json::json;
pub use rule::{Change, Examples, Family, Rule, Severity};
pub(crate) use sarif::sarif;
pub(crate) use server::{Applied, DryRun, applied};
pub(crate) use suppress::{Suppressed, Suppressions};

/// Every family of rules: one line each.
pub static FAMILIES: &[Family] = &[
    guide::FAMILY,
    charts::FAMILY,
    references::FAMILY,
    shell::FAMILY,
    objects::FAMILY,
    models::FAMILY,
    order::FAMILY,
    admission::FAMILY,
    images::FAMILY,
    crds::FAMILY,
    git::FAMILY,
    kustomizations::FAMILY,
    declared::FAMILY,
];

/// Objects of charts that were rendered beforehand, by [`ChartUse`], or why one could not be; a chart that is not here
/// was not rendered. The file of an object is that of its template.
pub type Rendered = BTreeMap<ChartUse, Result<Arc<[Object]>, NotRendered>>;

/// Why a chart could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRendered {
    /// It is the chart's fault: helm, or a reader of what helm printed, says what is wrong with it.
    #[error("{0}")]
    Fails(String),
    /// Something else stood in the way, such as a registry that did not answer.
    #[error("{0}")]
    NotTried(String),
}

/// A chart with the values it is installed with; what `helm template` is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChartUse {
    /// The chart's directory in the tree.
    pub(crate) directory: RepoPath,
    /// The helm release's name.
    pub(crate) release: String,
    /// Its version.
    pub(crate) version: Option<String>,
    /// Files of values, in order.
    pub(crate) values: Vec<RepoPath>,
    /// Values of `--set`, in order.
    pub(crate) set: Vec<String>,
    /// The namespace, where one is named.
    pub(crate) namespace: Option<String>,
}

/// The plan of one combination of variant and provider.
#[derive(Debug)]
pub struct Combination {
    /// Which.
    pub(crate) offer: Offer,
    /// Its plan, or why none can be drawn.
    pub plan: Result<Plan, PlanError>,
}

impl ChartUse {
    /// What a step installs, where that is a chart of the tree.
    pub(crate) fn of(action: &Action) -> Option<Self> {
        let Action::Helm {
            release,
            chart: Chart::Tree { directory },
            version,
            values,
            set,
            namespace,
            ..
        } = action
        else {
            return None;
        };
        Some(Self {
            directory: directory.parse().ok()?,
            release: release.clone(),
            version: version.clone(),
            values: values.clone(),
            set: set.clone(),
            namespace: namespace.clone(),
        })
    }
}

impl Combination {
    /// The charts of the tree that its plan installs, in order.
    pub(crate) fn charts(&self) -> Vec<ChartUse> {
        let steps = self.plan.iter().flat_map(|plan| &plan.steps);
        steps.filter_map(|step| ChartUse::of(&step.action)).collect()
    }
}

/// Everything that the rules of lint look at.
#[derive(Debug)]
pub(crate) struct Examined<'a> {
    /// The release.
    pub(crate) release: &'a Release,
    /// Its layout.
    pub(crate) layout: &'a Layout,
    /// The plan of every combination that the guide offers.
    pub(crate) combinations: &'a [Combination],
    /// Charts that were rendered.
    pub(crate) rendered: &'a Rendered,
    /// The files of the release.
    pub(crate) files: Files,
    /// What a reader of each combination types.
    readers: Vec<reader::Reader>,
    /// The pages of other guides, with all their commands.
    pages: Vec<pages::Page>,
    /// The release's own guide with all its tabs; `None` where it has none that can be read.
    book: Option<GuideBook>,
    /// The kinds that each chart may make, by its directory; see [`Examined::kinds_of_chart`].
    kinds_of_charts: Mutex<BTreeMap<String, Option<Arc<BTreeSet<String>>>>>,
}

impl Examined<'_> {
    /// Where a field of an object stands, by JSON pointer; see [`Files::place`].
    pub(crate) fn place(&self, object: &Object, pointer: &str) -> Place {
        self.files.place(self.release, object, pointer)
    }
}

/// The rule of a code.
pub fn rule(code: &str) -> Option<&'static Rule> {
    known_rules().find(|rule| rule.code == code)
}

/// Every rule there is: those of the families, what nobody looked at, what an API server says, and those about suppressions.
pub(crate) fn known_rules() -> impl Iterator<Item = &'static Rule> {
    rules().chain([
        &guide::NOT_UNDERSTOOD,
        &guide::TAB_UNKNOWN,
        &server::REFUSED,
        &suppress::UNUSED,
    ])
}

/// Every rule, family by family.
pub(crate) fn rules() -> impl Iterator<Item = &'static Rule> {
    FAMILIES.iter().flat_map(|family| family.rules).copied()
}

#[cfg(test)]
mod tests;
