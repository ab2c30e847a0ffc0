//! `quickproof scenario`: which scenarios there are, whether a file is one, and the schema for editors.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::{
    cli::{CliContext, Output, Usage},
    scenario::{self, Library, Pattern, Scenario, Selection, select},
    verdict::{ExitCode, Weight},
};

/// See, check and write scenarios: what is proven beyond the guide's own request.
#[derive(Debug, Args)]
pub(crate) struct ScenarioCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the scenarios that there are
    List {
        #[command(flatten)]
        from: FromArguments,
        /// How to say it
        #[arg(short, long, value_name = "FORM", default_value = "text")]
        output: Form,
    },
    /// Read files and say what is wrong with them
    Check {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of scenarios, for editors
    Schema,
    /// Print a scenario as its file has it, to begin one of your own with
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        from: FromArguments,
    },
}

/// Where scenarios are looked for beside those that come with quickproof.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FromArguments {
    /// A directory with scenarios of your own; one of the same name stands in for a shipped one
    #[arg(long = "scenarios", value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Which scenarios are performed.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SelectionArguments {
    /// Perform only these scenarios: a name, a regular expression for whole names, or `!` and what to leave out; may be
    /// given again. Some are performed only when they are named here: `quickproof scenario list` says which
    #[arg(long = "scenario", value_name = "PATTERN")]
    chosen: Vec<String>,
    /// Leave these scenarios out: a name or a regular expression for whole names; may be given again
    #[arg(long = "skip", value_name = "PATTERN")]
    skipped: Vec<String>,
    #[command(flatten)]
    from: FromArguments,
}

impl SelectionArguments {
    /// The scenarios that are meant, in the order of their names, and those that nobody asked for.
    ///
    /// # Errors
    /// A pattern is wrong or matches nothing, or the directory or a file in it is wrong.
    pub(crate) fn selected(&self, context: &CliContext) -> Result<Selection, Usage> {
        let chosen = self.chosen.iter().map(|text| Pattern::read(text));
        let skipped = self.skipped.iter().map(|text| Pattern::skip(text));
        let patterns: Vec<Pattern> = chosen.chain(skipped).collect::<Result<_, _>>().map_err(Usage::new)?;
        let library = self.from.library(context)?;
        select(&library.scenarios, &patterns).map_err(Usage::new)
    }
}

/// How to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A line for each
    Text,
    /// An array of objects with `name`, `proves`, `weight`, `when`, `steps` and `file`
    Json,
}

impl FromArguments {
    /// The scenarios, those of the directory in place of shipped ones; which stand in for which is told on standard error.
    ///
    /// # Errors
    /// The directory or a file in it is wrong.
    pub(crate) fn library(&self, context: &CliContext) -> Result<Library, Usage> {
        let mut library = Library::shipped().map_err(Usage::new)?;
        if let Some(directory) = &self.directory {
            library = library.with_directory(directory).map_err(Usage::new)?;
        }
        let told: Vec<String> = library.replaced.iter().map(ToString::to_string).collect();
        context.tell(&told);
        Ok(library)
    }
}

/// Does it.
///
/// # Errors
/// A file or a name is wrong.
pub(crate) fn run(command: &ScenarioCommand, context: &CliContext, out: &mut Output) -> anyhow::Result<ExitCode> {
    match &command.what {
        What::List { from, output } => list(&from.library(context)?.scenarios, *output, out)?,
        What::Check { files } => return Ok(check(files, context, out)),
        What::Schema => out.json(&scenario::schema())?,
        What::Show { name, from } => {
            let library = from.library(context)?;
            // What is asked for is a name: a pattern would not say which one is to be shown.
            let found = library.scenarios.iter().find(|scenario| scenario.name == *name);
            let found = found.ok_or_else(|| Usage::new(scenario::unknown(name, &library.scenarios)))?;
            out.say(&found.text);
        }
    }
    Ok(ExitCode::Passed)
}

fn list(scenarios: &[Scenario], form: Form, out: &mut Output) -> anyhow::Result<()> {
    match form {
        Form::Text => {
            let width = scenarios.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
            for scenario in scenarios {
                out.say(format_args!(
                    "{:width$}  {:<8}  {:<6}  {}",
                    scenario.name,
                    weight(scenario.weight),
                    scenario.when.word(),
                    scenario.proves
                ));
            }
        }
        Form::Json => {
            let scenarios: Vec<serde_json::Value> = scenarios.iter().map(in_json).collect();
            out.json(&scenarios)?;
        }
    }
    Ok(())
}

fn weight(weight: Weight) -> &'static str {
    match weight {
        Weight::Gate => "gate",
        Weight::Advisory => "advisory",
    }
}

fn in_json(scenario: &Scenario) -> serde_json::Value {
    serde_json::json!({
        "name": scenario.name,
        "proves": scenario.proves,
        "weight": weight(scenario.weight),
        "when": scenario.when.word(),
        "steps": scenario.steps.len(),
        "file": scenario.file,
    })
}

/// Reads every file, also after one that is wrong, and says of each what it is.
fn check(files: &[PathBuf], context: &CliContext, out: &mut Output) -> ExitCode {
    let mut code = ExitCode::Passed;
    for file in files {
        match scenario::read_file(file) {
            Ok(scenario) => {
                let steps = scenario.steps.len();
                let plural = if steps == 1 { "" } else { "s" };
                out.say(format_args!(
                    "{}: scenario {}, {steps} step{plural}",
                    file.display(),
                    scenario.name
                ));
            }
            Err(error) => {
                context.tell_error(&error.into());
                code = ExitCode::Usage;
            }
        }
    }
    code
}
