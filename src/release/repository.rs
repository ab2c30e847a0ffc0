//! Repositories whose releases are tested: how their trees are told apart, and what stands beside their tags.
//!
//! They are data: `manifests/repositories`.

use serde::Deserialize;

use super::{ReleaseError, RepoPath, Tag};
use crate::manifest;

/// What is known of a repository.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the field of the file has that name")]
pub(crate) struct Repository {
    /// Its name, `owner/name`.
    pub(crate) repository: String,
    /// The annotation of its CRDs that should equal the tag; `None` where it has no CRDs.
    #[serde(default)]
    pub(crate) bundle_version: Option<String>,
    /// What the names of its own images hold, such as `gateway-api-inference-extension`.
    pub(crate) images: String,
    /// The branch that a tag is cut from, with `{major}` and `{minor}`.
    pub(crate) release_branch: String,
    /// Further tags at a release's commit.
    pub(crate) companions: Vec<Companion>,
    /// Directories that only a tree of it holds, where its files do not say whose they are.
    #[serde(default)]
    pub(crate) marks: Vec<RepoPath>,
    /// How a tree is read that bears no tag.
    #[serde(default)]
    pub(crate) untagged: Untagged,
}

/// How a tree is read that bears no tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Untagged {
    /// Not at all: nothing says how it is laid out.
    #[default]
    Refused,
    /// As the newest release is laid out.
    NewestLayout,
}

/// A tag that stands beside a release's tag, at the same commit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Companion {
    /// Its name, with `{tag}`.
    pub(crate) tag: String,
    /// The first release that has it; only the three numbers count.
    pub(crate) from: Tag,
}

#[derive(rust_embed::RustEmbed)]
#[folder = "manifests/repositories"]
struct Files;

impl Repository {
    /// Every repository that is known, in the order of their files' names.
    ///
    /// # Errors
    /// A file of ours is broken, which a test rules out.
    pub(crate) fn all() -> Result<Vec<Self>, ReleaseError> {
        let mut names: Vec<_> = Files::iter().collect();
        names.sort();
        let read = |name: std::borrow::Cow<'static, str>| {
            let file = Files::get(&name).map(|file| file.data).unwrap_or_default();
            Ok(manifest::document(&format!("manifests/repositories/{name}"), &file)?)
        };
        names.into_iter().map(read).collect()
    }

    /// The repository of this name (`owner/name`, upper and lower case alike), or one that it is a fork of by its bare
    /// name; `None` where neither is known.
    ///
    /// # Errors
    /// As [`Repository::all`].
    pub(crate) fn known_as(name: &str) -> Result<Option<Self>, ReleaseError> {
        let all = Self::all()?;
        let bare = |name: &str| name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
        let exact = all.iter().find(|known| known.repository.eq_ignore_ascii_case(name));
        let fork = || all.iter().find(|known| bare(&known.repository) == bare(name));
        Ok(exact.or_else(fork).cloned())
    }

    /// The branch that `tag` is cut from, such as `release-1.5`.
    pub(crate) fn branch_of(&self, tag: &Tag) -> String {
        let (major, minor, _) = tag.numbers();
        self.release_branch
            .replace("{major}", &major.to_string())
            .replace("{minor}", &minor.to_string())
    }

    /// The tags that stand beside `tag`, such as `conformance/v1.5.0`.
    pub(crate) fn companions_of(&self, tag: &Tag) -> Vec<String> {
        let due = self
            .companions
            .iter()
            .filter(|companion| companion.from.numbers() <= tag.numbers());
        due.map(|companion| companion.tag.replace("{tag}", &tag.to_string()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("kubernetes-sigs/gateway-api-inference-extension", true)]
    #[case("Kubernetes-Sigs/Gateway-API-Inference-Extension", true)]
    #[case("somebody/gateway-api-inference-extension", true)]
    #[case("somebody/else", false)]
    fn a_repository_is_known_by_its_name_and_a_fork_by_its_bare_name(#[case] name: &str, #[case] known: bool) {
        let found = Repository::known_as(name).unwrap();
        assert_eq!(
            found.map(|found| found.repository),
            known.then(|| crate::release::REPOSITORY.to_owned())
        );
    }

    #[test]
    fn a_tag_has_its_branch_and_its_companions() {
        let repository = Repository::known_as(crate::release::REPOSITORY).unwrap().unwrap();
        let [old, new]: [Tag; 2] = ["v1.4.0", "v1.5.0-rc.1"].map(|tag| tag.parse().unwrap());
        assert_eq!(repository.branch_of(&new), "release-1.5");
        assert_eq!(repository.companions_of(&old), Vec::<String>::new());
        assert_eq!(repository.companions_of(&new), ["conformance/v1.5.0-rc.1"]);
    }
}
