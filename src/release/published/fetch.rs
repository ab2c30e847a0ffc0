//! Has what a published release has on the web.

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use url::Url;

use super::{Address, Found, Published};
use crate::{
    host::{
        Host,
        web::{self, Web, WebError, WebRequest},
    },
    release::{
        Tag,
        cache::CachedResponse,
        github::{Addresses, GitHub, RemoteError},
        remote::Access,
    },
};

/// The most bytes of one file; a bundle of CRDs has a few hundred thousand.
const MOST_BYTES: usize = 16 << 20;

/// How many are fetched at once.
const AT_ONCE: usize = 6;

/// Fetches what plans lack.
pub struct Fetcher<'a> {
    github: GitHub<'a>,
}

/// A release of the releases API (GitHub REST API, "List releases").
#[derive(Deserialize)]
struct Listed {
    tag_name: String,
    #[serde(default)]
    prerelease: bool,
    #[serde(default)]
    draft: bool,
}

impl<'a> Fetcher<'a> {
    /// A fetcher on this machine.
    ///
    /// # Errors
    /// An address of the environment is none.
    pub fn new(host: &'a Host, access: Access) -> Result<Self, RemoteError> {
        Ok(Self {
            github: GitHub::new(host, access)?,
        })
    }

    /// Fetches some addresses and adds what was found; returns what should be known of how it went, each a sentence.
    ///
    /// # Errors
    /// A server does not answer, or answers in a way that says nothing about what is asked. That something does not exist
    /// is no error.
    pub async fn fetch(&self, wanted: &[Address], published: &mut Published) -> Result<Vec<String>, RemoteError> {
        let fetched: Vec<(Address, Found, Vec<String>)> = futures::stream::iter(wanted)
            .map(async |address| {
                let mut notes = Vec::new();
                let found = self.find(address, &mut notes).await?;
                Ok::<_, RemoteError>((address.clone(), found, notes))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let mut notes: Vec<String> = self.github.web.iter().flat_map(Web::take_notes).collect();
        for (address, found, more) in fetched {
            published.insert(address, found);
            notes.extend(more);
        }
        Ok(notes)
    }

    async fn find(&self, address: &Address, notes: &mut Vec<String>) -> Result<Found, RemoteError> {
        match address {
            Address::File(text) => {
                let request = WebRequest::get(self.address(text)?, MOST_BYTES);
                let kept = self.have(&request, text, notes).await?;
                Ok(match kept.status {
                    200 => Found::File(kept.bytes.into()),
                    status => Found::Absent { status },
                })
            }
            Address::NewestRelease(repository) => {
                let url = Addresses::below(&self.github.addresses.api, &format!("repos/{repository}/releases"))?;
                let mut request = WebRequest::get(url, MOST_BYTES).header("accept", "application/vnd.github+json");
                request.credential = self.github.bearer();
                let kept = self.have(&request, request.url.as_str(), notes).await?;
                if kept.status != 200 {
                    return Ok(Found::Absent { status: kept.status });
                }
                let listed: Vec<Listed> =
                    serde_json::from_slice(&kept.bytes).map_err(|error| RemoteError::NoReleaseList {
                        url: request.url.to_string(),
                        what: error.to_string(),
                    })?;
                Ok(newest(listed).map_or(Found::Absent { status: 200 }, Found::Tag))
            }
        }
    }

    /// An address as the guide names it, at the host that plays its part here.
    fn address(&self, text: &str) -> Result<Url, WebError> {
        let url = web::address(text, String::new())?;
        let addresses = &self.github.addresses;
        let base = match url.host_str() {
            Some("github.com") => &addresses.site,
            Some("raw.githubusercontent.com") => &addresses.raw,
            Some("api.github.com") => &addresses.api,
            _ => return Ok(url),
        };
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Addresses::below(base, &format!("{}{query}", url.path().trim_start_matches('/')))
    }

    /// What is at an address now, or was when it was last asked where only the cache may be used.
    async fn have(
        &self,
        request: &WebRequest,
        called: &str,
        notes: &mut Vec<String>,
    ) -> Result<CachedResponse, RemoteError> {
        let name = format!("file {}", web::without_userinfo(&request.url));
        let Some(web) = &self.github.web else {
            let kept = self.github.cache.recall(&name);
            return kept.ok_or_else(|| RemoteError::NotCached {
                what: format!("`{called}`"),
            });
        };
        let answer = web.send(request).await?;
        let status = answer.status.as_u16();
        let bytes = match status {
            200 => answer.body,
            // Gone for good or never there: that is what was asked.
            404 | 410 => Vec::new(),
            _ => {
                return Err(RemoteError::Undecided {
                    url: called.to_owned(),
                    status,
                });
            }
        };
        self.github.keep(&name, status, &bytes, notes);
        Ok(CachedResponse {
            status,
            at: self.github.host.now(),
            bytes,
        })
    }
}

/// The highest version that is neither candidate nor draft, as guides compute it; where no tag is a version, the first.
fn newest(listed: Vec<Listed>) -> Option<String> {
    let finals: Vec<String> = listed
        .into_iter()
        .filter(|release| !release.prerelease && !release.draft)
        .map(|release| release.tag_name)
        .collect();
    let highest = finals
        .iter()
        .filter_map(|name| Some((name.parse::<Tag>().ok()?, name)))
        .max();
    highest
        .map(|(_, name)| name.clone())
        .or_else(|| finals.first().cloned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::by_version_and_not_by_order(
        r#"[{"tag_name":"v1.9.0"},{"tag_name":"v1.10.0"},{"tag_name":"v1.2.0"}]"#,
        Some("v1.10.0")
    )]
    #[case::no_candidate(
        r#"[{"tag_name":"v1.5.0-rc.1","prerelease":true},{"tag_name":"v1.4.0"}]"#,
        Some("v1.4.0")
    )]
    #[case::no_draft(r#"[{"tag_name":"v1.5.0","draft":true},{"tag_name":"v1.4.0"}]"#, Some("v1.4.0"))]
    #[case::no_versions(r#"[{"tag_name":"b"},{"tag_name":"a"}]"#, Some("b"))]
    #[case::none("[]", None)]
    fn the_newest_release_is_the_highest_version(#[case] json: &str, #[case] tag: Option<&str>) {
        assert_eq!(newest(serde_json::from_str(json).unwrap()).as_deref(), tag);
    }
}
