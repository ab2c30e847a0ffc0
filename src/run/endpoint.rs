//! A run without a cluster: scenarios performed against an endpoint that somebody else runs.
//!
//! What can be proven is the wire and nothing else, and the subject of the run says so. Everything is bounded: each
//! request by the limit, each answer by the probe's bounds, the number of requests by the scenarios.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    checks::{ENDPOINT_ANSWERS, ENDPOINT_MODELS},
    models::Models,
    scenarios::{self, PROMPT},
    stopped::Stopped,
};
use crate::{
    check::{
        diagnosis::{by_answerer, cut_off, not_answering, of_the_whole},
        wire::{self, Expected},
    },
    host::poll,
    probe::{Answer, Bounds, Outgoing, Probe, ProbeError, Spoken, Trust, Unanswered},
    record::{Event, Events, Stage, Subject},
    redact::cut,
    scenario::{Capability, Deployed, NoChanges, Scenario, Selection, Target},
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
    /// How long is waited for an endpoint that is not there yet, or says that it is not ready; zero for not at all.
    pub wait: Duration,
    /// Whose certificates are taken.
    pub trust: Trust,
    /// The command line, to type again.
    pub command: String,
}

/// Why it cannot be told which model of an endpoint is meant. Nothing was proven, and no report stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It has several models, and none was chosen.
    #[error("the endpoint has {} models; choose one with `--model`: {}", models.len(), listed(models))]
    SeveralModels {
        /// Their names.
        models: Vec<String>,
    },
    /// It lists no model.
    #[error("no model is known: the endpoint's list of models is empty; name one with `--model`")]
    NoModel,
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

/// A run against an endpoint that was not asked for anything yet.
pub(super) struct EndpointRun {
    probe: Probe,
    order: EndpointOrder,
}

/// A run against an endpoint that was asked for its models.
pub(super) struct AskedEndpoint {
    probe: Probe,
    target: Target,
    trust: Trust,
    scenarios: Selection,
    models: Models,
    /// Whether a model is known: named, or listed as the only one.
    known: Known,
}

/// Whether a model is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Model,
    /// None was named, and what came back is no list.
    NoList,
}

impl EndpointRun {
    /// # Errors
    /// The TLS machinery cannot be set up.
    pub(super) fn new(order: EndpointOrder) -> Result<Self, ProbeError> {
        Ok(Self {
            probe: Probe::trusting(Bounds::within(order.limit), &order.trust)?,
            order,
        })
    }

    /// What is waited for while it is asked for its models.
    pub(super) fn question(&self) -> String {
        let asked = format!("GET {}/v1/models", self.order.base);
        match self.order.wait {
            Duration::ZERO => asked,
            wait => format!("{asked} (for up to {wait:?}, until it serves)"),
        }
    }

    /// The run as it is when a signal comes before an answer.
    pub(super) fn unasked(order: EndpointOrder) -> (Subject, Vec<String>) {
        let model = order.model.unwrap_or_default();
        (
            subject(&order.base, &model, &BTreeSet::new(), &order.trust),
            vec![ENDPOINT_ANSWERS.name.into_owned()],
        )
    }

    /// Its order.
    pub(super) fn order(&self) -> &EndpointOrder {
        &self.order
    }

    /// Asks the endpoint for its models, and takes model and adapter from them where none were named. That nothing comes
    /// back, or nothing that is a list, is for [`AskedEndpoint::perform`] to say.
    ///
    /// # Errors
    /// It lists its models, and which one is meant cannot be told.
    pub(super) async fn ask(self) -> Result<AskedEndpoint, EndpointError> {
        let Self { probe, order } = self;
        let mut models = awaited(&probe, &order).await;
        if may_speak_tls(&models.answer) && probe.speaks_tls(&order.base).await {
            models.answer.outcome = Err(Unanswered::OtherProtocol(Spoken::Tls, models.answer.brief()));
        }
        let (model, known) = match (order.model, models.names()) {
            (Some(model), _) => (model, Known::Model),
            (None, Some(names)) => (only_model(names)?, Known::Model),
            (None, None) => (String::new(), Known::NoList),
        };
        let served = models.served();
        let adapter = order.adapter.or_else(|| models.adapter_of(&model));
        let mut capabilities = BTreeSet::new();
        capabilities.extend(adapter.is_some().then_some(Capability::Adapter));
        capabilities.extend(
            models
                .answer
                .passed_endpoint_picker()
                .then_some(Capability::EndpointPicker),
        );
        Ok(AskedEndpoint {
            target: Target {
                base: order.base,
                model,
                prompt: PROMPT.to_owned(),
                adapter,
                headers: order.headers,
                has_answered: models.has_answered(),
                deployed: Deployed::BySomebodyElse,
                listed: models.all_names(),
                served,
                capabilities,
                ..Target::default()
            },
            probe,
            trust: order.trust,
            scenarios: order.scenarios,
            models,
            known,
        })
    }
}

impl AskedEndpoint {
    /// What is tested.
    pub(super) fn subject(&self) -> Subject {
        let Target {
            base,
            model,
            capabilities,
            ..
        } = &self.target;
        subject(base, model, capabilities, &self.trust)
    }

