//! The one redactor, and the one way to show what others say: text that leaves the process goes through both.
//!
//! Redacts by value (secrets that were seen, in whatever form a server or a program repeats them), and by pattern (tokens,
//! keys, userinfo and keys in addresses). It never shortens what it keeps: the placeholder has a fixed width, so that
//! snapshots stay stable.
//!
//! What it does not know: a secret that is encrypted, compressed or spelled backwards; one whose pieces of fewer than six
//! letters stand in different texts, or under different names of one; of one that was cut its last three letters; and one of
//! fewer than six letters, but after the name of the header that holds it.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use serde_json::Value;

mod forms;
mod patterns;
mod shown;
mod view;

use forms::{Forms, Search};
pub(crate) use patterns::is_secret_name;
pub use shown::steers_a_reader;
pub(crate) use shown::{printable, printable_json, printable_lines, steers, without_commands};

/// What stands in for a secret.
pub(crate) const PLACEHOLDER: &str = "[redacted]";

/// What stands where a text was cut. Beside it a piece of a secret is redacted, too.
pub(crate) const CUT: char = '…';

/// Fewest letters of a secret that is known by its value: shorter ones would redact prose.
const SHORTEST: usize = 6;

/// Fewest letters of a line of a secret, such as a key, that is known by itself.
const SHORTEST_LINE: usize = 16;

/// How much of a text is looked at at once, and how much of that again with what follows.
const WINDOW: usize = 256 << 10;
const OVERLAP: usize = 16 << 10;

/// Removes secrets from text. Its clones share what they know: what one learns, all redact from then on.
///
/// ```
/// use quickproof::redact::Redactor;
///
/// let redactor = Redactor::new();
/// redactor.clone().learn("correct-horse");
/// assert_eq!(redactor.redact("token correct-horse"), "token [redacted]");
/// assert_eq!(redactor.redact("Y29ycmVjdC1ob3JzZQ=="), "[redacted]");
/// assert_eq!(redactor.redact("https://user:pw@host/"), "https://[redacted]@host/");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    forms: Forms,
    /// What looks for all of them at once; made when it is needed the first time after something was learned.
    search: OnceLock<Search>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Known").finish_non_exhaustive()
    }
}

impl Redactor {
    /// A redactor that knows patterns only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers a secret by value, and by every form of it: base64, hexadecimal, and with letters written as an address,
    /// JSON, HTML or a shell writes them. Of a key of several lines each line counts. Values under six characters are
    /// ignored: they would redact prose.
    pub fn learn(&self, secret: impl AsRef<str>) {
        let secret = secret.as_ref().trim();
        if secret.len() < SHORTEST {
            return;
        }
        let lines = secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE);
        let lines: Vec<&str> = if secret.contains('\n') {
            lines.collect()
        } else {
            Vec::new()
        };
        self.change(|forms| {
            forms.add(secret);
            lines
                .iter()
                .filter(|line| !line.contains("-----"))
                .for_each(|line| forms.add(line));
        });
    }

    /// Remembers what a header holds: the whole value, each word of it but the first, which may name a scheme, and a value
    /// of any length where it stands after the header's name.
    pub(crate) fn learn_header(&self, name: &str, value: &str) {
        self.learn(value);
        value.split_whitespace().skip(1).for_each(|word| self.learn(word));
        self.change(|forms| forms.add_after(name, value.trim()));
    }

    /// Remembers the secrets of an address, with or without a scheme: its userinfo, and what names such as `key` stand for
    /// in its query.
    pub(crate) fn learn_address(&self, address: &str) {
        let after_scheme = address.split_once("://").map_or(address, |(_, rest)| rest);
        let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some((userinfo, host)) = authority.rsplit_once('@')
            && !patterns::is_digest(host)
        {
            match userinfo.split_once(':') {
                Some((_, password)) => {
                    self.learn(password);
                    self.learn(userinfo);
                    self.change(|forms| forms.add_before(userinfo, "@"));
                }
                // Without a scheme it is what mail and git over SSH write: a name and no secret.
                None if address.contains("://") => self.learn(userinfo),
                None => {}
            }
        }
        let query = address.split_once('?').map(|(_, query)| query).unwrap_or_default();
        for (name, value) in query.split(['&', '#']).filter_map(|part| part.split_once('=')) {
            if patterns::is_secret_parameter(name) {
                self.learn(value);
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Forms)) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.forms.count();
        change(&mut known.forms);
        if known.forms.count() != before {
            known.search.take();
        }
    }

    /// The text without secrets.
    pub fn redact(&self, text: &str) -> String {
        patterns::redact(&self.without_known(text))
    }

    /// A JSON value whose texts, names included, are without secrets.
    pub(crate) fn json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(&text)),
            Value::Array(values) => values.into_iter().map(|value| self.json(value)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, value)| (self.redact(&name), self.json(value)))
                .collect(),
            plain => plain,
        }
    }

    fn without_known(&self, text: &str) -> String {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.forms.count() == 0 {
            return text.to_owned();
        }
        let search = known.search.get_or_init(|| known.forms.search());
        let mut spans = Vec::new();
        let mut from = 0;
        while from < text.len() {
            let end = text.ceil_char_boundary(from + WINDOW + OVERLAP);
            let found = search.spans(&text[from..end]);
            spans.extend(found.into_iter().map(|(start, end)| (from + start, from + end)));
            if end == text.len() {
                break;
            }
            from = text.floor_char_boundary(from + WINDOW);
        }
        replaced(text, spans)
    }
}

/// The text with each span replaced; spans that touch count as one.
fn replaced(text: &str, mut spans: Vec<(usize, usize)>) -> String {
    spans.sort_unstable();
    let mut apart: Vec<(usize, usize)> = Vec::new();
    for (start, end) in spans.into_iter().filter(|(start, end)| start < end) {
        let (start, end) = (text.floor_char_boundary(start), text.ceil_char_boundary(end));
        match apart.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => apart.push((start, end)),
        }
    }
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for (start, end) in apart {
        kept.push_str(&text[at..start]);
        kept.push_str(PLACEHOLDER);
        at = end;
    }
    kept.push_str(&text[at..]);
    kept
}

/// The first characters of a text of others, and [`CUT`] where that is not all: what is cut so stays without secrets, since
/// the piece of one that the cut left is known by the mark.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}{CUT}", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
#[path = "../tests/it/writings.rs"]
mod writings;
