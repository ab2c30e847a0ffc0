//! Gateway providers and profiles: data of ours that says how a provider is installed and what a small machine overrides.

use serde::{Deserialize, de::DeserializeOwned};

use super::PlanError;
use crate::{manifest, release::TabPattern};

/// A gateway provider. Providers are data: `manifests/providers`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Its name, which is also its file's.
    pub name: String,
    /// What it is, in one sentence.
    pub about: String,
    /// The titles of its tabs in guides; `None` for a guide without a gateway.
    #[serde(default)]
    pub tab: Option<TabPattern>,
    /// The class of its gateways; `None` for a guide without a gateway.
    #[serde(default)]
    pub gateway_class: Option<String>,
    /// Its own program, where it has one.
    #[serde(default)]
    pub installer: Option<Installer>,
    /// CRDs that its tabs require and do not install.
    #[serde(default)]
    pub schemas: Vec<RequiredSchema>,
}

/// A provider's own program, as the guide runs it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installer {
    /// Its name, such as `istioctl`.
    pub program: String,
    /// Parts of the addresses and files that the guide downloads and unpacks it from.
    pub downloads: Vec<String>,
    /// Settings (`--set SETTING=…`) of the guide's command that are left out.
    #[serde(default)]
    pub without: Vec<Setting>,
    /// The variable by which the guide says which version it installs.
    pub version_variable: String,
    /// The version where the guide says none.
    pub version: String,
    /// The Deployment that says that it is installed already.
    pub witness: Witness,
    /// The images it installs; `{version}` stands for the version.
    pub images: Vec<String>,
    /// Arguments that an unattended run needs.
    pub always: Vec<Addition>,
    /// Arguments that are needed when images are built from packages.
    pub when_built: Vec<Addition>,
}

/// A setting of the guide's command that is left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The setting's name.
    pub setting: String,
    /// The reason, for the ledger.
    pub why: String,
}

/// A Deployment that exists where a provider is installed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// Its namespace, which the installer makes.
    pub namespace: String,
    /// Its name.
    pub deployment: String,
}

/// Arguments that are added to a command of the guide.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addition {
    /// The arguments.
    pub arguments: Vec<String>,
    /// The reason, for the ledger.
    pub why: String,
}

/// CRDs that a provider requires.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequiredSchema {
    /// The API's name, for the ledger.
    pub name: String,
    /// The Go module that publishes them.
    pub module: String,
    /// Its version.
    pub version: String,
    /// The folder of the module that holds the YAML files.
    pub folder: String,
    /// The same objects as one file on the web.
    pub url: Option<String>,
    /// The reason, for the ledger.
    pub why: String,
}

/// Overrides for a kind of machine. Profiles are data: `manifests/profiles`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name, which is also its file's.
    pub name: String,
    /// What machine it is for.
    pub about: String,
    /// Values of the release's charts.
    #[serde(default)]
    pub helm: Vec<ChartValue>,
}

/// A value of a chart that is overridden.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChartValue {
    /// `PATH=VALUE`, as for `helm --set`.
    pub set: String,
    /// The reason, for the ledger.
    pub why: String,
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
        let mut files: Vec<_> = ProviderFiles::iter().collect();
        files.sort();
        let named = files.iter().map(|file| Self::named(file.trim_end_matches(".yaml")));
        named.collect()
    }

    /// The provider of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<Self, PlanError> {
        find::<ProviderFiles, _>("manifests/providers", name)?.ok_or_else(|| Self::unknown(name))
    }

    /// The provider of this name among those that guides have tabs for.
    ///
    /// # Errors
    /// There is none.
    pub fn with_tab(name: &str) -> Result<Self, PlanError> {
        let found: Option<Self> = find::<ProviderFiles, _>("manifests/providers", name)?;
        found
            .filter(|provider| provider.tab.is_some())
            .ok_or_else(|| Self::unknown(name))
    }

    fn unknown(name: &str) -> PlanError {
        let has_tab = |name: &str| Self::named(name).is_ok_and(|provider| provider.tab.is_some());
        PlanError::UnknownProvider {
            name: name.chars().take(80).collect(),
            known: known::<ProviderFiles>(has_tab),
        }
    }
}

impl Profile {
    /// The profile of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<Self, PlanError> {
        find::<ProfileFiles, _>("manifests/profiles", name)?.ok_or_else(|| PlanError::UnknownProfile {
            name: name.chars().take(80).collect(),
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
    let files: Vec<_> = E::iter().collect();
    let names = files
        .iter()
        .map(|file| file.trim_end_matches(".yaml"))
        .filter(|name| counts(name));
    let mut names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.sort();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_is_readable_and_bears_the_name_of_its_file() {
        for file in ProviderFiles::iter() {
            let name = file.trim_end_matches(".yaml");
            assert_eq!(Provider::named(name).unwrap().name, name);
        }
        for file in ProfileFiles::iter() {
            let name = file.trim_end_matches(".yaml");
            assert_eq!(Profile::named(name).unwrap().name, name);
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
        assert!(no_tab.contains("`istio`") && !no_tab.contains("`none`,"), "{no_tab}");
        assert!(Profile::named("../x").unwrap_err().to_string().contains("`small`"));
    }
}
