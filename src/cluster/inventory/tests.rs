//! What is written down, read back; and what lies there in the place of an inventory.

use std::path::Path;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;

fn host(directory: &Path) -> Host {
    Host::with_variables([("XDG_STATE_HOME", directory.to_str().unwrap())])
}

fn cluster() -> Reach {
    Reach {
        kubeconfig: "/k".into(),
        context: "kind-a".into(),
    }
}

fn address(last: u8) -> Made {
    Made::Address {
        node: "n".into(),
        address: [10, 0, 0, last].into(),
    }
}

fn release(uid: Option<&str>) -> Made {
    Made::HelmRelease(HelmRelease {
        cluster: cluster(),
        program: "/bin/helm".into(),
        namespace: "n".into(),
        name: "epp".into(),
        uid: uid.map(Into::into),
    })
}

fn provider(uid: Option<&str>) -> Made {
    Made::Provider(ProviderInstallation {
        cluster: cluster(),
        program: "/bin/istioctl".into(),
        uninstall: vec!["uninstall".into()],
        namespace: "istio-system".into(),
        deployment: "istiod".into(),
        uid: uid.map(Into::into),
    })
}

fn object(uid: Option<&str>) -> Made {
    Made::Object(MadeObject {
        cluster: cluster(),
        api_version: "v1".into(),
        object_kind: "Namespace".into(),
        namespace: None,
        name: "quickproof-ab12".into(),
        marked: Some("ab12".into()),
        uid: uid.map(Into::into),
    })
}

/// The one inventory that there is.
fn only(host: &Host) -> Listing {
    let Inventories {
        mut readable,
        unreadable,
    } = Inventories::all(host).unwrap();
    assert!(
        readable.len() == 1 && unreadable.is_empty(),
        "{readable:?} {unreadable:?}"
    );
    readable.remove(0).1
}

fn runs(directory: &Path) -> PathBuf {
    directory.join("quickproof/runs")
}

/// The inventory of a process that is gone.
fn dead(run: &str, made: Vec<Made>) -> Listing {
    let mut listing = Listing::begun(run);
    listing.process.started = 0;
    listing.made = made;
    listing
}

#[test]
fn what_is_noted_is_on_disk_at_once_and_reads_back() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path());
    let inventory = Inventory::open(&host, "ab12").unwrap();
    inventory.add(address(1)).unwrap();
    inventory.add(object(None)).unwrap();
    let listing = only(&host);
    assert_eq!(listing.run, "ab12");
    assert_eq!(listing.made, [address(1), object(None)]);
    assert!(listing.process.is_alive());
}

#[rstest]
#[case::object(object)]
#[case::helm_release(release)]
#[case::provider(provider)]
fn a_uid_learned_later_replaces_the_entry(#[case] made: fn(Option<&str>) -> Made) {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path());
    let inventory = Inventory::open(&host, "ab12").unwrap();
    inventory.add(made(None)).unwrap();
    inventory.add(made(Some("u-1"))).unwrap();
    // What is about to be made again may be refused, and is still what it was.
    inventory.add(made(None)).unwrap();
    assert_eq!(only(&host).made, [made(Some("u-1"))]);
    assert!(inventory.has(&made(None)));
    inventory.remove(&made(None)).unwrap();
    assert!(inventory.made().is_empty());
}

#[test]
fn only_an_object_whose_uid_was_learned_is_known_by_it() {
    let directory = tempfile::tempdir().unwrap();
    let inventory = Inventory::open(&host(directory.path()), "ab12").unwrap();
    inventory.add(object(None)).unwrap();
    assert!(!inventory.has_object("u-1") && !inventory.has_object(""));
    inventory.add(object(Some("u-1"))).unwrap();
    assert!(inventory.has_object("u-1") && !inventory.has_object("u-2"));
}

#[rstest]
#[case(object(None), "Namespace quickproof-ab12 in kind-a")]
#[case(release(None), "helm release n/epp in kind-a")]
#[case(provider(None), "what istioctl installed in kind-a")]
#[case(address(7), "address 10.0.0.7 on node n")]
fn each_is_named_as_a_person_would(#[case] made: Made, #[case] words: &str) {
    assert_eq!(made.to_string(), words);
}

