//! Image registries under their published names, over the one that has the images that were made; and what can go wrong
//! with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use axum::{
    body::Body,
    http::{HeaderMap, Method, Response, header},
};
use serde_json::{Value, json};

use super::{Answer, passed_on, said};
use crate::published::{MANIFEST, digest};

/// The media type of an index (OCI image specification).
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Those of a layer that is not compressed, and of an image's configuration.
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// What happens to a registry or a repository of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Tags lead elsewhere.
    Moved,
    /// Tags lead elsewhere once quickproof has asked what they lead to.
    MovesOnceAsked,
    /// Every answer has this status, and these headers.
    Status(u16, &'static [(&'static str, &'static str)]),
    /// A tag's digest is said to be another than that of what comes.
    WrongDigest,
    /// A layer that nobody has yet breaks off in its middle.
    CutOff,
    /// It takes connections and says nothing.
    Silent,
}

/// The registries.
pub(super) struct Registries {
    http: reqwest::Client,
    /// The registry that has the images that were made.
    images: String,
    /// By the name of a registry, or of a repository.
    troubles: Mutex<BTreeMap<String, Trouble>>,
    /// Manifests, configurations and layers of its own, by digest.
    own: Mutex<BTreeMap<String, (&'static str, Vec<u8>)>>,
    /// Repositories whose layers were asked for.
    pulled: Mutex<BTreeSet<String>>,
}

impl Registries {
    /// What plays registries over this one, which has the images that were made.
    pub(super) fn over(images: String) -> Self {
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            images,
            troubles: Mutex::default(),
            own: Mutex::default(),
            pulled: Mutex::default(),
        }
    }

    /// Makes trouble for a registry or a repository, and takes every other away.
    pub(super) fn only_trouble(&self, name: &str, trouble: Trouble) {
        *self.troubles.lock().unwrap() = BTreeMap::from([(name.to_owned(), trouble)]);
    }

    /// Whether layers of this repository were asked for.
    pub(super) fn gave(&self, repository: &str) -> bool {
        self.pulled.lock().unwrap().contains(repository)
    }

    pub(super) fn trouble(&self, name: &str) -> Option<Trouble> {
        self.troubles.lock().unwrap().get(name).copied()
    }

    /// What is below `/v2/` of a registry: `REPOSITORY/manifests/REFERENCE` or `REPOSITORY/blobs/DIGEST`.
    pub(super) async fn answer(&self, path: &str, headers: &HeaderMap, method: &Method) -> Answer {
        let mut parts = path.rsplitn(3, '/');
        let [reference, kind, repository] = [(); 3].map(|()| parts.next().unwrap_or_default());
        if let Some(Trouble::Status(status, headers)) = self.trouble(repository) {
            return said(status, headers, "trouble");
        }
        if kind == "blobs" && method == Method::GET {
            self.pulled.lock().unwrap().insert(repository.to_owned());
        }
        let own = self.own.lock().unwrap().get(reference).cloned();
        match own {
            Some((LAYER, bytes)) if self.trouble(repository) == Some(Trouble::CutOff) => cut_off(&bytes),
            Some((media, bytes)) => manifest(media, reference, bytes),
            None if kind == "manifests" && !reference.starts_with("sha256:") => {
                let answer = self.tag(repository, reference).await;
                let is_us = headers
                    .get(header::USER_AGENT)
                    .is_some_and(|agent| agent.to_str().unwrap().starts_with("quickproof/"));
                if is_us && self.trouble(repository) == Some(Trouble::MovesOnceAsked) {
                    self.only_trouble(repository, Trouble::Moved);
                }
                answer
            }
            None => {
                let url = format!("{}/v2/{path}", self.images);
                passed_on(self.http.request(method.clone(), url).header("accept", MANIFEST)).await
            }
        }
    }

