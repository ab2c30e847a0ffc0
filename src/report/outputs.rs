//! Where reports go: opened, and written once, before anything else is made.
//!
//! A file is only ever replaced as a whole (temporary file beside it, fsync, rename), so that whoever reads it at any
//! moment reads a report that parses. The first one is written at opening: an older report of the same name, which may
//! say passed, does not outlive the beginning of the run.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    record::{Journal, Render, RunRecord},
    report::{FORMATS, JOURNAL_FILE, Json, Junit, ReportPaths},
};

/// The journal and the report files of one run, all of them open or known to be writable.
#[derive(Debug)]
pub struct Outputs {
    directory: PathBuf,
    journal: Journal,
    targets: Vec<Target>,
}

/// Why a report could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputsError {
    /// The path of a flag cannot be written.
    #[error("cannot write `{path}`; choose another place with `{flag}`")]
    NotWritable {
        /// The flag that names it.
        flag: &'static str,
        /// The path.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// A run has this directory already.
    #[error("`{path}` is there already, and may be another run's; choose another place with `--output-dir`")]
    Taken {
        /// The directory.
        path: PathBuf,
    },
    /// Two flags name one file.
    #[error("`{path}` is named twice; give `--junit-file` and `--json-file` a file each")]
    NamedTwice {
        /// The path.
        path: PathBuf,
    },
}

/// Why a report could not be written during the run.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{path}`")]
pub(super) struct WriteError {
    /// Which file.
    pub(super) path: PathBuf,
    /// Why.
    #[source]
    pub(super) source: io::Error,
}

#[derive(Clone)]
struct Target {
    path: PathBuf,
    way: Way,
    render: &'static dyn Render,
}

/// How a target is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Replaced as a whole, again and again.
    Replaced,
    /// Written once, at the end: a pipe, a device, or standard output (`-`).
    AtTheEnd,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Target")
            .field("path", &self.path)
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

