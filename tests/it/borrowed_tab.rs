//! A provider that the guide has no tab for: another's tab is followed, and the ledger says what took the place of what.
//! Also what can be known of our manifests for it without a cluster.

use std::{collections::BTreeSet, fs, path::Path};

use k8s_openapi::api::{
    admissionregistration::v1::MutatingWebhookConfiguration,
    apps::v1::Deployment,
    batch::v1::Job,
    core::v1::{ConfigMap, Namespace, Service, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use quickproof::{
    manifest::Object,
    plan::{self, Action, Options, Plan, PlanError, Provider},
    record::DeviationKind,
};

/// A release whose guide has a tab for NGINX Gateway Fabric, and whose tree has the Gateway of another provider.
fn tree() -> tempfile::TempDir {
    let mini = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/trees/mini");
    let tree = tempfile::tempdir().unwrap();
    copy(&mini, tree.path());
    let guide = tree.path().join("site-src/guides/index.md");
    let text = fs::read_to_string(&guide).unwrap();
    let raw = "https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/refs/tags/${RELEASE}";
    let installs = "helm install ngf oci://ghcr.io/nginx/charts/nginx-gateway-fabric -n nginx-gateway";
    let opens = format!("kubectl apply -f {raw}/config/manifests/gateway/nginxgatewayfabric/gateway.yaml");
    let tab = |command: &str| format!("=== \"NGINX Gateway Fabric\"\n\n      ```bash\n      {command}\n      ```\n\n");
    let (before, rest) = text.split_once("### Open it\n\n").unwrap();
    let (between, after) = rest.split_once("### Deploy the pool").unwrap();
    let text = format!(
        "{before}{}### Open it\n\n{between}{}### Deploy the pool{after}",
        tab(installs),
        tab(&opens)
    );
    fs::write(&guide, text).unwrap();
    let gateways = tree.path().join("config/manifests/gateway");
    for (provider, class) in [("nginxgatewayfabric", "nginx"), ("envoyaigateway", "envoy-ai-gateway")] {
        fs::create_dir_all(gateways.join(provider)).unwrap();
        let gateway = format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: inference-gateway}}\n\
             spec: {{gatewayClassName: {class}}}\n"
        );
        fs::write(gateways.join(provider).join("gateway.yaml"), gateway).unwrap();
    }
    tree
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn draw(tree: &Path) -> Result<Plan, PlanError> {
    let release = crate::open(tree, Some("v1.5.0")).unwrap();
    let options = Options {
        variant: "sim".into(),
        provider: "envoy-ai-gateway".into(),
        ..Options::default()
    };
    plan::draw(&release, &options)
}

#[test]
fn our_manifests_take_the_place_of_the_other_providers_chart() {
    let tree = tree();
    let plan = draw(tree.path()).unwrap();
    let installed: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::InstallManifests {
                provider,
                objects,
                witness,
            } => Some((step, provider, objects, witness)),
            _ => None,
        })
        .collect();
    let [(step, provider, objects, witness)] = installed.as_slice() else {
        panic!("{installed:?}");
    };
    assert!(
        step.command.contains("nginx-gateway-fabric") && step.check.starts_with("install:"),
        "{step:?}"
    );
    assert_eq!(provider.as_str(), "envoy-ai-gateway");
    assert!(
        objects
            .iter()
            .any(|object| object.kind() == "Deployment" && object.name() == witness.deployment)
    );
    let crds = plan.steps.iter().position(|step| step.sentence.contains("CRD"));
    let install = plan.steps.iter().position(|one| one.check == step.check);
    assert!(
        crds < install,
        "its controller looks for the release's CRDs when it starts"
    );
    for image in ["docker.io/envoyproxy/gateway:", "docker.io/envoyproxy/envoy:"] {
        assert!(
            plan.images().iter().any(|wanted| wanted.starts_with(image)),
            "{:?}",
            plan.images()
        );
    }
    assert_eq!(plan.gateway_label, "gateway.envoyproxy.io/owning-gateway-name");
}

#[test]
fn the_gateway_is_the_one_that_the_release_ships_for_the_provider() {
    let tree = tree();
    let plan = draw(tree.path()).unwrap();
    let classes: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Apply { objects, .. } => Some(objects),
            _ => None,
        })
        .flatten()
        .filter(|object| object.kind() == "Gateway")
        .map(|object| (object.file.as_str(), object.value["spec"]["gatewayClassName"].as_str()))
        .collect();
    let file = "config/manifests/gateway/envoyaigateway/gateway.yaml";
    assert_eq!(classes, [(file, Some("envoy-ai-gateway"))]);
}