    /// The index of a tag: what was made for this platform, and something for another. A tag that ends in `-other` means the
    /// same with a layer more, so that no node has all of it yet.
    async fn tag(&self, repository: &str, tag: &str) -> Answer {
        let (tag, is_other) = match tag.strip_suffix("-other") {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let url = format!("{}/v2/{repository}/manifests/{tag}", self.images);
        let made = self.http.get(url).header("accept", MANIFEST).send().await.unwrap();
        if made.status() != 200 {
            return said(404, &[], json!({"errors": [{"code": "MANIFEST_UNKNOWN"}]}).to_string());
        }
        let mut made: Value = serde_json::from_slice(&made.bytes().await.unwrap()).unwrap();
        if is_other {
            self.add_a_layer(repository, &mut made).await;
        }
        let trouble = self.trouble(repository);
        match trouble {
            Some(Trouble::Moved) => made["annotations"] = json!({"moved": "yes"}),
            Some(Trouble::WrongDigest) => made["annotations"] = json!({"wrong": "yes"}),
            _ => {}
        }
        let other = json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
            "config": {"mediaType": CONFIG, "size": 2, "digest": format!("sha256:{}", digest(b"{}"))}});
        let platforms = [("amd64", made), ("arm64", other)].map(|(architecture, manifest)| {
            let bytes = manifest.to_string().into_bytes();
            json!({"mediaType": MANIFEST, "size": bytes.len(), "digest": self.keep(MANIFEST, bytes),
                "platform": {"os": "linux", "architecture": architecture}})
        });
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": platforms})
            .to_string()
            .into_bytes();
        let mut named = self.keep(INDEX, index.clone());
        if trouble == Some(Trouble::WrongDigest) {
            named = format!("sha256:{}", digest(b"another"));
            self.own.lock().unwrap().insert(named.clone(), (INDEX, index.clone()));
        }
        manifest(INDEX, &named, index)
    }

    /// Keeps something under its digest, which it returns.
    fn keep(&self, media: &'static str, bytes: Vec<u8>) -> String {
        let named = format!("sha256:{}", digest(&bytes));
        self.own.lock().unwrap().insert(named.clone(), (media, bytes));
        named
    }

    /// Adds a layer that nobody has to a manifest.
    async fn add_a_layer(&self, repository: &str, manifest: &mut Value) {
        let mut tar = tar::Builder::new(Vec::new());
        // Another for each trouble, so that no node has it from the one before.
        let content = format!("{:?}", self.trouble(repository));
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "added", content.as_bytes()).unwrap();
        let layer = tar.into_inner().unwrap();
        let named = manifest["config"]["digest"].as_str().unwrap();
        let url = format!("{}/v2/{repository}/blobs/{named}", self.images);
        let config = self.http.get(url).send().await.unwrap().bytes().await.unwrap();
        let mut config: Value = serde_json::from_slice(&config).unwrap();
        let size = layer.len();
        // Of what is not compressed the two digests are one.
        let digest = self.keep(LAYER, layer);
        config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(json!(digest));
        if let Some(history) = config["history"].as_array_mut() {
            history.push(json!({"created_by": "the stand-in internet"}));
        }
        let config = config.to_string().into_bytes();
        manifest["layers"]
            .as_array_mut()
            .unwrap()
            .push(json!({"mediaType": LAYER, "size": size, "digest": digest}));
        manifest["config"]["size"] = json!(config.len());
        manifest["config"]["digest"] = json!(self.keep(CONFIG, config));
    }
}

fn manifest(media: &str, named: &str, bytes: Vec<u8>) -> Answer {
    said(200, &[("content-type", media), ("docker-content-digest", named)], bytes)
}

/// The first half of something, which is said to be whole.
fn cut_off(bytes: &[u8]) -> Answer {
    let half = bytes[..bytes.len() / 2].to_vec();
    let broken = std::io::Error::other("the stand-in internet breaks off");
    Response::builder()
        .header(header::CONTENT_LENGTH, bytes.len())
        .body(Body::from_stream(futures::stream::iter([Ok(half), Err(broken)])))
        .unwrap()
}