#[test]
fn what_was_scaled_reads_back_and_says_what_it_had() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path());
    let inventory = Inventory::open(&host, "ab12").unwrap();
    let scaled = Made::Scaled {
        cluster: cluster(),
        namespace: "n".into(),
        name: "d".into(),
        uid: "u".into(),
        replicas: 3,
    };
    inventory.add(scaled.clone()).unwrap();
    let listing = only(&host);
    assert_eq!(listing.made, std::slice::from_ref(&scaled));
    assert_eq!(scaled.to_string(), "the 3 replicas of Deployment n/d in kind-a");
    inventory.remove(&scaled).unwrap();
    assert!(inventory.made().is_empty());
}

#[test]
fn it_goes_when_empty_and_stays_when_not() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path());
    let inventory = Inventory::open(&host, "ab12").unwrap();
    inventory.add(address(1)).unwrap();
    inventory.clone().close().unwrap();
    assert_eq!(only(&host).made.len(), 1);
    inventory.remove(&address(1)).unwrap();
    inventory.close().unwrap();
    assert!(Inventories::all(&host).unwrap().readable.is_empty());
}

#[rstest]
#[case::half_written(b"{\"run\":")]
#[case::empty(b"")]
#[case::of_zeros_after_a_power_cut(&[0; 512])]
#[case::zeros_at_its_end(br#"{"run": "a", "process": {"pid": 1, "started": 0, "boot": ""}, "made": []}\0\0"#)]
#[case::no_inventory(b"[]")]
#[case::a_kind_of_thing_of_a_newer_version(
    br#"{"run": "a", "process": {"pid": 1, "started": 0, "boot": ""}, "made": [{"kind": "moon"}]}"#
)]
#[case::a_form_of_a_newer_version(
    br#"{"form": 2, "run": "a", "process": {"pid": 1, "started": 0, "boot": ""}, "made": []}"#
)]
fn what_cannot_be_read_is_told_with_its_file_and_the_rest_is_read(#[case] bytes: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path());
    let inventory = Inventory::open(&host, "ab12").unwrap();
    inventory.add(address(1)).unwrap();
    // What a kill between writing and renaming leaves is nobody's inventory.
    fs::write(runs(directory.path()).join(".ab12.AbC123"), "{\"run\":").unwrap();
    let damaged = runs(directory.path()).join("dead.json");
    fs::write(&damaged, bytes).unwrap();
    let Inventories { readable, unreadable } = Inventories::all(&host).unwrap();
    assert!(matches!(&readable[..], [(_, only)] if only.made == [address(1)]));
    assert!(
        matches!(&unreadable[..], [(path, _)] if *path == damaged),
        "{unreadable:?}"
    );
}

#[test]
fn an_inventory_of_a_newer_version_whose_run_goes_on_is_let_be() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path());
    fs::create_dir_all(runs(directory.path())).unwrap();
    let newer = json!({"form": 9, "process": ProcessName::own(), "things": {}});
    fs::write(runs(directory.path()).join("a.json"), newer.to_string()).unwrap();
    assert!(Inventories::all(&host).unwrap().unreadable.is_empty());
}

#[rstest]
#[case::a_device(|path: &Path| std::os::unix::fs::symlink("/dev/zero", path).unwrap())]
#[case::a_directory(|path: &Path| fs::create_dir(path).unwrap())]
#[case::a_link_to_nothing_is_no_inventory_either(|path: &Path| std::os::unix::fs::symlink("/dev/full", path).unwrap())]
#[case::a_file_larger_than_any_inventory(|path: &Path| fs::File::create(path).unwrap().set_len(1 << 40).unwrap())]
fn only_regular_files_are_read_and_no_more_of_them_than_an_inventory_has(#[case] make: fn(&Path)) {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path());
    fs::create_dir_all(runs(directory.path())).unwrap();
    make(&runs(directory.path()).join("a.json"));
    assert_eq!(Inventories::all(&host).unwrap().unreadable.len(), 1);
}

#[tokio::test]
async fn a_pipe_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(runs(directory.path())).unwrap();
    let pipe = runs(directory.path()).join("a.json");
    let call = crate::host::Call::new("mkfifo").arg(pipe.to_string_lossy());
    Host::real().run_ok(&call).await.unwrap();
    assert_eq!(Inventories::all(&host(directory.path())).unwrap().unreadable.len(), 1);
}

