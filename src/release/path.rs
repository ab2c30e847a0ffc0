//! Paths inside a release's tree.

use std::{fmt, str::FromStr};

use crate::redact::cut;

/// A path relative to the root of a tree, such as `site-src/guides/index.md`: parts joined by `/`, none empty, `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(String);

/// Why a text is not a path inside a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a path inside the tree; expected one such as `config/crd/kustomization.yaml`")]
pub struct PathError {
    /// The text.
    pub(crate) text: String,
}

impl RepoPath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What errors call the root of a tree, which itself has no path.
    pub(super) fn root() -> Self {
        Self(".".to_owned())
    }

    /// The directory it stands in; `None` for a path of one part.
    pub(crate) fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(directory, _)| Self(directory.to_owned()))
    }

    /// What its last part ends with behind a dot, such as `yaml`.
    pub(crate) fn ending(&self) -> Option<&str> {
        let (_, ending) = self.0.rsplit('/').next()?.rsplit_once('.')?;
        Some(ending)
    }

    /// A path that is written relative to this directory; `..` may go up as far as the root.
    ///
    /// # Errors
    /// It leaves the tree.
    pub(crate) fn join(&self, relative: &str) -> Result<Self, PathError> {
        resolve(self.0.split('/').collect(), relative)
    }
}

fn resolve<'a>(mut parts: Vec<&'a str>, relative: &'a str) -> Result<RepoPath, PathError> {
    let refuse = || PathError {
        text: cut(relative, 200),
    };
    if relative.starts_with('/') || relative.contains(['\\', '\0', '\n']) || relative.contains("//") {
        return Err(refuse());
    }
    for part in relative.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop().ok_or_else(refuse)?;
            }
            "" => return Err(refuse()),
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Err(refuse());
    }
    Ok(RepoPath(parts.join("/")))
}

impl FromStr for RepoPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        resolve(Vec::new(), text)
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for RepoPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a/b.yaml", Some("a/b.yaml"))]
    #[case("./a/./b", Some("a/b"))]
    #[case("a/../b", Some("b"))]
    #[case("a/", Some("a"))]
    #[case("../a", None)]
    #[case("a/../../b", None)]
    #[case("/etc/passwd", None)]
    #[case("a//b", None)]
    #[case("a\\b", None)]
    #[case(".", None)]
    #[case("", None)]
    fn paths_stay_inside_the_tree(#[case] text: &str, #[case] read: Option<&str>) {
        assert_eq!(text.parse::<RepoPath>().ok().as_ref().map(RepoPath::as_str), read);
    }

    #[test]
    fn a_relative_path_is_resolved_against_its_directory() {
        let directory: RepoPath = "config/crd".parse().unwrap();
        assert_eq!(directory.join("../x.yaml").unwrap().as_str(), "config/x.yaml");
        assert!(directory.join("../../../x").is_err());
        assert_eq!(directory.parent().unwrap().as_str(), "config");
    }

    proptest! {
        #[test]
        fn every_path_read_is_plain(text in "[a./\\\\]{0,16}") {
            if let Ok(path) = text.parse::<RepoPath>() {
                prop_assert!(path.as_str().split('/').all(|part| !matches!(part, "" | "." | "..")));
            }
        }
    }
}
