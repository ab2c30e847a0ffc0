//! Waiting for all objects that bear some labels.

use std::sync::Arc;

use kube::{ResourceExt as _, api::DynamicObject};

use super::reached;
use crate::plan::{self, Until};

/// The objects of a namespace that bear the labels of a selector.
pub(super) fn selected(all: &[Arc<DynamicObject>], namespace: &str, selector: &str) -> Vec<Arc<DynamicObject>> {
    let wanted = plan::labels(selector).unwrap_or_default();
    let is_meant = |object: &&Arc<DynamicObject>| {
        let labels = object.labels();
        let bears = |(key, value): &(&str, &str)| labels.get(*key).is_some_and(|own| own == value);
        object.namespace().unwrap_or_default() == namespace && !wanted.is_empty() && wanted.iter().all(bears)
    };
    all.iter().filter(is_meant).cloned().collect()
}

/// Whether each of some objects has come so far; where there is none yet, one may still come.
///
/// # Errors
/// What the first says that has not.
pub(super) fn all_reached(objects: &[Arc<DynamicObject>], until: &Until) -> Result<(), String> {
    if objects.is_empty() && *until != Until::Gone {
        return Err("nothing bears these labels yet".into());
    }
    for object in objects {
        reached(Some(object), until).map_err(|why| format!("{}: {why}", object.name_any()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, guide: &str, ready: &str) -> Arc<DynamicObject> {
        let value = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "n", "labels": {"guide": guide}},
            "status": {"conditions": [{"type": "Ready", "status": ready}]}});
        Arc::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn each_of_those_that_bear_the_labels_must_have_come_so_far_and_one_must_be_there() {
        let until = Until::Condition {
            type_: "Ready".into(),
            status: "True".into(),
        };
        let all = [
            pod("a", "mine", "True"),
            pod("b", "mine", "False"),
            pod("c", "other", "False"),
        ];
        let mine = selected(&all, "n", "guide=mine");
        assert_eq!(mine.len(), 2);
        assert_eq!(all_reached(&mine, &until), Err("b: Ready is False".into()));
        assert_eq!(all_reached(&mine[..1], &until), Ok(()));
        assert!(all_reached(&selected(&all, "elsewhere", "guide=mine"), &until).is_err());
    }
}
