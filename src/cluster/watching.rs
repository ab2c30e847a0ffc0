//! The run's one set of watches: what the cluster last said about pods, Deployments and the objects under test.
//!
//! A wait is a question asked of these watches ([`Watches::until`]), never a poll of the API server. What they do not see is
//! watched for itself, and asked in the same way ([`until_object`]). Trouble with the
//! API server is kept apart from what it said: a question is not answered from silence.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Event as Told, Pod, Service},
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{ApiResource, DynamicObject},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use super::{
    resources::{PAGE, Trouble, trouble},
    unrecoverable::{PodHistory, Unrecoverable},
};
use crate::{host::in_words, record::milliseconds, verdict::CauseCode};

mod object;

pub(crate) use object::until_object;

/// The answer to a question that is asked again and again: not yet, ready, or never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress<T, N> {
    /// It is so.
    Ready(T),
    /// Not yet, and what was seen instead.
    NotYet(String),
    /// It will never be so.
    Never(N),
}

/// Why a wait ended without what was waited for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WaitError<N> {
    /// It will never be so.
    #[error("it will never be so")]
    Never(N),
    /// Time is up.
    #[error("not so after {after_ms} ms; last seen: {seen}")]
    TimedOut {
        /// The time limit, in milliseconds.
        after_ms: u64,
        /// What was last seen.
        seen: String,
    },
    /// Time is up, and the API server does not answer, or does not tell what was asked about: nothing is known.
    #[error("{trouble}")]
    ApiServerAway {
        /// What is wrong.
        trouble: Trouble,
    },
}

impl<N> WaitError<N> {
    fn timed_out(limit: Duration, seen: String) -> Self {
        Self::TimedOut {
            after_ms: milliseconds(limit),
            seen,
        }
    }
}

/// Objects of one kind, by namespace and name.
#[derive(Debug)]
pub(crate) struct Seen<K> {
    objects: BTreeMap<(String, String), Arc<K>>,
    synced: bool,
}

impl<K> Default for Seen<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            synced: false,
        }
    }
}

/// One watch of one kind.
#[derive(Debug)]
pub(crate) struct Watched<K> {
    seen: Arc<Mutex<Seen<K>>>,
    health: Arc<Health>,
    _task: AbortOnDropHandle<()>,
}

impl<K> Watched<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Clone,
{
    fn start(api: Api<K>, bell: watch::Sender<u64>) -> Self {
        Self::start_with(api, watcher::Config::default(), bell, |_| ())
    }

    /// `note` sees each state of each object, also those that are gone before anybody asks.
    fn start_with(
        api: Api<K>,
        wanted: watcher::Config,
        bell: watch::Sender<u64>,
        note: impl Fn(&K) + Send + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let health = Arc::new(Health::new());
        let (filled, noted) = (Arc::clone(&seen), Arc::clone(&health));
        let task = tokio::spawn(async move {
            let _end = End(Arc::clone(&noted));
            let config = wanted.timeout(60).page_size(PAGE);
            let mut stream = std::pin::pin!(watcher(api, config).default_backoff());
            let mut rebuilt = BTreeMap::new();
            while let Some(event) = stream.next().await {
                let mut seen = filled.lock().unwrap_or_else(PoisonError::into_inner);
                match event {
                    Ok(Event::Init) => {
                        // Both at once would take twice the memory; whoever looks sees that it is being read anew.
                        rebuilt = BTreeMap::new();
                        continue;
                    }
                    Ok(Event::InitApply(object)) => {
                        note(&object);
                        noted.good_if(hold(&mut rebuilt, object));
                        continue;
                    }
                    Ok(Event::InitDone) => {
                        seen.objects = std::mem::take(&mut rebuilt);
                        seen.synced = true;
                        noted.good_if(seen.objects.len() < MOST_OBJECTS);
                    }
                    Ok(Event::Apply(object)) => {
                        note(&object);
                        noted.good_if(hold(&mut seen.objects, object));
                    }
                    Ok(Event::Delete(object)) => {
                        seen.objects.remove(&key(&object));
                        noted.good_if(seen.objects.len() < MOST_OBJECTS);
                    }
                    Err(error) => noted.bad(trouble_of(&error)),
                }
                drop(seen);
                bell.send_modify(|rings| *rings += 1);
            }
        });
        Self {
            seen,
            health,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Whether the first list has come in.
    pub(crate) fn synced(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).synced
    }

    /// The object as last seen.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.objects.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    /// All objects as last seen, ordered by namespace and name.
    pub(crate) fn all(&self) -> Vec<Arc<K>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.objects.values().cloned().collect()
    }
}

