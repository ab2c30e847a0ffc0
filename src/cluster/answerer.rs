//! Who answered: the API server itself about what was asked, or something else in its place, such as a login page, a proxy, or
//! an answer that was cut.
//!
//! Told by status and shape of an answer, never by its words. Whatever is not the API server's own word says nothing about
//! the release.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde::{
    Deserialize,
    de::{Deserializer, IgnoredAny},
};
use serde_json::Value;

/// Why there is no answer of the API server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NoAnswer {
    /// Something answered, and it was not the API server, or not about what was asked.
    #[error("{code} with {what}, which is no answer of a Kubernetes API server to this")]
    Foreign {
        /// The HTTP status.
        code: u16,
        /// What came with it, in words of ours.
        what: String,
        /// The pause that it asks for.
        retry_after: Option<Duration>,
    },
    /// The answer did not come, or not to its end, in time.
    #[error("no whole answer within {seconds} s")]
    TooSlow {
        /// The limit.
        seconds: u64,
    },
    /// The answer is longer than any that is read.
    #[error("an answer of more than {mebibytes} MiB")]
    TooLong {
        /// The limit.
        mebibytes: usize,
    },
    /// The answer has more objects than any that is read: each takes far more memory than bytes.
    #[error("an answer of more than {most} objects, those within others counted")]
    TooMany {
        /// The limit.
        most: usize,
    },
    /// A watch that ends at once: kube begins it anew without a pause unless that is an error.
    #[error("a watch that ends as soon as it has begun")]
    Short,
}

/// What a call must be answered with, by its method and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What `/version` tells.
    Version,
    /// The groups there are, or, with `GROUP/VERSION`, the kinds of one.
    Kinds(Option<String>),
    /// An object in this version, of this name where the path has one.
    Object {
        /// `GROUP/VERSION`; `None` for what a part of an object is asked, such as a token.
        api_version: Option<String>,
        /// Its name.
        name: Option<String>,
    },
    /// That an object goes: a `Status` of success, or the object.
    Deletion,
    /// Many objects.
    List,
    /// Text, such as a log.
    Text,
    /// What changes, without end.
    Stream,
}

impl Wanted {
    /// What a call is to be answered with.
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        let parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let (api_version, rest) = match parts.as_slice() {
            ["version"] => return Self::Version,
            ["api" | "apis"] | ["apis", _] => return Self::Kinds(None),
            ["api", version, rest @ ..] => ((*version).to_owned(), rest),
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            // kube asks for nothing else; what it is cannot be told.
            _ => return Self::Text,
        };
        // `namespaces/NAME` is an object itself; with a resource behind it, it says where that is.
        let rest = match rest {
            ["namespaces", _, "status" | "finalize"] => rest,
            ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
            _ => rest,
        };
        let is_watch = uri
            .query()
            .is_some_and(|query| query.split('&').any(|one| one == "watch=true"));
        match rest {
            [] => Self::Kinds(Some(api_version)),
            _ if method == Method::DELETE => Self::Deletion,
            _ if is_watch => Self::Stream,
            [_] if method == Method::GET => Self::List,
            [_, _, "log" | "portforward" | "exec" | "attach" | "proxy", ..] => Self::Text,
            [_, name] | [_, name, "status"] => Self::Object {
                api_version: Some(api_version),
                name: Some((*name).to_owned()),
            },
            [_, _, ..] => Self::Object {
                api_version: None,
                name: None,
            },
            [_] => Self::Object {
                api_version: Some(api_version),
                name: None,
            },
        }
    }
}

/// As much of a JSON answer as tells whose it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    group_version: String,
    #[serde(default)]
    git_version: String,
    /// Go writes an empty list as `null`.
    #[serde(default, deserialize_with = "is_there")]
    items: bool,
    #[serde(default, deserialize_with = "is_there")]
    resources: bool,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: Option<String>,
}

fn is_there<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(from).map(|_| true)
}