#[test]
fn the_ledger_says_which_tab_which_chart_and_which_file_were_replaced() {
    let tree = tree();
    let plan = draw(tree.path()).unwrap();
    let replaced = |what: &str| {
        let entries = plan
            .ledger
            .iter()
            .filter(|entry| entry.kind == DeviationKind::Substituted);
        entries.filter(|entry| entry.what.contains(what)).count()
    };
    assert_eq!(replaced("the tab `NGINX Gateway Fabric` is followed"), 1);
    assert_eq!(replaced("quickproof's own manifests"), 1);
    assert_eq!(
        replaced("`config/manifests/gateway/envoyaigateway/gateway.yaml` of the tree is used"),
        1
    );
}

#[test]
fn a_release_that_ships_no_gateway_for_the_provider_is_refused_and_no_guide_blamed() {
    let tree = tree();
    fs::remove_dir_all(tree.path().join("config/manifests/gateway/envoyaigateway")).unwrap();
    assert!(matches!(draw(tree.path()), Err(PlanError::NotShipped { .. })));
}

#[test]
fn a_tab_without_the_command_that_installs_is_refused() {
    let tree = tree();
    let guide = tree.path().join("site-src/guides/index.md");
    let text = fs::read_to_string(&guide).unwrap();
    fs::write(&guide, text.replace("oci://ghcr.io/nginx", "oci://a.example/nginx")).unwrap();
    let error = draw(tree.path()).unwrap_err();
    assert!(matches!(error, PlanError::NothingToReplace { .. }), "{error}");
}

/// The object as Kubernetes' own types read and write it: what they do not know is lost.
fn reread(object: &Object) -> serde_json::Value {
    fn through<K: serde::de::DeserializeOwned + serde::Serialize>(object: &Object) -> serde_json::Value {
        serde_json::to_value(serde_json::from_value::<K>(serde_json::Value::clone(&object.value)).unwrap()).unwrap()
    }
    match object.kind() {
        "Namespace" => through::<Namespace>(object),
        "ServiceAccount" => through::<ServiceAccount>(object),
        "ConfigMap" => through::<ConfigMap>(object),
        "Service" => through::<Service>(object),
        "Role" => through::<Role>(object),
        "RoleBinding" => through::<RoleBinding>(object),
        "ClusterRole" => through::<ClusterRole>(object),
        "ClusterRoleBinding" => through::<ClusterRoleBinding>(object),
        "Deployment" => through::<Deployment>(object),
        "Job" => through::<Job>(object),
        "MutatingWebhookConfiguration" => through::<MutatingWebhookConfiguration>(object),
        other => panic!("{other}: say here how it is read"),
    }
}

fn manifests() -> Vec<Object> {
    let providers = Provider::all().unwrap();
    providers
        .iter()
        .flat_map(|provider| provider.objects().unwrap())
        .collect()
}

#[test]
fn every_field_of_our_manifests_is_one_that_kubernetes_knows() {
    let objects = manifests();
    assert!(!objects.is_empty());
    for object in objects {
        assert_eq!(reread(&object), *object.value, "{}:{}", object.file, object.line);
    }
}

#[test]
fn what_our_manifests_name_is_in_them() {
    let objects = manifests();
    let there: BTreeSet<(&str, Option<&str>, &str)> = objects
        .iter()
        .map(|object| (object.kind(), object.namespace(), object.name()))
        .collect();
    let text = |object: &Object, pointer: &str| {
        object
            .value
            .pointer(pointer)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    for object in &objects {
        let namespace = object.namespace();
        let at = format!("{}:{}", object.file, object.line);
        match object.kind() {
            kind @ ("RoleBinding" | "ClusterRoleBinding") => {
                let role = (
                    kind.trim_end_matches("Binding"),
                    namespace,
                    &*text(object, "/roleRef/name"),
                );
                assert!(there.contains(&role), "{at}: {role:?}");
                let account = text(object, "/subjects/0/name");
                let account = (
                    "ServiceAccount",
                    Some(&*text(object, "/subjects/0/namespace")),
                    &*account,
                );
                assert!(there.contains(&account), "{at}: {account:?}");
            }
            "Deployment" | "Job" => {
                let account = text(object, "/spec/template/spec/serviceAccountName");
                assert!(
                    there.contains(&("ServiceAccount", namespace, &*account)),
                    "{at}: {account}"
                );
            }
            "Service" => {
                let selector = &object.value["spec"]["selector"];
                let selected = objects.iter().filter(|other| {
                    other.namespace() == namespace
                        && other.value.pointer("/spec/template/metadata/labels") == Some(selector)
                });
                assert_eq!(selected.count(), 1, "{at}");
            }
            "MutatingWebhookConfiguration" => {
                let service = "/webhooks/0/clientConfig/service";
                let (namespace, name) = (
                    text(object, &format!("{service}/namespace")),
                    text(object, &format!("{service}/name")),
                );
                assert!(there.contains(&("Service", Some(&*namespace), &*name)), "{at}: {name}");
            }
            _ => {}
        }
    }
}
