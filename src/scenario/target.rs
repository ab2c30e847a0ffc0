//! What a scenario is performed on, and whether that is enough.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Capability, Role, Scenario, suggest};
use crate::{
    check::{
        diagnosis::{self, Answerer},
        wire::{ErrorForm, ServedNames},
    },
    probe::Answer,
    record::ConfiguredLatencies,
    redact::cut,
    release::Tag,
    verdict::{Blame, CauseCode},
};

/// What a scenario is performed on.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The address that paths are appended to, such as `http://10.0.0.1:80`, without a `/` at its end.
    pub base: String,
    /// The model that is asked for.
    pub model: String,
    /// The prompt of requests that say nothing in particular.
    pub prompt: String,
    /// A `LoRA` adapter that is loaded; `None` where none is known.
    pub adapter: Option<String>,
    /// Headers that every request has, such as an authorization.
    pub headers: Vec<(String, String)>,
    /// The release under test; `None` where none is, which counts as the newest.
    pub release: Option<Tag>,
    /// The model-server variant; `None` where it is not known.
    pub variant: Option<String>,
    /// The gateway provider; `None` where it is not known.
    pub provider: Option<String>,
    /// Whether the address has answered anything before, so that an answer that does not come is its own doing.
    pub has_answered: bool,
    /// Whether it is a release's: what a run has deployed, and not what somebody else runs at an address that was typed.
    pub deployed: Deployed,
    /// Whether a request was answered as it must be.
    pub has_served: Arc<AtomicBool>,
    /// The models that the endpoint lists; `None` where it lists none.
    pub listed: Option<Vec<String>>,
    /// Which names stand for one model, as the list of models has it.
    pub served: ServedNames,
    /// The names that rewrites of the release put in place of a model's.
    pub rewritten: BTreeMap<String, Vec<String>>,
    /// How an error may be told here, by who stands in the path.
    pub error_form: ErrorForm,
    /// The latencies that the model server was told to have; `None` where none are known.
    pub configured: Option<ConfiguredLatencies>,
    /// What is there.
    pub capabilities: BTreeSet<Capability>,
    /// Parts that may not be changed, and why, as a whole clause.
    pub unchangeable: BTreeMap<Role, String>,
}

/// Who has deployed what is under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deployed {
    /// The run, by the release's guide.
    #[default]
    ByTheRun,
    /// Somebody else.
    BySomebodyElse,
}

impl Target {
    /// Who has named the model that is asked for, and that no list has: the command line, unless it is served all the same.
    pub(super) fn named_by(&self) -> Blame {
        if self.has_served.load(Ordering::Relaxed) {
            Blame::ModelServer
        } else {
            Blame::CommandLine
        }
    }

    /// The models that are listed, as a line of evidence.
    pub(super) fn listed_words(&self) -> Option<String> {
        let listed = self.listed.as_ref()?.join(", ");
        Some(format!("the endpoint lists: {}", cut(&listed, 300)))
    }

    /// Notes that a request was answered with a success, as it must be.
    pub(super) fn serves(&self) {
        self.has_served.store(true, Ordering::Relaxed);
    }

    /// What an answer says of the endpoint as a whole; `None` where it is an answer to its request. Of what the run has deployed
    /// that is only that the guide's model is not served, and of an endpoint that has served before nothing.
    pub(super) fn trouble(&self, answer: &Answer) -> Option<CauseCode> {
        if self.deployed == Deployed::ByTheRun {
            return self.is_denied(answer).then_some(CauseCode::ModelNotServed);
        }
        if self.has_served.load(Ordering::Relaxed) {
            return None;
        }
        let is_listed =
            |listed: &Vec<String>| listed.contains(&self.model) || !self.served.others(&self.model).is_empty();
        if answer.status() == Some(404)
            && answer.request.model().as_ref() == Some(&self.model)
            && diagnosis::answerer(answer) == Answerer::ModelServerAround
            && self.listed.as_ref().is_some_and(|listed| !is_listed(listed))
        {
            return Some(CauseCode::ModelNotServed);
        }
        diagnosis::of_the_whole(answer)
    }

    /// Whether a model server says that it does not know the model: one of several may serve another than the rest.
    fn is_denied(&self, answer: &Answer) -> bool {
        let is_a_model_servers = matches!(
            diagnosis::answerer(answer),
            Answerer::ModelServer | Answerer::ModelServerAround
        );
        answer.status() == Some(404)
            && is_a_model_servers
            && answer.request.model().as_ref() == Some(&self.model)
            && answer.text().contains(&self.model)
    }

