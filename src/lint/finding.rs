//! What rules find, and how findings of several combinations become one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use super::{Examined, Rule, Severity, Suppressed};
use crate::{manifest::Object, plan::Offer};

/// Where something was found: a file of the tree, a line, and where it is known a column, both counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column, or `None` for the line as a whole.
    pub(crate) column: Option<u32>,
}

impl Place {
    /// A whole line of a file.
    pub(crate) fn line(file: impl Into<String>, line: u32) -> Self {
        Self {
            file: file.into(),
            line,
            column: None,
        }
    }

    /// A column of a line.
    pub(super) fn at(file: impl Into<String>, line: u32, column: u32) -> Self {
        Self {
            column: Some(column),
            ..Self::line(file, line)
        }
    }

    /// The place of what begins at a byte of a row, the text of a line.
    pub(super) fn in_row(file: impl Into<String>, line: u32, row: &str, byte: usize) -> Self {
        Self {
            column: u32::try_from(row[..byte].chars().count() + 1).ok(),
            ..Self::line(file, line)
        }
    }
}

/// Something that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The rule's code.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What is wrong, one sentence without a full stop.
    pub(crate) message: String,
    /// What it was compared with, and other facts that prove it.
    pub(crate) why: Vec<String>,
    /// What to do; may be empty.
    pub(crate) way_out: String,
    /// The variant it holds for, or several joined by `, `; `None` where it holds for each.
    pub(crate) variant: Option<String>,
    /// The provider it holds for, or several joined by `, `; `None` where it holds for each.
    pub(crate) provider: Option<String>,
}

impl Diagnostic {
    /// Adds a fact that proves it.
    pub(crate) fn because(&mut self, fact: impl Into<String>) -> &mut Self {
        self.why.push(fact.into());
        self
    }

    /// Says what to do.
    pub(crate) fn way_out(&mut self, way_out: impl Into<String>) -> &mut Self {
        self.way_out = way_out.into();
        self
    }

    /// What proves it, and the way out, where there is one, behind `label`.
    pub(crate) fn facts(&self, label: &str) -> impl Iterator<Item = String> {
        let way_out = (!self.way_out.is_empty()).then(|| format!("{label}: {}", self.way_out));
        self.why.iter().cloned().chain(way_out)
    }

    /// The message, what proves it, and the way out behind `label`, each on a line of its own.
    pub(super) fn in_full(&self, label: &str) -> String {
        let mut text = self.message.clone();
        for fact in self.facts(label) {
            text.push('\n');
            text.push_str(&fact);
        }
        text
    }

    /// The variants and the providers that it holds for, by the names of their fields; none where it holds for each.
    pub(super) fn limits(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let limits = [("variant", &self.variant), ("provider", &self.provider)];
        limits.into_iter().filter_map(|(name, of)| Some((name, of.as_deref()?)))
    }

    /// Says that it holds for one combination. The same finding for others is joined with it later.
    pub(crate) fn only_for(&mut self, offer: &Offer) -> &mut Self {
        self.variant = Some(offer.variant.clone());
        self.provider = Some(offer.provider.clone());
        self
    }

    /// Makes it at most as bad as this.
    pub(crate) fn at_most(&mut self, severity: Severity) -> &mut Self {
        self.severity = self.severity.min(severity);
        self
    }
}

/// Something that a rule could not decide.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Undecided {
    /// The rule's code.
    pub(crate) code: &'static str,
    /// Where the question stands; `None` where it is about no line of a file.
    pub(crate) place: Option<Place>,
    /// What was not decided, and what would be needed.
    pub(crate) why: String,
}

/// What lint found in a release.
///
/// ```
/// use quickproof::{lint, release::Release};
///
/// let release = Release::embedded();
/// let layout = release.layout(None)?;
/// let combinations = lint::draw(&release, &layout)?;
/// let findings = lint::examine(&release, &layout, &combinations, &lint::Rendered::new());
/// assert!(findings.diagnostics.is_empty(), "our own quickstart is clean");
/// # Ok::<_, anyhow::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Findings {
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// What could not be decided.
    pub(crate) undecided: Vec<Undecided>,
    /// What is wrong and meant to be.
    pub(crate) suppressed: Vec<Suppressed>,
}

