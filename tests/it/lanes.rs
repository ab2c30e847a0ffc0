//! The jobs of `manifests/lanes`: that each is what it says, and calls quickproof as it can be called.

use std::{
    fs,
    path::{Path, PathBuf},
};

use k8s_openapi::api::{
    batch::v1::{CronJob, Job},
    core::v1::PodSpec,
    rbac::v1::Role,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/lanes")
}

/// The documents of a file.
fn documents(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(directory().join(file)).unwrap();
    let documents = text.split("\n---\n");
    documents
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

/// The only document of a file, which loses nothing where it is read as what it must be.
fn only<T: DeserializeOwned + serde::Serialize>(file: &str) -> T {
    let documents = documents(file);
    assert_eq!(documents.len(), 1, "{file}");
    let read: T = serde_json::from_value(documents[0].clone()).unwrap();
    assert_eq!(
        serde_json::to_value(&read).unwrap(),
        documents[0],
        "{file} has fields that nobody knows"
    );
    read
}

/// Says whether the binary takes a command line; nothing is carried out, since the last flag asks for help.
fn is_understood(arguments: &[String]) -> bool {
    let arguments = arguments
        .iter()
        .map(|argument| argument.replace("$(JOB_COMPLETION_INDEX)", "0"));
    let output = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("quickproof"))
        .args(arguments)
        .arg("--help")
        .output()
        .unwrap();
    output.status.success()
}

#[test]
fn the_jobs_of_a_cluster_are_such_and_write_nowhere_but_where_they_may() {
    let pods: [PodSpec; 3] = [
        only::<Job>("job.yaml").spec.unwrap().template.spec.unwrap(),
        only::<CronJob>("cronjob.yaml")
            .spec
            .job_template
            .spec
            .unwrap()
            .template
            .spec
            .unwrap(),
        only::<Job>("indexed-job.yaml").spec.unwrap().template.spec.unwrap(),
    ];
    for pod in pods {
        assert_eq!(pod.service_account_name.as_deref(), Some("quickproof"));
        assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
        // Longer than teardown takes at most.
        assert!(pod.termination_grace_period_seconds.unwrap() > 180);
        let container = &pod.containers[0];
        let security = container.security_context.as_ref().unwrap();
        assert_eq!(security.read_only_root_filesystem, Some(true));
        let arguments = container.args.as_ref().unwrap();
        assert!(
            arguments.iter().any(|argument| argument == "in-cluster"),
            "{arguments:?}"
        );
        assert!(is_understood(arguments), "{arguments:?}");
    }
}

#[test]
fn the_account_has_what_every_run_reads_and_no_wildcard() {
    let documents = documents("access.yaml");
    let of_kind = |kind: &str| {
        documents
            .iter()
            .filter(|one| one["kind"] == kind)
            .cloned()
            .collect::<Vec<_>>()
    };
    let roles = of_kind("Role");
    let role: Role = serde_json::from_value(roles[0].clone()).unwrap();
    let granted = role.rules.unwrap();
    for (group, resource, verb) in [
        ("", "pods", "watch"),
        ("", "pods/portforward", "get"),
        ("", "services", "watch"),
        ("", "events", "list"),
        ("apps", "deployments", "patch"),
        ("gateway.networking.k8s.io", "httproutes", "delete"),
    ] {
        let has = |list: &[String], wanted: &str| list.iter().any(|one| one == wanted);
        let is_there = granted.iter().any(|rule| {
            has(rule.api_groups.as_deref().unwrap_or_default(), group)
                && has(rule.resources.as_deref().unwrap_or_default(), resource)
                && has(&rule.verbs, verb)
        });
        assert!(is_there, "{verb} {resource}.{group}");
    }
    assert!(
        !fs::read_to_string(directory().join("access.yaml"))
            .unwrap()
            .contains('*')
    );
}

#[test]
fn the_jobs_of_prow_call_quickproof_as_it_can_be_called() {
    let jobs = |file: &str, kind: &str| -> Vec<Value> {
        let document = documents(&format!("prow/{file}.yaml")).remove(0);
        match &document[kind] {
            Value::Array(jobs) => jobs.clone(),
            of => of["kubernetes-sigs/gateway-api-inference-extension"]
                .as_array()
                .unwrap()
                .clone(),
        }
    };
    for job in [
        jobs("periodic", "periodics"),
        jobs("postsubmit", "postsubmits"),
        jobs("presubmit", "presubmits"),
    ]
    .concat()
    {
        assert_eq!(job["decorate"], true, "else there are no artifacts");
        assert_eq!(job["annotations"]["testgrid-tab-name"], job["name"]);
        let container = &job["spec"]["containers"][0];
        assert_eq!(container["resources"]["limits"], container["resources"]["requests"]);
        let script = container["args"].as_array().unwrap().last().unwrap().as_str().unwrap();
        let (_, call) = script.split_once("&& quickproof ").unwrap();
        let words: Vec<String> = call
            .split_whitespace()
            .map(|word| word.trim_matches('"').to_owned())
            .collect();
        assert!(is_understood(&words), "{words:?}");
    }
}
