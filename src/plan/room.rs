//! How much memory the objects of one plan may take.
//!
//! A guide is short and may ask for the same large manifest in every line, so the objects of each command are counted
//! again, and what they take is counted by what they become and not by what was written: aliases of YAML multiply.

use serde_json::Value;

use super::draft::Stop;
use crate::manifest::Object;

/// The most bytes that the objects of a plan take; those of the largest guide upstream take a tenth.
const MOST_BYTES: usize = 32 << 20;

/// What reading for one command counts, whatever comes of it, in bytes: it bounds how often files are read.
const READING: usize = 128 << 10;

/// What a value takes besides its text, in bytes: itself, its key, and its place in an index.
const VALUE: usize = 72;

/// The memory that is left.
#[derive(Debug)]
pub(super) struct Room {
    left: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { left: MOST_BYTES }
    }
}

impl Room {
    /// Makes room for a file that is about to be read.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn for_reading(&mut self) -> Result<(), Stop> {
        self.take(READING)
    }

    /// Makes room for objects that were read.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn for_objects(&mut self, objects: &[Object]) -> Result<(), Stop> {
        objects.iter().try_for_each(|object| self.for_value(&object.value))
    }

    /// Makes room for a value that was read.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn for_value(&mut self, value: &Value) -> Result<(), Stop> {
        self.take(bytes(value))
    }

    /// What was refused once leaves no room for anything else.
    fn take(&mut self, bytes: usize) -> Result<(), Stop> {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(0);
        let why = || format!("the commands up to here read more than {MOST_BYTES} bytes of objects");
        left.map(|_| ()).ok_or_else(|| Stop::Unsupported(why()))
    }
}

fn bytes(value: &Value) -> usize {
    VALUE
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(bytes).sum(),
            Value::Object(fields) => fields.iter().map(|(key, value)| key.len() + bytes(value)).sum(),
        }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_again_and_again_leaves_no_room_in_the_end() {
        let mut room = Room::default();
        let value = json!({"a": ["b".repeat(1 << 20)]});
        let fits = (0..100).filter(|_| room.for_value(&value).is_ok()).count();
        assert_eq!(fits, 31);
        assert!(room.for_value(&Value::Null).is_err(), "after a refusal nothing fits");
        let mut room = Room::default();
        let fits = (0..1000).filter(|_| room.for_reading().is_ok()).count();
        assert_eq!(fits, MOST_BYTES / READING);
    }
}
