//! What a reader types who follows the guide for one combination: its commands in order, every word with the variables
//! put in that are known by then.
//!
//! It follows the guide itself and not its plan, so that commands count that no plan carries out: those for another
//! operating system, and the cleanup.

use std::collections::BTreeMap;

use super::Combination;
use crate::{
    guide::{Body, Choice, Command, Guide, GuideBook, Pipeline, Role, ShellPiece, ShellWord, Simple},
    plan::{self, Offer, Reference},
    record::Provenance,
    release::{Layout, Release},
};

/// Variables that every shell has.
const OF_THE_SHELL: &[&str] = &[
    "HOME", "HOSTNAME", "LANG", "LOGNAME", "OLDPWD", "PATH", "PWD", "RANDOM", "SHELL", "TERM", "TMPDIR", "UID", "USER",
];

/// What a reader of one combination types.
#[derive(Debug)]
pub(super) struct Reader {
    /// The combination.
    pub(super) offer: Offer,
    /// The guide for it.
    pub(super) guide: Guide,
    /// The programs, in order; those inside `$(…)` before the command they stand in.
    pub(super) typed: Vec<Typed>,
    /// Variables that are used and not set by then.
    pub(super) unset: Vec<Use>,
    /// Names of variables in single quotes, where nothing puts their values in.
    pub(super) protected: Vec<Use>,
    /// Variables whose values a download gives.
    pub(super) computed: Vec<Computed>,
    /// The first command that sets a variable.
    set: BTreeMap<String, usize>,
}

/// One program that a reader runs.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    /// Where the command begins.
    pub(super) at: Provenance,
    /// What its section is for.
    pub(super) role: Role,
    /// The number of its block.
    pub(super) block: usize,
    /// The program's name without its directory; empty where it is not known.
    pub(super) program: String,
    /// The words after it.
    pub(super) words: Vec<Said>,
}

/// A word as bash passes it on.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// Its text; a variable whose value is only known at run time stands as `${NAME}`.
    pub(super) text: String,
    /// Whether all of it is known.
    pub(super) is_known: bool,
}

/// A variable where a command names it.
#[derive(Debug, Clone)]
pub(super) struct Use {
    /// Its name.
    pub(super) name: String,
    /// The file.
    pub(super) file: String,
    /// The line.
    pub(super) line: u32,
    /// What its section is for.
    pub(super) role: Role,
    /// The number of the command.
    command: usize,
}

/// A variable that the output of a download sets.
#[derive(Debug, Clone)]
pub(super) struct Computed {
    /// Its name.
    pub(super) name: String,
    /// Where.
    pub(super) at: Provenance,
    /// The address.
    pub(super) url: String,
    /// Whether it is the list of this project's releases.
    pub(super) is_of_releases: bool,
}

/// The most bytes that variables put in place of their names for one combination: one that doubles itself line by line
/// would fill any memory. Beyond it a value is not known; the plan of such a guide says so too.
const MOST_REPLACED: usize = 1 << 20;

impl Reader {
    /// The reader of each combination; none where the guide cannot be read or is not the release's own, `book`.
    pub(super) fn all(
        release: &Release,
        layout: &Layout,
        book: Option<&GuideBook>,
        combinations: &[Combination],
    ) -> Vec<Self> {
        let Some(book) = book else { return Vec::new() };
        let offers = combinations.iter().map(|combination| &combination.offer);
        offers
            .filter_map(|offer| Self::of(release, layout, book, offer))
            .collect()
    }

    /// Follows the guide for one combination; `None` where the guide cannot be read for it.
    fn of(release: &Release, layout: &Layout, book: &GuideBook, offer: &Offer) -> Option<Self> {
        let provider = plan::Provider::named(&offer.provider).ok()?;
        let choice = Choice {
            variant: &offer.variant,
            provider: &provider.name,
            provider_tab: provider.tab.as_ref().filter(|_| layout.only_provider.is_none()),
        };
        let guide = book.choose(layout, choice).ok()?;
        let mut walk = Walk {
            repository: &release.repository,
            tag: release.tag.as_ref().map(ToString::to_string).unwrap_or_default(),
            readers: &layout.environment,
            known: BTreeMap::new(),
            left: MOST_REPLACED,
            command: 0,
            block: 0,
            role: Role::Step,
            reader: Self {
                offer: offer.clone(),
                guide: Guide {
                    blocks: Vec::new(),
                    ..guide.clone()
                },
                typed: Vec::new(),
                unset: Vec::new(),
                protected: Vec::new(),
                computed: Vec::new(),
                set: BTreeMap::new(),
            },
        };
        for (number, block) in guide.blocks.iter().enumerate() {
            walk.block = number;
            walk.role = block.role;
            for command in &block.commands {
                walk.command += 1;
                walk.follow(command);
            }
        }
        let mut reader = walk.reader;
        // A name in single quotes is a variable's only where the guide sets such a variable.
        let set = &reader.set;
        reader.protected.retain(|used| set.contains_key(&used.name));
        reader.guide = guide;
        Some(reader)
    }

