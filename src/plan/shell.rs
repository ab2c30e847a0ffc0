//! Shell words evaluated as bash does, as far as that is known before anything runs.

use std::collections::{BTreeMap, BTreeSet};

use super::{Piece, Word};
use crate::guide::{ShellPiece, ShellWord, Simple};

/// The most bytes that variables put in place of their names in one guide. A variable that doubles itself line by line
/// would fill any memory; every upstream guide together has less than a hundredth.
const MOST_REPLACED: usize = 1 << 20;

/// The variables that are set by now.
#[derive(Debug)]
pub(super) struct Environment {
    /// How many bytes may still be put in place of names.
    left: usize,
    variables: BTreeMap<String, Word>,
    /// Variables that the reader is to have set; their values are read at run time.
    readers: BTreeSet<String>,
    /// Variables that were used and that nothing sets, since [`Environment::take_unset`] was last asked.
    unset: Vec<String>,
}

impl Environment {
    pub(super) fn new(readers: &[String]) -> Self {
        Self {
            left: MOST_REPLACED,
            variables: BTreeMap::new(),
            readers: readers.iter().cloned().collect(),
            unset: Vec::new(),
        }
    }

    pub(super) fn set(&mut self, name: &str, value: Word) {
        self.variables.insert(name.to_owned(), value);
    }

    /// Notes that a variable is set by a step at run time.
    pub(super) fn set_at_run_time(&mut self, name: &str) {
        self.set(name, Word(vec![Piece::Variable(name.to_owned())]));
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.variables.contains_key(name) || self.readers.contains(name)
    }

    /// The value of a variable, where it is known before anything runs.
    ///
    /// # Errors
    /// It is too long.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        if !self.variables.contains_key(name) {
            return Ok(None);
        }
        Ok(self.value(name)?.resolve(&BTreeMap::new()).ok())
    }

    /// The variables that were used and that nothing sets; forgets them.
    pub(super) fn take_unset(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unset)
    }

    /// A word's fields: none for an empty variable, several where a value outside quotes has blanks.
    ///
    /// # Errors
    /// What is not understood in it.
    pub(super) fn fields(&mut self, word: &ShellWord) -> Result<Vec<Word>, String> {
        let mut fields = Vec::new();
        let mut field = Field::default();
        for piece in &word.pieces {
            match piece {
                ShellPiece::Plain(text) => field.push(text),
                ShellPiece::Quoted(text) | ShellPiece::SingleQuoted { text, .. } => {
                    field.exists = true;
                    field.push(text);
                }
                ShellPiece::Variable { name, quoted } => {
                    let value = self.value(name)?;
                    field.exists |= *quoted;
                    for part in value.0 {
                        match part {
                            Piece::Text(text) if !*quoted => field.split(&text, &mut fields),
                            Piece::Text(text) => field.push(&text),
                            Piece::Variable(name) => field.pieces.push(Piece::Variable(name)),
                        }
                    }
                }
                ShellPiece::Substitution { raw, .. } => return Err(format!("`$({raw})` stands inside a word")),
                ShellPiece::NotUnderstood(text) => {
                    return Err(format!("`{text}` is an expansion that is not understood"));
                }
            }
        }
        field.end(&mut fields);
        Ok(fields)
    }

    /// A word as one value, as in an assignment, where bash splits nothing.
    ///
    /// # Errors
    /// What is not understood in it.
    pub(super) fn value_of(&mut self, word: &ShellWord) -> Result<Word, String> {
        let quoted = ShellWord {
            pieces: word
                .pieces
                .iter()
                .map(|piece| match piece {
                    ShellPiece::Variable { name, .. } => ShellPiece::Variable {
                        name: name.clone(),
                        quoted: true,
                    },
                    piece => piece.clone(),
                })
                .collect(),
            ..word.clone()
        };
        Ok(self.fields(&quoted)?.pop().unwrap_or_default())
    }

    fn value(&mut self, name: &str) -> Result<Word, String> {
        if let Some(value) = self.variables.get(name) {
            let bytes = value.0.iter().map(|piece| match piece {
                // What a field and a piece take besides.
                Piece::Text(text) | Piece::Variable(text) => text.len() + size_of::<Word>() + size_of::<Piece>(),
            });
            let left = self.left.checked_sub(bytes.sum());
            self.left = left.ok_or_else(|| format!("the values of `{name}` and others make the guide too long"))?;
            return Ok(value.clone());
        }
        if self.readers.contains(name) {
            return Ok(Word(vec![Piece::Variable(name.to_owned())]));
        }
        self.unset.push(name.to_owned());
        Ok(Word::default())
    }
}

