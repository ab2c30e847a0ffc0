//! The command line: what was typed, what is meant by it, and what becomes of it in `$?`.
//!
//! One file a subcommand. Nothing here knows how a run is done. What costs start-up time (an async runtime, embedded
//! files) is begun by the subcommand that needs it, not before.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    ffi::OsString,
    fmt::Write as _,
    io,
    panic::{self, AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use tokio::time::Instant;

use crate::{
    host::{Host, Signals},
    log::{self, Kept, Log, OnStandardError},
    record::{Event, Events},
    redact::Redactor,
    report::{Colours, Console, Glyphs, Line, Look, Medium, Tone, Verbosity},
    run::OrderError,
    verdict::ExitCode,
};

pub(crate) mod cluster;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod guide;
pub(crate) mod images;
pub(crate) mod lint;
pub(crate) mod merge;
mod output;
mod pages;
pub mod plan;
pub(crate) mod probe;
mod prow;
pub(crate) mod reap;
pub(crate) mod report;
pub(crate) mod reports;
pub(crate) mod scenario;
pub(crate) mod selftest;
pub(crate) mod source;
mod typed;
pub(crate) mod verify;
pub(crate) mod version;

use output::Output;

/// Carries out a release's own quickstart guide on a real cluster and says pass or fail.
///
/// quickproof takes a release tag of Gateway API Inference Extension, reads the quickstart guide of that tag, does on a
/// real cluster what the guide says, command by command, and proves that what came of it works. A pass, a failure of the
/// release, and trouble of the machine it ran on are three different things, and have three different exit codes.
#[derive(Debug, Parser)]
#[command(name = "quickproof", version, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: OutputArguments,
}

/// The subcommands: one line each, in the order of the help.
#[derive(Debug, Subcommand)]
enum Command {
    Verify(Box<verify::VerifyArguments>),
    Plan(Box<plan::PlanArguments>),
    Guide(Box<guide::GuideArguments>),
    Diff(diff::DiffArguments),
    Lint(Box<lint::LintArguments>),
    Probe(Box<probe::ProbeArguments>),
    Scenario(scenario::ScenarioCommand),
    Selftest(Box<selftest::SelftestArguments>),
    Images(images::ImagesCommand),
    /// Make, list and delete kind clusters of our own
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// Remove what killed runs left behind
    Reap(reap::ReapArguments),
    Report(report::ReportArguments),
    Merge(Box<merge::MergeArguments>),
    Explain(explain::ExplainArguments),
    Version(version::VersionArguments),
    Completions(pages::CompletionsArguments),
    Man(pages::ManArguments),
}

