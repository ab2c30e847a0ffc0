//! The ordinary road: registries answer, the nodes pull, and nothing is substituted. All of it in the stand-in internet.

use std::path::Path;

use serde_json::Value;

use crate::{
    bench::{Ran, alone, cluster_down, copied, ended, output, quickproof, replace},
    existing::cluster,
    internet::{Internet, Trouble},
    published::TAG,
    release::{mend_request, passes_but_for_the_removed_flag, tree_of},
};

const PICKER: &str = "gateway-api-inference-extension/epp";
const SIMULATOR: &str = "llm-d/llm-d-inference-sim";
const DIGESTS: &str = "proof-image-digests";

/// What the engine did with images while something ran, by a line each.
struct EngineWatch {
    since: String,
}

impl EngineWatch {
    fn begin() -> Self {
        Self { since: now() }
    }

    /// Nothing was asked of it that has to do with having images.
    #[track_caller]
    fn saw_no_pull_and_no_load(&self) {
        let format = "{{.Type}} {{.Action}} {{.Actor.ID}}";
        let (since, until) = (self.since.as_str(), now());
        let arguments = [
            "events",
            "--since",
            since,
            "--until",
            &until,
            "--filter",
            "type=image",
            "--format",
            format,
        ];
        assert_eq!(output("docker", &arguments), "");
    }
}

fn now() -> String {
    output("date", &["+%s.%N"]).trim().to_owned()
}

/// Entries of the ledger that speak of images, or of something in the place of something.
fn substitutions(ran: &Ran) -> Vec<&Value> {
    let ledger = ran.report["ledger"].as_array().unwrap();
    let of = |entry: &&Value| ["substituted", "built"].contains(&entry["kind"].as_str().unwrap());
    ledger.iter().filter(of).collect()
}

/// What the ledger says of what the guide leaves open.
fn chosen(ran: &Ran) -> Vec<&str> {
    let ledger = ran.report["ledger"].as_array().unwrap();
    let chosen = ledger.iter().filter(|entry| entry["kind"] == "chosen");
    chosen.map(|entry| entry["what"].as_str().unwrap()).collect()
}

