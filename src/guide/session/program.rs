//! One program with what bash gives to it.

use super::is_name;
use crate::{
    guide::{
        Argument, Arguments, ShellPiece, ShellWord,
        arguments::{Misspelt, misspelt},
    },
    record::Provenance,
    verdict::{Cause, CauseCode, Fault},
};

/// One program with its arguments, as bash runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where the command begins that runs it.
    pub(crate) at: Provenance,
    /// Its name without the directory it stands in.
    pub name: String,
    /// What it is run with; the first word is itself.
    pub(crate) words: Vec<Argument>,
    /// What a here-document or a here-string gives it on standard input, and the line where that begins.
    pub(crate) input: Option<(Argument, u32)>,
    /// Variables that are set for it alone.
    pub(crate) assignments: Vec<String>,
    /// The programs in `$(…)` of its words, in order; they run before it.
    pub(crate) inside: Vec<Self>,
    /// Variables that it uses and that nothing sets: bash puts nothing in their place.
    pub(crate) unset: Vec<Named>,
    /// Variables outside quotes whose values are several arguments that begin with a flag; a shell that does not split them, such
    /// as zsh, gives all of it as one.
    pub(crate) split: Vec<Named>,
    /// Names that stand as variables in single quotes, where bash puts nothing in their place.
    pub(crate) single_quoted: Vec<Named>,
}

/// The name of a variable, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub(crate) name: String,
    /// The line.
    pub(crate) line: u32,
}

impl Program {
    /// Its arguments, told apart.
    ///
    /// # Errors
    /// Its flags are not known, or they are given in a way that it would refuse.
    pub fn arguments(&self) -> Result<Arguments, String> {
        Arguments::read(&self.name, self.words.get(1..).unwrap_or_default())
    }

    /// The word by which it is known to end with an error before it does anything, and why.
    pub(crate) fn unknown(&self) -> Option<(String, Fault)> {
        let misspelt = || {
            let Misspelt { written, meant } = misspelt(&self.name, self.words.get(1..)?)?;
            let fault = Fault::new(
                format!("`{}` knows `{written}`", self.name),
                format!("`{}` has no `{written}`; `{meant}` is near", self.name),
                CauseCode::GuideCommandUnknown,
            );
            Some((written, fault))
        };
        // A name such as `$(POD_NAME)` is Kubernetes' own way to name a variable; bash takes it for a command.
        let inside = self
            .inside
            .iter()
            .find(|inside| inside.words.len() == 1 && is_of_kubernetes(&inside.name));
        let of_kubernetes = inside.map(|inside| {
            let name = &inside.name;
            let fault = Fault::new(
                format!("`$({name})` stays as it is for Kubernetes"),
                format!("bash runs a program `{name}` for `$({name})`, and there is none"),
                Cause::new(CauseCode::GuideCommandUnknown)
                    .because("a here-document whose word is quoted (`<<'EOF'`) keeps it, and so does `\\$(NAME)`"),
            );
            (format!("$({name})"), fault)
        });
        of_kubernetes.or_else(misspelt)
    }

    /// Refuses a program of which it is not known what bash gives to it, variables read at run time aside.
    ///
    /// # Errors
    /// What is not known.
    pub(crate) fn is_clear(&self) -> Result<(), String> {
        let input = self.input.iter().map(|(input, _)| input);
        self.words
            .iter()
            .chain(input)
            .try_for_each(|word| word.passed().map(|_| ()))
    }
}

fn is_of_kubernetes(name: &str) -> bool {
    name.len() > 1
        && name.starts_with(|sign: char| sign.is_ascii_uppercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether a value is several arguments that begin with a flag.
pub(super) fn holds_flags(value: &Argument) -> bool {
    let shown = value.shown();
    shown.starts_with('-') && shown.trim().contains([' ', '\t', '\n'])
}

/// The variables that a word names in single quotes, each with its line.
pub(super) fn single_quoted(word: &ShellWord) -> Vec<Named> {
    let mut found = Vec::new();
    for piece in &word.pieces {
        let ShellPiece::SingleQuoted { text, line } = piece else {
            continue;
        };
        for (line, text) in (*line..).zip(text.split('\n')) {
            found.extend(names(text).map(|name| Named {
                name: name.to_owned(),
                line,
            }));
        }
    }
    found
}

/// The names that a text gives as `$NAME` or `${NAME}`.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let name = if let Some(braced) = rest.strip_prefix('{') {
            braced.split_once('}')?.0
        } else {
            let end = rest.find(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_'));
            &rest[..end.unwrap_or(rest.len())]
        };
        is_name(name).then_some(name)
    })
}
