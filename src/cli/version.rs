//! `quickproof version`: which quickproof this is, for people and for scripts.

use clap::{Args, ValueEnum};

use crate::{cli::Output, record::RECORD_VERSION, verdict::ExitCode};

/// The commit that it was built from, and that commit's date; `None` where whoever built it did not say, as the files may have been
/// changed since.
const COMMIT: Option<&str> = option_env!("QUICKPROOF_COMMIT");
const DATE: Option<&str> = option_env!("QUICKPROOF_DATE");

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
    /// An object with `quickproof`, `commit` and its `date` (`null` where it was not built from a commit as it is), `target`,
    /// `data` (the digest of the scenarios, recipes and layouts in it), and `record_version`, that of the JSON report's form
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
        Form::Json => out.json(&serde_json::json!({
            "quickproof": version,
            "commit": COMMIT.filter(|commit| !commit.is_empty()),
            "date": DATE.filter(|date| !date.is_empty()),
            "target": env!("QUICKPROOF_TARGET"),
            "data": env!("QUICKPROOF_DATA"),
            "record_version": RECORD_VERSION,
        }))?,
    }
    Ok(ExitCode::Passed)
}
