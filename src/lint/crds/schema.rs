//! Objects compared with the structural schema of their definition.
//!
//! Only what is said outright is compared: fields that there are and that are required, types, enumerations, patterns
//! not (their dialect is Go's), rules in CEL not. What is not compared is not said to hold.

use serde_json::Value;

/// Something that a schema does not allow.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where, as JSON pointer.
    pub(super) pointer: String,
    /// What is wrong, one clause.
    pub(super) what: String,
}

/// Compares an object with its schema. Metadata is the API server's own.
pub(super) fn compare(schema: &Value, object: &Value, faults: &mut Vec<Fault>) {
    for (key, value) in object.as_object().into_iter().flatten() {
        if matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
            continue;
        }
        field(schema, key, value, "", faults);
    }
    required(schema, object, "", faults);
}

fn walk(schema: &Value, value: &Value, pointer: &str, faults: &mut Vec<Fault>) {
    let mut fault = |what: String| {
        faults.push(Fault {
            pointer: pointer.to_owned(),
            what,
        });
    };
    if value.is_null() {
        return;
    }
    let name = pointer
        .rsplit('/')
        .find(|token| token.parse::<usize>().is_err())
        .unwrap_or_default();
    let wanted = schema["type"].as_str().unwrap_or_default();
    let is_it = match wanted {
        _ if schema["x-kubernetes-int-or-string"] == true => value.is_i64() || value.is_string(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    };
    if !is_it {
        fault(format!("`{name}` must be of type {wanted}"));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let allowed: Vec<String> = allowed
            .iter()
            .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
            .collect();
        fault(format!(
            "`{name}` is {value}, and must be one of {}",
            allowed.join(", ")
        ));
    }
    for (limit, is_beyond) in [
        (
            "minimum",
            value
                .as_f64()
                .zip(schema["minimum"].as_f64())
                .is_some_and(|(value, limit)| value < limit),
        ),
        (
            "maximum",
            value
                .as_f64()
                .zip(schema["maximum"].as_f64())
                .is_some_and(|(value, limit)| value > limit),
        ),
    ] {
        if is_beyond {
            fault(format!("`{name}` is {value}, beyond its {limit} {}", schema[limit]));
        }
    }
    let count = value
        .as_array()
        .map(Vec::len)
        .or_else(|| value.as_str().map(|text| text.chars().count()));
    let bound = |short: &str, long: &str| {
        schema[short]
            .as_u64()
            .or_else(|| schema[long].as_u64())
            .and_then(|bound| usize::try_from(bound).ok())
    };
    if let (Some(count), Some(most)) = (count, bound("maxItems", "maxLength"))
        && count > most
    {
        fault(format!(
            "`{name}` has {count} items or characters, at most {most} are allowed"
        ));
    }
    if let (Some(count), Some(fewest)) = (count, bound("minItems", "minLength"))
        && count < fewest
    {
        fault(format!(
            "`{name}` has {count} items or characters, at least {fewest} are wanted"
        ));
    }
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

fn field(schema: &Value, key: &str, value: &Value, pointer: &str, faults: &mut Vec<Fault>) {
    let at = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
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
    for key in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
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
        let mut found = Vec::new();
        compare(&schema, &object, &mut found);
        let found: Vec<_> = found
            .iter()
            .map(|fault| (fault.pointer.as_str(), fault.what.as_str()))
            .collect();
        assert_eq!(found, faults);
    }
}
