//! What a kustomization leads to: a walk over the references of `kubectl kustomize`, without building anything.
//!
//! Source: kustomize v5, `api/types/kustomization.go` (fields), `api/internal/target` (what each may name),
//! `api/loader/fileloader.go` (files must be in or below their kustomization's own directory; directories need not).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Release, ReleaseError, RepoPath};

/// Names of a kustomization's file.
pub(crate) const FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The most kustomizations that one leads to; upstream's deepest has a dozen.
const MOST: usize = 500;

/// What a kustomization and those below it lead to.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Every file that is read, those of the kustomizations among them.
    pub(crate) files: BTreeSet<RepoPath>,
    /// What is wrong, in the order of reading.
    pub(crate) faults: Vec<ReferenceFault>,
    /// What is taken from the web, and where it is named.
    pub(crate) remote: Vec<Named>,
}

/// Something that a kustomization names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// The kustomization's file.
    pub(crate) file: RepoPath,
    /// Where in it, as a JSON pointer.
    pub(crate) pointer: String,
    /// The name as written.
    pub(crate) name: String,
}

/// A reference that `kubectl kustomize` ends at with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReferenceFault {
    /// The reference.
    pub(crate) at: Named,
    /// What is wrong with it.
    pub(crate) kind: FaultKind,
}

/// What is wrong with a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The release has neither such a file nor such a directory.
    Missing,
    /// The directory holds no kustomization.
    NoKustomization,
    /// The directory holds more than one.
    SeveralKustomizations,
    /// A file stands neither in the directory of its kustomization nor below it, where kustomize refuses to read.
    FileOutside,
    /// It leads out of the release's files.
    OutOfTree,
    /// A component is named as a resource, or a plain kustomization as a component.
    OtherKind {
        /// The kind that is wanted there.
        wanted: &'static str,
    },
    /// It leads back to a kustomization that is being read.
    Cycle,
    /// The file is no kustomization: what its reader says.
    Unreadable(String),
}

impl FaultKind {
    /// What is wrong, as the end of a sentence about the reference.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Missing => "the release does not have it".into(),
            Self::NoKustomization => "the directory holds no kustomization".into(),
            Self::SeveralKustomizations => "the directory holds more than one kustomization".into(),
            Self::FileOutside => {
                "the file is not in the kustomization's own directory or below it, where kustomize refuses to read"
                    .into()
            }
            Self::OutOfTree => "it leads out of the release's files".into(),
            Self::OtherKind { wanted: "Component" } => "it is no Component, and only such may stand there".into(),
            Self::OtherKind { .. } => "it is a Component, which may only stand under `components`".into(),
            Self::Cycle => "it leads back to itself".into(),
            Self::Unreadable(why) => why.clone(),
        }
    }
}

/// The file of the kustomization in a directory; `None` where it holds none.
pub(crate) fn file_in(release: &Release, directory: &RepoPath) -> Option<RepoPath> {
    files_in(release, directory).into_iter().next()
}

fn files_in(release: &Release, directory: &RepoPath) -> Vec<RepoPath> {
    let files = FILES.iter().filter_map(|name| directory.join(name).ok());
    files.filter(|file| release.tree.exists(file)).collect()
}

/// What a kustomization's own file names, and what is wrong with that; what stands below it is not looked at.
pub(crate) fn own_references(release: &Release, file: &RepoPath) -> Walk {
    let mut walker = Walker::new(release, Depth::One);
    walker.read(file);
    walker.walk
}

/// Everything that the kustomization in a directory leads to. That it has one is for the caller to know.
pub(crate) fn walk(release: &Release, file: &RepoPath) -> Walk {
    let mut walker = Walker::new(release, Depth::All);
    walker.read(file);
    walker.walk
}

/// How far is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    One,
    All,
}

struct Walker<'a> {
    release: &'a Release,
    depth: Depth,
    walk: Walk,
    /// Kustomizations that are being read.
    open: Vec<RepoPath>,
    /// How many were read.
    count: usize,
}

/// What a field of a kustomization may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wants {
    /// A file or a directory with a kustomization.
    Resource,
    /// A directory whose kustomization is a component.
    Component,
    /// A file, or a directory with a kustomization, or YAML itself.
    Plugin,
    /// A file.
    File,
    /// A file, or a patch itself.
    Patch,
}

impl<'a> Walker<'a> {
    fn new(release: &'a Release, depth: Depth) -> Self {
        Self {
            release,
            depth,
            walk: Walk::default(),
            open: Vec::new(),
            count: 0,
        }
    }

