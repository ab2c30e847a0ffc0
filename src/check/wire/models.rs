//! The list of models, and the model in it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{AnswerKind, Endpoint, ParsedAnswer, Unjudged, WireCheck, envelope::created_fault, quoted, told};
use crate::verdict::CauseCode;

/// The list is one.
pub(super) const LIST: WireCheck = WireCheck {
    name: "models-list",
    sentence: "the models are listed, each once, each with its id",
    cause: |_| CauseCode::AnswerMalformed,
    decides: &[AnswerKind::Models],
    judge: |seen| Ok(faults(list(seen)?)),
};

/// The model is in it.
pub(super) const NAMED: WireCheck = WireCheck {
    name: "models-name",
    sentence: "the model is among those that are listed",
    cause: |_| CauseCode::ModelNotServed,
    decides: &[AnswerKind::Models],
    judge: |seen| {
        let body = list(seen)?;
        let Some(asked) = &seen.expected.model else {
            return Err(Unjudged::because("no model is asked for"));
        };
        if !faults(body).is_empty() {
            return Err(Unjudged::because("the list is malformed"));
        }
        let listed = ids(body);
        let is_meant = |id: &&str| seen.expected.admits_model(id) || is_implied(asked, id);
        if listed.iter().any(is_meant) {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "`{}` is not among the models listed: {}",
            quoted(asked),
            quoted(&listed.join(", "))
        )])
    },
};

/// The tag that a name without one stands for. Source: Ollama lists `tiny` as `tiny:latest`, and answers under either.
const IMPLIED_TAG: &str = ":latest";

/// Whether a listed name is the one asked for with the tag that is implied.
fn is_implied(asked: &str, listed: &str) -> bool {
    listed.strip_suffix(IMPLIED_TAG) == Some(asked) && !asked.rsplit('/').next().unwrap_or_default().contains(':')
}

/// Which names stand for one model, as a list of models says it.
///
/// Source: vLLM says of `--served-model-name` that "the model name in the model field of a response will be the first name in
/// this list"; its list, and that of llm-d-inference-sim, has an entry for each name, all with the `root` of the model and
/// without a `parent`, which only adapters have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServedNames {
    /// Each name with its root; `None` where the list gives none, and of adapters.
    models: Vec<(String, Option<String>)>,
}

impl ServedNames {
    /// Those of a list of models; none where it is no such list.
    pub(crate) fn of(list: &Value) -> Self {
        let entry = |model: &Value| {
            let root = model["root"]
                .as_str()
                .filter(|root| !root.is_empty() && model["parent"].is_null());
            Some((model["id"].as_str()?.to_owned(), root.map(str::to_owned)))
        };
        let models = list["data"].as_array().into_iter().flatten().filter_map(entry);
        Self {
            models: models.collect(),
        }
    }

    /// The other names of the model that goes by this one.
    pub(crate) fn others(&self, asked: &str) -> Vec<String> {
        let root = self
            .models
            .iter()
            .find(|(name, _)| name == asked)
            .and_then(|(_, root)| root.as_ref());
        let is_other = |name: &str, its_root: Option<&String>| {
            name != asked && (is_implied(asked, name) || root.is_some() && its_root == root)
        };
        let others = self.models.iter().filter(|(name, root)| is_other(name, root.as_ref()));
        others.map(|(name, _)| name.clone()).collect()
    }
}

/// What is odd about a list that names the model: that it does so with a tag that was not asked for.
pub(super) fn oddity(seen: &ParsedAnswer<'_>) -> Option<String> {
    let (body, asked) = (list(seen).ok()?, seen.expected.model.as_ref()?);
    let listed = ids(body);
    let implied = listed.iter().find(|id| is_implied(asked, id))?;
    let is_named = listed.iter().any(|id| id == asked);
    (!is_named).then(|| format!("the model `{}` is listed as `{}`", quoted(asked), quoted(*implied)))
}

/// The ids of a list of models.
fn ids(list: &Value) -> Vec<&str> {
    let models = list["data"].as_array().into_iter().flatten();
    models.filter_map(|model| model["id"].as_str()).collect()
}

fn list<'a>(seen: &'a ParsedAnswer<'_>) -> Result<&'a Value, Unjudged> {
    match seen.expected.endpoint {
        Endpoint::Models => seen.success(),
        _ => Err(Unjudged::because("the answer is no list of models")),
    }
}

fn faults(body: &Value) -> Vec<String> {
    let Some(models) = body["data"].as_array() else {
        return vec![format!("`data` is {} and not a list", told(body.get("data")))];
    };
    let mut faults = Vec::new();
    if body["object"] != "list" {
        faults.push(format!("`object` is {}, not \"list\"", told(body.get("object"))));
    }
    if models.is_empty() {
        faults.push("there is no model".into());
    }
    let mut ids = BTreeSet::new();
    for (place, model) in models.iter().enumerate() {
        match model["id"].as_str() {
            None | Some("") => faults.push(format!("model {place} has the id {}", told(model.get("id")))),
            Some(id) if !ids.insert(id) => faults.push(format!("the model `{}` stands twice", quoted(id))),
            Some(_) => {}
        }
        if model["object"] != "model" {
            faults.push(format!(
                "`object` of model {place} is {}, not \"model\"",
                told(model.get("object"))
            ));
        }
        // Some model servers do not know when a model was made, and say 0.
        let timed = Some(model).filter(|model| model["created"] != 0);
        let fault = timed.and_then(created_fault);
        faults.extend(fault.map(|fault| format!("of model {place} {fault}")));
        if !model["owned_by"].is_string() {
            faults.push(format!(
                "`owned_by` of model {place} is {}",
                told(model.get("owned_by"))
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::of_one_root("a", &["a-short"])]
    #[case::the_other_way("a-short", &["a"])]
    #[case::an_adapter_is_another_model("a-lora", &[])]
    #[case::of_no_root("plain", &[])]
    #[case::of_an_empty_root("bare", &[])]
    #[case::implied("tiny", &["tiny:latest"])]
    #[case::with_a_tag_of_its_own("tiny:8b", &[])]
    #[case::a_port_is_no_tag("host:80/tiny", &["host:80/tiny:latest"])]
    #[case::not_listed("b", &[])]
    fn names_of_one_model_are_told_from_the_list(#[case] asked: &str, #[case] others: &[&str]) {
        let list = json!({"data": [
            {"id": "a", "root": "/models/a", "parent": null},
            {"id": "a-short", "root": "/models/a"},
            {"id": "a-lora", "root": "/models/a", "parent": "a"},
            {"id": "b-lora", "root": "/models/a", "parent": "a"},
            {"id": "plain"}, {"id": "plain-2"}, {"id": "bare", "root": ""}, {"id": "bare-2", "root": ""},
            {"id": "tiny:latest"}, {"id": "tiny:8b"}, {"id": "tiny:8b:latest"}, {"id": "host:80/tiny:latest"},
        ]});
        assert_eq!(ServedNames::of(&list).others(asked), others);
    }

    #[test]
    fn what_is_no_list_names_nothing() {
        for body in [json!(null), json!({"data": "a"}), json!({"data": [{"id": 1}]})] {
            assert_eq!(ServedNames::of(&body), ServedNames::default());
        }
    }
}
