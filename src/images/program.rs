//! Programs for the host that the guide calls and that may not be here: `helm`, `istioctl`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    ImagesError,
    download::{self, Download},
    progress::Progress,
    recipe::{self, FoundOnPath, Makes, Recipe},
    source::Workshop,
    store::{Store, at},
};
use crate::{
    host::{Call, Host, files, in_words},
    record::Events,
    redact::cut,
};

/// A program that steps call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// What it is called.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// How it was had.
    pub(crate) origin: ProgramOrigin,
}

/// How a program was had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProgramOrigin {
    /// It is on PATH.
    OnPath,
    /// From the host where its own people publish it.
    Published {
        /// The host.
        host: String,
    },
    /// Compiled from its Go modules, since nobody who publishes it answers.
    Compiled,
}

impl Program {
    /// Which one it is, as a sentence without a full stop.
    pub(crate) fn sentence(&self) -> String {
        let (name, version) = (&self.name, self.version.trim_start_matches('v'));
        match &self.origin {
            ProgramOrigin::OnPath => format!("`{name}` {version} of PATH runs, `{}`", self.path.display()),
            ProgramOrigin::Published { host } => format!("`{name}` {version} runs as {host} has it"),
            ProgramOrigin::Compiled => {
                format!("`{name}` compiled from its Go modules, labelled {version}, runs: it is not the published one")
            }
        }
    }
}

/// A program: the one on PATH where its version will do, else the one that its people publish, else, where nobody of those
/// answers, one that is compiled now. One that was compiled before is taken too where what is published cannot be had.
///
/// # Errors
/// No recipe makes it, what is published is not what its checksum says and none was compiled before, or making it fails.
pub async fn program(host: &Host, name: &str, events: &Events) -> Result<Program, ImagesError> {
    let recipes = recipe::read_all()?;
    let recipe = recipes.get(name).filter(|recipe| recipe.makes == Makes::Program);
    let recipe = recipe.ok_or_else(|| ImagesError::NoRecipe { name: name.to_owned() })?;
    let had = |path, version: &str, origin| Program {
        path,
        name: name.to_owned(),
        version: version.to_owned(),
        origin,
    };
    let (store, progress) = (Store::of(host), Progress::new(events));
    match on_path(host, recipe).await {
        Some(Ok((path, version))) => return Ok(had(path, &version, ProgramOrigin::OnPath)),
        Some(Err(will_not_do)) => progress.note(will_not_do.to_string()),
        None => {}
    }
    let published = progress.during(published(&store, recipe, &progress)).await;
    if let Ok(Some((path, origin))) = published {
        return Ok(had(path, &recipe.version, origin));
    }
    let had_compiled = |path| had(path, &recipe.version, ProgramOrigin::Compiled);
    let workshop = Workshop::open(host, &store, &progress).await?;
    if let Some(path) = built(&workshop, recipe)? {
        return Ok(had_compiled(path));
    }
    // Somebody answers, so that this is no machine without a network: nothing is compiled in place of what is published.
    published?;
    let _lock = store.lock().await?;
    let material = progress.during(workshop.material(recipe)).await?;
    let material = material.ok_or_else(|| ImagesError::NoRecipe { name: name.to_owned() })?;
    install(&workshop, recipe, &material).map(had_compiled)
}

/// The program as its people publish it, downloaded now or before; `None` where nobody publishes it, or nobody answers.
async fn published(
    store: &Store,
    recipe: &Recipe,
    progress: &Progress,
) -> Result<Option<(PathBuf, ProgramOrigin)>, ImagesError> {
    let Some(from) = recipe.published.as_ref().and_then(Download::here) else {
        return Ok(None);
    };
    let origin = ProgramOrigin::Published {
        host: from.host().to_owned(),
    };
    let place = download::place(store, recipe);
    if place.exists() {
        return Ok(Some((place, origin)));
    }
    let path = download::download(store, recipe, &from, progress).await?;
    Ok(path.map(|path| (path, origin)))
}

/// The program on PATH with its version, or why it will not do; `None` where there is none.
async fn on_path(host: &Host, recipe: &Recipe) -> Option<Result<(PathBuf, String), NotAtHand>> {
    let (path, found) = (host.find_program(&recipe.name)?, recipe.found_on_path.as_ref()?);
    Some(match will_do(host, &path, found).await {
        Ok(version) => Ok((path, version.to_string())),
        Err(says) => Err(NotAtHand::WillNotDo {
            name: recipe.name.clone(),
            says,
            accepted: found.accept.0.to_string(),
        }),
    })
}

/// Why a program is not at hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAtHand {
    /// Nobody makes it.
    #[error("there is no `{name}` on PATH")]
    Absent {
        /// Its name.
        name: String,
    },
    /// There is one, and it will not do.
    #[error("`{name}` on PATH is not used: it says `{says}`, and {accepted} is needed")]
    WillNotDo {
        /// Its name.
        name: String,
        /// What it says of its version, or why it says nothing.
        says: String,
        /// The versions that will do.
        accepted: String,
    },
}

