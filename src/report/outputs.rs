//! Where reports go: opened, and written once, before anything else is made.
//!
//! A run's directory appears whole: it is filled under another name beside its place, and then renamed. The reports in it
//! are all of one state at every moment (`outputs/shown.rs`). A further copy (`--junit-file`, `--json-file`, and what a CI
//! system looks for in a place of its own) is replaced as a whole (temporary file beside it, fsync, rename), and always after them: it may be a state behind, never ahead. The
//! first one is written at opening: an older report of the same name, which may say passed, does not outlive the beginning
//! of the run.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{FileTypeExt as _, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{
    record::{Journal, Render, RunRecord},
    report::{FORMATS, JOURNAL_FILE, Json, Junit, Metadata, ReportPaths},
};

mod pipe;
mod shown;

pub(super) use pipe::{Delivery, Pipe};
use shown::{Rendered, Shown};

/// The journal and the report files of one run, all of them open or known to be writable.
#[derive(Debug)]
pub struct Outputs {
    directory: PathBuf,
    journal: Journal,
    shown: Shown,
    further: Vec<Target>,
    pipes: Vec<(Pipe, Format)>,
}

/// Further copies of a run's reports, and where. `-` is standard output.
///
/// Of one place there is one copy: the same path twice is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Copies<'a> {
    /// The JUnit report, by `--junit-file`.
    pub junit: Option<&'a Path>,
    /// The JSON report, by `--json-file`.
    pub json: Option<&'a Path>,
    /// What the run came to in a few words, where the CI system looks for it.
    pub metadata: Option<&'a Path>,
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
pub(crate) struct WriteError {
    /// Which file.
    pub(super) path: PathBuf,
    /// Why.
    #[source]
    pub(super) source: io::Error,
}

/// What renders a report.
#[derive(Clone, Copy)]
pub(super) struct Format(&'static dyn Render);

impl Format {
    /// The report of a record.
    pub(super) fn of(self, record: &RunRecord) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.render(record, &mut bytes).map_err(io::Error::other)?;
        Ok(bytes)
    }
}

impl std::fmt::Debug for Format {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Format")
    }
}

/// A further place of a report.
#[derive(Debug, Clone)]
struct Target {
    path: PathBuf,
    way: Way,
    format: Format,
}

/// How a target is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Replaced as a whole, again and again.
    Replaced,
    /// Written once, at the end: a terminal, another device, or standard output (`-`).
    AtTheEnd,
    /// Given to whoever reads it, at the end.
    Piped,
}

