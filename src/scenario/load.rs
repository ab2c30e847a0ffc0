//! Smoke load: one request over and over, at a rate or from so many workers, every answer judged as a request step judges
//! its own.

use std::{fmt, ops::ControlFlow, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use tokio::time::Instant;

use super::{RequestStep, Scenario, Target, Variables, file::time, judge};
use crate::{
    probe::{
        Probe,
        load::{Extent, Generated, Load, Pace},
    },
    record::{Decision, Event, Events, Stage, in_percent},
    verdict::Finding,
};

mod figures;

use figures::Figures;

/// After so many requests that nothing came back for, and none that anything did, no more are sent.
const MOST_UNANSWERED: u64 = 5;

/// How often it is said how far a load is.
const TELLS_EVERY: Duration = Duration::from_millis(200);

/// A check of a load beside those of its answers.
pub(super) struct LoadCheck {
    pub(super) name: &'static str,
    /// What is true when it holds; `None` where the load asks for nothing of the kind.
    sentence: fn(&LoadStep) -> Option<String>,
    judge: fn(&Figures, &Generated) -> Finding,
}

/// The checks of a load beside those of its answers.
pub(super) const CHECKS: &[LoadCheck] = &[
    LoadCheck {
        name: "goodput",
        sentence: |step| {
            Some(format!(
                "{} of the requests have a good answer",
                step.objective?.goodput
            ))
        },
        judge: Figures::goodput,
    },
    LoadCheck {
        name: "rate-kept",
        sentence: |step| match step.load.pace {
            Pace::Rate { rate, .. } => Some(format!("{rate} are sent, each when it is due")),
            Pace::Workers(_) => None,
        },
        judge: Figures::rate_kept,
    },
];

/// A request that is sent over and over.
#[derive(Debug, Clone)]
pub struct LoadStep {
    /// The request, and what each answer must be.
    pub(crate) request: RequestStep,
    /// At which rate or from how many workers, and for how long or how often.
    pub(crate) load: Load,
    /// What is asked of the answers together; `None` where only each must be right.
    pub(crate) objective: Option<ServiceLevel>,
}

/// What is asked of the answers to a load together: how many must be good, and what is good beside being right. Times count
/// from when a request was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct ServiceLevel {
    /// The longest time to the first token of a stream, such as `500ms`.
    #[serde(default, deserialize_with = "time")]
    #[schemars(with = "Option<String>")]
    pub(crate) time_to_first_token: Option<Duration>,
    /// The longest mean time between the tokens of a stream.
    #[serde(default, deserialize_with = "time")]
    #[schemars(with = "Option<String>")]
    pub(crate) inter_token_latency: Option<Duration>,
    /// The longest time to the last byte.
    #[serde(default, deserialize_with = "time")]
    #[schemars(with = "Option<String>")]
    pub(crate) end_to_end: Option<Duration>,
    /// The part of all requests that must have a good answer, such as `99%`.
    #[schemars(with = "String", regex(pattern = r"^[0-9]{1,3}(\.[0-9]{1,2})?%$"))]
    pub(crate) goodput: Share,
}

/// A part of a whole, written as `99%` or `99.95%`; in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Share(u16);

impl Share {
    /// The part in hundredths of a percent, at most 10000.
    pub(crate) fn of_10000(self) -> u64 {
        u64::from(self.0)
    }

