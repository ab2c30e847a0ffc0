//! A release's guide as a reader follows it: the commands to run for one variant and one provider, in order, and what bash
//! gives to which program by them.
//!
//! Every command knows its file and line. Nothing here knows Kubernetes, or what any command does.

use std::collections::BTreeSet;

use crate::{
    manifest::ManifestError,
    record::Provenance,
    release::{Placeholder, RepoPath, TabPattern, TreeError},
};

mod arguments;
mod book;
mod declared;
mod duration;
mod include;
mod pages;
mod scan;
mod session;
mod shell;
mod template;

pub use arguments::{Argument, Arguments};
pub use book::GuideBook;
pub(crate) use declared::{Declared, DeclaredStep, DeclaredVariable, declared};
pub use duration::duration;
pub(crate) use include::Include;
pub use session::{Assignment, Named, Program, Reading, Session};
pub use shell::Slip;
pub(crate) use shell::{Body, Pipeline, ShellPiece, ShellWord, Simple, SlipKind};
pub use template::{Piece, Template, Variables};

/// The commands of a text that a shell reads, whose first line is `line` of a file.
pub(crate) fn script(file: &str, text: &str, line: u32) -> Vec<Command> {
    shell::script(file, text, line)
}

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
///
/// ```
/// use quickproof::{
///     guide::{Choice, GuideBook},
///     release::Release,
/// };
///
/// let release = Release::embedded();
/// let layout = release.layout(None).unwrap();
/// let book = GuideBook::open(release.tree.as_ref(), &layout, None).unwrap();
/// let choice = Choice { variant: "sim", provider: "istio", provider_tab: None };
/// let guide = book.choose(&layout, choice).unwrap();
///
/// let first = &guide.blocks[0].commands[0];
/// assert_eq!(first.raw, "kubectl version");
/// assert_eq!((first.at.file.as_str(), first.at.line), ("guide.md", 15));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Guide {
    /// Its file.
    pub(crate) file: RepoPath,
    /// The shell blocks of the chosen tabs and of the text outside tabs, in order.
    pub blocks: Vec<Block>,
    /// What a reader could not follow.
    pub(crate) problems: Vec<Problem>,
}

/// One block of shell commands.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Its number among all blocks of the page, those of other tabs included, from 0.
    pub(crate) number: usize,
    /// Its first line, the fence not counted.
    pub(crate) at: Provenance,
    /// The titles of the tabs it stands in, outermost first.
    pub(crate) tabs: Vec<String>,
    /// What its section is for.
    pub(crate) role: Role,
    /// Why the layout leaves it out, or `None`.
    pub(crate) left_out: Option<String>,
    /// Placeholders that were replaced in it, and where.
    pub(crate) filled: Vec<(Provenance, Placeholder)>,
    /// The numbers of those of its commands that the reader of another choice follows.
    pub(crate) not_chosen: BTreeSet<usize>,
    /// Its commands. Expected output that a prompt block shows is not among them.
    pub commands: Vec<Command>,
}

/// What a section is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A step of the quickstart.
    Step,
    /// A step that a reader may leave; it is carried out as any other.
    Optional,
    /// A check of what the reader must have.
    Prerequisite,
    /// Taking everything away again.
    Cleanup,
}

/// One command of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The line it begins at.
    pub at: Provenance,
    /// The command as written, joined to one line.
    pub raw: String,
    /// What bash reads in it.
    pub(crate) body: Body,
    /// Why the layout leaves it out of its block, or `None`.
    pub(crate) left_out: Option<Box<LeftOut>>,
}

/// A command that the layout leaves out of its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// The comment it stands below.
    pub(crate) comment: String,
    /// The reason.
    pub(crate) why: String,
}

/// Something in the guide that no reader can follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where.
    pub(crate) at: Provenance,
    /// The line as written.
    pub(crate) raw: String,
    /// What is wrong.
    pub(crate) kind: ProblemKind,
}

/// The kind of a [`Problem`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum ProblemKind {
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
    /// A tab or an admonition stands in more others than anybody can read, so that nobody can tell whose it is.
    NestedTooDeep,
    /// A fence is opened and never closed, so that the rest of the page is code.
    FenceNeverClosed,
    /// The steps that count for what the reader chose hold comments alone.
    ChoiceEmpty {
        /// The variables by which the reader chose, each `NAME=VALUE`.
        chosen: Vec<String>,
        /// The group of steps.
        group: String,
    },
    /// A guide in YAML says something that its own reader refuses.
    DeclaredWrong {
        /// What.
        why: String,
    },
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
    /// A guide in YAML is none.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
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
    /// It has more commands than any guide has.
    #[error("`{file}` has more than {most} commands with its includes; is this a guide?")]
    TooManyCommands {
        /// The guide.
        file: RepoPath,
        /// The limit.
        most: usize,
    },
    /// With its includes the guide is larger than any guide is, or includes too many pages.
    #[error("`{file}` makes the guide larger than {most} bytes, or includes too much; is this a guide?")]
    TooLarge {
        /// The page at which it became too large.
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

fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names
        .into_iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
