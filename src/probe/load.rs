//! Load: many requests, each at its time.
//!
//! [`Load::generate`] paces requests that somebody else makes, and gives each answer to somebody else with the time at which
//! its request was *due*. It judges nothing and keeps no answer, so its memory is that of the requests under way, whatever
//! the rate and however long it goes on. It is one future: dropped, nothing of it goes on.
//!
//! An open loop sends at a fixed rate, whatever the answers do: when the other side stalls, requests fall due all the same,
//! and who counts from [`Paced::due`] sees how long their senders would have waited. Counting from the sending would leave
//! that out ("coordinated omission", the name is Gil Tene's). A closed loop of so many workers sends when an answer has come;
//! it measures what a fixed number of clients get, and not what an endpoint bears.

use std::{fmt, future::Future, num::NonZeroU32, ops::ControlFlow, str::FromStr, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};

mod distribution;

pub(crate) use distribution::Distribution;

/// How requests are paced, and when it is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// When each is due.
    pub(crate) pace: Pace,
    /// How many or how long.
    pub(crate) extent: Extent,
}

/// When requests are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// An open loop: at this rate.
    Rate {
        /// How many in what time.
        rate: Rate,
        /// The most requests under way at the same time. What falls due then waits until there is room.
        most_under_way: usize,
    },
    /// A closed loop: each of so many workers sends when its last answer has come.
    Workers(usize),
}

/// How far a load goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Requests are due for so long.
    For(Duration),
    /// So many requests.
    Requests(u64),
}

/// So many requests in a unit of time, written as `20/s`, `90/m` or `1000/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    requests: NonZeroU32,
    per: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

/// An answer, and when its request was due and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paced<A> {
    /// The number of the request, counted from 1.
    pub(crate) number: u64,
    /// When it was to be sent, counted from the beginning of the load.
    pub(crate) due: Duration,
    /// When it was sent, on the same clock.
    pub(crate) sent: Duration,
    /// What came of it.
    pub(crate) answer: A,
}

/// What became of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Generated {
    /// Requests that fell due.
    pub(crate) due: u64,
    /// Requests that were sent; the others found no room until nothing was due any more.
    pub(crate) sent: u64,
    /// Requests that found as many under way as may be when they fell due; those that were not sent are among them.
    pub(crate) held_back: u64,
    /// The most requests that were under way at the same time.
    pub(crate) most_under_way: usize,
    /// For how long requests were sent: until an open loop was over, or until the last was sent.
    pub(crate) sending: Duration,
    /// When the last answer was there.
    pub(crate) took: Duration,
}

impl Rate {
    /// Requests in a thousand seconds.
    pub(crate) fn per_1000_s(self) -> u64 {
        u64::from(self.requests.get()) * 1000 / self.per.seconds()
    }

    /// When a request is due that has so many before it.
    fn due(self, before: u64) -> Duration {
        let nanos =
            u128::from(before) * u128::from(self.per.seconds()) * 1_000_000_000 / u128::from(self.requests.get());
        u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
    }

    /// How many requests are due before this time.
    fn within(self, time: Duration) -> u64 {
        let unit = u128::from(self.per.seconds()) * 1_000_000_000;
        let requests = (time.as_nanos() * u128::from(self.requests.get())).div_ceil(unit);
        u64::try_from(requests).unwrap_or(u64::MAX)
    }
}

impl Unit {
    fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a rate such as `20/s`, `90/m` or `1000/h`, in whole requests";
        let (requests, per) = text.split_once('/').ok_or(EXPECTED)?;
        let per = match per {
            "s" => Unit::Second,
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            _ => return Err(EXPECTED),
        };
        let requests = requests.parse().map_err(|_| EXPECTED)?;
        Ok(Self { requests, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per {
            Unit::Second => 's',
            Unit::Minute => 'm',
            Unit::Hour => 'h',
        };
        write!(formatter, "{}/{unit}", self.requests)
    }
}

impl<A> Paced<A> {
    /// How much later than it was due the request was sent.
    pub(crate) fn late(&self) -> Duration {
        self.sent.saturating_sub(self.due)
    }
}

/// When the next request is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// At this time after the beginning.
    At(Duration),
    /// As soon as there is room.
    WithRoom,
    /// Never again.
    Never,
}