impl Findings {
    /// Adds a finding; what it was compared with, the way out and the combination are said of what this returns.
    pub(crate) fn add(&mut self, rule: &Rule, place: Place, message: impl Into<String>) -> &mut Diagnostic {
        self.diagnostics.push(Diagnostic {
            code: rule.code,
            severity: rule.severity,
            place,
            message: message.into(),
            why: Vec::new(),
            way_out: String::new(),
            variant: None,
            provider: None,
        });
        let last = self.diagnostics.len() - 1;
        &mut self.diagnostics[last]
    }

    /// Adds a finding at a field of an object, by JSON pointer; milder where no command of the guide applies its file.
    pub(super) fn add_to(
        &mut self,
        examined: &Examined<'_>,
        object: &Object,
        rule: &Rule,
        pointer: &str,
        message: impl Display,
    ) -> &mut Diagnostic {
        let message = format!("{}: {message}", object.title());
        self.add(rule, examined.place(object, pointer), message)
            .at_most(examined.files.at_most(&object.file))
    }

    /// Adds what others found.
    pub(super) fn append(&mut self, mut others: Self) {
        self.diagnostics.append(&mut others.diagnostics);
        self.undecided.append(&mut others.undecided);
        self.suppressed.append(&mut others.suppressed);
    }

    /// Says that a rule could not decide something, and where it stands, where it stands in a file.
    pub(crate) fn undecided(&mut self, rule: &Rule, place: impl Into<Option<Place>>, why: impl Into<String>) {
        self.undecided.push(Undecided {
            code: rule.code,
            place: place.into(),
            why: why.into(),
        });
    }

    /// These and `others`, sorted by file, line and code.
    pub(super) fn and(mut self, others: Self) -> Self {
        self.append(others);
        self.sort();
        self
    }

    /// Sorts them by file, line and code.
    pub(super) fn sort(&mut self) {
        self.diagnostics
            .sort_by(|one, other| (&one.place, one.code).cmp(&(&other.place, other.code)));
        self.undecided.sort();
    }

    /// Joins what was found alike for several combinations of `offers`, and sorts by file, line and code. What a rule
    /// found for no combination in particular holds for those of `reach`, by file, and where that knows none for each.
    ///
    /// What holds for each combination names none; what holds for some variants with the same providers each names
    /// both; anything else becomes one finding a variant.
    pub(super) fn joined<'a>(self, offers: &[Offer], reach: impl Fn(&str) -> Option<&'a BTreeSet<Offer>>) -> Self {
        type Key = (Place, &'static str, String, Severity);
        let mut alike: BTreeMap<Key, (Diagnostic, BTreeSet<Offer>)> = BTreeMap::new();
        for diagnostic in self.diagnostics {
            let holds_for: BTreeSet<Offer> = match (&diagnostic.variant, &diagnostic.provider) {
                (Some(variant), Some(provider)) => BTreeSet::from([Offer {
                    variant: variant.clone(),
                    provider: provider.clone(),
                }]),
                _ => reach(&diagnostic.place.file)
                    .cloned()
                    .unwrap_or_else(|| offers.iter().cloned().collect()),
            };
            let key = (
                diagnostic.place.clone(),
                diagnostic.code,
                diagnostic.message.clone(),
                diagnostic.severity,
            );
            let (_, known) = alike.entry(key).or_insert_with(|| (diagnostic, BTreeSet::new()));
            known.extend(holds_for);
        }
        let diagnostics = alike
            .into_values()
            .flat_map(|(diagnostic, holds_for)| named(&diagnostic, &holds_for, offers))
            .collect();
        // One question is told once, at the first of its places.
        let mut undecided = self.undecided;
        undecided.sort();
        let mut told = BTreeSet::new();
        undecided.retain(|one| told.insert((one.code, one.why.clone())));
        Self {
            diagnostics,
            undecided,
            suppressed: self.suppressed,
        }
    }
}

