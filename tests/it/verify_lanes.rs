//! `quickproof verify --lane` against an API server on the loopback interface: each lane is a run of its own, and none that was not
//! run counts as passed.

use std::{fs, process::Output};

use serde_json::Value;

use crate::{
    api_server::{ApiServer, EVERYTHING, directory_in_memory, kubeconfig, write_release},
    served_api::ServedApi,
};

/// A release with one lane that can be carried out, and a cluster of somebody else.
struct Desk {
    directory: tempfile::TempDir,
    server: ApiServer,
    _served: ServedApi,
}

impl Desk {
    fn new() -> Self {
        let server = ApiServer::new();
        let listening = ServedApi::on_loopback(&server);
        let directory = directory_in_memory();
        let commands = "kubectl apply -f m/definitions.yaml\nkubectl apply -f m/objects.yaml\nkubectl get pods";
        write_release(&directory.path().join("tree"), commands, &EVERYTHING);
        fs::write(directory.path().join("config"), kubeconfig(&listening.address)).unwrap();
        Self {
            directory,
            server,
            _served: listening,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the binary is what is tested, so a test starts it"
    )]
    fn verify(&self, lanes: &str) -> Output {
        let arguments = "verify --tree tree --release v1.5.0 --cluster theirs --kubeconfig config -n quickstart --timeout 20s \
                         --requests 1 --json-file joined.json --junit-file joined.xml --lane";
        std::process::Command::new(assert_cmd::cargo::cargo_bin!("quickproof"))
            .args(arguments.split_whitespace().chain([lanes]))
            .current_dir(self.directory.path())
            .env_clear()
            .env("HOME", self.directory.path())
            .output()
            .unwrap()
    }

    fn joined(&self) -> Value {
        serde_json::from_slice(&fs::read(self.directory.path().join("joined.json")).unwrap()).unwrap()
    }

    fn runs(&self) -> usize {
        fs::read_dir(self.directory.path().join("quickproof-runs")).map_or(0, Iterator::count)
    }
}

#[test]
fn each_lane_has_its_verdict_in_one_report_and_one_that_cannot_run_here_does_not_pass() {
    let desk = Desk::new();
    let before = desk.server.objects();
    let ended = desk.verify("sim/gke,sim/nonsense");
    let said = String::from_utf8_lossy(&ended.stderr);
    // No command of the guide sends a request, so that nothing is proven of the one either.
    assert_eq!(ended.status.code(), Some(4), "{said}");
    let joined = desk.joined();
    let lanes = joined["decisions"].as_array().unwrap();
    let told: Vec<_> = lanes
        .iter()
        .map(|lane| {
            (
                lane["check"].as_str().unwrap(),
                lane["finding"]["finding"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [("lane:gke/sim", "undecided"), ("lane:nonsense/sim", "undecided")],
        "{said}"
    );
    let why = lanes[1]["finding"]["why"].as_str().unwrap();
    assert!(why.starts_with("it was not run: ") && why.contains("nonsense"), "{why}");
    assert!(said.contains("0 of 2 lanes passed"), "{said}");
    assert_eq!(desk.runs(), 2, "the run of the lane, and the report over all");
    assert_eq!(desk.server.objects(), before, "what the lane made is gone");
    let junit = fs::read_to_string(desk.directory.path().join("joined.xml")).unwrap();
    assert!(
        junit.contains("lane:gke/sim") && junit.contains("lane:nonsense/sim"),
        "{junit}"
    );
}

#[test]
fn all_is_what_the_guide_offers() {
    let desk = Desk::new();
    let ended = desk.verify("all");
    assert_eq!(
        ended.status.code(),
        Some(4),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let joined = desk.joined();
    let lanes = joined["decisions"].as_array().unwrap();
    let checks: Vec<_> = lanes.iter().map(|lane| lane["check"].as_str().unwrap()).collect();
    assert_eq!(checks, ["lane:gke/sim"]);
}

#[test]
fn where_no_lane_can_be_run_nothing_is_begun() {
    let desk = Desk::new();
    let ended = desk.verify("sim/nonsense,other/gke");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    for part in [
        "none of these lanes can be run here",
        "sim/nonsense: ",
        "other/gke: ",
        "plan --lanes",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!((desk.runs(), desk.server.asked().len()), (0, 0));
}
