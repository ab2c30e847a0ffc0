//! The arguments of a program told apart: flags with their values, and the rest.

use super::{Piece, Template, Variables};

mod programs;

/// One argument as bash passes it to a program, as far as that is known before anything runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Argument {
    /// Its text. Variables that nothing sets stand in it too, by their names.
    text: Template,
    /// Variables in it that nothing sets: bash puts nothing in their place.
    unset: Vec<String>,
    /// Why what bash makes of it is not known, or `None`.
    unclear: Option<String>,
}

impl Argument {
    /// An argument that is all known.
    pub fn new(text: impl Into<String>) -> Self {
        Self::of(Template::text(text))
    }

    /// An argument in which nothing is unclear.
    pub(super) fn of(text: Template) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }

    /// What the program is given, variables that are only known at run time still open.
    ///
    /// # Errors
    /// Why that is not known.
    pub(crate) fn passed(&self) -> Result<Template, String> {
        if let Some(why) = &self.unclear {
            return Err(why.clone());
        }
        let mut passed = Template::default();
        for piece in &self.text.0 {
            match piece {
                Piece::Text(text) => passed.push(text),
                Piece::Variable(name) if self.unset.contains(name) => {}
                Piece::Variable(_) => passed.0.push(piece.clone()),
            }
        }
        Ok(passed)
    }

    /// What the program is given, as text.
    ///
    /// # Errors
    /// Why that is not known before the command runs.
    pub(crate) fn text(&self) -> Result<String, String> {
        let text = self.passed()?.resolve(&Variables::new());
        text.map_err(|name| not_known(&name))
    }

    /// What the guide means the program to be given; `None` where that is not known before the command runs. Where nothing
    /// sets a variable, bash passes on less than was meant, and what was meant nobody knows.
    pub(crate) fn known(&self) -> Option<String> {
        self.text.known().filter(|_| self.unclear.is_none())
    }

    /// Its text for a reader: what is not known stands as `${NAME}` or as it is written.
    pub fn shown(&self) -> String {
        self.text.to_string()
    }

    /// Whether its text is this and nothing else.
    pub fn is(&self, text: &str) -> bool {
        self.known().is_some_and(|known| known == text)
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push(text);
    }

    /// Adds what is known of a text at its end.
    pub(super) fn append(&mut self, text: &Template) {
        self.text.append(text);
    }

    pub(super) fn push_variable(&mut self, name: &str) {
        self.text.0.push(Piece::Variable(name.to_owned()));
    }

    pub(super) fn push_unset(&mut self, name: &str) {
        self.push_variable(name);
        self.unset.push(name.to_owned());
    }

    /// Notes why it is not known; the first reason is kept.
    pub(super) fn blur(&mut self, why: impl Into<String>) {
        self.unclear.get_or_insert_with(|| why.into());
    }

    /// Its parts, each with whether nothing sets it.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (&Piece, bool)> {
        self.text.0.iter().map(|piece| {
            let is_unset = matches!(piece, Piece::Variable(name) if self.unset.contains(name));
            (piece, is_unset)
        })
    }

    /// Whether bash would make no argument of it without quotes.
    pub(super) fn is_nothing(&self) -> bool {
        self.unclear.is_none() && self.pieces().all(|(_, is_unset)| is_unset)
    }

    fn without(&self, bytes: usize) -> Self {
        Self {
            text: self.text.without(bytes),
            ..self.clone()
        }
    }
}

/// How a program reads its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// As programs in Go do (`pflag`): `--flag=value`, `-n=value`, `-nvalue`.
    Go,
    /// As curl does: a value is the next word, or right behind a short flag; `=` is a part of it.
    Curl,
}

/// Which flags a program has. Blanks stand between flags and `|` between the names of one; the first is the one to ask for.
struct Grammar {
    dialect: Dialect,
    /// Its verbs; none for a program that has none.
    verbs: &'static str,
    /// Flags that take a value.
    valued: &'static str,
    /// Flags that take none, or one only behind `=`.
    bare: &'static str,
}

/// The arguments of a program, told apart as that program does.
///
/// ```
/// use quickproof::guide::{Argument, Arguments};
///
/// let words: Vec<Argument> = ["get", "-nmine", "gateway/a"].map(Argument::new).into();
/// let arguments = Arguments::read("kubectl", &words).unwrap();
/// assert!(arguments.last("-n").unwrap().is("mine"));
/// assert_eq!(arguments.positional.len(), 2);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    /// Arguments that are no flags and no values of flags, in order.
    pub positional: Vec<Argument>,
    /// What stands behind `--`, or `None` where there is none.
    pub(crate) behind_dashes: Option<Vec<Argument>>,
    flags: Vec<Flag>,
}

/// A flag that is given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Flag {
    /// The first of its names.
    name: &'static str,
    /// The name that is written.
    written: String,
    value: Option<Argument>,
}

