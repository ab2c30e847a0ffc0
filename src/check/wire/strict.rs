//! JSON read strictly: what most readers let pass is told.
//!
//! RFC 8259 leaves open what a key that stands twice means, so two readers of one answer may read two things; it
//! forbids a byte order mark and anything but UTF-8. Depth is bounded by the parser (128 levels), length by the caller.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Most doubled keys that are told; more say nothing new.
const MOST_DOUBLED: usize = 8;

/// Reads one JSON text.
///
/// # Errors
/// Each thing that is wrong with it: not UTF-8, a byte order mark, not JSON, bytes after it, keys that stand twice in
/// one object. Never empty.
fn read(bytes: &[u8]) -> Result<Value, Vec<String>> {
    if bytes.starts_with("\u{feff}".as_bytes()) {
        return Err(vec!["it begins with a byte order mark".into()]);
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| vec![format!("it is not UTF-8 from byte {} on", error.valid_up_to())])?;
    if text.trim().is_empty() {
        return Err(vec!["it is empty".into()]);
    }
    let doubled = RefCell::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { doubled: &doubled }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| vec![format!("it is not JSON: {error}")])?;
    let doubled = doubled.into_inner();
    if doubled.is_empty() { Ok(value) } else { Err(doubled) }
}

/// Reads one JSON object.
///
/// # Errors
/// As [`read`], and where it is something else.
pub(super) fn read_object(bytes: &[u8]) -> Result<Value, Vec<String>> {
    let value = read(bytes)?;
    if value.is_object() {
        return Ok(value);
    }
    Err(vec![format!("it is no object: {}", super::quoted(&value))])
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    doubled: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value_seed(self)?;
            if object.contains_key(&key) {
                let mut doubled = self.doubled.borrow_mut();
                if doubled.len() < MOST_DOUBLED {
                    doubled.push(format!("the key `{}` stands twice in one object", super::quoted(&key)));
                }
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::empty(b"", "empty")]
    #[case::blank(b" \n", "empty")]
    #[case::bom(b"\xef\xbb\xbf{}", "byte order mark")]
    #[case::latin1(b"{\"a\":\"\xe9\"}", "not UTF-8 from byte 6")]
    #[case::trailing(b"{} x", "not JSON")]
    #[case::two(b"{}{}", "not JSON")]
    #[case::nan(b"{\"a\":NaN}", "not JSON")]
    #[case::lone_surrogate(br#"{"a":"\ud800"}"#, "not JSON")]
    #[case::doubled(br#"{"a":{"b":1,"b":1}}"#, "`b` stands twice")]
    #[case::doubled_by_escape(br#"{"a":1,"\u0061":2}"#, "`a` stands twice")]
    fn what_is_not_strictly_json_is_refused(#[case] bytes: &[u8], #[case] fault: &str) {
        let faults = read(bytes).unwrap_err();
        assert!(faults.iter().any(|found| found.contains(fault)), "{faults:?}");
    }

    #[test]
    fn answers_are_objects() {
        assert!(read_object(b"{}").is_ok());
        assert!(read_object(b"[]").unwrap_err()[0].contains("no object"));
        assert!(read_object(b"").is_err());
    }

    #[test]
    fn absurd_nesting_is_refused_and_not_followed() {
        let deep = "[".repeat(100_000);
        assert!(read(deep.as_bytes()).is_err());
    }

    #[test]
    fn equal_keys_of_different_objects_are_fine() {
        assert!(read(br#"[{"a":1},{"a":{"a":null}}]"#).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn what_is_written_is_read_back(key in ".*", text in ".*", number in any::<i64>(), quarters in any::<i32>()) {
            let float = f64::from(quarters) / 4.0;
            let value = serde_json::json!({"k": {key: [text, number, float, null, true]}});
            prop_assert_eq!(read(value.to_string().as_bytes()), Ok(value));
        }
    }
}
