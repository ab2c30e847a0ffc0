//! What rules ask of a release beside single objects: its CRDs, what the templates of its charts say without being
//! rendered, and what follows from its plans.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
};

use super::{ChartFiles, Examined, planned_objects::PlannedObjects, reader::Reader};
use crate::manifest::Object;

impl Examined<'_> {
    /// The CRDs that the tree holds.
    pub(super) fn crds(&self) -> impl Iterator<Item = &Object> {
        let objects = self.files.objects();
        objects.filter(|object| object.kind() == "CustomResourceDefinition")
    }

    /// The CRDs that the release publishes. Others in its tree are copies for its own tests, of APIs that somebody else
    /// brings.
    pub(super) fn published_crds(&self) -> impl Iterator<Item = &Object> {
        self.crds().filter(|crd| crd.file.starts_with("config/crd/"))
    }

    /// The templates of a chart and of the charts beside it that it depends on; `None` where one of them is not in the
    /// tree.
    pub(super) fn templates(&self, chart: &ChartFiles) -> Option<Vec<Arc<str>>> {
        let mut directories = vec![chart.directory.clone()];
        for dependency in chart.chart["dependencies"].as_array().into_iter().flatten() {
            let beside = dependency["repository"].as_str()?.strip_prefix("file://")?;
            directories.push(chart.directory.join(beside).ok()?);
        }
        let mut texts = Vec::new();
        for directory in directories {
            let files = self.release.tree.list(&directory.join("templates").ok()?).ok()?;
            texts.extend(
                files
                    .iter()
                    .filter_map(|file| self.files.text(self.release, file.as_str())),
            );
        }
        Some(texts)
    }

    /// The kinds of objects that a chart of the tree may make; `None` where its templates do not tell.
    pub(super) fn kinds_of_chart(&self, directory: &str) -> Option<Arc<BTreeSet<String>>> {
        // Every combination asks, in every family that looks at objects.
        let mut known = self.kinds_of_charts.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || self.kinds_in_templates(directory).map(Arc::new);
        known.entry(directory.to_owned()).or_insert_with(read).clone()
    }

    fn kinds_in_templates(&self, directory: &str) -> Option<BTreeSet<String>> {
        let chart = self
            .files
            .charts
            .iter()
            .find(|chart| chart.directory.as_str() == directory)?;
        let mut kinds = BTreeSet::new();
        for text in self.templates(chart)? {
            let named = text
                .lines()
                .filter_map(|row| row.trim_start().trim_start_matches("- ").strip_prefix("kind:"));
            for kind in named.map(|kind| kind.trim().trim_matches('"')) {
                if kind.contains("{{") {
                    return None;
                }
                kinds.insert(kind.to_owned());
            }
        }
        Some(kinds)
    }

    /// What a reader of each combination types.
    pub(super) fn readers(&self) -> &[Reader] {
        &self.readers
    }

    /// The objects of each combination's plan.
    pub(super) fn planned_objects(&self) -> impl Iterator<Item = PlannedObjects<'_>> {
        let combinations = self.combinations.iter();
        combinations.filter_map(|combination| PlannedObjects::of(self, combination))
    }
}
