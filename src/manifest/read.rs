//! From the bytes of a manifest to its objects.
//!
//! Scalars are read as kubectl reads them, that is by YAML 1.1 with legacy octals (`sigs.k8s.io/yaml` on
//! `go.yaml.in/yaml/v2`): `yes` is a boolean, `014` is twelve. JSON is a subset and needs no path of its own.

use serde_json::Value;

use super::{Object, Position, excerpt};

/// The most bytes of one manifest that are read; the largest CRD bundle upstream is below 2 MiB.
const MOST_BYTES: usize = 16 << 20;

/// The most values of one manifest, those of all its documents together; the largest CRD bundle upstream has a tenth.
/// Each document has limits of its own, which many short ones would get around.
const MOST_VALUES: usize = 500_000;

/// The most values of one document that stand behind aliases, which kubectl's readers use at most for a few fields.
const MOST_REPEATED: usize = 10_000;

/// Why a manifest could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file is not UTF-8.
    #[error("`{file}` is not UTF-8 text (first at byte {at}); save it as UTF-8")]
    NotText {
        /// The file.
        file: String,
        /// The first byte that is not, counted from 0.
        at: usize,
    },
    /// The file is larger than any manifest is.
    #[error("`{file}` has {bytes} bytes, a manifest has at most {MOST_BYTES}; is it a manifest?")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: usize,
    },
    /// It holds more than any manifest does.
    #[error("{file}:{line}: up to here there are more than {most} values; is it a manifest?")]
    TooManyValues {
        /// The file.
        file: String,
        /// The line that the document begins at which there are too many with, counted from 1.
        line: u32,
        /// The limit.
        most: usize,
    },
    /// It is not YAML.
    #[error("{file}:{line}: {why}{excerpt}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: u32,
        /// What the reader says.
        why: String,
        /// The line's text with a caret under the column, on lines of their own; empty where the place is not known.
        excerpt: String,
    },
    /// A document is YAML but no Kubernetes object.
    #[error("{file}:{line}: {lacks}; an object needs `apiVersion`, `kind` and `metadata.name`")]
    NotAnObject {
        /// The file.
        file: String,
        /// The line its document begins at, counted from 1.
        line: u32,
        /// What it lacks.
        lacks: String,
    },
}

/// Reads every object of a manifest, in order; `List` objects are replaced by their items, empty documents skipped.
///
/// # Errors
/// The bytes are not text, not YAML, or a document is not an object. Hostile input (alias bombs, deep nesting) is an
/// error too.
pub fn read(file: &str, bytes: &[u8]) -> Result<Vec<Object>, ManifestError> {
    let text = text(file, bytes)?;
    let mut objects = Vec::new();
    let mut left = MOST_VALUES;
    for (line, part) in documents(text) {
        let value: Value = parse(file, line, part)?;
        left = left
            .checked_sub(count(&value))
            .ok_or_else(|| ManifestError::TooManyValues {
                file: file.into(),
                line,
                most: MOST_VALUES,
            })?;
        if value.is_null() {
            continue;
        }
        flatten(file, first_content(line, part), value, &mut objects)?;
    }
    Ok(objects)
}

/// Reads one YAML document of our own shape, such as a layout or a chart's values.
///
/// # Errors
/// The bytes are not text, not YAML, or not of this shape.
pub fn document<T: serde::de::DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, ManifestError> {
    parse(file, 1, text(file, bytes)?)
}

