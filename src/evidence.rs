//! What is written beside the reports for someone who must find out why: pods, events, logs.
//!
//! Every byte goes through the redactor. Secrets are not asked for.

use std::{fs, io, path::Path};

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Api, Client, Resource,
    api::{ListParams, LogParams},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::redact::Redactor;

/// Lines of each container's log that are kept.
const LOG_LINES: i64 = 500;

/// Writes pods, events and the ends of all logs of a namespace into `directory`. What cannot be read is left out:
/// evidence is a help, its absence decides nothing.
///
/// # Errors
/// A file cannot be written.
pub(crate) async fn gather(client: &Client, namespace: &str, directory: &Path, redactor: &Redactor) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    list(&events, &directory.join("events.json"), redactor).await?;
    let Some(found) = list(&pods, &directory.join("pods.json"), redactor).await? else {
        return Ok(());
    };
    for pod in found {
        let (Some(name), Some(spec)) = (pod.metadata.name, pod.spec) else {
            continue;
        };
        for container in spec.containers {
            for previous in [false, true] {
                let parameters = LogParams {
                    container: Some(container.name.clone()),
                    previous,
                    tail_lines: Some(LOG_LINES),
                    ..LogParams::default()
                };
                if let Ok(log) = pods.logs(&name, &parameters).await {
                    let suffix = if previous { ".previous" } else { "" };
                    fs::write(
                        directory.join(format!("{name}.{}{suffix}.log", container.name)),
                        redactor.redact(&log),
                    )?;
                }
            }
        }
    }
    Ok(())
}

async fn list<K>(api: &Api<K>, path: &Path, redactor: &Redactor) -> io::Result<Option<Vec<K>>>
where
    K: Resource + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let Ok(found) = api.list(&ListParams::default()).await else {
        return Ok(None);
    };
    let text = serde_json::to_string_pretty(&found.items)?;
    fs::write(path, redactor.redact(&text))?;
    Ok(Some(found.items))
}
