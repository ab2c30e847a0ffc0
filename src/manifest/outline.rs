//! A YAML document with the place of every part of it, duplicate keys included, for readers that must point at what is wrong.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle};

use super::{ManifestError, Position, excerpt};

/// The most nodes of a document, those behind aliases counted each time.
const MOST_NODES: usize = 50_000;

/// How deep a document may nest.
const MOST_DEPTH: usize = 64;

/// One part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Where it begins.
    pub(crate) at: Position,
    /// What it is.
    pub(crate) value: NodeValue,
}

/// What a [`Node`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeValue {
    /// A scalar, with its text as it was written.
    Scalar {
        /// The text.
        text: String,
        /// How it was written.
        style: Style,
    },
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping, its keys in order and as often as they are written.
    Mapping(Vec<(Node, Node)>),
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes.
    Plain,
    /// In quotes.
    Quoted,
    /// As lines of their own (`|`, `>`).
    Block,
}

impl Node {
    /// Its text, where it is a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Its items; none where it is no sequence.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            NodeValue::Sequence(items) => items,
            _ => &[],
        }
    }

    /// Its fields; none where it is no mapping.
    pub(crate) fn fields(&self) -> &[(Self, Self)] {
        match &self.value {
            NodeValue::Mapping(fields) => fields,
            _ => &[],
        }
    }

    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        let named = |(key, _): &&(Self, Self)| key.text() == Some(name);
        self.fields().iter().find(named).map(|(_, value)| value)
    }
}

/// Reads the first document of a text.
///
/// # Errors
/// It is no YAML, or more than a document of ours ever is.
pub(crate) fn outline(file: &str, text: &str) -> Result<Node, ManifestError> {
    let wrong = |at: Position, why: &str| ManifestError::Syntax {
        file: file.to_owned(),
        line: at.line,
        why: why.to_owned(),
        excerpt: excerpt(text, at),
    };
    let mut open: Vec<(usize, Node, Option<Node>)> = Vec::new();
    let mut anchors: BTreeMap<usize, Node> = BTreeMap::new();
    let mut count = 0;
    let mut last = Position { line: 1, column: 1 };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| wrong(last, &error.to_string()))?;
        let at = Position {
            line: u32::try_from(span.start.line()).unwrap_or(u32::MAX),
            column: u32::try_from(span.start.col()).map_or(u32::MAX, |column| column.saturating_add(1)),
        };
        last = at;
        let (done, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    _ => Style::Block,
                };
                let text = text.into_owned();
                let value = NodeValue::Scalar { text, style };
                (Node { at, value }, anchor)
            }
            Event::Alias(anchor) => {
                let meant = anchors.get(&anchor).ok_or_else(|| wrong(at, "an alias of nothing"))?;
                count += size(meant);
                let value = meant.value.clone();
                (Node { at, value }, 0)
            }
            Event::SequenceStart(_, anchor, _) => {
                let value = NodeValue::Sequence(Vec::new());
                open.push((anchor, Node { at, value }, None));
                continue;
            }
            Event::MappingStart(_, anchor, _) => {
                let value = NodeValue::Mapping(Vec::new());
                open.push((anchor, Node { at, value }, None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some((anchor, node, _)) => (node, anchor),
                None => continue,
            },
            Event::DocumentEnd => break,
            _ => continue,
        };
        count += 1;
        if count > MOST_NODES || open.len() > MOST_DEPTH {
            return Err(wrong(at, "there is more in it than in any file of this kind"));
        }
        if anchor > 0 {
            anchors.insert(anchor, done.clone());
        }
        let Some((_, around, key)) = open.last_mut() else {
            return Ok(done);
        };
        match (&mut around.value, key.take()) {
            (NodeValue::Sequence(items), _) => items.push(done),
            (NodeValue::Mapping(fields), Some(key)) => fields.push((key, done)),
            (NodeValue::Mapping(_), None) => *key = Some(done),
            (NodeValue::Scalar { .. }, _) => {}
        }
    }
    Ok(Node {
        at: Position { line: 1, column: 1 },
        value: NodeValue::Mapping(Vec::new()),
    })
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        NodeValue::Scalar { .. } => 0,
        NodeValue::Sequence(items) => items.iter().map(size).sum(),
        NodeValue::Mapping(fields) => fields.iter().map(|(key, value)| size(key) + size(value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_part_has_its_place_and_a_key_stands_as_often_as_it_is_written() {
        let text = "a: &x [1, two]\nb:\n  c: |\n    run\n  c: 'q'\nd: *x\n";
        let node = outline("f.yaml", text).unwrap();
        let keys: Vec<&str> = node.fields().iter().filter_map(|(key, _)| key.text()).collect();
        assert_eq!(keys, ["a", "b", "d"]);
        let inner = node.field("b").unwrap().fields();
        let seen: Vec<_> = inner
            .iter()
            .map(|(key, value)| (key.at.line, value.text().unwrap()))
            .collect();
        assert_eq!(seen, [(3, "run\n"), (5, "q")]);
        let alias = node.field("d").unwrap();
        assert_eq!((alias.at.line, alias.items().len()), (6, 2));
        assert_eq!(alias.items()[1].text(), Some("two"));
    }

    #[test]
    fn what_is_no_yaml_and_what_multiplies_is_refused() {
        assert!(outline("f.yaml", "a: [").is_err());
        let mut bomb = String::from("a0: &a0 [x, x]\n");
        for level in 1..40 {
            let before = level - 1;
            writeln!(bomb, "a{level}: &a{level} [*a{before}, *a{before}]").unwrap();
        }
        assert!(outline("f.yaml", &bomb).is_err());
        assert!(outline("f.yaml", &"[".repeat(10_000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_of_yaml_signs_makes_it_panic(text in "[-a:\\[\\]{}&*!|>'\"%@ \n#,?<~0-9]{0,200}") {
            let _ = outline("f.yaml", &text);
        }
    }
}
