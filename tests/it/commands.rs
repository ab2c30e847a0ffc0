//! What single commands of a guide become.

use quickproof::{
    guide::{Piece, Template, Variables},
    manifest::Object,
    plan::{self, Absent, Action, Chart, Options, Request, Step},
    verdict::{CauseCode, Fault, Finding},
};
use rstest::rstest;

/// The step of the last command in a guide with these commands, in a tree with one manifest and one chart.
fn last(commands: &str) -> Step {
    let tree = tempfile::tempdir().unwrap();
    let guide = format!(
        "=== \"Simulator\"\n\n    x\n\nthen\n\n=== \"Istio\"\n\n    x\n\n```bash\nM=model\nIP=$(kubectl get gateway g -o jsonpath='{{.a}}')\n{commands}\n```\n"
    );
    let object = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n");
    for (name, text) in [
        ("site-src/guides/index.md", guide),
        ("a/one.yaml", object("one")),
        ("a/two.yml", format!("---\n{}---\n{}", object("two"), object("three"))),
        ("a/readme.txt", "no manifest".into()),
        ("a/broken.yaml.txt", "a: [".into()),
        ("bad/x.yaml", "a: [".into()),
        ("config/charts/inferencepool/Chart.yaml", "name: inferencepool".into()),
    ] {
        let path = tree.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let release = crate::open(tree.path(), Some("v1.5.0")).unwrap();
    let options = Options {
        variant: "sim".into(),
        provider: "istio".into(),
        ..Options::default()
    };
    plan::draw(&release, &options).unwrap().steps.pop().unwrap()
}

fn request(command: &str) -> Request {
    match last(command).action {
        Action::Request(request) => request,
        action => panic!("{action:?}"),
    }
}

fn text(word: &Template) -> String {
    let variables = Variables::from([("IP".to_owned(), "192.0.2.1".to_owned())]);
    word.resolve(&variables).unwrap()
}

#[rstest]
#[case::bare("curl ${IP}:80/x", "GET", "http://192.0.2.1:80/x", &[], None)]
#[case::data("curl -i $IP/x -d '{}'", "POST", "http://192.0.2.1/x", &[], Some("{}"))]
#[case::long("curl --request PUT --url https://${IP}/x --header \"A: $M\" --data ab --data cd", "PUT", "https://192.0.2.1/x",
    &[("A", "model")], Some("ab&cd"))]
#[case::joined("curl -sSi -XPOST -H'A:b:c' \"http://$IP\"", "POST", "http://192.0.2.1", &[("A", "b:c")], None)]
#[case::laid_out("curl -s $IP/x | jq .", "GET", "http://192.0.2.1/x", &[], None)]
#[case::from_a_pod("kubectl exec curl -- curl -i http://s:8081/x -d a", "POST", "http://s:8081/x", &[], Some("a"))]
#[case::mended("curl $IP -d '{\"m\": \"'\"${M}\"'\"}'", "POST", "http://192.0.2.1", &[], Some("{\"m\": \"model\"}"))]
fn curl_sends_what_bash_gives_it(
    #[case] command: &str,
    #[case] method: &str,
    #[case] url: &str,
    #[case] headers: &[(&str, &str)],
    #[case] body: Option<&str>,
) {
    let request = request(command);
    assert_eq!((request.method.as_str(), text(&request.url).as_str()), (method, url));
    let sent: Vec<(String, String)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    let wanted: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    assert_eq!(sent, wanted);
    assert_eq!(request.body.as_ref().map(text).as_deref(), body);
    assert!(request.unexpanded.is_empty());
}

#[test]
fn a_request_with_a_name_in_single_quotes_points_at_the_line_of_the_name() {
    let step = last("curl $IP -d '{\n  \"p\": 1,\n  \"m\": \"${M}\"\n}'");
    assert_eq!((step.check.as_str(), step.from.line), ("request:/", 16));
    let step = last("curl $IP -d '{\n  \"p\": 1,\n  \"m\": \"'${M}'\"\n}'");
    assert_eq!(step.from.line, 14);
}

