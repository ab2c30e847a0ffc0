//! Says what is being made right now, and about how long it takes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::record::{Events, Stage};

/// What is being made.
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
        let mut seen = spoken(longest.since.elapsed());
        if let Some(estimate) = longest.estimate {
            seen = format!("{seen} of at most about {}", spoken(estimate));
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
        assert_eq!(seen, "1 s of at most about 5 min, 12 packages");
    }
}
