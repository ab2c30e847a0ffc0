//! A program's arguments told apart: flags with their values, and the rest.

use super::{Word, shell};

/// Which flags a program has.
pub(super) struct Grammar<'a> {
    /// Flags that take a value, under every name they have, the first being the one to ask for.
    pub(super) valued: &'a [&'a [&'a str]],
    /// Flags that take none.
    pub(super) bare: &'a [&'a str],
}

/// Arguments told apart.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) positional: Vec<Word>,
    flags: Vec<(String, Word)>,
    bare: Vec<String>,
}

impl Arguments {
    /// Reads arguments; `--flag value`, `--flag=value`, `-f value`, `-fvalue` and joined short flags (`-si`) alike.
    ///
    /// # Errors
    /// A flag is not in the grammar, or its value is missing.
    pub(super) fn read(words: &[Word], grammar: &Grammar<'_>) -> Result<Self, String> {
        let mut read = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let start = word.start();
            if !start.starts_with('-') || start == "-" {
                read.positional.push(word.clone());
                continue;
            }
            let (name, attached) = match start.split_once('=') {
                Some((name, _)) => (name, Some(word.without(name.len() + 1))),
                None => (start, None),
            };
            let valued = |name: &str| grammar.valued.iter().find(|names| names.contains(&name));
            if let Some(names) = valued(name) {
                let value = attached.or_else(|| words.next().cloned());
                let value = value.ok_or_else(|| format!("the flag `{name}` lacks its value"))?;
                read.flags.push((names[0].to_owned(), value));
            } else if grammar.bare.contains(&name) {
                read.bare.push(name.to_owned());
            } else if !start.starts_with("--") {
                read.short(word, grammar, &mut words)?;
            } else {
                return Err(format!("the flag `{name}` is not understood"));
            }
        }
        Ok(read)
    }

    /// Short flags joined in one word; the last may have its value attached or in the next word.
    fn short<'a>(
        &mut self,
        word: &Word,
        grammar: &Grammar<'_>,
        words: &mut impl Iterator<Item = &'a Word>,
    ) -> Result<(), String> {
        let start = word.start();
        for (index, sign) in start.char_indices().skip(1) {
            let name = format!("-{sign}");
            if grammar.bare.contains(&name.as_str()) {
                self.bare.push(name);
                continue;
            }
            let names = grammar.valued.iter().find(|names| names.contains(&name.as_str()));
            let names = names.ok_or_else(|| format!("the flag `{name}` is not understood"))?;
            let rest = word.without(index + sign.len_utf8());
            let value = Some(rest)
                .filter(|rest| !rest.0.is_empty())
                .or_else(|| words.next().cloned());
            let value = value.ok_or_else(|| format!("the flag `{name}` lacks its value"))?;
            self.flags.push((names[0].to_owned(), value));
            break;
        }
        Ok(())
    }

    /// Whether a flag without value is given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.bare.iter().any(|given| given == name)
    }

    /// Every value of a flag.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Word> {
        self.flags
            .iter()
            .filter(move |(flag, _)| flag == name)
            .map(|(_, value)| value)
    }

    /// The last value of a flag as text.
    ///
    /// # Errors
    /// It is only known at run time.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, String> {
        let last = self.values(name).last().cloned();
        Ok(shell::texts(last.as_slice())?.pop())
    }
}

impl Word {
    /// The text it begins with, up to its first run-time variable.
    fn start(&self) -> &str {
        match self.0.first() {
            Some(super::Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// Itself without the first bytes of the text it begins with.
    pub(super) fn without(&self, bytes: usize) -> Self {
        let rest = self.start().get(bytes..).unwrap_or_default();
        let first = (!rest.is_empty()).then(|| super::Piece::Text(rest.to_owned()));
        Self(first.into_iter().chain(self.0.iter().skip(1).cloned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::plan::Piece;

    const GRAMMAR: Grammar<'static> = Grammar {
        valued: &[&["-n", "--namespace"], &["-X", "--request"]],
        bare: &["-s", "-i", "--wait"],
    };

    fn words(text: &str) -> Vec<Word> {
        text.split(' ').map(Word::text).collect()
    }

    #[rstest]
    #[case("get -n x y")]
    #[case("get --namespace=x y")]
    #[case("get --namespace x y")]
    #[case("get -nx y")]
    #[case("-n=x get y")]
    #[case("-sin x get y")]
    fn a_value_may_stand_in_any_form(#[case] text: &str) {
        let arguments = Arguments::read(&words(text), &GRAMMAR).unwrap();
        assert_eq!(arguments.text("-n").unwrap().as_deref(), Some("x"));
        assert_eq!(arguments.positional, words("get y"));
    }

    #[rstest]
    #[case("--none")]
    #[case("-z")]
    #[case("-n")]
    #[case("--namespace")]
    fn what_is_not_in_the_grammar_is_refused(#[case] text: &str) {
        assert!(Arguments::read(&words(text), &GRAMMAR).is_err());
    }

    #[test]
    fn a_value_may_hold_a_variable_that_is_not_known_yet() {
        let word = Word(vec![Piece::Text("--namespace=a".into()), Piece::Variable("B".into())]);
        let arguments = Arguments::read(&[word], &GRAMMAR).unwrap();
        let value = arguments.values("-n").next().unwrap();
        assert_eq!(value.0, [Piece::Text("a".into()), Piece::Variable("B".into())]);
        assert!(arguments.text("-n").is_err());
        assert!(!arguments.has("-s"));
    }
}
