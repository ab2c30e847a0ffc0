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

/// Flags of kubectl with their value in the next word.
const VALUED: &[&str] = &[
    "--context",
    "--filename",
    "--for",
    "--namespace",
    "--output",
    "--patch",
    "--selector",
    "--timeout",
    "--type",
    "-f",
    "-l",
    "-n",
    "-o",
    "-p",
];

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
            if let Some(asked) = asked(typed) {
                object(examined, findings, world, reader, typed, &asked);
            }
        }
        cleanup(examined, findings, reader);
    }
}

/// An object that a command of kubectl needs.
struct Asked<'a> {
    verb: &'a str,
    kind: &'static str,
    name: &'a str,
    namespace: &'a str,
}

fn asked(typed: &Typed) -> Option<Asked<'_>> {
    if typed.program != "kubectl" || matches!(typed.role, Role::Cleanup) {
        return None;
    }
    let (mut namespace, mut positional) = (DEFAULT_NAMESPACE, Vec::new());
    let mut words = typed.words.iter();
    while let Some(word) = words.next() {
        if !word.text.starts_with('-') {
            positional.push(word);
        } else if VALUED.contains(&word.text.as_str()) {
            let value = words.next()?;
            if matches!(word.text.as_str(), "-n" | "--namespace") {
                namespace = value.is_known.then_some(value.text.as_str())?;
            }
        } else if let Some(value) = word.text.strip_prefix("--namespace=") {
            namespace = value;
        }
    }
    let verb = positional.first()?.text.as_str();
    let (word, name) = match positional.get(1..)? {
        [one, ..] if one.is_known && one.text.contains('/') => one.text.split_once('/')?,
        [kind, name, ..] if name.is_known => (kind.text.as_str(), name.text.as_str()),
        _ => return None,
    };
    let plain = word.split('.').next().unwrap_or(word).to_lowercase();
    let (kind, _) = KINDS.iter().find(|(_, words)| words.contains(&plain.as_str()))?;
    (VERBS.contains(&verb) && !name.contains(['<', '=', '{'])).then_some(Asked {
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
    asked: &Asked<'_>,
) {
    if !world.uses_namespace(asked.namespace) {
        return;
    }
    let now = world.step_at(&typed.at.file, typed.at.line);
    let place = || caret(examined, &typed.at.file, typed.at.line, asked.name);
    match world.find(None, asked.kind, asked.namespace, asked.name) {
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
                            asked.verb, asked.kind, asked.name
                        ),
                    )
                    .because(format!("it is made by {}:{}", made_by.file, made_by.line))
                    .way_out("move the command behind that step")
                    .only_for(&reader.offer);
            } else if asked.verb != "label" && asked.verb != "annotate" {
                early(examined, findings, world, reader, typed, found, now);
            }
        }
        Sought::Absent => {
            let there: Vec<String> = world
                .of_kind(asked.kind)
                .map(|one| format!("`{}`", one.object.name()))
                .collect();
            findings
                .add(
                    &OBJECT_MISSING,
                    place(),
                    format!(
                        "`kubectl {}` needs the {} `{}`, which no step makes",
                        asked.verb, asked.kind, asked.name
                    ),
                )
                .because(format!(
                    "{}s that steps make: {}",
                    asked.kind,
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
                    format!("whether there is a {} `{}`: {why}", asked.kind, asked.name),
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
                    caret(examined, &typed.at.file, typed.at.line, route.object.name()),
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

/// Helm releases that the guide makes and its cleanup leaves.
fn cleanup(examined: &Examined<'_>, findings: &mut Findings, reader: &Reader) {
    let name_of = |typed: &Typed| -> Option<String> {
        let mut words = typed.words.iter().skip(1);
        while let Some(word) = words.next() {
            if word.text.starts_with('-') {
                let has_value = matches!(
                    word.text.as_str(),
                    "-n" | "--namespace" | "--set" | "--version" | "-f" | "--values"
                );
                if has_value {
                    words.next();
                }
            } else {
                return word.is_known.then(|| word.text.clone());
            }
        }
        None
    };
    let helm = |verbs: &'static [&str]| {
        let typed = reader.typed.iter().filter(|typed| typed.program == "helm");
        typed.filter(move |typed| {
            typed
                .words
                .first()
                .is_some_and(|verb| verbs.contains(&verb.text.as_str()))
        })
    };
    if !reader.typed.iter().any(|typed| typed.role == Role::Cleanup) {
        return;
    }
    let unknown = helm(&["uninstall", "delete"]).any(|typed| name_of(typed).is_none());
    let gone: Vec<String> = helm(&["uninstall", "delete"]).filter_map(name_of).collect();
    for typed in helm(&["install", "upgrade"]) {
        let Some(name) = name_of(typed).filter(|name| !gone.contains(name) && !unknown) else {
            continue;
        };
        findings
            .add(
                &CLEANUP_LEAVES,
                caret(examined, &typed.at.file, typed.at.line, &name),
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
    use crate::{lint::reader::Said, record::Provenance};

    #[rstest]
    #[case("get gateway/a -o yaml", Some(("Gateway", "a", "default")))]
    #[case("label gateway a x=y", Some(("Gateway", "a", "default")))]
    #[case("describe inferencepools.inference.networking.k8s.io b", Some(("InferencePool", "b", "default")))]
    #[case("-n c get httproute b", Some(("HTTPRoute", "b", "c")))]
    #[case("wait --for condition=x httproute/b", Some(("HTTPRoute", "b", "default")))]
    #[case("get gateways", None)]
    #[case("get pods a", None)]
    #[case("delete gateway a", None)]
    fn the_object_that_a_command_needs_is_read(#[case] command: &str, #[case] wanted: Option<(&str, &str, &str)>) {
        let said = |text: &str| Said {
            text: text.into(),
            is_known: true,
        };
        let typed = Typed {
            at: Provenance {
                file: "g.md".into(),
                line: 1,
                section: String::new(),
            },
            role: Role::Step,
            block: 0,
            program: "kubectl".into(),
            words: command.split(' ').map(said).collect(),
        };
        let found = asked(&typed);
        assert_eq!(
            found.as_ref().map(|asked| (asked.kind, asked.name, asked.namespace)),
            wanted
        );
    }
}
