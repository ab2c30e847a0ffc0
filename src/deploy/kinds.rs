//! Kinds that the cluster does not know, and which step should have brought them: the asset or bundle that lacks the CRD.

use kube::Error;

use super::{Deployed, Deployer};
use crate::{
    manifest::Object,
    plan::Step,
    verdict::{Cause, CauseCode, Fault},
};

/// A step that brought CRDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Brought {
    /// The step's command and its place.
    by: String,
    defined: Vec<Defined>,
}

/// What a CRD defines.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Defined {
    group: String,
    kind: String,
    versions: Vec<String>,
    place: String,
}

impl Brought {
    /// What a step has brought with these objects; `None` where no CRD is among them.
    pub(super) fn of(step: &Step, objects: &[Object]) -> Option<Self> {
        let defined: Vec<Defined> = objects.iter().filter_map(Defined::of).collect();
        (!defined.is_empty()).then(|| Self {
            by: format!("`{}` ({}:{})", step.command, step.from.file, step.from.line),
            defined,
        })
    }

    /// How near its CRDs are to a group: the same, or of the same family, such as `inference.networking.k8s.io` and
    /// `inference.networking.x-k8s.io`.
    fn nearness(&self, group: &str) -> usize {
        let shared = |other: &str| {
            let pairs = other.split('.').zip(group.split('.'));
            let same = pairs.take_while(|(one, other)| one == other).count();
            if other == group { usize::MAX } else { same }
        };
        self.defined.iter().map(|one| shared(&one.group)).max().unwrap_or(0)
    }

    /// That a kind is not among what it brought, and what is.
    fn without(&self, kind: &str, group: &str) -> String {
        format!(
            "{} brings no CRD of {kind}.{group}; it brings {}",
            self.by,
            self.kinds()
        )
    }

    /// The kinds that it brought, listed.
    fn kinds(&self) -> String {
        let kinds = self.defined.iter().map(|one| format!("{}.{}", one.kind, one.group));
        kinds.collect::<Vec<_>>().join(", ")
    }
}

impl Defined {
    fn of(object: &Object) -> Option<Self> {
        let spec = &object.value["spec"];
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        if object.kind() != "CustomResourceDefinition" {
            return None;
        }
        let versions = spec["versions"].as_array().into_iter().flatten();
        Some(Self {
            group: text(&spec["group"])?,
            kind: text(&spec["names"]["kind"])?,
            versions: versions.filter_map(|version| text(&version["name"])).collect(),
            place: format!("{}:{}", object.file, object.line),
        })
    }
}

/// Why the cluster does not know a kind, by what the steps so far have brought; most telling first.
fn why_unknown(brought: &[Brought], api_version: &str, kind: &str) -> Vec<String> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let defined = brought.iter().flat_map(|one| &one.defined);
    let others: Vec<String> = defined
        .filter(|one| one.group == group && one.kind == kind)
        .map(|one| {
            format!(
                "the CRD of {kind}.{group} ({}) has version {}, and not {api_version}",
                one.place,
                one.versions.join(", ")
            )
        })
        .collect();
    if !others.is_empty() {
        return others;
    }
    let mut near: Vec<&Brought> = brought.iter().collect();
    near.sort_by_key(|one| std::cmp::Reverse(one.nearness(group)));
    let lacking: Vec<String> = near.into_iter().map(|one| one.without(kind, group)).collect();
    if lacking.is_empty() {
        vec![format!(
            "no step before this one brings CRDs, so none of {kind}.{group}"
        )]
    } else {
        lacking
    }
}

/// The kind that a program finds no resource for, and its `apiVersion`. Source: `NoKindMatchError` of
/// `k8s.io/apimachinery/pkg/api/meta`; in a log of JSON its quotes have backslashes.
pub(crate) fn unmatched(said: &str) -> Option<(String, String)> {
    let said = said.replace('\\', "");
    let (_, rest) = said.split_once("no matches for kind \"")?;
    let (kind, rest) = rest.split_once('"')?;
    let (version, _) = rest.strip_prefix(" in version \"")?.split_once('"')?;
    Some((kind.to_owned(), version.to_owned()))
}

impl Deployed {
    /// Remembers which CRDs a step has brought.
    pub(super) fn note_crds(&mut self, step: &Step, objects: &[Object]) {
        self.brought.extend(Brought::of(step, objects));
    }
}

