//! Why a pod will never be ready: the classification of what kubelet and scheduler report.
//!
//! Sources of the words: the kubelet's container waiting reasons (`pkg/kubelet/images/types.go`,
//! `pkg/kubelet/kuberuntime`), the scheduler's `PodScheduled` condition. Crash loops count *also with exit code 0*: a
//! container of a Deployment must not end. Transient classes get a grace window.

use std::{collections::HashMap, time::Duration};

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Node, Pod};
use kube::ResourceExt as _;
use tokio::time::Instant;

use crate::verdict::{Cause, CauseCode};

/// Why a pod will never be ready, and which container says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unrecoverable {
    /// The pod's namespace.
    pub(crate) namespace: String,
    /// The pod's name.
    pub(crate) pod: String,
    /// The container whose last words are worth reading, where there is one.
    pub(crate) container: Option<String>,
    /// The cause, with what the kubelet or scheduler said as evidence.
    pub(crate) cause: Cause,
}

impl Unrecoverable {
    /// Whether it is for an image that does not exist, under a name that may be none.
    pub(crate) fn has_no_image(&self) -> bool {
        matches!(
            self.cause.code,
            CauseCode::PodImageInvalid | CauseCode::PodImageNotFound
        )
    }
}

/// How long a state that may pass by itself is borne, from when it was first seen.
const GRACE: Duration = Duration::from_secs(5);
/// The same for image pulls that fail for another reason than "not found": registries hiccup.
const PULL_GRACE: Duration = Duration::from_secs(20);
/// Restarts after which a container counts as crash-looping even between two back-offs.
const RESTARTS: i32 = 2;

/// The first signs of what keeps pods from being ready. A pod shows them for a moment only: the error of a pull is hidden by
/// its back-off, the first end of a container by the next.
#[derive(Debug, Default)]
pub(crate) struct PodHistory {
    /// By pod, or by container, which is in one such state at a time.
    states: HashMap<String, State>,
    /// By container.
    ended: HashMap<String, ContainerStateTerminated>,
}

/// A state that may pass.
#[derive(Debug)]
struct State {
    code: CauseCode,
    since: Instant,
    /// What was said first, or of a pod that fits no node last: nodes come and go.
    said: String,
}

