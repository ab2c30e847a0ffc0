//! From a tag, a branch or a commit on GitHub to a release that is open for reading.

use super::{GitHub, RemoteError, references::is_object};
use crate::{
    host::Host,
    record::{Deviation, DeviationKind},
    redact::cut,
    release::{
        GitFacts, OnBranch, Release, ReleaseError, Repository, Tag,
        git::Reference,
        remote::{Remote, Revision, highest_tag, short},
    },
};

/// How many names are offered for one that does not exist.
const MOST_NEAR: usize = 3;

/// What was found of the revision that is meant.
struct Pinned {
    commit: String,
    tag: Tag,
    deviation: Option<Deviation>,
}

/// Opens a release on GitHub.
pub(in crate::release) async fn open(host: &Host, remote: &Remote) -> Result<Release, ReleaseError> {
    let repository = checked_name(&remote.repository)?;
    let github = GitHub::new(host, remote.access).map_err(RemoteError::from)?;
    let known = Repository::known_as(repository)?;
    let mut notes = Vec::new();
    let references = github.references(repository, &mut notes).await?;
    let pinned = pin(remote, &references)?;
    let files = github.files(repository, &pinned.commit, &mut notes).await?;
    if files.left_out > 0 {
        notes.push(format!(
            "{} entries of the archive are left out: links that lead to no file of it, or names that are no paths",
            files.left_out
        ));
    }
    if files.commit.is_none() {
        notes.push(format!(
            "the archive does not say which commit it is of, as git's own do; it was asked for as {}",
            short(&pinned.commit)
        ));
    }
    notes.extend(github.web.iter().flat_map(super::Web::take_notes));
    let mut facts = GitFacts::from_references(&pinned.commit, &references, known.as_ref(), Some(&pinned.tag));
    let branch = facts
        .release_branch
        .as_ref()
        .map(|branch| format!("refs/heads/{branch}"));
    let head = references.iter().find(|found| Some(&found.name) == branch.as_ref());
    let own = facts.tag.as_ref().map(|tag| tag.commit.as_str());
    if head.is_some_and(|head| Some(head.commit()) == own) {
        facts.on_release_branch = OnBranch::Yes;
    }
    let name = known.map_or_else(|| repository.to_owned(), |known| known.repository);
    let mut deviations: Vec<Deviation> = pinned.deviation.into_iter().collect();
    if !name.eq_ignore_ascii_case(repository) {
        deviations.push(Deviation {
            kind: DeviationKind::Substituted,
            subject: name.clone(),
            what: format!("the files are those of {repository}"),
            why: "`--repository` names it, and its name is that of a fork".into(),
            from: None,
        });
    }
    let named = format!("{repository} at {}", short(&pinned.commit));
    let tree = Box::new(files.tree);
    let mut release = Release::with_guide(name, pinned.tag, Some(pinned.commit), &named, tree)?;
    release.git = Some(facts);
    release.deviations = deviations;
    release.notes = notes;
    Ok(release)
}

/// `OWNER/NAME` in letters that need no quoting in an address.
fn checked_name(text: &str) -> Result<&str, RemoteError> {
    let plain = |part: &str| {
        let letters = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        !part.is_empty() && part.chars().all(letters) && !part.chars().all(|character| character == '.')
    };
    match text.split_once('/') {
        Some((owner, name)) if plain(owner) && plain(name) => Ok(text),
        _ => Err(RemoteError::NotARepository { text: cut(text, 80) }),
    }
}

/// The commit that is meant, and the tag that it is read as.
fn pin(remote: &Remote, references: &[Reference]) -> Result<Pinned, RemoteError> {
    let (commit, called) = commit_of(remote, references)?;
    if let Revision::Tag(tag) = &remote.revision {
        let (tag, deviation) = (tag.clone(), None);
        return Ok(Pinned { commit, tag, deviation });
    }
    let at_commit = highest_tag(references.iter().filter(|found| found.commit() == commit));
    let (tag, why) = match (&remote.read_as, at_commit) {
        (Some(tag), at) if at.as_ref() != Some(tag) => (tag.clone(), "`--release` says so"),
        (_, Some(tag)) => {
            let deviation = None;
            return Ok(Pinned { commit, tag, deviation });
        }
        (_, None) => {
            let tag = newest(references).ok_or_else(|| RemoteError::NoReleases {
                repository: remote.repository.clone(),
                point: called.clone(),
            })?;
            (tag, "it has no tag of its own, and that is the newest release")
        }
    };
    let deviation = Deviation {
        kind: DeviationKind::Substituted,
        subject: tag.to_string(),
        what: format!("{called} is tested as {tag}"),
        why: why.into(),
        from: None,
    };
    Ok(Pinned {
        commit,
        tag,
        deviation: Some(deviation),
    })
}

/// The commit of a revision, and what the revision is called in a sentence.
fn commit_of(remote: &Remote, references: &[Reference]) -> Result<(String, String), RemoteError> {
    let find = |name: &str| references.iter().find(|found| found.name == name);
    let repository = remote.repository.clone();
    match &remote.revision {
        Revision::Tag(tag) => {
            let tag = tag.to_string();
            let tags = references.iter().filter_map(Reference::tag).filter(is_release);
            let found = find(&format!("refs/tags/{tag}")).ok_or_else(|| RemoteError::UnknownTag {
                repository,
                near: near(&tag, tags),
                tag: tag.clone(),
            })?;
            Ok((found.commit().to_owned(), tag))
        }
        Revision::Branch(branch) => {
            let below = "refs/heads/";
            let branches = references.iter().filter_map(|found| found.name.strip_prefix(below));
            let found = find(&format!("{below}{branch}")).ok_or_else(|| RemoteError::UnknownBranch {
                repository,
                branch: cut(branch, 80),
                near: near(branch, branches),
            })?;
            let commit = found.commit().to_owned();
            let called = format!("branch `{branch}` at commit {}", short(&commit));
            Ok((commit, called))
        }
        Revision::Commit(commit) if is_object(commit) => {
            let commit = commit.to_ascii_lowercase();
            let called = format!("commit {}", short(&commit));
            Ok((commit, called))
        }
        Revision::Commit(text) => Err(RemoteError::NotACommit { text: cut(text, 80) }),
    }
}

/// The newest release that is no candidate.
fn newest(references: &[Reference]) -> Option<Tag> {
    let finals = references.iter().filter(|found| {
        let tag: Option<Tag> = found.tag().and_then(|name| name.parse().ok());
        tag.is_some_and(|tag| !tag.is_candidate())
    });
    highest_tag(finals)
}

fn is_release(name: &&str) -> bool {
    name.parse::<Tag>().is_ok()
}

/// Names that may be meant by one that does not exist, the nearest first, as the end of a sentence.
fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    let mut ranked: Vec<(usize, &str)> = names
        .map(|name| (strsim::damerau_levenshtein(wanted, name), name))
        .collect();
    // A name of which every second letter differs is not meant.
    ranked.retain(|(distance, _)| *distance * 2 <= wanted.chars().count().max(2));
    ranked.sort_unstable();
    let names: Vec<String> = ranked
        .iter()
        .take(MOST_NEAR)
        .map(|(_, name)| format!("`{name}`"))
        .collect();
    match names.split_last() {
        None => "; `git ls-remote` lists what it has".into(),
        Some((last, [])) => format!("; did you mean {last}?"),
        Some((last, others)) => format!("; did you mean {} or {last}?", others.join(", ")),
    }
}

#[cfg(test)]
mod tests;
