//! The objects that exist after each step of a plan, and what is not known of them.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

use super::{ChartUse, Combination, Examined, NotRendered, Place};
use crate::{
    manifest::Object,
    plan::{Action, Chart, Makes, Offer, Plan, Reference, Step, classify},
    record::Provenance,
};

/// The kind of a CRD.
pub(super) const CRD: &str = "CustomResourceDefinition";

/// The namespace of objects and commands that name none.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// Kinds without a namespace, of those that the guides use.
const OF_THE_CLUSTER: &[&str] = &[
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "GatewayClass",
    "Namespace",
    "PersistentVolume",
    "PriorityClass",
    "StorageClass",
];

/// The objects of one plan, and the steps of which it is not known what they make.
#[derive(Debug)]
pub(super) struct PlannedObjects<'a> {
    /// The combination.
    pub(super) offer: &'a Offer,
    /// The plan.
    pub(super) plan: &'a Plan,
    /// Objects in the order in which steps make them.
    pub(super) objects: Vec<Placed<'a>>,
    /// Secrets that a command makes from literals.
    pub(super) secrets: Vec<Literal<'a>>,
    /// Steps that make objects which are not known.
    unknown: Vec<UnknownObjects>,
}

/// An object and the step that makes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed<'a> {
    /// The object.
    pub(super) object: &'a Object,
    /// The number of the step.
    pub(super) step: usize,
    /// The namespace it is made in; empty for kinds without one.
    pub(super) namespace: &'a str,
}

impl From<Placed<'_>> for Place {
    /// The object's first line.
    fn from(placed: Placed<'_>) -> Self {
        Self::line(&placed.object.file, placed.object.line)
    }
}

/// A Secret that a command makes.
#[derive(Debug)]
pub(super) struct Literal<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
    pub(super) keys: Vec<&'a str>,
}

#[derive(Debug)]
struct UnknownObjects {
    step: usize,
    /// The kinds that it may hold; `None` where it may be any.
    kinds: Option<Arc<BTreeSet<String>>>,
    /// What would have to be known; `None` where the step is known to fail, which is said elsewhere.
    why: Option<String>,
}

/// What looking for an object found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lookup<'a> {
    /// A step makes it.
    Found(Placed<'a>),
    /// No step makes it.
    Absent,
    /// A step whose objects are not known may make it; with what would have to be known, where that is to be said.
    Unknown(Option<&'a str>),
}

impl Placed<'_> {
    /// The API group; empty for the core.
    pub(super) fn group(&self) -> &str {
        group_of(self.object.api_version())
    }

    /// A value in it, by JSON pointer.
    pub(super) fn at(&self, pointer: &str) -> Option<&Value> {
        self.object.value.pointer(pointer)
    }

    /// A text in it, by JSON pointer.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.as_str()
    }
}

/// The group of an `apiVersion`; empty for the core.
pub(super) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

