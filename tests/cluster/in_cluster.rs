//! quickproof as a Job inside of somebody's cluster: its own image, the Job and the rights that `manifests/lanes` ships, and no more.
//! What it does there the API server itself says, in its audit log.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    bench::{alone, copied, ended, output, quickproof, repository},
    existing::{Existing, cluster},
    release::{mend_request, tree_of},
};

const NAMESPACE: &str = "quickproof";
const ACCOUNT: &str = "system:serviceaccount:quickproof:quickproof";

/// What is written down of what the account asks for: each call, and of questions after rights what was asked.
const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Request, users: ["system:serviceaccount:quickproof:quickproof"], resources: [{group: authorization.k8s.io, resources: [selfsubjectaccessreviews]}]}
- {level: Metadata, users: ["system:serviceaccount:quickproof:quickproof"]}
- {level: Metadata, nonResourceURLs: [/quickproof-audit]}
- {level: None}
"#;

fn lanes(file: &str) -> PathBuf {
    repository().join("manifests/lanes").join(file)
}

fn documents(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(lanes(file)).unwrap();
    let documents = text.split("\n---\n");
    documents
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

fn node() -> String {
    format!("{}-control-plane", cluster().name)
}

/// A shell's standard output on the node.
fn on_node(script: &str) -> String {
    output("docker", &["exec", &node(), "sh", "-c", script])
}

/// Has standard input of a program on the node come from a file.
fn feed_node(file: &Path, arguments: &[&str]) {
    #[expect(clippy::disallowed_methods, reason = "tests look at the machine with its own tools")]
    let mut command = std::process::Command::new("docker");
    command.args(["exec", "--interactive", &node()]).args(arguments);
    let fed = command.stdin(fs::File::open(file).unwrap()).output().unwrap();
    assert!(fed.status.success(), "{}", String::from_utf8_lossy(&fed.stderr));
}

/// The shared cluster with quickproof's image in its node, the shipped rights, and an API server that writes down what is done
/// with them.
fn prepared() -> &'static Existing {
    static PREPARED: OnceLock<()> = OnceLock::new();
    let cluster = cluster();
    PREPARED.get_or_init(|| {
        let desk = tempfile::tempdir().unwrap();
        load_image(desk.path());
        put_modules(desk.path());
        let policy = desk.path().join("policy.yaml");
        fs::write(&policy, POLICY).unwrap();
        feed_node(&policy, &["cp", "/dev/stdin", "/etc/kubernetes/pki/audit.yaml"]);
        let flags = "    - --audit-policy-file=/etc/kubernetes/pki/audit.yaml\\n    - --audit-log-path=-";
        on_node(&format!(
            "cd /etc/kubernetes && sed 's|^    - kube-apiserver$|&\\n{flags}|' manifests/kube-apiserver.yaml >api.yaml && mv api.yaml manifests/kube-apiserver.yaml"
        ));
        let deadline = Instant::now() + Duration::from_mins(3);
        // The old one answers until it ends, and writes nothing down.
        loop {
            cluster.raw("/quickproof-audit");
            if audit_log().contains("/quickproof-audit") {
                break;
            }
            assert!(Instant::now() < deadline, "the API server has no audit log");
        }
    });
    cluster.kubectl(&["apply", "-f", lanes("access.yaml").to_str().unwrap()]);
    cluster
}

/// Puts quickproof's image into the node, made by the binary under test itself, without what only debuggers read of it.
fn load_image(desk: &Path) {
    let program = desk.join("quickproof");
    output(
        "strip",
        &["-o", program.to_str().unwrap(), env!("CARGO_BIN_EXE_quickproof")],
    );
    let archive = desk.join("image.tar");
    let words = ["images", "save", IMAGE, "--output", archive.to_str().unwrap()];
    output(program.to_str().unwrap(), &words);
    feed_node(&archive, &["ctr", "--namespace", "k8s.io", "images", "import", "-"]);
}

/// The modules that have the CRDs which guides apply: a pod without a way to the web has them of a Go whose cache has them.
const MODULES: &[(&str, &str)] = &[
    ("sigs.k8s.io/gateway-api", "v1.6.0"),
    ("sigs.k8s.io/gateway-api-inference-extension", "v1.5.0"),
];

/// Where that Go and its cache are on the node.
const GO: &str = "/var/lib/quickproof-go";

