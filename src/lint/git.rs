//! The tag itself: how it was made, and where it stands.
//!
//! The facts are those of the release process: `.github/ISSUE_TEMPLATE/new-release.md` of the releases wants tags that
//! are annotated and signed, cut from the release branch.

use super::{Examined, Family, Findings, Place};
use crate::release::{CompanionTag, GitFacts, OnBranch, TagKind};

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "git",
    rules: ALL,
    look,
};

rules! {
    /// The checkout has no tag of this release, or has it at another commit: what is looked at is not what was or will
    /// be released.
    Drift ABSENT = "tag-absent";

    /// The tag is a mere name for a commit, so nobody made it and nobody signed it. The release process asks for an
    /// annotated tag.
    Hygiene LIGHTWEIGHT = "tag-lightweight";

    /// The tag bears no signature. The release process asks for one.
    Hygiene UNSIGNED = "tag-unsigned";

    /// The message of the tag holds `${…}`: the command was run in a shell where the variable was not set, or between
    /// single quotes.
    Hygiene MESSAGE = "tag-message-unexpanded";

    /// The tag's commit is not on the release branch, so that a fix made there does not follow from it.
    Degraded OFF_BRANCH = "tag-off-branch";

    /// A tag that goes with the release (`conformance/TAG`, by which Go modules find the conformance tests) is absent
    /// or stands at another commit.
    Drift COMPANION = "tag-companion";

    /// Files of the checkout differ from its commit: what is looked at is not what the tag holds.
    Drift CHANGED = "tree-changed";
}

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    let Some(tag) = &examined.release.tag else {
        return;
    };
    let Some(git) = &examined.release.git else {
        findings.undecided(
            &ABSENT,
            None,
            "the tree is no git checkout, or git is not there: nothing is known of the tag itself",
        );
        return;
    };
    let tag = tag.to_string();
    // A tag is no line of a file; the ledger of a release is its guide.
    let place = || Place::line(examined.layout.guide.as_str(), 1);
    if let Some(count) = git.changed_files.filter(|count| *count > 0) {
        let message = format!("{count} files differ from commit {}", git.head);
        findings
            .add(&CHANGED, place(), message)
            .way_out("`git stash`, or lint a worktree of the tag");
    }
    own(git, &tag, &place, findings);
    for CompanionTag { name, commit } in &git.companions {
        let wanted = git.tag.as_ref().map_or(&git.head, |tag| &tag.commit);
        let Some(commit) = commit else {
            findings.add(&COMPANION, place(), format!("there is no tag `{name}`"));
            continue;
        };
        if commit != wanted {
            let message = format!("the tag `{name}` stands at another commit than `{tag}`");
            findings
                .add(&COMPANION, place(), message)
                .because(format!("`{name}` is {commit}, `{tag}` is {wanted}"));
        }
    }
}

/// What is wrong with the release's own tag.
fn own(git: &GitFacts, tag: &str, place: &dyn Fn() -> Place, findings: &mut Findings) {
    let Some(own) = &git.tag else {
        findings
            .add(&ABSENT, place(), format!("there is no tag `{tag}` here"))
            .way_out("`git fetch --tags`, or ask for the release that this is");
        return;
    };
    if own.commit != git.head {
        findings
            .add(&ABSENT, place(), format!("the checkout is not at the tag `{tag}`"))
            .because(format!("it is at {}, the tag at {}", git.head, own.commit));
    }
    match &own.kind {
        TagKind::Lightweight => {
            findings
                .add(&LIGHTWEIGHT, place(), format!("the tag `{tag}` is lightweight"))
                .way_out("`git tag -s`");
        }
        TagKind::Annotated(None) => {
            let why = format!("the tag object of `{tag}` was not read; a checkout that has it tells");
            findings.undecided(&UNSIGNED, place(), why);
        }
        TagKind::Annotated(Some(object)) => {
            if object.signature.is_none() {
                findings
                    .add(&UNSIGNED, place(), format!("the tag `{tag}` is not signed"))
                    .because(format!("made by {}", object.tagger));
            }
            if let Some(line) = object.message.lines().find(|line| line.contains("${")) {
                let message = format!("the message of the tag `{tag}` holds an unexpanded variable");
                findings
                    .add(&MESSAGE, place(), message)
                    .because(format!("`{}`", line.trim()));
            }
        }
    }
    match &git.on_release_branch {
        OnBranch::Yes => {}
        OnBranch::No => {
            let branch = git.release_branch.as_deref().unwrap_or("its release branch");
            findings.add(&OFF_BRANCH, place(), format!("the tag `{tag}` is not on `{branch}`"));
        }
        OnBranch::Undecided(why) => findings.undecided(&OFF_BRANCH, place(), why.clone()),
    }
}
