//! Findings as JSON, for scripts.

use serde_json::{Value, json};

use super::{Diagnostic, Findings};

/// An array of `{code, severity, file, line, column?, message, why, way_out, variant?, provider?}`, in the order of the
/// findings. A field with a question mark is left out where it says nothing.
pub(crate) fn json(findings: &Findings) -> Value {
    let one = |found: &Diagnostic| {
        let mut fields = json!({
            "code": found.code,
            "severity": found.severity.word(),
            "file": found.place.file,
            "line": found.place.line,
        });
        if let Some(column) = found.place.column {
            fields["column"] = column.into();
        }
        fields["message"] = found.message.as_str().into();
        fields["why"] = found.why.clone().into();
        fields["way_out"] = found.way_out.as_str().into();
        for (name, value) in found.limits() {
            fields[name] = value.into();
        }
        fields
    };
    findings.diagnostics.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::{Place, rules};

    #[test]
    fn a_finding_has_its_fields_and_leaves_out_what_says_nothing() {
        let rule = rules().next().unwrap();
        let mut findings = Findings::default();
        let added = findings.add(rule, Place::line("a", 7), "m");
        added.variant = Some("cpu".into());
        let expected = json!([{
            "code": rule.code, "severity": rule.severity.word(), "file": "a", "line": 7, "message": "m",
            "why": [], "way_out": "", "variant": "cpu",
        }]);
        assert_eq!(json(&findings), expected);
    }
}