impl Deployer {
    /// The fault that the cluster does not know a kind. `at` says what asked for it.
    pub(super) fn kind_unknown(&self, expected: &str, api_version: &str, kind: &str, at: String) -> Fault {
        let cause = self.cause_of_unknown(api_version, kind).because(at);
        Fault::new(expected, format!("the cluster knows no {api_version} {kind}"), cause)
    }

    fn cause_of_unknown(&self, api_version: &str, kind: &str) -> Cause {
        let why = self.deployed(|deployed| why_unknown(&deployed.brought, api_version, kind));
        let cause = Cause::new(CauseCode::ObjectKindUnknown);
        why.into_iter().fold(cause, Cause::because)
    }

    /// That the cluster does not know the kind that a program or a container says it finds no resource for; `None` where it says
    /// nothing of the kind, or the cluster knows it.
    pub(crate) async fn unmatched_kind(&self, said: &str) -> Option<Cause> {
        let (kind, api_version) = unmatched(said)?;
        let found: Result<_, Error> = self.resources.of_kind(&api_version, &kind).await;
        matches!(found, Ok(None)).then(|| self.cause_of_unknown(&api_version, &kind))
    }

    /// That no CRD has a name with this text, where the guide looks for one.
    pub(super) fn crd_missing(&self, expected: &str, named: &str) -> Fault {
        let listed = self.deployed(|deployed| {
            let all = deployed.brought.iter();
            all.map(|one| format!("{} brings {}", one.by, one.kinds()))
                .collect::<Vec<_>>()
        });
        let cause = Cause::new(CauseCode::ObjectKindUnknown);
        let cause = listed.into_iter().fold(cause, Cause::because);
        Fault::new(expected, format!("the cluster has no CRD `{named}`"), cause)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn crd(group: &str, kind: &str, version: &str) -> Object {
        Object {
            value: json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": "x"}, "spec": {"group": group, "names": {"kind": kind},
                    "versions": [{"name": version}]}})
            .into(),
            file: "crds.yaml".into(),
            line: 7,
        }
    }

    fn brought(by: &str, objects: &[Object]) -> Brought {
        Brought {
            by: by.into(),
            defined: objects.iter().filter_map(Defined::of).collect(),
        }
    }

    fn bundles() -> [Brought; 2] {
        [
            brought("gateway-api", &[crd("gateway.networking.k8s.io", "Gateway", "v1")]),
            brought(
                "manifests.yaml",
                &[crd("inference.networking.x-k8s.io", "InferenceObjective", "v1alpha2")],
            ),
        ]
    }

    #[rstest]
    #[case::of_the_same_group("inference.networking.x-k8s.io/v1alpha2", "InferenceModelRewrite", "manifests.yaml")]
    #[case::of_the_same_family("inference.networking.k8s.io/v1", "InferencePool", "manifests.yaml")]
    #[case::of_the_other_bundle("gateway.networking.k8s.io/v1", "HTTPRoute", "gateway-api")]
    fn the_bundle_that_lacks_a_crd_is_named_first(#[case] api_version: &str, #[case] kind: &str, #[case] by: &str) {
        let why = why_unknown(&bundles(), api_version, kind);
        assert!(why[0].starts_with(&format!("{by} brings no CRD of {kind}.")), "{why:?}");
    }

    #[test]
    fn a_crd_of_another_version_is_told_with_its_place() {
        let why = why_unknown(&bundles(), "inference.networking.x-k8s.io/v1", "InferenceObjective");
        assert_eq!(
            why,
            [
                "the CRD of InferenceObjective.inference.networking.x-k8s.io (crds.yaml:7) has version v1alpha2, and not \
              inference.networking.x-k8s.io/v1"
            ]
        );
    }

    #[test]
    fn where_no_step_brings_crds_that_is_said() {
        assert!(why_unknown(&[], "a.example/v1", "A")[0].starts_with("no step before this one brings CRDs"));
    }

    #[rstest]
    #[case::helm(
        r#"Error: INSTALLATION FAILED: unable to build kubernetes objects from release manifest: resource mapping not found for name: "p" namespace: "" from "": no matches for kind "InferencePool" in version "inference.networking.k8s.io/v1""#
    )]
    #[case::log_of_json(
        r#"{"level":"error","error":"no matches for kind \"InferencePool\" in version \"inference.networking.k8s.io/v1\""}"#
    )]
    fn the_kind_that_a_program_does_not_find_is_read(#[case] said: &str) {
        let found = unmatched(said).unwrap();
        assert_eq!(
            (found.0.as_str(), found.1.as_str()),
            ("InferencePool", "inference.networking.k8s.io/v1")
        );
        assert_eq!(unmatched("no matches for anything"), None);
    }
}
