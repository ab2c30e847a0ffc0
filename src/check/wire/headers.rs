//! The headers of an answer contradict neither each other nor its body.

use super::{AnswerKind, ParsedAnswer, Unjudged, Way, WireCheck, form, quoted};
use crate::{probe::Received, verdict::CauseCode};

/// Headers that belong to one connection are not passed on from another.
///
/// Sources: RFC 9110, section 7.6.1 (a field of one connection is named in `connection`, and a proxy removes it); RFC 9112,
/// section 6.1; RFC 9113, section 8.2.2 (HTTP/2 has none).
pub(super) const HOP_BY_HOP: WireCheck = WireCheck {
    name: "hop-by-hop-headers",
    sentence: "no header of another connection is passed on",
    cause: |_| CauseCode::AnswerHeadersWrong,
    decides: &[],
    judge: |seen| {
        let received = seen.whole()?;
        let mut faults = hop_by_hop(received);
        if is_behind_gateway(seen, received) {
            faults.extend(unnamed(received, KEEP_ALIVE));
        }
        Ok(faults)
    },
};

/// The length said and the length sent, and no `transfer-encoding` beside it: both together are how one message is smuggled
/// in another. Source: RFC 9112, sections 6.1 to 6.3.
pub(super) const CONTENT_LENGTH: WireCheck = WireCheck {
    name: "content-length",
    sentence: "the content-length, where there is one, is the body's, and nothing else tells its end",
    cause: |_| CauseCode::AnswerHeadersWrong,
    decides: &[],
    judge: |seen| {
        let received = seen.head()?;
        let values = values(received, "content-length");
        let value = match values[..] {
            [] => return Err(Unjudged::because("the answer has no content-length")),
            [value] => value,
            _ => return Err(Unjudged::because("the answer says two lengths")),
        };
        let mut faults = Vec::new();
        if received.headers.iter().any(|(name, _)| name == "transfer-encoding") {
            faults.push("content-length stands beside transfer-encoding".into());
        }
        // Such an answer has no body, and may say the length that another would have. Source: RFC 9110, section 8.6.
        let bodiless = seen.answer.request.method == "HEAD" || received.status == 304;
        match value.parse::<usize>() {
            Err(_) => faults.push(format!("content-length is `{}`, and no number", quoted(value))),
            Ok(said) if said != received.body_bytes && !bodiless && seen.whole().is_ok() => {
                faults.push(format!(
                    "content-length is {said} and the body has {} bytes",
                    received.body_bytes
                ));
            }
            Ok(_) => {}
        }
        Ok(faults)
    },
};

/// No contradicting duplicates.
pub(super) const CONTRADICTING_HEADERS: WireCheck = WireCheck {
    name: "contradicting-headers",
    sentence: "no header that may stand once says two things",
    cause: |_| CauseCode::AnswerHeadersWrong,
    decides: &[],
    judge: |seen| Ok(contradictions(seen.head()?)),
};

fn contradictions(received: &Received) -> Vec<String> {
    let fault = |name: &&&str| {
        let values = values(received, name);
        (values.len() > 1).then(|| format!("`{name}` is `{}`", quoted(&values.join("` and `"))))
    };
    ONCE.iter().filter_map(|name| fault(&name)).collect()
}

/// Whether it is for its headers that the HTTP client does not take an answer whose headers came: then another check tells
/// what is wrong with them.
pub(super) fn are_refused(seen: &ParsedAnswer<'_>) -> bool {
    let is_no_length = |head: &Received| {
        values(head, "content-length")
            .iter()
            .any(|value| value.parse::<usize>().is_err())
    };
    let head = seen.head().ok().filter(|_| seen.whole().is_err());
    head.is_some_and(|head| !contradictions(head).is_empty() || is_no_length(head))
}

/// The value of `content-type` tells the form that the body must have.
pub(super) const CONTENT_TYPE: WireCheck = WireCheck {
    name: "content-type",
    sentence: "the body is of the type that the request must get, in UTF-8, and not packed",
    cause: |_| CauseCode::AnswerMalformed,
    decides: AnswerKind::ASKED,
    judge: |seen| Ok(form::faults(seen.wanted()?, seen.form()?)),
};

/// Headers of which two different values cannot both be true. `server` and `date` are left out: many a proxy adds its
/// own beside that of the server behind it, and nobody acts on them.
const ONCE: &[&str] = &[
    "content-type",
    "content-length",
    "content-encoding",
    "location",
    "retry-after",
    "x-inference-pod",
    "x-inference-namespace",
    "x-inference-port",
    "x-went-into-resp-headers",
];

/// The different values of a header, in order. Of lengths a list in one line counts as several lines: so a proxy may
/// have joined them (RFC 9110, section 8.6).
pub(super) fn values<'a>(received: &'a Received, name: &str) -> Vec<&'a str> {
    let mut values = Vec::new();
    for (_, value) in received.headers.iter().filter(|(header, _)| header == name) {
        let separator = if name == "content-length" { ',' } else { '\0' };
        for value in value.split(separator).map(str::trim) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
    values
}

