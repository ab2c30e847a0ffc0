//! What bash makes of a guide's commands, one after another, as far as that is known before anything runs.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Argument, Body, Command, Piece, Pipeline, ShellPiece, ShellWord, Simple, Slip, Template, arguments::not_known,
};
use crate::{
    record::Provenance,
    release::{RepoPath, Tree},
};

mod exports;
mod place;
mod program;
mod sequence;

use exports::{Exported, exported, set_by_a_loop};
use place::Place;
pub use program::{Named, Program};

/// The most bytes that variables put in place of their names in one guide. A variable that doubles itself line by line
/// would fill any memory; every upstream guide together has less than a hundredth.
const MOST_REPLACED: usize = 1 << 20;

/// The most scripts that one guide sources, those that a script sources again counted.
const MOST_SCRIPTS: usize = 64;

/// What bash splits a value at.
const BLANKS: [char; 3] = [' ', '\t', '\n'];

/// Variables that every shell has, with values that only the reader's own shell knows.
const OF_THE_SHELL: &[&str] = &[
    "HOME", "HOSTNAME", "LANG", "LOGNAME", "OLDPWD", "PATH", "PWD", "RANDOM", "SHELL", "TERM", "TMPDIR", "UID", "USER",
];

/// A terminal into which the commands of a guide are typed, one after another.
///
/// It keeps the variables that are set by now and tells what each command gives to which program. Nothing runs: what only
/// the output of a command would tell stays open.
///
/// ```
/// use quickproof::{
///     guide::{Choice, GuideBook, Session},
///     release::Release,
/// };
///
/// let release = Release::embedded();
/// let layout = release.layout(None).unwrap();
/// let book = GuideBook::open(release.tree.as_ref(), &layout, None).unwrap();
/// let choice = Choice { variant: "sim", provider: "istio", provider_tab: None };
/// let guide = book.choose(&layout, choice).unwrap();
///
/// let mut session = Session::new(&layout.environment);
/// let commands = guide.blocks.iter().flat_map(|block| &block.commands);
/// let readings: Vec<_> = commands.map(|command| session.read(command)).collect();
/// let programs: Vec<_> = readings.iter().flat_map(|reading| reading.programs()).collect();
///
/// let verbs: Vec<_> = programs
///     .iter()
///     .filter(|program| program.name == "kubectl")
///     .map(|program| program.arguments().unwrap().positional[0].shown())
///     .collect();
/// assert!(verbs.contains(&"apply".to_owned()));
/// ```
#[derive(Debug, Clone)]
pub struct Session<'a> {
    /// The reader's checkout of the release; `None` where commands are typed anywhere.
    place: Option<Place<'a>>,
    /// How many scripts may still be sourced.
    scripts_left: usize,
    /// How many bytes may still be put in place of names.
    left: usize,
    variables: BTreeMap<String, Argument>,
    /// Variables whose values stay as they are, whatever commands set.
    pinned: BTreeMap<String, Template>,
    /// Variables that the reader is to have set; their values are read at run time.
    readers: BTreeSet<String>,
}

/// What bash reads in a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// It sets variables, and runs no program but those in `$(…)`.
    Assignments(Vec<Assignment>),
    /// It runs programs joined by pipes; one without a pipe.
    Programs(Vec<Program>),
    /// It runs other commands in their order: those of a script that it sources, or of the branch of an `if` that is taken.
    Sequence(Vec<(Command, Reading)>),
    /// It is known that something else comes of it than what is meant.
    Fails(Box<Slip>),
    /// It is not understood, with the reason.
    NotUnderstood(String),
}

/// A variable that a command sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Its name.
    pub(crate) name: String,
    /// Its value as the guide says it.
    pub(crate) value: Argument,
    /// The command whose output is all of the value, as written; `None` where it is not such an output.
    pub(crate) output_of: Option<String>,
    /// The programs in `$(…)` of its value, in order.
    pub(crate) inside: Vec<Program>,
    /// Variables in its value that nothing sets.
    pub(crate) unset: Vec<Named>,
}

impl Reading {
    /// Every program that it runs, in the order in which bash starts them: those in `$(…)` before the one they stand in.
    pub fn programs(&self) -> Vec<&Program> {
        let mut all = Vec::new();
        match self {
            Self::Assignments(assignments) => assignments.iter().for_each(|one| collect(&one.inside, &mut all)),
            Self::Programs(programs) => collect(programs, &mut all),
            Self::Sequence(commands) => all.extend(commands.iter().flat_map(|(_, reading)| reading.programs())),
            Self::Fails(_) | Self::NotUnderstood(_) => {}
        }
        all
    }

