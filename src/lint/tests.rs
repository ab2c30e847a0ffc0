//! Every rule over its own examples.

use std::{collections::BTreeMap, fs, path::Path};

use super::{ChartUse, Combination, Findings, NotRendered, Rendered, Rule, charts, draw, draw_built, examine, rules};
use crate::release::{
    CompanionTag, GitFacts, GitTag, Layout, MemoryTree, OnBranch, Release, Signature, TagKind, TagObject,
};

/// The releases that examples change: the name by which a change `base` asks for another than the first, the repository and
/// the tag that each is of.
const BASES: [(&str, &str, &str); 2] = [
    ("lint", crate::release::REPOSITORY, "v1.5.0"),
    ("guides", "llm-d/llm-d", "v0.9.0"),
];

/// The release that some changes are of.
fn base_of(changes: &[Change<'_>]) -> (&'static str, &'static str, &'static str) {
    let asked = changes
        .iter()
        .find(|(path, _)| *path == "base")
        .map(|(_, name)| name.trim());
    let found = BASES.iter().find(|(name, ..)| Some(*name) == asked);
    *found.unwrap_or(&BASES[0])
}

/// The files of a release by path.
fn base(name: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/trees")
        .join(name);
    let mut files = BTreeMap::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

/// A file of an example, and its text: see [`super::Change`].
type Change<'a> = (&'a str, &'a str);

/// The base with some changes.
fn changed(changes: &[Change<'_>]) -> BTreeMap<String, String> {
    let mut files = base(base_of(changes).0);
    for (path, text) in changes.iter().filter(|(path, _)| *path != "base") {
        if let Some(path) = path.strip_prefix('-') {
            files.remove(path).unwrap_or_else(|| panic!("the base has no {path}"));
        } else if let Some(patch) = text.strip_prefix("@@\n") {
            let file = files.get_mut(*path).unwrap_or_else(|| panic!("the base has no {path}"));
            *file = patched(file, patch);
        } else {
            files.insert((*path).to_owned(), (*text).to_owned());
        }
    }
    files
}

fn patched(file: &str, patch: &str) -> String {
    let lines_with = |sign: char| -> String {
        let kept = patch
            .lines()
            .filter(|line| line.starts_with(sign) || line.starts_with(' '));
        kept.flat_map(|line| [&line[1..], "\n"]).collect()
    };
    let (old, new) = (lines_with('-'), lines_with('+'));
    assert_eq!(
        file.matches(&old).count(),
        1,
        "the patch says where, once in the file:\n{old}\n--- in\n{file}"
    );
    file.replacen(&old, &new, 1)
}

/// What git says of an example: `lightweight`, or the message of the tag; `signed`; the branch that the tag is not on;
/// the commit of the companion tag.
fn git_facts(text: &str) -> GitFacts {
    let says = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let object = TagObject {
        tagger: "Somebody <somebody@example.com>".into(),
        message: says("message:").unwrap_or_default().into(),
        signature: says("signed:").map(|_| Signature::Ssh),
    };
    GitFacts {
        head: "a".into(),
        tags_at_head: vec!["v1.5.0".into()],
        tag: says("absent:").is_none().then(|| GitTag {
            commit: "a".into(),
            kind: match says("lightweight:") {
                Some(_) => TagKind::Lightweight,
                None => TagKind::Annotated(Some(object)),
            },
        }),
        release_branch: Some("release-1.5".into()),
        on_release_branch: match says("off-branch:") {
            Some(_) => OnBranch::No,
            None => OnBranch::Yes,
        },
        companions: vec![CompanionTag {
            name: "conformance/v1.5.0".into(),
            commit: says("companion:").map(str::to_owned),
        }],
        changed_files: says("changed:").map(|count| count.parse().unwrap()),
    }
}

/// What all rules find in the base with some changes.
pub(super) fn found(changes: &[Change<'_>]) -> Findings {
    let (release, layout, combinations, rendered) = example(changes);
    examine(&release, &layout, &combinations, &rendered)
}

/// The base with some changes, its plans, and its rendered charts.
pub(super) fn example(changes: &[Change<'_>]) -> (Release, Layout, Vec<Combination>, Rendered) {
    let mut tree = MemoryTree::default();
    let mut charts_of: BTreeMap<String, String> = BTreeMap::new();
    let mut built = BTreeMap::new();
    let mut git = None;
    for (path, text) in changed(changes) {
        if path == "git" {
            git = Some(git_facts(&text));
            continue;
        }
        if let Some(directory) = path.strip_prefix("built/") {
            let objects = crate::manifest::read(&format!("{directory}/kustomization.yaml"), text.as_bytes()).unwrap();
            built.insert(directory.parse().unwrap(), Ok(objects.into()));
            continue;
        }
        match path.strip_prefix("rendered/") {
            Some(directory) => {
                charts_of.insert(directory.to_owned(), text);
            }
            None => tree.insert(path.parse().unwrap(), text),
        }
    }
    let (_, repository, tag) = base_of(changes);
    let tag = Some(tag.parse().unwrap());
    let mut release = Release::new(repository, tag, None, Box::new(tree));
    release.git = git;
    let layout = release.layout(None).unwrap();
    let combinations = draw_built(&release, &layout, built).unwrap();
    let uses = combinations.iter().flat_map(Combination::charts);
    let render = |chart: ChartUse| {
        let text = charts_of.get(chart.directory.as_str())?;
        let objects = charts::rendered(&chart.directory, text).map_err(|error| NotRendered::Fails(error.to_string()));
        Some((chart, objects))
    };
    let rendered: Rendered = uses.filter_map(render).collect();
    (release, layout, combinations, rendered)
}

fn said(findings: &Findings) -> String {
    let lines = findings.diagnostics.iter().map(|found| {
        format!(
            "{} {}:{} {} {:?} {:?} {:?}\n",
            found.code, found.place.file, found.place.line, found.message, found.why, found.variant, found.provider
        )
    });
    lines.collect()
}

#[test]
fn the_base_release_is_free_of_findings() {
    let found = found(&[]);
    assert!(found.diagnostics.is_empty(), "\n{}", said(&found));
    assert!(found.undecided.is_empty(), "{:?}", found.undecided);
}

#[test]
fn the_base_of_guides_is_free_of_findings() {
    let found = found(&[("base", "guides")]);
    assert!(found.diagnostics.is_empty(), "\n{}", said(&found));
    // Nothing is told of git there.
    let undecided: Vec<_> = found.undecided.iter().filter(|one| one.code != "tag-absent").collect();
    assert!(undecided.is_empty(), "{undecided:?}");
}

#[test]
fn the_base_release_offers_more_than_one_combination_and_every_plan_can_be_drawn() {
    let mut tree = MemoryTree::default();
    for (path, text) in base("lint").into_iter().filter(|(path, _)| path != "git") {
        tree.insert(path.parse().unwrap(), text);
    }
    let tag = Some("v1.5.0".parse().unwrap());
    let release = Release::new(crate::release::REPOSITORY, tag, None, Box::new(tree));
    let combinations = draw(&release, &release.layout(None).unwrap()).unwrap();
    assert!(combinations.len() > 1);
    for combination in combinations {
        let plan = combination.plan.unwrap();
        let bad = plan
            .steps
            .iter()
            .find(|step| step.known.is_some() || matches!(step.action, crate::plan::Action::Unsupported { .. }));
        assert_eq!(bad, None, "{:?}", combination.offer);
    }
}

/// Whether a rule is found in an example.
fn is_found(rule: &Rule, findings: &Findings) -> bool {
    findings.diagnostics.iter().any(|found| found.code == rule.code)
}

#[test]
fn every_rule_is_found_in_its_bad_example_and_not_in_its_good_one() {
    let mut wrong = Vec::new();
    for rule in rules() {
        let examples = rule
            .examples()
            .unwrap_or_else(|| panic!("{} has no examples", rule.code));
        let found = |changes: &[super::Change]| {
            let changes = changes
                .iter()
                .map(|change| (change.path.as_str(), change.text.as_str()));
            found(&changes.collect::<Vec<_>>())
        };
        let (bad, good) = (found(&examples.bad), found(&examples.good));
        if !is_found(rule, &bad) {
            wrong.push(format!(
                "{} is not found in its bad example, but\n{}{:?}",
                rule.code,
                said(&bad),
                bad.undecided
            ));
        }
        if is_found(rule, &good) {
            wrong.push(format!("{} is found in its good example:\n{}", rule.code, said(&good)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_its_own_code_and_says_what_it_is_about() {
    let mut codes: Vec<&str> = rules().map(|rule| rule.code).collect();
    codes.sort_unstable();
    let count = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), count);
    for rule in rules() {
        let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        assert!(rule.code.chars().all(is_plain), "{}", rule.code);
        assert!(rule.about.ends_with('.') && rule.examples().is_some(), "{}", rule.code);
    }
}
