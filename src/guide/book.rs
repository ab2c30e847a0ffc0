//! A whole guide, all its tabs, and the choice among them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Block, Choice, Guide, GuideError, LeftOut, Problem, ProblemKind, Role, declared::Declared, list, pages, scan, shell,
};
use crate::record::Provenance;
use crate::redact::cut;
use crate::release::{FurtherPage, Layout, Placeholder, RepoPath, Skip, TabPattern, Tag, Tree, VariantsAre};

mod alternatives;
mod steps;

use alternatives::Conditions;

/// The most commands of a guide, those of all tabs together; the longest upstream has a twentieth of that.
const MOST_COMMANDS: usize = 2000;

/// A layout's guide with all its tabs, read once; a [`Guide`] is taken from it for each choice.
#[derive(Debug, Clone, PartialEq)]
pub struct GuideBook {
    /// Its file.
    pub(crate) file: RepoPath,
    /// Every shell block of the page, in order, whatever tabs it stands in.
    pub blocks: Vec<Block>,
    /// What a reader could not follow, whatever is chosen.
    pub(crate) problems: Vec<Problem>,
    sets: Vec<scan::TabSet>,
    /// For each block, the set of each of its tabs.
    places: Vec<Vec<usize>>,
    /// For each block, which readers follow it.
    conditions: Vec<Conditions>,
    /// The guide, where its commands stand in YAML.
    declared: Option<Box<Declared>>,
}

impl GuideBook {
    /// Reads the guide of a layout, of the release's own tree or of ours. `tag` is what placeholders stand for.
    ///
    /// # Errors
    /// It cannot be read. What is merely wrong with it is no error and stands in [`GuideBook::problems`].
    pub fn open(tree: &dyn Tree, layout: &Layout, tag: Option<&Tag>) -> Result<Self, GuideError> {
        if layout.guide.ending() == Some("yaml") {
            return steps::open(tree, layout, tag);
        }
        let mut problems = Vec::new();
        let lines = pages::expand(layout.guide_tree(tree), &layout.guide, &mut problems)?;
        let mut page = match layout.variants_are {
            VariantsAre::Tabs => scan::scan(&lines),
            VariantsAre::Sections => scan::scan_with_choices(&lines, &layout.variants.values().collect::<Vec<_>>()),
        };
        let of_all = |_: &scan::Block| Vec::new();
        let mut providers: Vec<Vec<String>> = page.blocks.iter().map(of_all).collect();
        for further in &layout.further_pages {
            let leads = |block: &scan::Block| block.headings.iter().any(|heading| heading.contains(&further.before));
            let Some(at) = page.blocks.iter().position(leads) else {
                continue;
            };
            let blocks = further_blocks(tree, further, &mut page.sets, &mut problems)?;
            providers.splice(at..at, vec![further.providers.clone(); blocks.len()]);
            page.blocks.splice(at..at, blocks);
        }
        problems.extend(page.problems);
        let mut budget = shell::Budget::default();
        let mut book = Self {
            file: layout.guide.clone(),
            blocks: Vec::new(),
            problems,
            sets: page.sets,
            places: Vec::new(),
            conditions: Vec::new(),
            declared: None,
        };
        for (block, providers) in page.blocks.iter().zip(providers) {
            let conditions = Conditions::of(layout, block, providers);
            book.add(layout, tag, block, conditions, &mut budget)?;
        }
        Ok(book)
    }

    /// Adds a block.
    fn add(
        &mut self,
        layout: &Layout,
        tag: Option<&Tag>,
        block: &scan::Block,
        mut conditions: Conditions,
        budget: &mut shell::Budget,
    ) -> Result<(), GuideError> {
        let read = read_block(layout, tag, self.blocks.len(), block, budget);
        let lines: Vec<u32> = read.commands.iter().map(|command| command.at.line).collect();
        conditions.note_comments(layout, block, &lines);
        self.blocks.push(read);
        self.places.push(block.tabs.iter().map(|(set, _)| *set).collect());
        self.conditions.push(conditions);
        if self.blocks.iter().map(|block| block.commands.len()).sum::<usize>() > MOST_COMMANDS {
            return Err(GuideError::TooManyCommands {
                file: layout.guide.clone(),
                most: MOST_COMMANDS,
            });
        }
        Ok(())
    }

