//! Secrets that are known by how they look, without having been seen before.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::PLACEHOLDER;

/// Prefixes that begin a token of a known kind; the rest of the word is the secret.
const TOKEN_PREFIXES: &[&str] = &["hf_", "sk-", "ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "eyJ"];

/// Shortest run of token characters after a prefix that counts as a token; `sk-` alone is prose.
const SHORTEST_TOKEN: usize = 8;

/// How names end whose value is a secret, in lower case and without what is no letter.
const SECRET_NAMES: &[&str] = &[
    "token",
    "password",
    "passwd",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
];

/// Parameters of addresses whose value is a secret, beside those.
const SECRET_PARAMETERS: &[&str] = &["key", "sig", "signature", "auth", "pass", "pwd"];

/// Whether what goes by this name (of a variable, a field, a setting) is a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let letters = letters.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|ending| letters.ends_with(ending))
}

/// Whether a parameter of an address is a secret.
pub(super) fn is_secret_parameter(name: &str) -> bool {
    SECRET_PARAMETERS.iter().any(|secret| name.eq_ignore_ascii_case(secret)) || is_secret_name(name)
}

/// Whether it is the digest of an image, which stands after an `@` as a host does.
pub(super) fn is_digest(text: &str) -> bool {
    text.starts_with("sha256:") || text.starts_with("sha512:")
}

/// The text without what looks like a secret.
pub(super) fn redact(text: &str) -> String {
    let text = private_keys(text);
    let text = after(&text, "Bearer ");
    let text = basic(&text);
    let text = userinfo(&text);
    let text = parameters(&text);
    tokens(&text)
}

fn is_token_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '=' | '+' | '/' | '~')
}

fn private_keys(text: &str) -> String {
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

/// Replaces what `redacted` says is a secret of the token after each `word`.
fn after_word(text: &str, word: &str, is_secret: impl Fn(&str) -> bool) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = rest.split_at(at + word.len());
        kept.push_str(before);
        let end = after
            .find(|character| !is_token_character(character))
            .unwrap_or(after.len());
        kept.push_str(if is_secret(&after[..end]) {
            PLACEHOLDER
        } else {
            &after[..end]
        });
        rest = &after[end..];
    }
    kept.push_str(rest);
    kept
}

fn after(text: &str, word: &str) -> String {
    after_word(text, word, |token| token.len() >= SHORTEST_TOKEN)
}

/// `Basic` and base64 of `user:password` (RFC 7617); of any length, and told from prose by what it decodes to.
fn basic(text: &str) -> String {
    let is_pair = |token: &str| {
        let decoded = BASE64_STANDARD.decode(token).unwrap_or_default();
        std::str::from_utf8(&decoded).is_ok_and(|pair| pair.contains(':'))
    };
    let text = after_word(text, "Basic ", is_pair);
    after_word(&text, "basic ", is_pair)
}

fn userinfo(text: &str) -> String {
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

/// `?key=…` and `&token=…` of addresses.
fn parameters(text: &str) -> String {
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['?', '&']) {
        let (before, after) = rest.split_at(at + 1);
        kept.push_str(before);
        rest = after;
        let end = after.find(|character| !is_of_name(character)).unwrap_or(after.len());
        let (name, value) = after.split_at(end);
        let Some(value) = value.strip_prefix('=').filter(|_| is_secret_parameter(name)) else {
            continue;
        };
        let ends = |character: char| {
            character.is_whitespace() || matches!(character, '&' | '#' | '"' | '\'' | '`' | '<' | '>' | ')')
        };
        let end = value.find(ends).unwrap_or(value.len());
        kept.push_str(name);
        kept.push('=');
        if end > 0 {
            kept.push_str(PLACEHOLDER);
        }
        rest = &value[end..];
    }
    kept.push_str(rest);
    kept
}

fn tokens(text: &str) -> String {
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
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::bearer("Authorization: Bearer abcdefghijkl.mno", "Authorization: Bearer [redacted]")]
    #[case::basic("Authorization: Basic dTpw", "Authorization: Basic [redacted]")]
    #[case::basic_prose("Basic authentication is Basic", "Basic authentication is Basic")]
    #[case::hugging_face("token=hf_abcdefghijklmnop", "token=[redacted]")]
    #[case::openai("key sk-0123456789abcdef!", "key [redacted]!")]
    #[case::jwt("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIx.abc", "[redacted]")]
    #[case::userinfo("https://user:pw@host/path", "https://[redacted]@host/path")]
    #[case::email_in_path("https://host/a@b", "https://host/a@b")]
    #[case::parameter("`http://h/v1?key=ab&x=1`", "`http://h/v1?key=[redacted]&x=1`")]
    #[case::parameters(
        "h?a=1&api_key=b c?Access-Token=d",
        "h?a=1&api_key=[redacted] c?Access-Token=[redacted]"
    )]
    #[case::no_parameter("is it a key=value pair? key = 1&2", "is it a key=value pair? key = 1&2")]
    #[case::prose("a task-force, desk-bound", "a task-force, desk-bound")]
    #[case::key(
        "a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b",
        "a [redacted] b"
    )]
    #[case::cut_key("a -----BEGIN PRIVATE KEY-----\nMII", "a [redacted]")]
    #[case::certificate("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----")]
    fn patterns_are_redacted(#[case] text: &str, #[case] redacted: &str) {
        assert_eq!(redact(text), redacted);
    }

    #[rstest]
    #[case("GITHUB_TOKEN", true)]
    #[case("image.pullSecret", true)]
    #[case("OPENAI_API_KEY", true)]
    #[case("AWS_SECRET_ACCESS_KEY", true)]
    #[case("MAX_TOKENS", false)]
    #[case("KEYBOARD", false)]
    fn secrets_are_known_by_their_names(#[case] name: &str, #[case] is_secret: bool) {
        assert_eq!(is_secret_name(name), is_secret);
    }
}
