//! Programs that a reader runs for their version, and the provider's own program.

use super::{
    Action, Installer, WhenBuilt,
    planner::{Invocation, NotPlanned, Planned, Planner, texts},
    provider::Addition,
};
use crate::{
    guide::{Argument, Arguments, Body, Command, Pipeline, Program, ShellWord, Simple, Template},
    record::{Deviation, DeviationKind},
    verdict::{CauseCode, Finding},
};

/// Flags that current versions of a tool no longer have: program, subcommand, flag, the version that dropped it.
///
/// Sources: the changelogs of Kubernetes v1.28 (`kubectl version --short`, deprecated in v1.27) and v1.18 (`kubectl get
/// --export`); helm's "Changes since Helm 2" (`helm install --name`).
const FLAGS_GONE: [(&str, &str, &str, &str); 3] = [
    ("kubectl", "version", "--short", "v1.28"),
    ("kubectl", "get", "--export", "v1.18"),
    ("helm", "install", "--name", "v3.0.0"),
];

/// Programs that change nothing and on which nothing after them depends: the program, its verbs where it has others that
/// do, and why it is left out.
const SHOWS: &[(&str, &[&str], &str)] = &[
    ("cat", &[], PRINTS),
    ("clear", &[], PRINTS),
    ("date", &[], PRINTS),
    ("echo", &[], PRINTS),
    ("ls", &[], PRINTS),
    ("printf", &[], PRINTS),
    ("pwd", &[], PRINTS),
    ("sleep", &[], "it only waits, and a run waits for what each step needs"),
    ("watch", &[], LOOKS),
    (
        "kubectl",
        &[
            "api-resources",
            "api-versions",
            "cluster-info",
            "events",
            "explain",
            "logs",
            "top",
        ],
        LOOKS,
    ),
    (
        "helm",
        &["env", "get", "history", "list", "ls", "search", "show", "status"],
        LOOKS,
    ),
];

const PRINTS: &str = "it only prints, and no step depends on that";

const LOOKS: &str = "it only shows something to look at, and no step depends on that";

/// Programs that only lay out what another prints.
const FILTERS: &[&str] = &[
    "awk", "column", "cut", "grep", "head", "jq", "less", "more", "sed", "sort", "tail", "tr", "uniq", "wc", "yq",
];

/// Flags of `kubectl get` and `kubectl describe` that choose what is shown or how, beyond what is carried out.
const SHOWING: &[&str] = &[
    "-w",
    "-A",
    "-l",
    "-o",
    "-n",
    "--all-namespaces",
    "--field-selector",
    "--no-headers",
    "--show-labels",
    "--sort-by",
];

/// Why programs joined by pipes may be left out: they only show something. `None` for any others.
pub(super) fn only_shows(programs: &[Program]) -> Option<&'static str> {
    let (first, filters) = programs.split_first()?;
    let is_filter = |filter: &Program| FILTERS.contains(&filter.name.as_str());
    let writes = |program: &Program| program.input.is_some() || program.name == "tee";
    let only_reads = |inside: &Program| matches!(inside.name.as_str(), "kubectl" | "date") && !changes(inside);
    if !filters.iter().all(is_filter) || programs.iter().any(writes) || !first.inside.iter().all(only_reads) {
        return None;
    }
    let verb = first.words.get(1).and_then(Argument::known).unwrap_or_default();
    let listed = SHOWS
        .iter()
        .find(|(name, verbs, _)| *name == first.name && (verbs.is_empty() || verbs.contains(&verb.as_str())));
    if let Some((.., why)) = listed {
        return Some(*why).filter(|_| !changes(first));
    }
    // What is only a little more than a look that is carried out.
    let arguments = first.arguments().ok().filter(|_| first.name == "kubectl")?;
    let is_look = matches!(verb.as_str(), "get" | "describe") && arguments.only(SHOWING).is_ok();
    let is_carried_out = filters.is_empty() && arguments.only(&["-n", "-o"]).is_ok() && !prints_a_field(&arguments);
    let is_looked_for = matches!(filters, [grep] if grep.name == "grep" && grep.words.len() == 2);
    (is_look && !is_carried_out && !is_looked_for).then_some(LOOKS)
}