    /// Why a scenario cannot be performed here; `None` where it can.
    pub(crate) fn lacks(&self, scenario: &Scenario) -> Option<String> {
        let releases = &scenario.releases;
        match &self.release {
            Some(tag) if !releases.cover(tag) => return Some(format!("it is for {releases}, not for {tag}")),
            None if releases.before.is_some() => {
                return Some(format!("it is for {releases}, and no release is tested here"));
            }
            Some(_) | None => {}
        }
        let needs = &scenario.needs;
        for (what, wanted, here) in [
            ("variant", &needs.variants, &self.variant),
            ("provider", &needs.providers, &self.provider),
        ] {
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            match here {
                _ if wanted.is_empty() => {}
                Some(here) if wanted.contains(&here.as_str()) => {}
                Some(here) => {
                    return Some(format!(
                        "it needs the {what} {}, not `{here}`",
                        suggest::listed(&wanted)
                    ));
                }
                None => {
                    return Some(format!(
                        "it needs the {what} {}, and what is here is not known",
                        suggest::listed(&wanted)
                    ));
                }
            }
        }
        let missing = needs
            .capabilities
            .iter()
            .find(|capability| !self.capabilities.contains(capability));
        if let Some(missing) = missing {
            return Some(format!("it needs {}", missing.words()));
        }
        scenario
            .changes()
            .find_map(|change| self.unchangeable.get(&change.role()))
            .map(|why| format!("it changes what may not be changed: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::check::diagnosis::tests::answer as answered;

    fn scenario(needs: &str) -> Scenario {
        let text = format!(
            "name: a\nproves: It holds.\n{needs}\nsteps:\n- request: {{path: /, expect: {{answer: success}}}}\n"
        );
        super::super::read("a.yaml", text.as_bytes()).unwrap()
    }

    fn target(release: Option<&str>) -> Target {
        Target {
            release: release.map(|tag| tag.parse().unwrap()),
            variant: Some("sim".into()),
            capabilities: BTreeSet::from([Capability::Adapter]),
            ..Target::default()
        }
    }

    #[rstest]
    #[case::nothing("", None, None)]
    #[case::inside("releases: {from: v1.0.0, before: v1.5.0}", Some("v1.0.0"), None)]
    #[case::a_candidate_counts_as_its_release("releases: {from: v1.0.0}", Some("v1.0.0-rc.1"), None)]
    #[case::before_it("releases: {from: v1.0.0}", Some("v0.9.0"), Some("from v1.0.0 on"))]
    #[case::after_it("releases: {before: v1.5.0}", Some("v1.5.0-rc.2"), Some("before v1.5.0"))]
    #[case::no_release_is_the_newest("releases: {from: v1.0.0}", None, None)]
    #[case::no_release_is_not_an_old_one("releases: {before: v1.0.0}", None, Some("no release is tested"))]
    #[case::variant("needs: {variants: [sim, cpu]}", None, None)]
    #[case::other_variant("needs: {variants: [gpu, cpu]}", None, Some("`gpu` and `cpu`, not `sim`"))]
    #[case::unknown_provider("needs: {providers: [istio]}", None, Some("not known"))]
    #[case::capability("needs: {capabilities: [adapter]}", None, None)]
    #[case::no_capability("needs: {capabilities: [adapter, cluster]}", None, Some("it needs a cluster"))]
    fn a_scenario_is_performed_where_it_has_what_it_needs(
        #[case] needs: &str,
        #[case] release: Option<&str>,
        #[case] said: Option<&str>,
    ) {
        let lacks = target(release).lacks(&scenario(needs));
        match said {
            None => assert_eq!(lacks, None),
            Some(said) => assert!(lacks.as_ref().is_some_and(|lacks| lacks.contains(said)), "{lacks:?}"),
        }
    }

    /// An answer with a 404 to a request for this model.
    fn not_found(model: &str, body: &str) -> Answer {
        let mut answer = answered(404, true, body);
        answer.request.body = Some(serde_json::json!({ "model": model }).to_string());
        answer
    }

    /// Of what a run has deployed one server may serve another model than the rest, whichever request shows it.
    #[rstest]
    #[case::the_model_is_denied("m/one", "{\"error\": {\"message\": \"The model `m/one` does not exist.\"}}", true)]
    #[case::another_was_asked_for("m/two", "{\"error\": {\"message\": \"The model `m/two` does not exist.\"}}", false)]
    #[case::it_is_the_path_that_is_not_there("m/one", "{\"detail\": \"Not Found\"}", false)]
    fn a_model_that_is_denied_is_not_served(#[case] asked: &str, #[case] body: &str, #[case] is_denied: bool) {
        let target = Target {
            model: "m/one".into(),
            ..Target::default()
        };
        let wanted = is_denied.then_some(CauseCode::ModelNotServed);
        assert_eq!(target.trouble(&not_found(asked, body)), wanted);
    }
}
