//! Tells cargo that what is embedded (`manifests/`, `scenarios/`) belongs to the program, and the program what it was built
//! for and from which data.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// What is embedded.
const DIRECTORIES: [&str; 2] = ["manifests", "scenarios"];

fn main() -> io::Result<()> {
    let mut files = Vec::new();
    for directory in DIRECTORIES {
        println!("cargo::rerun-if-changed={directory}");
        files_below(Path::new(directory), &mut files)?;
    }
    files.sort();
    println!("cargo::rustc-env=QUICKPROOF_DATA=sha256:{}", digest(&files)?);
    println!("cargo::rustc-env=QUICKPROOF_TARGET={}", variable("TARGET"));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "cargo speaks to a build script by variables")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn files_below(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files_below(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// The digest of files with their names, whatever order a disk has them in.
fn digest(files: &[PathBuf]) -> io::Result<String> {
    let mut all = Sha256::new();
    for file in files {
        // Of a fixed length, so that no two sets of files read the same.
        all.update(Sha256::digest(file.to_string_lossy().as_bytes()));
        all.update(Sha256::digest(fs::read(file)?));
    }
    Ok(format!("{:x}", all.finalize()))
}
