//! The rules over trees of real releases, where they are there. What stands here was read in the files, one by one.

use std::path::Path;

use rstest::rstest;

use super::{Rendered, Severity, draw, examine, models, objects, order, references, shell};
use crate::release::Release;

/// Where the trees are, beside the repository.
const TREES: &str = "../shared/upstream/gateway-api-inference-extension";

#[rstest]
#[case("v0.3.0", &[
    "command-object-missing site-src/guides/index.md:168",
    "destination-rule-host-missing config/manifests/gateway/istio/destination-rule.yaml:6",
    "model-not-served site-src/guides/index.md:248",
    "policy-target-missing config/manifests/gateway/gke/healthcheck.yaml:10",
])]
#[case("v0.5.1", &[])]
#[case("v1.0.0", &[
    "chart-picker-lacks-crd site-src/guides/index.md:275",
    "model-not-served site-src/guides/index.md:299",
])]
#[case("v1.2.0", &[
    "guide-file-missing site-src/guides/index.md:194",
    "guide-file-missing site-src/guides/index.md:205",
])]
#[case("v1.5.0", &[
    "downloaded-file-misnamed site-src/guides/index.md:94",
    "variable-in-single-quotes site-src/_includes/test.md:10",
])]
fn what_breaks_in_a_real_release_is_found_and_nothing_else_is_said_to(#[case] tag: &str, #[case] wanted: &[&str]) {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join(TREES).join(tag);
    if !tree.exists() {
        println!("skipped: there is no {}", tree.display());
        return;
    }
    let release = Release::open_tree(&tree, tag.parse().unwrap()).unwrap();
    let layout = release.layout(None).unwrap();
    let combinations = draw(&release, &layout).unwrap();
    let findings = examine(&release, &layout, &combinations, &Rendered::new());
    let families = [
        &references::FAMILY,
        &shell::FAMILY,
        &objects::FAMILY,
        &models::FAMILY,
        &order::FAMILY,
    ];
    let is_ours = |code: &str| {
        families
            .iter()
            .any(|family| family.rules.iter().any(|rule| rule.code == code))
    };
    let mut found: Vec<String> = findings
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Break && is_ours(found.code))
        .map(|found| format!("{} {}:{}", found.code, found.place.file, found.place.line))
        .collect();
    found.sort();
    found.dedup();
    assert_eq!(found, wanted);
}