#[test]
fn a_file_of_another_run_is_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path());
    for last in [1, 2, 3] {
        Inventory::open(&host, "ab12").unwrap().add(address(last)).unwrap();
    }
    let all = Inventories::all(&host).unwrap().readable;
    let made: Vec<&[Made]> = all.iter().map(|(_, listing)| listing.made()).collect();
    assert_eq!(
        made,
        [[address(2)], [address(3)], [address(1)]],
        "in order of their files' names"
    );
    assert!(all.iter().all(|(_, listing)| listing.run == "ab12"));
}

#[tokio::test]
async fn what_an_ended_process_left_under_a_name_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path());
    fs::create_dir_all(runs(directory.path())).unwrap();
    let path = runs(directory.path()).join("cluster-lab.json");
    dead("cluster-lab", vec![address(1)]).write(&path).unwrap();
    let turn = Turn::take(&host, &crate::record::Events::unheard()).await.unwrap();
    let inventory = Inventory::take_over(&host, "cluster-lab", &turn).unwrap();
    inventory.add(address(2)).unwrap();
    assert_eq!(only(&host).made, [address(1), address(2)]);
    assert!(only(&host).process.is_alive());
    // One that goes on is not ours to take.
    Inventory::take_over(&host, "cluster-lab", &turn).unwrap();
    assert_eq!(Inventories::all(&host).unwrap().readable.len(), 2);
}

#[test]
fn what_a_kill_left_beside_an_inventory_goes_with_it_and_an_inventory_that_is_gone_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    let host = host(directory.path());
    let (first, other) = (
        Inventory::open(&host, "a").unwrap(),
        Inventory::open(&host, "a-b").unwrap(),
    );
    for name in [".a.tmp", ".a-b.tmp"] {
        fs::write(runs(directory.path()).join(name), "").unwrap();
    }
    first.clone().close().unwrap();
    first.close().unwrap();
    assert!(!runs(directory.path()).join(".a.tmp").exists() && runs(directory.path()).join(".a-b.tmp").exists());
    other.close().unwrap();
}

#[test]
fn a_process_that_took_over_the_pid_is_not_the_one_that_wrote() {
    let own = ProcessName::own();
    let earlier = ProcessName {
        started: own.started.wrapping_sub(1),
        ..own.clone()
    };
    let before_reboot = ProcessName {
        boot: "another".into(),
        ..own.clone()
    };
    assert!(own.is_alive() && !earlier.is_alive() && !before_reboot.is_alive());
}

#[rstest]
#[case(
    object(None),
    "kubectl delete namespace quickproof-ab12 --context kind-a --kubeconfig /k"
)]
#[case(
    release(None),
    "helm uninstall epp --namespace n --kube-context kind-a --kubeconfig /k"
)]
#[case(provider(None), "istioctl uninstall --context kind-a --kubeconfig /k")]
#[case(address(7), "docker exec n ip address del 10.0.0.7/32 dev eth0")]
#[case(Made::KindCluster { name: "quickproof-a".into(), kubeconfig: "/k".into() }, "kind delete cluster --name quickproof-a")]
#[case(
    Made::Scaled { cluster: cluster(), namespace: "n".into(), name: "d".into(), uid: "u".into(), replicas: 3 },
    "kubectl scale deployment d --namespace n --replicas 3 --context kind-a --kubeconfig /k")]
fn what_a_person_types_to_take_it_away_is_whole(#[case] made: Made, #[case] words: &str) {
    assert_eq!(made.by_hand(), words);
}

#[test]
fn an_object_of_a_group_is_named_so_that_kubectl_takes_no_other() {
    let made = Made::Object(MadeObject {
        cluster: Reach {
            kubeconfig: "/a b".into(),
            context: "it's".into(),
        },
        api_version: "apps/v1".into(),
        object_kind: "Deployment".into(),
        namespace: Some("n".into()),
        name: "d".into(),
        marked: None,
        uid: None,
    });
    let words = r"kubectl delete deployment.v1.apps d --namespace n --context 'it'\''s' --kubeconfig '/a b'";
    assert_eq!(made.by_hand(), words);
}

