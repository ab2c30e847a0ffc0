//! What Kubernetes refuses that a schema alone does not say: its own validation of pods, workloads, Services and names.
//!
//! The facts are those of `k8s.io/kubernetes/pkg/apis/core/validation` and `…/apps/validation` (v1.34), unless a rule
//! names another source. Every object is looked at that a reader may apply: manifests, the guide's own, rendered charts.

use super::{Diagnostic, Examined, Family, Findings, Rule, pods};
use crate::manifest::Object;

mod fields;
mod names;
mod pod;
mod rules;
mod service;
mod workload;

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "admission",
    rules: rules::ALL,
    look,
};

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    for (file, error) in &examined.files.unreadable {
        fields::unreadable(examined, file, error, findings);
    }
    for object in examined.files.objects() {
        let mut seen = Seen {
            examined,
            object,
            findings,
        };
        names::look(&mut seen);
        fields::look(&mut seen);
        workload::look(&mut seen);
        service::look(&mut seen);
        for spec in pods::pod_specs(object) {
            pod::look(&mut seen, &spec);
        }
    }
}

/// One object while it is looked at.
struct Seen<'a, 'f> {
    examined: &'a Examined<'a>,
    object: &'a Object,
    findings: &'f mut Findings,
}

impl Seen<'_, '_> {
    /// Adds a finding at a field of the object, milder where no command of the guide applies its file.
    fn add(&mut self, rule: &Rule, pointer: &str, message: impl Into<String>) -> &mut Diagnostic {
        let place = self.examined.place(self.object, pointer);
        let at_most = self.examined.files.at_most(&self.object.file);
        let message = format!("{}: {}", self.object.title(), message.into());
        let added = self.findings.add(rule, place, message);
        added.at_most(at_most)
    }
}

/// A key as a token of a JSON pointer.
fn token(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
