//! What bash reads in a block: commands with their words, quotes and variables told apart, and the line of each.
//!
//! The grammar is brush-parser's. A block is read as bash reads a terminal: if the whole of it is no program, then
//! command by command, so that a command with an error does not hide the good ones before it.

use brush_parser::{
    Parser, ParserOptions,
    ast::{self, SourceLocation},
    tokenize_str,
};

use super::{Command, scan::Block};
use crate::record::Provenance;

mod compound;
mod here;
mod size;
mod slips;
mod words;

pub(crate) use compound::{Branch, Test};
use size::{cases, groups, has_huge_number, openings};
pub use slips::Slip;
pub(crate) use slips::SlipKind;

/// The most bytes of one block that are read; beyond it nobody copies a block into a terminal.
const MOST_BYTES: usize = 64 << 10;

/// The most signs and words of one text that open something which may hold another: the parser calls itself for each.
///
/// What closes them is not counted, since where it stands in quotes only the parser knows. A stack of 2 MiB, as threads
/// have, is enough for a hundred of the worst of them (`case`) in a build without optimization.
const MOST_OPENINGS: usize = 60;

/// The most of them that may double the time that the parser takes: each `case`, of whose items it reads each twice, and
/// each parenthesis that opens a group and is never closed.
const MOST_DOUBLINGS: usize = 10;

/// The most here-documents of one text.
const MOST_DOCUMENTS: usize = 16;

/// The most lines that one command of a block with an error in it may have.
const MOST_ROWS: usize = 60;

/// The most bytes of one guide that are given to the parser, the same ones again after each error counted again; the
/// guides upstream need at most a tenth.
const MOST_READ: usize = 512 << 10;

/// What may still be given to the parser.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: MOST_READ }
    }
}

impl Budget {
    /// Whether so many bytes may still be given to the parser; where they may not, no others may.
    fn spend(&mut self, bytes: usize) -> bool {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.unwrap_or(0);
        left.is_some()
    }

    fn is_spent(&self) -> bool {
        self.bytes == 0
    }
}

/// What bash reads in a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// Programs joined by pipes; one without a pipe.
    Pipeline(Pipeline),
    /// `if` over texts; which branch is taken their values say.
    Branches(Vec<Branch>),
    /// A slip of the pen, by which something else comes of it than what is meant.
    Fails(Box<Slip>),
    /// A syntax error, or grammar that no guide needs (loops, functions, `||`), with the reason.
    NotUnderstood(String),
}

/// Programs joined by pipes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pipeline(pub(crate) Vec<Simple>);

/// One program, or assignments alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Simple {
    /// Assignments before the program, or on their own.
    pub(crate) assignments: Vec<(String, ShellWord)>,
    /// The program and its arguments.
    pub(crate) words: Vec<ShellWord>,
    /// What a here-document or here-string gives it on standard input.
    pub(crate) input: Option<ShellWord>,
}

/// A word as written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ShellWord {
    /// Its text, quotes and all.
    pub(crate) raw: String,
    /// Its parts.
    pub(crate) pieces: Vec<ShellPiece>,
    /// The line it begins at.
    pub(crate) line: u32,
}

/// A part of a [`ShellWord`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ShellPiece {
    /// Text outside quotes.
    Plain(String),
    /// Text that quotes or a backslash protect from word splitting.
    Quoted(String),
    /// Text in single quotes, in which bash replaces nothing.
    SingleQuoted {
        /// The text.
        text: String,
        /// The line it begins at.
        line: u32,
    },
    /// A variable.
    Variable {
        /// Its name.
        name: String,
        /// Whether double quotes protect its value from word splitting.
        quoted: bool,
    },
    /// A variable, or another word where it is not set (`${NAME:-WORD}`).
    OrElse {
        /// The variable's name.
        name: String,
        /// Whether double quotes protect its value from word splitting.
        quoted: bool,
        /// Whether a variable that is set to nothing counts as one that is not set.
        empty_counts: bool,
        /// Whether the variable is set to the word (`${NAME:=WORD}`).
        sets: bool,
        /// The pieces of the other word.
        word: Vec<ShellPiece>,
    },
    /// A command whose output stands here.
    Substitution {
        /// The command as written.
        raw: String,
        /// Its one pipeline; `None` where there is another number of them.
        pipeline: Option<Pipeline>,
    },
    /// An expansion that no guide needs (arithmetic, patterns, `~`), with its text.
    NotUnderstood(String),
}

