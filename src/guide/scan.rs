//! Shell blocks in an expanded page, with the headings and tabs they stand under.
//!
//! `MkDocs` is not `CommonMark`: tabs (`=== "Title"`) and admonitions (`???`, `!!!`) indent their bodies by four columns, and
//! the Superfences extension finds fences at any indentation, also inside lists. So this reads by line and by margin,
//! and gives every fence the margin it stands at.

use super::{Problem, ProblemKind, pages::Line};
use crate::{record::Provenance, release::TabPattern};

/// Languages of fences that hold commands. A fence without a language does too: guides use it for them.
const SHELLS: [&str; 7] = ["", "bash", "sh", "shell", "zsh", "console", "shell-session"];

/// The most characters of a heading and of a tab's title: each command below repeats them.
const MOST_NAME: usize = 200;

/// How deep tabs and admonitions may nest.
const MOST_NESTING: usize = 16;

/// What a page holds.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) blocks: Vec<Block>,
    pub(super) sets: Vec<TabSet>,
    pub(super) problems: Vec<Problem>,
}

/// Tabs that stand side by side.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TabSet {
    pub(super) at: Provenance,
    pub(super) titles: Vec<String>,
}

/// A fenced block of a shell language, its margin taken off.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) lines: Vec<Line>,
    /// The headings it stands under, outermost first.
    pub(super) headings: Vec<String>,
    /// The tabs it stands in, outermost first: the number of the set, and the title.
    pub(super) tabs: Vec<(usize, String)>,
    /// The last line of text before it.
    pub(super) lead: String,
    /// The fence's own place, for a block without lines.
    fence: Provenance,
}

impl Block {
    /// The lines of a script as one block.
    pub(super) fn of_script(file: &str, text: &str, first_line: u32) -> Self {
        let name: std::sync::Arc<str> = file.into();
        let lines = text.lines().zip(first_line..).map(|(text, number)| Line {
            text: text.to_owned(),
            file: name.clone(),
            number,
        });
        Self::of_lines(lines.collect(), file, first_line, "")
    }

    /// Lines that stand in no page, as one block of a section.
    pub(super) fn of_lines(lines: Vec<Line>, file: &str, first_line: u32, section: &str) -> Self {
        let headings = (!section.is_empty()).then(|| section.to_owned());
        Self {
            lines,
            headings: headings.into_iter().collect(),
            tabs: Vec::new(),
            lead: String::new(),
            fence: Provenance {
                file: file.to_owned(),
                line: first_line,
                section: section.to_owned(),
            },
        }
    }

    /// Where a line of the block stands; lines past its end count as its last.
    pub(super) fn at(&self, index: usize) -> Provenance {
        match self.lines.get(index).or_else(|| self.lines.last()) {
            Some(line) => Provenance {
                file: line.file.to_string(),
                line: line.number,
                section: self.fence.section.clone(),
            },
            None => self.fence.clone(),
        }
    }
}

/// Reads a page in which a section takes the place of a tab where its heading is one of `choices`: it forms a set with the
/// other sections of the same parent whose headings are.
pub(super) fn scan_with_choices(lines: &[Line], choices: &[&TabPattern]) -> Page {
    scan_for(lines, &|heading| choices.iter().any(|choice| choice.matches(heading)))
}

struct Container {
    margin: usize,
    /// The set's number and the tab's title; `None` for an admonition.
    tab: Option<(usize, String)>,
}

/// A fence that is open.
struct Fence {
    sign: char,
    length: usize,
    margin: usize,
    /// Whether its language is a shell's.
    is_shell: bool,
    block: Block,
}

/// Reads a page.
pub(super) fn scan(lines: &[Line]) -> Page {
    scan_for(lines, &|_| false)
}

/// The sections that the page is in right now, outermost first.
#[derive(Default, Clone)]
struct Sections(Vec<Section>);

#[derive(Clone)]
struct Section {
    level: usize,
    heading: String,
    /// The set in which it takes the place of a tab.
    set: Option<usize>,
    /// The set of those of its subsections that do.
    set_below: Option<usize>,
}

