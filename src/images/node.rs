//! The image of a cluster's node: a Debian system with Kubernetes in it, and the images of the control plane already there.
//!
//! containerd itself takes those images in, inside a container of the unfinished node, since its store is a database that
//! only it writes. The finished node is committed under a tag that holds the key of everything it is made from.

use std::{fs, time::Duration};

use super::{
    ImagesError,
    engine::{Engine, LABEL},
    make::Maker,
    oci::write_archive,
    recipe::Recipe,
    store::{at, key_of},
};

/// Raised when the way in which a node is finished changes.
const FORM: u32 = 1;

/// The file of a node of ours that says whom it asks for images.
pub(super) const WHOM_IT_ASKS: &str = "/etc/containerd/certs.d/_default/hosts.toml";

/// The container in which a node is finished. Who holds the lock of the cache may remove one that was left behind.
const CONTAINER: &str = "quickproof-bake";

/// The name of the finished node's image: the recipe's own, its tag followed by the key.
pub(super) fn name<'a>(maker: &Maker<'a>, recipe: &'a Recipe) -> Result<String, ImagesError> {
    let mut keys = vec![maker.image_key(recipe)?];
    for preloaded in &recipe.preload {
        keys.push(maker.image_key(maker.recipe(preloaded)?)?);
    }
    let key = key_of(&(FORM, keys))?;
    let base = recipe.names.first().ok_or_else(|| ImagesError::NoRecipe {
        name: recipe.name.clone(),
    })?;
    Ok(format!("{base}-{}", &key[..12]))
}

/// Makes the node's image in the engine.
pub(super) async fn bake<'a>(
    maker: &Maker<'a>,
    engine: &Engine<'_>,
    recipe: &'a Recipe,
    name: &str,
) -> Result<(), ImagesError> {
    let preloaded: Vec<&Recipe> = recipe
        .preload
        .iter()
        .map(|name| maker.recipe(name))
        .collect::<Result<_, _>>()?;
    let mut all = preloaded.clone();
    all.push(recipe);
    let mut images = maker.make(&all).await?;
    let node = images.pop().ok_or(ImagesError::Stopped)?;

    let job = maker
        .workshop
        .progress
        .begin("putting the node together", Some(Duration::from_mins(1)));
    let store = maker.workshop.store;
    let work = store.work("node");
    fs::create_dir_all(&work).map_err(at(&work))?;
    let (system, preload) = (work.join("node.tar"), work.join("preload.tar"));
    let unfinished = format!("{name}-unfinished");
    write_archive(store, &[(unfinished.clone(), node)], &system)?;
    let named: Vec<_> = preloaded
        .iter()
        .zip(images)
        .flat_map(|(recipe, image)| recipe.names.iter().map(move |name| (name.to_string(), image.clone())))
        .collect();
    write_archive(store, &named, &preload)?;
    engine.load(&system).await?;
    job.seen("taking in the images of the control plane");

    let finished = finish(engine, recipe, CONTAINER, &unfinished, &preload.to_string_lossy(), name).await;
    engine.remove_container(CONTAINER).await?;
    engine.try_docker(["image", "rm", &unfinished]).await?;
    fs::remove_dir_all(&work).map_err(at(&work))?;
    finished
}

async fn finish(
    engine: &Engine<'_>,
    recipe: &Recipe,
    container: &str,
    unfinished: &str,
    preload: &str,
    name: &str,
) -> Result<(), ImagesError> {
    engine.remove_container(container).await?;
    let run = [
        "run",
        "--detach",
        "--privileged",
        "--name",
        container,
        "--label",
        LABEL,
        "--label",
        "quickproof.kind=bake",
    ];
    engine
        .docker(run.into_iter().chain(["--entrypoint", "sleep", unfinished, "3600"]))
        .await?;
    engine
        .docker(["cp", "--quiet", preload, &format!("{container}:/preload.tar")])
        .await?;
    engine.docker(["exec", "--detach", container, "containerd"]).await?;
    // The import waits for containerd by itself only once its socket is there.
    let import = "until ctr version >/dev/null 2>&1; do sleep 0.1; done\n\
                  ctr -n k8s.io images import --all-platforms --no-unpack --digests /preload.tar\n\
                  rm /preload.tar\n\
                  kill $(pidof containerd); while pidof containerd >/dev/null; do sleep 0.1; done\n\
                  rm -rf /run/* /tmp/* /var/lib/containerd/tmpmounts";
    engine.docker(["exec", container, "sh", "-ec", import]).await?;
    let entrypoint = serde_json::to_string(&recipe.run.entrypoint)?;
    // Not the label of containers: every node made of this image would inherit it.
    let changes = [
        format!("ENTRYPOINT {entrypoint}"),
        "LABEL quickproof.image=node".to_owned(),
    ];
    let mut commit = vec!["commit"];
    commit.extend(changes.iter().flat_map(|change| ["--change", change]));
    commit.extend([container, name]);
    engine.docker(commit).await.map(drop)
}
