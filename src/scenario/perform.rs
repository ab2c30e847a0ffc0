//! Performing a scenario: sends what its steps say and decides what they expect.
//!
//! Knows no cluster and no command line. What is sent is bounded by the probe's own limits and by each step's `within`.

use std::time::Instant;

use futures::StreamExt as _;

use super::{Ground, RequestStep, Scenario, Step, Variables, judge};
use crate::{
    probe::{Answer, Probe},
    record::{Decision, Events, Stage},
    verdict::{Finding, Weight},
};

/// After so many requests of a step that nothing came back for, the step sends no more.
const MOST_UNANSWERED: usize = 5;

/// The names of the checks that performing a scenario decides, known before anything is sent. Of a scenario that is
/// skipped it is its own name; checks of an advisory scenario are not among them, because they decide nothing.
pub fn expected(scenario: &Scenario, ground: &Ground) -> Vec<String> {
    if scenario.weight == Weight::Advisory {
        return Vec::new();
    }
    if ground.lacks(scenario).is_some() {
        return vec![scenario.name.clone()];
    }
    let of_step = |step: &Step| {
        let Step::Request(step) = step;
        checks(step, ground)
            .into_iter()
            .map(|(name, _)| judge::full_name(scenario, step, &name))
            .collect::<Vec<_>>()
    };
    scenario.steps.iter().flat_map(of_step).collect()
}

/// Performs a scenario and sends a decision for each of its checks.
///
/// What it needs and is not there skips it with the reason; a step that needs what an earlier one could not capture is
/// skipped too. Never fails: what went wrong is in the decisions.
pub async fn perform(scenario: &Scenario, probe: &Probe, ground: &Ground, events: &Events) {
    if let Some(why) = ground.lacks(scenario) {
        skip(scenario, why, events);
        return;
    }
    let mut variables = ground.variables();
    let mut counts = Counts::default();
    for step in &scenario.steps {
        let Step::Request(step) = step;
        let began = Instant::now();
        let decisions = send(scenario, step, probe, ground, &mut variables, events).await;
        for decision in decisions {
            counts.count(&decision.finding);
            events.decide(decision.took(began.elapsed()));
        }
    }
    events.note(Stage::Scenarios, format!("{}: {}", scenario.name, counts.words()));
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
            Finding::Broken { .. } => &mut self.broken,
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

/// Decides that a scenario was not performed, for this reason.
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
        Err(unknown) => return unsent(scenario, step, ground, &unknown),
    };
    let mut judge = judge::Judge::new(scenario, step, ground, &first);
    let (mut answered, mut unanswered) = (0, 0);
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

/// The checks of a step that cannot be sent: a variable was not captured.
fn unsent(scenario: &Scenario, step: &RequestStep, ground: &Ground, unknown: &str) -> Vec<Decision> {
    let why = format!("it was not sent: an earlier step could not capture `{unknown}`");
    checks(step, ground)
        .into_iter()
        .map(|(name, sentence)| {
            let finding = Finding::Skipped { why: why.clone() };
            judge::decision(scenario, step, &name, &sentence, finding)
        })
        .collect()
}

#[cfg(test)]
mod tests;