#[test]
fn an_inventory_that_an_earlier_build_wrote_is_read_whole() {
    let listing = Listing::read(include_bytes!("../../../tests/data/inventories/every-kind.json")).unwrap();
    let kinds: Vec<String> = listing
        .made()
        .iter()
        .map(|made| serde_json::to_value(made).unwrap()["kind"].to_string())
        .collect();
    let every = [
        "kind-cluster",
        "object",
        "object",
        "helm-release",
        "provider",
        "address",
        "scaled",
    ];
    assert_eq!(kinds, every.map(|kind| format!("\"{kind}\"")));
    assert!(matches!(&listing.made()[1], Made::Object(object) if object.marked.as_deref() == Some("5f0c7f3a")));
    // What stands in no field yet had another meaning: nothing was marked.
    let before = br#"{"run": "a", "process": {"pid": 1, "started": 0, "boot": ""}, "made": [{"kind": "object",
        "cluster": {"kubeconfig": "/k", "context": "c"}, "api_version": "v1", "object-kind": "Pod", "namespace": "n",
        "name": "p", "uid": null}]}"#;
    let before = Listing::read(before).unwrap();
    assert!(matches!(&before.made()[0], Made::Object(object) if object.marked.is_none()));
}

proptest! {
    #[test]
    fn no_bytes_are_an_inventory_of_something_else(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Listing::read(&bytes).is_err());
    }

    /// Every cut and every other byte of an inventory: an error, or an inventory that reads back as it is written.
    #[test]
    fn a_damaged_inventory_is_an_error_or_reads_back(at in 0_usize..2000, byte in any::<u8>(), cut in any::<bool>()) {
        let listing = dead("ab12", vec![object(Some("u")), release(None), provider(Some("u")), address(1)]);
        let mut bytes = listing.written().unwrap();
        let at = at % bytes.len();
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        match Listing::read(&bytes) {
            Ok(read) => {
                prop_assert!(!cut);
                prop_assert_eq!(&Listing::read(&read.written().unwrap()).unwrap(), &read);
                read.made().iter().for_each(|made| drop((made.to_string(), made.by_hand())));
            }
            Err(unreadable) => prop_assert!(unreadable.to_string().starts_with("it ")),
        }
    }
}

/// An answer to the making of [`object`] with this uid, of an API server that keeps no books.
fn stored(uid: &str) -> DynamicObject {
    serde_json::from_value(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "uid": uid}}))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_on_to_its_answer_when_nobody_waits_for_it_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let inventory = Inventory::open(&host(directory.path()), "ab12").unwrap();
    inventory.add(object(None)).unwrap();
    let slow = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(stored("u"))
    };
    let interrupted = tokio::time::timeout(Duration::from_secs(1), inventory.asked(object(None), slow)).await;
    assert!(interrupted.is_err());
    assert_eq!(inventory.made(), [object(None)]);
    inventory.answered(Duration::from_secs(10)).await;
    assert_eq!(inventory.made(), [object(Some("u"))]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_never_answered_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let inventory = Inventory::open(&host(directory.path()), "ab12").unwrap();
    inventory.add(object(None)).unwrap();
    let silent = inventory.asked(object(None), std::future::pending());
    let interrupted = tokio::time::timeout(Duration::from_secs(1), silent).await;
    assert!(interrupted.is_err());
    let began = tokio::time::Instant::now();
    inventory.answered(Duration::from_secs(10)).await;
    assert_eq!((began.elapsed().as_secs(), inventory.made()), (10, vec![object(None)]));
}

#[tokio::test]
async fn what_somebody_else_turns_out_to_have_made_is_not_ours() {
    let directory = tempfile::tempdir().unwrap();
    let inventory = Inventory::open(&host(directory.path()), "ab12").unwrap();
    inventory.add(object(None)).unwrap();
    let mut theirs = stored("u");
    let books = json!([{"manager": "kubectl-create", "operation": "Update", "fieldsV1": {"f:spec": {}}},
        {"manager": mark::FIELD_MANAGER, "operation": "Apply"}]);
    theirs.metadata.managed_fields = serde_json::from_value(books).unwrap();
    let answer = inventory.asked(object(None), async { Ok(theirs) }).await;
    assert!(answer.is_ok() && inventory.made().is_empty());
}