/// An image that the engine has under the name of another; the name is taken away when it is dropped.
struct OtherImage(&'static str);

impl OtherImage {
    fn of_the_engine(image: &str, name: &'static str) -> Self {
        output("docker", &["tag", image, name]);
        Self(name)
    }
}

impl Drop for OtherImage {
    fn drop(&mut self) {
        let _ = ended("docker", &["image", "rm", "--no-prune", self.0]);
    }
}

/// Has the guide say what stock Envoy needs: of Istio's images only the proxy is not what it is called, since its extensions of
/// Envoy are not made from packages (`when_built` of `manifests/providers/istio.yaml`).
fn suit_the_proxy(tree: &Path) {
    let install = "./istio-$ISTIO_VERSION/bin/istioctl install \\\n";
    let settings = [
        "values.telemetry.enabled=false",
        "values.pilot.env.PILOT_ENABLE_ALPN_FILTER=false",
        "values.pilot.env.PILOT_ENABLE_METADATA_EXCHANGE=false",
    ]
    .map(|setting| format!("          --set {setting} \\\n"));
    let suited = format!("{install}{}", settings.concat());
    replace(&tree.join("site-src/guides/index.md"), install, &suited);
}

/// Hands the images of a release to our registry, from which the stand-in internet has them.
fn make_images(here: &Path, tree: &Path) {
    let plan = ["plan", "--release", TAG, "-o", "json", "--tree", tree.to_str().unwrap()];
    let plan = quickproof(here).args(plan).output().unwrap();
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    let images = plan["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["image"].as_str().unwrap());
    let made = quickproof(here)
        .args(["images", "build"])
        .args(images)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// What the run says of the digests of what runs.
#[track_caller]
fn of_digests(ran: &Ran) -> String {
    let decision = ran
        .decision(DIGESTS)
        .unwrap_or_else(|| panic!("{DIGESTS} was not decided"));
    assert_eq!(decision["finding"]["cause"]["code"], "image-other", "{decision}");
    decision["finding"]["cause"]["evidence"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_release_is_pulled_by_the_nodes_and_each_registrys_fault_has_its_own_blame() {
    let _turn = alone();
    let Some(tree) = tree_of(TAG) else { return };
    if output("id", &["-u"]).trim() != "0" {
        eprintln!("not run: only root can give a program a /etc/hosts of its own");
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let mended = copied(&tree);
    mend_request(mended.path());
    suit_the_proxy(mended.path());
    make_images(here.path(), mended.path());
    let node = format!("{}-control-plane", cluster().name);
    let node_image = output("docker", &["inspect", "--format", "{{.Config.Image}}", &node]);
    let internet = Internet::with_published(mended.path(), node_image.trim()).await;

    // The engine has another image under a name of the release, and is not even asked.
    let _other = OtherImage::of_the_engine(node_image.trim(), "ghcr.io/llm-d/llm-d-inference-sim:v0.8.2");
    let engine = EngineWatch::begin();
    let published = [
        "--release",
        TAG,
        "--phase",
        "after-publish",
        "--profile",
        "small",
        "--keep",
    ];
    let ran = internet.verify(&published);
    engine.saw_no_pull_and_no_load();
    passes_but_for_the_removed_flag(&ran);
    ran.holds(&[DIGESTS]);
    assert_eq!(substitutions(&ran), Vec::<&Value>::new());
    assert_eq!(
        chosen(&ran),
        [
            "`helm` 3.19.0 runs as get.helm.sh has it",
            "`istioctl` 1.28.0 runs as github.com has it"
        ]
    );
    for repository in [PICKER, SIMULATOR, "istio/pilot", "istio/proxyv2"] {
        assert!(internet.gave(repository), "{repository} was pulled");
    }

    let kept = Kept::of(&ran);
    let pulled = |namespace: &str, tree: &Path| {
        let place = [
            "--cluster",
            &kept.name,
            "-n",
            namespace,
            "--images",
            "pull",
            "--tree",
            tree.to_str().unwrap(),
        ];
        internet.verify(&[&["--release", TAG, "--profile", "small"], &place[..]].concat())
    };
    // Before it is published a release's files stand in for its addresses, and its images are pulled all the same.
    let engine = EngineWatch::begin();
    let ran = pulled("before", mended.path());
    engine.saw_no_pull_and_no_load();
    passes_but_for_the_removed_flag(&ran);
    ran.holds(&[DIGESTS]);
    let built: Vec<&Value> = substitutions(&ran);
    assert!(built.iter().all(|entry| entry["kind"] != "built"), "{built:?}");

    internet.only_trouble(PICKER, Trouble::MovesOnceAsked);
    let ran = pulled("moves", mended.path());
    ran.expect(1, "failed", Some("image-other"));
    assert!(
        of_digests(&ran).contains("its tag was moved meanwhile"),
        "{}",
        of_digests(&ran)
    );

    // The node has what the tag led to before.
    internet.only_trouble(PICKER, Trouble::Moved);
    let ran = pulled("older", mended.path());
    ran.expect(1, "failed", Some("image-other"));
    assert!(!of_digests(&ran).contains("moved"), "{}", of_digests(&ran));

    each_fault_has_its_own_blame(&internet, mended.path(), &pulled);

    // Where one registry of several is silent nothing decides whether published images are to be tested.
    internet.only_trouble("registry.k8s.io", Trouble::Silent);
    let ran = internet.verify(&[
        "--release",
        TAG,
        "--images",
        "auto",
        "--tree",
        mended.path().to_str().unwrap(),
    ]);
    ran.expect(3, "errored", Some("registry-not-answering"));
    assert!(
        ran.stderr.contains("registry.k8s.io does not answer within 10 s") && ran.stderr.contains("ghcr.io answers"),
        "it is named with those that answer"
    );
}

fn each_fault_has_its_own_blame(internet: &Internet, tree: &Path, pulled: &dyn Fn(&str, &Path) -> Ran) {
    // An image that the node has not.
    let other = copied(tree);
    let file = other.path().join("config/manifests/vllm/sim-deployment.yaml");
    replace(&file, "llm-d-inference-sim:v0.8.2", "llm-d-inference-sim:v0.8.2-other");
    for (trouble, cause, said) in [
        (
            Trouble::Status(401, &[]),
            "registry-not-answering",
            "it is private, or no such repository exists",
        ),
        (
            Trouble::Status(429, &[("retry-after", "600")]),
            "registry-not-answering",
            "a pause of 600 s",
        ),
        (
            Trouble::Status(503, &[]),
            "registry-not-answering",
            "answers 503 Service Unavailable",
        ),
        (Trouble::WrongDigest, "pod-image-pull", "not the image's fault"),
        (Trouble::CutOff, "pod-image-pull", "not the image's fault"),
    ] {
        internet.only_trouble(SIMULATOR, trouble);
        let ran = pulled("faulty", other.path());
        ran.expect(3, "errored", Some(cause));
        assert!(
            ran.report.to_string().contains(said),
            "{trouble:?}: {}",
            ran.report["decisions"]
        );
    }
}

/// The cluster of a run that was kept; taken away when it is dropped.
struct Kept {
    name: String,
}

impl Kept {
    fn of(ran: &Ran) -> Self {
        let run = ran.report["run"].as_str().unwrap();
        Self {
            name: format!("quickproof-{run}"),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let here = tempfile::tempdir().unwrap();
        cluster_down(here.path(), self.name.trim_start_matches("quickproof-"));
    }
}