fn key<K: Resource>(object: &K) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Keeps an object, without what says only who wrote its fields; whether there is room for it.
fn hold<K: Resource>(objects: &mut BTreeMap<(String, String), Arc<K>>, mut object: K) -> bool {
    let key = key(&object);
    if objects.len() >= MOST_OBJECTS && !objects.contains_key(&key) {
        return false;
    }
    object.meta_mut().managed_fields = None;
    objects.insert(key, Arc::new(object));
    true
}

/// What the error of a watch means.
fn trouble_of(error: &watcher::Error) -> Trouble {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => trouble(error),
        other => Trouble::away(CauseCode::ApiServerAway, in_words(other)),
    }
}

/// Says that a watch tells nothing any more, once it is dropped: such as by a panic in its task, which nobody else would notice.
struct End(Arc<Health>);

impl Drop for End {
    fn drop(&mut self) {
        let what = "a watch has ended by itself, so that nothing more is seen of what it watched";
        self.0.bad(Trouble::away(CauseCode::HarnessError, what));
    }
}

/// When a watch last said something good, and what its trouble is since.
#[derive(Debug)]
struct Health {
    state: Mutex<(Instant, Option<Trouble>)>,
}

impl Health {
    fn new() -> Self {
        Self {
            state: Mutex::new((Instant::now(), None)),
        }
    }

    fn good_if(&self, fits: bool) {
        if fits {
            *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), None);
        } else {
            self.bad(Trouble::away(
                CauseCode::ApiAnswerTooLong,
                format!("there are more than {MOST_OBJECTS} objects of one kind, of which no more are kept in mind"),
            ));
        }
    }

    fn bad(&self, trouble: Trouble) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(trouble);
    }

    /// The trouble of a watch that has said nothing good for a while.
    fn lasting(&self) -> Option<Trouble> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1.clone().filter(|_| state.0.elapsed() >= HEALTH_LIMIT)
    }
}

/// The watches of a run.
pub(crate) struct Watches {
    client: Client,
    namespaces: Namespaces,
    bell: watch::Sender<u64>,
    /// Pods.
    pub(crate) pods: Watched<Pod>,
    /// Deployments.
    pub(crate) deployments: Watched<Deployment>,
    /// Services.
    pub(crate) services: Watched<Service>,
    /// What the kubelet says of probes that fail, in events. It only says more of what is known: where it may not be watched,
    /// nothing is known of it, and no question waits for it.
    pub(crate) failed_probes: Watched<Told>,
    /// What the kubelet says of images that it begins to pull, in events; they too only say more of what is known.
    pub(crate) pulls: Watched<Told>,
    /// The first signs of what keeps pods from being ready, from when the watches began.
    signs: Arc<Mutex<PodHistory>>,
    others: Mutex<Others>,
    /// Those that only say more of what is known.
    asides: Mutex<Others>,
}

/// By `GROUP/VERSION/PLURAL`.
type Others = HashMap<String, Arc<Watched<DynamicObject>>>;

/// Where objects of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Beside namespaces, such as a CRD or a Node.
    Cluster,
    /// In a namespace.
    Namespaced,
}

/// The namespaces that the watches look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Namespaces {
    /// Every one: the cluster is ours.
    All,
    /// One: the cluster is somebody else's.
    Only(String),
}

/// How long the API server gets to answer when a wait ran out of time, before the silence is blamed on it.
const HEALTH_LIMIT: Duration = Duration::from_secs(5);
/// How many objects of a kind are kept in mind.
const MOST_OBJECTS: usize = 10_000;
/// How often a question is asked again without news, so that grace windows end on time.
const TICK: Duration = Duration::from_millis(100);

impl Watches {
    /// Starts the watches.
    pub(crate) fn start(client: &Client, namespaces: Namespaces) -> Self {
        let bell = watch::Sender::new(0);
        let told = |reason: &str| {
            let of_reason = watcher::Config::default().fields(&format!("reason={reason}"));
            Watched::start_with(scoped(client, &namespaces), of_reason, bell.clone(), |_| ())
        };
        let signs = Arc::new(Mutex::new(PodHistory::default()));
        let noted = Arc::clone(&signs);
        let note = move |pod: &Pod| {
            // What it comes to is asked later.
            let _ = locked(&noted).judge_pod(pod, Instant::now());
        };
        Self {
            pods: Watched::start_with(
                scoped(client, &namespaces),
                watcher::Config::default(),
                bell.clone(),
                note,
            ),
            deployments: Watched::start(scoped(client, &namespaces), bell.clone()),
            services: Watched::start(scoped(client, &namespaces), bell.clone()),
            others: Mutex::default(),
            asides: Mutex::default(),
            failed_probes: told("Unhealthy"),
            pulls: told("Pulling"),
            signs,
            client: client.clone(),
            namespaces,
            bell,
        }
    }

    /// The watch of a kind that is known at run time only; started at the first call.
    pub(crate) fn others(&self, resource: &ApiResource, placement: Placement) -> Arc<Watched<DynamicObject>> {
        self.one_of(&self.others, resource, placement)
    }

