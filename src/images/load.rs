//! Images for nodes that the tool which makes clusters chooses: the engine has or pulls them, and they are put into the nodes.

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    ImageOrigin, ImageRef, ImageSource, ImagesError, Provided, ProvidedImage,
    decide::{Load, counted, sentence},
    engine::{Engine, EngineImage},
    progress::Progress,
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

/// Puts images of the engine into the nodes of a kind cluster.
///
/// # Errors
/// The tool that does it fails.
pub(crate) async fn load(host: &Host, images: &[ImageRef], cluster: &str, events: &Events) -> Result<(), ImagesError> {
    if images.is_empty() {
        return Ok(());
    }
    let progress = Progress::new(events);
    let _job = progress.begin(
        format!("putting {} into the cluster's node", counted(images.len())),
        None,
    );
    let call = Call::new("kind")
        .args(["load", "docker-image", "--name", cluster])
        .args(images.iter().map(ToString::to_string));
    progress
        .during(host.run_ok(&call))
        .await
        .map(drop)
        .map_err(ImagesError::Tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_to_load_asks_nothing_of_anyone() {
        let host = Host::with_variables([("PATH", "/nowhere")]);
        load(&host, &[], "quickproof-x", &Events::unheard()).await.unwrap();
    }
}
