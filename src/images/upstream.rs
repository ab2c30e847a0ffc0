//! What image registries say of a name: which digest its tag leads to, asked of the registry that the name names.
//!
//! Asked as engines and nodes ask (OCI distribution specification 1.1, "Pulling manifests"): `HEAD` of the manifest, which
//! no registry counts as a pull, with a token where the registry wants one. That a name leads to nothing is an answer; that
//! a registry does not answer, cannot now, wants an account or contradicts itself is none, and is never the image's fault.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use reqwest::{
    Client, Method, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
    redirect,
};
use tokio::time::Instant;
use url::Url;

use super::{
    ImageRef, ImagesError,
    push::{MANIFESTS, MOST_MANIFEST},
    store::sha256,
};
use crate::host::{Host, Pauses, in_words, retry};

mod account;
mod parts;
mod token;

use token::Who;

/// How long one request may take, to the last byte of its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long a registry that does not answer is asked again.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two times; doubled from the first up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Before a name that leads to nothing is asked for once more: regions of one registry lag behind each other.
const REGIONS_LAG: Duration = Duration::from_secs(2);
/// How many machines are asked one after the other.
const MOST_REDIRECTS: usize = 6;
/// A connection that fails sooner than this failed for a reason that somebody gave, such as that no such name exists.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Registries, asked as anybody asks them; with an account of this machine only where they give nothing to anybody.
#[derive(Debug)]
pub(crate) struct Upstream {
    host: Host,
    http: Client,
    /// What opened a repository, by the machine that was asked and the repository's path.
    authorizations: Mutex<Authorizations>,
    /// The sizes of images in bytes, as far as they were asked for and are known.
    sizes: Mutex<BTreeMap<ImageRef, Option<u64>>>,
}

type Authorizations = BTreeMap<(String, String), (HeaderValue, Who)>;

/// What a registry says of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// The digest of what the name leads to: of an index where there is one, else of a manifest.
    Digest(String),
    /// The registry has nothing under this name.
    Absent,
}

/// Why a registry gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} {what}")]
pub(crate) struct Unanswered {
    /// The registry.
    pub(crate) host: String,
    /// What was seen, as the rest of a sentence that begins with the registry.
    pub(crate) what: String,
    kind: Why,
}

/// What kept an answer away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Somebody said at once that there is no way to it: no such name, nobody listens, no trust.
    Away,
    /// Nothing came in time, or an answer broke off.
    Silent,
    /// It is there and cannot now (429, 5xx); it may ask for a pause.
    Unable(Option<Duration>),
    /// It answered otherwise than a registry may, or wants an account.
    Refuses,
}

/// What is known of a registry once it was asked whether it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// It answers as the specification says.
    Answers,
    /// It is there and cannot answer now.
    Unable(String),
    /// Somebody said at once that no registry is there.
    Away(String),
    /// Nothing came.
    Silent(String),
}

