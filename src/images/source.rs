//! Fetches or compiles the material of a recipe into a directory of the store.

use std::{
    fs,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use sha2::{Digest as _, Sha256};

use tokio::sync::{Mutex, Semaphore};

use super::{
    ImagesError,
    progress::Progress,
    recipe::{Recipe, RecipeSource, image_file},
    store::{Store, at, key_of},
};
use crate::host::{Call, Host, HostError, files};

mod debian;
mod golang;
mod wheel;

pub(super) use golang::estimate;

/// Raised when the way in which material is made changes, so that no old material is taken for it.
const FORM: u32 = 1;

/// Fetches and compiles the material that images are made of.
#[derive(Debug)]
pub(super) struct Workshop<'a> {
    pub(super) host: &'a Host,
    pub(super) store: &'a Store,
    pub(super) progress: &'a Progress,
    go_version: Option<String>,
    go_places: Semaphore,
    /// The package tools lock their own state; two calls at once would fail rather than wait.
    apt: Mutex<()>,
    /// The digest of the program that runs now, once it was asked for: it is long, and does not change.
    this_program: OnceLock<String>,
}

impl<'a> Workshop<'a> {
    pub(super) async fn open(host: &'a Host, store: &'a Store, progress: &'a Progress) -> Result<Self, ImagesError> {
        Ok(Self {
            host,
            store,
            progress,
            go_version: golang::version(host).await?,
            go_places: Semaphore::new(golang::AT_ONCE),
            apt: Mutex::default(),
            this_program: OnceLock::new(),
        })
    }

    /// The digest of the program that runs now.
    fn digest_of_this_program(&self) -> Result<&str, ImagesError> {
        if let Some(known) = self.this_program.get() {
            return Ok(known);
        }
        let digest = sha256_of(&Host::this_program())?;
        Ok(self.this_program.get_or_init(|| digest))
    }

    /// The name of the directory with a recipe's material, whether it is there or not; `None` where it has none.
    ///
    /// The name holds the key of everything the material is made from, for Go the compiler's version too. Where there is
    /// no Go, what another version made is as good as any.
    pub(super) fn material_name(&self, recipe: &Recipe) -> Result<Option<String>, ImagesError> {
        let Some(source) = &recipe.source else { return Ok(None) };
        let go = match source {
            RecipeSource::Go(go) => go,
            RecipeSource::ThisProgram => {
                let key = key_of(&(FORM, source, self.digest_of_this_program()?))?;
                return Ok(Some(format!("{}-{key}", recipe.name)));
            }
            _ => return Ok(Some(format!("{}-{}", recipe.name, key_of(&(FORM, source))?))),
        };
        let lock = ["go.mod", "go.sum", "main.go"].map(|file| image_file(&format!("go/{}/{file}", go.lock)));
        // What it costs says nothing about what it is.
        let mut inputs = go.clone();
        (inputs.cpu_seconds, inputs.memory_mib) = (0, 0);
        let name = format!("{}-{}", recipe.name, key_of(&(FORM, &inputs, lock))?);
        match &self.go_version {
            Some(version) => Ok(Some(format!("{name}-{version}"))),
            None => Ok(Some(self.made_by_any_go(&name).unwrap_or(name))),
        }
    }

