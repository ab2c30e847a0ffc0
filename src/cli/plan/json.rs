//! The plan as JSON, for scripts and for `quickproof diff`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::{
    plan::{Action, PickerFacts, Plan, Resources, Step},
    record::{Deviation, Subject},
    verdict::{Finding, Weight},
};

/// The version of this form; raised when a field changes its meaning or goes away.
pub(crate) const PLAN_VERSION: u32 = 1;

/// A plan.
#[derive(Debug, Serialize)]
pub(crate) struct PlanView {
    /// [`PLAN_VERSION`].
    plan_version: u32,
    /// What is tested.
    subject: Subject,
    /// The steps, in order.
    steps: Vec<StepView>,
    /// The guide's cleanup, read and never carried out.
    cleanup: Vec<StepView>,
    /// Every deviation from the letter of the guide.
    ledger: Vec<Deviation>,
    /// Images that are known without rendering a chart, sorted by name.
    images: Vec<ImageView>,
    /// Charts, in the order they are installed.
    charts: Vec<ChartView>,
    /// What all steps ask of the cluster together, as far as it is known.
    resources: Resources,
    /// Numbers of the steps that ask for something unknown, from 1.
    resources_unknown_for: Vec<usize>,
    /// CRDs that are had before the run.
    schemas: Vec<SchemaView>,
    /// What must be fetched before the plan is whole.
    wanted: Vec<String>,
    /// What the endpoint picker of this release is like, or null.
    endpoint_picker: Option<PickerFacts>,
}

/// A step.
#[derive(Debug, Serialize)]
struct StepView {
    /// Its number, from 1.
    number: usize,
    /// The name of its check; empty for what no check decides.
    check: String,
    /// File of the guide.
    file: String,
    /// Line in it, from 1.
    line: u32,
    /// The heading above it.
    section: String,
    /// The command as written.
    command: String,
    /// What it does, in one word.
    action: &'static str,
    /// What it acts on; fields depend on `action`.
    details: BTreeMap<&'static str, Value>,
    /// What is true when it holds.
    sentence: String,
    /// Whether its failure decides the verdict.
    decides: bool,
    /// What is known of it without running it, or null.
    known: Option<Finding>,
    /// What it asks of the cluster; null where that is not known.
    resources: Option<Resources>,
}

/// An image and how firmly it is named.
#[derive(Debug, Serialize)]
struct ImageView {
    image: String,
    pin: Pin,
}

/// How firmly an image or a chart is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Pin {
    /// By content.
    Digest,
    /// By a tag or version, which a registry may move.
    Tag,
    /// By nothing, or by a tag that is made to move (`latest`).
    None,
}

/// A chart.
#[derive(Debug, Serialize)]
struct ChartView {
    /// The helm release it is installed as.
    release: String,
    /// Its directory in the tree, or its `oci://` reference.
    chart: String,
    /// Its version, or null for the newest.
    version: Option<String>,
    pin: Pin,
}

/// CRDs of a Go module.
#[derive(Debug, Serialize)]
struct SchemaView {
    module: String,
    version: String,
    folder: String,
}

impl PlanView {
    /// The view of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let (sum, _) = plan.asks_for();
        let numbered = (1..).zip(&plan.steps);
        Self {
            plan_version: PLAN_VERSION,
            subject: plan.subject.clone(),
            steps: (1..)
                .zip(&plan.steps)
                .map(|(number, step)| view(number, step))
                .collect(),
            cleanup: (1..)
                .zip(&plan.cleanup)
                .map(|(number, step)| view(number, step))
                .collect(),
            ledger: plan.ledger.clone(),
            images: plan
                .images()
                .into_iter()
                .map(|image| ImageView {
                    image: image.to_owned(),
                    pin: pin(image),
                })
                .collect(),
            charts: plan.steps.iter().filter_map(chart).collect(),
            resources: sum,
            resources_unknown_for: numbered
                .filter(|(_, step)| step.resources.is_none())
                .map(|(number, _)| number)
                .collect(),
            schemas: plan
                .schemas
                .iter()
                .map(|schema| SchemaView {
                    module: schema.module.clone(),
                    version: schema.version.clone(),
                    folder: schema.folder.clone(),
                })
                .collect(),
            wanted: plan.wanted.iter().map(ToString::to_string).collect(),
            endpoint_picker: plan.picker.clone(),
        }
    }
}

fn view(number: usize, step: &Step) -> StepView {
    StepView {
        number,
        check: step.check.clone(),
        file: step.from.file.clone(),
        line: step.from.line,
        section: step.from.section.clone(),
        command: step.command.clone(),
        action: step.action.facts().verb,
        details: step.action.details(),
        sentence: step.sentence.clone(),
        decides: step.weight == Weight::Gate,
        known: step.known.clone(),
        resources: step.resources,
    }
}

fn chart(step: &Step) -> Option<ChartView> {
    let Action::Helm {
        release,
        chart,
        version,
        ..
    } = &step.action
    else {
        return None;
    };
    Some(ChartView {
        release: release.clone(),
        chart: chart.to_string(),
        version: version.clone(),
        pin: if version.is_some() { Pin::Tag } else { Pin::None },
    })
}

fn pin(image: &str) -> Pin {
    let last = image.rsplit('/').next().unwrap_or(image);
    match last.split_once(':') {
        _ if last.contains('@') => Pin::Digest,
        Some((_, tag)) if tag != "latest" => Pin::Tag,
        _ => Pin::None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("r.example:5000/a/b", Pin::None)]
    #[case("a:latest", Pin::None)]
    #[case("r.example:5000/a/b:v1", Pin::Tag)]
    #[case("a/b:v1@sha256:00", Pin::Digest)]
    fn an_image_is_pinned_by_what_its_last_part_says(#[case] image: &str, #[case] wanted: Pin) {
        assert_eq!(pin(image), wanted);
    }
}
