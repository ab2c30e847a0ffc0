//! `quickproof report`: the reports of a run that is over, made again from its journal.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{
    cli::{CliContext, Output, Usage},
    record::{Journal, RunRecord},
    report::{JOURNAL_FILE, Outputs, Text},
    verdict::ExitCode,
};

/// Make the reports of a run again from its journal, such as after `kill -9`.
///
/// The journal has each event at once, the reports follow it: those of a run that was killed may be some checks behind. The
/// text report is printed, and all are written into the run's directory. The exit code is the run's.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  quickproof report quickproof-runs/7f3a")]
pub(crate) struct ReportArguments {
    /// The run's directory
    #[arg(value_name = "RUN")]
    directory: PathBuf,
}

/// Makes them, and prints the text report.
///
/// # Errors
/// It is no run's directory, its run goes on, or the reports cannot be written.
pub(crate) fn run(arguments: &ReportArguments, context: &CliContext, out: &mut Output) -> anyhow::Result<ExitCode> {
    let path = arguments.directory.join(JOURNAL_FILE);
    let way_out = || format!("give the directory of a run that is over, which has a `{JOURNAL_FILE}`");
    let journaled =
        Journal::read_of_ended_run(&path).map_err(|error| Usage::new(anyhow::Error::new(error).context(way_out())))?;
    let redactor = context.redactor();
    let mut record = RunRecord::of_run(&name_of(&arguments.directory));
    for event in journaled.events {
        record.fold(&redactor.event(event));
    }
    if journaled.cut > 0 {
        let bytes = journaled.cut;
        context.tell(&[format!(
            "the last line of the journal was cut off ({bytes} bytes), and is left out"
        )]);
    }
    let reports = Outputs::again(&arguments.directory, &record)?;
    out.report(&Text, &record)?;
    context.tell(
        &reports
            .iter()
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>(),
    );
    Ok(record.exit_code())
}

/// The run's id, which names its directory.
fn name_of(directory: &Path) -> String {
    let real = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    real.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
