//! The house of CONTRIBUTING.md held by reading `src/`: who may use whom, and what a file may look like.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

mod paths;
mod reads;

use paths::{CratePath, Named, module_of};

/// The rooms, floor by floor from the ground up. A room may use every room of a lower floor.
const FLOORS: &[&[&str]] = &[
    &["verdict", "redact"],
    &["host"],
    &["record", "log"],
    &["release", "manifest", "merge"],
    &["guide"],
    &["probe", "plan", "cluster"],
    &["check", "deploy", "lint", "images"],
    &["scenario", "evidence"],
    &["run", "selftest"],
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
    (
        "chars().take(",
        "cut what others say with `redact::cut`: a secret may stand on the edge",
    ),
    ("#[path", "put the file where its module's name says"),
    ("include!(", "make it a module: nobody sees what such text uses"),
];

/// The one place that opens files for reading, and places that read what nobody else can write or make large.
const READERS: &[(&str, &str)] = &[
    ("host/files.rs", "the one place"),
    ("report/outputs/shown.rs", "a report that it wrote itself a moment ago"),
    ("images/program.rs", "copies a program that it compiled a moment ago"),
    (
        "cluster/inventory/listing.rs",
        "the kernel's own files, and a directory to be locked",
    ),
    (
        "cluster/kubeconfig.rs",
        "kube's reader, after a look whether it is a regular file",
    ),
    ("cluster/freezer.rs", "the kernel's own files"),
    ("cluster/kind.rs", "the kernel's own files"),
];

/// Words that stand in these files and no others: what they do has bounds only there.
const ONLY_THERE: &[(&str, &[&str], &str)] = &[
    (
        "ClientBuilder",
        &[
            "cluster/bounded.rs",
            "cluster/credentials.rs",
            "cluster/kubeconfig.rs",
            "cluster/plugin.rs",
        ],
        "a client of an API server whose calls have no end",
    ),
    (
        "kube::Client::",
        &[],
        "a client of an API server whose calls have no end",
    ),
    ("Client::try_", &[], "a client of an API server whose calls have no end"),
    (
        "Client::new(",
        &[],
        "a client whose calls have no end: of an API server by `cluster::bounded`, of the web by a builder",
    ),
    (
        "stdout()",
        &["cli.rs", "host.rs", "report/outputs.rs"],
        "words of others with their secrets and what steers a reader: put them out by `cli::output`",
    ),
    (
        "stderr()",
        &["cli.rs", "host.rs"],
        "words of others with their secrets and what steers a reader: say them by `report::Console`",
    ),
];

/// What is wrong with the source files, by file.
fn faults(files: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut named = BTreeMap::new();
    for (path, text) in files {
        let mut fault = |fault: String| faults.push(format!("src/{}: {fault}", path.display()));
        looks(path, text).into_iter().for_each(&mut fault);
        match paths::read(module_of(path), text) {
            Ok(read) => {
                named.insert(path, read);
                let opened = reads::opened(text).unwrap_or_default();
                if !READERS.iter().any(|(reader, _)| path == Path::new(reader)) && !is_tests(path) {
                    let opens = |what| format!("opens a file by `{what}`: read it by `host::files`, which bounds it");
                    opened.into_iter().map(opens).for_each(&mut fault);
                }
            }
            Err(error) => fault(format!("is no Rust: {error}")),
        }
    }
    let leads = leads(named.values());
    let for_tests: BTreeSet<&CratePath> = named.values().flat_map(|named| &named.only_tests).collect();
    for (path, named) in &named {
        let module = module_of(path);
        let Some(room) = module.first() else { continue };
        if (1..=module.len()).any(|length| for_tests.contains(&module[..length].to_vec())) {
            continue;
        }
        let elsewhere = ONLY_THERE
            .iter()
            .filter(|(_, there, _)| !there.iter().any(|there| path.ends_with(there)))
            .filter(|(word, ..)| code_of(&files[*path]).iter().any(|line| holds_word(line, word)));
        faults.extend(elsewhere.map(|(word, _, what)| format!("src/{}: holds `{word}`: {what}", path.display())));
        let mut found: Vec<String> = rooms_used(named, &leads)
            .iter()
            .filter_map(|used| may_use(room, used).err())
            .collect();
        found.extend(
            named
                .extern_crates
                .iter()
                .map(|name| format!("says `extern crate {name}`, and a crate by another name is not seen here")),
        );
        found.extend(
            named
                .whole
                .iter()
                .filter(|(_, taken)| taken.first() != Some(room))
                .map(|(_, taken)| format!("takes in all of `{}`: name what it uses", taken.join("::"))),
        );
        faults.extend(
            found
                .into_iter()
                .map(|fault| format!("src/{}: {fault}", path.display())),
        );
    }
    faults
}

