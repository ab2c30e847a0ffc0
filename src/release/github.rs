//! Releases on GitHub: tags and branches by the Git smart protocol, files by the archive of a commit.
//!
//! Where GitHub is can be said by `QUICKPROOF_GITHUB_URL`, `QUICKPROOF_GITHUB_API_URL` and `QUICKPROOF_GITHUB_RAW_URL`, for
//! a mirror or a test. `GITHUB_TOKEN` goes to these hosts and nowhere else.

use reqwest::StatusCode;
use url::Url;

use super::{
    archive::{self, ArchiveError, Limits, Unpacked},
    cache::{Cache, CachedResponse},
    git::Reference,
    remote::Access,
    tree::MOST_BYTES,
};
use crate::{
    host::{
        Host,
        web::{self, Credential, Web, WebError, WebRequest},
    },
    redact::cut,
};

mod open;
mod pkt_line;
mod references;

pub(super) use open::open;
pub use pkt_line::PacketError;

/// The most bytes of a list of references; a repository of ten thousand tags has about one million.
const MOST_LISTED: usize = 32 << 20;

/// The most bytes of a compressed archive.
const MOST_ARCHIVED: usize = 64 << 20;

/// What an archive may be at most, uncompressed.
const LIMITS: Limits = Limits {
    bytes: 256 << 20,
    entries: 20_000,
    file_bytes: MOST_BYTES,
};

/// Where GitHub is.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    /// The site, for git, archives and assets of releases.
    pub(super) site: Url,
    /// The API.
    pub(super) api: Url,
    /// Single files.
    pub(super) raw: Url,
}

/// Why a release cannot be had from GitHub.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The web failed.
    #[error(transparent)]
    Web(#[from] WebError),
    /// The name is none of a repository.
    #[error(
        "`{text}` is not the name of a repository; expected `OWNER/NAME`, such as `{}`",
        super::REPOSITORY
    )]
    NotARepository {
        /// The text.
        text: String,
    },
    /// The text is no commit.
    #[error("`{text}` is not a whole commit; expected its 40 hexadecimal digits, as `git rev-parse` prints them")]
    NotACommit {
        /// The text.
        text: String,
    },
    /// There is no such repository, or it may not be read.
    #[error("there is no repository `{repository}`, or it may not be read from here (status {status}); {way_out}")]
    NoRepository {
        /// Its name.
        repository: String,
        /// The status.
        status: u16,
        /// What to do.
        way_out: &'static str,
    },
    /// The server speaks no protocol that we do.
    #[error("`{url}` does not speak version 2 of Git's protocol ({what}); is there a proxy that answers in its place?")]
    Protocol {
        /// The address asked.
        url: String,
        /// What it said.
        what: String,
    },
    /// There is no such tag.
    #[error("{repository} has no tag {tag}{near}")]
    UnknownTag {
        /// The repository.
        repository: String,
        /// The tag.
        tag: String,
        /// Tags that may be meant, as the end of the sentence.
        near: String,
    },
    /// There is no such branch.
    #[error("{repository} has no branch `{branch}`{near}")]
    UnknownBranch {
        /// The repository.
        repository: String,
        /// The branch.
        branch: String,
        /// Branches that may be meant, as the end of the sentence.
        near: String,
    },
    /// There is no such commit.
    #[error("{repository} has no commit {commit} (status {status})")]
    NoCommit {
        /// The repository.
        repository: String,
        /// The commit.
        commit: String,
        /// The status.
        status: u16,
    },
    /// The answer is no archive.
    #[error("`{url}` gave no archive but {what}; is there a proxy that answers in its place?")]
    NotAnArchive {
        /// The address asked.
        url: String,
        /// What it gave.
        what: String,
    },
    /// The archive cannot be read.
    #[error("the files of commit {commit} cannot be read")]
    Archive {
        /// The commit.
        commit: String,
        /// Why.
        #[source]
        source: ArchiveError,
    },
    /// The archive is that of another commit.
    #[error("the archive of commit {wanted} says that it is of commit {found}; nothing of it is used")]
    OtherCommit {
        /// The commit asked for.
        wanted: String,
        /// The commit that it names.
        found: String,
    },
    /// The cache does not hold it.
    #[error("{what} is not in the cache; leave `--offline` out once, or give `--tree` a directory with the files")]
    NotCached {
        /// What is missing.
        what: String,
    },
    /// No tag of the repository is a release's.
    #[error("{repository} has no tag of a release to read {point} as; say which with `--release TAG`")]
    NoReleases {
        /// The repository.
        repository: String,
        /// The commit or branch.
        point: String,
    },
    /// The list of releases is none.
    #[error("`{url}` gave no list of releases ({what}); is there a proxy that answers in its place?")]
    NoReleaseList {
        /// The address asked.
        url: String,
        /// What is wrong with it.
        what: String,
    },
    /// The answer says nothing about whether there is something.
    #[error(
        "`{url}` answers {status}, which does not say whether it exists; is there a proxy that answers in its place, or a token that may not read it?"
    )]
    Undecided {
        /// The address asked.
        url: String,
        /// The status.
        status: u16,
    },
    /// A task of ours was ended.
    #[error("reading the archive was interrupted")]
    Stopped,
}

