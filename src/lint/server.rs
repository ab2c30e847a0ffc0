//! What an API server says to the objects of a release: asked by the caller, who has a connection, and judged here.

use super::{ChartUse, Combination, Findings, Place, Rendered, planned_objects::DEFAULT_NAMESPACE};
use crate::{
    manifest::Object,
    plan::{Action, Makes, Offer},
};

rule! {
    /// A Kubernetes API server, asked by a dry run (`--server`), refuses an object that the guide applies: the command
    /// that applies it fails. Kinds that the cluster does not serve are undecided, as is what it refuses for its own
    /// reasons, such as a namespace that is not there.
    Break REFUSED = "server-refuses";
}

/// An object that the guide applies, and the combinations that apply it.
#[derive(Debug)]
pub(crate) struct Applied<'a> {
    /// The object.
    pub(crate) object: &'a Object,
    /// The namespace it goes to where it names none.
    pub(crate) namespace: &'a str,
    /// Who applies it.
    offers: Vec<&'a Offer>,
}

/// What an API server answered to a dry run of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DryRun {
    /// It would take the object.
    Accepted,
    /// It refuses the object, in its own words.
    Refused(String),
    /// Something about the cluster stands in the way of knowing, and what.
    Unknown(String),
}

/// The objects of all plans, those of rendered charts included, in the order in which commands apply them. What several
/// combinations apply alike is here once.
pub(crate) fn applied<'a>(combinations: &'a [Combination], rendered: &'a Rendered) -> Vec<Applied<'a>> {
    let mut applied: Vec<Applied<'_>> = Vec::new();
    for combination in combinations {
        let steps = combination.plan.iter().flat_map(|plan| &plan.steps);
        for step in steps {
            let (objects, namespace) = match (&step.action, step.action.facts().makes) {
                (_, Makes::Objects { objects, namespace }) => (objects, namespace),
                (action @ Action::Helm { namespace, .. }, _) => {
                    let chart = ChartUse::of(action).and_then(|chart| rendered.get(&chart));
                    (
                        chart.and_then(|chart| chart.as_deref().ok()).unwrap_or_default(),
                        namespace.as_deref(),
                    )
                }
                _ => continue,
            };
            let namespace = namespace.unwrap_or(DEFAULT_NAMESPACE);
            for object in objects {
                let known = applied
                    .iter_mut()
                    .find(|known| known.object == object && known.namespace == namespace);
                match known {
                    Some(known) => known.offers.push(&combination.offer),
                    None => applied.push(Applied {
                        object,
                        namespace,
                        offers: vec![&combination.offer],
                    }),
                }
            }
        }
    }
    applied
}

impl Findings {
    /// Adds what an API server of `cluster` answered about each of the objects.
    #[must_use]
    pub(crate) fn with_server<'a>(
        self,
        cluster: &str,
        combinations: &[Combination],
        answers: impl IntoIterator<Item = (&'a Applied<'a>, DryRun)>,
    ) -> Self {
        let mut found = Self::default();
        for (applied, answer) in answers {
            let object = applied.object;
            let place = || Place::line(&object.file, object.line);
            match answer {
                DryRun::Accepted => {}
                DryRun::Refused(words) => {
                    for offer in &applied.offers {
                        let message = format!("the API server refuses the {} `{}`", object.kind(), object.name());
                        let added = found.add(&REFUSED, place(), message);
                        added.because(words.as_str()).only_for(offer);
                    }
                }
                DryRun::Unknown(why) => found.undecided(&REFUSED, place(), format!("`{cluster}`: {why}")),
            }
        }
        let offers: Vec<Offer> = combinations.iter().map(|one| one.offer.clone()).collect();
        self.and(found.joined(&offers, |_| None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::{Severity, tests::example};

    #[test]
    fn every_object_of_every_plan_and_chart_is_asked_about_once() {
        let (_, _, combinations, rendered) = example(&[]);
        let asked = applied(&combinations, &rendered);
        let titles: Vec<String> = asked.iter().map(|one| one.object.title()).collect();
        for title in ["Deployment small", "InferencePool small", "Gateway inference-gateway"] {
            let times = titles.iter().filter(|other| *other == title).count();
            assert!(times >= 1, "{title} in {titles:?}");
        }
        for (number, one) in asked.iter().enumerate() {
            let again = asked[number + 1..]
                .iter()
                .any(|other| other.object == one.object && other.namespace == one.namespace);
            assert!(!again, "{} is asked about twice", one.object.title());
        }
        assert!(
            applied(&combinations, &Rendered::new()).len() < asked.len(),
            "charts count"
        );
    }

    #[test]
    fn what_is_refused_is_a_break_for_those_who_apply_it() {
        let (_, _, combinations, rendered) = example(&[]);
        let asked = applied(&combinations, &rendered);
        let of_one_variant = "config/manifests/model/sim.yaml";
        let said = asked.iter().map(|one| match one.object.file.as_str() {
            file if file == of_one_variant => (one, DryRun::Refused("spec: wrong".into())),
            file if file.contains("/charts/") => (one, DryRun::Unknown("the cluster does not serve it".into())),
            _ => (one, DryRun::Accepted),
        });
        let findings = Findings::default().with_server("demo", &combinations, said);
        assert!(!findings.diagnostics.is_empty());
        for found in &findings.diagnostics {
            assert_eq!((found.code, found.severity), ("server-refuses", Severity::Break));
            assert_eq!(found.place.file, of_one_variant);
            assert_eq!(
                (found.variant.as_deref(), found.provider.as_deref()),
                (Some("sim"), None)
            );
            assert_eq!(found.why, ["spec: wrong"]);
        }
        let undecided: Vec<&str> = findings.undecided.iter().map(|one| one.why.as_str()).collect();
        assert_eq!(undecided, ["`demo`: the cluster does not serve it"]);
    }

    #[test]
    fn what_the_server_says_stands_among_what_rules_found() {
        let (_, _, combinations, rendered) = example(&[]);
        let asked = applied(&combinations, &rendered);
        let mut findings = Findings::default();
        findings.add(&REFUSED, Place::line("a", 1), "first");
        findings.add(&REFUSED, Place::line("z", 1), "last");
        let said = asked.iter().take(1).map(|one| (one, DryRun::Refused("wrong".into())));
        let files: Vec<String> = findings
            .with_server("demo", &combinations, said)
            .diagnostics
            .into_iter()
            .map(|found| found.place.file)
            .collect();
        assert_eq!(files.len(), 3);
        assert!(files.is_sorted(), "{files:?}");
    }
}
