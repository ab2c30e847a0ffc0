//! `quickproof completions` and `quickproof man`: what a shell and `man` know of the command line, made from its definition.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::{
    cli::{CliContext, Output, Usage},
    verdict::ExitCode,
};

/// Print what a shell needs to complete the command line.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  quickproof completions bash > ~/.local/share/bash-completion/completions/quickproof"
)]
pub(crate) struct CompletionsArguments {
    /// Which shell
    shell: Shell,
}

/// Write the manual pages, one for each subcommand.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  quickproof man ~/.local/share/man/man1")]
pub(crate) struct ManArguments {
    /// The directory for them; it is made where it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Prints the completions.
///
/// # Errors
/// None.
pub(crate) fn completions(arguments: &CompletionsArguments, command: Command, out: &mut Output) -> ExitCode {
    out.completions(arguments.shell, command);
    ExitCode::Passed
}

/// Writes the pages.
///
/// # Errors
/// The directory cannot be written: a usage error.
pub(crate) fn man(arguments: &ManArguments, command: Command, context: &CliContext) -> anyhow::Result<ExitCode> {
    let directory = &arguments.directory;
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(command, directory))
        .map_err(|error| {
            let sentence = format!(
                "cannot write manual pages to `{}`; name another directory",
                directory.display()
            );
            Usage::new(anyhow::Error::new(error).context(sentence))
        })?;
    context.tell(&[format!("manual pages are in {}", directory.display())]);
    Ok(ExitCode::Passed)
}