fn text<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, ManifestError> {
    if bytes.len() > MOST_BYTES {
        return Err(ManifestError::TooLarge {
            file: file.into(),
            bytes: bytes.len(),
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| ManifestError::NotText {
        file: file.into(),
        at: error.valid_up_to(),
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Splits at lines that begin with `---`, as kubectl does before it parses anything (`splitYAMLDocument` of
/// `k8s.io/apimachinery/pkg/util/yaml`); what follows on such a line is dropped. Lines count from 1.
fn documents(text: &str) -> Vec<(u32, &str)> {
    let mut parts = Vec::new();
    let (mut begin, mut begin_line, mut offset, mut line) = (0, 1, 0, 1);
    for row in text.split_inclusive('\n') {
        offset += row.len();
        if row
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        {
            parts.push((begin_line, &text[begin..offset - row.len()]));
            (begin, begin_line) = (offset, line + 1);
        }
        line += 1;
    }
    parts.push((begin_line, &text[begin..]));
    parts
}

/// The first line of a document that is neither empty nor a comment; its first line where there is none.
fn first_content(line: u32, part: &str) -> u32 {
    let skipped = part.lines().position(|row| {
        let row = row.trim_start();
        !row.is_empty() && !row.starts_with('#')
    });
    line + skipped.and_then(|rows| u32::try_from(rows).ok()).unwrap_or(0)
}

fn parse<T: serde::de::DeserializeOwned>(file: &str, line: u32, part: &str) -> Result<T, ManifestError> {
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST_REPEATED },
    };
    serde_saphyr::from_str_with_options(part, options).map_err(|error| {
        let place = error.location().filter(|place| place.line() > 0);
        let row = place.map_or(0, |place| u32::try_from(place.line() - 1).unwrap_or(0));
        let excerpt = place.map(|place| {
            let column = u32::try_from(place.column()).unwrap_or(u32::MAX);
            excerpt(part, Position { line: row + 1, column })
        });
        ManifestError::Syntax {
            file: file.into(),
            line: line + row,
            why: error.to_string().lines().next().unwrap_or_default().to_owned(),
            excerpt: excerpt.unwrap_or_default(),
        }
    })
}

/// How many values a value is made of, itself counted.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

fn flatten(file: &str, line: u32, value: Value, objects: &mut Vec<Object>) -> Result<(), ManifestError> {
    let lacks = |lacks: &str| ManifestError::NotAnObject {
        file: file.into(),
        line,
        lacks: lacks.into(),
    };
    let Value::Object(mut fields) = value else {
        return Err(lacks("this document is not a mapping"));
    };
    for field in ["apiVersion", "kind"] {
        if fields.get(field).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(lacks(&format!("`{field}` is missing or not text")));
        }
    }
    let is_list = fields["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
    if is_list && let Some(Value::Array(items)) = fields.get_mut("items").map(Value::take) {
        // Items of a list stand in its document; their own lines are not known.
        return items
            .into_iter()
            .try_for_each(|item| flatten(file, line, item, objects));
    }
    let value = Value::Object(fields);
    if value
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .is_none_or(str::is_empty)
    {
        return Err(lacks("`metadata.name` is missing or not text"));
    }
    objects.push(Object {
        value: value.into(),
        file: file.into(),
        line,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use std::fmt::Write as _;

    use super::*;

    const TWO: &str = "# head\n---\n\n# note\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n--- # next\napiVersion: v1\nkind: Secret\nmetadata:\n  name: b\n---\n";

    #[test]
    fn documents_know_the_line_of_their_first_content() {
        let objects = read("f.yaml", TWO.as_bytes()).unwrap();
        let seen: Vec<_> = objects.iter().map(|object| (object.title(), object.line)).collect();
        assert_eq!(seen, [("ConfigMap a".into(), 5), ("Secret b".into(), 9)]);
    }

    #[rstest]
    #[case("yes", Value::Bool(true))]
    #[case("\"yes\"", "yes".into())]
    #[case("off", Value::Bool(false))]
    #[case("014", 12.into())]
    #[case("0x1F", 31.into())]
    #[case("1.5", 1.5.into())]
    #[case("1.28.0", "1.28.0".into())]
    #[case("12:30", "12:30".into())]
    #[case("~", Value::Null)]
    #[case("2026-01-02", "2026-01-02".into())]
    #[case("100m", "100m".into())]
    fn scalars_are_read_as_kubectl_reads_them(#[case] written: &str, #[case] read_as: Value) {
        let text = format!("apiVersion: v1\nkind: X\nmetadata: {{name: some}}\nfield: {written}\n");
        assert_eq!(read("f.yaml", text.as_bytes()).unwrap()[0].value["field"], read_as);
    }

    #[test]
    fn a_list_is_replaced_by_its_items() {
        let text = r#"{"apiVersion":"v1","kind":"List","items":[
            {"apiVersion":"v1","kind":"A","metadata":{"name":"a"}},{"apiVersion":"v1","kind":"B","metadata":{"name":"b"}}]}"#;
        let titles: Vec<_> = read("f.json", text.as_bytes())
            .unwrap()
            .iter()
            .map(Object::title)
            .collect();
        assert_eq!(titles, ["A a", "B b"]);
    }

    #[test]
    fn a_syntax_error_names_its_line_in_the_file_and_points_at_it() {
        let text = format!("{TWO}apiVersion: v1\nkind: [x\n");
        let Err(ManifestError::Syntax { line, excerpt, .. }) = read("f.yaml", text.as_bytes()) else {
            panic!("expected a syntax error");
        };
        assert!((14..=16).contains(&line), "{line}");
        assert!(excerpt.is_empty() || excerpt.ends_with('^'));
    }

    #[rstest]
    #[case::scalar("just text", 1)]
    #[case::no_kind("\napiVersion: v1\n", 2)]
    #[case::no_name("apiVersion: v1\nkind: A\nmetadata: {}\n", 1)]
    #[case::number_as_kind("apiVersion: v1\nkind: 3\nmetadata: {name: a}\n", 1)]
    fn what_is_no_object_is_named(#[case] text: &str, #[case] at: u32) {
        let error = read("f.yaml", text.as_bytes()).unwrap_err();
        assert!(
            matches!(error, ManifestError::NotAnObject { line, .. } if line == at),
            "{error}"
        );
    }

    #[test]
    fn bytes_that_are_not_text_are_an_error() {
        assert_eq!(
            read("f.yaml", b"a: \xff").unwrap_err(),
            ManifestError::NotText {
                file: "f.yaml".into(),
                at: 3
            }
        );
    }

    #[test]
    fn an_alias_bomb_and_a_deep_nest_are_errors() {
        let mut bomb = String::from("a0: &a0 [x, x]\n");
        for level in 1..40 {
            writeln!(bomb, "a{level}: &a{level} [*a{0}, *a{0}]", level - 1).unwrap();
        }
        assert!(matches!(
            read("f.yaml", bomb.as_bytes()),
            Err(ManifestError::Syntax { .. })
        ));
        let deep = "[".repeat(100_000);
        assert!(matches!(
            read("f.yaml", deep.as_bytes()),
            Err(ManifestError::Syntax { .. })
        ));
        let mut blocks = String::new();
        for level in 0..5_000 {
            writeln!(blocks, "{}a:", " ".repeat(level)).unwrap();
        }
        assert!(read("f.yaml", blocks.as_bytes()).is_err());
    }

    #[test]
    fn many_documents_that_repeat_themselves_are_an_error_too() {
        let bomb = format!(
            "a: &a [{}]\nb: &b [{}]\nc: [{}]\n",
            "x,".repeat(9),
            "*a,".repeat(9),
            "*b,".repeat(9)
        );
        let object = format!("apiVersion: v1\nkind: A\nmetadata: {{name: a}}\n{bomb}---\n");
        assert_eq!(
            read("f.yaml", object.repeat(10).as_bytes()).map(|objects| objects.len()),
            Ok(10)
        );
        let many = read("f.yaml", object.repeat(1000).as_bytes());
        assert!(
            matches!(many, Err(ManifestError::TooManyValues { line, .. }) if line > 1000),
            "{many:?}"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read("f.yaml", &bytes);
        }

        #[test]
        fn no_text_of_yaml_signs_makes_it_panic(text in "[-a:\\[\\]{}&*!|>'\"%@ \n#,?<~0-9]{0,200}") {
            let _ = read("f.yaml", text.as_bytes());
        }
    }
}
