//! Scenarios that change the cluster: what they show, that everything is as before afterwards, and what is left of one that
//! is interrupted or killed in the middle.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use serde_json::Value;

use crate::{
    bench::{Ran, beside_others, copied, output, quickproof, replace, repository, verify},
    existing::cluster,
    release::{mend_request, tree_of},
};

/// The scenarios that change the cluster.
const CHANGING: [&str; 4] = ["--scenario", "empty-pool", "--scenario", "endpoint-picker-down.*"];

/// Runs them on a copy of the embedded quickstart, and keeps what it made.
fn kept(namespace: &str, change: impl FnOnce(&std::path::Path)) -> Ran {
    let tree = copied(&repository().join("manifests/quickstart"));
    change(tree.path());
    let place = ["--cluster", cluster().name, "-n", namespace, "--keep", "--tree"];
    verify(&[&place[..], &[tree.path().to_str().unwrap()], &CHANGING].concat())
}

/// Asked and Ready replicas of the Deployments of a namespace.
fn replicas(namespace: &str) -> Vec<String> {
    let template = "{range .items[*]}{.metadata.name} {.spec.replicas} {.status.readyReplicas}{\"\\n\"}{end}";
    let path = format!("jsonpath={template}");
    let said = cluster().kubectl(&["get", "deployments", "-n", namespace, "-o", &path]);
    let own = said.lines().filter(|line| line.starts_with("quickstart-"));
    own.map(str::to_owned).collect()
}

const AS_BEFORE: [&str; 2] = ["quickstart-epp 1 1", "quickstart-sim 3 3"];

fn take_away(namespace: &str) {
    cluster().kubectl(&["delete", "namespace", namespace, "--wait=true"]);
}

#[track_caller]
fn finding<'a>(ran: &'a Ran, check: &str) -> &'a Value {
    &ran.decision(check).unwrap_or_else(|| panic!("{check} was not decided"))["finding"]
}

#[track_caller]
fn all_hold(ran: &Ran, scenario: &str, checks: &[&str]) {
    for check in checks {
        let check = format!("{scenario}/{check}");
        assert_eq!(
            finding(ran, &check)["finding"],
            "holds",
            "{check}: {}",
            finding(ran, &check)
        );
    }
}

#[test]
fn an_empty_pool_and_an_endpoint_picker_that_is_down_are_shown_and_put_back() {
    let _turn = beside_others();
    let ran = kept("changes", |_| {});
    ran.expect(0, "passed", None);
    all_hold(
        &ran,
        "empty-pool",
        &["changed", "answer-status", "answered-by", "restored", "recovered"],
    );
    let open = "endpoint-picker-down-fail-open";
    all_hold(
        &ran,
        open,
        &[
            "changed",
            "answer-status",
            "answered-by",
            "passed-endpoint-picker",
            "restored",
            "recovered",
        ],
    );
    assert_eq!(finding(&ran, "endpoint-picker-down-fail-close")["finding"], "skipped");
    assert_eq!(replicas("changes"), AS_BEFORE);
    take_away("changes");
}

#[test]
fn a_pool_that_fails_closed_is_answered_with_errors_while_its_endpoint_picker_is_down() {
    let _turn = beside_others();
    let ran = kept("closed", |tree| {
        replace(
            &tree.join("pool.yaml"),
            "failureMode: FailOpen",
            "failureMode: FailClose",
        );
    });
    ran.expect(0, "passed", None);
    all_hold(
        &ran,
        "endpoint-picker-down-fail-close",
        &["changed", "status", "answered-by", "restored", "recovered"],
    );
    all_hold(&ran, "empty-pool", &["answer-status", "restored", "recovered"]);
    assert_eq!(replicas("closed"), AS_BEFORE);
    take_away("closed");
}

/// What Istio makes of a pool's route, but with the failure mode turned round.
const FAILS_OPEN: &str = "
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata:
  name: fails-open
spec:
  configPatches:
    - applyTo: HTTP_ROUTE
      match:
        context: GATEWAY
      patch:
        operation: MERGE
        value:
          typed_per_filter_config:
            envoy.filters.http.ext_proc:
              '@type': type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute
              overrides:
                failure_mode_allow: true
                grpc_service:
                  envoy_grpc:
                    cluster_name: outbound|9002||quickstart-epp.NAMESPACE.svc.cluster.local
                processing_mode:
                  request_header_mode: SEND
                  request_body_mode: FULL_DUPLEX_STREAMED
                  request_trailer_mode: SEND
                  response_header_mode: SEND
                  response_body_mode: FULL_DUPLEX_STREAMED
                  response_trailer_mode: SEND
";

