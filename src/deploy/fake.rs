//! A deployer of the tests.

use std::{path::Path, sync::Arc, time::Duration};

use super::{Deployer, Ownership, Site};
use crate::{
    cluster::{
        self, ExistingCluster,
        inventory::Inventory,
        watching::{Namespaces, Watches},
    },
    host::Host,
    record::Events,
};

/// One in the namespace `n` of the cluster `theirs`, which is somebody else's, with the kubeconfig and the scratch space of
/// this directory and the programs of its `bin`.
pub(super) async fn deployer(host: &Host, directory: &Path, programs: &[&str]) -> Deployer {
    let theirs = ExistingCluster::Named("theirs".into());
    let (kubeconfig, limit) = (directory.join("config"), Duration::from_secs(5));
    let opened = cluster::open(host, &theirs, Some(&kubeconfig), limit, &Events::unheard()).await;
    let cluster = opened.unwrap();
    let programs = programs
        .iter()
        .map(|name| ((*name).to_owned(), directory.join("bin").join(name)));
    Deployer::new(Site {
        host: host.clone(),
        client: cluster.client.clone(),
        namespace: "n".into(),
        ownership: Ownership::Shared,
        run: "ab12".into(),
        watches: Arc::new(Watches::start(&cluster.client, Namespaces::Only("n".into()))),
        events: Events::unheard(),
        inventory: Inventory::open(host, "ab12").unwrap(),
        reach: cluster.reach(),
        programs: programs.collect(),
        step_limit: Duration::from_secs(20),
        scratch: directory.join("scratch"),
    })
}
