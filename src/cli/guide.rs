//! `quickproof guide`: every block of the guide, and what became of each of its commands.

use std::fmt::{self, Write};

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        CliContext, Output, Usage,
        plan::{ChoiceArguments, Form, drawn},
        source::SourceArguments,
    },
    guide::{Block, Body, GuideBook, Role},
    plan::{Action, Options, Origin, Plan},
    verdict::ExitCode,
};

/// The version of the JSON form; raised when a field changes its meaning or goes away.
const GUIDE_VERSION: u32 = 1;

/// Show every block of the guide, and what becomes of each of its commands.
///
/// A command is a step of the plan, or left out with a reason, or of a tab that is not chosen, or not understood. What
/// no step covers is counted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  quickproof guide\n  quickproof guide --tree . --variant sim --provider istio")]
pub(crate) struct GuideArguments {
    #[command(flatten)]
    source: SourceArguments,
    #[command(flatten)]
    choice: ChoiceArguments,
    /// How to say it
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,
}

/// The guide, as it was read.
#[derive(Debug, Serialize)]
struct GuideView {
    /// [`GUIDE_VERSION`].
    guide_version: u32,
    /// What is tested, for which variant and provider.
    subject: String,
    /// The guide's file.
    file: String,
    /// Its blocks, in order.
    blocks: Vec<BlockView>,
    /// What a reader cannot follow, whatever is chosen.
    problems: Vec<ProblemView>,
    /// How many commands came to what.
    counts: Counts,
}

/// A block.
#[derive(Debug, Serialize)]
struct BlockView {
    file: String,
    line: u32,
    section: String,
    /// The tabs it stands in, outermost first.
    tabs: Vec<String>,
    /// `step`, `optional`, `prerequisite` or `cleanup`.
    role: &'static str,
    /// Whether its tabs are chosen.
    chosen: bool,
    commands: Vec<CommandView>,
}

/// A command.
#[derive(Debug, Serialize)]
struct CommandView {
    line: u32,
    command: String,
    /// What became of it.
    became: Became,
    /// The number of its step in the plan, from 1; null where it has none.
    step: Option<usize>,
    /// The reason, where it is left out or not understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Became {
    /// A step of the plan.
    Step,
    /// Left out, with a reason.
    LeftOut,
    /// Of a tab that is not chosen.
    NotChosen,
    /// Not understood, so that the verdict cannot be a pass.
    NotUnderstood,
}

/// Something that a reader cannot follow.
#[derive(Debug, Serialize)]
struct ProblemView {
    file: String,
    line: u32,
    text: String,
}

/// How many commands came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Counts {
    /// Of all blocks.
    commands: usize,
    /// Steps of the plan.
    steps: usize,
    /// Left out, with a reason.
    left_out: usize,
    /// Of tabs that are not chosen.
    not_chosen: usize,
    /// Not understood.
    not_understood: usize,
}

/// Prints the guide.
///
/// # Errors
/// Something that was typed does not exist.
pub(crate) fn run(arguments: &GuideArguments, context: &CliContext, out: &mut Output) -> anyhow::Result<ExitCode> {
    let release = arguments.source.open(context)?;
    let layout = release.layout(arguments.choice.layout.as_deref()).map_err(Usage::new)?;
    let offer = arguments.choice.choose(&release, &layout)?;
    let mut options = Options {
        variant: offer.variant,
        provider: offer.provider,
        layout: arguments.choice.layout.clone(),
        ..Options::default()
    };
    let plan = drawn(context, &release, &mut options)?;
    let book = GuideBook::open(release.tree.as_ref(), &layout, release.tag.as_ref()).map_err(Usage::new)?;
    let view = GuideView::of(&book, &plan);
    match arguments.output {
        Form::Text => out.say(fmt::from_fn(|words| print(&view, words))),
        Form::Json => out.json(&view)?,
    }
    Ok(ExitCode::Passed)
}

