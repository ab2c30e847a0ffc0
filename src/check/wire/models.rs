//! The list of models, and the model in it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{AnswerKind, Endpoint, ParsedAnswer, Unjudged, WireCheck, envelope::created_fault, quoted};
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
        let listed: Vec<&str> = body["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|model| model["id"].as_str())
            .collect();
        let wanted = |id: &&str| id == asked || seen.expected.served_as.iter().any(|other| other == id);
        if listed.iter().any(wanted) {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "`{}` is not among the models listed: {}",
            quoted(asked),
            quoted(&listed.join(", "))
        )])
    },
};

fn list<'a>(seen: &'a ParsedAnswer<'_>) -> Result<&'a Value, Unjudged> {
    match seen.expected.endpoint {
        Endpoint::Models => seen.success(),
        _ => Err(Unjudged::because("the answer is no list of models")),
    }
}

fn faults(body: &Value) -> Vec<String> {
    let Some(models) = body["data"].as_array() else {
        return vec![format!("`data` is {} and not a list", quoted(&body["data"]))];
    };
    let mut faults = Vec::new();
    if body["object"] != "list" {
        faults.push(format!("`object` is {}, not \"list\"", quoted(&body["object"])));
    }
    if models.is_empty() {
        faults.push("there is no model".into());
    }
    let mut ids = BTreeSet::new();
    for (place, model) in models.iter().enumerate() {
        match model["id"].as_str() {
            None | Some("") => faults.push(format!("model {place} has the id {}", quoted(&model["id"]))),
            Some(id) if !ids.insert(id) => faults.push(format!("the model `{}` stands twice", quoted(id))),
            Some(_) => {}
        }
        if model["object"] != "model" {
            faults.push(format!(
                "`object` of model {place} is {}, not \"model\"",
                quoted(&model["object"])
            ));
        }
        // Some model servers do not know when a model was made, and say 0.
        let timed = Some(&model["created"]).filter(|created| **created != 0);
        faults.extend(
            timed
                .and_then(created_fault)
                .map(|fault| format!("of model {place} {fault}")),
        );
        if !model["owned_by"].is_string() {
            faults.push(format!("`owned_by` of model {place} is {}", quoted(&model["owned_by"])));
        }
    }
    faults
}
