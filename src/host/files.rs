//! Files as they are read here: regular ones only, and never more of them than is meant.
//!
//! What others wrote, and what lies in places that others may write, can be a pipe that nobody fills, a device that never
//! ends, or larger than memory. So this is the one place that opens a file for reading; `tests/it/architecture` holds it.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::json::Pieces;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is none of this name.
    #[error("there is no file `{path}`")]
    Missing {
        /// Its path.
        path: PathBuf,
    },
    /// It is a directory, a pipe, a device or a socket.
    #[error("`{path}` is no regular file, and nothing else is read")]
    NotRegular {
        /// Its path.
        path: PathBuf,
    },
    /// It has more bytes than are read of such a file.
    #[error("`{path}` has more than {most} bytes, the most that are read of such a file")]
    TooLarge {
        /// Its path.
        path: PathBuf,
        /// The most bytes.
        most: u64,
    },
    /// The operating system refuses.
    #[error("cannot read `{path}`")]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// It is JSON whose values take more memory than is given to them.
    #[error("`{path}` is JSON of too many pieces: in memory it takes more than the {} MiB that are given to it", MOST_OF_JSON >> 20)]
    Heavy {
        /// Its path.
        path: PathBuf,
    },
    /// It is no UTF-8.
    #[error("`{path}` is no text (UTF-8)")]
    NotText {
        /// Its path.
        path: PathBuf,
    },
}

impl FileError {
    fn of(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing { path },
            _ => Self::Unreadable { path, source },
        }
    }
}

impl From<FileError> for io::Error {
    /// For those whose own errors name the path and take the operating system's.
    fn from(error: FileError) -> Self {
        match error {
            FileError::Unreadable { source, .. } => source,
            FileError::Missing { .. } => io::ErrorKind::NotFound.into(),
            error => Self::other(error),
        }
    }
}

/// Opens a regular file for reading, for what is read piece by piece and needs no bound.
///
/// # Errors
/// It is not there, no regular file, or cannot be opened.
pub(crate) fn open(path: &Path) -> Result<File, FileError> {
    let regular = |metadata: io::Result<Metadata>| match metadata {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(FileError::NotRegular { path: path.to_owned() }),
        Err(source) => Err(FileError::of(path, source)),
    };
    // Before it is opened: opening a pipe waits for whoever fills it.
    regular(path.metadata())?;
    let file = File::open(path).map_err(|source| FileError::of(path, source))?;
    regular(file.metadata())?;
    Ok(file)
}

/// Looks whether a file is what [`read`] would read, for readers of others that take a path.
///
/// # Errors
/// It is not there, no regular file, larger than `most` bytes, or cannot be opened.
pub(crate) fn look(path: &Path, most: u64) -> Result<(), FileError> {
    let found = open(path)?.metadata().map_err(|source| FileError::of(path, source))?;
    if found.len() > most {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            most,
        });
    }
    Ok(())
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// It is not there, no regular file, larger, or cannot be read.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| FileError::of(path, source))?;
    if bytes.len() as u64 > most {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            most,
        });
    }
    Ok(bytes)
}

/// Reads a regular file of text of at most `most` bytes.
///
/// # Errors
/// As [`read`], and where it is no UTF-8.
pub(crate) fn read_text(path: &Path, most: u64) -> Result<String, FileError> {
    String::from_utf8(read(path, most)?).map_err(|_| FileError::NotText { path: path.to_owned() })
}

/// The most bytes of JSON that are read, with what its values take in memory.
const MOST_OF_JSON: u64 = 128 << 20;

/// What an object takes at least, and any other value, as `serde_json` keeps them in order (measured).
const BYTES_OF: (u64, u64) = (480, 80);

/// Reads a regular file of JSON that takes no more memory, read into values, than is given to it.
///
/// # Errors
/// As [`read`], and where it would take more.
pub(crate) fn read_json(path: &Path) -> Result<Vec<u8>, FileError> {
    let bytes = read(path, MOST_OF_JSON)?;
    if weight_of_json(&bytes) > MOST_OF_JSON {
        return Err(FileError::Heavy { path: path.to_owned() });
    }
    Ok(bytes)
}

/// About how many bytes JSON takes, with its values.
fn weight_of_json(bytes: &[u8]) -> u64 {
    let Pieces { objects, others, .. } = Pieces::of(bytes);
    bytes.len() as u64 + objects as u64 * BYTES_OF.0 + others as u64 * BYTES_OF.1
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_regular_file_is_read_up_to_its_bound_and_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "four").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read_text(&link, 4).unwrap(), "four");
        let error = read(&file, 3).unwrap_err();
        assert!(matches!(error, FileError::TooLarge { .. }));
        let said = error.to_string();
        assert!(said.contains("file") && said.contains("3 bytes"), "{said}");
        fs::write(&file, [0xff]).unwrap();
        assert!(matches!(read_text(&file, 4), Err(FileError::NotText { .. })));
    }

    #[test]
    fn json_of_very_many_pieces_is_refused_before_it_is_read_into_values() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("heavy.json");
        fs::write(&path, format!("[{}]", vec!["{}"; 300_000].join(","))).unwrap();
        let error = read_json(&path).unwrap_err();
        assert!(matches!(error, FileError::Heavy { .. }), "{error}");
        assert!(error.to_string().contains("128 MiB"), "{error}");
        fs::write(&path, format!("[{}]", vec!["{}"; 30_000].join(","))).unwrap();
        read_json(&path).unwrap();
    }

    #[test]
    fn a_sparse_file_costs_no_memory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sparse");
        fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(matches!(read(&path, 1 << 10), Err(FileError::TooLarge { .. })));
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let pipe = path.join("pipe");
        crate::host::tests::make_pipe(&pipe);
        let _socket = std::os::unix::net::UnixListener::bind(path.join("socket")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path.join("link")).unwrap();
        for path in [path.to_owned(), pipe, path.join("socket"), path.join("link")] {
            let error = read(&path, 1).unwrap_err();
            assert!(matches!(error, FileError::NotRegular { .. }), "{error}");
        }
        let error = read(&path.join("none"), 1).unwrap_err();
        assert!(matches!(error, FileError::Missing { .. }));
    }
}
