//! What is asked of the container engine, through its command-line client.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, de::DeserializeOwned};

use super::{ImageRef, ImagesError};
use crate::host::{Ended, Host, docker};

/// The label on everything that is made in the engine, by which it is found again.
pub(super) const LABEL: &str = "quickproof=1";

/// The container engine of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Engine<'a> {
    host: &'a Host,
}

/// An image as the engine has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EngineImage {
    /// Its id in the engine.
    pub(crate) id: String,
    /// Its names, as the engine writes them.
    #[serde(default)]
    pub(crate) repo_tags: Vec<String>,
    /// `NAME@DIGEST` of each registry it came from; empty where it was made here.
    #[serde(default)]
    pub(crate) repo_digests: Vec<String>,
    /// Its size in bytes.
    #[serde(default)]
    pub(crate) size: u64,
}

impl EngineImage {
    /// Whether it has this name, by its tag.
    pub(super) fn is_tagged(&self, name: &ImageRef) -> bool {
        let mut tags = self.repo_tags.iter().filter_map(|tag| tag.parse::<ImageRef>().ok());
        tags.any(|tag| tag == *name)
    }

    /// Whether it has this name, by its tag or by a digest that a registry gave it.
    pub(super) fn is_called(&self, name: &ImageRef) -> bool {
        let is_pinned = |wanted| self.digests_in(name).any(|digest| digest == wanted);
        self.is_tagged(name) || name.digest().is_some_and(is_pinned)
    }

    /// The digest that the registry of this name gave it; the engine's own id where it came from none.
    pub(super) fn digest_of(&self, name: &ImageRef) -> String {
        self.digests_in(name).next().unwrap_or_else(|| self.id.clone())
    }

    fn digests_in(&self, name: &ImageRef) -> impl Iterator<Item = String> {
        let digests = self
            .repo_digests
            .iter()
            .filter_map(|digest| digest.parse::<ImageRef>().ok());
        digests
            .filter(|digest| digest.host() == name.host() && digest.repository() == name.repository())
            .filter_map(|digest| digest.digest().map(str::to_owned))
    }
}

/// A container as the engine has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Container {
    pub(crate) state: ContainerState,
    pub(crate) config: ContainerConfig,
    pub(crate) network_settings: NetworkSettings,
    #[serde(default)]
    pub(crate) mounts: Vec<Mount>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ContainerState {
    pub(crate) running: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ContainerConfig {
    #[serde(default)]
    pub(crate) labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NetworkSettings {
    #[serde(default)]
    pub(crate) ports: Option<BTreeMap<String, Option<Vec<HostPort>>>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HostPort {
    pub(crate) host_port: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Mount {
    pub(crate) source: String,
}

impl<'a> Engine<'a> {
    /// The engine, whether it answers or not.
    pub(super) fn of(host: &'a Host) -> Self {
        Self { host }
    }

    /// The engine, once it has answered.
    pub(super) async fn answering(host: &'a Host) -> Result<Self, ImagesError> {
        let engine = Self::of(host);
        engine.docker(["version", "--format", "{{.Server.Version}}"]).await?;
        Ok(engine)
    }

    /// Runs the client; it must succeed.
    pub(super) async fn docker<I: IntoIterator<Item = S>, S: Into<String>>(
        &self,
        arguments: I,
    ) -> Result<Ended, ImagesError> {
        self.host.run_ok(&docker(arguments)).await.map_err(ImagesError::Engine)
    }

    /// Runs the client; it may fail, as where something is not there.
    pub(super) async fn try_docker<I: IntoIterator<Item = S>, S: Into<String>>(
        &self,
        arguments: I,
    ) -> Result<Ended, ImagesError> {
        self.host.run(&docker(arguments)).await.map_err(ImagesError::Engine)
    }

    /// Those of the named images that the engine has.
    pub(super) async fn images<S: Into<String>>(&self, names: Vec<S>) -> Result<Vec<EngineImage>, ImagesError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let call = ["image".to_owned(), "inspect".to_owned()];
        self.inspect(call.into_iter().chain(names.into_iter().map(Into::into)))
            .await
    }

    /// A container by its name; `None` where there is none.
    pub(super) async fn container(&self, name: &str) -> Result<Option<Container>, ImagesError> {
        Ok(self.inspect(["container", "inspect", name]).await?.pop())
    }

    /// Whether there is a network of that name.
    pub(super) async fn has_network(&self, name: &str) -> Result<bool, ImagesError> {
        let seen: Vec<serde_json::Value> = self.inspect(["network", "inspect", name]).await?;
        Ok(!seen.is_empty())
    }

    /// Takes in the images of an archive.
    pub(super) async fn load(&self, archive: &Path) -> Result<(), ImagesError> {
        let arguments = [
            "load".into(),
            "--quiet".into(),
            "--input".into(),
            archive.to_string_lossy(),
        ];
        self.docker(arguments).await.map(drop)
    }

    /// Removes a container, running or not; one that is not there is removed already.
    pub(super) async fn remove_container(&self, name: &str) -> Result<(), ImagesError> {
        self.try_docker(["rm", "--force", "--volumes", name]).await.map(drop)
    }

    /// What `inspect` says of the things that are there. Its exit status tells of those that are not.
    async fn inspect<T: DeserializeOwned, I: IntoIterator<Item = S>, S: Into<String>>(
        &self,
        arguments: I,
    ) -> Result<Vec<T>, ImagesError> {
        let said = self.try_docker(arguments).await?.stdout;
        if said.iter().all(u8::is_ascii_whitespace) {
            return Ok(Vec::new());
        }
        Ok(serde_json::from_slice(&said)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_registrys_own_where_there_is_one() {
        let digest = format!("sha256:{}", "b".repeat(64));
        let mut image = EngineImage {
            id: "sha256:1".to_owned(),
            repo_tags: vec![],
            repo_digests: vec![format!("istio/pilot@{digest}")],
            size: 1,
        };
        let name: ImageRef = "docker.io/istio/pilot:1.28.0".parse().unwrap();
        assert_eq!(image.digest_of(&name), digest);
        image.repo_digests.clear();
        assert_eq!(image.digest_of(&name), "sha256:1");
    }
}
