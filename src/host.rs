//! The only door to the environment, the clock, child processes, directories and signals.
//!
//! Everything here is a fact about the machine the program runs on. It knows nothing about Kubernetes or inference.

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Once},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::Command,
};

mod credentials;
mod docker;
pub(crate) mod files;
pub(crate) mod json;
mod poll;
mod retry;
mod signals;
pub(crate) mod web;

pub(crate) use docker::docker;
pub use files::FileError;
pub use poll::poll;
pub(crate) use retry::{Pauses, retry};
pub(crate) use signals::Signals;

use crate::redact::Redactor;

/// What the program may know of its machine: variables, directories, programs, the clock; and what of it is a secret.
#[derive(Debug, Clone)]
pub struct Host {
    variables: Arc<BTreeMap<String, String>>,
    redactor: Redactor,
    /// Whether the credentials are known that programs read from files.
    programs_have_credentials: Arc<Once>,
    /// In place of the machine's own.
    #[cfg(test)]
    network: Option<fake::Network>,
}

/// A child process to run: program, arguments, and what it is given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    program: String,
    arguments: Vec<String>,
    directory: Option<PathBuf>,
    variables: Vec<(String, String)>,
    input: Option<Vec<u8>>,
    time_limit: Option<Duration>,
    most_output: Option<usize>,
}

/// The most that a child may write to standard output, and to standard error, where its call says nothing else.
const MOST_OUTPUT: usize = 64 << 20;

/// How a child process ended, whatever its exit status.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// Its exit status; zero is not required.
    pub(crate) status: ExitStatus,
    /// Everything it wrote to standard output.
    pub(crate) stdout: Vec<u8>,
    /// Everything it wrote to standard error.
    pub(crate) stderr: Vec<u8>,
}

/// Why a child process gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The program is not installed.
    #[error("`{program}` is not on PATH; install it, or let `.ci/setup` do so (`make setup`)")]
    ProgramMissing {
        /// Its name.
        program: String,
    },
    /// The program could not be started or talked to.
    #[error("cannot run `{command}`")]
    Start {
        /// The command line.
        command: String,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The program did not end in time and was killed.
    #[error("`{command}` did not end within {seconds} s and was ended")]
    TimeLimit {
        /// The command line.
        command: String,
        /// The limit.
        seconds: u64,
    },
    /// The program wrote more than it may, and was ended.
    #[error("`{command}` wrote more than {mebibytes} MiB and was ended")]
    TooMuchOutput {
        /// The command line.
        command: String,
        /// The limit.
        mebibytes: usize,
    },
    /// The program ended with a failure.
    #[error("`{command}` failed ({status}): {said}")]
    Failed {
        /// The command line.
        command: String,
        /// Its exit status.
        status: ExitStatus,
        /// The end of what it wrote to standard error, or to standard output where that is empty.
        said: String,
    },
}

impl Call {
    /// Starts a call of `program`, by name (found on PATH) or by path.
    pub(crate) fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            ..Self::default()
        }
    }

    /// Adds one argument.
    #[must_use]
    pub(crate) fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub(crate) fn args<I: IntoIterator<Item = S>, S: Into<String>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Runs it in `directory`.
    #[must_use]
    pub(crate) fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets a variable of its environment, beside the inherited ones.
    #[must_use]
    pub(crate) fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Gives it bytes on standard input. Without, standard input is closed.
    #[must_use]
    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Ends it after `limit`.
    #[must_use]
    pub(crate) fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Ends it where it writes more than so many bytes to standard output, or to standard error.
    #[must_use]
    pub(crate) fn most_output(mut self, bytes: usize) -> Self {
        self.most_output = Some(bytes);
        self
    }

    /// The command line, for a person to read; not quoted for a shell.
    pub(crate) fn line(&self) -> String {
        let mut line = self.program.clone();
        for argument in &self.arguments {
            line.push(' ');
            line.push_str(argument);
        }
        line
    }
}

impl Ended {
    /// Standard output as text, invalid UTF-8 replaced, ends trimmed.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// The last lines of standard error, or of standard output where standard error is empty.
    pub(crate) fn last_words(&self) -> String {
        let bytes = if self.stderr.iter().all(u8::is_ascii_whitespace) {
            &self.stdout
        } else {
            &self.stderr
        };
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<&str> = text.trim().lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

impl Host {
    /// The machine as it is.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    pub fn real() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self::of(variables)
    }

    /// A host with exactly these variables, for tests.
    pub fn with_variables<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self::of(variables)
    }

    fn of(variables: BTreeMap<String, String>) -> Self {
        let redactor = Redactor::new();
        credentials::learn_variables(&redactor, &variables);
        Self {
            variables: Arc::new(variables),
            redactor,
            programs_have_credentials: Arc::new(Once::new()),
            #[cfg(test)]
            network: None,
        }
    }

    /// Learns what programs read from files, once.
    fn learn_credentials_of_programs(&self) {
        self.programs_have_credentials
            .call_once(|| credentials::learn_files(self));
    }

