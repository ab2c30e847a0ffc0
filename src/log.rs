//! The log of a run: what was done when, for somebody who has only the run's directory and asks where the time went.
//!
//! Rooms say it with `tracing`: what takes time is a span, which closes with its time; what is decided on the way is an event.
//! [`begin`] says where that goes: to [`FILE_NAME`] in the run's directory and, where it is asked for, to standard error.
//! Only spans and events of quickproof itself are taken, since those of libraries may hold headers and bodies, and every line
//! goes through the [`Redactor`]. Nothing that fails here ends a run.

use std::{
    fmt, fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt as _, FilterFn, ParseError, Targets},
    fmt::format::FmtSpan,
    layer::{Filter, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use crate::redact::{CUT, Redactor, printable};

mod bounded;

use bounded::Bounded;

/// The log's file in the run's directory.
pub(crate) const FILE_NAME: &str = "run.log";

/// The environment variable that says what is logged on standard error, and in the file beside what it holds anyway.
pub(crate) const VARIABLE: &str = "QUICKPROOF_LOG";

/// What the targets of our own spans and events begin with.
const OURS: &str = "quickproof";

/// Most bytes of one line that are kept.
const LONGEST_LINE: usize = 8 * 1024;

/// Most bytes that are kept before there is a file.
const MOST_HELD: usize = 1 << 20;

/// What a place of the log takes.
type Only = Box<dyn Filter<Registry> + Send + Sync>;

/// What is logged on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnStandardError<'a> {
    /// Nothing.
    Nothing,
    /// What the file holds.
    Usual,
    /// What a filter lets through, as `tracing_subscriber::EnvFilter` reads it: `debug`, `quickproof::host=trace`.
    Filtered(&'a str),
}

/// Whether the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// In a file, once [`Log::write_to`] says where.
    InFile,
    /// It is not: there is no run.
    Nowhere,
}

/// The filter of [`VARIABLE`] cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{VARIABLE}`: `{filter}` is no filter; expected one such as `debug` or `quickproof::host=trace`")]
pub(crate) struct FilterError {
    filter: String,
    #[source]
    source: ParseError,
}

/// The log that [`begin`] began; cheap to clone.
#[derive(Clone)]
pub(crate) struct Log {
    place: Arc<Mutex<Place>>,
    tell: Arc<dyn Fn(&str) + Send + Sync>,
}

/// Where lines of the file are.
enum Place {
    /// In memory: there is no file yet.
    Memory { lines: Vec<String>, bytes: usize },
    /// In the file.
    File(Bounded),
    /// Nowhere: nothing could be written any more, which was said.
    GivenUp,
}

impl fmt::Debug for Log {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Log").finish_non_exhaustive()
    }
}

/// Begins the log of this process. `tell` prints one line on standard error.
///
/// # Errors
/// The filter cannot be read.
pub(crate) fn begin(
    on_standard_error: OnStandardError<'_>,
    kept: Kept,
    redactor: &Redactor,
    tell: impl Fn(&str) + Send + Sync + 'static,
) -> Result<Log, FilterError> {
    let place = Place::Memory {
        lines: Vec::new(),
        bytes: 0,
    };
    let log = Log {
        place: Arc::new(Mutex::new(place)),
        tell: Arc::new(tell),
    };
    let mut layers = Vec::new();
    let told = match on_standard_error {
        OnStandardError::Nothing => None,
        OnStandardError::Usual => Some(Box::new(usual()) as Only),
        OnStandardError::Filtered(filter) => Some(Box::new(ours().and(read(filter)?)) as Only),
    };
    if let Some(filter) = told {
        let tell = Arc::clone(&log.tell);
        layers.push(layer(filter, redactor, move |line| tell(line)));
    }
    if kept == Kept::InFile {
        let filter = match on_standard_error {
            OnStandardError::Filtered(filter) => Box::new(usual().or(ours().and(read(filter)?))) as Only,
            OnStandardError::Nothing | OnStandardError::Usual => Box::new(usual()),
        };
        let log = log.clone();
        layers.push(layer(filter, redactor, move |line| log.keep(line)));
    }
    if !layers.is_empty() {
        // Only a second log of one process is refused; the first goes on.
        let _ = tracing_subscriber::registry().with(layers).try_init();
    }
    Ok(log)
}

/// What the file always holds: each request of a load, and what else comes by the thousand, is below it.
fn usual() -> Targets {
    Targets::new().with_target(OURS, Level::DEBUG)
}

fn ours() -> FilterFn {
    let is_ours: fn(&Metadata<'_>) -> bool = |metadata| metadata.target().starts_with(OURS);
    FilterFn::new(is_ours).with_max_level_hint(Level::TRACE)
}

fn read(filter: &str) -> Result<EnvFilter, FilterError> {
    EnvFilter::builder().parse(filter).map_err(|source| FilterError {
        filter: filter.to_owned(),
        source,
    })
}

fn layer(
    filter: Only,
    redactor: &Redactor,
    take: impl Fn(&str) + Send + Sync + 'static,
) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = Lines {
        redactor: redactor.clone(),
        take: Arc::new(take),
    };
    tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(move || lines.clone())
        .with_filter(filter)
        .boxed()
}

