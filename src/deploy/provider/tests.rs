//! A provider's program that fails, in somebody else's cluster: against an API server of the test, with a program that the test
//! wrote.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::{
    api_server::{ApiServer, Verb, kubeconfig},
    deploy::fake::deployer,
    host::{Host, fake, poll},
};

const WITNESS: (&str, &str) = ("istio-system", "istiod");

/// Whether the pods of the provider's namespace were looked at.
async fn looked_at(server: &ApiServer) {
    let looked = poll(Duration::from_secs(10), Duration::from_millis(10), async |_| {
        let asked = server.asked();
        let is_it = |one: &crate::api_server::Asked| {
            one.verb == Verb::List && one.resource == "pods" && one.namespace.as_deref() == Some(WITNESS.0)
        };
        asked.iter().any(is_it).then_some(()).ok_or(())
    });
    looked.await.unwrap();
}

/// The cause of a program that says this and fails, once this pod is there.
async fn cause(said: &str, reason: &str, message: &str) -> CauseCode {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("config"), kubeconfig("http://in-memory.test")).unwrap();
    std::fs::write(at("said"), said).unwrap();
    // It goes on when there is a pod.
    let text = format!(
        "cd {}\nwhile test ! -e go; do sleep 0.02; done\ncat said >&2\nexit 1",
        directory.path().display()
    );
    std::fs::create_dir(at("bin")).unwrap();
    fake::script(&at("bin/istioctl"), &text).await;
    let server = ApiServer::new();
    let state = at("state").to_str().unwrap().to_owned();
    let host =
        Host::with_variables([("XDG_STATE_HOME", &state), ("PATH", "/bin:/usr/bin")]).on_network(server.dialled());
    let deployer = deployer(&host, directory.path(), &["istioctl"]).await;
    let pod = |name: &str, reason: &str, message: &str| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": WITNESS.0},
            "status": {"containerStatuses": [{"name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": {"waiting": {"reason": reason, "message": message}}}]}})
    };
    // What is there before is somebody else's, and tells nothing.
    server.put(pod("before", "ErrImagePull", "x: not found"));
    let witness = Witness {
        namespace: WITNESS.0.into(),
        deployment: WITNESS.1.into(),
    };
    let arguments = ["install".to_owned()];
    let installing = deployer.install_provider("istioctl", &arguments, &witness);
    let pods = async {
        looked_at(&server).await;
        server.put(pod("proxy", reason, message));
        std::fs::write(at("go"), "").unwrap();
    };
    let (installed, ()) = tokio::join!(installing, pods);
    installed.unwrap_err().cause.code
}

const WAITED: &str = "Error: failed to install manifests: resources not ready after 5m0s: timed out";

#[rstest]
#[case::no_registry_answers(WAITED, "ErrImagePull", "dial tcp: i/o timeout", CauseCode::PodImagePull)]
#[case::the_image_is_not_there(WAITED, "ErrImagePull", "proxyv2:9: not found", CauseCode::PodImageNotFound)]
#[case::the_program_says_it(WAITED, "ContainerCreating", "", CauseCode::ProviderInstallFailed)]
#[case::the_api_server_is_starved(
    "Error: Get \"https://127.0.0.1:1/apis/apps/v1/namespaces/istio-system/deployments\": net/http: TLS handshake timeout",
    "ContainerCreating",
    "",
    CauseCode::ApiServerAway
)]
#[case::etcd_is_starved(
    "Error: etcdserver: request timed out",
    "ContainerCreating",
    "",
    CauseCode::ApiServerAway
)]
#[tokio::test]
async fn a_program_fails_for_its_pods_for_the_api_server_or_for_what_it_says(
    #[case] said: &str,
    #[case] reason: &str,
    #[case] message: &str,
    #[case] expected: CauseCode,
) {
    assert_eq!(cause(said, reason, message).await, expected);
}

#[test]
fn a_job_is_done_when_it_is_complete_and_not_when_it_failed() {
    let job = |condition: &str, status: &str| -> Job {
        serde_json::from_value(json!({"metadata": {}, "status": {"failed": 2,
            "conditions": [{"type": condition, "status": status}]}}))
        .unwrap()
    };
    assert_eq!(job_is_done::<()>(Some(&job("Complete", "True"))), Progress::Ready(()));
    let not_yet = Progress::NotYet("not complete, 2 pods failed".into());
    assert_eq!(job_is_done::<()>(Some(&job("Complete", "False"))), not_yet);
    assert_eq!(job_is_done::<()>(Some(&job("Failed", "True"))), not_yet);
    assert!(matches!(job_is_done::<()>(None), Progress::NotYet(_)));
}