fn put_modules(desk: &Path) {
    let cache = output("go", &["env", "GOMODCACHE"]).trim().to_owned();
    let root = output("go", &["env", "GOROOT"]).trim().to_owned();
    let archive = desk.join("go.tar").to_str().unwrap().to_owned();
    let mut words: Vec<String> = [
        "--create",
        "--file",
        &archive,
        "--directory",
        &root,
        "bin/go",
        "--directory",
        &cache,
    ]
    .map(str::to_owned)
    .into();
    for (module, version) in MODULES {
        output("go", &["mod", "download", &format!("{module}@{version}")]);
        words.push(format!("{module}@{version}"));
        words.extend(
            ["info", "mod", "zip", "ziphash"].map(|what| format!("cache/download/{module}/@v/{version}.{what}")),
        );
    }
    output("tar", &words.iter().map(String::as_str).collect::<Vec<_>>());
    on_node(&format!("mkdir -p {GO}"));
    feed_node(Path::new(&archive), &["tar", "--extract", "--directory", GO]);
    // Go keeps its locks beside what it has.
    on_node(&format!("chmod -R a+rwX {GO}"));
}

const IMAGE: &str = concat!("quickproof.invalid/quickproof:", env!("CARGO_PKG_VERSION"));

fn audit_log() -> String {
    on_node("cat /var/log/pods/kube-system_kube-apiserver-*/kube-apiserver/*.log 2>/dev/null || true")
}

/// What the account has done so far, call by call.
fn audited() -> Vec<Value> {
    let events = audit_log();
    // `TIME stdout F {…}`. Source: Kubernetes, CRI logging format.
    let parsed = events
        .lines()
        .filter_map(|line| serde_json::from_str(line.split_once(" F ")?.1).ok());
    parsed
        .filter(|event: &Value| event["user"]["username"] == ACCOUNT)
        .collect()
}

