//! How a line of text looks: tones, glyphs, columns, and what may not reach a terminal.
//!
//! It knows nothing about runs. What others say is made printable as it is put into a line, so that no line steers who
//! shows it.

use std::fmt::Write as _;

use owo_colors::Style;
use unicode_width::UnicodeWidthStr;

use crate::redact::{printable, without_commands};

/// Whether colours are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// ANSI colours.
    On,
    /// None.
    Off,
}

/// Which characters the reader's locale can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glyphs {
    /// All of them.
    Unicode,
    /// ASCII only; other characters are written as `\u{..}`.
    Ascii,
}

/// How lines are made to look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Whether colours are sent.
    pub colours: Colours,
    /// Which characters may be.
    pub glyphs: Glyphs,
    /// Columns to fill, asked anew for each line since a terminal may be resized; `None` where lines are not to be
    /// broken, such as in a log.
    pub columns: fn() -> Option<usize>,
}

/// Columns of a text report, and of a log's right-hand column.
const DEFAULT_COLUMNS: usize = 100;

/// Fewer columns than this are not wrapped into: the terminal does that no worse.
const FEWEST_COLUMNS: usize = 40;

/// What a piece of text says, which decides how it is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// What to look at first.
    Bold,
    /// What holds.
    Good,
    /// What does not hold.
    Bad,
    /// What may not hold, or not always.
    Warn,
    /// What is there for completeness.
    Dim,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Bold => Style::new().bold(),
            Self::Good => Style::new().green(),
            Self::Bad => Style::new().red().bold(),
            Self::Warn => Style::new().yellow(),
            Self::Dim => Style::new().dimmed(),
        }
    }
}

/// Whether a line too long for its columns is broken between words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breaks {
    Words,
    Never,
}

/// One line: pieces from the left, and a column at the right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    indent: usize,
    /// Columns by which rows after the first are indented further.
    hang: usize,
    pieces: Vec<(Tone, String)>,
    right: Vec<String>,
    breaks: Breaks,
}

impl Line {
    /// An empty line, indented by so many columns.
    #[must_use]
    pub(crate) fn indented(indent: usize) -> Self {
        Self {
            indent,
            hang: 0,
            pieces: Vec::new(),
            right: Vec::new(),
            breaks: Breaks::Words,
        }
    }

    /// With rows after the first, where it has to be broken, indented so much further.
    #[must_use]
    pub(crate) fn hanging(mut self, hang: usize) -> Self {
        self.hang = hang;
        self
    }

    /// With a piece of text.
    #[must_use]
    pub(crate) fn with(mut self, tone: Tone, text: impl AsRef<str>) -> Self {
        self.pieces.push((tone, printable(text.as_ref())));
        self
    }

    /// With something in the right-hand column, after what is there.
    #[must_use]
    pub(crate) fn at_right(mut self, text: impl AsRef<str>) -> Self {
        self.right.push(printable(text.as_ref()));
        self
    }

    /// With the pieces of another line after its own.
    pub(super) fn followed_by(mut self, mut other: Self) -> Self {
        self.pieces.append(&mut other.pieces);
        self.right.append(&mut other.right);
        self
    }

    /// Never broken: something to copy.
    #[must_use]
    pub(crate) fn unbroken(mut self) -> Self {
        self.breaks = Breaks::Never;
        self
    }
}

impl Look {
    /// For files: no colours, every character, fixed columns.
    pub(crate) fn for_files() -> Self {
        Self {
            colours: Colours::Off,
            glyphs: Glyphs::Unicode,
            columns: || None,
        }
    }

    /// The line as text, without a line feed at its end; more than one row where it had to be broken.
    pub(crate) fn paint(&self, line: &Line) -> String {
        without_commands(&self.rows(line))
    }

    fn rows(&self, line: &Line) -> String {
        let columns = (self.columns)();
        let pieces: Vec<(Tone, String)> = line
            .pieces
            .iter()
            .map(|(tone, text)| (*tone, self.spell(text)))
            .collect();
        let right = self.spell(&line.right.join("  "));
        let room = match (columns, line.breaks) {
            (Some(columns), Breaks::Words) if columns >= FEWEST_COLUMNS => columns,
            _ => usize::MAX,
        };
        let mut painted = " ".repeat(line.indent);
        let mut at = self.flow(&mut painted, line, &pieces, room);
        if right.is_empty() {
            return painted;
        }
        let edge = columns.unwrap_or(DEFAULT_COLUMNS);
        if room != usize::MAX && at + 2 + right.width() > edge {
            painted.push('\n');
            at = 0;
        }
        let free = edge.saturating_sub(at + right.width()).max(2);
        painted.push_str(&" ".repeat(free));
        self.put(&mut painted, Tone::Dim, &right);
        painted
    }

    /// Appends the pieces, in rows of `room` columns; returns the column at which the last row ends.
    fn flow(&self, painted: &mut String, line: &Line, pieces: &[(Tone, String)], room: usize) -> usize {
        let hang = line.indent + line.hang;
        let mut at = line.indent;
        for (tone, text) in pieces {
            if at + text.width() <= room {
                self.put(painted, *tone, text);
                at += text.width();
                continue;
            }
            for word in text.split_inclusive(' ') {
                if at + word.trim_end().width() > room && at > hang {
                    painted.truncate(painted.trim_end_matches(' ').len());
                    painted.push('\n');
                    painted.push_str(&" ".repeat(hang));
                    at = hang;
                }
                self.put(painted, *tone, word);
                at += word.width();
            }
        }
        at
    }

