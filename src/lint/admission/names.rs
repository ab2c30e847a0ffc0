//! Names and labels: what characters they may have, and how many.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation/validation.go`.

use serde_json::Value;

use super::{Checker, rules, token};
use crate::manifest::Object;

/// A DNS label (RFC 1123): at most 63 lowercase letters, digits and `-`, with a letter or digit at both ends.
pub(super) fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && is_dns_part(text)
}

/// Parts joined by `.`, each like a DNS label and of any length, at most 253 characters.
fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_part)
}

fn is_dns_part(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
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

/// Where objects have labels: their own, those of their pods, and those that they select by.
const LABELS: &[&str] = &[
    "/metadata/labels",
    "/spec/template/metadata/labels",
    "/spec/jobTemplate/spec/template/metadata/labels",
    "/spec/selector/matchLabels",
];

/// Where objects have annotations. Their keys are like those of labels, their values are free.
const ANNOTATIONS: &[&str] = &["/metadata/annotations"];

pub(super) fn check(checker: &mut Checker<'_, '_>) {
    let object = checker.object;
    let name = object.name();
    // Services had to begin with a letter (RFC 1035) before v1.34, which is what most clusters are.
    let is_valid = match object.kind() {
        kind if FREE_NAMES.contains(&kind) => !name.contains(['/', '%']) && name != "." && name != "..",
        "Service" => is_dns_label(name) && name.starts_with(|first: char| first.is_ascii_lowercase()),
        "Namespace" => is_dns_label(name),
        _ => is_dns_subdomain(name),
    };
    if !is_valid {
        checker
            .add(
                &rules::NAME_INVALID,
                "/metadata/name",
                format!("`{name}` is no name for it"),
            )
            .way_out("lowercase letters, digits and `-`, with a letter or a digit at both ends");
    }
    for pointer in LABELS.iter().chain(ANNOTATIONS) {
        for (key, _, at) in fields(object, pointer) {
            if !is_label_key(key) {
                checker
                    .add(&rules::LABEL_INVALID, &at, format!("`{key}` is no key of a label"))
                    .way_out("letters, digits, `-`, `_` and `.`, at most 63, perhaps after a domain and `/`");
            }
        }
    }
    for pointer in LABELS {
        for (key, value, at) in fields(object, pointer) {
            let value = value.as_str().unwrap_or_default();
            if !value.is_empty() && !is_label_name(value) {
                let message = format!("`{value}` is no value of the label `{key}`");
                checker
                    .add(&rules::LABEL_INVALID, &at, message)
                    .way_out("letters, digits, `-`, `_` and `.`, at most 63, with a letter or digit at both ends");
            }
        }
    }
}

/// The fields of a mapping in an object, each with its JSON pointer.
fn fields<'a>(object: &'a Object, pointer: &str) -> impl Iterator<Item = (&'a str, &'a Value, String)> {
    let map = object.value.pointer(pointer).and_then(Value::as_object);
    let field = move |(key, value): (&'a String, &'a Value)| (key.as_str(), value, format!("{pointer}/{}", token(key)));
    map.into_iter().flatten().map(field)
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
