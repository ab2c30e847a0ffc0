//! `quickproof lint`: what is wrong with a release's files and guide, known without a cluster.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use clap::{Args, ValueEnum};

use crate::{
    cli::{CliContext, Output, Usage, block_on, source::SourceArguments},
    host::files,
    lint::{self, Rendered, Severity, Suppressions},
    run,
    verdict::ExitCode,
};

mod render;
mod server;
mod text;

/// Find what is wrong with a release's files and guide, without a cluster.
///
/// All variants and providers that the guide offers are looked at, at once. The exit code is 1 where something is found
/// that is as bad as `--fail-on` says or worse, else 0. A rule that cannot decide says so and fails nothing. With
/// `--server` an API server is asked too, by dry runs that store nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  quickproof lint --tree .\n  quickproof lint --tree . --release v1.5.0 --fail-on drift -o json\n  quickproof lint --tree . --server --cluster kind-demo\n  quickproof lint --rules"
)]
pub(crate) struct LintArguments {
    #[command(flatten)]
    source: SourceArguments,
    /// How the release lays its guide out; without it the tag says so
    #[arg(long, value_name = "NAME")]
    layout: Option<String>,
    /// From which severity on the exit code is 1
    #[arg(long, value_name = "SEVERITY", default_value = "break")]
    fail_on: Threshold,
    /// How to say it
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,
    /// A file of findings that are meant to be: a YAML list of `code`, `file`, `reason` and perhaps `message`
    #[arg(long, value_name = "FILE")]
    suppressions: Option<PathBuf>,
    /// Do not render charts, even where helm is there
    #[arg(long)]
    no_helm: bool,
    /// Also ask the API server of `--cluster` about every object that the guide applies, by dry runs
    #[arg(long, requires = "cluster")]
    server: bool,
    /// The cluster that `--server` asks, by the name of its kubeconfig context; `current` is the current one, `in-cluster` that of
    /// this pod
    #[arg(long, visible_alias = "context", value_name = "CONTEXT", requires = "server")]
    cluster: Option<String>,
    /// The kubeconfig file that knows the cluster; without it `KUBECONFIG` and then `~/.kube/config`
    #[arg(long, value_name = "FILE", requires = "cluster")]
    kubeconfig: Option<PathBuf>,
    /// List the rules, and look at no release
    #[arg(long, conflicts_with_all = ["release", "tree", "repository", "layout", "suppressions", "no_helm", "server"])]
    rules: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Threshold {
    /// A documented step fails for someone today
    Break,
    /// A documented step works until something floating moves
    BreakLater,
    /// Something documented does not work, and the quickstart does all the same
    Degraded,
    /// Unpinned or inconsistent
    Drift,
    /// Untidy
    Hygiene,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a person: each finding with its line, what proves it, and the way out
    Text,
    /// An array of objects with `code`, `severity`, `file`, `line`, `message`, and where they say something `column`, `variant`, `provider`; what is undecided has that severity
    Json,
    /// SARIF 2.1.0, for code scanners
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

impl Threshold {
    fn severity(self) -> Severity {
        match self {
            Self::Break => Severity::Break,
            Self::BreakLater => Severity::BreakLater,
            Self::Degraded => Severity::Degraded,
            Self::Drift => Severity::Drift,
            Self::Hygiene => Severity::Hygiene,
        }
    }
}

/// Looks at a release and prints what was found.
///
/// # Errors
/// The release or the file of suppressions cannot be read, the cluster cannot be asked.
pub(crate) fn run(arguments: &LintArguments, context: &CliContext, out: &mut Output) -> anyhow::Result<ExitCode> {
    if arguments.rules {
        list(out);
        return Ok(ExitCode::Passed);
    }
    let begun = Instant::now();
    let suppressions = arguments.suppressions.as_deref().map(read_suppressions).transpose()?;
    let release = arguments.source.open(context)?;
    let layout = release.layout(arguments.layout.as_deref()).map_err(Usage::new)?;
    let mut combinations = lint::draw(&release, &layout).map_err(Usage::new)?;
    let unbuilt = lint::unbuilt(&combinations);
    if !unbuilt.is_empty() {
        let built = block_on(run::built(&context.host, &release, unbuilt))?;
        combinations = lint::draw_built(&release, &layout, built).map_err(Usage::new)?;
    }
    let rendered = if arguments.no_helm {
        Rendered::new()
    } else {
        block_on(render::charts(&context.host, &release, &combinations))?
    };
    let mut findings = lint::examine(&release, &layout, &combinations, &rendered);
    if let Some(name) = &arguments.cluster {
        let applied = lint::applied(&combinations, &rendered);
        let asking = server::ask(&context.host, name, arguments.kubeconfig.as_deref(), &applied);
        findings = findings.with_server(name, &combinations, block_on(asking)??);
    }
    if let Some(suppressions) = &suppressions {
        findings = findings.without(suppressions);
    }
    match arguments.output {
        Form::Text => {
            let look = context.output.look_of_output(&context.host);
            let summary = text::Summary {
                combinations: &combinations,
                took: begun.elapsed(),
                verbosity: context.output.verbosity(),
            };
            text::print(&findings, &release, &summary, look, out);
        }
        Form::Json => out.json(&lint::json(&findings))?,
        Form::Sarif => out.json(&lint::sarif(&findings))?,
        Form::Github => lint::annotations(&findings)
            .iter()
            .for_each(|annotation| out.annotation(annotation)),
    }
    let threshold = arguments.fail_on.severity();
    let fails = findings.diagnostics.iter().any(|found| found.severity >= threshold);
    Ok(if fails { ExitCode::Failed } else { ExitCode::Passed })
}

/// The most bytes of a file of suppressions.
const MOST_SUPPRESSIONS: u64 = 4 << 20;

fn read_suppressions(path: &Path) -> Result<Suppressions, Usage> {
    let name = path.display().to_string();
    let bytes = files::read(path, MOST_SUPPRESSIONS).map_err(|error| {
        Usage::new(anyhow::Error::new(error).context("cannot read the suppressions (`--suppressions`)"))
    })?;
    Suppressions::read(&name, &bytes).map_err(Usage::new)
}

/// Prints every rule: family by family, code and severity, then what it is about.
fn list(out: &mut Output) {
    let width = lint::known_rules().map(|rule| rule.code.len()).max().unwrap_or(0);
    for rule in lint::known_rules() {
        let about = rule.first_sentence().trim_end_matches('.');
        out.say(format_args!(
            "{:width$}  {:<11}  {about}",
            rule.code,
            rule.severity.word()
        ));
    }
}
