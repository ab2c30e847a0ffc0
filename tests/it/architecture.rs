//! The house of DESIGN.md §3 held by a scan of `src/`: who may use whom, and what a file may look like.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The rooms, floor by floor from the ground up. A room may use every room of a lower floor.
const FLOORS: &[&[&str]] = &[
    &["verdict", "redact"],
    &["host", "record", "log"],
    &["release", "manifest"],
    &["guide"],
    &["probe", "plan", "cluster"],
    &["check", "deploy", "lint", "images"],
    &["scenario", "evidence"],
    &["run", "selftest", "matrix"],
    &["cli"],
];

/// What a room may use beside the lower floors: the run opens the reports and starts their writer.
const BESIDE: &[(&str, &str)] = &[("release", "manifest"), ("run", "report")];

/// Rooms that may use only these, wherever they stand: what they know is a promise.
const ONLY: &[(&str, &[&str])] = &[("report", &["record", "verdict", "redact"])];

/// Lines of code in a file, before its tests.
const LONGEST_FILE: usize = 400;

/// Text that no source file may hold, and what to do instead.
const FORBIDDEN: &[(&str, &str)] = &[
    ("#[allow", "say `#[expect(.., reason)]`"),
    ("#![allow", "say `#[expect(.., reason)]`"),
    ("todo!(", "write it, or leave it out"),
];

/// What is wrong with a source file of the room that it belongs to.
fn faults(path: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if path.ends_with("mod.rs") {
        faults.push("is a mod.rs: name it after its module, beside its directory".to_owned());
    }
    let code = code_of(text);
    if code.len() > LONGEST_FILE {
        faults.push(format!("has {} lines of code, over {LONGEST_FILE}", code.len()));
    }
    for (forbidden, instead) in FORBIDDEN {
        if code.iter().any(|line| line.contains(forbidden)) {
            faults.push(format!("holds `{forbidden}`: {instead}"));
        }
    }
    if let Some(room) = room_of(path) {
        for used in rooms_used(&code.join("\n")) {
            if let Err(reason) = may_use(&room, &used) {
                faults.push(reason);
            }
        }
    }
    faults
}

/// The lines of code: no comments, no blanks, nothing from the tests on.
fn code_of(text: &str) -> Vec<&str> {
    text.lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .filter(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with("//")
        })
        .collect()
}

/// The room of a file under `src/`; `None` for `lib.rs` and `main.rs`, which may use all.
fn room_of(path: &Path) -> Option<String> {
    let first = path.iter().next()?.to_str()?;
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (!matches!(room, "lib" | "main")).then(|| room.to_owned())
}

/// The rooms named by `crate::…` paths, one by one or in braces.
fn rooms_used(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut rooms = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + found.len()..];
        let Some(braced) = rest.trim_start().strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let (mut depth, mut begin) = (0, 0);
        for (index, character) in braced.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    rooms.insert(word(&braced[begin..index]));
                    begin = index + 1;
                    if character == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    rooms.remove("");
    // A macro of the crate is named `crate::name!`; the rooms export none.
    rooms
}

fn may_use(room: &str, used: &str) -> Result<(), String> {
    if room == used {
        return Ok(());
    }
    let floor = |room: &str| FLOORS.iter().position(|floor| floor.contains(&room));
    if let Some((_, only)) = ONLY.iter().find(|(promising, _)| *promising == room) {
        if only.contains(&used) {
            return Ok(());
        }
        return Err(format!("`{room}` uses `{used}`; it may use only {only:?}"));
    }
    let Some(own) = floor(room) else {
        return Err(format!(
            "`{room}` is no room of the house: put it on a floor of this table"
        ));
    };
    // What stands apart is used from the top of the house only.
    let uses_apart = ONLY.iter().any(|(apart, _)| *apart == used) && own + 1 == FLOORS.len();
    let below = floor(used).is_some_and(|used| used < own);
    if below || uses_apart || BESIDE.contains(&(room, used)) {
        return Ok(());
    }
    Err(format!("`{room}` uses `{used}`, which does not stand below it"))
}

fn source_files() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.insert(path.strip_prefix(&root).unwrap().to_owned(), text);
            }
        }
    }
    files
}

