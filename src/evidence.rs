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
use sha2::{Digest as _, Sha256};

use crate::redact::Redactor;

/// Lines of each container's log that are kept.
const LOG_LINES: i64 = 500;

/// The longest name of pod and container that is kept whole; file systems take 255 bytes with what comes behind it.
const LONGEST_NAME: usize = 200;

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
                    let file = file_name(&format!("{name}.{}", container.name));
                    fs::write(directory.join(format!("{file}{suffix}.log")), redactor.redact(&log))?;
                }
            }
        }
    }
    Ok(())
}

/// The name of a file for what an API server named: one of the directory and never a way out of it, and another for another
/// name. What names a pod is kept as it is.
fn file_name(name: &str) -> String {
    let is_kept = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_kept) && !name.starts_with('.') {
        return name.to_owned();
    }
    let kept = |character: char| if is_kept(character) { character } else { '_' };
    let beginning: String = name.trim_start_matches('.').chars().map(kept).collect();
    let beginning = &beginning[..beginning.len().min(LONGEST_NAME)];
    format!("{beginning}-{:.8}", format!("{:x}", Sha256::digest(name)))
}

async fn list<K>(api: &Api<K>, path: &Path, redactor: &Redactor) -> io::Result<Option<Vec<K>>>
where
    K: Resource + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let Ok(found) = api.list(&ListParams::default()).await else {
        return Ok(None);
    };
    let redacted = redactor.json(serde_json::to_value(&found.items)?);
    fs::write(path, format!("{redacted:#}"))?;
    Ok(Some(found.items))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pod_keeps_its_name() {
        assert_eq!(file_name("vllm-0.server"), "vllm-0.server");
    }

    proptest! {
        #[test]
        fn whatever_an_api_server_names_lies_in_the_directory(name in r"[./a]{0,12}|/abs/path|.{0,300}", other in ".{0,9}") {
            let file = file_name(&name);
            prop_assert!(file.len() <= 220 && !file.contains(['/', '\\', '\0']) && !file.starts_with('.'), "{}", file);
            let path = Path::new("d").join(&file);
            prop_assert_eq!(path.parent(), Some(Path::new("d")));
            prop_assert_eq!(file_name(&other) == file, other == name);
        }
    }
}
