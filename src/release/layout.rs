//! Where a range of releases keeps its guide, and which tab of it means what. Layouts are data: `manifests/layouts`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use serde::Deserialize;

use super::{ReleaseError, RepoPath, Repository, Tag, Tree, Untagged, guides::OurGuides};
use crate::manifest;
use crate::redact::cut;

/// How the releases of a range of tags lay out their guide.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Its name, which is also its file's.
    pub(crate) name: String,
    /// The repository whose releases it is of.
    #[serde(default = "first_repository")]
    pub(crate) repository: String,
    /// The first tag it holds for. Only the three numbers count. `None` for a layout that is only chosen by name.
    pub from: Option<Tag>,
    /// The first tag it no longer holds for.
    pub(crate) before: Option<Tag>,
    /// The guide's file.
    pub guide: RepoPath,
    /// Why the guide is one of ours (in `manifests/guides`), for the ledger; `None` where the release has its own.
    #[serde(default)]
    pub our_guide: Option<String>,
    /// Where the guide offers its model-server variants.
    #[serde(default)]
    pub(crate) variants_are: VariantsAre,
    /// Model-server variants by name, and the titles of their tabs or sections.
    #[serde(default)]
    pub variants: BTreeMap<String, TabPattern>,
    /// The variant to use where the guide offers no choice, and so has no tab for it.
    #[serde(default)]
    pub only_variant: Option<String>,
    /// The provider to use where the layout leaves no choice, such as `none` for a guide without a gateway.
    #[serde(default)]
    pub only_provider: Option<String>,
    /// What a reader chooses from, where the guide has no tabs for it.
    #[serde(default)]
    pub(crate) choices: Option<Choices>,
    /// What only readers of some choices follow.
    #[serde(default)]
    pub(crate) alternatives: Vec<Alternative>,
    /// Pages that the guide sends its readers to.
    #[serde(default)]
    pub(crate) further_pages: Vec<FurtherPage>,
    /// The page that guides send their readers to for a request, where they have none of their own.
    #[serde(default)]
    pub(crate) request_page: Option<RequestPage>,
    /// How the page tells its readers to put another model into its request, where it does.
    #[serde(default)]
    pub(crate) model_is_the_readers: Option<String>,
    /// Groups of steps of a guide in YAML that are no part of the quickstart, named from the top (`deploy.monitoring`).
    #[serde(default)]
    pub(crate) groups_left_out: Vec<Skip>,
    /// Scripts of the release that its guides run.
    #[serde(default)]
    pub(crate) scripts: Vec<LayoutScript>,
    /// Directories whose pages are guides too: what their commands name must be there.
    #[serde(default)]
    pub(crate) pages: Vec<RepoPath>,
    /// Further tabs to take, for tab sets that are neither of variants nor of providers.
    #[serde(default)]
    pub(crate) tabs: Vec<TabPattern>,
    /// Sections with a role of their own.
    #[serde(default)]
    pub(crate) sections: Sections,
    /// Blocks that are left out.
    #[serde(default)]
    pub(crate) skip_after: Vec<Skip>,
    /// Sections that are left out, each by a text of its heading or of a summary.
    #[serde(default)]
    pub(crate) skip_sections: Vec<Skip>,
    /// Commands that are left out: those between a comment in their block that contains `text` and the next comment or
    /// empty line.
    #[serde(default)]
    pub(crate) skip_below: Vec<Skip>,
    /// Variables that the reader is to have set, such as a token; everything else must be set by the guide.
    #[serde(default)]
    pub environment: Vec<String>,
    /// The variable by which the guide names its namespace, where it does.
    #[serde(default)]
    pub(crate) namespace_variable: Option<String>,
    /// Branches and versions in the guide's addresses for which the release's own files stand in before publication.
    #[serde(default)]
    pub(crate) stands_for_tag: Vec<StandsForTag>,
    /// Texts that a reader replaces by hand, such as `<YOUR_PROVIDER>`.
    #[serde(default)]
    pub(crate) placeholders: Vec<Placeholder>,
    /// Assets that are had from a Go module because the tree does not hold them.
    #[serde(default)]
    pub(crate) schemas: Vec<LayoutSchema>,
    /// What stands right before the chart's name in the references of this repository's charts.
    #[serde(default)]
    pub(crate) charts: Vec<String>,
    /// Where a chart's values name the images that it runs as the guide installs it, such as `inferenceExtension.image`.
    #[serde(default)]
    pub(crate) chart_images: Vec<String>,
    /// Values that publication puts into a chart and that the tree's chart lacks; `{tag}` stands for the tag.
    #[serde(default)]
    pub(crate) at_publication: Vec<PublishedValue>,
    /// What its servers answer.
    #[serde(default)]
    pub(crate) servers: Servers,
    /// What the endpoint picker of these releases is like; `None` where the guide brings none of a release.
    #[serde(default)]
    pub(crate) picker: Option<Picker>,
}

