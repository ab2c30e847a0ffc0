//! Runs in somebody else's cluster that a signal ends at any moment: reports parse, none says passed, and nothing stays.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    bench::{alone, ended, quickproof},
    existing::{Existing, cluster},
};

/// How many moments each signal comes at.
const MOMENTS: usize = 20;
/// How many runs go on at once, each in a namespace of its own: most of each is waiting for the namespace to go.
const AT_ONCE: usize = 8;

/// Each signal, and the exit code of a run that it has ended.
const SIGNALS: [(&str, i32); 4] = [("INT", 130), ("TERM", 143), ("HUP", 129), ("KILL", 137)];

/// A guide that makes objects and no pods: what is tested is that they go.
const GUIDE: &str = r#"=== "Simulator"

    x

then

=== "GKE"

    x

```bash
kubectl apply -f m/objects.yaml
kubectl label configmap settings tier=gate
kubectl get configmaps
kubectl delete configmap passing
```
"#;

const OBJECTS: &str = "
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: b}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: passing}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: account}}
---
{apiVersion: v1, kind: Service, metadata: {name: service}, spec: {selector: {app: none}, ports: [{port: 80}]}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: role}, rules: []}
---
{apiVersion: v1, kind: Secret, metadata: {name: secret}, stringData: {a: b}}
";

fn write_release(directory: &Path) {
    for (name, text) in [("site-src/guides/index.md", GUIDE), ("m/objects.yaml", OBJECTS)] {
        let path = directory.join("tree").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// The binary, without this thread's turn: the test has it for all its threads.
fn command(program: &Path, directory: &Path) -> Command {
    #[expect(clippy::disallowed_methods, reason = "tests start the binary under test")]
    let mut command = Command::new(program);
    command
        .current_dir(directory)
        .env("XDG_STATE_HOME", directory.join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn verify(program: &Path, directory: &Path, cluster: &Existing, namespace: &str) -> Command {
    let mut command = command(program, directory);
    command
        .args([
            "verify",
            "--tree",
            "tree",
            "--release",
            "v1.5.0",
            "--variant",
            "sim",
            "--provider",
            "gke",
        ])
        .args([
            "--cluster",
            cluster.name,
            "--kubeconfig",
            &cluster.kubeconfig,
            "-n",
            namespace,
        ])
        .args(["--timeout", "30s", "--requests", "1"]);
    command
}

/// What is wrong after a run that this signal ends after so long.
fn ended_after(
    program: &Path,
    cluster: &Existing,
    namespace: &str,
    after: Duration,
    signal: (&str, i32),
) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    write_release(directory.path());
    let mut run = verify(program, directory.path(), cluster, namespace).spawn().unwrap();
    thread::park_timeout(after);
    ended("kill", &[&format!("-{}", signal.0), &run.id().to_string()]);
    let status = run.wait().unwrap();
    let mut wrong = Vec::new();
    let runs = fs::read_dir(directory.path().join("quickproof-runs"))
        .into_iter()
        .flatten();
    for run in runs.flatten() {
        let record = fs::read_to_string(run.path().join("record.json")).unwrap_or_default();
        match serde_json::from_str::<Value>(&record) {
            Ok(record) if record["outcome"] == "passed" => wrong.push("the record says passed".to_owned()),
            Ok(record) if signal.0 != "KILL" && record["left_behind"] != Value::Array(Vec::new()) => {
                wrong.push(format!("left behind: {}", record["left_behind"]));
            }
            Ok(_) => {}
            Err(error) => wrong.push(format!("the record does not parse: {error}")),
        }
    }
    if signal.0 == "KILL" {
        let reaped = command(program, directory.path()).arg("reap").status().unwrap();
        if !reaped.success() {
            wrong.push(format!("`reap` ends with {reaped}"));
        }
    } else if ![Some(signal.1), Some(1), Some(4), None].contains(&status.code()) {
        // Without a code: the signal came before the run began.
        wrong.push(format!("it ends with {status}"));
    }
    let there = [
        "--kubeconfig",
        &cluster.kubeconfig,
        "get",
        "namespace",
        namespace,
        "--ignore-not-found",
        "-o",
        "name",
    ];
    let there = ended("kubectl", &there);
    if !there.stdout.is_empty() || !there.status.success() {
        wrong.push(format!("namespace {namespace} stays"));
    }
    wrong
}

#[test]
fn a_run_that_a_signal_ends_at_any_moment_leaves_nothing_in_the_cluster() {
    let _turn = alone();
    let cluster = cluster();
    let program = quickproof(Path::new(".")).get_program().to_owned();
    let program = Path::new(&program);
    let whole = {
        let directory = tempfile::tempdir().unwrap();
        write_release(directory.path());
        let began = Instant::now();
        let status = verify(program, directory.path(), cluster, "moments").status().unwrap();
        assert!([Some(1), Some(4)].contains(&status.code()), "{status}");
        began.elapsed()
    };
    let random = RandomState::new();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(signal) = SIGNALS.get(number / MOMENTS) else {
                        return;
                    };
                    let after =
                        whole.mul_f64(f64::from(u16::try_from(random.hash_one(number) % 1000).unwrap()) / 1000.0);
                    let namespace = format!("moments-{number}");
                    let wrong = ended_after(program, cluster, &namespace, after, *signal);
                    assert!(
                        wrong.is_empty(),
                        "{} after {after:?} of {whole:?}: {wrong:#?}",
                        signal.0
                    );
                }
            });
        }
    });
}
