//! Images for nodes that the tool which makes clusters chooses: the engine has or pulls them, and they are put into the nodes.

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    ImageOrigin, ImageRef, ImageSource, ImagesError, Provided, ProvidedImage,
    decide::{Load, counted, sentence},
    engine::{Engine, EngineImage},
    machine,
    progress::Progress,
    store::at,
};
use crate::{
    host::{Call, Host},
    record::Events,
};

/// Pulls what is to be pulled.
pub(super) async fn carry_out(
    source: ImageSource,
    load: Load,
    engine: &Engine<'_>,
    progress: &Progress,
) -> Result<Provided, ImagesError> {
    let pulls = load.pulled.into_iter().map(|name| pull(engine, progress, name));
    let pulled: Vec<(ImageRef, Option<EngineImage>)> = stream::iter(pulls).buffered(3).try_collect().await?;
    let provided = |image: ImageRef, found: &EngineImage, origin| ProvidedImage {
        digest: found.digest_of(&image),
        image,
        origin,
    };
    let present = load.present.into_iter();
    let mut images: Vec<ProvidedImage> = present
        .map(|(name, found)| provided(name, &found, ImageOrigin::Present))
        .collect();
    let mut missing = load.missing;
    for (name, found) in pulled {
        match found {
            Some(found) => images.push(provided(name, &found, ImageOrigin::Pulled)),
            None => missing.push(name),
        }
    }
    images.sort_by(|one, other| one.image.cmp(&other.image));
    Ok(Provided {
        source,
        sentence: sentence(source, &images, missing.len()),
        node_image: None,
        load: images.iter().map(|provided| provided.image.clone()).collect(),
        images,
        missing,
        registry: None,
        upstream: None,
    })
}

/// Pulls one image; `None` where it cannot be pulled. Such a one is left to the cluster, which says why in its own words:
/// there it is the deployment that fails, and here it would be us.
async fn pull(
    engine: &Engine<'_>,
    progress: &Progress,
    name: ImageRef,
) -> Result<(ImageRef, Option<EngineImage>), ImagesError> {
    let _job = progress.begin(format!("pulling {name}"), None);
    let ended = engine.try_docker(["pull", "--quiet", &name.to_string()]).await?;
    let found = if ended.status.success() {
        engine.images(vec![name.to_string()]).await?.into_iter().next()
    } else {
        progress.note(format!("{name} cannot be pulled: {}", ended.last_words()));
        None
    };
    Ok((name, found))
}

/// Since this version of the interface that client and engine speak to each other (Docker 28) an image is saved for one platform. An engine with containerd's
/// image store has no more of an image than it has pulled, and else saves an archive that names what is not in it.
const SAVES_A_PLATFORM: (u32, u32) = (1, 48);

/// Puts images of the engine into the nodes of a kind cluster.
///
/// Not by `kind load docker-image`, which fails with "content digest not found" where an index names more platforms than the
/// engine has.
///
/// # Errors
/// The engine or the tool that does it fails.
pub(crate) async fn load(host: &Host, images: &[ImageRef], cluster: &str, events: &Events) -> Result<(), ImagesError> {
    if images.is_empty() {
        return Ok(());
    }
    let progress = Progress::new(events);
    let _job = progress.begin(
        format!("putting {} into the cluster's node", counted(images.len())),
        None,
    );
    progress.during(saved_and_loaded(host, images, cluster)).await
}

async fn saved_and_loaded(host: &Host, images: &[ImageRef], cluster: &str) -> Result<(), ImagesError> {
    let engine = Engine::answering(host).await?;
    let scratch = tempfile::tempdir().map_err(at(&std::env::temp_dir()))?;
    let archive = scratch.path().join("images.tar").to_string_lossy().into_owned();
    let interface = engine.docker(["version", "--format", "{{.Client.APIVersion}}"]).await?;
    let platform = machine()
        .filter(|_| saves_a_platform(&interface.text()))
        .map(|machine| format!("--platform=linux/{machine}"));
    let options = ["save".to_owned(), format!("--output={archive}")]
        .into_iter()
        .chain(platform);
    engine
        .docker(options.chain(images.iter().map(ToString::to_string)))
        .await?;
    let call = Call::new("kind").args(["load", "image-archive", &archive, "--name", cluster]);
    host.run_ok(&call).await.map(drop).map_err(ImagesError::Tool)
}

/// Whether an image is saved for one platform where client and engine speak this version, such as `1.51`.
fn saves_a_platform(interface: &str) -> bool {
    let mut parts = interface.trim().splitn(2, '.').map(str::parse);
    matches!((parts.next(), parts.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= SAVES_A_PLATFORM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_saves_a_platform_since_its_28th_version() {
        for (interface, saves) in [
            ("1.48", true),
            ("1.51\n", true),
            ("2.0", true),
            ("1.47", false),
            ("", false),
            ("x.y", false),
        ] {
            assert_eq!(saves_a_platform(interface), saves, "{interface}");
        }
    }

    #[tokio::test]
    async fn nothing_to_load_asks_nothing_of_anyone() {
        let host = Host::with_variables([("PATH", "/nowhere")]);
        load(&host, &[], "quickproof-x", &Events::unheard()).await.unwrap();
    }
}
