//! Findings as SARIF 2.1.0, which code scanners show.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Diagnostic, Findings, Place, known_rules};

/// The log of one run. Source: OASIS "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
pub(crate) fn sarif(findings: &Findings) -> Value {
    let rules: Vec<Value> = known_rules()
        .map(|rule| {
            json!({
                "id": rule.code,
                "shortDescription": { "text": rule.first_sentence() },
                "fullDescription": { "text": rule.about },
                "help": { "text": format!("{}\nMore: quickproof explain {}", rule.about, rule.code) },
                "defaultConfiguration": { "level": rule.severity.level() },
                "properties": { "severity": rule.severity.word() },
            })
        })
        .collect();
    let index = |code: &str| known_rules().position(|rule| rule.code == code);
    let result = |found: &Diagnostic| {
        let mut result = json!({
            "ruleId": found.code,
            "level": found.severity.level(),
            "message": { "text": found.in_full("Way out") },
            "locations": [location(&found.place)],
            "properties": { "severity": found.severity.word() },
        });
        if let Some(index) = index(found.code) {
            result["ruleIndex"] = index.into();
        }
        for (name, value) in found.limits() {
            result["properties"][name] = value.into();
        }
        result
    };
    let suppressed = findings.suppressed.iter().map(|suppressed| {
        let mut result = result(&suppressed.diagnostic);
        result["suppressions"] = json!([{ "kind": "external", "justification": suppressed.reason }]);
        result
    });
    let results: Vec<Value> = findings.diagnostics.iter().map(result).chain(suppressed).collect();
    let undecided: Vec<Value> = findings
        .undecided
        .iter()
        .map(|undecided| {
            let mut notification = json!({
                "level": "note",
                "message": { "text": format!("undecided: {}", undecided.why) },
                "associatedRule": { "id": undecided.code },
            });
            if let Some(place) = &undecided.place {
                notification["locations"] = json!([location(place)]);
            }
            notification
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": env!("CARGO_PKG_NAME"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "invocations": [{ "executionSuccessful": true, "toolExecutionNotifications": undecided }],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn location(place: &Place) -> Value {
    let mut region = json!({ "startLine": place.line });
    if let Some(column) = place.column {
        region["startColumn"] = column.into();
    }
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(&place.file), "uriBaseId": "%SRCROOT%" },
        "region": region,
    }})
}

/// A path as relative URI reference (RFC 3986): everything but unreserved characters and slashes percent-encoded.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::{Place, rules};

    #[test]
    fn the_log_has_what_the_schema_requires() {
        let rule = rules().next().unwrap();
        let mut findings = Findings::default();
        let place = Place {
            file: "a b/c.yaml".into(),
            line: 7,
            column: Some(3),
        };
        let added = findings.add(rule, place, "it moves");
        added.because("a fact").way_out("pin it");
        added.variant = Some("cpu".into());
        findings.add(rule, Place::line("d", 1), "x");
        findings.undecided(rule, Place::line("a", 3), "no helm");
        let log = sarif(&findings);

        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        let driver = &run["tool"]["driver"];
        assert_eq!(driver["name"], "quickproof");
        let described = driver["rules"].as_array().unwrap();
        assert_eq!(described.len(), known_rules().count());
        for rule in described {
            for field in ["shortDescription", "fullDescription", "help"] {
                assert!(
                    rule[field]["text"].as_str().is_some_and(|text| !text.is_empty()),
                    "{rule}"
                );
            }
        }
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        for result in results {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(described[index]["id"], result["ruleId"]);
            assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
            let location = &result["locations"][0]["physicalLocation"];
            assert!(location["region"]["startLine"].as_u64().unwrap() >= 1);
        }
        let first = &results[0];
        let location = &first["locations"][0]["physicalLocation"];
        assert_eq!(location["artifactLocation"]["uri"], "a%20b/c.yaml");
        assert_eq!(location["region"]["startColumn"], 3);
        assert_eq!(first["properties"]["variant"], "cpu");
        assert_eq!(first["message"]["text"], "it moves\na fact\nWay out: pin it");
        let note = &run["invocations"][0]["toolExecutionNotifications"][0];
        assert_eq!(note["associatedRule"]["id"], rule.code);
    }
}
