//! Makes images from packages where they are not here yet, and serves them to the nodes under their upstream names.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    Had, How, ImageRef, ImagesError, Provided, Way,
    engine::{Engine, EngineImage},
    make::Maker,
    node,
    oci::PackedImage,
    program,
    progress::{Progress, spoken},
    recipe::{self, Makes, Recipe, Source},
    registry::{self, Registry},
    source::{Workshop, estimate},
    store::Store,
};
use crate::{host::Host, record::Events};

/// Whether what is not here may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Building {
    /// It is made.
    Allowed,
    /// It is an error.
    Refused,
}

/// What there is of a recipe.
#[derive(Debug, Clone)]
pub struct State {
    /// The recipe.
    pub recipe: Recipe,
    /// Whether everything it makes is here.
    pub made: bool,
    /// What has been made of it, in bytes, as far as it is known.
    pub bytes: Option<u64>,
}

/// The recipe that makes a name, if one does.
fn recipe_for<'a>(recipes: &'a BTreeMap<String, Recipe>, name: &ImageRef) -> Option<&'a Recipe> {
    recipes
        .values()
        .find(|recipe| recipe.makes == Makes::Image && recipe.names.contains(name))
}

pub(super) async fn provide(
    host: &Host,
    building: Building,
    wanted: &[ImageRef],
    events: &Events,
) -> Result<Provided, ImagesError> {
    let recipes = recipe::read_all()?;
    let store = Store::of(host);
    let progress = Progress::new(events);
    let engine = Engine::answering(host).await?;
    let maker = Maker {
        workshop: Workshop::open(host, &store, &progress).await?,
        recipes: &recipes,
    };
    let work = Serving {
        maker: &maker,
        engine: &engine,
        store: &store,
        building,
    };
    progress.during(work.serve(wanted)).await
}

/// One call's work.
struct Serving<'a> {
    maker: &'a Maker<'a>,
    engine: &'a Engine<'a>,
    store: &'a Store,
    building: Building,
}

impl<'a> Serving<'a> {
    async fn serve(&self, wanted: &[ImageRef]) -> Result<Provided, ImagesError> {
        let node = self.maker.recipe("node")?;
        let node_name = node::name(self.maker, node)?;
        let mut asked: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        asked.push(node_name.clone());
        let in_engine = self.engine.images(asked).await?;
        let engine_image = |name: &str| in_engine.iter().find(|image| has_name(image, name));

        // An image in the engine is the published one, or one that somebody made on purpose: it goes before a stand-in.
        let mut present: Vec<(&ImageRef, &EngineImage)> = Vec::new();
        let mut built: Vec<(&ImageRef, &Recipe)> = Vec::new();
        let mut missing = Vec::new();
        for name in wanted {
            match (engine_image(&name.to_string()), recipe_for(self.maker.recipes, name)) {
                (Some(image), _) => present.push((name, image)),
                (None, Some(recipe)) => built.push((name, recipe)),
                (None, None) => missing.push(name.clone()),
            }
        }
        let registry_recipe = self.maker.recipe("registry")?;
        let mut to_make: Vec<&Recipe> = built.iter().map(|(_, recipe)| *recipe).collect();
        to_make.push(registry_recipe);
        let mut all = to_make.clone();
        let node_is_here = engine_image(&node_name).is_some();
        if !node_is_here {
            all.push(node);
        }
        if self.building == Building::Refused && !node_is_here && built.is_empty() {
            return Ok(for_a_stock_node(&present, missing));
        }
        self.announce(&all, node_is_here)?;

        let mut images = self.make(&to_make).await?;
        let registry_image = images.pop().ok_or(ImagesError::Stopped)?;
        let registry = self.start_registry(registry_recipe, &registry_image).await?;
        if !node_is_here {
            let _lock = self.store.lock().await?;
            node::bake(self.maker, self.engine, node, &node_name).await?;
        }
        let mut had = self.push_built(&registry, &built, images).await?;
        had.extend(self.push_present(&registry, &present).await?);
        // What an earlier run left under a name that nothing makes would be taken for the image itself.
        let client = registry.client()?;
        for name in &missing {
            client.withdraw(name).await?;
        }
        had.sort_by(|one, other| one.image.cmp(&other.image));
        let count = had.len();
        had.push(self.node_had(node, &node_name).await?);
        Ok(Provided {
            way: match self.building {
                Building::Allowed => Way::Build,
                Building::Refused => Way::Present,
            },
            sentence: sentence(count, built.len(), missing.len()),
            node_image: Some(node_name),
            images: had,
            missing,
            registry: Some(registry),
            load: Vec::new(),
        })
    }

