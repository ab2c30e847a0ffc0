//! What can be known of a release without a cluster: rules over its files and over the plans of every combination of
//! variant and provider that its guide offers.
//!
//! A rule never guesses. What it cannot decide it says so, and what it does not say is not proven. Nothing here runs a
//! program or touches the network: charts are rendered beforehand, by whoever calls, and handed in.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    manifest::Object,
    plan::{Offer, Plan, PlanError},
    release::{Layout, Release, RepoPath},
};

/// How bad a finding is. From the mildest to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Untidy, and without consequence for a reader.
    Hygiene,
    /// Unpinned or inconsistent: two readers may get different things.
    Drift,
    /// Something documented does not work, and the quickstart does all the same.
    Degraded,
    /// The documented step works until something floating moves.
    BreakLater,
    /// The documented step fails for someone today.
    Break,
}

impl Severity {
    /// Its name in output and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hygiene => "hygiene",
            Self::Drift => "drift",
            Self::Degraded => "degraded",
            Self::BreakLater => "break-later",
            Self::Break => "break",
        }
    }
}

/// One thing that a rule looks for.
pub struct Rule {
    /// The stable code, such as `route-backend-unknown`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong where it is found, and for whom, in one or a few sentences.
    pub about: &'static str,
    /// Files of a small release in which it is found.
    pub bad: &'static [(&'static str, &'static str)],
    /// The same files put right.
    pub good: &'static [(&'static str, &'static str)],
    /// Looks for it.
    pub look: fn(&Examined<'_>, &mut Findings),
}

/// Where something was found: a file of the tree, a line, and where it is known a column, both counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column, or `None` for the line as a whole.
    pub column: Option<u32>,
}

/// Something that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The rule's code.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What it was compared with, and other facts that prove it.
    pub why: Vec<String>,
    /// What to do.
    pub way_out: String,
    /// The variant it holds for; `None` where it holds for each.
    pub variant: Option<String>,
    /// The provider it holds for; `None` where it holds for each.
    pub provider: Option<String>,
}

/// Something that a rule could not decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    /// The rule's code.
    pub code: &'static str,
    /// What was not decided, and what would be needed.
    pub why: String,
}

/// What rules found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// What could not be decided.
    pub undecided: Vec<Undecided>,
}

/// Objects of charts that were rendered beforehand, by [`ChartUse`]; a chart that is not here was not rendered.
pub type Rendered = BTreeMap<ChartUse, Result<Arc<[Object]>, String>>;

/// A chart with the values it is installed with; what `helm template` is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChartUse {
    /// The chart's directory in the tree.
    pub directory: RepoPath,
    /// The helm release's name.
    pub release: String,
    /// Its version.
    pub version: Option<String>,
    /// Values of `--set`, in order.
    pub set: Vec<String>,
    /// The namespace, where one is named.
    pub namespace: Option<String>,
}

/// The plan of one combination of variant and provider.
#[derive(Debug)]
pub struct Combination {
    /// Which.
    pub offer: Offer,
    /// Its plan, or why none can be drawn.
    pub plan: Result<Plan, PlanError>,
}

/// What rules look at.
#[derive(Debug)]
pub struct Examined<'a> {
    /// The release.
    pub release: &'a Release,
    /// Its layout.
    pub layout: &'a Layout,
    /// The plan of every combination that the guide offers.
    pub combinations: Vec<Combination>,
    /// Charts that were rendered.
    pub rendered: &'a Rendered,
}
