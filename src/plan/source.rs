//! Where the objects of `kubectl apply` come from before publication: the release's tree stands in for its addresses.

use super::{
    Phase,
    planner::{Invocation, NotPlanned, Planner},
    reference::{Reference, classify},
};
use crate::{
    manifest::{self, Object},
    record::DeviationKind,
    release::{BundleError, RepoPath, Tag, TreeError},
    verdict::{Cause, CauseCode, Fault},
};

/// The asset of a release that holds its CRDs.
const BUNDLE: &str = "manifests.yaml";

impl Planner<'_> {
    /// The objects of one `-f` of the step that comes next.
    pub(super) fn objects(&mut self, source: &str, run: &Invocation<'_>) -> Result<Vec<Object>, NotPlanned> {
        if let Some(objects) = self.of_schemas(source, run) {
            return Ok(objects);
        }
        self.memory.for_reading()?;
        let reference = classify(source);
        if let Reference::Asset { repository, at, name } = &reference
            && name == BUNDLE
            && self.is_own(repository)
        {
            self.has_our_kinds(at, source)?;
        }
        if self.options.phase == Phase::AfterPublish && source.contains("://") {
            let objects = self.on_the_web(source)?;
            self.memory.for_objects(&objects)?;
            return Ok(objects);
        }
        match reference {
            Reference::Path(path) if path == "-" => {
                let objects = given(run)?;
                self.memory.for_objects(&objects)?;
                Ok(objects)
            }
            Reference::Path(path) => {
                let path = self.located(&path, source)?;
                self.of_tree(&path, source)
            }
            Reference::File { repository, at, path } => {
                if let Some(other) = self.in_place_of(&path, source, run.at) {
                    return self.of_tree(&other, source);
                }
                if self.is_own(&repository) && self.release.tag_holds(&at, &path) == Some(false) {
                    return Err(missing_in(source, &at));
                }
                self.belongs(&repository, &at, source)?;
                let path: RepoPath = path.parse().map_err(|_| missing(source))?;
                let objects = self.of_tree(&path, source)?;
                self.serve(source, format!("`{path}` of the tree is used"), &at, run);
                Ok(objects)
            }
            Reference::Asset { repository, at, name } => {
                self.belongs(&repository, &at, source)?;
                let (objects, what) = match self.options.artifacts.get(&name) {
                    Some(bytes) => {
                        let objects = manifest::read(&format!("artifacts/{name}"), bytes);
                        let objects = objects.map_err(|error| unreadable(&error))?;
                        self.memory.for_objects(&objects)?;
                        (objects, format!("`{name}` of the artifacts is used"))
                    }
                    None if name == BUNDLE => (self.bundle()?, "the bundle is built from `config/crd`".to_owned()),
                    None => {
                        return Err(NotPlanned::Unsupported(format!(
                            "the asset `{name}` cannot be built from the tree; give it in `--artifacts DIR`"
                        )));
                    }
                };
                self.serve(source, what, &at, run);
                Ok(objects)
            }
            Reference::Directory { .. } | Reference::Releases { .. } | Reference::Elsewhere => Err(
                NotPlanned::Unsupported(format!("`{source}` is not an address of the release")),
            ),
        }
    }

    /// The path in the tree that a command names where the reader stands.
    fn located(&self, path: &str, source: &str) -> Result<RepoPath, NotPlanned> {
        self.session.here().map_err(NotPlanned::Unsupported)?;
        self.session.path(path).map_err(|_| missing(source))
    }

    /// The objects of one `-k`.
    pub(super) fn kustomized(&mut self, source: &str, run: &Invocation<'_>) -> Result<Vec<Object>, NotPlanned> {
        if let Some(objects) = self.of_schemas(source, run) {
            return Ok(objects);
        }
        self.memory.for_reading()?;
        let path = match classify(source) {
            Reference::Directory { .. } if self.options.phase == Phase::AfterPublish => {
                return Err(NotPlanned::Unsupported(format!(
                    "`{source}` is a directory on the web, which only git can fetch"
                )));
            }
            Reference::Directory { repository, at, path } => {
                self.belongs(&repository, &at, source)?;
                self.serve(source, format!("`{path}` of the tree is used"), &at, run);
                path.parse().map_err(|_| missing(source))?
            }
            Reference::Path(path) => self.located(&path, source)?,
            _ => {
                return Err(NotPlanned::Unsupported(format!(
                    "`{source}` is not an address of the release"
                )));
            }
        };
        if path.as_str() == "config/crd" {
            return self.bundle();
        }
        self.built(&path)
    }

    /// Refuses an address of another repository, and one of this repository that is not of the tag under test: nothing
    /// but the tag's own files is ever read.
    pub(super) fn belongs(&self, repository: &str, at: &str, source: &str) -> Result<(), NotPlanned> {
        if !self.is_own(repository) {
            return Err(NotPlanned::Unsupported(format!(
                "`{source}` is an address of another project"
            )));
        }
        self.of_this_release(at, source)
    }

    /// Refuses what is not of the tag under test. Before publication, what the layout lets stand for the tag is of it.
    pub(super) fn of_this_release(&self, at: &str, source: &str) -> Result<(), NotPlanned> {
        let tag = self.release.tag.as_ref().map(ToString::to_string).unwrap_or_default();
        let stands_in = self.options.phase == Phase::BeforePublish && self.why_served(at).is_some();
        if at == tag || stands_in {
            return Ok(());
        }
        Err(elsewhere(source, at, &tag))
    }

    /// Refuses the CRDs of another release that lack what the endpoint picker of this one watches.
    fn has_our_kinds(&self, at: &str, source: &str) -> Result<(), NotPlanned> {
        let (Ok(other), Some(own)) = (at.parse::<Tag>(), &self.release.tag) else {
            return Ok(());
        };
        let lacking = self.release.kinds_lacking_in(&other, self.layout);
        let why = format!("the endpoint picker of {own} watches {}", lacking.join(", "));
        unless_lacking(&lacking, format!("`{source}` has the kinds of {own}"), why)
    }

    /// Refuses the chart of another release whose endpoint picker watches what the CRDs of this one lack.
    pub(super) fn has_their_kinds(&self, at: &str, source: &str) -> Result<(), NotPlanned> {
        let (Ok(other), Some(own)) = (at.parse::<Tag>(), &self.release.tag) else {
            return Ok(());
        };
        let crds = self.release.crd_bundle().unwrap_or_default();
        let crds: Vec<&Object> = crds.iter().collect();
        let lacking = self.release.kinds_lacking_for(&other, self.layout, &crds);
        let why = format!("the endpoint picker of {other} watches {}", lacking.join(", "));
        unless_lacking(&lacking, format!("`{source}` runs with the CRDs of {own}"), why)
    }

    /// Why the tree stands in for a branch or version that the guide names; `None` where it does not.
    fn why_served(&self, at: &str) -> Option<&str> {
        let mut known = self.layout.stands_for_tag.iter();
        known.find(|known| known.name == at).map(|known| known.why.as_str())
    }

    /// Notes that the tree stands in for an address.
    pub(super) fn serve(&mut self, source: &str, what: impl Into<String>, at: &str, run: &Invocation<'_>) {
        let published = "before the release is published, its own files stand in for its addresses";
        let why = self.why_served(at).unwrap_or(published).to_owned();
        self.deviate(DeviationKind::Substituted, source, what, why, Some(run.at));
    }

    fn bundle(&mut self) -> Result<Vec<Object>, NotPlanned> {
        let objects = self.release.crd_bundle().map_err(|error| match error {
            BundleError::Unsupported { .. } => NotPlanned::Unsupported(error.to_string()),
            _ => unreadable(&error),
        })?;
        self.memory.for_objects(&objects)?;
        Ok(objects)
    }

    fn of_tree(&mut self, path: &RepoPath, source: &str) -> Result<Vec<Object>, NotPlanned> {
        let tree = self.release.tree.as_ref();
        let files = if tree.exists(path) {
            vec![path.clone()]
        } else {
            // A directory: kubectl takes the manifests right in it.
            let is_manifest = |file: &RepoPath| {
                let ending = file.as_str().rsplit('.').next();
                file.parent().as_ref() == Some(path) && matches!(ending, Some("yaml" | "yml" | "json"))
            };
            let files = tree.list(path).map_err(|error| match error {
                TreeError::Missing { .. } => missing(source),
                error => unreadable(&error),
            })?;
            files.into_iter().filter(is_manifest).collect()
        };
        let mut objects = Vec::new();
        for file in files {
            let read = self.release.objects(&file).map_err(|error| unreadable(&error))?;
            self.memory.for_objects(&read)?;
            objects.extend(read.iter().cloned());
        }
        if objects.is_empty() {
            return Err(Fault::new(
                "it holds objects",
                format!("`{source}` holds none"),
                CauseCode::ManifestUnreadable,
            )
            .into());
        }
        Ok(objects)
    }
}

