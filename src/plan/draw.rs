//! From the guide's commands to typed steps.

use super::{
    Action, Options, Phase, Plan, PlanError, Profile, Provider,
    draft::{Draft, Drawn, Run, Stop},
    images, shell, tools, variables,
};
use crate::{
    guide::{Block, Body, Choice, Command, Guide, Pipeline, Problem, ProblemKind, Role, ShellWord, Simple},
    record::{DeviationKind, Provenance, Subject},
    release::{Release, schemas::Schema},
    verdict::CauseCode,
};

/// Draws the plan of a release for one variant and one provider, without touching anything but the release's files.
///
/// What is wrong with the guide is part of the plan: a step that is known to fail, or one that is not understood.
///
/// # Errors
/// The options name something that does not exist, or the guide cannot be read.
pub fn draw(release: &Release, options: &Options) -> Result<Plan, PlanError> {
    if options.phase == Phase::AfterPublish {
        return Err(PlanError::PhaseUnsupported);
    }
    if let Some(value) = options
        .helm_set
        .iter()
        .find(|value| value.split_once('=').is_none_or(|(path, _)| path.is_empty()))
    {
        return Err(PlanError::NotAValue { value: value.clone() });
    }
    let layout = release.layout(options.layout.as_deref())?;
    let provider = match &layout.only_provider {
        Some(only) => Provider::named(only)?,
        None => Provider::with_tab(&options.provider)?,
    };
    let profile = options.profile.as_deref().map(Profile::named).transpose()?;
    let choice = Choice {
        variant: &options.variant,
        provider: &provider.name,
        provider_tab: provider.tab.as_ref(),
    };
    let guide = Guide::read(release.tree.as_ref(), &layout, choice)?;

    let mut draft = Draft::new(release, &layout, &provider, profile.as_ref(), options);
    for problem in &guide.problems {
        draft.problem(problem);
    }
    for block in &guide.blocks {
        draft.block(block);
    }
    draft.cleanup(&guide.blocks);
    draft.require();
    let images = images::of(&draft);
    Ok(Plan {
        subject: Subject {
            repository: release.repository.clone(),
            tag: release.tag.as_ref().map(ToString::to_string),
            commit: release.commit.clone(),
            variant: options.variant.clone(),
            provider: provider.name.clone(),
            phase: options.phase.word().into(),
        },
        steps: draft.steps,
        ledger: draft.ledger,
        requirements: Vec::new(),
        schemas: draft.schemas,
        images,
        build_ref: release.tag.as_ref().map(ToString::to_string),
    })
}