/// The path of a program where it is at hand: on PATH in a version that will do, or downloaded or compiled before. Nothing is
/// fetched or made.
///
/// # Errors
/// It is not, and why.
pub async fn found(host: &Host, name: &str) -> Result<PathBuf, NotAtHand> {
    let absent = || NotAtHand::Absent { name: name.to_owned() };
    let recipes = recipe::read_all().map_err(|_| absent())?;
    let recipe = recipes.get(name).filter(|recipe| recipe.makes == Makes::Program);
    let recipe = recipe.ok_or_else(absent)?;
    let why = match on_path(host, recipe).await {
        Some(Ok((path, _))) => return Ok(path),
        Some(Err(will_not_do)) => will_not_do,
        None => absent(),
    };
    let store = Store::of(host);
    // One that was compiled from other sources prints the same objects.
    let before = [download::place(&store, recipe), store.programs().join(name)];
    before.into_iter().find(|path| path.exists()).ok_or(why)
}

/// The most bytes of a key.
const MOST_KEY: u64 = 4 << 10;

/// A program that was made before and put in its place; the place says what it was made from.
pub(super) fn built(workshop: &Workshop<'_>, recipe: &Recipe) -> Result<Option<PathBuf>, ImagesError> {
    let path = workshop.store.programs().join(&recipe.name);
    let key = files::read_text(&path.with_extension("key"), MOST_KEY).ok();
    let current = key.is_some() && key == workshop.material_name(recipe)?;
    Ok((current && path.exists()).then_some(path))
}

/// Puts a compiled program in its place: whole, then its key, so that a key never stands beside another's program.
fn install(workshop: &Workshop<'_>, recipe: &Recipe, material: &Path) -> Result<PathBuf, ImagesError> {
    let directory = workshop.store.programs();
    fs::create_dir_all(directory).map_err(at(directory))?;
    let path = directory.join(&recipe.name);
    let key = path.with_extension("key");
    let _ = fs::remove_file(&key);
    let new = directory.join(format!(".{}-{}", recipe.name, std::process::id()));
    let from = material.join(&recipe.name);
    fs::copy(&from, &new).map_err(at(&from))?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).map_err(at(&new))?;
    fs::rename(&new, &path).map_err(at(&path))?;
    if let Some(name) = workshop.material_name(recipe)? {
        super::store::write_whole(&key, name.as_bytes())?;
    }
    Ok(path)
}

/// A program's version, where it will do.
///
/// # Errors
/// What it says of itself, where that is another one or none.
async fn will_do(host: &Host, path: &Path, found: &FoundOnPath) -> Result<semver::Version, String> {
    let call = Call::new(path.to_string_lossy())
        .args(&found.arguments)
        .time_limit(Duration::from_secs(20));
    let said = host.run_ok(&call).await.map_err(|error| in_words(&error))?.text();
    match version_in(&said) {
        Some(version) if found.accept.0.matches(&version) => Ok(version),
        _ => Err(cut(said.lines().next().unwrap_or_default().trim(), 80)),
    }
}

/// The first version in what a program prints of itself: `v3.19.0+g3d8990f`, `client version: 1.28.0`, or `v3.19`, as some
/// distributions build it.
fn version_in(text: &str) -> Option<semver::Version> {
    let words = text.split(|letter: char| letter.is_whitespace() || letter == '"' || letter == ',');
    words.map(|word| word.trim_start_matches('v')).find_map(|word| {
        let is_short = word.split('.').count() == 2;
        let whole = if is_short { format!("{word}.0") } else { word.to_owned() };
        semver::Version::parse(&whole).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::recipe::Accepted;
    use rstest::rstest;

    #[rstest]
    #[case("v3.19.0+g3d8990f", Some("3.19.0+g3d8990f"))]
    #[case("v4.0.1+g12500dd", Some("4.0.1+g12500dd"))]
    #[case("client version: 1.28.0\n", Some("1.28.0"))]
    #[case::two_numbers("v3.19", Some("3.19.0"))]
    #[case("no version", None)]
    fn a_version_is_found_in_what_a_program_says(#[case] text: &str, #[case] version: Option<&str>) {
        assert_eq!(version_in(text).map(|version| version.to_string()).as_deref(), version);
    }

    #[tokio::test]
    async fn a_program_on_path_is_taken_if_its_version_will_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("helm");
        fs::write(&path, "#!/bin/sh\necho v3.15.1+g1\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let found = |accept: &str| FoundOnPath {
            arguments: vec!["version".to_owned()],
            accept: Accepted(accept.parse().unwrap()),
        };
        let host = Host::real();
        let version = will_do(&host, &path, &found(">=3.8.0, <5.0.0")).await;
        assert_eq!(version.map(|version| version.to_string()).as_deref(), Ok("3.15.1+g1"));
        assert_eq!(will_do(&host, &path, &found("=3.19.0")).await, Err("v3.15.1+g1".into()));
    }

    #[tokio::test]
    async fn a_program_without_a_recipe_is_named() {
        let error = program(&Host::real(), "epp", &Events::unheard()).await.unwrap_err();
        assert!(matches!(error, ImagesError::NoRecipe { name } if name == "epp"));
    }
}
