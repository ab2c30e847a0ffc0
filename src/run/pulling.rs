//! What nodes are pulling for pods that are not ready yet, in words.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use tokio::time::Instant;

/// A pull that is over sooner is not worth a word.
const WORTH_A_WORD: Duration = Duration::from_secs(3);
/// In steps of so many seconds it is said how long a pull takes: what is waited for is said each time that it changes.
const STEP: u64 = 5;

/// Since when images are seen to be pulled.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    since: BTreeMap<String, Instant>,
}

impl Pulls {
    /// `pulling IMAGE (62 MB) for 10 s` of each image that a node pulls for these pods; `None` where none does. `told` are the
    /// kubelets' events of pulls that began, `size` says how many bytes an image has, where that is known.
    pub(super) fn seen(
        &mut self,
        pods: &[Arc<Pod>],
        told: &[Arc<Event>],
        size: impl Fn(&str) -> Option<u64>,
        now: Instant,
    ) -> Option<String> {
        let mut images: Vec<String> = pods.iter().flat_map(|pod| pulled_for(pod, told)).collect();
        images.sort_unstable();
        images.dedup();
        self.since.retain(|image, _| images.contains(image));
        let said = images.into_iter().filter_map(|image| {
            let lasts = now.duration_since(*self.since.entry(image.clone()).or_insert(now));
            if lasts < WORTH_A_WORD {
                return None;
            }
            let size = size(&image).map_or_else(String::new, |bytes| format!(" ({})", megabytes(bytes)));
            let seconds = lasts.as_secs() / STEP * STEP;
            let lasts = if seconds == 0 {
                String::new()
            } else {
                format!(" for {seconds} s")
            };
            Some(format!("pulling {image}{size}{lasts}"))
        });
        let said: Vec<String> = said.collect();
        (!said.is_empty()).then(|| said.join(", "))
    }
}

/// The images that its node pulls for a pod: of containers that wait to be made, and whose pull has begun.
fn pulled_for(pod: &Pod, told: &[Arc<Event>]) -> Vec<String> {
    let status = pod.status.iter();
    let of_each = status.flat_map(|status| {
        let containers = status.container_statuses.iter().flatten();
        let before = status.init_container_statuses.iter().flatten();
        let containers = containers.map(|one| (one, format!("spec.containers{{{}}}", one.name)));
        containers.chain(before.map(|one| (one, format!("spec.initContainers{{{}}}", one.name))))
    });
    let began = |field: &String| {
        told.iter().any(|event| {
            event.involved_object.uid == pod.metadata.uid && event.involved_object.field_path.as_ref() == Some(field)
        })
    };
    of_each
        .filter(|(container, field)| is_being_made(container) && began(field))
        .map(|(container, _)| container.image.clone())
        .collect()
}

/// Whether a container is not made yet, and nothing is known to be wrong with it. Source: kubelet, `pkg/kubelet/kubelet_pods.go`
/// (`ContainerCreating`, and `PodInitializing` where init containers go first).
fn is_being_made(container: &ContainerStatus) -> bool {
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
    matches!(reason, Some("ContainerCreating" | "PodInitializing"))
}

/// A size as registries' pages show it: `62 MB`, `4.1 GB`.
fn megabytes(bytes: u64) -> String {
    const GIGA: u64 = 1_000_000_000;
    if bytes >= GIGA {
        return format!("{}.{} GB", bytes / GIGA, bytes % GIGA / (GIGA / 10));
    }
    format!("{} MB", bytes.div_ceil(1_000_000))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn pod(reason: &str) -> Arc<Pod> {
        let container = json!({"name": "serve", "image": "r.example/vllm:v1", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": reason}}});
        let pod = json!({"metadata": {"name": "p", "uid": "u"}, "status": {"containerStatuses": [container]}});
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn pull_of(uid: &str, container: &str) -> Arc<Event> {
        let event = json!({"metadata": {}, "reason": "Pulling",
            "involvedObject": {"uid": uid, "fieldPath": format!("spec.containers{{{container}}}")}});
        Arc::new(serde_json::from_value(event).unwrap())
    }

    /// What is said after each of these seconds.
    fn said(pod: &Arc<Pod>, told: &Arc<Event>, size: Option<u64>, seconds: &[u64]) -> Vec<Option<String>> {
        let (mut pulls, began) = (Pulls::default(), Instant::now());
        let pods = [Arc::clone(pod)];
        let told = [Arc::clone(told)];
        let mut after = |seconds: &u64| pulls.seen(&pods, &told, |_| size, began + Duration::from_secs(*seconds));
        seconds.iter().map(&mut after).collect()
    }

    #[test]
    fn a_pull_is_said_once_it_takes_a_while_with_its_size_and_how_long_it_takes() {
        let said = said(
            &pod("ContainerCreating"),
            &pull_of("u", "serve"),
            Some(4_123_000_000),
            &[0, 3, 9, 10],
        );
        let said: Vec<Option<&str>> = said.iter().map(Option::as_deref).collect();
        let expected = [
            None,
            Some("pulling r.example/vllm:v1 (4.1 GB)"),
            Some("pulling r.example/vllm:v1 (4.1 GB) for 5 s"),
            Some("pulling r.example/vllm:v1 (4.1 GB) for 10 s"),
        ];
        assert_eq!(said, expected);
    }

    #[rstest]
    #[case::waits_for_something_else("ContainerCreating", "u", "other")]
    #[case::of_another_pod("ContainerCreating", "v", "serve")]
    #[case::failed("ErrImagePull", "u", "serve")]
    fn what_is_not_seen_to_be_pulled_is_not_said(#[case] reason: &str, #[case] uid: &str, #[case] container: &str) {
        assert_eq!(said(&pod(reason), &pull_of(uid, container), None, &[0, 60])[1], None);
    }

    #[rstest]
    #[case(1, "1 MB")]
    #[case(61_500_000, "62 MB")]
    #[case(12_345_678_901, "12.3 GB")]
    fn a_size_is_said_as_people_say_it(#[case] bytes: u64, #[case] said: &str) {
        assert_eq!(megabytes(bytes), said);
    }
}