    /// How many of so many are this part of them, rounded up.
    fn of(self, whole: u64) -> u64 {
        u64::try_from((u128::from(whole) * u128::from(self.0)).div_ceil(10_000)).unwrap_or(u64::MAX)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a share above 0 and up to 100% such as `99%` or `99.95%`";
        let number = text.strip_suffix('%').ok_or(EXPECTED)?;
        let (percent, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(percent) || !is_number(fraction) || percent.len() > 3 || fraction.len() > 2 {
            return Err(EXPECTED);
        }
        let percent: u32 = percent.parse().map_err(|_| EXPECTED)?;
        let fraction: u32 = format!("{fraction:0<2}").parse().map_err(|_| EXPECTED)?;
        match u16::try_from(percent * 100 + fraction) {
            Ok(share @ 1..=10_000) => Ok(Self(share)),
            _ => Err(EXPECTED),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&in_percent(self.of_10000()))
    }
}

impl LoadStep {
    /// The names and sentences of the checks that it decides beside those of its answers.
    pub(super) fn checks(&self) -> impl Iterator<Item = (String, String)> {
        let asked = |check: &LoadCheck| Some((check.name.to_owned(), (check.sentence)(self)?));
        CHECKS.iter().filter_map(asked)
    }

    /// What is asked, in words: `20/s for 30s, at most 256 under way`.
    fn asked(&self) -> String {
        let extent = match self.load.extent {
            Extent::For(time) => format!("for {time:?}"),
            Extent::Requests(requests) => format!("for {requests} requests"),
        };
        match self.load.pace {
            Pace::Rate { rate, most_under_way } => format!("{rate} {extent}, at most {most_under_way} under way"),
            Pace::Workers(1) => format!("1 worker {extent}"),
            Pace::Workers(workers) => format!("{workers} workers {extent}"),
        }
    }
}

/// Generates the load of a step, judges each answer as it comes, tells the figures, and returns a decision for each check.
/// Dropped, nothing of it goes on. `Err` is the name of a variable that no earlier step could capture; then nothing is sent.
pub(super) async fn perform(
    scenario: &Scenario,
    step: &LoadStep,
    probe: &Probe,
    target: &Target,
    variables: &Variables,
    events: &Events,
) -> Result<Vec<Decision>, String> {
    let request = &step.request;
    // What differs from request to request is known; whatever can be filled once can be filled always.
    let first = request.outgoing(target, variables, 1)?;
    let varies = request.varies(target, variables);
    let probe = probe.for_load();
    let mut judge = judge::StepJudge::new(scenario, request, target, &first);
    let mut figures = Figures::new(step.objective);
    let on = format!("scenario {}", scenario.words(request.name.as_deref()));
    events.waiting(Stage::Scenarios, on.as_str(), step.asked());
    let mut told = Instant::now();
    let send = |number: u64| {
        let outgoing = if varies {
            let number = usize::try_from(number).unwrap_or(usize::MAX);
            request
                .outgoing(target, variables, number)
                .unwrap_or_else(|_| first.clone())
        } else {
            first.clone()
        };
        probe.send(outgoing)
    };
    let take = |paced: crate::probe::load::Paced<crate::probe::Answer>| {
        let number = usize::try_from(paced.number).unwrap_or(usize::MAX);
        let judged = judge.judge(&paced.answer, number, variables);
        figures.take(&paced, judged);
        if told.elapsed() >= TELLS_EVERY {
            told = Instant::now();
            events.waiting(Stage::Scenarios, on.as_str(), figures.so_far());
        }
        if figures.answers() == 0 && figures.unanswered() >= MOST_UNANSWERED {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let done = step.load.generate(send, take).await;
    if figures.answers() == 0 && figures.unanswered() >= MOST_UNANSWERED {
        let unanswered = figures.unanswered();
        events.note(
            Stage::Scenarios,
            format!("{on}: {unanswered} requests got no answer; the load was given up"),
        );
    }
    let of = scenario.path(request.name.as_deref());
    events.send(Event::Loaded {
        figures: Box::new(figures.told(of, step, &done, target.configured.clone())),
    });
    let mut decisions = judge.close(0, &mut variables.clone());
    for check in CHECKS {
        let Some(sentence) = (check.sentence)(step) else {
            continue;
        };
        let finding = (check.judge)(&figures, &done);
        decisions.push(scenario.decision(request.name.as_deref(), check.name, &sentence, finding));
    }
    Ok(decisions)
}

#[cfg(test)]
mod tests;
