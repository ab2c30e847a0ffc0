//! The manifests and charts of a release, read once for all rules, and the places of their fields.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::{ChartUse, Combination, Place, Rendered, Severity};
use crate::{
    host::in_words,
    manifest::{self, ManifestError, Object, Position},
    plan::{Makes, Offer},
    release::{Release, ReleaseError, RepoPath, TreeError},
};

mod parts;

/// What a tree holds that nobody is led to. Data: `manifests/lint/scope.yaml`.
const SCOPE: &[u8] = include_bytes!("../../manifests/lint/scope.yaml");

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    leave_out: BTreeSet<String>,
}

/// A chart of the tree, as written.
#[derive(Debug)]
pub(crate) struct ChartFiles {
    /// Its directory.
    pub(crate) directory: RepoPath,
    /// `Chart.yaml`.
    pub(crate) chart: Arc<Value>,
    /// `values.yaml`; `Null` where there is none.
    pub(crate) values: Arc<Value>,
}

/// The manifests and charts of a release.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Every file of the tree that a reader may be led to, sorted.
    pub(crate) all: Vec<RepoPath>,
    /// Objects of the plain manifests among them, in order of files; CRDs included.
    pub(crate) manifests: Vec<Arc<[Object]>>,
    /// Objects that the guide gives on standard input, each once.
    pub(crate) given: Vec<Object>,
    /// Objects of rendered charts, by use.
    pub(crate) rendered: Vec<(ChartUse, Arc<[Object]>)>,
    /// The charts of the tree.
    pub(crate) charts: Vec<ChartFiles>,
    /// Why the files of the tree are not known, where they are not.
    pub(crate) unlisted: Option<String>,
    /// Files that should be YAML and are not, with the reason.
    pub(crate) unreadable: Vec<(RepoPath, ManifestError)>,
    /// The combinations whose plans apply something from a file: a manifest, the guide itself, a template.
    applied: BTreeMap<String, BTreeSet<Offer>>,
    texts: Mutex<BTreeMap<String, Option<Arc<str>>>>,
}

/// Every file of the tree that a reader may be led to, sorted.
///
/// # Errors
/// The tree cannot be listed, or has more files than any release.
fn in_scope(release: &Release) -> Result<Vec<RepoPath>, TreeError> {
    let scope: Scope = manifest::document("manifests/lint/scope.yaml", SCOPE).unwrap_or_default();
    let is_left_out = |path: &RepoPath| {
        let mut directories = path.as_str().rsplit('/').skip(1);
        directories.any(|part| part.starts_with('.') || scope.leave_out.contains(part))
    };
    let mut all = release.tree.all()?;
    all.retain(|path| !is_left_out(path));
    Ok(all)
}

fn is_yaml(path: &RepoPath) -> bool {
    matches!(path.as_str().rsplit('.').next(), Some("yaml" | "yml"))
}

/// Does `work` while the manifests of a release are read on every processor there is: reading YAML is most of what lint
/// costs. The release keeps what is read.
pub(super) fn reading_ahead<T>(release: &Release, work: impl FnOnce() -> T) -> T {
    // Why it cannot be listed is said by `Files`.
    let mut manifests = in_scope(release).unwrap_or_default();
    manifests.retain(is_yaml);
    // What is wrong with one of them is said by whoever asks for it.
    let read = |path: &RepoPath| drop(release.objects(path));
    rayon::in_place_scope(|scope| {
        scope.spawn(|_| manifests.par_iter().for_each(read));
        work()
    })
}

impl Files {
    pub(super) fn of(release: &Release, combinations: &[Combination], rendered: &Rendered) -> Self {
        let mut files = Self::default();
        let all = in_scope(release).unwrap_or_else(|error| {
            files.unlisted = Some(in_words(&error));
            Vec::new()
        });
        for path in &all {
            files.read(release, path);
        }
        files.all = all;
        for combination in combinations {
            files.follow(combination, rendered);
        }
        files.leave_parts_out(release);
        files
    }

    /// Leaves out what is no manifest until something else has made one of it, and what no command applies as it is.
    fn leave_parts_out(&mut self, release: &Release) {
        let mut patches = parts::patches(release, &self.all);
        patches.extend(parts::changed(release, &self.all));
        let Self { manifests, applied, .. } = self;
        manifests.retain(|objects| {
            let file = objects.first().map(|object| object.file.as_str()).unwrap_or_default();
            applied.contains_key(file) || !(patches.contains(file) || parts::are_of_a_template(objects))
        });
    }

