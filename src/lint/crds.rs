//! Custom resource definitions: what is in the bundle, what the release's objects need, and whether these fit.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Examined, Family, Findings, Place, Severity,
    pods::{items, token},
};
use crate::{
    manifest::{self, Object},
    release::RepoPath,
};

mod rules;
mod schema;

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "crds",
    rules: rules::ALL,
    look,
};

/// Where releases keep the sources of their bundle.
const KUSTOMIZATION: &str = "config/crd/kustomization.yaml";

/// What the annotation that names the bundle's release is called, after its domain and `/`.
const BUNDLE_VERSION: &str = "bundle-version";

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    let objects = examined.files.manifests.iter().flat_map(|objects| objects.iter());
    let crds: Vec<&Object> = objects
        .filter(|object| object.kind() == "CustomResourceDefinition")
        .collect();
    for crd in &crds {
        validity(examined, crd, findings);
    }
    bundle_versions(examined, &crds, findings);
    let resources = bundle(examined, findings);
    if let Some(resources) = &resources {
        left_out(examined, &crds, resources, findings);
    }
    let served = Served::of(&crds, resources.as_deref());
    for object in examined.files.objects() {
        served.holds(examined, object, findings);
    }
}

/// What the API server asks of every definition (`ValidateCustomResourceDefinition`).
fn validity(examined: &Examined<'_>, crd: &Object, findings: &mut Findings) {
    let spec = &crd.value["spec"];
    let wanted = format!(
        "{}.{}",
        spec["names"]["plural"].as_str().unwrap_or_default(),
        spec["group"].as_str().unwrap_or_default()
    );
    if crd.name() != wanted {
        let message = format!("the definition is named `{}` and defines `{wanted}`", crd.name());
        findings
            .add(&rules::NAME, examined.place(crd, "/metadata/name"), message)
            .way_out(format!("`name: {wanted}`"));
    }
    let stored = items(&spec["versions"]).filter(|(_, version)| version["storage"] == true);
    let stored = stored.count();
    if stored != 1 {
        let message = format!(
            "{} has {stored} versions that are stored, and needs exactly one",
            crd.name()
        );
        findings.add(&rules::STORAGE, examined.place(crd, "/spec/versions"), message);
    }
}

/// The annotation says the tag.
fn bundle_versions<'a>(examined: &Examined<'_>, crds: &[&'a Object], findings: &mut Findings) {
    let Some(tag) = &examined.release.tag else {
        return;
    };
    let annotation = |crd: &&'a Object| {
        let annotations = crd.value.pointer("/metadata/annotations")?.as_object()?;
        let mut annotations = annotations.iter();
        let (key, value) = annotations.find(|(key, _)| key.rsplit('/').next() == Some(BUNDLE_VERSION))?;
        Some((key, value.as_str().unwrap_or_default()))
    };
    let wanted = tag.to_string();
    // Definitions of other projects lie elsewhere in a tree.
    let own = crds.iter().filter(|crd| crd.file.starts_with("config/crd/"));
    let annotated: Vec<_> = own.map(|crd| (*crd, annotation(crd))).collect();
    // Releases that never say it are of a time before the annotation.
    if annotated.iter().all(|(_, annotation)| annotation.is_none()) {
        return;
    }
    for (crd, annotation) in annotated {
        let name = crd.name();
        let (pointer, message, why) = match annotation {
            Some((_, version)) if version == wanted => continue,
            Some((key, version)) => (
                format!("/metadata/annotations/{}", token(key)),
                format!("{name} says it is of the bundle `{version}`"),
                format!("the release is {wanted}"),
            ),
            None => (
                "/metadata/annotations".to_owned(),
                format!("{name} does not say which bundle it is of"),
                "other definitions of the release do".to_owned(),
            ),
        };
        findings
            .add(&rules::BUNDLE_VERSION, examined.place(crd, &pointer), message)
            .because(why);
    }
}

/// The paths that the bundle is made of; `None` where that is not known.
fn bundle(examined: &Examined<'_>, findings: &mut Findings) -> Option<Vec<RepoPath>> {
    let text = examined.files.text(examined.release, KUSTOMIZATION)?;
    let kustomization: Value = manifest::document(KUSTOMIZATION, text.as_bytes()).ok()?;
    let home: RepoPath = KUSTOMIZATION.parse::<RepoPath>().ok()?.parent()?;
    let place = |index: usize| {
        let pointer = format!("/resources/{index}");
        examined.files.place_in(examined.release, KUSTOMIZATION, &pointer)
    };
    let mut resources = Vec::new();
    let mut is_whole = true;
    for (index, resource) in items(&kustomization["resources"]) {
        let name = resource.as_str().unwrap_or_default();
        let Some(path) = home.join(name).ok().filter(|_| !name.contains("://")) else {
            let why = format!("`{name}` of `{KUSTOMIZATION}` is not in the tree");
            findings.undecided(&rules::RESOURCE, place(index), why);
            is_whole = false;
            continue;
        };
        let tree = &examined.release.tree;
        if tree.exists(&path) || tree.list(&path).is_ok() {
            is_whole &= tree.exists(&path);
            resources.push(path);
            continue;
        }
        is_whole = false;
        // Where not even the directory is there, the tree may be a part of the repository.
        if path.parent().is_some_and(|parent| tree.list(&parent).is_ok()) {
            findings
                .add(
                    &rules::RESOURCE,
                    place(index),
                    format!("the bundle asks for `{path}`, which is not there"),
                )
                .because("`kubectl kustomize config/crd` fails, and with it the release's `manifests.yaml`");
        } else {
            let why = format!("the bundle asks for `{path}`, and the tree has nothing near it: is it whole?");
            findings.undecided(&rules::RESOURCE, place(index), why);
        }
    }
    is_whole.then_some(resources)
}