#[rstest]
#[case("kubectl apply -f a/one.yaml", &["one"], None)]
#[case("kubectl create -f a/one.yaml -n here", &["one"], Some("here"))]
#[case("kubectl apply --namespace=here --server-side -f a", &["one", "two", "three"], Some("here"))]
#[case("kubectl apply -f a/two.yml -f ./a/one.yaml", &["two", "three", "one"], None)]
#[case("kubectl apply -f https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/v1.5.0/a/one.yaml",
    &["one"], None)]
#[case("kubectl create ns here", &["here"], None)]
#[case("kubectl apply -f - <<EOF\napiVersion: v1\nkind: A\nmetadata: {name: x-$M}\nEOF", &["x-model"], None)]
#[case("cat <<'EOF' | kubectl apply -f -\napiVersion: v1\nkind: A\nmetadata: {name: x-$M}\nEOF", &["x-$M"], None)]
fn objects_come_from_the_tree_or_from_the_guide(
    #[case] command: &str,
    #[case] names: &[&str],
    #[case] namespace: Option<&str>,
) {
    let Action::Apply {
        objects,
        namespace: given,
    } = last(command).action
    else {
        panic!("{command}")
    };
    assert_eq!(objects.iter().map(Object::name).collect::<Vec<_>>(), names);
    assert_eq!(given.as_deref(), namespace);
}

#[rstest]
#[case("kubectl create namespace here --dry-run=client -o yaml | kubectl apply -f -", &["here"], None)]
#[case("kubectl apply -k a/overlay", &[], None)]
#[case("cd a && kubectl apply -f ../a/one.yaml", &["one"], None)]
fn guides_that_are_carried_out_again_and_from_elsewhere_are_read(
    #[case] command: &str,
    #[case] names: &[&str],
    #[case] namespace: Option<&str>,
) {
    let step = last(command);
    if names.is_empty() {
        let Some(Finding::Broken(fault)) = step.known else {
            panic!("{step:?}")
        };
        assert_eq!(fault.cause.code, CauseCode::GuideReferenceMissing);
        return;
    }
    let Action::Apply {
        objects,
        namespace: given,
    } = step.action
    else {
        panic!("{command}")
    };
    assert_eq!(objects.iter().map(Object::name).collect::<Vec<_>>(), names);
    assert_eq!(given.as_deref(), namespace);
}

#[test]
fn a_secret_that_is_made_dry_and_then_applied_is_a_secret() {
    let step = last(
        "kubectl create secret generic s --from-literal=\"K=$M\" -n here --dry-run=client -o yaml | kubectl apply -f -",
    );
    let Action::Secret {
        name,
        namespace,
        literals,
    } = step.action
    else {
        panic!("{step:?}")
    };
    assert_eq!(
        (name.as_str(), namespace.as_deref(), literals[0].0.as_str()),
        ("s", Some("here"), "K")
    );
}

#[test]
fn files_of_values_keep_their_order_and_one_that_is_missing_is_known_before_anything_runs() {
    let step =
        last("helm install r oci://a.example/charts/other -f a/one.yaml --values a/two.yml,a/one.yaml --set x=y");
    let Action::Helm { values, set, .. } = step.action else {
        panic!("{step:?}")
    };
    let names: Vec<String> = values.iter().map(ToString::to_string).collect();
    assert_eq!(
        (names, set),
        (
            vec!["a/one.yaml".into(), "a/two.yml".into(), "a/one.yaml".into()],
            vec!["x=y".to_owned()]
        )
    );
    let step = last("helm install r oci://a.example/charts/other -f a/none.yaml");
    let Some(Finding::Broken(fault)) = step.known else {
        panic!("{step:?}")
    };
    assert_eq!(fault.cause.code, CauseCode::GuideReferenceMissing);
}

