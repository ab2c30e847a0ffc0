//! Reading metrics in the Prometheus text format.
//!
//! Our own parser, because the published ones drop names with `:` in them, such as every `vllm:*` series.
//! Source of the grammar: Prometheus' exposition formats, text format 0.0.4; `OpenMetrics` exemplars are skipped.

use std::collections::BTreeMap;

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value; may be NaN or infinite.
    pub value: f64,
}

/// The samples of one scrape, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metrics(pub Vec<Sample>);

/// A line that is not of the format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the metrics is not a sample: `{text}`")]
pub struct MetricsError {
    /// The line, counted from 1.
    pub line: usize,
    /// Its beginning.
    pub text: String,
}

impl Metrics {
    /// Reads a scrape.
    ///
    /// # Errors
    /// A line is neither empty, a comment, nor a sample.
    pub fn parse(text: &str) -> Result<Self, MetricsError> {
        let mut samples = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let sample = parse_sample(line).ok_or_else(|| MetricsError {
                line: index + 1,
                text: line.chars().take(120).collect(),
            })?;
            samples.push(sample);
        }
        Ok(Self(samples))
    }

    /// The samples of one metric.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// The sum of one metric's samples whose labels contain all of `labels`; `None` where there is no such sample.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
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
    let value = match rest.split_whitespace().next()? {
        "+Inf" | "Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        number => number.parse().ok()?,
    };
    Some(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
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
    use proptest::prelude::*;

    use super::*;

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

    proptest! {
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
