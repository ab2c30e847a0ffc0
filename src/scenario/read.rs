//! From the text of a scenario's file to a [`Scenario`]: every error has its line, a caret and the way out.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_saphyr::Error as YamlError;

use super::{
    Body, Capability, CelExpectation, Change, Expect, Expression, Method, RequestStep, Scenario, Template, Wanted,
    file::{ExpectFile, RequestFile, ScenarioFile},
    judge, suggest,
    template::{self, JsonTemplate},
};
use crate::manifest::{Position, excerpt, locate};

mod load;
mod steps;
mod words;

use steps::Naming;
use words::{GIVEN, Mistake, SEEN, check_name, check_sentence, check_variable, mistake, varied};

/// The most bytes of one scenario that are read.
const MOST_BYTES: usize = 256 << 10;
/// The most requests of one step.
const MOST_REQUESTS: usize = 10_000;
/// The most requests of one step that are under way at the same time.
const MOST_CONCURRENT: u32 = 256;

/// Why a file is no scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The file is not UTF-8.
    #[error("`{file}` is not UTF-8 text (first at byte {at}); save it as UTF-8")]
    NotText {
        /// The file.
        file: String,
        /// The first byte that is not, counted from 0.
        at: usize,
    },
    /// The file is larger than any scenario is.
    #[error("`{file}` has {bytes} bytes, a scenario has at most {MOST_BYTES}; is it a scenario?")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size in bytes.
        bytes: usize,
    },
    /// Something in it is wrong.
    #[error("{file}:{line}:{column}: {why}{excerpt}")]
    Wrong {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: u32,
        /// The column in characters, counted from 1.
        column: u32,
        /// What is wrong, with the way out.
        why: String,
        /// The line's text with a caret under the column, on lines of their own.
        excerpt: String,
    },
}

