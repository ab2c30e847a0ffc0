//! Many runs added up to one: the verdict of each lane, read from the directory of its run.
//!
//! A lane is one variant of a model server on one gateway provider. What a run came to is added up again from its record, and
//! not taken from what the record says of itself. Whatever cannot be read is a lane that did not pass, and never one that is
//! left out. Nothing here is written: the lanes are given to a run as decisions, and its reports are those of every run.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use crate::{
    record::{Decision, Deviation, Exchange, Provenance, Stage, Subject},
    verdict::Finding,
};

mod find;
mod read;

/// The lanes that were run, and those that should have been.
#[derive(Debug, Clone)]
pub struct Lanes {
    ran: Vec<Lane>,
    missing: Vec<WantedLane>,
    /// What was made for all of them and stays.
    left: Vec<String>,
}

/// A lane that must be among those that were run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WantedLane {
    /// The tag; `None` where no release is tested.
    pub(crate) tag: Option<String>,
    /// The model-server variant.
    pub(crate) variant: String,
    /// The gateway provider.
    pub(crate) provider: String,
    /// Why it was not run, where that is known.
    pub(crate) why_not: Option<String>,
}

/// What became of one directory.
#[derive(Debug, Clone)]
struct Lane {
    /// The directory, as it was named.
    place: PathBuf,
    /// What was tested; `None` where that cannot be read.
    subject: Option<Subject>,
    /// What it came to, in one sentence.
    sentence: String,
    finding: Finding,
    from: Option<Provenance>,
    exchange: Option<Box<Exchange>>,
    took_ms: Option<u64>,
    ledger: Vec<Deviation>,
    left_behind: Vec<String>,
}

impl Lanes {
    /// Reads the runs in these directories, each a run's own or one with runs somewhere below, several at the same time. Of
    /// the lanes `wanted` those are missing that no run is about.
    pub(crate) fn read(directories: &[PathBuf], wanted: &[WantedLane]) -> Self {
        let found = find::runs(directories);
        let lanes: Vec<Lane> = found.into_par_iter().map(read::lane).collect();
        // One that is said not to have been run was not, whatever else ran for its variant on its provider.
        let ran = |wanted: &&WantedLane| wanted.why_not.is_none() && lanes.iter().any(|lane| lane.is(wanted));
        let missing = wanted.iter().filter(|lane| !ran(lane)).cloned().collect();
        Self {
            ran: lanes,
            missing,
            left: Vec::new(),
        }
    }

    /// The same, where this stays of what was made for all of them.
    #[must_use]
    pub(crate) fn with_left_behind(mut self, left: Vec<String>) -> Self {
        self.left = left;
        self
    }

    /// What a run is about that adds them up.
    pub(crate) fn subject(&self) -> Subject {
        let subjects = || self.ran.iter().filter_map(|lane| lane.subject.as_ref());
        let one = |field: fn(&Subject) -> Option<&str>| {
            let values: BTreeSet<Option<&str>> = subjects().map(field).collect();
            let only = values.iter().next().copied().flatten().filter(|_| values.len() == 1);
            only.map(str::to_owned)
        };
        let repository = one(|subject| Some(&subject.repository));
        let several = || "several".to_owned();
        let all = self.ran.len() + self.missing.len();
        let lanes = if all == 1 { "lane" } else { "lanes" };
        Subject {
            repository: repository.unwrap_or_else(|| "runs of several repositories".to_owned()),
            tag: one(|subject| subject.tag.as_deref()),
            commit: one(|subject| subject.commit.as_deref()),
            variant: one(|subject| Some(&subject.variant)).unwrap_or_else(several),
            provider: one(|subject| Some(&subject.provider)).unwrap_or_else(several),
            phase: one(|subject| Some(&subject.phase)).unwrap_or_else(several),
            extent: Some(format!("{all} {lanes}, each a run of its own")),
        }
    }

