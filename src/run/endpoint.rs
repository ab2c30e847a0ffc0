//! A run without a cluster: scenarios performed against an endpoint that somebody else runs.
//!
//! What can be proven is the wire and nothing else, and the subject of the run says so. Everything is bounded: each
//! request by the limit, each answer by the probe's bounds, the number of requests by the scenarios.

use std::{collections::BTreeSet, time::Duration};

use super::{
    run_id, signals,
    telling::{self, Beginning, Hearers},
};
use crate::{
    host::Host,
    probe::{Answer, Outgoing, Probe, Unanswered},
    record::{Decision, Event, Events, Reporter, RunRecord, Stage, Subject},
    report::{Outputs, Sink},
    scenario::{self, Capability, Ground, NoChanger, Selection},
    verdict::{Cause, CauseCode, Fault, Finding},
};

/// The check that the endpoint answers at all.
const ANSWERS: &str = "endpoint-answers";

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
        .map(|name| format!("`{}`", name.chars().take(100).collect::<String>()))
        .collect();
    if models.len() > MOST_LISTED {
        names.push(format!("and {} more", models.len() - MOST_LISTED));
    }
    names.join(", ")
}

/// A run against an endpoint, ready to begin: it was asked for its models.
pub struct EndpointRun {
    host: Host,
    sink: Sink,
    id: String,
    probe: Probe,
    ground: Ground,
    scenarios: Selection,
    command: String,
    look: Answer,
}

impl std::fmt::Debug for EndpointRun {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("EndpointRun")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A model as the list of models has it.
struct Listed {
    name: String,
    /// The model that it adapts, where it is an adapter. Source: vLLM and llm-d-inference-sim list adapters with the
    /// field `parent`.
    parent: Option<String>,
}

/// The models of a list, in order; `None` where the answer is no such list.
fn models(look: &Answer) -> Option<Vec<Listed>> {
    let body = look.json().ok().filter(|_| look.status() == Some(200))?;
    let listed = |item: &serde_json::Value| {
        Some(Listed {
            name: item.get("id")?.as_str()?.to_owned(),
            parent: item.get("parent").and_then(|parent| parent.as_str()).map(str::to_owned),
        })
    };
    Some(body.get("data")?.as_array()?.iter().filter_map(listed).collect())
}

/// The answer to a look at the list of models.
pub(super) async fn look(probe: &Probe, base: &str, headers: &[(String, String)]) -> Answer {
    let request = Outgoing {
        method: "GET".to_owned(),
        url: format!("{base}/v1/models"),
        headers: headers.to_vec(),
        body: None,
    };
    probe.send(request).await
}

/// An adapter of a list of models: of this model, where one says so.
pub(super) fn adapter(look: &Answer, model: &str) -> Option<String> {
    let listed = models(look).unwrap_or_default();
    let adapters = || listed.iter().filter(|one| one.parent.is_some());
    let found = adapters().find(|one| one.parent.as_deref() == Some(model));
    found.or_else(|| adapters().next()).map(|one| one.name.clone())
}

/// Whether anything came back. A connection that was taken and then closed or reset counts: what follows is judged; silence
/// does not, because nothing tells the endpoint from the way to it.
fn has_answered(look: &Answer) -> bool {
    let silent = |why: &Unanswered| {
        use Unanswered::{NotConnected, NotSent, Silent, TimedOut};
        matches!(why, NotConnected(_) | NotSent(_) | Silent(_) | TimedOut(_))
    };
    look.partial.is_some() || !look.outcome.as_ref().is_err_and(silent)
}

impl EndpointRun {
    /// Asks the endpoint for its models, and takes model and adapter from them where none were named.
    ///
    /// # Errors
    /// It answers, and which model is meant cannot be told.
    pub async fn prepare(host: Host, order: EndpointOrder, sink: Sink) -> Result<Self, EndpointError> {
        let probe = Probe::new(order.limit)?;
        let look = look(&probe, &order.base, &order.headers).await;
        let listed = models(&look);
        let model = match order.model {
            Some(model) => model,
            None if has_answered(&look) => only_model(&look, listed.as_deref())?,
            None => String::new(),
        };
        let adapter = order.adapter.or_else(|| adapter(&look, &model));
        let mut capabilities = BTreeSet::new();
        capabilities.extend(adapter.is_some().then_some(Capability::Adapter));
        capabilities.extend(look.passed_endpoint_picker().then_some(Capability::EndpointPicker));
        let id = run_id(&host);
        Ok(Self {
            ground: Ground {
                base: order.base,
                model,
                prompt: PROMPT.to_owned(),
                adapter,
                headers: order.headers,
                has_answered: has_answered(&look),
                capabilities,
                ..Ground::default()
            },
            host,
            sink,
            id,
            probe,
            scenarios: order.scenarios,
            command: order.command,
            look,
        })
    }

