//! `quickproof images`: what can be made, what is here, and making it ahead of a run.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::{
    cli::{CliContext, Output, telling_progress},
    host::Host,
    images::{self, ImageOrigin, ImageRef, ImageSource, MadeWhen, Makes, Provided, RecipeSource},
};

/// How long nothing is said of what takes long, once it was.
const BETWEEN: Duration = Duration::from_secs(10);

/// See, pull, build and save the images that clusters are given.
#[derive(Debug, Args)]
pub(crate) struct ImagesCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show what can be made from packages, and what of it is here.
    List,
    /// Pull images into the container engine.
    Pull {
        /// Full image names; without any, the names that recipes stand for.
        images: Vec<ImageRef>,
    },
    /// Make images from packages, with the node image and the local registry.
    Build {
        /// Full image names; without any, the names that recipes stand for, and the programs. Recipes of older releases are
        /// left out then: they are made where a run needs them, or when they are named here.
        images: Vec<ImageRef>,
    },
    /// Make an image from packages and write it into a file that `docker load` reads. No container engine is needed.
    Save {
        /// Its full name, as `quickproof images list` shows it; `quickproof.invalid/quickproof:VERSION` is quickproof itself.
        image: ImageRef,
        /// The file.
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Put images of the container engine into the nodes of a kind cluster.
    Load {
        /// The cluster's name, as `kind get clusters` prints it.
        #[arg(long)]
        cluster: String,
        /// Full image names.
        #[arg(required = true)]
        images: Vec<ImageRef>,
    },
}

impl ImagesCommand {
    /// Carries the command out.
    ///
    /// # Errors
    /// What was asked for cannot be had.
    pub(crate) async fn run(self, context: &CliContext, out: &mut Output) -> anyhow::Result<()> {
        match self.what {
            What::List => list(&context.host, out).await,
            What::Pull { images } => pull(context, images, out).await,
            What::Build { images } => build(context, images, out).await,
            What::Save { image, output } => save(context, &image, &output, out).await,
            What::Load { cluster, images } => load(context, &cluster, images).await,
        }
    }
}

/// Prints a table of the recipes and what has been made of them.
async fn list(host: &Host, out: &mut Output) -> anyhow::Result<()> {
    let mut rows = vec![["NAME", "MAKES", "SOURCE", "VERSION", "STATE", "SIZE", "STANDS FOR"].map(str::to_owned)];
    for state in images::states(host).await? {
        let recipe = state.recipe;
        let makes = match recipe.makes {
            Makes::Image => "image",
            Makes::Program => "program",
            Makes::Part => "part",
            Makes::Node => "node",
        };
        let source = match &recipe.source {
            Some(RecipeSource::Go(_)) => "Go module",
            Some(RecipeSource::DebianPackages(_)) => "Debian packages",
            Some(RecipeSource::DebianSystem(_)) => "Debian system",
            Some(RecipeSource::Wheel(_)) => "Python wheel",
            Some(RecipeSource::ThisProgram) => "this program",
            None => "other parts",
        };
        let names: Vec<String> = recipe.names.iter().map(ToString::to_string).collect();
        rows.push([
            recipe.name,
            makes.to_owned(),
            source.to_owned(),
            recipe.version,
            if state.made { "built" } else { "not built" }.to_owned(),
            state.bytes.map_or_else(String::new, megabytes),
            names.join(" "),
        ]);
    }
    write_table(&rows, out);
    Ok(())
}

/// Pulls images and prints their digests.
async fn pull(context: &CliContext, wanted: Vec<ImageRef>, out: &mut Output) -> anyhow::Result<()> {
    let wanted = or_all(wanted)?;
    let provided = telling_progress(context, BETWEEN, async |events| {
        images::pull(&context.host, &wanted, events).await
    })
    .await?;
    write_provided(&provided, out);
    anyhow::ensure!(
        provided.missing.is_empty(),
        "{} images cannot be pulled here",
        provided.missing.len()
    );
    Ok(())
}

/// Makes images, the node image and, where no image is named, the programs; prints what there is then.
async fn build(context: &CliContext, wanted: Vec<ImageRef>, out: &mut Output) -> anyhow::Result<()> {
    let everything = wanted.is_empty();
    let wanted = or_all(wanted)?;
    let provided = telling_progress(context, BETWEEN, async |events| {
        images::provide(&context.host, ImageSource::Build, &wanted, events).await
    })
    .await?;
    write_provided(&provided, out);
    if everything {
        for recipe in images::recipes()?
            .into_iter()
            .filter(|recipe| recipe.makes == Makes::Program)
        {
            let name = recipe.name;
            let program = telling_progress(context, BETWEEN, async |events| {
                images::program(&context.host, &name, events).await
            })
            .await?;
            out.say(format_args!("{name}  {}", program.path.display()));
            out.say(format_args!("  {}", program.sentence()));
        }
    }
    if let Some(name) = provided.missing.first() {
        anyhow::bail!("no recipe makes `{name}`; one file in `manifests/images/` adds one");
    }
    Ok(())
}

/// Makes an image and writes it into a file.
async fn save(context: &CliContext, image: &ImageRef, file: &Path, out: &mut Output) -> anyhow::Result<()> {
    let digest = telling_progress(context, BETWEEN, async |events| {
        images::save(&context.host, image, file, events).await
    })
    .await?;
    out.say(format_args!("{image}  {digest}"));
    out.say(format_args!("  written to {}", file.display()));
    Ok(())
}

/// Puts images of the engine into a cluster's nodes.
async fn load(context: &CliContext, cluster: &str, wanted: Vec<ImageRef>) -> anyhow::Result<()> {
    telling_progress(context, BETWEEN, async |events| {
        images::load(&context.host, &wanted, cluster, events).await
    })
    .await
    .with_context(|| format!("cannot put images into `{cluster}`"))
}

fn or_all(wanted: Vec<ImageRef>) -> anyhow::Result<Vec<ImageRef>> {
    if !wanted.is_empty() {
        return Ok(wanted);
    }
    let recipes = images::recipes()?;
    // What lies in every node, and the registry itself, are had with any image.
    let with_the_node: Vec<String> = recipes.iter().flat_map(|recipe| recipe.preload.clone()).collect();
    let asked_for = recipes.into_iter().filter(|recipe| {
        recipe.makes == Makes::Image
            && recipe.made == MadeWhen::WithAll
            && recipe.name != "registry"
            && !with_the_node.contains(&recipe.name)
    });
    Ok(asked_for.flat_map(|recipe| recipe.names).collect())
}

fn write_provided(provided: &Provided, out: &mut Output) {
    for image in &provided.images {
        let origin = match &image.origin {
            ImageOrigin::Pulled => "pulled",
            ImageOrigin::Present => "was here",
            ImageOrigin::Built { note } => note,
        };
        out.say(format_args!("{}  {}", image.image, image.digest));
        out.say(format_args!("  {origin}"));
    }
    for name in &provided.missing {
        out.say(format_args!("{name}  not here"));
    }
    out.say(&provided.sentence);
}

fn write_table(rows: &[[String; 7]], out: &mut Output) {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        out.say(cells.join("  ").trim_end());
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}
