//! Orders that cannot be carried out: each a sentence with the way out, exit code 2 or 3, and nothing is made.

use std::{fs, path::Path};

use assert_cmd::Command;
use rstest::rstest;

use crate::upstream::{GIE, tree};

/// The binary in a directory of its own, with nothing of this machine's engine.
fn quickproof(directory: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("quickproof"));
    command
        .current_dir(directory)
        .env("XDG_STATE_HOME", directory.join("state"))
        .env("XDG_CACHE_HOME", directory.join("cache"))
        .env("DOCKER_HOST", "unix:///nonexistent/engine.sock")
        .timeout(std::time::Duration::from_secs(30));
    command
}

/// Runs it and asserts the exit code and the words of the error; returns what was left in its directory.
#[track_caller]
fn refused(directory: &Path, arguments: &[&str], code: i32, words: &[&str]) {
    let before = entries(directory);
    let output = quickproof(directory).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    assert_eq!(said.trim_end().lines().count(), 1, "one sentence: {said}");
    assert_eq!(entries(directory), before, "nothing is made");
}

fn entries(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

const MINI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/trees/mini");

#[rstest]
#[case::a_word_for_the_newest(&["--release", "latest", "--tree", MINI], &["`latest`", "vMAJOR.MINOR.PATCH"])]
#[case::a_branch(&["--release", "main", "--tree", MINI], &["`main`"])]
#[case::a_tag_of_no_layout(&["--release", "v0.0.9", "--tree", MINI], &["v0.0.9"])]
#[case::a_release_that_was_never_fetched(&["--release", "v1.5.0", "--offline"], &["--tree", "--offline"])]
#[case::an_unknown_provider(&["--provider", "nobody"], &["`nobody`", "istio"])]
#[case::an_unknown_variant(&["--variant", "abacus"], &["abacus", "sim"])]
#[case::an_unknown_profile(&["--profile", "tiny"], &["`tiny`", "small"])]
#[case::an_unknown_layout(&["--layout", "e99"], &["e99"])]
#[case::no_directory(&["--release", "v1.5.0", "--tree", "no/such/directory"], &["no/such/directory"])]
#[case::nothing_there(&["--tree", "."], &["guide.md", "--release"])]
fn what_is_wrong_with_an_order_is_said(#[case] arguments: &[&str], #[case] words: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let all: Vec<&str> = ["verify"].iter().chain(arguments).copied().collect();
    refused(directory.path(), &all, 2, words);
}

#[test]
fn the_tree_of_another_release_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    refused(
        directory.path(),
        &["verify", "--release", "v1.6.1", "--tree", MINI],
        2,
        &["v1.6.1", "v1.5.0"],
    );
}

#[test]
fn a_report_path_that_is_not_writable_is_named_with_its_flag() {
    let directory = tempfile::tempdir().unwrap();
    // A directory stands where the file should go: refused for root too.
    let arguments = [
        "verify",
        "--cluster",
        "nowhere",
        "--junit-file",
        "/proc/nothing/junit.xml",
    ];
    refused(
        directory.path(),
        &arguments,
        2,
        &["--junit-file", "/proc/nothing/junit.xml"],
    );
}

#[test]
fn without_an_engine_it_is_said_how_to_get_one() {
    let directory = tempfile::tempdir().unwrap();
    let bin = directory.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["kind", "docker"] {
        let program = bin.join(name);
        fs::write(&program, "#!/bin/sh\necho 'Cannot connect to the engine' >&2\nexit 1\n").unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let output = quickproof(directory.path())
        .arg("verify")
        .env("PATH", format!("{}:/bin", bin.display()))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("engine-up") && said.contains("--cluster"), "{said}");
    assert_eq!(entries(directory.path()), ["bin"], "nothing is made");
}

#[test]
fn a_provider_of_a_cloud_needs_a_cluster_of_its_cloud() {
    let Some(tree) = tree(GIE, "v1.5.0") else { return };
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "verify",
        "--release",
        "v1.5.0",
        "--provider",
        "gke",
        "--tree",
        tree.to_str().unwrap(),
    ];
    refused(directory.path(), &arguments, 2, &["`gke`", "--cluster"]);
}

#[test]
fn without_kind_it_is_said_how_to_get_it() {
    let directory = tempfile::tempdir().unwrap();
    let output = quickproof(directory.path())
        .arg("verify")
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("`kind`") && said.contains("make setup"), "{said}");
    assert_eq!(entries(directory.path()), Vec::<String>::new(), "nothing is made");
}