/// The objects given on standard input, with their lines in the guide.
fn given(run: &Invocation<'_>) -> Result<Vec<Object>, NotPlanned> {
    let (text, line) = run
        .input
        .ok_or_else(|| NotPlanned::Unsupported("nothing is given to it on standard input".into()))?;
    let mut objects = manifest::read(&run.at.file, text.as_bytes()).map_err(|error| unreadable(&error))?;
    for object in &mut objects {
        object.line += line - 1;
    }
    Ok(objects)
}

pub(super) fn missing(source: &str) -> NotPlanned {
    Fault::new(
        format!("`{source}` exists in the release"),
        "the release has no such file",
        CauseCode::GuideReferenceMissing,
    )
    .into()
}

/// What the guide names of another tag is not there either.
fn missing_in(source: &str, tag: &str) -> NotPlanned {
    Fault::new(
        format!("`{source}` exists in {tag}"),
        format!("{tag} has no such file"),
        CauseCode::GuideReferenceMissing,
    )
    .into()
}

/// What the guide names is not of the tag under test. What a branch holds changes, so a release's guide is wrong that leads
/// there; what another tag holds may do, and only its own files tell.
pub(super) fn elsewhere(source: &str, at: &str, tag: &str) -> NotPlanned {
    if at.parse::<Tag>().is_err() {
        return moving(source, at, tag);
    }
    NotPlanned::Undecided(format!(
        "`{source}` is of {at}, and nothing but {tag}'s own files is carried out; name {tag} in the address"
    ))
}

/// What the guide names is of whatever is the newest at the time of reading.
pub(super) fn moving(source: &str, at: &str, tag: &str) -> NotPlanned {
    Fault::new(
        format!("what the guide names is of {tag}"),
        format!("`{source}` is of `{at}`"),
        CauseCode::GuideReferenceElsewhere,
    )
    .into()
}

fn unless_lacking(lacking: &[String], expected: String, why: String) -> Result<(), NotPlanned> {
    if lacking.is_empty() {
        return Ok(());
    }
    let cause = Cause::new(CauseCode::GuideReferenceElsewhere).because(why);
    Err(Fault::new(expected, format!("the CRDs lack {}", lacking.join(", ")), cause).into())
}

pub(super) fn unreadable(error: &dyn std::error::Error) -> NotPlanned {
    let said = error.to_string();
    let actual = said.lines().next().unwrap_or_default().to_owned();
    let cause = Cause::new(CauseCode::ManifestUnreadable).because(said);
    Fault::new("the manifest can be read", actual, cause).into()
}
