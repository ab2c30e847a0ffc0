//! Where in a checkout of the release a reader stands, and what the shell knows of it.

use std::collections::BTreeMap;

use super::Program;
use crate::{
    guide::Template,
    release::{RepoPath, Tree},
};

/// What the root of the checkout is called where a command asks git for it. A guide only ever puts names behind it.
pub(super) const ROOT: &str = "/checkout";

/// The most directories that are remembered to go back to; more of them nobody types.
const MOST_VISITED: usize = 64;

/// A checkout of the release on the reader's disk, and where in it the reader stands.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) tree: &'a dyn Tree,
    /// The release's repository, `owner/name`.
    repository: &'a str,
    here: Here,
    /// Where the reader stood before, the last one last.
    visited: Vec<Here>,
    /// Directories that `git clone` made, and whether they are checkouts of the release.
    clones: BTreeMap<String, bool>,
}

/// A directory of the reader's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Here {
    /// A directory of the checkout; `None` for its root.
    Inside(Option<RepoPath>),
    /// Any other.
    Outside(String),
}

impl<'a> Place<'a> {
    pub(super) fn new(tree: &'a dyn Tree, repository: &'a str) -> Self {
        Self {
            tree,
            repository,
            here: Here::Inside(None),
            visited: Vec::new(),
            clones: BTreeMap::new(),
        }
    }

    /// Whether the reader stands in the checkout.
    fn is_inside(&self) -> bool {
        matches!(self.here, Here::Inside(_))
    }

    /// Where the reader stands.
    ///
    /// # Errors
    /// It is no directory of the tree.
    pub(super) fn here(&self) -> Result<String, String> {
        match &self.here {
            Here::Inside(directory) => Ok(directory.as_ref().map_or_else(|| ".".to_owned(), RepoPath::to_string)),
            Here::Outside(name) => Err(format!("`{name}` is no directory of the release")),
        }
    }

    /// The file or directory of the tree that a text names; `None` for the root of the tree.
    ///
    /// # Errors
    /// It is none of the tree.
    fn located(&self, text: &str) -> Result<Option<RepoPath>, String> {
        let outside = |_| format!("`{text}` leads out of the release's files");
        let text = text.trim();
        // Two slashes are one.
        let plain: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
        let plain = plain.join("/");
        let below_root = text
            .strip_prefix(ROOT)
            .filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let is_absolute = text.starts_with(['/', '~']);
        let (directory, path) = match (below_root, &self.here) {
            (Some(_), _) => (
                None,
                plain
                    .strip_prefix(&ROOT[1..])
                    .unwrap_or_default()
                    .trim_start_matches('/'),
            ),
            (None, _) if is_absolute => return Err(format!("`{text}` is no file of the release")),
            (None, Here::Outside(name)) => {
                return Err(format!("`{text}` stands in `{name}`, which is not of the release"));
            }
            (None, Here::Inside(directory)) => (directory.as_ref(), plain.as_str()),
        };
        let is_root = |path: &str| path.split('/').all(|part| matches!(part, "" | "."));
        match directory {
            None if is_root(path) => Ok(None),
            None => path.parse().map(Some).map_err(outside),
            Some(directory) if is_root(path) => Ok(Some(directory.clone())),
            Some(directory) => match directory.join(path) {
                Ok(found) => Ok(Some(found)),
                // `..` as often as there are parts leads to the root itself, which has no path.
                Err(_) if path.split('/').all(|part| part == "..") => {
                    let depth = directory.as_str().split('/').count();
                    if path.split('/').count() == depth {
                        Ok(None)
                    } else {
                        Err(format!("`{text}` leads out of the release's files"))
                    }
                }
                Err(error) => Err(outside(error)),
            },
        }
    }

    /// The path in the tree that a text names.
    ///
    /// # Errors
    /// It is none of the tree.
    pub(super) fn path(&self, text: &str) -> Result<RepoPath, String> {
        self.located(text)?
            .ok_or_else(|| format!("`{text}` is the root of the release's files"))
    }

    /// What a program changes of where the reader stands: `cd` and `git clone`.
    pub(super) fn follow(&mut self, program: &Program) {
        let words: Vec<String> = program.words.iter().filter_map(|word| word.text().ok()).collect();
        if words.len() < program.words.len() {
            return;
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["cd", to] => self.change(to),
            ["git", "clone", rest @ ..] => self.clone_of(rest),
            _ => {}
        }
    }

    fn change(&mut self, to: &str) {
        if to == "-" {
            if let Some(before) = self.visited.pop() {
                self.here = before;
            }
            return;
        }
        let first = to.trim_start_matches("./").split('/').next().unwrap_or_default();
        let there = match self.clones.get(first) {
            Some(true) => {
                let rest = to.trim_start_matches("./")[first.len()..].trim_matches('/');
                Here::Inside(rest.parse().ok())
            }
            Some(false) => Here::Outside(to.to_owned()),
            None => match (self.located(to), &self.here) {
                (Ok(path), _)
                    if path
                        .as_ref()
                        .is_none_or(|path| self.tree.list(path).is_ok_and(|all| !all.is_empty())) =>
                {
                    Here::Inside(path)
                }
                (_, Here::Outside(_)) if matches!(to, "..") => {
                    self.visited.last().cloned().unwrap_or(Here::Inside(None))
                }
                _ => Here::Outside(to.to_owned()),
            },
        };
        let before = std::mem::replace(&mut self.here, there);
        if self.visited.len() < MOST_VISITED {
            self.visited.push(before);
        }
    }

    fn clone_of(&mut self, words: &[&str]) {
        let given: Vec<&&str> = words.iter().filter(|word| !word.starts_with('-')).collect();
        let Some(url) = given.iter().find(|word| word.contains("://") || word.contains('@')) else {
            return;
        };
        let path = url.trim_end_matches('/').trim_end_matches(".git");
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_own = path
            .to_ascii_lowercase()
            .ends_with(&format!("/{}", self.repository.to_ascii_lowercase()));
        let directory = given
            .iter()
            .skip_while(|word| *word != url)
            .nth(1)
            .map_or(name, |word| **word);
        self.clones.insert(directory.to_owned(), is_own);
    }

    /// What a program prints, where the checkout alone says it.
    pub(super) fn output_of(&self, program: &Program) -> Option<Template> {
        let words: Option<Vec<String>> = program.words.iter().map(|word| word.text().ok()).collect();
        let words = words?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let absolute = |text: &str| match self.located(text) {
            Ok(None) => Some(Template::text(ROOT)),
            Ok(Some(path)) => Some(Template::text(format!("{ROOT}/{path}"))),
            Err(_) => None,
        };
        match words.as_slice() {
            ["git", "rev-parse", "--show-toplevel"] if self.is_inside() => Some(Template::text(ROOT)),
            ["realpath", path] | ["readlink", "-f", path] => absolute(path),
            ["pwd"] => absolute("."),
            _ => None,
        }
    }
}