    /// Whether a command after the use sets the variable.
    pub(super) fn is_set_later(&self, used: &Use) -> bool {
        self.set.get(&used.name).is_some_and(|first| *first > used.command)
    }
}

struct Walk<'a> {
    repository: &'a str,
    tag: String,
    readers: &'a [String],
    /// Variables that are set by now; `None` where the value is only known at run time.
    known: BTreeMap<String, Option<String>>,
    /// How many bytes may still be put in place of names.
    left: usize,
    command: usize,
    block: usize,
    role: Role,
    reader: Reader,
}

impl Walk<'_> {
    fn follow(&mut self, command: &Command) {
        let Body::Pipeline(pipeline) = &command.body else {
            return;
        };
        match pipeline.0.as_slice() {
            [only] if only.words.is_empty() => {
                for (name, value) in &only.assignments {
                    self.assign(command, name, value);
                }
            }
            [only] if only.words[0].raw == "export" => {
                for word in &only.words[1..] {
                    if let Some((name, value)) = exported(word) {
                        self.assign(command, &name, &value);
                    }
                }
            }
            _ => self.pipeline(command, pipeline),
        }
    }

    fn assign(&mut self, command: &Command, name: &str, word: &ShellWord) {
        let value = self.said(command, word, true);
        let mut text = value.is_known.then_some(value.text);
        if let Some((url, is_of_releases)) = self.downloaded(command, word) {
            if is_of_releases {
                text = Some(self.tag.clone());
            }
            self.reader.computed.push(Computed {
                name: name.to_owned(),
                at: command.at.clone(),
                url,
                is_of_releases,
            });
        }
        self.known.insert(name.to_owned(), text);
        self.reader.set.entry(name.to_owned()).or_insert(self.command);
    }

    /// The address whose content sets a variable, and whether it is the list of this project's releases.
    fn downloaded(&mut self, command: &Command, word: &ShellWord) -> Option<(String, bool)> {
        let pipeline = word.pieces.iter().find_map(|piece| match piece {
            ShellPiece::Substitution { pipeline, .. } => pipeline.as_ref(),
            _ => None,
        })?;
        let first = pipeline.0.first()?;
        let program = first.words.first()?.literal()?;
        if !matches!(program.as_str(), "curl" | "wget") {
            return None;
        }
        let words: Vec<Said> = first.words[1..]
            .iter()
            .map(|word| self.said(command, word, false))
            .collect();
        let url = words.into_iter().find(|word| word.text.contains("://"))?.text;
        let is_of_releases = matches!(
            plan::classify(&url),
            Reference::Releases { repository } if repository.eq_ignore_ascii_case(self.repository)
        );
        Some((url, is_of_releases))
    }

    fn pipeline(&mut self, command: &Command, pipeline: &Pipeline) {
        for simple in &pipeline.0 {
            self.simple(command, simple);
        }
    }

    fn simple(&mut self, command: &Command, simple: &Simple) {
        // Assignments before a program are for that program only; their values are evaluated all the same.
        for (_, value) in &simple.assignments {
            self.said(command, value, true);
        }
        let words: Vec<Said> = simple.words.iter().map(|word| self.said(command, word, true)).collect();
        let Some((first, rest)) = words.split_first() else {
            return;
        };
        let program = first.text.rsplit('/').next().unwrap_or_default().to_owned();
        // Programs with a language of their own, in which `$` means something else.
        let speaks = matches!(
            program.as_str(),
            "awk" | "bash" | "envsubst" | "jq" | "perl" | "sed" | "sh" | "yq"
        );
        if !speaks {
            for word in simple.words.iter().chain(&simple.input) {
                self.protect(command, word);
            }
        }
        if let Some(input) = &simple.input {
            self.said(command, input, true);
        }
        self.reader.typed.push(Typed {
            at: command.at.clone(),
            role: self.role,
            block: self.block,
            program,
            words: rest.to_vec(),
        });
    }

    fn protect(&mut self, command: &Command, word: &ShellWord) {
        for piece in &word.pieces {
            let ShellPiece::SingleQuoted { text, line } = piece else {
                continue;
            };
            for (row, text) in (*line..).zip(text.split('\n')) {
                for name in named(text) {
                    let used = self.used(command, name, row);
                    self.reader.protected.push(used);
                }
            }
        }
    }

    fn used(&self, command: &Command, name: &str, line: u32) -> Use {
        Use {
            name: name.to_owned(),
            file: command.at.file.clone(),
            line,
            role: self.role,
            command: self.command,
        }
    }

    /// A word with what is known put in; with `is_first` what is found on the way is noted.
    fn said(&mut self, command: &Command, word: &ShellWord, is_first: bool) -> Said {
        let mut said = Said {
            text: String::new(),
            is_known: true,
        };
        for piece in &word.pieces {
            match piece {
                ShellPiece::Plain(text) | ShellPiece::Quoted(text) | ShellPiece::SingleQuoted { text, .. } => {
                    said.text.push_str(text);
                }
                ShellPiece::Variable { name, .. } => {
                    if let Some(Some(value)) = self.known.get(name)
                        && let Some(left) = self.left.checked_sub(value.len())
                    {
                        self.left = left;
                        said.text.push_str(value);
                        continue;
                    }
                    said.is_known = false;
                    said.text.extend(["${", name, "}"]);
                    let is_ours = self.known.contains_key(name)
                        || self.readers.contains(name)
                        || OF_THE_SHELL.contains(&name.as_str())
                        || !is_name(name);
                    if is_first && !is_ours {
                        let used = self.used(command, name, word.line);
                        self.reader.unset.push(used);
                    }
                }
                ShellPiece::Substitution { pipeline, .. } => {
                    said.is_known = false;
                    if let Some(pipeline) = pipeline.as_ref().filter(|_| is_first) {
                        self.pipeline(command, pipeline);
                    }
                }
                ShellPiece::NotUnderstood(text) => {
                    said.is_known = false;
                    said.text.push_str(text);
                }
            }
        }
        said
    }
}