    /// Variables that it uses and that nothing sets.
    pub(crate) fn unset(&self) -> Vec<&Named> {
        let assignments = match self {
            Self::Assignments(assignments) => assignments.as_slice(),
            Self::Sequence(commands) => return commands.iter().flat_map(|(_, reading)| reading.unset()).collect(),
            _ => &[],
        };
        let of_values = assignments.iter().flat_map(|one| &one.unset);
        of_values
            .chain(self.programs().into_iter().flat_map(|program| &program.unset))
            .collect()
    }
}

fn collect<'a>(programs: &'a [Program], all: &mut Vec<&'a Program>) {
    for program in programs {
        collect(&program.inside, all);
        all.push(program);
    }
}

impl<'a> Session<'a> {
    /// A terminal in which the variables of the reader are set, such as a token. Their values are read at run time.
    pub fn new(readers: &[String]) -> Self {
        Self {
            place: None,
            scripts_left: MOST_SCRIPTS,
            left: MOST_REPLACED,
            variables: BTreeMap::new(),
            pinned: BTreeMap::new(),
            readers: readers.iter().cloned().collect(),
        }
    }

    /// The same in a checkout of the release, at its root.
    #[must_use]
    pub(crate) fn in_checkout(mut self, tree: &'a dyn Tree, repository: &'a str) -> Self {
        self.place = Some(Place::new(tree, repository));
        self
    }

    /// The file or directory of the release that a command names here. Where no checkout is known, paths begin at the
    /// release's root.
    ///
    /// # Errors
    /// It names none of the release.
    pub(crate) fn path(&self, text: &str) -> Result<RepoPath, String> {
        match &self.place {
            Some(place) => place.path(text),
            None => text
                .parse()
                .map_err(|_| format!("`{text}` leads out of the release's files")),
        }
    }

    /// Where the reader stands, as a file of the release or its root is named.
    ///
    /// # Errors
    /// It is no directory of the release.
    pub(crate) fn here(&self) -> Result<String, String> {
        self.place.as_ref().map_or_else(|| Ok(".".to_owned()), Place::here)
    }

    /// Sets a variable to what is known of it beside the guide.
    pub(crate) fn set(&mut self, name: &str, value: Template) {
        self.variables.insert(name.to_owned(), Argument::of(value));
    }

    /// Sees to it that a variable has this value from the command on that sets it, whatever value that command gives. One
    /// that the output of a program gives stays open.
    pub(crate) fn pin(&mut self, name: &str, value: Template) {
        self.pinned.insert(name.to_owned(), value);
    }

