//! A release's guide as a reader follows it: the commands to run for one variant and one provider, in order.
//!
//! Every command knows its file and line. Nothing here knows Kubernetes, or what any command means.

use crate::{
    record::Provenance,
    release::{Layout, Placeholder, RepoPath, TabPattern, Tree, TreeError},
};

mod pages;
mod scan;
mod shell;

pub use shell::{Body, Pipeline, ShellPiece, ShellWord, Simple};

#[cfg(test)]
pub(crate) use shell::tests::read as read_commands;

/// What a reader picks where the guide offers tabs.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// The model-server variant, by the layout's name for it.
    pub variant: &'a str,
    /// The gateway provider's name.
    pub provider: &'a str,
    /// The titles of its tabs; `None` where the layout leaves no choice.
    pub provider_tab: Option<&'a TabPattern>,
}

/// A guide, read for one choice of tabs.
#[derive(Debug, Clone, PartialEq)]
pub struct Guide {
    /// Its file.
    pub file: RepoPath,
    /// The shell blocks of the chosen tabs and of the text outside tabs, in order.
    pub blocks: Vec<Block>,
    /// What a reader could not follow.
    pub problems: Vec<Problem>,
}

/// One block of shell commands.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Its first line, the fence not counted.
    pub at: Provenance,
    /// The titles of the tabs it stands in, outermost first.
    pub tabs: Vec<String>,
    /// What its section is for.
    pub role: Role,
    /// Why the layout leaves it out, or `None`.
    pub left_out: Option<String>,
    /// Placeholders that were replaced in it, and where.
    pub filled: Vec<(Provenance, Placeholder)>,
    /// Its commands. Expected output that a prompt block shows is not among them.
    pub commands: Vec<Command>,
}

/// What a section is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A step of the quickstart.
    Step,
    /// A check of what the reader must have.
    Prerequisite,
    /// Taking everything away again.
    Cleanup,
}

/// One command of a block.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// The line it begins at.
    pub at: Provenance,
    /// The command as written, joined to one line.
    pub raw: String,
    /// What bash reads in it.
    pub body: Body,
}

/// Something in the guide that no reader can follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: Provenance,
    /// The line as written.
    pub raw: String,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// The kind of a [`Problem`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// An included file does not exist; the published page silently lacks it.
    IncludeMissing {
        /// The file as named.
        file: String,
    },
    /// An include that cannot be followed, with the reason (a cycle, a URL, a part of a file).
    IncludeNotFollowed {
        /// The reason.
        why: String,
    },
    /// A fence is opened and never closed, so that the rest of the page is code.
    FenceNeverClosed,
    /// None of the tabs offered here is of the variant, the provider, or a tab that the layout knows.
    NoTabChosen {
        /// The titles offered.
        titles: Vec<String>,
    },
}

/// Why a guide cannot be read at all. Each is an error of use, found before anything is made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuideError {
    /// The file is missing or unreadable.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A page is not UTF-8 text.
    #[error("`{file}` is not UTF-8 text; save it as UTF-8")]
    NotText {
        /// The page.
        file: String,
    },
    /// With its includes the guide is longer than any guide is.
    #[error("`{file}` has more than {most} lines with its includes; is this a guide?")]
    TooLong {
        /// The guide.
        file: String,
        /// The limit.
        most: usize,
    },
    /// The layout knows no such variant.
    #[error("there is no variant `{variant}`; known are {known}")]
    UnknownVariant {
        /// The variant asked for.
        variant: String,
        /// The names there are.
        known: String,
    },
    /// The guide has no tab for the variant.
    #[error("`{guide}` has no tab for the variant `{variant}`; its tabs are {titles}")]
    NoVariantTab {
        /// The guide.
        guide: RepoPath,
        /// The variant asked for.
        variant: String,
        /// The titles of all its tabs.
        titles: String,
    },
    /// The guide has no tab for the provider.
    #[error("`{guide}` has no tab for the provider `{provider}`; its tabs are {titles}")]
    NoProviderTab {
        /// The guide.
        guide: RepoPath,
        /// The provider asked for.
        provider: String,
        /// The titles of all its tabs.
        titles: String,
    },
}