/// Where a guide offers its model-server variants for a reader to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum VariantsAre {
    /// In tabs that stand side by side.
    #[default]
    Tabs,
    /// In sections one after another, each with a heading.
    Sections,
}

/// What the servers that a guide deploys answer requests with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Servers {
    /// What a model generates.
    #[default]
    Models,
    /// What they were asked: they echo it, and know no model.
    Echo,
}

/// A value that publication puts into a chart.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishedValue {
    /// `PATH=VALUE`, as for `helm --set`.
    pub(crate) set: String,
    /// The reason, for the ledger.
    pub(crate) why: String,
}

/// A branch or version that an address of the guide names, and for which the release's own files stand in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StandsForTag {
    /// Its name, such as `main`; `latest` for the newest release.
    pub(crate) name: String,
    /// The reason, for the ledger.
    pub(crate) why: String,
}

/// What can be seen of the endpoint picker of a range of releases from outside.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picker {
    /// How its flags are written.
    pub(crate) flags: FlagDialect,
    /// The kinds of inference objects that it watches, each `GROUP/VERSION KIND`.
    pub(crate) kinds: Vec<Since>,
    /// The metrics by which it is judged.
    #[serde(default)]
    pub(crate) metrics: Vec<Since>,
    /// The headers by which it is judged.
    #[serde(default)]
    pub(crate) headers: Vec<Since>,
    /// The metric whose label `build_ref` names the tag its image was built from.
    #[serde(default)]
    pub(crate) build_info: Option<Since>,
    /// The header of a request by which a client says, by address, which pod must serve it; `None` where only a plugin that
    /// guides do not use reads one.
    #[serde(default)]
    pub(crate) steered_by: Option<String>,
    /// The first tag whose endpoint picker says in the body of an error what is wrong; those before it leave the body
    /// empty. `None` where all of the layout say it. Source: `BuildErrResponse` in `pkg/epp/handlers/server.go`, which sets
    /// no body at v0.2.0 and v0.3.0 and does at v0.4.0.
    #[serde(default)]
    pub(crate) explains_errors_from: Option<Tag>,
}

/// What stands in the body of an error that an endpoint picker answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorBody {
    /// What is wrong.
    #[default]
    Explained,
    /// Nothing: the status is all that it says.
    Empty,
}

impl Picker {
    /// What stands in the body of an error of this release's endpoint picker.
    pub(crate) fn error_body(&self, tag: &Tag) -> ErrorBody {
        let explains = |from: &Tag| from.numbers() <= tag.numbers();
        match &self.explains_errors_from {
            Some(from) if !explains(from) => ErrorBody::Empty,
            Some(_) | None => ErrorBody::Explained,
        }
    }
}

/// How a program's flags are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlagDialect {
    /// `poolName`.
    CamelCase,
    /// `pool-name`.
    KebabCase,
}