/// What the subscriber writes to: each write is one line.
#[derive(Clone)]
struct Lines {
    redactor: Redactor,
    take: Arc<dyn Fn(&str) + Send + Sync>,
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        (self.take)(&one_line(&self.redactor.redact(text.trim_end())));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The text in one line, and not longer than a line may be.
fn one_line(text: &str) -> String {
    let kept = &text[..text.floor_char_boundary(LONGEST_LINE)];
    let mut line = printable(kept);
    if kept.len() < text.len() {
        line.push(CUT);
    }
    line
}

impl Log {
    /// Writes to a new file from now on, and what was logged until now before it, where that is in no file yet.
    pub(crate) fn write_to(&self, path: &Path) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = match &mut *place {
            Place::Memory { lines, bytes } => {
                let mut lines = std::mem::take(lines);
                if *bytes > MOST_HELD {
                    lines.push("… what follows until the file was there is left out".to_owned());
                }
                lines
            }
            Place::File(_) => Vec::new(),
            Place::GivenUp => return,
        };
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path);
        let written = file.and_then(|file| {
            let mut file = Bounded::new(file);
            lines.iter().try_for_each(|line| file.append(line))?;
            Ok(file)
        });
        match written {
            Ok(file) => *place = Place::File(file),
            Err(error) => self.give_up(&mut place, &error),
        }
    }

    fn keep(&self, line: &str) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *place {
            Place::Memory { lines, bytes } => {
                *bytes += line.len();
                if *bytes <= MOST_HELD {
                    lines.push(line.to_owned());
                }
            }
            Place::File(file) => {
                if let Err(error) = file.append(line) {
                    self.give_up(&mut place, &error);
                }
            }
            Place::GivenUp => {}
        }
    }

    /// Says once that the file cannot be written.
    fn give_up(&self, place: &mut Place, error: &io::Error) {
        *place = Place::GivenUp;
        (self.tell)(&format!(
            "`{FILE_NAME}` cannot be written ({error}); the run goes on without it"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> (Log, Arc<Mutex<Vec<String>>>) {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&told);
        let tell = move |line: &str| heard.lock().unwrap().push(line.to_owned());
        let log = begin(OnStandardError::Nothing, Kept::Nowhere, &Redactor::new(), tell).unwrap();
        (log, told)
    }

    #[test]
    fn what_was_logged_before_there_was_a_file_stands_first_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let (log, told) = log();
        log.keep("before");
        log.write_to(&path);
        log.keep("after");
        assert_eq!(fs::read_to_string(path).unwrap(), "before\nafter\n");
        assert!(told.lock().unwrap().is_empty());
    }

    #[test]
    fn what_is_logged_before_there_is_a_file_is_bounded_and_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let (log, _) = log();
        let line = "x".repeat(MOST_HELD / 2);
        for _ in 0..4 {
            log.keep(&line);
        }
        log.write_to(&path);
        let text = fs::read_to_string(path).unwrap();
        assert!(
            text.ends_with("left out\n") && text.len() < MOST_HELD + 100,
            "{}",
            text.len()
        );
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_once() {
        let (log, told) = log();
        log.write_to(Path::new("/nowhere/run.log"));
        log.keep("a");
        log.write_to(Path::new("/nowhere/run.log"));
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("the run goes on without it"), "{told:?}");
    }

    #[test]
    fn a_full_disk_is_told_once() {
        let (log, told) = log();
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        *log.place.lock().unwrap() = Place::File(Bounded::new(full));
        log.keep("a");
        log.keep("b");
        assert_eq!(told.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_line_is_redacted_before_it_is_cut_and_steers_no_terminal() {
        use io::Write as _;
        let redactor = Redactor::new();
        let secret = "correct-horse";
        redactor.learn(secret);
        let taken: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&taken);
        let mut lines = Lines {
            redactor,
            take: Arc::new(move |line: &str| heard.lock().unwrap().push(line.to_owned())),
        };
        lines.write_all("a\u{1b}[2J\nb\n".as_bytes()).unwrap();
        let long = format!("{}{secret}", "x".repeat(LONGEST_LINE - 4));
        lines.write_all(long.as_bytes()).unwrap();
        let taken = taken.lock().unwrap();
        assert_eq!(taken[0], r"a\u{1b}[2J\nb");
        assert!(taken[1].ends_with("x[red…"), "{taken:?}");
    }

    #[test]
    fn a_filter_that_is_none_is_named() {
        let begun = begin(
            OnStandardError::Filtered("nonsense["),
            Kept::Nowhere,
            &Redactor::new(),
            |_| {},
        );
        let said = begun.unwrap_err().to_string();
        assert!(said.contains("`QUICKPROOF_LOG`: `nonsense[`"), "{said}");
    }
}
