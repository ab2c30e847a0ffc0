//! Order: what a command asks for is there by then, and what was made is taken away in the end.

use super::{
    Examined, Family, Findings, Place,
    caret::caret,
    planned_objects::{CRD, DEFAULT_NAMESPACE, Lookup, Placed, PlannedObjects},
    pods::items,
    reader::{Reader, ReaderCommand},
};
use crate::{guide::Role, manifest::Object, plan::Step};

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
    let planned_objects: Vec<PlannedObjects<'_>> = examined.planned_objects().collect();
    for planned in &planned_objects {
        crds(examined, findings, planned);
    }
    for reader in examined.readers() {
        let Some(planned) = planned_objects.iter().find(|planned| *planned.offer == reader.offer) else {
            continue;
        };
        for command in &reader.commands {
            if let Some(needed) = needed(command) {
                object(examined, findings, planned, reader, command, &needed);
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

fn needed(command: &ReaderCommand) -> Option<Needed> {
    if command.program.name != "kubectl" || matches!(command.role, Role::Cleanup) {
        return None;
    }
    let arguments = command.program.arguments().ok()?;
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
    planned: &PlannedObjects<'_>,
    reader: &Reader,
    command: &ReaderCommand,
    needed: &Needed,
) {
    if !planned.uses_namespace(&needed.namespace) {
        return;
    }
    let now = planned.step_at(&command.program.at);
    let place = || place_of(examined, command, &needed.name);
    match planned.find(None, needed.kind, &needed.namespace, &needed.name) {
        Lookup::Found(found) => {
            let Some(now) = now else {
                return;
            };
            if found.step > now {
                let made_by = &planned.plan.steps[found.step].from;
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
                early(examined, findings, planned, reader, command, found, now);
            }
        }
        Lookup::Absent => {
            let there: Vec<String> = planned
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
        Lookup::Unknown(why) => {
            if let Some(why) = why {
                findings.undecided(
                    &OBJECT_MISSING,
                    place(),
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
    planned: &PlannedObjects<'_>,
    reader: &Reader,
    command: &ReaderCommand,
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
            let is_made = match planned.find(Some(group), "InferencePool", route.namespace, name) {
                Lookup::Found(pool) => pool.step <= now,
                _ => false,
            };
            // What a step before makes and nobody knows may be the pool.
            if is_made || !matches!(planned.absent("InferencePool", now), Lookup::Absent) {
                continue;
            }
            findings
                .add(
                    &STATUS_EARLY,
                    place_of(examined, command, route.object.name()),
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
fn crds(examined: &Examined<'_>, findings: &mut Findings, planned: &PlannedObjects<'_>) {
    let crds: Vec<Placed<'_>> = planned.of_kind(CRD).collect();
    for placed in &planned.objects {
        let is_of = |crd: &&Placed<'_>| {
            let spec = &crd.object.value["spec"];
            spec["group"].as_str() == Some(placed.group())
                && spec["names"]["kind"].as_str() == Some(placed.object.kind())
        };
        let first = crds.iter().filter(is_of).map(|crd| crd.step).min();
        if first.is_some_and(|first| first <= placed.step) {
            continue;
        }
        let step = &planned.plan.steps[placed.step];
        if first.is_none() {
            let is_published = examined.published_crds().any(|crd| {
                let spec = &crd.value["spec"];
                spec["group"].as_str() == Some(placed.group())
                    && spec["names"]["kind"].as_str() == Some(placed.object.kind())
            });
            if is_published && matches!(planned.absent(CRD, usize::MAX), Lookup::Absent) {
                findings
                    .add(
                        &CRD_MISSING,
                        made_at(examined, step, placed.object, ""),
                        format!("no step applies the CRD of {}", placed.object.title()),
                    )
                    .because("the release has the CRD, and the API server does not until it is applied")
                    .way_out("apply the release's CRDs first")
                    .only_for(planned.offer);
            }
            continue;
        }
        let later = first.and_then(|first| planned.plan.steps.get(first));
        let found = findings.add(
            &CRD_LATER,
            made_at(
                examined,
                step,
                placed.object,
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
        found.way_out("apply the CRDs first").only_for(planned.offer);
    }
}

/// Where a command makes an object, at `text` of it; the object itself where the guide is ours and so none of the release.
fn made_at(examined: &Examined<'_>, step: &Step, object: &Object, text: &str) -> Place {
    if examined.layout.our_guide.is_some() {
        return examined.place(object, "");
    }
    caret(examined, &step.from.file, step.from.line, text)
}

/// The helm release that a command names; `None` where that is not known.
fn helm_release(command: &ReaderCommand) -> Option<String> {
    command.program.arguments().ok()?.positional.get(1)?.known()
}

/// The place of a text in a command.
fn place_of(examined: &Examined<'_>, command: &ReaderCommand, text: &str) -> Place {
    let at = &command.program.at;
    caret(examined, &at.file, at.line, text)
}

/// Helm releases that the guide makes and its cleanup leaves.
fn cleanup(examined: &Examined<'_>, findings: &mut Findings, reader: &Reader) {
    let helm = |verbs: &'static [&str]| {
        let commands = reader.commands.iter().filter(|command| command.program.name == "helm");
        commands.filter_map(move |command| {
            let verb = command.program.words.get(1)?.known()?;
            verbs.contains(&verb.as_str()).then(|| (command, helm_release(command)))
        })
    };
    if !reader.commands.iter().any(|command| command.role == Role::Cleanup) {
        return;
    }
    // One whose name is not known may be any of them.
    let Some(gone) = helm(&["uninstall", "delete"])
        .map(|(_, name)| name)
        .collect::<Option<Vec<String>>>()
    else {
        return;
    };
    for (command, name) in helm(&["install", "upgrade"]) {
        let Some(name) = name.filter(|name| !gone.contains(name)) else {
            continue;
        };
        findings
            .add(
                &CLEANUP_LEAVES,
                place_of(examined, command, &name),
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
        let command = ReaderCommand {
            role: Role::Step,
            block: 0,
            named: Vec::new(),
            program: programs.remove(0),
        };
        let found = needed(&command);
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

    fn crd(kind: &str, group: &str) -> String {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: x.{group}}}\n\
             spec:\n  group: {group}\n  names: {{kind: {kind}}}\n"
        )
    }

    #[test]
    fn a_copy_of_somebody_elses_crd_in_the_tree_is_none_that_a_step_must_apply() {
        let copy = crd("DestinationRule", "networking.istio.io");
        let findings = crate::lint::tests::found(&[("deploy/crds/copy.yaml", &copy)]);
        assert!(!findings.diagnostics.iter().any(|one| one.code == CRD_MISSING.code));
    }

    #[test]
    fn what_a_guide_of_ours_leaves_out_is_told_at_the_object_of_the_release() {
        let mut tree = crate::release::MemoryTree::default();
        let objective = "apiVersion: x.example/v1\nkind: Objective\nmetadata: {name: a}\n";
        for (path, text) in [
            ("config/manifests/inferenceobjective.yaml", objective.to_owned()),
            ("config/crd/bases/x.yaml", crd("Objective", "x.example")),
            ("config/crd/bases/llm-d.ai_inferenceobjectives.yaml", crd("A", "a")),
            ("config/crd/bases/llm-d.ai_inferencemodelrewrites.yaml", crd("B", "b")),
            (
                "config/manifests/vllm/sim-deployment.yaml",
                objective.replace("Objective", "Server"),
            ),
            (
                "config/manifests/gateway/istio/gateway.yaml",
                objective.replace("Objective", "Door"),
            ),
            (
                "config/charts/llm-d-router-gateway/Chart.yaml",
                "name: llm-d-router-gateway\n".into(),
            ),
            ("config/charts/llm-d-router-gateway/values.yaml", "a: b\n".into()),
            (
                "config/charts/llm-d-router-gateway/templates/a.yaml",
                "kind: ConfigMap\n".into(),
            ),
        ] {
            tree.insert(path.parse().unwrap(), text);
        }
        let release = crate::release::Release::new("llm-d/llm-d-router", "v0.10.0".parse().ok(), None, Box::new(tree));
        let layout = release.layout(None).unwrap();
        let combinations = crate::lint::draw(&release, &layout).unwrap();
        let findings = crate::lint::examine(&release, &layout, &combinations, &crate::lint::Rendered::new());
        let found = findings.diagnostics.iter().filter(|one| one.code == CRD_MISSING.code);
        let places: Vec<(&str, u32)> = found.map(|one| (one.place.file.as_str(), one.place.line)).collect();
        assert_eq!(
            places,
            [("config/manifests/inferenceobjective.yaml", 1)],
            "{:?}",
            findings.undecided
        );
    }
}
