//! Opens what is in a directory: a release's tree, a checkout of it, or a quickstart of one's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    DirectoryTree, GitFacts, Layout, REPOSITORY, Release, ReleaseError, Repository, Tag, Tree, Untagged,
    git::{self, Checkout},
    identity::{Identity, Objection, TagEvidence},
    remote::{highest_tag, short},
};
use crate::{
    host::Host,
    record::{Deviation, DeviationKind},
};

/// Opens what is in `directory`. Typed facts come first, then git, then the files (see `release::identity`).
pub(super) async fn open(
    host: &Host,
    directory: &Path,
    typed: Option<&Tag>,
    repository: Option<&str>,
) -> Result<Release, ReleaseError> {
    let named = directory.display().to_string();
    let tree = DirectoryTree::open(directory).map_err(|source| ReleaseError::Unreadable {
        directory: named.clone(),
        source,
    })?;
    let quickstart = Layout::named("embedded")?.guide;
    if typed.is_none() && tree.exists(&quickstart) {
        let commit = git::commit(tree.root());
        return Ok(Release::new(
            format!("quickstart in {named}"),
            None,
            commit,
            Box::new(tree),
        ));
    }
    let identity = Identity::of(&tree)?;
    let known = match repository {
        Some(name) => Repository::known_as(name)?,
        None => identity.repository.clone(),
    };
    let mut notes = Vec::new();
    let checkout = Checkout::open(host, tree.root()).await.and_then(|opened| {
        let say_why = |why| notes.push(format!("git was not asked about the tree: {why}"));
        opened.map_err(say_why).ok()
    });
    let tag = if let Some(tag) = typed {
        tag.clone()
    } else {
        let at_head = checkout.as_ref().and_then(tag_at_head);
        let told = at_head.map_or_else(|| identity.tag(directory), |told| Ok(Some(told)))?;
        if let (None, Some(known)) = (
            &told,
            known.as_ref().filter(|known| known.untagged == Untagged::NewestLayout),
        ) {
            let commit = git::commit(tree.root());
            return Release::of_branch(known.repository.clone(), commit, &named, Box::new(tree));
        }
        let TagEvidence { tag, by } = told.ok_or_else(|| ReleaseError::TagUnknown {
            directory: named.clone(),
            quickstart: quickstart.to_string(),
        })?;
        notes.push(format!("the tree is read as {tag}: {by}"));
        tag
    };
    let facts = match &checkout {
        Some(checkout) => Some(checkout.facts(known.as_ref(), Some(&tag)).await),
        None => None,
    };
    if facts.as_ref().is_some_and(|facts| facts.changed_files.is_none()) {
        let why = "its configuration names filters, which are not run";
        notes.push(format!(
            "whether files differ from the commit was not looked at: git failed, or {why}"
        ));
    }
    let left_behind = is_of_the_tag(directory, facts.as_ref(), &identity, &tag, typed)?;
    let name = known
        .map(|known| known.repository)
        .or_else(|| repository.map(str::to_owned))
        .unwrap_or_else(|| REPOSITORY.to_owned());
    let head = facts.as_ref().map(|facts| facts.head.clone());
    let commit = head.or_else(|| git::commit(tree.root()));
    let mut files_of_tags = BTreeMap::new();
    if let Some(checkout) = &checkout {
        for other in other_tags(&tree, &name, &tag) {
            if let Some(files) = checkout.files(&other).await {
                files_of_tags.insert(other.to_string(), files);
            }
        }
    }
    let mut release = Release::with_guide(name, tag, commit, &named, Box::new(tree))?;
    release.deviations = facts
        .as_ref()
        .zip(release.tag.as_ref())
        .map_or_else(Vec::new, |(facts, tag)| deviations(facts, tag));
    release.deviations.extend(left_behind);
    release.git = facts;
    release.files_of_tags = files_of_tags;
    release.notes = notes;
    Ok(release)
}

/// The most tags of other releases whose files are listed.
const MOST_OTHER_TAGS: usize = 8;

