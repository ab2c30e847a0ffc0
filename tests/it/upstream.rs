//! Trees of real releases, which lie beside this repository and not in it: `../shared/upstream/REPOSITORY/TAG`.
//!
//! Where there is no `../shared`, nobody promised them: a test that needs one says on standard error that it was not run.
//! Where it is there, they are promised, and with `CI` set one that is missing fails the test.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The repository that most trees are of.
pub(crate) const GIE: &str = "gateway-api-inference-extension";

/// The tree of a release; `None` where it is not there.
#[track_caller]
pub(crate) fn tree(repository: &str, tag: &str) -> Option<PathBuf> {
    there(&Path::new(repository).join(tag))
}

/// The directory of all of them, one of its directories for each repository; `None` where it is not there.
#[track_caller]
pub(crate) fn trees() -> Option<PathBuf> {
    there(Path::new(""))
}

#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a test has no host to ask for variables")]
fn there(below: &Path) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let directory = shared.join("upstream").join(below);
    if directory.is_dir() {
        return Some(directory);
    }
    let is_promised = shared.is_dir() && std::env::var_os("CI").is_some();
    assert!(
        !is_promised,
        "there is no {}, and `../shared` promises it",
        directory.display()
    );
    // Not by `eprintln!`, whose words a test that passes keeps for itself.
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(io::stderr(), "not run: {test}: there is no {}", directory.display());
    None
}

#[test]
fn what_the_site_of_each_stored_release_renders_pages_with_is_written_down() {
    let Some(trees) = trees() else { return };
    let written = include_str!("../../docs/guides.md");
    let mut seen = 0;
    for release in fs::read_dir(trees.join("gateway-api-inference-extension")).unwrap() {
        let Ok(site) = fs::read_to_string(release.unwrap().path().join("mkdocs.yml")) else {
            continue;
        };
        // Not as YAML: it has tags of Python.
        let mut list = "";
        for line in site.lines() {
            if !line.starts_with([' ', '#']) {
                list = line.trim_end_matches(':');
            }
            let item = line
                .strip_prefix("  - ")
                .filter(|_| ["markdown_extensions", "plugins"].contains(&list));
            if let Some(item) = item {
                let name = item.trim_end_matches(':');
                assert!(
                    written.contains(&format!("`{name}`")),
                    "docs/guides.md does not name `{name}`"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "{seen}");
}
