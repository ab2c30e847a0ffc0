//! What the answers to a load add up to.

use std::{collections::BTreeMap, time::Duration};

use super::{LoadStep, ServiceLevel, judge::JudgedAnswer};
use crate::{
    probe::{
        Answer, Unanswered,
        latency::Latencies,
        load::{Distribution, Generated, Pace, Paced},
    },
    record::{ConfiguredLatencies, Counted, LoadFigures, Objective, milliseconds},
    redact::cut,
    verdict::{Cause, CauseCode, Finding},
};

/// Most names that are counted one by one: whoever answers chooses some of them.
const MOST_NAMES: usize = 256;

/// What is counted beyond them.
const OTHERS: &str = "others";

/// Requests that are later than this were not sent at the rate that was asked for.
const ON_TIME: Duration = Duration::from_millis(100);

/// The answers so far, added up. Its memory does not grow with their number.
#[derive(Debug, Default)]
pub(super) struct Figures {
    objective: Option<ServiceLevel>,
    answers: u64,
    unanswered: u64,
    /// Those of the unanswered whose connection never stood, and those of them for which this machine had none left.
    never_stood: u64,
    exhausted: u64,
    right: u64,
    good: u64,
    /// Those that would be good if times counted from when the requests were sent.
    good_from_sent: u64,
    /// Requests that were sent once more, since their connection had ended.
    resent: u64,
    late: Distribution,
    time_to_first_token: Distribution,
    inter_token_latency: Distribution,
    end_to_end: Distribution,
    wrong: BTreeMap<String, u64>,
    pods: BTreeMap<String, u64>,
}

/// The times of one right answer, counted from sending.
struct Times {
    first: Option<Duration>,
    between: Option<Duration>,
    whole: Duration,
}

impl Times {
    /// Whether they are within the limits where the request was sent so late.
    fn are_within(&self, objective: &ServiceLevel, late: Duration) -> bool {
        let within = |time: Option<Duration>, limit: Option<Duration>| match (time, limit) {
            (Some(time), Some(limit)) => time <= limit,
            // A limit for what the answer does not have is not kept: it is no stream, or says nothing.
            (None, Some(_)) => false,
            (_, None) => true,
        };
        within(self.first.map(|first| first + late), objective.time_to_first_token)
            && within(self.between, objective.inter_token_latency)
            && within(Some(self.whole + late), objective.end_to_end)
    }
}

impl Figures {
    /// None yet.
    pub(super) fn new(objective: Option<ServiceLevel>) -> Self {
        Self {
            objective,
            ..Self::default()
        }
    }

    /// Requests for which anything came back.
    pub(super) fn answers(&self) -> u64 {
        self.answers
    }

    /// Requests for which nothing came back.
    pub(super) fn unanswered(&self) -> u64 {
        self.unanswered
    }

    /// How far the load is, in a few words.
    pub(super) fn so_far(&self) -> String {
        let taken = self.answers + self.unanswered;
        match taken - self.right {
            0 => format!("{taken} answers, all right"),
            wrong => format!("{taken} answers, {wrong} of them wrong"),
        }
    }

    /// Takes an answer and what became of it.
    pub(super) fn take(&mut self, paced: &Paced<Answer>, judged: JudgedAnswer) {
        let (answer, late) = (&paced.answer, paced.late());
        self.late.note(late);
        self.resent += u64::from(answer.resent.is_some());
        if answer.received().is_some() {
            self.answers += 1;
        } else {
            self.unanswered += 1;
        }
        if let Err(why) = &answer.outcome {
            use Unanswered::{HostExhausted, NotConnected, NotSent};
            self.never_stood += u64::from(matches!(why, HostExhausted(_) | NotConnected(_) | NotSent(_)));
            self.exhausted += u64::from(matches!(why, HostExhausted(_)));
        }
        if let Some(pod) = answer.serving_pod() {
            count(&mut self.pods, &pod);
        }
        let JudgedAnswer { wrong, latencies } = judged;
        if let Some(check) = wrong {
            count(&mut self.wrong, &class(answer, &check));
            return;
        }
        self.right += 1;
        let times = self.times(answer, &latencies, late);
        let is_within = |late| {
            self.objective
                .is_none_or(|objective| times.are_within(&objective, late))
        };
        let (good, good_from_sent) = (is_within(late), is_within(Duration::ZERO));
        self.good += u64::from(good);
        self.good_from_sent += u64::from(good_from_sent);
    }

    /// Notes the times of a right answer.
    fn times(&mut self, answer: &Answer, latencies: &Latencies, late: Duration) -> Times {
        self.end_to_end.note(late + answer.took);
        let first = latencies.time_to_first_token;
        if let Some(first) = first {
            self.time_to_first_token.note(late + first);
        }
        for between in &latencies.inter_token {
            self.inter_token_latency.note(*between);
        }
        let count = u32::try_from(latencies.inter_token.len()).unwrap_or(u32::MAX);
        let sum: Duration = latencies.inter_token.iter().sum();
        Times {
            first,
            // One token has none between: no limit is broken.
            between: first.map(|_| sum.checked_div(count).unwrap_or_default()),
            whole: answer.took,
        }
    }