/// The assignment in an argument of `export`; `None` for a bare name.
fn exported(word: &ShellWord) -> Option<(String, ShellWord)> {
    let Some(ShellPiece::Plain(text)) = word.pieces.first() else {
        return None;
    };
    let (name, value) = text.split_once('=')?;
    let first = ShellPiece::Plain(value.to_owned());
    let value = ShellWord {
        pieces: [first].into_iter().chain(word.pieces[1..].iter().cloned()).collect(),
        ..word.clone()
    };
    is_name(name).then(|| (name.to_owned(), value))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|sign: char| sign.is_ascii_alphabetic() || sign == '_')
        && text.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_')
}

/// The names that a text gives as `$NAME` or `${NAME}`.
fn named(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices('$') {
        let rest = &text[at + 1..];
        let name = if let Some(braced) = rest.strip_prefix('{') {
            braced.split_once('}').map_or("", |(name, _)| name)
        } else {
            let end = rest.find(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_'));
            &rest[..end.unwrap_or(rest.len())]
        };
        if is_name(name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        lint,
        release::{MemoryTree, REPOSITORY},
    };

    #[test]
    fn a_variable_that_doubles_itself_is_not_followed_for_ever() {
        let tabs = "=== \"Simulator\"\n\n    x\n\nDone\n\n=== \"Istio\"\n\n    x\n\nDone\n\n";
        let guide = format!("{tabs}```bash\nA=xxxxxxxx\n{}echo $A\n```\n", "A=$A$A\n".repeat(100));
        let mut tree = MemoryTree::default();
        tree.insert("site-src/guides/index.md".parse().unwrap(), guide);
        let release = Release::new(REPOSITORY, "v1.5.0".parse().ok(), None, Box::new(tree));
        let layout = release.layout(None).unwrap();
        let book = GuideBook::open(release.tree.as_ref(), &layout, release.tag.as_ref()).unwrap();
        let readers = Reader::all(&release, &layout, Some(&book), &lint::draw(&release, &layout).unwrap());
        let said = &readers[0].typed.last().unwrap().words[0];
        assert!(!said.is_known && said.text.len() <= 2 * MOST_REPLACED);
    }

    #[test]
    fn names_of_variables_are_found_in_text() {
        assert_eq!(named("a $B ${C}d $1 ${E:-f} $_g$ $H-i"), ["B", "C", "_g", "H"]);
    }
}
