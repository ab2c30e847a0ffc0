//! Trees of real releases, which lie beside this repository and not in it: `../shared/upstream/REPOSITORY/TAG`.
//!
//! Where there is no `../shared`, nobody promised them: a test that needs one says on standard error that it was not run.
//! Where it is there, they are promised, and with `CI` set one that is missing fails the test.

use std::{
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
