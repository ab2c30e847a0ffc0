//! Programs that a reader runs for their version, and the provider's own program.

use super::{
    Action, Word,
    draft::{Draft, Drawn, Run, Stop},
    shell,
};
use crate::{
    record::DeviationKind,
    verdict::{Cause, CauseCode, Finding},
};

/// Flags that current versions of a tool no longer have: program, subcommand, flag, the version that dropped it.
///
/// Source: Kubernetes v1.28 changelog (`kubectl version --short` removed, after its deprecation in v1.27).
const FLAGS_GONE: [(&str, &str, &str, &str); 1] = [("kubectl", "version", "--short", "v1.28")];

/// Whether a command only asks a program for its version.
pub(super) fn asks_for_version(program: &str, words: &[Word]) -> bool {
    let Ok(arguments) = shell::texts(words.get(1..).unwrap_or_default()) else {
        return false;
    };
    match arguments.first().map(String::as_str) {
        Some("version") => program != "curl",
        Some("--version" | "-V") => arguments.len() == 1,
        _ => false,
    }
}

impl Draft<'_> {
    pub(super) fn tool(&mut self, run: &Run<'_>) -> Result<Drawn, Stop> {
        let words = shell::texts(&run.words)?;
        let Some((program, arguments)) = words.split_first() else {
            return Err(Stop::Unsupported("it is empty".into()));
        };
        let gone = FLAGS_GONE.iter().find(|(of, subcommand, flag, _)| {
            of == program
                && arguments.first().is_some_and(|first| first == subcommand)
                && arguments.iter().any(|argument| argument == flag)
        });
        let known = gone.map(|(program, _, flag, since)| Finding::Broken {
            expected: format!("`{}` ends without an error", words.join(" ")),
            actual: format!("{program} has no flag {flag} since {since}"),
            cause: Cause::new(CauseCode::ToolFlagRemoved),
        });
        let action = Action::Tool {
            program: program.clone(),
            arguments: arguments.to_vec(),
        };
        let drawn = Drawn::new(
            self.check("tool", run.at),
            format!("`{}` runs", words.join(" ")),
            action,
        );
        Ok(Drawn { known, ..drawn })
    }

    /// The provider's own program, with what its definition adds.
    pub(super) fn install(&mut self, run: &Run<'_>) -> Result<Drawn, Stop> {
        let (provider, built) = (self.provider, self.options.built);
        let Some(installer) = &provider.installer else {
            return Err(Stop::Unsupported(format!(
                "the provider {} has no program",
                provider.name
            )));
        };
        let mut arguments = shell::texts(&run.words[1..])?;
        if arguments.first().is_none_or(|first| first != "install") {
            return Err(Stop::Unsupported(format!(
                "`{} {}` is not known",
                installer.program,
                arguments.join(" ")
            )));
        }
        let when_built = installer.when_built.iter().filter(|_| built);
        for addition in installer.always.iter().chain(when_built) {
            let added = addition.arguments.join(" ");
            if arguments
                .windows(addition.arguments.len())
                .any(|given| given == addition.arguments)
            {
                continue;
            }
            self.deviate(
                DeviationKind::Added,
                format!("{} {added}", installer.program),
                format!("`{added}` is added to the guide's command"),
                addition.why.clone(),
                Some(run.at),
            );
            arguments.extend(addition.arguments.iter().cloned());
        }
        let version = self
            .environment
            .text(&installer.version_variable)
            .unwrap_or_else(|| installer.version.clone());
        self.images.extend(
            installer
                .images
                .iter()
                .map(|image| image.replace("{version}", &version)),
        );
        Ok(Drawn::new(
            self.check("install", run.at),
            format!("{} {version} is installed by {}", provider.name, installer.program),
            Action::InstallProvider {
                program: installer.program.clone(),
                arguments,
                witness: installer.witness.clone(),
            },
        ))
    }
}
