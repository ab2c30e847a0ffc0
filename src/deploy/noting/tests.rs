//! A run that helm and a provider's program have installed for is killed, and reaped; against an API server of the test and
//! programs that the test wrote. What the API server has are files, each named by resource and name and holding a uid; the
//! programs make and remove them.

use std::{collections::BTreeMap, fs, path::PathBuf};

use axum::{
    body::{Body, Bytes},
    http::{Method, Response, Uri},
};
use rstest::rstest;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::{
    cluster::{
        inventory::{Inventories, ProcessName},
        reap::{Reaped, Scope, Turn, reap},
        teardown::Fate,
    },
    deploy::{Carried, fake::deployer},
    host::{Host, fake},
    plan::{Action, Chart, Step, Witness},
    record::{Events, Provenance},
    verdict::Weight,
};

const RECORD: &str = "secrets.sh.helm.release.v1.epp.v1";
const ISTIOD: &str = "deployments.istiod";
const NAMESPACE: &str = "namespaces.istio-system";

/// What the API server answers to a request about what lies in `there`.
fn answered(there: &std::path::Path, method: &Method, uri: &Uri, sent: &Bytes) -> (u16, Value) {
    let status = |code: u16| {
        let reason = if code == 404 { "NotFound" } else { "r" };
        let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "m"});
        (code, status)
    };
    let mut ends = uri.path().rsplit('/');
    let (name, resource) = (ends.next().unwrap_or_default(), ends.next().unwrap_or_default());
    let object = there.join(format!("{resource}.{name}"));
    let uid = fs::read_to_string(&object).ok();
    match (uri.path(), uid) {
        ("/version", _) => {
            let keys = "major minor gitVersion gitCommit gitTreeState buildDate goVersion compiler platform";
            let version: BTreeMap<&str, &str> = keys.split(' ').map(|key| (key, "1")).collect();
            (200, json!(version))
        }
        ("/api/v1", _) => (
            200,
            json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
                {"name": "namespaces", "singularName": "", "namespaced": false, "kind": "Namespace", "verbs": ["delete"]}]}),
        ),
        (_, Some(uid)) if method == Method::DELETE => {
            let sent: Value = serde_json::from_slice(sent).unwrap();
            if sent["preconditions"]["uid"] != *uid {
                return status(409);
            }
            fs::remove_file(&object).unwrap();
            (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
        }
        (_, Some(uid)) => {
            let metadata = json!({"name": name, "uid": uid});
            (
                200,
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}),
            )
        }
        (_, None) if ["pods", "deployments", "services", "secrets"].contains(&name) => {
            let is_it = |file: &PathBuf| file.to_string_lossy().contains("secrets.");
            let files = fs::read_dir(there).unwrap().map(|file| file.unwrap().path());
            let items: Vec<Value> = files
                .filter(|file| name == "secrets" && is_it(file))
                .map(|_| json!({"metadata": {"name": "s"}}))
                .collect();
            (
                200,
                json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}),
            )
        }
        (_, None) => status(404),
    }
}

/// Somebody else's cluster, a person's kubeconfig that names another one as current, and programs in `bin`.
struct Desk {
    directory: tempfile::TempDir,
    host: Host,
    _serving: AbortOnDropHandle<()>,
}

