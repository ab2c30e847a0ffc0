//! Order: what a command asks for is there by then, and what was made is taken away in the end.

use super::{
    Examined, Family, Findings, Place,
    caret::caret,
    pods::items,
    reader::{Reader, Typed},
    world::{CRD, DEFAULT_NAMESPACE, Placed, Sought, World},
};
use crate::guide::Role;

mod rules;

use rules::{CLEANUP_LEAVES, CRD_LATER, CRD_MISSING, OBJECT_LATER, OBJECT_MISSING, STATUS_EARLY};

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "order",
    rules: rules::ALL,
    look,
};

/// Kinds that only a step of a guide makes (controllers make others too), by the words for them that kubectl takes.
const KINDS: &[(&str, &[&str])] = &[
    ("Gateway", &["gateway", "gateways", "gtw"]),
    ("HTTPRoute", &["httproute", "httproutes"]),
    ("InferenceModel", &["inferencemodel", "inferencemodels", "infmodel"]),
    ("InferenceObjective", &["inferenceobjective", "inferenceobjectives"]),
    ("InferencePool", &["inferencepool", "inferencepools", "infpool"]),
];

/// Verbs of kubectl that need their object to be there.
const VERBS: &[&str] = &["annotate", "describe", "edit", "get", "label", "patch", "wait"];

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    let worlds: Vec<World<'_>> = examined.worlds().collect();
    for world in &worlds {
        crds(examined, findings, world);
    }
    for reader in examined.readers() {
        let Some(world) = worlds.iter().find(|world| *world.offer == reader.offer) else {
            continue;
        };
        for typed in &reader.typed {
            if let Some(needed) = needed(typed) {
                object(examined, findings, world, reader, typed, &needed);
            }
        }
        cleanup(examined, findings, reader);
    }
}

/// An object that a command of kubectl needs.
struct Needed {
    verb: String,
    kind: &'static str,
    name: String,
    namespace: String,
}

fn needed(typed: &Typed) -> Option<Needed> {
    if typed.program.name != "kubectl" || matches!(typed.role, Role::Cleanup) {
        return None;
    }
    let arguments = typed.program.arguments().ok()?;
    let namespace = match arguments.last("-n") {
        Some(namespace) => namespace.known()?,
        None => DEFAULT_NAMESPACE.to_owned(),
    };
    let verb = arguments.positional.first()?.known()?;
    let (word, name) = match arguments.positional.get(1..)? {
        [one, ..] if one.shown().contains('/') => {
            let one = one.known()?;
            let (kind, name) = one.split_once('/')?;
            (kind.to_owned(), name.to_owned())
        }
        [kind, name, ..] => (kind.known()?, name.known()?),
        _ => return None,
    };
    let plain = word.split('.').next().unwrap_or(&word).to_lowercase();
    let (kind, _) = KINDS.iter().find(|(_, words)| words.contains(&plain.as_str()))?;
    (VERBS.contains(&verb.as_str()) && !name.contains(['<', '=', '{'])).then_some(Needed {
        verb,
        kind,
        name,
        namespace,
    })
}

fn object(
    examined: &Examined<'_>,
    findings: &mut Findings,
    world: &World<'_>,
    reader: &Reader,
    typed: &Typed,
    needed: &Needed,
) {
    if !world.uses_namespace(&needed.namespace) {
        return;
    }
    let now = world.step_at(&typed.program.at);
    let place = || place_of(examined, typed, &needed.name);
    match world.find(None, needed.kind, &needed.namespace, &needed.name) {
        Sought::Here(found) => {
            let Some(now) = now else {
                return;
            };
            if found.step > now {
                let made_by = &world.plan.steps[found.step].from;
                findings
                    .add(
                        &OBJECT_LATER,
                        place(),
                        format!(
                            "`kubectl {}` needs the {} `{}`, which only a later step makes",
                            needed.verb, needed.kind, needed.name
                        ),
                    )
                    .because(format!("it is made by {}:{}", made_by.file, made_by.line))
                    .way_out("move the command behind that step")
                    .only_for(&reader.offer);
            } else if needed.verb != "label" && needed.verb != "annotate" {
                early(examined, findings, world, reader, typed, found, now);
            }
        }
        Sought::Absent => {
            let there: Vec<String> = world
                .of_kind(needed.kind)
                .map(|one| format!("`{}`", one.object.name()))
                .collect();
            findings
                .add(
                    &OBJECT_MISSING,
                    place(),
                    format!(
                        "`kubectl {}` needs the {} `{}`, which no step makes",
                        needed.verb, needed.kind, needed.name
                    ),
                )
                .because(format!(
                    "{}s that steps make: {}",
                    needed.kind,
                    if there.is_empty() {
                        "none".into()
                    } else {
                        there.join(", ")
                    }
                ))
                .way_out("name the object that is made")
                .only_for(&reader.offer);
        }
        Sought::Unknown(why) => {
            if let Some(why) = why {
                findings.undecided(
                    &OBJECT_MISSING,
                    format!("whether there is a {} `{}`: {why}", needed.kind, needed.name),
                );
            }
        }
    }
}