/// What is wrong with the look of a source file.
fn looks(path: &Path, text: &str) -> Vec<String> {
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
    faults
}

/// Whether a file is there for tests only, by its name.
fn is_tests(path: &Path) -> bool {
    let named = |part: &std::ffi::OsStr| part == "tests" || part == "tests.rs" || part == "fake.rs";
    path.iter().any(named)
}

/// Whether a line has a word that is not the end of a longer one.
fn holds_word(line: &str, word: &str) -> bool {
    let is_letter = |before: &str| before.ends_with(|one: char| one.is_alphanumeric() || one == '_');
    line.match_indices(word).any(|(at, _)| !is_letter(&line[..at]))
}

/// Where names lead that a module takes in from somewhere else, so that a re-export hides nothing.
fn leads<'a>(files: impl Iterator<Item = &'a Named>) -> BTreeMap<CratePath, CratePath> {
    files.flat_map(|named| named.brought.iter().cloned()).collect()
}

/// The rooms that a file uses: those that its paths name, and those that they lead to.
fn rooms_used(named: &Named, leads: &BTreeMap<CratePath, CratePath>) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for path in &named.paths {
        let mut path = path.clone();
        // Each turn goes one re-export further; nobody stacks more of them.
        for _ in 0..8 {
            rooms.extend(path.first().cloned());
            let Some((length, to)) = (1..=path.len()).find_map(|length| Some((length, leads.get(&path[..length])?)))
            else {
                break;
            };
            path = [to.as_slice(), &path[length..]].concat();
        }
    }
    rooms
}

/// The lines of code: no comments, no blanks, nothing from the tests on.
fn code_of(text: &str) -> Vec<&str> {
    text.lines()
        // Further in it is about a field or a statement, behind which the code goes on.
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with("//")
        })
        .collect()
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
    let faults = faults(&files);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_table_knows_the_rooms_that_there_are_and_no_others() {
    let root = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let modules = syn::parse_file(&root)
        .unwrap()
        .items
        .into_iter()
        .filter_map(|item| match item {
            // What has a condition is for tests only.
            syn::Item::Mod(module) if module.attrs.iter().any(|one| one.path().is_ident("cfg")) => None,
            syn::Item::Mod(module) => Some(module.ident.to_string()),
            _ => None,
        });
    let there: BTreeSet<String> = modules.collect();
    let apart = ONLY.iter().map(|(room, _)| *room);
    let known: BTreeSet<String> = FLOORS
        .iter()
        .copied()
        .flatten()
        .copied()
        .chain(apart)
        .map(Into::into)
        .collect();
    assert_eq!(known, there);
}

/// The faults of a house of these files.
fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
    faults(
        &files
            .iter()
            .map(|(path, text)| (path.into(), (*text).to_owned()))
            .collect(),
    )
}

#[test]
fn the_scan_sees_an_upward_arrow_however_it_is_written() {
    for code in [
        "use crate::run::Run;",
        "use crate::{\n    record::{self, Event},\n    run,\n};",
        "fn f() { crate::run::verify() }",
        "pub(crate) use crate::run as walk;",
        "use super::super::run::Run;",
        "fn f() { super::super::run::verify() }",
        "mod inner { use super::super::super::run::Run; }",
        "use super::super as top;\nfn f() { top::run::verify() }",
        "use crate as top;\nfn f(_: top::run::Run) {}",
        "fn f(_: impl Into<crate::run::Run>) {}",
        "fn f() { println!(\"{}\", crate::run::id()) }",
        "fn f() { vec![super::super::run::id()]; }",
        "macro_rules! go { () => { $crate::run::verify() } }",
        "macro_rules! go { () => { use $crate::{record::Event, run::Run}; } }",
        "#[derive(Debug)]\n#[serde(with = \"crate::run::form\")]\nstruct A;",
    ] {
        let found = faults_of(&[("plan/draw.rs", code)]);
        assert_eq!(
            found,
            ["src/plan/draw.rs: `plan` uses `run`, which does not stand below it"],
            "{code}"
        );
    }
}

