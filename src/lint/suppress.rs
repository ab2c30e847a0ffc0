//! Findings that are meant to be: taken out, each for a reason that somebody wrote down.

use serde::Deserialize;

use super::{Diagnostic, Findings, Place, known_rules, pattern::matches};
use crate::manifest::{self, ManifestError};

/// What upstream does on purpose. Data: `manifests/lint/intended.yaml`.
const INTENDED: (&str, &[u8]) = (
    "manifests/lint/intended.yaml",
    include_bytes!("../../manifests/lint/intended.yaml"),
);

rule! {
    /// An entry of the file given with `--suppressions` matches no finding: what it excused is gone, or it never
    /// matched. Left there, it may hide something new.
    Hygiene UNUSED = "suppression-unused";
}

/// One entry of a file of suppressions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suppression {
    /// The rule's code.
    pub(crate) code: String,
    /// The file, as path of the tree or as a pattern: `*` stands for anything but `/`, `**` for anything.
    pub(crate) file: String,
    /// A text that the message contains; any message where there is none.
    #[serde(default)]
    pub(crate) message: Option<String>,
    /// Why the finding is meant to be.
    pub(crate) reason: String,
}

/// Suppressions of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Suppressions {
    /// The file they were read from.
    pub(crate) file: String,
    /// Its entries, each with the line that it begins at.
    pub(crate) entries: Vec<(u32, Suppression)>,
}

/// A finding that was taken out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Suppressed {
    /// The finding.
    pub(crate) diagnostic: Diagnostic,
    /// The reason as written.
    pub(crate) reason: String,
}

/// Why a file of suppressions cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SuppressionError {
    /// It is no list of entries.
    #[error(transparent)]
    Form(#[from] ManifestError),
    /// An entry gives no reason.
    #[error("{file}:{line}: the suppression of `{code}` gives no `reason`; say why the finding is meant to be")]
    NoReason {
        /// The file.
        file: String,
        /// The line of the entry.
        line: u32,
        /// Its code.
        code: String,
    },
    /// An entry names no rule.
    #[error("{file}:{line}: there is no rule `{code}`; `quickproof lint --rules` lists them")]
    NoRule {
        /// The file.
        file: String,
        /// The line of the entry.
        line: u32,
        /// Its code.
        code: String,
    },
}

impl Suppressions {
    /// Reads a file of suppressions: a YAML list of entries, each with `code`, `file`, `reason` and perhaps `message`.
    ///
    /// # Errors
    /// It is not of this form, or an entry names no rule or gives no reason.
    pub(crate) fn read(file: &str, bytes: &[u8]) -> Result<Self, SuppressionError> {
        let read: Option<Vec<Suppression>> = manifest::document(file, bytes)?;
        let text = String::from_utf8_lossy(bytes);
        let mut entries = Vec::new();
        for (index, entry) in read.unwrap_or_default().into_iter().enumerate() {
            let line = manifest::locate(&text, &format!("/{index}")).map_or(1, |place| place.line);
            let (file, code) = (file.to_owned(), entry.code.clone());
            if entry.reason.trim().is_empty() {
                return Err(SuppressionError::NoReason { file, line, code });
            }
            if !known_rules().any(|rule| rule.code == code) {
                return Err(SuppressionError::NoRule { file, line, code });
            }
            entries.push((line, entry));
        }
        Ok(Self {
            file: file.to_owned(),
            entries,
        })
    }

    /// Those that come with this program: what upstream does on purpose.
    ///
    /// # Errors
    /// A file of ours is broken, which a test rules out.
    pub(crate) fn intended() -> Result<Self, SuppressionError> {
        Self::read(INTENDED.0, INTENDED.1)
    }

