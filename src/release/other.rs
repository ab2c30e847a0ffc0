//! Another release that a guide leads to: what its CRDs and its endpoint picker have, as far as the layouts say it.

use std::collections::BTreeSet;

use super::{Layout, Release, Tag};
use crate::manifest::Object;

impl Release {
    /// The kinds that the endpoint picker of this release watches, and that the CRDs of another one lack.
    pub(crate) fn kinds_lacking_in(&self, other: &Tag, layout: &Layout) -> Vec<String> {
        let (Some(own), Some(theirs)) = (&self.tag, self.watched_in(other)) else {
            return Vec::new();
        };
        // What an endpoint picker watches its release has CRDs for.
        watched(layout, own).difference(&theirs).cloned().collect()
    }

    /// The kinds that the endpoint picker of another release watches, and that `crds`, which are this one's, lack.
    pub(crate) fn kinds_lacking_for(&self, other: &Tag, layout: &Layout, crds: &[&Object]) -> Vec<String> {
        let Some(theirs) = self.watched_in(other).filter(|_| !crds.is_empty()) else {
            return Vec::new();
        };
        // What this release's own endpoint picker watches as well is no matter of the other one.
        let own = layout.picker.iter().flat_map(|picker| &picker.kinds);
        let own: BTreeSet<&str> = own.map(|kind| kind.name.as_str()).collect();
        let is_lacking = |kind: &String| !own.contains(kind.as_str()) && !crds.iter().any(|crd| defines(crd, kind));
        theirs.into_iter().filter(is_lacking).collect()
    }

    /// What the endpoint picker of another release watches; `None` where no layout is of it.
    fn watched_in(&self, other: &Tag) -> Option<BTreeSet<String>> {
        let layout = Layout::of_tag(&self.repository, other).ok()?;
        Some(watched(&layout, other))
    }
}

/// What the endpoint picker of a tag watches, each as `GROUP/VERSION KIND`.
fn watched(layout: &Layout, tag: &Tag) -> BTreeSet<String> {
    let kinds = layout.picker.iter().flat_map(|picker| &picker.kinds);
    kinds
        .filter(|kind| kind.is_in(tag))
        .map(|kind| kind.name.clone())
        .collect()
}

/// Whether a CRD serves a kind, `GROUP/VERSION KIND`.
fn defines(crd: &Object, kind: &str) -> bool {
    let (version, kind) = kind.split_once(' ').unwrap_or(("", kind));
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let spec = &crd.value["spec"];
    let mut versions = spec["versions"].as_array().into_iter().flatten();
    spec["group"] == group
        && spec["names"]["kind"] == kind
        && versions.any(|one| one["name"] == version && one["served"] == true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{manifest, release::MemoryTree};

    const MODEL: &str = "inference.networking.x-k8s.io/v1alpha2 InferenceModel";

    fn release(tag: &str) -> (Release, Layout) {
        let tree = Box::new(MemoryTree::default());
        let release = Release::new(crate::release::REPOSITORY, tag.parse().ok(), None, tree);
        let layout = release.layout(None).unwrap();
        (release, layout)
    }

    fn crd(version: &str, served: bool) -> Object {
        let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"},
            "spec": {"group": "inference.networking.x-k8s.io", "names": {"kind": "InferenceModel"},
                "versions": [{"name": version, "served": served}]}});
        manifest::read("x.yaml", crd.to_string().as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn the_crds_of_an_older_release_lack_what_came_later() {
        let (release, layout) = release("v1.0.0");
        let lacking = release.kinds_lacking_in(&"v0.3.0".parse().unwrap(), &layout);
        assert!(
            lacking.contains(&"inference.networking.k8s.io/v1 InferencePool".to_owned()),
            "{lacking:?}"
        );
        assert_eq!(
            release.kinds_lacking_in(&"v1.0.0".parse().unwrap(), &layout),
            Vec::<String>::new()
        );
        assert_eq!(
            release.kinds_lacking_in(&"v1.0.1".parse().unwrap(), &layout),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_older_endpoint_picker_lacks_what_was_taken_out_and_is_not_served() {
        let (release, layout) = release("v1.0.0");
        let lacking = |crds: &[&Object]| release.kinds_lacking_for(&"v0.3.0".parse().unwrap(), &layout, crds);
        let (other, unserved, served) = (crd("v1", true), crd("v1alpha2", false), crd("v1alpha2", true));
        assert!(lacking(&[&other]).contains(&MODEL.to_owned()));
        assert!(lacking(&[&unserved]).contains(&MODEL.to_owned()));
        assert!(!lacking(&[&served]).contains(&MODEL.to_owned()));
        assert_eq!(lacking(&[]), Vec::<String>::new(), "a tree without CRDs says nothing");
    }
}
