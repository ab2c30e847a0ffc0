//! Performing a scenario: sends what its steps say and decides what they expect.
//!
//! Knows no cluster and no command line: changes go through a [`ChangeExecutor`]. What is sent is bounded by the probe's own limits
//! and by each step's `within`.

use std::time::Instant;

use futures::StreamExt as _;

use super::{ChangeExecutor, LoadStep, RequestStep, Scenario, Step, Target, Variables, judge, load};
use crate::{
    probe::{Answer, Outgoing, Probe, resent_note},
    record::{Decision, Events, Stage},
    verdict::{Finding, Weight},
};

mod with;

/// After so many requests of a step that nothing came back for, the step sends no more.
const MOST_UNANSWERED: usize = 5;

/// The names of the checks that performing a scenario decides, known before anything is sent. Of a scenario that is
/// skipped it is its own name. Of an advisory scenario it is only that what it changes is taken back: the others decide
/// nothing.
pub fn expected(scenario: &Scenario, target: &Target) -> Vec<String> {
    if target.lacks(scenario).is_some() {
        return match scenario.weight {
            Weight::Gate => vec![scenario.name.clone()],
            Weight::Advisory => Vec::new(),
        };
    }
    let gates = |decision: &Decision| decision.weight == Weight::Gate;
    let decisions = unperformed(scenario, &scenario.steps, target, "");
    decisions.into_iter().filter(gates).map(|one| one.check).collect()
}

/// Performs a scenario and sends a decision for each of its checks. Returns why nothing more may be performed on this
/// target: a change could not be taken back, what is under test does not serve any more, or the endpoint as a whole is not
/// what was meant. `None` where it is as before.
///
/// What it needs and is not there skips it with the reason; a step that needs what an earlier one could not capture is
/// skipped too. Never fails: what went wrong is in the decisions.
pub async fn perform(
    scenario: &Scenario,
    probe: &Probe,
    target: &Target,
    executor: &impl ChangeExecutor,
    events: &Events,
) -> Option<String> {
    if let Some(why) = target.lacks(scenario) {
        skip(scenario, why, events);
        return None;
    }
    let mut performing = Performing {
        scenario,
        probe,
        target,
        events,
        variables: target.variables(),
        counts: Counts::default(),
        spoilt: None,
    };
    let mut spoilt = None;
    for step in &scenario.steps {
        match step {
            _ if spoilt.is_some() => {
                let why = spoilt.as_deref().unwrap_or_default();
                performing.decide(unperformed(scenario, std::slice::from_ref(step), target, why));
            }
            Step::Request(step) => {
                performing.send(step).await;
                spoilt = performing.spoilt.take();
            }
            Step::Load(step) => performing.load(step).await,
            Step::With(step) => spoilt = performing.with(step, executor).await,
        }
    }
    events.note(
        Stage::Scenarios,
        format!("{}: {}", scenario.name, performing.counts.words()),
    );
    spoilt
}

/// A scenario while it is performed.
struct Performing<'a> {
    scenario: &'a Scenario,
    probe: &'a Probe,
    target: &'a Target,
    events: &'a Events,
    variables: Variables,
    counts: Counts,
    /// Why nothing more may be performed, once a step has shown that.
    spoilt: Option<String>,
}

/// Requests that were put off by the endpoint, and asked again.
#[derive(Debug, Default)]
struct PutOff {
    requests: usize,
    tries: u32,
}

impl PutOff {
    fn take(&mut self, answer: &Answer) {
        self.requests += usize::from(answer.attempt > 1);
        self.tries += answer.attempt.saturating_sub(1);
    }

