//! Plans of a release that is published: drawn again with what was fetched, until nothing is wanted.

use super::{OrderError, built};
use crate::{
    host::Host,
    plan::{self, Options, Plan},
    release::{Access, Fetcher, Release},
};

/// How often is fetched. What a guide names leads to something further (a version, then a file of it) once or twice; more
/// than that leads nowhere.
const MOST_ROUNDS: usize = 5;

/// Draws a plan, and once more with the objects of the kustomizations that it lacks, where it lacks any.
async fn draw_built(host: &Host, release: &Release, options: &mut Options) -> Result<Plan, OrderError> {
    let plan = plan::draw(release, options)?;
    if plan.unbuilt.is_empty() {
        return Ok(plan);
    }
    let objects = built(host, release, plan.unbuilt).await;
    options.built_kustomizations.extend(objects);
    Ok(plan::draw(release, options)?)
}

/// Draws a plan, has fetched what it lacks, and draws it again until it lacks nothing. A plan before publication lacks
/// nothing, and nobody is asked.
///
/// What was found stays in `options`, so that they draw the same plan again. What should be known of how it went is added
/// to `notes`, each a sentence.
///
/// # Errors
/// The plan cannot be drawn, or what it lacks cannot be had. That something does not exist is no error but a fault of the
/// guide, in the plan.
pub(crate) async fn draw_whole(
    host: &Host,
    access: Access,
    release: &Release,
    options: &mut Options,
    notes: &mut Vec<String>,
) -> Result<Plan, OrderError> {
    let mut plan = draw_built(host, release, options).await?;
    if plan.wanted.is_empty() {
        return Ok(plan);
    }
    let fetcher = Fetcher::new(host, access)?;
    for _ in 0..MOST_ROUNDS {
        notes.extend(fetcher.fetch(&plan.wanted, &mut options.published).await?);
        plan = draw_built(host, release, options).await?;
        if plan.wanted.is_empty() {
            return Ok(plan);
        }
    }
    Ok(plan.whole()?)
}
