//! When the API server first showed a fault, seen by a watch of our own beside the run's.

use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use kube::{
    api::DynamicObject,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::Sign;
use crate::cluster::resources::{Resource, api_in};

/// A watch for a sign; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watching {
    first: Arc<Mutex<Option<Instant>>>,
    _task: AbortOnDropHandle<()>,
}

impl Watching {
    /// Begins to look for a sign among the objects of a resource in a namespace, which need not be there yet.
    pub(super) fn start(client: &kube::Client, resource: &Resource, namespace: &str, sign: &Sign) -> Self {
        let first = Arc::new(Mutex::new(None));
        let (seen, says) = (Arc::clone(&first), sign.says.clone());
        let api = api_in(client, resource, Some(namespace));
        let task = tokio::spawn(async move {
            let mut stream = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
            while let Some(event) = stream.next().await {
                // What cannot be seen has no time; the run decides all the same.
                let Ok(Event::Apply(object) | Event::InitApply(object)) = event else {
                    continue;
                };
                if shows(&object, &says) {
                    *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                    break;
                }
            }
        });
        Self {
            first,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// When it was first seen.
    pub(super) fn first(&self) -> Option<Instant> {
        *self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shows(object: &DynamicObject, says: &str) -> bool {
    let object = serde_json::to_value(&object.data).unwrap_or_default();
    words(&object).any(|text| text.contains(says))
}

/// Every text in a value.
fn words(value: &serde_json::Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        serde_json::Value::String(text) => Box::new(std::iter::once(text.as_str())),
        serde_json::Value::Array(all) => Box::new(all.iter().flat_map(words)),
        serde_json::Value::Object(fields) => Box::new(fields.values().flat_map(words)),
        _ => Box::new(std::iter::empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_a_text_anywhere_in_an_object() {
        let object: DynamicObject = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "ErrImagePull"},
            "status": {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]},
        }))
        .unwrap();
        assert!(shows(&object, "ErrImagePull"));
        assert!(!shows(&object, "CrashLoopBackOff"));
        let named: DynamicObject =
            serde_json::from_value(serde_json::json!({"metadata": {"name": "ErrImagePull"}})).unwrap();
        assert!(!shows(&named, "ErrImagePull"), "a name is no sign");
    }
}