/// A route that the reader is asked to look at before anything has made the pool that it sends to.
fn early(
    examined: &Examined<'_>,
    findings: &mut Findings,
    world: &World<'_>,
    reader: &Reader,
    typed: &Typed,
    route: Placed<'_>,
    now: usize,
) {
    if route.object.kind() != "HTTPRoute" {
        return;
    }
    for (_, rule) in items(&route.object.value["spec"]["rules"]) {
        for (_, backend) in items(&rule["backendRefs"]) {
            let (Some("InferencePool"), Some(name)) = (backend["kind"].as_str(), backend["name"].as_str()) else {
                continue;
            };
            let group = backend["group"].as_str().unwrap_or_default();
            let is_made = match world.find(Some(group), "InferencePool", route.namespace, name) {
                Sought::Here(pool) => pool.step <= now,
                _ => false,
            };
            // What a step before makes and nobody knows may be the pool.
            if is_made || !matches!(world.absent("InferencePool", now), Sought::Absent) {
                continue;
            }
            findings
                .add(
                    &STATUS_EARLY,
                    place_of(examined, typed, route.object.name()),
                    format!(
                        "the status of the route `{}` is asked for before anything has made its pool `{name}`",
                        route.object.name()
                    ),
                )
                .because("until then its condition `ResolvedRefs` is False")
                .way_out("make the pool first, or ask afterwards")
                .only_for(&reader.offer);
        }
    }
}

/// Objects of a kind whose CRD a later step applies.
fn crds(examined: &Examined<'_>, findings: &mut Findings, world: &World<'_>) {
    let crds: Vec<Placed<'_>> = world.of_kind(CRD).collect();
    for placed in &world.objects {
        let is_of = |crd: &&Placed<'_>| {
            let spec = &crd.object.value["spec"];
            spec["group"].as_str() == Some(placed.group())
                && spec["names"]["kind"].as_str() == Some(placed.object.kind())
        };
        let first = crds.iter().filter(is_of).map(|crd| crd.step).min();
        if first.is_some_and(|first| first <= placed.step) {
            continue;
        }
        let step = &world.plan.steps[placed.step];
        if first.is_none() {
            let is_ours = examined.crds().any(|crd| {
                let spec = &crd.value["spec"];
                spec["group"].as_str() == Some(placed.group())
                    && spec["names"]["kind"].as_str() == Some(placed.object.kind())
            });
            if is_ours && matches!(world.absent(CRD, usize::MAX), Sought::Absent) {
                findings
                    .add(
                        &CRD_MISSING,
                        Place::line(&step.from.file, step.from.line),
                        format!("no step applies the CRD of {}", placed.object.title()),
                    )
                    .because("the release has the CRD, and the API server does not until it is applied")
                    .way_out("apply the release's CRDs first")
                    .only_for(world.offer);
            }
            continue;
        }
        let later = first.and_then(|first| world.plan.steps.get(first));
        let found = findings.add(
            &CRD_LATER,
            caret(
                examined,
                &step.from.file,
                step.from.line,
                placed.object.file.rsplit('/').next().unwrap_or_default(),
            ),
            format!(
                "{} is made before a step applies the CRD of its kind",
                placed.object.title()
            ),
        );
        if let Some(later) = later {
            found.because(format!("the CRD is applied by {}:{}", later.from.file, later.from.line));
        }
        found.way_out("apply the CRDs first").only_for(world.offer);
    }
}

/// The helm release that a command names; `None` where that is not known.
fn helm_release(typed: &Typed) -> Option<String> {
    typed.program.arguments().ok()?.positional.get(1)?.known()
}

/// The place of a text in a command.
fn place_of(examined: &Examined<'_>, typed: &Typed, text: &str) -> Place {
    let at = &typed.program.at;
    caret(examined, &at.file, at.line, text)
}

