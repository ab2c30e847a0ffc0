//! References: what the guide names is there, and stays what it is.
//!
//! Only the release's own files are read. What another tag, a branch or another project holds is not known here; that
//! the guide leads there is what is found.

use super::{
    Diagnostic, Examined, Family, Findings, Place, Severity,
    caret::ReaderChecker,
    reader::{Computed, ReaderCommand},
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
    BUNDLE_LACKS_KIND, FENCE_OPEN, FILE_MISSING, REFERENCE_BRANCH, REFERENCE_LATEST, REFERENCE_OTHER_TAG,
    RELEASE_COMPUTED, TAB_MISSING, TOOL_VERSION_COMPUTED,
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
        let mut checker = ReaderChecker {
            examined,
            reader,
            findings: &mut *findings,
        };
        for command in &reader.commands {
            let addresses = command.program.words.iter().filter_map(Argument::known);
            for address in addresses.filter(|word| word.contains("://")) {
                named(&mut checker, command, &address);
            }
            charts::check(&mut checker, command);
        }
        for computed in &reader.computed {
            of_a_download(&mut checker, computed);
        }
        for problem in &reader.guide.problems {
            let place = Place::line(&problem.at.file, problem.at.line);
            match &problem.kind {
                ProblemKind::NoTabChosen { titles } => {
                    let message = format!("none of the tabs `{}` is for this reader", titles.join("`, `"));
                    findings
                        .add(&TAB_MISSING, place, message)
                        .because("an earlier set of tabs offers what this one leaves out")
                        .way_out("add the tab")
                        .only_for(&reader.offer);
                }
                ProblemKind::FenceNeverClosed => {
                    findings
                        .add(&FENCE_OPEN, place, "the fence that begins here is never closed")
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
fn of_a_download(checker: &mut ReaderChecker<'_, '_>, computed: &Computed) {
    let Computed { name, at, url, .. } = computed;
    if computed.is_of_releases {
        let tag = tag_of(checker.examined);
        let message = format!("`{name}` is the newest release at the time of reading, and not {tag}");
        checker
            .add(&RELEASE_COMPUTED, at, url, message)
            .because(format!("`{url}` lists every release that was ever published"))
            .way_out(format!("write `{name}={tag}`"));
    } else {
        let message = format!("`{name}` is whatever `{url}` says at the time of reading");
        checker
            .add(&TOOL_VERSION_COMPUTED, at, url, message)
            .way_out(format!("set `{name}` to a version that was tried with this release"));
    }
}

/// The tag of the release; empty where it is not known.
fn tag_of(examined: &Examined<'_>) -> String {
    let tag = examined.release.tag.as_ref();
    tag.map(ToString::to_string).unwrap_or_default()
}

/// How bad a finding in a section is at most: what goes wrong in a cleanup leaves the quickstart as it was.
fn at_most(role: Role) -> Severity {
    match role {
        Role::Cleanup => Severity::Degraded,
        _ => Severity::Break,
    }
}

/// What an address of this repository leads to.
fn named(checker: &mut ReaderChecker<'_, '_>, command: &ReaderCommand, address: &str) {
    let release = checker.examined.release;
    // What bears no tag is a branch, and names itself.
    if release.tag.is_none() {
        return;
    }
    let is_own = |repository: &str| repository.eq_ignore_ascii_case(&release.repository);
    let (tag, last) = (tag_of(checker.examined), address.rsplit('/').next().unwrap_or_default());
    let (at, path) = match classify(address) {
        Reference::File { repository, at, path } | Reference::Directory { repository, at, path }
            if is_own(&repository) =>
        {
            (at, path)
        }
        Reference::Asset { repository, at, name } if is_own(&repository) => {
            if at != tag {
                if name != BUNDLE || !lack_kinds(checker, command, &at) {
                    elsewhere(checker, command, &at, &name, last);
                }
            } else if name != BUNDLE {
                let why = format!("whether `{name}` will be attached to {tag} is not known from its files");
                checker.undecided(&FILE_MISSING, &command.program.at, last, why);
            }
            return;
        }
        _ => return,
    };
    if at == tag {
        is_there(checker, command, &path, last);
        return;
    }
    match release.tag_holds(&at, &path) {
        Some(false) => {
            let message = format!("{at} has no `{path}`, so its address answers 404");
            checker
                .add(&FILE_MISSING, &command.program.at, last, message)
                .because(format!("git lists the files of {at}"))
                .way_out(format!("name {tag} in the address, or a tag that has the file"))
                .at_most(at_most(command.role));
            return;
        }
        None if at.parse::<Tag>().is_ok() && command.role != Role::Cleanup => {
            let why = format!("whether {at} has `{path}`: `--tree` with a checkout that has the tag {at} tells");
            checker.undecided(&FILE_MISSING, &command.program.at, last, why);
        }
        _ => {}
    }
    let exists = exists(checker.examined, &path);
    let found = elsewhere(checker, command, &at, &path, last);
    if !exists {
        found.because(format!("{tag} itself has no `{path}`"));
    }
}

/// CRDs of another release that lack what the endpoint picker of this one watches. Whether that is so is what it returns.
fn lack_kinds(checker: &mut ReaderChecker<'_, '_>, command: &ReaderCommand, at: &str) -> bool {
    let examined = checker.examined;
    let (Ok(other), own) = (at.parse::<Tag>(), tag_of(examined)) else {
        return false;
    };
    let lacking = examined.release.kinds_lacking_in(&other, examined.layout);
    let lacking: Vec<String> = lacking.iter().map(|kind| format!("`{kind}`")).collect();
    if lacking.is_empty() || command.role == Role::Cleanup {
        return false;
    }
    let message = format!("the CRDs of {other} lack {}", lacking.join(", "));
    checker
        .add(&BUNDLE_LACKS_KIND, &command.program.at, BUNDLE, message)
        .because(format!(
            "the endpoint picker of {own} watches them, so it never becomes ready"
        ))
        .way_out(format!("name {own} in the address"))
        .at_most(at_most(command.role));
    true
}

/// Adds that something of another tag or of a branch is used; `text` is where it is named.
fn elsewhere<'f>(
    checker: &'f mut ReaderChecker<'_, '_>,
    command: &ReaderCommand,
    at: &str,
    what: &str,
    text: &str,
) -> &'f mut Diagnostic {
    let tag = tag_of(checker.examined);
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
    } else {
        let branch = match at {
            "HEAD" => "the default branch".to_owned(),
            branch => format!("the branch `{branch}`"),
        };
        (
            &REFERENCE_BRANCH,
            format!("`{what}` of {branch} is used, as it is at the time of reading"),
        )
    };
    let found = checker.add(rule, &command.program.at, text, message);
    found.way_out(format!("name {tag} in the address"));
    match command.role {
        Role::Cleanup => found.at_most(Severity::Drift),
        _ => found,
    }
}

fn exists(examined: &Examined<'_>, path: &str) -> bool {
    let Ok(path) = path.parse::<RepoPath>() else {
        return false;
    };
    examined.release.tree.exists(&path) || examined.release.tree.list(&path).is_ok_and(|files| !files.is_empty())
}

/// Whether the tree has what the guide names in the release's own tag; `text` is where it is named.
fn is_there(checker: &mut ReaderChecker<'_, '_>, command: &ReaderCommand, path: &str, text: &str) {
    if exists(checker.examined, path) {
        return;
    }
    // A tree may be a part of the release; what is missing with the whole folder that it belongs to proves nothing.
    let top: Vec<&str> = path.split('/').take(2).collect();
    let top = format!("{}/", top.join("/"));
    let mut known = checker.examined.files.all.iter().map(RepoPath::as_str);
    if !known.any(|known| known.starts_with(&top)) {
        let why = format!("the tree has nothing in `{top}`, so whether the release has `{path}` is not known");
        checker.undecided(&FILE_MISSING, &command.program.at, text, why);
        return;
    }
    let file = path.rsplit('/').next();
    let known = checker.examined.files.all.iter().map(RepoPath::as_str);
    let like: Vec<String> = known
        .filter(|known| known.rsplit('/').next() == file && shares_a_parent(known, path))
        .map(|known| format!("`{known}`"))
        .collect();
    let message = format!("the release has no `{path}`");
    let found = checker.add(&FILE_MISSING, &command.program.at, text, message);
    if !like.is_empty() {
        found.because(format!("it has {}", like.join(", ")));
    }
    found
        .way_out("name a file that the release has, or add this one before the tag is made")
        .at_most(at_most(command.role));
}

/// Whether two paths stand in folders beside each other, or in the same one.
fn shares_a_parent(one: &str, other: &str) -> bool {
    let above = |path: &str| path.rsplitn(3, '/').nth(2).map(str::to_owned);
    above(one).is_some() && above(one) == above(other)
}
