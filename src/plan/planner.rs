//! What draws a plan: the guide's commands go in one by one, steps and deviations come out.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, Options, Origin, Profile, Provider, Step, WhenBuilt,
    budget::{Exhausted, MemoryBudget},
};
use crate::{
    guide::{self, Argument, Named, Reading, Role, Session, Template},
    record::{Deviation, DeviationKind, Provenance},
    release::{Address, Layout, Release, RepoPath, schemas::Schema},
    verdict::{Cause, CauseCode, Fault, Finding, Weight},
};

/// Everything that commands are planned with, and what has been planned so far.
pub(super) struct Planner<'a> {
    pub(super) release: &'a Release,
    pub(super) layout: &'a Layout,
    pub(super) provider: &'a Provider,
    pub(super) profile: Option<&'a Profile>,
    pub(super) options: &'a Options,
    /// Into which the guide's commands are typed.
    pub(super) session: Session<'a>,
    /// What objects may still take.
    pub(super) memory: MemoryBudget,
    pub(super) steps: Vec<Step>,
    pub(super) ledger: Vec<Deviation>,
    pub(super) schemas: Vec<Schema>,
    /// What is added should images turn out to be built.
    pub(super) when_built: Vec<WhenBuilt>,
    /// Kustomizations whose objects are not known yet.
    pub(super) unbuilt: Vec<RepoPath>,
    /// What must be fetched before the plan is whole.
    pub(super) wanted: Vec<Address>,
    /// How often a check's name was wanted, to keep names unique.
    names: BTreeMap<String, u32>,
}

/// A command that was understood.
pub(super) struct Planned {
    pub(super) sentence: String,
    pub(super) action: Action,
    /// The line to point at, where it is not the line the command begins at.
    pub(super) line: Option<u32>,
    /// What is known of it without running it.
    pub(super) known: Option<Finding>,
}

impl Planned {
    pub(super) fn new(sentence: impl Into<String>, action: Action) -> Self {
        Self {
            sentence: sentence.into(),
            action,
            line: None,
            known: None,
        }
    }

    /// A command that is not carried out, for what is known of it.
    pub(super) fn left_standing() -> Self {
        Self::new("the command can be carried out", Action::Broken)
    }
}

/// Why a command of the guide cannot be planned.
#[derive(Debug)]
pub(super) enum NotPlanned {
    /// It is not understood.
    Unsupported(String),
    /// It is understood, and known to fail.
    Broken(Fault),
    /// It is understood, and whether it works cannot be told here.
    Undecided(String),
}

impl From<String> for NotPlanned {
    fn from(why: String) -> Self {
        Self::Unsupported(why)
    }
}

impl From<Exhausted> for NotPlanned {
    fn from(exhausted: Exhausted) -> Self {
        Self::Unsupported(exhausted.to_string())
    }
}