impl Outputs {
    /// Makes the run's directory `base/run`, the journal in it, and a first report of every format there and at the
    /// further paths asked for. Directories that are missing are made.
    ///
    /// Where one of the paths is a named pipe, it must be called within a runtime.
    ///
    /// # Errors
    /// Something is not writable; the flag that names it is in the error, and nothing of the run's directory stays.
    pub fn open(base: &Path, run: &str, copies: Copies<'_>) -> Result<Self, OutputsError> {
        let (mut further, mut pipes): (Vec<Target>, _) = (Vec::new(), Vec::new());
        for (flag, path, format) in [
            ("--junit-file", copies.junit, Format(&Junit)),
            ("--json-file", copies.json, Format(&Json)),
            ("ARTIFACTS", copies.metadata, Format(&Metadata)),
        ] {
            let Some(path) = path else { continue };
            let not_writable = |source| OutputsError::NotWritable {
                flag,
                path: path.to_owned(),
                source,
            };
            let target = Target::at(path, format).map_err(not_writable)?;
            if further.iter().any(|earlier| earlier.path == target.path) {
                return Err(OutputsError::NamedTwice { path: target.path });
            }
            target.probe().map_err(not_writable)?;
            if target.way == Way::Piped {
                let mut pipe = Pipe::at(path);
                pipe.look_for_reader().map_err(not_writable)?;
                pipes.push((pipe, format));
            }
            further.push(target);
        }
        let not_writable = |path: &Path, source| OutputsError::NotWritable {
            flag: "--output-dir",
            path: path.to_owned(),
            source,
        };
        let begun = RunRecord::of_run(run);
        let directory = base.join(run);
        let failed = |error: WriteError| match error.source.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty if error.path == directory => {
                OutputsError::Taken { path: error.path }
            }
            _ => not_writable(&error.path, error.source),
        };
        let hidden = Hidden::filled(base, &directory, &begun).map_err(failed)?;
        // Before the run can be seen no older report may say that it passed.
        for target in &further {
            if target.way == Way::Replaced {
                let written = target.format.of(&begun).and_then(|bytes| target.write(&bytes));
                written.map_err(|source| OutputsError::NotWritable {
                    flag: "--junit-file` or `--json-file",
                    path: target.path.clone(),
                    source,
                })?;
            }
        }
        let (journal, shown) = hidden.appear(&directory).map_err(failed)?;
        Ok(Self {
            directory,
            journal,
            shown,
            further,
            pipes,
        })
    }

    /// Makes the reports of a run that is over again, in its directory, and returns where they are.
    ///
    /// # Errors
    /// One of them cannot be written.
    pub(crate) fn again(directory: &Path, record: &RunRecord) -> Result<ReportPaths, WriteError> {
        Shown::again(directory, rendered(record))?;
        Ok(FORMATS.iter().map(|format| directory.join(format.file_name)).collect())
    }

    /// The run's own directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Every report file, for the last block to name.
    pub(crate) fn paths(&self) -> ReportPaths {
        let own = FORMATS.iter().map(|format| self.directory.join(format.file_name));
        own.chain(self.further.iter().map(|target| target.path.clone()))
            .collect()
    }

    /// Takes the run's directory away: what it was for cannot be done, which is no finding. Further copies say that it did
    /// not end.
    pub(crate) fn discard(self) {
        // What stays says nothing that is wrong.
        let _ = fs::remove_dir_all(&self.directory);
    }

    pub(super) fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// The pipes that reports go into at the end; they are given away once.
    pub(super) fn take_pipes(&mut self) -> Vec<(Pipe, Format)> {
        std::mem::take(&mut self.pipes)
    }

    /// The reports as they stand, rendered; nothing is written yet.
    pub(super) fn draft(&mut self, record: &RunRecord) -> Draft {
        self.drafted(record, &[Way::Replaced])
    }

    /// The reports in their last form, those that are written only once among them.
    pub(super) fn last_draft(&mut self, record: &RunRecord) -> Draft {
        self.drafted(record, &[Way::Replaced, Way::AtTheEnd])
    }

    fn drafted(&mut self, record: &RunRecord, ways: &[Way]) -> Draft {
        let further = self.further.iter().filter(|target| ways.contains(&target.way));
        Draft {
            place: self.shown.next(),
            reports: rendered(record),
            further: further
                .map(|target| (target.clone(), target.format.of(record)))
                .collect(),
        }
    }

    /// Gives the directory its final form: no more drafts are made.
    pub(super) fn settle(&self) -> Result<(), WriteError> {
        self.shown.settle(FORMATS.iter().map(|format| format.file_name))
    }
}

fn rendered(record: &RunRecord) -> Vec<Rendered> {
    let report = |format: &super::Format| (format.file_name, Format(format.render).of(record));
    FORMATS.iter().map(report).collect()
}

/// The directory of a run before anybody sees it.
struct Hidden {
    directory: tempfile::TempDir,
    journal: Journal,
    shown: Shown,
}

impl Hidden {
    /// A directory with a journal and first reports in it, beside the place that it is for.
    fn filled(base: &Path, place: &Path, record: &RunRecord) -> Result<Self, WriteError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| WriteError { path, source }
        };
        fs::create_dir_all(base).map_err(failed(base))?;
        // Never an older run's: its journal is evidence.
        if place.symlink_metadata().is_ok() {
            return Err(failed(place)(io::ErrorKind::AlreadyExists.into()));
        }
        let directory = tempfile::Builder::new()
            .prefix(".quickproof-")
            // Less the umask: a CI system's other users read reports.
            .permissions(fs::Permissions::from_mode(0o777))
            .tempdir_in(base)
            .map_err(failed(base))?;
        let journal = Journal::create(directory.path().join(JOURNAL_FILE)).map_err(failed(place))?;
        let shown = Shown::begin(directory.path(), || rendered(record))?;
        Ok(Self {
            directory,
            journal,
            shown,
        })
    }

    /// Puts it in its place, all at once; over a directory that somebody filled meanwhile it fails.
    fn appear(self, place: &Path) -> Result<(Journal, Shown), WriteError> {
        fs::rename(self.directory.path(), place).map_err(|source| WriteError {
            path: place.to_owned(),
            source,
        })?;
        // It is no longer there to be removed.
        let _ = self.directory.keep();
        Ok((
            self.journal.moved_to(place.join(JOURNAL_FILE)),
            self.shown.moved_to(place),
        ))
    }
}

