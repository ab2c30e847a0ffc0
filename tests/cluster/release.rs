//! The real tagged quickstart of v1.5.0, from its files; they are beside the repository, not in it.

use std::path::PathBuf;

use crate::bench::{copied, replace, repository, verify};

/// The files of v1.5.0, or `None` where they are not beside the repository.
fn tree() -> Option<PathBuf> {
    let tree = repository().join("../shared/upstream/gateway-api-inference-extension/v1.5.0");
    if tree.is_dir() {
        return Some(tree);
    }
    eprintln!(
        "not run: the upstream release's files are not beside this repository ({})",
        tree.display()
    );
    None
}

#[test]
fn v1_5_0_fails_at_the_variable_in_single_quotes() {
    let Some(tree) = tree() else { return };
    let ran = verify(&[
        "--tree",
        tree.to_str().unwrap(),
        "--release",
        "v1.5.0",
        "--variant",
        "sim",
        "--provider",
        "istio",
        "--profile",
        "small",
    ]);
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

#[test]
fn v1_5_0_with_its_request_mended_passes() {
    let Some(tree) = tree() else { return };
    let mended = copied(&tree);
    replace(
        &mended.path().join("site-src/_includes/test.md"),
        r#""model": "${MODEL_NAME}","#,
        r#""model": "'"${MODEL_NAME}"'","#,
    );
    let ran = verify(&[
        "--tree",
        mended.path().to_str().unwrap(),
        "--release",
        "v1.5.0",
        "--profile",
        "small",
    ]);
    ran.expect(0, "passed", None);
    let causes = ran.causes();
    assert_eq!(
        causes,
        ["tool-flag-removed"],
        "the prerequisite is degraded, nothing else is found"
    );
}

/// The standalone page: the endpoint picker with an Envoy beside it, and no Gateway API.
const STANDALONE: [&str; 6] = ["--release", "v1.5.0", "--layout", "standalone", "--provider", "none"];

#[test]
fn v1_5_0_standalone_fails_at_the_service_that_does_not_exist() {
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
    let Some(tree) = tree() else { return };
    let mended = copied(&tree);
    let page = mended.path().join("site-src/guides/standalone.md");
    replace(&page, "vllm-qwen3-32b-epp:8081", "vllm-qwen3-32b-standalone-epp:8081");
    let ran = verify(&[&STANDALONE[..], &["--tree", mended.path().to_str().unwrap()]].concat());
    ran.expect(0, "passed", None);
    assert_eq!(ran.causes(), Vec::<&str>::new());
}
