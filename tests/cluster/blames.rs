//! Faults of a release that look like the cluster's, and the other way round: each is blamed on the one that can mend it.

use std::{fs, path::Path};

use crate::{
    bench::{beside_others, replace},
    faults::{conditions_hold, evidence, was_quick, with},
};

/// The Gateway listens, and the guide asks elsewhere: it is the guide's fault, or the Gateway's manifest's, and not the
/// cluster's.
#[test]
fn a_request_to_a_port_that_no_listener_has() {
    let _turn = beside_others();
    let ran = with("no-port", |tree| {
        replace(&tree.join("guide.md"), "\nPORT=80\n", "\nPORT=8080\n");
    });
    ran.expect(1, "failed", Some("request-port-not-served"));
    assert!(evidence(&ran, "request-port-not-served").contains("http (HTTP, port 80)"));
    conditions_hold(&ran);
    was_quick(&ran);
}

/// The same from the other side; and at a port where the gateway's own health is told, so that somebody answers.
#[test]
fn a_listener_at_another_port_than_the_guide_asks() {
    let _turn = beside_others();
    let ran = with("other-port", |tree| {
        replace(&tree.join("gateway.yaml"), "port: 80\n", "port: 8080\n");
        replace(&tree.join("guide.md"), "\nPORT=80\n", "\nPORT=15021\n");
    });
    ran.expect(1, "failed", Some("request-port-not-served"));
    assert!(evidence(&ran, "request-port-not-served").contains("http (HTTP, port 8080)"));
    was_quick(&ran);
}

/// A Gateway with one listener of this text, and the one cause of all that follows.
#[track_caller]
fn is_refused_for_its_listener(namespace: &str, listener: &str, cause: &str, reason: &str) {
    let ran = with(namespace, |tree| {
        replace(
            &tree.join("gateway.yaml"),
            "      protocol: HTTP\n      port: 80\n",
            listener,
        );
    });
    ran.expect(1, "failed", Some(cause));
    assert_eq!(ran.causes()[0], cause, "{:?}", ran.causes());
    assert!(!ran.causes().contains(&"gateway-class-missing"), "{:?}", ran.causes());
    assert!(evidence(&ran, cause).contains(reason), "{:?}", evidence(&ran, cause));
    was_quick(&ran);
}

#[test]
fn a_listener_whose_certificate_nobody_makes() {
    let _turn = beside_others();
    is_refused_for_its_listener(
        "no-certificate",
        "      protocol: HTTPS\n      port: 443\n      tls:\n        certificateRefs:\n          - name: no-such-certificate\n",
        "gateway-certificate-missing",
        "InvalidCertificateRef",
    );
}

#[test]
fn a_listener_of_a_protocol_that_the_gateway_does_not_speak() {
    let _turn = beside_others();
    is_refused_for_its_listener(
        "no-protocol",
        "      protocol: UDP\n      port: 80\n",
        "gateway-listener-invalid",
        "UnsupportedProtocol",
    );
}

#[test]
fn a_gateway_of_a_class_that_nobody_serves() {
    let _turn = beside_others();
    let ran = with("no-class", |tree| {
        replace(
            &tree.join("gateway.yaml"),
            "gatewayClassName: istio",
            "gatewayClassName: nobody",
        );
    });
    ran.expect(1, "failed", Some("gateway-class-missing"));
    let evidence = evidence(&ran, "gateway-class-missing");
    assert!(
        evidence.contains("there is no GatewayClass nobody: the cluster has"),
        "{evidence}"
    );
    // What else is broken follows from it, and so does what was not reached.
    let root = &ran.report["root_cause"];
    assert_eq!(
        (&root["check"], &root["blame"]),
        (&"gateway-programmed".into(), &"Gateway".into())
    );
    assert_eq!(root["from"]["file"], "gateway.yaml");
    let follows = root["because_of_it"].as_array().unwrap();
    assert!(follows.contains(&"inference-pool-accepted".into()), "{root}");
    assert_eq!(ran.broken().len(), 1, "{:?}", ran.causes());
    assert!(root["not_reached"].as_u64() > Some(0), "{root}");
    was_quick(&ran);
}

/// The class is there, and its controller is none that runs here.
#[test]
fn a_gateway_of_a_class_whose_controller_nobody_runs() {
    let _turn = beside_others();
    let ran = with("no-controller", |tree| {
        let file = tree.join("gateway.yaml");
        replace(&file, "gatewayClassName: istio", "gatewayClassName: unclaimed");
        let text = fs::read_to_string(&file).unwrap();
        let class = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata:\n  name: unclaimed\nspec:\n  \
                     controllerName: nobody.example/controller\n";
        fs::write(&file, format!("{class}---\n{text}")).unwrap();
    });
    ran.expect(1, "failed", Some("gateway-class-missing"));
    let evidence = evidence(&ran, "gateway-class-missing");
    assert!(
        evidence.contains("which is for nobody.example/controller"),
        "{evidence}"
    );
    was_quick(&ran);
}

