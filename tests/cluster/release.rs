//! The real tagged quickstart of v1.5.0, from its files; they are beside the repository, not in it.

use std::path::{Path, PathBuf};

use crate::{
    bench::{OF_SCENARIOS, Ran, beside_others, copied, replace, verify},
    upstream::{self, GIE},
};

/// The files of v1.5.0, or `None` where they are not beside the repository.
fn tree() -> Option<PathBuf> {
    tree_of("v1.5.0")
}

/// The files of a release, or `None` where they are not beside the repository.
pub(crate) fn tree_of(tag: &str) -> Option<PathBuf> {
    upstream::tree(GIE, tag)
}

/// Runs the quickstart of a tree with the simulator.
fn quickstart(tag: &str, tree: &Path, provider: &str) -> Ran {
    verify(&[
        "--tree",
        tree.to_str().unwrap(),
        "--release",
        tag,
        "--variant",
        "sim",
        "--provider",
        provider,
        "--profile",
        "small",
    ])
}

/// Takes the model's name out of the single quotes in which v1.5.0 has it.
pub(crate) fn mend_request(tree: &Path) {
    replace(
        &tree.join("site-src/_includes/test.md"),
        r#""model": "${MODEL_NAME}","#,
        r#""model": "'"${MODEL_NAME}"'","#,
    );
}

/// The request of v1.5.0 is what fails, and nothing else.
#[track_caller]
pub(crate) fn fails_at_the_variable_in_single_quotes(ran: &Ran) {
    ran.expect(1, "failed", Some("shell-variable-in-single-quotes"));
    let broken = ran.broken();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0]["from"]["file"], "site-src/_includes/test.md");
    assert_eq!(broken[0]["from"]["line"], 10);
    assert_eq!(broken[0]["exchange"]["status"], 404);
    assert!(
        broken[0]["exchange"]["body"]
            .as_str()
            .unwrap()
            .contains("${MODEL_NAME}")
    );
    assert!(
        ran.causes().contains(&"tool-flag-removed"),
        "shown, though it decides nothing"
    );
}

/// The prerequisite is degraded, nothing else is found; and the scenarios were performed.
#[track_caller]
pub(crate) fn passes_but_for_the_removed_flag(ran: &Ran) {
    ran.expect(0, "passed", None);
    assert_eq!(ran.causes(), ["tool-flag-removed"]);
    ran.holds(OF_SCENARIOS);
}

#[test]
fn v1_5_0_fails_at_the_variable_in_single_quotes() {
    let _turn = beside_others();
    let Some(tree) = tree() else { return };
    fails_at_the_variable_in_single_quotes(&quickstart("v1.5.0", &tree, "istio"));
}

#[test]
fn v1_5_0_with_its_request_mended_passes() {
    let _turn = beside_others();
    let Some(tree) = tree() else { return };
    let mended = copied(&tree);
    mend_request(mended.path());
    passes_but_for_the_removed_flag(&quickstart("v1.5.0", mended.path(), "istio"));
}

/// It stands in the tree, and the bundle is made without it.
#[test]
fn a_bundle_without_a_crd_is_named_with_what_it_brings() {
    let _turn = beside_others();
    let Some(tree) = tree() else { return };
    let copy = copied(&tree);
    let left_out = "  - bases/inference.networking.x-k8s.io_inferenceobjectives.yaml\n";
    replace(&copy.path().join("config/crd/kustomization.yaml"), left_out, "");
    let ran = quickstart("v1.5.0", copy.path(), "istio");
    ran.expect(1, "failed", Some("object-kind-unknown"));
    let [broken] = ran.broken()[..] else {
        panic!("{:?}", ran.causes())
    };
    let why = broken["finding"]["cause"]["evidence"][0].as_str().unwrap();
    for part in [
        "manifests.yaml` (site-src/guides/index.md:56) brings no CRD of InferenceObjective.",
        "it brings InferenceModelRewrite.",
    ] {
        assert!(why.contains(part), "{why}");
    }
}

/// The provider that has no tab in the guide, and is installed by manifests of ours.
const WITHOUT_TAB: &str = "envoy-ai-gateway";

#[test]
fn v1_5_0_fails_in_the_same_way_on_a_provider_without_a_tab() {
    let _turn = beside_others();
    let Some(tree) = tree() else { return };
    fails_at_the_variable_in_single_quotes(&quickstart("v1.5.0", &tree, WITHOUT_TAB));
}

#[test]
fn v1_5_0_with_its_request_mended_passes_on_a_provider_without_a_tab() {
    let _turn = beside_others();
    let Some(tree) = tree() else { return };
    let mended = copied(&tree);
    mend_request(mended.path());
    let ran = quickstart("v1.5.0", mended.path(), WITHOUT_TAB);
    passes_but_for_the_removed_flag(&ran);
    // Which tab, chart and file were replaced is said.
    for what in [
        "the tab `",
        "quickproof's own manifests",
        "envoyaigateway/gateway.yaml` of the tree",
    ] {
        assert_eq!(ran.substituted(what).len(), 1, "{what}: {}", ran.report["ledger"]);
    }
}