    /// Says what has to be made and about how long that takes; refuses where nothing may be made.
    fn announce(&self, recipes: &[&'a Recipe], node_is_here: bool) -> Result<(), ImagesError> {
        let unmade = self.maker.unmade(recipes)?;
        if self.building == Building::Refused {
            let mut what: Vec<String> = unmade.iter().map(|recipe| recipe.name.clone()).collect();
            if !node_is_here {
                what.push("the node image".to_owned());
            }
            if !what.is_empty() {
                return Err(ImagesError::NotPresent { what });
            }
        }
        if !unmade.is_empty() {
            if std::env::consts::ARCH != "x86_64" {
                return Err(ImagesError::OtherMachine {
                    here: std::env::consts::ARCH,
                });
            }
            let names: Vec<&str> = unmade.iter().map(|recipe| recipe.name.as_str()).collect();
            let longest: Duration = unmade.iter().filter_map(|recipe| cost(recipe)).sum();
            self.maker.workshop.progress.note(format!(
                "making from packages: {}; about {} on an idle machine, less where compilers find earlier work",
                names.join(", "),
                spoken(longest)
            ));
        }
        Ok(())
    }

    async fn make(&self, recipes: &[&'a Recipe]) -> Result<Vec<PackedImage>, ImagesError> {
        let made: Option<Vec<PackedImage>> = recipes
            .iter()
            .map(|recipe| self.maker.made(recipe))
            .collect::<Result<Option<_>, _>>()?;
        if let Some(made) = made {
            return Ok(made);
        }
        let _lock = self.store.lock().await?;
        self.maker.make(recipes).await
    }

    async fn start_registry(&self, recipe: &Recipe, image: &PackedImage) -> Result<Registry, ImagesError> {
        if let Some(registry) = registry::find(self.engine, self.store, image).await? {
            return Ok(registry);
        }
        let _lock = self.store.lock().await?;
        let name = recipe.names.first().ok_or(ImagesError::RegistryStart)?;
        registry::start(self.engine, self.store, &name.to_string(), image).await
    }

    async fn push_built(
        &self,
        registry: &Registry,
        built: &[(&ImageRef, &Recipe)],
        images: Vec<PackedImage>,
    ) -> Result<Vec<Had>, ImagesError> {
        let client = registry.client()?;
        let client = &client;
        let pushed = built.iter().zip(images).map(|((name, recipe), image)| async move {
            if client.digest(name).await?.as_ref() != Some(&image.digest) {
                let _job = self
                    .maker
                    .workshop
                    .progress
                    .begin(format!("handing {name} to the registry"), None);
                client.push(self.store, name, &image).await?;
            }
            let note = recipe.sentence_for(name);
            Ok::<_, ImagesError>(Had {
                image: (*name).clone(),
                digest: image.digest,
                how: How::Built { note },
            })
        });
        stream::iter(pushed).buffer_unordered(4).try_collect().await
    }

    /// Hands images of the engine to the registry, since our nodes ask nobody else.
    async fn push_present(
        &self,
        registry: &Registry,
        present: &[(&ImageRef, &EngineImage)],
    ) -> Result<Vec<Had>, ImagesError> {
        let client = registry.client()?;
        let mut had = Vec::new();
        for (name, image) in present {
            let key = image.id.trim_start_matches("sha256:");
            let known: Option<String> = self.store.recall("pushed", key);
            let mut there = client.digest(name).await?;
            if there.is_none() || there != known {
                let _job = self
                    .maker
                    .workshop
                    .progress
                    .begin(format!("handing {name} to the registry"), None);
                let tag = name.tag().unwrap_or("latest");
                let local = format!("{}/{}:{tag}", registry.address, name.repository());
                self.engine.docker(["tag", &image.id, &local]).await?;
                let pushed = self.engine.docker(["push", "--quiet", &local]).await;
                self.engine.try_docker(["image", "rm", "--no-prune", &local]).await?;
                pushed?;
                there = client.digest(name).await?;
                self.store.remember("pushed", key, &there)?;
            }
            had.push(Had {
                image: (*name).clone(),
                digest: there.unwrap_or_default(),
                how: How::Present,
            });
        }
        Ok(had)
    }

    async fn node_had(&self, node: &Recipe, name: &str) -> Result<Had, ImagesError> {
        let image: ImageRef = name.parse()?;
        let inspected = self.engine.images(vec![name]).await?;
        Ok(Had {
            digest: inspected.into_iter().next().map(|image| image.id).unwrap_or_default(),
            how: How::Built {
                note: node.sentence_for(&image),
            },
            image,
        })
    }
}

/// What there is where the engine has all that is wanted, and the node is whatever the tool that makes clusters takes.
fn for_a_stock_node(present: &[(&ImageRef, &EngineImage)], missing: Vec<ImageRef>) -> Provided {
    let had = present.iter().map(|(name, image)| Had {
        image: (*name).clone(),
        digest: image.id.clone(),
        how: How::Present,
    });
    Provided {
        way: Way::Present,
        sentence: sentence(present.len(), 0, missing.len()),
        node_image: None,
        images: had.collect(),
        missing,
        registry: None,
        load: present.iter().map(|(name, _)| (*name).clone()).collect(),
    }
}

fn has_name(image: &EngineImage, name: &str) -> bool {
    image
        .repo_tags
        .iter()
        .any(|tag| tag.parse::<ImageRef>().is_ok_and(|tag| tag.to_string() == name))
}

fn cost(recipe: &Recipe) -> Option<Duration> {
    match &recipe.source {
        Some(Source::Go(go)) => Some(estimate(go)),
        Some(Source::DebianSystem(_)) => Some(Duration::from_mins(1)),
        _ => None,
    }
}

fn sentence(all: usize, built: usize, missing: usize) -> String {
    let had = match built {
        0 => format!("{} found in the engine", counted(all)),
        _ if all == built => {
            format!(
                "{} made from packages, served under their upstream names by a local registry",
                counted(all)
            )
        }
        _ => format!(
            "{built} of {} made from packages, the others found in the engine",
            counted(all)
        ),
    };
    match missing {
        0 => had,
        missing => format!("{had}; {missing} left to the cluster, since nothing here makes them"),
    }
}

/// `1 image`, `2 images`.
pub(super) fn counted(images: usize) -> String {
    match images {
        1 => "1 image".to_owned(),
        _ => format!("{images} images"),
    }
}

/// What there is of each recipe, without making anything.
///
/// # Errors
/// A recipe cannot be read or a tool does not work.
pub async fn states(host: &Host) -> Result<Vec<State>, ImagesError> {
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
        states.push(State {
            recipe: recipe.clone(),
            made,
            bytes,
        });
    }
    Ok(states)
}