impl Desk {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let there = at("there");
        fs::create_dir(&there).unwrap();
        for (program, made) in [("helm", RECORD), ("istioctl", ISTIOD)] {
            fs::create_dir_all(at("bin")).unwrap();
            // Both leave what they do in a file, and the context that they are led to.
            let text = format!(
                r#"cd {directory}
                echo "{program} $*" >>done
                cat "${{KUBECONFIG%%:*}}" >>contexts
                case "$*" in
                    install*) printf u-{program} >there/{made}; echo '{{"manifest": ""}}'
                        test {program} = helm || printf u-namespace >there/{NAMESPACE} ;;
                    uninstall*) rm there/{made} ;;
                esac"#,
                directory = directory.path().display()
            );
            fake::script(&at("bin").join(program), &text).await;
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let answer = move |method: Method, uri: Uri, sent: Bytes| {
            let there = there.clone();
            async move {
                if uri.query().unwrap_or_default().contains("watch=true") {
                    let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
                    return Response::new(Body::from_stream(never));
                }
                let (code, answer) = answered(&there, &method, &uri, &sent);
                let response = Response::builder()
                    .status(code)
                    .header("content-type", "application/json");
                response.body(Body::from(answer.to_string())).unwrap()
            }
        };
        let router = axum::Router::new().fallback(answer);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "production",
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{server}")}}],
            "contexts": [{"name": "theirs", "context": {"cluster": "c"}}],
        });
        fs::write(at("config"), kubeconfig.to_string()).unwrap();
        let path = format!("{}:/bin:/usr/bin", at("path").display());
        Self {
            host: Host::with_variables([("XDG_STATE_HOME", at("state").to_str().unwrap()), ("PATH", &path)]),
            directory,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn deployer(&self) -> Deployer {
        deployer(&self.host, self.directory.path(), &["helm", "istioctl"]).await
    }

    /// Has both install, as a run would.
    async fn installed(&self) -> Deployer {
        let deployer = self.deployer().await;
        install_provider(&deployer).await.unwrap();
        install_chart(&deployer).await.unwrap();
        deployer
    }

    /// The run is gone, as after a `kill -9`: nobody took anything away.
    fn kill(&self) {
        self.kill_when(|made| made);
    }

    /// The same where the inventory was as `then` makes it.
    fn kill_when(&self, then: fn(Made) -> Made) {
        for (path, mut listing) in Inventories::all(&self.host).unwrap().readable {
            listing.made = listing.made.into_iter().map(then).collect();
            listing.process = ProcessName {
                started: 0,
                ..listing.process
            };
            listing.write(&path).unwrap();
        }
    }

    async fn reap(&self) -> Vec<Reaped> {
        let events = Events::unheard();
        let turn = Turn::take(&self.host, &events).await.unwrap();
        reap(&self.host, Scope::Dead, &turn, &events).await.unwrap()
    }

    /// What the cluster has.
    fn there(&self) -> Vec<String> {
        let files = fs::read_dir(self.at("there")).unwrap();
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// What the programs were called with, in order.
    fn done(&self) -> Vec<String> {
        let done = fs::read_to_string(self.at("done")).unwrap_or_default();
        done.lines().map(ToOwned::to_owned).collect()
    }

    fn has_inventory(&self) -> bool {
        !Inventories::all(&self.host).unwrap().readable.is_empty()
    }
}

async fn install_chart(deployer: &Deployer) -> Result<Carried, Fault> {
    let step = Step {
        check: "helm".into(),
        from: Provenance {
            file: "guide.md".into(),
            line: 1,
            section: String::new(),
        },
        command: "helm install epp".into(),
        sentence: "it is installed".into(),
        action: Action::Helm {
            release: "epp".into(),
            chart: Chart::Published {
                reference: "oci://charts.invalid/epp".into(),
            },
            version: None,
            values: Vec::new(),
            set: Vec::new(),
            namespace: None,
            makes_namespace: false,
        },
        weight: Weight::Gate,
        known: None,
        origin: None,
        programs: Vec::new(),
        resources: None,
        images: std::collections::BTreeSet::new(),
    };
    deployer.install_chart(&step).await
}

async fn install_provider(deployer: &Deployer) -> Result<Carried, Fault> {
    let witness = Witness {
        namespace: "istio-system".into(),
        deployment: "istiod".into(),
    };
    deployer
        .install_provider("istioctl", &["install".into()], &witness)
        .await
}

#[tokio::test]
async fn what_helm_and_a_provider_installed_for_a_run_that_was_killed_is_reaped() {
    let desk = Desk::new().await;
    drop(desk.installed().await);
    assert_eq!(desk.there(), [ISTIOD, NAMESPACE, RECORD]);
    desk.kill();
    let reaped: Vec<(String, Fate)> = desk.reap().await.into_iter().map(|one| (one.what, one.fate)).collect();
    let removed = |what: &str| (format!("{what} in theirs"), Fate::Removed);
    assert_eq!(
        reaped,
        [
            removed("helm release n/epp"),
            removed("what istioctl installed"),
            removed("Namespace istio-system"),
        ]
    );
    assert_eq!(
        desk.done()[2..],
        ["helm uninstall epp --namespace n", "istioctl uninstall -y --purge"]
    );
    assert!(desk.there().is_empty() && !desk.has_inventory());
    let contexts = fs::read_to_string(desk.at("contexts")).unwrap();
    assert_eq!(
        contexts.matches(r#""current-context":"theirs""#).count(),
        4,
        "{contexts}"
    );
}

#[tokio::test]
async fn what_took_the_place_of_what_was_installed_is_left_alone() {
    let desk = Desk::new().await;
    drop(desk.installed().await);
    desk.kill();
    for name in [ISTIOD, NAMESPACE, RECORD] {
        fs::write(desk.at("there").join(name), "u-of-somebody-else").unwrap();
    }
    let reaped = desk.reap().await;
    assert!(reaped.iter().all(|one| one.fate == Fate::Absent), "{reaped:?}");
    assert_eq!(desk.there(), [ISTIOD, NAMESPACE, RECORD]);
    assert_eq!(desk.done().len(), 2, "nothing was uninstalled: {:?}", desk.done());
}

#[tokio::test]
async fn what_cannot_be_proven_to_be_ours_is_left_and_said_with_the_way_out() {
    let desk = Desk::new().await;
    drop(desk.installed().await);
    desk.kill_when(|made| made.with_uid(None));
    let reaped = desk.reap().await;
    let says = |one: &Reaped, words: &str| matches!(&one.fate, Fate::Left(why) if why.contains(words));
    assert!(
        says(
            &reaped[0],
            "by hand: helm uninstall epp --namespace n --kube-context theirs"
        ),
        "{reaped:?}"
    );
    assert!(says(&reaped[1], "by hand: istioctl uninstall -y --purge"), "{reaped:?}");
    assert!(says(&reaped[2], "uid"), "{reaped:?}");
    assert!(desk.there().len() == 3 && desk.has_inventory());
}

#[tokio::test]
async fn an_installation_that_was_cut_short_before_anything_could_be_told_is_taken_away() {
    let desk = Desk::new().await;
    drop(desk.installed().await);
    fs::remove_file(desk.at("there").join(RECORD)).unwrap();
    fs::rename(desk.at("there").join(ISTIOD), desk.at("there/deployments.other")).unwrap();
    fs::write(desk.at("there").join("removed-by-its-program"), "").unwrap();
    let uninstall = format!(
        "cd {}; rm there/removed-by-its-program",
        desk.directory.path().display()
    );
    fake::script(&desk.at("bin/istioctl"), &uninstall).await;
    desk.kill_when(|made| made.with_uid(None));
    let reaped = desk.reap().await;
    // The release comes last: it was looked for once more.
    assert_eq!(
        (&reaped[0].fate, &reaped[2].fate),
        (&Fate::Removed, &Fate::Absent),
        "{reaped:?}"
    );
    assert_eq!(desk.there(), ["deployments.other", NAMESPACE]);
}

#[rstest]
#[case::on_path(true)]
#[case::nowhere(false)]
#[tokio::test]
async fn a_program_that_is_not_where_it_was_is_looked_for_on_path(#[case] on_path: bool) {
    let desk = Desk::new().await;
    drop(desk.installed().await);
    desk.kill();
    let to = if on_path { "path" } else { "elsewhere" };
    fs::rename(desk.at("bin"), desk.at(to)).unwrap();
    let reaped = desk.reap().await;
    if on_path {
        assert!(desk.there().is_empty() && !desk.has_inventory(), "{reaped:?}");
    } else {
        let says = |fate: &Fate| matches!(fate, Fate::Left(why) if why.contains("is not on PATH; install it"));
        assert!(says(&reaped[0].fate) && says(&reaped[1].fate), "{reaped:?}");
        assert!(desk.has_inventory());
    }
}

#[tokio::test]
async fn a_helm_release_of_somebody_else_is_neither_touched_nor_taken_for_ours() {
    let desk = Desk::new().await;
    let deployer = desk.deployer().await;
    fs::write(desk.at("there").join(RECORD), "u-of-somebody-else").unwrap();
    let failed = install_chart(&deployer).await.unwrap_err();
    assert_eq!(failed.cause.code, CauseCode::ObjectConflict);
    assert!(failed.actual.contains("helm release n/epp exists"), "{}", failed.actual);
    assert!(desk.done().is_empty() && deployer.site.inventory.made().is_empty());
}

#[tokio::test]
async fn a_provider_that_is_there_is_used_and_never_taken_for_ours() {
    let desk = Desk::new().await;
    let deployer = desk.deployer().await;
    fs::write(desk.at("there").join(ISTIOD), "u-of-somebody-else").unwrap();
    install_provider(&deployer).await.unwrap();
    assert!(desk.done().is_empty() && deployer.site.inventory.made().is_empty());
}

#[tokio::test]
async fn the_uid_of_what_a_program_makes_is_noted_while_it_still_runs() {
    let desk = Desk::new().await;
    let slow = format!(
        "cd {}; printf u-1 >there/{ISTIOD}; sleep 600",
        desk.directory.path().display()
    );
    fake::script(&desk.at("bin/istioctl"), &slow).await;
    let deployer = desk.deployer().await;
    let is_known = async {
        let known = |made: &Made| matches!(made, Made::Provider(noted) if noted.uid.as_deref() == Some("u-1"));
        let look = async |_| {
            let found = deployer.site.inventory.made().iter().any(known);
            found.then_some(()).ok_or(())
        };
        poll(Duration::from_secs(15), Duration::from_millis(20), look).await
    };
    tokio::select! {
        known = is_known => known.unwrap(),
        ended = install_provider(&deployer) => panic!("{ended:?}"),
    }
}