/// An answer whose status was looked at.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Upstream {
    /// What asks them. Proxies are those of the environment, accounts those of docker.
    pub(crate) fn new(host: &Host) -> Result<Self, ImagesError> {
        let http = Client::builder()
            .user_agent(concat!("quickproof/", env!("CARGO_PKG_VERSION")))
            .timeout(ANSWER_LIMIT)
            // Followed here, since each registry on the way may want a token of its own.
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self {
            host: host.clone(),
            http,
            authorizations: Mutex::default(),
            sizes: Mutex::default(),
        })
    }

    /// Whether a registry is there, asked once.
    pub(super) async fn is_there(&self, host: &str) -> Seen {
        match self
            .follow(host, &Method::GET, "", None)
            .await
            .map(|answer| answer.status)
        {
            // 401: it wants a token first, which is how most say that they are registries.
            Ok(StatusCode::OK | StatusCode::UNAUTHORIZED) => Seen::Answers,
            Ok(status) => Seen::Away(format!("{host} answers {status} as no registry does")),
            Err(unanswered) => {
                let said = unanswered.to_string();
                match unanswered.kind {
                    Why::Unable(_) => Seen::Unable(said),
                    Why::Away | Why::Refuses => Seen::Away(said),
                    Why::Silent => Seen::Silent(said),
                }
            }
        }
    }

    /// What a name leads to now. A registry that does not answer, or not now, is asked again for half a minute.
    #[tracing::instrument(level = "debug", skip_all, fields(image = %image), err(level = "debug"))]
    pub(crate) async fn leads_to(&self, image: &ImageRef) -> Result<Said, Unanswered> {
        let said = patiently(|| self.ask_for_digest(image)).await?;
        if said == Said::Absent {
            tokio::time::sleep(REGIONS_LAG).await;
            return patiently(|| self.ask_for_digest(image)).await;
        }
        Ok(said)
    }

    async fn ask_for_digest(&self, image: &ImageRef) -> Result<Said, Unanswered> {
        let head = self.manifest(Method::HEAD, image, image.reference()).await?;
        if head.status == StatusCode::NOT_FOUND {
            return Ok(Said::Absent);
        }
        let digest = if let Some(digest) = digest_in(&head.headers) {
            digest
        } else {
            let got = self.manifest(Method::GET, image, image.reference()).await?;
            if got.status == StatusCode::NOT_FOUND {
                return Ok(Said::Absent);
            }
            sha256(&got.body)
        };
        match image.digest() {
            Some(pinned) if pinned != digest => Err(refuses(
                image.host(),
                format!("gives {digest} for {image}, which is another digest than was asked for"),
            )),
            _ => Ok(Said::Digest(digest)),
        }
    }

    /// Asks for a manifest, with a token where one is wanted. Only 200 and 404 are answers.
    async fn manifest(&self, method: Method, image: &ImageRef, reference: &str) -> Result<Answered, Unanswered> {
        let (host, repository) = (image.host(), image.repository());
        let path = format!("{repository}/manifests/{reference}");
        let answer = self.follow(host, &method, &path, Some(image)).await?;
        match answer.status {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(answer),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(refuses(
                host,
                format!(
                    "answers {status} for {image}: it is private, or no such repository exists (`docker login {host}` \
                     gives access)"
                ),
            )),
            status => Err(refuses(
                host,
                format!("answers {status} for {image}, as no registry does"),
            )),
        }
    }

    /// Asks a registry, and where it leads to. Where an image is asked for, each machine on the way is shown the token that
    /// it wants.
    async fn follow(
        &self,
        host: &str,
        method: &Method,
        path: &str,
        image: Option<&ImageRef>,
    ) -> Result<Answered, Unanswered> {
        let mut url = address(host, path)?;
        for _ in 0..MOST_REDIRECTS {
            let request = || self.http.request(method.clone(), url.clone()).header(ACCEPT, MANIFESTS);
            let key = (
                url.authority().to_owned(),
                image.map(ImageRef::repository).unwrap_or_default().to_owned(),
            );
            let known = self.authorizations().get(&key).cloned();
            let first = match known {
                Some((known, _)) => request().header(AUTHORIZATION, known),
                None => request(),
            };
            let mut answer = self.send(host, first).await?;
            if answer.status == StatusCode::UNAUTHORIZED
                && let Some(image) = image
            {
                let (wanted, mut refused) = (answer.headers.clone(), None);
                for who in [Who::Anybody, Who::Account] {
                    let authorization = match self.authorization(image, &url, &wanted, who).await {
                        Ok(Some(authorization)) => authorization,
                        Ok(None) => continue,
                        // An account may be given what anybody is not.
                        Err(refusal) if who == Who::Anybody && !refusal.may_pass() => {
                            refused = Some(refusal);
                            continue;
                        }
                        Err(failure) => return Err(failure),
                    };
                    let shown = request().header(AUTHORIZATION, authorization.clone());
                    answer = self.send(host, shown).await?;
                    refused = None;
                    if !matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                        self.authorizations().insert(key, (authorization, who));
                        break;
                    }
                }
                if let Some(refused) = refused {
                    return Err(refused);
                }
            }
            if !answer.status.is_redirection() {
                return Ok(answer);
            }
            let location = answer.headers.get(LOCATION).and_then(|location| location.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            // What began encrypted stays so: else anybody on the way could answer.
            url = match next {
                Some(next) if next.scheme() == "https" || next.scheme() == url.scheme() => next,
                _ => return Err(refuses(host, "leads to nowhere that may be asked".to_owned())),
            };
        }
        Err(refuses(
            host,
            "leads from one machine to the next without end".to_owned(),
        ))
    }

    /// Sends a request and reads its answer, which has a bound. 429 and 5xx are none.
    async fn send(&self, host: &str, request: reqwest::RequestBuilder) -> Result<Answered, Unanswered> {
        let began = Instant::now();
        let failed = |error: reqwest::Error| {
            let at_once = began.elapsed() < AT_ONCE;
            let kind = if error.is_connect() && !error.is_timeout() && at_once {
                Why::Away
            } else {
                Why::Silent
            };
            let what = if error.is_timeout() {
                format!("does not answer within {} s", ANSWER_LIMIT.as_secs())
            } else {
                format!("does not answer ({})", in_words(&error.without_url()))
            };
            Unanswered {
                host: host.to_owned(),
                what,
                kind,
            }
        };
        let answer = request.send().await.map_err(failed)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let pause = pause_asked_for(&answer);
            let again = pause.map_or_else(String::new, |pause| {
                format!(", and asks for a pause of {} s", pause.as_secs())
            });
            return Err(Unanswered {
                host: host.to_owned(),
                what: format!("answers {status}{again}"),
                kind: Why::Unable(pause),
            });
        }
        let mut body = Vec::new();
        let mut pieces = answer.bytes_stream();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(&piece.map_err(failed)?);
            if body.len() as u64 > MOST_MANIFEST {
                return Err(refuses(
                    host,
                    format!("gives more than {} MiB for a manifest", MOST_MANIFEST >> 20),
                ));
            }
        }
        Ok(Answered { status, headers, body })
    }

    /// Whether this machine's account of docker was what opened the repository of an image, which nobody else is given then.
    pub(crate) fn is_private(&self, image: &ImageRef) -> bool {
        let known = self.authorizations();
        let mut of_it = known
            .iter()
            .filter(|((_, repository), _)| repository == image.repository());
        of_it.any(|(_, (_, who))| *who == Who::Account)
    }

    fn authorizations(&self) -> MutexGuard<'_, Authorizations> {
        self.authorizations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unanswered {
    /// Whether asking again may help.
    fn may_pass(&self) -> bool {
        !matches!(self.kind, Why::Refuses)
    }

    /// How long the registry wants to be left alone.
    fn pause(&self) -> Option<Duration> {
        match self.kind {
            Why::Unable(pause) => pause,
            _ => None,
        }
    }
}

