//! All rules over one release.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use rayon::prelude::*;

use super::{Combination, Examined, FAMILIES, Family, Files, Findings, Rendered, files, pages::Page, reader::Reader};
use crate::{
    guide::GuideBook,
    manifest::Object,
    plan::{self, NotBuilt, Options, PlanError},
    release::{Layout, Release, RepoPath},
};

/// Draws the plan of every combination of variant and provider that the guide of a layout offers.
///
/// A combination whose plan cannot be drawn is among them, with the reason.
///
/// # Errors
/// The guide cannot be read, so that not even the combinations are known.
pub fn draw(release: &Release, layout: &Layout) -> Result<Vec<Combination>, PlanError> {
    draw_built(release, layout, BTreeMap::new())
}

/// The same with kustomizations that were built beforehand.
///
/// # Errors
/// As [`draw`].
pub(crate) fn draw_built(
    release: &Release,
    layout: &Layout,
    built_kustomizations: BTreeMap<RepoPath, Result<Arc<[Object]>, NotBuilt>>,
) -> Result<Vec<Combination>, PlanError> {
    let options = Options {
        built_kustomizations,
        ..Options::default()
    };
    let draw = || plan::draw_all(release, layout, &options);
    let plans = files::reading_ahead(release, draw)?;
    Ok(plans
        .into_iter()
        .map(|(offer, plan)| Combination { offer, plan })
        .collect())
}

/// Kustomizations whose objects the plans need and have not.
pub(crate) fn unbuilt(combinations: &[Combination]) -> BTreeSet<RepoPath> {
    let plans = combinations
        .iter()
        .filter_map(|combination| combination.plan.as_ref().ok());
    plans.flat_map(|plan| plan.unbuilt.iter().cloned()).collect()
}

/// Looks for everything that a rule knows, in the files of a release and in the plans of `combinations`.
///
/// Findings are sorted by file, line and code; what holds alike for several combinations is said once. What upstream
/// does on purpose is suppressed.
pub fn examine(release: &Release, layout: &Layout, combinations: &[Combination], rendered: &Rendered) -> Findings {
    // A guide of ours is no part of the release, and what may be wrong with it is for us to find.
    let is_theirs = layout.our_guide.is_none();
    let open = || GuideBook::open(release.tree.as_ref(), layout, release.tag.as_ref()).ok();
    let book = is_theirs.then(open).flatten();
    let files = Files::of(release, combinations, rendered);
    let examined = Examined {
        release,
        layout,
        combinations,
        rendered,
        pages: Page::all(release, layout, &files.all),
        files,
        readers: Reader::all(release, layout, book.as_ref(), combinations),
        book,
        kinds_of_charts: Mutex::default(),
    };
    let findings = looked_for(&examined);
    let offers: Vec<plan::Offer> = combinations
        .iter()
        .map(|combination| combination.offer.clone())
        .collect();
    findings
        .joined(&offers, |file| examined.files.reach(file))
        .without_intended()
}

/// What the families find, on every processor there is, in the order of the families.
fn looked_for(examined: &Examined<'_>) -> Findings {
    let look = |family: &Family| {
        let mut findings = Findings::default();
        (family.look)(examined, &mut findings);
        findings
    };
    let found: Vec<Findings> = FAMILIES.par_iter().map(look).collect();
    let mut findings = Findings::default();
    for one in found {
        findings.append(one);
    }
    findings
}
