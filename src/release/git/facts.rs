//! What git knows of the tag under test, asked of the `git` program.
//!
//! Only commands that read are run, without hooks, file monitors or fetching: a checkout may bring a configuration of its
//! own that names programs to run. Git itself refuses a checkout that belongs to somebody else; that refusal is kept, and
//! said.

use std::{collections::BTreeSet, path::Path, time::Duration};

use crate::{
    host::{Call, Ended, Host, in_words},
    release::{Repository, Tag},
};

/// How long one question to git may take; each is answered from the checkout alone.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// What is known of a release from git: a checkout, or the references that a server lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitFacts {
    /// The commit that the tree is of.
    pub head: String,
    /// Tags at that commit, by name, such as `v1.6.0` and `conformance/v1.6.0`, sorted.
    pub tags_at_head: Vec<String>,
    /// The tag under test; `None` where there is no such tag here, or no tag is tested.
    pub tag: Option<GitTag>,
    /// The branch that the tag should be cut from, such as `release-1.5`; `None` where the repository is not known.
    pub release_branch: Option<String>,
    /// Whether the tag's commit is an ancestor of that branch, or its head.
    pub on_release_branch: OnBranch,
    /// Tags that should stand at the tag's commit, such as `conformance/v1.5.0`.
    pub companions: Vec<CompanionTag>,
    /// Files that differ from the commit, counted; `None` where nobody looked: the files come from the commit, or the
    /// checkout names programs of its own that git would run to look.
    pub changed_files: Option<usize>,
}

/// A tag, as git has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitTag {
    /// The commit that it stands at.
    pub commit: String,
    /// Whether it is an object of its own.
    pub kind: TagKind,
}

/// Whether a tag is an object of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagKind {
    /// It is a mere name for a commit: nobody signs it, and it bears no message.
    Lightweight,
    /// It is an object; `None` where only that is known and the object was not read.
    Annotated(Option<TagObject>),
}

/// What stands in an annotated tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagObject {
    /// Who made it, as `NAME <ADDRESS>`; empty where it does not say.
    pub tagger: String,
    /// The message, without the signature.
    pub message: String,
    /// The kind of signature below the message. That it is there is known, not that it is good.
    pub signature: Option<Signature>,
}

/// A kind of signature (gitformat-signature(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// `-----BEGIN PGP SIGNATURE-----` or `-----BEGIN PGP MESSAGE-----`.
    OpenPgp,
    /// `-----BEGIN SSH SIGNATURE-----`.
    Ssh,
    /// `-----BEGIN SIGNED MESSAGE-----`.
    X509,
}

/// A tag that should stand beside the tag under test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompanionTag {
    /// Its name, such as `conformance/v1.5.0`.
    pub(crate) name: String,
    /// The commit that it stands at, or `None` where there is no such tag.
    pub commit: Option<String>,
}

/// Whether a tag is on a branch, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnBranch {
    /// Yes.
    Yes,
    /// No.
    No,
    /// It cannot be told, and why.
    Undecided(String),
}

/// A reference that git lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::release) struct Reference {
    /// Its full name, such as `refs/tags/v1.5.0`.
    pub(in crate::release) name: String,
    /// What it points at.
    pub(in crate::release) object: String,
    /// The commit of an annotated tag; `None` for anything else.
    pub(in crate::release) peeled: Option<String>,
}

impl Reference {
    /// The commit that it stands at.
    pub(in crate::release) fn commit(&self) -> &str {
        self.peeled.as_deref().unwrap_or(&self.object)
    }

    /// The name below `refs/tags/`; `None` for anything else.
    pub(in crate::release) fn tag(&self) -> Option<&str> {
        self.name.strip_prefix("refs/tags/")
    }
}

