//! A cluster in which several runs, and others, left something.

use serde_json::{Value, json};

use super::*;
use crate::{
    api_server::{ApiServer, directory_in_memory, kubeconfig},
    cluster::{ExistingCluster, open},
};

/// An object that bears the label of a run, as this field manager has written it.
fn object(api_version: &str, kind: &str, name: &str, run: &str, manager: &str) -> Value {
    let namespace = (kind == "ConfigMap" || kind == "Secret").then_some("default");
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace,
        "labels": {mark::RUN_LABEL: run, "owner": "helm", "name": "pool"},
        "managedFields": [{"manager": manager, "operation": "Apply"}]}})
}

#[tokio::test(start_paused = true)]
async fn what_the_named_run_left_goes_and_what_bears_a_copy_of_its_label_stays() {
    let server = ApiServer::new();
    for one in [
        object("v1", "ConfigMap", "ours", "ab12", "quickproof"),
        object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            "ours",
            "ab12",
            "quickproof",
        ),
        object("v1", "Namespace", "ours", "ab12", "quickproof"),
        object("v1", "Secret", "sh.helm.release.v1.pool.v1", "ab12", "quickproof"),
        object("v1", "ConfigMap", "of-another-run", "cd34", "quickproof"),
        object("v1", "ConfigMap", "copied", "ab12", "kubectl"),
    ] {
        server.put(one);
    }
    let desk = directory_in_memory();
    let config = desk.path().join("config");
    std::fs::write(&config, kubeconfig("http://in-memory.test")).unwrap();
    let state = desk.path().to_str().unwrap();
    let host = Host::with_variables([("XDG_STATE_HOME", state), ("PATH", "/nowhere")]).on_network(server.dialled());
    let (events, which) = (Events::unheard(), ExistingCluster::Named("theirs".into()));
    let limit = std::time::Duration::from_secs(9);
    let cluster = open(&host, &which, Some(&config), limit, &events).await.unwrap();

    let Labelled { mut runs, unseen } = left_in(&cluster).await.unwrap();
    assert_eq!(unseen, [""; 0]);
    assert_eq!(runs.keys().collect::<Vec<_>>(), ["ab12", "cd34"]);
    let made = runs.remove("ab12").unwrap();
    let named: Vec<String> = made.iter().map(ToString::to_string).collect();
    assert_eq!(named[0], "Namespace ours in theirs", "it is taken away last: {named:?}");
    assert!(
        named.contains(&"helm release default/pool in theirs".to_owned()),
        "{named:?}"
    );

    assert!(!goes_on_here(&host, "ab12").unwrap());
    let turn = Turn::take(&host, &events).await.unwrap();
    let taken = take_away(&host, "ab12", &cluster, made, &turn, &events).await.unwrap();
    let stays = |(made, fate): &(Made, Fate)| matches!(fate, Fate::Left(_)).then(|| made.to_string());
    let stay: Vec<String> = taken.iter().filter_map(stays).collect();
    // There is no helm here; what it has installed stays in an inventory.
    assert_eq!(stay, ["helm release default/pool in theirs"]);
    let left = server.objects();
    for gone in ["ConfigMap default/ours", "ClusterRole ours", "Namespace ours"] {
        assert!(!left.contains(&gone.to_owned()), "{left:?}");
    }
    for there in ["ConfigMap default/of-another-run", "ConfigMap default/copied"] {
        assert!(left.contains(&there.to_owned()), "{left:?}");
    }
}
