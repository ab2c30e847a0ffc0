//! `quickproof merge`: the runs of many machines added up to one report.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use crate::{
    cli::{CliContext, Usage, block_on, reports::ReportArguments},
    host::{Signals, files},
    merge::{Lanes, WantedLane},
    run::Run,
    verdict::ExitCode,
};

/// Add the runs of many machines up to one report, each lane with its verdict.
///
/// A lane is one variant of a model server on one gateway provider. The report and the exit code are those of a run that passes where
/// every lane passed. A directory that is no run's, one whose record is broken, and a run that was interrupted are named, and
/// none of them passes.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  quickproof merge quickproof-runs\n  quickproof plan --lanes --tree . -o json > lanes.json\n  quickproof merge --lanes lanes.json node-1/ node-2/ node-3/"
)]
pub(crate) struct MergeArguments {
    /// A run's directory, or one in which runs are, however deep
    #[arg(value_name = "DIR", required = true)]
    directories: Vec<PathBuf>,
    /// The lanes that must be there, as `plan --lanes -o json` wrote them: one of which there is no run does not pass
    #[arg(long, value_name = "FILE")]
    lanes: Option<PathBuf>,
    #[command(flatten)]
    reports: ReportArguments,
}

/// What `plan --lanes -o json` wrote.
#[derive(Debug, Deserialize)]
struct LanesFile {
    lanes_version: u32,
    tag: Option<String>,
    lanes: Vec<LaneOfFile>,
    #[serde(default)]
    unplanned: Vec<LaneOfFile>,
}

#[derive(Debug, Deserialize)]
struct LaneOfFile {
    variant: String,
    provider: String,
    /// Why it cannot be planned, where it cannot.
    why: Option<String>,
}

/// Does it.
///
/// # Errors
/// The file of lanes cannot be read, or the report cannot be written.
pub(crate) fn run(arguments: &MergeArguments, context: &CliContext) -> anyhow::Result<ExitCode> {
    let wanted = arguments.wanted()?;
    let lanes = Lanes::read(&arguments.directories, &wanted);
    block_on(carry_out(lanes, &arguments.reports, context))?
}

/// Writes and tells the report of lanes that were run.
///
/// # Errors
/// The report cannot be written.
pub(super) async fn carry_out(
    lanes: Lanes,
    reports: &ReportArguments,
    context: &CliContext,
) -> anyhow::Result<ExitCode> {
    let run = Run::of_lanes(context.host.clone(), lanes, context.command.clone());
    let (run, outputs, live) = reports.open(run, context)?;
    let ended = Box::pin(run.carry_out(outputs, Box::new(live))).await;
    Signals::end_the_process();
    Ok(ended.map_err(Usage::new)?.exit_code())
}

impl MergeArguments {
    /// The lanes that must be there.
    fn wanted(&self) -> Result<Vec<WantedLane>, Usage> {
        let Some(path) = &self.lanes else {
            return Ok(Vec::new());
        };
        let unreadable = |error: String| {
            let way_out = "give what `quickproof plan --lanes -o json` wrote";
            Usage::new(anyhow::anyhow!("cannot read `{}`: {error}; {way_out}", path.display()))
        };
        let text = files::read_json(path).map_err(|error| unreadable(error.to_string()))?;
        let file: LanesFile = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        if file.lanes_version != super::plan::LANES_VERSION {
            return Err(unreadable(format!("it has version {}", file.lanes_version)));
        }
        if file.lanes.is_empty() {
            return Err(unreadable("it names no lane".to_owned()));
        }
        let lanes = file.lanes.into_iter().chain(file.unplanned);
        let lanes = lanes.map(|lane| WantedLane {
            tag: file.tag.clone(),
            variant: lane.variant,
            provider: lane.provider,
            why_not: lane.why,
        });
        Ok(lanes.collect())
    }
}
