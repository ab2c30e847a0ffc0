//! Quantities of resources, such as `100m`, `1.5` or `8Gi`.

use serde_json::Value;

/// The amount that a quantity says, in thousandths of its unit rounded up; `None` where it is none.
///
/// Grammar: a signed decimal number, then a suffix of `n`, `u`, `m`, `k`, `M`, `G`, `T`, `P`, `E`, those of the
/// binary scale `Ki` to `Ei`, or a decimal exponent. Source: `k8s.io/apimachinery/pkg/api/resource/quantity.go`.
pub(super) fn thousandths(value: &Value) -> Option<f64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let digits = text
        .char_indices()
        .find(|&(at, letter)| !(letter.is_ascii_digit() || letter == '.' || (at == 0 && matches!(letter, '+' | '-'))))
        .map_or(text.len(), |(at, _)| at);
    let (number, suffix) = text.split_at(digits);
    // Rust reads `.5` and `5.` as Kubernetes does, and a bare sign or point as nothing.
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        "Ei" => 1_152_921_504_606_846_976.0,
        exponent => {
            let exponent = exponent.strip_prefix(['e', 'E'])?;
            10_f64.powi(exponent.parse::<i8>().ok()?.into())
        }
    };
    Some(number * factor * 1e3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("100m", Some(100.0))]
    #[case("1", Some(1000.0))]
    #[case("1.5", Some(1500.0))]
    #[case(".5", Some(500.0))]
    #[case("+2", Some(2000.0))]
    #[case("2Ki", Some(2_048_000.0))]
    #[case("1e3", Some(1e6))]
    #[case("1E3", Some(1e6))]
    #[case("1E", Some(1e21))]
    #[case("8GB", None)]
    #[case("8 Gi", None)]
    #[case("8gi", None)]
    #[case("Gi", None)]
    #[case("", None)]
    #[case("-", None)]
    #[case("1e", None)]
    #[case("1,5", None)]
    fn a_quantity_is_read_as_kubernetes_reads_it(#[case] text: &str, #[case] amount: Option<f64>) {
        let read = thousandths(&Value::String(text.to_owned()));
        match (read, amount) {
            (Some(read), Some(amount)) => assert!((read - amount).abs() <= amount * 1e-9, "{read}"),
            (read, amount) => assert_eq!(read, amount),
        }
    }

    #[test]
    fn a_number_is_a_quantity_and_a_list_is_none() {
        assert_eq!(thousandths(&Value::from(2)), Some(2000.0));
        assert_eq!(thousandths(&Value::Array(vec![])), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,12}") {
            let _ = thousandths(&Value::String(text));
        }
    }
}