    /// The blocks that a reader follows who changes nothing: of a page all of them.
    pub(crate) fn by_default(&self) -> impl Iterator<Item = &Block> {
        let counts = |conditions: &Conditions| {
            let step = conditions.step().zip(self.declared()).and_then(|(step, declared)| {
                let step = declared.steps.get(step)?;
                Some(step.counts(&declared.values(&BTreeMap::new())))
            });
            step.unwrap_or(true)
        };
        let blocks = self.blocks.iter().zip(&self.conditions);
        blocks
            .filter(move |(_, conditions)| counts(conditions))
            .map(|(block, _)| block)
    }

    /// The guide in YAML that it was read from; `None` for a page.
    pub(crate) fn declared(&self) -> Option<&Declared> {
        self.declared.as_deref()
    }

    /// The titles of all tabs, in order.
    pub(crate) fn titles(&self) -> impl Iterator<Item = &String> {
        self.sets.iter().flat_map(|set| &set.titles)
    }

    /// Every set of tabs: where it begins, and the titles of its tabs in order.
    pub(crate) fn tab_sets(&self) -> impl Iterator<Item = (&Provenance, &[String])> {
        self.sets.iter().map(|set| (&set.at, &set.titles[..]))
    }

    /// What a reader of one choice of tabs follows.
    ///
    /// # Errors
    /// It offers no tab of the wanted variant or provider.
    pub fn choose(&self, layout: &Layout, choice: Choice<'_>) -> Result<Guide, GuideError> {
        let nothing = TabPattern::default();
        let has_tabs = layout.choices.is_none();
        let variant = match &layout.only_variant {
            Some(only) if only == choice.variant => &nothing,
            _ if layout
                .choices
                .as_ref()
                .is_some_and(|choices| choices.variants.contains_key(choice.variant)) =>
            {
                &nothing
            }
            only => layout
                .variants
                .get(choice.variant)
                .ok_or_else(|| GuideError::UnknownVariant {
                    variant: cut(choice.variant, 80),
                    known: list(layout.variants.keys().chain(only).chain(choices(layout))),
                })?,
        };
        let sets = Sets::choose(&self.sets, layout, variant, choice.provider_tab);
        if layout.only_variant.is_none() && has_tabs && !sets.has_variant {
            return Err(GuideError::NoVariantTab {
                guide: self.file.clone(),
                variant: choice.variant.into(),
                titles: list(self.titles()),
            });
        }
        if choice.provider_tab.is_some() && !sets.has_provider {
            return Err(GuideError::NoProviderTab {
                guide: self.file.clone(),
                provider: choice.provider.into(),
                titles: list(self.titles()),
            });
        }
        let mut problems = self.problems.clone();
        let mut reported = Vec::new();
        let mut blocks = Vec::new();
        problems.extend(self.empty_choices(layout, choice));
        for ((block, places), conditions) in self.blocks.iter().zip(&self.places).zip(&self.conditions) {
            if !conditions.are_met(layout, choice, self.declared()) {
                continue;
            }
            if let Some(set) = places.iter().find(|set| sets.chosen[**set].is_none()) {
                if !reported.contains(set) && block.role != Role::Cleanup {
                    reported.push(*set);
                    let set = &self.sets[*set];
                    problems.push(Problem {
                        at: set.at.clone(),
                        raw: list(&set.titles),
                        kind: ProblemKind::NoTabChosen {
                            titles: set.titles.clone(),
                        },
                    });
                }
                continue;
            }
            let mut tabs = places.iter().zip(&block.tabs);
            if tabs.all(|(set, title)| sets.chosen[*set].as_ref() == Some(title)) {
                blocks.push(Block {
                    not_chosen: conditions.not_chosen(layout, choice),
                    ..block.clone()
                });
            }
        }
        Ok(Guide {
            file: self.file.clone(),
            blocks,
            problems,
        })
    }
}

/// The variants that a reader chooses from where there are no tabs.
fn choices(layout: &Layout) -> impl Iterator<Item = &String> {
    layout.choices.iter().flat_map(|choices| choices.variants.keys())
}

