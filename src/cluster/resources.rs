//! Which resources the cluster serves, and errors of its API server told apart by type and code.

use std::{collections::HashMap, error, fmt, io, time::Duration};

use kube::{
    Api, Client, Error,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, ObjectList},
    discovery::{self, Discovery, Scope},
};
use tokio::{sync::Mutex, time::Instant};

use super::{answerer::NoAnswer, watching::Placement};
use crate::{
    host::{Pauses, in_words, is_exhausted, retry},
    verdict::{Cause, CauseCode},
};

/// A resource and where its objects live.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    /// Group, version, kind, plural.
    pub(crate) api: ApiResource,
    /// Where its objects live.
    pub(crate) placement: Placement,
}

/// A cache of what the API server serves.
pub(crate) struct Resources {
    client: Client,
    known: Mutex<HashMap<(String, String), Resource>>,
}

/// What an API error means, told by its type and code, never by its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The API server said no, with this code.
    Refused {
        /// The HTTP code.
        code: u16,
        /// Its message.
        message: String,
    },
    /// The API server is away or overloaded, or something else answers in its place; the same call may go through later.
    Away {
        /// What that is.
        cause: CauseCode,
        /// What was seen.
        what: String,
        /// The pause that is asked for before it is tried again.
        retry_after: Option<Duration>,
    },
}

impl Trouble {
    /// An outage of this kind, as it was seen.
    pub(crate) fn away(cause: CauseCode, what: impl Into<String>) -> Self {
        Self::Away {
            cause,
            what: what.into(),
            retry_after: None,
        }
    }

    /// What it means where nothing of the release was asked for, so that the release is not to blame.
    pub(crate) fn code(&self) -> CauseCode {
        match self {
            Self::Refused { code: 401 | 403, .. } => CauseCode::ObjectForbidden,
            Self::Refused { .. } => CauseCode::ApiServerAway,
            Self::Away { cause, .. } => *cause,
        }
    }

    /// The same, with what was seen.
    pub(crate) fn cause(&self) -> Cause {
        Cause::new(self.code()).because(self.to_string())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message } => write!(formatter, "the API server answers {code}: {message}"),
            Self::Away {
                what,
                retry_after: None,
                ..
            } => write!(formatter, "the API server is away: {what}"),
            Self::Away {
                what,
                retry_after: Some(pause),
                ..
            } => write!(
                formatter,
                "the API server is away: {what}; it asks for a pause of {} s",
                pause.as_secs()
            ),
        }
    }
}

impl Trouble {
    /// Whether the same call may go through later.
    fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// The pause that is asked for before the same call is made again.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Away { retry_after, .. } => *retry_after,
            Self::Refused { .. } => None,
        }
    }
}

/// The codes with which the API server says no to what was asked: to the object, or to who asks. By every other it speaks
/// of itself, or of how it was asked.
const REFUSALS: [u16; 7] = [400, 401, 403, 404, 409, 413, 422];

/// Tells refusals from outages. That an answer is the API server's own was seen before ([`super::bounded`]).
pub(crate) fn trouble(error: &Error) -> Trouble {
    let (cause, what) = match error {
        Error::Api(status) if REFUSALS.contains(&status.code) => {
            return Trouble::Refused {
                code: status.code,
                message: status.message.clone(),
            };
        }
        Error::BuildRequest(error) => {
            return Trouble::Refused {
                code: 0,
                message: error.to_string(),
            };
        }
        Error::Api(status) => (CauseCode::ApiServerAway, format!("{} {}", status.code, status.message)),
        // What was wrong with it may quote it.
        Error::SerdeError(_) | Error::FromUtf8(_) => (
            CauseCode::NotTheApiServer,
            "an answer that is not of the kind that was asked for".to_owned(),
        ),
        other => (cause_of(other), in_words(other)),
    };
    Trouble::Away {
        cause,
        what,
        retry_after: retry_after(error),
    }
}

