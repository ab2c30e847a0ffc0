//! How large a model is, told from its name.

use crate::manifest::thousandths;

/// Bytes of a GiB.
pub(super) const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Types of weights that a name may say, in bytes a parameter; bfloat16 where it says none.
const TYPES: &[(&str, f64)] = &[
    ("fp32", 4.0),
    ("fp8", 1.0),
    ("int8", 1.0),
    ("w8a8", 1.0),
    ("awq", 0.5),
    ("gptq", 0.5),
    ("int4", 0.5),
    ("w4a16", 0.5),
    ("fp4", 0.5),
    ("nvfp4", 0.5),
    ("mxfp4", 0.5),
    ("4bit", 0.5),
    ("gguf", 0.5),
];

/// The size of a model's weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Size {
    /// In bytes.
    pub(super) bytes: f64,
    /// How it is known.
    pub(super) derived: String,
}

impl Size {
    /// The size of a model by its name, such as `Qwen/Qwen3-32B`; `None` where its name does not say it.
    pub(super) fn of(name: &str) -> Option<Self> {
        let lower = name.to_lowercase();
        let parts: Vec<&str> = lower.split(['/', '-', '_', ' ', ':']).collect();
        let billions: f64 = parts.iter().find_map(|part| part.strip_suffix('b')?.parse().ok())?;
        if !billions.is_finite() || billions <= 0.0 {
            return None;
        }
        let each = TYPES
            .iter()
            .find(|(word, _)| parts.contains(word))
            .map_or(2.0, |(_, bytes)| *bytes);
        let bytes = billions * 1e9 * each;
        Some(Self {
            bytes,
            derived: format!(
                "{billions} billion parameters of {each} bytes are {:.1} GiB",
                bytes / GIB
            ),
        })
    }
}

/// A quantity of Kubernetes in bytes.
#[expect(clippy::cast_precision_loss, reason = "it is compared with an estimate")]
pub(super) fn bytes(quantity: &str) -> Option<f64> {
    thousandths(quantity).map(|amount| amount as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Qwen/Qwen3-32B", Some(64e9))]
    #[case("Qwen/Qwen2.5-1.5B-Instruct", Some(3e9))]
    #[case("meta-llama/Llama-3.1-8B-Instruct", Some(16e9))]
    #[case("a/b-70b-fp8", Some(70e9))]
    #[case("a/30B-A3B", Some(60e9))]
    #[case("food-review", None)]
    #[case("a/web", None)]
    fn the_size_of_a_model_is_read_from_its_name(#[case] name: &str, #[case] size: Option<f64>) {
        assert_eq!(Size::of(name).map(|size| size.bytes), size);
    }

    #[rstest]
    #[case("9000Mi", Some(9000.0 * 1024.0 * 1024.0))]
    #[case("100Gi", Some(100.0 * GIB))]
    #[case("2G", Some(2e9))]
    #[case("128", Some(128.0))]
    #[case("much", None)]
    fn quantities_are_read_in_bytes(#[case] quantity: &str, #[case] wanted: Option<f64>) {
        assert_eq!(bytes(quantity), wanted);
    }
}
