//! A run without a cluster: scenarios performed against an endpoint that somebody else runs.
//!
//! What can be proven is the wire and nothing else, and the subject of the run says so. Everything is bounded: each
//! request by the limit, each answer by the probe's bounds, the number of requests by the scenarios.

use std::{collections::BTreeSet, time::Duration};

use super::{
    checks::ENDPOINT_ANSWERS,
    models::Models,
    scenarios::{self, PROMPT},
    stopped::Stopped,
};
use crate::{
    probe::Probe,
    record::{Event, Events, Stage, Subject},
    redact::cut,
    scenario::{Capability, NoChanges, Scenario, Selection, Target},
    verdict::{Cause, CauseCode, Fault, Finding},
};

/// What an endpoint without a cluster is asked to prove.
#[derive(Debug, Clone)]
pub struct EndpointOrder {
    /// The address that paths such as `/v1/models` are appended to, without a `/` at its end.
    pub base: String,
    /// The model; `None` to take the only one that the endpoint lists.
    pub model: Option<String>,
    /// A `LoRA` adapter; `None` to take one that the endpoint lists.
    pub adapter: Option<String>,
    /// Headers that every request has.
    pub headers: Vec<(String, String)>,
    /// The scenarios.
    pub scenarios: Selection,
    /// How long one request may take.
    pub limit: Duration,
    /// The command line, to type again.
    pub command: String,
}

/// Why an endpoint cannot be asked. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It has several models, and none was chosen.
    #[error("the endpoint has {} models; choose one with `--model`: {}", models.len(), listed(models))]
    SeveralModels {
        /// Their names.
        models: Vec<String>,
    },
    /// It answers, and names no model.
    #[error("no model is known: the endpoint's list of models {why}; name one with `--model`")]
    NoModel {
        /// What became of the list.
        why: String,
    },
    /// The TLS machinery cannot be set up.
    #[error("requests cannot be sent")]
    Probe(#[from] reqwest::Error),
}

/// The most names that an error lists.
const MOST_LISTED: usize = 20;

fn listed(models: &[String]) -> String {
    let mut names: Vec<String> = models
        .iter()
        .take(MOST_LISTED)
        .map(|name| format!("`{}`", cut(name, 100)))
        .collect();
    if models.len() > MOST_LISTED {
        names.push(format!("and {} more", models.len() - MOST_LISTED));
    }
    names.join(", ")
}

/// A run against an endpoint, which was asked for its models.
pub(super) struct EndpointRun {
    probe: Probe,
    target: Target,
    scenarios: Selection,
    models: Models,
}

impl EndpointRun {
    /// Asks the endpoint for its models, and takes model and adapter from them where none were named.
    ///
    /// # Errors
    /// It answers, and which model is meant cannot be told.
    pub(super) async fn prepare(order: EndpointOrder) -> Result<Self, EndpointError> {
        let probe = Probe::new(order.limit)?;
        let models = Models::ask(&probe, &order.base, &order.headers).await;
        let model = match order.model {
            Some(model) => model,
            None if models.has_answered() => only_model(&models)?,
            None => String::new(),
        };
        let adapter = order.adapter.or_else(|| models.adapter_of(&model));
        let mut capabilities = BTreeSet::new();
        capabilities.extend(adapter.is_some().then_some(Capability::Adapter));
        capabilities.extend(
            models
                .answer
                .passed_endpoint_picker()
                .then_some(Capability::EndpointPicker),
        );
        Ok(Self {
            target: Target {
                base: order.base,
                model,
                prompt: PROMPT.to_owned(),
                adapter,
                headers: order.headers,
                has_answered: models.has_answered(),
                capabilities,
                ..Target::default()
            },
            probe,
            scenarios: order.scenarios,
            models,
        })
    }

    /// What is tested.
    pub(super) fn subject(&self) -> Subject {
        let model = match self.target.model.as_str() {
            "" => "no model known".to_owned(),
            model => format!("model {model}"),
        };
        let untested = if self.target.capabilities.contains(&Capability::EndpointPicker) {
            "a release or the pool"
        } else {
            "a release, the endpoint picker or the pool"
        };
        Subject {
            repository: format!("the endpoint {} with {model}", self.target.base),
            tag: None,
            commit: None,
            variant: "none".to_owned(),
            provider: "none".to_owned(),
            phase: "none".to_owned(),
            extent: Some(format!("the wire only; nothing about {untested} was tested")),
        }
    }

    /// Names of the checks that must be decided.
    pub(super) fn expected(&self) -> Vec<String> {
        let mut checks = vec![ENDPOINT_ANSWERS.name.into_owned()];
        if self.target.has_answered {
            checks.extend(scenarios::expected(&self.scenarios(), &self.target));
        }
        checks
    }

    fn scenarios(&self) -> Vec<&Scenario> {
        self.scenarios.performed.iter().collect()
    }

    /// Performs the scenarios.
    ///
    /// # Errors
    /// The endpoint does not answer.
    pub(super) async fn perform(&self, events: &Events) -> Result<(), Stopped> {
        events.send(Event::Entered {
            stage: Stage::Scenarios,
        });
        scenarios::note_unasked(&self.scenarios, events);
        let sentence = format!("{} answers", self.target.base);
        let answer = &self.models.answer;
        if !self.target.has_answered {
            let cause = Cause::new(CauseCode::EndpointNotAnswering).because(answer.brief());
            let fault = Fault::shown("an answer of any kind", cause);
            let decision = ENDPOINT_ANSWERS.decision(sentence, fault.into());
            let stopped = Stopped::at(events, decision.shown_by(answer.exchange()));
            let why = "the endpoint does not answer; nothing was sent";
            scenarios::skip(&self.scenarios(), why, events);
            return Err(stopped);
        }
        events.decide(ENDPOINT_ANSWERS.decision(sentence, Finding::Holds).took(answer.took));
        scenarios::perform(&self.scenarios(), &self.probe, &self.target, &NoChanges, events).await;
        Ok(())
    }
}

/// The only model of a list that is no adapter.
fn only_model(models: &Models) -> Result<String, EndpointError> {
    let Some(names) = models.names() else {
        let why = format!("is none (GET /v1/models: {})", models.answer.brief());
        return Err(EndpointError::NoModel { why });
    };
    match names.as_slice() {
        [] => Err(EndpointError::NoModel {
            why: "is empty".to_owned(),
        }),
        [one] => Ok(one.clone()),
        _ => Err(EndpointError::SeveralModels { models: names }),
    }
}