    /// That it was so, as a note; `None` where none was. Of requests that were sent several at a time it is our doing that they
    /// were too many.
    fn words(&self, concurrency: usize) -> Option<String> {
        let Self { requests, tries } = self;
        let burst = match concurrency {
            1 => String::new(),
            many => format!(", of which we had sent {many} at a time"),
        };
        let said = "were put off by the endpoint (429, or 503 with `Retry-After`)";
        (*requests > 0).then(|| {
            format!("{requests} requests {said}{burst}; they were sent again after a pause, one at a time, in {tries} more tries")
        })
    }
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
        let decisions = match step.outgoing(self.target, &self.variables, 1) {
            Ok(first) => self.exchange(step, &first).await,
            Err(unknown) => {
                let checks = checks(step, self.target);
                unperformed_checks(self.scenario, step, checks, &uncaptured(&unknown))
            }
        };
        self.decide_after(began, decisions);
    }

    async fn load(&mut self, step: &LoadStep) {
        let began = Instant::now();
        let (scenario, target) = (self.scenario, self.target);
        let decisions = load::perform(scenario, step, self.probe, target, &self.variables, self.events).await;
        let decisions = decisions.unwrap_or_else(|unknown| {
            let checks = checks_of_load(step, target);
            unperformed_checks(scenario, &step.request, checks, &uncaptured(&unknown))
        });
        self.decide_after(began, decisions);
    }

    fn decide_after(&mut self, began: Instant, decisions: Vec<Decision>) {
        let took = began.elapsed();
        self.decide(decisions.into_iter().map(|decision| decision.took(took)).collect());
    }

    /// Sends the requests of a step, the first of which is known, and judges each answer as it comes.
    async fn exchange(&mut self, step: &RequestStep, first: &Outgoing) -> Vec<Decision> {
        let (target, probe, events) = (self.target, self.probe, self.events);
        let total = step.requests();
        let mut judge = judge::StepJudge::new(self.scenario, step, target, first);
        let (mut answered, mut unanswered, mut resent) = (0, 0, 0);
        let mut put_off = PutOff::default();
        let known = self.variables.clone();
        let requests = (1..=total).filter_map(|number| Some((number, step.outgoing(target, &known, number).ok()?)));
        let wanted = |status| step.wants(status);
        let sent =
            requests.map(|(number, request)| async move { (number, probe.send_patiently(request, wanted).await) });
        let concurrency = usize::try_from(step.concurrency).unwrap_or(1).max(1);
        let mut answers = std::pin::pin!(futures::stream::iter(sent).buffer_unordered(concurrency));
        let on = format!("scenario {}", self.scenario.words(step.name.as_deref()));
        events.waiting(Stage::Scenarios, on.as_str(), "");
        let deadline = step.within.map(|within| tokio::time::Instant::now() + within);
        while let Some((number, answer)) = next(&mut answers, deadline).await {
            answered += 1;
            judge.judge(&answer, number, &known);
            resent += usize::from(answer.resent.is_some());
            put_off.take(&answer);
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
        for noted in resent_note(resent).into_iter().chain(put_off.words(concurrency)) {
            events.note(Stage::Scenarios, format!("{on}: {noted}"));
        }
        self.spoilt = judge.spoilt();
        for oddity in judge.oddities() {
            events.note_first(Stage::Scenarios, &on, oddity);
        }
        judge.close(total - answered, &mut self.variables)
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
    events.decide(scenario.weighed(decision));
}

/// The checks that a step must decide. They are told from the first request that it sends, whatever stands for values
/// that are not captured yet.
fn checks(step: &RequestStep, target: &Target) -> Vec<(String, String)> {
    let mut variables = target.variables();
    let request = loop {
        match step.outgoing(target, &variables, 1) {
            Ok(request) => break request,
            // Each time round one more of the step's variables has a value, so that it ends.
            Err(unknown) => variables.insert(unknown, serde_json::Value::String(String::new())),
        };
    };
    judge::checks(step, &request)
}

/// The checks that a load must decide.
fn checks_of_load(step: &LoadStep, target: &Target) -> Vec<(String, String)> {
    let mut checks = checks(&step.request, target);
    checks.extend(step.checks());
    checks
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
pub fn leave_out(scenario: &Scenario, target: &Target, why: &str, events: &Events) {
    if let Some(why) = target.lacks(scenario) {
        skip(scenario, why, events);
        return;
    }
    for decision in unperformed(scenario, &scenario.steps, target, why) {
        events.decide(decision);
    }
}

/// A decision for each check of steps that are not performed, for this reason.
fn unperformed(scenario: &Scenario, steps: &[Step], target: &Target, why: &str) -> Vec<Decision> {
    let of_step = |step: &Step| match step {
        Step::Request(step) => unperformed_checks(scenario, step, checks(step, target), why),
        Step::Load(step) => unperformed_checks(scenario, &step.request, checks_of_load(step, target), why),
        Step::With(step) => with::unperformed(scenario, step, target, why),
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
        scenario.decision(step.name.as_deref(), &name, &sentence, finding)
    };
    checks.into_iter().map(skipped).collect()
}

#[cfg(test)]
mod tests;