impl RemoteError {
    /// Whether it is the network's or a server's failure, and neither the caller's nor the release's.
    pub fn is_infrastructure(&self) -> bool {
        match self {
            Self::Web(error) => !matches!(error, WebError::NoAddress { .. }),
            Self::Protocol { .. }
            | Self::NotAnArchive { .. }
            | Self::NoReleaseList { .. }
            | Self::Undecided { .. }
            | Self::Archive { .. }
            | Self::OtherCommit { .. }
            | Self::Stopped => true,
            _ => false,
        }
    }
}

impl Addresses {
    /// Where GitHub is, as the environment says.
    pub(super) fn of(host: &Host) -> Result<Self, WebError> {
        let address = |variable: &str, usual: &str| {
            let text = host.variable(variable).unwrap_or(usual);
            let text = format!("{}/", text.trim_end_matches('/'));
            web::address(&text, format!(" (`{variable}`)"))
        };
        Ok(Self {
            site: address("QUICKPROOF_GITHUB_URL", "https://github.com")?,
            api: address("QUICKPROOF_GITHUB_API_URL", "https://api.github.com")?,
            raw: address("QUICKPROOF_GITHUB_RAW_URL", "https://raw.githubusercontent.com")?,
        })
    }

    /// An address below one of them.
    pub(super) fn below(base: &Url, path: &str) -> Result<Url, WebError> {
        base.join(path).map_err(|_| WebError::NoAddress {
            text: format!("{base}{path}"),
            from: String::new(),
        })
    }
}

/// GitHub, or what was had of it before.
pub(super) struct GitHub<'a> {
    pub(super) host: &'a Host,
    pub(super) addresses: Addresses,
    pub(super) cache: Cache,
    /// `None` where only the cache may be used.
    pub(super) web: Option<Web>,
    token: Option<String>,
}

impl<'a> GitHub<'a> {
    pub(super) fn new(host: &'a Host, access: Access) -> Result<Self, WebError> {
        Ok(Self {
            host,
            addresses: Addresses::of(host)?,
            cache: Cache::of(host),
            web: match access {
                Access::Online => Some(Web::new(host)?),
                Access::Offline => None,
            },
            token: host.variable("GITHUB_TOKEN").map(str::to_owned),
        })
    }

    /// The token as the API takes it.
    pub(super) fn bearer(&self) -> Credential {
        self.token.clone().map_or(Credential::None, Credential::Bearer)
    }

    /// Keeps what was fetched. A cache that cannot be written costs the next run time and nothing else.
    pub(super) fn keep(&self, name: &str, status: u16, bytes: &[u8], notes: &mut Vec<String>) {
        let kept = CachedResponse {
            status,
            at: self.host.now(),
            bytes: bytes.to_vec(),
        };
        if let Err(error) = self.cache.keep(name, &kept) {
            notes.push(format!("what was fetched cannot be kept for the next time: {error}"));
        }
    }

    /// Tags and branches of a repository.
    async fn references(&self, repository: &str, notes: &mut Vec<String>) -> Result<Vec<Reference>, RemoteError> {
        let base = Addresses::below(&self.addresses.site, &format!("{repository}.git/"))?;
        let name = format!("references {}", web::without_userinfo(&base));
        let Some(web) = &self.web else {
            let kept = self.cache.recall(&name).ok_or_else(|| RemoteError::NotCached {
                what: format!("the list of tags of {repository}"),
            })?;
            notes.push(format!("tags are as they were listed at {:.0}", kept.at));
            return references::read(&kept.bytes).map_err(|what| protocol(&base, what));
        };
        let no_repository = |status: StatusCode| RemoteError::NoRepository {
            repository: repository.to_owned(),
            status: status.as_u16(),
            way_out: match &self.token {
                Some(_) => "see its name, and what `GITHUB_TOKEN` may read",
                None => "see its name, and set `GITHUB_TOKEN` where it is private",
            },
        };
        let credential = self.token.clone().map_or(Credential::None, Credential::Basic);
        let mut request = WebRequest::get(
            Addresses::below(&base, "info/refs?service=git-upload-pack")?,
            MOST_LISTED,
        )
        .header("git-protocol", "version=2");
        request.credential = credential.clone();
        let offered = web.send(&request).await?;
        if !offered.status.is_success() {
            return Err(told(&request.url, offered.status, no_repository));
        }
        references::check_offer(&offered.body).map_err(|what| protocol(&request.url, what))?;
        // A repository that was renamed redirects; what follows must go where it is now.
        let moved = offered.url.path().strip_suffix("info/refs").map(str::to_owned);
        let mut at = offered.url.clone();
        at.set_query(None);
        at.set_path(&format!("{}git-upload-pack", moved.as_deref().unwrap_or(base.path())));
        let same_host = at.origin() == base.origin();
        let mut request = WebRequest::get(at, MOST_LISTED)
            .header("git-protocol", "version=2")
            .header("content-type", "application/x-git-upload-pack-request")
            .header("accept", "application/x-git-upload-pack-result");
        request.body = Some(references::question());
        if same_host {
            request.credential = credential;
        }
        let listed = web.send(&request).await?;
        if !listed.status.is_success() {
            return Err(told(&request.url, listed.status, no_repository));
        }
        let references = references::read(&listed.body).map_err(|what| protocol(&request.url, what))?;
        self.keep(&name, listed.status.as_u16(), &listed.body, notes);
        Ok(references)
    }

