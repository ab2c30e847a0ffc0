//! A line of a text with a caret under one of its characters, for errors in what people write.

use super::Position;
use crate::redact::cut;

/// The most characters of a line that are shown, and the last column that a caret is put under.
const WIDEST: usize = 200;

/// The line at a position with a caret under its column, on lines of their own after a line break; empty where the text
/// has no such line.
pub(crate) fn excerpt(text: &str, at: Position) -> String {
    let row = at.line.checked_sub(1).and_then(|row| usize::try_from(row).ok());
    let Some(source) = row.and_then(|row| text.lines().nth(row)) else {
        return String::new();
    };
    let column = usize::try_from(at.column)
        .unwrap_or(WIDEST)
        .saturating_sub(1)
        .min(WIDEST);
    let source = cut(source, WIDEST);
    format!("\n   |\n   | {source}\n   | {}^", " ".repeat(column))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::inside(2, 4, "\n   |\n   | b: c\n   |    ^")]
    #[case::at_the_beginning(1, 1, "\n   |\n   | a\n   | ^")]
    #[case::past_the_last_line(3, 1, "")]
    #[case::no_line(0, 1, "")]
    fn the_caret_stands_under_the_column(#[case] line: u32, #[case] column: u32, #[case] shown: &str) {
        assert_eq!(excerpt("a\nb: c\n", Position { line, column }), shown);
    }

    #[test]
    fn a_long_line_is_cut() {
        let shown = excerpt(&"x".repeat(10_000), Position { line: 1, column: 9_000 });
        assert!(shown.len() < 3 * WIDEST, "{}", shown.len());
    }
}
