//! Gateway providers and profiles: data of ours that says how a provider is installed and what a small machine overrides.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, de::DeserializeOwned};

use super::PlanError;
use crate::{
    guide::GuideBook,
    manifest::{self, Object},
    redact::cut,
    release::{RepoPath, TabPattern},
};

/// Where the definitions are, as files of this repository.
const FOLDER: &str = "manifests/providers";

/// A gateway provider. Providers are data: `manifests/providers`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name, which is also its file's.
    pub name: String,
    /// The titles of its tabs in guides; `None` for a guide without a gateway.
    #[serde(default)]
    pub tab: Option<TabPattern>,
    /// The label that bears the Gateway's name on the Service of its proxies.
    #[serde(default = "common_gateway_label")]
    pub(crate) gateway_label: String,
    /// Whether it comes with the clusters of a cloud: nothing installs it, and a cluster of our own never has it.
    #[serde(default)]
    pub(crate) managed: bool,
    /// Its own program, where it has one.
    #[serde(default)]
    pub(crate) installer: Option<Installer>,
    /// The tabs of another provider that are followed, where guides have none for this one.
    #[serde(default)]
    pub(crate) borrowed_tab: Option<BorrowedTab>,
    /// Manifests of ours that install it, where neither a program nor a chart does.
    #[serde(default)]
    pub(crate) manifests: Option<Manifests>,
    /// CRDs that its tabs require and do not install.
    #[serde(default)]
    pub(crate) schemas: Vec<RequiredSchema>,
}

/// The label that Gateway API asks implementations to put on what they make for a Gateway (GEP-1762).
fn common_gateway_label() -> String {
    "gateway.networking.k8s.io/gateway-name".to_owned()
}

/// The tabs of another provider, followed for one that guides have no tab for. What differs is replaced.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BorrowedTab {
    /// The titles of those tabs.
    pub(crate) tab: TabPattern,
    /// Files of the release's tree that are of the other provider, and those that take their place.
    pub(crate) files: BTreeMap<RepoPath, RepoPath>,
    /// The reason, for the ledger.
    pub(crate) why: String,
}

/// Manifests of ours that install a provider: files of the directory that is named as the provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifests {
    /// What they install, with its version.
    pub(crate) version: String,
    /// Parts of the commands of guides in whose place they are applied: the first of a guide's, and the rest are left out.
    pub(crate) in_place_of: Vec<String>,
    /// The files, in the order in which they are applied.
    pub(crate) files: Vec<String>,
    /// The Deployment that says that it is installed already.
    pub(crate) witness: Witness,
    /// Images that the provider starts by itself, so that no manifest names them.
    #[serde(default)]
    pub(crate) images: Vec<String>,
    /// The reason, for the ledger.
    pub(crate) why: String,
}

/// A provider's own program, as the guide runs it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installer {
    /// Its name, such as `istioctl`.
    pub(crate) program: String,
    /// Parts of the addresses and files that the guide downloads and unpacks it from.
    pub(crate) downloads: Vec<String>,
    /// Settings (`--set SETTING=…`) of the guide's command that are left out.
    #[serde(default)]
    pub(crate) without: Vec<Setting>,
    /// The variable by which the guide says which version it installs.
    pub(crate) version_variable: String,
    /// The version where the guide says none.
    pub(crate) version: String,
    /// The Deployment that says that it is installed already.
    pub(crate) witness: Witness,
    /// The images it installs; `{version}` stands for the version.
    pub(crate) images: Vec<String>,
    /// Arguments that an unattended run needs.
    pub(crate) always: Vec<Addition>,
    /// Arguments that are needed when images are built from packages.
    pub(crate) when_built: Vec<Addition>,
}

/// A setting of the guide's command that is left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    /// The setting's name.
    pub(crate) setting: String,
    /// The reason, for the ledger.
    pub(crate) why: String,
}

/// A Deployment that exists where a provider is installed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// Its namespace, which the installer makes.
    pub(crate) namespace: String,
    /// Its name.
    pub deployment: String,
}

/// Arguments that are added to a command of the guide.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Addition {
    /// The arguments.
    pub(crate) arguments: Vec<String>,
    /// The reason, for the ledger.
    pub(crate) why: String,
}

