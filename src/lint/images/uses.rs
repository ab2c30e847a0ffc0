//! Every place that asks for an image.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    lint::{Examined, Place, pods},
    manifest::{ImageRef, Object},
};

/// One place that asks for an image.
#[derive(Debug)]
pub(super) struct ImageUse {
    /// As written, put together where it is written in parts.
    pub(super) text: String,
    /// The name, or `None` where it is none.
    pub(super) name: Option<ImageRef>,
    /// Whether a tag is written.
    pub(super) has_tag: bool,
    /// The pull policy, where one is written.
    pub(super) policy: Option<Policy>,
    /// Whether a command of the guide runs it, as far as that is known.
    pub(super) is_applied: bool,
    at: At,
}

/// A pull policy that is written.
#[derive(Debug)]
pub(super) struct Policy {
    /// Its value.
    pub(super) value: String,
    /// Where it stands, as JSON pointer.
    pub(super) pointer: String,
}

#[derive(Debug)]
enum At {
    /// A field of an object.
    Object(Object, String),
    /// A field of a chart's values.
    Values(String, String),
}

impl ImageUse {
    /// One that no command runs, as far as is known by then.
    fn new(text: String, policy: Option<Policy>, at: At) -> Self {
        let last = text.rsplit('/').next().unwrap_or_default();
        Self {
            name: text.parse().ok(),
            has_tag: last.split('@').next().unwrap_or_default().contains(':'),
            text,
            policy,
            is_applied: false,
            at,
        }
    }

    fn of_container(object: &Object, container: &pods::Container<'_>, image: &str) -> Self {
        let policy = container.value["imagePullPolicy"].as_str().map(|value| Policy {
            value: value.to_owned(),
            pointer: format!("{}/imagePullPolicy", container.pointer),
        });
        let at = At::Object(object.clone(), format!("{}/image", container.pointer));
        Self::new(image.to_owned(), policy, at)
    }

    /// Where it stands.
    pub(super) fn place(&self, examined: &Examined<'_>) -> Place {
        match &self.at {
            At::Object(_, pointer) | At::Values(_, pointer) => self.place_of(examined, pointer),
        }
    }

    /// Where another field beside it stands.
    pub(super) fn place_of(&self, examined: &Examined<'_>, pointer: &str) -> Place {
        match &self.at {
            At::Object(object, _) => examined.place(object, pointer),
            At::Values(file, _) => examined.files.place_in(examined.release, file, pointer),
        }
    }

    /// The file it stands in.
    pub(super) fn file(&self) -> &str {
        match &self.at {
            At::Object(object, _) => &object.file,
            At::Values(file, _) => file,
        }
    }
}

/// Every place that asks for an image: containers of objects, and values of charts. What a rendered chart asks for and
/// its values say is asked for by the values, where a person would change it.
pub(super) fn all_uses(examined: &Examined<'_>) -> Vec<ImageUse> {
    let mut all = Vec::new();
    for chart in &examined.files.charts {
        let file = format!("{}/values.yaml", chart.directory);
        search(&chart.values, "", &file, &mut all);
    }
    let run: BTreeSet<String> = rendered(examined).filter_map(|(_, _, image)| normal(image)).collect();
    for one in &mut all {
        one.is_applied = normal(&one.text).is_some_and(|image| run.contains(&image));
    }
    let in_values: BTreeSet<String> = all.iter().filter_map(|one| normal(&one.text)).collect();
    let plain = examined.files.manifests.iter().flat_map(|objects| objects.iter());
    for object in plain.chain(&examined.files.given) {
        let is_applied = examined.files.applied_by(&object.file).is_some();
        for (container, image) in images(object) {
            all.push(ImageUse {
                is_applied,
                ..ImageUse::of_container(object, &container, image)
            });
        }
    }
    for (object, container, image) in rendered(examined) {
        if normal(image).is_none_or(|image| !in_values.contains(&image)) {
            all.push(ImageUse {
                is_applied: true,
                ..ImageUse::of_container(object, &container, image)
            });
        }
    }
    all
}

/// The containers of an object that ask for an image.
fn images(object: &Object) -> impl Iterator<Item = (pods::Container<'_>, &str)> {
    let specs = pods::pod_specs(object).into_iter();
    let containers = specs.flat_map(|spec| spec.containers());
    containers.filter_map(|container| Some((container.clone(), container.value["image"].as_str()?)))
}

fn rendered<'a>(examined: &'a Examined<'_>) -> impl Iterator<Item = (&'a Object, pods::Container<'a>, &'a str)> {
    let objects = examined.files.rendered.iter().flat_map(|(_, objects)| objects.iter());
    objects.flat_map(|object| images(object).map(move |(container, image)| (object, container, image)))
}

/// The full name, for comparison.
fn normal(image: &str) -> Option<String> {
    image.parse::<ImageRef>().ok().map(|name| name.to_string())
}

/// Images in a chart's values: a mapping of `repository` (or `hub` and `name`) and `tag`, or a text under `image`.
fn search(value: &Value, pointer: &str, file: &str, all: &mut Vec<ImageUse>) {
    let Some(fields) = value.as_object() else {
        return;
    };
    let text = |field: &str| {
        fields
            .get(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let policy = ["pullPolicy", "imagePullPolicy"].iter().find_map(|field| {
        Some(Policy {
            value: text(field)?.to_owned(),
            pointer: format!("{pointer}/{field}"),
        })
    });
    let repository = match (text("repository"), text("hub"), text("name")) {
        (Some(repository), _, _) => Some(match text("registry") {
            Some(registry) => format!("{registry}/{repository}"),
            None => repository.to_owned(),
        }),
        (None, Some(hub), Some(name)) => Some(format!("{hub}/{name}")),
        _ => None,
    };
    if let (Some(repository), Some(tag)) = (repository, text("tag")) {
        let at = At::Values(file.to_owned(), format!("{pointer}/tag"));
        all.push(ImageUse::new(format!("{repository}:{tag}"), policy, at));
        return;
    }
    if let Some(image) = text("image") {
        let at = At::Values(file.to_owned(), format!("{pointer}/image"));
        all.push(ImageUse::new(image.to_owned(), policy, at));
    }
    for (key, value) in fields {
        search(value, &format!("{pointer}/{}", pods::token(key)), file, all);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn images_of_a_charts_values_are_found_in_each_of_their_forms() {
        let values = json!({
            "a": {"image": {"registry": "r.example", "repository": "p/epp", "tag": "v1", "pullPolicy": "Always"}},
            "b": {"image": {"hub": "r.example/p", "name": "bbr", "tag": "v2"}},
            "c": {"image": "docker.io/p/x"},
            "d": {"image": {"repository": "p/none", "tag": ""}},
            "e": {"repository": "https://charts.example"}
        });
        let mut all = Vec::new();
        search(&values, "", "v", &mut all);
        let seen: Vec<_> = all.iter().map(|one| (one.text.as_str(), one.has_tag)).collect();
        assert_eq!(
            seen,
            [
                ("r.example/p/epp:v1", true),
                ("r.example/p/bbr:v2", true),
                ("docker.io/p/x", false)
            ]
        );
        assert_eq!(
            all[0].policy.as_ref().map(|policy| policy.pointer.as_str()),
            Some("/a/image/pullPolicy")
        );
    }
}
