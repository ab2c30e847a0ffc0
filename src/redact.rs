//! The one redactor: text that leaves the process goes through it.
//!
//! Redacts by value (secrets that were seen), and by pattern (tokens, keys, userinfo in URLs). It never shortens
//! what it keeps: the placeholder has a fixed width, so that snapshots stay stable.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
};

/// What stands in for a secret.
pub(crate) const PLACEHOLDER: &str = "[redacted]";

/// Prefixes that begin a token of a known kind; the rest of the word is the secret.
const TOKEN_PREFIXES: &[&str] = &["hf_", "sk-", "ghp_", "gho_", "ghs_", "github_pat_", "eyJ"];

/// Shortest run of token characters after a prefix that counts as a token; `sk-` alone is prose.
const SHORTEST_TOKEN: usize = 8;

/// Removes secrets from text. Its clones share what they know: what one learns, all redact from then on.
///
/// ```
/// use quickproof::redact::Redactor;
///
/// let redactor = Redactor::new();
/// redactor.clone().learn("correct-horse");
/// assert_eq!(redactor.redact("token correct-horse"), "token [redacted]");
/// assert_eq!(redactor.redact("https://user:pw@host/"), "https://[redacted]@host/");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    values: Arc<RwLock<BTreeSet<String>>>,
}

impl Redactor {
    /// A redactor that knows patterns only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a secret by value, also as it stands in quotes, with `"` and `\` escaped. Values under 6 characters are
    /// ignored: they would redact prose.
    pub fn learn(&self, secret: impl Into<String>) {
        let secret = secret.into();
        if secret.len() < 6 {
            return;
        }
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        values.insert(secret.escape_debug().to_string());
        values.insert(secret);
    }

    /// The text without secrets.
    pub fn redact(&self, text: &str) -> String {
        let text = self.redact_values(text);
        let text = redact_private_keys(&text);
        let text = redact_after(&text, "Bearer ");
        let text = redact_userinfo(&text);
        redact_tokens(&text)
    }

    fn redact_values(&self, text: &str) -> String {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        // Longest first: a secret may contain another.
        let mut found: Vec<&String> = values.iter().filter(|value| text.contains(value.as_str())).collect();
        found.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let replaced = |text: String, value: &String| text.replace(value.as_str(), PLACEHOLDER);
        found.into_iter().fold(text.to_owned(), replaced)
    }
}

fn is_token_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '=' | '+' | '/' | '~')
}

fn redact_private_keys(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find("-----BEGIN ") {
        let Some(label_end) = rest[begin..].find("PRIVATE KEY-----") else {
            break;
        };
        kept.push_str(&rest[..begin]);
        kept.push_str(PLACEHOLDER);
        let body = &rest[begin + label_end..];
        // Without an end in sight all that follows may be the key.
        rest = body
            .find("-----END ")
            .and_then(|end| {
                let tail = &body[end + "-----END ".len()..];
                tail.find("-----").map(|dashes| &tail[dashes + 5..])
            })
            .unwrap_or_default();
    }
    kept.push_str(rest);
    kept
}

fn redact_after(text: &str, word: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = rest.split_at(at + word.len());
        kept.push_str(before);
        let end = after
            .find(|character| !is_token_character(character))
            .unwrap_or(after.len());
        kept.push_str(if end >= SHORTEST_TOKEN {
            PLACEHOLDER
        } else {
            &after[..end]
        });
        rest = &after[end..];
    }
    kept.push_str(rest);
    kept
}

fn redact_userinfo(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        kept.push_str(before);
        let authority = after
            .find(|character: char| {
                character.is_whitespace() || matches!(character, '/' | '?' | '#' | '"' | '\'' | '`')
            })
            .unwrap_or(after.len());
        rest = match after[..authority].rfind('@') {
            Some(userinfo) => {
                kept.push_str(PLACEHOLDER);
                &after[userinfo..]
            }
            None => after,
        };
    }
    kept.push_str(rest);
    kept
}

fn redact_tokens(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    'text: while !rest.is_empty() {
        let at_word_start = kept
            .chars()
            .next_back()
            .is_none_or(|last| !last.is_ascii_alphanumeric());
        if at_word_start {
            for prefix in TOKEN_PREFIXES {
                let Some(after) = rest.strip_prefix(prefix) else {
                    continue;
                };
                let end = after
                    .find(|character| !is_token_character(character))
                    .unwrap_or(after.len());
                if end >= SHORTEST_TOKEN {
                    kept.push_str(PLACEHOLDER);
                    rest = &after[end..];
                    continue 'text;
                }
            }
        }
        let mut characters = rest.chars();
        kept.extend(characters.next());
        rest = characters.as_str();
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::bearer("Authorization: Bearer abcdefghijkl.mno", "Authorization: Bearer [redacted]")]
    #[case::hugging_face("token=hf_abcdefghijklmnop", "token=[redacted]")]
    #[case::openai("key sk-0123456789abcdef!", "key [redacted]!")]
    #[case::jwt("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIx.abc", "[redacted]")]
    #[case::userinfo("https://user:pw@host/path", "https://[redacted]@host/path")]
    #[case::email_in_path("https://host/a@b", "https://host/a@b")]
    #[case::prose("a task-force, desk-bound", "a task-force, desk-bound")]
    #[case::key(
        "a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b",
        "a [redacted] b"
    )]
    #[case::cut_key("a -----BEGIN PRIVATE KEY-----\nMII", "a [redacted]")]
    #[case::certificate("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----")]
    fn patterns_are_redacted(#[case] text: &str, #[case] redacted: &str) {
        assert_eq!(Redactor::new().redact(text), redacted);
    }

    #[test]
    fn learned_values_go_the_longest_first() {
        let redactor = Redactor::new();
        redactor.learn("secret");
        redactor.learn("secret-and-more");
        redactor.learn("ab");
        assert_eq!(redactor.redact("secret-and-more ab secret"), "[redacted] ab [redacted]");
    }

    #[test]
    fn what_one_clone_learns_the_others_redact_also_where_it_stands_in_quotes() {
        let redactor = Redactor::new();
        redactor.clone().learn(r#"a"secret\"#);
        assert_eq!(redactor.redact(r#"said a"secret\"#), "said [redacted]");
        assert_eq!(redactor.redact(&format!("{:?}", r#"a"secret\"#)), r#""[redacted]""#);
    }

    proptest! {
        #[test]
        fn redaction_neither_panics_nor_leaks_a_learned_value(text in ".{0,200}", secret in "[a-z]{6,12}") {
            let redactor = Redactor::new();
            redactor.learn(secret.clone());
            let redacted = redactor.redact(&format!("{text}{secret}{text}"));
            prop_assert!(!redacted.contains(&secret) || PLACEHOLDER.contains(&secret));
        }
    }
}