/// What v1.0.0 was shipped with, in the order in which a reader meets it, each mended once it was found.
#[test]
fn v1_0_0_fails_for_one_thing_after_the_other_until_all_are_mended() {
    let _turn = beside_others();
    let Some(tree) = tree_of("v1.0.0") else { return };
    let copy = copied(&tree);
    let guide = copy.path().join("site-src/guides/index.md");
    let route = copy.path().join("config/manifests/gateway/istio/httproute.yaml");
    let extension = (
        "group: inference.networking.x-k8s.io",
        "group: inference.networking.k8s.io",
    );
    let model = (r#""model": "food-review","#, r#""model": "food-review-1","#);
    for (cause, file, (wrong, right)) in [
        (
            "guide-reference-elsewhere",
            &guide,
            ("--version v0.3.0", "--version v1.0.0"),
        ),
        ("route-backend-unresolved", &route, extension),
        ("model-not-served", &guide, model),
    ] {
        let ran = quickstart("v1.0.0", copy.path(), "istio");
        ran.expect(1, "failed", None);
        assert_eq!(ran.causes().first(), Some(&cause), "{:?}", ran.causes());
        replace(file, wrong, right);
    }
    let ran = quickstart("v1.0.0", copy.path(), "istio");
    ran.expect(0, "passed", None);
    assert_eq!(ran.causes(), Vec::<&str>::new());
    ran.holds(OF_SCENARIOS);
}

/// The quickstart of v1.2.0 with the endpoint picker of its tag.
fn v1_2_0(tree: &Path) -> Ran {
    let ran = quickstart("v1.2.0", tree, "istio");
    // It was deployed and it works: what it answers is what this release's own endpoint picker chose.
    ran.holds(&["proof-build-ref"]);
    let what = "is left out of the guide's command";
    let ledger = ran.report["ledger"].as_array().unwrap();
    let settings = ledger
        .iter()
        .filter(|entry| entry["what"].as_str().unwrap().contains(what));
    assert_eq!(
        settings.count(),
        2,
        "the development build of Istio is not had: {ledger:?}"
    );
    ran
}

#[test]
fn v1_2_0_works_and_fails_at_the_page_that_lacks_an_include() {
    let _turn = beside_others();
    let Some(tree) = tree_of("v1.2.0") else { return };
    let ran = v1_2_0(&tree);
    ran.expect(1, "failed", Some("guide-reference-missing"));
    let broken = ran.broken();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0]["from"]["file"], "site-src/guides/index.md");
    assert_eq!(broken[0]["from"]["line"], 15);
    assert_eq!(ran.causes().len(), 1, "{:?}", ran.causes());
}

#[test]
fn v1_2_0_with_its_include_passes() {
    let _turn = beside_others();
    let Some(tree) = tree_of("v1.2.0") else { return };
    let mended = copied(&tree);
    let include = mended.path().join("site-src/_includes/model-server-intro.md");
    std::fs::write(include, "Deploy a model server.\n").unwrap();
    let ran = v1_2_0(mended.path());
    ran.expect(0, "passed", None);
    assert_eq!(ran.causes(), Vec::<&str>::new());
    ran.holds(OF_SCENARIOS);
}

/// The standalone page: the endpoint picker with an Envoy beside it, and no Gateway API.
const STANDALONE: [&str; 6] = ["--release", "v1.5.0", "--layout", "standalone", "--provider", "none"];

#[test]
fn v1_5_0_standalone_fails_at_the_service_that_does_not_exist() {
    let _turn = beside_others();
    let Some(tree) = tree() else { return };
    let ran = verify(&[&STANDALONE[..], &["--tree", tree.to_str().unwrap()]].concat());
    ran.expect(1, "failed", Some("guide-reference-missing"));
    let broken = ran.broken();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0]["from"]["file"], "site-src/guides/standalone.md");
    assert!(
        broken[0]["finding"]["actual"]
            .as_str()
            .unwrap()
            .contains("vllm-qwen3-32b-standalone-epp")
    );
}

#[test]
fn v1_5_0_standalone_with_its_service_named_rightly_passes() {
    let _turn = beside_others();
    let Some(tree) = tree() else { return };
    let mended = copied(&tree);
    let page = mended.path().join("site-src/guides/standalone.md");
    replace(&page, "vllm-qwen3-32b-epp:8081", "vllm-qwen3-32b-standalone-epp:8081");
    let ran = verify(&[&STANDALONE[..], &["--tree", mended.path().to_str().unwrap()]].concat());
    ran.expect(0, "passed", None);
    assert_eq!(ran.causes(), Vec::<&str>::new());
    ran.holds(OF_SCENARIOS);
}