#[test]
fn the_scan_follows_names_that_are_handed_on() {
    let hands_on = ("record.rs", "pub use crate::host::Host as Machine;");
    for code in ["use crate::record::Machine;", "fn f(_: crate::record::Machine) {}"] {
        let found = faults_of(&[hands_on, ("report/json.rs", code)]);
        assert!(
            found
                .iter()
                .any(|fault| fault.starts_with("src/report/json.rs: `report` uses `host`")),
            "{found:?}"
        );
    }
    let found = faults_of(&[("plan.rs", "use crate::record::*;")]);
    assert_eq!(found, ["src/plan.rs: takes in all of `record`: name what it uses"]);
    let found = faults_of(&[("plan.rs", "extern crate self as quick;")]);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn the_scan_sees_a_file_that_is_opened_past_the_one_place() {
    for code in [
        "fn f() { std::fs::read(path); }",
        "use std::fs;\nfn f() { fs::read_to_string(path); }",
        "use std::fs::{self, read};",
        "fn f() { tokio::fs::read(path).await; }",
        "use std::fs::File;\nfn f() { File::open(path); }",
        "use std::fs::File as Document;\nfn f() { g(std::fs::File::open) }",
    ] {
        let found = faults_of(&[("plan/draw.rs", code)]);
        assert!(
            found.len() == 1 && found[0].contains("host::files"),
            "{code}: {found:?}"
        );
    }
    for (path, code) in [
        ("plan.rs", "fn f() { std::fs::read_dir(path); std::fs::write(path); }"),
        ("plan.rs", "#[cfg(test)]\nmod tests { fn f() { std::fs::read(path); } }"),
        ("host/files.rs", "fn f() { std::fs::File::open(path); }"),
    ] {
        assert_eq!(faults_of(&[(path, code)]), Vec::<String>::new(), "{path}: {code}");
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
        ("plan.rs", "fn f() { println!(\"crate::run is above\") }"),
        ("plan/draw.rs", "use super::*;"),
    ] {
        assert_eq!(faults_of(&[(path, code)]), Vec::<String>::new(), "{path}: {code}");
    }
    let tests = [
        ("plan.rs", "#[cfg(test)]\nmod tests;"),
        ("plan/tests.rs", "use crate::run::Run;"),
    ];
    assert_eq!(faults_of(&tests), Vec::<String>::new());
}

#[test]
fn the_scan_holds_report_to_its_promise_and_keeps_the_rooms_below_from_it() {
    for (path, code) in [
        ("report/json.rs", "use crate::host::Host;"),
        ("check/status.rs", "use crate::report::write;"),
        ("probe/stream.rs", "use crate::cluster::Connection;"),
        ("attic.rs", "use crate::host::Host;"),
    ] {
        assert_eq!(faults_of(&[(path, code)]).len(), 1, "{path}: {code}");
    }
}

#[test]
fn the_scan_sees_a_client_that_is_made_past_the_bounds() {
    let made = "fn f() { kube::client::ClientBuilder::new(service, \"default\").build() }";
    assert_eq!(faults_of(&[("deploy.rs", made)]).len(), 1);
    assert_eq!(faults_of(&[("cluster/bounded.rs", made)]), Vec::<String>::new());
    assert_eq!(faults_of(&[("deploy.rs", "fn f() { Client::try_default() }")]).len(), 1);
    assert_eq!(
        faults_of(&[("images.rs", "fn f() { RegistryClient::new(url) }")]),
        Vec::<String>::new()
    );
}

#[test]
fn the_scan_sees_what_a_file_may_not_be() {
    let long = "x!();\n".repeat(LONGEST_FILE + 1);
    assert!(faults_of(&[("plan.rs", &long)])[0].contains("401 lines"));
    let commented = "// why\n".repeat(LONGEST_FILE + 1);
    assert!(faults_of(&[("plan.rs", &commented)]).is_empty());
    let tested = format!("#[cfg(test)]\nmod tests {{ {long} }}");
    assert!(faults_of(&[("plan.rs", &tested)]).is_empty());
    assert_eq!(faults_of(&[("plan/mod.rs", "")]).len(), 1);
    assert_eq!(faults_of(&[("plan.rs", "no rust")]).len(), 1);
    for (forbidden, _) in FORBIDDEN {
        assert_eq!(looks(Path::new("plan.rs"), forbidden).len(), 1, "{forbidden}");
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