/// CRDs that a provider requires.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequiredSchema {
    /// The API's name, for the ledger.
    pub(crate) name: String,
    /// The Go module that publishes them.
    pub(crate) module: String,
    /// Its version.
    pub(crate) version: String,
    /// The folder of the module that holds the YAML files.
    pub(crate) folder: String,
    /// The same objects as one file on the web.
    pub(crate) url: Option<String>,
    /// The reason, for the ledger.
    pub(crate) why: String,
}

/// Overrides for a kind of machine. Profiles are data: `manifests/profiles`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name, which is also its file's.
    pub(crate) name: String,
    /// Values of the release's charts.
    #[serde(default)]
    pub(crate) helm: Vec<ChartValue>,
}

/// A value of a chart that is overridden.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChartValue {
    /// `PATH=VALUE`, as for `helm --set`.
    pub(crate) set: String,
    /// The reason, for the ledger.
    pub(crate) why: String,
}

#[derive(rust_embed::RustEmbed)]
#[folder = "manifests/providers"]
struct ProviderFiles;

#[derive(rust_embed::RustEmbed)]
#[folder = "manifests/profiles"]
struct ProfileFiles;

impl Provider {
    /// Every provider there is, by name.
    ///
    /// # Errors
    /// A file of ours is broken, which a test rules out.
    pub fn all() -> Result<Vec<Self>, PlanError> {
        names::<ProviderFiles>().iter().map(|name| Self::named(name)).collect()
    }

    /// The provider of this name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn named(name: &str) -> Result<Self, PlanError> {
        Self::find(name)?.ok_or_else(|| Self::unknown(name))
    }

    /// The provider of this name among those that guides have tabs for, their own or another's that stands in.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn with_tab(name: &str) -> Result<Self, PlanError> {
        Self::find(name)?
            .filter(|provider| provider.followed_tab().is_some())
            .ok_or_else(|| Self::unknown(name))
    }

    /// The provider of this name; each is read once, though every plan of a release asks.
    fn find(name: &str) -> Result<Option<Self>, PlanError> {
        static READ: Mutex<BTreeMap<String, Provider>> = Mutex::new(BTreeMap::new());
        let read = || READ.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = read().get(name) {
            return Ok(Some(known.clone()));
        }
        let found: Option<Self> = find::<ProviderFiles, _>(FOLDER, name)?;
        if let Some(found) = &found {
            read().insert(name.to_owned(), found.clone());
        }
        Ok(found)
    }

    /// The provider as a reader of this guide finds it: its own tab where there is one, else those that it borrows.
    #[must_use]
    pub(crate) fn in_guide(mut self, book: &GuideBook) -> Self {
        let is_there = |tab: &TabPattern| book.titles().any(|title| tab.matches(title));
        if self.tab.as_ref().is_some_and(is_there) {
            self.borrowed_tab = None;
        } else if self.borrowed_tab.is_some() {
            self.tab = None;
        }
        self
    }

    /// The tabs that are followed for it: its own, or those that it borrows.
    pub(crate) fn followed_tab(&self) -> Option<&TabPattern> {
        self.tab
            .as_ref()
            .or(self.borrowed_tab.as_ref().map(|borrowed| &borrowed.tab))
    }

    /// The objects of its manifests, in order; none where it has no manifests.
    ///
    /// # Errors
    /// A file of ours is broken or missing, which a test rules out.
    pub fn objects(&self) -> Result<Vec<Object>, PlanError> {
        let mut objects = Vec::new();
        for file in self.manifests.iter().flat_map(|manifests| &manifests.files) {
            let path = format!("{}/{file}", self.name);
            let found = ProviderFiles::get(&path).map(|found| found.data).unwrap_or_default();
            objects.extend(manifest::read(&format!("{FOLDER}/{path}"), &found)?);
        }
        Ok(objects)
    }

    fn unknown(name: &str) -> PlanError {
        let has_tab = |name: &str| Self::named(name).is_ok_and(|provider| provider.followed_tab().is_some());
        PlanError::UnknownProvider {
            name: cut(name, 80),
            known: known::<ProviderFiles>(has_tab),
        }
    }
}

