//! Findings as JSON, for scripts.

use serde_json::{Value, json};

use super::{Diagnostic, Findings, Place, Undecided};

/// An array of `{code, severity, file, line, column?, message, why, way_out, variant?, provider?}`, in the order of the
/// findings, and after them what is undecided: `{code, severity: "undecided", file?, line?, column?, message}`. A field with
/// a question mark is left out where it says nothing.
pub(crate) fn json(findings: &Findings) -> Value {
    let one = |found: &Diagnostic| {
        let mut fields = json!({ "code": found.code, "severity": found.severity.word() });
        at(Some(&found.place), &mut fields);
        fields["message"] = found.message.as_str().into();
        fields["why"] = found.why.clone().into();
        fields["way_out"] = found.way_out.as_str().into();
        for (name, value) in found.limits() {
            fields[name] = value.into();
        }
        fields
    };
    let undecided = |undecided: &Undecided| {
        let mut fields = json!({ "code": undecided.code, "severity": "undecided" });
        at(undecided.place.as_ref(), &mut fields);
        fields["message"] = undecided.why.as_str().into();
        fields
    };
    let found = findings.diagnostics.iter().map(one);
    found.chain(findings.undecided.iter().map(undecided)).collect()
}

fn at(place: Option<&Place>, fields: &mut Value) {
    let Some(place) = place else { return };
    fields["file"] = place.file.as_str().into();
    fields["line"] = place.line.into();
    if let Some(column) = place.column {
        fields["column"] = column.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::rules;

    #[test]
    fn a_finding_has_its_fields_and_leaves_out_what_says_nothing() {
        let rule = rules().next().unwrap();
        let mut findings = Findings::default();
        let added = findings.add(rule, Place::line("a", 7), "m");
        added.variant = Some("cpu".into());
        findings.undecided(rule, Place::line("b", 3), "w");
        findings.undecided(rule, None, "v");
        let expected = json!([{
            "code": rule.code, "severity": rule.severity.word(), "file": "a", "line": 7, "message": "m",
            "why": [], "way_out": "", "variant": "cpu",
        }, {
            "code": rule.code, "severity": "undecided", "file": "b", "line": 3, "message": "w",
        }, {
            "code": rule.code, "severity": "undecided", "message": "v",
        }]);
        assert_eq!(json(&findings), expected);
    }
}