    /// A decision for each lane, under a name that no other has.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        let names = self.names();
        let taken: BTreeSet<String> = names.iter().cloned().collect();
        let ran = self.ran.iter().zip(names).map(|(lane, name)| Decision {
            from: lane.from.clone(),
            took_ms: lane.took_ms,
            exchange: lane.exchange.clone(),
            ..Decision::new(Stage::Lanes, name, lane.sentence.as_str(), lane.finding.clone())
        });
        let tags = self.tags_differ();
        let missing = self.missing.iter().map(|lane| {
            let why = match &lane.why_not {
                Some(why) => format!("it was not run: {why}"),
                None => "no run of it is among these directories".to_owned(),
            };
            let name = lane.name(tags);
            let name = if taken.contains(&name) {
                format!("{name}@not-run")
            } else {
                name
            };
            let sentence = format!("{} has no verdict", lane.sentence());
            Decision::new(Stage::Lanes, name, sentence, Finding::Undecided { why })
        });
        ran.chain(missing).chain(self.of_several_commits()).collect()
    }

    /// Of each tag whose lanes are of several commits, that nothing is decided: no one release has all of these verdicts.
    fn of_several_commits(&self) -> Vec<Decision> {
        let mut commits: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for subject in self.ran.iter().filter_map(|lane| lane.subject.as_ref()) {
            if let (Some(tag), Some(commit)) = (&subject.tag, &subject.commit) {
                commits.entry(tag).or_default().insert(commit);
            }
        }
        let several = commits.into_iter().filter(|(_, commits)| commits.len() > 1);
        let undecided = several.map(|(tag, commits)| {
            let commits: Vec<&str> = commits.into_iter().collect();
            let why = format!(
                "they are of {} commits, so no one release has all of these verdicts: {}",
                commits.len(),
                commits.join(", ")
            );
            let sentence = format!("the lanes of {tag} are of one commit");
            Decision::new(
                Stage::Lanes,
                format!("lanes-of-one-commit:{tag}"),
                sentence,
                Finding::Undecided { why },
            )
        });
        undecided.collect()
    }

    /// What is worth a line beside the verdicts.
    pub(crate) fn notes(&self) -> Vec<String> {
        let passed = self.ran.iter().filter(|lane| lane.finding == Finding::Holds).count();
        let all = self.ran.len() + self.missing.len();
        vec![format!("{passed} of {all} lanes passed")]
    }

    /// Every deviation of any lane, each once.
    pub(crate) fn ledger(&self) -> Vec<Deviation> {
        let mut seen = BTreeSet::new();
        let all = self.ran.iter().flat_map(|lane| &lane.ledger);
        let key = |entry: &Deviation| (entry.kind.word(), entry.subject.clone(), entry.what.clone());
        all.filter(|entry| seen.insert(key(entry))).cloned().collect()
    }

    /// What runs left behind, with the directory of each.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let of = |lane: &Lane| {
            let place = lane.place.display().to_string();
            let left = lane.left_behind.clone().into_iter();
            left.map(move |what| format!("{what} ({place})")).collect::<Vec<_>>()
        };
        self.ran.iter().flat_map(of).chain(self.left.clone()).collect()
    }

    fn tags_differ(&self) -> Tags {
        let ran = self.ran.iter().filter_map(|lane| lane.subject.as_ref());
        let ran = ran.map(|subject| subject.tag.as_deref());
        let missing = self.missing.iter().map(|lane| lane.tag.as_deref());
        if ran.chain(missing).collect::<BTreeSet<_>>().len() > 1 {
            Tags::Differ
        } else {
            Tags::Same
        }
    }

    /// The names of the checks, lane by lane. The same lane on several machines is told apart by the directory that its run is
    /// in, without the run's own, which has another name each time, where that is enough.
    fn names(&self) -> Vec<String> {
        let tags = self.tags_differ();
        let short: Vec<String> = self.ran.iter().map(|lane| lane.name(tags)).collect();
        let beside: Vec<String> = std::iter::zip(&self.ran, &short)
            .map(|(lane, name)| format!("{name}@{}", lane.machine()))
            .collect();
        let (times_short, times_beside) = (counted(&short), counted(&beside));
        let mut names = Vec::with_capacity(short.len());
        for ((lane, short), beside) in self.ran.iter().zip(&short).zip(&beside) {
            names.push(match (times_short[short.as_str()], times_beside[beside.as_str()]) {
                (1, _) => short.clone(),
                (_, 1) => beside.clone(),
                _ => format!("{short}@{}", lane.place.display()),
            });
        }
        names
    }
}

/// Whether lanes are of one release, so that their names need not say which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tags {
    Same,
    Differ,
}

fn counted(names: &[String]) -> BTreeMap<&str, usize> {
    let mut times = BTreeMap::new();
    for name in names {
        *times.entry(name.as_str()).or_default() += 1;
    }
    times
}

fn name(tags: Tags, tag: Option<&str>, provider: &str, variant: &str) -> String {
    match (tags, tag) {
        (Tags::Differ, tag) => format!("lane:{}/{provider}/{variant}", tag.unwrap_or("embedded")),
        (Tags::Same, _) => format!("lane:{provider}/{variant}"),
    }
}

impl WantedLane {
    fn name(&self, tags: Tags) -> String {
        name(tags, self.tag.as_deref(), &self.provider, &self.variant)
    }

    fn sentence(&self) -> String {
        let of = self.tag.as_deref().unwrap_or("the embedded quickstart");
        format!("{of} on {} with {}", self.provider, self.variant)
    }
}

impl Lane {
    /// Whether it is a run of this one.
    fn is(&self, wanted: &WantedLane) -> bool {
        self.subject.as_ref().is_some_and(|subject| {
            subject.extent.is_none()
                && subject.tag == wanted.tag
                && subject.variant == wanted.variant
                && subject.provider == wanted.provider
        })
    }

    fn name(&self, tags: Tags) -> String {
        match &self.subject {
            Some(subject) if subject.extent.is_none() => {
                name(tags, subject.tag.as_deref(), &subject.provider, &subject.variant)
            }
            Some(subject) => format!("lane:{}", subject.repository),
            None => "lane:unknown".to_owned(),
        }
    }

    /// The directory that the run's own is in.
    fn machine(&self) -> String {
        let parent = self.place.parent().and_then(Path::file_name);
        parent.unwrap_or(self.place.as_os_str()).to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests;
