//! Releases that are fetched, from a server on this machine.

use std::{fs, path::Path};

use quickproof::{
    host::Host,
    release::{Access, OnBranch, Release, ReleaseError, Remote, Revision, Source, TagKind},
};
use rstest::rstest;

use super::server::{COMMIT, REPOSITORY, Ready, Server, mini_archive, offer, packet, zip};

const TOKEN: &str = "github_pat_0123456789abcdefghij";

fn remote(revision: Revision, access: Access) -> Source {
    Source::Remote(Remote {
        repository: REPOSITORY.to_owned(),
        revision,
        read_as: None,
        access,
    })
}

fn tag(text: &str) -> Revision {
    Revision::Tag(text.parse().unwrap())
}

/// A machine that knows only this server, with a cache of its own.
fn host(server: &Server, cache: &Path) -> Host {
    Host::with_variables([
        ("QUICKPROOF_GITHUB_URL", server.url.as_str()),
        ("QUICKPROOF_GITHUB_API_URL", server.url.as_str()),
        ("QUICKPROOF_GITHUB_RAW_URL", server.url.as_str()),
        ("XDG_CACHE_HOME", cache.to_str().unwrap()),
    ])
}

async fn open(server: &Server, cache: &Path, revision: Revision) -> Result<Release, ReleaseError> {
    remote(revision, Access::Online).open(&host(server, cache)).await
}

/// The words of an error with its sources.
fn words(error: &ReleaseError) -> String {
    quickproof::host::in_words(error)
}

#[tokio::test]
async fn a_tag_is_pinned_to_its_commit_and_its_files_are_read() {
    let (server, cache) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    let release = open(&server, cache.path(), tag("v1.5.0")).await.unwrap();
    assert_eq!(release.repository, REPOSITORY);
    assert_eq!(release.commit.as_deref(), Some(COMMIT));
    assert!(release.deviations.is_empty() && release.notes.is_empty());
    let facts = release.git.as_ref().unwrap();
    assert_eq!(facts.tags_at_head, ["conformance/v1.5.0", "v1.5.0"]);
    assert_eq!(facts.tag.as_ref().unwrap().kind, TagKind::Annotated(None));
    assert_eq!(facts.companions[0].commit.as_deref(), Some(COMMIT));
    assert_eq!(facts.on_release_branch, OnBranch::Yes);
    let guide = release.tree.read(&"site-src/guides/index.md".parse().unwrap()).unwrap();
    let mini = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/trees/mini/site-src/guides/index.md"
    );
    assert_eq!(guide, fs::read(mini).unwrap());
}

#[tokio::test]
async fn a_branch_is_pinned_before_anything_is_fetched_and_the_ledger_says_so() {
    let (server, cache) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    let main = "3".repeat(40);
    server.clear("git-upload-pack");
    server.list(&[format!("{main} refs/heads/main"), format!("{COMMIT} refs/tags/v1.5.0")]);
    server.lay(&format!("archive/{main}.tar.gz"), Ready::new(200, mini_archive(&main)));
    let release = open(&server, cache.path(), Revision::Branch("main".into()))
        .await
        .unwrap();
    assert_eq!(release.commit.as_deref(), Some(main.as_str()));
    assert_eq!(release.tag.unwrap().to_string(), "v1.5.0");
    assert_eq!(release.deviations.len(), 1);
    assert!(
        release.deviations[0].what.contains("`main`"),
        "{:?}",
        release.deviations
    );
    assert!(server.asked().iter().all(|asked| !asked.line.contains("archive/main")));
}

#[tokio::test]
async fn a_tag_that_does_not_exist_names_its_neighbours() {
    let (server, cache) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    let said = words(&open(&server, cache.path(), tag("v1.5.1")).await.unwrap_err());
    assert!(said.contains("did you mean") && said.contains("`v1.5.0`"), "{said}");
    assert_eq!(server.count(".tar.gz"), 0);
}

#[tokio::test]
async fn what_was_fetched_once_serves_offline_and_a_commit_is_fetched_once() {
    let (server, cache) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    let host = host(&server, cache.path());
    let offline = remote(tag("v1.5.0"), Access::Offline);
    let missing = offline.open(&host).await.unwrap_err();
    assert!(words(&missing).contains("--offline"), "{missing}");
    for _ in 0..2 {
        open(&server, cache.path(), tag("v1.5.0")).await.unwrap();
    }
    assert_eq!(server.count(".tar.gz"), 1);
    let before = server.asked().len();
    let release = offline.open(&host).await.unwrap();
    assert_eq!(server.asked().len(), before, "offline asks nobody");
    assert_eq!(release.commit.as_deref(), Some(COMMIT));
    assert_eq!(release.notes.len(), 1, "{:?}", release.notes);
}

