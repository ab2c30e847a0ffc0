//! What an image is made of: all digests under which it may run, of its index, of the manifest for each platform, and of
//! their configurations; and how large it is.

use std::{
    collections::{BTreeSet, btree_map::Entry},
    sync::{Arc, PoisonError},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::{Said, Unanswered, Upstream, patiently, refuses};
use crate::images::{ImageRef, machine, store::sha256};

/// The most manifests of one index that are read.
const MOST_PLATFORMS: usize = 32;

/// What of a manifest or an index matters here.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    /// In bytes.
    #[serde(default)]
    size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

impl Upstream {
    /// The digests under which a node may say that it runs the image with this digest: the digest itself; those of the
    /// manifests in it where it is an index, since a node may name the one of its own platform; and those of
    /// configurations, which are all that a node knows of an image that was put there by hand.
    pub(crate) async fn parts(&self, image: &ImageRef, digest: &str) -> Result<BTreeSet<String>, Unanswered> {
        let whole = self.read(image, digest).await?;
        let platforms: Vec<String> = whole
            .manifests
            .into_iter()
            .map(|one| one.digest)
            .take(MOST_PLATFORMS)
            .collect();
        let read = platforms.iter().map(|platform| self.read(image, platform));
        let read: Vec<Manifest> = stream::iter(read).buffered(4).try_collect().await?;
        let configurations = read.into_iter().chain([Manifest {
            manifests: Vec::new(),
            config: whole.config,
            layers: Vec::new(),
        }]);
        let configurations = configurations.filter_map(|one| Some(one.config?.digest));
        Ok([digest.to_owned()]
            .into_iter()
            .chain(configurations)
            .chain(platforms.clone())
            .collect())
    }

    /// How many bytes a node fetches that has nothing of an image, a node of this machine's kind. `None` until the registry
    /// has said so; it is asked at the first call, which waits for nothing, and not again.
    pub(crate) fn size(self: &Arc<Self>, image: &ImageRef) -> Option<u64> {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        match sizes.entry(image.clone()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(open) => {
                open.insert(None);
                let (upstream, image) = (Arc::clone(self), image.clone());
                tokio::spawn(async move {
                    let size = upstream.size_of(&image).await.unwrap_or_default();
                    let mut sizes = upstream.sizes.lock().unwrap_or_else(PoisonError::into_inner);
                    sizes.insert(image, size);
                });
                None
            }
        }
    }

    /// The size of an image; `None` where there is none for this machine's kind.
    pub(super) async fn size_of(&self, image: &ImageRef) -> Result<Option<u64>, Unanswered> {
        let Said::Digest(digest) = self.leads_to(image).await? else {
            return Ok(None);
        };
        let mut manifest = self.read(image, &digest).await?;
        if !manifest.manifests.is_empty() {
            let fits = |one: &&Descriptor| {
                let platform = one.platform.as_ref();
                platform.is_some_and(|one| one.os == "linux" && Some(one.architecture.as_str()) == machine())
            };
            let Some(here) = manifest.manifests.iter().find(fits) else {
                return Ok(None);
            };
            manifest = self.read(image, &here.digest).await?;
        }
        let parts = manifest.layers.iter().chain(&manifest.config);
        Ok(Some(parts.map(|part| part.size).sum()))
    }

    async fn read(&self, image: &ImageRef, digest: &str) -> Result<Manifest, Unanswered> {
        let host = image.host();
        let answer = patiently(|| self.manifest(Method::GET, image, digest)).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(refuses(
                host,
                format!("has no {digest} of {image}, which it named itself"),
            ));
        }
        let there = sha256(&answer.body);
        if there != digest {
            return Err(refuses(host, format!("gives {there} for {digest} of {image}")));
        }
        let manifest = serde_json::from_slice(&answer.body);
        manifest.map_err(|error| refuses(host, format!("has no manifest under {digest} of {image} ({error})")))
    }
}
