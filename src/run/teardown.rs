//! Teardown: always, in reverse, on its own time budget; and the evidence gathered before it.

use std::time::{Duration, Instant};

use super::{Context, Keep, checks, signals};
use crate::{
    cluster::{
        Cluster,
        inventory::Made,
        teardown::{Fate, Teardown, Which},
    },
    evidence,
    record::{Event, Stage},
    verdict::Finding,
};

/// How long teardown may take in all.
const BUDGET: Duration = Duration::from_mins(3);
/// How long evidence may take: the cluster may be away.
const EVIDENCE_BUDGET: Duration = Duration::from_secs(15);

/// Gathers evidence where it is needed, and takes away what the run made.
pub(super) async fn run(context: Context) {
    let (deployer, cluster) = context.pending_teardown(|pending| (pending.deployer.take(), pending.cluster.take()));
    if let Some(deployer) = &deployer {
        let gathered = evidence::gather(
            &deployer.site.client,
            &deployer.site.namespace,
            &context.evidence,
            &context.redactor,
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
        put_back(&context, cluster.as_ref()).await;
        keep(&context, cluster.as_ref());
        return;
    }
    let teardown = teardown_of(&context, cluster.as_ref());
    let taking = async { left_of(teardown.take_away(Which::Everything).await) };
    let left = tokio::select! {
        left = tokio::time::timeout(BUDGET, taking) => left.unwrap_or_else(|_| still_there(&context)),
        _ = signals::first() => still_there(&context),
    };
    if left.is_empty() {
        context.events.decide(
            checks::CLEANUP
                .decision("everything made was removed", Finding::Holds)
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

/// A teardown that talks to the run's cluster by the run's own client.
fn teardown_of<'a>(context: &'a Context, cluster: Option<&Cluster>) -> Teardown<'a> {
    let teardown = Teardown::new(&context.host, &context.inventory, &context.events);
    match cluster {
        Some(cluster) => teardown.connected(cluster.reach(), cluster.client.clone()),
        None => teardown,
    }
}

/// What stays, each with the reason.
fn left_of(taken: Vec<(Made, Fate)>) -> Vec<String> {
    let why = |(made, fate)| match fate {
        Fate::Left(why) => Some(format!("{made}: {why}")),
        Fate::Removed | Fate::PutBack | Fate::Absent => None,
    };
    taken.into_iter().filter_map(why).collect()
}

/// Puts back, in a cluster that is kept, what a scenario had scaled when the run was interrupted.
async fn put_back(context: &Context, cluster: Option<&Cluster>) {
    let taken = teardown_of(context, cluster).take_away(Which::Changes).await;
    for (made, _) in taken.iter().filter(|(_, fate)| *fate == Fate::PutBack) {
        context
            .events
            .note(Stage::Cleanup, format!("{made} are asked for again"));
    }
    let left = left_of(taken);
    if !left.is_empty() {
        context.events.send(Event::LeftBehind { what: left });
    }
}

fn still_there(context: &Context) -> Vec<String> {
    let there = context.inventory.made();
    let said = there.iter().map(|made| format!("{made}; by hand: {}", made.by_hand()));
    let mut left: Vec<String> = said.collect();
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
