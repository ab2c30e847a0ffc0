//! Pages with their includes put in, every line knowing where it came from.
//!
//! The grammar is that of the Snippets extension of `PyMdown`, as the site of the project uses it: `--8<-- "FILE"` on a line
//! of its own, or files one a line between two lone `--8<--`; a `;` before the marker keeps it as text. What `FILE` may name
//! of a file is in [`super::include`].

use std::sync::Arc;

use super::{
    GuideError, Problem, ProblemKind,
    include::{self, Include},
};
use crate::{
    record::Provenance,
    release::{RepoPath, Tree},
};

/// What some editors put before the first sign of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The most lines of a guide with its includes.
const MOST_LINES: usize = 50_000;

/// How deep includes may nest.
const MOST_DEPTH: usize = 16;

/// The most bytes of a guide with its includes, a page counted as often as it is included; the largest upstream has a
/// fiftieth of that.
const MOST_BYTES: usize = 2 << 20;

/// The most includes that are followed, so that empty pages that include one another many times come to an end.
const MOST_PAGES: usize = 1000;

/// A line of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Its text, without the line break.
    pub(super) text: String,
    /// The file it stands in.
    pub(super) file: Arc<str>,
    /// Its number there, counted from 1.
    pub(super) number: u32,
}

/// The lines of a page, includes put in place.
pub(super) fn expand(tree: &dyn Tree, page: &RepoPath, problems: &mut Vec<Problem>) -> Result<Vec<Line>, GuideError> {
    let mut pages = Pages {
        tree,
        open: Vec::new(),
        lines: Vec::new(),
        bytes: 0,
        followed: 0,
        problems,
    };
    pages.add(page, "", None)?;
    Ok(pages.lines)
}

struct Pages<'a> {
    tree: &'a dyn Tree,
    /// Pages that are being read right now, to find cycles.
    open: Vec<RepoPath>,
    lines: Vec<Line>,
    /// How many bytes were read so far, and put before lines to indent them.
    bytes: usize,
    /// How many pages were opened so far.
    followed: usize,
    problems: &'a mut Vec<Problem>,
}

impl Pages<'_> {
    /// Adds a page, or the lines of it that an include names. Whether there are such lines at all is what it returns.
    fn add(&mut self, page: &RepoPath, indent: &str, include: Option<&Include>) -> Result<bool, GuideError> {
        let bytes = self.tree.read(page)?;
        self.followed += 1;
        if self.followed > MOST_PAGES {
            return Err(Self::too_large(page));
        }
        self.count(bytes.len(), page)?;
        let text = String::from_utf8(bytes).map_err(|_| GuideError::NotText { file: page.to_string() })?;
        let (text, lines) = match include {
            // MkDocs reads a page without its byte order mark; an include keeps it, as any other sign.
            None => (text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text), None),
            Some(include) => match include.lines(&text) {
                Some(lines) => (text.as_str(), Some(lines)),
                None => return Ok(false),
            },
        };
        self.open.push(page.clone());
        let file: Arc<str> = page.as_str().into();
        let mut in_list = false;
        let rows: Vec<(u32, &str)> = (1..).zip(text.lines()).collect();
        let wanted = lines.map_or_else(
            || vec![&rows[..]],
            |lines| {
                lines
                    .into_iter()
                    .filter_map(|range| rows.get(range.start() - 1..*range.end()))
                    .collect()
            },
        );
        for (row, line) in wanted.into_iter().flatten().copied() {
            if include::is_mark_of_section(line) {
                continue;
            }
            let at = Place { file: &file, row, line };
            match marker(line) {
                Marker::None if in_list => {
                    if !line.trim().is_empty() {
                        self.include(line.trim(), &format!("{indent}{}", margin(line)), &at)?;
                    }
                }
                Marker::None => self.push(&at, indent, line)?,
                Marker::Escaped(kept) => self.push(&at, indent, &kept)?,
                Marker::File(name) => self.include(name, &format!("{indent}{}", margin(line)), &at)?,
                Marker::List => in_list = !in_list,
            }
        }
        self.open.pop();
        Ok(true)
    }

    fn push(&mut self, at: &Place<'_>, indent: &str, text: &str) -> Result<(), GuideError> {
        if self.lines.len() >= MOST_LINES {
            return Err(GuideError::TooLong {
                file: self.open.first().map(RepoPath::to_string).unwrap_or_default(),
                most: MOST_LINES,
            });
        }
        self.count(indent.len(), at.file)?;
        self.lines.push(Line {
            text: if text.trim().is_empty() {
                String::new()
            } else {
                // Blanks at the end stay: behind a backslash and in a text in quotes they mean something to bash.
                format!("{indent}{text}")
            },
            file: at.file.clone(),
            number: at.row,
        });
        Ok(())
    }

    /// Counts bytes that are held in memory. A page's own are counted when it is read, since not every line of it is kept.
    fn count(&mut self, bytes: usize, page: &dyn std::fmt::Display) -> Result<(), GuideError> {
        self.bytes += bytes;
        if self.bytes > MOST_BYTES {
            return Err(Self::too_large(page));
        }
        Ok(())
    }

    fn too_large(page: &dyn std::fmt::Display) -> GuideError {
        GuideError::TooLarge {
            file: page.to_string(),
            most: MOST_BYTES,
        }
    }

    fn include(&mut self, name: &str, indent: &str, at: &Place<'_>) -> Result<(), GuideError> {
        self.count(indent.len(), at.file)?;
        let kind = match Include::read(name, self.tree) {
            Some(include) if self.open.contains(&include.file) || self.open.len() >= MOST_DEPTH => {
                ProblemKind::IncludeNotFollowed {
                    why: format!("`{name}` includes itself or is nested too deep"),
                }
            }
            Some(include) => {
                if self.add(&include.file, indent, Some(&include))? {
                    return Ok(());
                }
                ProblemKind::IncludeMissing { file: name.into() }
            }
            None if name.contains("://") => ProblemKind::IncludeNotFollowed {
                why: "a URL is included, and a release's guide must stand on its own files".into(),
            },
            None => ProblemKind::IncludeMissing { file: name.into() },
        };
        self.problems.push(Problem {
            at: Provenance {
                file: at.file.to_string(),
                line: at.row,
                section: String::new(),
            },
            raw: at.line.trim().into(),
            kind,
        });
        Ok(())
    }
}

