//! Variables that the guide sets: from text at once, from a command's output when it runs.

use super::{
    Action, Phase, kubectl,
    planner::{NotPlanned, Planned, Planner, texts},
    reference::{self, Reference},
};
use crate::{
    guide::{Assignment, Template},
    record::{DeviationKind, Provenance},
    verdict::{CauseCode, Fault},
};

impl Planner<'_> {
    /// The step of one or several assignments.
    pub(super) fn assign(&mut self, at: &Provenance, assignments: &[Assignment]) -> Result<Planned, NotPlanned> {
        if assignments.iter().all(|assignment| assignment.name == "PATH") && !assignments.is_empty() {
            let why = "where programs are found is for quickproof to know".to_owned();
            return Ok(Planned::new(
                "where programs are looked for is left out",
                Action::LeftOut { why },
            ));
        }
        let mut action = Action::Variables;
        for assignment in assignments {
            if let Some(command) = &assignment.output_of {
                if assignments.len() > 1 {
                    return Err(NotPlanned::Unsupported(
                        "several variables are set, one of them from a command".into(),
                    ));
                }
                action = self.computed(at, assignment, command)?;
            } else {
                let value = assignment.value.passed()?;
                self.say_namespace(at, &assignment.name, &value);
            }
        }
        let names: Vec<&str> = assignments.iter().map(|assignment| assignment.name.as_str()).collect();
        let list = names.join(", ");
        let sentence = if let Action::Read { resource, name, .. } = &action {
            format!("{list} is read from {resource} {name}")
        } else {
            let are = if names.len() == 1 { "is" } else { "are" };
            format!("{list} {are} set")
        };
        Ok(Planned::new(sentence, action))
    }

    /// A variable that a command's output sets.
    fn computed(&mut self, at: &Provenance, assignment: &Assignment, command: &str) -> Result<Action, NotPlanned> {
        let name = &assignment.name;
        let unsupported = || NotPlanned::Unsupported(format!("`{name}` is set from `{command}`"));
        let first = assignment.inside.first().ok_or_else(unsupported)?;
        let texts = texts(&first.words)?;
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
            self.session.set(name, Template::text(tag.clone()));
            self.deviate(
                DeviationKind::Substituted,
                format!("${name}"),
                format!("`{name}` is {tag} and not what the list of releases gives"),
                "before the release is published the newest release is an older one",
                Some(at),
            );
            return Ok(Action::Variables);
        }
        if assignment.inside.len() == 1 && texts.first().is_some_and(|program| program == "kubectl") {
            return kubectl::read(&first.words, name);
        }
        Err(unsupported())
    }

    /// After publication the variable is what the list of releases gives, which should be the tag under test.
    fn newest_release(&mut self, name: &str, repository: &str, tag: &str) -> Result<Action, NotPlanned> {
        let Some(newest) = self.newest(repository)? else {
            return Ok(Action::Variables);
        };
        self.session.set(name, Template::text(newest.clone()));
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

    /// Says that the namespace is another one than the guide's, where the command line asks for one.
    fn say_namespace(&mut self, at: &Provenance, name: &str, value: &Template) {
        let is_namespace = self.layout.namespace_variable.as_deref() == Some(name);
        let Some(namespace) = self.options.namespace.as_ref().filter(|_| is_namespace) else {
            return;
        };
        let guides = value.known().unwrap_or_default();
        if guides != *namespace {
            self.deviate(
                DeviationKind::Overridden,
                format!("${name}"),
                format!("`{name}` is `{namespace}` and not `{guides}`"),
                "the command line asks for it",
                Some(at),
            );
        }
    }
}