/// Fields that a response never has: a client says them to its proxy.
const NEVER: &[&str] = &["proxy-connection", "proxy-authorization", "te"];
/// Fields that a response may have where its own `connection` names them.
const KEEP_ALIVE: &str = "keep-alive";
const UPGRADE: &str = "upgrade";

/// Headers that gateways put on answers, and no model server does. Sources: RFC 9110, section 7.6.3; Envoy's documentation of
/// HTTP headers; the endpoint picker.
const OF_GATEWAYS: &[&str] = &["via", "x-envoy-upstream-service-time", "x-went-into-resp-headers"];
/// How the `server` of gateways begins, in small letters.
const GATEWAYS: &[&str] = &["apache", "caddy", "envoy", "istio-envoy", "nginx", "openresty"];

/// Whether a gateway stands in the path: it is known to, or has left its mark on the answer.
fn is_behind_gateway(seen: &ParsedAnswer<'_>, received: &Received) -> bool {
    let is_gateway = |server: &str| GATEWAYS.iter().any(|name| server.to_lowercase().starts_with(name));
    let is_mark = |(name, value): &(String, String)| {
        OF_GATEWAYS.contains(&name.as_str()) || name == "server" && is_gateway(value)
    };
    seen.expected.way == Way::ThroughGateway || received.headers.iter().any(is_mark)
}

/// What is odd about the headers of an answer that no gateway is known to have passed on.
///
/// cpp-httplib, and so llama.cpp's server, writes `Keep-Alive` on every answer and no `Connection` that names it. Passed on by
/// a gateway it is another connection's; of the server itself it does nobody any harm.
pub(super) fn oddity(seen: &ParsedAnswer<'_>) -> Option<String> {
    let received = seen.whole().ok()?;
    unnamed(received, KEEP_ALIVE).filter(|_| !is_behind_gateway(seen, received))?;
    Some("the server sends `keep-alive` without a `connection` that names it (RFC 9110, 7.6.1); nobody minds".into())
}

/// That a header of one connection is not named by `connection`, where that is so. Source: RFC 9110, section 7.6.1.
fn unnamed(received: &Received, name: &str) -> Option<String> {
    if received.version == "HTTP/2" {
        return None;
    }
    let there = received.headers.iter().any(|(header, _)| header == name);
    let mut options = list(received, "connection");
    let is_named = options.any(|option| option.eq_ignore_ascii_case(name));
    (there && !is_named).then(|| format!("`{name}` belongs to another connection: `connection` does not name it"))
}

/// The items of a header that is a list, in all its lines.
fn list<'a>(received: &'a Received, name: &str) -> impl Iterator<Item = &'a str> {
    let named = received.headers.iter().filter(move |(header, _)| header == name);
    named.flat_map(|(_, value)| value.split(',').map(str::trim))
}

fn hop_by_hop(received: &Received) -> Vec<String> {
    let there = |name: &str| received.headers.iter().any(|(header, _)| header == name);
    let mut faults = Vec::new();
    for name in NEVER.iter().filter(|name| there(name)) {
        faults.push(format!("`{name}` is no header of a response"));
    }
    if received.version == "HTTP/2" {
        let own = [KEEP_ALIVE, UPGRADE, "connection", "transfer-encoding"];
        let own = own.into_iter().filter(|name| there(name));
        faults.extend(own.map(|name| format!("`{name}` is no header of HTTP/2")));
        return faults;
    }
    faults.extend(unnamed(received, UPGRADE));
    let codings: Vec<&str> = list(received, "transfer-encoding").collect();
    if !codings.is_empty() && !matches!(codings[..], [one] if one.eq_ignore_ascii_case("chunked")) {
        faults.push(format!(
            "`transfer-encoding` is `{}`, and not `chunked` once",
            quoted(&codings.join(", "))
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::http_1_keeps_its_own(
        "HTTP/1.1",
        &[("connection", "Keep-Alive, upgrade"), ("keep-alive", "timeout=5"), ("upgrade", "h2c"), ("transfer-encoding", "Chunked")],
        0
    )]
    #[case::http_2_has_none(
        "HTTP/2",
        &[("connection", "keep-alive"), ("keep-alive", "timeout=5"), ("upgrade", "h2c"), ("transfer-encoding", "chunked")],
        4
    )]
    #[case::said_to_a_proxy("HTTP/1.1", &[("te", "trailers"), ("proxy-connection", "keep-alive")], 2)]
    #[case::not_named("HTTP/1.1", &[("connection", "close"), ("upgrade", "h2c")], 1)]
    #[case::perhaps_the_servers_own("HTTP/1.1", &[("keep-alive", "timeout=5")], 0)]
    #[case::chunked_twice("HTTP/1.1", &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], 1)]
    #[case::another_coding("HTTP/1.1", &[("transfer-encoding", "gzip, chunked")], 1)]
    fn headers_of_connections_are_told(#[case] version: &str, #[case] headers: &[(&str, &str)], #[case] count: usize) {
        let received = Received {
            version: version.into(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            ..Received::default()
        };
        let faults = hop_by_hop(&received);
        assert_eq!(faults.len(), count, "{faults:?}");
    }
}