    /// Reads the kustomization of a file, once.
    fn read(&mut self, file: &RepoPath) {
        self.count += 1;
        if self.count > MOST || !self.walk.files.insert(file.clone()) {
            return;
        }
        let document = match self.release.document(file) {
            Ok(document) => document,
            Err(error) => {
                self.fault(
                    Named::new(file, "", file.as_str()),
                    FaultKind::Unreadable(first_line(&error)),
                );
                return;
            }
        };
        self.open.push(file.clone());
        let list = |field: &str| -> Vec<(String, Value)> {
            let items = document[field].as_array().cloned().unwrap_or_default();
            items
                .into_iter()
                .enumerate()
                .map(|(index, item)| (format!("/{field}/{index}"), item))
                .collect()
        };
        for (field, wants) in [
            ("resources", Wants::Resource),
            ("bases", Wants::Resource),
            ("components", Wants::Component),
            ("crds", Wants::File),
            ("configurations", Wants::File),
            ("generators", Wants::Plugin),
            ("transformers", Wants::Plugin),
            ("validators", Wants::Plugin),
            ("patchesStrategicMerge", Wants::Patch),
        ] {
            for (pointer, item) in list(field) {
                if let Some(name) = item.as_str() {
                    self.named(Named::new(file, &pointer, name), wants);
                }
            }
        }
        for field in ["patches", "patchesJson6902", "replacements"] {
            for (pointer, item) in list(field) {
                if let Some(name) = item["path"].as_str().filter(|name| !name.is_empty()) {
                    self.named(Named::new(file, &format!("{pointer}/path"), name), Wants::File);
                }
            }
        }
        for field in ["configMapGenerator", "secretGenerator"] {
            for (pointer, item) in list(field) {
                for of in ["files", "envs"] {
                    for (index, source) in item[of].as_array().into_iter().flatten().enumerate() {
                        let Some(source) = source.as_str() else { continue };
                        // `KEY=FILE`, where the key may be left out.
                        let name = source.split_once('=').map_or(source, |(_, name)| name);
                        self.named(Named::new(file, &format!("{pointer}/{of}/{index}"), name), Wants::File);
                    }
                }
                if let Some(name) = item["env"].as_str() {
                    self.named(Named::new(file, &format!("{pointer}/env"), name), Wants::File);
                }
            }
        }
        if let Some(name) = document["openapi"]["path"].as_str() {
            self.named(Named::new(file, "/openapi/path", name), Wants::File);
        }
        self.open.pop();
    }

    fn fault(&mut self, at: Named, kind: FaultKind) {
        self.walk.faults.push(ReferenceFault { at, kind });
    }

    fn named(&mut self, at: Named, wants: Wants) {
        let is_text = at.name.contains('\n') || at.name.trim_start().starts_with('{');
        if is_text && matches!(wants, Wants::Plugin | Wants::Patch) {
            return;
        }
        if is_remote(&at.name) {
            self.walk.remote.push(at);
            return;
        }
        let Some(directory) = at.file.parent() else { return };
        let Ok(path) = directory.join(at.name.trim_end_matches('/')) else {
            self.fault(at, FaultKind::OutOfTree);
            return;
        };
        let is_file = self.release.tree.exists(&path);
        if is_file {
            let is_below = path.as_str().starts_with(&format!("{directory}/"));
            match wants {
                Wants::Component => self.fault(at, FaultKind::NoKustomization),
                _ if !is_below => self.fault(at, FaultKind::FileOutside),
                _ => {
                    self.walk.files.insert(path);
                }
            }
            return;
        }
        let is_directory = self.release.tree.list(&path).is_ok_and(|files| !files.is_empty());
        if !is_directory || matches!(wants, Wants::File | Wants::Patch) {
            self.fault(at, FaultKind::Missing);
            return;
        }
        match files_in(self.release, &path).as_slice() {
            [] => self.fault(at, FaultKind::NoKustomization),
            [file] => self.below(at, file, wants),
            _ => self.fault(at, FaultKind::SeveralKustomizations),
        }
    }

    /// A kustomization that another one names.
    fn below(&mut self, at: Named, file: &RepoPath, wants: Wants) {
        if self.open.contains(file) {
            self.fault(at, FaultKind::Cycle);
            return;
        }
        let document = self.release.document(file).ok();
        let is_component = document.is_some_and(|document| document["kind"].as_str() == Some("Component"));
        match wants {
            Wants::Component if !is_component => {
                return self.fault(at, FaultKind::OtherKind { wanted: "Component" });
            }
            Wants::Resource if is_component => {
                return self.fault(
                    at,
                    FaultKind::OtherKind {
                        wanted: "Kustomization",
                    },
                );
            }
            _ => {}
        }
        if self.depth == Depth::All && !self.walk.files.contains(file) {
            self.read(file);
        }
    }
}