/// Something that the releases of a layout have, some of them from a tag on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// Its name.
    pub(crate) name: String,
    /// The first tag that has it; `None` where all of the layout have.
    #[serde(default)]
    pub(crate) from: Option<Tag>,
}

impl Since {
    /// Whether a release has it.
    pub(crate) fn is_in(&self, tag: &Tag) -> bool {
        self.from.as_ref().is_none_or(|from| from.numbers() <= tag.numbers())
    }
}

fn first_repository() -> String {
    super::REPOSITORY.to_owned()
}

/// Titles of tabs: those that contain one of some words and none of others, upper and lower case alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TabPattern {
    /// The title contains one of these.
    pub(crate) contains: Vec<String>,
    /// The title contains none of these.
    #[serde(default)]
    pub(crate) without: Vec<String>,
}

/// Sections by the text of their headings; a section's subsections share its role.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sections {
    /// Checks of the reader's machine and cluster: shown, deciding nothing.
    #[serde(default)]
    pub(crate) prerequisites: Vec<String>,
    /// What a reader may do or leave: carried out as any other step.
    #[serde(default)]
    pub(crate) optional: Vec<String>,
    /// Taking everything away again: left out, because a run removes what it made itself.
    #[serde(default)]
    pub(crate) cleanup: Vec<String>,
}

/// Blocks to leave out: those whose text right before them contains `text`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Skip {
    /// The text.
    pub(crate) text: String,
    /// The reason, for the ledger.
    pub(crate) why: String,
}

/// A text in commands that a reader replaces by hand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placeholder {
    /// The text.
    pub(crate) text: String,
    /// What is put in its place; may be empty. `{tag}` stands for the tag.
    pub(crate) value: String,
    /// The reason, for the ledger.
    pub(crate) why: String,
}

/// An asset that a guide names by URL and that is had from a Go module.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LayoutSchema {
    /// The URL in the guide, which is also the second way to have it. `{version}` in it stands for a version of the module.
    pub(crate) url: String,
    /// The module.
    pub(crate) module: String,
    /// Its version; none where the URL says it.
    #[serde(default)]
    pub(crate) version: Option<String>,
    /// The folder of the module that holds the YAML files.
    pub(crate) folder: String,
    /// Those of its files that the asset holds; all of them where none is named.
    #[serde(default)]
    pub(crate) files: Vec<String>,
}

impl LayoutSchema {
    /// The version of the module that an address names; `None` where it names something else.
    pub(crate) fn version_in(&self, address: &str) -> Option<String> {
        let Some((before, after)) = self.url.split_once("{version}") else {
            return (self.url == address).then(|| self.version.clone().unwrap_or_default());
        };
        let version = address.strip_prefix(before)?.strip_suffix(after)?;
        // Only what a module proxy can have: a branch or `latest` is another one every day.
        version.parse::<Tag>().ok().map(|tag| tag.to_string())
    }
}

/// A script of the release that guides run, and the command that does the same.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LayoutScript {
    /// Its file.
    pub(crate) file: RepoPath,
    /// The command and its first arguments; those of the script follow.
    pub(crate) does: Vec<String>,
    /// The reason, for the ledger.
    pub(crate) why: String,
}

/// What a reader of a guide without tabs chooses from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choices {
    /// Model-server variants by name, and what their readers set the guide's own variables to.
    pub(crate) variants: BTreeMap<String, BTreeMap<String, String>>,
    /// Gateway providers by name, and the mode in which a guide deploys for each.
    pub(crate) providers: BTreeMap<String, ProviderChoice>,
}

/// What a reader does who chose one gateway provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderChoice {
    /// The mode of the guide, such as `standalone`.
    pub(crate) mode: String,
    /// What the reader sets the guide's own variables to.
    #[serde(default)]
    pub(crate) set: BTreeMap<String, String>,
}

