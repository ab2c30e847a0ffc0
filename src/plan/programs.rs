//! Programs joined by pipes, and which of ours reads each.

use super::{
    Action,
    planner::{Invocation, NotPlanned, Planned, Planner, texts},
    tools,
};
use crate::guide::{Argument, Program};

impl Planner<'_> {
    /// The step of programs joined by pipes.
    pub(super) fn programs(&mut self, programs: &[Program]) -> Result<Planned, NotPlanned> {
        let [first, rest @ ..] = programs else {
            return Err(NotPlanned::Unsupported("it is empty".into()));
        };
        if let Some(assigned) = programs.iter().find(|program| !program.assignments.is_empty()) {
            return Err(NotPlanned::Unsupported(format!(
                "it sets {} for one program only",
                assigned.assignments.join(", ")
            )));
        }
        if let ([], Some(why)) = (rest, tools::only_shows(programs)) {
            return Ok(shown(why));
        }
        first.is_clear()?;
        let input = match &first.input {
            Some((input, line)) => Some((input.text()?, *line)),
            None => None,
        };
        let run = |program| run_of(program, input.as_ref());
        match rest {
            [] => self.run(&run(first)),
            [next] if first.name == "cat" && first.words.len() == 1 && input.is_some() => {
                next.is_clear()?;
                self.run(&run(next))
            }
            [next] if let Some(words) = made_and_applied(first, next) => {
                next.is_clear()?;
                self.run(&Invocation {
                    words: &words,
                    ..run(first)
                })
            }
            [next] if let Some(words) = kustomized(first, next) => {
                next.is_clear()?;
                self.run(&Invocation {
                    words: &words,
                    ..run(next)
                })
            }
            _ if let Some(why) = tools::only_shows(programs) => Ok(shown(why)),
            [filter] => {
                filter.is_clear()?;
                let filter = texts(&filter.words)?;
                let filter: Vec<&str> = filter.iter().map(String::as_str).collect();
                match (first.name.as_str(), filter.as_slice()) {
                    ("kubectl", ["grep", text]) if !text.starts_with('-') => self.kubectl(&run(first), Some(text)),
                    // It only lays the answer out for a reader.
                    ("curl", ["jq", ..]) => self.run(&run(first)),
                    _ => Err(NotPlanned::Unsupported(format!(
                        "its output goes into `{}`",
                        filter.join(" ")
                    ))),
                }
            }
            _ => Err(NotPlanned::Unsupported(format!(
                "it is a pipe of {} programs",
                programs.len()
            ))),
        }
    }

    fn run(&mut self, run: &Invocation<'_>) -> Result<Planned, NotPlanned> {
        let Some(first) = run.words.first() else {
            return Err(NotPlanned::Unsupported("it is empty".into()));
        };
        let program = first.text()?;
        let program = program.rsplit('/').next().unwrap_or(&program);
        if tools::asks_for_version(program, run.words) {
            return tools::tool(run);
        }
        let is_the_providers = |program: &str| {
            let installer = self.provider.installer.as_ref();
            installer.is_some_and(|installer| installer.program == program)
        };
        match program {
            "kubectl" => self.kubectl(run, None),
            "helm" => self.helm(run),
            "curl" => self.curl(run),
            "cd" => self.changed_directory(run),
            "git" => self.git(run),
            "bash" | "sh" => self.script(run, run.words.get(1)),
            _ if program.rsplit_once('.').is_some_and(|(_, ending)| ending == "sh") => {
                self.script(run, run.words.first())
            }
            _ if is_the_providers(program) => self.provider_program(run),
            _ => Err(NotPlanned::Unsupported(format!(
                "`{program}` is a program that quickproof does not know"
            ))),
        }
    }
}

/// A command that changes nothing and that nothing after it depends on.
fn shown(why: &str) -> Planned {
    let action = Action::LeftOut { why: why.to_owned() };
    Planned::new("the command is left out", action)
}

/// The words of the one command that does what `kubectl kustomize DIRECTORY | kubectl apply -f -` does.
fn kustomized(first: &Program, next: &Program) -> Option<Vec<Argument>> {
    let rendered = first.arguments().ok().filter(|_| first.name == "kubectl")?;
    let [verb, directory] = rendered.positional.as_slice() else {
        return None;
    };
    let applied = next.arguments().ok().filter(|_| next.name == "kubectl")?;
    let is_given = applied.values("-f").count() == 1 && applied.values("-f").all(|file| file.is("-"));
    if !verb.is("kustomize") || rendered.only(&[]).is_err() || !is_given {
        return None;
    }
    let from = next.words.iter().position(|word| word.is("-"))?;
    let mut words = next.words.clone();
    words.splice(from - 1..=from, [Argument::new("-k"), directory.clone()]);
    Some(words)
}

/// The words of the one command that does what `kubectl create … --dry-run=client -o yaml | kubectl apply -f -` does: guides
/// write it so that it may be done again.
fn made_and_applied(first: &Program, next: &Program) -> Option<Vec<Argument>> {
    let made = first.arguments().ok().filter(|_| first.name == "kubectl")?;
    let applied = next.arguments().ok().filter(|_| next.name == "kubectl")?;
    let is_made = made.positional.first().is_some_and(|verb| verb.is("create"))
        && made.last("--dry-run").is_some_and(|way| way.is("client"))
        && made.last("-o").is_some_and(|form| form.is("yaml") || form.is("json"));
    let is_applied = applied
        .positional
        .as_slice()
        .first()
        .is_some_and(|verb| verb.is("apply"))
        && applied.positional.len() == 1
        && applied.only(&["-f", "-n", "--server-side"]).is_ok()
        && applied.values("-f").count() == 1
        && applied.values("-f").all(|file| file.is("-"));
    if !is_made || !is_applied {
        return None;
    }
    let is_dry = |word: &Argument| word.shown().starts_with("--dry-run");
    let mut words: Vec<Argument> = first.words.iter().filter(|word| !is_dry(word)).cloned().collect();
    if let (Some(namespace), None) = (applied.last("-n"), made.last("-n")) {
        words.extend([Argument::new("-n"), namespace.clone()]);
    }
    Some(words)
}

/// A program with what is given to it on standard input.
fn run_of<'a>(program: &'a Program, input: Option<&'a (String, u32)>) -> Invocation<'a> {
    Invocation {
        at: &program.at,
        words: &program.words,
        input: input.map(|(text, line)| (text.as_str(), *line)),
        single_quoted: &program.single_quoted,
    }
}