impl Sections {
    fn headings(&self) -> Vec<String> {
        self.0.iter().map(|section| section.heading.clone()).collect()
    }

    fn innermost(&self) -> String {
        self.0.last().map(|section| section.heading.clone()).unwrap_or_default()
    }

    /// Those that take the place of tabs, as a block names its tabs.
    fn chosen(&self) -> impl Iterator<Item = (usize, String)> {
        let chosen = |section: &Section| Some((section.set?, section.heading.clone()));
        self.0.iter().filter_map(chosen)
    }

    fn begin(&mut self, level: usize, heading: String) {
        self.0.retain(|above| above.level < level);
        self.0.push(Section {
            level,
            heading,
            set: None,
            set_below: None,
        });
    }

    /// Lets the innermost one take the place of a tab, beside those of the same parent that do.
    fn choose_innermost(&mut self, at: Provenance, sets: &mut Vec<TabSet>) {
        let Some((innermost, above)) = self.0.split_last_mut() else {
            return;
        };
        let parent = above.last_mut();
        let known = parent.as_ref().and_then(|parent| parent.set_below);
        let set = known.unwrap_or_else(|| {
            sets.push(TabSet { at, titles: Vec::new() });
            sets.len() - 1
        });
        sets[set].titles.push(innermost.heading.clone());
        innermost.set = Some(set);
        if let Some(parent) = parent {
            parent.set_below = Some(set);
        }
    }
}

fn scan_for(lines: &[Line], is_choice: &dyn Fn(&str) -> bool) -> Page {
    let mut page = Page::default();
    let mut containers: Vec<Container> = Vec::new();
    let mut sections = Sections::default();
    // The sections around each `<details>` that is open.
    let mut around: Vec<Sections> = Vec::new();
    let mut fence: Option<Fence> = None;
    let mut lead = String::new();
    let mut in_comment = false;
    for line in lines {
        let text = line.text.trim_start();
        let margin = width(&line.text);
        if let Some(open) = &mut fence {
            if closes(text, open) {
                if let Some(open) = fence.take().filter(|open| open.is_shell) {
                    page.blocks.push(open.block);
                }
            } else {
                open.block.lines.push(Line {
                    text: without_margin(&line.text, open.margin),
                    ..line.clone()
                });
            }
            continue;
        }
        let is_hidden = in_comment || text.starts_with("<!--");
        in_comment = is_hidden && !text.contains("-->");
        if is_hidden || text.is_empty() {
            continue;
        }
        let left = containers.iter().position(|container| margin < container.margin + 4);
        let left: Vec<Container> = left
            .map(|first| containers.drain(first..).collect())
            .unwrap_or_default();
        let at = Provenance {
            file: line.file.to_string(),
            line: line.number,
            section: sections.innermost(),
        };
        if let Some((sign, length, language)) = opens(text) {
            fence = Some(Fence {
                sign,
                length,
                margin,
                is_shell: SHELLS.contains(&language),
                block: Block {
                    lines: Vec::new(),
                    headings: sections.headings(),
                    tabs: sections
                        .chosen()
                        .chain(containers.iter().filter_map(|container| container.tab.clone()))
                        .collect(),
                    lead: std::mem::take(&mut lead),
                    fence: at,
                },
            });
            continue;
        }
        folds(text, &mut sections, &mut around);
        let is_admonition = ["!!!", "???"].iter().any(|sign| text.starts_with(sign));
        let tab = tab(text);
        if containers.len() == MOST_NESTING && (is_admonition || tab.is_some()) {
            page.problems.push(Problem {
                at,
                raw: named(text),
                kind: ProblemKind::NestedTooDeep,
            });
        } else if let Some((title, starts_set)) = tab {
            // A tab goes on with the set that ended right here, at the same margin.
            let sibling = left.first().filter(|ended| ended.margin == margin && !starts_set);
            let set = sibling.and_then(|ended| ended.tab.as_ref()).map(|(set, _)| *set);
            let set = set.unwrap_or_else(|| {
                page.sets.push(TabSet { at, titles: Vec::new() });
                page.sets.len() - 1
            });
            page.sets[set].titles.push(title.clone());
            containers.push(Container {
                margin,
                tab: Some((set, title)),
            });
        } else if is_admonition {
            containers.push(Container { margin, tab: None });
        } else if let Some((level, heading)) = heading(text) {
            let takes_place = is_choice(&heading);
            sections.begin(level, heading);
            if takes_place {
                sections.choose_innermost(at, &mut page.sets);
            }
        }
        text.clone_into(&mut lead);
    }
    if let Some(open) = fence {
        page.problems.push(Problem {
            at: open.block.fence.clone(),
            raw: open.sign.to_string().repeat(open.length),
            kind: ProblemKind::FenceNeverClosed,
        });
        if open.is_shell {
            page.blocks.push(open.block);
        }
    }
    page
}

