//! Which repository and which release a tree is of, told from facts in it.
//!
//! What tells a tag, the strongest first:
//!
//! 1. git: a tag of the checkout that stands at its HEAD (`release::git`). It is the tag, whatever the files say: files
//!    that name another one are then a defect of the release.
//! 2. the directory's name together with a file that names the same numbers: two witnesses that know nothing of each other.
//! 3. the files alone: the tag that most of them name.
//! 4. the directory's name alone, where no file names any tag.
//!
//! A name that no file agrees with, where files name other tags, is a contradiction that only the caller can resolve.

use std::{collections::BTreeMap, path::Path};

use super::{ReleaseError, RepoPath, Repository, Tag, Tree, TreeError};
use crate::manifest;

/// What the files of a tree say.
#[derive(Debug, Default)]
pub(super) struct Identity {
    /// The repository whose signs the tree bears most; `None` where it bears none.
    pub(super) repository: Option<Repository>,
    /// The tags that its files name as their own, with the file.
    pub(super) claims: Vec<(Tag, RepoPath)>,
}

/// A tag, and what told it, as the end of the sentence `the tree is of TAG: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TagEvidence {
    pub(super) tag: Tag,
    pub(super) by: String,
}

/// What the files of a tree say against the tag that it is to be read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Objection {
    /// They still name a tag from before: a defect of the release.
    NotBroughtUp {
        /// The tag that they name.
        tag: Tag,
        /// One of them.
        file: RepoPath,
    },
    /// They are of another release.
    OtherRelease {
        /// The tag that they name.
        tag: Tag,
        /// One of them.
        file: RepoPath,
    },
}

impl Identity {
    /// Reads what the files of a tree say.
    pub(super) fn of(tree: &dyn Tree) -> Result<Self, ReleaseError> {
        let mut texts = Vec::new();
        for (directory, kind) in [("config/crd", Kind::Crd), ("config/charts", Kind::Values)] {
            for path in files(tree, directory)? {
                let wanted = kind == Kind::Crd || path.as_str().ends_with("/values.yaml");
                let text = wanted.then(|| String::from_utf8(tree.read(&path).ok()?).ok()).flatten();
                texts.extend(text.map(|text| (kind, path, text)));
            }
        }
        let read = |repository: &Repository| -> Vec<(String, RepoPath)> {
            let said = texts.iter().filter_map(|(kind, path, text)| {
                let said = match kind {
                    Kind::Crd => bundle_version(text, repository.bundle_version.as_ref()?),
                    Kind::Values => image_tag(text, &repository.images),
                };
                Some((said?, path.clone()))
            });
            said.collect()
        };
        let mut best = Self::default();
        let mut most = 0;
        for repository in Repository::all()? {
            let signs = read(&repository);
            if signs.len() > most {
                most = signs.len();
                let claims = signs
                    .into_iter()
                    .filter_map(|(said, path)| Some((said.parse().ok()?, path)));
                best = Self {
                    claims: claims.collect(),
                    repository: Some(repository),
                };
            }
        }
        if best.repository.is_none() {
            let holds = |mark: &RepoPath| tree.list(mark).is_ok_and(|files| !files.is_empty());
            let mut known = Repository::all()?.into_iter();
            best.repository = known.find(|repository| repository.marks.iter().any(holds));
        }
        Ok(best)
    }

    /// What the files of the tree in `directory` say against the tag that it is to be read as; `None` where one of them
    /// names its numbers, or none names any tag. A candidate's files may already name its release.
    ///
    /// One file that was not brought up to date among others that were is a defect of the release, to be found by running
    /// it, and no reason to refuse the tree. So are files none of which was: they name an earlier tag of the same branch,
    /// or the directory's own name contradicts them. Files that name any other tag are those of another release.
    pub(super) fn against(&self, wanted: &Tag, directory: &Path) -> Option<Objection> {
        if self.name(wanted) {
            return None;
        }
        let (tag, file) = self.claims.first().cloned()?;
        let ((major, minor, patch), found) = (wanted.numbers(), tag.numbers());
        let is_earlier = (major, minor) == (found.0, found.1) && found.2 < patch;
        let is_named = tag_in_name(directory).is_some_and(|named| named == *wanted);
        Some(if is_earlier || is_named {
            Objection::NotBroughtUp { tag, file }
        } else {
            Objection::OtherRelease { tag, file }
        })
    }

