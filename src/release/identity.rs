//! Which release a tree is of, told from facts in it.

use std::collections::BTreeMap;

use super::{RepoPath, Tag, Tree, TreeError};
use crate::manifest;

/// The annotation that the CRDs carry since v1.0.0; it should equal the tag.
const BUNDLE_VERSION: &str = "inference.networking.k8s.io/bundle-version:";

/// The tag of another release that the tree is of, and the file that says so; `None` where it may be the wanted one.
///
/// A tree is of another release when files name tags and none of them has the wanted numbers. One file that was not
/// brought up to date among others that were is a defect of the release, to be found by running it, and no reason to
/// refuse the tree; so is a tree that names no tag at all. A candidate's files may already name its release.
pub(super) fn other_release(tree: &dyn Tree, wanted: &Tag) -> Result<Option<(Tag, RepoPath)>, TreeError> {
    let claims = claims(tree)?;
    if claims.iter().any(|(tag, _)| tag.numbers() == wanted.numbers()) {
        return Ok(None);
    }
    Ok(claims.into_iter().next())
}

/// The tag that the files of a tree name most often; of tags named equally often the highest, `None` where none is named.
pub(super) fn tag_of(tree: &dyn Tree) -> Result<Option<Tag>, TreeError> {
    let mut counts: BTreeMap<String, (usize, Tag)> = BTreeMap::new();
    for (tag, _) in claims(tree)? {
        counts.entry(tag.to_string()).or_insert((0, tag)).0 += 1;
    }
    let most = counts
        .into_values()
        .max_by(|(count, tag), (other, than)| count.cmp(other).then_with(|| tag.numbers().cmp(&than.numbers())));
    Ok(most.map(|(_, tag)| tag))
}

/// The tags that files of a tree name as their own.
fn claims(tree: &dyn Tree) -> Result<Vec<(Tag, RepoPath)>, TreeError> {
    let mut claims = Vec::new();
    claims.extend(
        files(tree, "config/crd")?
            .into_iter()
            .filter_map(|path| claim(tree, path, bundle_version)),
    );
    claims.extend(files(tree, "config/charts")?.into_iter().filter_map(|path| {
        let is_values = path.as_str().ends_with("/values.yaml");
        is_values.then(|| claim(tree, path, image_tag))?
    }));
    Ok(claims)
}

fn files(tree: &dyn Tree, directory: &str) -> Result<Vec<RepoPath>, TreeError> {
    let Ok(directory) = directory.parse() else {
        return Ok(Vec::new());
    };
    match tree.list(&directory) {
        Err(TreeError::Missing { .. }) => Ok(Vec::new()),
        listed => listed,
    }
}

fn claim(tree: &dyn Tree, path: RepoPath, read: fn(&str) -> Option<String>) -> Option<(Tag, RepoPath)> {
    let text = String::from_utf8(tree.read(&path).ok()?).ok()?;
    Some((read(&text)?.parse().ok()?, path))
}

/// Read by line: a CRD is long, and parsing four of them costs more than the whole plan.
fn bundle_version(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix(BUNDLE_VERSION))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// The tag of the chart's main image: the first `image` mapping that names a repository of this project.
fn image_tag(text: &str) -> Option<String> {
    fn search(value: &serde_json::Value) -> Option<String> {
        let fields = value.as_object()?;
        // Charts before v1.5.0 name the `hub` and the image's short name.
        let names_project = ["repository", "hub"].iter().any(|field| {
            let name = fields.get(*field).and_then(serde_json::Value::as_str);
            name.is_some_and(|name| name.contains("gateway-api-inference-extension"))
        });
        if names_project {
            return fields.get("tag")?.as_str().map(str::to_owned);
        }
        fields.values().find_map(search)
    }
    search(&manifest::document("values.yaml", text.as_bytes()).ok()?)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::release::DirectoryTree;

    fn values(tag: &str) -> String {
        format!("a:\n  image:\n    registry: r\n    repository: gateway-api-inference-extension/epp\n    tag: {tag}\n")
    }

    fn crd(tag: &str) -> String {
        format!("metadata:\n  annotations:\n    {BUNDLE_VERSION} {tag}\n")
    }

    #[rstest]
    #[case::both(crd("v1.5.0"), values("v1.5.0"), None)]
    #[case::one_left_behind(crd("v1.4.0"), values("v1.5.0"), None)]
    #[case::another(crd("v1.4.0"), values("v1.4.0"), Some("v1.4.0"))]
    #[case::only_the_chart(String::new(), values("v1.0.0"), Some("v1.0.0"))]
    #[case::a_candidate(crd("v1.5.0-rc.1"), values("v1.5.0-rc.1"), None)]
    #[case::an_old_chart(String::new(), "image: {name: epp, hub: r.example/gateway-api-inference-extension, tag: v0.5.1}".into(), Some("v0.5.1"))]
    #[case::main(crd("main-dev"), values("main"), None)]
    #[case::nothing(String::new(), String::new(), None)]
    #[case::broken(String::new(), "a: [".into(), None)]
    fn a_tree_is_of_the_release_its_files_name(
        #[case] crd: String,
        #[case] values: String,
        #[case] other: Option<&str>,
    ) {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("config/crd/bases/a.yaml", crd),
            ("config/charts/c/values.yaml", values),
        ] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let tree = DirectoryTree::open(root.path()).unwrap();
        let found = other_release(&tree, &"v1.5.0".parse().unwrap()).unwrap();
        assert_eq!(found.map(|(tag, _)| tag.to_string()).as_deref(), other);
    }
}
