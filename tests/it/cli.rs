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
        "verify", "plan", "guide", "diff", "probe", "scenario", "images", "cluster", "reap", "explain", "version",
        "  130  ", "  143  ",
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
    assert!(json["target"].as_str().unwrap().contains("-linux-"), "{json}");
    assert_eq!(json["data"].as_str().unwrap().len(), "sha256:".len() + 64, "{json}");
    // Whoever builds it by hand may have changed the files, so that no commit is told.
    for told in ["commit", "date"] {
        assert!(json[told].is_null() || json[told].is_string(), "{told}: {json}");
    }
}

#[test]
fn every_shell_completes_subcommands_and_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&mut quickproof(&["completions", shell]));
        for word in ["verify", "reap", "output-dir"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(script.ends_with('\n'), "{shell}");
    }
    quickproof(&["completions", "sh"]).assert().code(2);
}

#[test]
fn manual_pages_are_there_for_each_subcommand_and_tell_the_exit_codes() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    quickproof(&["man", pages.to_str().unwrap()]).assert().code(0);
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    assert!(page("quickproof.1").contains("130"));
    for word in ["output\\-dir", "junit\\-file", "Exit codes"] {
        assert!(page("quickproof-verify.1").contains(word), "{word}");
    }
    assert!(page("quickproof-cluster-up.1").contains("quickproof"));
    // A file where the directory should be.
    quickproof(&["man", pages.join("quickproof.1").to_str().unwrap()])
        .assert()
        .code(2);
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
fn the_readme_names_every_exit_code() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let table: String = readme.lines().filter(|line| line.starts_with("| ")).collect();
    for code in quickproof::verdict::ExitCode::ALL {
        let number = code.number().to_string();
        let named = table.split(|c: char| !c.is_ascii_digit()).any(|word| word == number);
        assert!(named, "{number}");
    }
}

/// The documents, by their places from the root.
fn documents() -> Vec<(std::path::PathBuf, String)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let below = std::fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let all = below.chain(["README.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    let pages = all.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn every_link_of_the_documents_leads_to_a_file() {
    let documents = documents();
    assert!(documents.len() > 10);
    for (path, text) in documents {
        for link in text.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap();
            let is_elsewhere = link.is_empty() || link.contains("://");
            let file = path.parent().unwrap().join(link);
            assert!(is_elsewhere || file.exists(), "{} links to {link}", path.display());
        }
    }
}

#[test]
fn the_readme_is_read_in_one_go_and_leads_to_every_other_document() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    assert!(readme.lines().count() <= 150, "{}", readme.lines().count());
    for (path, _) in documents() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name == "README.md" || readme.contains(&name), "nothing leads to {name}");
    }
}

/// The small release that tests plan with.
fn mini() -> String {
    format!("{}/tests/data/trees/mini", env!("CARGO_MANIFEST_DIR"))
}

fn json(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&stdout(&mut quickproof(arguments))).unwrap()
}

#[test]
fn a_plan_can_be_read_by_scripts() {
    let plan = json(&["plan", "--tree", &mini(), "-o", "json"]);
    assert_eq!(plan["plan_version"], 1);
    assert_eq!(plan["subject"]["tag"], "v1.5.0");
    assert_eq!(
        plan["subject"]["variant"], "sim",
        "what asks for least is taken where nothing is asked for"
    );
    let steps = plan["steps"].as_array().unwrap();
    let apply = steps.iter().find(|step| step["action"] == "apply").unwrap();
    assert!(apply["line"].as_u64() > Some(0) && apply["check"].as_str().unwrap().starts_with("apply:"));
    assert_eq!(apply["details"]["objects"][0]["kind"], "Deployment");
    let sum: u64 = steps.iter().filter_map(|step| step["resources"]["pods"].as_u64()).sum();
    assert_eq!(plan["resources"]["pods"], sum);
    assert!(sum > 0);
    let unknown = plan["resources_unknown_for"].as_array().unwrap();
    assert_eq!(
        unknown.len(),
        steps.iter().filter(|step| step["resources"].is_null()).count()
    );
    assert!(
        !plan["cleanup"].as_array().unwrap().is_empty(),
        "the cleanup is read too"
    );
    assert!(
        plan["images"]
            .as_array()
            .unwrap()
            .iter()
            .all(|image| image["pin"].is_string())
    );
}

#[test]
fn every_command_of_a_guide_came_to_something_and_is_counted() {
    let guide = json(&["guide", "--tree", &mini(), "-o", "json"]);
    let blocks = guide["blocks"].as_array().unwrap();
    let commands: Vec<_> = blocks
        .iter()
        .flat_map(|block| block["commands"].as_array().unwrap())
        .collect();
    let counts = &guide["counts"];
    assert_eq!(counts["commands"], commands.len());
    let of = |became: &str| commands.iter().filter(|command| command["became"] == became).count();
    for (count, became) in [
        ("steps", "step"),
        ("left_out", "left-out"),
        ("not_chosen", "not-chosen"),
        ("not_understood", "not-understood"),
    ] {
        assert_eq!(counts[count], of(became), "{became}");
    }
    assert!(of("step") > 5 && of("not-chosen") > 0 && of("left-out") > 0);
    assert_eq!(guide["problems"].as_array().unwrap().len(), 1);
    let text = stdout(&mut quickproof(&["guide", "--tree", &mini()]));
    assert!(
        text.contains("not chosen") && text.contains("[Simulator deployment]"),
        "{text}"
    );
}

#[test]
fn what_the_guide_does_not_offer_is_answered_with_what_it_offers() {
    for (flag, offered) in [("--variant", "`gpu`, `sim`"), ("--provider", "`istio`")] {
        let output = quickproof(&["plan", "--tree", &mini(), flag, "none-such"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(offered) && said.contains("none-such"), "{said}");
    }
}

#[test]
fn two_plans_differ_where_their_choices_do() {
    let directory = tempfile::tempdir().unwrap();
    let saved = |variant: &str| {
        let path = directory.path().join(format!("{variant}.json"));
        let plan = stdout(&mut quickproof(&[
            "plan",
            "--tree",
            &mini(),
            "--variant",
            variant,
            "-o",
            "json",
        ]));
        std::fs::write(&path, plan).unwrap();
        path.display().to_string()
    };
    let (sim, gpu) = (saved("sim"), saved("gpu"));
    quickproof(&["diff", &sim, &sim]).assert().code(0);
    let output = quickproof(&["diff", &sim, &gpu]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("  variant\n    - sim\n    + gpu\n"), "{text}");
    let differences = json(&["diff", &sim, &gpu, "-o", "json"]);
    assert!(differences.as_array().unwrap().iter().any(|one| one["part"] == "steps"));
    quickproof(&["diff", &sim, "/nowhere/at/all"]).assert().code(2);
}

#[test]
fn assets_that_are_given_take_the_place_of_those_built_from_the_tree() {
    let directory = tempfile::tempdir().unwrap();
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: given}\n";
    std::fs::write(directory.path().join("manifests.yaml"), object).unwrap();
    let given = directory.path().display().to_string();
    let plan = json(&["plan", "--tree", &mini(), "--artifacts", &given, "-o", "json"]).to_string();
    assert!(plan.contains("artifacts/manifests.yaml:1") && plan.contains("of the artifacts is used"));
    quickproof(&["plan", "--tree", &mini(), "--artifacts", "/nowhere/at/all"])
        .assert()
        .code(2);
}