/// Whether a program is told to change something, be it by another that it runs.
fn changes(program: &Program) -> bool {
    const CHANGING: &[&str] = &[
        "annotate",
        "apply",
        "create",
        "delete",
        "edit",
        "expose",
        "install",
        "label",
        "patch",
        "replace",
        "rollout",
        "run",
        "scale",
        "set",
        "uninstall",
        "upgrade",
    ];
    let runs_another = program.name == "watch" || program.name == "kubectl";
    runs_another
        && program
            .words
            .iter()
            .skip(1)
            .any(|word| CHANGING.iter().any(|verb| word.is(verb)))
}

/// Whether it prints in a form that picks fields, such as `jsonpath`.
fn prints_a_field(arguments: &Arguments) -> bool {
    let form = arguments.last("-o").and_then(Argument::known);
    form.is_some_and(|form| form.contains('='))
}

/// Whether a command only asks a program for its version.
pub(super) fn asks_for_version(program: &str, words: &[Argument]) -> bool {
    let Ok(arguments) = texts(words.get(1..).unwrap_or_default()) else {
        return false;
    };
    match arguments.first().map(String::as_str) {
        Some("version") => program != "curl",
        Some("--version" | "-V") => arguments.len() == 1,
        _ => false,
    }
}

/// The first of a program's arguments that its current versions no longer have, and the version that dropped it.
pub(crate) fn flag_gone(program: &str, arguments: &[String]) -> Option<(&'static str, &'static str)> {
    let gone = FLAGS_GONE.iter().find(|(of, subcommand, flag, _)| {
        *of == program
            && arguments.first().is_some_and(|first| first == subcommand)
            && arguments.iter().any(|argument| argument == flag)
    });
    gone.map(|(_, _, flag, since)| (*flag, *since))
}

/// The step of a program that is run for its version or presence.
pub(super) fn tool(run: &Invocation<'_>) -> Result<Planned, NotPlanned> {
    let words = texts(run.words)?;
    let Some((program, arguments)) = words.split_first() else {
        return Err(NotPlanned::Unsupported("it is empty".into()));
    };
    let known = flag_gone(program, arguments).map(|(flag, since)| {
        Finding::broken(
            format!("`{}` ends without an error", words.join(" ")),
            format!("{program} has no flag {flag} since {since}"),
            CauseCode::ToolFlagRemoved,
        )
    });
    let action = Action::Tool {
        program: program.clone(),
        arguments: arguments.to_vec(),
    };
    let planned = Planned::new(format!("`{}` runs", words.join(" ")), action);
    Ok(Planned { known, ..planned })
}