    fn read(&mut self, release: &Release, path: &RepoPath) {
        let (directory, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
        let document =
            |name: &str| -> Option<Arc<Value>> { release.document(&format!("{directory}/{name}").parse().ok()?).ok() };
        match name {
            "Chart.yaml" => {
                if let (Ok(directory), Some(chart)) = (directory.parse(), document("Chart.yaml")) {
                    let values = document("values.yaml").unwrap_or_default();
                    self.charts.push(ChartFiles {
                        directory,
                        chart,
                        values,
                    });
                }
            }
            "values.yaml" => {}
            _ if is_yaml(path) => match release.objects(path) {
                Ok(objects) if !objects.is_empty() => self.manifests.push(objects),
                Err(ReleaseError::Manifest(error @ ManifestError::Syntax { .. })) => {
                    self.unreadable.push((path.clone(), error));
                }
                // Something other than a manifest, such as a kustomization or a dashboard.
                Ok(_) | Err(_) => {}
            },
            _ => {}
        }
    }

    /// Notes what one plan applies.
    fn follow(&mut self, combination: &Combination, rendered: &Rendered) {
        let mut apply = |object: &Object| {
            let by = self.applied.entry(object.file.clone()).or_default();
            by.insert(combination.offer.clone());
        };
        for step in combination.plan.iter().flat_map(|plan| &plan.steps) {
            if let Makes::Objects { objects, .. } = step.action.facts().makes {
                objects.iter().for_each(&mut apply);
                // The guide's own objects; every other file is among the manifests already.
                for object in objects.iter().filter(|object| object.file == step.from.file) {
                    if !self.given.contains(object) {
                        self.given.push(object.clone());
                    }
                }
            }
            let chart = ChartUse::of(&step.action);
            if let Some((chart, Ok(objects))) = chart.and_then(|chart| rendered.get_key_value(&chart)) {
                objects.iter().for_each(&mut apply);
                if self.rendered.iter().all(|(known, _)| known != chart) {
                    self.rendered.push((chart.clone(), objects.clone()));
                }
            }
        }
    }

    /// Every object that a reader may apply: those of manifests, of the guide itself, and of rendered charts.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        let manifests = self.manifests.iter().flat_map(|objects| objects.iter());
        let rendered = self.rendered.iter().flat_map(|(_, objects)| objects.iter());
        manifests.chain(&self.given).chain(rendered)
    }

    /// The combinations whose plans apply something from a file; `None` where none does.
    pub(crate) fn applied_by(&self, file: &str) -> Option<&BTreeSet<Offer>> {
        self.applied.get(file)
    }

    /// The combinations that something in a file concerns, where that is not all of them: those that apply it. The
    /// guide concerns all of them, whichever of its own objects they apply.
    pub(crate) fn reach(&self, file: &str) -> Option<&BTreeSet<Offer>> {
        let is_guide = self.given.iter().any(|object| object.file == file);
        self.applied.get(file).filter(|_| !is_guide)
    }

    /// How bad something in a file can be: anything where a command of the guide applies it, at most `Degraded` where
    /// none does, because then no documented step fails by it.
    pub(crate) fn at_most(&self, file: &str) -> Severity {
        if self.applied.contains_key(file) {
            Severity::Break
        } else {
            Severity::Degraded
        }
    }

    /// The text of a file of the release; `None` where it has none, or no text.
    pub(crate) fn text(&self, release: &Release, file: &str) -> Option<Arc<str>> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || {
            let bytes = release.tree.read(&file.parse().ok()?).ok()?;
            Some(Arc::from(String::from_utf8(bytes).ok()?))
        };
        texts.entry(file.to_owned()).or_insert_with(read).clone()
    }

    /// Where a field of an object stands, by JSON pointer. What cannot be located (something a template makes) stands
    /// at the line that its object begins at.
    pub(crate) fn place(&self, release: &Release, object: &Object, pointer: &str) -> Place {
        let begin = Place::line(&object.file, object.line);
        let Some(text) = self.text(release, &object.file) else {
            return begin;
        };
        if is_template(&object.file) {
            return in_template(&text, pointer).map_or(begin, |line| Place::line(&object.file, line));
        }
        let skipped = usize::try_from(object.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let (rest, indent) = dedented(&text, skipped);
        match manifest::locate(&rest, pointer) {
            Some(Position { line, column }) => Place::at(&object.file, object.line + line - 1, column + indent),
            None => begin,
        }
    }

    /// Where a field of a file that is one document stands, such as a chart's values.
    pub(crate) fn place_in(&self, release: &Release, file: &str, pointer: &str) -> Place {
        let text = self.text(release, file).unwrap_or_else(|| Arc::from(""));
        match manifest::locate(&text, pointer) {
            Some(Position { line, column }) => Place::at(file, line, column),
            None => Place::line(file, 1),
        }
    }
}

fn is_template(file: &str) -> bool {
    file.split('/').rev().skip(1).any(|part| part == "templates")
}

