//! Where a field of a YAML document stands in its text.

use granit_parser::{Event, Parser};

/// A place in a text, line and column counted from 1; the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// A mapping or a sequence that is being read.
struct Open {
    /// How many tokens of the pointer lead to it; `None` where it stands off the way.
    matched: Option<usize>,
    /// What of it is being read.
    at: At,
}

enum At {
    /// A mapping whose next node is a key.
    Key,
    /// A mapping whose next node is the value of this key.
    Value(String, Position),
    /// A sequence whose next node has this index.
    Item(usize),
}

/// Where the value that a JSON pointer (RFC 6901) names stands in the first document of a text: a scalar at its first
/// character, a mapping or a sequence at its key.
///
/// A field that is not there is located at the innermost one around it that is; `None` where the text has no node at
/// all. What stands behind an alias is located at the alias. A text that is no YAML from some line on is read up to
/// there.
pub fn locate(text: &str, pointer: &str) -> Option<Position> {
    let unescaped = |token: &str| token.replace("~1", "/").replace("~0", "~");
    let wanted: Vec<String> = pointer.split('/').skip(1).map(unescaped).collect();
    let mut best: Option<(usize, Position)> = None;
    let mut open: Vec<Open> = Vec::new();
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        let inner = match &event {
            Event::MappingStart(..) => Some(At::Key),
            Event::SequenceStart(..) => Some(At::Item(0)),
            Event::Scalar(..) | Event::Alias(_) => None,
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
                continue;
            }
            Event::DocumentEnd => break,
            _ => continue,
        };
        let own = Position {
            line: u32::try_from(span.start.line()).unwrap_or(u32::MAX),
            column: u32::try_from(span.start.col()).map_or(u32::MAX, |column| column.saturating_add(1)),
        };
        let (matched, position) = match open.last_mut() {
            None => (Some(0), own),
            Some(around) => match std::mem::replace(&mut around.at, At::Key) {
                At::Key => {
                    // A key that is no scalar is named by nothing that a pointer can say.
                    let key = event.scalar().map(|(key, _)| key.to_owned()).unwrap_or_default();
                    around.at = At::Value(key, own);
                    if let Some(at) = inner {
                        open.push(Open { matched: None, at });
                    }
                    continue;
                }
                At::Value(key, of_key) => {
                    let matched = around.matched.filter(|&depth| wanted.get(depth) == Some(&key));
                    (
                        matched.map(|depth| depth + 1),
                        if inner.is_some() { of_key } else { own },
                    )
                }
                At::Item(index) => {
                    around.at = At::Item(index + 1);
                    let is_wanted =
                        |&depth: &usize| wanted.get(depth).and_then(|token| token.parse().ok()) == Some(index);
                    (around.matched.filter(is_wanted).map(|depth| depth + 1), own)
                }
            },
        };
        if let Some(depth) = matched
            && best.is_none_or(|(deepest, _)| depth >= deepest)
        {
            best = Some((depth, position));
        }
        if let Some(at) = inner {
            open.push(Open { matched, at });
        }
    }
    best.map(|(_, position)| position)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const TEXT: &str = r#"# head
kind: X
"quoted key": 'a b'
metadata: {name: some, labels: {a/b: c}}
anchored: &spec
  # a comment
  image: one   # another
copied: *spec
args:
- --first
- script: |
    kind: nothing of ours
    image: nor this
  after: [x, [y, z]]
twice: 1
twice: 2
? [a, b]
: complex
last: end
---
kind: Y
other: 1
"#;

    #[rstest]
    #[case::scalar("/kind", 2, 7)]
    #[case::quoted("/quoted key", 3, 15)]
    #[case::flow("/metadata/name", 4, 18)]
    #[case::escaped("/metadata/labels/a~1b", 4, 38)]
    #[case::mapping_at_its_key("/metadata/labels", 4, 24)]
    #[case::after_comments("/anchored/image", 7, 10)]
    #[case::behind_an_alias("/copied/image", 8, 9)]
    #[case::item("/args/0", 10, 3)]
    #[case::item_that_is_a_mapping("/args/1", 11, 3)]
    #[case::after_a_block_scalar("/args/1/after/1/1", 14, 18)]
    #[case::the_last_of_two("/twice", 16, 8)]
    #[case::after_a_complex_key("/last", 19, 7)]
    #[case::absent("/metadata/annotations/x", 4, 1)]
    #[case::absent_item("/args/7", 9, 1)]
    #[case::in_another_document("/other", 2, 1)]
    #[case::whole("", 2, 1)]
    fn a_field_is_located_where_it_is_written(#[case] pointer: &str, #[case] line: u32, #[case] column: u32) {
        assert_eq!(locate(TEXT, pointer), Some(Position { line, column }));
    }

    #[test]
    fn what_follows_the_document_and_is_no_yaml_does_not_hinder() {
        let text = "kind: X\nspec:\n  name: a\nEOF\n";
        assert_eq!(locate(text, "/spec/name"), Some(Position { line: 3, column: 9 }));
        assert_eq!(locate("", "/a"), None);
    }

    proptest! {
        #[test]
        fn no_text_of_yaml_signs_makes_it_panic(text in "[-a:\\[\\]{}&*!|>'\"%@ \n#,?<~0-9]{0,200}", pointer in "(/[a0-9~]{0,2}){0,3}") {
            if let Some(position) = locate(&text, &pointer) {
                prop_assert!(position.line >= 1 && position.column >= 1);
            }
        }
    }
}