/// The tags of other releases that the guide or a page beside its includes names.
fn other_tags(tree: &dyn Tree, repository: &str, tag: &Tag) -> BTreeSet<Tag> {
    let Ok(layout) = Layout::of_tag(repository, tag) else {
        return BTreeSet::new();
    };
    let pages = "site-src/_includes"
        .parse()
        .ok()
        .and_then(|pages| tree.list(&pages).ok());
    let pages = pages.unwrap_or_default().into_iter();
    let texts = pages.chain([layout.guide]).filter_map(|page| tree.read(&page).ok());
    let mut found = BTreeSet::new();
    for text in texts {
        let text = String::from_utf8_lossy(&text);
        let words = text.split(|sign: char| !(sign.is_ascii_alphanumeric() || matches!(sign, '.' | '-')));
        let tags = words
            .filter(|word| word.starts_with('v'))
            .filter_map(|word| word.parse::<Tag>().ok());
        found.extend(tags.filter(|other| other != tag).take(MOST_OTHER_TAGS));
    }
    found.into_iter().take(MOST_OTHER_TAGS).collect()
}

/// Refuses a tree that is of another release, or a checkout that is not at the tag that was typed. What its files say
/// against the tag all the same is for the ledger.
fn is_of_the_tag(
    directory: &Path,
    facts: Option<&GitFacts>,
    identity: &Identity,
    tag: &Tag,
    typed: Option<&Tag>,
) -> Result<Option<Deviation>, ReleaseError> {
    let own = facts.and_then(|facts| Some((&facts.tag.as_ref()?.commit, &facts.head)));
    match own {
        Some((commit, head)) if commit != head && typed.is_some() => Err(ReleaseError::NotTheTag {
            directory: directory.display().to_string(),
            tag: tag.clone(),
            commit: short(commit).to_owned(),
            head: short(head).to_owned(),
        }),
        // What git proves, files need not confirm: that they name another tag is then a defect of the release.
        Some((commit, head)) if commit == head => Ok(None),
        _ => match identity.against(tag, directory) {
            None => Ok(None),
            Some(Objection::NotBroughtUp { tag: found, file }) => Ok(Some(Deviation {
                kind: DeviationKind::Substituted,
                subject: tag.to_string(),
                what: format!("files that name {found}, such as `{file}`, are tested as {tag}"),
                why: "it was said which tag the tree is of, and files that nobody brought up to date are the release's defect"
                    .into(),
                from: None,
            })),
            Some(Objection::OtherRelease { tag: found, file }) => Err(ReleaseError::OtherRelease {
                directory: directory.display().to_string(),
                wanted: tag.to_string(),
                found: found.to_string(),
                file,
            }),
        },
    }
}

/// The release's tag at the checkout's HEAD; of several the highest, so the release before its candidates.
fn tag_at_head(checkout: &Checkout<'_>) -> Option<TagEvidence> {
    let tag = highest_tag(
        checkout
            .references
            .iter()
            .filter(|found| found.commit() == checkout.head),
    )?;
    Some(TagEvidence {
        tag,
        by: "git has that tag at its HEAD".into(),
    })
}

/// Where a checkout is not the tag that it is tested as.
fn deviations(facts: &GitFacts, tag: &Tag) -> Vec<Deviation> {
    let mut deviations = Vec::new();
    let mut add = |what: String, why: &str| {
        deviations.push(Deviation {
            kind: DeviationKind::Substituted,
            subject: tag.to_string(),
            what,
            why: why.to_owned(),
            from: None,
        });
    };
    let head = short(&facts.head);
    match &facts.tag {
        Some(own) if own.commit == facts.head => {}
        Some(own) => add(
            format!("commit {head} is tested as {tag}, which is {}", short(&own.commit)),
            "it is what is checked out",
        ),
        None => add(
            format!("commit {head} is tested as {tag}, and whether it is that tag's is not known"),
            "the checkout has no such tag",
        ),
    }
    match facts.changed_files {
        None | Some(0) => {}
        Some(1) => add(
            format!("1 file differs from commit {head}"),
            "it was changed in the checkout",
        ),
        Some(count) => add(
            format!("{count} files differ from commit {head}"),
            "they were changed in the checkout",
        ),
    }
    deviations
}
