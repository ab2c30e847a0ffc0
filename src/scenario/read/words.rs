//! Names, sentences and lists of values as a scenario may have them, and what is said of others.

use std::collections::BTreeMap;

use crate::redact::cut;
use crate::scenario::template;

/// Variables that every template knows.
pub(super) const GIVEN: &[&str] = &["adapter", "model", "number", "prompt"];
/// Variables that every expression knows.
pub(super) const SEEN: &[&str] = &["adapter", "answer", "answers", "model", "prompt"];

/// What is wrong at a place that a JSON pointer (RFC 6901) names.
pub(super) struct Mistake {
    pub(super) pointer: String,
    /// The text that is wrong, to point at inside what the pointer names; may be empty.
    pub(super) word: String,
    pub(super) why: String,
}

/// A mistake at a place.
pub(super) fn mistake(pointer: impl Into<String>, word: &str, why: impl Into<String>) -> Mistake {
    Mistake {
        pointer: pointer.into(),
        word: word.to_owned(),
        why: why.into(),
    }
}

/// The sets of values, one for each request.
pub(super) fn varied(
    at: &str,
    written: &BTreeMap<String, Vec<String>>,
) -> Result<Vec<BTreeMap<String, String>>, Mistake> {
    let mut length = None;
    for (name, values) in written {
        let pointer = format!("{at}/vary/{name}");
        if name != "prompt" {
            check_variable(&pointer, name)?;
        }
        if values.is_empty() || length.is_some_and(|length| length != values.len()) {
            let why = format!(
                "`{name}` has {} values; each variable has as many as the others",
                values.len()
            );
            return Err(mistake(pointer, "", why));
        }
        length = Some(values.len());
    }
    let nth = |index: usize| {
        written
            .iter()
            .filter_map(|(name, values)| Some((name.clone(), values.get(index)?.clone())))
            .collect()
    };
    Ok((0..length.unwrap_or(0)).map(nth).collect())
}

/// Refuses what cannot name a variable, or names one of ours.
pub(super) fn check_variable(pointer: &str, name: &str) -> Result<(), Mistake> {
    if !template::is_name(name) {
        let why = format!("`{name}` cannot name a variable: letters, digits and `_` are expected");
        return Err(mistake(pointer, "", why));
    }
    if GIVEN.contains(&name) || SEEN.contains(&name) {
        return Err(mistake(
            pointer,
            "",
            format!("`{name}` is a variable of ours; choose another name"),
        ));
    }
    Ok(())
}

/// Refuses what is no name of a scenario, a step or a check.
pub(super) fn check_name(pointer: &str, name: &str) -> Result<(), Mistake> {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    if name.len() <= 60 && name.split('-').all(is_word) {
        return Ok(());
    }
    let name = cut(name, 60);
    let why = format!("`{name}` is no name: small letters, digits and `-` between them are expected");
    Err(mistake(pointer, "", why))
}

/// Refuses what is no sentence.
pub(super) fn check_sentence(pointer: &str, sentence: &str) -> Result<(), Mistake> {
    if sentence.trim().is_empty() || sentence.len() > 400 || sentence.contains('\n') {
        return Err(mistake(pointer, "", "one sentence is expected here"));
    }
    Ok(())
}