/// Reads a scenario.
///
/// # Errors
/// The bytes are no text, no YAML, not of a scenario's shape, or name something that does not exist.
pub fn read(file: &str, bytes: &[u8]) -> Result<Scenario, ScenarioError> {
    if bytes.len() > MOST_BYTES {
        return Err(ScenarioError::TooLarge {
            file: file.to_owned(),
            bytes: bytes.len(),
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| ScenarioError::NotText {
        file: file.to_owned(),
        at: error.valid_up_to(),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let wrong = |at: Position, why: String| ScenarioError::Wrong {
        file: file.to_owned(),
        line: at.line,
        column: at.column,
        why,
        excerpt: excerpt(text, at),
    };
    let written: ScenarioFile = strictly(text).map_err(|(at, why)| wrong(at, why))?;
    meant(written, file, text).map_err(|mistake| wrong(place(text, &mistake), mistake.why))
}

/// Reads YAML that people write for us: no key twice, and only `true` and `false` are booleans.
///
/// # Errors
/// It is no YAML or not of this shape: where, and in words.
pub(crate) fn strictly<T: DeserializeOwned>(text: &str) -> Result<T, (Position, String)> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().filter(|place| place.line() > 0);
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let at = place.map_or(Position { line: 1, column: 1 }, |place| Position {
            line: number(place.line()),
            column: number(place.column()).max(1),
        });
        (at, yaml_words(&error))
    })
}

/// Where a mistake stands: at its word where that stands in the line, else where the pointer leads.
fn place(text: &str, mistake: &Mistake) -> Position {
    let at = locate(text, &mistake.pointer).unwrap_or(Position { line: 1, column: 1 });
    let before = usize::try_from(at.column.saturating_sub(1)).unwrap_or(usize::MAX);
    let row = usize::try_from(at.line.saturating_sub(1)).unwrap_or(usize::MAX);
    let rest: String = text.lines().nth(row).unwrap_or_default().chars().skip(before).collect();
    let into = rest
        .find(&mistake.word)
        .filter(|_| !mistake.word.is_empty())
        .map_or(0, |byte| rest[..byte].chars().count());
    Position {
        line: at.line,
        column: at.column.saturating_add(u32::try_from(into).unwrap_or(0)),
    }
}

/// What the reader of YAML found, in words with the way out.
fn yaml_words(error: &YamlError) -> String {
    match error {
        YamlError::SerdeUnknownField { field, expected, .. } => {
            format!(
                "no field is called `{field}` here{}",
                suggest::instead_of(field, expected)
            )
        }
        YamlError::SerdeUnknownVariant { variant, expected, .. } => {
            format!(
                "`{variant}` is not known here{}",
                suggest::instead_of(variant, expected)
            )
        }
        YamlError::SerdeMissingField { field, .. } => format!("`{field}` is missing"),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

fn meant(written: ScenarioFile, file: &str, text: &str) -> Result<Scenario, Mistake> {
    check_name("/name", &written.name)?;
    check_sentence("/proves", &written.proves)?;
    if let (Some(from), Some(before)) = (&written.releases.from, &written.releases.before)
        && from.numbers() >= before.numbers()
    {
        let why = format!("no release is from {from} on and before {before}");
        return Err(mistake("/releases/before", "", why));
    }
    let capabilities = &written.needs.capabilities;
    let mut reader = Reader {
        has_adapter: capabilities.contains(&Capability::Adapter),
        has_cluster: capabilities.contains(&Capability::Cluster),
        captured: Vec::new(),
        names: BTreeSet::new(),
        count: 0,
        under: None,
    };
    let steps = reader.steps("/steps", written.steps, Naming::Free)?;
    Ok(Scenario {
        name: written.name,
        proves: written.proves,
        releases: written.releases,
        needs: written.needs,
        weight: written.weight,
        when: written.when,
        steps,
        file: file.to_owned(),
        text: text.into(),
    })
}

/// What is known while steps are read, one after the other.
struct Reader {
    has_adapter: bool,
    has_cluster: bool,
    /// Variables that earlier steps capture.
    captured: Vec<String>,
    /// Names of steps.
    names: BTreeSet<String>,
    /// How many steps there are.
    count: usize,
    /// The change inside of which steps are read.
    under: Option<Change>,
}

impl Reader {
    fn request(&mut self, at: &str, written: RequestFile) -> Result<RequestStep, Mistake> {
        let vary = varied(at, &written.vary)?;
        let known: Vec<&str> = GIVEN
            .iter()
            .copied()
            .chain(self.captured.iter().map(String::as_str))
            .chain(written.vary.keys().map(String::as_str))
            .collect();
        let template = |pointer: &str, text: &str| self.template(&format!("{at}/{pointer}"), text, &known);
        let path = template("path", &written.path)?;
        if !written.path.starts_with('/') {
            return Err(mistake(format!("{at}/path"), "", "the path does not begin with `/`"));
        }
        let mut headers = Vec::new();
        for (name, value) in &written.headers {
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let token = name.replace('~', "~0").replace('/', "~1");
            if name.is_empty() || !name.bytes().all(is_token) {
                let why = format!("`{name}` is no name of a header");
                return Err(mistake(format!("{at}/headers/{token}"), "", why));
            }
            headers.push((name.to_lowercase(), template(&format!("headers/{token}"), value)?));
        }
        let body = match (written.json, &written.body) {
            (Some(_), Some(_)) => {
                return Err(mistake(
                    format!("{at}/body"),
                    "",
                    "`json` and `body` are both the body; keep one",
                ));
            }
            (Some(json), None) => {
                let mut texts = Vec::new();
                template::texts(&json, "json", &mut texts);
                for (pointer, text) in texts {
                    template(&pointer, text)?;
                }
                Body::Json(JsonTemplate::read(&json).map_err(|why| mistake(format!("{at}/json"), "", why))?)
            }
            (None, Some(text)) => Body::Text(template("body", text)?),
            (None, None) => Body::None,
        };
        let default = if body == Body::None { Method::Get } else { Method::Post };
        let expect = self.expect(at, &written.expect, &known)?;
        let requests = usize::try_from(written.repeat)
            .unwrap_or(usize::MAX)
            .saturating_mul(vary.len().max(1));
        if requests == 0 || requests > MOST_REQUESTS {
            let why = format!("a step sends 1 to {MOST_REQUESTS} requests, this {requests}");
            return Err(mistake(format!("{at}/repeat"), "", why));
        }
        if !(1..=MOST_CONCURRENT).contains(&written.concurrency) {
            let why = format!("1 to {MOST_CONCURRENT} requests are under way at the same time");
            return Err(mistake(format!("{at}/concurrency"), "", why));
        }
        Ok(RequestStep {
            capture: self.capture(at, &written.capture)?,
            name: written.name,
            method: written.method.unwrap_or(default),
            path,
            headers,
            body,
            vary,
            repeat: written.repeat,
            concurrency: written.concurrency,
            within: written.within,
            under: self.under,
            expect,
        })
    }

    fn template(&self, pointer: &str, text: &str, known: &[&str]) -> Result<Template, Mistake> {
        let template = Template::read(text).map_err(|why| mistake(pointer, "${", why))?;
        for name in template.variables() {
            let word = format!("${{{name}}}");
            if !known.contains(&name) {
                let why = format!("no variable is called `{name}`{}", suggest::instead_of(name, known));
                return Err(mistake(pointer, &word, why));
            }
            if name == "adapter" && !self.has_adapter {
                return Err(mistake(pointer, &word, NO_ADAPTER));
            }
        }
        Ok(template)
    }

    fn expression(&self, pointer: &str, text: &str) -> Result<Expression, Mistake> {
        let known: Vec<&str> = SEEN
            .iter()
            .copied()
            .chain(self.captured.iter().map(String::as_str))
            .collect();
        let expression = Expression::compile(text, &known).map_err(|why| mistake(pointer, "", why))?;
        if expression.uses("adapter") && !self.has_adapter {
            return Err(mistake(pointer, "adapter", NO_ADAPTER));
        }
        Ok(expression)
    }

    fn expect(&self, at: &str, written: &ExpectFile, known: &[&str]) -> Result<Expect, Mistake> {
        let at = format!("{at}/expect");
        let nothing = written.answer.is_none()
            && written.status.is_empty()
            && written.answered_by.is_empty()
            && written.passed_endpoint_picker.is_none()
            && written.cel.is_empty();
        if nothing {
            let why = "nothing is expected, so that nothing could be proven; write at least `answer: success`";
            return Err(mistake(at, "", why));
        }
        if let Some(index) = written.status.iter().position(|status| !(100..=599).contains(status)) {
            let why = format!("{} is no status code", written.status[index]);
            return Err(mistake(format!("{at}/status/{index}"), "", why));
        }
        match written.answer {
            Some(Wanted::Success | Wanted::SuccessOrRefusal) if !written.status.is_empty() => {
                let why = "a success is a 200; leave `status` out, or `answer`";
                return Err(mistake(format!("{at}/status"), "", why));
            }
            Some(Wanted::Error) if written.status.is_empty() || written.status.iter().any(|status| *status < 400) => {
                let why = "`answer: error` needs the status codes that it may have, such as `status: [404]`";
                return Err(mistake(format!("{at}/answer"), "", why));
            }
            _ => {}
        }
        let says = match &written.says {
            Some(_) if written.answer != Some(Wanted::Success) => {
                let why = "what an answer says is judged only with `answer: success`";
                return Err(mistake(format!("{at}/says"), "", why));
            }
            Some(text) => Some(self.template(&format!("{at}/says"), text, known)?),
            None => None,
        };
        let mut names = BTreeSet::new();
        let mut cel = Vec::new();
        for (index, expectation) in written.cel.iter().enumerate() {
            let at = format!("{at}/cel/{index}");
            let name = &expectation.name;
            check_name(&format!("{at}/name"), name)?;
            check_sentence(&format!("{at}/sentence"), &expectation.sentence)?;
            if judge::is_ours(name) {
                let why = format!("`{name}` is the name of a check of ours; choose another");
                return Err(mistake(format!("{at}/name"), "", why));
            }
            if !names.insert(name) {
                return Err(mistake(
                    format!("{at}/name"),
                    "",
                    format!("another expectation is called `{name}`"),
                ));
            }
            cel.push(CelExpectation {
                name: name.clone(),
                sentence: expectation.sentence.trim_end_matches('.').to_owned(),
                holds: self.expression(&format!("{at}/holds"), &expectation.holds)?,
            });
        }
        Ok(Expect {
            answer: written.answer,
            status: written.status.clone(),
            says,
            answered_by: written.answered_by.clone(),
            passed_endpoint_picker: written.passed_endpoint_picker,
            cel,
        })
    }

    fn capture(&mut self, at: &str, written: &BTreeMap<String, String>) -> Result<Vec<(String, Expression)>, Mistake> {
        let mut captures = Vec::new();
        for (name, text) in written {
            let pointer = format!("{at}/capture/{name}");
            check_variable(&pointer, name)?;
            captures.push((name.clone(), self.expression(&pointer, text)?));
        }
        self.captured.extend(written.keys().cloned());
        Ok(captures)
    }
}

const NO_ADAPTER: &str = "`adapter` is there only with `needs: {capabilities: [adapter]}`";

#[cfg(test)]
mod tests;
