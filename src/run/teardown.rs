//! Teardown: always, in reverse, on its own time budget; and the evidence gathered before it.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use super::{Context, Keep, signals};
use crate::{
    cluster::{self, Cluster, Origin, inventory::Made, scale::Scaled},
    deploy::{Deployer, Ownership},
    evidence,
    record::{Decision, Event, Stage},
    verdict::Finding,
};

/// How long teardown may take in all.
const BUDGET: Duration = Duration::from_mins(3);
/// How long evidence may take: the cluster may be away.
const EVIDENCE_BUDGET: Duration = Duration::from_secs(15);

/// Gathers evidence where it is needed, and takes away what the run made.
pub(super) async fn run(context: Context) {
    let (deployer, cluster) = context.hold(|held| (held.deployer.take(), held.cluster.take()));
    if let Some(deployer) = &deployer {
        let gathered = evidence::gather(
            &deployer.site.client,
            &deployer.site.namespace,
            &context.evidence,
            &context.sink,
        );
        if let Ok(Err(error)) = tokio::time::timeout(EVIDENCE_BUDGET, gathered).await {
            context
                .events
                .note(Stage::Cleanup, format!("evidence could not be written: {error}"));
        }
    }
    let began = Instant::now();
    context.events.send(Event::Entered { stage: Stage::Cleanup });
    if context.order.keep == Keep::Yes {
        put_back(&context, deployer.as_deref()).await;
        keep(&context, cluster.as_ref());
        return;
    }
    let taking = async {
        let mut left = Vec::new();
        if let Some(deployer) = deployer.as_ref().filter(|_| {
            cluster
                .as_ref()
                .is_none_or(|cluster| cluster.origin == Origin::Existing)
        }) {
            left.extend(deployer.take_away().await);
            left.extend(take_addresses_back(&context, cluster.as_ref()).await);
        }
        for made in context.inventory.made() {
            match &made {
                Made::KindCluster { name, .. } => {
                    context.events.waiting(Stage::Cleanup, made.to_string(), "deleting");
                    match cluster::delete(&context.host, name).await {
                        Ok(()) => drop(context.inventory.remove(&made)),
                        Err(error) => left.push(format!("{made}: {error}")),
                    }
                }
                // Objects in somebody else's cluster: what could not be deleted has been said.
                Made::Object { .. } => {}
                Made::Scaled { .. } => left.extend(scaled_back(&context, &made, deployer.as_deref()).await),
                other => left.push(other.to_string()),
            }
        }
        left
    };
    let left = tokio::select! {
        left = tokio::time::timeout(BUDGET, taking) => left.unwrap_or_else(|_| still_there(&context)),
        _ = signals::first() => still_there(&context),
    };
    if left.is_empty() {
        context.events.decide(
            Decision::new(Stage::Cleanup, "cleanup", "everything made was removed", Finding::Holds)
                .took(began.elapsed())
                .advisory(),
        );
    } else {
        context.events.send(Event::LeftBehind { what: left });
    }
    context.spent(Stage::Cleanup, began);
    // A file that stays is what `reap` finds the rest by.
    let _ = context.inventory.close();
}

/// Puts back, in a cluster that is kept, what a scenario had scaled when the run was interrupted.
async fn put_back(context: &Context, deployer: Option<&Deployer>) {
    let scaled = context.hold(|held| std::mem::take(&mut held.scaled));
    let mut left = Vec::new();
    for one in scaled {
        let Some(deployer) = deployer else { break };
        match deployer.ask_back(&one).await {
            Ok(()) => context.events.note(
                Stage::Cleanup,
                format!("{} is asked for its {} replicas again", one.title(), one.replicas),
            ),
            Err(why) => left.push(format!("the {} replicas of {}: {why}", one.replicas, one.title())),
        }
    }
    if !left.is_empty() {
        context.events.send(Event::LeftBehind { what: left });
    }
}

/// What was scaled and not put back: it went with what was deleted, or it is put back now. Returns what is left.
async fn scaled_back(context: &Context, made: &Made, deployer: Option<&Deployer>) -> Option<String> {
    let scaled = context.hold(|held| held.scaled.clone());
    let noted = |one: &&Scaled| deployer.is_some_and(|deployer| one.noted(deployer.site.reach.clone()) == *made);
    let (Some(one), Some(deployer)) = (scaled.iter().find(noted), deployer) else {
        return Some(made.to_string());
    };
    if deployer.site.ownership == Ownership::Ours {
        // It went with the cluster; where that is left, it says so itself.
        drop(context.inventory.remove(made));
        return None;
    }
    deployer.ask_back(one).await.err()
}

/// In a cluster that stays, the node gives back what stood in for a load balancer.
async fn take_addresses_back(context: &Context, cluster: Option<&Cluster>) -> Vec<String> {
    let addresses =
        context.hold(|held| std::mem::take(&mut *held.addresses.lock().unwrap_or_else(PoisonError::into_inner)));
    let mut left = Vec::new();
    for address in addresses {
        let Some(cluster) = cluster else { break };
        if let Err(error) = cluster::address::take_back(&context.host, cluster, address).await {
            left.push(format!("address {address} on the node: {error}"));
        }
    }
    left
}

fn still_there(context: &Context) -> Vec<String> {
    let mut left: Vec<String> = context.inventory.made().iter().map(ToString::to_string).collect();
    left.push("quickproof reap removes it".into());
    left
}

fn keep(context: &Context, cluster: Option<&Cluster>) {
    let _ = context.inventory.keep();
    let mut how = Vec::new();
    if let Some(cluster) = cluster {
        how.push(format!("export KUBECONFIG={}", cluster.kubeconfig.display()));
        how.push(format!("kubectl --context {} get pods -A", cluster.context));
        how.push("quickproof reap --all    # when done".into());
    }
    context.events.send(Event::Kept { how });
}
