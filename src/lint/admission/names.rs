//! Names and labels: what characters they may have, and how many.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation/validation.go`.

use serde_json::Value;

use super::{Seen, rules, token};

/// A DNS label (RFC 1123): at most 63 lowercase letters, digits and `-`, with a letter or digit at both ends.
pub(super) fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// DNS labels joined by `.`, at most 253 characters.
fn is_dns_subdomain(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-');
    text.len() <= 253 && text.split('.').all(is_part)
}

/// The name of a port in a pod (RFC 6335): at most 15 lowercase letters, digits and single `-`, one letter at least.
pub(super) fn is_port_name(text: &str) -> bool {
    text.len() <= 15 && is_dns_label(text) && !text.contains("--") && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// The name part of a label: at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn is_label_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63 && text.bytes().all(inner) && ends(text.bytes().next()) && ends(text.bytes().last())
}

/// The key of a label or an annotation: a name, perhaps after a DNS subdomain and `/`.
fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_label_name(name),
        None => is_label_name(text),
    }
}

/// Kinds whose names are only parts of paths, so that nearly any character will do.
const FREE_NAMES: &[&str] = &["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"];

pub(super) fn look(seen: &mut Seen<'_, '_>) {
    let object = seen.object;
    let name = object.name();
    // Services had to begin with a letter (RFC 1035) before v1.34, which is what most clusters are.
    let is_valid = match object.kind() {
        kind if FREE_NAMES.contains(&kind) => !name.contains(['/', '%']) && name != "." && name != "..",
        "Service" => is_dns_label(name) && name.starts_with(|first: char| first.is_ascii_lowercase()),
        "Namespace" => is_dns_label(name),
        _ => is_dns_subdomain(name),
    };
    if !is_valid {
        seen.add(
            &rules::NAME_INVALID,
            "/metadata/name",
            format!("`{name}` is no name for it"),
        )
        .way_out("lowercase letters, digits and `-`, with a letter or a digit at both ends");
    }
    let mut maps = vec![("/metadata/labels", true), ("/metadata/annotations", false)];
    for pods in ["/spec/template/metadata", "/spec/jobTemplate/spec/template/metadata"] {
        maps.push(match pods {
            "/spec/template/metadata" => ("/spec/template/metadata/labels", true),
            _ => ("/spec/jobTemplate/spec/template/metadata/labels", true),
        });
    }
    maps.push(("/spec/selector/matchLabels", true));
    for (pointer, values) in maps {
        labels(seen, pointer, values);
    }
}

fn labels(seen: &mut Seen<'_, '_>, pointer: &str, values: bool) {
    let map = seen.object.value.pointer(pointer).and_then(Value::as_object);
    for (key, value) in map.into_iter().flatten() {
        let at = format!("{pointer}/{}", token(key));
        if !is_label_key(key) {
            seen.add(&rules::LABEL_INVALID, &at, format!("`{key}` is no key of a label"))
                .way_out("letters, digits, `-`, `_` and `.`, at most 63, perhaps after a domain and `/`");
        }
        let Some(text) = value.as_str().filter(|text| values && !text.is_empty()) else {
            continue;
        };
        if !is_label_name(text) {
            seen.add(
                &rules::LABEL_INVALID,
                &at,
                format!("`{text}` is no value of the label `{key}`"),
            )
            .way_out("letters, digits, `-`, `_` and `.`, at most 63, with a letter or digit at both ends");
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("grpc-ext-proc", true)]
    #[case("http", true)]
    #[case("sixteen-letters-", false)]
    #[case("grpc-health-check", false)]
    #[case("8000", false)]
    #[case("a--b", false)]
    #[case("Http", false)]
    fn the_name_of_a_port_is_short(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(is_port_name(text), valid);
    }

    #[rstest]
    #[case("a.b-c", true)]
    #[case("a..b", false)]
    #[case("-a", false)]
    #[case("a_b", false)]
    #[case("A", false)]
    fn a_name_is_a_subdomain(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(is_dns_subdomain(text), valid);
    }

    #[rstest]
    #[case("inference.networking.k8s.io/engine-type", true)]
    #[case("App_1", true)]
    #[case("a/b/c", false)]
    #[case("/a", false)]
    #[case("a b", false)]
    fn a_label_has_a_key(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(is_label_key(text), valid);
    }
}
