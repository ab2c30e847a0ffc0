//! How much memory the objects of one plan may take.
//!
//! A guide is short and may ask for the same large manifest in every line, so the objects of each command are counted
//! again, and what they take is counted by what they become and not by what was written: aliases of YAML multiply.

use serde_json::Value;

use crate::manifest::Object;

/// The most bytes that the objects of a plan take; those of the largest guide upstream take a tenth.
const MOST_BYTES: usize = 32 << 20;

/// What reading for one command counts, whatever comes of it, in bytes: it bounds how often files are read.
const READING: usize = 128 << 10;

/// What a value takes besides its text, in bytes: itself, its key, and its place in an index.
const VALUE: usize = 72;

/// The objects of a plan would take more memory than they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the commands up to here read more than {MOST_BYTES} bytes of objects")]
pub(super) struct Exhausted;

/// The memory that objects may still take.
#[derive(Debug, Clone)]
pub(super) struct MemoryBudget {
    left: usize,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self { left: MOST_BYTES }
    }
}

impl MemoryBudget {
    /// Takes what reading one more file counts.
    ///
    /// # Errors
    /// It is not left.
    pub(super) fn for_reading(&mut self) -> Result<(), Exhausted> {
        self.take(READING)
    }

    /// Takes what objects that were read need.
    ///
    /// # Errors
    /// It is not left.
    pub(super) fn for_objects(&mut self, objects: &[Object]) -> Result<(), Exhausted> {
        objects.iter().try_for_each(|object| self.for_value(&object.value))
    }

    /// Takes what a value that was read needs.
    ///
    /// # Errors
    /// It is not left.
    pub(super) fn for_value(&mut self, value: &Value) -> Result<(), Exhausted> {
        self.take(bytes(value))
    }

    /// Where one thing does not fit, nothing fits any more.
    fn take(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(0);
        left.map(|_| ()).ok_or(Exhausted)
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
    fn what_is_read_again_and_again_spends_the_budget() {
        let mut budget = MemoryBudget::default();
        let value = json!({"a": ["b".repeat(1 << 20)]});
        let fits = (0..100).filter(|_| budget.for_value(&value).is_ok()).count();
        assert_eq!(fits, 31);
        assert!(budget.for_value(&Value::Null).is_err(), "after a refusal nothing fits");
        let mut budget = MemoryBudget::default();
        let fits = (0..1000).filter(|_| budget.for_reading().is_ok()).count();
        assert_eq!(fits, MOST_BYTES / READING);
    }
}