    /// What takes secrets out of everything that is said. It knows those of the environment and whatever came through this
    /// door since; its clones learn with it.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The value of an environment variable; empty counts as unset.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The wall clock.
    pub fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    /// Where built images and downloads are kept: `$XDG_CACHE_HOME/quickproof`, else `~/.cache/quickproof`.
    pub(crate) fn cache_directory(&self) -> PathBuf {
        self.base_directory("XDG_CACHE_HOME", ".cache")
    }

    /// Where inventories of running runs are kept: `$XDG_STATE_HOME/quickproof`, else `~/.local/state/quickproof`.
    pub(crate) fn state_directory(&self) -> PathBuf {
        self.base_directory("XDG_STATE_HOME", ".local/state")
    }

    fn base_directory(&self, variable: &str, below_home: &str) -> PathBuf {
        let base = self
            .variable(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        base.unwrap_or_else(|| {
            let home = self.variable("HOME").unwrap_or("/tmp");
            Path::new(home).join(below_home)
        })
        .join("quickproof")
    }

    /// The file of the program that runs now, also where another was put in its place meanwhile. Source: proc(5).
    pub(crate) fn this_program() -> PathBuf {
        PathBuf::from("/proc/self/exe")
    }

    /// The full path of a program on PATH, or `None`.
    pub(crate) fn find_program(&self, name: &str) -> Option<PathBuf> {
        if name.contains('/') {
            return is_executable(Path::new(name)).then(|| PathBuf::from(name));
        }
        std::env::split_paths(self.variable("PATH")?)
            .map(|directory| directory.join(name))
            .find(|path| is_executable(path))
    }

    /// Whether standard error is a terminal a person looks at.
    pub(crate) fn stderr_is_terminal(&self) -> bool {
        std::io::stderr().is_terminal() && self.variable("TERM") != Some("dumb")
    }

    /// Columns of the terminal behind standard error, as it is now; `None` where there is none.
    pub(crate) fn stderr_columns() -> Option<usize> {
        terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| usize::from(width.0))
    }

    /// Whether standard output is a terminal a person looks at.
    pub(crate) fn stdout_is_terminal(&self) -> bool {
        std::io::stdout().is_terminal() && self.variable("TERM") != Some("dumb")
    }

    /// Columns of the terminal behind standard output, as it is now; `None` where there is none.
    pub(crate) fn stdout_columns() -> Option<usize> {
        terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
    }

    /// Whether text outside ASCII may be printed: the locale says UTF-8.
    pub(crate) fn speaks_utf8(&self) -> bool {
        ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| self.variable(name))
            .is_some_and(|locale| {
                let locale = locale.to_ascii_lowercase();
                locale.contains("utf-8") || locale.contains("utf8")
            })
    }

    /// Runs a child process to its end and returns what it wrote, whatever its exit status.
    ///
    /// It gets a process group of its own, so that a Ctrl-C at the terminal reaches us and not it: we decide when it ends.
    /// Dropping the future ends it.
    ///
    /// # Errors
    /// The program is missing, cannot be started, or runs over its time limit.
    pub(crate) async fn run(&self, call: &Call) -> Result<Ended, HostError> {
        self.run_with(call, &mut |_| ()).await
    }

    /// As [`Host::run`], and passes each line of standard error on while the child runs.
    ///
    /// # Errors
    /// As [`Host::run`].
    #[tracing::instrument(name = "child", level = "debug", skip_all, fields(command = %call.line(), exit), err(level = "debug"))]
    pub(crate) async fn run_with(
        &self,
        call: &Call,
        on_line: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Ended, HostError> {
        let program = self
            .find_program(&call.program)
            .ok_or_else(|| HostError::ProgramMissing {
                program: call.program.clone(),
            })?;
        self.learn_credentials_of_programs();
        let start = |source| HostError::Start {
            command: call.line(),
            source,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that starts child processes"
        )]
        let mut command = Command::new(program);
        command
            .args(&call.arguments)
            .env_clear()
            .envs(self.variables.iter())
            .envs(call.variables.iter().map(|(name, value)| (name, value)))
            .stdin(if call.input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(directory) = &call.directory {
            command.current_dir(directory);
        }
        let mut child = command.spawn().map_err(start)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let most = call.most_output.unwrap_or(MOST_OUTPUT);
        let talk = async {
            let write = async {
                if let (Some(mut stdin), Some(input)) = (stdin, &call.input) {
                    // A child that does not read its input (`head`) closes the pipe: its own exit status says whether that was right.
                    let _ = stdin.write_all(input).await;
                }
            };
            let within = |bytes: Vec<u8>| {
                let fits = (bytes.len() <= most).then_some(bytes);
                fits.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::FileTooLarge))
            };
            // One byte more than it may write shows that it does.
            let read = most as u64 + 1;
            let read_out = async {
                let mut bytes = Vec::new();
                if let Some(stdout) = stdout {
                    stdout.take(read).read_to_end(&mut bytes).await?;
                }
                within(bytes)
            };
            let read_err = async {
                let mut bytes = Vec::new();
                if let Some(stderr) = stderr {
                    let mut lines = BufReader::new(stderr).take(read);
                    let mut line = Vec::new();
                    while lines.read_until(b'\n', &mut line).await? > 0 {
                        on_line(String::from_utf8_lossy(&line).trim_end());
                        bytes.append(&mut line);
                    }
                }
                within(bytes)
            };
            let write = async {
                write.await;
                Ok(())
            };
            let ((), stdout, stderr, status) = tokio::try_join!(write, read_out, read_err, child.wait())?;
            Ok::<_, std::io::Error>(Ended { status, stdout, stderr })
        };
        let start = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::FileTooLarge => HostError::TooMuchOutput {
                command: call.line(),
                mebibytes: most >> 20,
            },
            _ => start(source),
        };
        let ended = match call.time_limit {
            None => talk.await.map_err(start),
            Some(limit) => match tokio::time::timeout(limit, talk).await {
                Ok(ended) => ended.map_err(start),
                Err(_) => Err(HostError::TimeLimit {
                    command: call.line(),
                    seconds: limit.as_secs(),
                }),
            },
        }?;
        tracing::Span::current().record("exit", tracing::field::display(ended.status));
        Ok(ended)
    }

    /// Runs a child process that must succeed.
    ///
    /// # Errors
    /// As [`Host::run`], and when its exit status is not zero.
    pub(crate) async fn run_ok(&self, call: &Call) -> Result<Ended, HostError> {
        let ended = self.run(call).await?;
        if ended.status.success() {
            return Ok(ended);
        }
        Err(HostError::Failed {
            command: call.line(),
            status: ended.status,
            said: ended.last_words(),
        })
    }
}

