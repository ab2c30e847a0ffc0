//! Recipes: how each image, program or node is made from packages, as data.
//!
//! A recipe is one YAML file in `manifests/images/`. Nothing here makes anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ImageRef, ImagesError, download::Download};

mod line;

pub(crate) use line::Line;

/// The recipes and Go locks.
#[derive(rust_embed::Embed)]
#[folder = "manifests/images"]
struct ImageFiles;

/// The files of a node.
#[derive(rust_embed::Embed)]
#[folder = "manifests/cluster/node"]
struct NodeFiles;

/// How one thing is made from packages: one file of `manifests/images/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Recipe {
    /// The name of its file without the ending; other recipes refer to it by this name.
    #[serde(skip)]
    pub(crate) name: String,
    /// What comes out.
    pub(crate) makes: Makes,
    /// Versions of the same thing, each of which becomes a recipe of its own: the first is named as the file, the others
    /// `FILE-VERSION`. `{version}`, `{name}` and the names of [`Version::values`] stand for theirs anywhere in the file.
    #[serde(default)]
    pub(crate) versions: Vec<Version>,
    /// The version of what is made, as its own people write it.
    pub(crate) version: String,
    /// Whether it is made with all others, or only where a run or a person asks for it.
    #[serde(default)]
    pub(crate) made: MadeWhen,
    /// The image names that it stands for; the first is the one it was written for.
    #[serde(default)]
    pub(crate) names: Vec<ImageRef>,
    /// Tags of the same repositories that are published as well, and that nothing here makes.
    #[serde(default, skip_serializing)] // It changes nothing that is made.
    pub(crate) also_published: Vec<String>,
    /// What to say of it in place of the published image: one sentence without a full stop, `{image}` where the name goes.
    #[serde(default)]
    pub(crate) stands_for: Option<String>,
    /// What is fetched or compiled first; absent where the files of other recipes are all there is.
    #[serde(default)]
    pub(crate) source: Option<RecipeSource>,
    /// Recipes whose files lie under this one's, lowest first, each as a layer that images share.
    #[serde(default)]
    pub(crate) under: Vec<String>,
    /// The files of the topmost layer.
    #[serde(default)]
    pub(crate) files: Vec<Line>,
    /// Images that a node brings along (only where it makes a node).
    #[serde(default)]
    pub(crate) preload: Vec<String>,
    /// What a container of the image runs.
    #[serde(default)]
    pub(crate) run: RunConfig,
    /// Where its own people publish the program (only where it makes a program).
    #[serde(default, skip_serializing)] // It changes nothing that is made.
    pub(crate) published: Option<Download>,
    /// When a program that is already on PATH will do (only where it makes a program).
    #[serde(default)]
    pub(crate) found_on_path: Option<FoundOnPath>,
}

/// One of the versions that a file has a recipe for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the field of the file has that name")]
pub(crate) struct Version {
    /// The version, such as `v1.5.0`.
    pub(crate) version: String,
    /// What else is its own, by the name that stands for it in the file.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, String>,
    /// When it is made.
    #[serde(default)]
    pub(crate) made: MadeWhen,
}

/// When something is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MadeWhen {
    /// Where everything is made ahead of runs, and where a run needs it.
    #[default]
    WithAll,
    /// Only where a run needs it or it is named.
    WhenAsked,
}

/// What a recipe makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Makes {
    /// A container image.
    Image,
    /// A program that runs on the host.
    Program,
    /// Files that other recipes use.
    Part,
    /// The image of a cluster's node.
    Node,
}

/// Where a recipe's material comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RecipeSource {
    /// A program compiled from Go modules.
    Go(Go),
    /// Packages of a Debian suite, unpacked and not installed.
    DebianPackages(DebianPackages),
    /// A small Debian system.
    DebianSystem(DebianSystem),
    /// Files of a wheel of the Python package index.
    Wheel(Wheel),
    /// The program that runs now; it is named as the recipe is.
    ThisProgram,
}

