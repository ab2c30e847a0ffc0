//! Reaping with programs that the test wrote.

use std::{fs, path::PathBuf};

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
    fn dead(&self, run: &str, kept: bool, made: Vec<Made>) {
        fs::create_dir_all(self.path(run).parent().unwrap()).unwrap();
        let process = ProcessName {
            started: 0,
            ..ProcessName::own()
        };
        let run = run.to_owned();
        let path = self.path(&run);
        let listing = Listing {
            run,
            process,
            kept,
            made,
        };
        listing.write(&path).unwrap();
    }

    async fn reap(&self) -> Vec<Reaped> {
        reap(&self.host, Scope::Dead, &Events::unheard()).await.unwrap()
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
    desk.dead("ab12", false, vec![address(1), address(2)]);
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
    desk.dead("ab12", true, vec![address(1)]);
    assert!(left(&desk.host, Scope::Dead).unwrap().is_empty());
    assert!(desk.reap().await.is_empty());
    assert_eq!(left(&desk.host, Scope::All).unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_removed_stays_in_the_inventory_and_the_rest_goes() {
    let desk = Desk::with_an_engine().await;
    let cluster = Made::KindCluster {
        name: "quickproof-ab12".into(),
        kubeconfig: "/k".into(),
    };
    desk.dead("ab12", false, vec![cluster.clone(), address(1)]);
    // kind is not there.
    let reaped = desk.reap().await;
    assert!(
        matches!(&reaped[1].fate, Fate::Left(why) if why.contains("kind")),
        "{reaped:?}"
    );
    assert_eq!(desk.taken(), ["10.0.0.1/32"]);
    assert_eq!(Listing::all(&desk.host).unwrap()[0].1.made, [cluster]);
}

#[tokio::test]
async fn an_address_is_absent_where_its_node_has_it_no_more_or_is_gone() {
    let desk = Desk::with_an_engine().await;
    let elsewhere = Made::Address {
        node: "m".into(),
        address: [10, 0, 0, 1].into(),
    };
    desk.dead("ab12", false, vec![address(3), elsewhere]);
    let docker = desk.directory.path().join("docker");
    let only_n = r#"case "$*" in *^n$*) echo n ;; *show*) echo "12: eth0    inet 10.0.0.1/32" ;; esac"#;
    fake::script(&docker, only_n).await;
    let reaped = desk.reap().await;
    assert!(reaped.iter().all(|reaped| reaped.fate == Fate::Absent), "{reaped:?}");
    assert!(!desk.path("ab12").exists());
}

#[test]
fn what_was_removed_by_hand_is_struck_off() {
    let desk = Desk::new();
    desk.dead("ab12", true, vec![address(1)]);
    forget(&desk.host, |made| *made == address(1)).unwrap();
    assert!(!desk.path("ab12").exists());
}
