//! Teardown: always, in reverse, on its own time budget; and the evidence gathered before it.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures::FutureExt as _;

use super::{Context, Keep, checks, stopped::Stopped};
use crate::{
    cluster::{
        Cluster,
        teardown::{Fate, Teardown, Which, left_of, still_there},
    },
    evidence,
    host::Signals,
    record::{Event, Stage},
    verdict::Finding,
};

/// How long teardown may take in all.
const BUDGET: Duration = Duration::from_mins(3);
/// How long evidence may take: the cluster may be away.
const EVIDENCE_BUDGET: Duration = Duration::from_secs(15);

/// Gathers evidence where it is needed, and takes away what the run made. One signal asks for just that, whenever it comes; a
/// second ends it.
pub(super) async fn run(context: Context, signals: &Signals) {
    let (deployer, cluster) = context.pending_teardown(|pending| (pending.deployer.take(), pending.cluster.take()));
    if let Some(deployer) = &deployer {
        let gathered = evidence::gather(
            &deployer.site.client,
            &deployer.site.namespace,
            &context.evidence,
            context.host.redactor(),
        );
        // What is looked at is anything, and what was made must be taken away all the same.
        let gathered = AssertUnwindSafe(gathered).catch_unwind();
        let gathered = tokio::select! {
            gathered = tokio::time::timeout(EVIDENCE_BUDGET, gathered) => gathered,
            _ = signals.after(1) => Ok(Ok(Ok(()))),
        };
        let gathered = gathered.map(|gathered| {
            gathered.unwrap_or_else(|panic| {
                Stopped::by_panic(&context.events, &*panic);
                Ok(())
            })
        });
        if let Ok(Err(error)) = gathered {
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
        left = tokio::time::timeout(BUDGET, taking) => left.unwrap_or_else(|_| still_there(&context.inventory)),
        _ = signals.after(1) => still_there(&context.inventory),
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
