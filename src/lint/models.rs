//! Models: the one that the guide asks for is served, and it fits in the memory that its server may use.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    Examined, Family, Findings, Place, Severity,
    caret::caret,
    containers::{self, Flag, flags},
    objects::pool_pods,
    planned_objects::{Placed, PlannedObjects},
    pods::{self, Container, PodSpec, items},
};
use crate::plan::{Action, Offer, Step};

mod size;

use size::Size;

/// The family.
pub(super) const FAMILY: Family = Family {
    name: "models",
    rules: ALL,
    look,
};

rules! {
    /// The request of the guide asks for a model that the model server of a variant does not serve, neither as its
    /// model nor as an adapter: the answer is 404. Where there are InferenceModels, their targets count.
    Break NOT_SERVED = "model-not-served";

    /// The weights of a model alone are larger than the memory limit of its server: it is killed while it loads. The
    /// size is the number of parameters in the model's name times two bytes (bfloat16), or what the name says of a
    /// smaller type. Where the weights fit and the cache that is asked for beside them does not, it is milder. Servers
    /// on accelerators and simulators are left out.
    Break TOO_LARGE = "model-exceeds-memory";
}

fn look(examined: &Examined<'_>, findings: &mut Findings) {
    for planned in examined.planned_objects() {
        for step in &planned.plan.steps {
            if let Some((asked, place)) = asked(examined, step) {
                request(examined, findings, &planned, &asked, &place);
            }
        }
        for placed in &planned.objects {
            for spec in pods::pod_specs(placed.object) {
                memory(examined, findings, &planned, *placed, &spec);
            }
        }
    }
}

/// The model that a request asks for, and where the guide says so.
fn asked(examined: &Examined<'_>, step: &Step) -> Option<(String, Place)> {
    let Action::Request(request) = &step.action else {
        return None;
    };
    // Where a variable's name is sent in place of its value, that is what is wrong, and it is found elsewhere.
    if !request.unexpanded.is_empty() {
        return None;
    }
    let body: Value = serde_json::from_str(&request.body.as_ref()?.known()?).ok()?;
    let model = body["model"].as_str()?.to_owned();
    let place = caret(examined, &step.from.file, step.from.line, &format!("\"{model}\""));
    Some((model, place))
}

fn request(examined: &Examined<'_>, findings: &mut Findings, planned: &PlannedObjects<'_>, asked: &str, place: &Place) {
    let servers = pool_pods(planned, |spec| spec.containers().iter().any(serves));
    // Of a guide of ours it is for us to know what it serves; what it asks of the release's servers is judged at those.
    let is_theirs = examined.layout.our_guide.is_none();
    if servers.is_empty() && is_theirs {
        let Offer { variant, provider } = planned.offer;
        let why = format!("which models are served to a reader of {variant} on {provider} is not known");
        findings.undecided(&NOT_SERVED, place.clone(), why);
    }
    for target in targets(planned, asked) {
        for (placed, spec) in &servers {
            let served = served(planned, *placed, spec);
            if served.names.contains(target) || served.names.is_empty() {
                continue;
            }
            if served.finds_more {
                let title = placed.object.title();
                let why = format!("`{target}` may be an adapter that {title} finds in a folder");
                findings.undecided(&NOT_SERVED, place.clone(), why);
                continue;
            }
            let file = &placed.object.file;
            let message = format!("`{asked}` is asked for, and the model server of `{file}` does not serve it");
            let arguments = argument_place(examined, *placed, spec);
            let its_arguments = format!("its arguments: {}:{}", arguments.file, arguments.line);
            let found = findings.add(&NOT_SERVED, if is_theirs { place.clone() } else { arguments }, message);
            if target != asked {
                found.because(format!("an InferenceModel sends `{asked}` to `{target}`"));
            }
            let names: Vec<String> = served.names.iter().map(|name| format!("`{name}`")).collect();
            found
                .because(format!("it serves {}", names.join(", ")))
                .because(its_arguments)
                .way_out("ask for a model that every variant serves, or give each variant its own request")
                .only_for(planned.offer);
            if let Some(told) = &examined.layout.model_is_the_readers {
                found
                    .because(format!("the page says beside the request: {told}"))
                    .at_most(Severity::Degraded);
            }
        }
    }
}

