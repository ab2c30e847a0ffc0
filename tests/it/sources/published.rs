//! What a published release has on the web, from a server on this machine.

use std::path::Path;

use quickproof::{
    host::{Host, in_words},
    release::{Access, Address, Fetcher, Found, Published, RemoteError},
};
use rstest::rstest;

use super::server::{REPOSITORY, Ready, Server};

const ASSET: &str = "https://github.com/a/b/releases/download/v1.5.0/manifests.yaml";

fn host(server: &Server, cache: &Path) -> Host {
    Host::with_variables([
        ("QUICKPROOF_GITHUB_URL", server.url.as_str()),
        ("QUICKPROOF_GITHUB_API_URL", server.url.as_str()),
        ("QUICKPROOF_GITHUB_RAW_URL", server.url.as_str()),
        ("XDG_CACHE_HOME", cache.to_str().unwrap()),
    ])
}

fn file(url: &str) -> Address {
    Address::File(url.to_owned())
}

async fn fetch(host: &Host, access: Access, wanted: &[Address]) -> Result<Published, RemoteError> {
    let mut published = Published::default();
    Fetcher::new(host, access)?.fetch(wanted, &mut published).await?;
    Ok(published)
}

#[tokio::test]
async fn files_redirects_absences_and_the_newest_release_are_told_apart() {
    let (server, cache) = (Server::empty().await, tempfile::tempdir().unwrap());
    let host = host(&server, cache.path());
    server.lay(
        "v1.5.0/manifests.yaml",
        Ready::new(302, "").header("location", "/objects/1"),
    );
    server.lay("objects/1", Ready::new(200, "kind: A"));
    server.lay("gone.yaml", Ready::new(410, "gone"));
    let releases = r#"[{"tag_name":"v1.6.0-rc.1","prerelease":true},{"tag_name":"v1.5.0","prerelease":false}]"#;
    server.lay(&format!("repos/{REPOSITORY}/releases"), Ready::new(200, releases));
    let raw = file("https://raw.githubusercontent.com/a/b/v1.5.0/none.yaml");
    let gone = file(&format!("{}/gone.yaml", server.url));
    let newest = Address::NewestRelease(REPOSITORY.to_owned());
    let wanted = [file(ASSET), raw.clone(), gone.clone(), newest.clone()];
    let published = fetch(&host, Access::Online, &wanted).await.unwrap();
    assert_eq!(
        published.get(&file(ASSET)),
        Some(&Found::File(b"kind: A".as_slice().into()))
    );
    assert_eq!(published.get(&raw), Some(&Found::Absent { status: 404 }));
    assert_eq!(published.get(&gone), Some(&Found::Absent { status: 410 }));
    assert_eq!(published.get(&newest), Some(&Found::Tag("v1.5.0".into())));
    // What was found, absences too, is there without the network; what was not asked for is not.
    drop(server);
    assert_eq!(fetch(&host, Access::Offline, &wanted).await.unwrap(), published);
    let other = [file("https://github.com/a/b/other")];
    let missing = fetch(&host, Access::Offline, &other).await.unwrap_err();
    assert!(!missing.is_infrastructure() && in_words(&missing).contains("https://github.com/a/b/other"));
}

#[rstest]
#[case::a_broken_server(Ready::new(500, ""))]
#[case::a_refusal(Ready::new(403, ""))]
#[case::too_many_requests(Ready::new(429, ""))]
#[case::more_than_a_file_has(Ready::new(200, vec![b'a'; (16 << 20) + 1]))]
#[case::a_redirect_without_end(Ready::new(302, "").header("location", "/v1.5.0/manifests.yaml"))]
#[tokio::test]
async fn what_says_nothing_about_existence_is_no_absence(#[case] ready: Ready) {
    let (server, cache) = (Server::empty().await, tempfile::tempdir().unwrap());
    server.lay("v1.5.0/manifests.yaml", ready);
    let failed = fetch(&host(&server, cache.path()), Access::Online, &[file(ASSET)])
        .await
        .unwrap_err();
    assert!(failed.is_infrastructure(), "{failed}");
}

#[tokio::test]
async fn a_list_of_releases_that_is_a_page_is_no_list() {
    let (server, cache) = (Server::empty().await, tempfile::tempdir().unwrap());
    server.lay("releases", Ready::new(200, "<html>"));
    let newest = [Address::NewestRelease(REPOSITORY.to_owned())];
    let failed = fetch(&host(&server, cache.path()), Access::Online, &newest)
        .await
        .unwrap_err();
    assert!(matches!(failed, RemoteError::NoReleaseList { .. }), "{failed}");
}

#[rstest]
#[case("file:///etc/passwd")]
#[case("no address")]
#[tokio::test]
async fn only_addresses_of_the_web_are_fetched(#[case] text: &str) {
    let (server, cache) = (Server::empty().await, tempfile::tempdir().unwrap());
    let refused = fetch(&host(&server, cache.path()), Access::Online, &[file(text)])
        .await
        .unwrap_err();
    assert!(!refused.is_infrastructure(), "{refused}");
}
