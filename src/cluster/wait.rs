//! Waiting for one object: it is watched, never polled, and what it says is judged each time it changes.
//!
//! Errors of the API server do not end a wait (unless it says that we may not look); the limit does, and then what was
//! last seen is told. What counts as ready is the caller's.

use std::{fmt::Debug, time::Duration};

use futures::{StreamExt, pin_mut};
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        watcher::{self, watch_object},
    },
};
use serde::de::DeserializeOwned;

use super::ClusterError;
use crate::verdict::Cause;

/// What an object's state means to the one who waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is as it should be.
    Ready,
    /// Not yet; what it says now, in a few words.
    NotYet(String),
    /// It never will be, and why: waiting on is pointless.
    Never(Cause),
}

/// Judges an object each time it changes. `None` means that it does not exist.
pub trait Readiness<K> {
    /// What its state means.
    fn observe(&self, object: Option<&K>) -> Progress;
}

impl<K, F: Fn(Option<&K>) -> Progress> Readiness<K> for F {
    fn observe(&self, object: Option<&K>) -> Progress {
        self(object)
    }
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited<K> {
    /// It is ready; the object as it then was, `None` where readiness means that it is gone.
    Ready(Option<K>),
    /// It never will be.
    Never(Cause),
    /// The limit was reached.
    TimedOut {
        /// What was last seen: of the object, or of the API server where that did not answer.
        seen: String,
    },
}

/// How long to wait, and how fast to ask again after an error.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Ends the wait.
    pub limit: Duration,
    /// The pause after the first error; it doubles with each one that follows, up to five seconds.
    pub first_pause: Duration,
}

impl Patience {
    /// Waits up to `limit`. An API server that has just come up is asked again soon, unlike with kube's own back-off,
    /// which begins at 0.8 s.
    pub fn of(limit: Duration) -> Self {
        Self {
            limit,
            first_pause: Duration::from_millis(100),
        }
    }
}

struct Doubling {
    first: Duration,
    next: Duration,
}

impl Iterator for Doubling {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.next;
        self.next = (pause * 2).min(Duration::from_secs(5));
        Some(pause)
    }
}

impl Backoff for Doubling {
    fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Watches the object called `name` until it is ready, never will be, or the limit is reached. Each new state is
/// passed to `on_change` in words.
///
/// # Errors
/// The API server says that we may not look (401, 403). Every other answer may change, so it is waited out.
pub async fn wait<K>(
    api: Api<K>,
    name: &str,
    readiness: &impl Readiness<K>,
    patience: Patience,
    on_change: &mut (dyn FnMut(&str) + Send),
) -> Result<Waited<K>, ClusterError>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut seen = "nothing yet".to_owned();
    let backoff = Doubling {
        first: patience.first_pause,
        next: patience.first_pause,
    };
    let states = watch_object(api, name).backoff(backoff);
    pin_mut!(states);
    let watch = async {
        while let Some(state) = states.next().await {
            let now = match state {
                Ok(object) => match readiness.observe(object.as_ref()) {
                    Progress::Ready => return Ok(Some(Waited::Ready(object))),
                    Progress::Never(cause) => return Ok(Some(Waited::Never(cause))),
                    Progress::NotYet(words) => words,
                },
                Err(error) => match refusal(error) {
                    Ok(refused) => return Err(ClusterError::api(name, refused)),
                    Err(passing) => format!("no answer: {passing}"),
                },
            };
            if now != seen {
                on_change(&now);
                seen = now;
            }
        }
        Ok(None)
    };
    match tokio::time::timeout(patience.limit, watch).await {
        Ok(Ok(Some(waited))) => Ok(waited),
        Ok(Err(error)) => Err(error),
        // The watch goes on for ever by itself; should it end, what was last seen is still the truth.
        Ok(Ok(None)) | Err(_) => Ok(Waited::TimedOut { seen }),
    }
}

/// Tells an answer that will stay (`Ok`, we may not look) from one that may pass (`Err`).
fn refusal(error: watcher::Error) -> Result<kube::Error, watcher::Error> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            if matches!(status.code, 401 | 403) =>
        {
            Ok(kube::Error::Api(status))
        }
        other => Err(other),
    }
}

#[cfg(test)]
mod tests;