#[test]
fn a_gateway_that_fails_open_although_the_pool_says_otherwise_is_red_and_put_back() {
    let _turn = beside_others();
    let ran = kept("turned-round", |tree| {
        let pool = tree.join("pool.yaml");
        replace(&pool, "failureMode: FailOpen", "failureMode: FailClose");
        let text = fs::read_to_string(&pool).unwrap();
        fs::write(&pool, text + &FAILS_OPEN.replace("NAMESPACE", "turned-round")).unwrap();
    });
    ran.expect(1, "failed", Some("failure-mode-not-kept"));
    let broken: Vec<&str> = ran.broken().iter().filter_map(|one| one["check"].as_str()).collect();
    assert_eq!(
        broken,
        ["endpoint-picker-down-fail-close/status"],
        "nothing else is wrong"
    );
    let cause = &finding(&ran, "endpoint-picker-down-fail-close/status")["cause"];
    assert_eq!(cause["evidence"][0], "the endpoint picker has 0 pods");
    all_hold(
        &ran,
        "endpoint-picker-down-fail-close",
        &["changed", "restored", "recovered"],
    );
    assert_eq!(replicas("turned-round"), AS_BEFORE);
    take_away("turned-round");
}

/// Envoy AI Gateway v1.0.0 fails closed whatever the pool says.
#[test]
fn a_provider_that_does_not_know_the_failure_mode_is_red_where_the_pool_fails_open() {
    let _turn = beside_others();
    let Some(tree) = tree_of("v1.5.0") else { return };
    let mended = copied(&tree);
    mend_request(mended.path());
    let tree = mended.path().to_str().unwrap();
    let of_release = [
        "--release",
        "v1.5.0",
        "--variant",
        "sim",
        "--profile",
        "small",
        "--tree",
        tree,
    ];
    let ran = verify(&[&of_release[..], &["--provider", "envoy-ai-gateway"], &CHANGING].concat());
    ran.expect(1, "failed", Some("failure-mode-not-kept"));
    let broken: Vec<&str> = ran.broken().iter().filter_map(|one| one["check"].as_str()).collect();
    assert_eq!(
        broken,
        ["endpoint-picker-down-fail-open/answer-status"],
        "nothing else is wrong"
    );
    all_hold(
        &ran,
        "endpoint-picker-down-fail-open",
        &["changed", "restored", "recovered"],
    );
    all_hold(
        &ran,
        "empty-pool",
        &["answer-status", "answered-by", "restored", "recovered"],
    );
}

/// Starts a run with a state directory of its own, which knows the cluster, and waits until the pool is about to be empty.
fn in_the_middle(
    directory: &std::path::Path,
    arguments: &[&str],
) -> (std::process::Child, BufReader<std::process::ChildStderr>) {
    let known = &cluster().kubeconfig;
    let (_, place) = known.split_once("/quickproof/").unwrap();
    let copy = directory.join("state/quickproof").join(place);
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    fs::copy(known, copy).unwrap();
    let mut run = quickproof(directory)
        .arg("verify")
        .args([
            "--cluster",
            cluster().name,
            "--scenario",
            "empty-pool",
            "--json-file",
            "record.json",
        ])
        .args(arguments)
        .env("XDG_STATE_HOME", directory.join("state"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(run.stderr.take().unwrap());
    let mut line = String::new();
    while said.read_line(&mut line).unwrap() > 0 && !line.contains("is scaled from 3 to 0") {
        line.clear();
    }
    assert!(!line.is_empty(), "the run ended before its change");
    (run, said)
}

#[test]
fn a_run_that_is_interrupted_while_the_pool_is_empty_brings_a_kept_pool_back() {
    let _turn = beside_others();
    let directory = tempfile::tempdir().unwrap();
    let (mut run, said) = in_the_middle(directory.path(), &["-n", "interrupted", "--keep"]);
    output("kill", &["-INT", &run.id().to_string()]);
    let rest: Vec<String> = said.lines().map_while(Result::ok).collect();
    assert_eq!(run.wait().unwrap().code(), Some(130), "{rest:?}");
    let record: Value =
        serde_json::from_str(&fs::read_to_string(directory.path().join("record.json")).unwrap()).unwrap();
    assert_eq!(record["outcome"], "inconclusive");
    cluster().kubectl(&[
        "rollout",
        "status",
        "deployment/quickstart-sim",
        "-n",
        "interrupted",
        "--timeout=60s",
    ]);
    assert_eq!(replicas("interrupted"), AS_BEFORE);
    take_away("interrupted");
}

#[test]
fn what_a_killed_run_had_scaled_is_known_to_reap() {
    let _turn = beside_others();
    let directory = tempfile::tempdir().unwrap();
    let (mut run, _said) = in_the_middle(directory.path(), &["-n", "killed"]);
    run.kill().unwrap();
    run.wait().unwrap();
    let reaped = quickproof(directory.path())
        .arg("reap")
        .env("XDG_STATE_HOME", directory.path().join("state"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&reaped.stdout).into_owned();
    assert!(reaped.status.success(), "{said}");
    let back = "put back the 3 replicas of Deployment killed/quickstart-sim";
    assert!(said.contains(back), "{said}");
    assert!(said.contains("removed  Deployment killed/quickstart-sim"), "{said}");
    assert_eq!(replicas("killed"), Vec::<String>::new());
}
