//! Objects compared with the structural schema of their definition.
//!
//! Only what is said outright is compared: fields that there are and that are required, types, enumerations, patterns
//! not (their dialect is Go's), rules in CEL not. What is not compared is not said to hold.

use std::cmp::Ordering;

use serde_json::Value;

use crate::lint::pods::token;

/// Something that a schema does not allow.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where, as JSON pointer.
    pub(super) pointer: String,
    /// What is wrong, one clause.
    pub(super) what: String,
}

/// Everything in an object that its schema does not allow. Metadata is the API server's own.
pub(super) fn compare(schema: &Value, object: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
            field(schema, key, value, "", &mut faults);
        }
    }
    required(schema, object, "", &mut faults);
    faults
}

fn walk(schema: &Value, value: &Value, pointer: &str, faults: &mut Vec<Fault>) {
    if value.is_null() {
        return;
    }
    let mut tokens = pointer.rsplit('/');
    let name = tokens.find(|token| token.parse::<usize>().is_err()).unwrap_or_default();
    let mut fault = |what: String| {
        faults.push(Fault {
            pointer: pointer.to_owned(),
            what: format!("`{name}` {what}"),
        });
    };
    if !is_of_type(schema, value) {
        fault(format!(
            "must be of type {}",
            schema["type"].as_str().unwrap_or_default()
        ));
        return;
    }
    not_allowed(schema, value).into_iter().for_each(&mut fault);
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                field(schema, key, value, pointer, faults);
            }
            required(schema, value, pointer, faults);
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(&schema["items"], item, &format!("{pointer}/{index}"), faults);
            }
        }
        _ => {}
    }
}

fn is_of_type(schema: &Value, value: &Value) -> bool {
    if schema["x-kubernetes-int-or-string"] == true {
        return value.is_i64() || value.is_string();
    }
    match schema["type"].as_str().unwrap_or_default() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    }
}

/// What is wrong with a value of the right type: not one of those that are listed, or beyond a limit.
fn not_allowed(schema: &Value, value: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        let plain = |one: &Value| one.as_str().map_or_else(|| one.to_string(), str::to_owned);
        let allowed: Vec<String> = allowed.iter().map(plain).collect();
        wrong.push(format!("is {value}, and must be one of {}", allowed.join(", ")));
    }
    for (limit, beyond) in [("minimum", Ordering::Less), ("maximum", Ordering::Greater)] {
        let (number, bound) = (value.as_f64(), schema[limit].as_f64());
        if number.zip(bound).and_then(|(number, bound)| number.partial_cmp(&bound)) == Some(beyond) {
            wrong.push(format!("is {value}, beyond its {limit} {}", schema[limit]));
        }
    }
    let count = match value {
        Value::Array(items) => items.len(),
        Value::String(text) => text.chars().count(),
        _ => return wrong,
    };
    let bound = |of_list: &str, of_text: &str| {
        let bound = schema[of_list].as_u64().or_else(|| schema[of_text].as_u64());
        bound.and_then(|bound| usize::try_from(bound).ok())
    };
    let has = format!("has {count} items or characters, at");
    if let Some(most) = bound("maxItems", "maxLength").filter(|most| count > *most) {
        wrong.push(format!("{has} most {most} are allowed"));
    }
    if let Some(fewest) = bound("minItems", "minLength").filter(|fewest| count < *fewest) {
        wrong.push(format!("{has} least {fewest} are wanted"));
    }
    wrong
}

fn field(schema: &Value, key: &str, value: &Value, pointer: &str, faults: &mut Vec<Fault>) {
    let at = format!("{pointer}/{}", token(key));
    if let Some(known) = schema["properties"].get(key) {
        walk(known, value, &at, faults);
    } else if schema["additionalProperties"].is_object() {
        walk(&schema["additionalProperties"], value, &at, faults);
    } else if schema["properties"].is_object()
        && schema["additionalProperties"] != true
        && schema["x-kubernetes-preserve-unknown-fields"] != true
    {
        faults.push(Fault {
            pointer: at,
            what: format!("there is no field `{key}`"),
        });
    }
}

/// Fields that must be there; one with a default is added by the API server.
fn required(schema: &Value, value: &Value, pointer: &str, faults: &mut Vec<Fault>) {
    let required = schema["required"].as_array().into_iter().flatten();
    for key in required.filter_map(Value::as_str) {
        let has_default = !schema["properties"][key]["default"].is_null();
        if value.get(key).is_none_or(Value::is_null) && !has_default {
            faults.push(Fault {
                pointer: pointer.to_owned(),
                what: format!("the field `{key}` is required"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::fine(json!({"spec": {"port": 1, "mode": "A", "any": {"x": 1}, "labels": {"a": "b"}, "list": [{"n": "x"}]}}), &[])]
    #[case::unknown(json!({"spec": {"port": 1, "prt": 1}}), &[("/spec/prt", "there is no field `prt`")])]
    #[case::missing(json!({"spec": {}}), &[("/spec", "the field `port` is required")])]
    #[case::no_spec(json!({}), &[("", "the field `spec` is required")])]
    #[case::wrong_type(json!({"spec": {"port": "1"}}), &[("/spec/port", "`port` must be of type integer")])]
    #[case::out_of_range(json!({"spec": {"port": 0}}), &[("/spec/port", "`port` is 0, beyond its minimum 1")])]
    #[case::not_listed(json!({"spec": {"port": 1, "mode": "C"}}), &[("/spec/mode", "`mode` is \"C\", and must be one of A, B")])]
    #[case::in_a_map(json!({"spec": {"port": 1, "labels": {"a": 1}}}), &[("/spec/labels/a", "`a` must be of type string")])]
    #[case::in_a_list(json!({"spec": {"port": 1, "list": [{"m": 1}]}}), &[("/spec/list/0/m", "there is no field `m`")])]
    #[case::too_many(json!({"spec": {"port": 1, "list": [{}, {}]}}), &[("/spec/list", "`list` has 2 items or characters, at most 1 are allowed")])]
    fn an_object_is_compared_with_its_schema(#[case] object: Value, #[case] faults: &[(&str, &str)]) {
        let schema = json!({"type": "object", "required": ["spec"], "properties": {"spec": {
            "type": "object", "required": ["port", "size"], "properties": {
                "port": {"type": "integer", "minimum": 1}, "size": {"type": "integer", "default": 3},
                "mode": {"type": "string", "enum": ["A", "B"]},
                "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "list": {"type": "array", "maxItems": 1, "items": {"type": "object", "properties": {"n": {"type": "string"}}}},
        }}}});
        let found = compare(&schema, &object);
        let found: Vec<_> = found
            .iter()
            .map(|fault| (fault.pointer.as_str(), fault.what.as_str()))
            .collect();
        assert_eq!(found, faults);
    }
}