/// How output looks, whatever the subcommand.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArguments {
    /// When to use colours. `NO_COLOR` and `CLICOLOR_FORCE` are heeded by `auto`
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: When,
    /// Show evidence, headers and bodies in full; given twice (`-vv`), also what is done when, as `run.log` has it.
    /// `QUICKPROOF_LOG` says what of it: `debug`, `quickproof::host=trace`
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Show only what does not hold, and the last block
    #[arg(short, long, global = true)]
    quiet: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum When {
    /// On a terminal that wants them
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What every subcommand is given: the machine, how output looks, the command line, the log.
#[derive(Debug, Clone)]
pub(crate) struct CliContext {
    /// The machine.
    pub(crate) host: Host,
    /// How output looks.
    pub(crate) output: OutputArguments,
    /// The command line as one would type it again, without what headers hold; not redacted yet.
    pub(crate) command: String,
    /// Standard error, for what is told while a run goes on.
    pub(crate) console: Console,
    /// The log, which a run writes into its directory.
    pub(crate) log: Log,
}

/// An error in what was typed, or in an input that it names: exit code 2, and nothing was made.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub(crate) struct Usage(anyhow::Error);

impl CliContext {
    /// Begins the log, as it is asked for.
    ///
    /// # Errors
    /// The filter of [`log::VARIABLE`] cannot be read.
    fn new(host: Host, output: OutputArguments, command: String, kept: Kept) -> Result<Self, Usage> {
        let on_standard_error = match host.variable(log::VARIABLE) {
            Some(filter) => OnStandardError::Filtered(filter),
            None if output.verbose > 1 => OnStandardError::Usual,
            None => OnStandardError::Nothing,
        };
        let console = Console::new(io::stderr(), host.redactor().clone());
        let told = console.clone();
        let tell = move |line: &str| told.say(line);
        let log = log::begin(on_standard_error, kept, host.redactor(), tell).map_err(Usage::new)?;
        Ok(Self {
            host,
            output,
            command,
            console,
            log,
        })
    }

    /// What takes secrets out of everything that is said: it knows those of the environment, and what it learns the log
    /// knows too.
    pub(crate) fn redactor(&self) -> Redactor {
        self.host.redactor().clone()
    }

    /// Tells an error that does not end the program, as the one that does is told.
    fn tell_error(&self, error: &anyhow::Error) {
        self.console.say(format_args!("error: {error:#}"));
    }

    /// Tells sentences on standard error, unless it is to be quiet.
    fn tell(&self, notes: &[String]) {
        if self.output.verbosity() == Verbosity::Quiet {
            return;
        }
        for note in notes {
            self.console.say(note);
        }
    }
}

impl Usage {
    /// A usage error; its message ends with the way out.
    pub(crate) fn new(error: impl Into<anyhow::Error>) -> Self {
        Self(error.into())
    }
}

/// Why a run cannot begin: an error of use, or one of this machine and the network.
fn cannot_begin(error: OrderError) -> anyhow::Error {
    match error.exit_code() {
        ExitCode::Usage => Usage::new(error).into(),
        _ => error.into(),
    }
}

impl Command {
    /// Whether it is a run, which has a directory.
    fn keeps_log(&self) -> Kept {
        match self {
            Self::Verify(_) | Self::Probe(_) | Self::Merge(_) => Kept::InFile,
            _ => Kept::Nowhere,
        }
    }

    fn run(self, context: &CliContext, out: &mut Output) -> anyhow::Result<ExitCode> {
        match self {
            Self::Verify(arguments) => verify::run(&arguments, context),
            Self::Images(command) => block_on(until_signalled(context, command.run(context, out)))?,
            Self::Cluster(command) => block_on(telling_progress(context, Duration::ZERO, async |events| {
                cluster::run(&context.host, &command, events, out).await
            }))?,
            Self::Reap(arguments) => {
                let reaped = block_on(telling_progress(context, Duration::ZERO, async |events| {
                    reap::run(&context.host, &arguments, events, out).await
                }))??;
                Ok(match reaped {
                    reap::Cleanness::LeftBehind => ExitCode::LeftBehind,
                    reap::Cleanness::Clean => ExitCode::Passed,
                })
            }
            Self::Plan(arguments) => plan::run(*arguments, context, out),
            Self::Guide(arguments) => guide::run(&arguments, context, out),
            Self::Diff(arguments) => diff::run(&arguments, out),
            Self::Lint(arguments) => lint::run(&arguments, context, out),
            Self::Probe(arguments) => probe::run(&arguments, context, out),
            Self::Scenario(command) => scenario::run(&command, context, out),
            Self::Selftest(arguments) => selftest::run(&arguments, context, out),
            Self::Report(arguments) => report::run(&arguments, context, out),
            Self::Merge(arguments) => merge::run(&arguments, context),
            Self::Explain(arguments) => explain::run(&arguments, out),
            Self::Version(arguments) => version::run(&arguments, out),
            Self::Completions(arguments) => Ok(pages::completions(&arguments, command_line(), out)),
            Self::Man(arguments) => pages::man(&arguments, command_line(), context),
        }
    }
}

/// Runs a future to its end on a runtime of its own; subcommands that need none do not pay for one.
fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let output = runtime.block_on(future);
    // Children are ended meanwhile; what blocks (a disk, a pipe) must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(output)
}

