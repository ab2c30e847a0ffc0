//! References: what the guide names is there, and stays what it is.
//!
//! Only the release's own files are read. What another tag, a branch or another project holds is not known here; that
//! the guide leads there is what is found.

use std::collections::BTreeSet;

use super::{
    Examined, Family, Findings, Severity,
    caret::caret,
    reader::{Computed, Reader, Typed},
};
use crate::{
    guide::{Argument, ProblemKind, Role},
    plan::{Reference, classify},
    release::{RepoPath, Tag},
};

mod charts;
mod pages;
mod rules;

use rules::{
    FENCE_OPEN, FILE_MISSING, REFERENCE_BRANCH, REFERENCE_LATEST, REFERENCE_OTHER_TAG, RELEASE_COMPUTED, TAB_MISSING,
    TOOL_VERSION_COMPUTED,
};

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "references",
    rules: rules::ALL,
    look,
};

/// What an asset of a release is called that the tree's CRDs make.
const BUNDLE: &str = "manifests.yaml";

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    for reader in examined.readers() {
        for typed in &reader.typed {
            for address in typed.program.words.iter().filter_map(Argument::known) {
                if address.contains("://") {
                    named(examined, findings, reader, typed, &address);
                }
            }
            charts::look(examined, findings, reader, typed);
        }
        for computed in &reader.computed {
            of_a_download(examined, findings, reader, computed);
        }
        for problem in &reader.guide.problems {
            let place = || super::Place::line(&problem.at.file, problem.at.line);
            match &problem.kind {
                ProblemKind::NoTabChosen { titles } => {
                    findings
                        .add(
                            &TAB_MISSING,
                            place(),
                            format!("none of the tabs `{}` is for this reader", titles.join("`, `")),
                        )
                        .because("an earlier set of tabs offers what this one leaves out")
                        .way_out("add the tab")
                        .only_for(&reader.offer);
                }
                ProblemKind::FenceNeverClosed => {
                    findings
                        .add(&FENCE_OPEN, place(), "the fence that begins here is never closed")
                        .because("the rest of the page is shown as code")
                        .way_out("close it with a line of the same signs at the same margin");
                }
                _ => {}
            }
        }
    }
    pages::look(examined, findings);
}

/// The variable that a reader's shell computes from what the web says at that moment.
fn of_a_download(examined: &Examined<'_>, findings: &mut Findings, reader: &Reader, computed: &Computed) {
    let place = caret(examined, &computed.at.file, computed.at.line, &computed.url);
    if computed.is_of_releases {
        let tag = examined
            .release
            .tag
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        findings
            .add(
                &RELEASE_COMPUTED,
                place,
                format!(
                    "`{}` is the newest release at the time of reading, and not {tag}",
                    computed.name
                ),
            )
            .because(format!(
                "`{}` lists every release that was ever published",
                computed.url
            ))
            .way_out(format!("write `{}={tag}`", computed.name))
            .only_for(&reader.offer);
    } else {
        findings
            .add(
                &TOOL_VERSION_COMPUTED,
                place,
                format!(
                    "`{}` is whatever `{}` says at the time of reading",
                    computed.name, computed.url
                ),
            )
            .way_out(format!(
                "set `{}` to a version that was tried with this release",
                computed.name
            ))
            .only_for(&reader.offer);
    }
}

/// How bad a finding in a section is at most: what goes wrong in a cleanup leaves the quickstart as it was.
fn at_most(role: Role) -> Severity {
    match role {
        Role::Cleanup => Severity::Degraded,
        _ => Severity::Break,
    }
}

