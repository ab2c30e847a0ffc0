//! Kubernetes objects as the release wrote them: YAML documents with kubectl's reading of scalars.
//!
//! It reads text and knows nothing of where the text came from, what the objects mean, or whether they are valid.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

mod excerpt;
mod image;
mod locate;
mod outline;
mod read;
mod requests;

pub(crate) use excerpt::excerpt;
pub use image::{BadImageRef, ImageRef};
pub use locate::{Position, locate};
pub(crate) use outline::{Node, NodeValue, Style, outline};
pub use read::{ManifestError, document, read};
pub(crate) use requests::{amounts, is_gpu, requested, thousandths};

/// One object of a manifest, and where it stands.
///
/// ```
/// let text = "# of the simulator\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: sim}\nspec:\n  containers: [{image: r.example/sim:v1}]\n";
/// let objects = quickproof::manifest::read("sim.yaml", text.as_bytes())?;
///
/// let pod = &objects[0];
/// assert_eq!((pod.kind(), pod.name(), pod.namespace()), ("Pod", "sim", None));
/// assert_eq!((pod.file.as_str(), pod.line), ("sim.yaml", 3));
/// assert!(pod.images().contains("r.example/sim:v1"));
/// # Ok::<_, quickproof::manifest::ManifestError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The object as JSON; always an object with string `apiVersion`, `kind` and `metadata.name`. Shared: a CRD is large,
    /// and every plan that applies it has it.
    pub value: Arc<Value>,
    /// The file, relative to the release's tree.
    pub file: String,
    /// The line its document begins at, counted from 1.
    pub line: u32,
}

impl Object {
    fn text(&self, pointer: &str) -> &str {
        self.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// `apiVersion`, such as `apps/v1`.
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// `kind`.
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `metadata.namespace`, or `None`.
    pub fn namespace(&self) -> Option<&str> {
        Some(self.text("/metadata/namespace")).filter(|namespace| !namespace.is_empty())
    }

    /// `Kind name`, as reports print it.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.kind(), self.name())
    }

    /// Container images that the object's pods ask for, in any pod template or pod spec inside it.
    pub fn images(&self) -> BTreeSet<String> {
        let mut images = BTreeSet::new();
        for spec in ["/spec", "/spec/template/spec", "/spec/jobTemplate/spec/template/spec"] {
            for list in ["containers", "initContainers"] {
                let containers = self.value.pointer(&format!("{spec}/{list}")).and_then(Value::as_array);
                images.extend(
                    containers
                        .into_iter()
                        .flatten()
                        .filter_map(|container| container["image"].as_str())
                        .map(str::to_owned),
                );
            }
        }
        images
    }
}