#[tokio::test]
async fn what_is_damaged_in_the_cache_is_fetched_anew() {
    let (server, cache) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    open(&server, cache.path(), tag("v1.5.0")).await.unwrap();
    for entry in fs::read_dir(cache.path().join("quickproof/releases/blobs")).unwrap() {
        fs::write(entry.unwrap().path(), "damaged").unwrap();
    }
    let offline = remote(tag("v1.5.0"), Access::Offline)
        .open(&host(&server, cache.path()))
        .await;
    assert!(offline.is_err());
    open(&server, cache.path(), tag("v1.5.0")).await.unwrap();
    assert_eq!(server.count(".tar.gz"), 2);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_costs_a_note_and_no_more() {
    let (server, directory) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let release = open(&server, &file, tag("v1.5.0")).await.unwrap();
    assert!(release.notes[0].contains("cannot be kept"), "{:?}", release.notes);
}

fn tar_of(name: &str, kind: tar::EntryType, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_cksum();
    zip(&[header.as_bytes().as_slice(), &[0; 1024]].concat())
}

#[rstest]
#[case::a_traversal(tar_of("x/../../etc/passwd", tar::EntryType::Regular, 0), "climbs")]
#[case::a_hard_link(tar_of("x/a", tar::EntryType::Link, 0), "hard link")]
#[case::a_device(tar_of("x/a", tar::EntryType::Block, 0), "neither")]
#[case::a_huge_file(tar_of("x/a", tar::EntryType::Regular, 1 << 40), "bytes")]
#[case::another_commit(mini_archive(&"9".repeat(40)), "of commit 9999")]
#[case::cut_off({ let whole = mini_archive(COMMIT); whole[..whole.len() / 2].to_vec() }, "cut off")]
#[case::a_page(b"<html>log in</html>".to_vec(), "text/html")]
#[tokio::test]
async fn an_archive_that_is_not_the_commits_is_refused_and_not_kept(#[case] archive: Vec<u8>, #[case] word: &str) {
    let (server, cache) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    server.clear(&format!("archive/{COMMIT}.tar.gz"));
    let ready = Ready::new(200, archive).header("content-type", "text/html");
    server.lay(&format!("archive/{COMMIT}.tar.gz"), ready);
    let refused = open(&server, cache.path(), tag("v1.5.0")).await.unwrap_err();
    assert!(
        refused.is_infrastructure() && words(&refused).contains(word),
        "{}",
        words(&refused)
    );
    let offline = remote(tag("v1.5.0"), Access::Offline)
        .open(&host(&server, cache.path()))
        .await;
    assert!(words(&offline.unwrap_err()).contains("not in the cache"));
}

/// The list of tags was read; what then stands in the way of the files is nobody's release.
#[rstest]
#[case::bad_request(400, "")]
#[case::unauthorized(401, "")]
#[case::a_joke(418, "")]
#[case::a_status_of_nobodys(999, "")]
#[case::a_redirect_to_nowhere(302, "")]
#[case::a_redirect_to_what_is_no_address(302, "http://[")]
#[tokio::test]
async fn an_archive_that_something_else_answers_for_is_infrastructure(#[case] status: u16, #[case] location: &str) {
    let (server, cache) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    server.clear(&format!("archive/{COMMIT}.tar.gz"));
    let ready = Ready::new(status, "");
    let ready = if location.is_empty() {
        ready
    } else {
        ready.header("location", location)
    };
    server.lay(&format!("archive/{COMMIT}.tar.gz"), ready);
    let refused = open(&server, cache.path(), tag("v1.5.0")).await.unwrap_err();
    let said = words(&refused);
    assert!(
        refused.is_infrastructure() && said.contains(&status.to_string()),
        "{said}"
    );
    assert!(!said.contains("has no commit"), "{said}");
}

#[rstest]
#[case(404)]
#[case(422)]
#[tokio::test]
async fn a_commit_that_github_does_not_have_is_the_callers(#[case] status: u16) {
    let (server, cache) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    server.clear(&format!("archive/{COMMIT}.tar.gz"));
    server.lay(&format!("archive/{COMMIT}.tar.gz"), Ready::new(status, ""));
    let refused = open(&server, cache.path(), tag("v1.5.0")).await.unwrap_err();
    assert!(!refused.is_infrastructure() && words(&refused).contains("has no commit"));
}

#[tokio::test]
async fn an_archive_that_does_not_say_its_commit_is_noted() {
    let (server, cache) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    server.clear(&format!("archive/{COMMIT}.tar.gz"));
    server.lay(&format!("archive/{COMMIT}.tar.gz"), Ready::new(200, mini_archive("")));
    let release = open(&server, cache.path(), tag("v1.5.0")).await.unwrap();
    let noted = |note: &String| note.contains("does not say which commit");
    assert!(release.notes.iter().any(noted), "{:?}", release.notes);
}

#[tokio::test]
async fn a_server_that_fails_once_is_asked_again_and_that_is_said() {
    let (server, cache) = (Server::empty().await, tempfile::tempdir().unwrap());
    server.lay("info/refs", Ready::new(502, "bad gateway"));
    server.list(&[format!("{COMMIT} refs/tags/v1.5.0")]);
    server.lay(&format!("{COMMIT}.tar.gz"), Ready::new(200, mini_archive(COMMIT)));
    let release = open(&server, cache.path(), tag("v1.5.0")).await.unwrap();
    assert!(release.notes[0].contains("502"), "{:?}", release.notes);
}

#[rstest]
#[case::too_many_requests(Ready::new(429, "").header("retry-after", "60"), "GITHUB_TOKEN", true)]
#[case::the_limit_is_used_up(
    Ready::new(403, "").header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "1700000000"), "2023-11-14", true)]
