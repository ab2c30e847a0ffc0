//! Readers that go away: no subcommand's exit code depends on who reads what it prints, nor for how long.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use rstest::rstest;

use crate::{
    lies::{Ask, LIES, Lie, MODEL, liar},
    probe::{away, send},
    served::Served,
};

#[expect(
    clippy::disallowed_methods,
    reason = "the binary is what is tested, so a test starts it"
)]
fn quickproof(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("quickproof"));
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory)
        .stdin(Stdio::null());
    command
}

/// The writing end of a pipe whose reader is gone.
fn gone() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Calls it with everything read, and with each of its streams closed, and both: the code is this one each time.
#[track_caller]
fn has_this_code_whoever_reads(directory: &Path, arguments: &[&str], code: i32) {
    let read = quickproof(directory, arguments).output().unwrap();
    let said = String::from_utf8_lossy(&read.stderr).into_owned();
    assert_eq!(read.status.code(), Some(code), "{arguments:?} with readers: {said}");
    for (what, stdout, stderr) in [
        ("standard output", gone(), Stdio::null()),
        ("standard error", Stdio::null(), gone()),
        ("both", gone(), gone()),
    ] {
        let mut called = quickproof(directory, arguments);
        let status = called.stdout(stdout).stderr(stderr).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?} without a reader of {what}");
    }
}

fn tree(name: &str) -> String {
    format!("{}/tests/data/trees/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[rstest]
#[case::version(&["version"], 0)]
#[case::version_for_scripts(&["version", "-o", "json"], 0)]
#[case::help(&["--help"], 0)]
#[case::help_of_a_subcommand(&["verify", "--help"], 0)]
#[case::no_subcommand(&["nope"], 2)]
#[case::explain(&["explain"], 0)]
#[case::explain_a_cause(&["explain", "pod-image-not-found"], 0)]
#[case::explain_what_is_none(&["explain", "pod-image"], 2)]
#[case::the_rules(&["lint", "--rules"], 0)]
#[case::scenarios(&["scenario", "list"], 0)]
#[case::scenarios_for_scripts(&["scenario", "list", "-o", "json"], 0)]
#[case::a_scenario(&["scenario", "show", "chat"], 0)]
#[case::the_schema(&["scenario", "schema"], 0)]
#[case::a_scenario_that_is_not_there(&["scenario", "check", "none.yaml"], 2)]
#[case::images(&["images", "list"], 0)]
#[case::images_without_an_engine(&["images", "pull"], 3)]
#[case::clusters_without_kind(&["cluster", "list"], 3)]
#[case::reap_with_nothing_left(&["reap"], 0)]
#[case::reap_only_looking(&["reap", "--dry-run"], 0)]
#[case::a_run_without_an_engine(&["verify"], 3)]
#[case::a_run_of_no_tree(&["verify", "--tree", "none"], 2)]
fn what_needs_no_release_has_one_code(#[case] arguments: &[&str], #[case] code: i32) {
    let directory = tempfile::tempdir().unwrap();
    has_this_code_whoever_reads(directory.path(), arguments, code);
}

#[rstest]
#[case("text")]
#[case("json")]
#[case("sarif")]
#[case("github")]
fn lint_has_one_code_in_every_form(#[case] form: &str) {
    let directory = tempfile::tempdir().unwrap();
    let tree = tree("mini");
    let arguments = ["lint", "--tree", &tree, "--no-helm", "-o", form];
    has_this_code_whoever_reads(
        directory.path(),
        &[&arguments[..], &["--fail-on", "hygiene"]].concat(),
        1,
    );
    has_this_code_whoever_reads(directory.path(), &["lint", "--tree", "none", "-o", form], 2);
}

#[rstest]
#[case("text")]
#[case("json")]
fn plan_guide_and_diff_have_one_code_in_both_forms(#[case] form: &str) {
    let directory = tempfile::tempdir().unwrap();
    let tree = tree("mini");
    for what in ["plan", "guide"] {
        has_this_code_whoever_reads(directory.path(), &[what, "--tree", &tree, "-o", form], 0);
        has_this_code_whoever_reads(directory.path(), &[what, "--tree", "none", "-o", form], 2);
    }
    for variant in ["sim", "gpu"] {
        let arguments = ["plan", "--tree", &tree, "--variant", variant, "-o", "json"];
        let plan = quickproof(directory.path(), &arguments).output().unwrap().stdout;
        fs::write(directory.path().join(variant), plan).unwrap();
    }
    has_this_code_whoever_reads(directory.path(), &["diff", "sim", "sim", "-o", form], 0);
    has_this_code_whoever_reads(directory.path(), &["diff", "sim", "gpu", "-o", form], 1);
    has_this_code_whoever_reads(directory.path(), &["diff", "sim", "none", "-o", form], 2);
}

#[rstest]
#[case::nothing_beside(&["-o", "text"])]
#[case::for_scripts(&["-o", "json"])]
#[case::a_report_on_standard_output(&["--json-file", "-"])]
fn a_probe_has_one_code(#[case] form: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let chosen = ["--scenario", "refusals", "--model", MODEL];
    let probe = |address: &str| [&["probe", address], &chosen[..], form].concat().join("\n");
    let has_code = |arguments: String, code| {
        let arguments: Vec<&str> = arguments.lines().collect();
        has_this_code_whoever_reads(directory.path(), &arguments, code);
    };
    has_code(probe(&liar(None).url("")), 0);
    let lie = |lie: &&Lie| lie.check == "answer-status" && lie.ask == Ask::UnknownModel;
    has_code(probe(&liar(LIES.iter().find(lie)).url("")), 1);
    has_code(probe(&away()), 3);
    has_code(probe("ftp://h"), 2);
}

/// The writing end of a pipe that is full, and the reading end, which nobody reads.
fn full_pipe() -> (std::io::PipeReader, Stdio) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    // Source: pipe(7), the capacity of a pipe.
    writer.write_all(&vec![b' '; 65536]).unwrap();
    (reader, writer.into())
}

/// A probe all of whose requests are held, with one of its streams stuck; signals end it all the same.
#[rstest]
#[case::standard_error("-INT", 130)]
#[case::standard_error_by_another("-TERM", 143)]
fn signals_end_a_run_whose_terminal_takes_nothing(#[case] signal: &str, #[case] code: i32) {
    let (asked, requests) = std::sync::mpsc::channel();
    let server = Served::start(move |_, wire| {
        let _ = asked.send(());
        wire.hold()
    })
    .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (_reader, stuck) = full_pipe();
    let arguments = ["probe", &server.url(""), "--model", MODEL, "--timeout", "10m"];
    let mut child = quickproof(directory.path(), &arguments)
        .stderr(stuck)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    requests.recv().unwrap();
    let code_of = |child: &mut std::process::Child| child.try_wait().unwrap().map(|status| status.code());
    let ended = std::iter::from_fn(|| {
        send(signal, &child);
        Some(code_of(&mut child))
    });
    assert_eq!(ended.flatten().next(), Some(Some(code)));
}

#[test]
fn signals_end_a_probe_whose_output_nobody_reads() {
    let directory = tempfile::tempdir().unwrap();
    let server = liar(None);
    let (_reader, stuck) = full_pipe();
    let arguments = [
        "probe",
        &server.url(""),
        "--model",
        MODEL,
        "--scenario",
        "refusals",
        "-o",
        "json",
    ];
    let mut child = quickproof(directory.path(), &arguments)
        .stdout(stuck)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The last block says that everything is written; what remains is the output.
    let said = BufReader::new(child.stderr.take().unwrap());
    assert!(said.lines().map_while(Result::ok).any(|line| line.contains("PASSED")));
    let ended = std::iter::from_fn(|| {
        send("-TERM", &child);
        Some(child.try_wait().unwrap().map(|status| status.code()))
    });
    assert_eq!(ended.flatten().next(), Some(Some(143)));
}

/// The limit of the size of files is one of this machine: nothing is skipped for it, and nothing passes.
#[test]
fn a_file_that_may_not_grow_is_an_error_and_no_sudden_end() {
    let directory = tempfile::tempdir().unwrap();
    let server = liar(None);
    let program = quickproof(directory.path(), &[]);
    #[expect(clippy::disallowed_methods, reason = "only a shell sets limits")]
    let mut limited = Command::new("sh");
    let script = "ulimit -f 8; exec \"$0\" probe \"$1\" --model m --scenario refusals";
    limited
        .args(["-c", script])
        .arg(program.get_program())
        .arg(server.url(""));
    let status = limited
        .current_dir(directory.path())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(3), "{status:?}");
}

