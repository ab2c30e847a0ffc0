//! Probes that are refused for good: the container runs, somebody answers, and the answer will not become another one.
//!
//! A probe that fails mostly says "not yet": nothing listens before the model is loaded, a 503 says so in so many words.
//! Neither is called here, however long it lasts. What is called is an answer that a program gives which serves something
//! else than what is asked for.
//!
//! Sources of the words: `pkg/probe/http/http.go` (`HTTP probe failed with statuscode: 404`), `pkg/probe/grpc/grpc.go`, and Go's
//! `net/http` for what a client says of an answer in another protocol. The kubelet merges events of the same words into one with
//! a count and two times, and sends no more than 25 of a pod at once (`client-go/tools/record/events_cache.go`): a refusal counts
//! by what its event says, and one that the kubelet stopped telling of is none.

use std::{borrow::Borrow, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Container, Event, Pod, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::ResourceExt as _;

use super::{ProbeKind, is_of, times_of};
use crate::{
    cluster::unrecoverable::Unrecoverable,
    redact::cut,
    verdict::{Cause, CauseCode},
};

/// How long the same refusal must have lasted, by the kubelet's own clock: with its usual period of 10 s, whose times are told in
/// whole seconds, the second one counts.
const LASTS: Duration = Duration::from_secs(8);

/// Answers of HTTP that do not become others by waiting: who asks has no right to, or asks for what is not there. Not 400, which
/// some model servers answer until they are ready.
const FOR_GOOD: [u16; 5] = [401, 403, 404, 405, 410];

/// What a client says that asked in one protocol and was answered in another.
const OTHER_PROTOCOL: &[(&str, &str)] = &[
    (
        "server gave HTTP response to HTTPS client",
        "it asks over TLS, and the port speaks plain HTTP",
    ),
    // The beginning of an alert of TLS.
    (
        r#"malformed HTTP response "\x15\x03"#,
        "it asks over plain HTTP, and the port speaks TLS",
    ),
    (
        "this server does not implement the grpc health protocol",
        "the port speaks gRPC, and has no health service",
    ),
];

/// The first of these pods with a container whose probe is refused for good. `events` are the kubelet's of probes that failed.
pub(crate) fn first_refused<'a, E: Borrow<Event>>(
    pods: impl IntoIterator<Item = &'a Pod>,
    events: &[E],
) -> Option<Unrecoverable> {
    pods.into_iter().find_map(|pod| refused(pod, events))
}

fn refused<E: Borrow<Event>>(pod: &Pod, events: &[E]) -> Option<Unrecoverable> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    pod.spec.as_ref()?.containers.iter().find_map(|container| {
        let (kind, probe) = asked_now(pod, container)?;
        let why = port_that_is_not_there(container, probe).or_else(|| refusal(pod, container, kind, probe, events))?;
        let mut cause = Cause::new(CauseCode::PodProbeRefused).because(format!(
            "pod {}: container {} runs, and its {} ({}) is refused: {}",
            pod.name_any(),
            container.name,
            kind.field(),
            asked_for(probe),
            cut(&why, 400),
        ));
        if let Some(image) = container.image.as_deref().filter(|image| !image.is_empty()) {
            cause = cause.because(format!("image {image}"));
        }
        Some(Unrecoverable {
            namespace: pod.namespace().unwrap_or_default(),
            pod: pod.name_any(),
            container: Some(container.name.clone()),
            cause,
        })
    })
}

/// The probe by which a container is asked now: it runs since it was made, and is not ready. Until its startup probe has held
/// once, no other is asked.
fn asked_now<'a>(pod: &Pod, container: &'a Container) -> Option<(ProbeKind, &'a Probe)> {
    let mut statuses = pod.status.as_ref()?.container_statuses.iter().flatten();
    let status = statuses.find(|status| status.name == container.name)?;
    let runs = status.state.as_ref().is_some_and(|state| state.running.is_some());
    if !runs || status.ready || status.restart_count > 0 {
        return None;
    }
    let startup = container
        .startup_probe
        .as_ref()
        .filter(|_| status.started != Some(true));
    let startup = startup.map(|probe| (ProbeKind::Startup, probe));
    startup.or_else(|| Some((ProbeKind::Readiness, container.readiness_probe.as_ref()?)))
}

