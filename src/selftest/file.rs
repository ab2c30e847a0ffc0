//! From the text of a file to a [`Seed`]: what is wrong with it is said with its line and the way out.

use serde::Deserialize;
use serde_json::Value;

use super::{Base, Class, Edit, Expected, How, Interference, Mood, Seed, Sign, Target, What};
use crate::{
    manifest::{Position, excerpt, locate},
    scenario::strictly,
    verdict::Outcome,
};

/// Why a file is no seed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SeedError {
    /// The file is not UTF-8.
    #[error("`{file}` is not UTF-8 text; save it as UTF-8")]
    NotText {
        /// The file.
        file: String,
    },
    /// Something in it is wrong.
    #[error("{file}:{line}:{column}: {why}{excerpt}")]
    Wrong {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: u32,
        /// The column, counted from 1.
        column: u32,
        /// What is wrong, with the way out.
        why: String,
        /// The line's text with a caret under the column.
        excerpt: String,
    },
}

/// A seed as its file has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct SeedFile {
    name: String,
    class: Class,
    stands_for: String,
    #[serde(default)]
    shipped: Option<String>,
    #[serde(default)]
    base: Base,
    #[serde(default)]
    change: Vec<EditFile>,
    #[serde(default)]
    meanwhile: Vec<InterferenceFile>,
    #[serde(default)]
    api_server: Vec<Mood>,
    #[serde(default)]
    lint: Option<Vec<String>>,
    #[serde(default)]
    run: Option<Expected>,
    #[serde(default)]
    sign: Option<Sign>,
    #[serde(default)]
    arguments: Vec<String>,
}

/// One change of a file: `replace` and `by`, or one of the others.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct EditFile {
    file: String,
    #[serde(default)]
    replace: Option<String>,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    prepend: Option<String>,
    #[serde(default)]
    append: Option<String>,
    #[serde(default)]
    write: Option<String>,
    #[serde(default)]
    remove: Option<bool>,
}

/// Something that happens meanwhile: one of `delete`, `create`, and `patch` with `merge`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct InterferenceFile {
    after: String,
    #[serde(default)]
    delete: Option<Target>,
    #[serde(default)]
    patch: Option<Target>,
    #[serde(default)]
    merge: Option<Value>,
    #[serde(default)]
    create: Option<Value>,
}

/// Something wrong with what is meant, and where.
struct Mistake {
    pointer: String,
    why: String,
}

fn mistake(pointer: impl Into<String>, why: impl Into<String>) -> Mistake {
    Mistake {
        pointer: pointer.into(),
        why: why.into(),
    }
}

/// The longest name: with `selftest-` before it, it is a namespace's.
const LONGEST_NAME: usize = 50;

/// Reads a seed.
///
/// # Errors
/// The bytes are no text, no YAML, not of a seed's shape, or contradict each other.
pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Seed, SeedError> {
    let text = std::str::from_utf8(bytes).map_err(|_| SeedError::NotText { file: file.to_owned() })?;
    let wrong = |at: Position, why: String| SeedError::Wrong {
        file: file.to_owned(),
        line: at.line,
        column: at.column,
        why,
        excerpt: excerpt(text, at),
    };
    let start = Position { line: 1, column: 1 };
    let written: SeedFile = strictly(text).map_err(|(at, why)| wrong(at, why))?;
    meant(written, file).map_err(|mistake| wrong(locate(text, &mistake.pointer).unwrap_or(start), mistake.why))
}

fn meant(written: SeedFile, file: &str) -> Result<Seed, Mistake> {
    let is_word = |name: &str| {
        let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        name.len() <= LONGEST_NAME && name.split('-').all(part)
    };
    if !is_word(&written.name) {
        return Err(mistake(
            "/name",
            format!("expected small letters, digits and single `-`, at most {LONGEST_NAME} characters"),
        ));
    }
    let change = written.change.into_iter().enumerate();
    let change = change
        .map(|(number, edit)| edit.meant(number))
        .collect::<Result<_, _>>()?;
    let meanwhile = written.meanwhile.into_iter().enumerate();
    let meanwhile = meanwhile
        .map(|(number, one)| one.meant(number))
        .collect::<Result<_, _>>()?;
    let seed = Seed {
        name: written.name,
        class: written.class,
        stands_for: written.stands_for,
        shipped: written.shipped,
        base: written.base,
        change,
        meanwhile,
        api_server: written.api_server,
        lint: written.lint,
        run: written.run,
        sign: written.sign,
        arguments: written.arguments,
        file: file.to_owned(),
    };
    coherent(&seed).map(|()| seed)
}