impl Arguments {
    /// Reads the arguments of `kubectl`, `helm` or `curl`.
    ///
    /// # Errors
    /// The program is another one, a flag is none that is known of it, or the value of a flag is missing.
    pub fn read(program: &str, words: &[Argument]) -> Result<Self, String> {
        let grammar = programs::grammar(program).ok_or_else(|| format!("the flags of `{program}` are not known"))?;
        let mut read = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let start = word.text.start();
            if start == "--" && word.text.0.len() == 1 {
                read.behind_dashes = Some(words.cloned().collect());
                break;
            }
            if !start.starts_with('-') || start == "-" {
                read.positional.push(word.clone());
                continue;
            }
            let (name, attached) = match start.split_once('=').filter(|_| grammar.dialect == Dialect::Go) {
                Some((name, _)) => (name, Some(word.without(name.len() + 1))),
                None => (start, None),
            };
            if let Some(first) = known(grammar.valued, name) {
                let value = attached.or_else(|| words.next().cloned());
                let value = value.ok_or_else(|| format!("the flag `{name}` lacks its value"))?;
                read.add(first, name, Some(value));
            } else if let Some(first) = known(grammar.bare, name) {
                read.add(first, name, attached);
            } else if !start.starts_with("--") {
                read.short(word, grammar, &mut words)?;
            } else {
                return Err(not_understood(name));
            }
        }
        Ok(read)
    }

    /// Short flags joined in one word; the last may have its value attached or in the next word.
    fn short<'a>(
        &mut self,
        word: &Argument,
        grammar: &Grammar,
        words: &mut impl Iterator<Item = &'a Argument>,
    ) -> Result<(), String> {
        let start = word.text.start();
        for (index, sign) in start.char_indices().skip(1) {
            let name = format!("-{sign}");
            let mut rest = word.without(index + sign.len_utf8());
            // `-n=` alone has the value `=`.
            let is_behind_sign = rest.text.start().len() > 1 || rest.text.0.len() > 1;
            let has_sign = grammar.dialect == Dialect::Go && rest.text.start().starts_with('=') && is_behind_sign;
            if has_sign {
                rest = rest.without(1);
            }
            if let Some(first) = known(grammar.bare, &name) {
                if has_sign {
                    self.add(first, &name, Some(rest));
                    break;
                }
                self.add(first, &name, None);
                continue;
            }
            let first = known(grammar.valued, &name).ok_or_else(|| not_understood(&name))?;
            let value = Some(rest)
                .filter(|rest| !rest.text.0.is_empty())
                .or_else(|| words.next().cloned());
            let value = value.ok_or_else(|| format!("the flag `{name}` lacks its value"))?;
            self.add(first, &name, Some(value));
            break;
        }
        Ok(())
    }

    fn add(&mut self, name: &'static str, written: &str, value: Option<Argument>) {
        self.flags.push(Flag {
            name,
            written: written.to_owned(),
            value,
        });
    }

    /// Refuses every flag but these.
    ///
    /// # Errors
    /// The first other flag that is given.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), String> {
        let other = self.flags.iter().find(|flag| !names.contains(&flag.name));
        other.map_or(Ok(()), |flag| Err(not_understood(&flag.written)))
    }

    /// Whether a flag without value is given, and not switched off (`--wait=false`).
    pub(crate) fn has(&self, name: &str) -> bool {
        let last = self.flags.iter().rfind(|flag| flag.name == name);
        last.is_some_and(|flag| !flag.value.as_ref().is_some_and(|value| value.is("false")))
    }

    /// Every value of a flag, in order.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Argument> {
        let flags = self.flags.iter().filter(move |flag| flag.name == name);
        flags.filter_map(|flag| flag.value.as_ref())
    }

    /// The last value of a flag as text; `None` where it is not given.
    ///
    /// # Errors
    /// Why it is not known before the command runs.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, String> {
        self.last(name).map(Argument::text).transpose()
    }

    /// The last value of a flag, which is the one that counts where a flag takes one.
    pub fn last(&self, name: &str) -> Option<&Argument> {
        let flag = self.flags.iter().rfind(|flag| flag.name == name)?;
        flag.value.as_ref()
    }
}

/// A word that a program does not know and that a known one was meant by: one or two letters are wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misspelt {
    /// The word as written.
    pub(crate) written: String,
    /// What was meant.
    pub(crate) meant: &'static str,
}

/// The first verb or long flag among the words of a program that it does not know and that a known one was meant by. Any
/// other word that it does not know may be a plugin's, or one that is not in the tables here.
pub(super) fn misspelt(program: &str, words: &[Argument]) -> Option<Misspelt> {
    let grammar = programs::grammar(program)?;
    let verb = || {
        let verb = words.first()?.known().filter(|verb| !verb.starts_with('-'))?;
        nearest(&verb, grammar.verbs.split_whitespace())
    };
    let flag = |word: &Argument| {
        let word = word.text.start();
        let name = word.split('=').next().unwrap_or(word);
        let flags = || grammar.valued.split_whitespace().chain(grammar.bare.split_whitespace());
        let flags = flags()
            .flat_map(|names| names.split('|'))
            .filter(|one| one.starts_with("--"));
        // A short name has too many neighbours.
        nearest(name, flags).filter(|_| name.starts_with("--") && name.len() > 7)
    };
    let mut flags = words.iter().take_while(|word| !word.is("--"));
    verb().or_else(|| flags.find_map(flag))
}