/// Whether a whole answer is the API server's own. One that refuses has the pause that its header asks for put into its
/// `Status`, which kube hands on, unlike the header.
///
/// # Errors
/// It is something else's.
pub(super) fn own_answer(
    wanted: &Wanted,
    status: StatusCode,
    headers: &HeaderMap,
    body: Vec<u8>,
) -> Result<Vec<u8>, NoAnswer> {
    let retry_after = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let foreign = |what: String| NoAnswer::Foreign {
        code: status.as_u16(),
        what,
        retry_after,
    };
    if status.is_client_error() || status.is_server_error() {
        return refusal(status, retry_after, body).map_err(|body| foreign(looks_like(headers, &body)));
    }
    if !matches!(status.as_u16(), 200..=202) {
        return Err(foreign(looks_like(headers, &body)));
    }
    if *wanted == Wanted::Text {
        return Ok(body);
    }
    let Ok(shape) = serde_json::from_slice::<Shape>(&body) else {
        return Err(foreign(looks_like(headers, &body)));
    };
    match mismatch(wanted, &shape) {
        None => Ok(body),
        Some(what) => Err(foreign(what)),
    }
}

/// The `Status` of the API server, by which it refuses; else the body as it came.
fn refusal(status: StatusCode, retry_after: Option<Duration>, body: Vec<u8>) -> Result<Vec<u8>, Vec<u8>> {
    let is_status = |shape: &Shape| shape.kind == "Status" && shape.api_version == "v1";
    if !serde_json::from_slice::<Shape>(&body).is_ok_and(|shape| is_status(&shape)) {
        return Err(body);
    }
    let Ok(mut said) = serde_json::from_slice::<Value>(&body) else {
        return Err(body);
    };
    if said["status"] != "Failure" || said["code"] != status.as_u16() {
        return Err(body);
    }
    let Some(pause) = retry_after else { return Ok(body) };
    if !said["details"].is_object() {
        said["details"] = Value::Object(serde_json::Map::new());
    }
    said["details"]["retryAfterSeconds"] = u32::try_from(pause.as_secs()).unwrap_or(u32::MAX).into();
    Ok(said.to_string().into_bytes())
}

/// What is wrong with an answer of this shape; `None` where it is about what was asked.
fn mismatch(wanted: &Wanted, shape: &Shape) -> Option<String> {
    let described = |what: &str| match (shape.kind.as_str(), what) {
        ("", what) => format!("JSON that is no {what}"),
        (_, what) => format!("an object of another kind than {what}"),
    };
    let fits = match wanted {
        Wanted::Version => !shape.git_version.is_empty(),
        Wanted::Kinds(None) => {
            let lists = ["APIVersions", "APIGroupList", "APIGroup", "APIGroupDiscoveryList"];
            lists.contains(&shape.kind.as_str())
        }
        Wanted::Kinds(Some(api_version)) => {
            shape.kind == "APIResourceList" && shape.group_version == *api_version && shape.resources
        }
        Wanted::List => !shape.kind.is_empty() && !shape.api_version.is_empty() && shape.items,
        Wanted::Deletion => !shape.kind.is_empty() && !shape.api_version.is_empty() && !shape.items,
        Wanted::Object { api_version, name } => {
            let of_version =
                |wanted: &String| *wanted == shape.api_version || shape.api_version.starts_with("meta.k8s.io/");
            let is_whole = !["", "Status"].contains(&shape.kind.as_str()) && !shape.items;
            is_whole
                && !shape.api_version.is_empty()
                && api_version.as_ref().is_none_or(of_version)
                && (name.is_none() || *name == shape.metadata.name)
        }
        Wanted::Text | Wanted::Stream => true,
    };
    let what = match wanted {
        Wanted::Version => "version of Kubernetes",
        Wanted::Kinds(_) => "list of kinds",
        Wanted::List => "list of objects",
        _ => "object that was asked for",
    };
    (!fits).then(|| described(what))
}

/// What an answer that is no JSON of ours looks like, without a word of its own: it may hold anything.
fn looks_like(headers: &HeaderMap, body: &[u8]) -> String {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    match (kind, first) {
        (_, None) => "an empty body".to_owned(),
        (kind, _) if kind.ends_with("html") => format!("an HTML page of {} bytes", body.len()),
        (_, Some(b'<')) => format!("an HTML page of {} bytes", body.len()),
        (_, Some(b'{' | b'[')) => match serde_json::from_slice::<IgnoredAny>(body) {
            Ok(_) => "JSON that is no `Status`".to_owned(),
            Err(error) if error.is_eof() => format!("JSON that breaks off after {} bytes", body.len()),
            Err(_) => format!("{} bytes that are no JSON", body.len()),
        },
        _ => format!("{} bytes that are no JSON", body.len()),
    }
}

#[cfg(test)]
mod tests;