/// What is wrong with the port of a probe that is given by a name which no port of its container has.
fn port_that_is_not_there(container: &Container, probe: &Probe) -> Option<String> {
    let of_http = probe.http_get.as_ref().map(|http| &http.port);
    let of_tcp = probe.tcp_socket.as_ref().map(|tcp| &tcp.port);
    let IntOrString::String(name) = of_http.or(of_tcp)? else {
        return None;
    };
    let mut declared = container.ports.iter().flatten();
    // A number in quotes is a number.
    let is_known = name.parse::<u16>().is_ok() || declared.any(|port| port.name.as_ref() == Some(name));
    (!is_known).then(|| format!("the container has no port called `{name}`"))
}

/// Why a probe is refused for good, where the kubelet has told so for long enough and of nothing else since.
fn refusal<E: Borrow<Event>>(
    pod: &Pod,
    container: &Container,
    kind: ProbeKind,
    probe: &Probe,
    events: &[E],
) -> Option<String> {
    let lasting = lasting(pod, container, kind, events)?;
    let why = for_good(&lasting.said, kind, probe)?;
    Some(format!("{why} ({} times in {} s)", lasting.times, lasting.seconds))
}

/// A container whose probe asks a port that it does not declare, where nothing listens. Mostly it says "not yet"; where the
/// container already listens on all the ports that it declares, it will not listen on another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unheard {
    pub(crate) container: String,
    pub(crate) kind: ProbeKind,
    pub(crate) port: u16,
    /// What the kubelet says.
    pub(crate) said: String,
    /// The ports that the container declares.
    pub(crate) declared: Vec<u16>,
}

/// The first container of a pod that is asked where nothing listens and where it declares no port, and that declares others.
pub(crate) fn unheard<E: Borrow<Event>>(pod: &Pod, events: &[E]) -> Option<Unheard> {
    let spec = pod.spec.as_ref()?;
    let status = pod.status.as_ref()?;
    // One network is all containers', so another one may be the one to listen.
    let mut others = status.container_statuses.iter().flatten();
    if !others.all(|one| one.state.as_ref().is_some_and(|state| state.running.is_some())) {
        return None;
    }
    let all = spec.init_containers.iter().flatten().chain(&spec.containers);
    let of_all: Vec<u16> = all.flat_map(declared).collect();
    spec.containers.iter().find_map(|container| {
        let (kind, probe) = asked_now(pod, container)?;
        let lasting = lasting(pod, container, kind, events)?;
        let port = number_of_port(probe)?;
        let declared: Vec<u16> = declared(container).collect();
        let may_be_wrong = !declared.is_empty() && !of_all.contains(&port);
        let is_refused = lasting.said.contains("connect: connection refused");
        (may_be_wrong && is_refused).then(|| Unheard {
            container: container.name.clone(),
            kind,
            port,
            said: lasting.said,
            declared,
        })
    })
}