/// Whether a container is told of a model.
fn serves(container: &Container<'_>) -> bool {
    model(container.value, &flags(container.value)).is_some()
}

/// Where the arguments of a server stand.
fn argument_place(examined: &Examined<'_>, placed: Placed<'_>, spec: &PodSpec<'_>) -> Place {
    let container = spec.containers().into_iter().find(serves);
    let pointer = container.map_or_else(
        || spec.pointer.clone(),
        |container| format!("{}/args", container.pointer),
    );
    examined.place(placed.object, &pointer)
}

/// The names under which the pods are asked: those that an `InferenceModel` gives for the one that clients ask for, or
/// that one itself.
fn targets<'a>(planned: &PlannedObjects<'a>, asked: &'a str) -> Vec<&'a str> {
    let model = planned
        .of_kind("InferenceModel")
        .find(|model| model.text("/spec/modelName") == Some(asked));
    let targets = model.map(|model| items(&model.object.value["spec"]["targetModels"]));
    let targets = targets.into_iter().flatten();
    let targets: Vec<&str> = targets.filter_map(|(_, target)| target["name"].as_str()).collect();
    if targets.is_empty() { vec![asked] } else { targets }
}

/// The model that a server is told to load: by a flag, or as the argument of `vllm serve` and of `trtllm-serve`.
fn model<'a>(container: &'a Value, flags: &[Flag<'a>]) -> Option<&'a str> {
    let of_flag = containers::value(flags, "model").or_else(|| containers::value(flags, "model-path"));
    of_flag.or_else(|| containers::behind(container, "serve"))
}

/// What pods serve.
#[derive(Default)]
struct Served {
    names: BTreeSet<String>,
    /// Whether they find more in a folder when they are asked.
    finds_more: bool,
}

fn served(planned: &PlannedObjects<'_>, placed: Placed<'_>, spec: &PodSpec<'_>) -> Served {
    let mut served = Served::default();
    for container in spec.containers() {
        let flags = flags(container.value);
        let values = |names: &'static [&str]| {
            let named = flags.iter().filter(move |flag| names.contains(&flag.name.as_str()));
            named.flat_map(|flag| &flag.values).copied()
        };
        let mut own: Vec<&str> = values(&["served-model-name"]).collect();
        if own.is_empty() {
            own.extend(model(container.value, &flags));
        }
        served.names.extend(own.into_iter().map(str::to_owned));
        let adapters = values(&["lora-modules", "lora", "modules", "lora-paths"]);
        served.names.extend(adapters.flat_map(adapter_names));
        // vLLM's resolver plugin loads an adapter from its folder when a client asks for it.
        served.finds_more |=
            items(&container.value["env"]).any(|(_, env)| env["name"] == "VLLM_LORA_RESOLVER_CACHE_DIR");
    }
    for (_, volume) in items(&spec.value["volumes"]) {
        let name = volume["configMap"]["name"].as_str();
        let maps = planned.of_kind("ConfigMap");
        let of_pods = maps.filter(|map| Some(map.object.name()) == name && map.namespace == placed.namespace);
        for map in of_pods {
            let data = map.object.value["data"].as_object();
            let texts = data.into_iter().flat_map(Map::values).filter_map(Value::as_str);
            served.names.extend(texts.flat_map(adapters_of_a_sidecar));
        }
    }
    served
}

/// The names in one value of an adapter flag: JSON with a `name`, `name=path`, or the name itself.
fn adapter_names(value: &str) -> Vec<String> {
    let name = |one: &Value| one["name"].as_str().map(str::to_owned);
    match serde_json::from_str::<Value>(value) {
        Ok(Value::Array(list)) => return list.iter().filter_map(name).collect(),
        Ok(one) => return name(&one).into_iter().collect(),
        Err(_) => {}
    }
    value
        .split([',', ' '])
        .filter(|one| !one.is_empty())
        .map(|one| one.split('=').next().unwrap_or(one).to_owned())
        .collect()
}

