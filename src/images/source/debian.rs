//! Takes files out of Debian packages, and makes small Debian systems.
//!
//! Packages are fetched by apt with a state of its own, so that the machine's apt never hears of another suite, and from
//! the mirror that the machine's own sources name. apt checks the signatures with Debian's keyring.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::Workshop;
use crate::{
    host::Call,
    images::{
        ImagesError,
        layer::matches,
        recipe::{DebianPackages, DebianSystem, Recipe},
        store::{at, write_whole},
    },
};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// How old package lists may be before they are read anew.
const LISTS_AGE: Duration = Duration::from_hours(24);

/// The mirrors that the machine's own apt sources name.
#[derive(Debug, PartialEq, Eq)]
struct Mirrors {
    main: String,
    security: Option<String>,
}

impl Workshop<'_> {
    pub(super) async fn unpack_packages(
        &self,
        recipe: &Recipe,
        wanted: &DebianPackages,
        into: &Path,
    ) -> Result<(), ImagesError> {
        let job = self
            .progress
            .begin(format!("fetching Debian packages for {}", recipe.name), None);
        let work = self.store.work(&format!("debian-{}", recipe.name));
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work).map_err(at(&work))?;
        {
            let _turn = self.apt.lock().await;
            let apt = self.private_apt(recipe, &wanted.suite).await?;
            let call = apt("download").args(&wanted.packages).directory(&work);
            self.tool(recipe, &call, &mut |_| ()).await?;
        }
        job.seen("unpacking");
        let unpacked = work.join("unpacked");
        let packages = fs::read_dir(&work).map_err(at(&work))?;
        for package in packages.filter_map(|entry| Some(entry.ok()?.path())) {
            if package.extension().is_some_and(|ending| ending == "deb") {
                let call = Call::new("dpkg-deb").arg("-x").arg(package.to_string_lossy());
                self.tool(recipe, &call.arg(unpacked.to_string_lossy()), &mut |_| ())
                    .await?;
            }
        }
        keep(&unpacked, &unpacked, &wanted.keep, into)?;
        fs::remove_dir_all(&work).map_err(at(&work))
    }

    pub(super) async fn make_system(
        &self,
        recipe: &Recipe,
        wanted: &DebianSystem,
        into: &Path,
    ) -> Result<(), ImagesError> {
        let job = self.progress.begin(
            format!("making a Debian {} system", wanted.suite),
            Some(Duration::from_mins(2)),
        );
        let mirrors = self.mirrors(recipe).await?;
        let mut call = Call::new("mmdebstrap")
            .args(["--variant=minbase", "--architectures=amd64", "--format=tar"])
            .arg(format!("--include={}", wanted.packages.join(",")))
            .arg("--aptopt=Acquire::Check-Valid-Until \"false\"")
            .arg("--aptopt=Acquire::Languages \"none\"")
            .args(["doc", "man", "locale"].map(|what| format!("--dpkgopt=path-exclude=/usr/share/{what}/*")))
            .arg(&wanted.suite)
            .arg(into.join("system.tar").to_string_lossy())
            .arg(format!(
                "deb [signed-by={KEYRING}] {} {} main",
                mirrors.main, wanted.suite
            ));
        if let Some(security) = mirrors.security {
            call = call.arg(format!(
                "deb [signed-by={KEYRING}] {security} {}-security main",
                wanted.suite
            ));
        }
        let seen = &mut |line: &str| {
            if let Some(step) = line.strip_prefix("I: ") {
                job.seen(step.to_owned());
            }
        };
        self.tool(recipe, &call, seen).await?;
        Ok(())
    }

    /// apt-get with a state of its own that knows one suite; its lists are read where they are missing or old.
    async fn private_apt(&self, recipe: &Recipe, suite: &str) -> Result<impl Fn(&str) -> Call + use<>, ImagesError> {
        let state = self.store.work(&format!("apt-{suite}"));
        let lists = state.join("lists");
        for directory in [lists.join("partial"), state.join("cache/archives/partial")] {
            fs::create_dir_all(&directory).map_err(at(&directory))?;
        }
        let mirror = self.mirrors(recipe).await?.main;
        let sources = state.join("sources.list");
        write_whole(
            &sources,
            format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n").as_bytes(),
        )?;
        write_whole(&state.join("status"), b"")?;
        let apt = move |command: &str| {
            let path = |name: &str| state.join(name).display().to_string();
            let options = [
                format!("Dir::Etc::SourceList={}", path("sources.list")),
                "Dir::Etc::SourceParts=/dev/null".to_owned(),
                "Dir::Etc::Preferences=/dev/null".to_owned(),
                "Dir::Etc::PreferencesParts=/dev/null".to_owned(),
                format!("Dir::State={}", path("")),
                format!("Dir::State::Lists={}", path("lists")),
                format!("Dir::State::status={}", path("status")),
                format!("Dir::Cache={}", path("cache")),
                "Acquire::Check-Valid-Until=false".to_owned(),
                "Acquire::Languages=none".to_owned(),
                "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
                "APT::Architecture=amd64".to_owned(),
                // The user `_apt` cannot read a directory below someone's home.
                "APT::Sandbox::User=root".to_owned(),
            ];
            let call = Call::new("apt-get").args(["-q", command]);
            options
                .into_iter()
                .fold(call, |call, option| call.arg("-o").arg(option))
        };
        if !has_recent_lists(&lists, SystemTime::from(self.host.now())) {
            self.tool(recipe, &apt("update"), &mut |_| ()).await?;
        }
        Ok(apt)
    }

    async fn mirrors(&self, recipe: &Recipe) -> Result<Mirrors, ImagesError> {
        let format = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)";
        let call = Call::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]);
        let said = self.tool(recipe, &call, &mut |_| ()).await?;
        mirrors_of(&said).ok_or(ImagesError::NoMirror)
    }
}

