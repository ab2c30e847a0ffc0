//! The guide's own request, literally.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    checks, conditions,
    deployment::Quickstart,
    explaining::said_of_the_picker,
    judging::judge,
    models::{self, Models},
    observation, pool,
    reach::{Reached, node_ports, reach},
    stopped::{Stopped, probe},
};
use crate::{
    check::{self, Observation, diagnosis, faults, listeners::nobody_at, oddities, rewrite, wire},
    cluster::resources::Trouble,
    guide::{Piece, Variables},
    host::poll,
    plan::{Request, Step},
    probe::{Answer, Outgoing, Probe, resent, resent_note},
    record::{Decision, Stage},
    verdict::{Cause, CauseCode, Fault, Finding},
};

/// How long one request may take: the guides' routes allow five minutes, a simulator needs milliseconds.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// The same for a request that only shows whether anybody answers.
const BYPASS_LIMIT: Duration = Duration::from_secs(5);
/// How long answers may still change by themselves after all conditions are True. Measured: up to 6.6 s where the
/// cluster's outside DNS is dead, 11 s after an endpoint picker's restart.
const SETTLES_WITHIN: Duration = Duration::from_secs(15);
/// Good answers in a row before the path counts as settled.
const REQUIRED_CONSECUTIVE_SUCCESSES: u32 = 2;
/// Between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// The guide's request as it is sent from here, and what was seen so far.
pub(super) struct Asked {
    pub(super) reached: Reached,
    pub(super) seen: Observation,
    /// Whether the checks of the guide's request hold.
    pub(super) works: Result<(), Stopped>,
}

/// Sends the guide's request, and judges the answer.
///
/// # Errors
/// It cannot be sent.
pub(super) async fn ask(quickstart: &Quickstart<'_>, seen: Observation) -> Result<Asked, Stopped> {
    let (context, deployer) = (quickstart.context, &quickstart.deployer);
    let Some((step, request)) = quickstart.request() else {
        return Err(no_request(quickstart));
    };
    let began = context.enter(Stage::Request);
    let rewrites = deployer.deployed(|deployed| {
        let objects = rewrite::KINDS.into_iter().flat_map(|kind| deployed.of_kind(kind));
        objects.map(|object| Value::clone(&object.value)).collect()
    });
    let seen = observation::with_request(seen, request, rewrites, node_ports(quickstart));
    let outgoing = resolve(quickstart, step, request)?;
    let reached = reach(quickstart, step, &seen, outgoing).await?;
    let probe = probe(&context.events, REQUEST_LIMIT)?;
    let answer = send(quickstart, &probe, &reached.outgoing, &seen).await;
    if answer.status() != Some(200) {
        blame_outage_on_the_cluster(quickstart).await;
    }
    let is_the_gateways = diagnosis::answerer(&answer) == diagnosis::Answerer::Gateway;
    let gateway_says = match answer.status() {
        Some(500..) if is_the_gateways => said_of_the_picker(quickstart).await,
        _ => None,
    };
    let seen = observation::with_gateways_word(seen, gateway_says);
    let seen = with_served_names(&probe, &reached.outgoing, &answer, seen).await;
    if let Some(noted) = resent_note(resent([&answer])) {
        context.events.note(Stage::Request, noted);
    }
    for oddity in oddities(&answer, &seen) {
        context
            .events
            .note_first(Stage::Request, "the guide's request", &oddity);
    }
    let pool_pods = pool::pods_now(deployer, &seen);
    let seen = observation::with_answer(seen, answer, pool_pods);
    let works = judge(&context.events, Stage::Request, &seen, Some(&step.from));
    context.spent(Stage::Request, began);
    Ok(Asked { reached, seen, works })
}

/// Asks for the list of models where the answer goes under another name than was asked for: by that list both may be one.
async fn with_served_names(probe: &Probe, outgoing: &Outgoing, answer: &Answer, seen: Observation) -> Observation {
    let is_other = faults(answer, &seen)
        .iter()
        .any(|fault| fault.check == wire::MODEL.name);
    let (true, Ok(base)) = (is_other, models::base(&outgoing.url)) else {
        return seen;
    };
    let models = Models::ask(probe, &base, &models::headers(outgoing)).await;
    observation::with_served(seen, models.served())
}

fn no_request(quickstart: &Quickstart<'_>) -> Stopped {
    let subject = &quickstart.plan.subject;
    let why = format!(
        "no command of the guide sends one for {} on {}",
        subject.variant, subject.provider
    );
    let sentence = check::REQUEST_STATUS.sentence(&Observation::default());
    let decision = check::REQUEST_STATUS.decision(sentence, Finding::Undecided { why });
    Stopped::at(&quickstart.context.events, decision)
}

/// The guide's request with the values that steps have read.
fn resolve(quickstart: &Quickstart<'_>, step: &Step, request: &Request) -> Result<Outgoing, Stopped> {
    let resolved = quickstart
        .deployer
        .deployed(|deployed| with_values(request, &deployed.variables));
    resolved.map_err(|variable| {
        let finding = Finding::broken(
            format!("the variable {variable} has a value"),
            format!("no step before the request sets {variable}"),
            CauseCode::ShellVariableUnset,
        );
        let sentence = "the guide's request can be sent";
        let decision = check::REQUEST_STATUS.decision(sentence, finding);
        Stopped::at(&quickstart.context.events, decision.at_line(step.from.clone()))
    })
}

