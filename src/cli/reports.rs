//! Where a run's reports go: the arguments that `verify` and `probe` share.

use std::{path::PathBuf, time::Instant};

use clap::Args;

use super::{CliContext, OutputArguments, Usage};
use crate::{
    log,
    report::{Live, Outputs, OutputsError, Terminal},
    run::Run,
};

/// How many ids are tried for a run: the second is taken once in thousands of thousands of times.
const MOST_IDS: u32 = 8;

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
    /// Opens the reports of a run, before anything else is made, and the live report that names them. Where a run has its id
    /// already, it gets another.
    ///
    /// # Errors
    /// A path is not writable: a usage error that names its flag.
    pub(crate) fn open(&self, mut run: Run, context: &CliContext) -> Result<(Run, Outputs, Terminal), Usage> {
        let (junit, json) = (self.junit_file.as_deref(), self.json_file.as_deref());
        let mut opened = Outputs::open(&self.output_dir, run.id(), junit, json);
        for _ in 1..MOST_IDS {
            if !matches!(opened, Err(OutputsError::Taken { .. })) {
                break;
            }
            run = run.renamed();
            opened = Outputs::open(&self.output_dir, run.id(), junit, json);
        }
        let outputs = opened.map_err(Usage::new)?;
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
        Ok((run, outputs, terminal))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{host::Host, log::Kept, probe::Trust, run::endpoint::EndpointOrder, scenario::Selection};

    #[tokio::test]
    async fn a_run_whose_id_another_has_gets_the_next() {
        let order = EndpointOrder {
            base: "http://127.0.0.1:9".to_owned(),
            model: None,
            adapter: None,
            headers: Vec::new(),
            scenarios: Selection::default(),
            limit: Duration::from_secs(5),
            wait: Duration::ZERO,
            trust: Trust::Machine,
            command: String::new(),
        };
        let (host, command) = (Host::with_variables([]), String::new());
        let context = CliContext::new(host.clone(), OutputArguments::default(), command, Kept::Nowhere).unwrap();
        let run = Run::of_endpoint(host, order).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let arguments = ReportArguments {
            output_dir: directory.path().to_owned(),
            junit_file: None,
            json_file: None,
        };
        let first = run.id().to_owned();
        std::fs::create_dir(directory.path().join(&first)).unwrap();
        let (run, outputs, _) = arguments.open(run, &context).unwrap();
        assert_eq!(outputs.directory(), directory.path().join(run.id()));
        assert!(run.id() != first && run.id().len() == 8);
        assert_eq!(std::fs::read_dir(directory.path().join(first)).unwrap().count(), 0);
    }
}
