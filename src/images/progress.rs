//! Says what is being made right now, and about how long it takes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::record::{Events, Stage};

/// Tells which images are being made, and how far each is.
#[derive(Debug)]
pub(super) struct Progress {
    events: Events,
    jobs: Mutex<BTreeMap<String, Job>>,
}

#[derive(Debug)]
struct Job {
    since: Instant,
    estimate: Option<Duration>,
    seen: String,
}

/// A job that is on until this is dropped.
#[derive(Debug)]
pub(super) struct Running<'a> {
    progress: &'a Progress,
    what: String,
}

impl Progress {
    pub(super) fn new(events: &Events) -> Self {
        Self {
            events: events.clone(),
            jobs: Mutex::default(),
        }
    }

    /// Begins a job: `compiling etcd`. The estimate is for a machine on which nothing is cached.
    pub(super) fn begin(&self, what: impl Into<String>, estimate: Option<Duration>) -> Running<'_> {
        let what = what.into();
        let job = Job {
            since: Instant::now(),
            estimate,
            seen: String::new(),
        };
        self.jobs().insert(what.clone(), job);
        self.say();
        Running { progress: self, what }
    }

    /// Notes a plain fact.
    pub(super) fn note(&self, sentence: impl Into<String>) {
        self.events.note(Stage::Images, sentence);
    }

    /// Does `work`, and once a second says what is on.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let tell = async {
            let mut tick = tokio::time::interval(Duration::from_secs(1));
            loop {
                tick.tick().await;
                self.say();
            }
        };
        tokio::select! {
            done = work => done,
            () = tell => unreachable!("it tells without end"),
        }
    }

    fn jobs(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self) {
        let jobs = self.jobs();
        let names: Vec<&str> = jobs.keys().map(String::as_str).collect();
        // Of several jobs the one that will take longest is worth the line.
        let Some(longest) = jobs.values().max_by_key(|job| job.estimate) else {
            return;
        };
        let elapsed = longest.since.elapsed();
        let mut seen = spoken(elapsed);
        if let Some(alone) = longest.estimate {
            // An estimate is for a job that has the machine to itself; those that compile now share it.
            let sharing = jobs.values().filter(|job| job.estimate.is_some()).count();
            let estimate = alone.saturating_mul(u32::try_from(sharing).unwrap_or(u32::MAX));
            seen = if elapsed > estimate {
                format!("{seen}, longer than the {} expected", spoken(estimate))
            } else {
                format!("{seen} of about {}", spoken(estimate))
            };
        }
        if !longest.seen.is_empty() {
            seen = format!("{seen}, {}", longest.seen);
        }
        self.events.waiting(Stage::Images, names.join(", "), seen);
    }
}

impl Running<'_> {
    /// Says what was last seen of the job.
    pub(super) fn seen(&self, what: impl Into<String>) {
        if let Some(job) = self.progress.jobs().get_mut(&self.what) {
            job.seen = what.into();
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.progress.jobs().remove(&self.what);
    }
}

/// A duration in words: `45 s`, `7 min`.
pub(super) fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=99 => format!("{seconds} s"),
        _ => format!("{} min", (seconds + 30) / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Event;

    async fn last_said(estimates_s: &[u64], waited_s: u64) -> String {
        let (events, mut receiver) = Events::channel();
        let progress = Progress::new(&events);
        let jobs: Vec<_> = (0_u8..)
            .zip(estimates_s)
            .map(|(number, seconds)| progress.begin(format!("job {number}"), Some(Duration::from_secs(*seconds))))
            .collect();
        tokio::time::advance(Duration::from_secs(waited_s)).await;
        progress.say();
        drop(jobs);
        drop((progress, events));
        let mut last = String::new();
        while let Some(event) = receiver.recv().await {
            if let Event::Waiting { seen, .. } = event {
                last = seen;
            }
        }
        last
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_that_share_the_machine_are_expected_later_and_one_that_is_late_is_called_late() {
        assert_eq!(last_said(&[300, 60], 360).await, "6 min of about 10 min");
        assert_eq!(last_said(&[60], 61).await, "61 s, longer than the 60 s expected");
    }

    #[tokio::test(start_paused = true)]
    async fn it_says_what_is_on_with_an_estimate_and_nothing_once_all_is_done() {
        let (events, mut receiver) = Events::channel();
        let progress = Progress::new(&events);
        let job = progress.begin("compiling etcd", Some(Duration::from_mins(5)));
        job.seen("12 packages");
        progress.during(tokio::time::sleep(Duration::from_millis(1500))).await;
        drop(job);
        progress.during(tokio::time::sleep(Duration::from_millis(1500))).await;
        drop((progress, events));
        let mut last = None;
        while let Some(event) = receiver.recv().await {
            last = Some(event);
        }
        let Some(Event::Waiting { on, seen, .. }) = last else {
            panic!("nothing said")
        };
        assert_eq!(on, "compiling etcd");
        assert_eq!(seen, "1 s of about 5 min, 12 packages");
    }
}