/// Does work of which what is done stays, up to its end or a signal; children of this process end with it.
async fn until_signalled(
    context: &CliContext,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<ExitCode> {
    let signals = Signals::listen();
    tokio::select! {
        biased;
        signal = signals.after(0) => {
            context.console.say(format_args!("ended by {signal}: what was made is kept, and the next time goes on from there"));
            Ok(ExitCode::of_signal(signal))
        }
        done = work => done.map(|()| ExitCode::Passed),
    }
}

/// Does the work of a subcommand that is not a run, and tells on standard error what it notes and what it waits for. A wait
/// is told where something of it changed, and no more often than `between`.
async fn telling_progress<T>(context: &CliContext, between: Duration, work: impl AsyncFnOnce(&Events) -> T) -> T {
    let look = context.output.look(&context.host);
    let (events, mut heard) = Events::channel();
    let telling = async {
        let (mut last, mut waited) = (String::new(), Instant::now());
        while let Some(event) = heard.recv().await {
            let line = match event {
                Event::Noted { sentence, .. } => sentence,
                Event::Waiting { on, seen, .. } if waited.elapsed() >= between => {
                    waited = Instant::now();
                    if seen.is_empty() { on } else { format!("{on}: {seen}") }
                }
                _ => continue,
            };
            if line != last {
                context.console.paint(&look, &Line::indented(0).with(Tone::Dim, &line));
                last = line;
            }
        }
    };
    let working = async {
        let done = work(&events).await;
        drop(events);
        done
    };
    tokio::join!(working, telling).0
}

/// Parses the command line of this process, does what it says, and returns what `$?` shall be.
pub fn main() -> std::process::ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let host = Host::real();
    typed::learn(&typed, host.redactor());
    let console = Console::new(io::stderr(), host.redactor().clone());
    let arguments = match parse(&typed) {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            typed::learn_misplaced(&typed, host.redactor());
            console.say(error.render().to_string().trim_end());
            return ExitCode::Usage.into();
        }
        Err(help) => {
            // Whoever closed the pipe of `--help` has read enough.
            let _ = help.print();
            return ExitCode::Passed.into();
        }
    };
    let command = arguments.command;
    let context = CliContext::new(host, arguments.output, typed::command_line(&typed), command.keeps_log());
    let context = match context {
        Ok(context) => context,
        Err(error) => return exit_code_of(&error.into(), &console).into(),
    };
    tell_panics_on(context.console.clone());
    let mut out = Output::to(io::stdout(), context.redactor());
    // A panic has said what it is on standard error; what remains is to end with a code that is in the table.
    let ended = catch_unwind(AssertUnwindSafe(|| command.run(&context, &mut out)));
    let code = ended.map_or(ExitCode::Errored, |result| {
        result.unwrap_or_else(|error| exit_code_of(&error, &context.console))
    });
    // From here on the code stands; only a pass that nobody could be given is none.
    match out.end() {
        None => code,
        Some(error) => {
            context.tell_error(&anyhow::Error::new(error).context("cannot write standard output"));
            output::without_output(code)
        }
    }
    .into()
}

/// Says what panics, as everything else is said: its words may be those of others.
fn tell_panics_on(console: Console) {
    panic::set_hook(Box::new(move |panicked| {
        console.say(panicked);
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            console.say(backtrace);
        }
    }));
}

/// The definition of the command line; the exit codes in its help come from [`ExitCode`].
fn command_line() -> clap::Command {
    let codes = exit_codes();
    Arguments::command()
        .mut_subcommand("verify", |verify| {
            let examples_and_codes = format!("{}\n\n{codes}", verify::EXAMPLES);
            verify.after_help(codes.clone()).after_long_help(examples_and_codes)
        })
        .after_help(codes)
}

/// What was typed, as clap sees it.
fn parse(typed: &[OsString]) -> Result<Arguments, clap::Error> {
    Arguments::from_arg_matches(&command_line().try_get_matches_from(typed)?)
}

/// Tells an error in one line, and returns its exit code.
fn exit_code_of(error: &anyhow::Error, console: &Console) -> ExitCode {
    console.say(format_args!("error: {error:#}"));
    if error.chain().any(<dyn std::error::Error>::is::<Usage>) {
        ExitCode::Usage
    } else {
        ExitCode::Errored
    }
}

fn exit_codes() -> String {
    let mut table = String::from("Exit codes:\n");
    for code in ExitCode::ALL {
        let _ = writeln!(table, "  {:>3}  {}", code.number(), code.sentence());
    }
    table
}

