//! Variables that the guide sets: from text at once, from a command's output when it runs.

use std::collections::BTreeMap;

use super::{
    Action, Phase, Word,
    draft::{Draft, Drawn, Stop},
    kubectl,
    reference::{self, Reference},
    shell,
};
use crate::{
    guide::{Pipeline, ShellPiece, ShellWord},
    record::{DeviationKind, Provenance},
    verdict::{CauseCode, Fault},
};

impl Draft<'_> {
    /// The step of one or several assignments.
    pub(super) fn assign(&mut self, at: &Provenance, assignments: &[(String, ShellWord)]) -> Result<Drawn, Stop> {
        let mut action = Action::Variables;
        for (name, word) in assignments {
            if let [ShellPiece::Substitution { raw, pipeline }] = significant(word).as_slice() {
                // Whatever comes of it: later commands use a variable that the guide sets.
                self.environment.set_at_run_time(name);
                if assignments.len() > 1 {
                    return Err(Stop::Unsupported(
                        "several variables are set, one of them from a command".into(),
                    ));
                }
                action = self.computed(at, name, raw, pipeline.as_ref())?;
                continue;
            }
            let value = self.environment.value_of(word)?;
            let value = self.override_namespace(at, name, value);
            self.environment.set(name, value);
        }
        let names: Vec<&str> = assignments.iter().map(|(name, _)| name.as_str()).collect();
        let list = names.join(", ");
        let (verb, sentence) = if let Action::Read { resource, name, .. } = &action {
            ("read", format!("{list} is read from {resource} {name}"))
        } else {
            let are = if names.len() == 1 { "is" } else { "are" };
            ("variables", format!("{list} {are} set"))
        };
        let check = self.check(verb, at);
        Ok(Drawn::new(check, sentence, action))
    }

    /// A variable that a command's output sets.
    fn computed(
        &mut self,
        at: &Provenance,
        name: &str,
        raw: &str,
        pipeline: Option<&Pipeline>,
    ) -> Result<Action, Stop> {
        let unsupported = || Stop::Unsupported(format!("`{name}` is set from `{raw}`"));
        let commands = pipeline.map(|pipeline| pipeline.0.as_slice()).unwrap_or_default();
        let first = commands.first().ok_or_else(unsupported)?;
        let words = shell::arguments(&mut self.environment, first)?;
        let texts = shell::texts(&words)?;
        let releases = texts.iter().find_map(|text| match reference::classify(text) {
            Reference::Releases { repository } if repository.eq_ignore_ascii_case(&self.release.repository) => {
                Some(repository)
            }
            _ => None,
        });
        let is_curl = texts.first().is_some_and(|program| program == "curl");
        if let (true, Some(repository), Some(tag)) = (is_curl, releases, &self.release.tag) {
            let tag = tag.to_string();
            if self.options.phase == Phase::AfterPublish {
                return self.newest_release(name, &repository, &tag);
            }
            self.environment.set(name, Word::text(tag.clone()));
            self.deviate(
                DeviationKind::Substituted,
                format!("${name}"),
                format!("`{name}` is {tag} and not what the list of releases gives"),
                "before the release is published the newest release is an older one",
                Some(at),
            );
            return Ok(Action::Variables);
        }
        if commands.len() == 1 && texts.first().is_some_and(|program| program == "kubectl") {
            return kubectl::read(&words, name);
        }
        Err(unsupported())
    }

    /// After publication the variable is what the list of releases gives, which should be the tag under test.
    fn newest_release(&mut self, name: &str, repository: &str, tag: &str) -> Result<Action, Stop> {
        let Some(newest) = self.newest(repository)? else {
            return Ok(Action::Variables);
        };
        self.environment.set(name, Word::text(newest.clone()));
        if newest == tag {
            return Ok(Action::Variables);
        }
        Err(Fault::new(
            format!("`{name}` is {tag}"),
            format!("the list of releases gives {newest}"),
            CauseCode::GuideReferenceElsewhere,
        )
        .into())
    }

    fn override_namespace(&mut self, at: &Provenance, name: &str, value: Word) -> Word {
        let is_namespace = self.layout.namespace_variable.as_deref() == Some(name);
        let Some(namespace) = self.options.namespace.as_ref().filter(|_| is_namespace) else {
            return value;
        };
        let wanted = Word::text(namespace.clone());
        if value != wanted {
            let what = format!(
                "`{name}` is `{namespace}` and not `{}`",
                value.resolve(&BTreeMap::new()).unwrap_or_default()
            );
            self.deviate(
                DeviationKind::Overridden,
                format!("${name}"),
                what,
                "the command line asks for it",
                Some(at),
            );
        }
        wanted
    }
}

/// The pieces of a word that are more than empty quotes.
fn significant(word: &ShellWord) -> Vec<ShellPiece> {
    let empty = ShellPiece::Quoted(String::new());
    word.pieces.iter().filter(|piece| **piece != empty).cloned().collect()
}

/// The assignment in an argument of `export`; `None` for a bare name.
pub(super) fn exported(word: &ShellWord) -> Result<Option<(String, ShellWord)>, Stop> {
    let not_a_name = || Stop::Unsupported(format!("`export {}` is not understood", word.raw));
    let Some(ShellPiece::Plain(text)) = word.pieces.first() else {
        return Err(not_a_name());
    };
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_');
    let Some((name, value)) = text.split_once('=') else {
        return if is_name(text) && word.pieces.len() == 1 {
            Ok(None)
        } else {
            Err(not_a_name())
        };
    };
    if !is_name(name) {
        return Err(not_a_name());
    }
    let first = (!value.is_empty()).then(|| ShellPiece::Plain(value.to_owned()));
    let value = ShellWord {
        pieces: first.into_iter().chain(word.pieces[1..].iter().cloned()).collect(),
        ..word.clone()
    };
    Ok(Some((name.to_owned(), value)))
}