/// Whether its parts go together: one that nothing could turn red is no fault, and one that must be red is no oddity.
fn coherent(seed: &Seed) -> Result<(), Mistake> {
    match (&seed.run, &seed.lint) {
        (None, None) => {
            return Err(mistake(
                "/name",
                "nothing is expected of it: say what `lint` finds, or what a `run` comes to",
            ));
        }
        (None, _) if seed.sign.is_some() || !seed.meanwhile.is_empty() || !seed.api_server.is_empty() => {
            return Err(mistake(
                "/lint",
                "`sign`, `meanwhile` and `api-server` are for a `run`, and none is expected",
            ));
        }
        _ => {}
    }
    let finds = seed.lint.as_ref().is_some_and(|codes| !codes.is_empty());
    let is_red = seed.run.as_ref().is_some_and(|run| run.outcome != Outcome::Passed);
    if seed.is_oddity() && (finds || is_red) {
        return Err(mistake(
            "/class",
            "an `oddity` is healthy: its run is `passed` and `lint` finds nothing",
        ));
    }
    if !seed.is_oddity() && !finds && !is_red {
        return Err(mistake(
            "/class",
            "a fault that nobody finds is none: make it an `oddity`",
        ));
    }
    if !seed.is_oddity() && seed.changes_nothing() {
        return Err(mistake("/class", "nothing is changed, so nothing can be found"));
    }
    let Some(run) = &seed.run else { return Ok(()) };
    let tells = run.cause.is_some() || run.blame.is_some();
    if run.or_passes && run.outcome != Outcome::Errored {
        return Err(mistake(
            "/run/or-passes",
            "only a run that is `errored` may pass as well: a fault of the release is there or not",
        ));
    }
    match run.outcome {
        Outcome::Passed if tells || !run.names.is_empty() => {
            Err(mistake("/run/outcome", "a run that passes has no root cause"))
        }
        Outcome::Failed | Outcome::Errored if run.cause.is_none() || run.blame.is_none() => Err(mistake(
            "/run",
            "say the `cause` and the `blame` of the root cause: `quickproof explain` lists them",
        )),
        _ => Ok(()),
    }
}

impl EditFile {
    fn meant(self, number: usize) -> Result<Edit, Mistake> {
        let at = format!("/change/{number}");
        let given = [
            self.replace.is_some(),
            self.prepend.is_some(),
            self.append.is_some(),
            self.write.is_some(),
            self.remove == Some(true),
        ];
        if given.iter().filter(|given| **given).count() != 1 || self.replace.is_some() != self.by.is_some() {
            return Err(mistake(
                at,
                "expected one of `replace` with `by`, `prepend`, `append`, `write`, `remove`",
            ));
        }
        let is_below = self.file.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !is_below {
            return Err(mistake(format!("{at}/file"), "expected a path below the tree's root"));
        }
        let how = match (self.replace, self.by, self.prepend, self.append, self.write) {
            (Some(text), Some(by), ..) if text == by || text.is_empty() => {
                return Err(mistake(format!("{at}/by"), "it changes nothing"));
            }
            (Some(text), Some(by), ..) => How::Replace { text, by },
            (_, _, Some(text), ..) => How::Prepend(text),
            (_, _, _, Some(text), _) => How::Append(text),
            (.., Some(text)) => How::Write(text),
            _ => How::Remove,
        };
        Ok(Edit { file: self.file, how })
    }
}

impl InterferenceFile {
    fn meant(self, number: usize) -> Result<Interference, Mistake> {
        let what = match (self.delete, self.patch, self.merge, self.create) {
            (Some(target), None, None, None) => What::Delete(target),
            (None, Some(target), Some(patch), None) => What::Patch(target, patch),
            (None, None, None, Some(object)) => What::Create(object),
            _ => {
                return Err(mistake(
                    format!("/meanwhile/{number}"),
                    "expected one of `delete`, `create`, and `patch` with `merge`",
                ));
            }
        };
        if let What::Delete(target) | What::Patch(target, _) = &what
            && target.name.is_some() == target.labels.is_some()
        {
            return Err(mistake(
                format!("/meanwhile/{number}"),
                "say either the object's `name` or its `labels`",
            ));
        }
        Ok(Interference {
            after: self.after,
            what,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const FAULT: &str = "name: a
class: pool
stands-for: It is so.
change:
- file: pool.yaml
  replace: one
  by: two
run: {outcome: failed, cause: pool-selects-no-pod, blame: Manifest}
";

    #[test]
    fn a_fault_is_read() {
        let seed = read("a.yaml", FAULT.as_bytes()).unwrap();
        let (text, by) = ("one".to_owned(), "two".to_owned());
        assert_eq!(seed.change[0].how, How::Replace { text, by });
        assert_eq!(seed.run.unwrap().outcome, Outcome::Failed);
    }

    #[rstest]
    #[case::an_unknown_field("class: pool", "clas: pool", "a.yaml:2:")]
    #[case::an_unknown_cause("pool-selects-no-pod", "pool-selects", "a.yaml:8:")]
    #[case::a_name_that_is_no_namespaces("name: a", "name: A_b", "a.yaml:1:7: expected small letters")]
    #[case::nothing_expected(
        "run: {outcome: failed, cause: pool-selects-no-pod, blame: Manifest}\n",
        "",
        "nothing is expected"
    )]
    #[case::a_fault_that_passes(
        "{outcome: failed, cause: pool-selects-no-pod, blame: Manifest}",
        "{outcome: passed}",
        "a fault that nobody finds"
    )]
    #[case::an_oddity_that_fails("class: pool", "class: oddity", "an `oddity` is healthy")]
    #[case::a_failure_without_a_cause(", cause: pool-selects-no-pod", "", "say the `cause`")]
    #[case::nothing_changed("  by: two", "  by: one", "it changes nothing")]
    #[case::two_changes_in_one("  by: two", "  by: two\n  append: more", "expected one of `replace`")]
    #[case::a_release_that_fails_now_and_then(
        "blame: Manifest}",
        "blame: Manifest, or-passes: true}",
        "only a run that is `errored`"
    )]
    #[case::a_file_outside("pool.yaml", "../pool.yaml", "below the tree")]
    #[case::nothing_seeded("change:\n- file: pool.yaml\n  replace: one\n  by: two\n", "", "nothing is changed")]
    fn what_is_wrong_with_a_file_is_said(#[case] from: &str, #[case] to: &str, #[case] said: &str) {
        assert_eq!(FAULT.matches(from).count(), 1, "{from}");
        let error = read("a.yaml", FAULT.replace(from, to).as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("a.yaml:") && error.contains(said), "{error}");
    }
}
