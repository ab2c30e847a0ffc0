//! Trees that are git checkouts, made by git itself, and trees whose name or files say what they are.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use quickproof::{
    host::Host,
    lint::{self, Rendered, Severity},
    plan::{self, Options},
    release::{OnBranch, Release, ReleaseError, Source, Tag, TagKind},
    verdict::Finding,
};
use rstest::rstest;

use crate::upstream;

const MINI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/trees/mini");

/// Runs git in a directory, with nothing of this machine's configuration.
#[track_caller]
fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = assert_cmd::Command::new("git")
        .current_dir(directory)
        .args(["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env_remove("GIT_DIR")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A checkout of the miniature release with two commits: the first on `release-1.5`, the second on `main`.
fn checkout(root: &Path) -> PathBuf {
    let directory = root.join("checkout");
    copy(Path::new(MINI), &directory);
    git(&directory, &["init", "--quiet", "--initial-branch=main"]);
    git(&directory, &["add", "."]);
    git(&directory, &["commit", "--quiet", "--message=one"]);
    git(&directory, &["branch", "release-1.5"]);
    fs::write(directory.join("more"), "more").unwrap();
    git(&directory, &["add", "."]);
    git(&directory, &["commit", "--quiet", "--message=two"]);
    directory
}

async fn open(directory: &Path, tag: Option<&str>) -> Result<Release, ReleaseError> {
    let source = Source::Directory {
        directory: directory.to_owned(),
        tag: tag.map(|tag| tag.parse().unwrap()),
        repository: None,
    };
    source.open(&Host::real()).await
}

fn tag(release: &Release) -> Option<String> {
    release.tag.as_ref().map(ToString::to_string)
}

#[tokio::test]
async fn a_checkout_tells_its_tag_its_signature_its_branch_and_its_companions() {
    let root = tempfile::tempdir().unwrap();
    let directory = checkout(root.path());
    git(&directory, &["checkout", "--quiet", "release-1.5"]);
    let message = "v1.5.0-rc.1 of ${NAME}\n-----BEGIN SSH SIGNATURE-----\nabc\n-----END SSH SIGNATURE-----\n";
    fs::write(root.path().join("message"), message).unwrap();
    let file = format!("--file={}", root.path().join("message").display());
    git(
        &directory,
        &["tag", "--annotate", "--cleanup=verbatim", &file, "v1.5.0-rc.1"],
    );
    git(&directory, &["tag", "conformance/v1.5.0-rc.1"]);

    let release = open(&directory, None).await.unwrap();
    // Its files say v1.5.0; the tag at HEAD is the stronger witness.
    assert_eq!(tag(&release).as_deref(), Some("v1.5.0-rc.1"));
    assert_eq!(
        (release.deviations.len(), release.notes.len()),
        (0, 1),
        "{:?}",
        release.notes
    );
    let facts = release.git.unwrap();
    assert_eq!(facts.tags_at_head, ["conformance/v1.5.0-rc.1", "v1.5.0-rc.1"]);
    assert_eq!(facts.release_branch.as_deref(), Some("release-1.5"));
    assert_eq!(facts.on_release_branch, OnBranch::Yes);
    assert_eq!(facts.changed_files, Some(0));
    assert_eq!(facts.companions[0].commit.as_ref(), Some(&facts.head));
    let own = facts.tag.unwrap();
    assert_eq!(own.commit, facts.head);
    let TagKind::Annotated(Some(object)) = own.kind else {
        panic!("{:?}", own.kind)
    };
    assert_eq!(object.message, "v1.5.0-rc.1 of ${NAME}");
    assert_eq!(object.tagger, "Somebody <somebody@example.com>");
    assert_eq!(object.signature, Some(quickproof::release::Signature::Ssh));
}

#[tokio::test]
async fn a_light_tag_off_its_branch_and_without_companion_is_told_as_that() {
    let root = tempfile::tempdir().unwrap();
    let directory = checkout(root.path());
    git(&directory, &["tag", "v1.5.0"]);
    let facts = open(&directory, Some("v1.5.0")).await.unwrap().git.unwrap();
    assert_eq!(facts.tag.unwrap().kind, TagKind::Lightweight);
    assert_eq!(facts.on_release_branch, OnBranch::No);
    assert_eq!(facts.companions[0].commit, None);

    git(&directory, &["branch", "--delete", "--force", "release-1.5"]);
    let facts = open(&directory, Some("v1.5.0")).await.unwrap().git.unwrap();
    assert!(matches!(facts.on_release_branch, OnBranch::Undecided(_)));
}

#[tokio::test]
async fn a_history_that_is_cut_off_decides_nothing_about_branches() {
    let root = tempfile::tempdir().unwrap();
    let directory = checkout(root.path());
    git(&directory, &["tag", "v1.5.0", "release-1.5"]);
    git(&directory, &["checkout", "--quiet", "release-1.5"]);
    git(&directory, &["commit", "--quiet", "--allow-empty", "--message=three"]);
    let url = format!("file://{}", directory.display());
    git(
        root.path(),
        &["clone", "--quiet", "--depth=1", "--branch=v1.5.0", &url, "shallow"],
    );
    let shallow = root.path().join("shallow");
    git(
        &shallow,
        &[
            "fetch",
            "--quiet",
            "--depth=1",
            "origin",
            "release-1.5:refs/remotes/origin/release-1.5",
        ],
    );
    let facts = open(&shallow, Some("v1.5.0")).await.unwrap().git.unwrap();
    assert!(
        matches!(&facts.on_release_branch, OnBranch::Undecided(why) if why.contains("shallow")),
        "{facts:?}"
    );
}

#[tokio::test]
async fn a_checkout_that_is_not_at_the_tag_does_not_pass_as_it() {
    let root = tempfile::tempdir().unwrap();
    let directory = checkout(root.path());
    git(&directory, &["tag", "v1.5.0", "release-1.5"]);
    let refused = open(&directory, Some("v1.5.0")).await.unwrap_err();
    assert!(matches!(refused, ReleaseError::NotTheTag { .. }), "{refused}");
    // Not asked for by name, it is tested as what its files say, and the ledger says that it is not that.
    let release = open(&directory, None).await.unwrap();
    assert_eq!(tag(&release).as_deref(), Some("v1.5.0"));
    assert_eq!(release.deviations.len(), 1);
    assert!(release.deviations[0].what.contains(&release.commit.unwrap()[..7]));
}

#[tokio::test]
async fn changed_files_and_a_missing_tag_are_in_the_ledger() {
    let root = tempfile::tempdir().unwrap();
    let directory = checkout(root.path());
    fs::write(directory.join("more"), "changed").unwrap();
    let release = open(&directory, Some("v1.5.0")).await.unwrap();
    let said: Vec<&str> = release
        .deviations
        .iter()
        .map(|deviation| deviation.what.as_str())
        .collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("not known") && said[1].starts_with("1 file differs"),
        "{said:?}"
    );
}

#[tokio::test]
async fn programs_that_a_checkout_names_are_not_run() {
    let root = tempfile::tempdir().unwrap();
    let directory = checkout(root.path());
    git(&directory, &["tag", "v1.5.0"]);
    let ran = root.path().join("ran");
    let program = format!("touch {}; cat", ran.display());
    for key in ["filter.x.clean", "core.fsmonitor", "core.pager", "diff.external"] {
        git(&directory, &["config", key, &program]);
    }
    fs::write(directory.join(".git/info/attributes"), "* filter=x\n").unwrap();
    // Of the length that git knows and of another time, so that git cannot tell without the filter whether it is changed.
    let mut more = fs::File::create(directory.join("more")).unwrap();
    more.write_all(b"lost").unwrap();
    more.set_modified(UNIX_EPOCH + Duration::from_hours(1000)).unwrap();
    let facts = open(&directory, None).await.unwrap().git.unwrap();
    assert_eq!(facts.changed_files, None);
    assert!(!ran.exists());
    // It is the filter that the test is about: git runs it.
    git(&directory, &["-c", "core.fsmonitor=false", "status", "--porcelain"]);
    assert!(ran.exists());
}

#[tokio::test]
async fn files_that_name_another_tag_do_not_outweigh_git() {
    let root = tempfile::tempdir().unwrap();
    let directory = checkout(root.path());
    git(&directory, &["tag", "v1.5.7"]);
    let release = open(&directory, Some("v1.5.7")).await.unwrap();
    assert_eq!(tag(&release).as_deref(), Some("v1.5.7"));
    assert!(release.deviations.is_empty(), "{:?}", release.deviations);
    // Without git they do where they are of another branch's release, since nothing proves that it is the tag.
    let plain = root.path().join("plain");
    copy(Path::new(MINI), &plain);
    let refused = open(&plain, Some("v1.6.7")).await.unwrap_err();
    assert!(matches!(refused, ReleaseError::OtherRelease { .. }), "{refused}");
}

#[rstest]
#[case::that_the_checkout_has("v1.4.9", Some(("guide-reference-missing", "guide-file-missing")))]
#[case::that_it_has_not("v1.4.8", None)]
#[tokio::test]
async fn what_another_tag_lacks_is_known_from_a_checkout_that_has_the_tag(
    #[case] other: &str,
    #[case] known: Option<(&str, &str)>,
) {
    let root = tempfile::tempdir().unwrap();
    let directory = checkout(root.path());
    let file = directory.join("config/manifests/model/sim.yaml");
    let (text, guide) = (fs::read(&file).unwrap(), directory.join("site-src/guides/index.md"));
    fs::remove_file(&file).unwrap();
    git(&directory, &["commit", "--quiet", "--all", "--message=three"]);
    git(&directory, &["tag", "v1.4.9"]);
    fs::write(&file, text).unwrap();
    let address = "refs/tags/${RELEASE}/config/manifests/model/sim.yaml";
    let page = fs::read_to_string(&guide).unwrap();
    assert!(page.contains(address));
    fs::write(&guide, page.replace(address, &address.replace("${RELEASE}", other))).unwrap();
    git(&directory, &["add", "."]);
    git(&directory, &["commit", "--quiet", "--message=four"]);
    git(&directory, &["tag", "v1.5.0"]);
    let release = open(&directory, Some("v1.5.0")).await.unwrap();

    let options = Options {
        variant: "sim".into(),
        provider: "istio".into(),
        ..Options::default()
    };
    let plan = plan::draw(&release, &options).unwrap();
    let names_it = |step: &&plan::Step| step.command.contains(other);
    let code = match plan.steps.iter().find(names_it).unwrap().known.as_ref().unwrap() {
        Finding::Broken(fault) => Some(fault.cause.code.to_string()),
        Finding::Undecided { .. } => None,
        finding => panic!("{finding:?}"),
    };
    assert_eq!(code.as_deref(), known.map(|(code, _)| code));

    let layout = release.layout(None).unwrap();
    let combinations = lint::draw(&release, &layout).unwrap();
    let findings = lint::examine(&release, &layout, &combinations, &Rendered::new());
    let at_it = |found: &&lint::Diagnostic| found.place.file.ends_with("index.md") && found.place.line == 38;
    let found: Vec<(&str, Severity)> = findings
        .diagnostics
        .iter()
        .filter(at_it)
        .map(|found| (found.code, found.severity))
        .collect();
    let wanted = known.map_or(("guide-reference-other-tag", Severity::Drift), |(_, code)| {
        (code, Severity::Break)
    });
    assert_eq!(found, [wanted]);
}

#[tokio::test]
async fn files_that_still_name_the_tag_before_are_read_as_what_was_said_and_stand_in_the_ledger() {
    let root = tempfile::tempdir().unwrap();
    copy(Path::new(MINI), root.path());
    let release = open(root.path(), Some("v1.5.1-rc.1")).await.unwrap();
    assert_eq!(tag(&release).as_deref(), Some("v1.5.1-rc.1"));
    let said: Vec<&str> = release.deviations.iter().map(|one| one.what.as_str()).collect();
    assert!(
        matches!(said.as_slice(), [one] if one.starts_with("files that name v1.5.0")),
        "{said:?}"
    );
}

#[rstest]
#[case::the_name_agrees("v1.5.0-rc.3", Some("v1.5.0-rc.3"))]
#[case::the_name_says_nothing("tree", Some("v1.5.0"))]
#[case::the_name_contradicts("v1.4.0", None)]
#[tokio::test]
async fn the_name_of_a_plain_tree_is_a_witness(#[case] name: &str, #[case] told: Option<&str>) {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join(name);
    copy(Path::new(MINI), &directory);
    let opened = open(&directory, None).await;
    assert_eq!(opened.as_ref().ok().and_then(tag).as_deref(), told, "{opened:?}");
}

#[tokio::test]
async fn real_trees_say_which_tag_and_repository_they_are_of() {
    let Some(upstream) = upstream::trees() else { return };
    let directories = |directory: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    };
    for repository in directories(&upstream) {
        for tree in directories(&repository) {
            let name = tree.file_name().unwrap().to_str().unwrap();
            match open(&tree, None).await {
                Ok(release) => {
                    // A directory named after a commit or a moving tag says nothing: it is read as a branch.
                    let said = name.parse::<Tag>().is_ok().then_some(name);
                    assert_eq!(tag(&release).as_deref(), said);
                    let bare = repository.file_name().unwrap().to_str().unwrap();
                    assert!(release.repository.ends_with(bare), "{}", release.repository);
                }
                // Its tag was told, and that is all that is asked here.
                Err(ReleaseError::NoLayoutFor { tag, .. } | ReleaseError::NoGuide { tag, .. }) => {
                    assert_eq!(tag.to_string(), name);
                }
                // The files of a tag that was cut without bumping them name the one before.
                Err(ReleaseError::NameContradicts { tag, found, .. }) => {
                    assert_eq!(
                        (tag.as_str(), name, found.as_str()),
                        (name, "v1.3.1-rc.1", "v1.3.0-rc.1")
                    );
                }
                // The same, and its files are not laid out as the newest release's.
                Err(ReleaseError::TagUnknown { .. } | ReleaseError::NoGuideOfBranch { .. }) => {
                    assert!(name.parse::<Tag>().is_err(), "{name} is a tag");
                }
                Err(error) => panic!("{}: {error}", tree.display()),
            }
        }
    }
}
