//! A request, and what it asks for.

use super::wire::Request;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `/version`.
    Version,
    /// Which groups and kinds there are.
    Discovery,
    /// One object.
    Get,
    /// Many objects.
    List,
    /// What changes.
    Watch,
    /// A server-side apply.
    Apply,
    /// Another kind of patch.
    Patch,
    /// A new object.
    Create,
    /// That an object goes.
    Delete,
    /// Anything else: a log, a port, a token.
    Other,
}

/// What a request asks for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) verb: Verb,
    /// `GROUP/VERSION`, or `v1`.
    pub(crate) api_version: String,
    /// Such as `pods`; empty for what is about no resource.
    pub(crate) resource: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    /// Such as `log` or `token`.
    pub(crate) subresource: Option<String>,
    /// The path with its query.
    pub(crate) target: String,
    /// Whether only metadata is wanted.
    pub(crate) only_metadata: bool,
    /// Whether discovery is wanted in one answer.
    pub(crate) aggregated: bool,
}

impl Asked {
    pub(super) fn of(request: &Request) -> Self {
        let target = request.target.clone();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let accepts = request.header("accept");
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let api_version = match parts.next() {
            Some("api") => parts.next().map(str::to_owned),
            Some("apis") => {
                let group = parts.next();
                group
                    .zip(parts.next())
                    .map(|(group, version)| format!("{group}/{version}"))
            }
            _ => None,
        };
        let mut rest: Vec<&str> = parts.collect();
        let mut namespace = None;
        // `namespaces/NAME` is an object itself; with more behind it, it says where that is.
        if rest.len() > 2 && rest[0] == "namespaces" && !["status", "finalize"].contains(&rest[2]) {
            namespace = Some(rest[1].to_owned());
            rest.drain(..2);
        }
        let at = |index: usize| rest.get(index).map(|part| (*part).to_owned());
        let (resource, name, subresource) = (at(0).unwrap_or_default(), at(1), at(2));
        let is_watch = query.contains("watch=true");
        let verb = match (request.method.as_str(), &name) {
            _ if path == "/version" => Verb::Version,
            _ if resource.is_empty() => Verb::Discovery,
            _ if subresource.as_deref().is_some_and(|sub| sub != "status") => Verb::Other,
            ("GET", _) if is_watch => Verb::Watch,
            ("GET", Some(_)) => Verb::Get,
            ("GET", None) => Verb::List,
            ("PATCH", _) if request.header("content-type").contains("apply") => Verb::Apply,
            ("PATCH", _) => Verb::Patch,
            ("POST", _) => Verb::Create,
            ("DELETE", _) => Verb::Delete,
            _ => Verb::Other,
        };
        Self {
            verb,
            api_version: api_version.unwrap_or_default(),
            resource,
            namespace,
            name,
            subresource,
            only_metadata: accepts.contains("PartialObjectMetadata"),
            aggregated: accepts.contains("APIGroupDiscoveryList"),
            target,
        }
    }

    /// A parameter of the query.
    pub(crate) fn parameter<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// A parameter of the query, as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The path without its query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}