impl Load {
    /// The most requests that are under way at the same time, at least one.
    fn room(&self) -> usize {
        match self.pace {
            Pace::Rate { most_under_way, .. } => most_under_way.max(1),
            Pace::Workers(workers) => workers.max(1),
        }
    }

    /// When the next request is due, of which `sent` are before it, seen at `now`.
    fn next(&self, sent: u64, now: Duration) -> Next {
        let goes_on = match (self.pace, self.extent) {
            (Pace::Rate { rate, .. }, Extent::For(time)) => sent < rate.within(time),
            (Pace::Workers(_), Extent::For(time)) => now < time,
            (_, Extent::Requests(requests)) => sent < requests,
        };
        match self.pace {
            _ if !goes_on => Next::Never,
            Pace::Rate { rate, .. } => Next::At(rate.due(sent)),
            Pace::Workers(_) => Next::WithRoom,
        }
    }

    /// When an open loop is over: what found no room until then is not sent. `None` for a closed loop.
    fn closes(&self) -> Option<Duration> {
        let Pace::Rate { rate, .. } = self.pace else {
            return None;
        };
        Some(match self.extent {
            Extent::For(time) => time,
            Extent::Requests(requests) => rate.due(requests),
        })
    }

    /// How many requests fell due until `now`, of which `sent` were sent.
    fn due(&self, sent: u64, now: Duration) -> u64 {
        match (self.pace, self.extent) {
            (Pace::Workers(_), _) => sent,
            (Pace::Rate { rate, .. }, Extent::For(time)) => rate.within(now.min(time)).max(sent),
            (Pace::Rate { rate, .. }, Extent::Requests(requests)) => rate.within(now).min(requests).max(sent),
        }
    }

    /// Sends what `send` makes of each number, counted from 1, when it is due, and gives `take` each answer as it comes,
    /// until `take` breaks off or the last answer is there. What is under way when it breaks off is given up.
    ///
    /// Both are called, and the answers are read, on the task that waits for this: while one answer is judged no other
    /// moves on, and where that makes requests late, [`Paced::late`] says so.
    pub(crate) async fn generate<A, F: Future<Output = A>>(
        &self,
        mut send: impl FnMut(u64) -> F,
        mut take: impl FnMut(Paced<A>) -> ControlFlow<()>,
    ) -> Generated {
        let began = Instant::now();
        let (room, closes) = (self.room(), self.closes());
        let mut under_way = FuturesUnordered::new();
        let mut done = Generated::default();
        let mut is_closed = false;
        // When an answer last made room where there had been none.
        let mut made_room = Duration::ZERO;
        loop {
            let now = began.elapsed();
            let mut next = if is_closed {
                Next::Never
            } else {
                self.next(done.sent, now)
            };
            while under_way.len() < room {
                let due = match next {
                    Next::At(due) if due <= now => due,
                    Next::WithRoom => now,
                    Next::At(_) | Next::Never => break,
                };
                done.sent += 1;
                done.held_back += u64::from(due < made_room);
                let (number, answer) = (done.sent, send(done.sent));
                under_way.push(async move {
                    let at = began.elapsed();
                    let answer = answer.await;
                    Paced {
                        number,
                        due,
                        sent: at,
                        answer,
                    }
                });
                next = self.next(done.sent, now);
            }
            let is_full = under_way.len() == room;
            done.most_under_way = done.most_under_way.max(under_way.len());
            is_closed |= closes.is_some_and(|closes| closes <= now);
            let wakes = match next {
                _ if is_closed => None,
                Next::At(due) if !is_full => Some(due),
                Next::At(_) => closes,
                Next::WithRoom | Next::Never => None,
            };
            let wakes_at = began + wakes.unwrap_or_default();
            tokio::select! {
                Some(paced) = under_way.next() => {
                    done.took = began.elapsed();
                    done.sending = done.sending.max(paced.sent);
                    if is_full {
                        made_room = done.took;
                    }
                    if take(paced).is_break() {
                        break;
                    }
                }
                () = sleep_until(wakes_at), if wakes.is_some() => {}
                else => break,
            }
        }
        done.due = self.due(done.sent, began.elapsed());
        done.held_back += done.due - done.sent;
        done.sending = done.sending.max(closes.unwrap_or_default().min(began.elapsed()));
        done
    }
}

#[cfg(test)]
mod tests;