#[rstest]
#[case::a_socket("socket", "neither a file, a pipe nor a terminal")]
#[case::a_directory(".", "directory")]
fn a_place_that_takes_no_report_is_refused_with_its_flag(#[case] name: &str, #[case] why: &str) {
    let directory = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(directory.path().join("socket")).unwrap();
    let called = quickproof(directory.path(), &["probe", "localhost:1", "--junit-file", name])
        .output()
        .unwrap();
    let said = String::from_utf8(called.stderr).unwrap();
    assert_eq!(called.status.code(), Some(2), "{said}");
    assert!(said.contains("--junit-file") && said.contains(why), "{said}");
    assert!(!directory.path().join("quickproof-runs").exists(), "nothing is made");
}

#[test]
fn output_that_a_full_disk_takes_is_told_and_never_a_pass() {
    let directory = tempfile::tempdir().unwrap();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let called = quickproof(directory.path(), &["explain"])
        .stdout(full())
        .output()
        .unwrap();
    let said = String::from_utf8(called.stderr).unwrap();
    assert_eq!(called.status.code(), Some(3));
    assert!(
        said.contains("cannot write standard output") && said.contains("No space"),
        "{said}"
    );
    let arguments = ["lint", "--tree", &tree("mini"), "--no-helm", "--fail-on", "hygiene"];
    let status = quickproof(directory.path(), &arguments)
        .stdout(full())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1), "what was decided stands");
}