/// A finding with the names of the combinations it holds for; several where no one says it exactly.
fn named(diagnostic: &Diagnostic, holds_for: &BTreeSet<Offer>, offers: &[Offer]) -> Vec<Diagnostic> {
    let of = |variant: &str, offers: &mut dyn Iterator<Item = &Offer>| -> BTreeSet<String> {
        let of_variant = offers.filter(|offer| offer.variant == variant);
        of_variant.map(|offer| offer.provider.clone()).collect()
    };
    let all: BTreeSet<&str> = offers.iter().map(|offer| offer.variant.as_str()).collect();
    // Providers by which variants share them; a variant's own whole set counts as "each".
    let mut by_providers: BTreeMap<Option<BTreeSet<String>>, Vec<&str>> = BTreeMap::new();
    for variant in &all {
        let held = of(variant, &mut holds_for.iter());
        let each = held == of(variant, &mut offers.iter());
        if !held.is_empty() {
            by_providers.entry((!each).then_some(held)).or_default().push(variant);
        }
    }
    let joined = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(", ");
    let one = |(providers, variants): (Option<BTreeSet<String>>, Vec<&str>)| Diagnostic {
        variant: (variants.len() < all.len()).then(|| joined(&mut variants.iter().copied())),
        provider: providers.map(|providers| joined(&mut providers.iter().map(String::as_str))),
        ..diagnostic.clone()
    };
    if by_providers.is_empty() {
        return vec![diagnostic.clone()];
    }
    by_providers.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    static RULE: Rule = Rule {
        code: "some",
        severity: Severity::Break,
        about: "",
    };

    fn offer(text: &str) -> Offer {
        let (variant, provider) = text.split_once('/').unwrap();
        Offer {
            variant: variant.into(),
            provider: provider.into(),
        }
    }

    #[rstest]
    #[case::each(&["a/x", "a/y", "b/x", "b/y"], &[(None, None)])]
    #[case::a_variant(&["a/x", "a/y"], &[(Some("a"), None)])]
    #[case::a_provider(&["a/x", "b/x"], &[(None, Some("x"))])]
    #[case::one(&["b/y"], &[(Some("b"), Some("y"))])]
    #[case::no_rectangle(&["a/x", "b/x", "b/y"], &[(Some("b"), None), (Some("a"), Some("x"))])]
    fn what_was_found_alike_is_said_once(#[case] found: &[&str], #[case] said: &[(Option<&str>, Option<&str>)]) {
        let offers: Vec<Offer> = ["a/x", "a/y", "b/x", "b/y"].into_iter().map(offer).collect();
        let mut findings = Findings::default();
        for text in found {
            findings.add(&RULE, Place::line("f", 1), "m").only_for(&offer(text));
        }
        let joined = findings.joined(&offers, |_| None);
        let names: Vec<_> = joined
            .diagnostics
            .iter()
            .map(|found| (found.variant.as_deref(), found.provider.as_deref()))
            .collect();
        assert_eq!(names, said);
    }

    #[test]
    fn what_was_found_in_a_file_of_one_variant_is_of_that_variant() {
        let offers: Vec<Offer> = ["a/x", "a/y", "b/x", "b/y"].into_iter().map(offer).collect();
        let of_b: BTreeSet<Offer> = offers[2..].iter().cloned().collect();
        let mut findings = Findings::default();
        findings.add(&RULE, Place::line("b.yaml", 1), "m");
        let joined = findings.joined(&offers, |file| (file == "b.yaml").then_some(&of_b));
        let found = &joined.diagnostics[0];
        assert_eq!((found.variant.as_deref(), found.provider.as_deref()), (Some("b"), None));
    }

    #[test]
    fn findings_are_sorted_and_those_of_no_combination_hold_for_each() {
        let mut findings = Findings::default();
        findings.add(&RULE, Place::line("b", 1), "m").only_for(&offer("a/x"));
        findings.add(&RULE, Place::line("b", 1), "m");
        findings.add(&RULE, Place::line("a", 9), "m").at_most(Severity::Drift);
        findings.undecided(&RULE, Place::line("b", 2), "w");
        findings.undecided(&RULE, Place::line("b", 1), "w");
        findings.undecided(&RULE, None, "v");
        let joined = findings.joined(&[offer("a/x"), offer("a/y")], |_| None);
        let seen: Vec<_> = joined
            .diagnostics
            .iter()
            .map(|found| (found.place.file.as_str(), found.severity, found.provider.clone()))
            .collect();
        assert_eq!(seen, [("a", Severity::Drift, None), ("b", Severity::Break, None)]);
        let open: Vec<_> = joined
            .undecided
            .iter()
            .map(|one| (one.place.as_ref(), one.why.as_str()))
            .collect();
        assert_eq!(open, [(None, "v"), (Some(&Place::line("b", 1)), "w")]);
    }
}