impl GitFacts {
    /// What a list of references tells about the tree of commit `head` as release `tag` of `repository`.
    pub(in crate::release) fn from_references(
        head: &str,
        references: &[Reference],
        repository: Option<&Repository>,
        tag: Option<&Tag>,
    ) -> Self {
        let find = |name: &str| references.iter().find(|reference| reference.tag() == Some(name));
        let at_head = references.iter().filter(|reference| reference.commit() == head);
        let mut tags_at_head: Vec<String> = at_head.filter_map(|found| found.tag().map(str::to_owned)).collect();
        tags_at_head.sort();
        let own = tag.and_then(|tag| find(&tag.to_string())).map(|found| GitTag {
            commit: found.commit().to_owned(),
            kind: match found.peeled {
                Some(_) => TagKind::Annotated(None),
                None => TagKind::Lightweight,
            },
        });
        let both = repository.zip(tag);
        let companions = both
            .map(|(repository, tag)| repository.companions_of(tag))
            .unwrap_or_default();
        Self {
            head: head.to_owned(),
            tags_at_head,
            tag: own,
            release_branch: both.map(|(repository, tag)| repository.branch_of(tag)),
            on_release_branch: OnBranch::Undecided("only a checkout with its history tells".into()),
            companions: companions
                .into_iter()
                .map(|name| CompanionTag {
                    commit: find(&name).map(|found| found.commit().to_owned()),
                    name,
                })
                .collect(),
            changed_files: None,
        }
    }
}

/// A checkout that `git` answers questions about.
#[derive(Debug)]
pub(in crate::release) struct Checkout<'a> {
    host: &'a Host,
    root: &'a Path,
    pub(in crate::release) head: String,
    pub(in crate::release) references: Vec<Reference>,
}

impl<'a> Checkout<'a> {
    /// Opens the checkout whose root is `root`; the reason where git does not answer. `None` where it is no checkout.
    pub(in crate::release) async fn open(host: &'a Host, root: &'a Path) -> Option<Result<Self, String>> {
        let head = super::commit(root)?;
        // It would make git speak of another repository.
        if host.variable("GIT_DIR").is_some() {
            return Some(Err("`GIT_DIR` is set".into()));
        }
        if let Some(path) = super::unreadable(root) {
            return Some(Err(format!("`{}` is no regular file", path.display())));
        }
        Some(Self::with_head(host, root, head).await)
    }

    async fn with_head(host: &'a Host, root: &'a Path, head: String) -> Result<Self, String> {
        let mut checkout = Self {
            host,
            root,
            head,
            references: Vec::new(),
        };
        let format = "--format=%(refname) %(objectname) %(*objecttype) %(*objectname)";
        let listed = checkout
            .ask(&["for-each-ref", format, "refs/tags", "refs/heads", "refs/remotes"])
            .await?;
        if !listed.status.success() {
            return Err(listed.last_words());
        }
        checkout.references = listed.text().lines().filter_map(reference).collect();
        Ok(checkout)
    }

    /// What git knows of the tree as release `tag` of `repository`.
    pub(in crate::release) async fn facts(&self, repository: Option<&Repository>, tag: Option<&Tag>) -> GitFacts {
        let mut facts = GitFacts::from_references(&self.head, &self.references, repository, tag);
        if let (Some(tag), Some(GitTag { commit, kind })) = (tag, &mut facts.tag) {
            if let TagKind::Annotated(object) = kind {
                *object = self.tag_object(tag).await;
            }
            if let Some(branch) = &facts.release_branch {
                facts.on_release_branch = self.is_on(branch, commit).await;
            }
        }
        facts.changed_files = self.changed_files().await;
        facts
    }

    /// The paths of all files of a tag; `None` where the checkout has no such tag.
    pub(in crate::release) async fn files(&self, tag: &Tag) -> Option<BTreeSet<String>> {
        let name = format!("refs/tags/{tag}");
        self.references.iter().find(|reference| reference.name == name)?;
        let ended = self.ask(&["ls-tree", "-r", "-z", "--name-only", &name]).await.ok()?;
        let text = String::from_utf8_lossy(&ended.stdout);
        let files = text.split('\0').filter(|path| !path.is_empty());
        ended.status.success().then(|| files.map(str::to_owned).collect())
    }

    async fn tag_object(&self, tag: &Tag) -> Option<TagObject> {
        let name = format!("refs/tags/{tag}");
        let ended = self.ask(&["cat-file", "tag", &name]).await.ok()?;
        let text = String::from_utf8_lossy(&ended.stdout);
        ended.status.success().then(|| tag_object(&text))
    }

