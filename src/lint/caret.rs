//! Where in a file a text stands that something is found by.

use super::{Examined, Place};

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
            return Place {
                file: file.to_owned(),
                line: number,
                column: u32::try_from(row[..at].chars().count() + 1).ok(),
            };
        }
    }
    whole
}
