//! A cluster of our own against the real container engine: made, looked into, reached, taken away.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use quickproof::{
    cluster::{
        self, Cluster, ExistingCluster, Origin, address, forward,
        inventory::Inventory,
        teardown::{Fate, Teardown, Which},
    },
    host::Host,
    images::{self, ImageSource},
    record::Events,
};
use serde_json::json;

use crate::bench::beside_others;

/// How long a cluster that is there gets to answer.
const SECONDS: Duration = Duration::from_secs(15);
/// Where CoreDNS, which every cluster has, serves its metrics.
const METRICS: u16 = 9153;

#[tokio::test]
async fn a_cluster_is_made_and_reached_and_leaves_nothing_behind() {
    let _turn = beside_others();
    let (host, events) = (Host::real(), Events::unheard());
    let id = format!("t{}", std::process::id());
    let inventory = Inventory::open(&host, &id).unwrap();
    let seen = look(&host, &id, &inventory, &events).await;
    let taken = Teardown::new(&host, &inventory, &events)
        .take_away(Which::Everything)
        .await;
    inventory.close().unwrap();
    seen.unwrap();
    assert!(taken.iter().all(|(_, fate)| *fate == Fate::Removed), "{taken:?}");
    let name = cluster::cluster_name(&id).unwrap();
    assert!(
        cluster::list(&host)
            .await
            .unwrap()
            .iter()
            .all(|listed| listed.name != name)
    );
    let gone = cluster::open(&host, &ExistingCluster::Named(name), None, SECONDS, &events).await;
    assert!(gone.is_err(), "its kubeconfig is gone with it");
}

/// Everything that needs the cluster, so that it is taken away whatever comes of it.
async fn look(host: &Host, id: &str, inventory: &Inventory, events: &Events) -> anyhow::Result<()> {
    let provided = images::provide(host, ImageSource::Auto, &[], events).await?;
    let made = cluster::create(host, id, provided.node_image.as_deref(), inventory, events).await?;
    cluster::dns_ready(&made, events).await?;

    let capacity = cluster::capacity(&made).await?;
    anyhow::ensure!(capacity.nodes.len() == 1 && capacity.cpu_millis() > 0 && capacity.memory_bytes() > 0);

    let again = cluster::open(host, &ExistingCluster::Named(made.name.clone()), None, SECONDS, events).await?;
    anyhow::ensure!(again.origin == Origin::Existing && again.node_container() == made.node_container());

    through_an_address(host, &made, inventory).await?;
    through_the_api_server(&made).await
}

async fn metrics(client: &reqwest::Client, address: &str) -> anyhow::Result<String> {
    let answer = client.get(format!("http://{address}/metrics")).send().await?;
    Ok(answer.error_for_status()?.text().await?)
}

async fn through_an_address(host: &Host, made: &Cluster, inventory: &Inventory) -> anyhow::Result<()> {
    let services = Api::<Service>::namespaced(made.client.clone(), "kube-system");
    let service = serde_json::from_value(json!({
        "metadata": {"name": "metrics"},
        "spec": {"type": "LoadBalancer", "selector": {"k8s-app": "kube-dns"}, "ports": [{"port": 80, "targetPort": METRICS}]},
    }))?;
    services.create(&PostParams::default(), &service).await?;
    let given = address::assign(host, made, inventory, "kube-system", "metrics").await?;
    let given_again = address::assign(host, made, inventory, "kube-system", "metrics").await?;
    anyhow::ensure!(given == given_again, "a Service keeps its address");
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(2))
        .no_proxy()
        .build()?;
    let mut tries = tokio::time::interval(Duration::from_millis(100));
    let reached = async {
        loop {
            tries.tick().await;
            let text = metrics(&client, &given.to_string()).await.unwrap_or_default();
            if text.contains("coredns_build_info") {
                return;
            }
        }
    };
    // kube-proxy has heard of the address a moment later.
    tokio::time::timeout(Duration::from_secs(20), reached).await?;
    Ok(())
}

async fn through_the_api_server(made: &Cluster) -> anyhow::Result<()> {
    let pods = Api::<Pod>::namespaced(made.client.clone(), "kube-system");
    let found = pods.list(&ListParams::default().labels("k8s-app=kube-dns")).await?;
    let pod = found.items.first().and_then(|pod| pod.metadata.name.clone());
    let pod = pod.ok_or_else(|| anyhow::anyhow!("no pod of CoreDNS"))?;
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .no_proxy()
        .build()?;

    let open = forward::forward(&made.client, "kube-system", &pod, METRICS).await?;
    let text = metrics(&client, &open.address().to_string()).await?;
    anyhow::ensure!(text.contains("coredns_build_info") && open.last_failure().is_none());
    let address = open.address().to_string();
    drop(open);
    anyhow::ensure!(metrics(&client, &address).await.is_err(), "dropping it ends it");

    let shut = forward::forward(&made.client, "kube-system", &pod, 1).await?;
    anyhow::ensure!(metrics(&client, &shut.address().to_string()).await.is_err());
    anyhow::ensure!(shut.last_failure().is_some(), "why it failed is told");
    Ok(())
}
