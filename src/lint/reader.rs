//! What a reader types who follows the guide for one combination: its commands in order, every word with the variables
//! put in that are known by then.
//!
//! It follows the guide itself and not its plan, so that commands count that no plan carries out: those for another
//! operating system, and the cleanup.

use std::collections::BTreeMap;

use super::{
    Combination,
    named_paths::{NamedPath, named_paths},
};
use crate::{
    guide::{
        Argument, Assignment, Choice, Command, Guide, GuideBook, Named, Program, Reading, Role, Session, Template,
    },
    plan::{self, Offer, Reference},
    record::Provenance,
    release::{Layout, Release},
};

/// Programs with a language of their own, in which `$` means something else than to a shell.
const WITH_A_LANGUAGE: &[&str] = &["awk", "bash", "envsubst", "jq", "perl", "sed", "sh", "yq"];

/// The commands that a reader types who follows the guide for one combination.
#[derive(Debug)]
pub(super) struct Reader {
    /// The combination.
    pub(super) offer: Offer,
    /// The guide for it.
    pub(super) guide: Guide,
    /// The programs, in order; those inside `$(…)` before the command they stand in.
    pub(super) commands: Vec<ReaderCommand>,
    /// Variables that are used and not set by then.
    pub(super) unset: Vec<Use>,
    /// Names of variables in single quotes, where nothing puts their values in.
    pub(super) protected: Vec<Use>,
    /// Variables whose values a download gives.
    pub(super) computed: Vec<Computed>,
    /// The first command that sets a variable.
    set: BTreeMap<String, usize>,
}

/// One program that a reader runs.
#[derive(Debug, Clone)]
pub(super) struct ReaderCommand {
    /// What its section is for.
    pub(super) role: Role,
    /// The number of its block.
    pub(super) block: usize,
    /// The program and its arguments.
    pub(super) program: Program,
    /// The paths of the release that it names.
    pub(super) named: Vec<NamedPath>,
}

/// A variable where a command names it.
#[derive(Debug, Clone)]
pub(super) struct Use {
    /// Its name.
    pub(super) name: String,
    /// The file.
    pub(super) file: String,
    /// The line.
    pub(super) line: u32,
    /// What its section is for.
    pub(super) role: Role,
    /// The number of the command.
    command: usize,
}

/// A variable that the output of a download sets.
#[derive(Debug, Clone)]
pub(super) struct Computed {
    /// Its name.
    pub(super) name: String,
    /// Where.
    pub(super) at: Provenance,
    /// The address.
    pub(super) url: String,
    /// Whether it is the list of this project's releases.
    pub(super) is_of_releases: bool,
}

impl Reader {
    /// The reader of each combination; none where the guide cannot be read or is not the release's own, `book`.
    pub(super) fn all(
        release: &Release,
        layout: &Layout,
        book: Option<&GuideBook>,
        combinations: &[Combination],
    ) -> Vec<Self> {
        let Some(book) = book else { return Vec::new() };
        let offers = combinations.iter().map(|combination| &combination.offer);
        offers
            .filter_map(|offer| Self::of(release, layout, book, offer))
            .collect()
    }

    /// Follows the guide for one combination; `None` where the guide cannot be read for it.
    fn of(release: &Release, layout: &Layout, book: &GuideBook, offer: &Offer) -> Option<Self> {
        let provider = plan::Provider::named(&offer.provider).ok()?;
        let choice = Choice {
            variant: &offer.variant,
            provider: &provider.name,
            provider_tab: provider
                .tab
                .as_ref()
                .filter(|_| layout.only_provider.is_none() && layout.choices.is_none()),
        };
        let guide = book.choose(layout, choice).ok()?;
        let mut reader = Self {
            offer: offer.clone(),
            guide: Guide {
                blocks: Vec::new(),
                ..guide.clone()
            },
            commands: Vec::new(),
            unset: Vec::new(),
            protected: Vec::new(),
            computed: Vec::new(),
            set: BTreeMap::new(),
        };
        let session = Session::new(&layout.environment);
        let mut session = session.in_checkout(release.tree.as_ref(), &release.repository);
        for (variable, value) in layout.set_for(&offer.variant, &offer.provider) {
            session.pin(&variable, Template::text(value));
        }
        let commands = guide.blocks.iter().enumerate().flat_map(|(number, block)| {
            let commands = block.commands.iter().enumerate();
            let chosen = commands.filter(|(command, _)| !block.not_chosen.contains(command));
            chosen.map(move |(_, command)| (number, block.role, command))
        });
        for (number, (block, role, command)) in (1..).zip(commands) {
            reader.follow(
                &mut session,
                release,
                Followed {
                    command,
                    number,
                    block,
                    role,
                },
            );
        }
        // A name in single quotes is a variable's only where the guide sets such a variable.
        let set = &reader.set;
        reader.protected.retain(|used| set.contains_key(&used.name));
        reader.guide = guide;
        Some(reader)
    }

