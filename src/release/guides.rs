//! The guides that we wrote for releases whose repository holds none: `manifests/guides`.

use super::{RepoPath, Tree, TreeError};

/// Where our guides stand in our own repository; the files' places in reports begin with it.
const FOLDER: &str = "manifests/guides/";

#[derive(rust_embed::RustEmbed)]
#[folder = "manifests/guides"]
struct Files;

/// Our guides, as a tree.
#[derive(Debug)]
pub(super) struct OurGuides;

fn name(path: &RepoPath) -> &str {
    path.as_str().strip_prefix(FOLDER).unwrap_or_default()
}

impl Tree for OurGuides {
    fn read(&self, path: &RepoPath) -> Result<Vec<u8>, TreeError> {
        let file = Files::get(name(path)).ok_or_else(|| TreeError::Missing { path: path.clone() })?;
        Ok(file.data.into_owned())
    }

    fn list(&self, directory: &RepoPath) -> Result<Vec<RepoPath>, TreeError> {
        let below = format!("{directory}/");
        let mut found = self.all()?;
        found.retain(|path| path.as_str().starts_with(&below));
        if found.is_empty() {
            return Err(TreeError::Missing {
                path: directory.clone(),
            });
        }
        Ok(found)
    }

    fn all(&self) -> Result<Vec<RepoPath>, TreeError> {
        let mut found: Vec<RepoPath> = Files::iter()
            .filter_map(|name| format!("{FOLDER}{name}").parse().ok())
            .collect();
        found.sort();
        Ok(found)
    }

    fn exists(&self, path: &RepoPath) -> bool {
        Files::get(name(path)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_guides_are_read_by_their_place_in_our_repository() {
        let directory: RepoPath = "manifests/guides".parse().unwrap();
        let all = OurGuides.list(&directory).unwrap();
        assert!(all.len() >= 2);
        for path in &all {
            assert!(OurGuides.exists(path));
            assert!(!OurGuides.read(path).unwrap().is_empty());
        }
        let other: RepoPath = "site-src/guides/index.md".parse().unwrap();
        assert!(!OurGuides.exists(&other));
        assert!(OurGuides.read(&other).is_err() && OurGuides.list(&other).is_err());
    }
}
