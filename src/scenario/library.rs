//! The scenarios there are: those that come with quickproof, and those of a directory that stand in for them.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Scenario, ScenarioError, read};
use crate::host::{FileError, files};

/// The most files of a directory that are read.
const MOST_FILES: usize = 1000;

/// The most bytes of a file that are read; the reader refuses it before that.
const MOST_BYTES: u64 = 1 << 20;

#[derive(rust_embed::RustEmbed)]
#[folder = "scenarios"]
#[include = "*.yaml"]
struct Shipped;

/// Scenarios by name.
#[derive(Debug, Clone)]
pub(crate) struct Library {
    /// In the order of their names.
    pub(crate) scenarios: Vec<Scenario>,
    /// What a directory has in place of what is shipped, in the same order.
    pub(crate) replaced: Vec<Replaced>,
}

/// A scenario of a directory that stands in for a shipped one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replaced {
    /// Its name.
    pub(crate) name: String,
    /// Its file.
    pub(crate) file: String,
    /// The file that it stands in for.
    pub(crate) instead_of: String,
}

/// Why there are no scenarios.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LibraryError {
    /// A file is wrong.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A file or directory cannot be read.
    #[error("cannot read `{path}`")]
    Unreadable {
        /// Its path.
        path: String,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// A file cannot be read, or is no regular one.
    #[error(transparent)]
    File(#[from] FileError),
    /// A directory has none.
    #[error("`{directory}` has no scenario; a scenario is a file that ends in `.yaml`")]
    Empty {
        /// The directory.
        directory: String,
    },
    /// A directory has more files than scenarios are.
    #[error("`{directory}` has more than {MOST_FILES} files that end in `.yaml`; is it a directory of scenarios?")]
    TooMany {
        /// The directory.
        directory: String,
    },
    /// Two files of a directory have the same name inside.
    #[error("`{one}` and `{other}` are both called `{name}`")]
    Twice {
        /// The name.
        name: String,
        /// One file.
        one: String,
        /// The other.
        other: String,
    },
}

impl std::fmt::Display for Replaced {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "scenario {}: {} stands in for {}",
            self.name, self.file, self.instead_of
        )
    }
}

impl Library {
    /// The scenarios that come with quickproof.
    ///
    /// # Errors
    /// A file of ours is broken, which a test rules out.
    pub(crate) fn shipped() -> Result<Self, LibraryError> {
        let mut scenarios = Vec::new();
        for name in Shipped::iter() {
            let bytes = Shipped::get(&name).map(|file| file.data).unwrap_or_default();
            scenarios.push(read(&format!("scenarios/{name}"), &bytes)?);
        }
        Self::of(scenarios)
    }

    /// These and those of a directory, which stand in for shipped ones of the same name.
    ///
    /// # Errors
    /// The directory cannot be read, has no scenario, or one of its files is wrong.
    pub(crate) fn with_directory(mut self, directory: &Path) -> Result<Self, LibraryError> {
        let own = Self::of(
            files_of(directory)?
                .iter()
                .map(|path| read_file(path))
                .collect::<Result<_, _>>()?,
        )?;
        for scenario in own.scenarios {
            match self.scenarios.iter_mut().find(|shipped| shipped.name == scenario.name) {
                None => self.scenarios.push(scenario),
                Some(shipped) => {
                    self.replaced.push(Replaced {
                        name: scenario.name.clone(),
                        file: scenario.file.clone(),
                        instead_of: shipped.file.clone(),
                    });
                    *shipped = scenario;
                }
            }
        }
        self.scenarios.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(self)
    }

    fn of(mut scenarios: Vec<Scenario>) -> Result<Self, LibraryError> {
        scenarios.sort_by(|one, other| one.name.cmp(&other.name));
        let twice = scenarios.windows(2).find(|pair| pair[0].name == pair[1].name);
        if let Some([one, other]) = twice {
            return Err(LibraryError::Twice {
                name: one.name.clone(),
                one: one.file.clone(),
                other: other.file.clone(),
            });
        }
        Ok(Self {
            scenarios,
            replaced: Vec::new(),
        })
    }
}