#[case::a_refusal_of_something_between(Ready::new(400, ""), "proxy", true)]
#[case::a_joke(Ready::new(418, ""), "proxy", true)]
#[case::a_status_of_nobodys(Ready::new(999, ""), "proxy", true)]
#[case::a_redirect_to_nowhere(Ready::new(302, ""), "proxy", true)]
#[case::no_repository(Ready::new(404, ""), "no repository", false)]
#[case::a_private_one(Ready::new(401, ""), "GITHUB_TOKEN", false)]
#[case::an_old_protocol(Ready::new(200, offer(&format!("{COMMIT} HEAD"))), "version 2", true)]
#[case::a_page(Ready::new(200, "<html>"), "version 2", true)]
#[tokio::test]
async fn what_keeps_the_list_of_tags_away_is_said(
    #[case] ready: Ready,
    #[case] word: &str,
    #[case] infrastructure: bool,
) {
    let (server, cache) = (Server::empty().await, tempfile::tempdir().unwrap());
    server.lay("info/refs", ready);
    let refused = open(&server, cache.path(), tag("v1.5.0")).await.unwrap_err();
    assert!(words(&refused).contains(word), "{}", words(&refused));
    assert_eq!(refused.is_infrastructure(), infrastructure);
    assert_eq!(server.asked().len(), 1, "none of these is asked twice");
}

#[tokio::test]
async fn a_list_that_is_cut_off_is_no_list() {
    let (server, cache) = (Server::empty().await, tempfile::tempdir().unwrap());
    server.lay("info/refs", Ready::new(200, offer("version 2")));
    server.lay(
        "git-upload-pack",
        Ready::new(200, packet(&format!("{COMMIT} refs/tags/v1.4.0"))),
    );
    let refused = open(&server, cache.path(), tag("v1.5.0")).await.unwrap_err();
    assert!(words(&refused).contains("cut off"), "{}", words(&refused));
}

#[tokio::test]
async fn a_repository_that_moved_is_followed() {
    let (server, cache) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    let moved = format!("{}/elsewhere/renamed.git/info/refs?service=git-upload-pack", server.url);
    server.lay(
        &format!("{REPOSITORY}.git/info/refs"),
        Ready::new(301, "").header("location", moved),
    );
    let release = open(&server, cache.path(), tag("v1.5.0")).await.unwrap();
    assert_eq!(release.commit.as_deref(), Some(COMMIT));
    assert!(
        server
            .asked()
            .iter()
            .any(|asked| asked.line == "POST /elsewhere/renamed.git/git-upload-pack"),
        "{:?}",
        server.asked()
    );
}

/// The binary, with this server in place of GitHub.
fn quickproof(server: &Server, directory: &Path) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("quickproof"));
    command
        .current_dir(directory)
        .env("XDG_CACHE_HOME", directory.join("cache"))
        .env("QUICKPROOF_GITHUB_URL", &server.url)
        .env("QUICKPROOF_GITHUB_API_URL", &server.url)
        .env("QUICKPROOF_GITHUB_RAW_URL", &server.url)
        .env_remove("GITHUB_TOKEN")
        .env("NO_PROXY", "127.0.0.1")
        .timeout(std::time::Duration::from_mins(1));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_goes_to_github_and_nowhere_else_and_is_never_printed() {
    let (server, other) = (Server::with_mini().await, Server::empty().await);
    let directory = tempfile::tempdir().unwrap();
    // The archive is at another host, as at GitHub.
    server.lay(
        &format!("tarball/{COMMIT}"),
        Ready::new(302, "").header("location", format!("{}/codeload", other.url)),
    );
    other.lay("codeload", Ready::new(200, mini_archive(COMMIT)));
    let output = quickproof(&server, directory.path())
        .args(["plan", "--release", "v1.5.0", "--verbose"])
        .env("GITHUB_TOKEN", TOKEN)
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains(TOKEN));
    let shown: Vec<bool> = server
        .asked()
        .iter()
        .map(|asked| asked.authorization.is_some())
        .collect();
    assert_eq!(shown, [true, true, true]);
    assert_eq!(other.asked().len(), 1);
    assert!(other.asked()[0].authorization.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_environment_is_used() {
    let (proxy, directory) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    let output = quickproof(&proxy, directory.path())
        .args(["plan", "--release", "v1.5.0"])
        .env("QUICKPROOF_GITHUB_URL", "http://github.invalid")
        .env("http_proxy", &proxy.url)
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        proxy.asked().iter().all(|asked| asked.host == "github.invalid"),
        "{:?}",
        proxy.asked()
    );
}