#[rstest]
#[case::of_a_shell(
    "kubectl run c --rm -i --restart=Never --image=i --env=\"IP=$IP\" --env=M=$M -- /bin/sh -c 'curl -sS -X POST \"http://${IP}/x\" -d \"{\\\"m\\\": \\\"${M}\\\"}\" | jq'"
)]
#[case::of_curl_itself("kubectl run c --rm -i --image=i -- curl -X POST http://$IP/x -d \"{\\\"m\\\": \\\"$M\\\"}\"")]
fn a_pod_that_only_asks_is_a_request(#[case] command: &str) {
    let request = request(command);
    assert_eq!(
        (request.method.as_str(), text(&request.url).as_str()),
        ("POST", "http://192.0.2.1/x")
    );
    assert_eq!(request.body.as_ref().map(text).as_deref(), Some("{\"m\": \"model\"}"));
    assert!(request.unexpanded.is_empty());
}

#[test]
fn a_pod_knows_no_variable_but_those_that_it_is_given() {
    let step = last("kubectl run c --rm -i --image=i --env=M=$M -- sh -c 'curl http://${IP}/x'");
    let Some(Finding::Broken(fault)) = step.known else {
        panic!("{step:?}")
    };
    assert_eq!(fault.cause.code, CauseCode::ShellVariableUnset);
}

#[test]
fn a_shell_that_is_only_opened_in_a_pod_is_left_out() {
    let step = last("kubectl run c --rm -it --image=i --env=\"IP=$IP\" -- /bin/bash");
    assert!(matches!(step.action, Action::LeftOut { .. }), "{step:?}");
}

#[rstest]
#[case("kubectl wait --for=condition=Ready pod -l a=b -n here --timeout=60s", true)]
#[case("kubectl wait --for=condition=Ready pod -l 'a in (b)'", false)]
#[case("kubectl delete pods -l a=b", false)]
fn a_wait_may_be_for_all_that_bear_some_labels(#[case] command: &str, #[case] is_read: bool) {
    let step = last(command);
    match &step.action {
        Action::Await { target, .. } if is_read => assert_eq!(target.to_string(), "each pod with a=b"),
        Action::Unsupported { .. } if !is_read => {}
        action => panic!("{action:?}"),
    }
}

#[rstest]
#[case("kubectl get nodes", "nodes", None, None)]
#[case("kubectl get gateway/g -o yaml", "gateway", Some("g"), None)]
#[case("kubectl get gateway g -n x -owide", "gateway", Some("g"), None)]
#[case("kubectl get crds | grep some.text", "crds", None, Some("some.text"))]
fn objects_are_looked_at(
    #[case] command: &str,
    #[case] resource: &str,
    #[case] name: Option<&str>,
    #[case] containing: Option<&str>,
) {
    let Action::Inspect {
        resource: seen,
        name: named,
        containing: holds,
        ..
    } = last(command).action
    else {
        panic!("{command}")
    };
    assert_eq!(
        (seen.as_str(), named.as_deref(), holds.as_deref()),
        (resource, name, containing)
    );
}

#[rstest]
#[case(
    "helm install r oci://registry.k8s.io/gateway-api-inference-extension/charts/inferencepool --version v1.5.0 --set a=$M",
    true
)]
#[case("helm upgrade -i r config/charts/inferencepool --set a=$M", true)]
#[case("helm upgrade --install r -n x oci://a.example/charts/other --set a=$M", false)]
fn charts_of_the_release_come_from_its_tree(#[case] command: &str, #[case] own: bool) {
    let Action::Helm {
        release,
        chart,
        version,
        set,
        ..
    } = last(command).action
    else {
        panic!("{command}")
    };
    assert_eq!(
        (release.as_str(), set.as_slice()),
        ("r", ["a=model".to_owned()].as_slice())
    );
    assert_eq!(matches!(chart, Chart::Tree { .. }), own);
    assert_eq!(version.as_deref(), own.then_some("v1.5.0"));
}

#[test]
fn a_value_read_at_run_time_stays_open_in_what_is_set_from_it() {
    let Action::Request(request) = last("HOST=${IP}:80\ncurl $HOST/x").action else {
        panic!("no request")
    };
    let wanted = [
        Piece::Text("http://".into()),
        Piece::Variable("IP".into()),
        Piece::Text(":80/x".into()),
    ];
    assert_eq!(request.url.0, wanted);
}