/// The line of a template that says what a pointer ends with, where there is exactly one.
fn in_template(text: &str, pointer: &str) -> Option<u32> {
    let named = pointer.rsplit('/').find(|token| token.parse::<usize>().is_err())?;
    let key = named.replace("~1", "/").replace("~0", "~");
    let says = |row: &str| {
        let row = row.trim_start().trim_start_matches("- ");
        row.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with(':'))
    };
    let mut lines = (1..)
        .zip(text.lines())
        .filter(|(_, row)| says(row))
        .map(|(line, _)| line);
    let line = lines.next()?;
    lines.next().is_none().then_some(line)
}

/// The lines after the first `skipped` ones up to the end of the document or of the block that they stand in, without
/// the indent of the first of them, and that indent.
fn dedented(text: &str, skipped: usize) -> (String, u32) {
    let mut rest = String::new();
    let mut indent = None;
    for row in text.lines().skip(skipped) {
        let own = row.len() - row.trim_start_matches(' ').len();
        let indent = *indent.get_or_insert(own);
        let is_blank = row.trim().is_empty();
        let row = row.get(indent..).filter(|_| own >= indent);
        match row {
            Some(row) if !row.starts_with("```") && (!row.starts_with("---") || rest.is_empty()) => rest.push_str(row),
            None if is_blank => {}
            _ => break,
        }
        rest.push('\n');
    }
    (rest, indent.and_then(|indent| u32::try_from(indent).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::release::MemoryTree;

    #[test]
    fn what_nobody_is_led_to_is_left_out() {
        let scope: Scope = manifest::document("scope.yaml", SCOPE).unwrap();
        assert!(scope.leave_out.contains("testdata"));
        let mut tree = MemoryTree::default();
        let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        for path in [
            "a/one.yaml",
            "test/two.yaml",
            ".ci/three.yaml",
            "c/templates/x.yaml",
            "a/four.md",
        ] {
            tree.insert(path.parse().unwrap(), object);
        }
        tree.insert("a/list.yaml".parse().unwrap(), "- no: object\n");
        tree.insert("a/broken.yaml".parse().unwrap(), "a: [\n");
        let release = Release::new("o/r", None, None, Box::new(tree));
        let files = Files::of(&release, &[], &Rendered::new());
        let seen: Vec<&str> = files.objects().map(|object| object.file.as_str()).collect();
        assert_eq!(seen, ["a/one.yaml"]);
        assert_eq!(files.unreadable.len(), 1);
        assert_eq!(files.at_most("a/one.yaml"), Severity::Degraded);
    }

    #[test]
    fn what_envsubst_or_kustomize_makes_manifests_of_is_none_itself() {
        let mut tree = MemoryTree::default();
        let named = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
        tree.insert("a/template.yaml".parse().unwrap(), named("'${NAME}'"));
        tree.insert("a/patch.yaml".parse().unwrap(), named("b"));
        tree.insert("a/whole.yaml".parse().unwrap(), named("c"));
        tree.insert(
            "a/kustomization.yaml".parse().unwrap(),
            "patches: [{path: patch.yaml}]\n",
        );
        let release = Release::new("o/r", None, None, Box::new(tree));
        let files = Files::of(&release, &[], &Rendered::new());
        let seen: Vec<&str> = files.objects().map(|object| object.file.as_str()).collect();
        assert_eq!(seen, ["a/whole.yaml"]);
    }

    #[rstest]
    #[case::in_a_file(
        "one.yaml",
        "a: 1\n---\n# c\nkind: X\nspec:\n  name: b\n",
        4,
        "/spec/name",
        6,
        Some(9)
    )]
    #[case::in_a_guide(
        "g.md",
        "1. x\n\n   ```\n   kind: X\n   spec:\n     name: b\n   EOF\n   ```\nz\n",
        4,
        "/spec/name",
        6,
        Some(12)
    )]
    #[case::in_a_template(
        "c/templates/x.yaml",
        "{{- if .x }}\nkind: X\nspec:\n  name: {{ .n }}\n{{- end }}\n",
        1,
        "/spec/name",
        4,
        None
    )]
    #[case::twice_in_a_template("c/templates/x.yaml", "name: 1\nname: 2\n", 1, "/name", 1, None)]
    #[case::nowhere("none.yaml", "", 7, "/name", 7, None)]
    fn a_field_of_an_object_has_a_place(
        #[case] file: &str,
        #[case] text: &str,
        #[case] begin: u32,
        #[case] pointer: &str,
        #[case] line: u32,
        #[case] column: Option<u32>,
    ) {
        let mut tree = MemoryTree::default();
        if !text.is_empty() {
            tree.insert(file.parse().unwrap(), text);
        }
        let release = Release::new("o/r", None, None, Box::new(tree));
        let files = Files::of(&release, &[], &Rendered::new());
        let object = Object {
            value: Value::Null.into(),
            file: file.into(),
            line: begin,
        };
        let place = files.place(&release, &object, pointer);
        assert_eq!((place.line, place.column), (line, column));
    }
}
