//! The seeds there are: those that come with quickproof, and those of a directory.

use std::{io, path::Path};

use regex::Regex;

use super::{AnswerSeed, Base, Seed, SeedError, answers, file};
use crate::{
    host::{FileError, files},
    scenario::instead_of,
};

/// The most bytes of a file that are read.
const MOST_BYTES: u64 = 256 << 10;

#[derive(rust_embed::RustEmbed)]
#[folder = "manifests/faults"]
#[include = "*.yaml"]
struct Faults;

#[derive(rust_embed::RustEmbed)]
#[folder = "manifests/answers"]
#[include = "*.yaml"]
struct Answers;

/// Seeds by name, and answers by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Library {
    /// Changes of a quickstart.
    pub(crate) seeds: Vec<Seed>,
    /// Answers.
    pub(crate) answers: Vec<AnswerSeed>,
}

/// Why there are no seeds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LibraryError {
    /// A file is wrong.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// A file of an answer is wrong.
    #[error("`{file}`: {why}")]
    Answer {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// A directory cannot be read.
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
    /// Two have the same name.
    #[error("`{one}` and `{other}` are both called `{name}`")]
    Twice {
        /// The name.
        name: String,
        /// One file.
        one: String,
        /// The other.
        other: String,
    },
    /// No seed has such a name.
    #[error("no fault is called `{pattern}`{hint}")]
    MatchesNothing {
        /// What was typed.
        pattern: String,
        /// Which was meant.
        hint: String,
    },
    /// It is no regular expression.
    #[error("`{pattern}` is neither a name nor a regular expression")]
    NotARegex {
        /// What was typed.
        pattern: String,
    },
}

impl Library {
    /// What comes with quickproof.
    ///
    /// # Errors
    /// A file of ours is broken, which a test rules out.
    pub(crate) fn shipped() -> Result<Self, LibraryError> {
        let mut library = Self::default();
        for name in Faults::iter() {
            let bytes = Faults::get(&name).map(|file| file.data).unwrap_or_default();
            library
                .seeds
                .push(file::read(&format!("manifests/faults/{name}"), &bytes)?);
        }
        for name in Answers::iter() {
            let bytes = Answers::get(&name).map(|file| file.data).unwrap_or_default();
            let file = format!("manifests/answers/{name}");
            let answer = answers::read(&file, &bytes).map_err(|why| LibraryError::Answer { file, why })?;
            library.answers.push(answer);
        }
        library.in_order()
    }

    /// The seeds of a directory, and nothing else.
    ///
    /// # Errors
    /// The directory cannot be read, or a file in it is wrong.
    pub(crate) fn of_directory(directory: &Path) -> Result<Self, LibraryError> {
        let path = || directory.display().to_string();
        let unreadable = |source| LibraryError::Unreadable { path: path(), source };
        let mut library = Self::default();
        for entry in std::fs::read_dir(directory).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let bytes = files::read(&path, MOST_BYTES)?;
                library.seeds.push(file::read(&path.display().to_string(), &bytes)?);
            }
        }
        library.in_order()
    }

    fn in_order(mut self) -> Result<Self, LibraryError> {
        self.seeds.sort_by(|one, other| one.name.cmp(&other.name));
        self.answers.sort_by(|one, other| one.name.cmp(&other.name));
        let twice = self.seeds.windows(2).find(|pair| pair[0].name == pair[1].name);
        match twice {
            Some([one, other]) => Err(LibraryError::Twice {
                name: one.name.clone(),
                one: one.file.clone(),
                other: other.file.clone(),
            }),
            _ => Ok(self),
        }
    }

    /// Those that are meant by names, or by regular expressions for whole names; all where nothing is named.
    ///
    /// # Errors
    /// A pattern fits nothing.
    pub(crate) fn chosen(mut self, patterns: &[String]) -> Result<Self, LibraryError> {
        let mut wanted = Vec::new();
        for pattern in patterns {
            let regex = Regex::new(&format!("^(?:{pattern})$")).map_err(|_| LibraryError::NotARegex {
                pattern: pattern.clone(),
            })?;
            let names: Vec<&str> = self.names().collect();
            if !names.iter().any(|name| regex.is_match(name)) {
                return Err(LibraryError::MatchesNothing {
                    pattern: pattern.clone(),
                    // All of them would be some hundreds.
                    hint: instead_of(pattern, &names)
                        .split("; there are")
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                });
            }
            wanted.push(regex);
        }
        if !wanted.is_empty() {
            let is_wanted = |name: &str| wanted.iter().any(|regex| regex.is_match(name));
            self.seeds.retain(|seed| is_wanted(&seed.name));
            self.answers.retain(|answer| is_wanted(&answer.name));
        }
        Ok(self)
    }

    /// Of each class one seed that needs a run, another with each turn.
    pub(crate) fn of_turn(mut self, turn: usize) -> Self {
        let mut kept: Vec<Seed> = Vec::new();
        let runs = self
            .seeds
            .iter()
            .filter(|seed| seed.run.is_some() && seed.base == Base::Quickstart);
        let mut classes: Vec<_> = runs.clone().map(|seed| seed.class).collect();
        classes.sort();
        classes.dedup();
        for class in classes {
            let of_class: Vec<&Seed> = runs.clone().filter(|seed| seed.class == class).collect();
            kept.extend(of_class.get(turn % of_class.len()).map(|seed| (*seed).clone()));
        }
        self.seeds = kept;
        self.answers.clear();
        self
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let seeds = self.seeds.iter().map(|seed| seed.name.as_str());
        seeds.chain(self.answers.iter().map(|answer| answer.name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::selftest::Class;

    #[test]
    fn every_shipped_seed_is_readable_and_bears_the_name_of_its_file() {
        let library = Library::shipped().unwrap();
        for seed in &library.seeds {
            assert_eq!(seed.file, format!("manifests/faults/{}.yaml", seed.name));
        }
        assert!(library.answers.len() >= 100, "{}", library.answers.len());
    }

    #[test]
    fn a_turn_has_one_of_each_class_and_all_have_their_turn() {
        let library = Library::shipped().unwrap();
        let all: BTreeSet<String> = library
            .seeds
            .iter()
            .filter(|seed| seed.run.is_some())
            .map(|seed| seed.name.clone())
            .collect();
        let classes: BTreeSet<Class> = library.seeds.iter().map(|seed| seed.class).collect();
        let mut seen = BTreeSet::new();
        for turn in 0..all.len() {
            let kept = library.clone().of_turn(turn).seeds;
            assert!(kept.len() <= classes.len());
            seen.extend(kept.into_iter().map(|seed| seed.name));
        }
        let of_release = library.seeds.iter().filter(|seed| seed.base == Base::Release);
        let never: BTreeSet<String> = of_release.map(|seed| seed.name.clone()).collect();
        assert_eq!(seen, all.difference(&never).cloned().collect());
    }

    #[test]
    fn what_is_named_is_chosen_and_what_fits_nothing_is_refused() {
        let library = Library::shipped().unwrap();
        let first = library.seeds[0].name.clone();
        let chosen = library.clone().chosen(std::slice::from_ref(&first)).unwrap();
        assert_eq!((chosen.seeds.len(), chosen.answers.len()), (1, 0));
        let error = library.chosen(&[format!("{first}x")]).unwrap_err();
        assert!(
            error.to_string().contains(&format!("did you mean `{first}`")),
            "{error}"
        );
    }
}