/// The blocks of a page that a guide sends its readers to. Its sets of tabs are numbered after those of the guide.
fn further_blocks(
    tree: &dyn Tree,
    further: &FurtherPage,
    sets: &mut Vec<scan::TabSet>,
    problems: &mut Vec<Problem>,
) -> Result<Vec<scan::Block>, GuideError> {
    if !tree.exists(&further.page) {
        return Ok(Vec::new());
    }
    let mut page = scan::scan(&pages::expand(tree, &further.page, problems)?);
    let is_followed = |block: &scan::Block| {
        let named = |section: &String| block.headings.iter().any(|heading| heading.contains(section));
        further.sections.is_empty() || further.sections.iter().any(named)
    };
    page.blocks.retain(is_followed);
    for (set, _) in page.blocks.iter_mut().flat_map(|block| &mut block.tabs) {
        *set += sets.len();
    }
    sets.extend(page.sets);
    problems.extend(page.problems);
    Ok(page.blocks)
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
                layout
                    .tabs
                    .iter()
                    .find_map(first)
                    .or_else(|| of_this_system(&set.titles))
            })
            .collect();
        Self {
            chosen,
            has_variant,
            has_provider,
        }
    }
}

/// The tab for a reader's own system, where a set has one for each: the reader here is on Linux.
fn of_this_system(titles: &[String]) -> Option<String> {
    titles
        .iter()
        .find(|title| title.to_lowercase().contains("linux"))
        .cloned()
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
    } else if below(&layout.sections.optional) {
        Role::Optional
    } else {
        Role::Step
    }
}

fn read_block(
    layout: &Layout,
    tag: Option<&Tag>,
    number: usize,
    block: &scan::Block,
    budget: &mut shell::Budget,
) -> Block {
    let after = layout.skip_after.iter().find(|skip| block.lead.contains(&skip.text));
    let below = |skip: &&Skip| block.headings.iter().any(|heading| heading.contains(&skip.text));
    let skip = after.or_else(|| layout.skip_sections.iter().find(below));
    let tag = tag.map(ToString::to_string).unwrap_or_default();
    let mut filled = Vec::new();
    let mut typed = block.clone();
    for (index, line) in typed.lines.iter_mut().enumerate() {
        let named = layout
            .placeholders
            .iter()
            .filter(|one| block.lines[index].text.contains(&one.text));
        for placeholder in named {
            let placeholder = Placeholder {
                value: placeholder.value.replace("{tag}", &tag),
                ..placeholder.clone()
            };
            line.text = line.text.replace(&placeholder.text, &placeholder.value);
            filled.push((block.at(index), placeholder));
        }
    }
    let asides = asides(layout, block);
    let mut commands = shell::commands(&typed, budget);
    for command in &mut commands {
        let aside = asides.get(&(command.at.file.as_str(), command.at.line));
        command.left_out = aside.map(|left_out| Box::new(left_out.clone()));
    }
    Block {
        number,
        at: block.at(0),
        tabs: block.tabs.iter().map(|(_, title)| title.clone()).collect(),
        role: role(layout, &block.headings),
        left_out: skip.map(|skip| skip.why.clone()),
        filled,
        not_chosen: BTreeSet::new(),
        commands,
    }
}

