//! What there is of each recipe.

use super::{
    ImagesError,
    engine::Engine,
    make::Maker,
    node, program,
    progress::Progress,
    recipe::{self, Makes, Recipe},
    source::Workshop,
    store::Store,
};
use crate::{host::Host, record::Events};

/// What there is of a recipe.
#[derive(Debug, Clone)]
pub(crate) struct RecipeState {
    /// The recipe.
    pub(crate) recipe: Recipe,
    /// Whether everything it makes is here.
    pub(crate) made: bool,
    /// What has been made of it, in bytes, as far as it is known.
    pub(crate) bytes: Option<u64>,
}

/// What there is of each recipe, without making anything.
///
/// # Errors
/// A recipe cannot be read or a tool does not work.
pub(crate) async fn states(host: &Host) -> Result<Vec<RecipeState>, ImagesError> {
    let recipes = recipe::read_all()?;
    let store = Store::of(host);
    let progress = Progress::new(&Events::unheard());
    let maker = Maker {
        workshop: Workshop::open(host, &store, &progress).await?,
        recipes: &recipes,
    };
    let mut states = Vec::new();
    for recipe in recipes.values() {
        let (made, bytes) = match recipe.makes {
            Makes::Image => {
                let image = maker.made(recipe)?;
                (image.is_some(), image.map(|image| image.bytes()))
            }
            Makes::Node => {
                let name = node::name(&maker, recipe)?;
                let image = match Engine::answering(host).await {
                    Ok(engine) => engine.images(vec![name]).await?.pop(),
                    Err(_) => None,
                };
                (image.is_some(), image.map(|image| image.size))
            }
            Makes::Program => {
                let path = program::built(&maker.workshop, recipe)?;
                let bytes = path.and_then(|path| Some(path.metadata().ok()?.len()));
                (bytes.is_some(), bytes)
            }
            Makes::Part => (maker.workshop.has_material(recipe)?, None),
        };
        states.push(RecipeState {
            recipe: recipe.clone(),
            made,
            bytes,
        });
    }
    Ok(states)
}