impl From<Fault> for NotPlanned {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        release: &'a Release,
        layout: &'a Layout,
        provider: &'a Provider,
        profile: Option<&'a Profile>,
        options: &'a Options,
    ) -> Self {
        let session = Session::new(&layout.environment);
        let mut session = session.in_checkout(release.tree.as_ref(), &release.repository);
        if let (Some(variable), Some(namespace)) = (&layout.namespace_variable, &options.namespace) {
            session.pin(variable, Template::text(namespace.clone()));
        }
        Self {
            release,
            layout,
            provider,
            profile,
            options,
            session,
            memory: MemoryBudget::default(),
            steps: Vec::new(),
            ledger: release.deviations.clone(),
            schemas: Vec::new(),
            when_built: Vec::new(),
            unbuilt: Vec::new(),
            wanted: Vec::new(),
            names: BTreeMap::new(),
        }
    }

    /// A planner that begins where this one stands and has no steps yet. What comes of it does not touch this one.
    pub(super) fn beside(&self) -> Self {
        Self {
            session: self.session.clone(),
            memory: self.memory.clone(),
            names: self.names.clone(),
            ..Self::new(self.release, self.layout, self.provider, self.profile, self.options)
        }
    }

    /// A name for the check of a command: what it does to what, whatever the line; a second one of the same gets a number.
    fn check(&mut self, action: &Action, command: &str) -> String {
        let verb = match action {
            Action::Unsupported { .. } => "not-understood",
            Action::LeftOut { .. } => "left-out",
            Action::Broken => "command",
            known => known.facts().verb,
        };
        let name = format!("{verb}:{}", action.object(command));
        let count = self.names.entry(name.clone()).or_default();
        *count += 1;
        if *count == 1 { name } else { format!("{name}#{count}") }
    }

    /// Adds to the ledger; once for each kind and subject.
    pub(super) fn deviate(
        &mut self,
        kind: DeviationKind,
        subject: impl Into<String>,
        what: impl Into<String>,
        why: impl Into<String>,
        from: Option<&Provenance>,
    ) {
        let subject = subject.into();
        if self
            .ledger
            .iter()
            .any(|entry| entry.kind == kind && entry.subject == subject)
        {
            return;
        }
        self.ledger.push(Deviation {
            kind,
            subject,
            what: what.into(),
            why: why.into(),
            from: from.cloned(),
        });
    }

    /// Adds the step of a command. `reading` is what bash reads in it, where it is read at all.
    pub(super) fn step(
        &mut self,
        role: Role,
        command: &guide::Command,
        origin: Option<Origin>,
        reading: Option<&Reading>,
        planned: Result<Planned, NotPlanned>,
    ) {
        let (planned, mut known) = match planned {
            Ok(mut planned) => {
                let known = planned.known.take();
                (planned, known)
            }
            Err(NotPlanned::Unsupported(why)) => {
                let planned = Planned::new("the command is understood", Action::Unsupported { why });
                (planned, None)
            }
            Err(NotPlanned::Broken(fault)) => (Planned::left_standing(), Some(fault.into())),
            Err(NotPlanned::Undecided(why)) => (Planned::left_standing(), Some(Finding::Undecided { why })),
        };
        // What stands in for a command does not use its variables.
        let is_of_the_guide = !matches!(planned.action, Action::LeftOut { .. } | Action::InstallManifests { .. });
        let unset = reading.into_iter().flat_map(Reading::unset).next();
        if let Some(Named { name, .. }) = unset.filter(|_| known.is_none() && is_of_the_guide) {
            known = Some(Finding::broken(
                format!("`{name}` is set by an earlier command"),
                format!("nothing sets `{name}`, so bash puts nothing in its place"),
                Cause::new(CauseCode::ShellVariableUnset).because(command.raw.clone()),
            ));
        }
        let check = self.check(&planned.action, &command.raw);
        self.steps.push(Step {
            check,
            from: Provenance {
                line: planned.line.unwrap_or(command.at.line),
                ..command.at.clone()
            },
            command: command.raw.clone(),
            sentence: planned.sentence,
            action: planned.action,
            weight: match role {
                Role::Prerequisite => Weight::Advisory,
                Role::Step | Role::Optional | Role::Cleanup => Weight::Gate,
            },
            known,
            origin,
            programs: reading.into_iter().flat_map(Reading::programs).cloned().collect(),
            resources: None,
            images: BTreeSet::new(),
        });
    }
}

/// What a run of a program is given.
#[derive(Clone, Copy)]
pub(super) struct Invocation<'a> {
    pub(super) at: &'a Provenance,
    /// The program and its arguments, none of them unclear.
    pub(super) words: &'a [Argument],
    /// Standard input, where a here-document or a pipe gives one that is known: its text and its first line.
    pub(super) input: Option<(&'a str, u32)>,
    /// Names that stand as variables in single quotes.
    pub(super) single_quoted: &'a [Named],
}

/// Arguments as text, for commands whose meaning must be known before anything runs.
///
/// # Errors
/// One of them is only known at run time.
pub(super) fn texts<'a>(arguments: impl IntoIterator<Item = &'a Argument>) -> Result<Vec<String>, String> {
    arguments.into_iter().map(Argument::text).collect()
}
