//! CRDs had at run time: from a Go module, else from their publisher's URL.

use std::path::Path;

use quickproof::{
    host::Host,
    release::schemas::{self, Schema, SchemaError},
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

const CRD: &str = "apiVersion: v1\nkind: CustomResourceDefinition\nmetadata: {name: one}\n";

fn schema(url: Option<String>) -> Schema {
    Schema {
        module: "example.org/api".into(),
        version: "v1.0.0".into(),
        folder: "crds".into(),
        files: Vec::new(),
        url,
        step: None,
    }
}

/// The programs of tests, and those the stand-in for Go is written in.
fn path_with_go() -> String {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bin");
    format!("{}:/usr/bin:/bin", bin.display())
}

#[tokio::test]
async fn objects_come_from_the_folder_of_the_module_sorted_and_know_their_file() {
    let module = tempfile::tempdir().unwrap();
    std::fs::create_dir(module.path().join("crds")).unwrap();
    for (name, text) in [("b.yaml", CRD), ("a.yaml", CRD), ("notes.md", "x")] {
        std::fs::write(module.path().join("crds").join(name), text).unwrap();
    }
    let host = Host::with_variables([
        ("PATH", &path_with_go()),
        ("FAKE_MODULE", module.path().to_str().unwrap()),
    ]);
    let objects = schemas::objects(&host, &[schema(None)]).await.unwrap();
    let files: Vec<_> = objects.iter().map(|object| object.file.as_str()).collect();
    assert_eq!(
        files,
        [
            "example.org/api@v1.0.0/crds/a.yaml",
            "example.org/api@v1.0.0/crds/b.yaml"
        ]
    );
}

#[tokio::test]
async fn without_a_module_the_publishers_url_is_asked() {
    let server = MockServer::start().await;
    Mock::given(path("/crds.yaml"))
        .respond_with(ResponseTemplate::new(200).set_body_string(CRD))
        .mount(&server)
        .await;
    let url = Some(format!("{}/crds.yaml", server.uri()));
    let (no_go, go) = (tempfile::tempdir().unwrap(), path_with_go());
    let hosts = [
        Host::with_variables([("PATH", no_go.path().to_str().unwrap())]),
        Host::with_variables([("PATH", &go), ("FAKE_ERROR", "not found")]),
    ];
    for host in hosts {
        let objects = schemas::objects(&host, &[schema(url.clone())]).await.unwrap();
        assert_eq!(objects[0].file, "example.org/api@v1.0.0/crds/crds.yaml");
    }
}

#[tokio::test]
async fn what_cannot_be_had_says_which_way_failed() {
    let server = MockServer::start().await;
    let host = Host::with_variables([("PATH", &path_with_go()), ("FAKE_ERROR", "not found")]);
    let error = schemas::objects(&host, &[schema(None)]).await.unwrap_err();
    assert!(matches!(error, SchemaError::Module { .. }), "{error}");
    let url = Some(format!("{}/none.yaml", server.uri()));
    let error = schemas::objects(&host, &[schema(url)]).await.unwrap_err();
    assert!(matches!(error, SchemaError::Url { status: Some(404), .. }), "{error}");
}
