//! A server on this machine that plays GitHub: lists references, gives archives, files and releases, and misbehaves.

use std::{
    collections::{BTreeMap, VecDeque},
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use flate2::{Compression, write::GzEncoder};

pub(super) const REPOSITORY: &str = "kubernetes-sigs/gateway-api-inference-extension";
/// The commit of the miniature release.
pub(super) const COMMIT: &str = "1111111111111111111111111111111111111111";
/// The object of its annotated tag.
pub(super) const TAG_OBJECT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// What was asked: method, path with query, host, and the headers that matter.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) line: String,
    pub(super) host: String,
    pub(super) authorization: Option<String>,
}

/// An answer that was laid ready.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Ready {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

#[derive(Default)]
struct Stage {
    asked: Mutex<Vec<Asked>>,
    /// Answers by the end of a path, the longest end first; of several the first goes first, and the last one stays.
    ready: Mutex<BTreeMap<String, VecDeque<Ready>>>,
}

/// The server, until it is dropped.
pub(super) struct Server {
    pub(super) url: String,
    stage: Arc<Stage>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    /// A server that has the miniature release as v1.5.0 and nothing else.
    pub(super) async fn with_mini() -> Self {
        let server = Self::empty().await;
        server.list(&[
            format!("{COMMIT} refs/heads/main"),
            format!("{COMMIT} refs/heads/release-1.5"),
            format!("{COMMIT} refs/tags/conformance/v1.5.0"),
            format!("{TAG_OBJECT} refs/tags/v1.5.0 peeled:{COMMIT}"),
            format!("{} refs/tags/v1.5.0-rc.1", "2".repeat(40)),
        ]);
        server.lay(
            &format!("archive/{COMMIT}.tar.gz"),
            Ready::new(200, mini_archive(COMMIT)),
        );
        server
    }

    pub(super) async fn empty() -> Self {
        let stage = Arc::new(Stage::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(stage.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, stage, serving }
    }

    /// Lays an answer ready for paths that end so.
    pub(super) fn lay(&self, end: &str, ready: Ready) {
        let mut all = self.stage.ready.lock().unwrap();
        all.entry(end.to_owned()).or_default().push_back(ready);
    }

    /// Takes every answer for paths that end so away.
    pub(super) fn clear(&self, end: &str) {
        self.stage.ready.lock().unwrap().remove(end);
    }

    /// Lists references, as version 2 of the protocol does.
    pub(super) fn list(&self, references: &[String]) {
        self.lay("info/refs", Ready::new(200, offer("version 2")));
        let lines: String = references.iter().map(|reference| packet(reference)).collect();
        self.lay("git-upload-pack", Ready::new(200, format!("{lines}0000")));
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.stage.asked.lock().unwrap().clone()
    }

    /// How many requests had a path that ends so.
    pub(super) fn count(&self, end: &str) -> usize {
        let asked = self.asked();
        asked
            .iter()
            .filter(|asked| asked.line.split('?').next().unwrap().ends_with(end))
            .count()
    }
}

async fn answer(State(stage): State<Arc<Stage>>, request: Request) -> Response {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    let uri = request.uri();
    stage.asked.lock().unwrap().push(Asked {
        line: format!("{} {}", request.method(), uri.path_and_query().unwrap()),
        host: uri
            .host()
            .map(str::to_owned)
            .or_else(|| header("host"))
            .unwrap_or_default(),
        authorization: header("authorization"),
    });
    let path = uri.path().to_owned();
    let ready = {
        let mut all = stage.ready.lock().unwrap();
        let ends = all.iter_mut().filter(|(end, _)| path.ends_with(end.as_str()));
        match ends.max_by_key(|(end, _)| end.len()).map(|(_, queue)| queue) {
            None => Ready::new(404, "nothing"),
            Some(queue) if queue.len() > 1 => queue.pop_front().unwrap(),
            Some(queue) => queue[0].clone(),
        }
    };
    let mut response = Response::builder().status(ready.status);
    for (name, value) in ready.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(ready.body)).unwrap()
}

/// A line as a packet of Git's protocol.
pub(super) fn packet(text: &str) -> String {
    format!("{:04x}{text}\n", text.len() + 5)
}

/// What a server offers first.
pub(super) fn offer(version: &str) -> String {
    format!("{}0000{}0000", packet("# service=git-upload-pack"), packet(version))
}

/// The archive of the miniature release.
pub(super) fn mini_archive(commit: &str) -> Vec<u8> {
    let mini = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/trees/mini"));
    archive(mini, commit)
}

/// The archive of a directory, as git writes it for a commit.
pub(super) fn archive(tree: &Path, commit: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let comment = format!("52 comment={commit}\n");
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::XGlobalHeader);
    header.set_size(comment.len() as u64);
    header.set_path("pax_global_header").unwrap();
    header.set_cksum();
    builder.append(&header, comment.as_bytes()).unwrap();
    builder.append_dir_all(format!("files-{commit}"), tree).unwrap();
    zip(&builder.into_inner().unwrap())
}

pub(super) fn zip(bytes: &[u8]) -> Vec<u8> {
    let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
    zip.write_all(bytes).unwrap();
    zip.finish().unwrap()
}
