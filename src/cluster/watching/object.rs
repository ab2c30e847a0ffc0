//! A question about one object that the run's watches do not see: of a new cluster, or of another namespace.
//!
//! It is watched, never polled. Errors of the API server do not end the wait, unless it says that we may not look; the limit
//! does, and then what was last seen is told.

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

use super::{Progress, WaitError, trouble_of};
use crate::{cluster::resources::Trouble, host::Pauses, verdict::CauseCode};

/// The pause after the first error; it doubles with each one that follows, up to [`LONGEST_PAUSE`]. An API server that has
/// just come up is asked again soon, unlike with kube's own back-off, which begins at 0.8 s.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.reset();
    }
}

/// Asks `question` about the object called `name` each time that it changes, until it is answered or `limit` is over. The
/// question sees `None` where the object does not exist.
///
/// `not_yet` hears what is seen in the meantime, each time it changes.
///
/// # Errors
/// Never, where the API server says that we may not look (401, 403); every other answer of it may change, and is waited
/// out. Or time is up: where the API server told nothing up to then, or an error last, it is away.
#[tracing::instrument(name = "wait", level = "debug", skip_all, fields(object = name))]
pub(crate) async fn until_object<K, T>(
    api: Api<K>,
    name: &str,
    limit: Duration,
    mut question: impl FnMut(Option<&K>) -> Progress<T, kube::Error>,
    mut not_yet: impl FnMut(&str) + Send,
) -> Result<T, WaitError<kube::Error>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut last = "nothing yet".to_owned();
    let mut away = Some(Trouble::away(
        CauseCode::ApiServerAway,
        format!("silent for {} s", limit.as_secs()),
    ));
    let states = watch_object(api, name).backoff(Pauses::doubling(FIRST_PAUSE, LONGEST_PAUSE));
    pin_mut!(states);
    let watch = async {
        while let Some(state) = states.next().await {
            let seen = match state {
                Ok(object) => match question(object.as_ref()) {
                    Progress::Ready(answer) => return Some(Ok(answer)),
                    Progress::Never(reason) => return Some(Err(WaitError::Never(reason))),
                    Progress::NotYet(seen) => {
                        away = None;
                        seen
                    }
                },
                Err(error) => match refusal(error) {
                    Ok(refused) => return Some(Err(WaitError::Never(refused))),
                    Err(passing) => {
                        let trouble = trouble_of(&passing);
                        let seen = trouble.to_string();
                        away = Some(trouble);
                        seen
                    }
                },
            };
            if seen != last {
                not_yet(&seen);
                last = seen;
            }
        }
        None
    };
    if let Ok(Some(answered)) = tokio::time::timeout(limit, watch).await {
        return answered;
    }
    // The watch goes on for ever by itself; should it end, what was last seen is still the truth.
    Err(match away {
        Some(trouble) => WaitError::ApiServerAway { trouble },
        None => WaitError::timed_out(limit, last),
    })
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
