//! Images that nodes pull: what each name leads to is asked of its registry, and nothing is fetched.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt as _, stream};

use super::{
    ImageOrigin, ImageRef, ImageSource, ImagesError, Provided, ProvidedImage, Said, Unanswered, Upstream,
    decide::counted, progress::Progress,
};
use crate::host::Host;

/// How many names are asked for at the same moment.
const AT_ONCE: usize = 4;

/// Asks for all wanted images.
///
/// # Errors
/// A registry does not answer.
pub(super) async fn ask(host: &Host, wanted: &[ImageRef], progress: &Progress) -> Result<Provided, ImagesError> {
    let upstream = Arc::new(Upstream::new(host)?);
    let asked = wanted.iter().map(async |image| {
        let _job = progress.begin(format!("asking what {image} leads to"), None);
        (image.clone(), upstream.leads_to(image).await)
    });
    let said: Vec<(ImageRef, Result<Said, Unanswered>)> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    let mut provided = put_together(said)?;
    provided.upstream = Some(upstream);
    Ok(provided)
}

/// What registries said, put together. Of those that said nothing, all are named.
fn put_together(said: Vec<(ImageRef, Result<Said, Unanswered>)>) -> Result<Provided, ImagesError> {
    let (mut images, mut missing, mut silent) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (image, said) in said {
        match said {
            Ok(Said::Digest(digest)) => images.push(ProvidedImage {
                image,
                digest,
                origin: ImageOrigin::Pulled,
            }),
            Ok(Said::Absent) => missing.push(image),
            Err(unanswered) => {
                silent.entry(unanswered.host.clone()).or_insert(unanswered);
            }
        }
    }
    if !silent.is_empty() {
        let seen: Vec<String> = silent.values().map(ToString::to_string).collect();
        return Err(ImagesError::Unanswered { seen: seen.join("; ") });
    }
    let mut sentence = format!(
        "{} to be pulled by the nodes from their registries",
        counted(images.len())
    );
    if !missing.is_empty() {
        sentence = format!("{sentence}; {} that their registries do not have", missing.len());
    }
    Ok(Provided {
        source: ImageSource::Pull,
        sentence,
        node_image: None,
        images,
        missing,
        registry: None,
        load: Vec::new(),
        upstream: None,
    })
}
