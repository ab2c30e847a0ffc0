//! What is known of images, as data: `manifests/lint/images.yaml`.

use serde::Deserialize;

use crate::{lint::pattern::matches, manifest};

const DATA: &[u8] = include_bytes!("../../../manifests/lint/images.yaml");

/// What is known of images.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    own: Vec<String>,
    staging: Vec<String>,
    floating: Vec<String>,
    forms: Vec<Form>,
    never_released: Vec<Never>,
}

/// How the tags of an image begin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    image: String,
    begins: Vec<String>,
    /// Who says so.
    pub(super) why: String,
}

/// Versions of an image that there never were.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Never {
    image: String,
    tags: Vec<String>,
    /// Who says so.
    pub(super) why: String,
}

impl Form {
    /// Whether a tag may be one of the image.
    pub(super) fn allows(&self, tag: &str) -> bool {
        self.begins.iter().any(|begin| tag.starts_with(begin.as_str()))
    }
}

impl Known {
    /// Reads the data; `None` where it is broken, which a test rules out.
    pub(super) fn read() -> Option<Self> {
        manifest::document("manifests/lint/images.yaml", DATA).ok()
    }

    /// Whether a release of the project publishes an image itself.
    pub(super) fn is_own(&self, image: &str) -> bool {
        self.own.iter().any(|pattern| matches(pattern, image))
    }

    /// Whether an image lies where nothing stays.
    pub(super) fn is_staging(&self, image: &str) -> bool {
        self.staging.iter().any(|pattern| matches(pattern, image))
    }

    /// Whether a tag moves.
    pub(super) fn floats(&self, tag: &str) -> bool {
        self.floating.iter().any(|pattern| matches(pattern, tag))
    }

    /// How the tags of an image begin, where that is known.
    pub(super) fn form_of(&self, image: &str) -> Option<&Form> {
        self.forms.iter().find(|form| matches(&form.image, image))
    }

    /// That a version of an image was never released, where that is known.
    pub(super) fn never_released(&self, image: &str, tag: &str) -> Option<&Never> {
        self.never_released
            .iter()
            .find(|never| matches(&never.image, image) && never.tags.iter().any(|known| known == tag))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("latest", true)]
    #[case("main", true)]
    #[case("release-1.2", true)]
    #[case("latest-dev", true)]
    #[case("v1.2.3", false)]
    #[case("v20240412-v1.0.0-394-g40c666fd", false)]
    fn a_tag_moves_or_does_not(#[case] tag: &str, #[case] floats: bool) {
        assert_eq!(Known::read().unwrap().floats(tag), floats);
    }

    #[test]
    fn the_form_of_a_tag_is_known_by_its_image() {
        let known = Known::read().unwrap();
        let form = known.form_of("docker.io/vllm/vllm-openai").unwrap();
        assert!(form.allows("v0.9.2") && !form.allows("0.9.2"));
        assert!(known.form_of("docker.io/some/other").is_none());
    }
}
