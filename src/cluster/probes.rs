//! What the kubelet says of a container's probes, in events: that one had it killed, and what the probe last said; or that one is
//! refused for good.
//!
//! Sources: `pkg/kubelet/kuberuntime/kuberuntime_manager.go` (`Container NAME failed liveness probe, will be restarted`) and
//! `pkg/kubelet/prober/prober.go` (`Liveness probe failed: …`). An event's reason tells what it is of; which probe it was stands in
//! its message alone.

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{Api, Client, api::ListParams};

mod refused;

pub(crate) use refused::{Unheard, first_refused, unheard};

/// The events of a pod, in the order in which they last happened. None where they may not be read.
pub(crate) async fn events_of(client: &Client, pod: &Pod) -> Vec<Event> {
    let (Some(namespace), Some(name)) = (&pod.metadata.namespace, &pod.metadata.name) else {
        return Vec::new();
    };
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let its = ListParams::default().fields(&format!("involvedObject.name={name}"));
    let Ok(listed) = events.list(&its.limit(MOST_EVENTS)).await else {
        return Vec::new();
    };
    let mut its: Vec<Event> = listed.items;
    its.retain(|event| event.involved_object.name.as_ref() == Some(name));
    its.sort_by_key(|event| {
        let last = event.last_timestamp.as_ref().map(|time| time.0);
        last.or_else(|| event.event_time.as_ref().map(|time| time.0))
    });
    its
}

/// How many events of one pod are looked at.
const MOST_EVENTS: u32 = 250;

/// A probe of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeKind {
    Liveness,
    Readiness,
    Startup,
}

impl ProbeKind {
    /// Its name, as it stands in a manifest.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Liveness => "livenessProbe",
            Self::Readiness => "readinessProbe",
            Self::Startup => "startupProbe",
        }
    }

    /// Its name, as the kubelet begins a sentence with it.
    fn word(self) -> &'static str {
        match self {
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
            Self::Startup => "Startup",
        }
    }

    /// How the kubelet says that it has killed for it.
    fn killed(self) -> String {
        format!("failed {} probe", self.word().to_lowercase())
    }

    /// How the kubelet begins to say that it failed.
    fn failed(self) -> String {
        format!("{} probe failed", self.word())
    }
}

/// A container that its probe has killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Killed {
    pub(crate) by: ProbeKind,
    pub(crate) times: i32,
    /// What the probe last said of it; empty where no event tells.
    pub(crate) said: String,
}

/// Which probe has killed a container, where that is how it ended most of the times that it was started anew. What ends by
/// itself and was killed once is no such container.
pub(crate) fn killed(events: &[Event], container: &str, restarts: i32) -> Option<Killed> {
    let of_it = |event: &&Event| is_of(event, container);
    let message = |event: &Event| event.message.clone().unwrap_or_default();
    [ProbeKind::Startup, ProbeKind::Liveness].into_iter().find_map(|by| {
        let (killing, failing) = (by.killed(), by.failed());
        let kills = events
            .iter()
            .filter(of_it)
            .filter(|event| event.reason.as_deref() == Some("Killing") && message(event).contains(&killing));
        let times: i32 = kills.map(times_of).sum();
        if times == 0 || times * 2 < restarts {
            return None;
        }
        let said = events.iter().rev().filter(of_it).find_map(|event| {
            let said = message(event);
            let said = said.strip_prefix(&failing)?.trim_start_matches([':', ' ']).trim();
            (event.reason.as_deref() == Some("Unhealthy")).then(|| said.to_owned())
        });
        Some(Killed {
            by,
            times,
            said: said.unwrap_or_default(),
        })
    })
}

/// Whether an event is about this container of its pod.
fn is_of(event: &Event, container: &str) -> bool {
    let place = event.involved_object.field_path.as_deref().unwrap_or_default();
    place.ends_with(&format!("{{{container}}}"))
}

fn times_of(event: &Event) -> i32 {
    let series = event.series.as_ref().and_then(|series| series.count);
    series.or(event.count).unwrap_or(1).max(1)
}

/// What was last warned of about a pod, in one line; `None` where nothing was.
pub(crate) fn last_warning(events: &[Event]) -> Option<String> {
    let warning = events
        .iter()
        .rev()
        .find(|event| event.type_.as_deref() == Some("Warning"))?;
    let reason = warning.reason.as_deref().unwrap_or_default();
    Some(format!(
        "{reason}: {}",
        warning.message.as_deref().unwrap_or_default().trim()
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(container: &str, reason: &str, message: &str, count: i32) -> Event {
        serde_json::from_value(
            json!({"metadata": {}, "type": if reason == "Killing" { "Normal" } else { "Warning" },
            "reason": reason, "message": message, "count": count,
            "involvedObject": {"name": "p", "fieldPath": format!("spec.containers{{{container}}}")}}),
        )
        .unwrap()
    }

    const LIVENESS: &str = "Container c failed liveness probe, will be restarted";

    #[test]
    fn the_probe_that_killed_is_named_with_its_last_word() {
        let events = [
            event(
                "c",
                "Unhealthy",
                "Liveness probe failed: HTTP probe failed with statuscode: 503",
                3,
            ),
            event("c", "Killing", LIVENESS, 2),
            event(
                "c",
                "Unhealthy",
                "Liveness probe failed: HTTP probe failed with statuscode: 404",
                3,
            ),
            event("c", "Unhealthy", "Readiness probe failed: refused", 9),
        ];
        let expected = Killed {
            by: ProbeKind::Liveness,
            times: 2,
            said: "HTTP probe failed with statuscode: 404".into(),
        };
        assert_eq!(killed(&events, "c", 2), Some(expected));
        assert_eq!(killed(&events, "other", 2), None);
        assert_eq!(
            last_warning(&events).as_deref(),
            Some("Unhealthy: Readiness probe failed: refused")
        );
    }

    #[test]
    fn a_startup_probe_kills_too() {
        let events = [
            event(
                "c",
                "Unhealthy",
                "Startup probe failed: dial tcp 10.0.0.1:80: connect: connection refused\n",
                3,
            ),
            event("c", "Killing", "Container c failed startup probe, will be restarted", 3),
        ];
        let killed = killed(&events, "c", 3).unwrap();
        assert_eq!(killed.by, ProbeKind::Startup);
        assert_eq!(killed.said, "dial tcp 10.0.0.1:80: connect: connection refused");
    }

    #[test]
    fn what_ends_by_itself_was_not_killed() {
        let failed = event("c", "Unhealthy", "Liveness probe failed: refused", 9);
        assert_eq!(killed(std::slice::from_ref(&failed), "c", 4), None);
        let once = [failed, event("c", "Killing", LIVENESS, 1)];
        assert_eq!(killed(&once, "c", 4), None);
        assert!(killed(&once, "c", 2).is_some());
        let scaled_down = [event("c", "Killing", "Stopping container c", 5)];
        assert_eq!(killed(&scaled_down, "c", 2), None);
    }
}