impl OutputArguments {
    /// How much is printed.
    pub(crate) fn verbosity(self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 1..) => Verbosity::Verbose,
            (false, 0) => Verbosity::Normal,
        }
    }

    /// Where live lines go: they go to standard error.
    pub(crate) fn medium(host: &Host) -> Medium {
        if host.stderr_is_terminal() {
            Medium::Terminal
        } else {
            Medium::Log
        }
    }

    /// How lines on standard error look.
    pub(crate) fn look(self, host: &Host) -> Look {
        let medium = Self::medium(host);
        Look {
            colours: self.colours(host, medium),
            glyphs: if host.speaks_utf8() {
                Glyphs::Unicode
            } else {
                Glyphs::Ascii
            },
            columns: match medium {
                Medium::Terminal => Host::stderr_columns,
                Medium::Log => || None,
            },
        }
    }

    /// How lines on standard output look.
    pub(crate) fn look_of_output(self, host: &Host) -> Look {
        let medium = if host.stdout_is_terminal() {
            Medium::Terminal
        } else {
            Medium::Log
        };
        Look {
            colours: self.colours(host, medium),
            columns: match medium {
                Medium::Terminal => Host::stdout_columns,
                Medium::Log => || None,
            },
            ..self.look(host)
        }
    }

    fn colours(self, host: &Host, medium: Medium) -> Colours {
        let forced = host.variable("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let on = match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto if host.variable("NO_COLOR").is_some() => false,
            When::Auto => forced || (medium == Medium::Terminal && host.variable("CLICOLOR") != Some("0")),
        };
        if on { Colours::On } else { Colours::Off }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_holds_together() {
        Arguments::command().debug_assert();
    }

    #[rstest]
    #[case::auto_in_a_log(When::Auto, &[], Medium::Log, Colours::Off)]
    #[case::auto_on_a_terminal(When::Auto, &[], Medium::Terminal, Colours::On)]
    #[case::no_color(When::Auto, &[("NO_COLOR", "1")], Medium::Terminal, Colours::Off)]
    #[case::no_color_outweighs_force(When::Auto, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], Medium::Log, Colours::Off)]
    #[case::empty_no_color_counts_as_unset(When::Auto, &[("NO_COLOR", "")], Medium::Terminal, Colours::On)]
    #[case::forced(When::Auto, &[("CLICOLOR_FORCE", "1")], Medium::Log, Colours::On)]
    #[case::not_forced(When::Auto, &[("CLICOLOR_FORCE", "0")], Medium::Log, Colours::Off)]
    #[case::clicolor_off(When::Auto, &[("CLICOLOR", "0")], Medium::Terminal, Colours::Off)]
    #[case::the_flag_outweighs_the_environment(When::Always, &[("NO_COLOR", "1")], Medium::Log, Colours::On)]
    #[case::never(When::Never, &[("CLICOLOR_FORCE", "1")], Medium::Terminal, Colours::Off)]
    fn colours_follow_flag_then_environment_then_terminal(
        #[case] color: When,
        #[case] variables: &[(&str, &str)],
        #[case] medium: Medium,
        #[case] colours: Colours,
    ) {
        let host = match *variables {
            [] => Host::with_variables([]),
            [one] => Host::with_variables([one]),
            [one, two, ..] => Host::with_variables([one, two]),
        };
        let output = OutputArguments {
            color,
            verbose: 0,
            quiet: false,
        };
        assert_eq!(output.colours(&host, medium), colours);
    }

    #[test]
    fn errors_have_the_exit_code_of_their_kind_and_lose_their_secrets() {
        let said = tempfile::NamedTempFile::new().unwrap();
        let console = Console::new(said.reopen().unwrap(), Redactor::new());
        let usage = anyhow::Error::new(Usage::new(anyhow::anyhow!("no such tag hf_abcdefghijklmnop")));
        assert_eq!(exit_code_of(&usage, &console), ExitCode::Usage);
        let text = std::fs::read_to_string(said.path()).unwrap();
        assert_eq!(text, "error: no such tag [redacted]\n");
        let other = anyhow::anyhow!("no cluster");
        assert_eq!(exit_code_of(&other, &console), ExitCode::Errored);
        let closed = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("talking to helm");
        assert_eq!(
            exit_code_of(&closed, &console),
            ExitCode::Errored,
            "a pipe to a child or a server that breaks is an error like any other"
        );
    }
}