    /// The line cut to one row of the terminal, so that it can be cleared again.
    pub(super) fn paint_row(&self, line: &Line) -> String {
        let room = (self.columns)().unwrap_or(DEFAULT_COLUMNS).saturating_sub(1);
        let mut painted = String::new();
        let mut at = 0;
        for (tone, text) in &line.pieces {
            let text = self.spell(text);
            let mut fits = String::new();
            for character in text.chars() {
                let width = unicode_width::UnicodeWidthChar::width(character).unwrap_or(0);
                if at + width > room {
                    break;
                }
                at += width;
                fits.push(character);
            }
            self.put(&mut painted, *tone, &fits);
        }
        painted
    }

    fn put(&self, painted: &mut String, tone: Tone, text: &str) {
        match self.colours {
            Colours::On if tone != Tone::Plain && !text.is_empty() => {
                let _ = write!(painted, "{}", tone.style().style(text));
            }
            _ => painted.push_str(text),
        }
    }

    fn spell(&self, text: &str) -> String {
        match self.glyphs {
            Glyphs::Unicode => text.to_owned(),
            Glyphs::Ascii => ascii(text),
        }
    }
}

fn ascii(text: &str) -> String {
    let mut spelled = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '√' => spelled.push('+'),
            '×' => spelled.push('x'),
            '‼' => spelled.push('!'),
            '·' | '–' | '⠹' | '⠦' => spelled.push('-'),
            '→' => spelled.push_str("->"),
            '…' => spelled.push_str("..."),
            'µ' => spelled.push('u'),
            '⠋' | '⠼' => spelled.push('|'),
            '⠙' | '⠴' => spelled.push('/'),
            '⠸' | '⠧' => spelled.push('\\'),
            character if character.is_ascii() => spelled.push(character),
            character => spelled.extend(character.escape_unicode()),
        }
    }
    spelled
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::redact::steers_a_reader;

    fn look(columns: fn() -> Option<usize>) -> Look {
        Look {
            columns,
            ..Look::for_files()
        }
    }

    #[test]
    fn a_hostile_message_is_shown_and_not_sent() {
        let line = Line::indented(0).with(Tone::Plain, "a\u{1b}[2Jb\rc\nd\u{202e}e\u{7}");
        assert_eq!(look(|| None).paint(&line), "a\\u{1b}[2Jb\\rc\\nd\\u{202e}e\\u{7}");
    }

    #[test]
    fn the_right_column_ends_at_the_edge_and_never_touches_the_text() {
        let line = Line::indented(2).with(Tone::Plain, "√ it holds").at_right("1.3 s");
        assert_eq!(look(|| Some(40)).paint(&line).width(), 40);
        assert!(look(|| Some(5)).paint(&line).ends_with("holds  1.3 s"));
        let long = Line::indented(2)
            .with(Tone::Plain, "word ".repeat(7) + "end")
            .at_right("file.md:10");
        let painted = look(|| Some(42)).paint(&long);
        assert_eq!(painted.lines().last().unwrap().trim_start(), "file.md:10");
        assert!(painted.lines().all(|row| row.width() <= 42), "{painted}");
    }

    #[test]
    fn a_long_line_breaks_between_words_below_its_own_beginning() {
        let line = Line::indented(6).with(Tone::Plain, "word ".repeat(12));
        let painted = look(|| Some(44)).paint(&line);
        assert_eq!(painted.lines().count(), 2);
        assert!(
            painted
                .lines()
                .all(|line| line.starts_with("      word") && line.width() <= 44)
        );
        assert_eq!(look(|| Some(44)).paint(&line.unbroken()).lines().count(), 1);
    }

    #[test]
    fn without_utf8_only_ascii_is_written() {
        let ascii = Look {
            glyphs: Glyphs::Ascii,
            ..Look::for_files()
        };
        let line = Line::indented(0).with(Tone::Good, "√ é · → …");
        assert_eq!(ascii.paint(&line), "+ \\u{e9} - -> ...");
    }

    #[rstest]
    #[case::within_a_row("x ::", "error::y", "  x ::error::y")]
    #[case::at_the_head("::", "error::y", "  \\u{3a}:error::y")]
    #[case::a_sign_of_two_pieces("##", "[error]", "  \\u{23}#[error]")]
    fn pieces_beside_one_another_spell_no_command(#[case] one: &str, #[case] other: &str, #[case] painted: &str) {
        let line = Line::indented(2).with(Tone::Plain, one).with(Tone::Plain, other);
        assert_eq!(look(|| None).paint(&line), painted);
    }

    proptest! {
        #[test]
        fn no_line_steers_however_it_is_broken(text in "[ :a#\\[]{0,90}|.{0,90}", more in "[ :a]{0,20}") {
            let line = Line::indented(2).hanging(2).with(Tone::Plain, &text).with(Tone::Plain, &more).at_right(&text);
            for columns in [|| None, || Some(42)] {
                let painted = look(columns).paint(&line);
                prop_assert!(!steers_a_reader(&painted), "{}", painted);
            }
        }

        #[test]
        fn a_row_fits_and_holds_no_control_character(text in "\\PC{0,80}|.{0,80}") {
            let painted = look(|| Some(30)).paint_row(&Line::indented(0).with(Tone::Bad, &text));
            let width: usize = painted.chars().filter_map(unicode_width::UnicodeWidthChar::width).sum();
            prop_assert!(width < 30);
            prop_assert!(!painted.chars().any(char::is_control));
        }
    }
}
