//! Files that hold objects and are no manifests: something else makes manifests of them.
//!
//! Two kinds are told apart by the tree itself: what `envsubst` is to fill in first, and what a kustomization names as a
//! patch. As with a chart's templates, what stands in them is not what an API server gets.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    manifest::Object,
    release::{Release, RepoPath, kustomization},
};

/// Fields whose text may hold `${NAME}` for a program in a container, or is free.
const FREE_FIELDS: &[&str] = &[
    "annotations",
    "args",
    "binaryData",
    "command",
    "data",
    "description",
    "stringData",
    "value",
];

/// Whether a file of these objects is a template: `${NAME}` stands where Kubernetes takes no such text.
pub(super) fn are_of_a_template(objects: &[Object]) -> bool {
    let is_definition = |object: &Object| object.kind() == "CustomResourceDefinition";
    objects
        .iter()
        .any(|object| !is_definition(object) && has_variable(&object.value))
}

fn has_variable(value: &Value) -> bool {
    match value {
        Value::String(text) => text.match_indices("${").any(|(at, sign)| {
            let name = text[at + sign.len()..].bytes().next();
            name.is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic())
        }),
        Value::Array(items) => items.iter().any(has_variable),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| !FREE_FIELDS.contains(&name.as_str()) && has_variable(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Fields by which a kustomization changes what it is given, other than names and labels.
const CHANGING: &[&str] = &[
    "components",
    "images",
    "patches",
    "patchesJson6902",
    "patchesStrategicMerge",
    "replacements",
];

/// The files that only kustomizations lead to which change them: what is applied is what comes of that.
pub(super) fn changed(release: &Release, all: &[RepoPath]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in all.iter().filter(|path| is_kustomization(path)) {
        let changes = |document: &Value| {
            CHANGING
                .iter()
                .any(|field| document[*field].as_array().is_some_and(|all| !all.is_empty()))
        };
        if release.document(path).is_ok_and(|document| changes(&document)) {
            found.extend(
                kustomization::walk(release, path)
                    .files
                    .into_iter()
                    .map(|file| file.to_string()),
            );
        }
    }
    found
}

fn is_kustomization(path: &RepoPath) -> bool {
    let name = path.as_str().rsplit('/').next().unwrap_or_default();
    kustomization::FILES.contains(&name)
}

/// The files that kustomizations among `all` name as patches.
pub(super) fn patches(release: &Release, all: &[RepoPath]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in all.iter().filter(|path| is_kustomization(path)) {
        let (Ok(document), Some(directory)) = (release.document(path), path.parent()) else {
            continue;
        };
        let items = |field: &str| document[field].as_array().into_iter().flatten();
        let with_path = items("patches").chain(items("patchesJson6902"));
        let named = with_path.filter_map(|patch| patch["path"].as_str());
        let merged = items("patchesStrategicMerge").filter_map(Value::as_str);
        let files = named.chain(merged).filter_map(|file| directory.join(file).ok());
        found.extend(files.map(|file| file.to_string()));
    }
    found
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{manifest, release::MemoryTree};

    #[rstest]
    #[case::a_name("kind: A\nmetadata: {name: '${NAME}-x'}\n", true)]
    #[case::a_number("kind: A\nmetadata: {name: a}\nspec: {replicas: '${COUNT}'}\n", true)]
    #[case::in_a_list("kind: A\nmetadata: {name: a}\nspec: {hosts: ['${HOST}']}\n", true)]
    #[case::a_script(
        "kind: A\nmetadata: {name: a}\nspec: {containers: [{args: ['${HOME}'], env: [{value: '${X}'}]}]}\n",
        false
    )]
    #[case::a_file("kind: ConfigMap\nmetadata: {name: a}\ndata: {x: '${Y}'}\n", false)]
    #[case::no_name("kind: A\nmetadata: {name: a}\nspec: {x: '${1}', y: '$(Z)'}\n", false)]
    fn a_template_of_envsubst_is_told_by_where_its_variables_stand(#[case] text: &str, #[case] is_one: bool) {
        let objects = manifest::read("a.yaml", format!("apiVersion: v1\n{text}").as_bytes()).unwrap();
        assert_eq!(are_of_a_template(&objects), is_one);
    }

    #[test]
    fn patches_are_those_that_kustomizations_name() {
        let mut tree = MemoryTree::default();
        let kustomization = "patches: [{path: one.yaml}, {patch: inline}]\npatchesStrategicMerge: [../two.yaml, 'kind: X']\n\
                             patchesJson6902: [{path: sub/three.yaml}]\nresources: [four.yaml]\n";
        tree.insert("a/b/kustomization.yaml".parse().unwrap(), kustomization);
        let release = Release::new("o/r", None, None, Box::new(tree));
        let all = release.tree.all().unwrap();
        let found = patches(&release, &all);
        for file in ["a/b/one.yaml", "a/two.yaml", "a/b/sub/three.yaml"] {
            assert!(found.contains(file), "{found:?}");
        }
        assert!(!found.contains("a/b/four.yaml"), "{found:?}");
    }
}
