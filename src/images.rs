//! Gives a cluster the images that a plan names: pulled, found here, or made from packages.
//!
//! Where image registries answer, images are pulled. Where none does, but package registries do, every image is made from
//! packages after a recipe (`manifests/images/`) and served to the nodes under its upstream name by a local registry.
//! What is made is not what was published, and says so. Nothing here decides whether a release is good.

use crate::{host::Host, record::Events};

mod engine;
mod error;
mod layer;
mod make;
mod node;
mod oci;
mod program;
mod progress;
mod published;
mod pull;
mod push;
mod recipe;
mod registry;
mod serve;
mod source;
mod store;

pub use crate::manifest::{BadImageRef, ImageRef};
pub use error::ImagesError;
pub use program::{found, program};
pub use published::may_be_published;
pub use pull::load;
pub use recipe::{
    Accepted, ArchiveLine, DataLine, DebianPackages, DebianSystem, DirectoryLine, FileLine, FoundOnPath, Go,
    JoinedLine, Line, LinkLine, Makes, Mode, Recipe, RunConfig, Source, TextLine, TreeLine, Version, Wheel, When,
};
pub use registry::{REGISTRY_CONTAINER, Registry, remove_registry};
pub use serve::{State, states};

/// How container images come to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Way {
    /// The first of the others that can work here; one line says which
    Auto,
    /// Pulled from their registries
    Pull,
    /// Built from packages (Go modules, Debian packages, wheels), for networks without image registries. Proves nothing
    /// about the published images, and says so
    Build,
    /// Already on this machine
    Present,
}

/// What there is for a cluster.
#[derive(Debug, Clone)]
pub struct Provided {
    /// The way that was taken; never [`Way::Auto`].
    pub way: Way,
    /// How the images are had, as one sentence without a full stop.
    pub sentence: String,
    /// The image of the cluster's node; `None` is the default of the tool that makes the cluster.
    pub node_image: Option<String>,
    /// The images that are here. Where the node's image is ours it is among them, since it too stands in for another.
    pub images: Vec<Had>,
    /// Wanted images that are not here and that no recipe makes: the cluster will say what comes of them.
    pub missing: Vec<ImageRef>,
    /// The local registry that nodes ask; `None` where they ask the registries that names name.
    pub registry: Option<Registry>,
    /// Images that have to be put into the cluster's nodes once they run: see [`load`].
    pub load: Vec<ImageRef>,
}

/// An image that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Had {
    /// Its upstream name.
    pub image: ImageRef,
    /// The digest of what the name leads to here, `sha256:…`.
    pub digest: String,
    /// How it came here.
    pub how: How,
}

/// How an image came here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
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

/// Sees to it that the wanted images, and a node image that can run them, are here.
///
/// Names that cannot be had are not an error: they are in [`Provided::missing`], and are left to the cluster.
///
/// # Errors
/// The engine or a package tool does not do its work, or [`Way::Present`] was asked for and something is not here.
pub async fn provide(host: &Host, way: Way, wanted: &[ImageRef], events: &Events) -> Result<Provided, ImagesError> {
    let way = match way {
        Way::Auto => pull::choose(host, wanted, events).await?,
        chosen => chosen,
    };
    let mut wanted = wanted.to_vec();
    wanted.sort();
    wanted.dedup();
    match way {
        Way::Pull => pull::provide(host, &wanted, events).await,
        Way::Auto | Way::Build => serve::provide(host, serve::Building::Allowed, &wanted, events).await,
        Way::Present => serve::provide(host, serve::Building::Refused, &wanted, events).await,
    }
}

/// All recipes, sorted by name.
///
/// # Errors
/// One of them is not a recipe, or names another that is not there.
pub fn recipes() -> Result<Vec<Recipe>, ImagesError> {
    Ok(recipe::read_all()?.into_values().collect())
}