struct Place<'a> {
    file: &'a Arc<str>,
    row: u32,
    line: &'a str,
}

enum Marker<'a> {
    None,
    Escaped(String),
    File(&'a str),
    List,
}

fn margin(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

fn marker(line: &str) -> Marker<'_> {
    let rest = line.trim();
    let unescaped = rest.trim_start_matches(';');
    let dashes = unescaped.trim_start_matches('-');
    let Some(after) = dashes.strip_prefix("8<").filter(|_| dashes.len() < unescaped.len()) else {
        return Marker::None;
    };
    let name = after.trim_start_matches('-');
    if name.len() == after.len() {
        return Marker::None;
    }
    let quoted = name.trim();
    let file = ['"', '\'']
        .iter()
        .find_map(|quote| quoted.strip_prefix(*quote)?.strip_suffix(*quote));
    let is_marker = match file {
        Some(file) => !file.is_empty() && name.starts_with([' ', '\t']),
        None => quoted.is_empty(),
    };
    match file {
        _ if !is_marker => Marker::None,
        _ if unescaped.len() < rest.len() => Marker::Escaped(line.replacen(';', "", 1)),
        Some(file) => Marker::File(file),
        None => Marker::List,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::release::DirectoryTree;

    fn expanded(pages: &[(&str, &str)]) -> (Vec<String>, Vec<ProblemKind>) {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in pages {
            std::fs::write(root.path().join(name), text).unwrap();
        }
        let tree = DirectoryTree::open(root.path()).unwrap();
        let mut problems = Vec::new();
        let lines = expand(&tree, &"guide.md".parse().unwrap(), &mut problems).unwrap();
        let lines = lines
            .iter()
            .map(|line| format!("{}:{} {}", line.file, line.number, line.text));
        (
            lines.collect(),
            problems.into_iter().map(|problem| problem.kind).collect(),
        )
    }

    #[test]
    fn included_lines_keep_their_own_numbers_and_take_the_margin_of_the_include() {
        let (lines, problems) = expanded(&[
            ("guide.md", "one\n  --8<-- \"a.md\"\nthree\n"),
            ("a.md", "first\n\n--8<-- 'b.md'"),
            ("b.md", "deep"),
        ]);
        let wanted = [
            "guide.md:1 one",
            "a.md:1   first",
            "a.md:2 ",
            "b.md:1   deep",
            "guide.md:3 three",
        ];
        assert_eq!((lines, problems), (wanted.map(String::from).to_vec(), vec![]));
    }

    #[test]
    fn a_missing_include_a_cycle_and_a_missing_section_are_problems() {
        let text = "--8<-- \"none.md\"\n--8<-- \"guide.md\"\n--8<-- \"a.md:part\"\n--8<-- \"https://a.example/x.md\"\n";
        let (lines, problems) = expanded(&[("guide.md", text), ("a.md", "x\n")]);
        assert!(lines.is_empty());
        let missing = |name: &str| ProblemKind::IncludeMissing { file: name.into() };
        assert_eq!(problems.len(), 4);
        assert_eq!(
            [&problems[0], &problems[2]],
            [&missing("none.md"), &missing("a.md:part")]
        );
        for not_followed in [&problems[1], &problems[3]] {
            assert!(
                matches!(not_followed, ProblemKind::IncludeNotFollowed { .. }),
                "{not_followed:?}"
            );
        }
    }

    #[test]
    fn a_part_of_a_file_is_included_with_the_numbers_of_its_lines() {
        let (lines, problems) = expanded(&[
            ("guide.md", "--8<-- \"a.md:2:2\"\n  --8<-- \"a.md:part\"\n"),
            (
                "a.md",
                "one\ntwo\n<!-- --8<-- [start:part] -->\nfour\n<!-- --8<-- [end:part] -->\n",
            ),
        ]);
        assert_eq!(
            (lines, problems),
            (vec!["a.md:2 two".to_owned(), "a.md:4   four".to_owned()], vec![])
        );
    }

    #[test]
    fn a_byte_order_mark_is_taken_from_the_page_and_stays_in_an_include() {
        let (lines, _) = expanded(&[("guide.md", "\u{feff}one\n--8<-- \"a.md\""), ("a.md", "\u{feff}two")]);
        assert_eq!(lines, ["guide.md:1 one", "a.md:1 \u{feff}two"]);
    }

    #[test]
    fn blanks_at_the_end_of_a_line_stay_where_a_backslash_stands_before_them() {
        let (lines, _) = expanded(&[("guide.md", "a \\ \r\n \n")]);
        assert_eq!(lines, ["guide.md:1 a \\ ", "guide.md:2 "]);
    }

    #[rstest]
    #[case::a_list("--8<--\na.md\n\na.md\n--8<--\nend", &["a.md:1 x", "a.md:1 x", "guide.md:6 end"])]
    #[case::escaped(";--8<-- \"a.md\"", &["guide.md:1 --8<-- \"a.md\""])]
    #[case::text_after("--8<-- \"a.md\" x", &["guide.md:1 --8<-- \"a.md\" x"])]
    #[case::no_space("--8<--\"a.md\"", &["guide.md:1 --8<--\"a.md\""])]
    #[case::long_dashes("-8<--- \"a.md\"", &["a.md:1 x"])]
    fn markers_are_those_of_the_extension(#[case] text: &str, #[case] wanted: &[&str]) {
        assert_eq!(expanded(&[("guide.md", text), ("a.md", "x")]).0, wanted);
    }

    fn refused(pages: &[(&str, Vec<u8>)]) -> GuideError {
        let mut tree = crate::release::MemoryTree::default();
        for (name, bytes) in pages {
            tree.insert(name.parse().unwrap(), bytes.clone());
        }
        expand(&tree, &"guide.md".parse().unwrap(), &mut Vec::new()).unwrap_err()
    }

    #[test]
    fn a_line_of_fifty_megabytes_and_what_is_no_text_are_errors_that_name_the_page() {
        let long = refused(&[
            ("guide.md", b"--8<-- \"a.md\"".to_vec()),
            ("a.md", vec![b'x'; 50 << 20]),
        ]);
        assert!(
            matches!(&long, GuideError::TooLarge { file, .. } if file == "a.md"),
            "{long}"
        );
        let no_text = refused(&[("guide.md", vec![b'a', 0xff])]);
        assert!(matches!(no_text, GuideError::NotText { .. }));
    }

    #[test]
    fn includes_that_multiply_come_to_an_end() {
        let page = |next: usize| format!("--8<-- \"p{next}.md\"\n").repeat(50).into_bytes();
        let mut pages: Vec<(String, Vec<u8>)> = (0..14)
            .map(|number| (format!("p{number}.md"), page(number + 1)))
            .collect();
        pages.push(("p14.md".into(), Vec::new()));
        pages.push(("guide.md".into(), page(0)));
        let pages: Vec<(&str, Vec<u8>)> = pages
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.clone()))
            .collect();
        assert!(matches!(refused(&pages), GuideError::TooLarge { .. }));
        let full = [
            ("guide.md", b"--8<-- \"a.md\"\n".repeat(3)),
            ("a.md", vec![b'x'; 1 << 20]),
        ];
        assert!(matches!(refused(&full), GuideError::TooLarge { .. }));
    }

    #[test]
    fn a_page_counts_as_often_as_it_is_included_though_nothing_of_it_is_kept() {
        let missing = b"--8<-- \"none.md\"\n".repeat(10_000);
        let many = [("guide.md", b"--8<-- \"a.md\"\n".repeat(900)), ("a.md", missing)];
        assert!(matches!(refused(&many), GuideError::TooLarge { .. }));
        let mut indented = vec![b' '; 1 << 20];
        indented.extend_from_slice(b"--8<-- \"a.md\"");
        let wide = [("guide.md", indented), ("a.md", b"--8<-- \"none.md\"\n".repeat(10_000))];
        assert!(matches!(refused(&wide), GuideError::TooLarge { .. }));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-;8<\"'a.md \n:]{0,120}") {
            let _ = expanded(&[("guide.md", &text), ("a.md", "x")]);
        }
    }
}