    /// The run's id, which names its directory.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Runs it to its end, or to a signal, and returns the record; never fails, whatever happens is in it.
    pub async fn carry_out(self, outputs: Outputs, reporter: Box<dyn Reporter>) -> RunRecord {
        let beginning = Beginning {
            run: self.id.clone(),
            subject: self.subject(),
            command: self.command.clone(),
            expected: self.expected(),
        };
        let hearers = Hearers {
            outputs,
            reporter,
            sink: self.sink.clone(),
        };
        telling::told(&self.host, beginning, hearers, |events| self.middle(events)).await
    }

    /// Everything between the first event and the last.
    async fn middle(&self, events: Events) {
        events.send(Event::Entered {
            stage: Stage::Scenarios,
        });
        tokio::select! {
            () = self.perform(&events) => {}
            signal = signals::first() => events.send(Event::Interrupted { signal: signal.to_owned() }),
        }
    }

    fn subject(&self) -> Subject {
        let model = match self.ground.model.as_str() {
            "" => "no model known".to_owned(),
            model => format!("model {model}"),
        };
        let untested = if self.ground.capabilities.contains(&Capability::EndpointPicker) {
            "a release or the pool"
        } else {
            "a release, the endpoint picker or the pool"
        };
        Subject {
            repository: format!("the endpoint {} with {model}", self.ground.base),
            tag: None,
            commit: None,
            variant: "none".to_owned(),
            provider: "none".to_owned(),
            phase: "none".to_owned(),
            extent: Some(format!("the wire only; nothing about {untested} was tested")),
        }
    }

    fn expected(&self) -> Vec<String> {
        let mut checks = vec![ANSWERS.to_owned()];
        if self.ground.has_answered {
            let of_each = |scenario| scenario::expected(scenario, &self.ground);
            checks.extend(self.scenarios.performed.iter().flat_map(of_each));
        }
        checks
    }

    async fn perform(&self, events: &Events) {
        let sentence = format!("{} answers", self.ground.base);
        if let Some(unasked) = self.scenarios.unasked_sentence() {
            events.note(Stage::Scenarios, unasked);
        }
        if !self.ground.has_answered {
            let why = self.look.brief();
            let finding = Fault::shown(
                "an answer of any kind",
                Cause::new(CauseCode::EndpointNotAnswering).because(why),
            )
            .into();
            let decision = Decision::new(Stage::Scenarios, ANSWERS, sentence, finding);
            events.decide(decision.shown_by(self.look.exchange()));
            for scenario in &self.scenarios.performed {
                scenario::skip(
                    scenario,
                    "the endpoint does not answer; nothing was sent".to_owned(),
                    events,
                );
            }
            return;
        }
        events.decide(Decision::new(Stage::Scenarios, ANSWERS, sentence, Finding::Holds).took(self.look.took));
        for scenario in &self.scenarios.performed {
            scenario::perform(scenario, &self.probe, &self.ground, &NoChanger, events).await;
        }
    }
}

/// What is asked where a scenario says nothing in particular. As the guides ask.
pub(super) const PROMPT: &str = "Write as if you were a critic: San Francisco";

/// The only model of a list that is no adapter.
fn only_model(look: &Answer, listed: Option<&[Listed]>) -> Result<String, EndpointError> {
    let Some(listed) = listed else {
        let why = format!("is none (GET /v1/models: {})", look.brief());
        return Err(EndpointError::NoModel { why });
    };
    let names: Vec<&Listed> = listed.iter().filter(|one| one.parent.is_none()).collect();
    match names.as_slice() {
        [] => Err(EndpointError::NoModel {
            why: "is empty".to_owned(),
        }),
        [one] => Ok(one.name.clone()),
        several => Err(EndpointError::SeveralModels {
            models: several.iter().map(|one| one.name.clone()).collect(),
        }),
    }
}