/// The adapters that a sidecar loads: `ensureExist.models[].id` of its configuration, at any depth
/// (`tools/dynamic-lora-sidecar` of the project, v0.2.0 and later).
fn adapters_of_a_sidecar(text: &str) -> Vec<String> {
    let Ok(value) = crate::manifest::document::<Value>("configuration", text.as_bytes()) else {
        return Vec::new();
    };
    let mut names = Vec::new();
    let mut open = vec![&value];
    while let Some(value) = open.pop() {
        names.extend(
            items(&value["ensureExist"]["models"]).filter_map(|(_, model)| model["id"].as_str().map(str::to_owned)),
        );
        open.extend(value.as_object().into_iter().flat_map(Map::values));
    }
    names
}

/// Whether a model fits in the memory of its container.
fn memory(
    examined: &Examined<'_>,
    findings: &mut Findings,
    planned: &PlannedObjects<'_>,
    placed: Placed<'_>,
    spec: &PodSpec<'_>,
) {
    for container in spec.containers() {
        let limits = &container.value["resources"]["limits"];
        let on_accelerator = limits
            .as_object()
            .is_some_and(|limits| limits.keys().any(|resource| resource.contains('/')));
        let image = container.value["image"].as_str().unwrap_or_default();
        let image = image.rsplit('/').next().and_then(|last| last.split(':').next());
        let is_simulator = image.is_some_and(|name| name.ends_with("-sim") || name.contains("simulator"));
        let (Some(name), Some(limit)) = (
            model(container.value, &flags(container.value)),
            limits["memory"].as_str().and_then(size::bytes),
        ) else {
            continue;
        };
        let Some(size) = Size::of(name).filter(|_| !on_accelerator && !is_simulator) else {
            continue;
        };
        let cache = items(&container.value["env"]).find(|(_, env)| env["name"] == "VLLM_CPU_KVCACHE_SPACE");
        let cache = cache
            .and_then(|(_, env)| size::bytes(&format!("{}Gi", env["value"].as_str()?)))
            .unwrap_or(0.0);
        if size.bytes + cache <= limit {
            continue;
        }
        let severity = if size.bytes > limit {
            Severity::Break
        } else {
            Severity::Degraded
        };
        let written = limits["memory"].as_str().unwrap_or_default();
        let place = examined.place(placed.object, &format!("{}/resources/limits/memory", container.pointer));
        let message = format!("`{name}` needs more memory than the {written} that its server may use");
        findings
            .add(&TOO_LARGE, place, message)
            .because(size.derived)
            .because(format!("with a cache of {:.1} GiB beside it", cache / size::GIB))
            .way_out("raise the limit, or take a smaller model")
            .at_most(severity)
            .only_for(planned.offer);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn what_servers_serve_does_not_depend_on_whether_a_pool_selects_them() {
        let guide = "@@\n-\"model\": \"demo/model\",\n+\"model\": \"demo/other\",\n";
        let rendered = std::fs::read_to_string("tests/data/trees/lint/rendered/config/charts/inferencepool").unwrap();
        let nobody = rendered.replace("      app: small\n", "      app: nobody\n");
        assert_ne!(nobody, rendered);
        let found = crate::lint::tests::found(&[
            ("site-src/guides/index.md", guide),
            ("rendered/config/charts/inferencepool", &nobody),
        ]);
        assert!(
            found.diagnostics.iter().any(|one| one.code == NOT_SERVED.code),
            "{:?}",
            found.undecided
        );
    }

    #[rstest]
    #[case("{\"name\": \"a\", \"path\": \"b\"}", &["a"])]
    #[case("[{\"name\": \"a\"}, {\"name\": \"b\"}]", &["a", "b"])]
    #[case("a=/x", &["a"])]
    #[case("a,b", &["a", "b"])]
    fn names_of_adapters_are_read_in_each_form(#[case] value: &str, #[case] names: &[&str]) {
        assert_eq!(adapter_names(value), names);
    }

    #[test]
    fn a_sidecar_names_its_adapters_at_any_depth() {
        let text = "a:\n  ensureExist:\n    models:\n    - id: one\n      source: x\n    - id: two\n";
        assert_eq!(adapters_of_a_sidecar(text), ["one", "two"]);
        assert!(adapters_of_a_sidecar(": [").is_empty());
    }
}