impl ShellWord {
    /// The word's text where nothing in it is to be replaced.
    pub(crate) fn literal(&self) -> Option<String> {
        self.pieces
            .iter()
            .map(|piece| match piece {
                ShellPiece::Plain(text) | ShellPiece::Quoted(text) | ShellPiece::SingleQuoted { text, .. } => {
                    Some(text.as_str())
                }
                ShellPiece::Variable { .. }
                | ShellPiece::OrElse { .. }
                | ShellPiece::Substitution { .. }
                | ShellPiece::NotUnderstood(_) => None,
            })
            .collect()
    }
}

/// The commands of a block.
///
/// Where a line begins with a `$` prompt, only such lines are commands and the rest is what the reader should see, but for
/// the lines that bash still waits for: those of a here-document, of a text in quotes, or behind a backslash. They may
/// have the prompt `> `.
pub(super) fn commands(block: &Block, budget: &mut Budget) -> Vec<Command> {
    let is_session = block.lines.iter().any(|line| line.text.starts_with("$ "));
    let mut commands = Vec::new();
    let mut chunk = Chunk::new(block);
    for (index, line) in block.lines.iter().enumerate() {
        if !is_session {
            chunk.rows.push((index, line.text.as_str()));
            continue;
        }
        let goes_on = chunk.is_open(budget);
        let typed = if goes_on {
            Some(line.text.strip_prefix("> ").unwrap_or(&line.text))
        } else {
            line.text.strip_prefix("$ ")
        };
        if !goes_on {
            chunk.read_into(&mut commands, budget);
        }
        chunk.rows.extend(typed.map(|typed| (index, typed)));
    }
    chunk.read_into(&mut commands, budget);
    commands
}

/// The commands of a script of the release, such as one that guides source.
pub(super) fn script(file: &str, text: &str, first_line: u32) -> Vec<Command> {
    commands(&Block::of_script(file, text, first_line), &mut Budget::default())
}

/// Lines that are read together.
struct Chunk<'a> {
    block: &'a Block,
    /// Each line's index in the block, and its text.
    rows: Vec<(usize, &'a str)>,
    /// The here-documents of what is being read.
    documents: Vec<here::Document>,
}

impl<'a> Chunk<'a> {
    fn new(block: &'a Block) -> Self {
        Self {
            block,
            rows: Vec::new(),
            documents: Vec::new(),
        }
    }

    fn at(&self, row: usize) -> Provenance {
        let row = self.rows.get(row).or_else(|| self.rows.last());
        self.block.at(row.map_or(0, |(index, _)| *index))
    }

    fn text(&self) -> String {
        self.rows.iter().flat_map(|(_, row)| [*row, "\n"]).collect()
    }

    /// Whether bash waits for more before it runs the rows.
    fn is_open(&self, budget: &mut Budget) -> bool {
        let Some((_, last)) = self.rows.last() else {
            return false;
        };
        if last.ends_with('\\') {
            return true;
        }
        let text = self.text();
        let has_mark = text.contains("<<") || text.contains(['\'', '"', '`', '(']);
        has_mark
            && text.matches("<<").count() <= MOST_DOCUMENTS
            && openings(&text) <= MOST_OPENINGS
            && !has_huge_number(&text)
            && !here::begins_in_a_substitution(&text)
            && budget.spend(text.len())
            && tokenize_str(&text).is_err_and(|error| error.is_incomplete())
    }

    fn line_of(&self, row: usize) -> u32 {
        self.at(row).line
    }