/// What an address of this repository leads to.
fn named(examined: &Examined<'_>, findings: &mut Findings, reader: &Reader, typed: &Typed, address: &str) {
    let is_own = |repository: &str| repository.eq_ignore_ascii_case(&examined.release.repository);
    let (at, path, asset) = match classify(address) {
        Reference::File { repository, at, path } | Reference::Directory { repository, at, path }
            if is_own(&repository) =>
        {
            (at, path, None)
        }
        Reference::Asset { repository, at, name } if is_own(&repository) => (at, String::new(), Some(name)),
        _ => return,
    };
    let tag = examined
        .release
        .tag
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let last = address.rsplit('/').next().unwrap_or_default();
    let place = caret(examined, &typed.program.at.file, typed.program.at.line, last);
    let what = asset.as_deref().unwrap_or(&path);
    if at == tag {
        if asset.as_deref().is_some_and(|asset| asset != BUNDLE) {
            findings.undecided(
                &FILE_MISSING,
                format!("whether `{what}` will be attached to {tag} is not known from its files"),
            );
        }
        if asset.is_none() {
            is_there(examined, findings, reader, typed, &path, place);
        }
        return;
    }
    let (rule, message) = if at == "latest" {
        (
            &REFERENCE_LATEST,
            format!("`{what}` of the latest release is used, whichever that is"),
        )
    } else if at.parse::<Tag>().is_ok() {
        (
            &REFERENCE_OTHER_TAG,
            format!("`{what}` of {at} is used in the guide of {tag}"),
        )
    } else if at == "HEAD" {
        (
            &REFERENCE_BRANCH,
            format!("`{what}` of the default branch is used, as it is at the time of reading"),
        )
    } else {
        (
            &REFERENCE_BRANCH,
            format!("`{what}` of the branch `{at}` is used, as it is at the time of reading"),
        )
    };
    let found = findings.add(rule, place, message);
    if asset.is_none() && !exists(examined, &path) {
        found.because(format!("{tag} itself has no `{path}`"));
    }
    found
        .way_out(format!("name {tag} in the address"))
        .only_for(&reader.offer);
    if typed.role == Role::Cleanup {
        found.at_most(Severity::Drift);
    }
}

fn exists(examined: &Examined<'_>, path: &str) -> bool {
    let Ok(path) = path.parse::<RepoPath>() else {
        return false;
    };
    examined.release.tree.exists(&path) || examined.release.tree.list(&path).is_ok_and(|files| !files.is_empty())
}

/// Whether the tree has what the guide names in the release's own tag.
fn is_there(
    examined: &Examined<'_>,
    findings: &mut Findings,
    reader: &Reader,
    typed: &Typed,
    path: &str,
    place: super::Place,
) {
    if exists(examined, path) {
        return;
    }
    // A tree may be a part of the release; what is missing with the whole folder that it belongs to proves nothing.
    let top: Vec<&str> = path.split('/').take(2).collect();
    let (top, file) = (
        format!("{}/", top.join("/")),
        path.rsplit('/').next().unwrap_or_default(),
    );
    if !examined.files.all.iter().any(|known| known.as_str().starts_with(&top)) {
        findings.undecided(
            &FILE_MISSING,
            format!("the tree has nothing in `{top}`, so whether the release has `{path}` is not known"),
        );
        return;
    }
    let like: BTreeSet<&str> = examined
        .files
        .all
        .iter()
        .map(RepoPath::as_str)
        .filter(|known| known.rsplit('/').next() == Some(file) && shares_a_parent(known, path))
        .collect();
    let found = findings.add(&FILE_MISSING, place, format!("the release has no `{path}`"));
    if !like.is_empty() {
        found.because(format!(
            "it has {}",
            like.iter()
                .map(|path| format!("`{path}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    found
        .way_out("name a file that the release has, or add this one before the tag is made")
        .at_most(at_most(typed.role))
        .only_for(&reader.offer);
}

/// Whether two paths stand in folders beside each other, or in the same one.
fn shares_a_parent(one: &str, other: &str) -> bool {
    let above = |path: &str| path.rsplitn(3, '/').nth(2).map(str::to_owned);
    above(one).is_some() && above(one) == above(other)
}
