//! What a rule is: its code, how bad its findings are, what it is about, and its examples.

use super::{Examined, Findings};

/// A table of rules: above each what it is about, then how bad its findings are at worst, the name of its constant, and
/// its code. `ALL` lists them in this order.
macro_rules! rules {
    ($($(#[doc = $about:literal])+ $severity:ident $name:ident = $code:literal;)+) => {
        /// Every rule of the table, in its order.
        pub(super) const ALL: &[&$crate::lint::Rule] = &[$(&$name),+];
        $(rule! { $(#[doc = $about])+ $severity $name = $code; })+
    };
}

/// One rule that stands in no table of a family.
macro_rules! rule {
    ($(#[doc = $about:literal])+ $severity:ident $name:ident = $code:literal;) => {
        pub(super) static $name: $crate::lint::Rule = $crate::lint::Rule {
            code: $code,
            severity: $crate::lint::Severity::$severity,
            // A line of a comment begins with a blank.
            about: concat!($($about),+).trim_ascii_start(),
        };
    };
}

/// Rules that look at the same thing.
pub struct Family {
    /// What it looks at, such as `images`.
    pub name: &'static str,
    /// Its rules.
    pub rules: &'static [&'static Rule],
    /// Looks for what all of its rules name, in one go over the release.
    pub(crate) look: fn(&Examined<'_>, &mut Findings),
}

impl std::fmt::Debug for Family {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Family").field(&self.name).finish()
    }
}

/// A rule: one kind of mistake that lint looks for.
///
/// ```
/// let rule = quickproof::lint::rule("image-tag-floating").expect("a rule of this code");
/// assert_eq!(rule.severity.word(), "break-later");
/// let examples = rule.examples().expect("examples of the rule");
/// assert_eq!(examples.bad[0].path, "config/manifests/model/sim.yaml");
/// ```
#[derive(Debug)]
pub struct Rule {
    /// The stable code, such as `route-backend-unknown`.
    pub code: &'static str,
    /// How bad it is at worst; a finding of it may be milder, where it stands in a file that no command of the guide
    /// asks for.
    pub severity: Severity,
    /// What is wrong where it is found, and for whom, in one or a few sentences; the source of the fact it leans on.
    pub(crate) about: &'static str,
}

/// How bad a finding is. From the mildest to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Untidy, and without consequence for a reader.
    Hygiene,
    /// Unpinned or inconsistent: two readers may get different things.
    Drift,
    /// Something documented does not work, and the quickstart does all the same.
    Degraded,
    /// The documented step works until something floating moves.
    BreakLater,
    /// The documented step fails for someone today.
    Break,
}

impl Severity {
    /// Every severity, from the worst to the mildest.
    pub(crate) const ALL: [Self; 5] = [
        Self::Break,
        Self::BreakLater,
        Self::Degraded,
        Self::Drift,
        Self::Hygiene,
    ];

    /// Its name in output and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hygiene => "hygiene",
            Self::Drift => "drift",
            Self::Degraded => "degraded",
            Self::BreakLater => "break-later",
            Self::Break => "break",
        }
    }

    /// The level of SARIF that it is shown as: `error`, `warning` or `note`.
    pub(super) fn level(self) -> &'static str {
        match self {
            Self::Break => "error",
            Self::BreakLater | Self::Degraded => "warning",
            Self::Drift | Self::Hygiene => "note",
        }
    }
}

/// The examples of a rule: changes to the example release (`tests/data/trees/lint`).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Examples {
    /// Changes after which the rule finds something.
    pub bad: Vec<Change>,
    /// Changes to the same files after which it finds nothing.
    pub(crate) good: Vec<Change>,
}

/// A file of an example, and its text.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// The file. A path `-PATH` removes a file, `rendered/DIRECTORY` is what `helm template` makes of the chart in that
    /// directory, `built/DIRECTORY` what `kubectl kustomize` makes of it, `git` is what git says of the tag, and `base` names the
    /// release that is changed, where that is not the first (`tests/data/trees`).
    pub path: String,
    /// Its text. One that begins with `@@` and a line feed is a patch of the example release's own file: lines that
    /// begin with `-` are replaced by those that begin with `+`, those that begin with a space are there to say where.
    /// The lines that a patch takes away or only names follow each other in the file, and nowhere else in it.
    pub(crate) text: String,
}

/// `CODE.txtar` for each rule that has examples.
#[derive(rust_embed::RustEmbed)]
#[folder = "manifests/lint/examples"]
struct ExampleFiles;

impl Rule {
    /// The first sentence of what it is about.
    pub(crate) fn first_sentence(&self) -> &'static str {
        self.about.split_once(". ").map_or(self.about, |(first, _)| first)
    }

    /// Its examples, from `manifests/lint/examples/CODE.txtar`; `None` for a rule that needs more than a tree to be
    /// shown, such as the answer of an API server.
    pub fn examples(&self) -> Option<Examples> {
        let file = ExampleFiles::get(&format!("{}.txtar", self.code))?;
        Some(Examples::read(&String::from_utf8_lossy(&file.data)))
    }
}

impl Examples {
    /// Reads an archive of text files: each begins with a line `-- bad/PATH --` or `-- good/PATH --`. Source of the
    /// form: `golang.org/x/tools/txtar`.
    fn read(archive: &str) -> Self {
        let mut examples = Self::default();
        let mut files: Option<&mut Vec<Change>> = None;
        for line in archive.split_inclusive('\n') {
            let name = line
                .trim_end()
                .strip_prefix("-- ")
                .and_then(|name| name.strip_suffix(" --"));
            if let Some((side, path)) = name.and_then(|name| name.split_once('/')) {
                let side = if side == "bad" {
                    &mut examples.bad
                } else {
                    &mut examples.good
                };
                side.push(Change {
                    path: path.to_owned(),
                    text: String::new(),
                });
                files = Some(side);
            } else if let Some(last) = files.as_mut().and_then(|files| files.last_mut()) {
                last.text.push_str(line);
            }
        }
        examples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_holds_the_files_of_both_sides() {
        let change = |path: &str, text: &str| Change {
            path: path.into(),
            text: text.into(),
        };
        let read = Examples::read("-- bad/a/b --\none\n-- two\n-- bad/-c --\n-- good/a/b --\n");
        assert_eq!(read.bad, [change("a/b", "one\n-- two\n"), change("-c", "")]);
        assert_eq!(read.good, [change("a/b", "")]);
    }

    #[test]
    fn every_file_of_examples_is_of_a_rule() {
        for file in ExampleFiles::iter() {
            let code = file.strip_suffix(".txtar").unwrap();
            assert!(crate::lint::rule(code).is_some(), "there is no rule `{code}`");
        }
    }
}