impl Guide {
    /// The titles of all tabs of a layout's guide, in order, whichever is chosen.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn tabs(tree: &dyn Tree, layout: &Layout) -> Result<Vec<String>, GuideError> {
        let lines = pages::expand(tree, &layout.guide, &mut Vec::new())?;
        let sets = scan::scan(&lines).sets;
        Ok(sets.into_iter().flat_map(|set| set.titles).collect())
    }

    /// Reads the guide of a layout for one choice of tabs.
    ///
    /// # Errors
    /// It cannot be read, or offers no tab of the wanted variant or provider. What is merely wrong with it is no error
    /// and stands in [`Guide::problems`].
    pub fn read(tree: &dyn Tree, layout: &Layout, choice: Choice<'_>) -> Result<Self, GuideError> {
        let variant = layout
            .variants
            .get(choice.variant)
            .ok_or_else(|| GuideError::UnknownVariant {
                variant: choice.variant.chars().take(80).collect(),
                known: list(layout.variants.keys()),
            })?;
        let mut problems = Vec::new();
        let lines = pages::expand(tree, &layout.guide, &mut problems)?;
        let page = scan::scan(&lines);
        problems.extend(page.problems.iter().cloned());

        let sets = Sets::choose(&page.sets, layout, variant, choice.provider_tab);
        let titles = || list(page.sets.iter().flat_map(|set| &set.titles));
        if !sets.has_variant {
            return Err(GuideError::NoVariantTab {
                guide: layout.guide.clone(),
                variant: choice.variant.into(),
                titles: titles(),
            });
        }
        if choice.provider_tab.is_some() && !sets.has_provider {
            return Err(GuideError::NoProviderTab {
                guide: layout.guide.clone(),
                provider: choice.provider.into(),
                titles: titles(),
            });
        }
        let mut reported = Vec::new();
        let mut blocks = Vec::new();
        for block in &page.blocks {
            let open = block.tabs.iter().find(|(set, _)| sets.chosen[*set].is_none());
            if let Some((set, _)) = open {
                if !reported.contains(set) && role(layout, &block.headings) != Role::Cleanup {
                    reported.push(*set);
                    problems.push(Problem {
                        at: page.sets[*set].at.clone(),
                        raw: list(&page.sets[*set].titles),
                        kind: ProblemKind::NoTabChosen {
                            titles: page.sets[*set].titles.clone(),
                        },
                    });
                }
                continue;
            }
            if block
                .tabs
                .iter()
                .all(|(set, title)| sets.chosen[*set].as_ref() == Some(title))
            {
                blocks.push(read_block(layout, block));
            }
        }
        Ok(Self {
            file: layout.guide.clone(),
            blocks,
            problems,
        })
    }
}

/// Which tab of each tab set is taken.
struct Sets {
    chosen: Vec<Option<String>>,
    has_variant: bool,
    has_provider: bool,
}

impl Sets {
    fn choose(sets: &[scan::TabSet], layout: &Layout, variant: &TabPattern, provider: Option<&TabPattern>) -> Self {
        let (mut has_variant, mut has_provider) = (false, false);
        let chosen = sets
            .iter()
            .map(|set| {
                let first = |pattern: &TabPattern| set.titles.iter().find(|title| pattern.matches(title)).cloned();
                if layout.variants.values().any(|pattern| first(pattern).is_some()) {
                    let tab = first(variant);
                    has_variant |= tab.is_some();
                    return tab;
                }
                if let Some(tab) = provider.and_then(first) {
                    has_provider = true;
                    return Some(tab);
                }
                layout.tabs.iter().find_map(first)
            })
            .collect();
        Self {
            chosen,
            has_variant,
            has_provider,
        }
    }
}

fn role(layout: &Layout, headings: &[String]) -> Role {
    let below = |words: &[String]| {
        headings.iter().any(|heading| {
            let heading = heading.to_lowercase();
            words.iter().any(|word| heading.contains(&word.to_lowercase()))
        })
    };
    if below(&layout.sections.cleanup) {
        Role::Cleanup
    } else if below(&layout.sections.prerequisites) {
        Role::Prerequisite
    } else {
        Role::Step
    }
}

fn read_block(layout: &Layout, block: &scan::Block) -> Block {
    let skip = layout.skip_after.iter().find(|skip| block.lead.contains(&skip.text));
    let mut filled = Vec::new();
    let mut typed = block.clone();
    for (index, line) in typed.lines.iter_mut().enumerate() {
        for placeholder in layout
            .placeholders
            .iter()
            .filter(|one| block.lines[index].text.contains(&one.text))
        {
            line.text = line.text.replace(&placeholder.text, &placeholder.value);
            filled.push((block.at(index), placeholder.clone()));
        }
    }
    Block {
        at: block.at(0),
        tabs: block.tabs.iter().map(|(_, title)| title.clone()).collect(),
        role: role(layout, &block.headings),
        left_out: skip.map(|skip| skip.why.clone()),
        filled,
        commands: shell::commands(&typed),
    }
}

fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names
        .into_iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