/// A field that is being put together.
#[derive(Default)]
struct Field {
    pieces: Vec<Piece>,
    /// Whether it exists even when it is empty, because quotes stood in it.
    exists: bool,
}

impl Field {
    fn push(&mut self, text: &str) {
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    fn split(&mut self, text: &str, fields: &mut Vec<Word>) {
        let mut rest = text;
        while let Some(blank) = rest.find([' ', '\t', '\n']) {
            self.push(&rest[..blank]);
            self.end(fields);
            rest = &rest[blank + 1..];
        }
        self.push(rest);
    }

    fn end(&mut self, fields: &mut Vec<Word>) {
        let field = std::mem::take(self);
        if field.exists || !field.pieces.is_empty() {
            fields.push(Word(field.pieces));
        }
    }
}

/// The fields of a program's words.
///
/// # Errors
/// What is not understood in one of them.
pub(super) fn arguments(environment: &mut Environment, simple: &Simple) -> Result<Vec<Word>, String> {
    let mut fields = Vec::new();
    for word in &simple.words {
        fields.extend(environment.fields(word)?);
    }
    Ok(fields)
}

/// Fields as text, for commands whose meaning must be known before anything runs.
///
/// # Errors
/// A field holds a variable that is only known at run time.
pub(super) fn texts(fields: &[Word]) -> Result<Vec<String>, String> {
    let text = |field: &Word| {
        let name = |name: String| format!("`${name}` is only known at run time");
        field.resolve(&BTreeMap::new()).map_err(name)
    };
    fields.iter().map(text).collect()
}

/// Variables that are set by now and whose names stand in single quotes, each with its line.
pub(super) fn unexpanded(environment: &Environment, simple: &Simple) -> Vec<(String, u32)> {
    let mut found: Vec<(String, u32)> = Vec::new();
    for piece in simple.words.iter().flat_map(|word| &word.pieces) {
        let ShellPiece::SingleQuoted { text, line } = piece else {
            continue;
        };
        for (row, text) in (*line..).zip(text.split('\n')) {
            for name in names(text) {
                if environment.is_set(name) && !found.iter().any(|(known, _)| known == name) {
                    found.push((name.to_owned(), row));
                }
            }
        }
    }
    found
}

/// The names after `$` in a text, braces or none.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let braced = rest.strip_prefix('{');
        let rest = braced.unwrap_or(rest);
        let end = rest
            .find(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_')
            .unwrap_or(rest.len());
        let name = &rest[..end];
        let closed = braced.is_none() || rest[end..].starts_with('}');
        (closed && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        guide::{Body, read_commands},
        host::{Call, Host},
    };

    /// An environment as after `A=one; B='two words'; E=`, and one variable read at run time.
    fn environment() -> Environment {
        let mut environment = Environment::new(&["TOKEN".to_owned()]);
        environment.set("A", Word::text("one"));
        environment.set("B", Word::text("two words"));
        environment.set("E", Word::default());
        environment.set_at_run_time("IP");
        environment
    }

    fn simple(text: &str) -> Simple {
        match read_commands(text).remove(0).body {
            Body::Pipeline(mut pipeline) => pipeline.0.remove(0),
            Body::NotUnderstood(why) => panic!("{why}"),
        }
    }

    const WORDS: &[(&str, &[&str])] = &[
        ("a", &["a"]),
        ("$A", &["one"]),
        ("${A}", &["one"]),
        ("'$A'", &["$A"]),
        ("\"$A\"", &["one"]),
        ("\\$A", &["$A"]),
        ("$B", &["two", "words"]),
        ("\"$B\"", &["two words"]),
        ("x${B}y", &["xtwo", "wordsy"]),
        ("$E", &[]),
        ("\"$E\"", &[""]),
        ("''", &[""]),
        ("$E$E", &[]),
        ("a$E", &["a"]),
        ("'{\"m\": \"'\"${A}\"'\"}'", &["{\"m\": \"one\"}"]),
        ("--set=a.b=$A,c='d e'", &["--set=a.b=one,c=d e"]),
        ("a\\ b", &["a b"]),
        ("\"a\\\"b\\$\\n\"", &["a\"b$\\n"]),
        ("https://x/${A}/y?z=1", &["https://x/one/y?z=1"]),
        ("$'a\\tb'", &["a\tb"]),
        ("é$A", &["éone"]),
    ];

    #[test]
    fn words_come_out_as_bash_reads_them() {
        for (written, wanted) in WORDS {
            let fields =
                arguments(&mut environment(), &simple(&format!("p {written}"))).map(|fields| texts(&fields[1..]));
            let wanted: Vec<String> = wanted.iter().map(|text| (*text).to_owned()).collect();
            // ANSI-C quotes are the one kind of quotes that is refused instead.
            if written.starts_with("$'") {
                assert!(fields.is_err(), "{written}");
            } else {
                assert_eq!(fields, Ok(Ok(wanted)), "{written}");
            }
        }
    }

    #[tokio::test]
    async fn the_table_above_is_what_bash_says() {
        let host = Host::real();
        for (written, wanted) in WORDS {
            let script = format!("A=one; B='two words'; E=; set -- {written}; printf '%s\\n' $# \"$@\"");
            let said = host.run_ok(&Call::new("bash").args(["-c", &script])).await.unwrap();
            let lines: Vec<String> = [wanted.len().to_string()]
                .into_iter()
                .chain(wanted.iter().map(|text| (*text).to_owned()))
                .collect();
            let said = String::from_utf8(said.stdout).unwrap();
            let said = said.strip_suffix('\n').unwrap();
            // `printf` prints one empty line for no arguments at all.
            let said = if wanted.is_empty() { said.trim_end() } else { said };
            assert_eq!(said, lines.join("\n"), "{written}");
        }
    }

    #[rstest]
    #[case("$(a)")]
    #[case("x$(a)y")]
    #[case("$((1+1))")]
    #[case("~/x")]
    #[case("{a,b}")]
    #[case("${A:-b}")]
    #[case("${A%x}")]
    fn expansions_that_no_guide_needs_are_refused(#[case] written: &str) {
        assert!(arguments(&mut environment(), &simple(&format!("p {written}"))).is_err());
    }

    #[test]
    fn what_is_known_only_at_run_time_stays_open_and_what_nobody_sets_is_told() {
        let mut environment = environment();
        let fields = arguments(&mut environment, &simple("p $IP:80 $TOKEN $NONE x")).unwrap();
        let open = |name: &str| Piece::Variable(name.into());
        assert_eq!(fields[1].0, [open("IP"), Piece::Text(":80".into())]);
        assert_eq!(fields[2].0, [open("TOKEN")]);
        assert_eq!(fields[3], Word::text("x"));
        assert_eq!(environment.take_unset(), ["NONE"]);
        assert!(environment.take_unset().is_empty());
        assert!(texts(&fields).is_err());
    }

    #[test]
    fn a_variable_that_doubles_itself_is_refused_and_not_followed() {
        let mut environment = environment();
        let (open, double) = (simple("p x$A$IP"), simple("p \"$A$A\""));
        let mut refused = None;
        for _ in 0..100 {
            match environment.fields(&double.words[1]) {
                Ok(mut fields) => environment.set("A", fields.remove(0)),
                Err(why) => refused = Some(why),
            }
        }
        assert!(refused.is_some_and(|why| why.contains("too long")));
        assert!(environment.variables["A"].resolve(&BTreeMap::new()).unwrap().len() <= MOST_REPLACED);
        assert!(environment.fields(&open.words[1]).is_err());
    }

    #[rstest]
    #[case("c -d '{\n\"m\": \"${A}\"}'", &[("A", 2)])]
    #[case("c -d '$A $IP'", &[("A", 1), ("IP", 1)])]
    #[case("c -d '$A\n${A}'", &[("A", 1)])]
    #[case("c -d '{\"m\": \"'\"${A}\"'\"}'", &[])]
    #[case("c -d '${NONE} $5 $ ${A'", &[])]
    #[case("c -d \"${A}\"", &[])]
    fn names_in_single_quotes_are_found_with_their_lines(#[case] text: &str, #[case] wanted: &[(&str, u32)]) {
        let wanted: Vec<(String, u32)> = wanted.iter().map(|(name, line)| ((*name).to_owned(), *line)).collect();
        assert_eq!(unexpanded(&environment(), &simple(text)), wanted);
    }
}
