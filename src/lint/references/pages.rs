//! Pages: their includes and their links to other files.

use std::collections::BTreeSet;

use super::rules::{BYTE_ORDER_MARK, CONFLICT_MARKER, FENCE_OPEN, INCLUDE_MISSING, LINK_BRANCH, LINK_MISSING};
use crate::{
    guide::Include,
    lint::{Examined, Findings, Place, Severity},
    plan::{Reference, classify},
    release::{RepoPath, Tag},
};

pub(super) fn look(examined: &Examined<'_>, findings: &mut Findings) {
    let Some(folder) = examined.layout.guide.parent() else {
        return;
    };
    let below = format!("{folder}/");
    let is_page = |path: &&RepoPath| path.as_str().starts_with(&below) && has_ending(path.as_str(), &["md"]);
    for page in examined.files.all.iter().filter(is_page) {
        let mut reading = PageReading {
            examined,
            findings: &mut *findings,
            page,
            seen: BTreeSet::new(),
        };
        reading.read(page);
    }
}

/// A page while it is read, with the files that it includes.
struct PageReading<'a, 'f> {
    examined: &'a Examined<'a>,
    findings: &'f mut Findings,
    page: &'a RepoPath,
    /// The files that were read.
    seen: BTreeSet<RepoPath>,
}

/// Whether a path's last part ends with one of some endings, written without the dot.
fn has_ending(path: &str, endings: &[&str]) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    file.rsplit_once('.')
        .is_some_and(|(_, ending)| endings.contains(&ending))
}

/// A line of backquotes or tildes.
#[derive(Debug, Clone, Copy)]
struct Fence {
    sign: char,
    length: usize,
    /// It names a language, which only the line that begins a block does.
    opens: bool,
}

impl Fence {
    fn of(row: &str) -> Option<Self> {
        let sign = row.chars().next().filter(|sign| matches!(sign, '`' | '~'))?;
        let rest = row.trim_start_matches(sign);
        let length = row.len() - rest.len();
        // Three backquotes and text in one line are code in running text.
        let is_fence = length >= 3 && !(sign == '`' && rest.contains('`'));
        is_fence.then(|| Self {
            sign,
            length,
            opens: !rest.trim().is_empty(),
        })
    }

    /// Whether it ends the block that `outer` begins, or would if a language did not stand behind it.
    fn closes(self, outer: Self) -> bool {
        self.sign == outer.sign && self.length >= outer.length
    }
}

impl PageReading<'_, '_> {
    /// Reads a file that is the page, or a part of it.
    fn read(&mut self, file: &RepoPath) {
        if !self.seen.insert(file.clone()) {
            return;
        }
        let Some(text) = self.examined.files.text(self.examined.release, file.as_str()) else {
            return;
        };
        self.marked(file, &text);
        let mut open: Option<(u32, Fence)> = None;
        for (line, row) in (1..).zip(text.lines()) {
            if row.starts_with("<<<<<<< ") || row.starts_with(">>>>>>> ") {
                let message = "git wrote this line for a conflict that nobody resolved";
                self.findings
                    .add(&CONFLICT_MARKER, Place::line(file.as_str(), line), message)
                    .way_out("resolve it: keep what belongs there, and take the marks away");
            }
            let trimmed = row.trim_start();
            if let Some(fence) = Fence::of(trimmed) {
                open = match open {
                    None => Some((line, fence)),
                    Some((begun, outer)) if fence.closes(outer) => {
                        if fence.opens {
                            self.never_closed(file, begun, line);
                        }
                        fence.opens.then_some((line, fence))
                    }
                    still => still,
                };
                continue;
            }
            if open.is_some() {
                continue;
            }
            if let Some(name) = included(trimmed) {
                let place = Place::in_row(file.as_str(), line, row, row.find(name).unwrap_or_default());
                self.include(name, place);
                continue;
            }
            for (at, target) in links(row) {
                self.link(target, Place::in_row(file.as_str(), line, row, at));
            }
        }
    }

    /// A byte order mark before the first sign of an include: the site takes it away from a page and not from what a page
    /// includes, where it hides what the line begins with.
    fn marked(&mut self, file: &RepoPath, text: &str) {
        let Some(first) = text.strip_prefix('\u{feff}').and_then(|text| text.lines().next()) else {
            return;
        };
        let hides = ["===", "```", "~~~", "#", "!!!", "???", "--8<--"]
            .iter()
            .any(|sign| first.starts_with(sign));
        if file == self.page || !hides {
            return;
        }
        let message = format!("a byte order mark stands before `{first}`, which is then no more than text");
        let found = self
            .findings
            .add(&BYTE_ORDER_MARK, Place::line(file.as_str(), 1), message);
        found
            .because("the site reads an include without taking the mark at its byte 0 away")
            .way_out("save the file as UTF-8 without a byte order mark");
        if *self.page != self.examined.layout.guide {
            found.at_most(Severity::Hygiene);
        }
    }