#[test]
fn the_house_stands() {
    let files = source_files();
    assert!(files.len() > 10, "the scan found no house");
    let faults: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| {
            faults(path, text)
                .into_iter()
                .map(move |fault| format!("src/{}: {fault}", path.display()))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_scan_sees_an_upward_arrow_however_it_is_written() {
    for code in [
        "use crate::run::Run;",
        "use crate::{\n    record::{self, Event},\n    run,\n};",
        "fn f() { crate::run::verify() }",
        "pub(crate) use crate::run as walk;",
    ] {
        let found = faults(Path::new("plan/draw.rs"), code);
        assert_eq!(found, ["`plan` uses `run`, which does not stand below it"], "{code}");
    }
}

#[test]
fn the_scan_lets_downward_arrows_be() {
    for (path, code) in [
        (
            "plan.rs",
            "use crate::{manifest::Object, record::{Deviation, Subject}, verdict::Weight};",
        ),
        ("release/tree.rs", "use crate::manifest::Object;"),
        ("cli/verify.rs", "use crate::{cli::Usage, report::Live, run};"),
        (
            "report/json.rs",
            "use crate::{record::Render, report::page, verdict::Finding};",
        ),
        ("main.rs", "use crate::anything;"),
        ("plan.rs", "// use crate::run::Run;"),
        ("plan.rs", "#[cfg(test)]\nmod tests { use crate::run::Run; }"),
        ("plan.rs", "use othercrate::run::Run;"),
    ] {
        assert_eq!(faults(Path::new(path), code), Vec::<String>::new(), "{path}: {code}");
    }
}

#[test]
fn the_scan_holds_report_to_its_promise_and_keeps_the_rooms_below_from_it() {
    assert_eq!(faults(Path::new("report/json.rs"), "use crate::host::Host;").len(), 1);
    assert_eq!(
        faults(Path::new("check/status.rs"), "use crate::report::write;").len(),
        1
    );
    assert_eq!(
        faults(Path::new("probe/stream.rs"), "use crate::cluster::Connection;").len(),
        1
    );
    assert_eq!(faults(Path::new("attic.rs"), "use crate::host::Host;").len(), 1);
}

#[test]
fn the_scan_sees_what_a_file_may_not_be() {
    let long = "x();\n".repeat(LONGEST_FILE + 1);
    assert!(faults(Path::new("plan.rs"), &long)[0].contains("401 lines"));
    let commented = "// why\n".repeat(LONGEST_FILE + 1);
    assert!(faults(Path::new("plan.rs"), &commented).is_empty());
    let tested = format!("#[cfg(test)]\n{long}");
    assert!(faults(Path::new("plan.rs"), &tested).is_empty());
    assert_eq!(faults(Path::new("plan/mod.rs"), "").len(), 1);
    for (forbidden, _) in FORBIDDEN {
        assert_eq!(faults(Path::new("plan.rs"), forbidden).len(), 1, "{forbidden}");
    }
}

/// The names in a section of a Cargo.toml, or in a list of a Cargo.lock, which both stand at the beginning of their lines.
fn names_until<'a>(lines: impl Iterator<Item = &'a str>, end: &str) -> BTreeSet<&'a str> {
    let lines = lines.take_while(|line| !line.starts_with(end));
    let name = |line: &'a str| line.trim().trim_start_matches('"').split([' ', '"']).next();
    lines
        .filter_map(name)
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect()
}

/// Nobody builds it every day, so that its lock falls behind unseen; and a lock that is behind cannot be built with.
#[test]
fn the_lock_of_the_fuzz_package_knows_every_dependency() {
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let (manifest, lock) = (read("Cargo.toml"), read("tests/fuzz/Cargo.lock"));
    let (_, section) = manifest.split_once("\n[dependencies]\n").unwrap();
    let (_, package) = lock.split_once("\nname = \"quickproof\"\n").unwrap();
    let (_, list) = package.split_once("\ndependencies = [\n").unwrap();
    let (wanted, locked) = (names_until(section.lines(), "["), names_until(list.lines(), "]"));
    assert!(wanted.len() > 10, "{wanted:?}");
    assert_eq!(
        wanted, locked,
        "`cargo metadata --manifest-path tests/fuzz/Cargo.toml` brings it up to date"
    );
}