/// What a failed call is due to.
pub(crate) fn cause_of(error: &(dyn error::Error + 'static)) -> CauseCode {
    if let Some(none) = error.downcast_ref::<NoAnswer>() {
        return match none {
            NoAnswer::Foreign { .. } | NoAnswer::Short => CauseCode::NotTheApiServer,
            NoAnswer::TooLong { .. } | NoAnswer::TooMany { .. } => CauseCode::ApiAnswerTooLong,
            NoAnswer::TooSlow { .. } => CauseCode::ApiServerAway,
        };
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        if is_exhausted(error) {
            return CauseCode::HostExhausted;
        }
        // An error that was wrapped is no source of its wrapping.
        if let Some(wrapped) = error.get_ref() {
            return cause_of(wrapped);
        }
    }
    error.source().map_or(CauseCode::ApiServerAway, cause_of)
}

/// The pause that the API server asks for, or what answers in its place.
fn retry_after(error: &Error) -> Option<Duration> {
    match error {
        Error::Api(status) => {
            let seconds = status.details.as_ref()?.retry_after_seconds;
            (seconds > 0).then(|| Duration::from_secs(seconds.into()))
        }
        Error::Service(error) => match error.downcast_ref()? {
            NoAnswer::Foreign { retry_after, .. } => *retry_after,
            _ => None,
        },
        _ => None,
    }
}

/// First pause before an API call is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long the API server may be away before a step of a run gives up.
pub(crate) const AWAY_LIMIT: Duration = Duration::from_secs(90);

/// Calls the API server again while it is away, for `limit` at most. Only outages are retried, after a pause that is as long as
/// the API server asks for; where that would be over the limit, it is not waited for.
///
/// # Errors
/// The last trouble.
pub(crate) async fn persistently<T, F>(limit: Duration, mut call: impl FnMut() -> F) -> Result<T, Trouble>
where
    F: Future<Output = Result<T, Error>>,
{
    let began = Instant::now();
    let once = || {
        let remaining = limit.saturating_sub(began.elapsed()).max(Duration::from_secs(1));
        let answering = tokio::time::timeout(remaining, call());
        async move {
            match answering.await {
                Ok(answer) => answer.map_err(|error| trouble(&error)),
                Err(_) => Err(Trouble::away(
                    CauseCode::ApiServerAway,
                    format!("no answer within {} s", remaining.as_secs()),
                )),
            }
        }
    };
    let mut pauses = Pauses::doubling(FIRST_PAUSE, LONGEST_PAUSE);
    let pause = |trouble: &Trouble| {
        let pause = pauses.next()?.max(trouble.retry_after().unwrap_or_default());
        (began.elapsed().saturating_add(pause) < limit).then_some(pause)
    };
    retry(pause, once, Trouble::is_away, |_| ()).await
}

/// How many objects are asked for at once. A pod has up to 30 KB with some hundred objects in it, so that a page is well below
/// what is read of an answer.
pub(super) const PAGE: u32 = 100;

/// Lists objects page by page, however many there are: `each` has them and forgets them. `limit` is how long the API server
/// may be away for one page.
///
/// # Errors
/// The last trouble; `each` may have had some pages.
pub(crate) async fn by_pages<K: Clone, F>(
    limit: Duration,
    mut wanted: ListParams,
    page: impl Fn(ListParams) -> F,
    mut each: impl FnMut(Vec<K>),
) -> Result<(), Trouble>
where
    F: Future<Output = Result<ObjectList<K>, Error>>,
{
    wanted = wanted.limit(PAGE);
    loop {
        let had = persistently(limit, || page(wanted.clone())).await?;
        each(had.items);
        match had.metadata.continue_.filter(|more| !more.is_empty()) {
            Some(more) if wanted.continue_token.as_ref() != Some(&more) => wanted.continue_token = Some(more),
            _ => return Ok(()),
        }
    }
}

/// The API of a resource. One that lives in namespaces is looked for in this one, or in all where there is none.
pub(crate) fn api_in(client: &Client, resource: &Resource, namespace: Option<&str>) -> Api<DynamicObject> {
    match (resource.placement, namespace) {
        (Placement::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, &resource.api),
        _ => Api::all_with(client.clone(), &resource.api),
    }
}

impl Resources {
    /// Nothing known yet.
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            known: Mutex::default(),
        }
    }

    /// The resource of a kind, or `None` while the cluster does not serve it.
    ///
    /// # Errors
    /// The API server is away or refuses discovery.
    pub(crate) async fn of_kind(&self, api_version: &str, kind: &str) -> Result<Option<Resource>, Error> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(known) = self.known.lock().await.get(&key) {
            return Ok(Some(known.clone()));
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let found = match discovery::pinned_kind(&self.client, &GroupVersionKind::gvk(group, version, kind)).await {
            Ok((api, capabilities)) => Resource {
                api,
                placement: placement(&capabilities.scope),
            },
            Err(Error::Discovery(_)) => return Ok(None),
            Err(Error::Api(status)) if status.code == 404 => return Ok(None),
            Err(error) if is_404(&error) && !has_group(&self.client, api_version).await? => return Ok(None),
            Err(error) => return Err(error),
        };
        self.known.lock().await.insert(key, found.clone());
        Ok(Some(found))
    }

    /// The resource that kubectl would take for a word such as `gateway`, `crds` or `httproutes.gateway.networking.k8s.io`.
    ///
    /// Of several groups that serve it the core group comes first, then the first by name, as the API server lists
    /// them: with Istio, `gateway` is Gateway API's and not Istio's.
    ///
    /// # Errors
    /// The API server is away or refuses discovery.
    pub(crate) async fn by_word(&self, word: &str) -> Result<Option<Resource>, Error> {
        let word = word.to_ascii_lowercase();
        let (word, group_wanted) = word
            .split_once('.')
            .map_or((word.as_str(), None), |(name, group)| (name, Some(group)));
        let word = match word {
            "crd" | "crds" => "customresourcedefinitions",
            "po" => "pods",
            "svc" => "services",
            "deploy" => "deployments",
            "ns" => "namespaces",
            "no" => "nodes",
            "cm" => "configmaps",
            other => other,
        };
        let discovery = Discovery::new(self.client.clone()).run_aggregated().await?;
        let mut groups: Vec<_> = discovery.groups().collect();
        groups.sort_by_key(|group| group.name().to_owned());
        Ok(groups
            .into_iter()
            .filter(|group| group_wanted.is_none_or(|wanted| group.name() == wanted))
            .flat_map(kube::discovery::ApiGroup::recommended_resources)
            .find(|(api, _)| api.plural == word || api.kind.to_ascii_lowercase() == word)
            .map(|(api, capabilities)| Resource {
                api,
                placement: placement(&capabilities.scope),
            }))
    }
}

