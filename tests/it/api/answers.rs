//! What a server in a good mood answers.

use serde_json::{Value, json};

use super::{
    asked::{Asked, Verb},
    discovery,
    store::{Key, Store, only_metadata},
};

/// An answer.
pub(super) enum Answer {
    Json(u16, Value),
    Text(u16, String),
}

impl Answer {
    pub(super) fn code(&self) -> u16 {
        match self {
            Self::Json(code, _) | Self::Text(code, _) => *code,
        }
    }
}

fn failure(code: u16, reason: &str, message: impl Into<String>) -> Answer {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message.into(), "reason": reason, "code": code});
    Answer::Json(code, status)
}

/// What Go's HTTP library says to a path that nobody serves; the API server does so for groups that it does not know.
fn no_such_path() -> Answer {
    Answer::Text(404, "404 page not found\n".to_owned())
}

pub(super) fn answer(store: &mut Store, asked: &Asked, body: &[u8]) -> Answer {
    match asked.verb {
        Verb::Version => Answer::Json(
            200,
            json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0", "gitCommit": "0", "gitTreeState": "clean",
                "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.25", "compiler": "gc", "platform": "linux/amd64"}),
        ),
        Verb::Discovery => kinds(store, asked),
        _ => objects(store, asked, body),
    }
}

fn kinds(store: &Store, asked: &Asked) -> Answer {
    let served = store.served();
    match asked.path() {
        path @ ("/api" | "/apis") if asked.aggregated => Answer::Json(200, discovery::aggregated(&served, path)),
        "/api" => Answer::Json(200, json!({"kind": "APIVersions", "versions": ["v1"]})),
        "/apis" => Answer::Json(200, discovery::groups(&served)),
        _ => match discovery::resources(&served, &asked.api_version) {
            Some(list) => Answer::Json(200, list),
            None => no_such_path(),
        },
    }
}

/// What an account is told that asks for its rights.
fn review(store: &mut Store, body: &[u8]) -> Answer {
    let mut review: Value = serde_json::from_slice(body).unwrap_or_default();
    let attributes = &review["spec"]["resourceAttributes"];
    let is_asked = |(verb, resource): &(&str, &str)| attributes["verb"] == *verb && attributes["resource"] == *resource;
    let text = |field: &str| attributes[field].as_str().unwrap_or_default().to_owned();
    let reviewed = (text("verb"), text("resource"));
    let allowed = !store.denied.iter().any(is_asked);
    store.reviewed.push(reviewed);
    review["status"] = json!({ "allowed": allowed });
    Answer::Json(201, review)
}

fn objects(store: &mut Store, asked: &Asked, body: &[u8]) -> Answer {
    if asked.resource == "selfsubjectaccessreviews" {
        return review(store, body);
    }
    let served = store.served();
    let is_it =
        |served: &&discovery::Served| served.api_version == asked.api_version && served.plural == asked.resource;
    let Some(served) = served.iter().find(is_it) else {
        return no_such_path();
    };
    let namespace = asked.namespace.clone().unwrap_or_default();
    let sent: Value = serde_json::from_slice(body).unwrap_or_default();
    let named = sent["metadata"]["name"].as_str().map(str::to_owned);
    let name = asked.name.clone().or(named).unwrap_or_default();
    let key: Key = (
        served.api_version.clone(),
        served.plural.clone(),
        namespace.clone(),
        name,
    );
    let title = || format!("{} \"{}\"", served.plural, key.3);
    let is_there = |store: &Store| {
        let namespaces = ("v1".into(), "namespaces".into(), String::new(), namespace.clone());
        namespace.is_empty() || store.get(&namespaces).is_some()
    };
    match asked.verb {
        Verb::List => list(store, asked, &served.kind),
        Verb::Get => match store.get(&key) {
            Some(object) => Answer::Json(200, only_metadata(asked, object)),
            None => failure(404, "NotFound", format!("{} not found", title())),
        },
        Verb::Create | Verb::Apply if !is_there(store) => {
            failure(404, "NotFound", format!("namespaces \"{namespace}\" not found"))
        }
        Verb::Create if store.get(&key).is_some() => {
            failure(409, "AlreadyExists", format!("{} already exists", title()))
        }
        Verb::Create | Verb::Apply | Verb::Patch => {
            let before = store.get(&key).cloned();
            let code = if before.is_some() { 200 } else { 201 };
            if asked.verb == Verb::Patch && before.is_none() {
                return failure(404, "NotFound", format!("{} not found", title()));
            }
            let mut object = before.unwrap_or_else(|| json!({}));
            merge(&mut object, &sent);
            if let Some(manager) = asked.text("fieldManager") {
                object["metadata"]["managedFields"] = json!([{"manager": manager, "operation": "Apply"}]);
            }
            if asked.text("dryRun").is_some() {
                return Answer::Json(code, object);
            }
            Answer::Json(code, only_metadata(asked, &store.store(key, object)))
        }
        Verb::Delete => {
            let Some(object) = store.get(&key) else {
                return failure(404, "NotFound", format!("{} not found", title()));
            };
            let wanted = &sent["preconditions"]["uid"];
            if !wanted.is_null() && *wanted != object["metadata"]["uid"] {
                return failure(409, "Conflict", "the UID in the precondition is another one");
            }
            store.remove(&key);
            Answer::Json(
                200,
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}),
            )
        }
        _ => match asked.subresource.as_deref() {
            // Nothing is said any more.
            Some("log") if asked.text("sinceSeconds").is_some() => Answer::Text(200, String::new()),
            Some("log") => Answer::Text(200, "a line of a log\n".to_owned()),
            Some("token") => Answer::Json(
                201,
                json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {"name": key.3},
                    "spec": {"audiences": []}, "status": {"token": "a-token-of-the-test", "expirationTimestamp": "2036-01-01T00:00:00Z"}}),
            ),
            _ => no_such_path(),
        },
    }
}

fn list(store: &Store, asked: &Asked, kind: &str) -> Answer {
    let listed = store.listed(asked);
    let (from, limit) = (
        asked.parameter("continue").unwrap_or(0),
        asked.parameter("limit").unwrap_or(usize::MAX),
    );
    let page: Vec<Value> = listed
        .iter()
        .skip(from)
        .take(limit)
        .map(|object| only_metadata(asked, object))
        .collect();
    let next = from + page.len();
    let mut metadata = json!({"resourceVersion": store.revision().to_string()});
    if next < listed.len() {
        metadata["continue"] = json!(next.to_string());
    }
    let (kind, api_version) = if asked.only_metadata {
        ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1")
    } else {
        (format!("{kind}List"), asked.api_version.as_str())
    };
    Answer::Json(
        200,
        json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": page}),
    )
}

/// A JSON merge patch. Source: RFC 7396, section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().map(|target| target.remove(name));
        } else {
            merge(&mut target[name], value);
        }
    }
}