    fn made_by_any_go(&self, name: &str) -> Option<String> {
        let entries = fs::read_dir(self.store.parts()).ok()?;
        entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|found| found.strip_prefix(name).is_some_and(|rest| rest.starts_with("-go")))
            .max()
    }

    /// The directory with a recipe's material, made now where it is not there.
    pub(super) async fn material(&self, recipe: &Recipe) -> Result<Option<PathBuf>, ImagesError> {
        let (Some(name), Some(source)) = (self.material_name(recipe)?, &recipe.source) else {
            return Ok(None);
        };
        let finished = self.store.parts().join(&name);
        if finished.exists() {
            return Ok(Some(finished));
        }
        let parts = self.store.parts();
        fs::create_dir_all(&parts).map_err(at(&parts))?;
        let unfinished = tempfile::Builder::new()
            .prefix(&format!(".{name}-"))
            .tempdir_in(&parts)
            .map_err(at(&parts))?;
        match source {
            RecipeSource::Go(go) => self.compile(recipe, go, unfinished.path()).await?,
            RecipeSource::DebianPackages(wanted) => self.unpack_packages(recipe, wanted, unfinished.path()).await?,
            RecipeSource::DebianSystem(wanted) => self.make_system(recipe, wanted, unfinished.path()).await?,
            RecipeSource::Wheel(wheel) => self.unpack_wheel(recipe, wheel, unfinished.path()).await?,
            RecipeSource::ThisProgram => copy(&Host::this_program(), &unfinished.path().join(&recipe.name))?,
        }
        let unfinished = unfinished.keep();
        fs::rename(&unfinished, &finished).map_err(at(&finished))?;
        Ok(Some(finished))
    }

    /// Whether a recipe's material is there, or none is needed.
    pub(super) fn has_material(&self, recipe: &Recipe) -> Result<bool, ImagesError> {
        let name = self.material_name(recipe)?;
        Ok(name.is_none_or(|name| self.store.parts().join(name).exists()))
    }

    /// Runs a tool that must succeed and tells the lines of its standard error to `on_line`.
    async fn tool(
        &self,
        recipe: &Recipe,
        call: &Call,
        on_line: &mut (dyn FnMut(&str) + Send),
    ) -> Result<String, ImagesError> {
        let ended = self
            .host
            .run_with(call, on_line)
            .await
            .map_err(ImagesError::making(recipe))?;
        if ended.status.success() {
            return Ok(ended.text());
        }
        Err(ImagesError::making(recipe)(HostError::Failed {
            command: call.line(),
            status: ended.status,
            said: ended.last_words(),
        }))
    }
}

/// The last part of a path written with slashes.
fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Copies a file of someone else's directory, which may be read-only, into ours.
fn copy(from: &Path, to: &Path) -> Result<(), ImagesError> {
    let mut file = files::open(from).map_err(io::Error::from).map_err(at(from))?;
    let mut copy = fs::File::create(to).map_err(at(to))?;
    io::copy(&mut file, &mut copy).map_err(at(to))?;
    Ok(())
}

/// The digest of a file, however long it is.
fn sha256_of(path: &Path) -> Result<String, ImagesError> {
    let mut file = BufReader::with_capacity(1 << 20, files::open(path).map_err(io::Error::from).map_err(at(path))?);
    let mut digest = Sha256::new();
    loop {
        let read = file.fill_buf().map_err(at(path))?;
        if read.is_empty() {
            return Ok(format!("{:x}", digest.finalize()));
        }
        digest.update(read);
        let length = read.len();
        file.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{images::recipe::read_all, record::Events};

    async fn names(go_version: Option<&str>, there: &[&str]) -> Vec<Option<String>> {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::with_variables([("XDG_CACHE_HOME", directory.path().to_str().unwrap())]);
        let (store, progress) = (Store::of(&host), Progress::new(&Events::unheard()));
        for name in there {
            fs::create_dir_all(store.parts().join(name)).unwrap();
        }
        let mut workshop = Workshop::open(&host, &store, &progress).await.unwrap();
        workshop.go_version = go_version.map(str::to_owned);
        let recipes = read_all().unwrap();
        ["etcd", "libc", "envoy"]
            .map(|name| workshop.material_name(&recipes[name]).unwrap())
            .to_vec()
    }

    #[tokio::test]
    async fn what_go_makes_is_named_after_its_version_and_other_material_is_not() {
        let (one, two) = (names(Some("go1.26.8"), &[]).await, names(Some("go1.27.0"), &[]).await);
        assert!(
            one[0]
                .as_ref()
                .is_some_and(|name| name.starts_with("etcd-") && name.ends_with("-go1.26.8"))
        );
        assert_ne!(one[0], two[0]);
        assert_eq!(one[1], two[1]);
        assert_eq!(one[2], None, "it is put together from other parts");
    }

    #[tokio::test]
    async fn without_go_what_another_version_made_is_taken() {
        let made = names(Some("go1.26.8"), &[]).await[0].clone().unwrap();
        assert_eq!(names(None, &[&made]).await[0].as_ref(), Some(&made));
        assert_ne!(names(None, &[]).await[0].as_ref(), Some(&made));
    }
}