    fn follow(&mut self, session: &mut Session<'_>, release: &Release, followed: Followed<'_>) {
        let reading = session.read(followed.command);
        let unset = reading.unset().into_iter();
        self.unset.extend(unset.map(|named| followed.names(named)));
        for program in reading
            .programs()
            .into_iter()
            .filter(|program| !program.words.is_empty())
        {
            if !has_a_language(program) {
                let quoted = program.single_quoted.iter();
                self.protected.extend(quoted.map(|named| followed.names(named)));
            }
            self.commands.push(ReaderCommand {
                role: followed.role,
                block: followed.block,
                named: named_paths(session, program),
                program: program.clone(),
            });
        }
        let Reading::Assignments(assignments) = &reading else {
            return;
        };
        for assignment in assignments {
            self.set.entry(assignment.name.clone()).or_insert(followed.number);
            let Some(computed) = downloaded(assignment, followed.command, release) else {
                continue;
            };
            if let (true, Some(tag)) = (computed.is_of_releases, &release.tag) {
                session.set(&assignment.name, Template::text(tag.to_string()));
            }
            self.computed.push(computed);
        }
    }

    /// Whether a command after the use sets the variable.
    pub(super) fn is_set_later(&self, used: &Use) -> bool {
        self.set.get(&used.name).is_some_and(|first| *first > used.command)
    }
}

/// Whether what stands in single quotes is read by something else than bash: a program's own language, or the shell of a pod.
fn has_a_language(program: &Program) -> bool {
    let behind = program.words.iter().skip_while(|word| !word.is("--")).skip(1);
    let is_shell = |word: &Argument| {
        let word = word.shown();
        matches!(word.rsplit('/').next(), Some("sh" | "bash" | "ash"))
    };
    WITH_A_LANGUAGE.contains(&program.name.as_str()) || program.name == "kubectl" && behind.take(1).any(is_shell)
}

/// A command that is followed.
#[derive(Clone, Copy)]
struct Followed<'a> {
    command: &'a Command,
    /// Its number among all of this reader.
    number: usize,
    /// The number of its block.
    block: usize,
    role: Role,
}

impl Followed<'_> {
    fn names(&self, named: &Named) -> Use {
        Use {
            name: named.name.clone(),
            file: self.command.at.file.clone(),
            line: named.line,
            role: self.role,
            command: self.number,
        }
    }
}

/// The download whose content sets a variable.
fn downloaded(assignment: &Assignment, command: &Command, release: &Release) -> Option<Computed> {
    let first = assignment.inside.first()?;
    let program = first.words.first()?.known()?;
    if !matches!(program.as_str(), "curl" | "wget") {
        return None;
    }
    let mut words = first.words[1..].iter().map(Argument::shown);
    let url = words.find(|word| word.contains("://"))?;
    let is_of_releases = matches!(
        plan::classify(&url),
        Reference::Releases { repository } if repository.eq_ignore_ascii_case(&release.repository)
    );
    Some(Computed {
        name: assignment.name.clone(),
        at: command.at.clone(),
        url,
        is_of_releases,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        lint,
        release::{MemoryTree, REPOSITORY},
    };

    /// The reader of a small guide whose only block are these lines.
    fn reader(lines: &str) -> Reader {
        let tabs = "=== \"Simulator\"\n\n    x\n\nDone\n\n=== \"Istio\"\n\n    x\n\nDone\n\n";
        let guide = format!("{tabs}```bash\n{lines}\n```\n");
        let mut tree = MemoryTree::default();
        tree.insert("site-src/guides/index.md".parse().unwrap(), guide);
        let release = Release::new(REPOSITORY, "v1.5.0".parse().ok(), None, Box::new(tree));
        let layout = release.layout(None).unwrap();
        let book = GuideBook::open(release.tree.as_ref(), &layout, release.tag.as_ref()).unwrap();
        Reader::all(&release, &layout, Some(&book), &lint::draw(&release, &layout).unwrap()).remove(0)
    }

    fn names(uses: &[Use]) -> Vec<&str> {
        uses.iter().map(|used| used.name.as_str()).collect()
    }

    #[test]
    fn what_nothing_sets_and_what_quotes_protect_is_told() {
        let reader = reader("B=$C\nA=1\nC=2\necho $A $D '$A' '$E' $HOME\nawk '$A'");
        assert_eq!(names(&reader.unset), ["C", "D"]);
        assert!(reader.is_set_later(&reader.unset[0]) && !reader.is_set_later(&reader.unset[1]));
        assert_eq!(names(&reader.protected), ["A"]);
    }

    #[test]
    fn the_list_of_releases_gives_the_tag_and_other_downloads_nothing_that_is_known() {
        let list = format!("https://api.github.com/repos/{REPOSITORY}/releases");
        let reader = reader(&format!(
            "T=$(curl -s {list} | jq -r .[0])\nV=$(curl -L https://a.example/b)\necho $T $V"
        ));
        let computed: Vec<(&str, bool)> = reader
            .computed
            .iter()
            .map(|computed| (computed.name.as_str(), computed.is_of_releases))
            .collect();
        assert_eq!(computed, [("T", true), ("V", false)]);
        let echo = &reader.commands.last().unwrap().program;
        assert!(echo.words[1].is("v1.5.0") && echo.words[2].known().is_none());
    }
}
