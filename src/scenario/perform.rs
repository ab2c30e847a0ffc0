//! Performing a scenario: sends what its steps say and decides what they expect.
//!
//! Knows no cluster and no command line: changes go through a [`Changer`]. What is sent is bounded by the probe's own limits
//! and by each step's `within`.

use std::{collections::BTreeSet, time::Instant};

use futures::StreamExt as _;

use super::{Changer, Ground, LoadStep, RequestStep, Scenario, Step, Variables, judge, load, wire};
use crate::{
    probe::{Answer, Probe},
    record::{Decision, Events, Stage},
    verdict::{Finding, Weight},
};

mod with;

/// After so many requests of a step that nothing came back for, the step sends no more.
const MOST_UNANSWERED: usize = 5;

/// The most oddities of one step that are noted.
const MOST_ODDITIES: usize = 5;

/// The names of the checks that performing a scenario decides, known before anything is sent. Of a scenario that is
/// skipped it is its own name. Of an advisory scenario it is only that what it changes is taken back: the others decide
/// nothing.
pub fn expected(scenario: &Scenario, ground: &Ground) -> Vec<String> {
    if ground.lacks(scenario).is_some() {
        return match scenario.weight {
            Weight::Gate => vec![scenario.name.clone()],
            Weight::Advisory => Vec::new(),
        };
    }
    let gates = |decision: &Decision| decision.weight == Weight::Gate;
    let decisions = unperformed(scenario, &scenario.steps, ground, "");
    decisions.into_iter().filter(gates).map(|one| one.check).collect()
}

/// Performs a scenario and sends a decision for each of its checks. Returns why nothing more may be performed on this
/// ground: a change could not be taken back, or what is under test does not serve any more. `None` where it is as before.
///
/// What it needs and is not there skips it with the reason; a step that needs what an earlier one could not capture is
/// skipped too. Never fails: what went wrong is in the decisions.
pub async fn perform(
    scenario: &Scenario,
    probe: &Probe,
    ground: &Ground,
    changer: &impl Changer,
    events: &Events,
) -> Option<String> {
    if let Some(why) = ground.lacks(scenario) {
        skip(scenario, why, events);
        return None;
    }
    let mut performing = Performing {
        scenario,
        probe,
        ground,
        events,
        variables: ground.variables(),
        counts: Counts::default(),
    };
    let mut spoilt = None;
    for step in &scenario.steps {
        match step {
            _ if spoilt.is_some() => {
                let why = spoilt.as_deref().unwrap_or_default();
                performing.decide(unperformed(scenario, std::slice::from_ref(step), ground, why));
            }
            Step::Request(step) => performing.send(step).await,
            Step::Load(step) => performing.load(step).await,
            Step::With(step) => spoilt = performing.with(step, changer).await,
        }
    }
    events.note(
        Stage::Scenarios,
        format!("{}: {}", scenario.name, performing.counts.words()),
    );
    spoilt
}

/// A scenario on its way.
struct Performing<'a> {
    scenario: &'a Scenario,
    probe: &'a Probe,
    ground: &'a Ground,
    events: &'a Events,
    variables: Variables,
    counts: Counts,
}

impl Performing<'_> {
    fn decide(&mut self, decisions: Vec<Decision>) {
        for decision in decisions {
            self.counts.count(&decision.finding);
            self.events.decide(decision);
        }
    }

    async fn send(&mut self, step: &RequestStep) {
        let began = Instant::now();
        let decisions = send(
            self.scenario,
            step,
            self.probe,
            self.ground,
            &mut self.variables,
            self.events,
        )
        .await;
        let took = began.elapsed();
        self.decide(decisions.into_iter().map(|decision| decision.took(took)).collect());
    }

    async fn load(&mut self, step: &LoadStep) {
        let began = Instant::now();
        let (scenario, ground) = (self.scenario, self.ground);
        let decisions = load::perform(scenario, step, self.probe, ground, &self.variables, self.events).await;
        let decisions = decisions.unwrap_or_else(|unknown| {
            let why = uncaptured(&unknown);
            unperformed_checks(scenario, &step.request, checks_of_load(step, ground), &why)
        });
        let took = began.elapsed();
        self.decide(decisions.into_iter().map(|decision| decision.took(took)).collect());
    }
}

/// What the checks of a scenario came to.
#[derive(Debug, Default)]
struct Counts {
    hold: usize,
    broken: usize,
    undecided: usize,
    skipped: usize,
}

impl Counts {
    fn count(&mut self, finding: &Finding) {
        *match finding {
            Finding::Holds => &mut self.hold,
            Finding::Broken(_) => &mut self.broken,
            Finding::Undecided { .. } => &mut self.undecided,
            Finding::Skipped { .. } => &mut self.skipped,
        } += 1;
    }

    /// `16 checks hold, 1 skipped`.
    fn words(&self) -> String {
        let mut words = vec![format!("{} checks hold", self.hold)];
        for (count, word) in [
            (self.broken, "broken"),
            (self.undecided, "undecided"),
            (self.skipped, "skipped"),
        ] {
            if count > 0 {
                words.push(format!("{count} {word}"));
            }
        }
        words.join(", ")
    }
}