fn right(verb: &str, group: &str, resource: &str, namespace: Option<&str>) -> String {
    let group = if group.is_empty() {
        String::new()
    } else {
        format!(".{group}")
    };
    match namespace {
        _ if resource.starts_with('/') => format!("{verb} {resource}"),
        Some(namespace) => format!("{verb} {resource}{group} in {namespace}"),
        None => format!("{verb} {resource}{group}"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The rights that these calls have used, and the calls that were refused.
fn used(events: &[Value]) -> (BTreeSet<String>, Vec<String>) {
    let (mut used, mut refused) = (BTreeSet::new(), Vec::new());
    for event in events {
        let on = &event["objectRef"];
        // Everybody may ask after his rights, and which kinds there are.
        if on["resource"] == "selfsubjectaccessreviews" || on.is_null() {
            continue;
        }
        let resource = match text(&on["subresource"]) {
            "" => text(&on["resource"]).to_owned(),
            below => format!("{}/{below}", text(&on["resource"])),
        };
        let namespace = on["namespace"].as_str().filter(|_| on["resource"] != "namespaces");
        let verb = text(&event["verb"]);
        let named = |verb| right(verb, text(&on["apiGroup"]), &resource, namespace);
        let code = event["responseStatus"]["code"].as_u64();
        if code == Some(403) {
            refused.push(named(verb));
            continue;
        }
        used.insert(named(verb));
        // An object that is applied and was not there needs both.
        if verb == "patch" && code == Some(201) {
            used.insert(named("create"));
        }
    }
    (used, refused)
}

/// The rights that were asked after.
fn asked(events: &[Value]) -> BTreeSet<String> {
    let reviews = events
        .iter()
        .filter(|event| event["objectRef"]["resource"] == "selfsubjectaccessreviews");
    reviews
        .map(|event| {
            let spec = &event["requestObject"]["spec"];
            let path = &spec["nonResourceAttributes"];
            if !path.is_null() {
                return right(text(&path["verb"]), "", text(&path["path"]), None);
            }
            let of = &spec["resourceAttributes"];
            let resource = match text(&of["subresource"]) {
                "" => text(&of["resource"]).to_owned(),
                below => format!("{}/{below}", text(&of["resource"])),
            };
            let namespace = of["namespace"].as_str().filter(|name| !name.is_empty());
            right(text(&of["verb"]), text(&of["group"]), &resource, namespace)
        })
        .collect()
}

/// The rights that `access.yaml` gives.
fn granted() -> BTreeSet<String> {
    let texts = |value: &Value| -> Vec<String> {
        let all = value.as_array().into_iter().flatten();
        all.map(|one| text(one).to_owned()).collect()
    };
    let mut granted = BTreeSet::new();
    for role in documents("access.yaml") {
        let namespace = match text(&role["kind"]) {
            "Role" => role["metadata"]["namespace"].as_str(),
            "ClusterRole" => None,
            _ => continue,
        };
        for rule in role["rules"].as_array().unwrap() {
            for verb in texts(&rule["verbs"]) {
                for path in texts(&rule["nonResourceURLs"]) {
                    granted.insert(right(&verb, "", &path, None));
                }
                for group in texts(&rule["apiGroups"]) {
                    for resource in texts(&rule["resources"]) {
                        granted.insert(right(&verb, &group, &resource, namespace));
                    }
                }
            }
        }
    }
    granted
}

/// The shipped Job with the image, and with a tree of the node in place of the release that it would fetch; the quickstart that
/// comes with quickproof where there is none.
fn job(tree: Option<&str>) -> Value {
    let mut job = documents("job.yaml").remove(0);
    let pod = &mut job["spec"]["template"]["spec"];
    let volumes = pod["volumes"].as_array_mut().unwrap();
    volumes.push(json!({"name": "go", "hostPath": {"path": GO}}));
    volumes.push(json!({"name": "tree", "hostPath": {"path": tree.unwrap_or(GO)}}));
    let container = &mut pod["containers"][0];
    container["image"] = IMAGE.into();
    let variables = [
        ("PATH", "/usr/local/bin:/usr/bin:/go/bin"),
        ("GOROOT", "/go"),
        ("GOMODCACHE", "/go"),
        ("GOPROXY", "off"),
        ("GOSUMDB", "off"),
        ("GOTOOLCHAIN", "local"),
    ];
    let environment = container["env"].as_array_mut().unwrap();
    environment.extend(variables.map(|(name, value)| json!({"name": name, "value": value})));
    let mounts = container["volumeMounts"].as_array_mut().unwrap();
    mounts.push(json!({"name": "go", "mountPath": "/go"}));
    mounts.push(json!({"name": "tree", "mountPath": "/tree", "readOnly": true}));
    let shipped = container["args"].as_array().unwrap().clone();
    let at = shipped.iter().position(|word| word == "--release").unwrap();
    let mut words: Vec<Value> = [&shipped[..at], &shipped[at + 2..]].concat();
    if tree.is_some() {
        words.extend(["--tree", "/tree", "--release", "v1.5.0", "--profile", "small"].map(Value::from));
    }
    container["args"] = words.into();
    job
}

/// What stands in for the cluster's provider of addresses, until it is dropped: each Service of type LoadBalancer gets one that the
/// node's own rules lead to its pods.
struct Addresses(Child);

impl Addresses {
    fn given(cluster: &Existing) -> Self {
        #[expect(clippy::disallowed_methods, reason = "tests look at the machine with its own tools")]
        let mut command = std::process::Command::new("kubectl");
        let wanted = "jsonpath={.metadata.name} {.spec.type} {.status.loadBalancer.ingress[0].ip}{\"\\n\"}";
        command.args(["--kubeconfig", &cluster.kubeconfig, "get", "services", "-n", NAMESPACE]);
        command.args(["--watch-only", "--output", wanted]);
        let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
        let kubeconfig = cluster.kubeconfig.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let words: Vec<&str> = line.split_whitespace().collect();
                if let [name, "LoadBalancer"] = words[..] {
                    let patch = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.10"}]}}}"#;
                    let call = ["--kubeconfig", &kubeconfig, "patch", "service", name, "-n", NAMESPACE];
                    // It may be gone by now.
                    ended(
                        "kubectl",
                        &[&call[..], &["--subresource=status", "--type=merge", "-p", patch]].concat(),
                    );
                }
            }
        });
        Self(watching)
    }
}

impl Drop for Addresses {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(cluster: &Existing, job: &Value) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{job}").unwrap();
    cluster.kubectl(&["apply", "-f", file.path().to_str().unwrap()]);
}

/// Carries a Job out to its end. What it has said, and the exit code of its container.
fn carried_out(cluster: &Existing, job: &Value) -> (String, String) {
    let _addresses = Addresses::given(cluster);
    start(cluster, job);
    let of_job = ["-n", NAMESPACE, "--selector", "job-name=quickproof"];
    let over = "--for=jsonpath={.status.conditions[0].type}";
    let waiting = ["wait", "job/quickproof", "-n", NAMESPACE, over, "--timeout=420s"];
    let waited = ended(
        "kubectl",
        &[&["--kubeconfig", &cluster.kubeconfig], &waiting[..]].concat(),
    );
    let said = cluster.kubectl(&[&["logs", "--tail=-1"], &of_job[..]].concat());
    eprintln!("--- job quickproof\n{said}");
    assert!(waited.status.success(), "the Job does not end");
    let code = "jsonpath={.items[0].status.containerStatuses[0].state.terminated.exitCode}";
    let code = cluster.kubectl(&[&["get", "pods", "--output", code], &of_job[..]].concat());
    (said, code)
}

