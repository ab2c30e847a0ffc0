//! Scenarios as data: the shipped files, their schema, and the subcommands that show them.

use std::{fs, path::Path};

use assert_cmd::Command;
use serde_json::Value;

fn quickproof(arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("quickproof"));
    command.args(arguments).env_clear().output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn shipped() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<(String, String)> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// With `INSTA_UPDATE=always`, as for snapshots, the file is written.
#[test]
fn the_committed_schema_is_the_one_that_is_generated() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/schema.json");
    let output = quickproof(&["scenario", "schema"]);
    assert_eq!(output.status.code(), Some(0));
    let generated = text(&output.stdout);
    #[expect(clippy::disallowed_methods, reason = "a switch of the test run, not of the program")]
    if std::env::var("INSTA_UPDATE").as_deref() == Ok("always") {
        fs::write(&path, &generated).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        generated,
        "see the head of this test"
    );
}

#[test]
fn every_shipped_scenario_is_valid_by_the_schema() {
    let schema: Value = serde_json::from_slice(&quickproof(&["scenario", "schema"]).stdout).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let files = shipped();
    assert!(files.len() >= 7, "{files:?}");
    for (file, text) in files {
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        let faults: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{file}: {faults:?}");
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let schema: Value = serde_json::from_slice(&quickproof(&["scenario", "schema"]).stdout).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let good = "{name: a, proves: It holds., steps: [{request: {path: /, expect: {answer: success}}}]}";
    for (from, to) in [
        ("", ""),
        ("name: a", "name: A"),
        ("proves", "prove"),
        ("request", "requests"),
        ("success", "good"),
        ("path: /, ", ""),
        ("path: /", "path: /, within: 3"),
        ("path: /", "path: /, repeat: 0"),
        ("[{request: {path: /, expect: {answer: success}}}]", "[]"),
    ] {
        let text = good.replacen(from, to, 1);
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(validator.is_valid(&value), from == to, "{text}");
        let read = quickproof::scenario::read("a.yaml", text.as_bytes());
        assert_eq!(read.is_ok(), from == to, "{text}");
    }
}

#[test]
fn scenarios_are_listed_for_people_and_for_scripts() {
    let listed = text(&quickproof(&["scenario", "list"]).stdout);
    assert!(listed.lines().any(|line| line.starts_with("chat-stream ")), "{listed}");
    let json: Value = serde_json::from_slice(&quickproof(&["scenario", "list", "-o", "json"]).stdout).unwrap();
    let names: Vec<&str> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|scenario| scenario["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), listed.lines().count());
    assert!(names.contains(&"refusals"), "{names:?}");
    assert_eq!(json[0]["weight"], "gate");
}

#[test]
fn a_scenario_is_shown_as_its_file_has_it() {
    let output = quickproof(&["scenario", "show", "chat"]);
    let (_, file) = shipped()
        .into_iter()
        .find(|(path, _)| path.ends_with("/chat.yaml"))
        .unwrap();
    assert_eq!(text(&output.stdout), file);
    let unknown = quickproof(&["scenario", "show", "chatt"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("did you mean `chat`?"));
}

#[test]
fn check_says_of_each_file_what_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = file(
        "good.yaml",
        "name: good\nproves: It holds.\nsteps:\n- request: {path: /, expect: {status: [200]}}\n",
    );
    let bad = file("bad.yaml", "name: bad\nproves: It holds.\nstepz: []\n");
    let output = quickproof(&["scenario", "check", &bad, &good]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), format!("{good}: scenario good, 1 step\n"));
    let said = text(&output.stderr);
    assert!(
        said.contains(&format!(
            "{bad}:3:1: no field is called `stepz` here; did you mean `steps`?"
        )),
        "{said}"
    );
    assert!(said.lines().any(|line| line.trim_start() == "| ^"), "{said}");
    assert_eq!(quickproof(&["scenario", "check", &good]).status.code(), Some(0));
}

#[test]
fn a_directory_stands_in_by_name_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mine.yaml");
    let own = "name: chat\nproves: Ours.\nsteps:\n- request: {path: /, expect: {status: [200]}}\n";
    fs::write(&path, own).unwrap();
    let at = directory.path().display().to_string();
    let output = quickproof(&["scenario", "show", "chat", "--scenarios", &at]);
    assert_eq!(text(&output.stdout), own);
    let line = format!("scenario chat: {} stands in for scenarios/chat.yaml\n", path.display());
    assert_eq!(text(&output.stderr), line);
    let nowhere = quickproof(&["scenario", "list", "--scenarios", "/no/such/directory"]);
    assert_eq!(nowhere.status.code(), Some(2));
}