/// Definitions that lie beside the others and that the bundle leaves out.
fn left_out(examined: &Examined<'_>, crds: &[&Object], resources: &[RepoPath], findings: &mut Findings) {
    let in_bundle = |file: &str| resources.iter().any(|path| path.as_str() == file);
    let home = |file: &str| file.rsplit_once('/').map(|(home, _)| home.to_owned());
    let homes: Vec<_> = resources.iter().filter_map(|path| home(path.as_str())).collect();
    for crd in crds {
        if in_bundle(&crd.file) || !home(&crd.file).is_some_and(|home| homes.contains(&home)) {
            continue;
        }
        let (group, kind) = (text(crd, "/spec/group"), text(crd, "/spec/names/kind"));
        let user = examined.files.objects().find(|object| {
            object.kind() == kind
                && object.api_version().split('/').next() == Some(group)
                && examined.files.applied_by(&object.file).is_some()
        });
        let message = format!("{} is not in the bundle", crd.name());
        let added = findings.add(&rules::LEFT_OUT, Place::line(&crd.file, crd.line), message);
        added.because(format!(
            "`{KUSTOMIZATION}` does not name it, so the release's `manifests.yaml` does not hold it"
        ));
        match user {
            Some(user) => added.because(format!(
                "the guide applies {} ({}:{})",
                user.title(),
                user.file,
                user.line
            )),
            None => added.at_most(Severity::Drift),
        };
    }
}

fn text<'a>(object: &'a Object, pointer: &str) -> &'a str {
    object
        .value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Versions of a kind: whether each is served, and its schema.
type Versions<'a> = BTreeMap<&'a str, (bool, &'a Value)>;

/// What the release's own definitions serve, by group and kind.
struct Served<'a> {
    kinds: BTreeMap<(&'a str, &'a str), Versions<'a>>,
}

impl<'a> Served<'a> {
    /// What the definitions of the bundle serve; of all definitions where the bundle is not known.
    fn of(crds: &[&'a Object], bundle: Option<&[RepoPath]>) -> Self {
        let mut kinds: BTreeMap<(&str, &str), Versions<'_>> = BTreeMap::new();
        for crd in crds {
            if bundle.is_some_and(|paths| paths.iter().all(|path| path.as_str() != crd.file)) {
                continue;
            }
            let versions = kinds
                .entry((text(crd, "/spec/group"), text(crd, "/spec/names/kind")))
                .or_default();
            for (_, version) in items(&crd.value["spec"]["versions"]) {
                let name = version["name"].as_str().unwrap_or_default();
                versions.insert(name, (version["served"] == true, &version["schema"]["openAPIV3Schema"]));
            }
        }
        Self { kinds }
    }

    /// Compares one object with the definition of its kind, where the release has one for its group.
    fn holds(&self, examined: &Examined<'_>, object: &Object, findings: &mut Findings) {
        let Some((group, version)) = object.api_version().split_once('/') else {
            return;
        };
        let of_group: Vec<&str> = self
            .kinds
            .keys()
            .filter(|(known, _)| *known == group)
            .map(|(_, kind)| *kind)
            .collect();
        if of_group.is_empty() {
            return;
        }
        let (kind, api_version) = (object.kind(), object.api_version());
        let Some(versions) = self.kinds.get(&(group, kind)) else {
            let message = format!("the release defines no {kind} of {group}");
            findings
                .add_to(examined, object, &rules::NOT_SERVED, "/kind", message)
                .because(format!("of this group it defines {}", of_group.join(", ")));
            return;
        };
        if let Some((true, schema)) = versions.get(version) {
            for fault in schema::compare(schema, &object.value) {
                findings
                    .add_to(examined, object, &rules::INVALID, &fault.pointer, fault.what)
                    .because(format!("the definition of {api_version} {kind} says so"));
            }
            return;
        }
        let served = versions.iter().filter(|(_, (served, _))| *served);
        let served: Vec<&str> = served.map(|(name, _)| *name).collect();
        let message = format!("the release serves no {kind} of {api_version}");
        findings
            .add_to(examined, object, &rules::NOT_SERVED, "/apiVersion", message)
            .because(format!("it serves {}", served.join(", ")));
    }
}