fn delete_job(cluster: &Existing) {
    cluster.kubectl(&[
        "delete",
        "job",
        "quickproof",
        "-n",
        NAMESPACE,
        "--wait",
        "--cascade=foreground",
    ]);
}

/// Everything of which a run makes some, by kind, namespace and name, without what every cluster has.
fn everything(cluster: &Existing) -> Vec<String> {
    let kinds = "deployments,services,secrets,configmaps,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,\
                 gateways.gateway.networking.k8s.io,httproutes,inferencepools.inference.networking.k8s.io,destinationrules,namespaces";
    let columns = "custom-columns=:.kind,:.metadata.namespace,:.metadata.name";
    let said = cluster.kubectl(&["get", kinds, "--all-namespaces", "--no-headers", "--output", columns]);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    // Controllers of the cluster put these into every namespace, each in its own time.
    let of_others = ["ServiceAccount quickproof default", " kube-root-ca.crt", " istio-ca-"];
    let mut all: Vec<String> = said.lines().map(words).collect();
    all.retain(|line| !of_others.iter().any(|other| line.contains(other)));
    all.sort();
    all
}

/// Asserts that a cluster comes to have this and no more: what belongs to something that went is taken away by the cluster itself.
#[track_caller]
fn comes_to_have(cluster: &Existing, before: &[String], said: &str) {
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut after = everything(cluster);
    while after != before && Instant::now() < deadline {
        after = everything(cluster);
    }
    let more: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(more, [""; 0], "{said}");
    assert_eq!(after, before, "{said}");
}

/// Runs one Job that must pass, and sees that it leaves nothing.
fn passes_and_leaves_nothing(cluster: &Existing, job: &Value) {
    let before = everything(cluster);
    let (said, code) = carried_out(cluster, job);
    assert_eq!(code, "0", "{said}");
    assert!(said.contains("PASSED"), "{said}");
    delete_job(cluster);
    comes_to_have(cluster, &before, &said);
}

/// The tree of v1.5.0 on the node, its request mended; `None` where it is not beside the repository.
fn tree_on_node() -> Option<&'static str> {
    let mended = copied(&tree_of("v1.5.0")?);
    mend_request(mended.path());
    let place = "/var/lib/quickproof-tree";
    on_node(&format!("rm -rf {place}"));
    output(
        "docker",
        &[
            "cp",
            "--quiet",
            mended.path().to_str().unwrap(),
            &format!("{}:{place}", node()),
        ],
    );
    on_node(&format!("chmod -R a+rX {place}"));
    Some(place)
}

/// What is asked after and never used: what the endpoint picker's role holds, since nobody may give away more than he has, and
/// what is read only where something goes wrong.
const NOT_USED: &[&str] = &[
    // That an API server wants it for a GET is nowhere written down.
    "create pods/portforward in quickproof",
    "create subjectaccessreviews.authorization.k8s.io",
    "create tokenreviews.authentication.k8s.io",
    "get /metrics",
    "get inferencemodelrewrites.inference.networking.x-k8s.io in quickproof",
    "get persistentvolumeclaims in quickproof",
    "get storageclasses.storage.k8s.io",
    "list inferencemodelrewrites.inference.networking.x-k8s.io in quickproof",
    "list inferenceobjectives.inference.networking.x-k8s.io in quickproof",
    "watch inferencemodelrewrites.inference.networking.x-k8s.io in quickproof",
    "watch inferenceobjectives.inference.networking.x-k8s.io in quickproof",
];

#[test]
fn the_shipped_job_passes_with_the_shipped_rights_which_are_those_that_it_asks_for_and_uses() {
    let _turn = alone();
    let cluster = prepared();
    passes_and_leaves_nothing(cluster, &job(None));
    let tree = tree_on_node();
    if let Some(tree) = tree {
        passes_and_leaves_nothing(cluster, &job(Some(tree)));
    }
    let events = audited();
    let (used, refused) = used(&events);
    let (asked, granted) = (asked(&events), granted());
    eprintln!("used {used:#?}\nasked {asked:#?}\ngranted {granted:#?}");
    assert_eq!(refused, [""; 0]);
    let unasked: Vec<_> = used.difference(&asked).collect();
    assert_eq!(unasked, [""; 0], "used and not asked after");
    let lacking: Vec<_> = asked.difference(&granted).collect();
    assert_eq!(lacking, [""; 0], "asked after and not shipped");
    if tree.is_some() {
        let idle: Vec<_> = granted.difference(&asked).collect();
        assert_eq!(idle, [""; 0], "shipped and not asked after");
        let unused = granted
            .difference(&used)
            .filter(|right| !NOT_USED.contains(&right.as_str()));
        assert_eq!(unused.collect::<Vec<_>>(), [""; 0], "shipped and not used");
    }
}