/// A request with values for its variables; the name of the first that has none otherwise.
fn with_values(request: &Request, variables: &Variables) -> Result<Outgoing, String> {
    let headers = request.headers.iter();
    let headers = headers.map(|(name, value)| Ok((name.clone(), value.resolve(variables)?)));
    Ok(Outgoing {
        method: request.method.clone(),
        url: request.url.resolve(variables)?,
        headers: headers.collect::<Result<_, String>>()?,
        body: request.body.as_ref().map(|body| body.resolve(variables)).transpose()?,
    })
}

/// Sends the guide's request until the answer is one that no longer changes by itself, and returns the last.
async fn send(quickstart: &Quickstart<'_>, probe: &Probe, outgoing: &Outgoing, seen: &Observation) -> Answer {
    let events = &quickstart.context.events;
    let (began, mut tries) = (Instant::now(), 0);
    // Where no listener has the port, nothing is on its way.
    let settles = match nobody_at(&seen.gateways, &seen.node_ports, &outgoing.url) {
        Some(_) => Duration::ZERO,
        None => SETTLES_WITHIN,
    };
    let sent = poll(settles, BETWEEN_TRIES, async |_| {
        let mut good = 0;
        loop {
            tries += 1;
            let answer = probe.send(outgoing.clone()).await.on_attempt(tries);
            if diagnosis::may_settle(&answer) {
                events.waiting(Stage::Request, "the guide's request", answer.brief());
                return Err(answer);
            }
            good += 1;
            // An answer that came and is not what was asked for is judged: asked again, it would hide what happened.
            let is_judged = answer.status() != Some(200) || !faults(&answer, seen).is_empty();
            if is_judged || good >= REQUIRED_CONSECUTIVE_SUCCESSES {
                return Ok(answer);
            }
        }
    });
    let answer = sent.await.unwrap_or_else(|last| last);
    if tries > REQUIRED_CONSECUTIVE_SUCCESSES {
        let took = began.elapsed().as_secs_f64();
        let settled = format!("the answer settled after {tries} tries in {took:.1} s");
        events.note(Stage::Request, settled);
    }
    answer
}

/// An answer that failed while the API server is away says nothing about the release.
pub(super) async fn blame_outage_on_the_cluster(quickstart: &Quickstart<'_>) {
    if let Err(trouble) = quickstart.deployer.site.watches.healthy().await {
        let sentence = "the API server does not answer while requests fail";
        quickstart.context.events.decide(api_server_away(sentence, &trouble));
    }
}

/// The decision that nothing can be told since the API server does not answer.
pub(super) fn api_server_away(sentence: &str, trouble: &Trouble) -> Decision {
    let fault = Fault::shown("the API server answers", trouble.cause());
    checks::API_SERVER.decision(sentence, fault.into())
}

/// Whether requests are answered although the endpoint picker is not there: the pool fails open. Advisory: the cluster is
/// to blame for the endpoint picker's absence, and says so elsewhere.
///
/// # Errors
/// Requests cannot be sent at all.
pub(super) async fn say_bypass(quickstart: &Quickstart<'_>, absent: &str) -> Result<(), Stopped> {
    let events = &quickstart.context.events;
    let Ok(objects) = conditions::await_settled(quickstart).await else {
        return Ok(());
    };
    let address = objects
        .gateways
        .first()
        .and_then(|gateway| gateway.pointer("/status/addresses/0/value")?.as_str());
    let Some(outgoing) = address.and_then(|address| request_at(quickstart, address)) else {
        return Ok(());
    };
    let probe = probe(events, BYPASS_LIMIT)?;
    let bypassed = poll(SETTLES_WITHIN, BETWEEN_TRIES, async |_| {
        let answer = probe.send(outgoing.clone()).await;
        match diagnosis::answerer(&answer) {
            diagnosis::Answerer::ModelServerAround => Ok(answer),
            _ => Err(()),
        }
    });
    if let Ok(answer) = bypassed.await {
        let brief = answer.brief();
        let cause = Cause::new(CauseCode::EndpointPickerBypassed).because(format!(
            "{absent} is not running, and the gateway answers {brief} all the same"
        ));
        let finding = Finding::broken("no answer goes around the endpoint picker", brief, cause);
        let sentence = "the pool fails open: answers come without the endpoint picker";
        let decision = checks::ENDPOINT_PICKER_BYPASSED.decision(sentence, finding);
        events.decide(decision.advisory().shown_by(answer.exchange()));
    }
    Ok(())
}

/// The guide's request with a Gateway's address for every variable of its URL, and without headers that have others;
/// `None` where its body has others.
fn request_at(quickstart: &Quickstart<'_>, address: &str) -> Option<Outgoing> {
    let (_, request) = quickstart.request()?;
    let mut variables = Variables::new();
    for piece in &request.url.0 {
        if let Piece::Variable(name) = piece {
            variables.insert(name.clone(), address.to_owned());
        }
    }
    let mut request = request.clone();
    request.headers.retain(|(_, value)| value.resolve(&variables).is_ok());
    with_values(&request, &variables).ok()
}
