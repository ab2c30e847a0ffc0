//! Gives a cluster the images that a plan names: pulled, found here, or made from packages.
//!
//! Where image registries answer, images are pulled. Where none does, but package registries do, every image is made from
//! packages after a recipe (`manifests/images/`) and served to the nodes under its upstream name by a local registry.
//! What is made is not what was published, and says so. Nothing here decides whether a release is good.

use std::{path::Path, sync::Arc};

use crate::{host::Host, record::Events};

mod decide;
mod download;
mod engine;
mod error;
mod layer;
mod load;
mod make;
mod node;
mod oci;
mod program;
mod progress;
mod published;
mod pulled;
mod push;
mod reachable;
mod recipe;
mod registry;
mod serve;
mod source;
mod state;
mod store;
mod upstream;

pub use crate::manifest::{BadImageRef, ImageRef};
pub(crate) use error::ImagesError;
pub(crate) use load::load;
pub(crate) use program::ProgramOrigin;
pub use program::{NotAtHand, Program, found, program};
pub(crate) use published::may_be_published;
pub(crate) use recipe::{MadeWhen, Makes, Recipe, RecipeSource};
pub(crate) use registry::{REGISTRY_CONTAINER, Registry};
pub(crate) use state::states;
pub(crate) use upstream::{Said, Unanswered, Upstream};

use decide::{Decision, NodeImage};
use engine::Engine;
use make::Maker;
use progress::Progress;
use source::Workshop;
use store::Store;

/// How container images come to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ImageSource {
    /// The first of the others that can work here; one line says which
    Auto,
    /// Pulled from their registries by the cluster's nodes, as those of a reader of the guide do
    Pull,
    /// Built from packages (Go modules, Debian packages, wheels), for networks without image registries. Proves nothing
    /// about the published images, and says so
    Build,
    /// Already on this machine
    Present,
}

/// The images that were provided for a cluster, and how its nodes get them.
#[derive(Debug, Clone)]
pub struct Provided {
    /// Where images were had from; never [`ImageSource::Auto`].
    pub(crate) source: ImageSource,
    /// How the images are had, as one sentence without a full stop.
    pub(crate) sentence: String,
    /// The image of the cluster's node; `None` is the default of the tool that makes the cluster.
    pub node_image: Option<String>,
    /// The images that are to be had. Where the node's image is ours it is among them, since it too stands in for another.
    pub(crate) images: Vec<ProvidedImage>,
    /// Wanted images that are not to be had: the cluster will say what comes of them.
    pub(crate) missing: Vec<ImageRef>,
    /// The local registry that nodes ask; `None` where they ask the registries that names name.
    pub(crate) registry: Option<Registry>,
    /// Images that have to be put into the cluster's nodes once they run, by [`load`].
    pub(crate) load: Vec<ImageRef>,
    /// The registries that nodes pull from, where they do.
    pub(crate) upstream: Option<Arc<Upstream>>,
}

/// An image that is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProvidedImage {
    /// Its upstream name.
    pub(crate) image: ImageRef,
    /// The digest of what the name leads to, `sha256:…`.
    pub(crate) digest: String,
    /// How it came here.
    pub(crate) origin: ImageOrigin,
}

/// How an image is had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageOrigin {
    /// From the registry that its name names.
    Pulled,
    /// It was in the engine already.
    Present,
    /// Made from packages: it is not the published image.
    Built {
        /// What stands in for what, as one sentence without a full stop.
        note: String,
    },
}

