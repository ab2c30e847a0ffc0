//! What is written beside the reports for someone who must find out why: pods, events, logs.
//!
//! Every byte goes through the redactor. Secrets are not asked for. There is an end to it: of pods, of events, of each log,
//! and of all logs together; what is left out stands in `left-out.txt`.

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
/// Bytes of each container's log that are asked for, and that are kept where more come.
const LOG_BYTES: i64 = 256 << 10;
const MOST_OF_A_LOG: usize = 256 << 10;
/// Bytes of all logs together, after which no more are asked for.
const ALL_LOGS_BYTES: usize = 16 << 20;
/// Pods, and events, that are kept.
const MOST_OBJECTS: u32 = 250;

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
    let mut left_out = Vec::new();
    list(&events, &directory.join("events.json"), redactor, &mut left_out).await?;
    let found = list(&pods, &directory.join("pods.json"), redactor, &mut left_out).await?;
    let mut room = ALL_LOGS_BYTES;
    for pod in found {
        let (Some(name), Some(spec)) = (pod.metadata.name, pod.spec) else {
            continue;
        };
        for container in spec.containers {
            for previous in [false, true] {
                let suffix = if previous { ".previous" } else { "" };
                let file = file_name(&format!("{name}.{}", container.name)) + suffix + ".log";
                if room == 0 {
                    left_out.push(file);
                    continue;
                }
                let parameters = LogParams {
                    container: Some(container.name.clone()),
                    previous,
                    tail_lines: Some(LOG_LINES),
                    limit_bytes: Some(LOG_BYTES),
                    ..LogParams::default()
                };
                if let Ok(log) = pods.logs(&name, &parameters).await {
                    let log = redactor.redact(&log);
                    let kept = ending(&log, room.min(MOST_OF_A_LOG));
                    room -= kept.len();
                    if kept.len() < log.len() {
                        left_out.push(format!("the beginning of {file}"));
                    }
                    fs::write(directory.join(file), kept)?;
                }
            }
        }
    }
    if !left_out.is_empty() {
        fs::write(directory.join("left-out.txt"), left_out.join("\n") + "\n")?;
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

/// The end of a text, of so many bytes at most.
fn ending(text: &str, most: usize) -> &str {
    let from = (text.len().saturating_sub(most)..=text.len()).find(|at| text.is_char_boundary(*at));
    from.map_or("", |from| &text[from..])
}

/// Writes the objects of a kind and returns them; none where they cannot be listed.
async fn list<K>(api: &Api<K>, path: &Path, redactor: &Redactor, left_out: &mut Vec<String>) -> io::Result<Vec<K>>
where
    K: Resource + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let Ok(mut found) = api.list(&ListParams::default().limit(MOST_OBJECTS)).await else {
        return Ok(Vec::new());
    };
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    if found.metadata.continue_.is_some_and(|more| !more.is_empty()) {
        left_out.push(format!("all but {} of {file}", found.items.len()));
    }
    // Who wrote which field fills half of it and helps nobody.
    for one in &mut found.items {
        one.meta_mut().managed_fields = None;
    }
    let redacted = redactor.json(serde_json::to_value(&found.items)?);
    fs::write(path, format!("{redacted:#}"))?;
    Ok(found.items)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::whole("ab", 2, "ab")]
    #[case::cut("abc", 2, "bc")]
    #[case::not_within_a_letter("aß", 1, "")]
    #[case::nothing("ab", 0, "")]
    fn the_end_of_a_log_is_kept(#[case] text: &str, #[case] most: usize, #[case] kept: &str) {
        assert_eq!(ending(text, most), kept);
    }

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
