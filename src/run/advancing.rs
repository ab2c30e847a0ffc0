//! Whether a pod that is not ready when time is up was still getting on. Then it was slow, which says nothing about the release.
//!
//! What a container says in its log is text and nothing else. It counts where it is new: not what was said before with other
//! numbers, not what tells of trouble, and not the requests of the container's own probes.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, Event, Pod};
use kube::{Api, Client, ResourceExt as _, api::LogParams};

use super::workloads::is_unstarted;
use crate::{cluster::probes::last_warning, redact::cut};

/// How far back what is said counts as said now.
const NOW_SECONDS: i64 = 15;
/// How much of a log is looked through for what was said before.
const EARLIER: i64 = 500;

/// Words of lines that tell of trouble: whoever says them again and again is not getting on.
const TROUBLE: &[&str] = &[
    "error",
    "fail",
    "warn",
    "refused",
    "forbidden",
    "denied",
    "timeout",
    "timed out",
    "retry",
    "unable",
    "cannot",
    "exception",
    "traceback",
];

/// How a pod that is not ready was still getting on; `None` where nothing shows that it was.
pub(super) async fn getting_on(client: &Client, pod: &Pod, events: &[Event]) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    if spec.node_name.is_none() {
        return Some("it has no node yet".to_owned());
    }
    if let Some(pulling) = still_pulling(events) {
        return Some(format!("an image is still on its way: {}", cut(pulling, 200)));
    }
    if is_unstarted(pod) {
        let warned = last_warning(events).map(|warning| format!("; {}", cut(&warning, 400)));
        return Some(format!(
            "none of its containers was started{}",
            warned.unwrap_or_default()
        ));
    }
    let container = under_way(pod)?;
    if container.startup_probe.is_some() && !has_started(pod, &container.name) {
        return Some(format!(
            "the startupProbe of container {} still gives it time",
            container.name
        ));
    }
    let line = newly_said(client, pod, container).await?;
    Some(format!("container {} still says something new: {line}", container.name))
}

/// The event that an image is being pulled, where none says yet what became of it.
fn still_pulling(events: &[Event]) -> Option<&str> {
    let about_pulls = ["Pulling", "Pulled", "Failed", "BackOff"];
    let mut last = events.iter().rev().filter(|event| {
        let reason = event.reason.as_deref().unwrap_or_default();
        about_pulls.contains(&reason)
    });
    let last = last.next().filter(|event| event.reason.as_deref() == Some("Pulling"))?;
    last.message.as_deref()
}

/// The container that a pod waits for: one that runs since it was made, and is not ready. Those that run before the others go
/// first.
fn under_way(pod: &Pod) -> Option<&Container> {
    let (spec, status) = (pod.spec.as_ref()?, pod.status.as_ref()?);
    let before = status.init_container_statuses.iter().flatten();
    let all = before.chain(status.container_statuses.iter().flatten());
    let mut running = all.filter(|one| {
        let runs = one.state.as_ref().is_some_and(|state| state.running.is_some());
        runs && !one.ready && one.restart_count == 0
    });
    let name = &running.next()?.name;
    let mut containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    containers.find(|container| container.name == *name)
}

/// Whether the startup probe of a container has held.
fn has_started(pod: &Pod, container: &str) -> bool {
    let status = pod.status.iter();
    let of_all = status.flat_map(|status| [&status.init_container_statuses, &status.container_statuses]);
    let mut all = of_all.flatten().flatten();
    all.any(|one| one.name == container && one.started == Some(true))
}

/// A line that a container has just said, and never before.
async fn newly_said(client: &Client, pod: &Pod, container: &Container) -> Option<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), pod.metadata.namespace.as_deref()?);
    let parameters = |since_seconds, tail_lines| LogParams {
        container: Some(container.name.clone()),
        since_seconds,
        tail_lines: Some(tail_lines),
        limit_bytes: Some(256 << 10),
        ..LogParams::default()
    };
    let name = pod.name_any();
    let recent = pods.logs(&name, &parameters(Some(NOW_SECONDS), EARLIER)).await.ok()?;
    let all = pods.logs(&name, &parameters(None, EARLIER)).await.ok()?;
    let (recent, all): (Vec<&str>, Vec<&str>) = (recent.lines().collect(), all.lines().collect());
    // Of one that says so much nobody knows what it said before.
    if recent.len() >= all.len() && i64::try_from(recent.len()).is_ok_and(|count| count >= EARLIER) {
        return None;
    }
    let earlier = &all[..all.len().saturating_sub(recent.len())];
    new_among(&recent, earlier, &paths_of(container)).map(|line| cut(line.trim(), 200))
}

