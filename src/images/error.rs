//! What can go wrong while images are had.

use std::path::PathBuf;

use super::{BadImageRef, Recipe};
use crate::{
    host::{HostError, web::WebError},
    verdict::CauseCode,
};

/// Why images could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImagesError {
    /// A recipe cannot be read.
    #[error("`{file}` is not a recipe")]
    Recipe {
        /// The file below `manifests/images/`.
        file: String,
        /// Where, and what is wrong there.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// A recipe says something that cannot be.
    #[error("recipe `{file}`: {why}")]
    RecipeContradicts {
        /// The file below `manifests/images/`.
        file: String,
        /// What.
        why: String,
    },
    /// There is no recipe of that name or for that image.
    #[error(
        "no recipe makes `{name}`; `quickproof images list` shows what can be made, one file in `manifests/images/` adds to it"
    )]
    NoRecipe {
        /// The name.
        name: String,
    },
    /// Making something from packages failed.
    #[error("cannot make `{recipe}` {version} from packages")]
    Making {
        /// The recipe's name.
        recipe: String,
        /// The version it makes.
        version: String,
        /// The tool's own words.
        #[source]
        source: HostError,
    },
    /// A program's own people do not give what they publish.
    #[error("`{url}` {what}; try again later, or put the program on PATH")]
    Download {
        /// The address.
        url: String,
        /// What was seen there, as the rest of a sentence that begins with it.
        what: String,
    },
    /// A server of the web cannot answer now.
    #[error(transparent)]
    Web(#[from] WebError),
    /// A tool of the host failed.
    #[error("a tool that images are had with does not work")]
    Tool(#[source] HostError),
    /// The container engine failed or does not answer.
    #[error(
        "the container engine does not do its work; `docker info` says whether it answers, `make setup` starts one"
    )]
    Engine(#[source] HostError),
    /// The machine's apt sources name no Debian mirror.
    #[error(
        "no Debian mirror among this machine's apt sources, and images are made of Debian packages; `--images pull` pulls them instead"
    )]
    NoMirror,
    /// Something had to be here already and is not.
    #[error("not here: {}; `--images build` makes what can be made", .what.join(", "))]
    NotPresent {
        /// What, by recipe.
        what: Vec<String>,
    },
    /// The recipes make images for another kind of machine.
    #[error(
        "images can be made from packages for x86_64 only, and this machine is {here}; `--images pull` pulls them instead"
    )]
    OtherMachine {
        /// This machine's kind.
        here: &'static str,
    },
    /// Of the registries that images come from, some answer and some do not.
    #[error(
        "not all image registries answer, so nothing says whether published images are to be tested: {seen}; wait until \
         they do, or say how images come to the cluster (`--images pull`, `--images build` or `--images present`)"
    )]
    SomeAnswer {
        /// What was seen of each.
        seen: String,
    },
    /// Registries were asked what images' names lead to, and did not say.
    #[error("{seen}; wait until that changes, or have images another way (`--images build` or `--images present`)")]
    Unanswered {
        /// Who, and what was seen.
        seen: String,
    },
    /// The cluster's nodes ask our registry for every image, and were to ask those that names name.
    #[error(
        "the nodes of cluster `{cluster}` get images from the registry of `--images build` and from nobody else, so they \
         cannot pull published images; make another cluster (`quickproof cluster up` where registries answer), or say \
         `--images build`"
    )]
    NodesAskOurs {
        /// The cluster.
        cluster: String,
    },
    /// The local registry does not start.
    #[error(
        "the local registry does not answer; `docker logs {}` says why",
        super::REGISTRY_CONTAINER
    )]
    RegistryStart,
    /// A registry gave an answer that it should not have given.
    #[error("the registry answered {status} to `{asked}`")]
    RegistryAnswer {
        /// The path asked.
        asked: String,
        /// The HTTP status; zero where nothing could be asked.
        status: u16,
    },
    /// A registry could not be talked to.
    #[error("cannot talk to a registry")]
    Http(#[from] reqwest::Error),
    /// A file could not be read or written.
    #[error("cannot read or write `{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// Something that should be JSON is not.
    #[error("cannot read or write JSON")]
    Json(#[from] serde_json::Error),
    /// The parts of an image do not go together.
    #[error("cannot put an image together")]
    Oci(#[from] oci_spec::OciSpecError),
    /// A text is not the name of an image.
    #[error(transparent)]
    Name(#[from] BadImageRef),
    /// The work was stopped before its end.
    #[error("images were stopped before they were made")]
    Stopped,
}

impl ImagesError {
    /// The cause of a run that ends with it.
    pub(crate) fn cause(&self) -> CauseCode {
        match self {
            Self::SomeAnswer { .. } | Self::Unanswered { .. } => CauseCode::RegistryNotAnswering,
            _ => CauseCode::ImagesNotReady,
        }
    }

    /// Says for which recipe a tool failed.
    pub(super) fn making(recipe: &Recipe) -> impl FnOnce(HostError) -> Self {
        let (recipe, version) = (recipe.name.clone(), recipe.version.clone());
        move |source| Self::Making {
            recipe,
            version,
            source,
        }
    }
}
