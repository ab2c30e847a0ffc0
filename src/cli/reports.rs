//! Where a run's reports go: the arguments that `verify` and `probe` share.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;

use super::{CliContext, OutputArguments, Usage, prow::ProwJob};
use crate::{
    log,
    report::{Copies, Live, Outputs, OutputsError, Terminal},
    run::Run,
};

/// How many ids are tried for a run: the second is taken once in thousands of thousands of times.
const MOST_IDS: u32 = 8;

/// Where a run's reports go.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReportArguments {
    /// Where each run gets a directory of its own: log, journal, text, JUnit and JSON reports. Without it `quickproof-runs`, and
    /// in a Prow job `$ARTIFACTS`
    #[arg(long, value_name = "DIR", help_heading = "Reports")]
    pub(crate) output_dir: Option<PathBuf>,
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
        let job = ProwJob::of(&context.host);
        let metadata = job.as_ref().map(ProwJob::metadata);
        let copies = Copies {
            junit: self.junit_file.as_deref(),
            json: self.json_file.as_deref(),
            metadata: metadata.as_deref(),
        };
        let base = self.base(job.as_ref());
        let mut opened = Outputs::open(base, run.id(), copies);
        for _ in 1..MOST_IDS {
            if !matches!(opened, Err(OutputsError::Taken { .. })) {
                break;
            }
            run = run.renamed();
            opened = Outputs::open(base, run.id(), copies);
        }
        let outputs = opened.map_err(Usage::new)?;
        if let Some((path, address)) = job.and_then(|job| job.link_to(outputs.directory())) {
            // A page without the link is as good as one with it: the report is among the artifacts.
            if let Err(error) = fs::write(&path, address) {
                context.tell(&[format!("there is no link to the report: `{}`: {error}", path.display())]);
            }
        }
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

    /// Where the run's directory is made.
    fn base<'a>(&'a self, job: Option<&'a ProwJob>) -> &'a Path {
        let given = self.output_dir.as_deref();
        given
            .or_else(|| job.map(|job| job.artifacts.as_path()))
            .unwrap_or(Path::new("quickproof-runs"))
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
            output_dir: Some(directory.path().to_owned()),
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