/// Decides that a scenario was not performed, for this reason, where nobody was told to expect its checks.
pub fn skip(scenario: &Scenario, why: String, events: &Events) {
    let sentence = format!("{}: {}", scenario.name, scenario.proves.trim_end_matches('.'));
    let decision = Decision::new(
        Stage::Scenarios,
        scenario.name.clone(),
        sentence,
        Finding::Skipped { why },
    );
    events.decide(match scenario.weight {
        Weight::Gate => decision,
        Weight::Advisory => decision.advisory(),
    });
}

/// The checks that a step must decide. They are told from the first request that it sends, whatever stands for values
/// that are not captured yet.
fn checks(step: &RequestStep, ground: &Ground) -> Vec<(String, String)> {
    let mut variables = ground.variables();
    let request = loop {
        match step.outgoing(ground, &variables, 1) {
            Ok(request) => break request,
            // Each time round one more of the step's variables has a value, so that it ends.
            Err(unknown) => variables.insert(unknown, serde_json::Value::String(String::new())),
        };
    };
    judge::checks(step, &request)
}

/// The checks that a load must decide.
fn checks_of_load(step: &LoadStep, ground: &Ground) -> Vec<(String, String)> {
    let mut checks = checks(&step.request, ground);
    checks.extend(step.checks());
    checks
}

/// Sends the requests of a step and judges each answer as it comes.
async fn send(
    scenario: &Scenario,
    step: &RequestStep,
    probe: &Probe,
    ground: &Ground,
    variables: &mut Variables,
    events: &Events,
) -> Vec<Decision> {
    let total = step.requests();
    let first = match step.outgoing(ground, variables, 1) {
        Ok(first) => first,
        Err(unknown) => return unperformed_checks(scenario, step, checks(step, ground), &uncaptured(&unknown)),
    };
    let mut judge = judge::Judge::new(scenario, step, ground, &first);
    let (mut answered, mut unanswered) = (0, 0);
    let mut odd = BTreeSet::new();
    let known = variables.clone();
    let requests = (1..=total).filter_map(|number| Some((number, step.outgoing(ground, &known, number).ok()?)));
    let sent = requests.map(|(number, request)| async move { (number, probe.send(request).await) });
    let concurrency = usize::try_from(step.concurrency).unwrap_or(1).max(1);
    let mut answers = std::pin::pin!(futures::stream::iter(sent).buffer_unordered(concurrency));
    let on = match &step.name {
        Some(name) => format!("scenario {}, {name}", scenario.name),
        None => format!("scenario {}", scenario.name),
    };
    events.waiting(Stage::Scenarios, on.as_str(), "");
    let deadline = step.within.map(|within| tokio::time::Instant::now() + within);
    while let Some((number, answer)) = next(&mut answers, deadline).await {
        answered += 1;
        judge.judge(&answer, number, &known);
        if odd.len() < MOST_ODDITIES {
            odd.extend(wire::oddities(&answer));
        }
        unanswered += usize::from(answer.outcome.is_err() && answer.partial.is_none());
        if unanswered == MOST_UNANSWERED && answered < total {
            let rest = total - answered;
            events.note(
                Stage::Scenarios,
                format!("{on}: {unanswered} requests got no answer; the other {rest} were given up"),
            );
            break;
        }
        if total > 1 {
            events.waiting(Stage::Scenarios, on.as_str(), format!("{answered} of {total}"));
        }
    }
    for oddity in odd {
        events.note(Stage::Scenarios, format!("{on}: {oddity}"));
    }
    judge.close(total - answered, variables)
}

/// The next answer; `None` after the last, and where none came before the deadline.
async fn next(
    answers: &mut (impl futures::Stream<Item = (usize, Answer)> + Unpin),
    deadline: Option<tokio::time::Instant>,
) -> Option<(usize, Answer)> {
    match deadline {
        None => answers.next().await,
        Some(deadline) => tokio::time::timeout_at(deadline, answers.next()).await.ok().flatten(),
    }
}

/// Why a step is not sent that needs this variable.
fn uncaptured(unknown: &str) -> String {
    format!("it was not sent: an earlier step could not capture `{unknown}`")
}

/// Decides that a scenario was not performed, for this reason, check by check, as they were expected.
pub fn leave_out(scenario: &Scenario, ground: &Ground, why: &str, events: &Events) {
    if let Some(why) = ground.lacks(scenario) {
        skip(scenario, why, events);
        return;
    }
    for decision in unperformed(scenario, &scenario.steps, ground, why) {
        events.decide(decision);
    }
}

/// A decision for each check of steps that are not performed, for this reason.
fn unperformed(scenario: &Scenario, steps: &[Step], ground: &Ground, why: &str) -> Vec<Decision> {
    let of_step = |step: &Step| match step {
        Step::Request(step) => unperformed_checks(scenario, step, checks(step, ground), why),
        Step::Load(step) => unperformed_checks(scenario, &step.request, checks_of_load(step, ground), why),
        Step::With(step) => with::unperformed(scenario, step, ground, why),
    };
    steps.iter().flat_map(of_step).collect()
}

fn unperformed_checks(
    scenario: &Scenario,
    step: &RequestStep,
    checks: Vec<(String, String)>,
    why: &str,
) -> Vec<Decision> {
    let skipped = |(name, sentence): (String, String)| {
        let finding = Finding::Skipped { why: why.to_owned() };
        judge::decision(scenario, step, &name, &sentence, finding)
    };
    checks.into_iter().map(skipped).collect()
}

#[cfg(test)]
mod tests;
