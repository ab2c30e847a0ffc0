//! Headers that belong to one connection are not passed on from another.
//!
//! Sources: RFC 9110, section 7.6.1 (a field of one connection is named in `connection`, and a proxy removes it);
//! RFC 9112, section 6.1; RFC 9113, section 8.2.2 (HTTP/2 has none).

use super::{Judged, Seen, WireCheck, quoted};
use crate::{probe::Received, verdict::CauseCode};

/// Fields that a response never has: a client says them to its proxy.
const NEVER: &[&str] = &["proxy-connection", "proxy-authorization", "te"];
/// Fields that a response may have where its own `connection` names them.
const WHERE_NAMED: &[&str] = &["keep-alive", "upgrade"];

/// Hop-by-hop headers are the connection's own.
pub(super) struct HopByHopHeaders;

impl WireCheck for HopByHopHeaders {
    fn name(&self) -> &'static str {
        "hop-by-hop-headers"
    }

    fn sentence(&self) -> &'static str {
        "no header of another connection is passed on"
    }

    fn cause(&self, _: &Seen<'_>) -> CauseCode {
        CauseCode::AnswerHeadersWrong
    }

    fn judge(&self, seen: &Seen<'_>) -> Judged {
        Ok(faults(seen.whole()?))
    }
}

fn faults(received: &Received) -> Vec<String> {
    let values = |wanted: &'static str| {
        let named = received.headers.iter().filter(move |(name, _)| name == wanted);
        named.flat_map(|(_, value)| value.split(',').map(str::trim))
    };
    let there = |name: &str| received.headers.iter().any(|(header, _)| header == name);
    let mut faults = Vec::new();
    for name in NEVER.iter().filter(|name| there(name)) {
        faults.push(format!("`{name}` is no header of a response"));
    }
    if received.version == "HTTP/2" {
        let own = WHERE_NAMED.iter().chain(&["connection", "transfer-encoding"]);
        faults.extend(
            own.filter(|name| there(name))
                .map(|name| format!("`{name}` is no header of HTTP/2")),
        );
        return faults;
    }
    for name in WHERE_NAMED.iter().filter(|name| there(name)) {
        if !values("connection").any(|option| option.eq_ignore_ascii_case(name)) {
            faults.push(format!(
                "`{name}` belongs to another connection: `connection` does not name it"
            ));
        }
    }
    let codings: Vec<&str> = values("transfer-encoding").collect();
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
    #[case::not_named("HTTP/1.1", &[("keep-alive", "timeout=5")], 1)]
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
        let faults = faults(&received);
        assert_eq!(faults.len(), count, "{faults:?}");
    }
}
