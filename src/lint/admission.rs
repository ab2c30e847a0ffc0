//! What Kubernetes refuses that a schema alone does not say: its own validation of pods, workloads, Services and names.
//!
//! The facts are those of `k8s.io/kubernetes/pkg/apis/core/validation` and `…/apps/validation` (v1.34), unless a rule
//! names another source. Every object is looked at that a reader may apply: manifests, the guide's own, rendered charts.

use std::fmt::Display;

use super::{
    Diagnostic, Examined, Family, Findings, Rule,
    pods::{self, token},
};
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
    if let Some(why) = &examined.files.unlisted {
        findings.undecided(
            &rules::UNREADABLE,
            None,
            format!("no file was looked at but those that the guide names: {why}"),
        );
    }
    for (file, error) in &examined.files.unreadable {
        fields::unreadable(examined, file, error, findings);
    }
    for object in examined.files.objects() {
        let mut checker = Checker {
            examined,
            object,
            findings,
        };
        names::check(&mut checker);
        fields::check(&mut checker);
        workload::check(&mut checker);
        service::check(&mut checker);
        for spec in pods::pod_specs(object) {
            pod::check(&mut checker, &spec);
        }
    }
}

/// One object while it is checked.
struct Checker<'a, 'f> {
    examined: &'a Examined<'a>,
    object: &'a Object,
    findings: &'f mut Findings,
}

impl Checker<'_, '_> {
    /// Adds a finding at a field of the object, milder where no command of the guide applies its file.
    fn add(&mut self, rule: &Rule, pointer: &str, message: impl Display) -> &mut Diagnostic {
        self.findings.add_to(self.examined, self.object, rule, pointer, message)
    }
}