    /// Whether a variable is set by now, be it by the reader.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.variables.contains_key(name) || self.readers.contains(name)
    }

    /// The value of a variable that the guide has set; `None` where it has not, or where only a run knows it.
    pub(crate) fn value_of(&self, name: &str) -> Option<String> {
        self.variables.get(name)?.text().ok()
    }

    /// Types a command: what bash reads in it. The variables that it sets are set from here on.
    pub fn read(&mut self, command: &Command) -> Reading {
        let pipeline = match &command.body {
            Body::Pipeline(pipeline) => pipeline,
            Body::Branches(branches) => return self.branch(&command.at, branches),
            Body::Fails(slip) => return Reading::Fails(slip.clone()),
            Body::NotUnderstood(why) => {
                for name in set_by_a_loop(&command.raw) {
                    let open = Argument::of(Template(vec![Piece::Variable(name.to_owned())]));
                    self.variables.insert(name.to_owned(), open);
                }
                return Reading::NotUnderstood(why.clone());
            }
        };
        match pipeline.0.as_slice() {
            [only] if only.words.is_empty() => {
                let assignments = only.assignments.iter();
                Reading::Assignments(
                    assignments
                        .map(|(name, value)| self.assign(&command.at, name, value))
                        .collect(),
                )
            }
            [only] if only.assignments.is_empty() && only.words[0].raw == "export" => {
                self.export(&command.at, &only.words[1..])
            }
            [only] if only.assignments.is_empty() && matches!(only.words[0].raw.as_str(), "source" | ".") => {
                self.source(&command.at, only)
            }
            _ => {
                let programs = self.programs(&command.at, pipeline);
                if let ([only], Some(place)) = (programs.as_slice(), &mut self.place) {
                    place.follow(only);
                }
                Reading::Programs(programs)
            }
        }
    }

    fn export(&mut self, at: &Provenance, words: &[ShellWord]) -> Reading {
        let mut assignments = Vec::new();
        let mut not_understood = None;
        for word in words {
            match exported(word) {
                Exported::Assignment(name, value) => assignments.push(self.assign(at, &name, &value)),
                Exported::Name => {}
                Exported::NotUnderstood => {
                    not_understood.get_or_insert_with(|| format!("`export {}` is not understood", word.raw));
                }
            }
        }
        not_understood.map_or(Reading::Assignments(assignments), Reading::NotUnderstood)
    }

    fn assign(&mut self, at: &Provenance, name: &str, word: &ShellWord) -> Assignment {
        let mut found = Found::default();
        let value = self.value(at, word, &mut found);
        let output_of = match significant(word).as_slice() {
            [ShellPiece::Substitution { raw, .. }] if value.passed().is_err() => Some(raw.clone()),
            _ => None,
        };
        let set = match (value.passed(), self.pinned.get(name)) {
            // Whatever comes of it, it is set.
            (Err(_), _) => Argument::of(Template(vec![Piece::Variable(name.to_owned())])),
            (Ok(_), Some(pinned)) => Argument::of(pinned.clone()),
            (Ok(_), None) => value.clone(),
        };
        self.variables.insert(name.to_owned(), set);
        Assignment {
            name: name.to_owned(),
            value,
            output_of,
            inside: found.inside,
            unset: found.unset,
        }
    }

    fn programs(&mut self, at: &Provenance, pipeline: &Pipeline) -> Vec<Program> {
        pipeline.0.iter().map(|simple| self.program(at, simple)).collect()
    }

    fn program(&mut self, at: &Provenance, simple: &Simple) -> Program {
        let mut found = Found::default();
        // They are for this program only; their values are evaluated all the same.
        for (_, value) in &simple.assignments {
            self.value(at, value, &mut found);
        }
        let mut words = Vec::new();
        for word in &simple.words {
            words.extend(self.expand(at, word, Splitting::AsBash, &mut found));
        }
        let input = simple.input.as_ref();
        let input = input.map(|input| (self.value(at, input, &mut found), input.line));
        let path = words.first().map(Argument::shown).unwrap_or_default();
        Program {
            at: at.clone(),
            name: path.rsplit('/').next().unwrap_or_default().to_owned(),
            words,
            input,
            assignments: simple.assignments.iter().map(|(name, _)| name.clone()).collect(),
            inside: found.inside,
            unset: found.unset,
            split: found.split,
            single_quoted: simple
                .words
                .iter()
                .chain(&simple.input)
                .flat_map(program::single_quoted)
                .collect(),
        }
    }

    /// A word as one value, as in an assignment, where bash splits nothing.
    fn value(&mut self, at: &Provenance, word: &ShellWord, found: &mut Found) -> Argument {
        self.expand(at, word, Splitting::None, found).pop().unwrap_or_default()
    }

    /// The arguments that bash makes of a word: none of an empty variable, several where a value outside quotes has blanks.
    fn expand(&mut self, at: &Provenance, word: &ShellWord, splitting: Splitting, found: &mut Found) -> Vec<Argument> {
        let mut fields = Vec::new();
        let mut field = Field::default();
        let place = (at, word.line);
        self.put_pieces(place, &word.pieces, splitting, found, (&mut field, &mut fields));
        field.end(&mut fields);
        fields
    }

    fn put_pieces(
        &mut self,
        (at, line): (&Provenance, u32),
        pieces: &[ShellPiece],
        splitting: Splitting,
        found: &mut Found,
        (field, fields): (&mut Field, &mut Vec<Argument>),
    ) {
        for piece in pieces {
            match piece {
                ShellPiece::Plain(text) => field.argument.push(text),
                ShellPiece::Quoted(text) | ShellPiece::SingleQuoted { text, .. } => {
                    field.exists = true;
                    field.argument.push(text);
                }
                ShellPiece::Variable { name, quoted } => {
                    let splitting = if *quoted { Splitting::None } else { splitting };
                    let splits = splitting == Splitting::AsBash;
                    field.exists |= !splits;
                    match self.look_up(name, splitting) {
                        Ok(Some(value)) => {
                            if splits && program::holds_flags(&value) {
                                found.split.push(Named {
                                    name: name.clone(),
                                    line,
                                });
                            }
                            field.put(&value, splits.then_some(&mut *fields));
                        }
                        Ok(None) => {
                            field.argument.push_unset(name);
                            found.unset.push(Named {
                                name: name.clone(),
                                line,
                            });
                        }
                        Err(why) => {
                            field.argument.push_variable(name);
                            field.argument.blur(why);
                        }
                    }
                }
                ShellPiece::OrElse {
                    name,
                    quoted,
                    empty_counts,
                    sets,
                    word,
                } => {
                    let splitting = if *quoted { Splitting::None } else { splitting };
                    let splits = splitting == Splitting::AsBash;
                    field.exists |= !splits;
                    match self.look_up(name, splitting) {
                        Ok(Some(value)) if !(*empty_counts && value.is("")) => {
                            field.put(&value, splits.then_some(&mut *fields));
                        }
                        Ok(_) => {
                            if *sets {
                                let mut set = (Field::default(), Vec::new());
                                self.put_pieces((at, line), word, Splitting::None, found, (&mut set.0, &mut set.1));
                                self.variables.insert(name.clone(), set.0.argument);
                            }
                            self.put_pieces((at, line), word, splitting, found, (&mut *field, &mut *fields));
                        }
                        Err(why) => {
                            field.argument.push_variable(name);
                            field.argument.blur(why);
                        }
                    }
                }
                ShellPiece::Substitution { raw, pipeline } => {
                    let programs: Vec<Program> = pipeline
                        .iter()
                        .flat_map(|pipeline| self.programs(at, pipeline))
                        .collect();
                    match (programs.as_slice(), &self.place) {
                        ([only], Some(place)) if let Some(output) = place.output_of(only) => {
                            field.exists = true;
                            field.argument.append(&output);
                        }
                        _ => field.argument.blur(format!("`$({raw})` stands inside a word")),
                    }
                    found.inside.extend(programs);
                }
                ShellPiece::NotUnderstood(text) => {
                    field.argument.push(text);
                    field
                        .argument
                        .blur(format!("`{text}` is an expansion that is not understood"));
                }
            }
        }
    }

    /// The value of a variable; `None` where nothing sets it.
    fn look_up(&mut self, name: &str, splitting: Splitting) -> Result<Option<Argument>, String> {
        if let Some(value) = self.variables.get(name) {
            // What an argument and its piece take besides their text.
            let each = size_of::<Argument>() + size_of::<Piece>();
            let bytes = value.pieces().map(|(piece, _)| match piece {
                Piece::Text(text) if splitting == Splitting::AsBash => {
                    text.len() + each * (1 + text.matches(BLANKS).count())
                }
                Piece::Text(text) | Piece::Variable(text) => text.len() + each,
            });
            let left = self.left.checked_sub(bytes.sum());
            self.left = left.ok_or_else(|| format!("the values of `{name}` and others make the guide too long"))?;
            return Ok(Some(value.clone()));
        }
        if self.readers.contains(name) {
            return Ok(Some(Argument::of(Template(vec![Piece::Variable(name.to_owned())]))));
        }
        if OF_THE_SHELL.contains(&name) {
            return Err(not_known(name));
        }
        Ok(None)
    }
}

