//! The reader's checkout of the release: `git clone`, `git checkout`, `cd`, and scripts that the release brings.

use super::{
    Action,
    planner::{Invocation, NotPlanned, Planned, Planner, texts},
};
use crate::{
    guide::Argument,
    record::DeviationKind,
    release::Repository,
    verdict::{CauseCode, Fault},
};

impl Planner<'_> {
    /// `cd`: where the reader stands is kept by the session.
    pub(super) fn changed_directory(&mut self, run: &Invocation<'_>) -> Result<Planned, NotPlanned> {
        let words = texts(run.words)?;
        let [_, directory] = words.as_slice() else {
            return Err(NotPlanned::Unsupported("it names no one directory".into()));
        };
        match self.session.here() {
            Ok(_) => Ok(Planned::new(
                format!("the reader stands in {directory}"),
                Action::Variables,
            )),
            Err(why) => Err(NotPlanned::Unsupported(why)),
        }
    }

    /// `git clone` and `git checkout`: the release's own files stand for the clone.
    pub(super) fn git(&mut self, run: &Invocation<'_>) -> Result<Planned, NotPlanned> {
        let words = texts(run.words)?;
        let words: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .filter(|word| !word.starts_with('-'))
            .collect();
        match words.as_slice() {
            ["git", "clone", url, ..] if self.is_clone_of_release(url) => {
                let what = "the release's own files stand for the clone";
                Ok(self.stands_for(run, url, what))
            }
            ["git", "clone", url, ..] => Err(NotPlanned::Unsupported(format!("`{url}` is another project"))),
            ["git", "checkout" | "switch", at] => {
                self.session.here().map_err(NotPlanned::Unsupported)?;
                if !self.is_branch_of_release(at) {
                    self.of_this_release(at, &format!("git checkout {at}"))?;
                }
                let tag = self.release.tag.as_ref();
                let tag = tag.map_or_else(|| "the commit under test".to_owned(), ToString::to_string);
                let what = format!("the files are those of {tag}");
                Ok(self.stands_for(run, at, &what))
            }
            _ => Err(NotPlanned::Unsupported(format!("`{}` is not known", words.join(" ")))),
        }
    }

    fn is_clone_of_release(&self, url: &str) -> bool {
        let path = url.trim_end_matches('/').trim_end_matches(".git").to_ascii_lowercase();
        path.ends_with(&format!("/{}", self.release.repository.to_ascii_lowercase()))
    }

    /// Whether a branch is the one that the tag under test is cut from. Of what bears no tag every branch may be it.
    fn is_branch_of_release(&self, at: &str) -> bool {
        let Some(tag) = &self.release.tag else { return true };
        let known = Repository::known_as(&self.release.repository).ok().flatten();
        known.is_some_and(|known| known.branch_of(tag) == at)
    }

    fn stands_for(&mut self, run: &Invocation<'_>, subject: &str, what: &str) -> Planned {
        let why = "what is tested is the tree at hand, and nothing is fetched in its place";
        self.deviate(DeviationKind::LeftOut, subject, what, why, Some(run.at));
        Planned::new(what, Action::LeftOut { why: why.to_owned() })
    }

    /// A script of the release: what it does is data of the layout. Any other is not known.
    pub(super) fn script(&mut self, run: &Invocation<'_>, named: Option<&Argument>) -> Result<Planned, NotPlanned> {
        let named = named
            .ok_or_else(|| NotPlanned::Unsupported("it opens a shell".into()))?
            .text()?;
        let path = self.session.path(&named).map_err(NotPlanned::Unsupported)?;
        let layout = self.layout;
        let Some(script) = layout.scripts.iter().find(|script| script.file == path) else {
            if !self.release.tree.exists(&path) {
                return Err(NotPlanned::Undecided(format!(
                    "the tree has no `{path}`, so what it does is not known"
                )));
            }
            return Err(NotPlanned::Unsupported(format!(
                "`{path}` is a script that is not read"
            )));
        };
        let behind = run
            .words
            .iter()
            .position(|word| word.text().is_ok_and(|word| word == named));
        let arguments = run.words.get(behind.unwrap_or(0) + 1..).unwrap_or_default();
        let words: Vec<Argument> = script
            .does
            .iter()
            .map(Argument::new)
            .chain(arguments.iter().cloned())
            .collect();
        let shown: Vec<String> = words.iter().map(Argument::shown).collect();
        let what = format!("`{}` is done in its place", shown.join(" "));
        self.deviate(
            DeviationKind::Substituted,
            path.to_string(),
            what,
            script.why.clone(),
            Some(run.at),
        );
        self.kubectl(&Invocation { words: &words, ..*run }, None)
    }

    /// The file of the tree that a command gives to its program, such as one of values.
    pub(super) fn file(&self, named: &str) -> Result<crate::release::RepoPath, NotPlanned> {
        if named.contains("://") {
            return Err(NotPlanned::Unsupported(format!("`{named}` is read from the web")));
        }
        let path = self.session.path(named).map_err(NotPlanned::Unsupported)?;
        if self.release.tree.exists(&path) {
            return Ok(path);
        }
        Err(Fault::new(
            format!("`{path}` exists in the release"),
            "the release has no such file",
            CauseCode::GuideReferenceMissing,
        )
        .into())
    }
}