    async fn is_on(&self, branch: &str, commit: &str) -> OnBranch {
        let local = format!("refs/heads/{branch}");
        let of_remote = |name: &str| {
            let below = name.strip_prefix("refs/remotes/").and_then(|rest| rest.split_once('/'));
            below.is_some_and(|(_, below)| below == branch)
        };
        let heads = self
            .references
            .iter()
            .filter(|reference| reference.name == local || of_remote(&reference.name));
        let mut answer = OnBranch::Undecided(format!("the checkout has no branch `{branch}`"));
        for head in heads {
            let asked = self.ask(&["merge-base", "--is-ancestor", commit, &head.object]).await;
            answer = match asked.map(|ended| (ended.status.code(), ended.last_words())) {
                // An ancestor that is found is one, also in a history that is cut off.
                Ok((Some(0), _)) => return OnBranch::Yes,
                Ok((Some(1), _)) if !super::is_shallow(self.root) => OnBranch::No,
                Ok((Some(1), _)) => OnBranch::Undecided("the checkout is shallow: its history is cut off".into()),
                Ok((_, said)) | Err(said) => OnBranch::Undecided(said),
            };
        }
        answer
    }

    async fn changed_files(&self) -> Option<usize> {
        if self.names_filters().await {
            return None;
        }
        let arguments = [
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--ignore-submodules=all",
        ];
        let ended = self.ask(&arguments).await.ok()?;
        ended.status.success().then(|| ended.text().lines().count())
    }

    /// Whether the checkout's own configuration names filters, which git runs over files to compare them.
    async fn names_filters(&self) -> bool {
        let arguments = [
            "config",
            "--includes",
            "--show-scope",
            "--name-only",
            "--get-regexp",
            r"^filter\.",
        ];
        let Ok(listed) = self.ask(&arguments).await else {
            return true;
        };
        // 1 says that there is none (git-config(1)).
        match listed.status.code() {
            Some(0) => listed
                .text()
                .lines()
                .any(|line| line.starts_with("local") || line.starts_with("worktree")),
            Some(1) => false,
            _ => true,
        }
    }

    async fn ask(&self, arguments: &[&str]) -> Result<Ended, String> {
        let call = Call::new("git")
            .args([
                "--no-pager",
                "-c",
                "core.fsmonitor=false",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            .args(arguments.iter().copied())
            .directory(self.root)
            .variable("GIT_OPTIONAL_LOCKS", "0")
            .variable("GIT_NO_LAZY_FETCH", "1")
            // Git before 2.45 does not know the line above; no protocol has this name.
            .variable("GIT_ALLOW_PROTOCOL", "none")
            .variable("GIT_NO_REPLACE_OBJECTS", "1")
            .variable("GIT_TERMINAL_PROMPT", "0")
            .variable("LC_ALL", "C")
            .time_limit(TIME_LIMIT);
        self.host.run(&call).await.map_err(|error| in_words(&error))
    }
}

/// A line of `for-each-ref`: name, object, and for a tag object the kind and the name of what it is of.
fn reference(line: &str) -> Option<Reference> {
    let mut words = line.split(' ');
    let (name, object) = (words.next()?, words.next()?);
    let peeled = match (words.next(), words.next()) {
        (Some("commit"), Some(commit)) => Some(commit.to_owned()),
        _ => None,
    };
    Some(Reference {
        name: name.to_owned(),
        object: object.to_owned(),
        peeled,
    })
}

/// Reads a tag object: headers, an empty line, the message, and below it a signature (git-tag(1), gitformat-signature(5)).
fn tag_object(text: &str) -> TagObject {
    let (headers, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let tagger = headers.lines().find_map(|line| line.strip_prefix("tagger "));
    // `NAME <ADDRESS> SECONDS ZONE`.
    let tagger = tagger.map(|tagger| tagger.split_inclusive('>').next().unwrap_or_default().to_owned());
    let kinds = [
        ("-----BEGIN PGP SIGNATURE-----", Signature::OpenPgp),
        ("-----BEGIN PGP MESSAGE-----", Signature::OpenPgp),
        ("-----BEGIN SSH SIGNATURE-----", Signature::Ssh),
        ("-----BEGIN SIGNED MESSAGE-----", Signature::X509),
    ];
    let mut at = 0;
    let mut signature = None;
    // The last block counts: a message may quote one.
    for line in body.split_inclusive('\n') {
        if let Some((_, kind)) = kinds.iter().find(|(begin, _)| line.trim_end() == *begin) {
            signature = Some((at, *kind));
        }
        at += line.len();
    }
    TagObject {
        tagger: tagger.unwrap_or_default(),
        message: body[..signature.map_or(body.len(), |(at, _)| at)].trim().to_owned(),
        signature: signature.map(|(_, kind)| kind),
    }
}
