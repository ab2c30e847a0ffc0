//! Where in a file a text stands that something is found by, and findings at texts of commands.

use super::{Diagnostic, Examined, Findings, Place, Rule, reader::Reader};
use crate::record::Provenance;

/// The commands of one reader while they are checked.
pub(super) struct ReaderChecker<'a, 'f> {
    pub(super) examined: &'a Examined<'a>,
    pub(super) reader: &'a Reader,
    pub(super) findings: &'f mut Findings,
}

impl ReaderChecker<'_, '_> {
    /// Adds a finding at a text of a command, for this reader.
    pub(super) fn add(&mut self, rule: &Rule, at: &Provenance, text: &str, message: String) -> &mut Diagnostic {
        let place = caret(self.examined, &at.file, at.line, text);
        self.findings.add(rule, place, message).only_for(&self.reader.offer)
    }

    /// Says that a rule could not decide something about a text of a command.
    pub(super) fn undecided(&mut self, rule: &Rule, at: &Provenance, text: &str, why: String) {
        let place = caret(self.examined, &at.file, at.line, text);
        self.findings.undecided(rule, place, why);
    }
}

/// How many lines after the first one are looked at; a command goes on over several.
const MOST_LINES: usize = 40;

/// The place of `text` in a file, looked for from a line on; that line as a whole where it does not stand there.
pub(super) fn caret(examined: &Examined<'_>, file: &str, line: u32, text: &str) -> Place {
    let whole = Place::line(file, line);
    let Some(content) = examined.files.text(examined.release, file).filter(|_| !text.is_empty()) else {
        return whole;
    };
    let first = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    for (row, number) in content.lines().skip(first).take(MOST_LINES).zip(line..) {
        if row.trim_start().starts_with("```") {
            break;
        }
        if let Some(at) = row.find(text) {
            return Place::in_row(file, number, row, at);
        }
    }
    whole
}
