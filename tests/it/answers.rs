//! The answers of `tests/data/answers`: each is a file with the wire checks that must find fault with it, and comes
//! byte by byte over a real connection.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use quickproof::{
    check::wire::{self, ErrorForm, Expected, StatusWanted, Way},
    probe::{Outgoing, Probe},
};
use serde::Deserialize;

use crate::served::Served;

/// A request and what came back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    /// What is odd or wrong about it; for whoever reads the file.
    why: String,
    request: Asking,
    #[serde(default)]
    expected: Beyond,
    /// The status line and the headers, without their line ends. Without a length and without chunks the end of the
    /// connection is the body's.
    head: Vec<String>,
    /// The body as text.
    body: Option<String>,
    /// The body as bytes: each character is one, so none lies beyond U+00FF.
    latin1: Option<String>,
    /// The body as pieces of text that are sent one by one.
    #[serde(default)]
    pieces: Vec<String>,
    /// The wire checks that must find fault with it.
    faults: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asking {
    #[serde(default = "post")]
    method: String,
    path: String,
    body: Option<String>,
}

fn post() -> String {
    "POST".into()
}

/// What the asker expects beyond what the request tells.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Beyond {
    /// Of an error.
    status: Option<Vec<u16>>,
    model: Option<String>,
    served_as: Vec<String>,
    also_named: Vec<String>,
    through_gateway: bool,
    echo: Option<String>,
    errors: Option<Errors>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Errors {
    Json,
    JsonPickerOrEmpty,
}

impl Told {
    fn pieces(&self) -> Vec<Vec<u8>> {
        let head = format!("{}\r\n\r\n", self.head.join("\r\n"));
        let bytes = self
            .latin1
            .iter()
            .flat_map(|text| text.chars())
            .map(|character| u8::try_from(character).unwrap());
        let first: Vec<u8> = head
            .bytes()
            .chain(self.body.iter().flat_map(|body| body.bytes()))
            .chain(bytes)
            .collect();
        let rest = self.pieces.iter().map(|piece| piece.clone().into_bytes());
        std::iter::once(first).chain(rest).collect()
    }

    fn expected(&self, request: &Outgoing) -> Expected {
        let mut expected = Expected::of(request);
        if let Some(status) = &self.expected.status {
            expected.status = StatusWanted::Error(status.clone());
        }
        expected.model = self.expected.model.clone().or(expected.model);
        expected.served_as.clone_from(&self.expected.served_as);
        expected.also_named.clone_from(&self.expected.also_named);
        if self.expected.through_gateway {
            expected.way = Way::ThroughGateway;
        }
        expected.echo.clone_from(&self.expected.echo);
        match self.expected.errors {
            Some(Errors::Json) => expected.error_form = ErrorForm::Json,
            Some(Errors::JsonPickerOrEmpty) => expected.error_form = ErrorForm::JsonPickerOrEmpty,
            None => {}
        }
        expected
    }

    /// The checks that find fault with it, each with what it says.
    async fn faults(&self, probe: &Probe) -> Vec<(String, String)> {
        let pieces = self.pieces();
        let server = Served::start(move |_, mut wire| pieces.iter().try_for_each(|piece| wire.send(piece))).unwrap();
        let request = Outgoing {
            method: self.request.method.clone(),
            url: server.url(&self.request.path),
            headers: vec![("content-type".into(), "application/json".into())],
            body: self.request.body.clone(),
        };
        let expected = self.expected(&request);
        let answer = probe.send(request).await;
        wire::faults(&expected, &answer)
            .into_iter()
            .map(|fault| (fault.check.to_owned(), fault.what))
            .collect()
    }
}

fn files(kind: &str) -> Vec<(PathBuf, Told)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/answers")
        .join(kind);
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let told: Told = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!told.why.is_empty(), "{}", path.display());
        (path, told)
    };
    paths.into_iter().map(read).collect()
}

/// What each file says differently from what is found, in lines.
async fn differences(files: &[(PathBuf, Told)]) -> Vec<String> {
    let probe = Probe::new(Duration::from_secs(20)).unwrap();
    let mut differences = Vec::new();
    for (path, told) in files {
        let found = told.faults(&probe).await;
        let checks: BTreeSet<String> = found.iter().map(|(check, _)| check.clone()).collect();
        if checks != told.faults {
            differences.push(format!("{}: {:?} and not {:?}", path.display(), found, told.faults));
        }
    }
    differences
}

#[tokio::test]
async fn every_malformed_answer_is_refused_by_the_check_that_it_names() {
    let files = files("malformed");
    assert!(files.len() >= 40, "{}", files.len());
    assert!(files.iter().all(|(_, told)| !told.faults.is_empty()));
    let known = |name: &String| wire::named(name).is_some();
    assert!(files.iter().flat_map(|(_, told)| &told.faults).all(known));
    assert_eq!(differences(&files).await, Vec::<String>::new());
}

#[tokio::test]
async fn every_odd_answer_that_is_well_formed_is_accepted() {
    let files = files("odd");
    assert!(files.len() >= 20, "{}", files.len());
    assert!(files.iter().all(|(_, told)| told.faults.is_empty()));
    assert_eq!(differences(&files).await, Vec::<String>::new());
}