/// Reports ready to be written.
pub(super) struct Draft {
    place: Shown,
    reports: Vec<Rendered>,
    further: Vec<(Target, io::Result<Vec<u8>>)>,
}

impl Draft {
    /// Writes every report, whatever becomes of the others; the first failure is returned.
    pub(super) fn write(self) -> Result<(), WriteError> {
        let shown = self.place.show(self.reports);
        let write = |(target, bytes): (Target, io::Result<Vec<u8>>)| {
            let written = bytes.and_then(|bytes| target.write(&bytes));
            written.map_err(|source| WriteError {
                path: target.path,
                source,
            })
        };
        self.further.into_iter().map(write).fold(shown, Result::and)
    }
}

impl Target {
    fn at(path: &Path, format: Format) -> io::Result<Self> {
        let way = match fs::metadata(path) {
            _ if path == Path::new("-") => Way::AtTheEnd,
            Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if found.is_file() => Way::Replaced,
            Ok(found) if found.file_type().is_fifo() => Way::Piped,
            Ok(found) if found.file_type().is_char_device() => Way::AtTheEnd,
            Ok(_) => return Err(io::Error::other("it is neither a file, a pipe nor a terminal")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Way::Replaced,
            Err(error) => return Err(error),
        };
        // A link stays a link: what it points to is replaced.
        let path = match way {
            Way::Replaced => fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            Way::AtTheEnd | Way::Piped => path.to_owned(),
        };
        Ok(Self { path, way, format })
    }

    /// Whether it can be written, leaving what is there untouched.
    fn probe(&self) -> io::Result<()> {
        match self.way {
            Way::Replaced => {
                fs::create_dir_all(directory_of(&self.path))?;
                beside(&self.path).map(drop)
            }
            Way::AtTheEnd | Way::Piped => Ok(()),
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let written = match self.way {
            Way::Replaced => replace(&self.path, bytes),
            _ if self.path == Path::new("-") => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
            Way::AtTheEnd | Way::Piped => {
                let file = fs::OpenOptions::new().write(true).open(&self.path);
                file.and_then(|mut file| file.write_all(bytes))
            }
        };
        match written {
            // Whoever read had enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A temporary file in the same directory, since only there a rename is atomic.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".quickproof-")
        // Less the umask: a CI system's other users read reports.
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(directory_of(path))
}

/// Puts a file in its place as a whole.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = beside(path)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies<'a>(junit: Option<&'a Path>, json: Option<&'a Path>) -> Copies<'a> {
        Copies {
            junit,
            json,
            metadata: None,
        }
    }

    #[test]
    fn an_older_report_that_said_passed_is_gone_when_the_run_begins() {
        let directory = tempfile::tempdir().unwrap();
        let junit = directory.path().join("out/junit.xml");
        fs::create_dir(directory.path().join("out")).unwrap();
        fs::write(&junit, "<testsuites>passed</testsuites>").unwrap();
        let outputs = Outputs::open(directory.path(), "7f3a", copies(Some(&junit), None)).unwrap();
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
        let error = Outputs::open(&base, "7f3a", copies(None, Some(&file.join("below")))).unwrap_err();
        assert!(matches!(
            error,
            OutputsError::NotWritable {
                flag: "--json-file",
                ..
            }
        ));
        let error = Outputs::open(&base, "7f3a", copies(Some(directory.path()), None)).unwrap_err();
        assert!(matches!(
            error,
            OutputsError::NotWritable {
                flag: "--junit-file",
                ..
            }
        ));
        let error = Outputs::open(&file, "7f3a", Copies::default()).unwrap_err();
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
        let error = Outputs::open(directory.path(), "7f3a", copies(Some(&file), Some(&file))).unwrap_err();
        assert!(matches!(error, OutputsError::NamedTwice { .. }));
    }

    #[test]
    fn a_link_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        Outputs::open(directory.path(), "7f3a", copies(None, Some(&link))).unwrap();
        assert!(link.is_symlink());
        assert!(fs::read_to_string(&file).unwrap().contains("record_version"));
    }

    #[test]
    fn an_earlier_run_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        Outputs::open(directory.path(), "7f3a", Copies::default()).unwrap();
        let second = Outputs::open(directory.path(), "7f3a", Copies::default());
        assert!(matches!(second, Err(OutputsError::Taken { .. })));
        assert!(directory.path().join("7f3a").join(JOURNAL_FILE).exists());
    }
}
