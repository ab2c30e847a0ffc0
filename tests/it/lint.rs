//! `quickproof lint`, over releases of our own and, where they are there, over real ones.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use quickproof::lint::{self, Rendered, Severity};
use rstest::rstest;
use serde_json::Value;

use crate::upstream::{self, GIE};

#[expect(
    clippy::disallowed_methods,
    reason = "the binary is what is tested, so a test starts it"
)]
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("quickproof"));
    command.arg("lint").args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// What a call ended with, and what it printed.
fn ended(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A copy of the release that examples change, with one file replaced.
fn release(changed: &str, from: &str, to: &str) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/trees/lint");
    let directory = tempfile::tempdir().unwrap();
    copy(&root, directory.path());
    let path = directory.path().join(changed);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{changed} says `{from}`");
    fs::write(&path, text.replace(from, to)).unwrap();
    directory
}

fn broken() -> tempfile::TempDir {
    release("config/manifests/model/cpu.yaml", "mountPath: /cache", "mountPath: 7")
}

fn floating() -> tempfile::TempDir {
    release("config/manifests/model/sim.yaml", "sim:v0.8.2", "sim:main")
}

#[test]
fn a_break_fails_and_is_shown_with_its_line() {
    let tree = broken();
    let (code, out, _) = ended(&["--tree", tree.path().to_str().unwrap(), "--release", "v1.5.0"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("field-type  config/manifests/model/cpu.yaml"), "{out}");
    assert!(out.lines().last().unwrap().starts_with("1 break, "), "{out}");
}

#[test]
fn the_exit_code_follows_the_threshold() {
    let tree = floating();
    let tree = tree.path().to_str().unwrap();
    let (code, out, _) = ended(&["--tree", tree, "--release", "v1.5.0", "--no-helm"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("break-later  image-tag-floating"), "{out}");
    assert!(out.contains("image: ghcr.io/llm-d/llm-d-inference-sim:main\n"), "{out}");
    assert!(out.contains("(variant sim)"), "{out}");
    let (code, _, _) = ended(&[
        "--tree",
        tree,
        "--release",
        "v1.5.0",
        "--no-helm",
        "--fail-on",
        "break-later",
    ]);
    assert_eq!(code, Some(1));
}

#[test]
fn without_helm_what_was_not_rendered_is_undecided() {
    let tree = floating();
    let (_, out, _) = ended(&["--tree", tree.path().to_str().unwrap(), "--release", "v1.5.0"]);
    assert!(out.contains("undecided  chart-render-fails"), "{out}");
}

#[test]
fn scripts_get_an_array_and_code_scanners_a_log() {
    let tree = floating();
    let tree = tree.path().to_str().unwrap();
    let (_, out, err) = ended(&["--tree", tree, "--release", "v1.5.0", "-o", "json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    let floating = found
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["code"] == "image-tag-floating")
        .unwrap();
    assert_eq!(floating["severity"], "break-later");
    assert_eq!(floating["file"], "config/manifests/model/sim.yaml");
    assert_eq!(floating["variant"], "sim");
    assert!(floating["line"].as_u64().unwrap() > 1 && floating["provider"].is_null());
    let undecided = |found: &&Value| found["severity"] == "undecided" && found["code"] == "chart-render-fails";
    assert!(found.as_array().unwrap().iter().any(|found| undecided(&found)), "{out}");
    assert_eq!(err, "");

    let (_, out, _) = ended(&["--tree", tree, "--release", "v1.5.0", "-o", "sarif"]);
    let log: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert!(!log["runs"][0]["results"].as_array().unwrap().is_empty());

    let (_, out, _) = ended(&["--tree", tree, "--release", "v1.5.0", "-o", "github"]);
    assert!(out.lines().all(|line| line.starts_with("::")), "{out}");
    assert!(
        out.contains("::warning file=config/manifests/model/sim.yaml,line="),
        "{out}"
    );
}

#[test]
fn what_is_meant_to_be_can_be_suppressed_for_a_reason() {
    let tree = floating();
    let root = tree.path().to_str().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let entry = |rest: &str| format!("- code: image-tag-floating\n  file: \"**/sim.yaml\"\n{rest}");
    let run = |text: &str| {
        fs::write(file.path(), text).unwrap();
        let path = file.path().to_str().unwrap();
        ended(&[
            "--tree",
            root,
            "--release",
            "v1.5.0",
            "--fail-on",
            "break-later",
            "--suppressions",
            path,
        ])
    };
    let (code, out, _) = run(&entry("  reason: a test\n"));
    assert_eq!(code, Some(0), "{out}");
    assert!(!out.contains("image-tag-floating"), "{out}");
    let (_, out, _) = run(&entry("  message: of another image\n  reason: a test\n"));
    assert!(
        out.contains("suppression-unused") && out.contains("image-tag-floating"),
        "{out}"
    );
    for wrong in [
        entry("  reason: \"\"\n"),
        entry(""),
        "- code: no-such-rule\n  file: a\n  reason: b\n".into(),
    ] {
        let (code, _, err) = run(&wrong);
        assert_eq!(code, Some(2), "{err}");
    }
}

#[test]
fn rules_are_listed_and_explained() {
    let (code, out, _) = ended(&["--rules"]);
    assert_eq!(code, Some(0));
    assert!(out.lines().count() > 30 && out.contains("image-tag-floating"), "{out}");
    let (code, _, _) = ended(&["--rules", "--tree", "."]);
    assert_eq!(code, Some(2));
    let (code, _, _) = ended(&["--fail-on", "everything"]);
    assert_eq!(code, Some(2));
}

#[test]
fn a_server_is_asked_only_where_it_is_named() {
    let (code, _, err) = ended(&["--server"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("--cluster"), "{err}");
    let (code, out, err) = ended(&["--server", "--cluster", "nowhere", "--kubeconfig", "/nowhere"]);
    assert_eq!((code, out.as_str()), (Some(3), ""), "{err}");
    assert!(err.contains("/nowhere"), "{err}");
}

#[test]
fn the_embedded_quickstart_is_free_of_findings() {
    let (code, out, _) = ended(&["--fail-on", "hygiene"]);
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn a_real_release_is_examined_and_what_is_known_to_be_wrong_with_it_is_found() {
    let Some(tree) = upstream::tree(GIE, "v1.5.0") else {
        return;
    };
    let (_, out, err) = ended(&["--tree", tree.to_str().unwrap(), "--release", "v1.5.0", "-o", "json"]);
    let found: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    let codes: Vec<&str> = found
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|found| found["code"].as_str())
        .collect();
    for code in ["image-candidate-in-final", "image-tag-absent"] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
}

// What stands here was read in the files, one by one.
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
    let Some(tree) = upstream::tree(GIE, tag) else { return };
    let release = crate::open(&tree, Some(tag)).unwrap();
    let layout = release.layout(None).unwrap();
    let combinations = lint::draw(&release, &layout).unwrap();
    let findings = lint::examine(&release, &layout, &combinations, &Rendered::new());
    let judged = lint::FAMILIES
        .iter()
        .filter(|family| ["references", "shell", "objects", "models", "order"].contains(&family.name));
    let codes: Vec<&str> = judged.flat_map(|family| family.rules).map(|rule| rule.code).collect();
    let mut found: Vec<String> = findings
        .diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Break && codes.contains(&found.code))
        .map(|found| format!("{} {}:{}", found.code, found.place.file, found.place.line))
        .collect();
    found.sort();
    found.dedup();
    assert_eq!(found, wanted);
}
