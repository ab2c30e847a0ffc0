//! Reading metrics in the Prometheus text format.
//!
//! Our own parser, because the published ones drop names with `:` in them, such as every `vllm:*` series.
//! Source of the grammar: Prometheus' exposition formats, text format 0.0.4; `OpenMetrics` exemplars are skipped.

use std::collections::BTreeMap;

use crate::redact::cut;

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// The metric's name.
    pub(crate) name: String,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its value; may be NaN or infinite.
    pub(crate) value: f64,
}

/// The samples of one scrape, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Metrics(pub(crate) Vec<Sample>);

/// A line that is not of the format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the metrics is not a sample: `{text}`")]
pub(crate) struct MetricsError {
    /// The line, counted from 1.
    pub(crate) line: usize,
    /// Its beginning.
    pub(crate) text: String,
}

impl Metrics {
    /// Reads a scrape.
    ///
    /// # Errors
    /// A line is neither empty, a comment, nor a sample.
    pub(crate) fn parse(text: &str) -> Result<Self, MetricsError> {
        let mut samples = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let sample = parse_sample(line).ok_or_else(|| MetricsError {
                line: index + 1,
                text: cut(line, 120),
            })?;
            samples.push(sample);
        }
        Ok(Self(samples))
    }

    /// The samples of one metric.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// The sum of one metric's samples whose labels contain all of `labels`; `None` where there is no such sample.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self
            .named(name)
            .filter(|sample| {
                labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|own| own == value))
            })
            .peekable();
        found.peek()?;
        Some(found.map(|sample| sample.value).sum())
    }
}