impl Profile {
    /// The profile of this name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn named(name: &str) -> Result<Self, PlanError> {
        find::<ProfileFiles, _>("manifests/profiles", name)?.ok_or_else(|| PlanError::UnknownProfile {
            name: cut(name, 80),
            known: known::<ProfileFiles>(|_| true),
        })
    }
}

fn find<E: rust_embed::RustEmbed, T: DeserializeOwned>(folder: &str, name: &str) -> Result<Option<T>, PlanError> {
    let file = format!("{name}.yaml");
    let found = E::get(&file).map(|found| manifest::document(&format!("{folder}/{file}"), &found.data));
    Ok(found.transpose()?)
}

fn known<E: rust_embed::RustEmbed>(counts: impl Fn(&str) -> bool) -> String {
    let names = names::<E>().into_iter().filter(|name| counts(name));
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The names of all definitions in a folder, sorted; what lies in folders below belongs to one of them.
fn names<E: rust_embed::RustEmbed>() -> Vec<String> {
    let files = E::iter().filter(|file| !file.contains('/'));
    let mut names: Vec<String> = files.map(|file| file.trim_end_matches(".yaml").to_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_is_readable_and_bears_the_name_of_its_file() {
        for name in names::<ProviderFiles>() {
            assert_eq!(Provider::named(&name).unwrap().name, name);
        }
        for name in names::<ProfileFiles>() {
            assert_eq!(Profile::named(&name).unwrap().name, name);
        }
    }

    #[test]
    fn every_file_below_a_definition_is_one_of_its_manifests_and_holds_objects() {
        let mut named: Vec<String> = Vec::new();
        for provider in Provider::all().unwrap() {
            for file in provider.manifests.iter().flat_map(|manifests| &manifests.files) {
                let path = format!("{}/{file}", provider.name);
                let bytes = ProviderFiles::get(&path).expect("the file is there").data;
                assert!(!manifest::read(&path, &bytes).unwrap().is_empty(), "{path}");
                named.push(path);
            }
        }
        let mut there: Vec<String> = ProviderFiles::iter()
            .map(Into::into)
            .filter(|file: &String| file.contains('/'))
            .collect();
        named.sort();
        there.sort();
        assert!(!named.is_empty());
        assert_eq!(named, there);
    }

    #[test]
    fn manifests_make_their_namespaces_and_their_witness() {
        for provider in Provider::all().unwrap() {
            let Some(manifests) = &provider.manifests else { continue };
            let objects = provider.objects().unwrap();
            let of_kind = |kind: &'static str| objects.iter().filter(move |object| object.kind() == kind);
            for object in objects.iter().filter(|object| object.namespace().is_some()) {
                let position = |wanted: &Object| objects.iter().position(|object| object == wanted);
                let namespace = of_kind("Namespace").find(|one| Some(one.name()) == object.namespace());
                let namespace =
                    namespace.unwrap_or_else(|| panic!("nothing makes the namespace of {}", object.title()));
                assert!(position(namespace) < position(object), "{}", object.title());
            }
            let witness = &manifests.witness;
            let is_witness = |object: &&Object| {
                object.name() == witness.deployment && object.namespace() == Some(&witness.namespace)
            };
            assert_eq!(of_kind("Deployment").filter(is_witness).count(), 1, "{}", provider.name);
            let floating = |image: &String| !image.contains(':') || image.ends_with(":latest");
            let images = objects.iter().flat_map(Object::images).chain(manifests.images.clone());
            assert_eq!(images.filter(floating).collect::<Vec<_>>(), Vec::<String>::new());
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        assert!(
            Provider::named("none-such")
                .unwrap_err()
                .to_string()
                .contains("`istio`")
        );
        let no_tab = Provider::with_tab("none").unwrap_err().to_string();
        assert!(
            no_tab.contains("`istio`") && no_tab.contains("`envoy-ai-gateway`") && !no_tab.contains("`none`,"),
            "{no_tab}"
        );
        assert!(Profile::named("../x").unwrap_err().to_string().contains("`small`"));
    }
}
