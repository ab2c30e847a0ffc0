//! The CRD bundle of a release, built from its tree before it is published.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value};

use super::{PathError, RepoPath, Tree, TreeError};
use crate::manifest::{self, ManifestError, Object};

/// Where releases keep the sources of their bundle.
const KUSTOMIZATION: &str = "config/crd/kustomization.yaml";

/// Why the bundle cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BundleError {
    /// A file is missing.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file is not a manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A resource is named by something other than a path of the tree.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A resource stands there twice.
    #[error("`{KUSTOMIZATION}` names `{file}` twice; kustomize refuses that")]
    Twice {
        /// The resource.
        file: RepoPath,
    },
    /// The kustomization asks for more than we know how to do.
    #[error(
        "`{KUSTOMIZATION}` sets `{field}`, and only `resources` is understood; build the bundle with `kubectl kustomize config/crd`"
    )]
    Unsupported {
        /// The field.
        field: String,
    },
}

/// How a file of the bundle is read.
pub(super) type Reader<'a> = dyn Fn(&RepoPath) -> Result<Arc<[Object]>, BundleError> + 'a;

/// The objects of `kubectl kustomize config/crd`, which is what `releases/download/<tag>/manifests.yaml` will hold.
///
/// Objects stay in the order of `resources`; kustomize sorts by kind, and a bundle has one kind.
/// Source: step "make release" of `.github/ISSUE_TEMPLATE/new-release.md` at v1.5.0.
///
/// # Errors
/// A file is missing or broken, or the kustomization has any other field that is not empty.
pub(super) fn crd_bundle(tree: &dyn Tree, read: &Reader<'_>) -> Result<Vec<Object>, BundleError> {
    let path: RepoPath = KUSTOMIZATION.parse()?;
    let fields: Map<String, Value> = manifest::document(KUSTOMIZATION, &tree.read(&path)?)?;
    let mut objects = Vec::new();
    for (field, value) in &fields {
        match (field.as_str(), value) {
            ("apiVersion" | "kind", _) | (_, Value::Null) => {}
            ("resources", Value::Array(resources)) => {
                let mut files = BTreeSet::new();
                for resource in resources {
                    let directory = path.parent().unwrap_or_else(|| path.clone());
                    let file = directory.join(resource.as_str().unwrap_or_default())?;
                    // kustomize refuses it too: an object of the same kind and name is there already.
                    if !files.insert(file.clone()) {
                        return Err(BundleError::Twice { file });
                    }
                    objects.extend(read(&file)?.iter().cloned());
                }
            }
            (_, Value::Array(items)) if items.is_empty() => {}
            (_, Value::Object(items)) if items.is_empty() => {}
            _ => return Err(BundleError::Unsupported { field: field.clone() }),
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::release::DirectoryTree;

    fn bundle(kustomization: &str) -> Result<Vec<String>, BundleError> {
        let root = tempfile::tempdir().unwrap();
        let crds = root.path().join("config/crd");
        std::fs::create_dir_all(crds.join("bases")).unwrap();
        std::fs::write(crds.join("kustomization.yaml"), kustomization).unwrap();
        for name in ["a", "b"] {
            let text = format!("apiVersion: v1\nkind: CustomResourceDefinition\nmetadata: {{name: {name}}}\n");
            std::fs::write(crds.join(format!("bases/{name}.yaml")), text).unwrap();
        }
        let tree = DirectoryTree::open(root.path()).unwrap();
        let read = |file: &RepoPath| Ok(manifest::read(file.as_str(), &tree.read(file)?)?.into());
        Ok(crd_bundle(&tree, &read)?
            .iter()
            .map(|object| object.name().to_owned())
            .collect())
    }

    #[rstest]
    #[case("resources: [bases/b.yaml, bases/a.yaml]\npatches:\n# none\n")]
    #[case("kind: Kustomization\nresources: [./bases/b.yaml, bases/a.yaml]\npatches: []\ncommonLabels: {}\n")]
    fn resources_are_read_in_their_order_and_empty_fields_say_nothing(#[case] kustomization: &str) {
        assert_eq!(bundle(kustomization).unwrap(), ["b", "a"]);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let patched = bundle("resources: [bases/a.yaml]\npatches: [{path: x.yaml}]\n");
        assert!(matches!(patched, Err(BundleError::Unsupported { field }) if field == "patches"));
        let missing = bundle("resources: [bases/c.yaml]\n");
        assert!(matches!(missing, Err(BundleError::Tree(TreeError::Missing { .. }))));
        assert!(matches!(bundle("resources: [../../../x]\n"), Err(BundleError::Path(_))));
        let twice = bundle("resources: [bases/a.yaml, ./bases/a.yaml]\n");
        assert!(matches!(twice, Err(BundleError::Twice { .. })));
    }
}
