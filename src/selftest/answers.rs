//! Answers with something wrong, or something odd: each is a file with the wire checks that must find fault with it, and comes
//! byte by byte over a real connection.

use std::{collections::BTreeSet, io, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    check::wire::{self, ErrorForm, Expected, StatusWanted, Way},
    host::in_words,
    probe::{Outgoing, Probe},
};

/// Longer than any answer takes that comes at all: there is none among them that does not.
const LIMIT: Duration = Duration::from_secs(20);

/// The most bytes of a request.
const MOST_ASKED: usize = 1 << 20;

/// An answer, and what must be said of it.
#[derive(Debug, Clone)]
pub(crate) struct AnswerSeed {
    /// Its name: that of its file.
    pub(crate) name: String,
    told: Told,
}

/// A request and what came back.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    /// What is odd or wrong about it.
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

#[derive(Debug, Clone, Deserialize)]
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
#[derive(Debug, Clone, Default, Deserialize)]
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

/// What was said of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnswerJudged {
    /// The wire checks that found fault with it.
    pub(crate) found: BTreeSet<String>,
    /// What they said.
    pub(crate) said: Vec<String>,
}

/// Reads an answer's file.
///
/// # Errors
/// It is none, or names a check that there is not.
pub(super) fn read(file: &str, bytes: &[u8]) -> Result<AnswerSeed, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let told: Told = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let below = |kind: &str| file.contains(&format!("/{kind}/"));
    if let Some(unknown) = told.faults.iter().find(|name| wire::named(name).is_none()) {
        return Err(format!("no wire check is called `{unknown}`"));
    }
    if below("malformed") == told.faults.is_empty() || below("odd") != told.faults.is_empty() {
        return Err("what is malformed has `faults`, and what is odd has none".to_owned());
    }
    if let Some(latin1) = &told.latin1
        && let Some(beyond) = latin1.chars().find(|character| u32::from(*character) > 0xff)
    {
        return Err(format!("`latin1` holds `{beyond}`, which is no byte"));
    }
    let name = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".yaml");
    Ok(AnswerSeed {
        name: name.to_owned(),
        told,
    })
}

/// Sends each answer over a connection of this machine, and judges what arrives.
///
/// # Errors
/// No port of this machine can be had.
pub(crate) async fn judged(answers: &[AnswerSeed]) -> io::Result<Vec<AnswerJudged>> {
    let probe = Probe::new(LIMIT).map_err(|error| io::Error::other(in_words(&error)))?;
    let mut all = Vec::new();
    for answer in answers {
        all.push(answer.judged(&probe).await?);
    }
    Ok(all)
}

impl AnswerSeed {
    /// What is odd or wrong about it.
    pub(crate) fn why(&self) -> &str {
        &self.told.why
    }

    /// The wire checks that must find fault with it.
    pub(crate) fn faults(&self) -> &BTreeSet<String> {
        &self.told.faults
    }

    async fn judged(&self, probe: &Probe) -> io::Result<AnswerJudged> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let request = Outgoing {
            method: self.told.request.method.clone(),
            url: format!("http://{address}{}", self.told.request.path),
            headers: vec![("content-type".into(), "application/json".into())],
            body: self.told.request.body.clone(),
        };
        let expected = self.told.expected(&request);
        let serving = self.told.serve(&listener);
        let asking = async { probe.send(request).await };
        // Who asks may have had enough before all is sent.
        let (_, answer) = tokio::join!(serving, asking);
        let faults = wire::faults(&expected, &answer);
        Ok(AnswerJudged {
            found: faults.iter().map(|fault| fault.check.to_owned()).collect(),
            said: faults.into_iter().map(|fault| fault.what).collect(),
        })
    }
}

impl Told {
    /// Takes one request, and says what is to be said, piece by piece.
    async fn serve(&self, listener: &TcpListener) -> io::Result<()> {
        let (mut stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let mut asked = Vec::new();
        let mut piece = [0; 4096];
        while asked.len() < MOST_ASKED && !is_whole(&asked) {
            match stream.read(&mut piece).await? {
                0 => return Ok(()),
                count => asked.extend_from_slice(&piece[..count]),
            }
        }
        for piece in self.pieces() {
            stream.write_all(&piece).await?;
            stream.flush().await?;
        }
        stream.shutdown().await
    }

    fn pieces(&self) -> Vec<Vec<u8>> {
        let head = format!("{}\r\n\r\n", self.head.join("\r\n"));
        let latin1 = self.latin1.iter().flat_map(|text| text.chars());
        let latin1 = latin1.map(|character| u8::try_from(character).unwrap_or(b'?'));
        let body = self.body.iter().flat_map(|body| body.bytes());
        let first: Vec<u8> = head.bytes().chain(body).chain(latin1).collect();
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
}

/// Whether a request has come to its end: its head, and as much as its `content-length` says.
fn is_whole(asked: &[u8]) -> bool {
    let Some(end) = asked.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&asked[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    asked.len() >= end + 4 + length
}
