//! Where a run's reports go: the arguments that `verify` and `probe` share.

use std::{path::PathBuf, time::Instant};

use clap::Args;

use super::{CliContext, OutputArguments, Usage};
use crate::{
    log,
    report::{Live, Outputs, Terminal},
};

/// Where a run's reports go.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReportArguments {
    /// Where each run gets a directory of its own: log, journal, text, JUnit and JSON reports
    #[arg(
        long,
        value_name = "DIR",
        default_value = "quickproof-runs",
        help_heading = "Reports"
    )]
    pub(crate) output_dir: PathBuf,
    /// Write the JUnit report there too; `-` is standard output
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub(crate) junit_file: Option<PathBuf>,
    /// Write the JSON report there too; `-` is standard output
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub(crate) json_file: Option<PathBuf>,
}

impl ReportArguments {
    /// Opens the reports of run `id`, before anything else is made, and the live report that names them.
    ///
    /// # Errors
    /// A path is not writable: a usage error that names its flag.
    pub(crate) fn open(&self, id: &str, context: &CliContext) -> Result<(Outputs, Terminal), Usage> {
        let (junit, json) = (self.junit_file.as_deref(), self.json_file.as_deref());
        let outputs = Outputs::open(&self.output_dir, id, junit, json).map_err(Usage::new)?;
        context.log.write_to(&outputs.directory().join(log::FILE_NAME));
        let live = Live {
            look: context.output.look(&context.host),
            medium: OutputArguments::medium(&context.host),
            verbosity: context.output.verbosity(),
            reports: outputs.paths(),
        };
        let started = Instant::now();
        let clock = Box::new(move || started.elapsed());
        let terminal = Terminal::new(context.console.clone(), live, clock);
        Ok((outputs, terminal))
    }
}
