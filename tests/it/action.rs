//! The GitHub action: its main and its post, run by node in an environment that a runner would give them.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use serde_json::Value;

use crate::{
    lies::{liar, right},
    probe::send,
    served::Served,
};

/// The longest that a request may take to come, on a machine that is busy.
const BOUND: Duration = Duration::from_mins(1);

/// Whether node is there. Where it is not, that is said, and fails where it was promised.
#[expect(clippy::disallowed_methods, reason = "a test has no host to ask")]
fn has_node() -> bool {
    if Command::new("node").arg("--version").output().is_ok() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "there is no `node`, which `.ci/setup` installs"
    );
    // Not by `eprintln!`, whose words a test that passes keeps for itself.
    let _ = writeln!(
        std::io::stderr(),
        "not run: the tests of the action: there is no `node`"
    );
    false
}

/// A job on a runner.
struct Job {
    directory: tempfile::TempDir,
    /// What the step is given: inputs, and what `GITHUB_STATE` kept.
    variables: BTreeMap<String, String>,
}

impl Job {
    /// A step that probes an endpoint.
    fn probing(url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut job = Self {
            directory,
            variables: BTreeMap::new(),
        };
        job.set("INPUT_BINARY", env!("CARGO_BIN_EXE_quickproof"));
        job.set("INPUT_COMMAND", "probe");
        job.set("INPUT_ARGS", &format!("{url} --timeout '10m'"));
        job.set("INPUT_OUTPUT-DIR", "runs");
        for (variable, file) in [
            ("GITHUB_OUTPUT", "output"),
            ("GITHUB_STATE", "state"),
            ("GITHUB_STEP_SUMMARY", "summary"),
        ] {
            let path = job.path(file);
            fs::write(&path, "").unwrap();
            job.set(variable, path.to_str().unwrap());
        }
        for (variable, file) in [
            ("HOME", "home"),
            ("GITHUB_WORKSPACE", "."),
            ("RUNNER_TOOL_CACHE", "tools"),
        ] {
            let path = job.path(file);
            job.set(variable, path.to_str().unwrap());
        }
        job
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn set(&mut self, variable: &str, value: &str) {
        self.variables.insert(variable.to_owned(), value.to_owned());
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no host to ask, and starts what a runner would"
    )]
    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("node");
        command
            .arg(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join(".github/action")
                    .join(script),
            )
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn main(&self) -> Step {
        Step::of(self.command("main.js").output().unwrap())
    }

    /// What comes after the job: main's state is given to it.
    fn post(&mut self) -> Step {
        for (name, value) in said_in(&self.path("state")) {
            self.set(&format!("STATE_{name}"), &value);
        }
        Step::of(self.command("post.js").output().unwrap())
    }

    fn outputs(&self) -> BTreeMap<String, String> {
        said_in(&self.path("output"))
    }

    fn summary(&self) -> String {
        fs::read_to_string(self.path("summary")).unwrap()
    }

    /// The record of the only run.
    fn record(&self) -> Value {
        let mut runs = fs::read_dir(self.path("runs")).unwrap();
        let run = runs.next().unwrap().unwrap().path();
        assert!(runs.next().is_none());
        serde_json::from_slice(&fs::read(run.join("record.json")).unwrap()).unwrap()
    }
}

/// A file of the runner, read as the runner reads it.
fn said_in(file: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(file).unwrap();
    let (mut said, mut lines) = (BTreeMap::new(), text.lines());
    while let Some(line) = lines.next() {
        let (name, end) = line.split_once("<<").unwrap();
        let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        said.insert(name.to_owned(), value.join("\n"));
    }
    said
}

/// What a script printed.
struct Step {
    code: Option<i32>,
    log: String,
}

impl Step {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            log: format!("{}{}", text(output.stdout), text(output.stderr)),
        }
    }

    /// The commands of one kind that the runner would obey.
    fn commands(&self, kind: &str) -> Vec<&str> {
        let is = |line: &&str| line.strip_prefix("::").is_some_and(|rest| rest.starts_with(kind));
        self.log.lines().filter(is).collect()
    }
}

#[test]
fn a_pass_gives_every_output_and_a_summary_and_annotates_nothing() {
    if !has_node() {
        return;
    }
    let server = liar(None);
    let mut job = Job::probing(&server.url(""));
    job.set("HF_TOKEN", "correct-horse-battery");
    job.set("RUNNER_DEBUG", "1");
    let step = job.main();
    assert_eq!(step.code, Some(0), "{}", step.log);
    let outputs = job.outputs();
    for (name, value) in [
        ("outcome", "passed"),
        ("exit-code", "0"),
        ("cause", ""),
        ("failure-category", ""),
        ("deviations", "0"),
    ] {
        assert_eq!(outputs[name], value, "{name}");
    }
    assert!(Path::new(&outputs["junit"]).is_file() && Path::new(&outputs["json"]).is_file());
    assert!(Path::new(&outputs["run-dir"]).join("run.log").is_file());
    assert!(
        job.summary().starts_with("## quickproof: passed\n"),
        "{}",
        job.summary()
    );
    assert_eq!(step.commands("add-mask"), ["::add-mask::correct-horse-battery"]);
    assert!(
        step.commands("error").is_empty() && step.commands("warning").is_empty(),
        "{}",
        step.log
    );
    assert!(
        job.record()["command"].as_str().unwrap().contains(" -v"),
        "{}",
        job.record()["command"]
    );
    let post = job.post();
    assert_eq!(post.code, Some(0), "{}", post.log);
    assert!(post.commands("warning").is_empty(), "{}", post.log);
}