/// Sees to it that the wanted images, and a node image that can run them, are to be had. Where nodes pull them
/// ([`ImageSource::Pull`]), their registries are asked what each name leads to, and nothing is fetched.
///
/// What is to be done is decided first, as data (`images::decide`), and then carried out. Names that cannot be had are not
/// an error: they are in [`Provided::missing`], and are left to the cluster.
///
/// # Errors
/// The engine or a package tool does not do its work, [`ImageSource::Present`] was asked for and something is not here, or a
/// registry that is to be pulled from does not answer.
pub async fn provide(
    host: &Host,
    source: ImageSource,
    wanted: &[ImageRef],
    events: &Events,
) -> Result<Provided, ImagesError> {
    let source = match source {
        ImageSource::Auto => reachable::choose(host, wanted, events).await?,
        named => named,
    };
    let wanted = without_repeats(wanted);
    let progress = Progress::new(events);
    if source == ImageSource::Pull {
        // Nothing is made, so that no package tool need work; and the engine has no part in it.
        return progress.during(pulled::ask(host, &wanted, &progress)).await;
    }
    let mut names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let engine = Engine::answering(host).await?;
    let recipes = recipe::read_all()?;
    let store = Store::of(host);
    let maker = Maker {
        workshop: Workshop::open(host, &store, &progress).await?,
        recipes: &recipes,
    };
    let node = maker.recipe("node")?;
    let node_name: ImageRef = node::name(&maker, node)?.parse()?;
    names.push(node_name.to_string());
    let in_engine = engine.images(names).await?;
    let node = NodeImage {
        recipe: node,
        is_present: in_engine.iter().any(|image| image.is_tagged(&node_name)),
        name: node_name,
    };
    let registry = maker.recipe("registry")?;
    match decide::present_or_built(source, &wanted, &in_engine, &recipes, node, registry) {
        Decision::Load(decided) => {
            progress
                .during(load::carry_out(source, decided, &engine, &progress))
                .await
        }
        Decision::Serve(decided) => progress.during(serve::carry_out(decided, &maker, &engine)).await,
    }
}

/// Pulls images into the engine, where those are that it has not.
///
/// # Errors
/// The engine does not do its work.
pub(crate) async fn pull(host: &Host, wanted: &[ImageRef], events: &Events) -> Result<Provided, ImagesError> {
    let wanted = without_repeats(wanted);
    let engine = Engine::answering(host).await?;
    let progress = Progress::new(events);
    let decided = decide::pulled(
        &wanted,
        &engine.images(wanted.iter().map(ToString::to_string).collect()).await?,
    );
    progress
        .during(load::carry_out(ImageSource::Pull, decided, &engine, &progress))
        .await
}

/// Makes the image of this name where it is not made yet, and writes it into a file that `docker load`, `ctr images import` and
/// skopeo read. No engine has a part in it. Returns the image's digest.
///
/// # Errors
/// No recipe makes it, making it fails, or the file cannot be written.
pub(crate) async fn save(host: &Host, image: &ImageRef, file: &Path, events: &Events) -> Result<String, ImagesError> {
    let (recipes, store, progress) = (recipe::read_all()?, Store::of(host), Progress::new(events));
    let name = image.to_string();
    let recipe = decide::recipe_for(&recipes, image).ok_or(ImagesError::NoRecipe { name: name.clone() })?;
    let maker = Maker {
        workshop: Workshop::open(host, &store, &progress).await?,
        recipes: &recipes,
    };
    if std::env::consts::ARCH != "x86_64" && !maker.unmade(&[recipe])?.is_empty() {
        return Err(ImagesError::OtherMachine {
            here: std::env::consts::ARCH,
        });
    }
    let _lock = store.lock().await?;
    let made = progress.during(maker.make(&[recipe])).await?;
    let digest = made.iter().map(|image| image.digest.clone()).collect();
    let named: Vec<_> = made.into_iter().map(|image| (name.clone(), image)).collect();
    oci::write_archive(&store, &named, file)?;
    Ok(digest)
}

/// Whether the node in this container gets images from our registry and from nobody else, as its containerd is set up.
///
/// # Errors
/// The engine does not answer.
pub(crate) async fn asks_our_registry(host: &Host, node: &str) -> Result<bool, ImagesError> {
    let looked = ["exec", node, "grep", "-qs", REGISTRY_CONTAINER, node::WHOM_IT_ASKS];
    Ok(Engine::of(host).try_docker(looked).await?.status.success())
}

/// The kind of this machine, as Go and container images name it; `None` of one that nothing is published for.
fn machine() -> Option<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Some("amd64"),
        "aarch64" => Some("arm64"),
        _ => None,
    }
}

fn without_repeats(images: &[ImageRef]) -> Vec<ImageRef> {
    let images: std::collections::BTreeSet<&ImageRef> = images.iter().collect();
    images.into_iter().cloned().collect()
}

/// All recipes, sorted by name.
///
/// # Errors
/// One of them is not a recipe, or names another that is not there.
pub(crate) fn recipes() -> Result<Vec<Recipe>, ImagesError> {
    Ok(recipe::read_all()?.into_values().collect())
}
