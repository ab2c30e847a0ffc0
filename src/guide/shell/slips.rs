//! Slips of the pen: bash reads a command without an error, and it is known that something else comes of it than what
//! is meant.
//!
//! Each is found in the text as bash reads it, so that what is said of a command is what becomes of it and not what its
//! writer had in mind.

use super::{Body, Command, ShellWord};
use crate::{
    redact::cut,
    verdict::{CauseCode, Fault},
};

/// The most characters of a command that is shown.
const MOST_SHOWN: usize = 80;

/// A slip of the pen in a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip {
    /// The line it stands in.
    pub(crate) line: u32,
    /// What it is.
    pub(crate) kind: SlipKind,
}

/// What a [`Slip`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SlipKind {
    /// Blanks stand behind the backslash at the end of a line.
    BlankBehindBackslash,
    /// A line that is meant to go on has no backslash at its end.
    BackslashMissing {
        /// The line after it, which bash takes for a command.
        next: String,
    },
    /// A here-document is never closed.
    DocumentNeverEnds {
        /// The word that would close it.
        word: String,
        /// A line of it that nearly is that word, and what is wrong with that line.
        nearly: Option<(u32, &'static str)>,
    },
    /// A dash or a quote is one of print, which bash takes for text.
    OfPrint {
        /// The word it stands in.
        word: String,
    },
}

impl Slip {
    /// What comes of it.
    pub(crate) fn fault(&self) -> Fault {
        let line = self.line;
        match &self.kind {
            SlipKind::BlankBehindBackslash => Fault::new(
                format!("line {line} goes on in the next one"),
                format!("blanks follow the backslash of line {line}, so the command ends there"),
                CauseCode::GuideCommandCutShort,
            ),
            SlipKind::BackslashMissing { next } => Fault::new(
                format!("line {line} goes on in the next one"),
                format!(
                    "line {line} ends without a backslash, so bash takes `{}` for a command of its own",
                    cut(next, MOST_SHOWN)
                ),
                CauseCode::GuideCommandCutShort,
            ),
            SlipKind::DocumentNeverEnds { word, nearly } => {
                let near = nearly
                    .map(|(near, why)| format!(": line {near} {why}"))
                    .unwrap_or_default();
                Fault::new(
                    format!("a line that is `{word}` and nothing else"),
                    format!("the here-document of line {line} is never ended{near}"),
                    CauseCode::HereDocumentNeverEnds,
                )
            }
            SlipKind::OfPrint { word } => Fault::new(
                "dashes and quotes of a keyboard",
                format!("`{word}` holds a dash or a quote of print, which bash passes on as text"),
                CauseCode::GuideCommandUnknown,
            ),
        }
    }
}

/// A command while it is looked at, and the row of its chunk that it begins in.
pub(super) type Begun = (usize, Command);

/// The commands of a chunk, those that a slip cuts short in one piece with what was meant to belong to them. `line_of` is
/// the line of a row.
pub(super) fn cut_short(rows: &[&str], line_of: impl Fn(usize) -> u32, commands: Vec<Begun>) -> Vec<Command> {
    let mut kept: Vec<Command> = Vec::new();
    let mark = |kept: &mut Vec<Command>, row: usize, kind: SlipKind| {
        if let Some(cut) = kept.last_mut().filter(|cut| !matches!(cut.body, Body::Fails(_))) {
            let line = line_of(row);
            cut.body = Body::Fails(Box::new(Slip { line, kind }));
        }
    };
    for (row, command) in commands {
        let above = row.checked_sub(1).and_then(|above| Some((above, *rows.get(above)?)));
        match above {
            Some((above, text)) if has_blank_behind_backslash(text) => {
                mark(&mut kept, above, SlipKind::BlankBehindBackslash);
            }
            Some((above, text)) if goes_on_with(kept.last(), text, &command) => {
                let next = command.raw;
                mark(&mut kept, above, SlipKind::BackslashMissing { next });
            }
            _ => kept.push(command),
        }
    }
    if let Some(last) = rows
        .len()
        .checked_sub(1)
        .filter(|last| has_blank_behind_backslash(rows[*last]))
    {
        mark(&mut kept, last, SlipKind::BlankBehindBackslash);
    }
    kept
}

fn has_blank_behind_backslash(row: &str) -> bool {
    let trimmed = row.trim_end_matches([' ', '\t']);
    let is_comment = trimmed.trim_start().starts_with('#');
    !is_comment && trimmed.len() < row.len() && trimmed.ends_with('\\') && !trimmed.ends_with("\\\\")
}

