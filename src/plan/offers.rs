//! Every combination of variant and provider that a guide offers.

use super::{PlanError, Provider};
use crate::{
    guide::GuideBook,
    release::{Layout, Release, TabPattern},
};

/// One combination that a reader of the guide may choose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// The model-server variant, by the layout's name for it.
    pub variant: String,
    /// The gateway provider's name.
    pub provider: String,
}

/// Variants from the cheapest to run to the dearest, and the provider that can be had without a registry of charts: what
/// is taken where nothing is asked for.
const CHEAPEST: ([&str; 2], &str) = (["sim", "cpu"], "istio");

/// The combinations that the guide of a layout has tabs for, variants in order of their names, then providers.
///
/// # Errors
/// The guide cannot be read, or a definition of ours is broken.
pub fn offers(release: &Release, layout: &Layout) -> Result<Vec<Offer>, PlanError> {
    let book = GuideBook::open(release.tree.as_ref(), layout, release.tag.as_ref())?;
    offers_of(&book, layout)
}

/// The same of a guide that is open.
pub(super) fn offers_of(book: &GuideBook, layout: &Layout) -> Result<Vec<Offer>, PlanError> {
    if let Some(choices) = &layout.choices {
        let offers = choices.variants.keys().flat_map(|variant| {
            let is_offered = |provider: &&String| is_offered(book, layout, variant, provider);
            choices.providers.keys().filter(is_offered).map(|provider| Offer {
                variant: variant.clone(),
                provider: provider.clone(),
            })
        });
        return Ok(offers.collect());
    }
    let has_tab = |pattern: &TabPattern| book.titles().any(|title| pattern.matches(title));
    let providers: Vec<String> = match &layout.only_provider {
        Some(only) => vec![only.clone()],
        None => Provider::all()?
            .into_iter()
            .filter(|provider| provider.tab.as_ref().is_some_and(has_tab))
            .map(|provider| provider.name)
            .collect(),
    };
    let with_tab = layout.variants.iter().filter(|(_, pattern)| has_tab(pattern));
    let variants = with_tab.map(|(variant, _)| variant).chain(&layout.only_variant);
    Ok(variants
        .flat_map(|variant| {
            providers.iter().map(|provider| Offer {
                variant: variant.clone(),
                provider: provider.clone(),
            })
        })
        .collect())
}

/// Whether a guide in YAML offers what the reader of a choice sets: a value that it declares none such for is none of it, nor
/// is a mode that it does not have.
fn is_offered(book: &GuideBook, layout: &Layout, variant: &str, provider: &str) -> bool {
    let Some(declared) = book.declared() else { return true };
    let set = layout.set_for(variant, provider);
    let is_declared = |(name, value): (&String, &String)| {
        let values = declared.variable(name).map(|variable| variable.values.as_ref());
        values.is_some_and(|values| values.is_none_or(|values| values.contains(value)))
    };
    let has_mode = layout
        .mode_for(provider)
        .is_none_or(|mode| declared.modes.iter().any(|known| known == mode));
    set.iter().all(is_declared) && has_mode
}

/// The combination to take where variant, provider or both are not asked for: the cheapest to run. `None` where the guide
/// offers nothing that was asked for.
pub fn preferred<'a>(offers: &'a [Offer], variant: Option<&str>, provider: Option<&str>) -> Option<&'a Offer> {
    let wanted = offers.iter().filter(|offer| {
        variant.is_none_or(|variant| offer.variant == variant)
            && provider.is_none_or(|provider| offer.provider == provider)
    });
    let (variants, first_provider) = CHEAPEST;
    wanted.min_by_key(|offer| {
        let dear = variants.iter().position(|cheap| *cheap == offer.variant);
        (dear.unwrap_or(variants.len()), offer.provider != first_provider)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing_asked(None, None, Some(("sim", "istio")))]
    #[case::a_variant(Some("gpu"), None, Some(("gpu", "istio")))]
    #[case::a_provider(None, Some("gke"), Some(("cpu", "gke")))]
    #[case::both(Some("gpu"), Some("gke"), Some(("gpu", "gke")))]
    #[case::not_offered(Some("sim"), Some("gke"), None)]
    fn the_cheapest_of_what_is_asked_for_is_taken(
        #[case] variant: Option<&str>,
        #[case] provider: Option<&str>,
        #[case] wanted: Option<(&str, &str)>,
    ) {
        let offers: Vec<Offer> = [
            ("cpu", "gke"),
            ("cpu", "istio"),
            ("gpu", "gke"),
            ("gpu", "istio"),
            ("sim", "istio"),
        ]
        .map(|(variant, provider)| Offer {
            variant: variant.into(),
            provider: provider.into(),
        })
        .into();
        let taken = preferred(&offers, variant, provider);
        assert_eq!(
            taken.map(|offer| (offer.variant.as_str(), offer.provider.as_str())),
            wanted
        );
    }
}
