//! What `export` is given, and what loops set that are not read.

use super::is_name;
use crate::guide::{ShellPiece, ShellWord};

/// The variables that a loop sets which is not read itself: what follows may use them.
pub(super) fn set_by_a_loop(raw: &str) -> impl Iterator<Item = &str> {
    let words: Vec<&str> = raw.split_whitespace().collect();
    let pairs = words.windows(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>();
    let set = pairs
        .into_iter()
        .filter(|(word, _)| matches!(*word, "for" | "select" | "read"));
    set.map(|(_, name)| name).filter(|name| is_name(name))
}

/// What an argument of `export` is.
pub(super) enum Exported {
    Assignment(String, ShellWord),
    /// A bare name, which sets nothing.
    Name,
    NotUnderstood,
}

pub(super) fn exported(word: &ShellWord) -> Exported {
    let Some(ShellPiece::Plain(text)) = word.pieces.first() else {
        return Exported::NotUnderstood;
    };
    let Some((name, value)) = text.split_once('=') else {
        let is_bare = is_name(text) && word.pieces.len() == 1;
        return if is_bare {
            Exported::Name
        } else {
            Exported::NotUnderstood
        };
    };
    if !is_name(name) {
        return Exported::NotUnderstood;
    }
    let first = (!value.is_empty()).then(|| ShellPiece::Plain(value.to_owned()));
    let value = ShellWord {
        pieces: first.into_iter().chain(word.pieces[1..].iter().cloned()).collect(),
        ..word.clone()
    };
    Exported::Assignment(name.to_owned(), value)
}
