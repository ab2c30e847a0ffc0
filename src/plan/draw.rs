//! From the guide's commands to typed steps.

use super::{
    Action, Offer, Options, Origin, PickerFacts, Plan, PlanError, Profile, Provider, Step, borrowed_tab, images,
    offers::offers_of,
    planner::{NotPlanned, Planned, Planner},
};
use crate::{
    guide::{Block, Body, Choice, Command, GuideBook, Problem, ProblemKind, Program, Reading, Role, Slip, Template},
    record::{DeviationKind, Subject},
    release::{Layout, Picker, Release, Since, Tag, schemas::Schema},
    verdict::{CauseCode, Fault},
};

/// Draws the plan of a release for one variant and one provider, without touching anything but the release's files.
///
/// What is wrong with the guide is part of the plan: a step that is known to fail, or one that is not understood.
///
/// # Errors
/// The options name something that does not exist, or the guide cannot be read.
pub fn draw(release: &Release, options: &Options) -> Result<Plan, PlanError> {
    let layout = release.layout(options.layout.as_deref())?;
    let book = GuideBook::open(release.tree.as_ref(), &layout, release.tag.as_ref())?;
    draw_from(&book, release, &layout, options)
}

/// Draws the plan of every combination that the guide of a layout offers; the guide is read once for all of them.
///
/// # Errors
/// The guide cannot be read, or a definition of ours is broken.
pub fn draw_all(release: &Release, layout: &Layout, options: &Options) -> Result<Vec<Combination>, PlanError> {
    let book = GuideBook::open(release.tree.as_ref(), layout, release.tag.as_ref())?;
    let draw = |offer: Offer| {
        let options = Options {
            variant: offer.variant.clone(),
            provider: offer.provider.clone(),
            ..options.clone()
        };
        let plan = draw_from(&book, release, layout, &options);
        (offer, plan)
    };
    Ok(offers_of(&book, layout)?.into_iter().map(draw).collect())
}

/// A combination of variant and provider, and its plan or why none can be planned.
type Combination = (Offer, Result<Plan, PlanError>);

fn draw_from(book: &GuideBook, release: &Release, layout: &Layout, options: &Options) -> Result<Plan, PlanError> {
    if let Some(value) = options
        .helm_set
        .iter()
        .find(|value| value.split_once('=').is_none_or(|(path, _)| path.is_empty()))
    {
        return Err(PlanError::NotAValue { value: value.clone() });
    }
    let provider = match &layout.only_provider {
        Some(only) => Provider::named(only)?,
        None if layout.choices.is_some() => Provider::named(&options.provider)?,
        None => Provider::with_tab(&options.provider)?.in_guide(book),
    };
    let profile = options.profile.as_deref().map(Profile::named).transpose()?;
    let choice = Choice {
        variant: layout.only_variant.as_ref().unwrap_or(&options.variant),
        provider: &provider.name,
        provider_tab: provider
            .followed_tab()
            .filter(|_| layout.only_provider.is_none() && layout.choices.is_none()),
    };
    borrowed_tab::possible(release, &provider)?;
    let guide = book.choose(layout, choice)?;

    let mut planner = Planner::new(release, layout, &provider, profile.as_ref(), options);
    for (variable, value) in layout.set_for(choice.variant, &provider.name) {
        planner.session.pin(&variable, Template::text(value));
    }
    planner.say_borrowed_tab(&guide);
    if let Some(why) = &layout.our_guide {
        planner.deviate(
            DeviationKind::Added,
            layout.guide.to_string(),
            "the guide is one of ours, and not the release's",
            why.clone(),
            None,
        );
    }
    for problem in &guide.problems {
        planner.problem(problem);
    }
    for block in &guide.blocks {
        planner.block(block);
    }
    planner.installs_manifests()?;
    planner.leave_cleanup_out(&guide.blocks);
    planner.require();
    images::say(&mut planner);
    let cleanup = planner.cleanup(&guide.blocks);
    let tag = release.tag.as_ref();
    let has_build_info = layout.picker.as_ref().zip(tag).is_none_or(|(picker, tag)| {
        let info = picker.build_info.as_ref();
        info.is_some_and(|info| info.is_in(tag))
    });
    let plan = Plan {
        subject: Subject {
            repository: release.repository.clone(),
            tag: tag.map(ToString::to_string),
            commit: release.commit.clone(),
            variant: choice.variant.to_owned(),
            provider: provider.name.clone(),
            phase: options.phase.word().into(),
            extent: None,
        },
        steps: planner.steps,
        cleanup,
        ledger: planner.ledger,
        wanted: planner.wanted,
        unbuilt: planner.unbuilt,
        requirements: Vec::new(),
        schemas: planner.schemas,
        build_ref: tag.map(ToString::to_string).filter(|_| has_build_info),
        servers: layout.servers,
        picker: layout.picker.as_ref().zip(tag).map(|(picker, tag)| facts(picker, tag)),
        gateway_label: provider.gateway_label.clone(),
        is_managed: provider.managed,
        when_built: planner.when_built,
    };
    Ok(if options.built { plan.with_built_images() } else { plan })
}