impl PodHistory {
    /// The first pod that will never be ready, and why.
    pub(crate) fn first_unrecoverable<'a>(
        &mut self,
        pods: impl IntoIterator<Item = &'a Pod>,
        now: Instant,
    ) -> Option<Unrecoverable> {
        pods.into_iter().find_map(|pod| self.judge_pod(pod, now))
    }

    /// Why this pod will never be ready, or `None` while it may.
    pub(crate) fn judge_pod(&mut self, pod: &Pod, now: Instant) -> Option<Unrecoverable> {
        if pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let status = pod.status.as_ref()?;
        let unscheduled = status
            .conditions
            .iter()
            .flatten()
            .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
            .filter(|condition| condition.reason.as_deref() == Some("Unschedulable"));
        let Some(condition) = unscheduled else {
            self.states.remove(&key(pod, None));
            let containers = status
                .init_container_statuses
                .iter()
                .flatten()
                .chain(status.container_statuses.iter().flatten());
            return containers
                .into_iter()
                .find_map(|container| self.judge_container(pod, container, now));
        };
        let message = condition.message.clone().unwrap_or_default();
        self.after(pod, None, CauseCode::PodUnschedulable, &message, GRACE, now)
    }

    fn judge_container(&mut self, pod: &Pod, container: &ContainerStatus, now: Instant) -> Option<Unrecoverable> {
        let state = container.state.as_ref()?;
        let waiting = state.waiting.as_ref();
        let reason = waiting
            .and_then(|waiting| waiting.reason.as_deref())
            .unwrap_or_default();
        let message = waiting
            .and_then(|waiting| waiting.message.as_deref())
            .unwrap_or_default();
        let (code, grace) = match reason {
            "InvalidImageName" => (CauseCode::PodImageInvalid, Duration::ZERO),
            // The kubelet gives the registry's answer as text only; `ImagePullBackOff` hides it, so the first word is kept.
            "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" => {
                let known = self.states.get(&key(pod, Some(container)));
                let is_known = known.is_some_and(|known| known.code == CauseCode::PodImageNotFound);
                if is_known || message.contains("not found") || message.contains("NotFound") {
                    (CauseCode::PodImageNotFound, Duration::ZERO)
                } else {
                    (CauseCode::PodImagePull, PULL_GRACE)
                }
            }
            "CreateContainerConfigError" => (CauseCode::PodConfigMissing, GRACE),
            "CreateContainerError" | "RunContainerError" => (CauseCode::PodCrash, GRACE),
            _ => return self.judge_ends(pod, container, reason == "CrashLoopBackOff", now),
        };
        let said = format!("container {}: {reason}: {message}", container.name);
        self.after(pod, Some(container), code, &said, grace, now)
    }

    fn judge_ends(
        &mut self,
        pod: &Pod,
        container: &ContainerStatus,
        backing_off: bool,
        now: Instant,
    ) -> Option<Unrecoverable> {
        let key = key(pod, Some(container));
        let ended = [container.state.as_ref(), container.last_state.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|state| state.terminated.as_ref());
        let Some(ended) = ended else {
            self.states.remove(&key);
            return None;
        };
        let first = self.ended.entry(key.clone()).or_insert_with(|| ended.clone()).clone();
        if !backing_off && container.restart_count < RESTARTS {
            self.states.remove(&key);
            return None;
        }
        let ran_out = [&first, ended]
            .iter()
            .any(|end| end.reason.as_deref() == Some("OOMKilled"));
        let code = if ran_out {
            CauseCode::PodOutOfMemory
        } else {
            CauseCode::PodCrash
        };
        let before = if how(&first) == how(ended) {
            String::new()
        } else {
            format!("first with {}, ", how(&first))
        };
        let said = format!(
            "container {} ended {} times, {before}last with {}",
            container.name,
            container.restart_count.max(1),
            how(ended),
        );
        self.after(pod, Some(container), code, &said, Duration::ZERO, now)
    }

    fn after(
        &mut self,
        pod: &Pod,
        container: Option<&ContainerStatus>,
        code: CauseCode,
        said: &str,
        grace: Duration,
        now: Instant,
    ) -> Option<Unrecoverable> {
        let new = || State {
            code,
            since: now,
            said: said.to_owned(),
        };
        let state = self.states.entry(key(pod, container)).or_insert_with(new);
        if state.code != code {
            *state = new();
        }
        if code == CauseCode::PodUnschedulable {
            said.clone_into(&mut state.said);
        }
        if now.duration_since(state.since) < grace {
            return None;
        }
        let mut cause = Cause::new(code).because(format!("pod {}: {}", pod.name_any(), state.said));
        if let Some(container) = container.filter(|container| !container.image.is_empty()) {
            cause = cause.because(format!("image {}", container.image));
        }
        Some(Unrecoverable {
            namespace: pod.namespace().unwrap_or_default(),
            pod: pod.name_any(),
            container: container.map(|container| container.name.clone()),
            cause,
        })
    }
}

/// The first of these pods that is in a state that no longer passes: what waited for it has given up, so nothing more is borne.
pub(crate) fn stuck<'a>(pods: impl IntoIterator<Item = &'a Pod> + Clone) -> Option<Unrecoverable> {
    let (mut history, now) = (PodHistory::default(), Instant::now());
    let at_once = history.first_unrecoverable(pods.clone(), now);
    at_once.or_else(|| history.first_unrecoverable(pods, now + BORNE))
}

/// Longer than any state is borne that may pass.
const BORNE: Duration = Duration::from_mins(1);

/// A pod, or a container of it. A pod of the same name that comes after it is another.
fn key(pod: &Pod, container: Option<&ContainerStatus>) -> String {
    let container = container.map_or("", |container| &container.name);
    let pod = &pod.metadata;
    let [namespace, name, uid] = [&pod.namespace, &pod.name, &pod.uid].map(|part| part.as_deref().unwrap_or_default());
    format!("{namespace}/{name}/{uid}/{container}")
}

/// How a container ended, in words.
fn how(ended: &ContainerStateTerminated) -> String {
    let reason = ended.reason.as_deref().unwrap_or_default();
    let message = ended.message.as_deref().map(|message| format!(": {}", message.trim()));
    format!(
        "exit code {} ({reason}){}",
        ended.exit_code,
        message.unwrap_or_default()
    )
}