/// What only readers of some choices follow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alternative {
    /// Blocks below a heading or a summary of this text, or right behind a line of it.
    #[serde(default)]
    pub(crate) title: Option<TabPattern>,
    /// Commands below a comment of this text, up to the next comment or empty line.
    #[serde(default)]
    pub(crate) comment: Option<TabPattern>,
    /// The variants whose readers follow it; each where none is named.
    #[serde(default)]
    pub(crate) variants: Vec<String>,
    /// The providers whose readers follow it; each where none is named.
    #[serde(default)]
    pub(crate) providers: Vec<String>,
}

impl Alternative {
    /// Whether the reader of a choice follows it.
    pub(crate) fn is_for(&self, variant: &str, provider: &str) -> bool {
        let has = |names: &[String], name: &str| names.is_empty() || names.iter().any(|one| one == name);
        has(&self.variants, variant) && has(&self.providers, provider)
    }
}

/// A page on which the request of a guide stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestPage {
    /// The page.
    pub(crate) page: RepoPath,
    /// The first tag whose guide has a request of its own.
    pub(crate) before: Tag,
}

/// A page that a guide sends some of its readers to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FurtherPage {
    /// The page.
    pub(crate) page: RepoPath,
    /// It is followed before the first block below a heading or a summary of this text; in a guide in YAML before the first
    /// step of the group of this name.
    pub(crate) before: String,
    /// The providers whose readers follow it.
    pub(crate) providers: Vec<String>,
    /// Sections of it that are followed; all of them where none is named.
    #[serde(default)]
    pub(crate) sections: Vec<String>,
}

