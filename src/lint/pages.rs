//! Pages of other guides of the repository: every command that they show, whatever a reader chooses, with the variables that the
//! page sets by then.

use std::collections::BTreeMap;

use super::named_paths::{NamedPath, named_paths};
use crate::{
    guide::{GuideBook, Program, Role, Session},
    release::{Layout, Release, RepoPath},
};

/// A page with commands.
#[derive(Debug)]
pub(super) struct Page {
    /// Its file.
    pub(super) file: RepoPath,
    /// Its commands, in order.
    pub(super) commands: Vec<PageCommand>,
}

/// A program that a page runs.
#[derive(Debug)]
pub(super) struct PageCommand {
    /// What its section is for.
    pub(super) role: Role,
    /// The program and its arguments.
    pub(super) program: Program,
    /// The paths that it names.
    pub(super) named: Vec<NamedPath>,
}

impl Page {
    /// The pages of the directories that the layout names, in order of their files.
    pub(super) fn all(release: &Release, layout: &Layout, files: &[RepoPath]) -> Vec<Self> {
        let is_below = |file: &RepoPath| {
            layout
                .pages
                .iter()
                .any(|pages| file.as_str().starts_with(&format!("{pages}/")))
        };
        let is_page = |file: &&RepoPath| {
            let name = file.as_str().rsplit('/').next().unwrap_or_default();
            is_below(file) && (file.ending() == Some("md") || name == "guide.yaml")
        };
        files
            .iter()
            .filter(is_page)
            .filter_map(|file| Self::read(release, layout, file))
            .collect()
    }

    /// A page with all its blocks; `None` where it has no commands, or cannot be read as a guide.
    fn read(release: &Release, layout: &Layout, file: &RepoPath) -> Option<Self> {
        let layout = Layout {
            guide: file.clone(),
            our_guide: None,
            variants: BTreeMap::new(),
            choices: None,
            alternatives: Vec::new(),
            further_pages: Vec::new(),
            ..layout.clone()
        };
        let book = GuideBook::open(release.tree.as_ref(), &layout, release.tag.as_ref()).ok()?;
        let session = Session::new(&layout.environment);
        let mut session = session.in_checkout(release.tree.as_ref(), &release.repository);
        let mut page = Self {
            file: file.clone(),
            commands: Vec::new(),
        };
        for block in book.by_default() {
            for command in &block.commands {
                let reading = session.read(command);
                for program in reading.programs() {
                    page.commands.push(PageCommand {
                        role: block.role,
                        named: named_paths(&session, program),
                        program: program.clone(),
                    });
                }
            }
        }
        (!page.commands.is_empty()).then_some(page)
    }
}
