//! What a load came to, in figures.

use serde::{Deserialize, Serialize};

/// The figures of a load: many requests at a rate, or from so many workers.
///
/// Times are in microseconds. Those of an open loop count from when a request was *due*, not from when it was sent, so that a
/// stall shows in every request that fell due in it. Rates are in requests per 1000 seconds: 20 a second are 20000.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadFigures {
    /// The scenario, and the step where it has a name: `smoke-load` or `mine/burst`.
    pub(crate) of: String,
    /// What was asked, in words: `20/s for 30s, at most 256 under way`.
    pub(crate) asked: String,
    /// The rate asked for; `None` for a closed loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked_per_1000_s: Option<u64>,
    /// The rate at which requests were sent.
    pub(crate) sent_per_1000_s: u64,
    /// The rate of good answers.
    pub(crate) good_per_1000_s: u64,
    /// Requests that fell due.
    pub(crate) due: u64,
    /// Requests that were sent; the others found no room in time.
    pub(crate) sent: u64,
    /// Requests that found as many under way as may be when they fell due.
    pub(crate) held_back: u64,
    /// Requests that were sent once more on a new connection, since the server had closed the one that was used again.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(crate) resent: u64,
    /// The most requests that were under way at the same time.
    pub(crate) most_under_way: u64,
    /// Answers in which every check holds.
    pub right: u64,
    /// Right answers within the limits of `objective`; without one all right answers.
    pub good: u64,
    /// Milliseconds from the first request to the last answer.
    pub took_ms: u64,
    /// What the scenario asks of the answers; `None` where it sets no limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) objective: Option<Objective>,
    /// How much later than due requests were sent; `None` for a closed loop, where none is late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) late: Option<Quantiles>,
    /// To the first token of right answers that are streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_first_token: Option<Quantiles>,
    /// Between one token and the next of right answers that are streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inter_token_latency: Option<Quantiles>,
    /// To the last byte of right answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end_to_end: Option<Quantiles>,
    /// Answers that are not right, by what is wrong first: how they failed, their status, or the check that is broken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) wrong: Vec<Counted>,
    /// Whole answers by the pod that served them; empty where no answer names one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pods: Vec<Counted>,
    /// The latencies that the model server was told to have, beside which those measured are to be read; `None` where none
    /// are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) configured: Option<ConfiguredLatencies>,
}

impl LoadFigures {
    /// Whether this is a check of the answers to the load.
    pub(crate) fn is_judged_by(&self, check: &str) -> bool {
        let rest = check.strip_prefix(&self.of).and_then(|rest| rest.strip_prefix('/'));
        rest.is_some_and(|name| !name.contains('/'))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// How times are distributed, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// How many there are.
    pub(crate) count: u64,
    /// Half of them are at most so long.
    pub(crate) p50_us: u64,
    /// Nine tenths.
    pub(crate) p90_us: u64,
    /// All but a hundredth.
    pub(crate) p99_us: u64,
    /// The longest.
    pub(crate) max_us: u64,
}

/// What a scenario asks of the answers under load (a service level objective). A limit that is `None` is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objective {
    /// The longest time to the first token, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time_to_first_token_us: Option<u64>,
    /// The longest mean time between the tokens of an answer, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inter_token_latency_us: Option<u64>,
    /// The longest time to the last byte, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end_to_end_us: Option<u64>,
    /// How many of 10000 requests must have a good answer.
    pub(crate) goodput_of_10000: u64,
}

/// So many of 10000 as a person says them: `99 %`, `99.95 %`.
pub fn in_percent(of_10000: u64) -> String {
    match of_10000 % 100 {
        0 => format!("{} %", of_10000 / 100),
        rest => format!("{}.{rest:02} %", of_10000 / 100),
    }
}

/// Something counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// What.
    pub(crate) what: String,
    /// How often.
    pub(crate) count: u64,
}

/// The latencies that a simulated model server was told to have, as its arguments say them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfiguredLatencies {
    /// To the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time_to_first_token: Option<String>,
    /// Between two tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inter_token_latency: Option<String>,
}