impl TabPattern {
    /// Whether a tab of this title is meant.
    pub(crate) fn matches(&self, title: &str) -> bool {
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
    pub fn all() -> Result<&'static [Self], ReleaseError> {
        static ALL: OnceLock<Vec<Layout>> = OnceLock::new();
        if let Some(layouts) = ALL.get() {
            return Ok(layouts);
        }
        let read = |name: std::borrow::Cow<'static, str>| {
            let file = Files::get(&name).map(|file| file.data).unwrap_or_default();
            Ok(manifest::document(&format!("manifests/layouts/{name}"), &file)?)
        };
        let layouts: Result<Vec<Self>, ReleaseError> = Files::iter().map(read).collect();
        let layouts = layouts?;
        Ok(ALL.get_or_init(|| layouts))
    }

    /// Whether a tag falls in its range.
    pub(crate) fn covers(&self, tag: &Tag) -> bool {
        self.from.as_ref().is_some_and(|from| from.numbers() <= tag.numbers())
            && self
                .before
                .as_ref()
                .is_none_or(|before| tag.numbers() < before.numbers())
    }

    /// The layout of a repository's tag.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn of_tag(repository: &str, tag: &Tag) -> Result<Self, ReleaseError> {
        let layouts = Self::all()?;
        let is_of = |layout: &Self| layout.repository.eq_ignore_ascii_case(repository);
        let known = layouts
            .iter()
            .filter(|layout| is_of(layout))
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
        let found = layouts.iter().find(|layout| is_of(layout) && layout.covers(tag));
        found.cloned().ok_or_else(|| {
            if known.is_empty() {
                let of_releases = layouts.iter().filter(|layout| layout.from.is_some());
                let known: BTreeSet<String> = of_releases.map(|layout| format!("`{}`", layout.repository)).collect();
                return ReleaseError::NoLayoutOf {
                    repository: cut(repository, 80),
                    known: known.into_iter().collect::<Vec<_>>().join(", "),
                };
            }
            ReleaseError::NoLayoutFor {
                tag: tag.clone(),
                known,
            }
        })
    }

    /// The layout of the newest releases of a repository whose trees may bear no tag; `None` for any other.
    ///
    /// # Errors
    /// A file of ours is broken, which a test rules out.
    pub(crate) fn newest(repository: &str) -> Result<Option<Self>, ReleaseError> {
        let known = Repository::known_as(repository)?;
        let is_read = known.is_some_and(|known| {
            known.untagged == Untagged::NewestLayout && known.repository.eq_ignore_ascii_case(repository)
        });
        let is_newest = |layout: &&Self| {
            layout.repository.eq_ignore_ascii_case(repository) && layout.from.is_some() && layout.before.is_none()
        };
        Ok(Self::all()?.iter().find(is_newest).filter(|_| is_read).cloned())
    }

    /// What the reader of a choice sets the guide's own variables to, those that only one of both says together.
    pub(crate) fn set_for(&self, variant: &str, provider: &str) -> BTreeMap<String, String> {
        let Some(choices) = &self.choices else {
            return BTreeMap::new();
        };
        let of_variant = choices.variants.get(variant).cloned().unwrap_or_default();
        let of_provider = choices.providers.get(provider).map(|choice| choice.set.clone());
        of_variant.into_iter().chain(of_provider.unwrap_or_default()).collect()
    }

    /// The mode in which a guide deploys for a provider; `None` where its layout knows none.
    pub(crate) fn mode_for(&self, provider: &str) -> Option<&str> {
        let choice = self.choices.as_ref()?.providers.get(provider)?;
        Some(&choice.mode)
    }

    /// The tree that the guide is read from: the release's own, or that of our guides.
    pub(crate) fn guide_tree<'a>(&self, release: &'a dyn Tree) -> &'a dyn Tree {
        if self.our_guide.is_some() { &OurGuides } else { release }
    }

    /// The layout of this name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn named(name: &str) -> Result<Self, ReleaseError> {
        let layouts = Self::all()?;
        let known = layouts
            .iter()
            .map(|layout| format!("`{}`", layout.name))
            .collect::<Vec<_>>()
            .join(", ");
        let found = layouts.iter().find(|layout| layout.name == name).cloned();
        found.ok_or_else(|| ReleaseError::UnknownLayout {
            name: cut(name, 80),
            known,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::release::{MemoryTree, REPOSITORY};

    #[test]
    fn every_layout_is_readable_and_bears_the_name_of_its_file() {
        let layouts = Layout::all().unwrap();
        let mut named: Vec<String> = layouts.iter().map(|layout| format!("{}.yaml", layout.name)).collect();
        let mut files: Vec<String> = Files::iter().map(|name| name.to_string()).collect();
        named.sort();
        files.sort();
        assert_eq!(named, files);
    }

    /// Every release of both repositories, and the layout it falls in; candidates of each are added by the test.
    const RELEASES: &[(&str, &str, &str)] = &[
        ("v0.1.0", "e1", REPOSITORY),
        ("v0.2.0", "e2", REPOSITORY),
        ("v0.3.0", "e3", REPOSITORY),
        ("v0.4.0", "e3", REPOSITORY),
        ("v0.5.0", "e3", REPOSITORY),
        ("v0.5.1", "e3", REPOSITORY),
        ("v1.0.0", "e4", REPOSITORY),
        ("v1.0.1", "e4", REPOSITORY),
        ("v1.0.2", "e4", REPOSITORY),
        ("v1.1.0", "e5", REPOSITORY),
        ("v1.2.0", "e5", REPOSITORY),
        ("v1.2.1", "e5", REPOSITORY),
        ("v1.3.0", "e6", REPOSITORY),
        ("v1.3.1", "e6", REPOSITORY),
        ("v1.4.0", "e7", REPOSITORY),
        ("v1.5.0", "e8", REPOSITORY),
        ("v1.6.0", "e9", REPOSITORY),
        ("v0.9.0", "r", ROUTER),
        ("v0.10.0", "r", ROUTER),
        ("v0.3.0", "h", LLM_D),
        ("v0.3.1", "h", LLM_D),
        ("v0.4.0", "h", LLM_D),
        ("v0.5.0", "h", LLM_D),
        ("v0.5.1", "h", LLM_D),
        ("v0.6.0", "h", LLM_D),
        ("v0.7.0", "k1", LLM_D),
        ("v0.8.0", "k2", LLM_D),
        ("v0.8.1", "k2", LLM_D),
        ("v0.9.0", "y", LLM_D),
    ];

    const LLM_D: &str = "llm-d/llm-d";

    const ROUTER: &str = "llm-d/llm-d-router";

    #[test]
    fn every_release_and_each_candidate_falls_in_exactly_one_layout() {
        let layouts = Layout::all().unwrap();
        for (release, name, repository) in RELEASES {
            for tag in [(*release).to_owned(), format!("{release}-rc.1")] {
                let tag: Tag = tag.parse().unwrap();
                let covering: Vec<_> = layouts
                    .iter()
                    .filter(|layout| layout.repository == *repository && layout.covers(&tag))
                    .map(|layout| layout.name.as_str())
                    .collect();
                assert_eq!(covering, [*name], "{tag}");
                assert_eq!(Layout::of_tag(repository, &tag).unwrap().name, *name);
            }
        }
    }

    #[test]
    fn a_tag_outside_every_range_is_told_the_ranges_of_its_repository() {
        let said = Layout::of_tag(ROUTER, &"v0.1.0".parse().unwrap())
            .unwrap_err()
            .to_string();
        assert!(said.contains("`r` (from v0.9.0)") && !said.contains("`e8`"), "{said}");
        let elsewhere = Layout::of_tag("else/where", &"v1.5.0".parse().unwrap()).unwrap_err();
        assert!(
            elsewhere.to_string().contains(
                "known are those of `kubernetes-sigs/gateway-api-inference-extension`, `llm-d/llm-d-router`, `llm-d/llm-d`;"
            ),
            "{elsewhere}"
        );
    }

    #[test]
    fn every_guide_of_ours_is_there_and_no_other_is_looked_for_among_them() {
        let nothing = MemoryTree::default();
        for layout in Layout::all().unwrap() {
            let found = layout.guide_tree(&nothing).exists(&layout.guide);
            assert_eq!(found, layout.our_guide.is_some(), "{}", layout.name);
        }
    }

    #[test]
    fn every_layout_but_those_chosen_by_name_knows_its_endpoint_picker_and_a_variant() {
        for layout in Layout::all().unwrap() {
            assert_eq!(layout.from.is_some(), layout.picker.is_some(), "{}", layout.name);
            assert!(
                layout.only_variant.is_some() || !layout.variants.is_empty() || layout.choices.is_some(),
                "{}",
                layout.name
            );
        }
    }

    #[rstest]
    #[case("v0.3.0", false)]
    #[case("v0.4.0", true)]
    #[case("v0.4.0-rc.1", true)]
    fn what_came_in_the_middle_of_a_layout_is_there_from_its_tag_on(#[case] tag: &str, #[case] there: bool) {
        let since = Since {
            name: "m".into(),
            from: Some("v0.4.0".parse().unwrap()),
        };
        assert_eq!(since.is_in(&tag.parse().unwrap()), there);
    }

    #[rstest]
    #[case("v0.1.0", ErrorBody::Empty)]
    #[case("v0.2.0", ErrorBody::Empty)]
    #[case("v0.3.0", ErrorBody::Empty)]
    #[case("v0.4.0", ErrorBody::Explained)]
    #[case("v0.5.1", ErrorBody::Explained)]
    #[case("v1.0.0", ErrorBody::Explained)]
    #[case("v1.5.0", ErrorBody::Explained)]
    fn endpoint_pickers_explain_their_errors_from_v0_4_0_on(#[case] tag: &str, #[case] body: ErrorBody) {
        let tag = tag.parse().unwrap();
        let layout = Layout::of_tag(crate::release::REPOSITORY, &tag).unwrap();
        assert_eq!(layout.picker.unwrap().error_body(&tag), body);
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
