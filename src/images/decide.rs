//! Decides how each wanted image is had and how it comes to the nodes, before anything of it is done.
//!
//! Pure: what the engine has and what recipes make goes in, and what is to be done comes out as data. `load` and `serve`
//! carry it out.

use std::{collections::BTreeMap, time::Duration};

use super::{
    ImageOrigin, ImageRef, ImageSource, ImagesError, ProvidedImage,
    engine::EngineImage,
    progress::spoken,
    recipe::{Makes, Recipe, RecipeSource},
    source::estimate,
};

/// What is to be done for the wanted images.
#[derive(Debug)]
pub(super) enum Decision<'a> {
    /// The engine has or pulls them, and they are put into nodes that the tool which makes clusters chooses.
    Load(Load),
    /// Nodes of ours ask a registry of ours for them.
    Serve(Serve<'a>),
}

/// Images for nodes that the tool which makes clusters chooses.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// What the engine has.
    pub(crate) present: Vec<(ImageRef, EngineImage)>,
    /// What the engine pulls.
    pub(crate) pulled: Vec<ImageRef>,
    /// What is left to the cluster.
    pub(crate) missing: Vec<ImageRef>,
}

/// Images for nodes of ours, which ask our registry whatever host an image names.
#[derive(Debug)]
pub(super) struct Serve<'a> {
    /// Where images may come from: [`ImageSource::Present`] makes nothing.
    pub(crate) source: ImageSource,
    /// What the engine has: it is handed to the registry.
    pub(crate) present: Vec<(ImageRef, EngineImage)>,
    /// What is made from packages where it is not made yet, and handed to the registry.
    pub(crate) built: Vec<(ImageRef, &'a Recipe)>,
    /// What nothing makes: the registry must not have it under this name either.
    pub(crate) missing: Vec<ImageRef>,
    /// The node's image.
    pub(crate) node: NodeImage<'a>,
    /// What makes the registry's own image.
    pub(crate) registry: &'a Recipe,
}

/// The image of a node of ours.
#[derive(Debug)]
pub(super) struct NodeImage<'a> {
    /// What makes it.
    pub(crate) recipe: &'a Recipe,
    /// Its name, which holds the key of what it is made from.
    pub(crate) name: ImageRef,
    /// Whether the engine has it already.
    pub(crate) is_present: bool,
}

/// Decides where images are pulled: those that the engine has are not asked for again.
pub(super) fn pulled(wanted: &[ImageRef], in_engine: &[EngineImage]) -> Load {
    let mut load = Load::default();
    for name in wanted {
        match in_engine.iter().find(|image| image.is_called(name)) {
            Some(image) => load.present.push((name.clone(), image.clone())),
            None => load.pulled.push(name.clone()),
        }
    }
    load
}

/// Decides where images are present or made from packages.
///
/// An image in the engine is the published one, or one that somebody made on purpose: it goes before a stand-in.
pub(super) fn present_or_built<'a>(
    source: ImageSource,
    wanted: &[ImageRef],
    in_engine: &[EngineImage],
    recipes: &'a BTreeMap<String, Recipe>,
    node: NodeImage<'a>,
    registry: &'a Recipe,
) -> Decision<'a> {
    let (mut present, mut built, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for name in wanted {
        let image = in_engine.iter().find(|image| image.is_tagged(name));
        match (image, recipe_for(recipes, name)) {
            (Some(image), _) => present.push((name.clone(), image.clone())),
            (None, Some(recipe)) => built.push((name.clone(), recipe)),
            (None, None) => missing.push(name.clone()),
        }
    }
    if source == ImageSource::Present && !node.is_present && built.is_empty() {
        return Decision::Load(Load {
            present,
            pulled: Vec::new(),
            missing,
        });
    }
    Decision::Serve(Serve {
        source,
        present,
        built,
        missing,
        node,
        registry,
    })
}

/// The recipe that makes an image of this name, if one does.
pub(super) fn recipe_for<'a>(recipes: &'a BTreeMap<String, Recipe>, name: &ImageRef) -> Option<&'a Recipe> {
    recipes
        .values()
        .find(|recipe| recipe.makes == Makes::Image && recipe.names.contains(name))
}

