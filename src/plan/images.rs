//! Images that a plan asks for, as far as they are known without rendering a chart.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Action, Chart, draft::Draft};
use crate::{manifest, release::RepoPath};

/// Images of the objects, of the provider, and of the release's charts, sorted.
pub(super) fn of(draft: &Draft<'_>) -> Vec<String> {
    let mut images: BTreeSet<String> = draft.images.iter().cloned().collect();
    for step in &draft.steps {
        if let Action::Helm {
            chart: Chart::Tree { directory },
            set,
            ..
        } = &step.action
        {
            images.extend(chart(draft, directory, set).unwrap_or_default());
        }
    }
    images.into_iter().collect()
}

/// The images of a chart's endpoint picker and of its sidecar. Other images of a chart belong to what is switched off.
fn chart(draft: &Draft<'_>, directory: &str, set: &[String]) -> Option<Vec<String>> {
    let path: RepoPath = format!("{directory}/values.yaml").parse().ok()?;
    let mut values: Value = manifest::document(path.as_str(), &draft.release.tree.read(&path).ok()?).ok()?;
    for (path, value) in set.iter().filter_map(|value| value.split_once('=')) {
        // Paths with escapes or indexes name nothing that an image is made of.
        let parts = path.split('.').collect::<Vec<_>>();
        if let Some(target) = parts.iter().try_fold(&mut values, |value, part| value.get_mut(part)) {
            *target = Value::String(value.to_owned());
        }
    }
    let text = |pointer: &str| {
        values
            .pointer(pointer)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let mut images = Vec::new();
    if let (Some(repository), Some(tag)) = (
        text("/inferenceExtension/image/repository"),
        text("/inferenceExtension/image/tag"),
    ) {
        let registry = text("/inferenceExtension/image/registry").map(|registry| format!("{registry}/"));
        images.push(format!("{}{repository}:{tag}", registry.unwrap_or_default()));
    }
    let has_sidecar = values.pointer("/inferenceExtension/sidecar/enabled") == Some(&Value::Bool(true));
    images.extend(
        text("/inferenceExtension/sidecar/image")
            .filter(|_| has_sidecar)
            .map(str::to_owned),
    );
    Some(images)
}