/// The paths that the probes of a container ask for.
fn paths_of(container: &Container) -> Vec<&str> {
    let probes = [
        &container.startup_probe,
        &container.readiness_probe,
        &container.liveness_probe,
    ];
    probes
        .into_iter()
        .flatten()
        .filter_map(|probe| probe.http_get.as_ref()?.path.as_deref())
        .filter(|path| path.len() > 1)
        .collect()
}

/// The last of these lines that says something which was not said before.
fn new_among<'a>(recent: &[&'a str], earlier: &[&str], paths: &[&str]) -> Option<&'a str> {
    let known: BTreeSet<(String, Option<String>)> = earlier.iter().map(|line| said(line)).collect();
    let counts = |line: &&&str| {
        let lower = line.to_lowercase();
        let of_a_probe = lower.contains("kube-probe") || paths.iter().any(|path| line.contains(path));
        let is_trouble = TROUBLE.iter().any(|word| lower.contains(word));
        !lower.trim().is_empty() && !of_a_probe && !is_trouble && !known.contains(&said(line))
    };
    recent.iter().rev().find(counts).copied()
}

/// What a line says: its words without those that have digits in them, and how many percent are reached.
fn said(line: &str) -> (String, Option<String>) {
    let words = line.split(|character: char| !character.is_alphanumeric());
    let words: Vec<&str> = words
        .filter(|word| !word.is_empty() && !word.contains(|character: char| character.is_ascii_digit()))
        .collect();
    let percent = line.find('%').map(|end| {
        let digits = line[..end].rsplit(|character: char| !character.is_ascii_digit()).next();
        digits.unwrap_or_default().to_owned()
    });
    (words.join(" "), percent.filter(|percent| !percent.is_empty()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::another_step("INFO 11:00:30 Loading weights took 558 seconds", true)]
    #[case::further("Loading safetensors checkpoint shards:  67% Completed | 2/3", true)]
    #[case::as_far_as_before("Loading safetensors checkpoint shards:  33% Completed | 1/3", false)]
    #[case::with_other_numbers("2026/01/01 00:00:30 waiting for 4 peers", false)]
    #[case::trouble("E0101 failed to list *v1.Pod: forbidden", false)]
    #[case::of_the_probe("10.0.0.1 - \"GET /health HTTP/1.1\" 503 Service Unavailable", false)]
    #[case::of_another_probe("\"GET / HTTP/1.1\" 503 kube-probe/1.34", false)]
    #[case::nothing(" ", false)]
    fn a_line_counts_that_says_something_new(#[case] line: &str, #[case] is_new: bool) {
        let earlier = [
            "2026/01/01 00:00:15 waiting for 3 peers",
            "Loading safetensors checkpoint shards:  33% Completed | 1/3",
        ];
        assert_eq!(new_among(&[line], &earlier, &["/health"]).is_some(), is_new);
    }

    #[test]
    fn an_image_is_on_its_way_until_something_says_what_became_of_it() {
        let event = |reason: &str| -> Event {
            serde_json::from_value(json!({"metadata": {}, "reason": reason, "message": reason, "involvedObject": {}}))
                .unwrap()
        };
        assert_eq!(still_pulling(&[event("Scheduled"), event("Pulling")]), Some("Pulling"));
        assert_eq!(still_pulling(&[event("Pulling"), event("Pulled")]), None);
        assert_eq!(still_pulling(&[event("Pulling"), event("Failed")]), None);
        assert_eq!(still_pulling(&[event("Scheduled")]), None);
    }

    #[test]
    fn the_container_that_the_others_wait_for_goes_first() {
        let running = |name: &str, restarts: i32| json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": restarts, "state": {"running": {}}});
        let pod = |before: i32| -> Pod {
            serde_json::from_value(json!({
                "spec": {"initContainers": [{"name": "fetch"}], "containers": [{"name": "serve"}]},
                "status": {"initContainerStatuses": [running("fetch", before)], "containerStatuses": [running("serve", 0)]}}))
            .unwrap()
        };
        assert_eq!(under_way(&pod(0)).map(|one| one.name.as_str()), Some("fetch"));
        // What was started anew is not getting on.
        assert_eq!(under_way(&pod(1)).map(|one| one.name.as_str()), Some("serve"));
    }
}
