//! Puts layers together to images as the OCI image specification 1.1 has them, without an engine.
//!
//! The same layers and configuration give the same digest: JSON keys are sorted.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use oci_spec::image::{
    Arch, Config, ConfigBuilder, Descriptor, DescriptorBuilder, Digest, ImageConfigurationBuilder,
    ImageManifestBuilder, MediaType, Os, RootFsBuilder,
};
use serde::{Deserialize, Serialize};

use super::{
    ImagesError,
    layer::{Content, Layer, PackedLayer},
    recipe::RunConfig,
    store::{Store, at},
};

/// An image in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PackedImage {
    /// Digest of the manifest: the image's own digest.
    pub(crate) digest: String,
    /// Size of the manifest in bytes.
    pub(crate) size: u64,
    /// Digest and size of the configuration.
    pub(crate) config: (String, u64),
    /// The layers, lowest first.
    pub(crate) layers: Vec<PackedLayer>,
}

impl PackedImage {
    /// What has to travel to have the whole image, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.size + self.config.1 + self.layers.iter().map(|layer| layer.size).sum::<u64>()
    }
}

/// Puts layers under a configuration and keeps both in the store.
pub(super) fn assemble(store: &Store, run: &RunConfig, layers: Vec<PackedLayer>) -> Result<PackedImage, ImagesError> {
    let diff_ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let configuration = ImageConfigurationBuilder::default()
        .created("1970-01-01T00:00:00Z")
        .architecture(Arch::Amd64)
        .os(Os::Linux)
        .config(configuration(run)?)
        .rootfs(RootFsBuilder::default().typ("layers").diff_ids(diff_ids).build()?)
        .build()?;
    let configuration = sorted_json(&configuration)?;
    let config = (store.keep_blob(&configuration)?, configuration.len() as u64);
    let mut descriptors = Vec::new();
    for layer in &layers {
        descriptors.push(descriptor(MediaType::ImageLayerZstd, &layer.digest, layer.size)?);
    }
    let manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(MediaType::ImageConfig, &config.0, config.1)?)
        .layers(descriptors)
        .build()?;
    let manifest = sorted_json(&manifest)?;
    Ok(PackedImage {
        digest: store.keep_blob(&manifest)?,
        size: manifest.len() as u64,
        config,
        layers,
    })
}

fn configuration(run: &RunConfig) -> Result<Config, ImagesError> {
    let mut env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
    env.extend(run.env.iter().map(|(name, value)| format!("{name}={value}")));
    let mut config = ConfigBuilder::default()
        .env(env)
        .entrypoint(run.entrypoint.clone())
        .working_dir("/");
    if !run.user.is_empty() {
        config = config.user(run.user.clone());
    }
    if !run.ports.is_empty() {
        let ports: Vec<String> = run.ports.iter().map(|port| format!("{port}/tcp")).collect();
        config = config.exposed_ports(ports);
    }
    Ok(config.build()?)
}

fn descriptor(media_type: MediaType, digest: &str, size: u64) -> Result<Descriptor, ImagesError> {
    let digest: Digest = digest.parse()?;
    Ok(DescriptorBuilder::default()
        .media_type(media_type)
        .digest(digest)
        .size(size)
        .build()?)
}

/// JSON with sorted keys: the specification's library keeps some fields in maps without an order.
fn sorted_json<T: Serialize>(value: &T) -> Result<Vec<u8>, ImagesError> {
    let mut value = serde_json::to_value(value)?;
    value.sort_all_objects();
    Ok(serde_json::to_vec(&value)?)
}

/// Writes a tar that is at once an OCI layout (`ctr images import`) and a docker archive (`docker load`).
pub(super) fn write_archive(store: &Store, images: &[(String, PackedImage)], out: &Path) -> Result<(), ImagesError> {
    let mut blobs: Vec<&str> = Vec::new();
    let mut index = Vec::new();
    let mut docker = Vec::new();
    let path = |digest: &str| format!("blobs/sha256/{}", digest.trim_start_matches("sha256:"));
    for (name, image) in images {
        let layers = image.layers.iter().map(|layer| layer.digest.as_str());
        blobs.extend(layers.clone().chain([image.config.0.as_str(), image.digest.as_str()]));
        index.push(serde_json::json!({
            "mediaType": MediaType::ImageManifest.to_string(), "digest": image.digest, "size": image.size,
            "platform": {"architecture": "amd64", "os": "linux"}, "annotations": {"io.containerd.image.name": name},
        }));
        docker.push(serde_json::json!({
            "Config": path(&image.config.0), "RepoTags": [name], "Layers": layers.map(path).collect::<Vec<_>>(),
        }));
    }
    blobs.sort_unstable();
    blobs.dedup();
    let mut layer = Layer::default();
    layer.file(
        "oci-layout",
        Content::Bytes(br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        0o644,
    );
    let index =
        serde_json::json!({"schemaVersion": 2, "mediaType": MediaType::ImageIndex.to_string(), "manifests": index});
    layer.file("index.json", Content::Bytes(serde_json::to_vec(&index)?), 0o644);
    layer.file("manifest.json", Content::Bytes(serde_json::to_vec(&docker)?), 0o644);
    for digest in blobs {
        layer.file(&path(digest), Content::Whole(store.blob(digest)), 0o644);
    }
    let file = io::BufWriter::new(File::create(out).map_err(at(out))?);
    layer.write(file).and_then(|mut file| file.flush()).map_err(at(out))
}

#[cfg(test)]
mod tests;