impl<'a> PlannedObjects<'a> {
    /// The objects of a combination's plan; `None` where it has none.
    pub(super) fn of(examined: &'a Examined<'_>, combination: &'a Combination) -> Option<Self> {
        let plan = combination.plan.as_ref().ok()?;
        let mut planned = Self {
            offer: &combination.offer,
            plan,
            objects: Vec::new(),
            secrets: Vec::new(),
            unknown: Vec::new(),
        };
        for (number, step) in plan.steps.iter().enumerate() {
            match &step.action {
                _ if step.known.is_some() && may_make_objects(step) => planned.unknown.push(UnknownObjects {
                    step: number,
                    kinds: only_crds(step).then(|| Arc::new(BTreeSet::from([CRD.to_owned()]))),
                    why: None,
                }),
                _ if step.known.is_some() => {}
                Action::Secret {
                    name,
                    literals,
                    namespace,
                } => planned.secrets.push(Literal {
                    name,
                    namespace: namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE),
                    keys: literals.iter().map(|(key, _)| key.as_str()).collect(),
                }),
                Action::Helm {
                    chart: Chart::Tree { directory },
                    namespace,
                    ..
                } => match ChartUse::of(&step.action).and_then(|chart| examined.rendered.get(&chart)) {
                    Some(Ok(objects)) => planned.place(number, objects, namespace.as_deref()),
                    rendered => planned.unknown.push(UnknownObjects {
                        step: number,
                        kinds: examined.kinds_of_chart(directory),
                        why: Some(match rendered {
                            Some(Err(NotRendered::NotTried(why))) => {
                                format!("the chart `{directory}` was not rendered: {why}")
                            }
                            Some(Err(error)) => format!("the chart `{directory}` cannot be rendered: {error}"),
                            _ => format!("the chart `{directory}` was not rendered; leave `--no-helm` out"),
                        }),
                    }),
                },
                Action::Unsupported { why } if may_make_objects(step) => planned.unknown.push(UnknownObjects {
                    step: number,
                    kinds: None,
                    why: Some(format!("`{}` is not understood: {why}", step.command)),
                }),
                action => {
                    if let Makes::Objects { objects, namespace } = action.facts().makes {
                        planned.place(number, objects, namespace);
                    }
                }
            }
        }
        Some(planned)
    }

    fn place(&mut self, step: usize, objects: &'a [Object], namespace: Option<&'a str>) {
        let namespace = namespace.unwrap_or(DEFAULT_NAMESPACE);
        self.objects.extend(objects.iter().map(|object| Placed {
            object,
            step,
            namespace: if OF_THE_CLUSTER.contains(&object.kind()) {
                ""
            } else {
                object.namespace().unwrap_or(namespace)
            },
        }));
    }

    /// Objects of a kind, whatever its group.
    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = Placed<'a>> {
        let found: Vec<Placed<'a>> = self
            .objects
            .iter()
            .filter(|placed| placed.object.kind() == kind)
            .copied()
            .collect();
        found.into_iter()
    }

    /// Looks for an object. `group` is `None` where any will do.
    pub(super) fn find(&self, group: Option<&str>, kind: &str, namespace: &str, name: &str) -> Lookup<'_> {
        let namespace = if OF_THE_CLUSTER.contains(&kind) { "" } else { namespace };
        let found = self.objects.iter().find(|placed| {
            placed.object.kind() == kind
                && placed.object.name() == name
                && placed.namespace == namespace
                && group.is_none_or(|group| placed.group() == group)
        });
        found.map_or_else(|| self.absent(kind, usize::MAX), |placed| Lookup::Found(*placed))
    }

    /// What is known of something of a kind that none of the known objects is: whether a step before `step` may make it.
    pub(super) fn absent(&self, kind: &str, step: usize) -> Lookup<'_> {
        let may_hold = |one: &&UnknownObjects| one.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind));
        let mut before = self.unknown.iter().filter(|one| one.step < step).filter(may_hold);
        match before.next() {
            Some(first) => Lookup::Unknown(
                first
                    .why
                    .as_deref()
                    .or_else(|| before.find_map(|unknown| unknown.why.as_deref())),
            ),
            None => Lookup::Absent,
        }
    }

    /// Whether objects are in a namespace that the guide uses.
    pub(super) fn uses_namespace(&self, namespace: &str) -> bool {
        namespace == DEFAULT_NAMESPACE || self.objects.iter().any(|placed| placed.namespace == namespace)
    }

    /// The step of a command by its place, `None` where no step comes from it.
    pub(super) fn step_at(&self, at: &Provenance) -> Option<usize> {
        let is_at = |step: &Step| step.from.file == at.file && step.from.line == at.line;
        self.plan.steps.iter().position(is_at)
    }
}

/// Whether what a step's command names can hold nothing but CRDs: the bundle of a release, or the folder that it is made of.
fn only_crds(step: &Step) -> bool {
    let mut words = step.programs.iter().flat_map(|program| &program.words);
    words.any(|word| match classify(&word.shown()) {
        Reference::Asset { name, .. } => name == "manifests.yaml",
        Reference::Directory { path, .. } => path == "config/crd",
        _ => false,
    })
}

/// Whether a step's command may make objects.
fn may_make_objects(step: &Step) -> bool {
    // Where bash reads no command, its text is all there is.
    if step.programs.is_empty() {
        return ["kubectl", "helm", "helmfile"]
            .iter()
            .any(|program| step.command.contains(program));
    }
    step.programs.iter().any(|program| {
        // What was meant by a word that it does not know is anybody's guess.
        if program.unknown().is_some() {
            return true;
        }
        let making: &[&str] = match program.name.as_str() {
            "kubectl" => &["apply", "create", "replace", "run", "expose"],
            "helm" => &["install", "upgrade"],
            "helmfile" => &["apply", "sync"],
            // Another program may run them.
            _ => &["kubectl", "helm", "helmfile"],
        };
        program.words[1..]
            .iter()
            .any(|word| making.iter().any(|name| word.is(name)))
    })
}