impl<'a> Serve<'a> {
    /// The recipes whose images the registry needs, its own among them.
    pub(super) fn images(&self) -> Vec<&'a Recipe> {
        let built = self.built.iter().map(|(_, recipe)| *recipe);
        let images: BTreeMap<&str, &Recipe> = built
            .chain([self.registry])
            .map(|recipe| (recipe.name.as_str(), recipe))
            .collect();
        images.into_values().collect()
    }

    /// All recipes that something is made of: images for the registry, and the node where it is not here.
    pub(super) fn recipes(&self) -> Vec<&'a Recipe> {
        let node = (!self.node.is_present).then_some(self.node.recipe);
        self.images().into_iter().chain(node).collect()
    }

    /// What will be made first and about how long that takes, as a sentence; `None` where all is made. `unmade` are the
    /// recipes whose material is not here, `machine` is the kind of this machine, such as `x86_64`.
    ///
    /// # Errors
    /// Something would have to be made, and nothing may be, or this machine cannot.
    pub(super) fn announce(&self, unmade: &[&Recipe], machine: &'static str) -> Result<Option<String>, ImagesError> {
        let names: Vec<&str> = unmade.iter().map(|recipe| recipe.name.as_str()).collect();
        if self.source == ImageSource::Present {
            let node = (!self.node.is_present).then_some("the node image");
            let what: Vec<String> = names.iter().copied().chain(node).map(str::to_owned).collect();
            if !what.is_empty() {
                return Err(ImagesError::NotPresent { what });
            }
        }
        if unmade.is_empty() {
            return Ok(None);
        }
        if machine != "x86_64" {
            return Err(ImagesError::OtherMachine { here: machine });
        }
        let time: Duration = unmade.iter().filter_map(|recipe| cost(recipe)).sum();
        Ok(Some(format!(
            "making from packages: {}; about {} on an idle machine, less where compilers find earlier work",
            names.join(", "),
            spoken(time)
        )))
    }
}

fn cost(recipe: &Recipe) -> Option<Duration> {
    match &recipe.source {
        Some(RecipeSource::Go(go)) => Some(estimate(go)),
        Some(RecipeSource::DebianSystem(_)) => Some(Duration::from_mins(1)),
        _ => None,
    }
}

