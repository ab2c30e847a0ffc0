//! A release without a quickstart: CRDs, a light endpoint picker and servers that echo, on two gateways. The files are beside the
//! repository, not in it.

use std::path::{Path, PathBuf};

use crate::{
    bench::{Ran, beside_others, copied, replace, verify},
    release::tree_of,
};

const BASE: &str = "conformance/resources/base.yaml";

fn tree() -> Option<PathBuf> {
    tree_of("v1.6.0")
}

fn carried_out(tree: &Path, provider: &str) -> Ran {
    let tree = tree.to_str().unwrap();
    verify(&["--tree", tree, "--release", "v1.6.0", "--provider", provider])
}

/// The same release with the base resources of the one before it, whose endpoint picker keeps the protocol.
fn with_the_picker_before() -> Option<tempfile::TempDir> {
    let (tree, before) = (tree()?, tree_of("v1.5.0")?);
    let mended = copied(&tree);
    std::fs::copy(before.join(BASE), mended.path().join(BASE)).unwrap();
    let text = std::fs::read_to_string(mended.path().join(BASE)).unwrap();
    // The candidate that it names was never to be had as a module, and its filter takes no request without the suite's header.
    let text = text.replace("epp:v1.5.0-rc.1", "epp:v1.5.0");
    let text = text.replace("header-based-testing-filter", "random-picker");
    std::fs::write(mended.path().join(BASE), text).unwrap();
    Some(mended)
}

const PROOFS: &[&str] = &[
    "request-completion",
    "request-passed-endpoint-picker",
    "request-served-by-pool",
    "proof-answers",
    "proof-served-by-pool",
    "proof-several-pods",
    "proof-picked-is-served",
];

/// What was shipped: its endpoint picker answers bodies in a form that is none of the mode in which gateways stream them, so that
/// the gateway ends every request with a 500. It was mended after the release.
#[track_caller]
fn fails_at_its_endpoint_picker(ran: &Ran) {
    ran.expect(1, "failed", Some("endpoint-picker-breaks-protocol"));
    let [broken] = ran.broken()[..] else {
        panic!("{:?}", ran.causes())
    };
    assert_eq!(broken["exchange"]["status"], 500);
    let evidence = broken["finding"]["cause"]["evidence"].to_string();
    assert!(evidence.contains("Spurious response message"), "{evidence}");
}

#[test]
fn v1_6_0_fails_at_its_light_endpoint_picker_on_istio() {
    let _turn = beside_others();
    let Some(tree) = tree() else { return };
    fails_at_its_endpoint_picker(&carried_out(&tree, "istio"));
}

/// It reads no header that names a pod, which is told, and which nothing else is taken for.
#[test]
fn v1_6_0_with_the_endpoint_picker_before_it_proves_all_but_the_header_that_it_does_not_read() {
    let _turn = beside_others();
    let Some(mended) = with_the_picker_before() else { return };
    for provider in ["istio", "envoy-ai-gateway"] {
        let ran = carried_out(mended.path(), provider);
        ran.expect(1, "failed", Some("pick-not-as-asked"));
        let broken = ran.broken();
        assert_eq!(broken.len(), 1, "{broken:?}");
        assert_eq!(broken[0]["check"], "proof-steered");
        ran.holds(PROOFS);
    }
}

#[test]
fn an_image_of_the_picker_that_was_never_promoted_is_called() {
    let _turn = beside_others();
    let Some(tree) = tree() else { return };
    let copy = copied(&tree);
    let text = std::fs::read_to_string(copy.path().join(BASE)).unwrap();
    std::fs::write(copy.path().join(BASE), text.replace("lwepp:v1.6.0", "lwepp:v1.6.99")).unwrap();
    carried_out(copy.path(), "istio").expect(1, "failed", Some("pod-image-not-found"));
}

#[test]
fn a_bundle_without_the_pools_crd_is_called() {
    let _turn = beside_others();
    let Some(tree) = tree() else { return };
    let copy = copied(&tree);
    let left_out = "- bases/inference.networking.k8s.io_inferencepools.yaml\n";
    replace(&copy.path().join("config/crd/kustomization.yaml"), left_out, "");
    carried_out(copy.path(), "istio").expect(1, "failed", Some("object-kind-unknown"));
}

#[test]
fn a_pool_that_names_another_picker_is_called() {
    let _turn = beside_others();
    let Some(mended) = with_the_picker_before() else { return };
    let named = "  endpointPickerRef:\n    name: primary-endpoint-picker-svc\n";
    replace(
        &mended.path().join(BASE),
        named,
        "  endpointPickerRef:\n    name: another-endpoint-picker-svc\n",
    );
    carried_out(mended.path(), "istio").expect(1, "failed", Some("pool-not-accepted"));
}