    /// The same, for what only says more of what is known: where it may not be watched, no question waits for it.
    pub(crate) fn aside(&self, resource: &ApiResource, placement: Placement) -> Arc<Watched<DynamicObject>> {
        self.one_of(&self.asides, resource, placement)
    }

    fn one_of(
        &self,
        these: &Mutex<Others>,
        resource: &ApiResource,
        placement: Placement,
    ) -> Arc<Watched<DynamicObject>> {
        let mut these = these.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{}/{}", resource.api_version, resource.plural);
        let watched = these.entry(name).or_insert_with(|| {
            let api = match (&self.namespaces, placement) {
                (Namespaces::Only(namespace), Placement::Namespaced) => {
                    Api::namespaced_with(self.client.clone(), namespace, resource)
                }
                (Namespaces::All, _) | (_, Placement::Cluster) => Api::all_with(self.client.clone(), resource),
            };
            Arc::new(Watched::start(api, self.bell.clone()))
        });
        Arc::clone(watched)
    }

    /// The first of these pods that will never be ready, and why, told by the first sign of it.
    pub(crate) fn first_unrecoverable<'a>(&self, pods: impl IntoIterator<Item = &'a Pod>) -> Option<Unrecoverable> {
        locked(&self.signs).first_unrecoverable(pods, Instant::now())
    }

    /// Asks `question` again whenever something changed, until it is answered or `limit` is over.
    ///
    /// `not_yet` hears what is seen in the meantime, each time it changes.
    ///
    /// # Errors
    /// The answer is never, time is up, or the API server is away.
    #[tracing::instrument(name = "wait", level = "debug", skip_all)]
    pub(crate) async fn until<T, N>(
        &self,
        limit: Duration,
        mut question: impl FnMut(&Self) -> Progress<T, N>,
        mut not_yet: impl FnMut(&str),
    ) -> Result<T, WaitError<N>> {
        let began = Instant::now();
        let mut rings = self.bell.subscribe();
        let mut last = String::new();
        loop {
            rings.borrow_and_update();
            match question(self) {
                Progress::Ready(answer) => return Ok(answer),
                Progress::Never(reason) => return Err(WaitError::Never(reason)),
                Progress::NotYet(seen) if seen != last => {
                    not_yet(&seen);
                    last = seen;
                }
                Progress::NotYet(_) => {}
            }
            if began.elapsed() >= limit {
                self.healthy()
                    .await
                    .map_err(|trouble| WaitError::ApiServerAway { trouble })?;
                return Err(WaitError::timed_out(limit, last));
            }
            // The bell's sender lives in `self`, so the only other way out of this is the tick.
            let _ = tokio::time::timeout(TICK, rings.changed()).await;
        }
    }

    /// Whether the API server answers right now, and has told every watch what it asks; else its trouble.
    ///
    /// # Errors
    /// It does not answer within five seconds, or answers with an error, or a watch has been in trouble for as long.
    pub(crate) async fn healthy(&self) -> Result<(), Trouble> {
        let asked = tokio::time::timeout(HEALTH_LIMIT, self.client.apiserver_version()).await;
        match asked {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(trouble(&error)),
            Err(_) => {
                return Err(Trouble::away(
                    CauseCode::ApiServerAway,
                    format!("silent for {} s", HEALTH_LIMIT.as_secs()),
                ));
            }
        }
        let lasting = self.healths().iter().find_map(|health| health.lasting());
        lasting.map_or(Ok(()), Err)
    }

    fn healths(&self) -> Vec<Arc<Health>> {
        let own = [&self.pods.health, &self.deployments.health, &self.services.health];
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let others = others.values().map(|watched| &watched.health);
        own.into_iter().chain(others).cloned().collect()
    }
}

fn locked(signs: &Mutex<PodHistory>) -> MutexGuard<'_, PodHistory> {
    signs.lock().unwrap_or_else(PoisonError::into_inner)
}

fn scoped<K>(client: &Client, namespaces: &Namespaces) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
    K::DynamicType: Default + Clone,
{
    match namespaces {
        Namespaces::All => Api::all(client.clone()),
        Namespaces::Only(namespace) => Api::namespaced(client.clone(), namespace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_whose_task_panics_is_in_trouble_that_is_ours() {
        let health = Arc::new(Health::new());
        let end = End(Arc::clone(&health));
        let task = tokio::spawn(async move {
            let _end = end;
            panic!("a fault of ours");
        });
        assert!(task.await.is_err());
        tokio::time::advance(HEALTH_LIMIT).await;
        let trouble = health.lasting().map(|trouble| trouble.code());
        assert_eq!(trouble, Some(CauseCode::HarnessError));
    }
}