    /// The tag of the tree in `directory`, by the order of evidence above, git left out; `None` where nothing tells it.
    ///
    /// # Errors
    /// The directory's name is a tag, and files name other tags only.
    pub(super) fn tag(&self, directory: &Path) -> Result<Option<TagEvidence>, ReleaseError> {
        let named = tag_in_name(directory);
        let counted = self.counted();
        match (named, counted) {
            (Some(tag), Some(_)) if self.name(&tag) => {
                let by = format!("the directory's name and {} say so", self.files_that_name(&tag));
                Ok(Some(TagEvidence { tag, by }))
            }
            (Some(tag), Some(found)) => Err(ReleaseError::NameContradicts {
                directory: directory.display().to_string(),
                tag: tag.to_string(),
                found: found.to_string(),
                file: self.claims[0].1.clone(),
            }),
            (None, Some(tag)) => {
                let by = format!("{} say so", self.files_that_name(&tag));
                Ok(Some(TagEvidence { tag, by }))
            }
            (Some(tag), None) => Ok(Some(TagEvidence {
                tag,
                by: "only the directory's name says so, its files name no tag".into(),
            })),
            (None, None) => Ok(None),
        }
    }

    /// Whether a file names these numbers.
    fn name(&self, wanted: &Tag) -> bool {
        self.claims.iter().any(|(tag, _)| tag.numbers() == wanted.numbers())
    }

    fn files_that_name(&self, wanted: &Tag) -> String {
        let agree = self.claims.iter().filter(|(tag, _)| tag.numbers() == wanted.numbers());
        format!("{} of {} files that name a tag", agree.count(), self.claims.len())
    }

