use std::io::Write as _;

use rstest::rstest;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use super::*;
use crate::{host::Host, images::recipe::read_all, record::Events};

/// An archive with one file.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&tar.into_inner().unwrap()).unwrap();
    packed.finish().unwrap()
}

fn said_of(bytes: &[u8]) -> String {
    format!("{}  helm.tar.gz\n", sha256(bytes).trim_start_matches("sha256:"))
}

/// What comes of a download from a server that answers these two questions so; `None` is no server at all.
async fn downloaded(answers: Option<(ResponseTemplate, ResponseTemplate)>) -> Result<Option<String>, String> {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::of(&Host::with_variables([(
        "XDG_CACHE_HOME",
        directory.path().to_str().unwrap(),
    )]));
    let server = MockServer::start().await;
    let mut uri = server.uri();
    if let Some((checksum, archive)) = answers {
        Mock::given(path("/sum")).respond_with(checksum).mount(&server).await;
        Mock::given(path("/tgz")).respond_with(archive).mount(&server).await;
    } else {
        // Port 1 is reserved, and nobody listens there.
        uri = "http://127.0.0.1:1".to_owned();
    }
    let from = Download {
        archive: format!("{uri}/tgz"),
        checksum: format!("{uri}/sum"),
        take: "linux-amd64/helm".into(),
    };
    let recipe = &read_all().unwrap()["helm"];
    let progress = Progress::new(&Events::unheard());
    let had = download(&store, recipe, &from, &progress).await;
    let had = had.map_err(|error| error.to_string())?;
    assert_eq!(had.is_some(), place(&store, recipe).exists());
    Ok(had.map(|path| std::fs::read_to_string(path).unwrap()))
}

fn ok(body: impl Into<Vec<u8>>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_bytes(body)
}

#[tokio::test]
async fn what_is_published_is_taken_where_its_checksum_says_so() {
    let archive = archive("linux-amd64/helm", b"#!/bin/sh\n");
    let had = downloaded(Some((ok(said_of(&archive)), ok(archive)))).await;
    assert_eq!(had, Ok(Some("#!/bin/sh\n".into())));
}

#[tokio::test]
async fn nobody_there_is_no_error_and_no_program() {
    assert_eq!(downloaded(None).await, Ok(None));
}

#[rstest]
#[case::other_bytes(
    ok(said_of(b"other")),
    ok(archive("linux-amd64/helm", b"x")),
    "and its checksum says"
)]
#[case::no_checksum(ok("<html>"), ok("x"), "gives no SHA-256")]
#[case::not_there(ResponseTemplate::new(404), ok("x"), "answers 404")]
#[case::archive_not_there(ok(said_of(b"x")), ResponseTemplate::new(404), "answers 404")]
#[case::no_archive(ok(said_of(b"x")), ok("x"), "is no archive that can be read")]
#[case::without_the_program(
    ok(said_of(&archive("helm", b"x"))),
    ok(archive("helm", b"x")),
    "has no file `linux-amd64/helm`"
)]
#[case::too_many_requests(
    ResponseTemplate::new(429).insert_header("retry-after", "60"),
    ok("x"),
    "put the program on PATH"
)]
#[tokio::test]
async fn somebody_who_answers_with_something_else_is_an_error(
    #[case] checksum: ResponseTemplate,
    #[case] archive: ResponseTemplate,
    #[case] said: &str,
) {
    let error = downloaded(Some((checksum, archive))).await.unwrap_err();
    assert!(error.contains(said), "{error}");
    assert!(error.contains("PATH"), "{error}");
}

/// The address holds the version that the recipe makes, so that one is not changed without the other.
#[test]
fn what_is_published_is_of_the_recipes_version() {
    let recipes = read_all().unwrap();
    let published = recipes
        .values()
        .filter_map(|recipe| Some((recipe, recipe.published.as_ref()?)));
    let mut count = 0;
    for (recipe, from) in published {
        count += 1;
        for address in [&from.archive, &from.checksum] {
            assert!(
                address.contains(&recipe.version) && address.starts_with("https://"),
                "{address}"
            );
        }
        assert!(from.checksum.starts_with(&from.archive), "{}", from.checksum);
        let here = from.here().unwrap();
        assert!(!format!("{here:?}").contains('{') || !here.archive.contains("{machine}"));
    }
    assert_eq!(count, 2, "helm and istioctl");
}