/// How images were had, as one sentence without a full stop. `images` are those that are here, the node's left out.
pub(super) fn sentence(source: ImageSource, images: &[ProvidedImage], missing: usize) -> String {
    let count = |is: fn(&ImageOrigin) -> bool| images.iter().filter(|image| is(&image.origin)).count();
    let present = count(|origin| matches!(origin, ImageOrigin::Present));
    let built = count(|origin| matches!(origin, ImageOrigin::Built { .. }));
    let all = counted(images.len());
    if source == ImageSource::Pull {
        let mut parts = vec![format!("{} pulled", counted(images.len() - present))];
        if present > 0 {
            parts.push(format!("{present} found in the engine"));
        }
        if missing > 0 {
            parts.push(format!(
                "{missing} left to the cluster, since they cannot be pulled here"
            ));
        }
        return parts.join(", ");
    }
    let had = match built {
        0 => format!("{all} found in the engine"),
        _ if present == 0 => {
            format!("{all} made from packages, served under their upstream names by a local registry")
        }
        _ => format!("{built} of {all} made from packages, the others found in the engine"),
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const RECIPES: [(&str, &str); 4] = [
        ("epp", "makes: image\nversion: v1\nnames: [r.example/epp:v1]\n"),
        (
            "sim",
            "makes: image\nversion: v1\nnames: [r.example/sim:v1, r.example/sim:v2]\n",
        ),
        (
            "registry",
            "makes: image\nversion: v1\nnames: [r.example/registry:v1]\n",
        ),
        ("node", "makes: node\nversion: v1\nnames: [r.example/node:v1]\n"),
    ];

    fn recipes() -> BTreeMap<String, Recipe> {
        let read = |(name, text): (&str, &str)| {
            let recipe = Recipe::parse(&format!("{name}.yaml"), text).unwrap();
            (name.to_owned(), recipe)
        };
        RECIPES.map(read).into()
    }

    fn engine(names: &[&str]) -> Vec<EngineImage> {
        let image = |name: &&str| EngineImage {
            id: "sha256:1".into(),
            repo_tags: vec![(*name).to_owned()],
            repo_digests: vec![],
            size: 1,
        };
        names.iter().map(image).collect()
    }

    fn names(names: &[&str]) -> Vec<ImageRef> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn decide<'a>(
        source: ImageSource,
        wanted: &[&str],
        in_engine: &[&str],
        recipes: &'a BTreeMap<String, Recipe>,
    ) -> Decision<'a> {
        let in_engine = engine(in_engine);
        let node = NodeImage {
            recipe: &recipes["node"],
            name: "r.example/node:v1-key".parse().unwrap(),
            is_present: in_engine.iter().any(|image| image.repo_tags[0].contains("/node:")),
        };
        present_or_built(source, &names(wanted), &in_engine, recipes, node, &recipes["registry"])
    }

    fn served(decision: Decision<'_>) -> Serve<'_> {
        match decision {
            Decision::Serve(serve) => serve,
            Decision::Load(load) => panic!("loaded: {load:?}"),
        }
    }

    #[test]
    fn what_the_engine_has_is_not_pulled_and_not_made() {
        let load = pulled(
            &names(&["r.example/epp:v1", "r.example/x:v1"]),
            &engine(&["r.example/epp:v1"]),
        );
        assert_eq!(load.present[0].0, names(&["r.example/epp:v1"])[0]);
        assert_eq!((load.pulled, load.missing), (names(&["r.example/x:v1"]), vec![]));

        let recipes = recipes();
        let wanted = [
            "r.example/epp:v1",
            "r.example/sim:v1",
            "r.example/sim:v2",
            "r.example/x:v1",
        ];
        let serve = served(decide(ImageSource::Build, &wanted, &["r.example/epp:v1"], &recipes));
        assert_eq!(serve.present.len(), 1);
        assert_eq!(
            serve
                .built
                .iter()
                .map(|(_, recipe)| recipe.name.as_str())
                .collect::<Vec<_>>(),
            ["sim", "sim"]
        );
        assert_eq!(serve.missing, names(&["r.example/x:v1"]));
        let made: Vec<&str> = serve.recipes().iter().map(|recipe| recipe.name.as_str()).collect();
        assert_eq!(made, ["registry", "sim", "node"], "each once");
    }

    #[rstest]
    #[case::an_image_by_its_tag("r.example/epp:v1", true)]
    #[case::another_tag("r.example/epp:v2", false)]
    #[case::by_digest(
        "r.example/epp@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        true
    )]
    #[case::by_another_digest(
        "r.example/epp@sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
        false
    )]
    fn an_image_that_is_pulled_may_be_here_by_tag_or_digest(#[case] name: &str, #[case] is_here: bool) {
        let mut in_engine = engine(&["r.example/epp:v1"]);
        in_engine[0].repo_digests = vec![format!("r.example/epp@sha256:{}", "b".repeat(64))];
        assert_eq!(pulled(&names(&[name]), &in_engine).pulled.is_empty(), is_here);
    }

    #[test]
    fn where_nothing_of_ours_is_wanted_or_here_a_stock_node_will_do_unless_images_may_be_made() {
        let recipes = recipes();
        let (own, foreign) = (["r.example/epp:v1"], ["r.example/x:v1"]);
        let is_loaded = |source, wanted: &[&str], here: &[&str]| {
            matches!(decide(source, wanted, here, &recipes), Decision::Load(_))
        };
        assert!(is_loaded(ImageSource::Present, &foreign, &[]));
        assert!(!is_loaded(ImageSource::Present, &own, &[]));
        assert!(!is_loaded(ImageSource::Present, &foreign, &["r.example/node:v1-key"]));
        assert!(!is_loaded(ImageSource::Build, &foreign, &[]));
    }

    #[test]
    fn what_may_not_be_made_is_named_and_what_will_be_is_announced() {
        let recipes = recipes();
        let present = served(decide(ImageSource::Present, &["r.example/epp:v1"], &[], &recipes));
        let refused = present.announce(&[&recipes["epp"]], "x86_64").unwrap_err();
        assert!(matches!(refused, ImagesError::NotPresent { what } if what == ["epp", "the node image"]));
        let build = served(decide(ImageSource::Build, &["r.example/epp:v1"], &[], &recipes));
        assert_eq!(build.announce(&[], "aarch64").unwrap(), None);
        assert!(matches!(
            build.announce(&[&recipes["epp"]], "aarch64"),
            Err(ImagesError::OtherMachine { .. })
        ));
        let said = build.announce(&[&recipes["epp"]], "x86_64").unwrap().unwrap();
        assert!(said.starts_with("making from packages: epp; about "), "{said}");
    }

    #[rstest]
    #[case(
        ImageSource::Pull,
        "PPE",
        1,
        "2 images pulled, 1 found in the engine, 1 left to the cluster, since they cannot be pulled here"
    )]
    #[case(ImageSource::Pull, "P", 0, "1 image pulled")]
    #[case(
        ImageSource::Build,
        "B",
        0,
        "1 image made from packages, served under their upstream names by a local registry"
    )]
    #[case(
        ImageSource::Build,
        "BE",
        2,
        "1 of 2 images made from packages, the others found in the engine; 2 left to the cluster, since nothing here makes them"
    )]
    #[case(ImageSource::Present, "EE", 0, "2 images found in the engine")]
    fn a_sentence_says_how_images_were_had(
        #[case] source: ImageSource,
        #[case] origins: &str,
        #[case] missing: usize,
        #[case] said: &str,
    ) {
        let image = |origin| ProvidedImage {
            image: "r.example/epp:v1".parse().unwrap(),
            digest: String::new(),
            origin: match origin {
                'P' => ImageOrigin::Pulled,
                'E' => ImageOrigin::Present,
                _ => ImageOrigin::Built { note: String::new() },
            },
        };
        let images: Vec<ProvidedImage> = origins.chars().map(image).collect();
        assert_eq!(sentence(source, &images, missing), said);
    }
}