/// Follows what HTML folds away (`<details>`): its summary is the heading of what stands in it, and no longer than that.
fn folds(text: &str, sections: &mut Sections, around: &mut Vec<Sections>) {
    let is_open = around.len() < MOST_NESTING;
    if text.contains("<details") && is_open {
        around.push(sections.clone());
    }
    if let Some((_, rest)) = text.split_once("<summary") {
        // One without its `<details>` is closed by the next `</details>` all the same.
        if around.is_empty() {
            around.push(sections.clone());
        }
        let inner = rest.split_once('>').map_or("", |(_, inner)| inner);
        let inner = inner.split("</summary").next().unwrap_or_default();
        let level = inner
            .split_once("<h")
            .and_then(|(_, rest)| rest.chars().next()?.to_digit(10));
        let level = level.and_then(|level| usize::try_from(level).ok()).unwrap_or(FOLDED);
        sections.begin(level, named(&without_tags(inner)));
    }
    if text.contains("</details")
        && let Some(outer) = around.pop()
    {
        *sections = outer;
    }
}

/// The level of a summary that is no heading: below every one.
const FOLDED: usize = 7;

/// A text without the tags of HTML and the signs of emphasis.
fn without_tags(text: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0_usize;
    for sign in text.chars() {
        match sign {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            '*' | '`' => {}
            sign if depth == 0 => plain.push(sign),
            _ => {}
        }
    }
    plain.trim().to_owned()
}

/// The columns of a line's margin; a tab goes to the next multiple of four, as Python-Markdown counts.
fn width(text: &str) -> usize {
    let mut columns = 0;
    for sign in text.chars() {
        match sign {
            ' ' => columns += 1,
            '\t' => columns = columns / 4 * 4 + 4,
            _ => break,
        }
    }
    columns
}

fn without_margin(text: &str, margin: usize) -> String {
    let rest = text.trim_start_matches([' ', '\t']);
    " ".repeat(width(text).saturating_sub(margin)) + rest
}

fn opens(text: &str) -> Option<(char, usize, &str)> {
    let sign = text.chars().next().filter(|sign| matches!(sign, '`' | '~'))?;
    let info = text.trim_start_matches(sign);
    let length = text.len() - info.len();
    if length < 3 || (sign == '`' && info.contains('`')) {
        return None;
    }
    let info = info.trim();
    let language = match info.strip_prefix('{') {
        Some(attributes) => attributes
            .split([' ', '}'])
            .find_map(|attribute| attribute.strip_prefix('.'))
            .unwrap_or_default(),
        // Options may follow: `bash title="x"`.
        None => info
            .split_whitespace()
            .next()
            .filter(|word| !word.contains('='))
            .unwrap_or_default(),
    };
    Some((sign, length, language))
}

fn closes(text: &str, fence: &Fence) -> bool {
    let text = text.trim_end();
    text.len() >= fence.length && text.chars().all(|sign| sign == fence.sign)
}

