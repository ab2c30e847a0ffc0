//! The tags that name a release.

use std::{fmt, str::FromStr};

use semver::Version;

use crate::redact::cut;

/// A release's tag: `vMAJOR.MINOR.PATCH`, or `vMAJOR.MINOR.PATCH-rc.N` for a release candidate.
///
/// ```
/// use quickproof::release::Tag;
///
/// let candidate: Tag = "v1.5.0-rc.1".parse()?;
/// assert!(candidate.is_candidate() && candidate < "v1.5.0".parse()?);
/// assert!("latest".parse::<Tag>().is_err(), "a verdict needs a tag that stays");
/// # Ok::<_, quickproof::release::TagError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Version);

/// Why a text is not a release's tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` {why}; expected `vMAJOR.MINOR.PATCH`, optionally `-rc.N`, such as `v1.5.0`{hint}")]
pub struct TagError {
    /// The text.
    pub(crate) text: String,
    why: &'static str,
    hint: String,
}

impl Tag {
    /// The three numbers. Releases are compared by these alone, so that a candidate falls in its release's layout.
    pub(crate) fn numbers(&self) -> (u64, u64, u64) {
        (self.0.major, self.0.minor, self.0.patch)
    }

    /// Whether it is a release candidate.
    pub fn is_candidate(&self) -> bool {
        !self.0.pre.is_empty()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "v{}", self.0)
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let refuse = |why, hint: Option<String>| TagError {
            text: cut(text, 80),
            why,
            hint: hint.map(|tag| format!("; did you mean `{tag}`?")).unwrap_or_default(),
        };
        if let Some((_, last)) = text.rsplit_once('/') {
            let own = last.parse::<Self>().ok().map(|tag| tag.to_string());
            return Err(refuse("is not the release's own tag (it has a prefix)", own));
        }
        let Some(numbers) = text.strip_prefix('v') else {
            let with_v = format!("v{text}").parse::<Self>().ok().map(|tag| tag.to_string());
            let why = match text {
                "latest" => "moves, and a verdict needs a tag that stays",
                _ if with_v.is_some() => "lacks its `v`",
                _ => "is not a tag of a release (a branch moves, and a verdict needs a tag that stays)",
            };
            return Err(refuse(why, with_v));
        };
        let version = Version::parse(numbers).map_err(|_| {
            // `v0.6` and `v0` are moved from release to release.
            let is_line = numbers
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|sign| sign.is_ascii_digit()));
            let parts = numbers.split('.').count();
            match (is_line, parts) {
                (true, 1 | 2) => {
                    let whole = format!("v{numbers}{}", ".0".repeat(3 - parts)).parse::<Self>();
                    refuse(
                        "names a line of releases and moves",
                        whole.ok().map(|tag| tag.to_string()),
                    )
                }
                _ => refuse("is not a version", None),
            }
        })?;
        if !version.build.is_empty() {
            return Err(refuse("carries build metadata, which no release's tag does", None));
        }
        // A first candidate may bear no number.
        let is_candidate = version.pre.as_str().strip_prefix("rc").is_some_and(|number| {
            number.is_empty()
                || number
                    .strip_prefix('.')
                    .is_some_and(|number| number.parse::<u32>().is_ok())
        });
        if !version.pre.is_empty() && !is_candidate {
            return Err(refuse("is a pre-release other than a candidate", None));
        }
        Ok(Self(version))
    }
}

impl<'de> serde::Deserialize<'de> for Tag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("v1.5.0", (1, 5, 0), false)]
    #[case("v1.5.0-rc.2", (1, 5, 0), true)]
    #[case("v0.8.0-rc", (0, 8, 0), true)]
    #[case("v0.10.12", (0, 10, 12), false)]
    fn tags_are_read_and_printed_as_written(#[case] text: &str, #[case] numbers: (u64, u64, u64), #[case] rc: bool) {
        let tag: Tag = text.parse().unwrap();
        assert_eq!((tag.numbers(), tag.is_candidate()), (numbers, rc));
        assert_eq!(tag.to_string(), text);
    }

    #[rstest]
    #[case("conformance/v1.6.0", Some("v1.6.0"))]
    #[case("refs/tags/v1.5.0", Some("v1.5.0"))]
    #[case("1.5.0", Some("v1.5.0"))]
    #[case("latest", None)]
    #[case("main", None)]
    #[case("release-1.5", None)]
    #[case("v1.5", Some("v1.5.0"))]
    #[case("v1.5.0-alpha.1", None)]
    #[case("v1.5.0-rcx", None)]
    #[case("v0", Some("v0.0.0"))]
    #[case("v1.5.0-rc.x", None)]
    #[case("v1.5.0+build", None)]
    #[case("v01.5.0", None)]
    #[case("", None)]
    fn anything_else_is_refused_with_the_way_out(#[case] text: &str, #[case] meant: Option<&str>) {
        let said = text.parse::<Tag>().unwrap_err().to_string();
        assert!(said.contains("vMAJOR.MINOR.PATCH"), "{said}");
        if let Some(meant) = meant {
            assert!(said.contains(&format!("did you mean `{meant}`")), "{said}");
        }
    }

    #[test]
    fn a_candidate_comes_before_its_release() {
        let [candidate, release]: [Tag; 2] = ["v1.5.0-rc.2", "v1.5.0"].map(|text| text.parse().unwrap());
        assert!(candidate < release);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_every_tag_reads_back(text in "[v0-9.rc/+-]{0,20}") {
            if let Ok(tag) = text.parse::<Tag>() {
                prop_assert_eq!(tag.to_string(), text);
            }
        }
    }
}
