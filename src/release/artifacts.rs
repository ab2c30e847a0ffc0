//! The assets of a release that is not published yet, from the directory they were built into.

use std::{collections::BTreeMap, fs, io, path::Path, sync::Arc};

use super::ReleaseError;
use crate::host::files;

/// The most bytes of one asset that are read.
const MOST_BYTES: u64 = 32 << 20;

/// The most assets that are read; a release has a handful.
const MOST_FILES: usize = 200;

/// Every YAML file right in `directory`, by name.
///
/// # Errors
/// The directory or a file in it cannot be read, or there are more of them, or larger ones, than a release has.
pub(crate) fn artifacts(directory: &Path) -> Result<BTreeMap<String, Arc<[u8]>>, ReleaseError> {
    let unreadable = |source: io::Error| ReleaseError::Artifacts {
        directory: directory.display().to_string(),
        source,
    };
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let metadata = entry.metadata().map_err(unreadable)?;
        if !metadata.is_file() || !matches!(name.rsplit('.').next(), Some("yaml" | "yml")) {
            continue;
        }
        if metadata.len() > MOST_BYTES || found.len() >= MOST_FILES {
            let why = format!("`{name}`: more than a release's assets hold");
            return Err(unreadable(io::Error::other(why)));
        }
        let bytes = files::read(&entry.path(), MOST_BYTES).map_err(|error| unreadable(error.into()))?;
        found.insert(name, bytes.into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_yaml_files_of_a_directory_are_its_assets() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("manifests.yaml", "a: 1"),
            ("notes.md", "x"),
            ("v1-manifests.yml", "b: 2"),
        ] {
            fs::write(directory.path().join(name), text).unwrap();
        }
        fs::create_dir(directory.path().join("more.yaml")).unwrap();
        let found = artifacts(directory.path()).unwrap();
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["manifests.yaml", "v1-manifests.yml"]);
        assert_eq!(&*found["manifests.yaml"], b"a: 1");
    }

    #[test]
    fn a_directory_that_is_not_there_and_a_file_too_large_are_errors() {
        let directory = tempfile::tempdir().unwrap();
        assert!(artifacts(&directory.path().join("none")).is_err());
        let large = fs::File::create(directory.path().join("large.yaml")).unwrap();
        large.set_len(MOST_BYTES + 1).unwrap();
        let said = artifacts(directory.path()).unwrap_err().to_string();
        assert!(said.contains("--artifacts"), "{said}");
    }
}
