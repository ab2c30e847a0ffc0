//! What the tests stand on: the built binary, a directory of its own, its reports read back.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use serde_json::Value;

/// Of each scenario one check that holds wherever a release works.
pub(crate) const OF_SCENARIOS: &[&str] = &[
    "chat/answer-choices",
    "chat-stream/stream-done",
    "completions/answer-usage",
    "completions-stream/passed-endpoint-picker",
    "refusals/unknown-model/answer-status",
    "refusals/malformed-json/error-body",
    "lora-adapter/answer-model",
    "missing-model/answered-by",
    "models/models-list",
];

/// One run of the binary and everything it left behind.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
    pub(crate) report: Value,
}

static TURNS: RwLock<()> = RwLock::new(());

thread_local! {
    static HAS_TURN: Cell<bool> = const { Cell::new(false) };
}

/// The right to use the machine, until it is dropped. Each test takes one first.
pub(crate) struct Turn<Guard>(Guard);

impl<Guard> Turn<Guard> {
    fn of(guard: Guard) -> Self {
        HAS_TURN.set(true);
        Self(guard)
    }
}

impl<Guard> Drop for Turn<Guard> {
    fn drop(&mut self) {
        HAS_TURN.set(false);
    }
}

/// For a test that minds its own cluster, or its own namespace of the shared one.
pub(crate) fn beside_others() -> Turn<RwLockReadGuard<'static, ()>> {
    Turn::of(TURNS.read().unwrap_or_else(PoisonError::into_inner))
}

/// For a test that looks at all that the engine or a shared node has, disturbs the shared cluster, or measures.
pub(crate) fn alone() -> Turn<RwLockWriteGuard<'static, ()>> {
    Turn::of(TURNS.write().unwrap_or_else(PoisonError::into_inner))
}

/// The binary, with its reports in `directory`.
pub(crate) fn quickproof(directory: &Path) -> Command {
    assert!(HAS_TURN.get(), "a test begins with `alone()` or `beside_others()`");
    #[expect(clippy::disallowed_methods, reason = "tests start the binary under test")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_quickproof"));
    command.current_dir(directory).stdin(Stdio::null());
    command
}

/// Runs `quickproof verify ARGS` to its end.
pub(crate) fn verify(arguments: &[&str]) -> Ran {
    verify_with(arguments, &[])
}

/// The same with variables in its environment.
pub(crate) fn verify_with(arguments: &[&str], variables: &[(String, String)]) -> Ran {
    verify_as(arguments, |mut command| {
        command.envs(variables.iter().cloned());
        command
    })
}

/// The same by a command that is made of the usual one.
pub(crate) fn verify_as(arguments: &[&str], changed: impl FnOnce(Command) -> Command) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let mut command = quickproof(directory.path());
    command.arg("verify").args(arguments);
    command.args(["--json-file", "record.json", "--junit-file", "junit.xml"]);
    let output = changed(command).output().unwrap();
    let ran = ran(&output, directory.path());
    eprintln!("--- quickproof verify {}\n{}", arguments.join(" "), ran.stderr);
    ran
}