    /// Names of the checks that must be decided.
    pub(super) fn expected(&self) -> Vec<String> {
        let mut checks = vec![ENDPOINT_ANSWERS.name.into_owned()];
        if self.target.has_answered && self.known == Known::NoList {
            checks.push(ENDPOINT_MODELS.name.into_owned());
        } else if self.target.has_answered {
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
            let cause = Cause::new(not_answering(answer)).because(answer.brief());
            let fault = Fault::shown("an answer of any kind", cause);
            let decision = ENDPOINT_ANSWERS.decision(sentence, fault.into());
            let stopped = Stopped::at(events, decision.shown_by(answer.exchange()));
            let why = "the endpoint does not answer; nothing was sent";
            scenarios::skip(&self.scenarios(), why, events);
            return Err(stopped);
        }
        events.decide(ENDPOINT_ANSWERS.decision(sentence, Finding::Holds).took(answer.took));
        if self.known == Known::NoList {
            let wrong_headers = || {
                let faults = wire::faults(&Expected::of(&answer.request), answer).into_iter();
                faults
                    .map(|fault| fault.cause)
                    .find(|code| *code == CauseCode::AnswerHeadersWrong)
            };
            let code = of_the_whole(answer).unwrap_or_else(|| match &answer.outcome {
                Err(_) => wrong_headers().unwrap_or_else(|| cut_off(answer)),
                Ok(received) if received.status != 200 => CauseCode::AnswerStatusUnexpected,
                Ok(_) => CauseCode::AnswerMalformed,
            });
            let cause = Cause::new(code)
                .blaming(by_answerer(code, answer))
                .because(answer.brief());
            let fault = Fault::shown("a list of models (or a model that is named with `--model`)", cause);
            let decision = ENDPOINT_MODELS.decision("the endpoint lists its models", fault.into());
            let stopped = Stopped::at(events, decision.shown_by(answer.exchange()));
            scenarios::skip(&self.scenarios(), "no model is known; nothing more was sent", events);
            return Err(stopped);
        }
        scenarios::perform(&self.scenarios(), &self.probe, &self.target, &NoChanges, events).await;
        Ok(())
    }
}

/// Between two looks at an endpoint that is waited for.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// The endpoint's models, once it serves, or as they are when the time is over. There are servers that list their models while
/// they still load them, so one more request is sent, for one token, where anything is waited for and a model is known.
async fn awaited(probe: &Probe, order: &EndpointOrder) -> Models {
    let began = Instant::now();
    let look = async |_| {
        let models = Models::ask(probe, &order.base, &order.headers).await;
        if is_not_ready(&models.answer) {
            Err(models)
        } else {
            Ok(models)
        }
    };
    let models = poll(order.wait, BETWEEN_LOOKS, look).await.unwrap_or_else(|last| last);
    let left = order.wait.saturating_sub(began.elapsed());
    let Some(model) = order
        .model
        .clone()
        .or_else(|| models.names()?.pop())
        .filter(|_| !left.is_zero())
    else {
        return models;
    };
    let request = Outgoing {
        method: "POST".to_owned(),
        url: format!("{}/v1/completions", order.base),
        headers: [("content-type".to_owned(), "application/json".to_owned())]
            .into_iter()
            .chain(order.headers.iter().cloned())
            .collect(),
        body: Some(serde_json::json!({"model": model, "prompt": PROMPT, "max_tokens": 1}).to_string()),
    };
    let serves = async |_| {
        if is_not_ready(&probe.send(request.clone()).await) {
            Err(())
        } else {
            Ok(())
        }
    };
    // What it comes to is told by what is asked next.
    let _ = poll(left, BETWEEN_LOOKS, serves).await;
    models
}

/// Whether an answer may be another when the endpoint, or what is behind it, has started.
fn is_not_ready(answer: &Answer) -> bool {
    let waits = |why: &Unanswered| {
        use Unanswered::{CutOff, NotConnected, Reset, Silent, TimedOut};
        matches!(why, NotConnected(_) | CutOff(_) | Reset(_) | Silent(_) | TimedOut(_))
    };
    match &answer.outcome {
        Err(why) => waits(why),
        Ok(received) => matches!(received.status, 429 | 502..=504),
    }
}

/// Whether an answer is one that a server gives which speaks TLS and is asked without: it closes the connection, or says 400
/// in words of its own.
fn may_speak_tls(answer: &Answer) -> bool {
    if !answer.request.url.starts_with("http:") || answer.partial.is_some() {
        return false;
    }
    match &answer.outcome {
        Err(Unanswered::CutOff(_) | Unanswered::Reset(_) | Unanswered::Malformed(_)) => true,
        Ok(received) => received.status == 400 && answer.json().is_err(),
        Err(_) => false,
    }
}

/// What is tested; `model` is empty where none is known.
fn subject(base: &str, model: &str, capabilities: &BTreeSet<Capability>, trust: &Trust) -> Subject {
    let model = match model {
        "" => "no model known".to_owned(),
        model => format!("model {model}"),
    };
    let untested = if capabilities.contains(&Capability::EndpointPicker) {
        "a release or the pool"
    } else {
        "a release, the endpoint picker or the pool"
    };
    Subject {
        repository: format!("the endpoint {base} with {model}"),
        tag: None,
        commit: None,
        variant: "none".to_owned(),
        provider: "none".to_owned(),
        phase: "none".to_owned(),
        extent: Some(match trust {
            Trust::Machine | Trust::Also(_) => format!("the wire only; nothing about {untested} was tested"),
            Trust::Anyone => format!(
                "the wire only; nothing about {untested} was tested, and nobody looked at certificates (`--insecure`)"
            ),
        }),
    }
}

/// The only model of a list that is no adapter.
fn only_model(mut names: Vec<String>) -> Result<String, EndpointError> {
    match (names.pop(), names.is_empty()) {
        (None, _) => Err(EndpointError::NoModel),
        (Some(one), true) => Ok(one),
        (Some(last), false) => {
            names.push(last);
            Err(EndpointError::SeveralModels { models: names })
        }
    }
}