/// What a layout says of the endpoint picker, as far as it is true of one tag.
fn facts(picker: &Picker, tag: &Tag) -> PickerFacts {
    let named = |all: &[Since]| {
        all.iter()
            .filter(|one| one.is_in(tag))
            .map(|one| one.name.clone())
            .collect()
    };
    PickerFacts {
        flags: picker.flags,
        kinds: named(&picker.kinds),
        metrics: named(&picker.metrics),
        headers: named(&picker.headers),
        steered_by: picker.steered_by.clone(),
        error_body: picker.error_body(tag),
    }
}

impl Planner<'_> {
    fn problem(&mut self, problem: &Problem) {
        let command = Command {
            at: problem.at.clone(),
            raw: problem.raw.clone(),
            body: Body::NotUnderstood(String::new()),
            left_out: None,
        };
        let stop = match &problem.kind {
            ProblemKind::IncludeMissing { file } => Fault::new(
                format!("`{file}` exists"),
                format!("the release has no `{file}`, so the published page lacks what it should hold"),
                CauseCode::GuideReferenceMissing,
            )
            .into(),
            ProblemKind::NoTabChosen { titles } => Fault::new(
                format!(
                    "one of the tabs is for {} or {}",
                    self.options.variant, self.provider.name
                ),
                format!("the tabs are {}", titles.join(", ")),
                CauseCode::GuideTabMissing,
            )
            .into(),
            ProblemKind::ChoiceEmpty { chosen, group } => Fault::new(
                format!("`{group}` does something for {}", chosen.join(", ")),
                "the steps that count for this choice hold comments alone, so it does nothing",
                CauseCode::GuideTabMissing,
            )
            .into(),
            ProblemKind::DeclaredWrong { why } | ProblemKind::IncludeNotFollowed { why } => {
                NotPlanned::Unsupported(why.clone())
            }
            ProblemKind::NestedTooDeep => NotPlanned::Unsupported("the tabs here are nested too deep".into()),
            ProblemKind::FenceNeverClosed => {
                NotPlanned::Unsupported("the fence that begins here is never closed".into())
            }
        };
        self.step(Role::Step, &command, None, None, Err(stop));
    }

    fn block(&mut self, block: &Block) {
        if block.role == Role::Cleanup {
            return;
        }
        if let Some(why) = &block.left_out {
            self.leave_out(block, block.commands.len(), why);
            return;
        }
        for (at, placeholder) in &block.filled {
            let value = if placeholder.value.is_empty() {
                "nothing"
            } else {
                &placeholder.value
            };
            self.deviate(
                DeviationKind::Substituted,
                placeholder.text.clone(),
                format!("{value} is put in place of `{}`", placeholder.text),
                placeholder.why.clone(),
                Some(at),
            );
        }
        self.commands(block);
    }

    fn commands(&mut self, block: &Block) {
        for (number, command) in block.commands.iter().enumerate() {
            if block.not_chosen.contains(&number) {
                continue;
            }
            let reading = command.left_out.is_none().then(|| self.session.read(command));
            let planned = match (&command.left_out, &reading) {
                (Some(left_out), _) => {
                    self.deviate(
                        DeviationKind::LeftOut,
                        left_out.comment.clone(),
                        format!("the commands below `{}` are left out", left_out.comment),
                        left_out.why.clone(),
                        Some(&command.at),
                    );
                    Ok(Planned::new(
                        "the command is left out",
                        Action::LeftOut {
                            why: left_out.why.clone(),
                        },
                    ))
                }
                (None, Some(reading)) => self.command(command, reading),
                (None, None) => continue,
            };
            let origin = Origin {
                block: block.number,
                command: number,
            };
            self.step(block.role, command, Some(origin), reading.as_ref(), planned);
        }
    }

    /// The steps of the guide's cleanup. They are read with the variables as the guide leaves them, and nothing else is left
    /// of reading them, because they are not carried out.
    fn cleanup(&self, blocks: &[Block]) -> Vec<Step> {
        let mut beside = self.beside();
        for block in blocks.iter().filter(|block| block.role == Role::Cleanup) {
            beside.commands(block);
        }
        beside.steps
    }

    /// Leaves out a block, or a section that begins with it: one step and one entry of the ledger for `count` commands.
    fn leave_out(&mut self, block: &Block, count: usize, why: &str) {
        let Some(first) = block.commands.first() else {
            return;
        };
        let commands = match count {
            1 => "1 command is".to_owned(),
            _ => format!("{count} commands are"),
        };
        let what = format!("{commands} left out in the section `{}`", first.at.section);
        self.deviate(DeviationKind::LeftOut, first.raw.clone(), what, why, Some(&first.at));
        let sentence = format!("{commands} left out");
        let planned = Planned::new(sentence, Action::LeftOut { why: why.into() });
        let origin = Origin {
            block: block.number,
            command: 0,
        };
        self.step(block.role, first, Some(origin), None, Ok(planned));
    }

    /// The guide's own cleanup is one entry: a run takes away what it made, and checks that it is gone.
    fn leave_cleanup_out(&mut self, blocks: &[Block]) {
        let blocks: Vec<&Block> = blocks.iter().filter(|block| block.role == Role::Cleanup).collect();
        let count: usize = blocks.iter().map(|block| block.commands.len()).sum();
        if let Some(first) = blocks.iter().find(|block| !block.commands.is_empty()) {
            self.leave_out(
                first,
                count,
                "a run removes everything that it made itself, in reverse order",
            );
        }
    }

    /// What the provider's tabs require and no command of the guide installs.
    fn require(&mut self) {
        for schema in &self.provider.schemas {
            if self.schemas.iter().any(|had| had.module == schema.module) {
                continue;
            }
            self.schemas.push(Schema {
                module: schema.module.clone(),
                version: schema.version.clone(),
                folder: schema.folder.clone(),
                files: Vec::new(),
                url: schema.url.clone(),
                step: None,
            });
            self.deviate(
                DeviationKind::Added,
                format!("{} CRDs {}", schema.name, schema.version),
                format!(
                    "the CRDs in `{}` of {} {} are applied first",
                    schema.folder, schema.module, schema.version
                ),
                schema.why.clone(),
                None,
            );
        }
    }

    fn command(&mut self, command: &Command, reading: &Reading) -> Result<Planned, NotPlanned> {
        if let Some(planned) = self.download(command) {
            return Ok(planned);
        }
        if let Some(planned) = self.install_by_manifests(command)? {
            return Ok(planned);
        }
        if let Some((_, fault)) = reading.programs().into_iter().find_map(Program::unknown) {
            return Err(NotPlanned::Broken(fault));
        }
        match reading {
            Reading::Assignments(assignments) => self.assign(&command.at, assignments),
            Reading::Programs(programs) => self.programs(programs),
            Reading::Sequence(commands) => sequence(commands),
            Reading::Fails(slip) => Ok(slipped(slip)),
            Reading::NotUnderstood(why) => Err(NotPlanned::Unsupported(why.clone())),
        }
    }
}

