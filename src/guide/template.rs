//! Text in which variables stand that are only known at run time.

use std::{collections::BTreeMap, fmt};

/// Values of variables by name.
pub type Variables = BTreeMap<String, String>;

/// Text in which variables are still open, such as `http://${IP}:80/v1`.
///
/// ```
/// use quickproof::guide::{Piece, Template, Variables};
///
/// let url = Template(vec![Piece::Variable("IP".into()), Piece::Text(":80".into())]);
/// assert_eq!(url.to_string(), "${IP}:80");
/// assert_eq!(url.known(), None);
///
/// let variables = Variables::from([("IP".to_owned(), "192.0.2.1".to_owned())]);
/// assert_eq!(url.resolve(&variables), Ok("192.0.2.1:80".to_owned()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(pub Vec<Piece>);

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text as it will be passed on.
    Text(String),
    /// The name of a variable whose value is only known at run time.
    Variable(String),
}

impl Template {
    /// A text without variables.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self(vec![Piece::Text(text.into())])
    }

    /// The text with the values of its variables put in.
    ///
    /// # Errors
    /// The name of the first variable that has no value.
    pub fn resolve(&self, variables: &Variables) -> Result<String, String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Variable(name) => text.push_str(variables.get(name).ok_or_else(|| name.clone())?),
            }
        }
        Ok(text)
    }

    /// The text, or `None` where a variable stands in it.
    pub fn known(&self) -> Option<String> {
        self.resolve(&Variables::new()).ok()
    }

    /// The text that it begins with, up to its first variable.
    pub(crate) fn start(&self) -> &str {
        match self.0.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// Itself without the first bytes of [`Template::start`].
    #[must_use]
    pub(crate) fn without(&self, bytes: usize) -> Self {
        let rest = self.start().get(bytes..).unwrap_or_default();
        let first = (!rest.is_empty()).then(|| Piece::Text(rest.to_owned()));
        Self(first.into_iter().chain(self.0.iter().skip(1).cloned()).collect())
    }

    /// Adds another one at its end.
    pub(crate) fn append(&mut self, other: &Self) {
        for piece in &other.0 {
            match piece {
                Piece::Text(text) => self.push(text),
                Piece::Variable(_) => self.0.push(piece.clone()),
            }
        }
    }

    /// Adds text at its end.
    pub(crate) fn push(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
    }
}

/// As a shell would write it, open variables as `${NAME}`.
impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => formatter.write_str(text),
            Piece::Variable(name) => write!(formatter, "${{{name}}}"),
        })
    }
}
