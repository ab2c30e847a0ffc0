//! What the steps of a plan run: their images, and what those ask of a cluster, as far as that is known without rendering a
//! chart.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value};

use super::{Action, Chart, Makes, Plan, Resources, planner::Planner, reference::own_chart, resources};
use crate::{manifest::Object, release::RepoPath};

/// What a chart runs at one of the places that the layout names.
struct Running {
    image: String,
    resources: Resources,
}

impl Plan {
    /// Images that its steps run, sorted, where they are known without rendering a chart.
    pub fn images(&self) -> BTreeSet<&str> {
        let images = self.steps.iter().flat_map(|step| &step.images);
        images.map(String::as_str).collect()
    }
}

/// Says of each step what it runs.
pub(super) fn say(planner: &mut Planner<'_>) {
    let mut steps = std::mem::take(&mut planner.steps);
    for step in &mut steps {
        let chart = chart_of(planner, &step.action);
        step.resources = match &chart {
            Some(chart) => Some(resources_of(chart)),
            None => resources::of(&step.action),
        };
        step.images = match chart {
            Some(chart) => chart.into_iter().map(|running| running.image).collect(),
            None => images_of(planner, &step.action),
        };
    }
    planner.steps = steps;
}

/// Images of an action's objects, and of the provider that it installs.
fn images_of(planner: &Planner<'_>, action: &Action) -> BTreeSet<String> {
    let provider = planner.provider;
    let mut images: BTreeSet<String> = match action.facts().makes {
        Makes::Objects { objects, .. } => objects.iter().flat_map(Object::images).collect(),
        Makes::Nothing | Makes::Unknown => BTreeSet::new(),
    };
    match action {
        Action::InstallProvider { .. } => {
            images.extend(provider.installer.iter().flat_map(|installer| {
                let version = planner.version_of(installer);
                let images = installer.images.iter();
                images.map(move |image| image.replace("{version}", &version))
            }));
        }
        Action::InstallManifests { .. } => {
            let manifests = provider.manifests.iter();
            images.extend(manifests.flat_map(|manifests| manifests.images.iter().cloned()));
        }
        _ => {}
    }
    images
}

/// What the chart runs that an action installs; `None` where it installs none, or where that is not known. Other images of
/// a chart of the release belong to what is switched off.
///
/// A chart that is published is taken for what publication makes of the tree's. Were it another, its images would be
/// others than those that are made ready here, and the cluster would say what comes of that.
fn chart_of(planner: &Planner<'_>, action: &Action) -> Option<Vec<Running>> {
    let Action::Helm {
        chart: source,
        values,
        set,
        ..
    } = action
    else {
        return None;
    };
    match source {
        Chart::Tree { directory } => chart(planner, directory, values, set),
        Chart::Published { reference } => {
            let name = own_chart(reference, &planner.layout.charts)?;
            let mut all = planner.at_publication();
            all.extend(set.iter().cloned());
            chart(planner, &format!("config/charts/{name}"), values, &all)
        }
    }
}

/// What a chart asks of a cluster.
fn resources_of(chart: &[Running]) -> Resources {
    let mut sum = Resources::default();
    for running in chart {
        sum += running.resources;
    }
    // Its containers share the pods of the first.
    sum.pods = chart.first().map_or(0, |first| first.resources.pods);
    sum
}

fn chart(planner: &Planner<'_>, directory: &str, files: &[RepoPath], set: &[String]) -> Option<Vec<Running>> {
    let mut values = values(planner, directory)?;
    for file in files {
        merge(&mut values, Value::clone(&*planner.release.document(file).ok()?));
    }
    for (path, value) in set.iter().filter_map(|value| value.split_once('=')) {
        // Paths with escapes or indexes name nothing that an image is made of.
        let parts = path.split('.').collect::<Vec<_>>();
        if let Some(target) = parts.iter().try_fold(&mut values, |value, part| value.get_mut(part)) {
            *target = match target {
                Value::Number(_) => value.parse::<u64>().map_or_else(|_| value.into(), Value::from),
                _ => value.into(),
            };
        }
    }
    let running = |place: &String| {
        let image = image(&values, place)?;
        // Its resources and replicas stand beside it.
        let beside = place
            .rsplit_once('.')
            .map_or("", |(beside, _)| beside)
            .replace('.', "/");
        let beside = values.pointer(&format!("/{beside}"));
        let nothing = Value::Null;
        let field = |name: &str| beside.map_or(&nothing, |beside| &beside[name]);
        Some(Running {
            image,
            resources: resources::of_container(field("resources"), field("replicas").as_u64().unwrap_or(1)),
        })
    };
    Some(planner.layout.chart_images.iter().filter_map(running).collect())
}