    /// Whether enough requests had a good answer.
    pub(super) fn goodput(&self, done: &Generated) -> Finding {
        let wanted = self.objective.map_or(0, |objective| objective.goodput.of(done.due));
        if done.due == 0 {
            return Finding::Undecided {
                why: "no request was due".to_owned(),
            };
        }
        if self.good >= wanted {
            return Finding::Holds;
        }
        if done.held_back == 0 && self.good_from_sent >= wanted {
            return Finding::Undecided {
                why: format!(
                    "{} of {} answers are good, and {} would be if this machine had sent the requests when they were due",
                    self.good, done.due, self.good_from_sent
                ),
            };
        }
        if self.good + self.never_stood >= wanted {
            return self.never_stood_instead(wanted, done);
        }
        let slow = self.right - self.good;
        let cause = Cause::new(CauseCode::ServiceLevelNotMet).because(format!(
            "{} answers are right, {slow} of them not within the limits; {} answers are wrong; {} requests were never sent",
            self.right,
            self.answers + self.unanswered - self.right,
            done.due - done.sent
        ));
        Finding::broken(
            format!("{wanted} good answers of {}", done.due),
            self.good.to_string(),
            cause,
        )
    }

    /// What is found where too few answers are good, and there might be enough if every connection had stood: the model
    /// server never saw those requests.
    fn never_stood_instead(&self, wanted: u64, done: &Generated) -> Finding {
        let (code, whose) = match self.exhausted {
            0 => (CauseCode::EndpointNotAnswering, String::new()),
            count => (
                CauseCode::HostExhausted,
                format!(", {count} of them for want of this machine"),
            ),
        };
        let cause = Cause::new(code).because(format!(
            "{} connections never stood{whose}; {} answers are right",
            self.never_stood, self.right
        ));
        Finding::broken(
            format!("{wanted} good answers of {}", done.due),
            self.good.to_string(),
            cause,
        )
    }

    /// Whether requests were sent when they were due.
    pub(super) fn rate_kept(&self, done: &Generated) -> Finding {
        let late = self
            .late
            .quantiles()
            .map_or(Duration::ZERO, |late| Duration::from_micros(late.p99_us));
        if done.held_back > 0 {
            let never = done.due - done.sent;
            let cause = Cause::new(CauseCode::LoadHeldBack).because(format!(
                "at most {} were under way; one in a hundred was sent {late:?} late or later; {never} were never sent",
                done.most_under_way
            ));
            return Finding::broken(
                format!("{} requests, each when it is due", done.due),
                format!("{} found as many under way as may be", done.held_back),
                cause,
            );
        }
        if late > ON_TIME {
            return Finding::Undecided {
                why: format!("this machine sent one request in a hundred {late:?} late or later"),
            };
        }
        Finding::Holds
    }

    /// The figures for the record.
    pub(super) fn told(
        &self,
        of: String,
        step: &LoadStep,
        done: &Generated,
        configured: Option<ConfiguredLatencies>,
    ) -> LoadFigures {
        let (asked_per_1000_s, late) = match step.load.pace {
            Pace::Rate { rate, .. } => (Some(rate.per_1000_s()), self.late.quantiles()),
            Pace::Workers(_) => (None, None),
        };
        LoadFigures {
            of,
            asked: step.asked(),
            asked_per_1000_s,
            sent_per_1000_s: per_1000_s(done.sent, done.sending),
            good_per_1000_s: per_1000_s(self.good, done.sending.max(done.took)),
            due: done.due,
            sent: done.sent,
            held_back: done.held_back,
            resent: self.resent,
            most_under_way: u64::try_from(done.most_under_way).unwrap_or(u64::MAX),
            right: self.right,
            good: self.good,
            took_ms: milliseconds(done.took.max(done.sending)),
            objective: self.objective.as_ref().map(objective),
            late,
            time_to_first_token: self.time_to_first_token.quantiles(),
            inter_token_latency: self.inter_token_latency.quantiles(),
            end_to_end: self.end_to_end.quantiles(),
            wrong: counted(&self.wrong),
            pods: counted(&self.pods),
            configured,
        }
    }
}

/// What is wrong with an answer first: how it failed, its status, or the check that it breaks.
fn class(answer: &Answer, check: &str) -> String {
    match &answer.outcome {
        Err(why) => why.kind().to_owned(),
        Ok(received) if check.ends_with("status") => format!("status {}", received.status),
        Ok(_) => format!("check {check}"),
    }
}

fn count(counts: &mut BTreeMap<String, u64>, what: &str) {
    let known = counts.contains_key(what) || counts.len() < MOST_NAMES;
    let what = if known { what } else { OTHERS };
    match counts.get_mut(what) {
        Some(count) => *count += 1,
        None => {
            counts.insert(cut(what, 256), 1);
        }
    }
}

/// The most frequent first.
fn counted(counts: &BTreeMap<String, u64>) -> Vec<Counted> {
    let mut counted: Vec<Counted> = counts
        .iter()
        .map(|(what, count)| Counted {
            what: what.clone(),
            count: *count,
        })
        .collect();
    counted.sort_by_key(|counted| std::cmp::Reverse(counted.count));
    counted
}

fn per_1000_s(count: u64, time: Duration) -> u64 {
    let per = (u128::from(count) * 1_000_000_000_000)
        .checked_div(time.as_nanos())
        .unwrap_or(0);
    u64::try_from(per).unwrap_or(u64::MAX)
}

fn objective(objective: &ServiceLevel) -> Objective {
    let us = |limit: Option<Duration>| Some(u64::try_from(limit?.as_micros()).unwrap_or(u64::MAX));
    Objective {
        time_to_first_token_us: us(objective.time_to_first_token),
        inter_token_latency_us: us(objective.inter_token_latency),
        end_to_end_us: us(objective.end_to_end),
        goodput_of_10000: objective.goodput.of_10000(),
    }
}