/// A program compiled from Go modules; it is named as the recipe is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Go {
    /// The directory below `manifests/images/go/` with `go.mod`, `go.sum` and perhaps `main.go`.
    pub(crate) lock: String,
    /// The module that matters, as the lock requires it; absent for a program of our own.
    #[serde(default)]
    pub(crate) module: Option<String>,
    /// Its version.
    #[serde(default)]
    pub(crate) version: Option<String>,
    /// The package with the program; `.` is the lock's own `main.go`.
    pub(crate) package: String,
    /// Build tags.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    /// Variables set while linking, by their full name.
    #[serde(default)]
    pub(crate) set: BTreeMap<String, String>,
    /// Files of the module that are needed beside the program, by path; kept by their last name.
    #[serde(default)]
    pub(crate) take: Vec<String>,
    /// Processor time it takes when nothing is cached, in seconds, for the estimate.
    pub(crate) cpu_seconds: u64,
    /// Memory it takes at its peak, in MiB, to decide what may run beside it.
    pub(crate) memory_mib: u64,
}

/// Packages of a Debian suite, unpacked and not installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct DebianPackages {
    /// The suite.
    pub(crate) suite: String,
    /// The packages; what they depend on is not fetched.
    pub(crate) packages: Vec<String>,
    /// What is kept of them: paths from the root, `*` within one path part; what lies below a kept path is kept.
    pub(crate) keep: Vec<String>,
}

/// A small Debian system: `system.tar`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct DebianSystem {
    /// The suite.
    pub(crate) suite: String,
    /// The packages beside the essential ones; with what they depend on.
    pub(crate) packages: Vec<String>,
}

/// Files of a wheel of the Python package index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Wheel {
    /// The project.
    pub(crate) project: String,
    /// Its version.
    pub(crate) version: String,
    /// The wheel's file name; its ending says for which machines it is.
    pub(crate) file: String,
    /// The wheel's SHA-256, in hexadecimal digits.
    pub(crate) sha256: String,
    /// The files wanted of it, by path; kept by their last name.
    pub(crate) take: Vec<String>,
}

/// What a container of the image runs: the part of the OCI image configuration that recipes set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RunConfig {
    /// The program and its first arguments.
    #[serde(default)]
    pub(crate) entrypoint: Vec<String>,
    /// User and group; empty is root.
    #[serde(default)]
    pub(crate) user: String,
    /// Ports said to be listened on.
    #[serde(default)]
    pub(crate) ports: Vec<u16>,
    /// Variables, beside PATH.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
}

/// When a program that is already on PATH will do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct FoundOnPath {
    /// The arguments that make it print its version.
    pub(crate) arguments: Vec<String>,
    /// The versions that will do, such as `>=3.8.0, <4.0.0`.
    pub(crate) accept: Accepted,
}

/// The versions of a program that will do, as cargo writes requirements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Accepted(pub(crate) semver::VersionReq);

impl TryFrom<String> for Accepted {
    type Error = semver::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<Accepted> for String {
    fn from(accepted: Accepted) -> Self {
        accepted.0.to_string()
    }
}

impl Recipe {
    /// Reads the recipes of a file: one, or one for each of its versions. `file` is named in what goes wrong.
    ///
    /// # Errors
    /// The text is not a recipe; the error shows where.
    pub(crate) fn parse_all(file: &str, text: &str) -> Result<Vec<Self>, ImagesError> {
        let versions = from_yaml::<Versions>(file, text)?.versions;
        if versions.is_empty() {
            return Ok(vec![Self::parse(file, text)?]);
        }
        let of_version = |(index, version): (usize, &Version)| {
            let mut name = name_of(file).to_owned();
            if index > 0 {
                name = format!("{name}-{}", version.version);
            }
            let own = [("version", &version.version), ("name", &name)];
            let others = version.values.iter().map(|(name, value)| (name.as_str(), value));
            let filled = own
                .into_iter()
                .chain(others)
                .fold(text.to_owned(), |text, (name, value)| {
                    text.replace(&format!("{{{name}}}"), value)
                });
            Ok(Self {
                name,
                versions: Vec::new(),
                made: version.made,
                ..Self::parse(file, &filled)?
            })
        };
        versions.iter().enumerate().map(of_version).collect()
    }