/// What a pod that does not fit asks for against what each node can give, in kubectl's units.
pub(crate) fn request_against_nodes(pod: &Pod, nodes: &[Node]) -> Vec<String> {
    let mut lines = Vec::new();
    for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
        let requests = container
            .resources
            .as_ref()
            .and_then(|resources| resources.requests.as_ref());
        let asked: Vec<String> = requests
            .into_iter()
            .flatten()
            .map(|(name, quantity)| format!("{name} {}", quantity.0))
            .collect();
        if !asked.is_empty() {
            lines.push(format!("container {} requests {}", container.name, asked.join(", ")));
        }
    }
    for node in nodes {
        let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
        let offered: Vec<String> = ["cpu", "memory", "nvidia.com/gpu"]
            .iter()
            .filter_map(|name| Some(format!("{name} {}", allocatable?.get(*name)?.0)))
            .collect();
        lines.push(format!(
            "node {} can give {} in all",
            node.name_any(),
            offered.join(", ")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"}, "status": status})).unwrap()
    }

    fn container(state: &Value, last: &Value, restarts: i32) -> Pod {
        pod(
            &json!({"containerStatuses": [{"name": "c", "image": "i:1", "imageID": "", "ready": false,
            "restartCount": restarts, "state": state, "lastState": last}]}),
        )
    }

    fn waiting(reason: &str, message: &str) -> Value {
        json!({"waiting": {"reason": reason, "message": message}})
    }

    fn ended(code: i32, reason: &str) -> Value {
        json!({"terminated": {"exitCode": code, "reason": reason}})
    }

    #[rstest]
    #[case::image_gone(container(&waiting("ErrImagePull", "epp:v9.9.9: not found"), &json!({}), 0), Some(CauseCode::PodImageNotFound))]
    #[case::image_name(container(&waiting("InvalidImageName", "x"), &json!({}), 0), Some(CauseCode::PodImageInvalid))]
    #[case::registry_hiccup(container(&waiting("ErrImagePull", "i/o timeout"), &json!({}), 0), None)]
    #[case::crash(container(&waiting("CrashLoopBackOff", ""), &ended(2, "Error"), 1), Some(CauseCode::PodCrash))]
    #[case::crash_with_exit_code_zero(container(&waiting("CrashLoopBackOff", ""), &ended(0, "Completed"), 1), Some(CauseCode::PodCrash))]
    #[case::one_restart_is_borne(container(&json!({"running": {}}), &ended(1, "Error"), 1), None)]
    #[case::two_are_not(container(&json!({"running": {}}), &ended(1, "Error"), 2), Some(CauseCode::PodCrash))]
    #[case::out_of_memory(container(&waiting("CrashLoopBackOff", ""), &ended(137, "OOMKilled"), 2), Some(CauseCode::PodOutOfMemory))]
    #[case::config_may_come(container(&waiting("CreateContainerConfigError", "secret \"x\" not found"), &json!({}), 0), None)]
    #[case::creating(container(&waiting("ContainerCreating", ""), &json!({}), 0), None)]
    fn a_pod_is_judged_at_first_sight(#[case] pod: Pod, #[case] expected: Option<CauseCode>) {
        let failed = PodHistory::default().judge_pod(&pod, Instant::now());
        assert_eq!(failed.map(|failed| failed.cause.code), expected);
    }

    #[test]
    fn passing_states_are_borne_no_longer_than_their_grace() {
        let mut history = PodHistory::default();
        let now = Instant::now();
        let config = container(
            &waiting("CreateContainerConfigError", "secret not there"),
            &json!({}),
            0,
        );
        assert_eq!(history.judge_pod(&config, now), None);
        let later = history.judge_pod(&config, now + GRACE).unwrap();
        assert_eq!(later.cause.code, CauseCode::PodConfigMissing);
    }

    #[test]
    fn the_first_word_about_an_image_is_kept_through_the_back_off() {
        let mut history = PodHistory::default();
        let now = Instant::now();
        history.judge_pod(
            &container(&waiting("ErrImagePull", "epp:v9: not found"), &json!({}), 0),
            now,
        );
        let backing_off = container(&waiting("ImagePullBackOff", "Back-off pulling image"), &json!({}), 0);
        let failed = history.judge_pod(&backing_off, now).unwrap();
        assert_eq!(failed.cause.code, CauseCode::PodImageNotFound);
        assert!(failed.cause.evidence[0].contains("epp:v9: not found"));
    }

    #[test]
    fn an_unschedulable_pod_will_never_be_ready_after_its_grace() {
        let unschedulable = pod(&json!({"conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient cpu."}]}));
        let mut history = PodHistory::default();
        let now = Instant::now();
        assert_eq!(history.judge_pod(&unschedulable, now), None);
        let failed = history.judge_pod(&unschedulable, now + GRACE).unwrap();
        assert_eq!(failed.cause.code, CauseCode::PodUnschedulable);
    }

    #[test]
    fn a_pod_that_fits_no_node_is_told_with_the_schedulers_last_word() {
        let says = |message: &str| {
            pod(
                &json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": message}]}),
            )
        };
        let (mut history, now) = (PodHistory::default(), Instant::now());
        assert_eq!(history.judge_pod(&says("1 node(s) had untolerated taint"), now), None);
        let failed = history.judge_pod(&says("1 Insufficient cpu"), now + GRACE);
        assert_eq!(failed.unwrap().cause.evidence[0], "pod p: 1 Insufficient cpu");
    }

    #[test]
    fn how_a_container_ended_first_is_kept_through_the_ends_that_follow() {
        let (mut history, now) = (PodHistory::default(), Instant::now());
        let first = container(&ended(137, "OOMKilled"), &json!({}), 0);
        assert_eq!(history.judge_pod(&first, now), None);
        let later = container(&waiting("CrashLoopBackOff", ""), &ended(1, "Error"), 2);
        let failed = history.judge_pod(&later, now).unwrap();
        assert_eq!(failed.cause.code, CauseCode::PodOutOfMemory);
        let told =
            "pod p: container c ended 2 times, first with exit code 137 (OOMKilled), last with exit code 1 (Error)";
        assert_eq!(failed.cause.evidence[0], told);
    }

    #[test]
    fn a_state_that_passed_begins_anew_when_it_comes_again() {
        let (mut history, now) = (PodHistory::default(), Instant::now());
        let config = container(
            &waiting("CreateContainerConfigError", "secret not there"),
            &json!({}),
            0,
        );
        assert_eq!(history.judge_pod(&config, now), None);
        let runs = container(&json!({"running": {}}), &json!({}), 0);
        assert_eq!(history.judge_pod(&runs, now + GRACE), None);
        assert_eq!(history.judge_pod(&config, now + GRACE), None);
        assert!(history.judge_pod(&config, now + GRACE + GRACE).is_some());
    }

    #[test]
    fn a_pod_of_the_same_name_that_comes_after_another_is_judged_by_itself() {
        let (mut history, now) = (PodHistory::default(), Instant::now());
        let mut first = container(&waiting("ErrImagePull", "epp:v9: not found"), &json!({}), 0);
        first.metadata.uid = Some("1".into());
        assert!(history.judge_pod(&first, now).is_some());
        let mut next = container(&waiting("ErrImagePull", "i/o timeout"), &json!({}), 0);
        next.metadata.uid = Some("2".into());
        assert_eq!(history.judge_pod(&next, now), None);
    }

    #[test]
    fn numbers_stand_beside_an_unschedulable_pod() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"containers": [
            {"name": "epp", "resources": {"requests": {"cpu": "64"}}}]}}))
        .unwrap();
        let node: Node = serde_json::from_value(
            json!({"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "2", "memory": "8Gi"}}}),
        )
        .unwrap();
        assert_eq!(
            request_against_nodes(&pod, &[node]),
            [
                "container epp requests cpu 64",
                "node n can give cpu 2, memory 8Gi in all"
            ]
        );
    }

    #[rstest]
    #[case::unreachable("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout", Some(CauseCode::PodImagePull))]
    #[case::backing_off("ImagePullBackOff", "Back-off pulling image", Some(CauseCode::PodImagePull))]
    #[case::not_there("ErrImagePull", "proxyv2:9.9.9: not found", Some(CauseCode::PodImageNotFound))]
    #[case::no_config(
        "CreateContainerConfigError",
        "secret \"x\" not found",
        Some(CauseCode::PodConfigMissing)
    )]
    #[case::being_made("ContainerCreating", "", None)]
    fn a_pod_that_was_waited_for_in_vain_tells_why(
        #[case] reason: &str,
        #[case] message: &str,
        #[case] cause: Option<CauseCode>,
    ) {
        let pods = [container(&waiting(reason, message), &json!({}), 0)];
        assert_eq!(stuck(&pods).map(|stuck| stuck.cause.code), cause);
    }
}