impl Named {
    fn new(file: &RepoPath, pointer: &str, name: &str) -> Self {
        Self {
            file: file.clone(),
            pointer: pointer.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// Whether a name is one of the web, as kustomize tells it from a path: an address, or one that begins with a known host.
///
/// Source: `api/internal/git/repospec.go` of kustomize v5.
pub(crate) fn is_remote(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let begins = ["github.com/", "github.com:", "git::"];
    let at_a_host = name.split_once('@').is_some_and(|(user, rest)| {
        let is_user = !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_user && rest.contains(':')
    });
    name.contains("://") || at_a_host || begins.iter().any(|begin| name.starts_with(begin))
}

fn first_line(error: &ReleaseError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::release::MemoryTree;

    fn release(files: &[(&str, &str)]) -> Release {
        let mut tree = MemoryTree::default();
        for (path, text) in files {
            tree.insert(path.parse().unwrap(), *text);
        }
        Release::new("o/r", None, None, Box::new(tree))
    }

    const COMPONENT: &str = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n";

    fn faults(kustomization: &str) -> Vec<(String, FaultKind)> {
        let release = release(&[
            ("a/top/kustomization.yaml", kustomization),
            ("a/base/kustomization.yaml", "resources: [one.yaml]\n"),
            ("a/base/one.yaml", "x: 1\n"),
            ("a/top/two.yaml", "x: 1\n"),
            ("a/part/kustomization.yaml", COMPONENT),
            ("a/empty/readme.md", "x"),
            ("a/twice/kustomization.yaml", ""),
            ("a/twice/kustomization.yml", ""),
            ("a/back/kustomization.yaml", "resources: [../top]\n"),
        ]);
        let found = walk(&release, &"a/top/kustomization.yaml".parse().unwrap());
        found
            .faults
            .into_iter()
            .map(|fault| (fault.at.pointer, fault.kind))
            .collect()
    }

    #[rstest]
    #[case::all_there(
        "resources: [../base, two.yaml]\ncomponents: [../part/]\npatches: [{path: two.yaml}, {patch: x}]\n",
        None
    )]
    #[case::a_patch_that_is_text("patchesStrategicMerge: ['kind: A\n\n  b: c']\n", None)]
    #[case::a_generated_file("configMapGenerator: [{files: [k=two.yaml], literals: [a=b]}]\n", None)]
    #[case::missing("resources: [none.yaml]\n", Some(("/resources/0", FaultKind::Missing)))]
    #[case::patch_missing("patches: [{patch: x}, {path: none.yaml}]\n", Some(("/patches/1/path", FaultKind::Missing)))]
    #[case::file_of_a_generator("secretGenerator: [{files: [none]}]\n", Some(("/secretGenerator/0/files/0", FaultKind::Missing)))]
    #[case::no_kustomization("resources: [../empty]\n", Some(("/resources/0", FaultKind::NoKustomization)))]
    #[case::two_kustomizations("resources: [../twice]\n", Some(("/resources/0", FaultKind::SeveralKustomizations)))]
    #[case::another_directory("resources: [../base/one.yaml]\n", Some(("/resources/0", FaultKind::FileOutside)))]
    #[case::out_of_the_tree("resources: [../../../x]\n", Some(("/resources/0", FaultKind::OutOfTree)))]
    #[case::a_component_as_resource("resources: [../part]\n", Some(("/resources/0", FaultKind::OtherKind { wanted: "Kustomization" })))]
    #[case::a_resource_as_component("components: [../base]\n", Some(("/components/0", FaultKind::OtherKind { wanted: "Component" })))]
    #[case::a_cycle("resources: [../back]\n", Some(("/resources/0", FaultKind::Cycle)))]
    #[case::no_yaml("resources: [\n", Some(("", FaultKind::Unreadable(String::new()))))]
    fn what_kustomize_ends_at_is_found(#[case] text: &str, #[case] wanted: Option<(&str, FaultKind)>) {
        let found = faults(text);
        match (found.as_slice(), wanted) {
            ([], None) => {}
            ([(pointer, FaultKind::Unreadable(_))], Some((_, FaultKind::Unreadable(_)))) => assert_eq!(pointer, ""),
            ([(pointer, kind)], Some((at, of))) => assert_eq!((pointer.as_str(), kind), (at, &of)),
            (found, wanted) => panic!("{found:?} and not {wanted:?}"),
        }
    }

    #[test]
    fn what_is_of_the_web_is_told_and_not_followed() {
        let release = release(&[
            (
                "a/kustomization.yaml",
                "resources: ['github.com/o/r/a?ref=v1', 'https://x.example/y.yaml', 'b.yaml']\n",
            ),
            ("a/b.yaml", "x: 1\n"),
        ]);
        let found = walk(&release, &"a/kustomization.yaml".parse().unwrap());
        assert_eq!(found.remote.len(), 2);
        assert!(found.faults.is_empty());
        assert!(found.files.contains(&"a/b.yaml".parse().unwrap()));
    }
}
