//! HTTP/1.1 as bytes: exactly what is wanted said, when and how it is wanted.

use std::{io, time::Duration};

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{
    answers::Answer,
    asked::Asked,
    mood::{Body, Says},
};

/// Most bytes of a request that are read.
const REQUEST_BOUND: usize = 16 << 20;

/// A request as it came.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The value of a header; empty where there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        let mut headers = self.headers.iter();
        headers
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }
}

pub(super) struct Wire<S>(S);

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(stream)
    }

    /// The request; `None` where the other side goes without one.
    pub(super) async fn request(&mut self) -> io::Result<Option<Request>> {
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
                let mut lines = head.lines();
                let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
                let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let headers = lines.filter_map(|line| line.split_once(':'));
                let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
                let mut request = Request {
                    method,
                    target,
                    headers: headers.collect(),
                    body: bytes.split_off(end + 4),
                };
                let length: usize = request.header("content-length").parse().unwrap_or(0);
                while request.body.len() < length {
                    self.more(&mut request.body).await?;
                }
                return Ok(Some(request));
            }
            let before = bytes.is_empty();
            match self.more(&mut bytes).await {
                Err(error) if before && error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                read => read?,
            }
        }
    }

    async fn more(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let mut piece = vec![0; 16 << 10];
        let count = self.0.read(&mut piece).await?;
        if count == 0 || bytes.len() > REQUEST_BOUND {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..count]);
        Ok(())
    }

    /// Waits until the other side is gone.
    pub(super) async fn gone(&mut self) -> io::Result<()> {
        let mut dropped = [0; 1024];
        while self.0.read(&mut dropped).await? > 0 {}
        Ok(())
    }

    /// Says what should be said.
    pub(super) async fn answer(&mut self, answer: &Answer) -> io::Result<()> {
        let (kind, body) = match answer {
            Answer::Json(_, value) => ("application/json", value.to_string()),
            Answer::Text(_, text) => ("text/plain; charset=utf-8", text.clone()),
        };
        self.whole(answer.code(), kind, "", body.as_bytes()).await
    }

    /// Says what a mood wants said.
    pub(super) async fn say(&mut self, says: &Says, asked: &Asked) -> io::Result<()> {
        let (code, body, header) = match says {
            Says::Closed => return Ok(()),
            Says::AsItShould | Says::Silence => return self.gone().await,
            Says::Answer(code, body) => (*code, body, String::new()),
            Says::With(code, body, name, value) => (*code, body, format!("{name}: {value}\r\n")),
        };
        let json = "application/json";
        match body {
            Body::Empty => self.whole(code, json, &header, b"").await,
            Body::Html => {
                let page =
                    "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>";
                self.whole(code, "text/html; charset=utf-8", &header, page.as_bytes())
                    .await
            }
            Body::Text(kind, text) => self.whole(code, kind, &header, text.as_bytes()).await,
            Body::Json(text) => self.whole(code, json, &header, text.as_bytes()).await,
            Body::Status(reason) => {
                let status = if code < 400 { "Success" } else { "Failure" };
                let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": status,
                    "message": "as the test wants it", "reason": reason, "code": code});
                self.whole(code, json, &header, status.to_string().as_bytes()).await
            }
            Body::Cut => {
                self.head(code, json, &format!("{header}content-length: 4096\r\n"))
                    .await?;
                self.bytes(br#"{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"na"#)
                    .await
            }
            Body::Half => {
                let half = br#"{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"na"#;
                self.whole(code, json, &header, half).await
            }
            Body::OtherKind => {
                let other = json!({"kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": {"name": "other"}});
                self.whole(code, json, &header, other.to_string().as_bytes()).await
            }
            Body::Endless => {
                self.head(code, json, &header).await?;
                let blanks = vec![b' '; 64 << 10];
                loop {
                    self.bytes(&blanks).await?;
                }
            }
            Body::Drip => {
                self.head(code, json, &header).await?;
                loop {
                    self.bytes(b" ").await?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Body::Large(bytes) => {
                let kind = if asked.path() == "/version" {
                    "gitVersion"
                } else {
                    "kind"
                };
                let filled = format!(r#"{{"{kind}": "{}"}}"#, "x".repeat(*bytes));
                self.whole(code, json, &header, filled.as_bytes()).await
            }
            Body::Crowded(objects) => {
                let list = format!(r#"{{"items": [{}]}}"#, vec!["{}"; *objects].join(","));
                self.whole(code, json, &header, list.as_bytes()).await
            }
        }
    }

    async fn whole(&mut self, code: u16, kind: &str, header: &str, body: &[u8]) -> io::Result<()> {
        let header = match code {
            // An answer of this code has no body, and says no length of one.
            204 => header.to_owned(),
            _ => format!("{header}content-length: {}\r\n", body.len()),
        };
        self.head(code, kind, &header).await?;
        if code != 204 {
            self.bytes(body).await?;
        }
        self.0.shutdown().await
    }

    async fn head(&mut self, code: u16, kind: &str, headers: &str) -> io::Result<()> {
        let head = format!("HTTP/1.1 {code} X\r\ncontent-type: {kind}\r\nconnection: close\r\n{headers}\r\n");
        self.bytes(head.as_bytes()).await
    }

    async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    pub(super) async fn begin_stream(&mut self) -> io::Result<()> {
        self.head(200, "application/json", "transfer-encoding: chunked\r\n")
            .await
    }

    pub(super) async fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
        self.bytes(bytes).await?;
        self.bytes(b"\r\n").await
    }

    pub(super) async fn end_stream(&mut self) -> io::Result<()> {
        self.bytes(b"0\r\n\r\n").await
    }
}