/// A chart's values, with those of the charts of the tree that it depends on below their names, its own over them.
fn values(planner: &Planner<'_>, directory: &str) -> Option<Value> {
    let read = |path: String| -> Option<Arc<Value>> { planner.release.document(&path.parse().ok()?).ok() };
    let mut all = Value::Object(Map::new());
    let chart = read(format!("{directory}/Chart.yaml")).unwrap_or_default();
    let dependencies = chart["dependencies"].as_array().cloned().unwrap_or_default();
    for dependency in &dependencies {
        let Some(beside) = dependency["repository"]
            .as_str()
            .and_then(|at| at.strip_prefix("file://"))
        else {
            continue;
        };
        let below: Option<RepoPath> = directory
            .parse::<RepoPath>()
            .ok()
            .and_then(|here| here.join(beside).ok());
        let name = dependency["alias"].as_str().or_else(|| dependency["name"].as_str());
        let values = below.and_then(|below| read(format!("{below}/values.yaml")));
        if let (Some(name), Some(values)) = (name, values) {
            all[name] = Value::clone(&values);
        }
    }
    merge(&mut all, Value::clone(&*read(format!("{directory}/values.yaml"))?));
    Some(all)
}

/// Puts values over others as helm does: mappings by key, everything else as a whole.
fn merge(below: &mut Value, over: Value) {
    match (below, over) {
        (Value::Object(below), Value::Object(over)) => {
            for (key, value) in over {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        // helm takes a key without a value as no word on it.
        (below, over) if !over.is_null() || below.is_null() => *below = over,
        _ => {}
    }
}

/// The image at a place of the values: text, or a mapping of registry (or `hub`), repository (or `name`) and tag. `None`
/// where what it belongs to is switched off.
fn image(values: &Value, place: &str) -> Option<String> {
    let mut value = values;
    for part in place.split('.') {
        if value["enabled"] == Value::Bool(false) {
            return None;
        }
        value = value.get(part)?;
    }
    let text = |keys: [&str; 2]| {
        let found = keys.iter().find_map(|key| value.get(key)?.as_str());
        found.filter(|text| !text.is_empty())
    };
    if let Some(whole) = value.as_str() {
        return Some(whole.to_owned()).filter(|whole| !whole.is_empty());
    }
    let (repository, tag) = (text(["repository", "name"])?, text(["tag", "tag"])?);
    let registry = text(["registry", "hub"]).map(|registry| format!("{registry}/"));
    Some(format!("{}{repository}:{tag}", registry.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::whole(json!({"a": {"image": "r/i:t"}}), Some("r/i:t"))]
    #[case::parts(json!({"a": {"image": {"registry": "r", "repository": "i", "tag": "t"}}}), Some("r/i:t"))]
    #[case::older_parts(json!({"a": {"image": {"hub": "r/h", "name": "i", "tag": "t"}}}), Some("r/h/i:t"))]
    #[case::no_registry(json!({"a": {"image": {"repository": "i", "tag": "t"}}}), Some("i:t"))]
    #[case::no_tag(json!({"a": {"image": {"repository": "i", "tag": ""}}}), None)]
    #[case::switched_off(json!({"a": {"enabled": false, "image": "r/i:t"}}), None)]
    #[case::switched_on(json!({"a": {"enabled": true, "image": "r/i:t"}}), Some("r/i:t"))]
    #[case::absent(json!({"b": 1}), None)]
    fn an_image_is_put_together_from_its_parts(#[case] values: Value, #[case] wanted: Option<&str>) {
        assert_eq!(image(&values, "a.image").as_deref(), wanted);
    }

    #[test]
    fn values_are_put_over_others_by_key() {
        let mut values = json!({"a": {"b": 1, "c": 2}, "d": 3, "e": [1]});
        merge(
            &mut values,
            json!({"a": {"b": 9, "x": 7}, "d": null, "e": [2], "f": null}),
        );
        assert_eq!(
            values,
            json!({"a": {"b": 9, "c": 2, "x": 7}, "d": 3, "e": [2], "f": null})
        );
    }
}