/// The TCP ports that a container declares.
fn declared(container: &Container) -> impl Iterator<Item = u16> {
    let ports = container.ports.iter().flatten();
    let of_tcp = ports.filter(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP");
    of_tcp.filter_map(|port| u16::try_from(port.container_port).ok())
}

/// The number of the port that a probe asks; `None` of a command, and of a port by its name.
fn number_of_port(probe: &Probe) -> Option<u16> {
    let of_http = probe.http_get.as_ref().map(|http| &http.port);
    let of_tcp = probe.tcp_socket.as_ref().map(|tcp| &tcp.port);
    match of_http.or(of_tcp) {
        Some(IntOrString::Int(number)) => u16::try_from(*number).ok(),
        Some(IntOrString::String(name)) => name.parse().ok(),
        None => u16::try_from(probe.grpc.as_ref()?.port).ok(),
    }
}

/// What the kubelet has told of a probe for long enough, and of nothing else since.
struct Lasting {
    said: String,
    times: i32,
    seconds: i64,
}

fn lasting<E: Borrow<Event>>(pod: &Pod, container: &Container, kind: ProbeKind, events: &[E]) -> Option<Lasting> {
    let beginning = format!("{} probe ", kind.word());
    let of_it = |event: &&Event| {
        is_of_pod(event, pod)
            && is_of(event, &container.name)
            && event.reason.as_deref() == Some("Unhealthy")
            && event.message.as_deref().is_some_and(|said| said.contains(&beginning))
    };
    let told: Vec<&Event> = events.iter().map(Borrow::borrow).filter(of_it).collect();
    let last = told.iter().max_by_key(|event| last_told(event))?;
    let (since, until) = (first_told(last)?, last_told(last)?);
    let others = told.iter().filter(|other| other.message != last.message);
    let is_alone = others.into_iter().all(|other| last_told(other) <= Some(since));
    let lasts = until.duration_since(since) >= jiff::SignedDuration::try_from(LASTS).ok()?;
    if !is_alone || !lasts || times_of(last) < 2 {
        return None;
    }
    let said = last.message.as_deref()?.strip_prefix(&kind.failed())?;
    Some(Lasting {
        said: said.trim_start_matches([':', ' ']).trim().to_owned(),
        times: times_of(last),
        seconds: until.duration_since(since).as_secs(),
    })
}

/// What a refusal says, where no waiting makes it another.
fn for_good(said: &str, kind: ProbeKind, probe: &Probe) -> Option<String> {
    let other = OTHER_PROTOCOL.iter().find(|(words, _)| said.contains(words));
    if let Some((_, means)) = other {
        return Some(format!("{means}: {said}"));
    }
    let status: u16 = said.strip_prefix("HTTP probe failed with statuscode: ")?.parse().ok()?;
    let names_a_model = probe.http_get.as_ref().is_some_and(|http| {
        let path = http.path.as_deref().unwrap_or_default();
        path.split_once("/models/").is_some_and(|(_, name)| !name.is_empty())
    });
    // A model that is asked for by its name is not there until it is loaded; and who writes a startup probe expects that paths
    // come later than the port.
    let may_come = status == 404 && (names_a_model || kind == ProbeKind::Startup);
    (FOR_GOOD.contains(&status) && !may_come).then(|| said.to_owned())
}

/// What a probe asks for, in few words.
fn asked_for(probe: &Probe) -> String {
    let number = |port: &IntOrString| match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    };
    if let Some(http) = &probe.http_get {
        let scheme = http.scheme.as_deref().unwrap_or("HTTP");
        return format!(
            "{scheme} {} at port {}",
            http.path.as_deref().unwrap_or("/"),
            number(&http.port)
        );
    }
    if let Some(grpc) = &probe.grpc {
        return format!("gRPC at port {}", grpc.port);
    }
    probe.tcp_socket.as_ref().map_or_else(
        || "a command".to_owned(),
        |tcp| format!("TCP at port {}", number(&tcp.port)),
    )
}

fn is_of_pod(event: &Event, pod: &Pod) -> bool {
    let (of, its) = (&event.involved_object, &pod.metadata);
    let same_uid = of.uid.is_none() || its.uid.is_none() || of.uid == its.uid;
    of.name == its.name && event.metadata.namespace == its.namespace && same_uid
}

fn first_told(event: &Event) -> Option<Timestamp> {
    let first = event.first_timestamp.as_ref().map(|time| time.0);
    first.or_else(|| event.event_time.as_ref().map(|time| time.0))
}

