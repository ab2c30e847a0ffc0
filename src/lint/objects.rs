//! Objects across files: whether what one names is what another one is, over the objects of each plan in the order of
//! its steps.

use super::{
    Examined, Family, Findings, Rule, Severity,
    world::{Placed, Sought, World},
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
    for world in examined.worlds() {
        let mut look = Look {
            examined,
            world: &world,
            findings,
        };
        pool::look(&mut look);
        targets::look(&mut look);
        needs::look(&mut look);
        access::look(&mut look);
    }
}

/// What every part of the family looks with.
struct Look<'a, 'f> {
    examined: &'a Examined<'a>,
    world: &'a World<'a>,
    findings: &'f mut Findings,
}

/// What is said of something that is wrong.
struct Said {
    message: String,
    why: Vec<String>,
    way_out: &'static str,
}

impl Look<'_, '_> {
    /// Notes something that is wrong at a field of an object.
    fn wrong(&mut self, rule: &Rule, placed: Placed<'_>, pointer: &str, said: Said) {
        self.at_most(rule, placed, pointer, said, Severity::Break);
    }

    /// The same, at most as bad as `severity`.
    fn at_most(&mut self, rule: &Rule, placed: Placed<'_>, pointer: &str, said: Said, severity: Severity) {
        let place = self.examined.place(placed.object, pointer);
        let found = self.findings.add(rule, place, said.message);
        for fact in said.why {
            found.because(fact);
        }
        found
            .way_out(said.way_out)
            .at_most(severity)
            .only_for(&self.world.offer.clone());
    }

    /// Whether something is certainly not there; where that is not known, it is said.
    fn is_absent(&mut self, rule: &Rule, sought: &Sought<'_>, what: &str) -> bool {
        match sought {
            Sought::Here(_) => false,
            Sought::Absent => true,
            Sought::Unknown(why) => {
                if let Some(why) = why {
                    self.findings.undecided(rule, format!("whether there is {what}: {why}"));
                }
                false
            }
        }
    }
}

/// Names in backticks, for a list of what there is; `none` where there is none.
fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: std::collections::BTreeSet<&str> = names.into_iter().collect();
    if names.is_empty() {
        return "none".into();
    }
    names
        .into_iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The pods that pools of a plan select; all of them where no pool is known.
pub(super) fn pool_pods<'a>(world: &World<'a>) -> Vec<(Placed<'a>, super::pods::PodSpec<'a>)> {
    let pods = pool::all_pods(world);
    let pools: Vec<Placed<'_>> = world.of_kind("InferencePool").collect();
    let of_pools = |candidate: &pool::Pods<'a>| {
        pools.is_empty()
            || pools.iter().any(|pool| {
                let selected = pool::selected(pool, std::slice::from_ref(candidate));
                !selected.is_empty()
            })
    };
    let chosen = pods.into_iter().filter(|candidate| of_pools(candidate));
    chosen.map(|pods| (pods.placed, pods.spec)).collect()
}