    /// Reads the rows and takes them away.
    fn read_into(&mut self, commands: &mut Vec<Command>, budget: &mut Budget) {
        while !self.rows.is_empty() {
            let error = match self.read(budget) {
                Ok(read) => {
                    commands.extend(read);
                    break;
                }
                Err(error) => error,
            };
            if budget.is_spent() {
                // One command stands for the rest, and is enough to keep the guide from passing.
                commands.push(error);
                break;
            }
            let rows: Vec<&str> = self.rows.iter().map(|(_, row)| *row).collect();
            if let Some((row, slip)) = slips::never_ends(&rows, |row| self.line_of(row)) {
                // All that follows is the document's.
                let (at, raw) = (self.at(row), one_line(rows[row]));
                self.rows.truncate(row);
                self.read_into(commands, budget);
                commands.push(Command {
                    at,
                    raw,
                    body: Body::Fails(Box::new(slip)),
                    left_out: None,
                });
                break;
            }
            // The shortest beginning that is a program of its own; failing that, the first line is the error.
            let all = std::mem::take(&mut self.rows);
            let rest = (1..all.len().min(MOST_ROWS)).find_map(|length| {
                // A line that goes on is no end of a program.
                if all[length - 1].1.ends_with('\\') {
                    return None;
                }
                self.rows = all[..length].to_vec();
                commands.extend(self.read(budget).ok()?);
                Some(all[length..].to_vec())
            });
            self.rows = rest.unwrap_or_else(|| {
                commands.push(error);
                all[1..].to_vec()
            });
        }
        self.rows.clear();
    }

    /// Its commands, or the whole of it as one that is not understood.
    fn read(&mut self, budget: &mut Budget) -> Result<Vec<Command>, Command> {
        let text = self.text();
        let (at, raw) = (self.at(0), one_line(self.rows.first().map_or("", |(_, row)| row)));
        let refuse = |why: String| Command {
            at,
            raw,
            body: Body::NotUnderstood(why),
            left_out: None,
        };
        // What is not parsed is cheaper, and not for nothing.
        let spent = || "so much of the guide is no shell that the rest of it is not read".to_owned();
        if !budget.spend(text.len() / 16 + 1) {
            return Err(refuse(spent()));
        }
        if text.len() > MOST_BYTES || text.matches("<<").count() > MOST_DOCUMENTS {
            return Err(refuse("it is too long".into()));
        }
        if has_huge_number(&text) {
            return Err(refuse("a number in it is larger than a shell takes".into()));
        }
        if here::begins_in_a_substitution(&text) {
            return Err(refuse("a here-document stands in `$(…)`".into()));
        }
        let (text, documents) = here::take_out(&text);
        let (cases, groups) = (cases(&text), groups(&text));
        if openings(&text) > MOST_OPENINGS || cases + groups > MOST_DOUBLINGS {
            return Err(refuse("too much of it is nested".into()));
        }
        // What takes the parser longer costs as much more, so that no number of blocks takes long.
        let never_closed = groups.saturating_sub(text.matches(')').count());
        if !budget.spend(text.len() << (cases + never_closed)) {
            return Err(refuse(spent()));
        }
        let signs: Vec<char> = text.chars().collect();
        self.documents = documents;
        let program = Parser::new(text.as_bytes(), &ParserOptions::default())
            .parse_program()
            .map_err(|error| refuse(format!("bash reads an error in it: {error}")))?;
        let mut found: Vec<(usize, usize, Body)> = Vec::new();
        for ast::CompoundListItem(list, separator) in program.complete_commands.iter().flat_map(|list| &list.0) {
            let in_background = matches!(separator, ast::SeparatorOperator::Async);
            for (pipeline, is_alternative) in and_or(list) {
                let body = if in_background {
                    Body::NotUnderstood("it runs in the background (`&`)".into())
                } else if is_alternative {
                    Body::NotUnderstood("it runs only when the command before it fails (`||`)".into())
                } else {
                    self.body(pipeline)
                };
                let begin = pipeline
                    .location()
                    .map_or((1, 0), |span| (span.start.line, span.start.index));
                found.push((begin.0, begin.1, body));
            }
        }
        let ends: Vec<usize> = found
            .iter()
            .skip(1)
            .map(|(_, index, _)| *index)
            .chain([signs.len()])
            .collect();
        let command = |((line, index, body), end): ((usize, usize, Body), usize)| {
            let row = line.saturating_sub(1);
            let command = Command {
                at: self.at(row),
                raw: here::put_marks_back(&as_written(signs.get(index..end).unwrap_or_default()), &self.documents),
                body: slips::of_print(body),
                left_out: None,
            };
            (row, command)
        };
        let begun = found.into_iter().zip(ends).map(command).collect();
        let rows: Vec<&str> = self.rows.iter().map(|(_, row)| *row).collect();
        Ok(slips::cut_short(&rows, |row| self.line_of(row), begun))
    }

