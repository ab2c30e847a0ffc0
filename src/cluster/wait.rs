//! Waiting for one object of a new cluster: it is watched, never polled, and judged each time it changes.
//!
//! Errors of the API server do not end a wait (unless it says that we may not look); the limit does, and then what was
//! last seen is told. The product under test is waited for elsewhere: [`super::watching`].

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

/// What an object's state means to the one who waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It is as it should be.
    Ready,
    /// Not yet; what it says now, in a few words.
    NotYet(String),
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Waited {
    /// It is ready.
    Ready,
    /// The limit was reached.
    TimedOut {
        /// What was last seen: of the object, or of the API server where that did not answer.
        seen: String,
    },
}

/// How long to wait, and how fast to ask again after an error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Ends the wait.
    pub(crate) limit: Duration,
    /// The pause after the first error; it doubles with each one that follows, up to five seconds.
    pub(crate) first_pause: Duration,
}

impl Patience {
    /// Waits up to `limit`. An API server that has just come up is asked again soon, unlike with kube's own back-off,
    /// which begins at 0.8 s.
    pub(crate) fn of(limit: Duration) -> Self {
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

/// Watches the object called `name` until `judge` calls it ready or the limit is reached. `judge` sees `None` where the
/// object does not exist. Each new state is passed to `on_change` in words.
///
/// # Errors
/// The API server says that we may not look (401, 403). Every other answer may change, so it is waited out.
pub(crate) async fn wait<K>(
    api: Api<K>,
    name: &str,
    judge: impl Fn(Option<&K>) -> State,
    patience: Patience,
    on_change: &mut (dyn FnMut(&str) + Send),
) -> Result<Waited, ClusterError>
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
                Ok(object) => match judge(object.as_ref()) {
                    State::Ready => return Ok(true),
                    State::NotYet(words) => words,
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
        Ok(false)
    };
    match tokio::time::timeout(patience.limit, watch).await {
        Ok(Ok(true)) => Ok(Waited::Ready),
        Ok(Err(error)) => Err(error),
        // The watch goes on for ever by itself; should it end, what was last seen is still the truth.
        Ok(Ok(false)) | Err(_) => Ok(Waited::TimedOut { seen }),
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
