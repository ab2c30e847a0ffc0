//! Images for nodes of ours: made from packages where they are not made yet, and served under their upstream names by a
//! registry of ours.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    ImageOrigin, ImageRef, ImagesError, Provided, ProvidedImage,
    decide::{NodeImage, Serve, sentence},
    engine::{Engine, EngineImage},
    make::Maker,
    node,
    oci::PackedImage,
    push::RegistryClient,
    recipe::Recipe,
    registry::{self, Registry},
    store::Store,
};

/// Makes what is not made yet, starts the registry, and hands it what nodes will ask for.
pub(super) async fn carry_out(
    serve: Serve<'_>,
    maker: &Maker<'_>,
    engine: &Engine<'_>,
) -> Result<Provided, ImagesError> {
    let unmade = maker.unmade(&serve.recipes())?;
    if let Some(sentence) = serve.announce(&unmade, std::env::consts::ARCH)? {
        maker.workshop.progress.note(sentence);
    }
    let made = make(maker, &serve.images()).await?;
    let registry = start_registry(
        maker.workshop.store,
        engine,
        serve.registry,
        &made[&serve.registry.name],
    )
    .await?;
    let handing = Handing {
        maker,
        engine,
        client: registry.client()?,
        registry: &registry,
    };
    if !serve.node.is_present {
        let _lock = maker.workshop.store.lock().await?;
        node::bake(maker, engine, serve.node.recipe, &serve.node.name.to_string()).await?;
    }
    let built = serve
        .built
        .iter()
        .map(|(name, recipe)| handing.built(name, recipe, &made[&recipe.name]));
    let mut images: Vec<ProvidedImage> = stream::iter(built).buffer_unordered(4).try_collect().await?;
    for (name, image) in &serve.present {
        images.push(handing.present(name, image).await?);
    }
    // What an earlier run left under a name that nothing makes would be taken for the image itself.
    for name in &serve.missing {
        handing.client.withdraw(name).await?;
    }
    images.sort_by(|one, other| one.image.cmp(&other.image));
    let sentence = sentence(serve.source, &images, serve.missing.len());
    images.push(node_image(engine, &serve.node).await?);
    Ok(Provided {
        source: serve.source,
        sentence,
        node_image: Some(serve.node.name.to_string()),
        images,
        missing: serve.missing,
        registry: Some(registry),
        load: Vec::new(),
        upstream: None,
    })
}

/// The images of these recipes, by the recipes' names; made now where they are not made yet.
async fn make<'a>(maker: &Maker<'a>, recipes: &[&'a Recipe]) -> Result<BTreeMap<String, PackedImage>, ImagesError> {
    let images = if let Some(images) = maker.all_made(recipes)? {
        images
    } else {
        let _lock = maker.workshop.store.lock().await?;
        maker.make(recipes).await?
    };
    Ok(recipes.iter().map(|recipe| recipe.name.clone()).zip(images).collect())
}

async fn start_registry(
    store: &Store,
    engine: &Engine<'_>,
    recipe: &Recipe,
    image: &PackedImage,
) -> Result<Registry, ImagesError> {
    if let Some(registry) = registry::find(engine, store, image).await? {
        return Ok(registry);
    }
    let _lock = store.lock().await?;
    let name = recipe.names.first().ok_or(ImagesError::RegistryStart)?;
    registry::start(engine, store, &name.to_string(), image).await
}

/// Hands images to the registry.
struct Handing<'a> {
    maker: &'a Maker<'a>,
    engine: &'a Engine<'a>,
    client: RegistryClient,
    registry: &'a Registry,
}

impl Handing<'_> {
    /// Hands over an image that was made from packages. Docker would compress it anew, and give it another digest than the
    /// recipe promises.
    async fn built(&self, name: &ImageRef, recipe: &Recipe, image: &PackedImage) -> Result<ProvidedImage, ImagesError> {
        let push = async || {
            self.client.push(self.maker.workshop.store, name, image).await?;
            Ok(image.digest.clone())
        };
        let note = recipe.sentence_for(name);
        self.handed(name, Some(&image.digest), ImageOrigin::Built { note }, push)
            .await
    }

    /// Hands over an image that the engine has.
    async fn present(&self, name: &ImageRef, image: &EngineImage) -> Result<ProvidedImage, ImagesError> {
        let store = self.maker.workshop.store;
        let key = image.id.trim_start_matches("sha256:");
        let push = async || {
            let tag = name.tag().unwrap_or("latest");
            let local = format!("{}/{}:{tag}", self.registry.address, name.repository());
            self.engine.docker(["tag", &image.id, &local]).await?;
            let pushed = self.engine.docker(["push", "--quiet", &local]).await;
            self.engine.try_docker(["image", "rm", "--no-prune", &local]).await?;
            pushed?;
            let digest = self.client.digest(name).await?.unwrap_or_default();
            store.remember("pushed", key, &digest)?;
            Ok(digest)
        };
        let known: Option<String> = store.recall("pushed", key);
        self.handed(name, known.as_deref(), ImageOrigin::Present, push).await
    }

    /// Pushes an image unless the registry has it under this name; `digest` is what it would have there, where that is known.
    async fn handed(
        &self,
        name: &ImageRef,
        digest: Option<&str>,
        origin: ImageOrigin,
        push: impl AsyncFnOnce() -> Result<String, ImagesError>,
    ) -> Result<ProvidedImage, ImagesError> {
        let there = self.client.digest(name).await?;
        let digest = match there {
            Some(there) if digest == Some(&there) => there,
            _ => {
                let progress = self.maker.workshop.progress;
                let _job = progress.begin(format!("handing {name} to the registry"), None);
                push().await?
            }
        };
        Ok(ProvidedImage {
            image: name.clone(),
            digest,
            origin,
        })
    }
}

/// The node's image, once it is there.
async fn node_image(engine: &Engine<'_>, node: &NodeImage<'_>) -> Result<ProvidedImage, ImagesError> {
    let found = engine.images(vec![node.name.to_string()]).await?.into_iter().next();
    Ok(ProvidedImage {
        image: node.name.clone(),
        digest: found.map(|image| image.id).unwrap_or_default(),
        origin: ImageOrigin::Built {
            note: node.recipe.sentence_for(&node.name),
        },
    })
}
