//! Kustomizations and files that commands name: whether they are there, and lead where `kubectl` and `helm` can follow.
//!
//! Every page of the guides' directories is looked at, since a page that is not the quickstart is documented all the same.

use std::collections::BTreeSet;

use super::{
    Diagnostic, Examined, Family, Findings, Place, Rule, Severity,
    caret::caret,
    named_paths::{NamedPath, Wants, has},
};
use crate::{
    guide::Role,
    plan::{Offer, Reference, classify},
    record::Provenance,
    release::{
        RepoPath, Tag,
        kustomization::{self, FaultKind, Named},
    },
};

mod rules;

use rules::{
    FILE_MISSING, REFERENCE_KIND, REFERENCE_MISSING, REFERENCE_OUTSIDE, REMOTE_FLOATING, TARGET_MISSING, UNREADABLE,
};

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "kustomizations",
    rules: rules::ALL,
    look,
};

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    let mut applied = BTreeSet::new();
    for page in &examined.pages {
        for command in &page.commands {
            for named in &command.named {
                let command = Naming {
                    at: &command.program.at,
                    role: command.role,
                    page: &page.file,
                    offer: None,
                };
                target(examined, findings, command, named, &mut applied);
            }
        }
    }
    for reader in examined.readers() {
        for command in &reader.commands {
            for named in &command.named {
                let command = Naming {
                    at: &command.program.at,
                    role: command.role,
                    page: &examined.layout.guide,
                    offer: Some(&reader.offer),
                };
                target(examined, findings, command, named, &mut applied);
            }
        }
    }
    references(examined, findings, &applied);
}

/// A command that names a path.
#[derive(Clone, Copy)]
struct Naming<'a> {
    at: &'a Provenance,
    role: Role,
    page: &'a RepoPath,
    offer: Option<&'a Offer>,
}

/// What a command names: noted in `applied` where it is a kustomization that a documented step applies.
fn target(
    examined: &Examined<'_>,
    findings: &mut Findings,
    command: Naming<'_>,
    named: &NamedPath,
    applied: &mut BTreeSet<RepoPath>,
) {
    let release = examined.release;
    // A page often leaves it to its reader to stand in its own directory.
    let beside = command
        .page
        .parent()
        .and_then(|directory| directory.join(&named.text).ok());
    let candidates: Vec<&RepoPath> = named.path.iter().chain(&beside).collect();
    let found = candidates.iter().find(|path| has(release, named.wants, path));
    if let (Wants::Kustomization, Some(path)) = (named.wants, found) {
        if let Some(file) = kustomization::file_in(release, path) {
            if command.role != Role::Cleanup {
                applied.insert(file);
            }
        } else {
            let message = format!("`{path}` holds no kustomization");
            let below = kustomizations_below(examined, path);
            let found = add(examined, findings, command, &TARGET_MISSING, named, message);
            if !below.is_empty() {
                found.because(format!("there are kustomizations in {}", below.join(", ")));
            }
            found.way_out("name a directory with a `kustomization.yaml`");
        }
        return;
    }
    let (None, Some(path)) = (found, &named.path) else {
        return;
    };
    let (rule, what) = match named.wants {
        Wants::Kustomization => (&TARGET_MISSING, "directory"),
        Wants::Manifest | Wants::Values | Wants::Helmfile => (&FILE_MISSING, "file"),
    };
    let place = || caret(examined, &command.at.file, command.at.line, &named.text);
    if rule.code == FILE_MISSING.code && is_made(examined, command.page, &named.text) {
        return;
    }
    if !is_known_nearby(examined, path) {
        let why = format!("the tree has nothing near `{path}`, so whether the release has it is not known");
        findings.undecided(rule, place(), why);
        return;
    }
    let message = format!("the release has no {what} `{path}`");
    add(examined, findings, command, rule, named, message).way_out("name one that the release has, or add it");
}

fn add<'f>(
    examined: &Examined<'_>,
    findings: &'f mut Findings,
    command: Naming<'_>,
    rule: &Rule,
    named: &NamedPath,
    message: String,
) -> &'f mut Diagnostic {
    let last = named
        .text
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(&named.text);
    let whole = caret(examined, &command.at.file, command.at.line, &named.text);
    let place = if whole.column.is_some() {
        whole
    } else {
        caret(examined, &command.at.file, command.at.line, last)
    };
    let found = findings.add(rule, place, message);
    if let Some(offer) = command.offer {
        found.only_for(offer);
    }
    if command.role == Role::Cleanup {
        found.at_most(Severity::Degraded);
    }
    found
}

/// The first kustomizations below a directory, to say where to go.
fn kustomizations_below(examined: &Examined<'_>, directory: &RepoPath) -> Vec<String> {
    let below = format!("{directory}/");
    let all = examined
        .files
        .all
        .iter()
        .filter(|file| file.as_str().starts_with(&below) && is_kustomization(file));
    all.take(4)
        .filter_map(|file| Some(format!("`{}`", file.parent()?)))
        .collect()
}