#[rstest]
#[case::a_branch_as_a_release(&["--release", "main"], 2, &["`main`", "--branch"])]
#[case::a_tree_and_a_branch(&["--tree", ".", "--branch", "main"], 2, &["--branch", "--tree"])]
#[case::a_commit_and_a_branch(&["--commit", "1111111", "--branch", "main"], 2, &["--branch", "--commit"])]
#[case::a_short_commit(&["--commit", "1111111"], 2, &["40"])]
#[case::a_repository_of_nothing(&["--repository", "a/b"], 2, &["--repository", "--release"])]
#[case::an_odd_repository(&["--repository", "a", "--release", "v1.5.0"], 2, &["OWNER/NAME"])]
#[case::offline_of_nothing(&["--offline"], 2, &["--offline"])]
#[case::offline_without_a_cache(&["--release", "v1.5.0", "--offline"], 2, &["cache", "--tree"])]
#[case::an_unknown_tag(&["--release", "v1.5.2"], 2, &["`v1.5.0`"])]
#[case::an_unknown_branch(&["--branch", "mian"], 2, &["`main`"])]
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_said_in_one_sentence(
    #[case] arguments: &[&str],
    #[case] code: i32,
    #[case] words: &[&str],
) {
    let (server, directory) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    for subcommand in ["plan", "verify"] {
        let output = quickproof(&server, directory.path())
            .arg(subcommand)
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        for word in words {
            assert!(said.contains(word), "`{word}` is not in: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_no_fault_of_the_caller() {
    let (server, directory) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    let output = quickproof(&server, directory.path())
        .args(["plan", "--release", "v1.5.0"])
        // Nobody listens on the discard port.
        .env("QUICKPROOF_GITHUB_URL", "http://127.0.0.1:9")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("does not answer") && said.contains("HTTPS_PROXY"),
        "{said}"
    );
}

/// Lays ready what the miniature release has on the web once it is published.
fn publish(server: &Server) {
    let releases = r#"[{"tag_name":"v1.6.0-rc.1","prerelease":true},{"tag_name":"v1.5.0","prerelease":false}]"#;
    server.lay(&format!("repos/{REPOSITORY}/releases"), Ready::new(200, releases));
    let mini = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/trees/mini"));
    for (end, file) in [
        ("releases/download/v1.5.0/manifests.yaml", "config/crd/bases/pools.yaml"),
        (
            "v1.5.0/config/manifests/model/sim.yaml",
            "config/manifests/model/sim.yaml",
        ),
    ] {
        server.lay(end, Ready::new(200, fs::read(mini.join(file)).unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_publication_a_plan_reads_what_the_guide_names_on_the_web() {
    let (server, directory) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    publish(&server);
    let arguments = ["plan", "--release", "v1.5.0", "--phase", "after-publish"];
    let output = quickproof(&server, directory.path()).args(arguments).output().unwrap();
    let plan = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!plan.contains("not fetched yet"), "{plan}");
    for end in [
        "/releases",
        "releases/download/v1.5.0/manifests.yaml",
        "v1.5.0/config/manifests/model/sim.yaml",
    ] {
        assert_eq!(server.count(end), 1, "{end}: {:?}", server.asked());
    }
    // The same once more, from what was fetched.
    let before = server.asked().len();
    let offline = quickproof(&server, directory.path())
        .args(arguments)
        .arg("--offline")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(offline.stdout).unwrap(), plan);
    assert_eq!(server.asked().len(), before, "offline asks nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_publication_a_server_that_fails_is_no_fault_of_the_release() {
    let (server, directory) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    server.lay(&format!("repos/{REPOSITORY}/releases"), Ready::new(500, ""));
    for subcommand in ["plan", "verify"] {
        let output = quickproof(&server, directory.path())
            .args([subcommand, "--release", "v1.5.0", "--phase", "after-publish"])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("status 500"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_that_stand_in_make_no_sense_after_publication() {
    let (server, directory) = (Server::with_mini().await, tempfile::tempdir().unwrap());
    let arguments = [
        "verify",
        "--release",
        "v1.5.0",
        "--phase",
        "after-publish",
        "--artifacts",
        ".",
    ];
    let output = quickproof(&server, directory.path()).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--artifacts"), "{said}");
}