/// The lines of a block that the layout leaves out: from a comment that it names to the next comment or empty line.
fn asides<'a>(layout: &Layout, block: &'a scan::Block) -> BTreeMap<(&'a str, u32), LeftOut> {
    let mut open: Option<LeftOut> = None;
    let mut found = BTreeMap::new();
    for line in &block.lines {
        let text = line.text.trim();
        if text.is_empty() {
            open = None;
        } else if let Some(comment) = text.strip_prefix('#') {
            let skip = layout.skip_below.iter().find(|skip| comment.contains(&skip.text));
            open = skip.map(|skip| LeftOut {
                comment: scan::named(text),
                why: skip.why.clone(),
            });
        } else if let Some(left_out) = &open {
            found.insert((&*line.file, line.number), left_out.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{manifest, release::MemoryTree};

    const LAYOUT: &str = "{name: t, guide: g.md, only_variant: any, \
        tabs: [{contains: [Release]}], sections: {optional: [(Optional)], cleanup: [Cleanup]}, \
        skip_below: [{text: on macOS, why: another system}], \
        placeholders: [{text: <TAG>, value: '{tag}', why: several releases}]}";

    fn opened(guide: &str) -> (Layout, Result<GuideBook, GuideError>) {
        let layout: Layout = manifest::document("t.yaml", LAYOUT.as_bytes()).unwrap();
        let mut tree = MemoryTree::default();
        tree.insert("g.md".parse().unwrap(), guide);
        let tag = "v1.2.3".parse().unwrap();
        let book = GuideBook::open(&tree, &layout, Some(&tag));
        (layout, book)
    }

    fn book(guide: &str) -> (Layout, GuideBook) {
        let (layout, book) = opened(guide);
        (layout, book.unwrap())
    }

    fn followed(guide: &str) -> Guide {
        let (layout, book) = book(guide);
        let choice = Choice {
            variant: "any",
            provider: "none",
            provider_tab: None,
        };
        book.choose(&layout, choice).unwrap()
    }

    #[test]
    fn commands_for_other_systems_are_marked_up_to_the_next_comment_or_empty_line() {
        let guide = followed("```\na\n# on macOS\nb\nc\n# on Linux\nd\n# on macOS\ne\n\nf\n```\n");
        let seen: Vec<_> = guide.blocks[0]
            .commands
            .iter()
            .map(|command| (command.raw.as_str(), command.left_out.is_some()))
            .collect();
        let wanted = [
            ("a", false),
            ("b", true),
            ("c", true),
            ("d", false),
            ("e", true),
            ("f", false),
        ];
        assert_eq!(seen, wanted);
        let left_out = guide.blocks[0].commands[1].left_out.as_ref().unwrap();
        assert_eq!(
            (left_out.comment.as_str(), left_out.why.as_str()),
            ("# on macOS", "another system")
        );
    }

    #[test]
    fn more_commands_than_a_guide_has_and_comments_without_end_are_bounded() {
        let refused = opened(&"```\na\n```\n".repeat(MOST_COMMANDS + 1)).1.unwrap_err();
        assert!(matches!(refused, GuideError::TooManyCommands { .. }), "{refused}");
        let guide = followed(&format!(
            "```\n# on macOS {}\n{}```\n",
            "x".repeat(60_000),
            "a\n".repeat(100)
        ));
        let left_out = guide.blocks[0].commands[99].left_out.as_ref().unwrap();
        assert!(left_out.comment.len() < 1000);
    }

    #[test]
    fn a_placeholder_for_the_tag_becomes_the_tag() {
        let guide = followed("```\nx <TAG>\n```\n");
        assert_eq!(guide.blocks[0].commands[0].raw, "x v1.2.3");
        assert_eq!(guide.blocks[0].filled[0].1.value, "v1.2.3");
    }

    #[test]
    fn sections_give_blocks_their_roles_and_a_tab_of_the_layout_is_taken() {
        let text = "# Try (Optional)\n```\na\n```\n# Cleanup\n```\nb\n```\n# Go\n=== \"Latest Release\"\n\n    ```\n    c\n    ```\n\n=== \"Dev\"\n\n    ```\n    d\n    ```\n";
        let (_, book) = book(text);
        assert_eq!(book.blocks.len(), 4);
        let guide = followed(text);
        let seen: Vec<_> = guide.blocks.iter().map(|block| (block.number, block.role)).collect();
        assert_eq!(seen, [(0, Role::Optional), (1, Role::Cleanup), (2, Role::Step)]);
    }

    #[test]
    fn of_tabs_for_several_systems_those_of_linux_are_taken_also_inside_another_tab() {
        let text = "=== \"Latest Release\"\n\n    === \"Windows\"\n\n        ```\n        a\n        ```\n\n    === \"Linux / macOS\"\n\n        ```\n        b\n        ```\n";
        let guide = followed(text);
        let read: Vec<&str> = guide
            .blocks
            .iter()
            .flat_map(|block| &block.commands)
            .map(|one| one.raw.as_str())
            .collect();
        assert_eq!((read, guide.problems), (vec!["b"], vec![]));
    }

    #[test]
    fn a_variant_that_the_layout_does_not_know_is_answered_with_those_it_knows() {
        let (layout, book) = book("x\n");
        let choice = Choice {
            variant: "other",
            provider: "none",
            provider_tab: None,
        };
        let said = book.choose(&layout, choice).unwrap_err().to_string();
        assert!(said.contains("known are `any`"), "{said}");
    }
}