    /// The files of a commit.
    async fn files(&self, repository: &str, commit: &str, notes: &mut Vec<String>) -> Result<Unpacked, RemoteError> {
        let site = &self.addresses.site;
        let name = format!("archive {}{repository} {commit}", web::without_userinfo(site));
        // A commit never changes, so that what is in the cache is as good as what would be fetched.
        if let Some(kept) = self.cache.recall(&name)
            && let Ok(unpacked) = read(kept.bytes, commit).await
        {
            return Ok(unpacked);
        }
        let Some(web) = &self.web else {
            return Err(RemoteError::NotCached {
                what: format!("commit {commit} of {repository}"),
            });
        };
        let mut request = WebRequest::get(
            Addresses::below(site, &format!("{repository}/archive/{commit}.tar.gz"))?,
            MOST_ARCHIVED,
        );
        if self.token.is_some() {
            // The site's own archives know no tokens, and so no private repositories.
            let path = format!("repos/{repository}/tarball/{commit}");
            request.url = Addresses::below(&self.addresses.api, &path)?;
            request.credential = self.bearer();
        }
        let answer = web.send(&request).await?;
        if !answer.status.is_success() {
            let no_commit = |status: StatusCode| RemoteError::NoCommit {
                repository: repository.to_owned(),
                commit: commit.to_owned(),
                status: status.as_u16(),
            };
            return Err(match answer.status {
                // The list of references was read a moment ago, so it is not the repository that is hidden.
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => undecided(&request.url, answer.status),
                status => told(&request.url, status, no_commit),
            });
        }
        // Every gzip file begins so (RFC 1952).
        if !answer.body.starts_with(&[0x1f, 0x8b]) {
            let kind = cut(&answer.content_type, 80);
            return Err(RemoteError::NotAnArchive {
                url: request.url.to_string(),
                what: format!("{} bytes of `{kind}`", answer.body.len()),
            });
        }
        let unpacked = read(answer.body.clone(), commit).await?;
        self.keep(&name, answer.status.as_u16(), &answer.body, notes);
        Ok(unpacked)
    }
}

/// What a status that is no success tells. Only these say that there is no such thing, or none for whoever asks; anything
/// else is said by something in between.
fn told(url: &Url, status: StatusCode, absent: impl FnOnce(StatusCode) -> RemoteError) -> RemoteError {
    match status.as_u16() {
        401 | 403 | 404 | 410 | 422 | 451 => absent(status),
        _ => undecided(url, status),
    }
}

fn undecided(url: &Url, status: StatusCode) -> RemoteError {
    RemoteError::Undecided {
        url: url.to_string(),
        status: status.as_u16(),
    }
}

fn protocol(url: &Url, what: String) -> RemoteError {
    RemoteError::Protocol {
        url: url.to_string(),
        what,
    }
}

/// Reads the archive of a commit, away from the threads that wait for the network.
async fn read(bytes: Vec<u8>, commit: &str) -> Result<Unpacked, RemoteError> {
    let reading = tokio::task::spawn_blocking(move || archive::unpack(bytes.as_slice(), &LIMITS));
    let unpacked = reading.await.map_err(|_| RemoteError::Stopped)?;
    let unpacked = unpacked.map_err(|source| RemoteError::Archive {
        commit: commit.to_owned(),
        source,
    })?;
    match &unpacked.commit {
        Some(found) if found != commit => Err(RemoteError::OtherCommit {
            wanted: commit.to_owned(),
            found: cut(found, 64),
        }),
        _ => Ok(unpacked),
    }
}
