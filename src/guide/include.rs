//! The name behind a marker of the Snippets extension: a file, and which of its lines are included.

use std::ops::RangeInclusive;

use crate::release::{RepoPath, Tree};

/// What one include names.
///
/// The grammar is that of `PyMdown`'s Snippets (10.x): `FILE`, `FILE:FROM`, `FILE:FROM:TO`, `FILE::TO`, several ranges joined
/// by `,` (`FILE:1:3,8:9`), lines counted from 1 and from the end where they are negative; or `FILE:SECTION`, for the
/// lines between `--8<-- [start:SECTION]` and `--8<-- [end:SECTION]` in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Include {
    /// The file.
    pub(crate) file: RepoPath,
    part: Part,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    All,
    /// First and last line of each range; `None` where the file's own first or last is meant.
    Lines(Vec<(Option<i64>, Option<i64>)>),
    Section(String),
}

impl Include {
    /// Reads the name of a file of the tree; `None` where the tree has no such file.
    pub(crate) fn read(name: &str, tree: &dyn Tree) -> Option<Self> {
        let there = |file: &str| file.parse::<RepoPath>().ok().filter(|path| tree.exists(path));
        if let Some(file) = there(name) {
            return Some(Self { file, part: Part::All });
        }
        let (file, part) = name
            .match_indices(':')
            .find_map(|(at, _)| Some((there(&name[..at])?, &name[at + 1..])))?;
        let part = ranges(part).map_or_else(|| section(part).map(Part::Section), |lines| Some(Part::Lines(lines)))?;
        Some(Self { file, part })
    }

    /// The numbers of the lines that are included, counted from 1; `None` where the file has no such section.
    pub(crate) fn lines(&self, text: &str) -> Option<Vec<RangeInclusive<usize>>> {
        let count = text.lines().count();
        match &self.part {
            Part::All => Some(vec![1..=count]),
            Part::Lines(ranges) => {
                let end = i64::try_from(count).unwrap_or(i64::MAX);
                let place = |line: i64| if line < 0 { end + 1 + line } else { line };
                let range = |(first, last): &(Option<i64>, Option<i64>)| {
                    let first = place(first.unwrap_or(1)).clamp(1, i64::MAX);
                    let last = place(last.unwrap_or(end)).clamp(0, end);
                    Some(usize::try_from(first).ok()?..=usize::try_from(last).ok()?)
                };
                Some(ranges.iter().filter_map(range).collect())
            }
            Part::Section(name) => {
                let marks = |kind: &str| {
                    let mark = format!("[{kind}:{name}]");
                    move |row: &str| {
                        let plain: String = row.to_lowercase().split_whitespace().collect();
                        plain.contains("-8<-") && plain.contains(&mark) && !plain.contains(";-")
                    }
                };
                let (starts, ends) = (marks("start"), marks("end"));
                let begin = text.lines().position(starts)?;
                let length = text.lines().skip(begin + 1).position(ends).unwrap_or(count - begin - 1);
                Some(vec![begin + 2..=begin + 1 + length])
            }
        }
    }
}

/// Whether a line only marks where a section of its file begins or ends.
pub(super) fn is_mark_of_section(row: &str) -> bool {
    let plain: String = row.to_lowercase().split_whitespace().collect();
    plain.contains("-8<-") && (plain.contains("[start:") || plain.contains("[end:")) && plain.contains(']')
}

/// Ranges of lines, `None` where it is none.
fn ranges(part: &str) -> Option<Vec<(Option<i64>, Option<i64>)>> {
    let number = |text: &str| {
        if text.is_empty() {
            Some(None)
        } else {
            text.parse().ok().map(Some)
        }
    };
    part.split(',')
        .map(|range| match range.split_once(':') {
            Some((first, last)) => Some((number(first)?, number(last)?)),
            None => Some((number(range)?, None)),
        })
        .collect()
}

/// The name of a section, as it is compared.
fn section(part: &str) -> Option<String> {
    let is_name = part.starts_with(|sign: char| sign.is_ascii_alphabetic())
        && part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_name.then(|| part.to_lowercase())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::release::MemoryTree;

    const TEXT: &str = "one\n<!-- --8<-- [start:Try] -->\nthree\nfour\n<!-- --8<-- [end:Try] -->\nsix\n";

    #[rstest]
    #[case::all("a.md", &[1, 2, 3, 4, 5, 6])]
    #[case::from("a.md:5", &[5, 6])]
    #[case::from_to("a.md:2:3", &[2, 3])]
    #[case::to("a.md::2", &[1, 2])]
    #[case::several("a.md:1:1,5:9", &[1, 5, 6])]
    #[case::from_the_end("a.md:-2", &[5, 6])]
    #[case::past_the_end("a.md:1:17", &[1, 2, 3, 4, 5, 6])]
    #[case::nothing("a.md:9:12", &[])]
    #[case::a_section("a.md:try", &[3, 4])]
    fn the_lines_that_are_named_are_included(#[case] name: &str, #[case] wanted: &[usize]) {
        let mut tree = MemoryTree::default();
        tree.insert("a.md".parse().unwrap(), TEXT);
        let ranges = Include::read(name, &tree).unwrap().lines(TEXT).unwrap();
        assert_eq!(ranges.into_iter().flatten().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_section_that_the_file_lacks_is_none_and_so_is_a_file_that_the_tree_lacks() {
        let mut tree = MemoryTree::default();
        tree.insert("a.md".parse().unwrap(), TEXT);
        assert_eq!(Include::read("a.md:other", &tree).unwrap().lines(TEXT), None);
        assert_eq!(Include::read("b.md:2", &tree), None);
        assert_eq!(Include::read("a.md:not a name", &tree), None);
    }
}
