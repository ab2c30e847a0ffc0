//! What others say, so that whoever shows it is not steered by it.
//!
//! A pod's message cannot move the cursor, recolour the screen, reverse the reading direction, end a line, or be taken for a
//! command by the runner of a workflow that reads our lines.

use std::fmt::Write as _;

/// Whether a character is no letter but something for who shows it: controls, what changes the reading direction, marks and
/// tags that nobody sees, and what no document of XML 1.0 may hold.
pub(crate) fn steers(character: char) -> bool {
    let is_no_character =
        matches!(u32::from(character) & 0xffff, 0xfffe | 0xffff) || matches!(character, '\u{fdd0}'..='\u{fdef}');
    let is_unseen = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    character.is_control() || is_no_character || is_unseen
}

/// The text in one line, with everything that steers made visible, line feeds included. A tab becomes a space.
///
/// What a runner would take for a command at the beginning of a line is made visible behind every blank: there a long line
/// may be broken. Source: `ActionCommand.cs` of actions/runner, which takes `::` behind blanks, and `##[` anywhere; Azure
/// Pipelines takes `##vso[`.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut behind_blank = true;
    for (at, character) in text.char_indices() {
        let rest = &text[at..];
        let begins_command = match character {
            ':' => {
                let named = rest.strip_prefix("::").and_then(|name| name.chars().next());
                behind_blank && named.is_some_and(|first| first.is_ascii_alphabetic())
            }
            '#' => rest.starts_with("##[") || rest.starts_with("##vso["),
            _ => false,
        };
        match character {
            '\t' => shown.push(' '),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            character if begins_command || steers(character) => shown.extend(character.escape_unicode()),
            character => shown.push(character),
        }
        behind_blank = character.is_whitespace();
    }
    shown
}

/// The text with its lines, each printable.
pub(crate) fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// Rows of printable pieces which, beside one another or where a row is broken, would spell a command that none of them does.
pub(crate) fn without_commands(rows: &str) -> String {
    let row = |row: &str| {
        let (blank, said) = row.split_at(row.len() - row.trim_start().len());
        let said = match said.strip_prefix("::") {
            Some(name) if name.starts_with(|first: char| first.is_ascii_alphabetic()) => format!("\\u{{3a}}:{name}"),
            _ => said.to_owned(),
        };
        format!(
            "{blank}{}",
            said.replace("##[", "\\u{23}#[").replace("##vso[", "\\u{23}#vso[")
        )
    };
    rows.split('\n').map(row).collect::<Vec<_>>().join("\n")
}

/// JSON text that steers nobody, and is the same JSON: only strings hold what may.
pub(crate) fn printable_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for (at, character) in json.char_indices() {
        let rest = &json[at..];
        let begins_command = rest.starts_with("##[") || rest.starts_with("##vso[");
        if character != '\n' && (steers(character) || begins_command) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // A string takes everything.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Whether a text steers who shows it, line by line: what no writer may put out.
#[must_use]
pub fn steers_a_reader(text: &str) -> bool {
    text.split('\n').any(|line| {
        let command = line.trim_start().strip_prefix("::");
        let is_command = command.is_some_and(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()));
        is_command || line.contains("##[") || line.contains("##vso[") || line.chars().any(steers)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::terminal("a\u{1b}[2Jb\rc\nd\u{202e}e\u{7}", "a\\u{1b}[2Jb\\rc\\nd\\u{202e}e\\u{7}")]
    #[case::xml("\u{fffe}\u{ffff}", "\\u{fffe}\\u{ffff}")]
    #[case::command("::error::x", "\\u{3a}:error::x")]
    #[case::command_behind_blanks("\u{3000} ::error::x", "\u{3000} \\u{3a}:error::x")]
    #[case::command_behind_a_line_feed("a\n::error::x", "a\\n\\u{3a}:error::x")]
    #[case::old_command("a##[error]x ##vso[a]", "a\\u{23}#[error]x \\u{23}#vso[a]")]
    #[case::path("std::env at ::1 and [::1]:80", "std::env at ::1 and [::1]:80")]
    #[case::heading("## Deploy #1", "## Deploy #1")]
    #[case::letters("日本 é 👩‍🚀\ta", "日本 é 👩‍🚀 a")]
    fn what_steers_is_seen_and_what_is_read_stays(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(printable(text), shown);
    }

    proptest! {
        #[test]
        fn no_text_steers(text in r"\PC{0,40}|.{0,40}|[ :#\[\]a\n\r\t]{0,40}") {
            let line = printable(&text);
            prop_assert!(!steers_a_reader(&line) && !line.contains('\n'), "{}", line);
            let lines = printable_lines(&text);
            prop_assert!(!steers_a_reader(&lines), "{}", lines);
        }

        #[test]
        fn json_steers_nobody_and_reads_back(characters in proptest::collection::vec(any::<char>(), 0..40)) {
            let text: String = characters.into_iter().chain("##[a]\u{9b}\u{202e}\u{10ffff}".chars()).collect();
            let value = serde_json::json!({ text.clone(): [text] });
            let shown = printable_json(&format!("{value:#}"));
            prop_assert!(!steers_a_reader(&shown), "{}", shown);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