#[rstest]
#[case("", Absent::Fails)]
#[case("--ignore-not-found", Absent::IsFine)]
#[case("--ignore-not-found=true", Absent::IsFine)]
#[case("--ignore-not-found=false", Absent::Fails)]
fn a_flag_that_is_switched_off_does_not_count(#[case] flag: &str, #[case] wanted: Absent) {
    let Action::Delete { absent, .. } = last(&format!("kubectl delete gateway g {flag}")).action else {
        panic!("{flag}")
    };
    assert_eq!(absent, wanted);
}

#[rstest]
#[case::not_set("kubectl get gateway ${NONE:-other}", "other")]
#[case::set("kubectl get gateway ${M:-other}", "model")]
#[case::set_and_required("kubectl get gateway ${M:?say which}", "model")]
#[case::set_by_it("kubectl get gateway ${NONE:=other}\nkubectl get gateway $NONE", "other")]
#[case::by_another("X=${NONE:-$M}\nkubectl get gateway \"${X}\"", "model")]
fn a_variable_with_another_word_gives_that_where_it_is_not_set(#[case] command: &str, #[case] wanted: &str) {
    let step = last(command);
    assert!(
        matches!(&step.action, Action::Inspect { name, .. } if name.as_deref() == Some(wanted)),
        "{step:?}"
    );
    assert_eq!(step.known, None);
}

#[rstest]
#[case::missing("kubectl apply -f a/none.yaml", CauseCode::GuideReferenceMissing)]
#[case::out_of_the_tree("kubectl apply -f ../x.yaml", CauseCode::GuideReferenceMissing)]
#[case::broken("kubectl apply -f bad/x.yaml", CauseCode::ManifestUnreadable)]
#[case::branch(
    "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/raw/main/a/one.yaml",
    CauseCode::GuideReferenceElsewhere
)]
#[case::newest(
    "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/latest/download/manifests.yaml",
    CauseCode::GuideReferenceElsewhere
)]
#[case::crds_that_lack_what_the_picker_watches(
    "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/v0.3.0/manifests.yaml",
    CauseCode::GuideReferenceElsewhere
)]
#[case::no_chart(
    "helm install r oci://registry.k8s.io/gateway-api-inference-extension/charts/none --version v1.5.0",
    CauseCode::GuideReferenceMissing
)]
#[case::no_bundle(
    "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/v1.5.0/manifests.yaml",
    CauseCode::ManifestUnreadable
)]
#[case::unset("kubectl get gateway $NONE", CauseCode::ShellVariableUnset)]
#[case::flag_gone("kubectl version --short", CauseCode::ToolFlagRemoved)]
#[case::a_verb_misspelt("kubectl aplly -f a/one.yaml", CauseCode::GuideCommandUnknown)]
#[case::a_flag_misspelt("helm install r c --verison v1", CauseCode::GuideCommandUnknown)]
#[case::a_name_for_kubernetes(
    "cat <<EOF | kubectl apply -f -\nname: $(POD_NAME)\nEOF",
    CauseCode::GuideCommandUnknown
)]
#[case::a_dash_of_print("kubectl get gateway g \u{2013}n x", CauseCode::GuideCommandUnknown)]
#[case::blanks_behind_a_backslash("helm install r \\ \n  --set a=b c", CauseCode::GuideCommandCutShort)]
#[case::a_backslash_lost("helm install r\n  --set a=b c", CauseCode::GuideCommandCutShort)]
#[case::a_document_that_never_ends("cat <<EOF | kubectl apply -f -\na: b\n  EOF", CauseCode::HereDocumentNeverEnds)]
#[case::required_and_not_set("kubectl get gateway ${NONE:?say which}", CauseCode::ShellVariableUnset)]
fn what_is_known_to_fail_names_its_cause_and_is_not_called_unsupported(#[case] command: &str, #[case] code: CauseCode) {
    let step = last(command);
    let Some(Finding::Broken(Fault { cause, .. })) = &step.known else {
        panic!("{step:?}")
    };
    assert_eq!(cause.code, code);
    assert!(!matches!(step.action, Action::Unsupported { .. }));
}