/// Whether the operating system has nothing left for another connection or file: the machine's lack, and nobody else's. The
/// standard library has no kinds for these.
pub(crate) fn is_exhausted(error: &std::io::Error) -> bool {
    // Source: errno(3), as Linux numbers them: ENOMEM, ENFILE, EMFILE, EADDRNOTAVAIL, ENOBUFS.
    const EXHAUSTED: [i32; 5] = [12, 23, 24, 99, 105];
    error.raw_os_error().is_some_and(|number| EXHAUSTED.contains(&number))
}

/// An error with its sources, in one line. What a message says of its source already is not said again.
pub fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        next = source.source();
    }
    words
}

/// A word as a POSIX shell reads it back: as it is where that is enough, else in single quotes.
pub(crate) fn shell_quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,@%+".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
pub(crate) mod fake;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Makes a named pipe.
    #[track_caller]
    pub(crate) fn make_pipe(path: &Path) {
        #[expect(
            clippy::disallowed_methods,
            reason = "the standard library makes no pipes with names"
        )]
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }

    #[tokio::test]
    async fn a_child_gets_its_input_and_its_output_comes_back() {
        let host = Host::real();
        let ended = host.run_ok(&Call::new("cat").input("seen")).await.unwrap();
        assert_eq!(ended.text(), "seen");
    }

    #[tokio::test]
    async fn a_failing_child_names_its_status_and_its_last_words() {
        let host = Host::real();
        let call = Call::new("sh").args(["-c", "echo one >&2; exit 3"]);
        let error = host.run_ok(&call).await.unwrap_err();
        assert!(matches!(&error, HostError::Failed { status, said, .. } if status.code() == Some(3) && said == "one"));
    }

    #[tokio::test]
    async fn a_child_over_its_time_limit_is_ended() {
        let host = Host::real();
        let call = Call::new("sleep").arg("600").time_limit(Duration::from_millis(20));
        assert!(matches!(host.run(&call).await, Err(HostError::TimeLimit { .. })));
    }

    #[tokio::test]
    async fn a_child_that_writes_without_end_is_ended() {
        for line in ["exec yes", "exec yes >&2", "exec tr '\\0' x </dev/zero >&2"] {
            let call = Call::new("sh").args(["-c", line]).most_output(1 << 20);
            let ended = Host::real().run(&call).await;
            assert!(
                matches!(ended, Err(HostError::TooMuchOutput { mebibytes: 1, .. })),
                "{line}: {ended:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let error = Host::real().run(&Call::new("no-such-program")).await.unwrap_err();
        assert!(matches!(error, HostError::ProgramMissing { program } if program == "no-such-program"));
    }

    #[test]
    fn directories_follow_xdg_and_ignore_relative_values() {
        let host = Host::with_variables([("XDG_CACHE_HOME", "/c"), ("XDG_STATE_HOME", "s"), ("HOME", "/h")]);
        assert_eq!(host.cache_directory(), Path::new("/c/quickproof"));
        assert_eq!(host.state_directory(), Path::new("/h/.local/state/quickproof"));
    }
}