    fn never_closed(&mut self, file: &RepoPath, begun: u32, next: u32) {
        let message = format!("the fence that begins here is not closed before the next one begins, in line {next}");
        self.findings
            .add(&FENCE_OPEN, Place::line(file.as_str(), begun), message)
            .because("what stands between them is shown as code, and headings and commands there are none")
            .way_out("close it with a line of the same signs at the same margin");
    }

    fn include(&mut self, name: &str, place: Place) {
        let release = self.examined.release;
        let path = name.parse::<RepoPath>().ok();
        if let Some(include) = Include::read(name, release.tree.as_ref()) {
            let text = self.examined.files.text(release, include.file.as_str());
            if text.is_none_or(|text| include.lines(&text).is_some()) {
                self.read(&include.file);
                return;
            }
        }
        let message = format!("the release has no `{name}` to include");
        let found = self.findings.add(&INCLUDE_MISSING, place, message);
        if let Some(folder) = path.and_then(|path| path.parent()) {
            let below = format!("{folder}/");
            let beside = self.examined.files.all.iter();
            let beside = beside.filter(|path| path.as_str().starts_with(&below)).count();
            if beside > 0 {
                found.because(format!("its folder has {beside} other files"));
            }
        }
        found
            .because("the site leaves the line out without a word, so the page lacks what it should hold")
            .way_out("add the file, or include one that the release has");
        if *self.page != self.examined.layout.guide {
            found.at_most(Severity::Hygiene);
        }
    }

    fn link(&mut self, target: &str, place: Place) {
        if target.contains("://") {
            self.address(target, place);
            return;
        }
        let path = target.split(['#', '?']).next().unwrap_or_default();
        if path.is_empty() || path.starts_with(['/', '<']) || target.starts_with("mailto:") {
            return;
        }
        let Some(resolved) = self.page.parent().and_then(|folder| folder.join(path).ok()) else {
            return;
        };
        let is_there = |path: &str| {
            let below = format!("{path}/");
            let mut all = self.examined.files.all.iter().map(RepoPath::as_str);
            all.any(|known| known == path || known.starts_with(&below))
        };
        // A page may be named without its ending.
        if is_there(resolved.as_str()) || is_there(&format!("{resolved}.md")) {
            return;
        }
        // What is missing with the whole folder that it belongs to proves nothing: the tree may be a part of the release.
        if resolved.parent().is_some_and(|folder| is_there(folder.as_str())) {
            let message = format!("the link leads to `{resolved}`, which the release has not");
            self.findings
                .add(&LINK_MISSING, place, message)
                .way_out("link to a page that the release has");
        }
    }

    /// A link that is a whole address.
    fn address(&mut self, target: &str, place: Place) {
        let Reference::File { repository, at, path } = classify(target) else {
            return;
        };
        // Only a manifest has to be that of the release; other pages of the project may well be the newest.
        let is_manifest = has_ending(&path, &["yaml", "yml"]);
        let is_own = repository.eq_ignore_ascii_case(&self.examined.release.repository);
        if is_own && is_manifest && at.parse::<Tag>().is_err() && *self.page == self.examined.layout.guide {
            let message = format!("the link leads to `{path}` of the branch `{at}`");
            self.findings
                .add(&LINK_BRANCH, place, message)
                .way_out("name the release's tag in the address");
        }
    }
}

/// The file that a line includes.
fn included(row: &str) -> Option<&str> {
    let name = row.strip_prefix("--8<--")?.trim();
    let name = name.strip_prefix(['"', '\''])?.strip_suffix(['"', '\''])?;
    (!name.contains("://") && !name.is_empty()).then_some(name)
}

/// The targets of links in a line, and where each begins.
fn links(row: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    for (at, _) in row.match_indices("](") {
        let begin = at + 2;
        let rest = &row[begin..];
        let end = rest.find([')', ' ']).unwrap_or(0);
        if end > 0 {
            links.push((begin, &rest[..end]));
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_a_line_are_found_with_their_places() {
        let row = "See [a](x/y.md#z) and ![b](../i.png \"t\"), [c]() or [d](no end";
        assert_eq!(links(row), [(8, "x/y.md#z"), (27, "../i.png"), (55, "no")]);
    }

    #[test]
    fn an_include_names_its_file_in_quotes() {
        assert_eq!(included("--8<-- \"a/b.md\""), Some("a/b.md"));
        assert_eq!(included("--8<--"), None);
        assert_eq!(included("--8<-- \"https://a.example/b.md\""), None);
    }
}
