use rstest::rstest;

use super::*;
use crate::release::Access;

const ONE: &str = "1111111111111111111111111111111111111111";
const TWO: &str = "2222222222222222222222222222222222222222";
const THREE: &str = "3333333333333333333333333333333333333333";

fn references() -> Vec<Reference> {
    let found = |name: &str, object: &str, peeled: Option<&str>| Reference {
        name: name.to_owned(),
        object: object.to_owned(),
        peeled: peeled.map(str::to_owned),
    };
    vec![
        found("refs/heads/main", TWO, None),
        found("refs/heads/release-1.5", ONE, None),
        found("refs/tags/conformance/v1.5.0", ONE, None),
        found("refs/tags/v1.4.0", THREE, None),
        found("refs/tags/v1.5.0", THREE, Some(ONE)),
        found("refs/tags/v1.6.0-rc.1", THREE, None),
    ]
}

fn remote(revision: Revision, read_as: Option<&str>) -> Remote {
    Remote {
        repository: crate::release::REPOSITORY.to_owned(),
        revision,
        read_as: read_as.map(|tag| tag.parse().unwrap()),
        access: Access::Online,
    }
}

#[rstest]
#[case::an_annotated_tag_by_its_commit(Revision::Tag("v1.5.0".parse().unwrap()), None, ONE, "v1.5.0", false)]
#[case::a_light_tag(Revision::Tag("v1.4.0".parse().unwrap()), None, THREE, "v1.4.0", false)]
#[case::a_branch_as_the_newest_release(Revision::Branch("main".into()), None, TWO, "v1.5.0", true)]
#[case::a_branch_at_a_tag(Revision::Branch("release-1.5".into()), None, ONE, "v1.5.0", false)]
#[case::a_branch_as_what_is_asked(Revision::Branch("main".into()), Some("v1.6.0"), TWO, "v1.6.0", true)]
#[case::a_commit_with_its_tag(Revision::Commit(ONE.into()), Some("v1.5.0"), ONE, "v1.5.0", false)]
#[case::the_higher_of_two_tags(Revision::Commit(THREE.into()), None, THREE, "v1.6.0-rc.1", false)]
#[case::a_commit_without_a_tag(Revision::Commit("4".repeat(40)), None, "4444444444444444444444444444444444444444", "v1.5.0", true)]
fn a_point_is_pinned_to_a_commit_and_read_as_a_tag(
    #[case] revision: Revision,
    #[case] read_as: Option<&str>,
    #[case] commit: &str,
    #[case] tag: &str,
    #[case] deviates: bool,
) {
    let pinned = pin(&remote(revision, read_as), &references()).unwrap();
    assert_eq!((pinned.commit.as_str(), pinned.tag.to_string().as_str()), (commit, tag));
    assert_eq!(pinned.deviation.is_some(), deviates);
}

#[test]
fn a_name_that_does_not_exist_names_those_that_are_near() {
    let said = |revision| pin(&remote(revision, None), &references()).err().unwrap().to_string();
    let tag = said(Revision::Tag("v1.5.1".parse().unwrap()));
    assert!(
        tag.contains("did you mean") && tag.contains("`v1.5.0`") && !tag.contains("conformance"),
        "{tag}"
    );
    let branch = said(Revision::Branch("mian".into()));
    assert!(branch.ends_with("did you mean `main`?"), "{branch}");
    let far = said(Revision::Branch("q".into()));
    assert!(far.contains("ls-remote"), "{far}");
    assert!(said(Revision::Commit("1111111".into())).contains("40"));
}

#[test]
fn without_a_release_to_read_it_as_a_branch_is_refused() {
    let refused = pin(&remote(Revision::Branch("main".into()), None), &references()[..1]);
    assert!(matches!(refused, Err(RemoteError::NoReleases { .. })));
}

#[rstest]
#[case("a/b", true)]
#[case("A-1/b.c_d", true)]
#[case("a", false)]
#[case("a/b/c", false)]
#[case("../b", false)]
#[case("a/..", false)]
#[case("a/b?c", false)]
#[case("https://github.com/a/b", false)]
#[case("a/", false)]
fn a_repository_is_an_owner_and_a_name(#[case] text: &str, #[case] is_one: bool) {
    assert_eq!(checked_name(text).is_ok(), is_one);
}