/// The step of a script that is sourced, or of an `if`: all of it must be understood, and only set variables.
fn sequence(commands: &[(Command, Reading)]) -> Result<Planned, NotPlanned> {
    let mut names: Vec<&str> = Vec::new();
    for (command, reading) in commands {
        let at = |why: String| format!("`{}:{}`: {why}", command.at.file, command.at.line);
        match reading {
            Reading::Assignments(assignments) => {
                if let Some(open) = assignments.iter().find(|one| one.value.passed().is_err()) {
                    let why = at(format!("what `{}` is set to is not known", open.name));
                    return Err(NotPlanned::Unsupported(why));
                }
                names.extend(assignments.iter().map(|one| one.name.as_str()));
            }
            Reading::Sequence(inner) => {
                sequence(inner)?;
            }
            Reading::Fails(slip) => return Ok(slipped(slip)),
            Reading::NotUnderstood(why) => return Err(NotPlanned::Unsupported(at(why.clone()))),
            Reading::Programs(_) => {
                let why = at(format!("a script that guides source runs `{}`", command.raw));
                return Err(NotPlanned::Unsupported(why));
            }
        }
    }
    let sentence = match names.len() {
        0 => "nothing is set".to_owned(),
        1..=4 => format!("{} are set", names.join(", ")),
        count => format!("{count} variables are set, {} first", names[0]),
    };
    Ok(Planned::new(sentence, Action::Variables))
}

/// The step of a command that is known to fail, at the line of its fault.
fn slipped(slip: &Slip) -> Planned {
    Planned {
        line: Some(slip.line),
        known: Some(slip.fault().into()),
        ..Planned::left_standing()
    }
}
