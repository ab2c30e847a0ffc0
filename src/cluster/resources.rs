//! Which resources the cluster serves, and errors of its API server told apart by type and code.

use std::{collections::HashMap, fmt, time::Duration};

use kube::{
    Api, Client, Error,
    api::{ApiResource, DynamicObject, GroupVersionKind},
    discovery::{self, Discovery, Scope},
};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    cluster::watching::Placement,
    host::{Pauses, in_words, retry},
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
    /// The API server is away or overloaded; the same call may go through later.
    Away {
        /// What was seen.
        what: String,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message } => write!(formatter, "the API server answers {code}: {message}"),
            Self::Away { what } => write!(formatter, "the API server is away: {what}"),
        }
    }
}

impl Trouble {
    /// Whether the same call may go through later.
    fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}

/// Tells refusals from outages.
pub(crate) fn trouble(error: &Error) -> Trouble {
    match error {
        Error::Api(status) if status.code != 429 && status.code < 500 => Trouble::Refused {
            code: status.code,
            message: status.message.clone(),
        },
        Error::SerdeError(error) => Trouble::Refused {
            code: 0,
            message: format!("the answer cannot be read: {error}"),
        },
        Error::BuildRequest(error) => Trouble::Refused {
            code: 0,
            message: error.to_string(),
        },
        Error::Api(status) => Trouble::Away {
            what: format!("{} {}", status.code, status.message),
        },
        other => Trouble::Away { what: in_words(other) },
    }
}

/// First pause before an API call is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long the API server may be away before a step of a run gives up.
pub(crate) const AWAY_LIMIT: Duration = Duration::from_secs(90);

/// Calls the API server again while it is away, for `limit` at most. Only outages are retried.
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
                Err(_) => Err(Trouble::Away {
                    what: format!("no answer within {} s", remaining.as_secs()),
                }),
            }
        }
    };
    let in_time = |pause: &Duration| began.elapsed() + *pause < limit;
    let pauses = Pauses::doubling(FIRST_PAUSE, LONGEST_PAUSE).take_while(in_time);
    retry(pauses, once, Trouble::is_away, |_| ()).await
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

fn placement(scope: &Scope) -> Placement {
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
