//! Every combination of variant and provider that a guide offers.

use super::{PlanError, Provider};
use crate::{
    guide::Guide,
    release::{Layout, Release},
};

/// One combination that a reader of the guide may choose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// The model-server variant, by the layout's name for it.
    pub variant: String,
    /// The gateway provider's name.
    pub provider: String,
}

/// The combinations that the guide of a layout has tabs for, variants in order of their names, then providers.
///
/// # Errors
/// The guide cannot be read, or a definition of ours is broken.
pub fn offered(release: &Release, layout: &Layout) -> Result<Vec<Offer>, PlanError> {
    let titles = Guide::tabs(release.tree.as_ref(), layout)?;
    let has_tab = |pattern: &crate::release::TabPattern| titles.iter().any(|title| pattern.matches(title));
    let providers: Vec<String> = match &layout.only_provider {
        Some(only) => vec![only.clone()],
        None => Provider::all()?
            .into_iter()
            .filter(|provider| provider.tab.as_ref().is_some_and(has_tab))
            .map(|provider| provider.name)
            .collect(),
    };
    let variants = layout.variants.iter().filter(|(_, pattern)| has_tab(pattern));
    Ok(variants
        .flat_map(|(variant, _)| {
            providers.iter().map(|provider| Offer {
                variant: variant.clone(),
                provider: provider.clone(),
            })
        })
        .collect())
}