impl Planner<'_> {
    /// The provider's program is not downloaded: the definition's own stands in. `None` for any other command.
    pub(super) fn download(&mut self, command: &Command) -> Option<Planned> {
        let installer = self.provider.installer.as_ref()?;
        let Body::Pipeline(pipeline) = &command.body else {
            return None;
        };
        let fetched = installer.downloads.iter().find(|part| {
            let names = |word: &ShellWord| word.raw.contains(part.as_str());
            let words = |simple: &Simple| simple.words.iter().any(names) && !runs(simple, &installer.program);
            pipeline.0.iter().any(words) || assigned(pipeline).is_some_and(|(_, word)| names(word))
        })?;
        // A variable that the download sets is one of the version.
        if let Some((name, word)) = assigned(pipeline) {
            if word.literal().is_some() {
                return None;
            }
            self.session.set(name, Template::text(installer.version.clone()));
        }
        let version = self.version_of(installer);
        let (program, name) = (&installer.program, &self.provider.name);
        let why = format!("`{program}` {version} is had as the definition of the provider {name} says");
        self.deviate(
            DeviationKind::LeftOut,
            fetched.clone(),
            format!("`{program}` is not downloaded by the guide's command"),
            why.clone(),
            Some(&command.at),
        );
        Some(Planned::new("the download is left out", Action::LeftOut { why }))
    }

    /// The version that the guide asks for, or the definition's own.
    pub(super) fn version_of(&self, installer: &Installer) -> String {
        let asked = self.session.value_of(&installer.version_variable);
        asked.unwrap_or_else(|| installer.version.clone())
    }

    /// The provider's own program, with what its definition adds and leaves out.
    pub(super) fn provider_program(&mut self, run: &Invocation<'_>) -> Result<Planned, NotPlanned> {
        let provider = self.provider;
        let Some(installer) = &provider.installer else {
            return Err(NotPlanned::Unsupported(format!(
                "the provider {} has no program",
                provider.name
            )));
        };
        let arguments = texts(&run.words[1..])?;
        match arguments.first().map(String::as_str) {
            Some("install") => {}
            Some("uninstall") => {
                let sentence = format!("{} is uninstalled by {}", provider.name, installer.program);
                let action = Action::UninstallProvider {
                    program: installer.program.clone(),
                    arguments,
                };
                return Ok(Planned::new(sentence, action));
            }
            _ => {
                return Err(NotPlanned::Unsupported(format!(
                    "`{} {}` is not known",
                    installer.program,
                    arguments.join(" ")
                )));
            }
        }
        let mut arguments = self.without_settings(run, installer, arguments);
        for addition in &installer.always {
            if given(&arguments, addition) {
                continue;
            }
            let added = added(run, installer, addition);
            self.deviate(added.kind, added.subject, added.what, added.why, added.from.as_ref());
            arguments.extend(addition.arguments.iter().cloned());
        }
        self.add_when_built(run, installer, &arguments);
        let version = self.version_of(installer);
        Ok(Planned::new(
            format!("{} {version} is installed by {}", provider.name, installer.program),
            Action::InstallProvider {
                program: installer.program.clone(),
                arguments,
                witness: installer.witness.clone(),
            },
        ))
    }

    /// Keeps what is added to the command, and to the ledger here, should images turn out to be built.
    fn add_when_built(&mut self, run: &Invocation<'_>, installer: &Installer, arguments: &[String]) {
        let is_new = |addition: &&Addition| !given(arguments, addition);
        let additions: Vec<&Addition> = installer.when_built.iter().filter(is_new).collect();
        let deviations = additions.iter().map(|addition| added(run, installer, addition));
        self.when_built.push(WhenBuilt {
            step: self.steps.len(),
            place: self.ledger.len(),
            deviations: deviations.collect(),
            arguments: additions
                .iter()
                .flat_map(|addition| addition.arguments.clone())
                .collect(),
        });
    }

    /// The arguments without the settings that the definition leaves out.
    fn without_settings(&mut self, run: &Invocation<'_>, installer: &Installer, arguments: Vec<String>) -> Vec<String> {
        let left_out = |argument: &String| {
            let (name, _) = argument.split_once('=')?;
            installer.without.iter().find(|setting| setting.setting == name)
        };
        let mut kept: Vec<String> = Vec::new();
        for argument in arguments {
            let is_set = kept.last().is_some_and(|before| before == "--set");
            let Some(setting) = left_out(&argument).filter(|_| is_set) else {
                kept.push(argument);
                continue;
            };
            kept.pop();
            self.deviate(
                DeviationKind::Overridden,
                format!("{} --set {}", installer.program, setting.setting),
                format!(
                    "`--set {argument}` is left out of the guide's command, so {} is installed",
                    installer.version
                ),
                setting.why.clone(),
                Some(run.at),
            );
        }
        kept
    }
}

/// Whether a command has the arguments of an addition already.
fn given(arguments: &[String], addition: &Addition) -> bool {
    arguments
        .windows(addition.arguments.len())
        .any(|given| given == addition.arguments)
}

/// The ledger's entry of an addition.
fn added(run: &Invocation<'_>, installer: &Installer, addition: &Addition) -> Deviation {
    let added = addition.arguments.join(" ");
    Deviation {
        kind: DeviationKind::Added,
        subject: format!("{} {added}", installer.program),
        what: format!("`{added}` is added to the guide's command"),
        why: addition.why.clone(),
        from: Some(run.at.clone()),
    }
}

/// The one assignment that a command is made of.
fn assigned(pipeline: &Pipeline) -> Option<(&str, &ShellWord)> {
    let [simple] = pipeline.0.as_slice() else {
        return None;
    };
    match simple.assignments.as_slice() {
        [(name, word)] if simple.words.is_empty() => Some((name, word)),
        _ => None,
    }
}

/// Whether a program is what runs, whatever directory it stands in.
fn runs(simple: &Simple, program: &str) -> bool {
    let first = simple.words.first().map(|word| word.raw.as_str()).unwrap_or_default();
    first.rsplit('/').next() == Some(program)
}
