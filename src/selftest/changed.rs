//! A copy of a quickstart's files on disk, changed as a seed says.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Edit, How};
use crate::{
    host::{FileError, files},
    release::{Tree, TreeError},
};

/// The most bytes of a file that is changed.
const MOST_BYTES: u64 = 4 << 20;

/// Why a copy cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ChangeError {
    /// The files that are copied cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A copy cannot be written.
    #[error("cannot write `{path}`")]
    Write {
        /// Its path.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// A file that is changed cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A seed does not fit what it changes.
    #[error("`{file}`: {what}")]
    DoesNotFit {
        /// The file that is changed.
        file: String,
        /// Why it cannot be.
        what: String,
    },
}

/// Copies all files of a tree to a directory, which is made.
///
/// # Errors
/// A file cannot be read or written.
pub(super) fn copy(tree: &dyn Tree, to: &Path) -> Result<(), ChangeError> {
    for path in tree.all()? {
        write(&to.join(path.as_str()), &tree.read(&path)?)?;
    }
    Ok(())
}

/// Makes the changes in a copy.
///
/// # Errors
/// A change does not fit: what it replaces is not there exactly once, what it makes is there, what it takes away is not.
pub(super) fn change(edits: &[Edit], tree: &Path) -> Result<(), ChangeError> {
    for edit in edits {
        let path = tree.join(&edit.file);
        let unfit = |what: String| ChangeError::DoesNotFit {
            file: edit.file.clone(),
            what,
        };
        match &edit.how {
            How::Write(_) if path.exists() => return Err(unfit("it is there already".to_owned())),
            How::Write(text) => write(&path, text.as_bytes())?,
            How::Remove => std::fs::remove_file(&path).map_err(|source| ChangeError::Write { path, source })?,
            How::Prepend(more) => write(&path, format!("{more}{}", text_of(&path)?).as_bytes())?,
            How::Append(more) => write(&path, format!("{}{more}", text_of(&path)?).as_bytes())?,
            How::Replace { text, by } => {
                let was = text_of(&path)?;
                let count = was.matches(text.as_str()).count();
                if count != 1 {
                    return Err(unfit(format!(
                        "`{text}` stands there {count} times, and must stand there once"
                    )));
                }
                write(&path, was.replace(text.as_str(), by).as_bytes())?;
            }
        }
    }
    Ok(())
}

fn text_of(path: &Path) -> Result<String, FileError> {
    files::read_text(path, MOST_BYTES)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ChangeError> {
    let failed = |source| ChangeError::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    std::fs::write(path, bytes).map_err(failed)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        release::EmbeddedTree,
        selftest::{Base, Library},
    };

    #[test]
    fn every_shipped_seed_fits_the_quickstart_that_it_changes() {
        let seeds = Library::shipped().unwrap().seeds;
        for seed in seeds.iter().filter(|seed| seed.base == Base::Quickstart) {
            let directory = tempfile::tempdir().unwrap();
            copy(&EmbeddedTree, directory.path()).unwrap();
            change(&seed.change, directory.path()).unwrap_or_else(|error| panic!("{}: {error}", seed.name));
        }
    }

    fn replace(text: &str) -> How {
        let (text, by) = (text.to_owned(), "x".to_owned());
        How::Replace { text, by }
    }

    #[rstest]
    #[case::nothing_to_replace("a", replace("three"), "`three` stands there 0 times")]
    #[case::twice("a", replace("two"), "`two` stands there 2 times")]
    #[case::what_is_there("a", How::Write(String::new()), "it is there already")]
    #[case::what_is_not_there("b", How::Remove, "cannot write")]
    #[case::no_file("b", replace("one"), "b")]
    fn a_change_that_does_not_fit_is_an_error(#[case] file: &str, #[case] how: How, #[case] said: &str) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), "one two two").unwrap();
        let edit = Edit {
            file: file.to_owned(),
            how,
        };
        let error = change(&[edit], directory.path()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }

    #[test]
    fn changes_are_made_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), "one").unwrap();
        let how = [
            How::Append(" two".to_owned()),
            replace("two"),
            How::Prepend("zero ".to_owned()),
        ];
        let edits = how.map(|how| Edit {
            file: "a".to_owned(),
            how,
        });
        change(&edits, directory.path()).unwrap();
        assert_eq!(
            std::fs::read_to_string(directory.path().join("a")).unwrap(),
            "zero one x"
        );
    }
}
