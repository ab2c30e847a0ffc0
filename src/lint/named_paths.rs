//! The files and directories of the release that commands name, found where the reader stands by then.

use crate::{
    guide::{Argument, Program, Session},
    release::{Release, RepoPath},
};

/// What a command wants of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wants {
    /// A directory with a kustomization (`-k`).
    Kustomization,
    /// A manifest, or a directory of them (`-f`).
    Manifest,
    /// A file of values (`helm -f`).
    Values,
    /// A file that helmfile reads, or the directory that holds one.
    Helmfile,
}

/// A path that a command names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedPath {
    /// What is wanted of it.
    pub(super) wants: Wants,
    /// The text that the program is given.
    pub(super) text: String,
    /// Where in the release it leads; `None` where that is no place of the release.
    pub(super) path: Option<RepoPath>,
}

/// The paths that a program names, as far as they are known before it runs. Addresses are not among them.
pub(super) fn named_paths(session: &Session<'_>, program: &Program) -> Vec<NamedPath> {
    let Ok(arguments) = program.arguments() else {
        return Vec::new();
    };
    let verb = arguments
        .positional
        .first()
        .and_then(Argument::known)
        .unwrap_or_default();
    let wanted: &[(&str, Wants)] = match (program.name.as_str(), verb.as_str()) {
        ("kubectl", "apply" | "create" | "delete" | "diff" | "replace") => {
            &[("-k", Wants::Kustomization), ("-f", Wants::Manifest)]
        }
        ("helm", "install" | "upgrade" | "template") => &[("-f", Wants::Values)],
        ("helmfile", _) => &[("-f", Wants::Helmfile)],
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    for (flag, wants) in wanted {
        for text in arguments.values(flag).filter_map(Argument::known) {
            for text in text.split(',').filter(|text| is_path(text)) {
                found.push(NamedPath {
                    wants: *wants,
                    text: text.to_owned(),
                    path: session.path(text).ok(),
                });
            }
        }
    }
    found
}

fn is_path(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.contains("://")
        && !text.contains(['<', '*', '{'])
        && !text.starts_with("github.com/")
}

/// Whether the release has what a command wants there.
pub(super) fn has(release: &Release, wants: Wants, path: &RepoPath) -> bool {
    let is_directory = || release.tree.list(path).is_ok_and(|files| !files.is_empty());
    match wants {
        Wants::Kustomization => is_directory(),
        Wants::Values => release.tree.exists(path),
        Wants::Manifest | Wants::Helmfile => release.tree.exists(path) || is_directory(),
    }
}
