//! The guide's own request, literally.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::Context;
use crate::{
    check::{Observation, diagnosis, faults},
    deploy::Deployer,
    plan::{Request, Step},
    probe::{Outgoing, Probe},
    record::{Decision, Stage},
    verdict::{Cause, CauseCode, Fault, Finding},
};

/// How long one request may take: the guides' routes allow five minutes, a simulator needs milliseconds.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// How long answers may still change by themselves after all conditions are True. Measured: up to 6.6 s where the
/// cluster's outside DNS is dead, 11 s after an endpoint picker's restart.
const SETTLES_WITHIN: Duration = Duration::from_secs(15);
/// Good answers in a row before the path counts as settled.
const REQUIRED_CONSECUTIVE_SUCCESSES: u32 = 2;
/// Between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

impl Context {
    /// The guide's request with the values that steps have read.
    pub(super) fn resolve_request(&self, deployer: &Deployer, step: &Step, request: &Request) -> Option<Outgoing> {
        let resolved = deployer.deployed(|deployed| {
            let variables = &deployed.variables;
            Ok::<_, String>(Outgoing {
                method: request.method.clone(),
                url: request.url.resolve(variables)?,
                headers: request
                    .headers
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), value.resolve(variables)?)))
                    .collect::<Result<_, String>>()?,
                body: request.body.as_ref().map(|body| body.resolve(variables)).transpose()?,
            })
        });
        match resolved {
            Ok(outgoing) => Some(outgoing),
            Err(variable) => {
                let finding = Finding::broken(
                    format!("the variable {variable} has a value"),
                    format!("no step before the request sets {variable}"),
                    CauseCode::ShellVariableUnset,
                );
                let decision = Decision::new(
                    Stage::Request,
                    "request-status",
                    "the guide's request can be sent",
                    finding,
                );
                self.events.decide(decision.from_line(step.from.clone()));
                None
            }
        }
    }

    /// Sends the guide's request until the answer is one that no longer changes by itself, and keeps the last.
    pub(super) async fn send_guide_request(&self, deployer: &Deployer, outgoing: &Outgoing, seen: &mut Observation) {
        let Ok(probe) = Probe::new(REQUEST_LIMIT) else { return };
        let began = Instant::now();
        let (mut tries, mut good) = (0, 0);
        let answer = loop {
            tries += 1;
            let answer = probe.send(outgoing.clone()).await.on_attempt(tries);
            let settling = diagnosis::may_settle(&answer);
            good = if settling { 0 } else { good + 1 };
            // An answer that came and is not what was asked for is judged: asked again, it would hide what happened.
            let decided = !settling && (answer.status() != Some(200) || !faults(&answer, seen).is_empty());
            if decided || good >= REQUIRED_CONSECUTIVE_SUCCESSES || began.elapsed() >= SETTLES_WITHIN {
                break answer;
            }
            if settling {
                self.events
                    .waiting(Stage::Request, "the guide's request", answer.brief());
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
        };
        if tries > REQUIRED_CONSECUTIVE_SUCCESSES {
            let took = began.elapsed().as_secs_f64();
            self.events.note(
                Stage::Request,
                format!("the answer settled after {tries} tries in {took:.1} s"),
            );
        }
        Self::refresh_pods(deployer, seen);
        if answer.status() != Some(200) {
            self.blame_outage_on_the_cluster(deployer).await;
        }
        seen.guide_answer = Some(answer);
    }

    /// An answer that failed while the API server is away says nothing about the release.
    pub(super) async fn blame_outage_on_the_cluster(&self, deployer: &Deployer) {
        if let Err(trouble) = deployer.site.watches.healthy().await {
            self.events.decide(Decision::new(
                Stage::Request,
                "api-server",
                "the API server does not answer while requests fail",
                Fault::shown(
                    "the API server answers",
                    Cause::new(CauseCode::ApiServerAway).because(trouble),
                )
                .into(),
            ));
        }
    }

    /// Whether requests are answered although the endpoint picker is not there: the pool fails open. Advisory: the
    /// cluster is to blame for the endpoint picker's absence, and says so elsewhere.
    pub(super) async fn say_bypass(&self, deployer: &Deployer, seen: &mut Observation, absent: &str) {
        self.await_conditions(deployer, seen).await;
        let address = seen
            .gateways
            .first()
            .and_then(|gateway| gateway.pointer("/status/addresses/0/value").and_then(Value::as_str));
        let Some(address) = address else { return };
        let Some(outgoing) = self.guide_request_at(address) else {
            return;
        };
        let Ok(probe) = Probe::new(Duration::from_secs(5)) else {
            return;
        };
        let began = Instant::now();
        while began.elapsed() < SETTLES_WITHIN {
            let answer = probe.send(outgoing.clone()).await;
            if diagnosis::answerer(&answer) == diagnosis::Answerer::ModelServerAround {
                let finding = Finding::broken(
                    "no answer goes around the endpoint picker",
                    answer.brief(),
                    Cause::new(CauseCode::EndpointPickerBypassed).because(format!(
                        "{absent} is not running, and the gateway answers {} all the same",
                        answer.brief()
                    )),
                );
                let decision = Decision::new(
                    Stage::Request,
                    "endpoint-picker-bypassed",
                    "the pool fails open: answers come without the endpoint picker",
                    finding,
                );
                self.events.decide(decision.advisory().shown_by(answer.exchange()));
                return;
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }

    /// The guide's request with a Gateway's address for every variable of its URL that is not known yet.
    fn guide_request_at(&self, address: &str) -> Option<Outgoing> {
        let (request, variables) = self.plan.steps.iter().find_map(|step| match &step.action {
            crate::plan::Action::Request(request) => Some((request, crate::plan::Variables::new())),
            _ => None,
        })?;
        let mut variables = variables;
        for piece in &request.url.0 {
            if let crate::plan::Piece::Variable(name) = piece {
                variables.insert(name.clone(), address.to_owned());
            }
        }
        let body = request
            .body
            .as_ref()
            .map(|body| body.resolve(&variables))
            .transpose()
            .ok()?;
        Some(Outgoing {
            method: request.method.clone(),
            url: request.url.resolve(&variables).ok()?,
            headers: request
                .headers
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.resolve(&variables).ok()?)))
                .collect(),
            body,
        })
    }
}
