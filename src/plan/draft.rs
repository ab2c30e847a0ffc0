//! A plan while it is being drawn.

use std::collections::BTreeMap;

use super::{Action, Options, Origin, Profile, Provider, Step, WhenBuilt, Word, room::Room, shell::Environment};
use crate::{
    guide::{self, Role},
    record::{Deviation, DeviationKind, Provenance},
    release::{Address, Layout, Release, schemas::Schema},
    verdict::{Cause, CauseCode, Fault, Weight},
};

/// Everything that commands are drawn with, and what has been drawn so far.
pub(super) struct Draft<'a> {
    pub(super) release: &'a Release,
    pub(super) layout: &'a Layout,
    pub(super) provider: &'a Provider,
    pub(super) profile: Option<&'a Profile>,
    pub(super) options: &'a Options,
    pub(super) environment: Environment,
    /// What objects may still take.
    pub(super) room: Room,
    pub(super) steps: Vec<Step>,
    pub(super) ledger: Vec<Deviation>,
    pub(super) schemas: Vec<Schema>,
    pub(super) images: Vec<String>,
    /// What is added should images turn out to be built.
    pub(super) when_built: Vec<WhenBuilt>,
    /// What must be fetched before the plan is whole.
    pub(super) wanted: Vec<Address>,
    /// How often a check's name was wanted, to keep names unique.
    names: BTreeMap<String, u32>,
}

/// A command that was understood.
pub(super) struct Drawn {
    pub(super) check: String,
    pub(super) sentence: String,
    pub(super) action: Action,
    /// The line to point at, where it is not the line the command begins at.
    pub(super) line: Option<u32>,
    /// What is known of it without running it.
    pub(super) known: Option<Fault>,
}

impl Drawn {
    pub(super) fn new(check: String, sentence: impl Into<String>, action: Action) -> Self {
        Self {
            check,
            sentence: sentence.into(),
            action,
            line: None,
            known: None,
        }
    }
}

/// Why a command gives no action.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is not understood.
    Unsupported(String),
    /// It is understood, and known to fail.
    Broken(Fault),
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Unsupported(why)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        release: &'a Release,
        layout: &'a Layout,
        provider: &'a Provider,
        profile: Option<&'a Profile>,
        options: &'a Options,
    ) -> Self {
        Self {
            release,
            layout,
            provider,
            profile,
            options,
            environment: Environment::new(&layout.environment),
            room: Room::default(),
            steps: Vec::new(),
            ledger: release.deviations.clone(),
            schemas: Vec::new(),
            images: Vec::new(),
            when_built: Vec::new(),
            wanted: Vec::new(),
            names: BTreeMap::new(),
        }
    }

    /// A name for the check of a command: what it does and where it begins. A second one on the same line gets a number.
    pub(super) fn check(&mut self, verb: &str, at: &Provenance) -> String {
        let name = format!("{verb}:{at}");
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

    /// Adds the step of a command.
    pub(super) fn step(
        &mut self,
        role: Role,
        command: &guide::Command,
        origin: Option<Origin>,
        drawn: Result<Drawn, Stop>,
    ) {
        let unset = self.environment.take_unset();
        let (drawn, mut known) = match drawn {
            Ok(mut drawn) => {
                let known = drawn.known.take();
                (drawn, known)
            }
            Err(Stop::Unsupported(why)) => {
                let drawn = Drawn::new(
                    self.check("not-understood", &command.at),
                    "the command is understood",
                    Action::Unsupported { why },
                );
                (drawn, None)
            }
            Err(Stop::Broken(fault)) => {
                let drawn = Drawn::new(
                    self.check("command", &command.at),
                    "the command can be carried out",
                    // It is understood; what it would do does not exist.
                    Action::Apply {
                        objects: Vec::new(),
                        namespace: None,
                    },
                );
                (drawn, Some(fault))
            }
        };
        if let Some(name) = unset.first().filter(|_| known.is_none()) {
            known = Some(Fault::new(
                format!("`{name}` is set by an earlier command"),
                format!("nothing sets `{name}`, so bash puts nothing in its place"),
                Cause::new(CauseCode::ShellVariableUnset).because(command.raw.clone()),
            ));
        }
        self.steps.push(Step {
            check: drawn.check,
            from: Provenance {
                line: drawn.line.unwrap_or(command.at.line),
                ..command.at.clone()
            },
            command: command.raw.clone(),
            sentence: drawn.sentence,
            action: drawn.action,
            weight: match role {
                Role::Prerequisite => Weight::Advisory,
                Role::Step | Role::Optional | Role::Cleanup => Weight::Gate,
            },
            known,
            origin,
            resources: None,
        });
    }
}

/// What a run of a program is given.
pub(super) struct Run<'a> {
    pub(super) at: &'a Provenance,
    pub(super) words: Vec<Word>,
    /// Standard input, where a here-document or a pipe gives one that is known: its text and its first line.
    pub(super) input: Option<(String, u32)>,
}