#[test]
fn where_one_right_is_missing_the_job_ends_before_it_makes_anything_and_names_it() {
    let _turn = alone();
    let cluster = prepared();
    for (kind, resource, verb, named) in [
        (
            "role",
            "pods/portforward",
            "get",
            "get pods/portforward in namespace quickproof",
        ),
        (
            "role",
            "httproutes",
            "delete",
            "delete httproutes.gateway.networking.k8s.io in namespace quickproof",
        ),
        (
            "clusterrole",
            "clusterrolebindings",
            "create",
            "create clusterrolebindings.rbac.authorization.k8s.io in the cluster",
        ),
        ("clusterrole", "/metrics", "get", "get /metrics"),
    ] {
        let shipped = ["get", kind, "quickproof", "-n", NAMESPACE, "--output", "json"];
        let mut role: Value = serde_json::from_str(&cluster.kubectl(&shipped)).unwrap();
        let mut taken = 0;
        for rule in role["rules"].as_array_mut().unwrap() {
            let is_about = |field: &str| {
                rule[field]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|one| one == resource))
            };
            if is_about("resources") || is_about("nonResourceURLs") {
                let verbs = rule["verbs"].as_array_mut().unwrap();
                let before = verbs.len();
                verbs.retain(|one| one != verb);
                // A rule must have a verb.
                if verbs.is_empty() {
                    verbs.push("none".into());
                }
                taken += usize::from(before > 0);
            }
        }
        assert_eq!(taken, 1, "{resource}");
        start(cluster, &role);
        let before = audited().len();
        let (said, code) = carried_out(cluster, &job(None));
        delete_job(cluster);
        cluster.kubectl(&["apply", "-f", lanes("access.yaml").to_str().unwrap()]);
        assert_eq!(code, "3", "{said}");
        assert!(said.contains(&format!("it may not {named}")), "{named}: {said}");
        assert!(said.contains("nothing was made"), "{said}");
        let (used, _) = used(&audited()[before..]);
        let makes = |right: &&String| {
            ["create", "patch", "update", "delete"]
                .iter()
                .any(|verb| right.starts_with(verb))
        };
        assert_eq!(used.iter().filter(makes).collect::<Vec<_>>(), [""; 0]);
    }
}

#[test]
fn what_a_killed_job_left_is_found_and_taken_away_from_outside() {
    let _turn = alone();
    let cluster = prepared();
    let before = everything(cluster);
    {
        let _addresses = Addresses::given(cluster);
        start(cluster, &job(None));
        let made = "--for=create";
        let waiting = [
            "wait",
            "deployment/quickstart-epp",
            "-n",
            NAMESPACE,
            made,
            "--timeout=180s",
        ];
        cluster.kubectl(&waiting);
        // No word to the program, as when a node is lost; its Job does not start another.
        on_node("kill -KILL $(grep -l '[i]n-cluster' /proc/[0-9]*/cmdline | cut -d/ -f3)");
        delete_job(cluster);
    }
    let is_left = || everything(cluster).contains(&"Deployment quickproof quickstart-epp".to_owned());
    assert!(is_left());

    let desk = tempfile::tempdir().unwrap();
    let reap = |words: &[&str]| {
        let mut command = quickproof(desk.path());
        command.args(["reap", "--cluster", cluster.name]).args(words);
        let ended = command.output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(
            ended.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&ended.stderr)
        );
        said
    };
    let said = reap(&[]);
    assert!(is_left(), "without a run's name it is only said");
    // The run that was kept for all tests has left its CRDs there, too.
    let line = said
        .lines()
        .find(|line| line.contains("Deployment quickproof/quickstart-epp"));
    let (_, run) = line
        .and_then(|line| line.trim_end_matches(')').split_once("(run "))
        .unwrap();
    let said = reap(&["--run", run]);
    assert!(said.contains("removed  Deployment quickproof/quickstart-epp"), "{said}");
    comes_to_have(cluster, &before, &said);
    assert!(!reap(&[]).contains(run), "nothing of it is there any more");
}
