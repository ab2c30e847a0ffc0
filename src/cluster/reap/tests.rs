//! Reaping with programs that the test wrote.

use std::{fs, path::PathBuf};

use futures::future::join_all;
use serde_json::json;

use super::*;
use crate::{cluster::inventory::ProcessName, host::fake};

/// A directory for state, and programs that are not there but for those that a test writes.
struct Desk {
    directory: tempfile::TempDir,
    host: Host,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let host = Host::with_variables([
            ("XDG_STATE_HOME", directory.path().to_str().unwrap()),
            ("PATH", &format!("{}:/bin:/usr/bin", directory.path().display())),
        ]);
        Self { directory, host }
    }

    /// As [`Desk::new`], with an engine whose node `n` has the addresses 10.0.0.1 and 10.0.0.2.
    async fn with_an_engine() -> Self {
        let desk = Self::new();
        let docker = format!(
            r#"case "$*" in
                ps*) echo n ;;
                *show*) for i in 1 2; do echo "12: eth0    inet 10.0.0.$i/32 scope global eth0"; done ;;
                *del*) echo "$6" >>{} ;;
            esac"#,
            desk.directory.path().join("taken").display()
        );
        fake::script(&desk.directory.path().join("docker"), &docker).await;
        desk
    }

    fn path(&self, run: &str) -> PathBuf {
        self.directory.path().join(format!("quickproof/runs/{run}.json"))
    }

    /// An inventory as a process that is gone left it.
    fn dead(&self, run: &str, kept: bool, made: &[Made]) {
        fs::create_dir_all(self.path(run).parent().unwrap()).unwrap();
        let listing = json!({"run": run, "kept": kept, "made": made,
            "process": ProcessName { started: 0, ..ProcessName::own() }});
        fs::write(self.path(run), listing.to_string()).unwrap();
    }

    async fn reap(&self) -> Vec<Reaped> {
        let events = Events::unheard();
        let turn = Turn::take(&self.host, &events).await.unwrap();
        reap(&self.host, Scope::Dead, &turn, &events).await.unwrap()
    }

    /// The addresses that were taken off the node, in order.
    fn taken(&self) -> Vec<String> {
        let taken = fs::read_to_string(self.directory.path().join("taken")).unwrap_or_default();
        taken.lines().map(ToOwned::to_owned).collect()
    }
}

fn address(last: u8) -> Made {
    Made::Address {
        node: "n".into(),
        address: [10, 0, 0, last].into(),
    }
}

#[tokio::test]
async fn what_a_killed_run_left_is_removed_newest_first_and_its_inventory_with_it() {
    let desk = Desk::with_an_engine().await;
    desk.dead("ab12", false, &[address(1), address(2)]);
    let reaped = desk.reap().await;
    assert!(reaped.iter().all(|reaped| reaped.fate == Fate::Removed), "{reaped:?}");
    assert_eq!(desk.taken(), ["10.0.0.2/32", "10.0.0.1/32"]);
    assert!(!desk.path("ab12").exists());
}

#[tokio::test]
async fn what_a_live_run_made_is_left_alone() {
    let desk = Desk::with_an_engine().await;
    let inventory = Inventory::open(&desk.host, "ab12").unwrap();
    inventory.add(address(1)).unwrap();
    assert!(desk.reap().await.is_empty());
    assert!(desk.taken().is_empty() && desk.path("ab12").exists());
}

#[tokio::test]
async fn what_was_kept_on_purpose_goes_only_with_everything() {
    let desk = Desk::with_an_engine().await;
    desk.dead("ab12", true, &[address(1)]);
    assert!(left(&desk.host, Scope::Dead).unwrap().listings.is_empty());
    assert!(desk.reap().await.is_empty());
    assert_eq!(left(&desk.host, Scope::All).unwrap().listings.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_removed_stays_in_the_inventory_and_the_rest_goes() {
    let desk = Desk::with_an_engine().await;
    let cluster = Made::KindCluster {
        name: "quickproof-ab12".into(),
        kubeconfig: "/k".into(),
    };
    desk.dead("ab12", false, &[cluster.clone(), address(1)]);
    // kind is not there.
    let reaped = desk.reap().await;
    assert!(
        matches!(&reaped[1].fate, Fate::Left(why) if why.contains("kind")),
        "{reaped:?}"
    );
    assert_eq!(desk.taken(), ["10.0.0.1/32"]);
    assert_eq!(Inventories::all(&desk.host).unwrap().readable[0].1.made, [cluster]);
}

#[tokio::test]
async fn an_address_is_absent_where_its_node_has_it_no_more_or_is_gone() {
    let desk = Desk::with_an_engine().await;
    let elsewhere = Made::Address {
        node: "m".into(),
        address: [10, 0, 0, 1].into(),
    };
    desk.dead("ab12", false, &[address(3), elsewhere]);
    let docker = desk.directory.path().join("docker");
    let only_n = r#"case "$*" in *^n$*) echo n ;; *show*) echo "12: eth0    inet 10.0.0.1/32" ;; esac"#;
    fake::script(&docker, only_n).await;
    let reaped = desk.reap().await;
    assert!(reaped.iter().all(|reaped| reaped.fate == Fate::Absent), "{reaped:?}");
    assert!(!desk.path("ab12").exists());
}

#[tokio::test]
async fn what_was_removed_by_hand_is_struck_off() {
    let desk = Desk::new();
    desk.dead("ab12", true, &[address(1)]);
    let turn = Turn::take(&desk.host, &Events::unheard()).await.unwrap();
    forget(&desk.host, &turn, |made| *made == address(1)).unwrap();
    assert!(!desk.path("ab12").exists());
}

#[tokio::test]
async fn eight_that_reap_at_once_take_each_thing_away_once_and_none_fails() {
    let desk = Desk::with_an_engine().await;
    desk.dead("ab12", false, &[address(1), address(2)]);
    desk.dead("cd34", false, &[address(1)]);
    let all = join_all((0..8).map(|_| desk.reap())).await;
    let fates = all.iter().flatten().map(|reaped| &reaped.fate);
    assert_eq!(fates.filter(|fate| **fate == Fate::Removed).count(), 3);
    assert_eq!(desk.taken().len(), 3);
    assert!(!desk.path("ab12").exists() && !desk.path("cd34").exists());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_too_long_for_another_that_reaps_says_so() {
    let desk = Desk::new();
    desk.dead("ab12", false, &[]);
    let _turn = Turn::take(&desk.host, &Events::unheard()).await.unwrap();
    let other = Turn::take(&desk.host, &Events::unheard()).await;
    assert!(matches!(other, Err(ClusterError::Busy)), "{other:?}");
}

#[tokio::test]
async fn where_no_run_was_there_is_nothing_to_wait_for_and_nothing_left() {
    let desk = Desk::new();
    assert!(desk.reap().await.is_empty());
    assert!(!desk.path("ab12").parent().unwrap().exists());
}

#[tokio::test]
async fn an_inventory_that_cannot_be_read_is_told_and_kept() {
    let desk = Desk::new();
    desk.dead("ab12", false, &[]);
    fs::write(desk.path("cd34"), "").unwrap();
    assert!(desk.reap().await.is_empty());
    let left = left(&desk.host, Scope::All).unwrap();
    assert!(left.listings.is_empty() && left.unreadable[0].0 == desk.path("cd34"));
}
