//! Which scenarios are meant: names, regular expressions, and `!` before what is not.

use regex::Regex;

use super::{Inclusion, Scenario, suggest};
use crate::redact::cut;

/// What was typed to choose scenarios: a name or a regular expression for whole names; with a `!` before it what is left
/// out.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    takes: Takes,
    regex: Regex,
}

/// The scenarios of a run.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Those that are performed, in this order.
    pub performed: Vec<Scenario>,
    /// Names of those that would be performed if somebody asked for them.
    pub unasked: Vec<String>,
}

impl Selection {
    /// What is not proven because nobody asked for it, as a sentence for the reports; `None` where that is nothing.
    pub(crate) fn unasked_sentence(&self) -> Option<String> {
        let flags: Vec<String> = self.unasked.iter().map(|name| format!("`--scenario {name}`")).collect();
        (!flags.is_empty()).then(|| {
            format!(
                "performed only when asked for, and not in this run: {}",
                flags.join(", ")
            )
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    In,
    Out,
}

/// Why no scenarios are chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// It is no regular expression.
    #[error("`{pattern}` is neither a name nor a regular expression: {why}")]
    NotARegex {
        /// What was typed.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// No scenario has such a name.
    #[error("no scenario is called `{pattern}`{hint}")]
    MatchesNothing {
        /// What was typed.
        pattern: String,
        /// Which names there are.
        hint: String,
    },
    /// Each is left out again.
    #[error("every scenario is left out; there are {names}")]
    NoneLeft {
        /// The names there are.
        names: String,
    },
}

impl Pattern {
    /// A pattern of `--scenario`.
    ///
    /// # Errors
    /// It is no regular expression.
    pub fn read(text: &str) -> Result<Self, SelectError> {
        match text.strip_prefix('!') {
            Some(rest) => Self::new(rest, Takes::Out),
            None => Self::new(text, Takes::In),
        }
    }

    /// A pattern of `--skip`.
    ///
    /// # Errors
    /// It is no regular expression.
    pub fn skip(text: &str) -> Result<Self, SelectError> {
        Self::new(text, Takes::Out)
    }

    fn new(text: &str, takes: Takes) -> Result<Self, SelectError> {
        // `chat` is a name and does not mean `chat-stream`; whoever wants both writes `chat.*`.
        let regex = Regex::new(&format!("^(?:{text})$")).map_err(|error| SelectError::NotARegex {
            pattern: cut(text, 80),
            why: error
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned(),
        })?;
        Ok(Self {
            text: text.to_owned(),
            takes,
            regex,
        })
    }
}

/// The error that no scenario is called this.
pub fn unknown(name: &str, scenarios: &[Scenario]) -> SelectError {
    let names: Vec<&str> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    SelectError::MatchesNothing {
        pattern: cut(name, 80),
        hint: suggest::instead_of(name, &names),
    }
}

/// The scenarios that patterns choose, in their order. Where none is chosen by a pattern it is all, but for those that are
/// performed only when they are asked for ([`Inclusion::Asked`]).
///
/// # Errors
/// A pattern fits no scenario, or none is left.
pub fn select(scenarios: &[Scenario], patterns: &[Pattern]) -> Result<Selection, SelectError> {
    let names: Vec<&str> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    for pattern in patterns {
        if !names.iter().any(|name| pattern.regex.is_match(name)) {
            return Err(unknown(&pattern.text, scenarios));
        }
    }
    let fits = |scenario: &Scenario, takes: Takes| {
        patterns
            .iter()
            .any(|pattern| pattern.takes == takes && pattern.regex.is_match(&scenario.name))
    };
    let chooses = patterns.iter().any(|pattern| pattern.takes == Takes::In);
    let (performed, unasked): (Vec<&Scenario>, Vec<&Scenario>) = scenarios
        .iter()
        .filter(|scenario| !chooses || fits(scenario, Takes::In))
        .filter(|scenario| !fits(scenario, Takes::Out))
        .partition(|scenario| chooses || scenario.when == Inclusion::Always);
    if performed.is_empty() {
        return Err(SelectError::NoneLeft {
            names: suggest::listed(&names),
        });
    }
    Ok(Selection {
        performed: performed.into_iter().cloned().collect(),
        unasked: unasked.into_iter().map(|scenario| scenario.name.clone()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn scenarios() -> Vec<Scenario> {
        [("chat", "always"), ("chat-stream", "always"), ("long-chat", "asked"), ("models", "always")]
            .map(|(name, when)| {
                let text = format!(
                    "name: {name}\nproves: It holds.\nwhen: {when}\nsteps:\n- request: {{path: /, expect: {{answer: success}}}}\n"
                );
                super::super::read("a.yaml", text.as_bytes()).unwrap()
            })
            .into()
    }

    fn chosen(typed: &[&str], skipped: &[&str]) -> Result<Vec<String>, SelectError> {
        let patterns: Vec<Pattern> = typed
            .iter()
            .map(|text| Pattern::read(text))
            .chain(skipped.iter().map(|text| Pattern::skip(text)))
            .collect::<Result<_, _>>()?;
        let scenarios = scenarios();
        let chosen = select(&scenarios, &patterns)?.performed;
        Ok(chosen.into_iter().map(|scenario| scenario.name).collect())
    }

    #[rstest]
    #[case::all(&[], &[], &["chat", "chat-stream", "models"])]
    #[case::a_name_is_a_whole_name(&["chat"], &[], &["chat"])]
    #[case::a_regex(&["chat.*"], &[], &["chat", "chat-stream"])]
    #[case::asked_for(&["long-chat"], &[], &["long-chat"])]
    #[case::asked_for_with_all(&[".*"], &[], &["chat", "chat-stream", "long-chat", "models"])]
    #[case::not_asked_for_by_what_is_left_out(&["!chat"], &[], &["chat-stream", "models"])]
    #[case::several(&["models", "chat"], &[], &["chat", "models"])]
    #[case::not(&["!models"], &[], &["chat", "chat-stream"])]
    #[case::not_and_yes(&["chat.*", "!.*stream"], &[], &["chat"])]
    #[case::skip(&[], &["chat.*"], &["models"])]
    #[case::alternatives(&["chat|models"], &[], &["chat", "models"])]
    fn names_and_patterns_choose(#[case] typed: &[&str], #[case] skipped: &[&str], #[case] names: &[&str]) {
        assert_eq!(chosen(typed, skipped).unwrap(), names);
    }

    #[rstest]
    #[case::nobody_asked(&[], &[], Some("`--scenario long-chat`"))]
    #[case::asked(&["long-chat"], &[], None)]
    #[case::others_were_chosen(&["chat"], &[], None)]
    #[case::left_out(&[], &["long-chat"], None)]
    fn what_nobody_asked_for_is_said(#[case] typed: &[&str], #[case] skipped: &[&str], #[case] said: Option<&str>) {
        let patterns: Vec<Pattern> = typed
            .iter()
            .map(|text| Pattern::read(text))
            .chain(skipped.iter().map(|text| Pattern::skip(text)))
            .collect::<Result<_, _>>()
            .unwrap();
        let sentence = select(&scenarios(), &patterns).unwrap().unasked_sentence();
        assert_eq!(sentence.is_some(), said.is_some(), "{sentence:?}");
        assert!(sentence.unwrap_or_default().contains(said.unwrap_or_default()));
    }

    #[rstest]
    #[case::nothing(&["embeddings"], &[], "`chat`, `chat-stream`, `long-chat` and `models`")]
    #[case::a_slip(&["chatt"], &[], "did you mean `chat`?")]
    #[case::a_skip_that_skips_nothing(&[], &["modles"], "did you mean `models`?")]
    #[case::none_left(&["chat"], &["chat"], "every scenario is left out")]
    #[case::no_regex(&["chat("], &[], "unclosed group")]
    fn what_chooses_nothing_is_an_error(#[case] typed: &[&str], #[case] skipped: &[&str], #[case] said: &str) {
        let error = chosen(typed, skipped).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
