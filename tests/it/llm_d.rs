//! Releases of llm-d as they are stored beside this repository: what is wrong in them, and what of their guides is read.

use std::{collections::BTreeSet, path::PathBuf};

use quickproof::{
    lint::{self, Rendered, Severity},
    plan::{self, Action, Options},
    release::Release,
};
use rstest::rstest;

use crate::upstream;

const LLM_D: &str = "llm-d";

/// The tree of a directory beside us, read as a tag.
fn opened(directory: &str, tag: Option<&str>) -> Option<Release> {
    let tree: PathBuf = upstream::tree(LLM_D, directory)?;
    Some(crate::open(&tree, tag).unwrap())
}

/// What breaks, each proven by a line of the tree. Kustomizations are not built here, so what only their objects tell is not among
/// it.
#[rstest]
#[case::v0_3("v0.3.1", None, &[])]
#[case::v0_4("v0.4.0", None, &[])]
#[case::v0_5("v0.5.1", None, &[])]
#[case::v0_6("v0.6", Some("v0.6.0"), &[])]
#[case::v0_7("v0.7.0-rc", None, &[])]
#[case::v0_8("v0.8.0-rc", None, &[
    "kustomization-missing docs/getting-started/quickstart.md",
    "kustomization-missing guides/optimized-baseline/README.md",
    "kustomization-reference-missing guides/optimized-baseline/modelserver/gpu/vllm/gpt-oss/kustomization.yaml",
])]
#[case::v0_9("e3dbeca1", Some("v0.9.0"), &[
    "kustomization-missing guides/predicted-latency-routing/README.md",
    "variable-not-set guides/optimized-baseline/guide.yaml",
])]
#[case::of_a_branch("d557f83e", None, &["variable-not-set guides/optimized-baseline/guide.yaml"])]
fn what_breaks_in_stored_releases_is_found(
    #[case] directory: &str,
    #[case] tag: Option<&str>,
    #[case] wanted: &[&str],
) {
    let Some(release) = opened(directory, tag) else { return };
    let layout = release.layout(None).unwrap();
    let combinations = lint::draw(&release, &layout).unwrap();
    let found = lint::examine(&release, &layout, &combinations, &Rendered::new());
    let breaks = found.diagnostics.iter().filter(|one| one.severity == Severity::Break);
    let seen: BTreeSet<String> = breaks.map(|one| format!("{} {}", one.code, one.place.file)).collect();
    let wanted: BTreeSet<String> = wanted.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(seen, wanted);
}

/// Every combination of every tree has a plan, and what is not read of it is a step that says so: the second number, over all
/// combinations. Pages of the helmfile form print what a reader should see among commands, and each line of that is one.
#[rstest]
#[case::v0_3("v0.3.1", None, (6, 132))]
#[case::v0_4("v0.4.0", None, (6, 132))]
#[case::v0_5("v0.5.1", None, (6, 183))]
#[case::v0_6("v0.6", Some("v0.6.0"), (6, 180))]
#[case::v0_7("v0.7.0-rc", None, (28, 0))]
#[case::v0_8("v0.8.0-rc", None, (40, 0))]
#[case::v0_9("e3dbeca1", Some("v0.9.0"), (40, 0))]
#[case::of_a_branch("d557f83e", None, (40, 50))]
fn every_choice_of_every_tree_has_a_plan(
    #[case] directory: &str,
    #[case] tag: Option<&str>,
    #[case] wanted: (usize, usize),
) {
    let Some(release) = opened(directory, tag) else { return };
    let layout = release.layout(None).unwrap();
    let plans = plan::draw_all(&release, &layout, &Options::default()).unwrap();
    let steps = plans.iter().flat_map(|(_, plan)| &plan.as_ref().unwrap().steps);
    let not_read = steps.filter(|step| matches!(step.action, Action::Unsupported { .. }) && step.known.is_none());
    assert_eq!((plans.len(), not_read.count()), wanted);
}