impl Draft<'_> {
    fn problem(&mut self, problem: &Problem) {
        let command = Command {
            at: problem.at.clone(),
            raw: problem.raw.clone(),
            body: Body::NotUnderstood(String::new()),
        };
        let stop = match &problem.kind {
            ProblemKind::IncludeMissing { file } => Stop::broken(
                CauseCode::GuideReferenceMissing,
                format!("`{file}` exists"),
                format!("the release has no `{file}`, so the published page lacks what it should hold"),
            ),
            ProblemKind::NoTabChosen { titles } => Stop::broken(
                CauseCode::GuideTabMissing,
                format!(
                    "one of the tabs is for {} or {}",
                    self.options.variant, self.provider.name
                ),
                format!("the tabs are {}", titles.join(", ")),
            ),
            ProblemKind::IncludeNotFollowed { why } => Stop::Unsupported(why.clone()),
            ProblemKind::FenceNeverClosed => Stop::Unsupported("the fence that begins here is never closed".into()),
        };
        self.step(Role::Step, &command, Err(stop));
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
        for command in &block.commands {
            let drawn = match &command.body {
                Body::NotUnderstood(why) => Err(Stop::Unsupported(why.clone())),
                Body::Pipeline(pipeline) => self.pipeline(command, pipeline),
            };
            self.step(block.role, command, drawn);
        }
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
        let drawn = Drawn::new(
            self.check("left-out", &first.at),
            sentence,
            Action::LeftOut { why: why.into() },
        );
        self.step(block.role, first, Ok(drawn));
    }

    /// The guide's own cleanup is one entry: a run takes away what it made, and checks that it is gone.
    fn cleanup(&mut self, blocks: &[Block]) {
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

    fn pipeline(&mut self, command: &Command, pipeline: &Pipeline) -> Result<Drawn, Stop> {
        let at = &command.at;
        let [first, rest @ ..] = pipeline.0.as_slice() else {
            return Err(Stop::Unsupported("it is empty".into()));
        };
        if let Some(drawn) = self.download(at, pipeline) {
            return Ok(drawn);
        }
        if first.words.is_empty() && rest.is_empty() {
            return self.assign(at, &first.assignments);
        }
        let program = first.words.first().and_then(ShellWord::literal);
        if program.as_deref() == Some("export") && rest.is_empty() && first.assignments.is_empty() {
            let exported = first.words[1..]
                .iter()
                .map(variables::exported)
                .collect::<Result<Vec<_>, _>>()?;
            return self.assign(at, &exported.into_iter().flatten().collect::<Vec<_>>());
        }
        if let Some(assigned) = pipeline.0.iter().find(|simple| !simple.assignments.is_empty()) {
            let names: Vec<&str> = assigned.assignments.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Stop::Unsupported(format!(
                "it sets {} for one program only",
                names.join(", ")
            )));
        }
        let mut run = Run {
            at,
            words: shell::arguments(&mut self.environment, first)?,
            input: self.input(first)?,
        };
        match rest {
            [] => self.run(&run, first),
            [next] if program.as_deref() == Some("cat") && first.words.len() == 1 && run.input.is_some() => {
                run.words = shell::arguments(&mut self.environment, next)?;
                self.run(&run, next)
            }
            [filter] => {
                let filter = shell::texts(&shell::arguments(&mut self.environment, filter)?)?;
                let filter: Vec<&str> = filter.iter().map(String::as_str).collect();
                match (program.as_deref(), filter.as_slice()) {
                    (Some("kubectl"), ["grep", text]) if !text.starts_with('-') => {
                        self.kubectl(&run, first, Some(text))
                    }
                    // It only lays the answer out for a reader.
                    (Some("curl"), ["jq", ..]) => self.run(&run, first),
                    _ => Err(Stop::Unsupported(format!(
                        "its output goes into `{}`",
                        filter.join(" ")
                    ))),
                }
            }
            _ => Err(Stop::Unsupported(format!(
                "it is a pipe of {} programs",
                pipeline.0.len()
            ))),
        }
    }

    fn run(&mut self, run: &Run<'_>, simple: &Simple) -> Result<Drawn, Stop> {
        let Some(first) = run.words.first() else {
            return Err(Stop::Unsupported("it is empty".into()));
        };
        let program = shell::texts(std::slice::from_ref(first))?.concat();
        let program = program.rsplit('/').next().unwrap_or(&program);
        if tools::asks_for_version(program, &run.words) {
            return self.tool(run);
        }
        match program {
            "kubectl" => self.kubectl(run, simple, None),
            "helm" => self.helm(run),
            "curl" => self.curl(run, simple),
            _ if self
                .provider
                .installer
                .as_ref()
                .is_some_and(|installer| installer.program == program) =>
            {
                self.install(run)
            }
            _ => Err(Stop::Unsupported(format!(
                "`{program}` is a program that quickproof does not know"
            ))),
        }
    }

    fn input(&mut self, simple: &Simple) -> Result<Option<(String, u32)>, Stop> {
        let Some(input) = &simple.input else {
            return Ok(None);
        };
        let value = self.environment.value_of(input)?;
        Ok(Some((shell::texts(&[value])?.concat(), input.line)))
    }

    /// The provider's program is not downloaded: the definition's own stands in.
    fn download(&mut self, at: &Provenance, pipeline: &Pipeline) -> Option<Drawn> {
        let installer = self.provider.installer.as_ref()?;
        let names = |simple: &Simple| simple.words.iter().any(|word| word.raw.contains(&installer.download));
        if !pipeline.0.iter().any(names) {
            return None;
        }
        let version = self
            .environment
            .text(&installer.version_variable)
            .unwrap_or_else(|| installer.version.clone());
        let (program, name) = (&installer.program, &self.provider.name);
        let why = format!("`{program}` {version} is had as the definition of the provider {name} says");
        self.deviate(
            DeviationKind::LeftOut,
            installer.download.clone(),
            format!("`{program}` is not downloaded by the guide's command"),
            why.clone(),
            Some(at),
        );
        Some(Drawn::new(
            self.check("left-out", at),
            "the download is left out",
            Action::LeftOut { why },
        ))
    }
}