/// The title of a tab, and whether it starts a new set although one ends right before it (`===!`).
fn tab(text: &str) -> Option<(String, bool)> {
    let rest = text.strip_prefix("===")?;
    let signs = rest.len() - rest.trim_start_matches(['!', '+']).len();
    let title = rest[signs..].strip_prefix([' ', '\t'])?.trim();
    let title = title.strip_prefix('"')?.strip_suffix('"')?;
    Some((named(&title.replace("\\\"", "\"")), rest[..signs].contains('!')))
}

fn heading(text: &str) -> Option<(usize, String)> {
    let rest = text.trim_start_matches('#');
    let level = text.len() - rest.len();
    if !(1..=6).contains(&level) || !rest.starts_with([' ', '\t']) {
        return None;
    }
    let plain = rest.trim().trim_end_matches('#').trim_end().replace(['*', '`'], "");
    Some((level, named(&plain)))
}

/// What a heading, a tab or a comment is called where it is long: its beginning.
pub(super) fn named(text: &str) -> String {
    match text.char_indices().nth(MOST_NAME) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        let line = |(number, text): (u32, &str)| Line {
            text: text.into(),
            file: "g.md".into(),
            number,
        };
        (1..).zip(text.lines()).map(line).collect()
    }

    fn page(text: &str) -> Page {
        scan(&lines(text))
    }

    fn seen(page: &Page) -> Vec<(u32, String, String)> {
        let block = |block: &Block| {
            let tabs: Vec<String> = block.tabs.iter().map(|(set, title)| format!("{set}:{title}")).collect();
            let text: Vec<&str> = block.lines.iter().map(|line| line.text.as_str()).collect();
            (block.at(0).line, tabs.join("/"), text.join("⏎"))
        };
        page.blocks.iter().map(block).collect()
    }

    #[test]
    fn blocks_know_their_tabs_and_lose_their_margin() {
        let text = "\
# One
=== \"A\"

    ```bash
    a \\
      b
    ```

=== \"B\"
      1. list

         ```
         c
         ```
      text
   ```sh
   d
   ```
=== \"C\"

    === \"D\"
        ~~~
        e
        ~~~
";
        let wanted = [
            (5, "0:A", "a \\⏎  b"),
            (13, "0:B", "c"),
            (17, "", "d"),
            (23, "1:C/2:D", "e"),
        ];
        assert_eq!(
            seen(&page(text)),
            wanted.map(|(line, tabs, text)| (line, tabs.into(), text.into()))
        );
    }

    #[test]
    fn headings_stack_by_level_and_lose_their_emphasis() {
        let text = "## **Steps**\n### Try `it`\n```\na\n```\n## Next ##\n```\nb\n```\n";
        let page = page(text);
        assert_eq!(page.blocks[0].headings, ["Steps", "Try it"]);
        assert_eq!(page.blocks[0].at(0).section, "Try it");
        assert_eq!(page.blocks[1].headings, ["Next"]);
    }

    #[test]
    fn sections_take_the_place_of_tabs_where_their_headings_are_choices() {
        let text = "\
## Server
```
a
```
#### GPU-Based
```
b
```
#### CPU-Based
```
c
```
### Next
```
d
```
## CPU-Based again
```
e
```
";
        let pattern = TabPattern {
            contains: vec!["GPU-Based".into(), "CPU-Based".into()],
            without: Vec::new(),
        };
        let page = scan_with_choices(&lines(text), &[&pattern]);
        let wanted = [
            (3, "", "a"),
            (7, "0:GPU-Based", "b"),
            (11, "0:CPU-Based", "c"),
            (15, "", "d"),
            (19, "1:CPU-Based again", "e"),
        ];
        assert_eq!(
            seen(&page),
            wanted.map(|(line, tabs, text)| (line, tabs.into(), text.into()))
        );
        assert_eq!(page.sets[0].titles, ["GPU-Based", "CPU-Based"]);
        assert_eq!(page.sets[0].at.line, 5);
    }

    #[test]
    fn a_summary_is_the_heading_of_what_is_folded_away() {
        let text = "\
### 1. Router
#### Standalone Mode
```
a
```
<details>
<summary><h4>Gateway Mode</h4></summary>

```
b
```
</details>

<details>
<summary> <b>Click here for *more*</b> </summary>
```
c
```
</details>
```
d
```
<summary><h4>Without details</h4></summary>
```
e
```
</details>
```
f
```
";
        let headings: Vec<Vec<String>> = page(text).blocks.into_iter().map(|block| block.headings).collect();
        let wanted: [&[&str]; 6] = [
            &["1. Router", "Standalone Mode"],
            &["1. Router", "Gateway Mode"],
            &["1. Router", "Standalone Mode", "Click here for more"],
            &["1. Router", "Standalone Mode"],
            &["1. Router", "Without details"],
            &["1. Router", "Standalone Mode"],
        ];
        assert_eq!(headings, wanted);
    }

    #[rstest]
    #[case("```yaml", None)]
    #[case("```", Some(()))]
    #[case("``` {.bash .annotate}", Some(()))]
    #[case("```bash title=\"x\"", Some(()))]
    #[case("``` title=\"x\"", Some(()))]
    #[case("```text", None)]
    fn only_fences_of_a_shell_hold_commands(#[case] fence: &str, #[case] holds: Option<()>) {
        let page = page(&format!("{fence}\nx\n```\n"));
        assert_eq!(page.blocks.first().map(|_| ()), holds);
    }

    #[test]
    fn what_stands_in_an_html_comment_is_not_read() {
        assert!(page("<!-- one -->\n<!--\n```\nx\n```\n-->\n").blocks.is_empty());
        assert_eq!(page("<!-- one -->\n```\nx\n```\n").blocks.len(), 1);
    }

    #[test]
    fn an_admonition_is_no_tab_and_its_body_is_read() {
        assert_eq!(
            seen(&page("??? note \"N\"\n\n    ```\n    x\n    ```\n")),
            [(4, String::new(), "x".into())]
        );
    }

    #[test]
    fn the_line_before_a_block_is_its_lead_and_a_fence_left_open_is_a_problem() {
        let page = page("On Windows\n```\nx\n");
        assert_eq!(page.blocks[0].lead, "On Windows");
        assert_eq!(page.problems[0].kind, ProblemKind::FenceNeverClosed);
        assert_eq!(page.problems[0].at.line, 2);
    }

    #[test]
    fn what_every_command_repeats_is_cut_and_no_deep_nest_is_followed() {
        let long = "é".repeat(100_000);
        let text = format!("# {long}\n=== \"{long}\"\n    ```\n    x\n    ```\n");
        let page = page(&text);
        assert_eq!(page.blocks[0].headings[0].chars().count(), MOST_NAME + 1);
        assert_eq!(page.blocks[0].tabs[0].1.chars().count(), MOST_NAME + 1);
        let nested: Vec<String> = (0..100)
            .map(|depth| format!("{}=== \"A\"\n", "\t".repeat(depth)))
            .collect();
        let nested = nested.concat();
        let deep = self::page(&format!("{nested}{0}```\n{0}x\n{0}```\n", "\t".repeat(100)));
        assert_eq!(deep.blocks[0].tabs.len(), MOST_NESTING);
        assert_eq!(deep.problems[0].kind, ProblemKind::NestedTooDeep);
    }

    #[test]
    fn a_marked_tab_starts_a_set_of_its_own() {
        let page = page("=== \"A\"\n    x\n===! \"B\"\n    y\n===+ \"C\"\n    z\n");
        let titles: Vec<_> = page.sets.iter().map(|set| set.titles.join(" ")).collect();
        assert_eq!(titles, ["A", "B C"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_every_block_is_of_the_page(text in "[-=`~#\"A \t\n!?<>*é]{0,200}") {
            let count = u32::try_from(text.lines().count()).unwrap();
            for block in page(&text).blocks {
                prop_assert!(block.at(0).line <= count);
            }
        }
    }
}
