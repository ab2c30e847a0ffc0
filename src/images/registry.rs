//! The local registry: one container that gives the nodes of all clusters every image under its upstream name.
//!
//! It outlives a run, as a cache does. Names lose their registry host on the way in: the nodes ask it whatever host an
//! image names, so two hosts with the same path would be one here.

use std::time::Duration;

use super::{
    ImagesError,
    engine::{Container, Engine, LABEL},
    oci::{PackedImage, write_archive},
    push::RegistryClient,
    store::{Store, at},
};
use crate::host::poll;

/// The container's name, and its host name on the network of the nodes, where they ask it at port 5000.
pub(crate) const REGISTRY_CONTAINER: &str = "quickproof-registry";

/// The network that kind puts its nodes on.
const NETWORK: &str = "kind";
const PORT: &str = "5000/tcp";
const KEY_LABEL: &str = "quickproof.key";

/// How long the registry may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(10);

/// The running registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registry {
    /// Its address on this machine, `127.0.0.1:PORT`.
    pub(crate) address: String,
}

impl Registry {
    pub(super) fn client(&self) -> Result<RegistryClient, ImagesError> {
        let base = format!("http://{}/", self.address)
            .parse()
            .map_err(|_| ImagesError::RegistryStart)?;
        RegistryClient::new(base)
    }
}

/// The registry if it runs, with this image and this data.
pub(super) async fn find(
    engine: &Engine<'_>,
    store: &Store,
    image: &PackedImage,
) -> Result<Option<Registry>, ImagesError> {
    let Some(container) = engine.container(REGISTRY_CONTAINER).await? else {
        return Ok(None);
    };
    Ok(is_ours(&container, store, image).then(|| of(&container)).flatten())
}

/// Starts the registry where it does not run.
pub(super) async fn start(
    engine: &Engine<'_>,
    store: &Store,
    name: &str,
    image: &PackedImage,
) -> Result<Registry, ImagesError> {
    let registry = match find(engine, store, image).await? {
        Some(registry) => registry,
        None => start_anew(engine, store, name, image).await?,
    };
    let client = registry.client()?;
    let answers = poll(START_LIMIT, Duration::from_millis(50), async |_| {
        if client.answers().await { Ok(()) } else { Err(()) }
    });
    answers.await.map_err(|()| ImagesError::RegistryStart)?;
    Ok(registry)
}

async fn start_anew(
    engine: &Engine<'_>,
    store: &Store,
    name: &str,
    image: &PackedImage,
) -> Result<Registry, ImagesError> {
    engine.remove_container(REGISTRY_CONTAINER).await?;
    if engine.images(vec![name]).await?.is_empty() {
        let archive = store.work("registry.tar");
        let directory = store.work("");
        std::fs::create_dir_all(&directory).map_err(at(&directory))?;
        write_archive(store, &[(name.to_owned(), image.clone())], &archive)?;
        engine.load(&archive).await?;
        std::fs::remove_file(&archive).map_err(at(&archive))?;
    }
    if !engine.has_network(NETWORK).await? {
        // As kind itself makes it (pkg/cluster/internal/providers/docker/network.go), but for IPv6: kind takes a network that is there.
        let options = [
            "com.docker.network.bridge.enable_ip_masquerade=true",
            "com.docker.network.driver.mtu=1500",
        ];
        let mut call = vec!["network", "create", "--driver", "bridge"];
        call.extend(options.iter().flat_map(|option| ["--opt", option]));
        call.push(NETWORK);
        engine.docker(call).await?;
    }
    let data = store.registry();
    std::fs::create_dir_all(&data).map_err(at(&data))?;
    let mount = format!("{}:/var/lib/registry", data.display());
    let key = format!("{KEY_LABEL}={}", image.digest);
    let labels = [LABEL, "quickproof.kind=registry", key.as_str()];
    let mut call = vec![
        "run",
        "--detach",
        "--name",
        REGISTRY_CONTAINER,
        "--network",
        NETWORK,
        "--restart",
        "no",
    ];
    call.extend(labels.iter().flat_map(|label| ["--label", label]));
    call.extend(["--publish", "127.0.0.1::5000", "--volume", &mount, name]);
    engine.docker(call).await?;
    let started = engine.container(REGISTRY_CONTAINER).await?;
    started.as_ref().and_then(of).ok_or(ImagesError::RegistryStart)
}

fn is_ours(container: &Container, store: &Store, image: &PackedImage) -> bool {
    let key = container
        .config
        .labels
        .as_ref()
        .and_then(|labels| labels.get(KEY_LABEL));
    let data = store.registry();
    container.state.running
        && key == Some(&image.digest)
        && container
            .mounts
            .iter()
            .any(|mount| data == std::path::Path::new(&mount.source))
}

fn of(container: &Container) -> Option<Registry> {
    let port = container
        .network_settings
        .ports
        .as_ref()?
        .get(PORT)?
        .as_ref()?
        .first()?;
    Some(Registry {
        address: format!("127.0.0.1:{}", port.host_port),
    })
}