fn refuses(host: &str, what: String) -> Unanswered {
    Unanswered {
        host: host.to_owned(),
        what,
        kind: Why::Refuses,
    }
}

/// Asks, and asks again for half a minute where that may help. A pause that a registry asks for is kept where it ends
/// within that, and else not waited for.
async fn patiently<T, F: Future<Output = Result<T, Unanswered>>>(ask: impl FnMut() -> F) -> Result<T, Unanswered> {
    let (end, mut pauses) = (Instant::now() + PATIENCE, Pauses::doubling(FIRST_PAUSE, LONGEST_PAUSE));
    let pause = |failure: &Unanswered| {
        let pause = failure.pause().max(pauses.next())?;
        (pause <= end.saturating_duration_since(Instant::now())).then_some(pause)
    };
    retry(pause, ask, Unanswered::may_pass, |_| ()).await
}

/// The address of a registry's API, or of something below it.
///
/// The registry that short names mean is served by another machine than its name says; one of this machine speaks plain
/// HTTP, as container engines have it.
fn address(host: &str, path: &str) -> Result<Url, Unanswered> {
    let machine = match host {
        "docker.io" => "registry-1.docker.io",
        _ => host,
    };
    let name = machine.rsplit_once(':').map_or(machine, |(name, _)| name);
    let scheme = match name {
        "localhost" | "127.0.0.1" => "http",
        _ => "https",
    };
    let address = Url::parse(&format!("{scheme}://{machine}/v2/{path}"));
    address.map_err(|error| refuses(host, format!("is no name of a registry ({error})")))
}

fn digest_in(headers: &HeaderMap) -> Option<String> {
    let digest = headers.get("docker-content-digest")?.to_str().ok()?;
    digest.starts_with("sha256:").then(|| digest.to_owned())
}

/// The pause of `Retry-After`, where it is given in seconds.
fn pause_asked_for(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// What a registry wants to be shown, as its answer says.
fn challenge_in(headers: &HeaderMap) -> Option<token::Challenge> {
    let mut challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    challenges.find_map(|challenge| challenge.to_str().ok()?.parse().ok())
}

#[cfg(test)]
mod tests;