/// What a word holds beside its text.
#[derive(Default)]
struct Found {
    inside: Vec<Program>,
    unset: Vec<Named>,
    split: Vec<Named>,
}

/// Whether a value outside quotes is split at its blanks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Splitting {
    /// As in the arguments of a program.
    AsBash,
    /// As in an assignment and in a here-document.
    None,
}

/// An argument that is being put together.
#[derive(Default)]
struct Field {
    argument: Argument,
    /// Whether it exists even when it is empty, because quotes stood in it.
    exists: bool,
}

impl Field {
    /// Adds the value of a variable, split at its blanks where there are fields to split it into.
    fn put(&mut self, value: &Argument, mut fields: Option<&mut Vec<Argument>>) {
        for (piece, is_unset) in value.pieces() {
            match (piece, fields.as_deref_mut()) {
                (Piece::Text(text), Some(fields)) => self.split(text, fields),
                (Piece::Text(text), None) => self.argument.push(text),
                (Piece::Variable(name), _) if is_unset => self.argument.push_unset(name),
                (Piece::Variable(name), _) => self.argument.push_variable(name),
            }
        }
    }

    fn split(&mut self, text: &str, fields: &mut Vec<Argument>) {
        let mut rest = text;
        while let Some(blank) = rest.find(BLANKS) {
            self.argument.push(&rest[..blank]);
            self.end(fields);
            rest = &rest[blank + 1..];
        }
        self.argument.push(rest);
    }

    fn end(&mut self, fields: &mut Vec<Argument>) {
        let field = std::mem::take(self);
        if field.exists || !field.argument.is_nothing() {
            fields.push(field.argument);
        }
    }
}

/// The pieces of a word that are more than empty quotes.
fn significant(word: &ShellWord) -> Vec<&ShellPiece> {
    let empty = ShellPiece::Quoted(String::new());
    word.pieces.iter().filter(|piece| **piece != empty).collect()
}

pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|sign: char| sign.is_ascii_alphabetic() || sign == '_')
        && text.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_')
}

#[cfg(test)]
mod tests;
