//! Texts with variables in them: `${model}`. `$${` stands for a `${` that is meant.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::redact::cut;

/// Variables and their values.
pub(crate) type Variables = BTreeMap<String, Value>;

/// A text in which variables stand as `${name}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// A `${` is never closed, or what stands inside is no name of a variable; the message says which.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if let Some(before) = rest[..at].strip_suffix('$') {
                plain.push_str(before);
                plain.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            plain.push_str(&rest[..at]);
            let inside = &rest[at + 2..];
            let Some(end) = inside.find('}') else {
                return Err("`${` is not closed; write `$${` where no variable is meant".to_owned());
            };
            let name = &inside[..end];
            if !is_name(name) {
                let name = cut(name, 40);
                return Err(format!(
                    "`${{{name}}}` names no variable: letters, digits and `_` are expected"
                ));
            }
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Variable(name.to_owned()));
            rest = &inside[end + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// The names of its variables, in order.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text with the values put in; a value that is no text is put in as JSON.
    ///
    /// # Errors
    /// The name of a variable that has no value.
    pub(crate) fn fill(&self, variables: &Variables) -> Result<String, String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Variable(name) => match variables.get(name) {
                    Some(Value::String(value)) => text.push_str(value),
                    Some(value) => text.push_str(&value.to_string()),
                    None => return Err(name.clone()),
                },
            }
        }
        Ok(text)
    }

    /// The value that it becomes in JSON: that of the variable where it is one and nothing else, else a text.
    ///
    /// # Errors
    /// The name of a variable that has no value.
    fn value(&self, variables: &Variables) -> Result<Value, String> {
        match self.0.as_slice() {
            [Piece::Variable(name)] => variables.get(name).cloned().ok_or_else(|| name.clone()),
            _ => self.fill(variables).map(Value::String),
        }
    }
}

/// Whether a word can name a variable; CEL has the same grammar.
pub(super) fn is_name(word: &str) -> bool {
    let mut characters = word.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && word.len() <= 40
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// A JSON value in whose texts variables stand; keys are as they are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum JsonTemplate {
    /// A text.
    Text(Template),
    /// A list.
    List(Vec<Self>),
    /// An object, its fields in order.
    Fields(Vec<(String, Self)>),
    /// A value without variables.
    Plain(Value),
}

impl JsonTemplate {
    /// Reads a value.
    ///
    /// # Errors
    /// One of its texts is no template.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => Self::Text(Template::read(text)?),
            Value::Array(items) => Self::List(items.iter().map(Self::read).collect::<Result<_, _>>()?),
            Value::Object(fields) => Self::Fields(
                fields
                    .iter()
                    .map(|(name, field)| Ok((name.clone(), Self::read(field)?)))
                    .collect::<Result<_, String>>()?,
            ),
            other => Self::Plain(other.clone()),
        })
    }

    /// The value with those of variables put in: a text that is one variable takes its type.
    ///
    /// # Errors
    /// The name of a variable that has no value.
    pub(crate) fn fill(&self, variables: &Variables) -> Result<Value, String> {
        Ok(match self {
            Self::Text(template) => template.value(variables)?,
            Self::List(items) => Value::Array(
                items
                    .iter()
                    .map(|item| item.fill(variables))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Fields(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, field)| Ok((name.clone(), field.fill(variables)?)))
                    .collect::<Result<_, String>>()?,
            ),
            Self::Plain(value) => value.clone(),
        })
    }
}

/// The texts of a JSON value, each with its pointer (RFC 6901) below `at`; keys are not looked at.
pub(super) fn texts<'a>(value: &'a Value, at: &str, found: &mut Vec<(String, &'a str)>) {
    match value {
        Value::String(text) => found.push((at.to_owned(), text)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                texts(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let token = name.replace('~', "~0").replace('/', "~1");
                texts(field, &format!("{at}/{token}"), found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn variables() -> Variables {
        [("model", json!("m")), ("number", json!(3))]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    #[rstest]
    #[case::none("plain $ text", "plain $ text")]
    #[case::one("${model}", "m")]
    #[case::inside("a ${model}-${number}!", "a m-3!")]
    #[case::meant("$${model} of ${model}", "${model} of m")]
    fn values_are_put_in(#[case] text: &str, #[case] filled: &str) {
        assert_eq!(Template::read(text).unwrap().fill(&variables()).unwrap(), filled);
    }

    #[rstest]
    #[case::open("a ${model")]
    #[case::empty("${}")]
    #[case::default("${model:-x}")]
    fn what_is_no_variable_is_refused(#[case] text: &str) {
        Template::read(text).unwrap_err();
    }

    #[test]
    fn a_text_that_is_one_variable_takes_its_type() {
        let body = json!({"model": "${model}", "n": "${number}", "prompt": ["${number}. ${model}", true]});
        let filled = JsonTemplate::read(&body).unwrap().fill(&variables()).unwrap();
        assert_eq!(filled, json!({"model": "m", "n": 3, "prompt": ["3. m", true]}));
    }

    #[test]
    fn a_variable_without_a_value_is_named() {
        let template = JsonTemplate::read(&json!({"a": ["${who}"]})).unwrap();
        assert_eq!(template.fill(&variables()), Err("who".to_owned()));
    }

    #[test]
    fn each_text_has_its_pointer() {
        let mut found = Vec::new();
        let value = json!({"a/b": ["x", {"c": "y"}], "n": 1});
        texts(&value, "/json", &mut found);
        assert_eq!(
            found,
            [("/json/a~1b/0".to_owned(), "x"), ("/json/a~1b/1/c".to_owned(), "y")]
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[${}a-c_ ]{0,60}") {
            if let Ok(template) = Template::read(&text) {
                for name in template.variables() {
                    prop_assert!(is_name(name));
                }
            }
        }

        #[test]
        fn text_without_variables_stays(text in "[a-z }{ ]{0,60}") {
            prop_assert_eq!(Template::read(&text).unwrap().fill(&Variables::new()).unwrap(), text);
        }
    }
}