    /// Takes out what an entry matches; returns the entries that match nothing.
    fn take_out(&self, findings: &mut Findings) -> Vec<&(u32, Suppression)> {
        let mut used = vec![false; self.entries.len()];
        let mut kept = Vec::new();
        for diagnostic in std::mem::take(&mut findings.diagnostics) {
            let Some(index) = self.entries.iter().position(|(_, entry)| entry.covers(&diagnostic)) else {
                kept.push(diagnostic);
                continue;
            };
            used[index] = true;
            findings.suppressed.push(Suppressed {
                diagnostic,
                reason: self.entries[index].1.reason.trim().to_owned(),
            });
        }
        findings.diagnostics = kept;
        let unused = self.entries.iter().zip(used).filter(|(_, used)| !used);
        unused.map(|(entry, _)| entry).collect()
    }
}

impl Findings {
    /// Without what is meant to be, by the suppressions that come with this program.
    #[must_use]
    pub(super) fn without_intended(mut self) -> Self {
        // A release without the things that are meant to be is as good: what is unused says nothing.
        if let Ok(intended) = Suppressions::intended() {
            intended.take_out(&mut self);
        }
        self
    }

    /// Without what somebody suppressed; an entry that suppresses nothing is a finding.
    #[must_use]
    pub(crate) fn without(mut self, suppressions: &Suppressions) -> Self {
        for (line, entry) in suppressions.take_out(&mut self) {
            let message = format!(
                "the suppression of `{}` in `{}` matches no finding",
                entry.code, entry.file
            );
            self.add(&UNUSED, Place::line(&suppressions.file, *line), message)
                .because(format!("its reason was: {}", entry.reason.trim()))
                .way_out("remove the entry");
        }
        self.sort();
        self
    }
}

impl Suppression {
    fn covers(&self, diagnostic: &Diagnostic) -> bool {
        let is_said = |part: &String| diagnostic.message.contains(part.as_str());
        self.code == diagnostic.code
            && matches(&self.file, &diagnostic.place.file)
            && self.message.as_ref().is_none_or(is_said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::{Rule, rules};

    fn some_rule() -> &'static Rule {
        rules().next().unwrap()
    }

    fn entry(code: &str, rest: &str) -> String {
        format!("# why\n- code: {code}\n  file: \"a/*\"\n{rest}")
    }

    #[test]
    fn what_is_covered_is_taken_out_and_what_covers_nothing_is_found() {
        let rule = some_rule();
        let text = entry(rule.code, "  message: epp\n  reason: meant\n")
            + &format!("- {{code: {}, file: b, reason: old}}\n", rule.code);
        let suppressions = Suppressions::read("s.yaml", text.as_bytes()).unwrap();
        let mut findings = Findings::default();
        findings.add(rule, Place::line("a/x", 1), "the epp");
        findings.add(rule, Place::line("a/x", 2), "another");
        let left = findings.without(&suppressions);
        let said: Vec<_> = left
            .diagnostics
            .iter()
            .map(|found| (found.code, found.place.file.as_str(), found.place.line))
            .collect();
        assert_eq!(said, [(rule.code, "a/x", 2), ("suppression-unused", "s.yaml", 6)]);
        assert_eq!(left.suppressed.len(), 1);
        assert_eq!(left.suppressed[0].reason, "meant");
    }

    #[test]
    fn an_entry_needs_a_reason_and_a_rule_that_exists() {
        let code = some_rule().code;
        let read = |text: &str| Suppressions::read("s.yaml", text.as_bytes());
        let no_reason = read(&entry(code, "  reason: ' '\n"));
        assert!(matches!(no_reason, Err(SuppressionError::NoReason { line: 2, .. })));
        let no_rule = read(&entry("no-such-rule", "  reason: x\n"));
        assert!(matches!(no_rule, Err(SuppressionError::NoRule { .. })));
        assert!(matches!(read(&entry(code, "")), Err(SuppressionError::Form(_))));
        assert!(matches!(read("a: ["), Err(SuppressionError::Form(_))));
        assert_eq!(read("").unwrap().entries, []);
    }

    #[test]
    fn what_is_intended_is_said_with_a_reason() {
        assert!(!Suppressions::intended().unwrap().entries.is_empty());
    }
}