fn last_told(event: &Event) -> Option<Timestamp> {
    let in_series = event
        .series
        .as_ref()
        .and_then(|series| series.last_observed_time.as_ref());
    let last = in_series.map(|time| time.0);
    last.or_else(|| event.last_timestamp.as_ref().map(|time| time.0))
        .or_else(|| first_told(event))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    /// A pod with this container, of which this is the status.
    fn pod(container: &Value, status: &Value) -> Pod {
        let mut spec = json!({"name": "c", "image": "i:1"});
        let mut state = json!({"name": "c", "image": "i:1", "imageID": "", "ready": false, "started": true,
            "restartCount": 0, "state": {"running": {}}});
        for (whole, part) in [(&mut spec, container), (&mut state, status)] {
            whole.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        }
        serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"containers": [spec]}, "status": {"containerStatuses": [state]}}))
        .unwrap()
    }

    fn asks(path: &str) -> Value {
        json!({"readinessProbe": {"httpGet": {"port": 8000, "path": path}}})
    }

    /// Told from this second of a minute to that one.
    fn event(message: &str, from: u8, to: u8, count: i32) -> Event {
        let at = |second: u8| format!("2026-01-01T00:00:{second:02}Z");
        serde_json::from_value(
            json!({"metadata": {"namespace": "n"}, "reason": "Unhealthy", "message": message, "count": count,
            "firstTimestamp": at(from), "lastTimestamp": at(to),
            "involvedObject": {"name": "p", "uid": "u", "fieldPath": "spec.containers{c}"}}),
        )
        .unwrap()
    }

    fn answered(status: u16) -> String {
        format!("Readiness probe failed: HTTP probe failed with statuscode: {status}")
    }

    const REFUSED: &str = "Readiness probe failed: Get \"http://10.0.0.1:8000/health\": dial tcp 10.0.0.1:8000: connect: connection refused";

    fn said(pod: &Pod, events: &[Event]) -> Option<String> {
        first_refused([pod], events).map(|refused| refused.cause.evidence[0].clone())
    }

    #[rstest]
    #[case::no_such_path(&answered(404), true)]
    #[case::another_method(&answered(405), true)]
    #[case::without_a_key(&answered(401), true)]
    #[case::forbidden(&answered(403), true)]
    #[case::gone(&answered(410), true)]
    #[case::no_tls(
        "Readiness probe failed: Get \"https://10.0.0.1:8000/\": http: server gave HTTP response to HTTPS client",
        true
    )]
    #[case::tls(
        r#"Readiness probe failed: Get "http://10.0.0.1:8000/": net/http: HTTP/1.x transport connection broken: malformed HTTP response "\x15\x03\x01\x00\x02\x02P""#, true)]
    #[case::no_health_service(
        "Readiness probe failed: error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service",
        true
    )]
    #[case::not_yet(&answered(503), false)]
    #[case::some_say_400_until_they_are_ready(&answered(400), false)]
    #[case::too_many(&answered(429), false)]
    #[case::broken(&answered(500), false)]
    #[case::nothing_listens_yet(REFUSED, false)]
    #[case::slow(
        "Readiness probe failed: Get \"http://10.0.0.1:8000/\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
        false
    )]
    #[case::the_kubelet_cannot_ask("Readiness probe errored: rpc error: code = Unknown", false)]
    #[case::of_many_words(
        "(combined from similar events): Readiness probe failed: HTTP probe failed with statuscode: 404",
        false
    )]
    #[case::of_another_probe("Liveness probe failed: HTTP probe failed with statuscode: 404", false)]
    fn what_no_waiting_mends_is_told_from_what_is_not_yet(#[case] message: &str, #[case] expected: bool) {
        let found = said(&pod(&asks("/health"), &json!({})), &[event(message, 10, 18, 9)]);
        assert_eq!(found.is_some(), expected, "{found:?}");
    }

    #[test]
    fn a_refusal_is_told_with_what_was_asked_and_how_often() {
        let found = said(&pod(&asks("/nothing"), &json!({})), &[event(&answered(404), 10, 20, 3)]);
        let expected = "pod p: container c runs, and its readinessProbe (HTTP /nothing at port 8000) is refused: \
                        HTTP probe failed with statuscode: 404 (3 times in 10 s)";
        assert_eq!(found.as_deref(), Some(expected));
    }

    #[rstest]
    #[case::not_for_long(&[event(&answered(404), 10, 17, 8)])]
    #[case::once(&[event(&answered(404), 10, 18, 1)])]
    #[case::by_turns(&[event(&answered(404), 10, 20, 5), event(&answered(503), 11, 19, 5)])]
    #[case::something_else_since(&[event(&answered(404), 10, 20, 9), event(REFUSED, 21, 21, 1)])]
    #[case::of_nobody(&[])]
    fn what_does_not_last_alone_is_no_refusal(#[case] events: &[Event]) {
        assert_eq!(said(&pod(&asks("/health"), &json!({})), events), None);
    }

    #[test]
    fn a_server_that_began_to_listen_and_refuses_is_refused_from_then_on() {
        let events = [event(REFUSED, 1, 10, 9), event(&answered(404), 10, 18, 8)];
        assert!(said(&pod(&asks("/health"), &json!({})), &events).is_some());
    }

    #[rstest]
    #[case::ready(json!({"ready": true}))]
    #[case::started_anew(json!({"restartCount": 1}))]
    #[case::ended(json!({"state": {"terminated": {"exitCode": 0}}}))]
    #[case::not_made_yet(json!({"state": {"waiting": {}}}))]
    fn only_a_container_that_runs_since_it_was_made_is_judged(#[case] status: Value) {
        let refused = [event(&answered(404), 10, 20, 9)];
        assert_eq!(said(&pod(&asks("/health"), &status), &refused), None);
    }

    #[test]
    fn a_model_that_is_asked_for_by_name_may_still_be_loading() {
        let refused = [event(&answered(404), 10, 20, 9)];
        assert_eq!(said(&pod(&asks("/v1/models/llama"), &json!({})), &refused), None);
        assert!(said(&pod(&asks("/v1/models"), &json!({})), &refused).is_some());
    }

    #[test]
    fn an_event_of_another_pod_of_that_name_says_nothing() {
        let mut other = event(&answered(404), 10, 20, 9);
        other.involved_object.uid = Some("before".into());
        assert_eq!(said(&pod(&asks("/health"), &json!({})), &[other]), None);
    }

    #[test]
    fn until_a_startup_probe_has_held_it_is_the_one_that_is_asked() {
        let mut container = asks("/ready");
        container["startupProbe"] = json!({"httpGet": {"port": 8000, "path": "/started"}});
        let startup = |status: u16| format!("Startup probe failed: HTTP probe failed with statuscode: {status}");
        let events = [event(&startup(403), 10, 20, 9)];
        let starting = pod(&container, &json!({"started": false}));
        // Paths may come later than the port.
        assert_eq!(said(&starting, &[event(&startup(404), 10, 20, 9)]), None);
        let found = said(&starting, &events).unwrap();
        assert!(found.contains("startupProbe (HTTP /started at port 8000)"), "{found}");
        assert_eq!(said(&starting, &[event(&answered(404), 10, 20, 9)]), None);
        assert_eq!(said(&pod(&container, &json!({})), &events), None);
    }

    #[rstest]
    #[case::a_port_that_is_not_declared(json!(8000), json!([{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]), true)]
    #[case::a_port_that_is_declared(json!(8000), json!([{"containerPort": 8000}, {"containerPort": 80}]), false)]
    #[case::by_its_name(json!("http"), json!([{"name": "http", "containerPort": 80}]), false)]
    #[case::nothing_is_declared(json!(8000), json!([]), false)]
    fn a_probe_where_nothing_listens_may_ask_the_wrong_port(
        #[case] port: Value,
        #[case] ports: Value,
        #[case] may_be_wrong: bool,
    ) {
        let container = json!({"ports": ports, "readinessProbe": {"httpGet": {"port": port}}});
        let pod = pod(&container, &json!({}));
        let found = unheard(&pod, &[event(REFUSED, 1, 20, 19)]);
        assert_eq!(found.is_some(), may_be_wrong, "{found:?}");
        assert!(found.is_none_or(|found| found.declared == [80] && found.port == 8000));
        assert_eq!(unheard(&pod, &[event(REFUSED, 1, 5, 5)]), None);
        // Another container, which is not there yet, may be the one to listen.
        let mut more = pod.clone();
        let statuses = more.status.as_mut().unwrap().container_statuses.as_mut().unwrap();
        let waiting = json!({"name": "sidecar", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ContainerCreating"}}});
        statuses.push(serde_json::from_value(waiting).unwrap());
        assert_eq!(unheard(&more, &[event(REFUSED, 1, 20, 19)]), None);
        assert_eq!(unheard(&pod, &[event(&answered(404), 1, 20, 19)]), None);
    }

    #[rstest]
    #[case::not_declared(json!("web"), true)]
    #[case::declared(json!("http"), false)]
    #[case::a_number(json!(9999), false)]
    #[case::a_number_in_quotes(json!("9999"), false)]
    fn a_port_by_a_name_that_no_port_has_is_refused_at_once(#[case] port: Value, #[case] expected: bool) {
        let container = json!({"ports": [{"name": "http", "containerPort": 8000}],
            "readinessProbe": {"httpGet": {"port": port}}});
        let found = said(&pod(&container, &json!({})), &[]);
        assert_eq!(found.is_some(), expected, "{found:?}");
    }
}
