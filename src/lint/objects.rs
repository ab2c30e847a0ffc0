//! Objects across files: whether what one names is what another one is, over the objects of each plan in the order of
//! its steps.

use std::collections::BTreeSet;

use super::{
    Diagnostic, Examined, Family, Findings, Place, Rule,
    planned_objects::{Lookup, Placed, PlannedObjects},
    pods::{PodSpec, items},
};

mod access;
mod needs;
mod pool;
mod rules;
mod targets;

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "objects",
    rules: rules::ALL,
    look,
};

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    for planned in examined.planned_objects() {
        let mut checker = Checker {
            examined,
            planned: &planned,
            findings,
        };
        pool::check(&mut checker);
        targets::check(&mut checker);
        needs::check(&mut checker);
        access::check(&mut checker);
    }
}

/// The objects of one combination while they are checked.
struct Checker<'a, 'f> {
    examined: &'a Examined<'a>,
    planned: &'a PlannedObjects<'a>,
    findings: &'f mut Findings,
}

impl Checker<'_, '_> {
    /// Adds a finding at a field of an object.
    fn add(&mut self, rule: &Rule, placed: Placed<'_>, pointer: &str, message: String) -> &mut Diagnostic {
        let place = self.examined.place(placed.object, pointer);
        self.findings.add(rule, place, message).only_for(self.planned.offer)
    }

    /// Whether something that is asked for at a place is certainly not there; where that is not known, it is said.
    fn is_absent(&mut self, rule: &Rule, at: impl Into<Place>, lookup: &Lookup<'_>, what: &str) -> bool {
        if let Lookup::Unknown(Some(why)) = lookup {
            let why = format!("whether there is {what}: {why}");
            self.findings.undecided(rule, at.into(), why);
        }
        matches!(lookup, Lookup::Absent)
    }

    /// The names of the objects of a kind that steps make.
    fn made(&self, kind: &str) -> String {
        listed(self.planned.of_kind(kind).map(|one| one.object.name()))
    }

    /// The names of the objects of a kind that steps make, each with its group.
    fn made_by_group(&self, kind: &str) -> String {
        let made = self.planned.of_kind(kind);
        listed(made.map(|one| format!("{} of {}", one.object.name(), one.group())))
    }
}

/// Names in backticks, for a list of what there is; `none` where there is none.
fn listed(names: impl IntoIterator<Item = impl Into<String>>) -> String {
    let names: BTreeSet<String> = names.into_iter().map(Into::into).collect();
    if names.is_empty() {
        return "none".into();
    }
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The pods of a plan that are `wanted` and that its pools select: those that a route leads to, where one leads to any of them.
/// Where these select none of them, all that are wanted: that a pool selects nobody is told elsewhere.
pub(super) fn pool_pods<'a>(
    planned: &PlannedObjects<'a>,
    wanted: impl Fn(&PodSpec<'_>) -> bool,
) -> Vec<(Placed<'a>, PodSpec<'a>)> {
    let mut pools: Vec<Placed<'_>> = planned.of_kind("InferencePool").collect();
    // One that stands beside serves whoever asks for it, and that is not the reader.
    let is_routed = |pool: &Placed<'_>| planned.of_kind("HTTPRoute").any(|route| leads_to(&route, pool));
    if pools.iter().any(is_routed) {
        pools.retain(is_routed);
    }
    let is_selected = |pods: &pool::Pods<'_>| pools.iter().any(|pool| pool::selects(pool, pods));
    let mut pods = pool::all_pods(planned);
    pods.retain(|pods| wanted(&pods.spec));
    if pods.iter().any(is_selected) {
        pods.retain(is_selected);
    }
    pods.into_iter().map(|pods| (pods.placed, pods.spec)).collect()
}

/// Whether a route has a pool among its backends.
fn leads_to(route: &Placed<'_>, pool: &Placed<'_>) -> bool {
    let rules = items(&route.object.value["spec"]["rules"]);
    let mut backends = rules.flat_map(|(_, rule)| items(&rule["backendRefs"]));
    backends.any(|(_, backend)| backend["kind"] == "InferencePool" && backend["name"] == pool.object.name())
}