fn is_kustomization(file: &RepoPath) -> bool {
    let name = file.as_str().rsplit('/').next().unwrap_or_default();
    kustomization::FILES.contains(&name)
}

/// Whether the page speaks of a file elsewhere than where commands read it: then a reader makes it, or is told how to.
fn is_made(examined: &Examined<'_>, page: &RepoPath, text: &str) -> bool {
    let name = text.rsplit('/').next().unwrap_or(text);
    let Some(page) = examined.files.text(examined.release, page.as_str()) else {
        return true;
    };
    let reads = |row: &str| {
        ["kubectl", "helm", "-f", "--values", "--filename"]
            .iter()
            .any(|word| row.contains(word))
    };
    page.lines().any(|row| row.contains(name) && !reads(row)) || text.starts_with("/tmp")
}

/// Whether the tree holds something of the directory that a path stands in, or of the one above: it may be a part of the
/// release, and what is missing with all around it proves nothing.
fn is_known_nearby(examined: &Examined<'_>, path: &RepoPath) -> bool {
    let above = path.parent();
    let grand = above.as_ref().and_then(RepoPath::parent);
    let mut around = above.iter().chain(&grand);
    around.any(|directory| {
        examined
            .release
            .tree
            .list(directory)
            .is_ok_and(|files| !files.is_empty())
    })
}

/// What kustomizations name. Those that documented steps lead to are as bad as they can be, others degrade nothing but
/// themselves.
fn references(examined: &Examined<'_>, findings: &mut Findings, applied: &BTreeSet<RepoPath>) {
    let release = examined.release;
    let mut reached: BTreeSet<RepoPath> = BTreeSet::new();
    for file in applied {
        reached.extend(kustomization::walk(release, file).files);
    }
    for file in examined.files.all.iter().filter(|file| is_kustomization(file)) {
        let own = kustomization::own_references(release, file);
        let most = if reached.contains(file) {
            Severity::Break
        } else {
            Severity::Degraded
        };
        for fault in &own.faults {
            if is_made_by_reader(examined, &fault.at, &fault.kind) {
                let why = format!(
                    "`{}` is to be made by whoever applies `{}`",
                    fault.at.name, fault.at.file
                );
                findings.undecided(&REFERENCE_MISSING, place_of(examined, &fault.at), why);
                continue;
            }
            let rule = match &fault.kind {
                FaultKind::Missing
                | FaultKind::NoKustomization
                | FaultKind::SeveralKustomizations
                | FaultKind::OutOfTree => &REFERENCE_MISSING,
                FaultKind::FileOutside => &REFERENCE_OUTSIDE,
                FaultKind::OtherKind { .. } | FaultKind::Cycle => &REFERENCE_KIND,
                FaultKind::Unreadable(_) => &UNREADABLE,
            };
            let message = format!("`{}`: {}", fault.at.name, fault.kind.words());
            let found = findings.add(rule, place_of(examined, &fault.at), message);
            if let Some(directory) = file.parent() {
                found.because(format!("`kubectl kustomize {directory}` ends with an error"));
            }
            found.way_out("name what is there, or add it").at_most(most);
        }
        for named in &own.remote {
            remote(examined, findings, named, most);
        }
    }
}

/// Whether a missing file is one that a generator reads and that a page tells its reader to make.
fn is_made_by_reader(examined: &Examined<'_>, named: &Named, kind: &FaultKind) -> bool {
    let is_generated =
        named.pointer.starts_with("/configMapGenerator") || named.pointer.starts_with("/secretGenerator");
    let texts = examined
        .pages
        .iter()
        .filter_map(|page| examined.files.text(examined.release, page.file.as_str()));
    *kind == FaultKind::Missing && is_generated && texts.into_iter().any(|text| text.contains(&named.name))
}

fn place_of(examined: &Examined<'_>, named: &Named) -> Place {
    examined
        .files
        .place_in(examined.release, named.file.as_str(), &named.pointer)
}

/// Something that a kustomization takes from the web.
fn remote(examined: &Examined<'_>, findings: &mut Findings, named: &Named, most: Severity) {
    // On a branch everything may float.
    if examined.release.tag.is_none() {
        return;
    }
    let address = if named.name.contains("://") {
        named.name.clone()
    } else {
        format!("https://{}", named.name)
    };
    let (Reference::File { at, .. } | Reference::Directory { at, .. } | Reference::Asset { at, .. }) =
        classify(&address)
    else {
        return;
    };
    let is_commit = at.len() == 40 && at.bytes().all(|sign| sign.is_ascii_hexdigit());
    if at.parse::<Tag>().is_ok() || is_commit {
        return;
    }
    let message = format!("`{}` is taken as it is at the time of reading", named.name);
    findings
        .add(&REMOTE_FLOATING, place_of(examined, named), message)
        .because(format!("`{at}` is no tag and no commit"))
        .way_out("name a tag or a commit behind `?ref=`")
        .at_most(most);
}