impl Outputs {
    /// Makes the run's directory `base/run`, the journal in it, and a first report of every format there and at the
    /// further paths asked for. Directories that are missing are made. `-` is standard output.
    ///
    /// # Errors
    /// Something is not writable; the flag that names it is in the error, and nothing of the run's directory stays.
    pub fn open(base: &Path, run: &str, junit: Option<&Path>, json: Option<&Path>) -> Result<Self, OutputsError> {
        let mut targets = Vec::new();
        for (flag, path, render) in [
            ("--junit-file", junit, &Junit as &'static dyn Render),
            ("--json-file", json, &Json as &'static dyn Render),
        ] {
            let Some(path) = path else { continue };
            let target = Target::at(path, render).and_then(|target| target.probe().map(|()| target));
            let target = target.map_err(|source| OutputsError::NotWritable {
                flag,
                path: path.to_owned(),
                source,
            })?;
            if targets.iter().any(|earlier: &Target| earlier.path == target.path) {
                return Err(OutputsError::NamedTwice { path: target.path });
            }
            targets.push(target);
        }
        let directory = base.join(run);
        let not_writable = |path: &Path, source| OutputsError::NotWritable {
            flag: "--output-dir",
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(base).map_err(|source| not_writable(base, source))?;
        // Never an older run's: its journal is evidence.
        fs::create_dir(&directory).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => OutputsError::Taken {
                path: directory.clone(),
            },
            _ => not_writable(&directory, source),
        })?;
        Self::fill(directory.clone(), targets).map_err(|error| {
            // Only what was made a moment ago.
            let _ = fs::remove_dir_all(&directory);
            let flag = if error.path.starts_with(&directory) {
                "--output-dir"
            } else {
                "--junit-file` or `--json-file"
            };
            OutputsError::NotWritable {
                flag,
                path: error.path,
                source: error.source,
            }
        })
    }

    fn fill(directory: PathBuf, further: Vec<Target>) -> Result<Self, WriteError> {
        let path = directory.join(JOURNAL_FILE);
        let journal = Journal::create(&path).map_err(|source| WriteError { path, source })?;
        let mut targets: Vec<Target> = FORMATS
            .iter()
            .map(|format| Target {
                path: directory.join(format.file_name),
                way: Way::Replaced,
                render: format.render,
            })
            .collect();
        targets.extend(further);
        let outputs = Self {
            directory,
            journal,
            targets,
        };
        outputs.draft(&RunRecord::default()).write()?;
        Ok(outputs)
    }

    /// The run's own directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Every report file, for the last block to name.
    pub(crate) fn paths(&self) -> ReportPaths {
        self.targets.iter().map(|target| target.path.clone()).collect()
    }

    pub(super) fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// The reports as they stand, rendered; nothing is written yet.
    pub(super) fn draft(&self, record: &RunRecord) -> Draft {
        self.drafted(record, |way| way == Way::Replaced)
    }

    /// The reports in their last form, those that are written only once among them.
    pub(super) fn last_draft(&self, record: &RunRecord) -> Draft {
        self.drafted(record, |_| true)
    }

    fn drafted(&self, record: &RunRecord, wanted: impl Fn(Way) -> bool) -> Draft {
        let targets = self.targets.iter().filter(|target| wanted(target.way));
        let reports = targets
            .map(|target| {
                let mut bytes = Vec::new();
                let rendered = target.render.render(record, &mut bytes);
                (target.clone(), rendered.map(|()| bytes).map_err(io::Error::other))
            })
            .collect();
        Draft { reports }
    }
}

/// Reports ready to be written.
pub(super) struct Draft {
    reports: Vec<(Target, io::Result<Vec<u8>>)>,
}

impl Draft {
    /// Writes every report, whatever becomes of the others; the first failure is returned.
    pub(super) fn write(self) -> Result<(), WriteError> {
        let mut result = Ok(());
        for (target, bytes) in self.reports {
            let written = bytes.and_then(|bytes| target.write(&bytes));
            if let Err(source) = written {
                result = result.and(Err(WriteError {
                    path: target.path,
                    source,
                }));
            }
        }
        result
    }
}

impl Target {
    fn at(path: &Path, render: &'static dyn Render) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self {
                path: path.to_owned(),
                way: Way::AtTheEnd,
                render,
            });
        }
        let way = match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if found.is_file() => Way::Replaced,
            Ok(_) => Way::AtTheEnd,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Way::Replaced,
            Err(error) => return Err(error),
        };
        // A link stays a link: what it points to is replaced.
        let path = match way {
            Way::Replaced => fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            Way::AtTheEnd => path.to_owned(),
        };
        Ok(Self { path, way, render })
    }

    /// Whether it can be written, leaving what is there untouched.
    fn probe(&self) -> io::Result<()> {
        match self.way {
            Way::Replaced => {
                fs::create_dir_all(self.directory())?;
                self.beside().map(drop)
            }
            Way::AtTheEnd => Ok(()),
        }
    }

    fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        }
    }

    /// A temporary file in the same directory, since only there a rename is atomic.
    fn beside(&self) -> io::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new()
            .prefix(".quickproof-")
            // Less the umask: a CI system's other users read reports.
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(self.directory())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        if self.path == Path::new("-") {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
            return match written {
                // Whoever read had enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                written => written,
            };
        }
        match self.way {
            Way::Replaced => {
                let mut file = self.beside()?;
                file.write_all(bytes)?;
                file.as_file().sync_all()?;
                file.persist(&self.path)?;
                Ok(())
            }
            Way::AtTheEnd => fs::OpenOptions::new().write(true).open(&self.path)?.write_all(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_report_that_said_passed_is_gone_when_the_run_begins() {
        let directory = tempfile::tempdir().unwrap();
        let junit = directory.path().join("out/junit.xml");
        fs::create_dir(directory.path().join("out")).unwrap();
        fs::write(&junit, "<testsuites>passed</testsuites>").unwrap();
        let outputs = Outputs::open(directory.path(), "7f3a", Some(&junit), None).unwrap();
        assert!(fs::read_to_string(&junit).unwrap().contains("the run did not end"));
        assert_eq!(outputs.paths().len(), FORMATS.len() + 1);
        assert_eq!(
            fs::read_dir(junit.parent().unwrap()).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }

    #[test]
    fn a_path_that_cannot_be_written_names_its_flag_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().join("runs");
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Outputs::open(&base, "7f3a", None, Some(&file.join("below"))).unwrap_err();
        assert!(matches!(
            error,
            OutputsError::NotWritable {
                flag: "--json-file",
                ..
            }
        ));
        let error = Outputs::open(&base, "7f3a", Some(directory.path()), None).unwrap_err();
        assert!(matches!(
            error,
            OutputsError::NotWritable {
                flag: "--junit-file",
                ..
            }
        ));
        let error = Outputs::open(&file, "7f3a", None, None).unwrap_err();
        assert!(matches!(
            error,
            OutputsError::NotWritable {
                flag: "--output-dir",
                ..
            }
        ));
        assert!(!base.exists());
    }

    #[test]
    fn one_file_for_two_formats_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("report");
        let error = Outputs::open(directory.path(), "7f3a", Some(&file), Some(&file)).unwrap_err();
        assert!(matches!(error, OutputsError::NamedTwice { .. }));
    }

    #[test]
    fn a_link_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        Outputs::open(directory.path(), "7f3a", None, Some(&link)).unwrap();
        assert!(link.is_symlink());
        assert!(fs::read_to_string(&file).unwrap().contains("record_version"));
    }

    #[test]
    fn an_earlier_run_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        Outputs::open(directory.path(), "7f3a", None, None).unwrap();
        let second = Outputs::open(directory.path(), "7f3a", None, None);
        assert!(matches!(second, Err(OutputsError::Taken { .. })));
        assert!(directory.path().join("7f3a").join(JOURNAL_FILE).exists());
    }
}