/// Reads one scenario of the disk.
///
/// # Errors
/// The file cannot be read, or is no scenario.
pub(crate) fn read_file(path: &Path) -> Result<Scenario, LibraryError> {
    let name = path.display().to_string();
    let bytes = files::read(path, MOST_BYTES)?;
    Ok(read(&name, &bytes)?)
}

fn files_of(directory: &Path) -> Result<Vec<PathBuf>, LibraryError> {
    let name = || directory.display().to_string();
    let unreadable = |source| LibraryError::Unreadable { path: name(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") && path.is_file() {
            files.push(path);
        }
        if files.len() > MOST_FILES {
            return Err(LibraryError::TooMany { directory: name() });
        }
    }
    if files.is_empty() {
        return Err(LibraryError::Empty { directory: name() });
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_scenario_is_readable_and_bears_the_name_of_its_file() {
        let library = Library::shipped().unwrap();
        for scenario in &library.scenarios {
            assert_eq!(scenario.file, format!("scenarios/{}.yaml", scenario.name));
        }
        let names: Vec<&str> = library
            .scenarios
            .iter()
            .map(|scenario| scenario.name.as_str())
            .collect();
        for name in [
            "chat",
            "chat-stream",
            "completions",
            "completions-stream",
            "refusals",
            "lora-adapter",
            "models",
        ] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
    }

    /// `says` is not among them: what a model says is known only of model servers that echo, and no guide deploys one.
    #[test]
    fn every_word_of_the_language_that_any_deployment_can_answer_to_stands_in_a_shipped_scenario() {
        let library = Library::shipped().unwrap();
        for word in [
            "answer:",
            "answered-by:",
            "body:",
            "capture:",
            "cel:",
            "concurrency:",
            "for:",
            "headers:",
            "json:",
            "load:",
            "method:",
            "passed-endpoint-picker:",
            "rate:",
            "repeat:",
            "scale:",
            "slo:",
            "status:",
            "vary:",
            "with:",
            "within:",
        ] {
            let uses = |scenario: &Scenario| {
                scenario
                    .text
                    .lines()
                    .any(|line| line.trim_start_matches([' ', '-']).starts_with(word))
            };
            assert!(library.scenarios.iter().any(uses), "no shipped scenario uses `{word}`");
        }
    }

    fn written(name: &str) -> String {
        format!("name: {name}\nproves: It holds.\nsteps:\n- request: {{path: /, expect: {{answer: success}}}}\n")
    }

    #[test]
    fn a_file_of_a_directory_stands_in_for_the_shipped_one_visibly() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("own.yaml");
        std::fs::write(&path, written("chat")).unwrap();
        std::fs::write(directory.path().join("more.yaml"), written("more")).unwrap();
        std::fs::write(directory.path().join("notes.txt"), "not a scenario").unwrap();
        let shipped = Library::shipped().unwrap();
        let library = shipped.clone().with_directory(directory.path()).unwrap();
        assert_eq!(library.scenarios.len(), shipped.scenarios.len() + 1);
        let file = path.display().to_string();
        assert_eq!(
            library.replaced,
            [Replaced {
                name: "chat".into(),
                file: file.clone(),
                instead_of: "scenarios/chat.yaml".into(),
            }]
        );
        let chat = library
            .scenarios
            .iter()
            .find(|scenario| scenario.name == "chat")
            .unwrap();
        assert_eq!(chat.file, file);
        assert_eq!(
            library.replaced[0].to_string(),
            format!("scenario chat: {file} stands in for scenarios/chat.yaml")
        );
    }

    #[test]
    fn a_directory_that_is_none_or_empty_or_holds_a_name_twice_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let with = || Library::shipped().unwrap().with_directory(directory.path());
        assert!(matches!(with(), Err(LibraryError::Empty { .. })));
        std::fs::write(directory.path().join("a.yaml"), written("one")).unwrap();
        std::fs::write(directory.path().join("b.yaml"), written("one")).unwrap();
        assert!(matches!(with(), Err(LibraryError::Twice { name, .. }) if name == "one"));
        let nowhere = Library::shipped()
            .unwrap()
            .with_directory(Path::new("/no/such/directory"));
        assert!(matches!(nowhere, Err(LibraryError::Unreadable { .. })));
    }
}