    /// The tag that is named most often; of tags named equally often the highest.
    fn counted(&self) -> Option<Tag> {
        let mut counts: BTreeMap<&Tag, usize> = BTreeMap::new();
        for (tag, _) in &self.claims {
            *counts.entry(tag).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|&(tag, count)| (count, tag));
        most.map(|(tag, _)| tag.clone())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Crd,
    Values,
}

/// The tag that a directory's own name is or ends with: `v1.5.0`, or `NAME-1.5.0` as an archive of a tag unpacks.
fn tag_in_name(directory: &Path) -> Option<Tag> {
    // `.` has no name of its own.
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let name = directory.file_name()?.to_str()?;
    let ends = name.match_indices('-').map(|(at, _)| &name[at + 1..]);
    std::iter::once(name)
        .chain(ends)
        .find_map(|end| end.parse().ok().or_else(|| format!("v{end}").parse().ok()))
}

fn files(tree: &dyn Tree, directory: &str) -> Result<Vec<RepoPath>, TreeError> {
    let Ok(directory) = directory.parse() else {
        return Ok(Vec::new());
    };
    match tree.list(&directory) {
        Err(TreeError::Missing { .. }) => Ok(Vec::new()),
        listed => listed,
    }
}

/// Read by line: a CRD is long, and parsing four of them costs more than the whole plan.
fn bundle_version(text: &str, annotation: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(annotation)?.strip_prefix(':'))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// The tag of the chart's main image: the first `image` mapping that names a repository of this project.
fn image_tag(text: &str, project: &str) -> Option<String> {
    fn search(value: &serde_json::Value, project: &str) -> Option<String> {
        let fields = value.as_object()?;
        // Charts before v1.5.0 name the `hub` and the image's short name.
        let names_project = ["repository", "hub", "registry"].iter().any(|field| {
            let name = fields.get(*field).and_then(serde_json::Value::as_str);
            name.is_some_and(|name| name.contains(project))
        });
        if names_project {
            return fields.get("tag")?.as_str().map(str::to_owned);
        }
        fields.values().find_map(|value| search(value, project))
    }
    search(&manifest::document("values.yaml", text.as_bytes()).ok()?, project)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::release::DirectoryTree;

    fn values(tag: &str) -> String {
        format!("a:\n  image:\n    registry: r\n    repository: gateway-api-inference-extension/epp\n    tag: {tag}\n")
    }

    fn crd(tag: &str) -> String {
        format!("metadata:\n  annotations:\n    inference.networking.k8s.io/bundle-version: {tag}\n")
    }

    #[rstest]
    #[case::both(crd("v1.5.0"), values("v1.5.0"), None)]
    #[case::one_left_behind(crd("v1.4.0"), values("v1.5.0"), None)]
    #[case::another(crd("v1.4.0"), values("v1.4.0"), Some("v1.4.0"))]
    #[case::a_later_one_of_the_branch(crd("v1.5.1"), values("v1.5.1"), Some("v1.5.1"))]
    #[case::only_the_chart(String::new(), values("v1.0.0"), Some("v1.0.0"))]
    #[case::a_candidate(crd("v1.5.0-rc.1"), values("v1.5.0-rc.1"), None)]
    #[case::an_old_chart(String::new(), "image: {name: epp, hub: r.example/gateway-api-inference-extension, tag: v0.5.1}".into(), Some("v0.5.1"))]
    #[case::main(crd("main-dev"), values("main"), None)]
    #[case::nothing(String::new(), String::new(), None)]
    #[case::broken(String::new(), "a: [".into(), None)]
    fn a_tree_is_of_the_release_its_files_name(
        #[case] crd: String,
        #[case] values: String,
        #[case] other: Option<&str>,
    ) {
        let root = tempfile::tempdir().unwrap();
        let identity = identity(root.path(), &crd, &values);
        let found = match identity.against(&"v1.5.0".parse().unwrap(), root.path()) {
            Some(Objection::OtherRelease { tag, .. }) => Some(tag.to_string()),
            Some(Objection::NotBroughtUp { tag, .. }) => panic!("{tag}"),
            None => None,
        };
        assert_eq!(found.as_deref(), other);
    }

    #[rstest]
    #[case::the_tag_before_of_its_branch("tree", "v1.5.1-rc.1", "v1.5.0-rc.1")]
    #[case::a_name_that_says_so_too("name-1.6.0-rc.1", "v1.6.0-rc.1", "v1.5.2")]
    fn files_that_nobody_brought_up_to_date_are_a_defect_of_the_release(
        #[case] directory: &str,
        #[case] wanted: &str,
        #[case] named: &str,
    ) {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join(directory);
        let identity = identity(&root, &crd(named), &values(named));
        let objection = identity.against(&wanted.parse().unwrap(), &root);
        assert!(
            matches!(&objection, Some(Objection::NotBroughtUp { tag, .. }) if tag.to_string() == named),
            "{objection:?}"
        );
    }

    fn identity(root: &Path, crd: &str, values: &str) -> Identity {
        for (name, text) in [
            ("config/crd/bases/a.yaml", crd),
            ("config/charts/c/values.yaml", values),
        ] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Identity::of(&DirectoryTree::open(root).unwrap()).unwrap()
    }

    #[rstest]
    #[case::both_agree("v1.5.0", "v1.5.0", "v1.5.0", Some("v1.5.0"))]
    #[case::a_file_left_behind("v1.5.0", "v1.4.0", "v1.5.0", Some("v1.5.0"))]
    #[case::a_candidate_whose_files_name_the_release("v1.5.0-rc.2", "v1.5.0", "v1.5.0", Some("v1.5.0-rc.2"))]
    #[case::an_unpacked_archive("name-1.5.0-rc.1", "v1.5.0-rc.1", "", Some("v1.5.0-rc.1"))]
    #[case::files_alone("checkout", "v1.4.0", "", Some("v1.4.0"))]
    #[case::files_that_differ("checkout", "v1.4.0", "v1.5.0", Some("v1.5.0"))]
    #[case::the_name_alone("v0.10.0", "main-dev", "main", Some("v0.10.0"))]
    #[case::nothing("checkout", "", "", None)]
    fn a_tag_is_told_by_the_strongest_witness(
        #[case] directory: &str,
        #[case] crd_tag: &str,
        #[case] values_tag: &str,
        #[case] tag: Option<&str>,
    ) {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join(directory);
        let told = identity(&root, &crd(crd_tag), &values(values_tag)).tag(&root).unwrap();
        assert_eq!(told.map(|told| told.tag.to_string()).as_deref(), tag);
    }

    #[test]
    fn a_name_that_no_file_agrees_with_is_a_contradiction() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("v1.5.0");
        let said = identity(&root, &crd("v1.4.0"), &values("v1.4.0"))
            .tag(&root)
            .unwrap_err();
        let said = said.to_string();
        assert!(said.contains("v1.5.0") && said.contains("v1.4.0"), "{said}");
    }

    #[test]
    fn a_repository_is_told_by_its_own_signs() {
        let root = tempfile::tempdir().unwrap();
        let other = "metadata:\n  annotations:\n    llm-d.ai/bundle-version: main-dev\n";
        let found = identity(root.path(), other, "").repository.unwrap();
        assert_eq!(found.repository, "llm-d/llm-d-router");
        let own = identity(root.path(), &crd("main"), "").repository.unwrap();
        assert_eq!(own.repository, crate::release::REPOSITORY);
    }
}