/// What another tag holds may work: only its own files tell, and they are not this release's.
#[rstest]
#[case::a_file(
    "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/raw/refs/tags/v1.4.0/a/one.yaml"
)]
#[case::the_crds(
    "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/v1.4.0/manifests.yaml"
)]
#[case::a_chart(
    "helm install r oci://registry.k8s.io/gateway-api-inference-extension/charts/inferencepool --version v1.4.0"
)]
fn what_is_of_another_tag_is_undecided_and_names_both(#[case] command: &str) {
    let step = last(command);
    let Some(Finding::Undecided { why }) = &step.known else {
        panic!("{step:?}")
    };
    assert!(
        why.contains("is of v1.4.0") && why.ends_with("name v1.5.0 in the address"),
        "{why}"
    );
}

#[rstest]
#[case("echo \"http://${IP}:80\"")]
#[case("echo $(kubectl get pods -o name)")]
#[case("sleep 10")]
#[case("kubectl logs deployment/x | tail -n 5")]
#[case("kubectl get pods -w")]
#[case("kubectl get pods -l app=x -o wide")]
#[case("kubectl get pods | awk x")]
#[case("kubectl get pods -o jsonpath={.x}")]
#[case("watch kubectl get pods")]
#[case("helm list -n x")]
fn what_only_shows_something_is_left_out_and_keeps_no_guide_from_passing(#[case] command: &str) {
    let step = last(command);
    assert!(matches!(step.action, Action::LeftOut { .. }), "{step:?}");
    assert_eq!(step.known, None);
}

#[rstest]
#[case::apart("kubectl kustomize a | kubectl apply -f - -n b")]
#[case::joined("kubectl kustomize a | kubectl apply -n b --filename -")]
fn what_kustomize_renders_into_apply_is_applied_as_by_one_command(#[case] command: &str) {
    // The directory is none; what matters is that it is read as one.
    let step = last(command);
    let Some(Finding::Broken(fault)) = step.known else {
        panic!("{step:?}")
    };
    assert_eq!(fault.cause.code, CauseCode::GuideReferenceMissing);
}

#[rstest]
#[case("rm -rf /")]
#[case("kubectl drain x")]
#[case("kubectl apply -f https://a.example/x.yaml")]
#[case("kubectl apply --prune -f a/one.yaml")]
#[case("kubectl exec p -- ls")]
#[case("X=$(date)")]
#[case("X=$(kubectl get pods -o jsonpath={.x})")]
#[case("export X=a Y=$(kubectl get gateway g -o jsonpath={.x})")]
#[case("curl -d @file $IP")]
#[case("curl -o out $IP")]
#[case("curl $IP $IP")]
#[case("istioctl analyze")]
#[case("A=b kubectl get nodes")]
#[case("kubectl get nodes || true")]
#[case("for i in 1; do kubectl get nodes; done")]
#[case("kubectl get 'nodes")]
#[case::what_every_shell_has_is_set("kubectl get gateway $HOME")]
#[case::a_known_flag_that_is_not_carried_out("kubectl delete gateway g --all")]
#[case::a_look_that_changes("kubectl logs $(kubectl create -f a/one.yaml)")]
#[case::printed_into_a_command("echo x | kubectl apply -f -")]
#[case::watched("watch kubectl delete pod x")]
#[case::curl_has_no_such_flag("curl --data=x $IP")]
#[case::a_value_that_is_not_known_is_set("A=x$(date)\nkubectl get gateway $A")]
fn what_is_not_understood_says_so(#[case] command: &str) {
    let step = last(command);
    assert!(matches!(step.action, Action::Unsupported { .. }), "{step:?}");
    assert!(step.check.starts_with("not-understood:"), "{}", step.check);
    assert_eq!(step.known, None);
}