/// The one of `known` that a word was meant to be; `None` where it is one of them, or near to none.
fn nearest(word: &str, known: impl Iterator<Item = &'static str>) -> Option<Misspelt> {
    let distances = known.map(|one| (strsim::damerau_levenshtein(one, word), one));
    let (distance, meant) = distances.min()?;
    let most = if word.len() < 5 { 1 } else { 2 };
    (1..=most).contains(&distance).then(|| Misspelt {
        written: word.to_owned(),
        meant,
    })
}

/// The first name of a flag, where it is one of these.
fn known(flags: &'static str, name: &str) -> Option<&'static str> {
    let mut flags = flags.split_whitespace();
    let names = flags.find(|names| names.split('|').any(|one| one == name))?;
    names.split('|').next()
}

/// Why a variable has no value before the commands run.
pub(super) fn not_known(name: &str) -> String {
    format!("`${name}` is only known at run time")
}

fn not_understood(flag: &str) -> String {
    format!("the flag `{flag}` is not understood")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn words(text: &str) -> Vec<Argument> {
        text.split(' ').map(Argument::new).collect()
    }

    fn kubectl(text: &str) -> Arguments {
        Arguments::read("kubectl", &words(text)).unwrap()
    }

    #[rstest]
    #[case("get -n x y")]
    #[case("get --namespace=x y")]
    #[case("get --namespace x y")]
    #[case("get -nx y")]
    #[case("-n=x get y")]
    #[case("-in x get y")]
    #[case("-inx get y")]
    #[case("-in=x get y")]
    #[case("get -n a -nx y")]
    fn a_value_may_stand_in_any_form(#[case] text: &str) {
        let arguments = kubectl(text);
        assert_eq!(arguments.last("-n"), Some(&Argument::new("x")));
        assert_eq!(arguments.positional, words("get y"));
    }

    #[rstest]
    #[case("kubectl", "--none")]
    #[case("kubectl", "-z")]
    #[case("kubectl", "-n")]
    #[case("kubectl", "--namespace")]
    #[case("curl", "--data=x")]
    #[case("docker", "run")]
    fn what_is_not_in_the_grammar_is_refused(#[case] program: &str, #[case] text: &str) {
        assert!(Arguments::read(program, &words(text)).is_err());
    }

    #[rstest]
    #[case("-XPUT", "-X", "PUT")]
    #[case("-d=a", "-d", "=a")]
    #[case("-sXPUT", "-X", "PUT")]
    #[case("--data a=b", "-d", "a=b")]
    fn to_curl_an_equals_sign_is_a_part_of_the_value(#[case] text: &str, #[case] flag: &str, #[case] value: &str) {
        let arguments = Arguments::read("curl", &words(text)).unwrap();
        assert_eq!(arguments.last(flag), Some(&Argument::new(value)));
    }

    #[rstest]
    #[case("delete --ignore-not-found", true)]
    #[case("delete --ignore-not-found=true", true)]
    #[case("delete --ignore-not-found=false", false)]
    #[case("delete --ignore-not-found --ignore-not-found=false", false)]
    #[case("delete", false)]
    fn a_flag_may_be_switched_off(#[case] text: &str, #[case] is_on: bool) {
        assert_eq!(kubectl(text).has("--ignore-not-found"), is_on);
    }

    #[test]
    fn a_flag_that_is_known_may_be_refused_all_the_same() {
        let arguments = kubectl("get pods --selector=a=b -w");
        assert_eq!(arguments.only(&["-l", "-w"]), Ok(()));
        assert_eq!(
            arguments.only(&["-w"]),
            Err("the flag `--selector` is not understood".to_owned())
        );
        assert_eq!(arguments.last("-l"), Some(&Argument::new("a=b")));
    }

    #[test]
    fn what_stands_behind_dashes_is_another_programs() {
        let arguments = kubectl("exec -it a -- curl -s b");
        assert_eq!(arguments.positional, words("exec a"));
        assert_eq!(arguments.behind_dashes, Some(words("curl -s b")));
    }

    #[test]
    fn a_value_may_hold_a_variable_that_is_not_known_yet() {
        let open = |name: &str| Piece::Variable(name.to_owned());
        let word = Argument::of(Template(vec![Piece::Text("--namespace=a".into()), open("B")]));
        let arguments = Arguments::read("kubectl", &[word]).unwrap();
        let value = arguments.last("-n").unwrap();
        assert_eq!(value.passed().unwrap().0, [Piece::Text("a".into()), open("B")]);
        assert_eq!(value.known(), None);
        let short = Argument::of(Template(vec![Piece::Text("-n=".into()), open("B")]));
        let arguments = Arguments::read("kubectl", &[short]).unwrap();
        assert_eq!(arguments.last("-n").unwrap().shown(), "${B}");
    }
}