    fn pipeline(&self, pipeline: &ast::Pipeline) -> Result<Pipeline, String> {
        if pipeline.bang || pipeline.timed.is_some() {
            return Err("it is negated (`!`) or timed".into());
        }
        let simple = |command: &ast::Command| match command {
            ast::Command::Simple(simple) => self.simple(simple),
            _ => Err("it is no plain command (a loop, a function, a group or a test)".into()),
        };
        pipeline.seq.iter().map(simple).collect::<Result<_, _>>().map(Pipeline)
    }

    fn simple(&self, command: &ast::SimpleCommand) -> Result<Simple, String> {
        let mut simple = Simple::default();
        for item in command.prefix.iter().flat_map(|prefix| &prefix.0) {
            match item {
                ast::CommandPrefixOrSuffixItem::AssignmentWord(assignment, word) => {
                    let ast::AssignmentName::VariableName(name) = &assignment.name else {
                        return Err("it sets an element of an array".into());
                    };
                    let ast::AssignmentValue::Scalar(value) = &assignment.value else {
                        return Err("it sets an array".into());
                    };
                    if assignment.append {
                        return Err("it appends to a variable".into());
                    }
                    // The value has no place of its own; its word has.
                    let value = self.word(&value.value, word.loc.as_ref().map_or(1, |span| span.start.line));
                    simple.assignments.push((name.clone(), value));
                }
                item => self.item(item, &mut simple)?,
            }
        }
        simple
            .words
            .extend(command.word_or_name.iter().map(|name| self.placed(name)));
        for item in command.suffix.iter().flat_map(|suffix| &suffix.0) {
            self.item(item, &mut simple)?;
        }
        Ok(simple)
    }

    fn item(&self, item: &ast::CommandPrefixOrSuffixItem, simple: &mut Simple) -> Result<(), String> {
        match item {
            ast::CommandPrefixOrSuffixItem::Word(word) | ast::CommandPrefixOrSuffixItem::AssignmentWord(_, word) => {
                simple.words.push(self.placed(word));
            }
            ast::CommandPrefixOrSuffixItem::IoRedirect(ast::IoRedirect::HereString(None, word)) => {
                simple.input = Some(if let Some(document) = here::named(&word.value, &self.documents) {
                    self.here_document(document)
                } else {
                    let mut word = self.placed(word);
                    word.pieces.push(ShellPiece::Quoted("\n".into()));
                    word
                });
            }
            ast::CommandPrefixOrSuffixItem::IoRedirect(redirect) if compound::only_hides(redirect) => {}
            ast::CommandPrefixOrSuffixItem::IoRedirect(_) => return Err("it reads or writes a file (`<`, `>`)".into()),
            ast::CommandPrefixOrSuffixItem::ProcessSubstitution(..) => {
                return Err("it uses a process substitution".into());
            }
        }
        Ok(())
    }
}

/// The pipelines of a list, and whether each runs only when the one before it fails.
fn and_or(list: &ast::AndOrList) -> impl Iterator<Item = (&ast::Pipeline, bool)> {
    let more = list.additional.iter().map(|next| match next {
        ast::AndOr::And(pipeline) => (pipeline, false),
        ast::AndOr::Or(pipeline) => (pipeline, true),
    });
    [(&list.first, false)].into_iter().chain(more)
}

/// Text that was taken up to the next command, without what separates them and comments at its end.
fn as_written(signs: &[char]) -> String {
    let text: String = signs.iter().collect();
    let mut rows: Vec<&str> = text.lines().collect();
    while rows
        .last()
        .is_some_and(|row| row.trim().is_empty() || row.trim_start().starts_with('#'))
    {
        rows.pop();
    }
    let joined = one_line(&rows.join("\n"));
    joined.trim_end_matches([';', '&', '|', ' ']).to_owned()
}

/// Text on one line: continuation lines joined, runs of blanks made one.
fn one_line(text: &str) -> String {
    text.replace("\\\n", " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
pub(crate) mod tests;
