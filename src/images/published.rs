//! What can be said of an image that a node did not get where nodes ask our registry alone.

use std::collections::BTreeMap;

use super::{
    ImageRef, ImagesError,
    recipe::{self, Makes, Recipe},
};

/// Whether an image may be published although no node gets it here. `tested` is the tag under test.
///
/// It may where no recipe is about its repository, where one names its tag as published, and where it is of the release under
/// test, which may be newer than what recipes know. Of a repository that recipes know, any other tag is taken for one that
/// does not exist.
///
/// # Errors
/// A recipe cannot be read.
pub(crate) fn may_be_published(image: &ImageRef, tested: Option<&str>) -> Result<bool, ImagesError> {
    Ok(may_be(&recipe::read_all()?, image, tested))
}

fn may_be(recipes: &BTreeMap<String, Recipe>, image: &ImageRef, tested: Option<&str>) -> bool {
    let is_about = |recipe: &&Recipe| {
        let mut names = recipe.names.iter();
        recipe.makes == Makes::Image
            && names.any(|name| (name.host(), name.repository()) == (image.host(), image.repository()))
    };
    let mut about = recipes.values().filter(is_about).peekable();
    let tag = image.tag();
    about.peek().is_none()
        || tag.is_none()
        || tag == tested
        || about.any(|recipe| recipe.also_published.iter().any(|one| Some(one.as_str()) == tag))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_version_that_nobody_knows("r.example/a/epp:v9.9.9", false)]
    #[case::one_that_is_published("r.example/a/epp:v1.4.0", true)]
    #[case::the_one_under_test("r.example/a/epp:v1.6.1", true)]
    #[case::by_digest(
        "r.example/a/epp@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        true
    )]
    #[case::a_repository_that_no_recipe_is_about("r.example/b/vllm:v9.9.9", true)]
    #[case::one_of_another_registry("o.example/a/epp:v9.9.9", true)]
    fn only_an_unknown_tag_of_a_known_repository_does_not_exist(#[case] image: &str, #[case] may_be_published: bool) {
        let text = "makes: image\nversion: v1.5.0\nnames: [r.example/a/epp:v1.5.0]\nalso-published: [v1.4.0]\n";
        let recipe = Recipe::parse("epp.yaml", text).unwrap();
        let recipes = BTreeMap::from([("epp".to_owned(), recipe)]);
        let image = image.parse().unwrap();
        assert_eq!(may_be(&recipes, &image, Some("v1.6.1")), may_be_published);
    }
}