/// Picks Debian's mirrors out of what `apt-get indextargets` says, one `URI|RELEASE|COMPONENT|ORIGIN` a line.
/// The origin is known once the lists have been read; before that apt leaves the word `$(ORIGIN)` as it is.
fn mirrors_of(said: &str) -> Option<Mirrors> {
    const SUITES: [&str; 8] = [
        "bookworm",
        "trixie",
        "forky",
        "sid",
        "stable",
        "testing",
        "unstable",
        "oldstable",
    ];
    let targets: Vec<[&str; 4]> = said
        .lines()
        .filter_map(|line| line.split('|').collect::<Vec<_>>().try_into().ok())
        .filter(|[_, _, component, origin]: &[&str; 4]| {
            *component == "main" && matches!(*origin, "Debian" | "$(ORIGIN)" | "")
        })
        .collect();
    let main = targets.iter().find(|[_, release, ..]| SUITES.contains(release))?;
    let security = targets.iter().find(|[_, release, ..]| {
        release
            .strip_suffix("-security")
            .is_some_and(|suite| SUITES.contains(&suite))
    });
    Some(Mirrors {
        main: main[0].to_owned(),
        security: security.map(|target| target[0].to_owned()),
    })
}

fn has_recent_lists(lists: &Path, now: SystemTime) -> bool {
    let Ok(entries) = fs::read_dir(lists) else { return false };
    entries.filter_map(Result::ok).any(|entry| {
        let age = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .map(|at| now.duration_since(at));
        entry.file_name().to_string_lossy().contains("Packages")
            && age.is_ok_and(|age| age.map_or(true, |age| age < LISTS_AGE))
    })
}

/// Moves what the patterns name from below `root` to below `into`.
fn keep(root: &Path, directory: &Path, patterns: &[String], into: &Path) -> Result<(), ImagesError> {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .map_err(at(directory))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    for path in entries {
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        if patterns.iter().any(|pattern| matches(pattern, &name)) {
            let to = into.join(&name);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(at(parent))?;
            }
            fs::rename(&path, &to).map_err(at(&to))?;
        } else if path.is_dir() && !path.is_symlink() {
            keep(root, &path, patterns, into)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_those_of_debian_and_of_nobody_else() {
        let said = "http://other.example/apt/|stable|main|Someone\n\
                    http://mirror.example/debian/|bookworm-updates|main|Debian\n\
                    http://mirror.example/debian/|bookworm|contrib|Debian\n\
                    http://mirror.example/debian/|bookworm|main|Debian\n\
                    http://mirror.example/debian-security/|bookworm-security|main|Debian\n";
        let mirrors = mirrors_of(said).unwrap();
        assert_eq!(mirrors.main, "http://mirror.example/debian/");
        assert_eq!(
            mirrors.security.as_deref(),
            Some("http://mirror.example/debian-security/")
        );
        assert_eq!(mirrors_of("http://other.example/|jammy|main|Ubuntu\n"), None);
    }

    #[test]
    fn only_what_is_named_is_kept_and_links_stay_links() {
        let directory = tempfile::tempdir().unwrap();
        let (root, into) = (directory.path().join("root"), directory.path().join("into"));
        fs::create_dir_all(root.join("usr/lib/x")).unwrap();
        fs::write(root.join("usr/lib/x/liba.so.1.2"), "a").unwrap();
        fs::write(root.join("usr/lib/x/other"), "b").unwrap();
        std::os::unix::fs::symlink("liba.so.1.2", root.join("usr/lib/x/liba.so.1")).unwrap();
        keep(&root, &root, &["usr/lib/*/lib*.so.*".to_owned()], &into).unwrap();
        let mut kept: Vec<_> = fs::read_dir(into.join("usr/lib/x"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        kept.sort();
        assert_eq!(kept, ["liba.so.1", "liba.so.1.2"]);
        assert!(into.join("usr/lib/x/liba.so.1").is_symlink());
    }
}
