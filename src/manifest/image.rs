//! The name of an image, taken apart.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The full name of an image: registry host, repository path, and a tag or a digest, such as
/// `registry.k8s.io/gateway-api-inference-extension/epp:v1.5.0`.
///
/// Short names are completed as container engines complete them: `nginx` is `docker.io/library/nginx:latest`
/// (`distribution/reference`, "familiar names"). Two names of one image therefore compare equal.
///
/// ```
/// use quickproof::manifest::ImageRef;
///
/// let image: ImageRef = "nginx".parse()?;
/// assert_eq!(image.to_string(), "docker.io/library/nginx:latest");
/// assert_eq!((image.host(), image.tag()), ("docker.io", Some("latest")));
/// # Ok::<_, quickproof::manifest::BadImageRef>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef {
    host: String,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text is not the name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the name of an image: {why}; expected `HOST/PATH:TAG`, such as `registry.k8s.io/pause:3.10`")]
pub struct BadImageRef {
    text: String,
    why: &'static str,
}

impl ImageRef {
    /// The registry's host, with its port where one is named: `docker.io` where the name has none.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path of the repository below the host, such as `gateway-api-inference-extension/epp`.
    pub(crate) fn repository(&self) -> &str {
        &self.path
    }

    /// The tag; `None` where the name has a digest and no tag.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that the name pins, such as `sha256:…`.
    pub(crate) fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// What a registry is asked for below `/v2/PATH/manifests/`: the digest where there is one, else the tag.
    pub(crate) fn reference(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.host, self.path)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for ImageRef {
    type Err = BadImageRef;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why| BadImageRef {
            text: text.to_owned(),
            why,
        };
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(bad("what follows `@` is not `sha256:` and 64 hexadecimal digits"));
        }
        // A colon belongs to a tag only after the last slash; before it, it belongs to the host's port.
        let path_start = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name[path_start..].split_once(':') {
            Some((last, tag)) => (&name[..path_start + last.len()], Some(tag)),
            None => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(bad("the tag has a character it must not have"));
        }
        let (host, path) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest.to_owned()),
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        if path.is_empty() || !path.split('/').all(is_path_part) {
            return Err(bad(
                "the path must be lowercase letters and digits, with `.`, `_` and `-` between them",
            ));
        }
        let tag = match (tag, digest) {
            (None, None) => Some("latest"),
            (tag, _) => tag,
        };
        Ok(Self {
            host: host.to_owned(),
            path,
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

impl TryFrom<String> for ImageRef {
    type Error = BadImageRef;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(name: ImageRef) -> Self {
        name.to_string()
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_tag(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && !text.starts_with(['.', '-'])
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn is_path_part(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(word)
        && bytes.last().copied().is_some_and(word)
        && bytes
            .iter()
            .all(|&byte| word(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    proptest! {
        #[test]
        fn whatever_is_taken_for_a_name_is_written_as_one(text in "[a-zA-Z0-9./:@_-]{0,40}|.{0,20}") {
            if let Ok(name) = text.parse::<ImageRef>() {
                prop_assert_eq!(name.to_string().parse::<ImageRef>(), Ok(name));
            }
        }
    }

    #[rstest]
    #[case(
        "registry.k8s.io/pause:3.10",
        "registry.k8s.io",
        "pause",
        Some("3.10"),
        "registry.k8s.io/pause:3.10"
    )]
    #[case(
        "nginx",
        "docker.io",
        "library/nginx",
        Some("latest"),
        "docker.io/library/nginx:latest"
    )]
    #[case(
        "istio/pilot:1.28.0",
        "docker.io",
        "istio/pilot",
        Some("1.28.0"),
        "docker.io/istio/pilot:1.28.0"
    )]
    #[case(
        "localhost:5000/a/b",
        "localhost:5000",
        "a/b",
        Some("latest"),
        "localhost:5000/a/b:latest"
    )]
    fn names_are_completed_as_engines_complete_them(
        #[case] text: &str,
        #[case] host: &str,
        #[case] repository: &str,
        #[case] tag: Option<&str>,
        #[case] full: &str,
    ) {
        let name: ImageRef = text.parse().unwrap();
        assert_eq!((name.host(), name.repository(), name.tag()), (host, repository, tag));
        assert_eq!(name.to_string(), full);
        assert_eq!(full.parse::<ImageRef>().unwrap(), name);
    }

    #[test]
    fn a_digest_is_asked_for_before_the_tag() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let name: ImageRef = format!("ghcr.io/x/y:v1@{digest}").parse().unwrap();
        assert_eq!((name.tag(), name.reference()), (Some("v1"), digest.as_str()));
        let bare: ImageRef = format!("ghcr.io/x/y@{digest}").parse().unwrap();
        assert_eq!(bare.tag(), None);
    }

    #[rstest]
    #[case("")]
    #[case("ghcr.io/")]
    #[case("ghcr.io/Upper/case")]
    #[case("ghcr.io/x:")]
    #[case("ghcr.io/x:a b")]
    #[case("ghcr.io/x@sha256:12")]
    #[case("${IMAGE}")]
    fn what_is_no_name_is_refused(#[case] text: &str) {
        assert!(text.parse::<ImageRef>().is_err());
    }
}
