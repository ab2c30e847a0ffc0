//! An API server for tests: in memory, as strict as the product needs it, and in any mood that a test wants.
//!
//! It speaks HTTP over whatever carries bytes: a socket of the loopback interface for the built binary, a pipe within the
//! process for tests in virtual time. What it has at the end, and what it was asked, can be looked at.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream},
    sync::watch,
};

mod answers;
mod asked;
mod discovery;
mod mood;
mod release;
mod store;
mod wire;

pub(crate) use asked::{Asked, Verb};
pub(crate) use mood::{Body, Effect, Mood, On, Says};
pub(crate) use release::{EVERYTHING, directory_in_memory, kubeconfig, write_release};
pub(crate) use store::Store;

use wire::Wire;

/// The server. Clones are the same server.
#[derive(Clone)]
pub(crate) struct ApiServer {
    state: Arc<Mutex<State>>,
    /// Rings with each change of the store, with its revision.
    bell: watch::Sender<u64>,
}

struct State {
    store: Store,
    moods: Vec<(Mood, u32)>,
    asked: Vec<Asked>,
}

impl ApiServer {
    /// A server with a namespace `default`, one Ready node, and nothing else.
    pub(crate) fn new() -> Self {
        let server = Self {
            state: Arc::new(Mutex::new(State {
                store: Store::new(),
                moods: Vec::new(),
                asked: Vec::new(),
            })),
            bell: watch::Sender::new(0),
        };
        server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}));
        server.put(
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"}, "status": {
            "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}]}}),
        );
        server
    }

    /// The same server in this mood, beside those that it has already. The first that is about a call decides.
    #[must_use]
    pub(crate) fn in_mood(self, mood: Mood) -> Self {
        self.state().moods.push((mood, 0));
        self
    }

    /// The same server, in which nobody may do this; only who asks for his rights is told.
    #[must_use]
    pub(crate) fn denying(self, verb: &'static str, resource: &'static str) -> Self {
        self.state().store.denied.push((verb, resource));
        self
    }

    /// Puts an object there, as somebody else would.
    pub(crate) fn put(&self, object: Value) {
        let revision = {
            let mut state = self.state();
            state.store.put(object);
            state.store.revision()
        };
        self.bell.send_replace(revision);
    }

    /// Every object that there is, as `KIND NAMESPACE/NAME` or `KIND NAME`, in order.
    pub(crate) fn objects(&self) -> Vec<String> {
        self.state().store.titles()
    }

    /// The rights that were asked about so far: verb and resource.
    pub(crate) fn reviewed(&self) -> Vec<(String, String)> {
        self.state().store.reviewed.clone()
    }

    /// What was asked so far, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// What a host of a test dials in place of a network: each connection is served by a task of its own.
    pub(crate) fn dialled(&self) -> impl Fn() -> DuplexStream + Send + Sync + 'static {
        let server = self.clone();
        move || {
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            let server = server.clone();
            // That the other side goes is its own affair.
            tokio::spawn(async move { Box::pin(server.serve(theirs)).await });
            ours
        }
    }

    /// Serves one connection to its end. Each carries one request, or one watch.
    ///
    /// # Errors
    /// The other side is gone, or says what is no request.
    pub(crate) async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let mut wire = Wire::new(stream);
        let Some(request) = wire.request().await? else {
            return Ok(());
        };
        let asked = Asked::of(&request);
        let mood = self.mood_for(&asked);
        let made = |server: &Self| server.answered(&asked, &request.body);
        let Some(mood) = mood else {
            return match asked.verb {
                Verb::Watch => self.watched(&mut wire, &asked).await,
                _ => wire.answer(&made(self)).await,
            };
        };
        // What is asked takes effect at once or never; how that is answered is another matter.
        let should = match (mood.effect, &mood.says) {
            (Effect::Made, _) | (_, Says::AsItShould) if asked.verb != Verb::Watch => Some(made(self)),
            _ => None,
        };
        tokio::time::sleep(mood.late).await;
        match (&mood.says, should) {
            (Says::AsItShould, Some(answer)) => wire.answer(&answer).await,
            (Says::AsItShould, None) => self.watched(&mut wire, &asked).await,
            (says, _) => wire.say(says, &asked).await,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mood that a call meets, if it meets one. The call is noted.
    fn mood_for(&self, asked: &Asked) -> Option<Mood> {
        let mut state = self.state();
        state.asked.push(asked.clone());
        let (mood, calls) = state.moods.iter_mut().find(|(mood, _)| mood.on.is_about(asked))?;
        *calls += 1;
        mood.is_on(*calls).then(|| mood.clone())
    }

    fn answered(&self, asked: &Asked, body: &[u8]) -> answers::Answer {
        let (answer, revision) = {
            let mut state = self.state();
            let answer = answers::answer(&mut state.store, asked, body);
            (answer, state.store.revision())
        };
        self.bell.send_replace(revision);
        answer
    }

    /// Tells what changes, from the revision on that is asked for, until the other side goes or its time is over.
    async fn watched(&self, wire: &mut Wire<impl AsyncRead + AsyncWrite + Unpin>, asked: &Asked) -> io::Result<()> {
        wire.begin_stream().await?;
        let mut bell = self.bell.subscribe();
        let mut after: u64 = asked.parameter("resourceVersion").unwrap_or(0);
        let seconds = asked.parameter("timeoutSeconds").unwrap_or(290);
        let telling = async {
            loop {
                bell.borrow_and_update();
                let (events, revision) = {
                    let state = self.state();
                    (state.store.events(asked, after), state.store.revision())
                };
                for event in events {
                    wire.piece(format!("{event}\n").as_bytes()).await?;
                }
                after = revision;
                tokio::select! {
                    rung = bell.changed() => rung.map_err(io::Error::other)?,
                    gone = wire.gone() => return gone,
                }
            }
        };
        let told: io::Result<()> = tokio::time::timeout(std::time::Duration::from_secs(seconds), telling)
            .await
            .unwrap_or(Ok(()));
        told?;
        wire.end_stream().await
    }
}