fn ran(output: &Output, directory: &Path) -> Ran {
    let text = fs::read_to_string(directory.join("record.json")).unwrap_or_default();
    Ran {
        code: output.status.code(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        report: serde_json::from_str(&text).unwrap_or(Value::Null),
    }
}

impl Ran {
    /// The decision of this check.
    pub(crate) fn decision(&self, check: &str) -> Option<&Value> {
        self.decisions().iter().find(|decision| decision["check"] == check)
    }

    pub(crate) fn decisions(&self) -> &[Value] {
        self.report["decisions"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Broken gate decisions: what decided the verdict.
    pub(crate) fn broken(&self) -> Vec<&Value> {
        let broken = |decision: &&Value| decision["finding"]["finding"] == "broken" && decision["weight"] == "gate";
        self.decisions().iter().filter(broken).collect()
    }

    /// Codes of the causes of all broken decisions, advisory ones included.
    pub(crate) fn causes<'a>(&'a self) -> Vec<&'a str> {
        let code = |decision: &'a Value| decision["finding"]["cause"]["code"].as_str();
        self.decisions().iter().filter_map(code).collect()
    }

    /// Entries of the ledger that say what was substituted, and say this of it.
    pub(crate) fn substituted(&self, what: &str) -> Vec<&Value> {
        let ledger = self.report["ledger"].as_array().map_or(&[][..], Vec::as_slice);
        let says = |entry: &&Value| {
            entry["kind"] == "substituted" && entry["what"].as_str().is_some_and(|text| text.contains(what))
        };
        ledger.iter().filter(says).collect()
    }

    /// Asserts that these checks were decided, and hold.
    #[track_caller]
    pub(crate) fn holds(&self, checks: &[&str]) {
        for check in checks {
            let decision = self
                .decision(check)
                .unwrap_or_else(|| panic!("{check} was not decided"));
            assert_eq!(decision["finding"]["finding"], "holds", "{decision}");
        }
    }

    /// Asserts exit code, outcome, and a cause among those found.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, outcome: &str, cause: Option<&str>) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert_eq!(self.report["outcome"], outcome);
        if let Some(cause) = cause {
            assert!(self.causes().contains(&cause), "{:?}", self.causes());
        }
    }
}

/// The repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A copy of a directory, to be changed.
pub(crate) fn copied(source: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(source, copy.path());
    copy
}

fn copy_into(source: &Path, target: &Path) {
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let to = target.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy_into(&entry.path(), &to);
        } else {
            fs::write(&to, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// Replaces text that must be there exactly once in a file.
#[track_caller]
pub(crate) fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(text.matches(from).count(), 1, "`{from}` in {}", file.display());
    fs::write(file, text.replace(from, to)).unwrap();
}

/// What the engine has that is ours: containers, networks, volumes, by a line each; and kind's clusters.
pub(crate) fn left_in_the_engine() -> Vec<String> {
    let mut lines = Vec::new();
    for arguments in [
        &[
            "ps",
            "--all",
            "--format",
            "container {{.Names}}",
            "--filter",
            "name=quickproof-",
        ][..],
        &["volume", "ls", "--format", "volume {{.Name}}"],
        &["network", "ls", "--format", "network {{.Name}}"],
    ] {
        lines.extend(output("docker", arguments).lines().map(str::to_owned));
    }
    lines.extend(
        output("kind", &["get", "clusters", "--quiet"])
            .lines()
            .map(|name| format!("cluster {name}")),
    );
    lines.sort();
    lines
}

/// Asserts that the engine has what it had. The registry is a cache that outlives runs, and may have been started since;
/// so may the network that it is in.
#[track_caller]
pub(crate) fn nothing_is_left(before: &[String]) {
    let mut after = left_in_the_engine();
    after.retain(|line| before.contains(line) || !line.contains("quickproof-registry") && line != "network kind");
    assert_eq!(after, before);
}

/// Makes a cluster called `quickproof-NAME` anew, in place of what an earlier, killed run of the tests left, and returns the
/// path of its kubeconfig file.
#[track_caller]
pub(crate) fn cluster_up(directory: &Path, name: &str) -> String {
    cluster_down(directory, name);
    let up = quickproof(directory).args(["cluster", "up", name]).output().unwrap();
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    let said = String::from_utf8(up.stdout).unwrap();
    let mut lines = said.lines().map(str::trim);
    let exported = lines.find_map(|line| line.strip_prefix("export KUBECONFIG="));
    exported.unwrap().to_owned()
}

/// Takes the cluster called `quickproof-NAME` down, where there is one.
pub(crate) fn cluster_down(directory: &Path, name: &str) {
    let name = format!("quickproof-{name}");
    let _ = quickproof(directory).args(["cluster", "down", &name]).output();
}

/// How a program ended.
pub(crate) fn ended(program: &str, arguments: &[&str]) -> Output {
    #[expect(clippy::disallowed_methods, reason = "tests look at the machine with its own tools")]
    Command::new(program).args(arguments).output().unwrap()
}

/// Standard output of a program that must succeed.
#[track_caller]
pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let output = ended(program, arguments);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