/// Adds a volume to the model server's pods.
fn mount(tree: &Path, volume: &str) {
    let file = tree.join("model-server.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let mounts = "          volumeMounts:\n            - name: more\n              mountPath: /more\n";
    fs::write(
        &file,
        format!("{text}{mounts}      volumes:\n        - name: more\n{volume}"),
    )
    .unwrap();
}

#[test]
fn a_volume_claim_that_no_step_makes() {
    let _turn = beside_others();
    let ran = with("no-claim", |tree| {
        mount(
            tree,
            "          persistentVolumeClaim:\n            claimName: models\n",
        );
    });
    ran.expect(1, "failed", Some("pod-config-missing"));
    assert!(evidence(&ran, "pod-config-missing").contains("PersistentVolumeClaim models does not exist"));
    was_quick(&ran);
}

#[test]
fn a_volume_claim_that_the_cluster_gives_no_volume() {
    let _turn = beside_others();
    let ran = with("no-volume", |tree| {
        mount(
            tree,
            "          persistentVolumeClaim:\n            claimName: models\n",
        );
        let file = tree.join("model-server.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: models\nspec:\n  \
                     accessModes: [ReadWriteOnce]\n  storageClassName: nobody-provides-it\n  resources:\n    \
                     requests:\n      storage: 1Gi\n";
        fs::write(&file, format!("{claim}---\n{text}")).unwrap();
    });
    ran.expect(3, "errored", Some("pod-volume-unbound"));
    was_quick(&ran);
}

#[test]
fn a_config_map_that_is_mounted_and_no_step_makes() {
    let _turn = beside_others();
    let ran = with("no-map", |tree| {
        mount(tree, "          configMap:\n            name: no-such-map\n");
    });
    ran.expect(1, "failed", Some("pod-config-missing"));
    assert!(evidence(&ran, "pod-config-missing").contains("ConfigMap no-such-map does not exist"));
    was_quick(&ran);
}

#[test]
fn a_secret_that_a_variable_is_taken_from_and_no_step_makes() {
    let _turn = beside_others();
    let ran = with("no-secret", |tree| {
        replace(
            &tree.join("model-server.yaml"),
            "            - name: NAMESPACE\n",
            "            - name: HF_TOKEN\n              valueFrom:\n                secretKeyRef:\n                  name: hf-token\n                  key: token\n            - name: NAMESPACE\n",
        );
    });
    ran.expect(1, "failed", Some("pod-config-missing"));
    assert!(evidence(&ran, "pod-config-missing").contains("hf-token"));
    was_quick(&ran);
}

#[test]
fn an_account_that_no_step_makes() {
    let _turn = beside_others();
    let ran = with("no-account", |tree| {
        replace(
            &tree.join("endpoint-picker.yaml"),
            "      serviceAccountName: quickstart-epp\n",
            "      serviceAccountName: nobody\n",
        );
    });
    ran.expect(1, "failed", Some("pod-config-missing"));
    assert!(evidence(&ran, "pod-config-missing").contains("ServiceAccount nobody does not exist"));
    was_quick(&ran);
}

/// A probe that asks for a path that the model server does not have kills its containers every other second.
#[track_caller]
fn is_killed_by(namespace: &str, probe: &str) {
    let ran = with(namespace, |tree| {
        replace(
            &tree.join("model-server.yaml"),
            "          resources:\n",
            &format!(
                "          {probe}:\n            httpGet:\n              path: /no-such-path\n              port: 8000\n            \
                 periodSeconds: 2\n            failureThreshold: 1\n            \
                 terminationGracePeriodSeconds: 1\n          resources:\n"
            ),
        );
    });
    ran.expect(1, "failed", Some("pod-killed-by-probe"));
    let evidence = evidence(&ran, "pod-killed-by-probe");
    // On a machine that is busy enough the server does not listen yet when it is killed.
    let is_told = evidence.contains("404") || evidence.contains("connection refused");
    assert!(evidence.contains(probe) && is_told, "{evidence}");
    was_quick(&ran);
}

#[test]
fn a_liveness_probe_that_kills() {
    let _turn = beside_others();
    is_killed_by("liveness", "livenessProbe");
}

#[test]
fn a_startup_probe_that_kills() {
    let _turn = beside_others();
    is_killed_by("startup", "startupProbe");
}

/// The containers run and answer, and no restart ever tells that their probe asks for nothing that is there.
#[test]
fn a_readiness_probe_that_asks_for_a_path_that_is_not_there() {
    let _turn = beside_others();
    let ran = with("readiness", |tree| {
        replace(
            &tree.join("model-server.yaml"),
            "          resources:\n",
            "          readinessProbe:\n            httpGet:\n              path: /no-such-path\n              port: 8000\n            \
             periodSeconds: 1\n          resources:\n",
        );
    });
    ran.expect(1, "failed", Some("pod-probe-refused"));
    let evidence = evidence(&ran, "pod-probe-refused");
    assert!(
        evidence.contains("readinessProbe (HTTP /no-such-path at port 8000)") && evidence.contains("statuscode: 404"),
        "{evidence}"
    );
    let mut broken = ran.broken().into_iter();
    let waited = broken
        .find(|decision| decision["finding"]["cause"]["code"] == "pod-probe-refused")
        .unwrap();
    assert!(waited["took_ms"].as_u64().is_some_and(|ms| ms <= 20_000), "{waited}");
}

/// Nothing listens there, as nothing does before a model is loaded; the container listens where it says that it does.
#[test]
fn a_readiness_probe_that_asks_another_port_than_the_container_listens_on() {
    let _turn = beside_others();
    let ran = with("no-listener", |tree| {
        replace(
            &tree.join("model-server.yaml"),
            "          resources:\n",
            "          readinessProbe:\n            httpGet:\n              path: /health\n              port: 8001\n            \
             periodSeconds: 1\n          resources:\n",
        );
    });
    ran.expect(1, "failed", Some("pod-probe-refused"));
    let evidence = evidence(&ran, "pod-probe-refused");
    assert!(
        evidence.contains("listens on port 8000, and its readinessProbe asks port 8001"),
        "{evidence}"
    );
    was_quick(&ran);
}

/// The quickstart's own assets lack the CRD of this kind, as nothing else brings it.
#[test]
fn an_object_whose_crd_no_asset_brings() {
    let _turn = beside_others();
    let ran = with("no-crd", |tree| {
        let file = tree.join("model-server.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let object = "apiVersion: inference.networking.k8s.io/v1\nkind: InferenceRouter\nmetadata:\n  name: router\n";
        fs::write(&file, format!("{object}---\n{text}")).unwrap();
    });
    ran.expect(1, "failed", Some("object-kind-unknown"));
    let evidence = evidence(&ran, "object-kind-unknown");
    let lacking = "manifests.yaml` (guide.md:";
    assert!(
        evidence.contains(lacking) && evidence.contains("brings no CRD of InferenceRouter.inference.networking.k8s.io"),
        "{evidence}"
    );
    was_quick(&ran);
}

/// Changes the Deployment that Istio makes for the Gateway.
fn customize_proxy(tree: &Path, container: &str) {
    let file = tree.join("gateway.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let by = "  infrastructure:\n    parametersRef:\n      group: \"\"\n      kind: ConfigMap\n      name: proxy\n";
    let options = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: proxy\ndata:\n  deployment: |\n    spec:\n      template:\n        \
         spec:\n          containers:\n            - name: istio-proxy\n{container}"
    );
    fs::write(&file, format!("{options}---\n{text}{by}")).unwrap();
}

#[test]
fn a_gateway_whose_proxy_has_an_image_that_does_not_exist() {
    let _turn = beside_others();
    let ran = with("no-proxy", |tree| {
        customize_proxy(tree, "              image: docker.io/istio/proxyv2:9.9.9\n");
    });
    ran.expect(1, "failed", Some("pod-image-not-found"));
    assert!(evidence(&ran, "pod-image-not-found").contains("proxyv2:9.9.9"));
    was_quick(&ran);
}

/// No node has room for the proxy: the cluster's affair, whatever the conditions of the Gateway say of it.
#[test]
fn a_gateway_whose_proxy_fits_no_node() {
    let _turn = beside_others();
    let ran = with("large-proxy", |tree| {
        customize_proxy(
            tree,
            // Istio gives it a limit, under which a request must stay.
            "              resources:\n                requests:\n                  cpu: \"64\"\n                limits:\n                  cpu: \"64\"\n",
        );
    });
    ran.expect(3, "errored", Some("pod-unschedulable"));
    assert_eq!(ran.report["root_cause"]["code"], "pod-unschedulable");
    assert!(evidence(&ran, "pod-unschedulable").contains("requests cpu 64"));
    was_quick(&ran);
}

#[test]
fn a_gateway_whose_parameters_nobody_makes() {
    let _turn = beside_others();
    let ran = with("no-parameters", |tree| {
        let file = tree.join("gateway.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let by =
            "  infrastructure:\n    parametersRef:\n      group: \"\"\n      kind: ConfigMap\n      name: nothing\n";
        fs::write(&file, text + by).unwrap();
    });
    ran.expect(1, "failed", Some("gateway-not-accepted"));
    assert!(evidence(&ran, "gateway-not-accepted").contains("InvalidParameters"));
    was_quick(&ran);
}

/// The guide's own wait ends in vain: why the pods are not ready says more than that time is up.
#[test]
fn a_wait_of_the_guide_for_what_lacks_its_volume_claim() {
    let _turn = beside_others();
    let ran = with("waits-in-vain", |tree| {
        mount(
            tree,
            "          persistentVolumeClaim:\n            claimName: models\n",
        );
        let apply = "    kubectl apply -n ${NAMESPACE} -f model-server.yaml\n";
        let wait =
            "    kubectl wait -n ${NAMESPACE} --for=condition=Available deployment/quickstart-sim --timeout=15s\n";
        replace(&tree.join("guide.md"), apply, &format!("{apply}{wait}"));
    });
    ran.expect(1, "failed", Some("pod-config-missing"));
    assert!(evidence(&ran, "pod-config-missing").contains("PersistentVolumeClaim models does not exist"));
    was_quick(&ran);
}