    /// Reads the recipe of a file that has no versions. `file` is named in what goes wrong.
    ///
    /// # Errors
    /// The text is not a recipe; the error shows where.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, ImagesError> {
        let mut recipe: Self = from_yaml(file, text)?;
        name_of(file).clone_into(&mut recipe.name);
        if let Some(at) = recipe.files.iter().filter_map(Line::at).find(|at| !at.starts_with('/')) {
            return Err(ImagesError::RecipeContradicts {
                file: file.to_owned(),
                why: format!("`{at}` must begin with `/`"),
            });
        }
        Ok(recipe)
    }

    /// What to say of the image made for `name`: `EPP v1.5.0 … stands in for registry.k8s.io/…`.
    pub(crate) fn sentence_for(&self, name: &ImageRef) -> String {
        match &self.stands_for {
            Some(sentence) => sentence.replace("{image}", &name.to_string()),
            None => format!(
                "{} {}, made from packages, stands in for {name}",
                self.name, self.version
            ),
        }
    }

    /// Names of the recipes that this one needs directly, each once, sorted.
    pub(crate) fn needs(&self) -> Vec<&str> {
        let of = self.files.iter().filter_map(|line| match line {
            Line::File(file) => file.of.as_deref(),
            _ => None,
        });
        let mut names: Vec<&str> = of
            .chain(self.under.iter().map(String::as_str))
            .chain(self.preload.iter().map(String::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// What is read of a file before the values of its versions are put in.
#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    versions: Vec<Version>,
}

fn from_yaml<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, ImagesError> {
    serde_saphyr::from_str(text).map_err(|source| ImagesError::Recipe {
        file: file.to_owned(),
        source: Box::new(source),
    })
}

fn name_of(file: &str) -> &str {
    file.trim_end_matches(".yaml")
}

/// A file below `manifests/images/`, or `None` where there is none.
pub(super) fn image_file(path: &str) -> Option<Vec<u8>> {
    ImageFiles::get(path).map(|file| file.data.into_owned())
}

/// A file below `manifests/cluster/node/`, or `None` where there is none.
pub(super) fn node_file(path: &str) -> Option<Vec<u8>> {
    NodeFiles::get(path).map(|file| file.data.into_owned())
}

/// Reads all embedded recipes, sorted by name.
///
/// # Errors
/// One of them is not a recipe, or names another that is not there.
pub(super) fn read_all() -> Result<BTreeMap<String, Recipe>, ImagesError> {
    let mut recipes = BTreeMap::new();
    for file in ImageFiles::iter().filter(|path| path.ends_with(".yaml") && !path.contains('/')) {
        let bytes = image_file(&file).unwrap_or_default();
        let of_file = Recipe::parse_all(&file, &String::from_utf8_lossy(&bytes))?;
        recipes.extend(of_file.into_iter().map(|recipe| (recipe.name.clone(), recipe)));
    }
    for recipe in recipes.values() {
        if let Some(missing) = recipe.needs().iter().find(|name| !recipes.contains_key(**name)) {
            return Err(ImagesError::RecipeContradicts {
                file: format!("{}.yaml", recipe.name),
                why: format!("it names the recipe `{missing}`, which is not there"),
            });
        }
    }
    Ok(recipes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_recipe_parses_and_its_lock_requires_what_it_says() {
        let recipes = read_all().unwrap();
        assert!(recipes.len() > 15);
        for recipe in recipes.values() {
            let Some(RecipeSource::Go(go)) = &recipe.source else {
                continue;
            };
            let lock = image_file(&format!("go/{}/go.mod", go.lock)).expect("a lock for each Go source");
            if let (Some(module), Some(version)) = (&go.module, &go.version) {
                let lock = String::from_utf8(lock).unwrap();
                assert!(
                    lock.contains(&format!("{module} {version}")),
                    "{}: {module} {version}",
                    recipe.name
                );
            }
            let has_main = image_file(&format!("go/{}/main.go", go.lock)).is_some();
            assert!(go.package != "." || has_main, "{}", recipe.name);
            assert!(go.set.values().all(|value| !value.contains(char::is_whitespace)));
        }
    }

    #[test]
    fn no_two_recipes_stand_for_one_name_and_every_image_says_what_it_stands_for() {
        let recipes = read_all().unwrap();
        let mut names: Vec<&ImageRef> = recipes.values().flat_map(|recipe| &recipe.names).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        for recipe in recipes.values().filter(|recipe| recipe.makes == Makes::Image) {
            let name = recipe.names.first().expect("an image has a name");
            assert!(recipe.sentence_for(name).contains(&name.to_string()), "{}", recipe.name);
            let spoken = format!("{} {:?}", recipe.sentence_for(name), recipe.source);
            assert!(!spoken.contains("{version}") && !spoken.contains("{name}"), "{spoken}");
        }
    }

    #[test]
    fn quickproofs_own_image_is_of_this_version_and_runs_as_nobody_in_particular() {
        let recipes = read_all().unwrap();
        let own = &recipes["quickproof"];
        assert_eq!(own.source, Some(RecipeSource::ThisProgram));
        assert_eq!(own.version, env!("CARGO_PKG_VERSION"));
        assert_eq!(own.names[0].tag(), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(own.run.user, "65532:65532");
    }

    #[test]
    fn a_node_brings_the_pause_that_its_containerd_names_and_asks_the_registry_that_we_start() {
        let recipes = read_all().unwrap();
        let node = &recipes["node"];
        let text = |path: &str| String::from_utf8(node_file(path).expect("a file of the node")).unwrap();
        let containerd = text("etc/containerd/config.toml");
        assert!(node.preload.contains(&"pause".to_owned()));
        assert!(containerd.contains(&format!("\"{}\"", recipes["pause"].names[0])));
        assert!(text("etc/containerd/certs.d/_default/hosts.toml").contains(crate::images::REGISTRY_CONTAINER));
        assert!(node.preload.iter().all(|name| recipes[name].makes == Makes::Image));
        for line in &node.files {
            if let Line::Data(data) = line {
                assert!(node_file(&data.take).is_some(), "{}", data.take);
            }
        }
    }

    #[test]
    fn an_unknown_field_is_refused_with_file_and_position() {
        let error = Recipe::parse("x.yaml", "makes: image\nversion: v1\nentrypoint: [/x]\n").unwrap_err();
        let said = format!("{error:#}: {}", std::error::Error::source(&error).unwrap());
        assert!(
            said.contains("x.yaml") && said.contains("entrypoint") && said.contains('3'),
            "{said}"
        );
    }

    #[test]
    fn each_version_of_a_file_is_a_recipe_and_the_first_bears_the_files_name() {
        let text = "versions:\n  - {version: v2, values: {commit: b}}\n  - {version: v1, values: {commit: a}, made: when-asked}\n\
                    makes: image\nversion: \"{version}\"\nnames: [\"a.example/x:{version}\"]\nstands-for: \"{commit} for {image}\"\n\
                    files:\n  - file: {take: \"{name}\", at: /x}\n";
        let recipes = Recipe::parse_all("x.yaml", text).unwrap();
        let told = |recipe: &Recipe| {
            (
                recipe.name.clone(),
                recipe.version.clone(),
                recipe.names[0].to_string(),
                recipe.made,
            )
        };
        let told: Vec<_> = recipes.iter().map(told).collect();
        let expected = [
            ("x", "v2", "a.example/x:v2", MadeWhen::WithAll),
            ("x-v1", "v1", "a.example/x:v1", MadeWhen::WhenAsked),
        ];
        assert_eq!(
            told,
            expected.map(|(name, version, image, made)| (name.into(), version.into(), image.into(), made))
        );
        assert_eq!(
            recipes[1].stands_for.as_deref(),
            Some("a for {image}"),
            "what is filled in later stays"
        );
        assert!(matches!(&recipes[1].files[0], Line::File(file) if file.take == "x-v1"));
    }

    #[test]
    fn a_relative_place_is_refused() {
        let text = "makes: part\nversion: v1\nfiles:\n  - text: {at: etc/x, content: y}\n";
        assert!(matches!(
            Recipe::parse("x.yaml", text),
            Err(ImagesError::RecipeContradicts { .. })
        ));
    }
}
