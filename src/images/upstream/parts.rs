//! All digests under which an image may run: of its index, of the manifest for each platform, and of their configurations.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::{Unanswered, Upstream, patiently, refuses};
use crate::images::{ImageRef, store::sha256};

/// The most manifests of one index that are read.
const MOST_PLATFORMS: usize = 32;

/// What of a manifest or an index matters here.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
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
        }]);
        let configurations = configurations.filter_map(|one| Some(one.config?.digest));
        Ok([digest.to_owned()]
            .into_iter()
            .chain(configurations)
            .chain(platforms.clone())
            .collect())
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