/// Whether a command is a flag that the command of the line right above it was meant to be given.
fn goes_on_with(before: Option<&Command>, above: &str, command: &Command) -> bool {
    let name = command.raw.strip_prefix("--").unwrap_or_default();
    let is_flag = name.starts_with(|sign: char| sign.is_ascii_alphabetic());
    let takes_flags = before.is_some_and(|before| match &before.body {
        Body::Pipeline(pipeline) => pipeline
            .0
            .last()
            .and_then(|simple| simple.words.first())
            .is_some_and(is_tool),
        Body::Fails(_) => true,
        Body::Branches(_) | Body::NotUnderstood(_) => false,
    });
    is_flag && takes_flags && !above.trim().is_empty() && !above.trim_start().starts_with('#')
}

/// Whether a program is one whose flags begin with two dashes and that guides run.
fn is_tool(program: &ShellWord) -> bool {
    let name = program.raw.rsplit('/').next().unwrap_or_default();
    matches!(name, "helm" | "curl" | "docker" | "kind") || name.ends_with("ctl")
}

/// The row in which a here-document begins that no row ends, and the slip that it is; `None` where there is none.
pub(super) fn never_ends(rows: &[&str], line_of: impl Fn(usize) -> u32) -> Option<(usize, Slip)> {
    let (row, word, takes_tabs) = (0..rows.len()).find_map(|row| {
        let (word, takes_tabs) = opened(rows[row])?;
        let ends = |text: &&str| {
            let text = if takes_tabs {
                text.trim_start_matches('\t')
            } else {
                text
            };
            text == word
        };
        (!rows[row + 1..].iter().any(ends)).then_some((row, word, takes_tabs))
    })?;
    let near = rows.iter().enumerate().skip(row + 1).find(|(_, text)| {
        let bare: String = text
            .chars()
            .filter(|sign| sign.is_alphanumeric() || *sign == '_')
            .collect();
        bare == word
    });
    let nearly = near.map(|(near, text)| {
        let why = if text.trim_end() == word {
            "has blanks behind the word"
        } else if text.trim() == word {
            if takes_tabs {
                "has blanks before the word, and `<<-` takes only tabs away"
            } else {
                "has blanks before the word"
            }
        } else {
            "has more than the word"
        };
        (line_of(near), why)
    });
    let kind = SlipKind::DocumentNeverEnds { word, nearly };
    // The command may have begun in a line above.
    let begin = (1..=row).rev().find(|row| !rows[row - 1].ends_with('\\')).unwrap_or(0);
    let begin = if row == 0 { 0 } else { begin };
    Some((
        begin,
        Slip {
            line: line_of(row),
            kind,
        },
    ))
}

/// The word that ends the last here-document that begins in a row, and whether tabs before it are taken away.
fn opened(row: &str) -> Option<(String, bool)> {
    let mark = row
        .rfind("<<")
        .filter(|at| !row[..*at].ends_with('<') && !row[at + 2..].starts_with('<'))?;
    let rest = &row[mark + 2..];
    let (takes_tabs, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    let rest = rest.trim_start_matches([' ', '\t']);
    let end = rest
        .find([' ', '\t', '|', ';', '&', '>', '<', ')'])
        .unwrap_or(rest.len());
    let word: String = rest[..end]
        .chars()
        .filter(|sign| !matches!(sign, '\'' | '"' | '\\'))
        .collect();
    let is_word = !word.is_empty() && word.chars().all(|sign| sign.is_alphanumeric() || "_-.!".contains(sign));
    (is_word && is_outside_quotes(&row[..mark])).then_some((word, takes_tabs))
}

/// Whether what follows a text stands neither in quotes nor in a comment.
fn is_outside_quotes(text: &str) -> bool {
    let mut quote = None;
    let mut before = ' ';
    let mut signs = text.chars();
    while let Some(sign) = signs.next() {
        match (quote, sign) {
            (None | Some('"'), '\\') => {
                signs.next();
            }
            (None, '#') if before.is_whitespace() => return false,
            (None, '\'' | '"' | '`') => quote = Some(sign),
            (Some(open), _) if open == sign => quote = None,
            _ => {}
        }
        before = sign;
    }
    quote.is_none()
}

/// What bash reads in a command, or the slip that it is where a word has a dash or a quote of print in place of one of a
/// keyboard.
pub(super) fn of_print(body: Body) -> Body {
    const DASHES: [char; 2] = ['\u{2013}', '\u{2014}'];
    const QUOTES: [char; 4] = ['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];
    let Body::Pipeline(pipeline) = &body else {
        return body;
    };
    let is_one =
        |word: &&ShellWord| word.raw.starts_with(DASHES) || word.raw.starts_with(QUOTES) || word.raw.ends_with(QUOTES);
    let of_tools = pipeline
        .0
        .iter()
        .filter(|simple| simple.words.first().is_some_and(is_tool));
    let found = of_tools.flat_map(|simple| &simple.words).find(is_one);
    let slip = found.map(|found| Slip {
        line: found.line,
        kind: SlipKind::OfPrint {
            word: found.raw.clone(),
        },
    });
    slip.map_or(body, |slip| Body::Fails(Box::new(slip)))
}
