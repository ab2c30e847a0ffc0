//! Which readers follow a block, and which of its commands: what stands side by side without tabs.

use std::collections::BTreeSet;

use crate::{
    guide::{
        Choice, GuideBook, Problem, ProblemKind,
        declared::{Declared, DeclaredStep},
        scan,
    },
    record::Provenance,
    release::{Layout, TabPattern},
};

/// Which readers follow a block.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Conditions {
    /// The alternatives of the layout that it is one of, by their numbers.
    alternatives: Vec<usize>,
    /// Those that single commands of it are of: the number of the command, and of the alternative.
    of_commands: Vec<(usize, usize)>,
    /// The providers whose readers alone are sent to its page; each where none is named.
    providers: Vec<String>,
    /// The step of a guide in YAML that it is.
    step: Option<usize>,
}

impl Conditions {
    /// Those of a block of a page.
    pub(super) fn of(layout: &Layout, block: &scan::Block, providers: Vec<String>) -> Self {
        let titles: Vec<&str> = block
            .headings
            .iter()
            .map(String::as_str)
            .chain([block.lead.as_str()])
            .collect();
        let is_of = |pattern: &Option<TabPattern>| {
            pattern
                .as_ref()
                .is_some_and(|pattern| titles.iter().any(|title| pattern.matches(title)))
        };
        let numbered = layout.alternatives.iter().enumerate();
        Self {
            alternatives: numbered
                .filter(|(_, one)| is_of(&one.title))
                .map(|(number, _)| number)
                .collect(),
            of_commands: Vec::new(),
            providers,
            step: None,
        }
    }

    /// Those of a step of a guide in YAML.
    pub(super) fn of_step(number: usize) -> Self {
        Self {
            step: Some(number),
            ..Self::default()
        }
    }

    /// Those of a block of a page that readers of some providers are sent to.
    pub(super) fn of_page(providers: Vec<String>) -> Self {
        Self {
            providers,
            ..Self::default()
        }
    }

    /// The step of a guide in YAML that the block is.
    pub(super) fn step(&self) -> Option<usize> {
        self.step
    }

    /// Notes which alternative each command of a block is of, told by the comment above it.
    pub(super) fn note_comments(&mut self, layout: &Layout, block: &scan::Block, lines_of_commands: &[u32]) {
        let mut open = None;
        let mut by_line = Vec::new();
        for line in &block.lines {
            let text = line.text.trim();
            if text.is_empty() {
                open = None;
            } else if let Some(comment) = text.strip_prefix('#') {
                let is_of = |pattern: &TabPattern| pattern.matches(comment);
                open = layout
                    .alternatives
                    .iter()
                    .position(|one| one.comment.as_ref().is_some_and(is_of));
            } else if let Some(alternative) = open {
                by_line.push((line.number, alternative));
            }
        }
        for (number, line) in lines_of_commands.iter().enumerate() {
            let found = by_line.iter().find(|(of, _)| of == line);
            self.of_commands
                .extend(found.map(|(_, alternative)| (number, *alternative)));
        }
    }

    /// Whether the reader of a choice follows the block.
    pub(super) fn are_met(&self, layout: &Layout, choice: Choice<'_>, declared: Option<&Declared>) -> bool {
        let is_for = |number: &usize| {
            let alternative = layout.alternatives.get(*number);
            alternative.is_none_or(|one| one.is_for(choice.variant, choice.provider))
        };
        let is_of_provider = self.providers.is_empty() || self.providers.iter().any(|one| one == choice.provider);
        let counts = self.step.zip(declared).is_none_or(|(step, declared)| {
            let values = declared.values(&layout.set_for(choice.variant, choice.provider));
            declared.steps.get(step).is_none_or(|step| {
                let mode = step.mode(&declared.modes);
                step.counts(&values) && mode.is_none_or(|mode| layout.mode_for(choice.provider) == Some(mode))
            })
        });
        self.alternatives.iter().all(is_for) && is_of_provider && counts
    }

    /// The numbers of commands that the reader of a choice does not follow.
    pub(super) fn not_chosen(&self, layout: &Layout, choice: Choice<'_>) -> BTreeSet<usize> {
        let is_other = |(_, alternative): &&(usize, usize)| {
            let alternative = layout.alternatives.get(*alternative);
            alternative.is_some_and(|one| !one.is_for(choice.variant, choice.provider))
        };
        self.of_commands
            .iter()
            .filter(is_other)
            .map(|(command, _)| *command)
            .collect()
    }
}

impl GuideBook {
    /// Groups of steps of which what the reader chose leaves comments alone.
    pub(super) fn empty_choices(&self, layout: &Layout, choice: Choice<'_>) -> Vec<Problem> {
        let Some(declared) = self.declared() else {
            return Vec::new();
        };
        let set = layout.set_for(choice.variant, choice.provider);
        let values = declared.values(&set);
        let is_left_out = |step: &DeclaredStep| {
            let mut groups = layout.groups_left_out.iter();
            groups.any(|skip| step.is_in(&skip.text)) || step.is_in("cleanup")
        };
        let mut problems: Vec<Problem> = Vec::new();
        for step in declared
            .steps
            .iter()
            .filter(|step| !step.when.is_empty() && step.counts(&values))
        {
            let beside = declared.steps.iter().filter(|other| {
                other.path == step.path && !other.when.is_empty() && other.counts(&values) && other.has_commands()
            });
            if beside.count() > 0 || is_left_out(step) {
                continue;
            }
            let chosen = step
                .when
                .iter()
                .filter_map(|(name, _)| Some(format!("{name}={}", values.get(name)?)));
            problems.push(Problem {
                at: Provenance {
                    file: self.file.to_string(),
                    line: step.line,
                    section: step.path.join("."),
                },
                raw: step
                    .run
                    .lines()
                    .map(str::trim)
                    .find(|line| line.len() > 1)
                    .unwrap_or("#")
                    .to_owned(),
                kind: ProblemKind::ChoiceEmpty {
                    chosen: chosen.collect(),
                    group: step.path.join("."),
                },
            });
        }
        problems
    }
}
