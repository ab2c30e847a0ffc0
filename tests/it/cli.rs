//! The built binary: its standard output, standard error and exit code.

use std::process::{Command, Stdio};

use assert_cmd::assert::OutputAssertExt;

#[expect(
    clippy::disallowed_methods,
    reason = "the binary is what is tested, so a test starts it"
)]
fn quickproof(arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("quickproof"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_names_every_subcommand_and_every_exit_code() {
    let help = stdout(&mut quickproof(&["--help"]));
    for word in [
        "verify", "images", "cluster", "reap", "explain", "version", "  130  ", "  143  ",
    ] {
        assert!(help.contains(word), "{word}");
    }
    quickproof(&["--help"]).assert().code(0);
}

#[test]
fn help_of_verify_has_examples_defaults_and_exit_codes() {
    let help = stdout(&mut quickproof(&["verify", "--help"]));
    for word in ["Examples:", "[default: 10m]", "Exit codes:", "--strict"] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn version_can_be_read_by_scripts() {
    let json: serde_json::Value = serde_json::from_str(&stdout(&mut quickproof(&["version", "-o", "json"]))).unwrap();
    assert_eq!(json["quickproof"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["record_version"], 1);
}

#[test]
fn explain_prints_on_standard_output_and_refuses_what_it_does_not_know() {
    let text = stdout(&mut quickproof(&["explain", "pod-image-not-found"]));
    assert!(text.contains("blame  image"), "{text}");
    let output = quickproof(&["explain", "pod-image-notfound"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `pod-image-not-found`"));
}

#[test]
fn what_cannot_be_parsed_is_a_usage_error() {
    for arguments in [
        &["nope"][..],
        &[],
        &["verify", "--timeout", "10"],
        &["verify", "--tree", "."],
        &["version", "-o", "yaml"],
    ] {
        quickproof(arguments).assert().code(2);
    }
}

#[test]
fn no_colour_is_sent_where_nobody_wants_any() {
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let output = quickproof(&["--help"]).env(variable.0, variable.1).output().unwrap();
        assert!(!output.stdout.contains(&0x1b), "{variable:?}");
    }
    let forced = quickproof(&["--help"]).env("CLICOLOR_FORCE", "1").output().unwrap();
    assert!(
        forced.stdout.contains(&0x1b),
        "the same with colours, where they are forced"
    );
}

#[test]
fn a_reader_who_has_enough_is_no_error() {
    for arguments in [&["explain"][..], &["--help"], &["version"]] {
        let mut child = quickproof(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_readme_names_every_exit_code() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let table: String = readme.lines().filter(|line| line.starts_with("| ")).collect();
    for code in quickproof::verdict::ExitCode::ALL {
        let number = code.number().to_string();
        let named = table.split(|c: char| !c.is_ascii_digit()).any(|word| word == number);
        assert!(named, "{number}");
    }
}
