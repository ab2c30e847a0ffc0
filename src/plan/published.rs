//! What a published release has on the web: nothing is substituted, and what is not there yet is asked for.

use super::{
    planner::{NotPlanned, Planner},
    reference::{Reference, classify},
    source::{elsewhere, moving, unreadable},
};
use crate::{
    manifest::{self, Object},
    release::{Address, Found, RepoPath, Tag},
    verdict::{CauseCode, Fault},
};

impl Planner<'_> {
    /// The objects behind a URL, as they were fetched; none while the URL is still wanted.
    pub(super) fn on_the_web(&mut self, source: &str) -> Result<Vec<Object>, NotPlanned> {
        let reference = classify(source);
        let (at, path) = match &reference {
            Reference::File { repository, at, path } if self.is_own(repository) => {
                (Some(at.clone()), path.parse().ok())
            }
            Reference::Asset { repository, at, .. } if self.is_own(repository) => {
                let at = if at == "latest" {
                    self.newest(repository)?
                } else {
                    Some(at.clone())
                };
                if at.is_none() {
                    return Ok(Vec::new());
                }
                (at, None)
            }
            Reference::Directory { .. } | Reference::Releases { .. } => {
                return Err(NotPlanned::Unsupported(format!("`{source}` is no file")));
            }
            _ => (None, None),
        };
        let tag = self.release.tag.as_ref().map(ToString::to_string).unwrap_or_default();
        let other_tag = at.as_ref().filter(|at| **at != tag && at.parse::<Tag>().is_ok());
        let newest = Address::NewestRelease(self.release.repository.clone());
        let newest = self.options.published.get(&newest);
        if let Some(other) = other_tag.filter(|other| newest == Some(&Found::Tag((*other).clone()))) {
            return Err(moving(source, other, &tag));
        }
        let Some(found) = self.found(Address::File(source.to_owned())) else {
            return Ok(Vec::new());
        };
        let objects = match found {
            // Another release's files are never read.
            Found::File(_) if let Some(other) = other_tag => return Err(elsewhere(source, other, &tag)),
            Found::File(bytes) => manifest::read(source, &bytes).map_err(|error| unreadable(&error))?,
            Found::Absent { status } => {
                return Err(Fault::new(
                    format!("`{source}` can be fetched"),
                    format!("the server answers {status}"),
                    CauseCode::GuideReferenceMissing,
                )
                .into());
            }
            Found::Tag(_) => return Err(NotPlanned::Unsupported(format!("`{source}` is no file"))),
        };
        match at {
            // A branch may hold what the tag holds; where it does not, a reader gets something else.
            Some(branch) if branch != tag && !self.tree_has(path.as_ref(), &objects) => {
                Err(elsewhere(source, &branch, &tag))
            }
            _ => Ok(objects),
        }
    }

    /// The newest release of a repository that is no candidate; `None` while it is still wanted.
    pub(super) fn newest(&mut self, repository: &str) -> Result<Option<String>, NotPlanned> {
        match self.found(Address::NewestRelease(repository.to_owned())) {
            None => Ok(None),
            Some(Found::Tag(tag)) => Ok(Some(tag)),
            Some(Found::Absent { status }) => Err(Fault::new(
                format!("the releases of {repository} can be listed"),
                format!("the server answers {status}"),
                CauseCode::GuideReferenceMissing,
            )
            .into()),
            Some(Found::File(_)) => Err(NotPlanned::Unsupported(format!(
                "the list of releases of {repository} is a file"
            ))),
        }
    }

    fn found(&mut self, address: Address) -> Option<Found> {
        let found = self.options.published.get(&address).cloned();
        if found.is_none() && !self.wanted.contains(&address) {
            self.wanted.push(address);
        }
        found
    }

    pub(super) fn is_own(&self, repository: &str) -> bool {
        repository.eq_ignore_ascii_case(&self.release.repository)
    }

    /// Whether the tag's own file holds the same objects.
    fn tree_has(&self, path: Option<&RepoPath>, objects: &[Object]) -> bool {
        let own = path.and_then(|path| self.release.objects(path).ok());
        own.is_some_and(|own| {
            own.iter()
                .map(|object| &object.value)
                .eq(objects.iter().map(|object| &object.value))
        })
    }
}
