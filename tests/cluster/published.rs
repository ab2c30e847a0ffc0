//! A release that is published, on a cluster: every address of the guide leads to a server on this machine, which plays
//! GitHub and the registry of its charts.

use std::{fs, path::Path};

use quickproof::{host::Host, images, record::Events};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    bench::{Ran, beside_others, copied, output, verify_with},
    existing::cluster,
    github::{REPOSITORY, Ready, Server, archive},
    release::{fails_at_the_variable_in_single_quotes, mend_request, passes_but_for_the_removed_flag, tree_of},
};

pub(crate) const TAG: &str = "v1.5.0";
/// The chart that the guide installs, in its registry.
const CHART: &str = "registry.k8s.io/gateway-api-inference-extension/charts/inferencepool";

/// The media type of an image manifest (OCI image specification), in which a registry keeps charts too.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A server that has published a tree: the tag, the archive, the files, the asset, the chart.
pub(crate) async fn publish(tree: &Path) -> Server {
    let server = Server::empty().await;
    // Named by what it holds: archives are kept by commit.
    let commit = digest(&archive(tree, ""))[..40].to_owned();
    server.list(&[
        format!("{commit} refs/heads/release-1.5"),
        format!("{} refs/tags/{TAG} peeled:{commit}", "a".repeat(40)),
    ]);
    server.lay(
        &format!("archive/{commit}.tar.gz"),
        Ready::new(200, archive(tree, &commit)),
    );
    let releases = json!([{"tag_name": "v1.6.0-rc.1", "prerelease": true}, {"tag_name": TAG, "prerelease": false}]);
    server.lay(
        &format!("repos/{REPOSITORY}/releases"),
        Ready::new(200, releases.to_string()),
    );
    for file in files(&tree.join("config/manifests")) {
        let path = file.strip_prefix(tree).unwrap().to_str().unwrap();
        let end = format!("{REPOSITORY}/refs/tags/{TAG}/{path}");
        server.lay(&end, Ready::new(200, fs::read(&file).unwrap()));
    }
    let crds = output("kubectl", &["kustomize", tree.join("config/crd").to_str().unwrap()]);
    let asset = format!("{REPOSITORY}/releases/download/{TAG}/manifests.yaml");
    server.lay(&asset, Ready::new(200, crds));
    lay_chart(&server, &packaged(tree).await);
    server
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// The chart of a tree, as publication packages it.
async fn packaged(tree: &Path) -> Vec<u8> {
    let helm = images::program(&Host::real(), "helm", &Events::unheard())
        .await
        .unwrap();
    // helm writes beside the chart what it depends on.
    let charts = copied(&tree.join("config/charts"));
    let (chart, packages) = (charts.path().join("inferencepool"), tempfile::tempdir().unwrap());
    let version = ["--version", TAG, "--app-version", TAG];
    let to = [
        "--destination",
        packages.path().to_str().unwrap(),
        chart.to_str().unwrap(),
    ];
    let arguments = [&["package", "--dependency-update"][..], &version, &to].concat();
    output(helm.path.to_str().unwrap(), &arguments);
    fs::read(packages.path().join(format!("inferencepool-{TAG}.tgz"))).unwrap()
}

/// Lays a chart ready as a registry has it (OCI distribution specification; media types of helm).
fn lay_chart(server: &Server, package: &[u8]) {
    let configuration = json!({"apiVersion": "v2", "name": "inferencepool", "version": TAG}).to_string();
    let described = |media: &str, bytes: &[u8]| -> Value {
        let media = format!("application/vnd.cncf.helm.{media}");
        json!({"mediaType": media, "digest": format!("sha256:{}", digest(bytes)), "size": bytes.len()})
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described("config.v1+json", configuration.as_bytes()),
        "layers": [described("chart.content.v1.tar+gzip", package)],
    })
    .to_string();
    let named = format!("sha256:{}", digest(manifest.as_bytes()));
    for end in [TAG, &named] {
        let ready = Ready::new(200, manifest.clone())
            .header("content-type", MANIFEST)
            .header("docker-content-digest", named.clone());
        server.lay(&format!("v2/{CHART}/manifests/{end}"), ready);
    }
    for blob in [configuration.as_bytes(), package] {
        server.lay(
            &format!("v2/{CHART}/blobs/sha256:{}", digest(blob)),
            Ready::new(200, blob),
        );
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Runs the quickstart of the tag as everybody has it.
fn run(server: &Server, place: &[&str]) -> Ran {
    let mirrors = ["GITHUB_URL", "GITHUB_API_URL", "GITHUB_RAW_URL", "CHARTS_URL"];
    let variables = mirrors.map(|name| (format!("QUICKPROOF_{name}"), server.url.clone()));
    // No registry has these images: without a word they would be pulled.
    let arguments = [
        "--release",
        TAG,
        "--phase",
        "after-publish",
        "--images",
        "build",
        "--profile",
        "small",
    ];
    verify_with(&[arguments.as_slice(), place].concat(), &variables)
}

/// What the guide names was asked for, and nothing of it was had from a tree.
#[track_caller]
fn was_read_from_the_web(ran: &Ran, server: &Server) {
    for end in [
        &format!("repos/{REPOSITORY}/releases"),
        &format!("releases/download/{TAG}/manifests.yaml"),
        &format!("refs/tags/{TAG}/config/manifests/vllm/sim-deployment.yaml"),
        &format!("refs/tags/{TAG}/config/manifests/gateway/istio/gateway.yaml"),
        &format!("v2/{CHART}/manifests/{TAG}"),
    ] {
        assert!(server.count(end) > 0, "{end}: {:?}", server.asked());
    }
    assert_eq!(ran.substituted("of the tree"), Vec::<&Value>::new());
    assert_eq!(ran.substituted("the bundle is built"), Vec::<&Value>::new());
    assert_eq!(ran.substituted("the chart is read from").len(), 1, "the mirror is said");
    assert_eq!(ran.report["subject"]["phase"], "after-publish");
}

#[tokio::test(flavor = "multi_thread")]
async fn v1_5_0_as_it_is_published_fails_at_the_variable_in_single_quotes() {
    let _turn = beside_others();
    let Some(tree) = tree_of(TAG) else { return };
    let server = publish(&tree).await;
    // In the cluster that has CRDs and gateway already.
    let ran = run(&server, &["--cluster", cluster().name, "-n", "published"]);
    fails_at_the_variable_in_single_quotes(&ran);
    was_read_from_the_web(&ran, &server);
}

#[tokio::test(flavor = "multi_thread")]
async fn v1_5_0_published_with_its_request_mended_passes() {
    let _turn = beside_others();
    let Some(tree) = tree_of(TAG) else { return };
    let mended = copied(&tree);
    mend_request(mended.path());
    let server = publish(mended.path()).await;
    let ran = run(&server, &[]);
    passes_but_for_the_removed_flag(&ran);
    assert_eq!(
        ran.substituted("used as found"),
        Vec::<&Value>::new(),
        "the asset itself is applied"
    );
    was_read_from_the_web(&ran, &server);
}