fn parse_sample(line: &str) -> Option<Sample> {
    let name_end = line
        .find(|character: char| !(character.is_ascii_alphanumeric() || character == '_' || character == ':'))
        .filter(|end| *end > 0)?;
    let (name, mut rest) = line.split_at(name_end);
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let mut labels = BTreeMap::new();
    rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = parse_labels(inside, &mut labels)?;
    }
    let mut words = rest.split_whitespace();
    let value = number(words.next()?)?;
    let after = match words.next() {
        // Not kept: a sample's time is that of its scrape.
        Some(timestamp) if number(timestamp).is_some() => words.next(),
        after => after,
    };
    // Nothing else follows but an exemplar, which is not read.
    if after.is_some_and(|after| !after.starts_with('#')) {
        return None;
    }
    Some(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// A number as Go writes it.
fn number(word: &str) -> Option<f64> {
    match word {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        number => number.parse().ok(),
    }
}

/// Reads labels up to and including the closing brace; returns what follows it.
fn parse_labels<'a>(mut rest: &'a str, labels: &mut BTreeMap<String, String>) -> Option<&'a str> {
    loop {
        rest = rest.trim_start().trim_start_matches(',').trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Some(after);
        }
        let (label, quoted) = rest.split_once('=')?;
        let mut characters = quoted.trim_start().strip_prefix('"')?.chars();
        let mut value = String::new();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => value.push(match characters.next()? {
                    'n' => '\n',
                    other => other,
                }),
                other => value.push(other),
            }
        }
        labels.insert(label.trim().to_owned(), value);
        rest = characters.as_str();
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::infinite("v +Inf", f64::INFINITY)]
    #[case::infinite_without_sign("v Inf", f64::INFINITY)]
    #[case::infinite_below("v -Inf", f64::NEG_INFINITY)]
    #[case::exponent("v 1.5e+03", 1500.0)]
    #[case::timestamp("v 2 1700000000000", 2.0)]
    #[case::timestamp_of_open_metrics("v 2 1700000000.123", 2.0)]
    #[case::exemplar("v_total{a=\"b\"} 2 # {trace_id=\"x y\"} 0.5 1700000000.1", 2.0)]
    #[case::timestamp_and_exemplar("v_total 2 1700000000 # {} 1", 2.0)]
    #[case::colons("vllm:e2e:seconds_sum 2", 2.0)]
    #[case::no_labels("v{} 2", 2.0)]
    #[case::no_space("v{a=\"}\"}2", 2.0)]
    #[case::tabs("v\t{ a = \"b\" , c=\"d\" }\t2", 2.0)]
    #[case::line_of_windows("v 2\r", 2.0)]
    fn a_value_is_read_in_every_form(#[case] line: &str, #[case] value: f64) {
        let metrics = Metrics::parse(line).unwrap();
        assert!(
            metrics.0.len() == 1 && metrics.0[0].value.total_cmp(&value).is_eq(),
            "{metrics:?}"
        );
    }

    #[test]
    fn a_value_that_is_no_number_stays_none_in_a_sum() {
        let metrics = Metrics::parse("v{a=\"1\"} NaN\nv{a=\"2\"} 1\n").unwrap();
        assert!(
            metrics.sum("v", &[]).is_some_and(f64::is_nan),
            "it is not taken for zero"
        );
    }

    #[rstest]
    #[case::no_value("v")]
    #[case::no_value_after_labels("v{a=\"b\"}")]
    #[case::no_number("v one")]
    #[case::words_after_it("v 1 2 3")]
    #[case::no_timestamp("v 1 now")]
    #[case::no_name("{a=\"b\"} 1")]
    #[case::name_of_a_digit("1v 1")]
    #[case::dash_in_the_name("a-b 1")]
    #[case::open_label("v{a=\"b} 1")]
    #[case::open_labels("v{a=\"b\" 1")]
    #[case::no_quotes("v{a=b} 1")]
    #[case::html("<!DOCTYPE html>")]
    #[case::json(r#"{"error": "x"}"#)]
    fn what_is_no_sample_is_refused(#[case] line: &str) {
        Metrics::parse(line).unwrap_err();
    }

    #[test]
    fn samples_are_read_with_colons_escapes_and_timestamps() {
        let text = "# HELP x y\nvllm:num_requests_running{model_name=\"a\\\"b\\\\c\\nd\",} 2 1700000000\nup 1\n\
                    h_bucket{le=\"+Inf\"} 3 # {trace=\"x\"} 1\nnan NaN\n";
        let metrics = Metrics::parse(text).unwrap();
        assert_eq!(metrics.0[0].labels["model_name"], "a\"b\\c\nd");
        assert_eq!(metrics.sum("vllm:num_requests_running", &[]), Some(2.0));
        assert_eq!(metrics.sum("h_bucket", &[("le", "+Inf")]), Some(3.0));
        assert_eq!(metrics.sum("absent", &[]), None);
        assert!(metrics.0[3].value.is_nan());
    }

    #[test]
    fn sums_run_over_the_labels_that_are_not_asked_for() {
        let metrics = Metrics::parse("r{m=\"a\",p=\"0\"} 1\nr{m=\"a\",p=\"1\"} 2\nr{m=\"b\",p=\"0\"} 4\n").unwrap();
        assert_eq!(metrics.sum("r", &[("m", "a")]), Some(3.0));
    }

    #[test]
    fn a_line_that_is_no_sample_is_named() {
        assert_eq!(Metrics::parse("up 1\n<html>\n").unwrap_err().line, 2);
    }

    fn quoted(value: &str) -> String {
        value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
    }

    proptest! {
        #[test]
        fn what_a_server_writes_reads_back(
            samples in proptest::collection::vec(
                (
                    "[a-zA-Z_:][a-zA-Z0-9_:]{0,12}",
                    proptest::collection::btree_map("[a-zA-Z_][a-zA-Z0-9_]{0,6}", "[ -~\n\u{e9}\u{1f600}]{0,12}", 0..4),
                    prop_oneof![any::<f64>(), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(f64::NAN)],
                    prop_oneof![Just(""), Just(" 1700000000000"), Just(" # {trace_id=\"a\"} 1 2")],
                ),
                0..8,
            ),
        ) {
            let mut text = String::from("# HELP x A line of help.\n\n");
            for (name, labels, value, after) in &samples {
                let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", quoted(value))).collect();
                let value = match value {
                    value if value.is_nan() => "NaN".to_owned(),
                    value if value.is_infinite() => (if *value > 0.0 { "+Inf" } else { "-Inf" }).to_owned(),
                    value => value.to_string(),
                };
                let _ = writeln!(text, "{name}{{{}}} {value}{after}", labels.join(","));
            }
            let read = Metrics::parse(&text).unwrap();
            prop_assert_eq!(read.0.len(), samples.len());
            for (read, (name, labels, value, _)) in read.0.iter().zip(&samples) {
                prop_assert_eq!((&read.name, &read.labels), (name, labels));
                prop_assert!(read.value.total_cmp(value).is_eq() || read.value.is_nan() && value.is_nan());
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,300}") {
            let _ = Metrics::parse(&text);
        }

        #[test]
        fn a_label_value_reads_back(value in "[^\\x00-\\x1f]{0,40}", number in -1e9f64..1e9) {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            let metrics = Metrics::parse(&format!("m{{l=\"{escaped}\"}} {number}")).unwrap();
            prop_assert_eq!(&metrics.0[0].labels["l"], &value);
            prop_assert!((metrics.0[0].value - number).abs() <= f64::EPSILON * number.abs());
        }
    }
}
