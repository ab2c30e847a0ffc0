//! Makes images of recipes: their material, the layers it lies in, and the image on top.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::{
    ImagesError,
    layer::{Content, Layer, PackedLayer, matches},
    oci::{PackedImage, assemble},
    recipe::{Line, Recipe, RunConfig, node_file},
    source::Workshop,
    store::{at, key_of},
};
use crate::host::files;

/// Raised when the way in which layers or images are written changes.
const FORM: u32 = 1;

/// How many things are made at once; compilations have a narrower limit of their own.
const AT_ONCE: usize = 6;

/// Makes images of recipes.
#[derive(Debug)]
pub(super) struct Maker<'a> {
    pub(super) workshop: Workshop<'a>,
    pub(super) recipes: &'a BTreeMap<String, Recipe>,
}

#[derive(Serialize)]
struct LayerKey<'a> {
    form: u32,
    files: &'a [Line],
    materials: BTreeMap<&'a str, Option<String>>,
    data: BTreeMap<&'a str, Option<Vec<u8>>>,
}

impl<'a> Maker<'a> {
    /// A recipe by its name.
    pub(super) fn recipe(&self, name: &str) -> Result<&'a Recipe, ImagesError> {
        self.recipes
            .get(name)
            .ok_or_else(|| ImagesError::NoRecipe { name: name.to_owned() })
    }

    /// The recipes and all they need, each once.
    pub(super) fn with_needs(&self, recipes: &[&'a Recipe]) -> Result<Vec<&'a Recipe>, ImagesError> {
        let mut found = BTreeMap::new();
        let mut open: Vec<&Recipe> = recipes.to_vec();
        while let Some(recipe) = open.pop() {
            if found.insert(recipe.name.as_str(), recipe).is_none() {
                for name in recipe.needs() {
                    open.push(self.recipe(name)?);
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// The key of a recipe's own layer; `None` where it has none.
    fn layer_key(&self, recipe: &Recipe) -> Result<Option<String>, ImagesError> {
        if recipe.files.is_empty() {
            return Ok(None);
        }
        let mut materials = BTreeMap::from([(recipe.name.as_str(), self.workshop.material_name(recipe)?)]);
        let mut data = BTreeMap::new();
        for line in &recipe.files {
            match line {
                Line::File(file) => {
                    if let Some(of) = &file.of {
                        materials.insert(of, self.workshop.material_name(self.recipe(of)?)?);
                    }
                }
                Line::Data(line) => {
                    data.insert(line.take.as_str(), node_file(&line.take));
                }
                _ => {}
            }
        }
        let key = key_of(&LayerKey {
            form: FORM,
            files: &recipe.files,
            materials,
            data,
        })?;
        Ok(Some(format!("{}-{key}", recipe.name)))
    }

    /// The recipes whose layers make up an image, lowest first.
    fn layers_of(&self, recipe: &'a Recipe) -> Result<Vec<&'a Recipe>, ImagesError> {
        let under = recipe.under.iter().map(|name| self.recipe(name));
        under.chain([Ok(recipe)]).collect()
    }

    /// The key of an image.
    pub(super) fn image_key(&self, recipe: &'a Recipe) -> Result<String, ImagesError> {
        let layers = self.layers_of(recipe)?;
        let keys: Vec<_> = layers
            .into_iter()
            .map(|layer| self.layer_key(layer))
            .collect::<Result<_, _>>()?;
        key_of::<(u32, Vec<Option<String>>, &RunConfig)>(&(FORM, keys, &recipe.run))
    }

    /// An image that was made before.
    pub(super) fn made(&self, recipe: &'a Recipe) -> Result<Option<PackedImage>, ImagesError> {
        let key = format!("{}-{}", recipe.name, self.image_key(recipe)?);
        Ok(self.workshop.store.recall("images", &key))
    }

    /// The recipes whose material still has to be fetched or compiled for these.
    pub(super) fn unmade(&self, recipes: &[&'a Recipe]) -> Result<Vec<&'a Recipe>, ImagesError> {
        let mut unmade = BTreeMap::new();
        for recipe in recipes {
            if self.made(recipe)?.is_some() {
                continue;
            }
            for needed in self.with_needs(&[recipe])? {
                if !self.workshop.has_material(needed)? {
                    unmade.insert(&needed.name, needed);
                }
            }
        }
        Ok(unmade.into_values().collect())
    }

    /// The images of these recipes, where all of them were made before.
    pub(super) fn all_made(&self, recipes: &[&'a Recipe]) -> Result<Option<Vec<PackedImage>>, ImagesError> {
        recipes.iter().map(|recipe| self.made(recipe)).collect()
    }

    /// Makes the images of these recipes, material first, side by side; what is made already is only looked up.
    pub(super) async fn make(&self, recipes: &[&'a Recipe]) -> Result<Vec<PackedImage>, ImagesError> {
        if let Some(made) = self.all_made(recipes)? {
            return Ok(made);
        }
        let needed = self.with_needs(recipes)?;
        self.make_materials(&needed).await?;
        let layers: BTreeSet<&str> = recipes
            .iter()
            .flat_map(|recipe| recipe.under.iter().map(String::as_str).chain([recipe.name.as_str()]))
            .collect();
        stream::iter(
            layers
                .into_iter()
                .map(|name| async move { self.layer(self.recipe(name)?).await }),
        )
        .buffer_unordered(2)
        .try_collect::<Vec<_>>()
        .await?;
        let mut images = Vec::new();
        for recipe in recipes {
            images.push(self.image(recipe).await?);
        }
        Ok(images)
    }

    /// Fetches and compiles the material of these recipes, side by side.
    pub(super) async fn make_materials(&self, recipes: &[&'a Recipe]) -> Result<(), ImagesError> {
        stream::iter(recipes.iter().map(|recipe| self.workshop.material(recipe)))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await
            .map(drop)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(name = %recipe.name))]
    async fn image(&self, recipe: &'a Recipe) -> Result<PackedImage, ImagesError> {
        if let Some(made) = self.made(recipe)? {
            return Ok(made);
        }
        let mut layers = Vec::new();
        for layer in self.layers_of(recipe)? {
            layers.extend(self.layer(layer).await?);
        }
        let image = assemble(self.workshop.store, &recipe.run, layers)?;
        let key = format!("{}-{}", recipe.name, self.image_key(recipe)?);
        self.workshop.store.remember("images", &key, &image)?;
        Ok(image)
    }

    #[tracing::instrument(level = "debug", skip_all, fields(name = %recipe.name))]
    async fn layer(&self, recipe: &'a Recipe) -> Result<Option<PackedLayer>, ImagesError> {
        let Some(key) = self.layer_key(recipe)? else {
            return Ok(None);
        };
        if let Some(packed) = self.workshop.store.recall("layers", &key) {
            return Ok(Some(packed));
        }
        let _job = self.workshop.progress.begin(format!("packing {}", recipe.name), None);
        let layer = self.lay(recipe).await?;
        let store = self.workshop.store.clone();
        let packed = tokio::task::spawn_blocking(move || layer.pack(&store)).await;
        let packed = packed.map_err(|_| ImagesError::Stopped)??;
        self.workshop.store.remember("layers", &key, &packed)?;
        Ok(Some(packed))
    }

    /// Lays the files of a recipe into a layer.
    async fn lay(&self, recipe: &Recipe) -> Result<Layer, ImagesError> {
        let own = self.workshop.material(recipe).await?.unwrap_or_default();
        let mut layer = Layer::default();
        for line in &recipe.files {
            match line {
                Line::File(file) => {
                    let from = match &file.of {
                        Some(of) => self.workshop.material(self.recipe(of)?).await?.unwrap_or_default(),
                        None => own.clone(),
                    };
                    layer.file(&file.at, Content::Whole(from.join(&file.take)), file.mode.0);
                }
                Line::Tree(tree) => add_tree(&mut layer, &own, tree.at.trim_end_matches('/'))?,
                Line::Joined(joined) => {
                    layer.file(&joined.at, Content::Bytes(join(&own, &joined.take)?), 0o644);
                }
                Line::Archive(archive) => {
                    let path = own.join(&archive.take);
                    layer.archive(&path, &archive.leave_out).map_err(at(&path))?;
                }
                Line::Data(data) => {
                    let bytes = node_file(&data.take).ok_or_else(|| ImagesError::RecipeContradicts {
                        file: format!("{}.yaml", recipe.name),
                        why: format!("there is no `{}` among the files of a node", data.take),
                    })?;
                    layer.file(&data.at, Content::Bytes(bytes), data.mode.0);
                }
                Line::Text(text) => layer.file(&text.at, Content::Bytes(text.content.clone().into_bytes()), 0o644),
                Line::Link(link) => layer.link(&link.at, &link.to),
                Line::Directory(directory) => layer.directory(&directory.at, directory.mode.0),
                Line::MaskedUnits(units) => {
                    for unit in units {
                        layer.link(&format!("/etc/systemd/system/{unit}"), "/dev/null");
                    }
                }
            }
        }
        Ok(layer)
    }
}

fn entries(directory: &Path) -> Result<Vec<fs::DirEntry>, ImagesError> {
    let mut entries: Vec<_> = fs::read_dir(directory)
        .and_then(Iterator::collect::<Result<_, _>>)
        .map_err(at(directory))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

fn add_tree(layer: &mut Layer, directory: &Path, under: &str) -> Result<(), ImagesError> {
    use std::os::unix::fs::PermissionsExt;
    for entry in entries(directory)? {
        let path = entry.path();
        let name = format!("{under}/{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata().map_err(at(&path))?;
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_symlink() {
            layer.link(&name, fs::read_link(&path).map_err(at(&path))?);
        } else if metadata.is_dir() {
            layer.directory(&name, mode);
            add_tree(layer, &path, &name)?;
        } else {
            layer.file(&name, Content::Whole(path), mode);
        }
    }
    Ok(())
}

/// The most bytes of a file that is joined with others.
const MOST_JOINED: u64 = 16 << 20;

/// The files that a pattern names, one after the other in the order of their names.
fn join(root: &Path, pattern: &str) -> Result<Vec<u8>, ImagesError> {
    let (directory, _) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    let mut bytes = Vec::new();
    for entry in entries(&root.join(directory))? {
        let path = entry.path();
        let name = format!("{directory}/{}", entry.file_name().to_string_lossy());
        if matches(pattern, &name) {
            let read = files::read(&path, MOST_JOINED).map_err(io::Error::from);
            bytes.extend(read.map_err(at(&path))?);
            if bytes.last() != Some(&b'\n') {
                bytes.push(b'\n');
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{host::Host, images::progress::Progress, images::store::Store, record::Events};

    const PART: &str = "makes: part\nversion: v1\nfiles: [{text: {at: /etc/x, content: x}}]\n";
    const IMAGE: &str = "makes: image\nversion: v1\nunder: [base]\nfiles: [{link: {at: /y, to: etc/x}}]\n";

    async fn made(image: &str, times: usize) -> Vec<PackedImage> {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::with_variables([("XDG_CACHE_HOME", directory.path().to_str().unwrap())]);
        let (store, progress) = (Store::of(&host), Progress::new(&Events::unheard()));
        let recipes: BTreeMap<String, Recipe> = [("base", PART), ("image", image)]
            .map(|(name, text)| (name.to_owned(), Recipe::parse(&format!("{name}.yaml"), text).unwrap()))
            .into();
        let maker = Maker {
            workshop: Workshop::open(&host, &store, &progress).await.unwrap(),
            recipes: &recipes,
        };
        let mut images = Vec::new();
        for _ in 0..times {
            images.append(&mut maker.make(&[&recipes["image"]]).await.unwrap());
            assert!(maker.unmade(&[&recipes["image"]]).unwrap().is_empty());
        }
        images
    }

    #[tokio::test]
    async fn an_image_lies_on_the_layers_of_what_is_under_it_and_is_made_once() {
        let images = made(IMAGE, 2).await;
        assert_eq!(images[0].layers.len(), 2);
        assert_eq!(images[0], images[1]);
    }

    #[tokio::test]
    async fn a_changed_line_or_configuration_gives_another_image_over_the_same_layers() {
        let before = made(IMAGE, 1).await.remove(0);
        let other_user = made(&format!("{IMAGE}run: {{user: \"1\"}}\n"), 1).await.remove(0);
        let other_line = made(&IMAGE.replace("/y", "/z"), 1).await.remove(0);
        assert_eq!(other_user.layers, before.layers);
        assert_ne!(other_user.digest, before.digest);
        assert_eq!(other_line.layers[0], before.layers[0]);
        assert_ne!(other_line.layers[1], before.layers[1]);
    }
}