/// Helm releases that the guide makes and its cleanup leaves.
fn cleanup(examined: &Examined<'_>, findings: &mut Findings, reader: &Reader) {
    let helm = |verbs: &'static [&str]| {
        let typed = reader.typed.iter().filter(|typed| typed.program.name == "helm");
        typed.filter_map(move |typed| {
            let verb = typed.program.words.get(1)?.known()?;
            verbs.contains(&verb.as_str()).then(|| (typed, helm_release(typed)))
        })
    };
    if !reader.typed.iter().any(|typed| typed.role == Role::Cleanup) {
        return;
    }
    // One whose name is not known may be any of them.
    let Some(gone) = helm(&["uninstall", "delete"])
        .map(|(_, name)| name)
        .collect::<Option<Vec<String>>>()
    else {
        return;
    };
    for (typed, name) in helm(&["install", "upgrade"]) {
        let Some(name) = name.filter(|name| !gone.contains(name)) else {
            continue;
        };
        findings
            .add(
                &CLEANUP_LEAVES,
                place_of(examined, typed, &name),
                format!("the cleanup does not uninstall the helm release `{name}`"),
            )
            .because("helm refuses to install the same name again")
            .way_out(format!("add `helm uninstall {name}` to the cleanup"))
            .only_for(&reader.offer);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::guide::{Reading, Session, read_commands};

    #[rstest]
    #[case("get gateway/a -o yaml", Some(("Gateway", "a", "default")))]
    #[case("label gateway a x=y", Some(("Gateway", "a", "default")))]
    #[case("describe inferencepools.inference.networking.k8s.io b", Some(("InferencePool", "b", "default")))]
    #[case("-n c get httproute b", Some(("HTTPRoute", "b", "c")))]
    #[case("wait --for condition=x httproute/b", Some(("HTTPRoute", "b", "default")))]
    #[case::joined("get httproute b -nc", Some(("HTTPRoute", "b", "c")))]
    #[case::joined_by_a_sign("get httproute b -n=c", Some(("HTTPRoute", "b", "c")))]
    #[case::long_joined("get httproute b --namespace=c", Some(("HTTPRoute", "b", "c")))]
    #[case::the_last_counts("get httproute b -n d -nc", Some(("HTTPRoute", "b", "c")))]
    #[case::an_unquoted_value_is_split("get $WHAT", Some(("HTTPRoute", "b", "c")))]
    #[case::a_quoted_one_is_not("get \"$WHAT\"", None)]
    #[case::one_of_a_variable_nobody_sets("get gateway \"$NONE\" a", None)]
    #[case::a_namespace_that_is_not_known("get gateway a -n \"$NONE\"", None)]
    #[case::a_flag_that_is_not_known("get gateway a --frobnicate", None)]
    #[case("get gateways", None)]
    #[case("get pods a", None)]
    #[case("delete gateway a", None)]
    fn the_object_that_a_command_needs_is_read(#[case] command: &str, #[case] wanted: Option<(&str, &str, &str)>) {
        let mut session = Session::new(&[]);
        session.read(&read_commands("WHAT='httproute b -n c'")[0]);
        let Reading::Programs(mut programs) = session.read(&read_commands(&format!("kubectl {command}"))[0]) else {
            panic!()
        };
        let typed = Typed {
            role: Role::Step,
            block: 0,
            program: programs.remove(0),
        };
        let found = needed(&typed);
        assert_eq!(
            found
                .as_ref()
                .map(|needed| (needed.kind, needed.name.as_str(), needed.namespace.as_str())),
            wanted
        );
    }

    #[rstest]
    #[case::none(
        "@@\n-    kubectl get gateway inference-gateway\n+    kubectl get gateway none\n",
        true
    )]
    #[case::apart(
        "@@\n-    kubectl get gateway inference-gateway\n+    kubectl get gateway none -n a\n",
        false
    )]
    #[case::joined(
        "@@\n-    kubectl get gateway inference-gateway\n+    kubectl get gateway none -na\n",
        false
    )]
    #[case::by_a_sign(
        "@@\n-    kubectl get gateway inference-gateway\n+    kubectl get gateway none -n=a\n",
        false
    )]
    fn an_object_is_looked_for_in_the_namespace_that_is_named(#[case] change: &'static str, #[case] is_missing: bool) {
        let findings = crate::lint::tests::found(&[("site-src/guides/index.md", change)]);
        let is_said = findings.diagnostics.iter().any(|one| one.code == OBJECT_MISSING.code);
        assert_eq!(is_said, is_missing);
    }
}
