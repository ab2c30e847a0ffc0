//! Shell words evaluated as bash does, as far as that is known before anything runs.

use std::collections::{BTreeMap, BTreeSet};

use super::{Piece, Word};
use crate::guide::{ShellPiece, ShellWord, Simple};

/// The variables that are set by now.
#[derive(Debug, Default)]
pub(super) struct Environment {
    variables: BTreeMap<String, Word>,
    /// Variables that the reader is to have set; their values are read at run time.
    readers: BTreeSet<String>,
    /// Variables that were used and that nothing sets, since [`Environment::take_unset`] was last asked.
    unset: Vec<String>,
}

impl Environment {
    pub(super) fn new(readers: &[String]) -> Self {
        Self {
            readers: readers.iter().cloned().collect(),
            ..Self::default()
        }
    }

    pub(super) fn set(&mut self, name: &str, value: Word) {
        self.variables.insert(name.to_owned(), value);
    }

    /// Notes that a variable is set by a step at run time.
    pub(super) fn set_at_run_time(&mut self, name: &str) {
        self.set(name, Word(vec![Piece::Variable(name.to_owned())]));
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.variables.contains_key(name) || self.readers.contains(name)
    }

    /// The value of a variable, where it is known before anything runs.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.variables.get(name)?.resolve(&BTreeMap::new()).ok()
    }

    /// The variables that were used and that nothing sets; forgets them.
    pub(super) fn take_unset(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unset)
    }

    /// A word's fields: none for an empty variable, several where a value outside quotes has blanks.
    ///
    /// # Errors
    /// What is not understood in it.
    pub(super) fn fields(&mut self, word: &ShellWord) -> Result<Vec<Word>, String> {
        let mut fields = Vec::new();
        let mut field = Field::default();
        for piece in &word.pieces {
            match piece {
                ShellPiece::Plain(text) => field.push(text),
                ShellPiece::Quoted(text) | ShellPiece::SingleQuoted { text, .. } => {
                    field.exists = true;
                    field.push(text);
                }
                ShellPiece::Variable { name, quoted } => {
                    let value = self.value(name);
                    field.exists |= *quoted;
                    for part in value.0 {
                        match part {
                            Piece::Text(text) if !*quoted => field.split(&text, &mut fields),
                            Piece::Text(text) => field.push(&text),
                            Piece::Variable(name) => field.pieces.push(Piece::Variable(name)),
                        }
                    }
                }
                ShellPiece::Substitution { raw, .. } => return Err(format!("`$({raw})` stands inside a word")),
                ShellPiece::NotUnderstood(text) => {
                    return Err(format!("`{text}` is an expansion that is not understood"));
                }
            }
        }
        field.end(&mut fields);
        Ok(fields)
    }

    /// A word as one value, as in an assignment, where bash splits nothing.
    ///
    /// # Errors
    /// What is not understood in it.
    pub(super) fn value_of(&mut self, word: &ShellWord) -> Result<Word, String> {
        let quoted = ShellWord {
            pieces: word
                .pieces
                .iter()
                .map(|piece| match piece {
                    ShellPiece::Variable { name, .. } => ShellPiece::Variable {
                        name: name.clone(),
                        quoted: true,
                    },
                    piece => piece.clone(),
                })
                .collect(),
            ..word.clone()
        };
        Ok(self.fields(&quoted)?.pop().unwrap_or_default())
    }

    fn value(&mut self, name: &str) -> Word {
        if let Some(value) = self.variables.get(name) {
            return value.clone();
        }
        if self.readers.contains(name) {
            return Word(vec![Piece::Variable(name.to_owned())]);
        }
        self.unset.push(name.to_owned());
        Word::default()
    }
}

/// A field that is being put together.
#[derive(Default)]
struct Field {
    pieces: Vec<Piece>,
    /// Whether it exists even when it is empty, because quotes stood in it.
    exists: bool,
}

impl Field {
    fn push(&mut self, text: &str) {
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    fn split(&mut self, text: &str, fields: &mut Vec<Word>) {
        let mut rest = text;
        while let Some(blank) = rest.find([' ', '\t', '\n']) {
            self.push(&rest[..blank]);
            self.end(fields);
            rest = &rest[blank + 1..];
        }
        self.push(rest);
    }

    fn end(&mut self, fields: &mut Vec<Word>) {
        let field = std::mem::take(self);
        if field.exists || !field.pieces.is_empty() {
            fields.push(Word(field.pieces));
        }
    }
}

/// The fields of a program's words.
///
/// # Errors
/// What is not understood in one of them.
pub(super) fn arguments(environment: &mut Environment, simple: &Simple) -> Result<Vec<Word>, String> {
    let mut fields = Vec::new();
    for word in &simple.words {
        fields.extend(environment.fields(word)?);
    }
    Ok(fields)
}

/// Fields as text, for commands whose meaning must be known before anything runs.
///
/// # Errors
/// A field holds a variable that is only known at run time.
pub(super) fn texts(fields: &[Word]) -> Result<Vec<String>, String> {
    let text = |field: &Word| {
        let name = |name: String| format!("`${name}` is only known at run time");
        field.resolve(&BTreeMap::new()).map_err(name)
    };
    fields.iter().map(text).collect()
}

/// Variables that are set by now and whose names stand in single quotes, each with its line.
pub(super) fn unexpanded(environment: &Environment, simple: &Simple) -> Vec<(String, u32)> {
    let mut found: Vec<(String, u32)> = Vec::new();
    for piece in simple.words.iter().flat_map(|word| &word.pieces) {
        let ShellPiece::SingleQuoted { text, line } = piece else {
            continue;
        };
        for (row, text) in (*line..).zip(text.split('\n')) {
            for name in names(text) {
                if environment.is_set(name) && !found.iter().any(|(known, _)| known == name) {
                    found.push((name.to_owned(), row));
                }
            }
        }
    }
    found
}

/// The names after `$` in a text, braces or none.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let braced = rest.strip_prefix('{');
        let rest = braced.unwrap_or(rest);
        let end = rest
            .find(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_')
            .unwrap_or(rest.len());
        let name = &rest[..end];
        let closed = braced.is_none() || rest[end..].starts_with('}');
        (closed && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')).then_some(name)
    })
}
