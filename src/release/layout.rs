//! Where a range of releases keeps its guide, and which tab of it means what. Layouts are data: `manifests/layouts`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ReleaseError, RepoPath, Tag};
use crate::manifest;

/// How the releases of a range of tags lay out their guide.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Its name, which is also its file's.
    pub name: String,
    /// What it is, in one sentence.
    pub about: String,
    /// The first tag it holds for. Only the three numbers count. `None` for a layout that is only chosen by name.
    pub from: Option<Tag>,
    /// The first tag it no longer holds for.
    pub before: Option<Tag>,
    /// The guide's file.
    pub guide: RepoPath,
    /// Model-server variants by name, and the titles of their tabs.
    pub variants: BTreeMap<String, TabPattern>,
    /// The provider to use where the layout leaves no choice, such as `none` for a guide without a gateway.
    #[serde(default)]
    pub only_provider: Option<String>,
    /// Further tabs to take, for tab sets that are neither of variants nor of providers.
    #[serde(default)]
    pub tabs: Vec<TabPattern>,
    /// Sections with a role of their own.
    #[serde(default)]
    pub sections: Sections,
    /// Blocks that are left out.
    #[serde(default)]
    pub skip_after: Vec<Skip>,
    /// Variables that the reader is to have set, such as a token; everything else must be set by the guide.
    #[serde(default)]
    pub environment: Vec<String>,
    /// The variable by which the guide names its namespace, where it does.
    #[serde(default)]
    pub namespace_variable: Option<String>,
    /// Branches and versions in the guide's addresses that stand for the tag, for guides that were never brought to it.
    #[serde(default)]
    pub stands_for_tag: Vec<String>,
    /// Texts that a reader replaces by hand, such as `<YOUR_PROVIDER>`.
    #[serde(default)]
    pub placeholders: Vec<Placeholder>,
    /// Assets that are had from a Go module because the tree does not hold them.
    #[serde(default)]
    pub schemas: Vec<LayoutSchema>,
}

/// Titles of tabs: those that contain one of some words and none of others, upper and lower case alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TabPattern {
    /// The title contains one of these.
    pub contains: Vec<String>,
    /// The title contains none of these.
    #[serde(default)]
    pub without: Vec<String>,
}

/// Sections by the text of their headings; a section's subsections share its role.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sections {
    /// Checks of the reader's machine and cluster: shown, deciding nothing.
    #[serde(default)]
    pub prerequisites: Vec<String>,
    /// Taking everything away again: left out, because a run removes what it made itself.
    #[serde(default)]
    pub cleanup: Vec<String>,
}

/// Blocks to leave out: those whose text right before them contains `text`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// The text.
    pub text: String,
    /// The reason, for the ledger.
    pub why: String,
}

/// A text in commands that a reader replaces by hand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placeholder {
    /// The text.
    pub text: String,
    /// What is put in its place; may be empty.
    pub value: String,
    /// The reason, for the ledger.
    pub why: String,
}

/// An asset that a guide names by URL and that is had from a Go module.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayoutSchema {
    /// The URL in the guide, which is also the second way to have it.
    pub url: String,
    /// The module.
    pub module: String,
    /// Its version.
    pub version: String,
    /// The folder of the module that holds the YAML files.
    pub folder: String,
}

impl TabPattern {
    /// Whether a tab of this title is meant.
    pub fn matches(&self, title: &str) -> bool {
        let title = title.to_lowercase();
        let has = |words: &[String]| words.iter().any(|word| title.contains(&word.to_lowercase()));
        has(&self.contains) && !has(&self.without)
    }
}

#[derive(rust_embed::RustEmbed)]
#[folder = "manifests/layouts"]
struct Files;

impl Layout {
    /// Every layout there is, by name.
    ///
    /// # Errors
    /// A file of ours is broken, which a test rules out.
    pub fn all() -> Result<Vec<Self>, ReleaseError> {
        let read = |name: std::borrow::Cow<'static, str>| {
            let file = Files::get(&name).map(|file| file.data).unwrap_or_default();
            Ok(manifest::document(&format!("manifests/layouts/{name}"), &file)?)
        };
        Files::iter().map(read).collect()
    }

    /// Whether a tag falls in its range.
    pub fn covers(&self, tag: &Tag) -> bool {
        self.from.as_ref().is_some_and(|from| from.numbers() <= tag.numbers())
            && self
                .before
                .as_ref()
                .is_none_or(|before| tag.numbers() < before.numbers())
    }

    pub(super) fn of_tag(tag: &Tag) -> Result<Self, ReleaseError> {
        let layouts = Self::all()?;
        let known = layouts
            .iter()
            .filter_map(|layout| {
                let upper = layout.before.as_ref().map(|before| format!(" to before {before}"));
                Some(format!(
                    "`{}` (from {}{})",
                    layout.name,
                    layout.from.as_ref()?,
                    upper.unwrap_or_default()
                ))
            })
            .collect::<Vec<_>>()
            .join(", ");
        let found = layouts.into_iter().find(|layout| layout.covers(tag));
        found.ok_or_else(|| ReleaseError::NoLayoutFor {
            tag: tag.clone(),
            known,
        })
    }

    pub(super) fn named(name: &str) -> Result<Self, ReleaseError> {
        let layouts = Self::all()?;
        let known = layouts
            .iter()
            .map(|layout| format!("`{}`", layout.name))
            .collect::<Vec<_>>()
            .join(", ");
        let found = layouts.into_iter().find(|layout| layout.name == name);
        found.ok_or_else(|| ReleaseError::UnknownLayout {
            name: name.chars().take(80).collect(),
            known,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_layout_is_readable_and_bears_the_name_of_its_file() {
        let layouts = Layout::all().unwrap();
        let mut named: Vec<String> = layouts.iter().map(|layout| format!("{}.yaml", layout.name)).collect();
        let mut files: Vec<String> = Files::iter().map(|name| name.to_string()).collect();
        named.sort();
        files.sort();
        assert_eq!(named, files);
    }

    #[rstest]
    #[case("v1.5.0", Some("e8"))]
    #[case("v1.5.0-rc.1", Some("e8"))]
    #[case("v1.5.9", Some("e8"))]
    #[case("v1.4.0", None)]
    #[case("v1.6.0", None)]
    fn a_tag_falls_in_at_most_one_layout(#[case] tag: &str, #[case] name: Option<&str>) {
        let tag: Tag = tag.parse().unwrap();
        let covering: Vec<_> = Layout::all()
            .unwrap()
            .into_iter()
            .filter(|layout| layout.covers(&tag))
            .collect();
        assert!(covering.len() <= 1);
        assert_eq!(covering.first().map(|layout| layout.name.as_str()), name);
        assert_eq!(Layout::of_tag(&tag).ok().map(|layout| layout.name).as_deref(), name);
    }

    #[rstest]
    #[case("vLLM Simulator deployment", true)]
    #[case("vLLM Simulator gRPC deployment", false)]
    #[case("GPU", false)]
    fn a_tab_is_known_by_the_words_of_its_title(#[case] title: &str, #[case] meant: bool) {
        let pattern = TabPattern {
            contains: vec!["simulator".into()],
            without: vec!["grpc".into()],
        };
        assert_eq!(pattern.matches(title), meant);
    }

    #[test]
    fn an_unknown_layout_names_the_known_ones() {
        let said = Layout::named("e99").unwrap_err().to_string();
        assert!(said.contains("`e8`") && said.contains("`embedded`"), "{said}");
    }
}