impl GuideView {
    fn of(book: &GuideBook, plan: &Plan) -> Self {
        let chosen: Vec<usize> = plan
            .steps
            .iter()
            .chain(&plan.cleanup)
            .filter_map(|step| step.origin)
            .map(|origin| origin.block)
            .collect();
        let mut counts = Counts::default();
        let blocks = book
            .blocks
            .iter()
            .map(|block| {
                let is_chosen = chosen.contains(&block.number);
                let commands = commands(block, plan, is_chosen);
                for command in &commands {
                    counts.commands += 1;
                    *match command.became {
                        Became::Step => &mut counts.steps,
                        Became::LeftOut => &mut counts.left_out,
                        Became::NotChosen => &mut counts.not_chosen,
                        Became::NotUnderstood => &mut counts.not_understood,
                    } += 1;
                }
                BlockView {
                    file: block.at.file.clone(),
                    line: block.at.line,
                    section: block.at.section.clone(),
                    tabs: block.tabs.clone(),
                    role: role(block.role),
                    chosen: is_chosen,
                    commands,
                }
            })
            .collect();
        Self {
            guide_version: GUIDE_VERSION,
            subject: plan.subject.sentence(),
            file: book.file.to_string(),
            blocks,
            problems: book
                .problems
                .iter()
                .map(|problem| ProblemView {
                    file: problem.at.file.clone(),
                    line: problem.at.line,
                    text: problem.raw.clone(),
                })
                .collect(),
            counts,
        }
    }
}

fn commands(block: &Block, plan: &Plan, is_chosen: bool) -> Vec<CommandView> {
    let view = |(number, command): (usize, &crate::guide::Command)| {
        let origin = Origin {
            block: block.number,
            command: number,
        };
        // A cleanup that is left out has its own steps, which are never carried out.
        let step = (1..).zip(&plan.steps).find(|(_, step)| step.origin == Some(origin));
        let (became, why) = match step.map(|(_, step)| &step.action) {
            Some(Action::LeftOut { why }) => (Became::LeftOut, Some(why.clone())),
            Some(Action::Unsupported { why }) => (Became::NotUnderstood, Some(why.clone())),
            Some(_) => (Became::Step, None),
            None if !is_chosen => (Became::NotChosen, None),
            None => {
                let of_block = block.left_out.clone().or_else(|| match block.role {
                    Role::Cleanup => Some("a run removes everything that it made itself".to_owned()),
                    _ => None,
                });
                match (of_block, &command.body) {
                    (Some(why), _) => (Became::LeftOut, Some(why)),
                    (None, Body::Branches(_)) => (Became::NotChosen, None),
                    (None, Body::NotUnderstood(why)) => (Became::NotUnderstood, Some(why.clone())),
                    (None, Body::Pipeline(_) | Body::Fails(_)) => {
                        (Became::NotUnderstood, Some("no step covers it".to_owned()))
                    }
                }
            }
        };
        CommandView {
            line: command.at.line,
            command: command.raw.clone(),
            became,
            step: step.filter(|_| became == Became::Step).map(|(number, _)| number),
            why,
        }
    };
    block.commands.iter().enumerate().map(view).collect()
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Step => "step",
        Role::Optional => "optional",
        Role::Prerequisite => "prerequisite",
        Role::Cleanup => "cleanup",
    }
}

fn print(view: &GuideView, out: &mut dyn Write) -> fmt::Result {
    writeln!(out, "{}", view.subject)?;
    for block in &view.blocks {
        let tabs: Vec<String> = block.tabs.iter().map(|tab| format!(" [{tab}]")).collect();
        let tabs = tabs.concat();
        let aside = match block.role {
            "step" => String::new(),
            role => format!(" ({role})"),
        };
        writeln!(out, "\n{}:{}  {}{tabs}{aside}", block.file, block.line, block.section)?;
        for command in &block.commands {
            let became = match (command.became, command.step) {
                (Became::Step, Some(number)) => format!("step {number}"),
                (Became::Step, None) => "step".to_owned(),
                (Became::LeftOut, _) => "left out".to_owned(),
                (Became::NotChosen, _) => "not chosen".to_owned(),
                (Became::NotUnderstood, _) => "not understood".to_owned(),
            };
            writeln!(out, "{:>6}  {became:<14}  {}", command.line, command.command)?;
            if let Some(why) = &command.why {
                writeln!(out, "{:>6}  {:<14}  {why}", "", "")?;
            }
        }
    }
    for problem in &view.problems {
        writeln!(
            out,
            "\n{}:{}  cannot be followed: {}",
            problem.file, problem.line, problem.text
        )?;
    }
    let counts = &view.counts;
    writeln!(
        out,
        "\n{} commands: {} are steps, {} left out, {} not chosen, {} not understood",
        counts.commands, counts.steps, counts.left_out, counts.not_chosen, counts.not_understood
    )
}