#[test]
fn a_failure_is_annotated_within_what_a_step_may_have_with_its_cause_first() {
    if !has_node() {
        return;
    }
    // Every answer is right but for its name, so that very much is wrong.
    let server = Served::start(|asked, mut wire| {
        let mut draft = right(asked);
        draft.status = if asked.path() == "/v1/models" { 200 } else { 206 };
        draft.headers.push(("content-type", "text/plain".to_owned()));
        wire.send(draft.rendered())
    })
    .unwrap();
    let job = Job::probing(&server.url(""));
    let step = job.main();
    assert_eq!(step.code, Some(1), "{}", step.log);
    let outputs = job.outputs();
    assert_eq!(
        (outputs["outcome"].as_str(), outputs["failure-category"].as_str()),
        ("failed", "release")
    );
    let (record, errors) = (job.record(), step.commands("error"));
    assert_eq!(errors.len(), 10, "{}", step.log);
    let root = record["root_cause"]["check"].as_str().unwrap();
    assert!(errors[0].contains(&format!("title={root}::")), "{}", errors[0]);
    assert!(step.commands("warning").len() <= 10);
    let notices = step.commands("notice");
    assert!(
        notices.len() == 1 && notices[0].contains("more findings"),
        "{notices:?}"
    );
    assert!(!outputs["cause"].is_empty() && job.summary().contains("## quickproof: failed"));
}

#[test]
fn what_cannot_begin_is_one_error_that_says_what_to_do() {
    if !has_node() {
        return;
    }
    for (variable, value, code, said) in [
        ("INPUT_COMMAND", "cluster", 3, "verify, probe or merge"),
        ("INPUT_RELEASE", "v1.5.0", 3, "`release` is for `verify`"),
        ("INPUT_ARGS", "http://", 2, "before it had a report"),
        ("INPUT_BINARY", "", 3, "give `version`"),
        ("INPUT_BINARY", "no/such/program", 3, "ENOENT"),
    ] {
        let mut job = Job::probing("127.0.0.1:9");
        job.set(variable, value);
        let step = job.main();
        assert_eq!(step.code, Some(code), "{}", step.log);
        let errors = step.commands("error");
        assert!(errors.len() == 1 && errors[0].contains(said), "{}", step.log);
    }
}

/// A probe of an endpoint that lists its models and then never answers, once it has asked.
fn held() -> (Served, mpsc::Receiver<()>) {
    let (asked, requests) = mpsc::channel();
    let server = Served::start(move |request, mut wire| {
        if request.path() == "/v1/models" {
            return wire.send(right(request).rendered());
        }
        let _ = asked.send(());
        wire.hold()
    })
    .unwrap();
    (server, requests)
}

/// The processes that a process started.
fn children(child: &Child) -> Vec<String> {
    let pid = child.id();
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    listed.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_step_that_is_cancelled_has_its_reports_and_its_outputs() {
    if !has_node() {
        return;
    }
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let (server, requests) = held();
        let mut job = Job::probing(&server.url(""));
        let child = job.command("main.js").spawn().unwrap();
        requests.recv_timeout(BOUND).unwrap();
        send(signal, &child);
        let step = Step::of(child.wait_with_output().unwrap());
        assert_eq!(step.code, Some(code), "{}", step.log);
        let outputs = job.outputs();
        assert_eq!(outputs["exit-code"], code.to_string());
        assert_eq!(outputs["failure-category"], "interrupted");
        assert_eq!(step.commands("error").len(), 1, "{}", step.log);
        assert_eq!(job.post().code, Some(0));
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the standard library sends no signals")]
fn after_a_kill_post_makes_the_reports_and_tells_them() {
    if !has_node() {
        return;
    }
    let (server, requests) = held();
    let mut job = Job::probing(&server.url(""));
    let mut child = job.command("main.js").spawn().unwrap();
    requests.recv_timeout(BOUND).unwrap();
    let started = children(&child);
    assert_eq!(started.len(), 1, "{started:?}");
    // As the runner does, with all that the step started.
    send("-KILL", &child);
    assert!(
        Command::new("kill")
            .arg("-KILL")
            .args(&started)
            .status()
            .unwrap()
            .success()
    );
    child.wait().unwrap();
    assert!(job.outputs().is_empty() && job.summary().is_empty());
    let post = job.post();
    assert_eq!(post.code, Some(0), "{}", post.log);
    assert!(job.record()["ended"].is_null());
    assert_eq!(job.record()["outcome"], "inconclusive");
    assert!(
        job.summary().starts_with("## quickproof: inconclusive\n"),
        "{}",
        job.summary()
    );
    assert!(!post.commands("error").is_empty(), "{}", post.log);
}

#[test]
fn the_action_has_an_output_for_everything_that_main_tells_and_an_input_for_all_that_it_asks() {
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let (definition, scripts) = (
        read("action.yml"),
        ["main.js", "quickproof.js"]
            .map(|file| read(&format!(".github/action/{file}")))
            .concat(),
    );
    let section = |name: &str| {
        let (_, rest) = definition.split_once(&format!("\n{name}:\n")).unwrap();
        let lines = rest.lines().take_while(|line| line.starts_with(' '));
        let keys = lines.filter(|line| !line.starts_with("   "));
        keys.map(|line| line.trim().trim_end_matches(':').to_owned())
            .collect::<Vec<_>>()
    };
    for name in [section("inputs"), section("outputs")].concat() {
        assert!(scripts.contains(&format!("'{name}'")), "nobody reads or tells `{name}`");
    }
    for word in [
        "using: node24",
        "main: .github/action/main.js",
        "post: .github/action/post.js",
        "post-if: always()",
    ] {
        assert!(definition.contains(word), "{word}");
    }
}
