//! `quickproof version`: which quickproof this is, for people and for scripts.

use clap::{Args, ValueEnum};

use crate::{cli::Output, record::RECORD_VERSION, verdict::ExitCode};

/// Say which version this is.
#[derive(Debug, Args)]
pub(crate) struct VersionArguments {
    /// How to say it
    #[arg(short, long, value_name = "FORM", default_value = "text")]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// One line
    Text,
    /// An object with `quickproof` and `record_version`, the version of the JSON report's form
    Json,
}

/// Prints the version.
///
/// # Errors
/// None.
pub(crate) fn run(arguments: &VersionArguments, out: &mut Output) -> anyhow::Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    match arguments.output {
        Form::Text => out.say(format_args!("quickproof {version}")),
        Form::Json => out.json(&serde_json::json!({ "quickproof": version, "record_version": RECORD_VERSION }))?,
    }
    Ok(ExitCode::Passed)
}