/// Whether the API server says that it serves this group in this version: to a group that it does not serve it answers as any
/// web server would.
async fn has_group(client: &Client, api_version: &str) -> Result<bool, Error> {
    // The core group is not among those that are listed, and is never missing.
    if !api_version.contains('/') {
        return Ok(true);
    }
    let groups = client.list_api_groups().await?.groups;
    let mut versions = groups.iter().flat_map(|group| &group.versions);
    Ok(versions.any(|version| version.group_version == api_version))
}

/// Whether an answer that speaks of no object does so since its kind is gone, as kinds are with their definitions. The API
/// server is asked, whatever is remembered.
///
/// # Errors
/// The API server is away or refuses discovery.
pub(super) async fn has_lost_its_kind<K: kube::Resource + Clone>(api: &Api<K>, error: &Error) -> Result<bool, Error> {
    let named = api.resource_url().strip_prefix("/apis/").filter(|_| is_404(error));
    let mut parts = named.unwrap_or_default().split('/');
    let (Some(group), Some(version), Some(plural)) = (parts.next(), parts.next(), parts.next_back()) else {
        return Ok(false);
    };
    let group_version = format!("{group}/{version}");
    let client = api.clone().into_client();
    match client.list_api_group_resources(&group_version).await {
        Ok(served) => Ok(!served.resources.iter().any(|resource| resource.name == plural)),
        Err(Error::Api(status)) if status.code == 404 => Ok(true),
        Err(error) if is_404(&error) => Ok(!has_group(&client, &group_version).await?),
        Err(error) => Err(error),
    }
}

/// Whether something answered 404, be it the API server or not.
fn is_404(error: &Error) -> bool {
    let Error::Service(error) = error else { return false };
    matches!(error.downcast_ref(), Some(NoAnswer::Foreign { code: 404, .. }))
}

pub(super) fn placement(scope: &Scope) -> Placement {
    match scope {
        Scope::Cluster => Placement::Cluster,
        Scope::Namespaced => Placement::Namespaced,
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;
    use tower_test::mock;

    use super::*;

    /// A client whose API server answers each request with the next of these codes, and a list of kinds for 200.
    fn served(codes: &'static [u16]) -> Client {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        tokio::spawn(async move {
            for code in codes {
                let Some((_, respond)) = handle.next_request().await else {
                    return;
                };
                let body = if *code == 200 {
                    json!({"kind": "APIResourceList", "groupVersion": "example.io/v1", "resources": [
                        {"name": "things", "singularName": "thing", "namespaced": true, "kind": "Thing", "verbs": ["get"]}]})
                } else {
                    json!({"kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": "x"})
                };
                let response = Response::builder()
                    .status(*code)
                    .body(Body::from(body.to_string().into_bytes()));
                respond.send_response(response.unwrap());
            }
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn a_kind_that_is_not_served_is_none_and_asked_for_again() {
        let resources = Resources::new(served(&[404, 200]));
        assert!(resources.of_kind("example.io/v1", "Thing").await.unwrap().is_none());
        let found = resources.of_kind("example.io/v1", "Thing").await.unwrap().unwrap();
        assert_eq!(
            (found.api.plural.as_str(), found.placement),
            ("things", Placement::Namespaced)
        );
        assert!(
            resources.of_kind("example.io/v1", "Thing").await.unwrap().is_some(),
            "the second answer is remembered"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn outages_are_retried() {
        let resources = Resources::new(served(&[500, 503, 429, 200]));
        let found = persistently(Duration::from_mins(1), || resources.of_kind("example.io/v1", "Thing")).await;
        assert!(found.unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_not_retried() {
        let resources = Resources::new(served(&[403]));
        let refused = persistently(Duration::from_mins(1), || resources.of_kind("example.io/v1", "Thing")).await;
        assert!(
            matches!(refused, Err(Trouble::Refused { code: 403, .. })),
            "{refused:?}"
        );
    }
}
