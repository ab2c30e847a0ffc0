//! What a run needs to be allowed in a cluster of somebody else, looked at before anything is made there.
//!
//! Asked for is what the plan's own objects need, what its commands look at, and what every run does. An object that is there already
//! is used as it is, and needs to be read only: the CRDs of a cluster in which others work. What charts of the tree make is known
//! once helm has rendered them, and CRDs of an API once they are had ([`look_again`]). What published charts and a provider's program make is not known before they
//! run; their own words tell what they lack.

mod asked;

use std::{collections::BTreeSet, time::Duration};

use asked::{Asked, TELLING, TELLING_OF_CLUSTER};

use super::{Context, checks, stopped::Stopped};
use crate::{
    cluster::{
        Cluster, Origin,
        access::{Right, lacking},
    },
    deploy::{Deployer, Ownership},
    manifest::Object,
    plan::{Action, Chart, Makes, Plan},
    record::Stage,
    verdict::{Cause, CauseCode, Fault},
};

/// How long is asked; not knowing it decides nothing.
const LIMIT: Duration = Duration::from_secs(10);

/// Stops where the account lacks a right that the run needs; all that are lacking are named at once. Of one that only lets a run tell
/// more of what goes wrong, a note says that it is lacking.
///
/// # Errors
/// It does.
pub(super) async fn look(context: &Context, plan: &Plan, cluster: Option<&Cluster>) -> Result<(), Stopped> {
    let Some(cluster) = cluster.filter(|cluster| cluster.origin == Origin::Existing) else {
        return Ok(());
    };
    context.events.waiting(Stage::Cluster, "what the account may do", "");
    let namespace = context.namespace();
    let asking = async {
        let mut asked = Asked::of(&cluster.client, &namespace);
        asked.of_every_run().await;
        asked.objects(&objects_of(plan)).await;
        for step in &plan.steps {
            asked.step(&step.action).await;
        }
        lacking(&cluster.client, asked.rights).await
    };
    let needed = tokio::time::timeout(LIMIT, asking).await.unwrap_or_default();
    stop_at(context, &needed)?;
    let mut telling = Asked::of(&cluster.client, &namespace);
    telling.all(TELLING, Some(&namespace));
    telling.all(TELLING_OF_CLUSTER, None);
    let asking = lacking(&cluster.client, telling.rights);
    for right in tokio::time::timeout(LIMIT, asking).await.unwrap_or_default() {
        let sentence = format!("the account may not {right}: where something goes wrong, less of it can be told");
        context.events.note(Stage::Cluster, sentence);
    }
    Ok(())
}

/// The objects of a plan, each with the namespace that its step gives it.
fn objects_of(plan: &Plan) -> Vec<(&Object, Option<&str>)> {
    let required = plan.requirements.iter().map(|object| (object, None));
    let steps = plan.steps.iter().map(|step| step.action.facts().makes);
    let of_steps = steps.flat_map(|makes| match makes {
        Makes::Objects { objects, namespace } => objects.iter().map(|object| (object, namespace)).collect(),
        Makes::Nothing | Makes::Unknown => Vec::new(),
    });
    required.chain(of_steps).collect()
}

/// Stops where the account lacks a right for what was not known at the first look: the CRDs that were had meanwhile, and what charts of
/// the tree make.
///
/// # Errors
/// It does.
pub(super) async fn look_again(context: &Context, plan: &Plan, deployer: &Deployer) -> Result<(), Stopped> {
    if deployer.site.ownership == Ownership::Ours {
        return Ok(());
    }
    let client = &deployer.site.client;
    let mut asked = Asked::of(client, &deployer.site.namespace);
    // What is not known in time decides nothing.
    let _ = tokio::time::timeout(LIMIT, asked.objects(&objects_of(plan))).await;
    for step in &plan.steps {
        let Action::Helm {
            chart: Chart::Tree { .. },
            namespace,
            ..
        } = &step.action
        else {
            continue;
        };
        // What cannot be rendered is told by the step itself.
        let objects = deployer.rendered(step).await.unwrap_or_default();
        let objects: Vec<_> = objects.iter().map(|object| (object, namespace.as_deref())).collect();
        let _ = tokio::time::timeout(LIMIT, asked.objects(&objects)).await;
    }
    let asking = lacking(client, asked.rights);
    stop_at(context, &tokio::time::timeout(LIMIT, asking).await.unwrap_or_default())
}

/// Stops where something is lacking.
fn stop_at(context: &Context, lacking: &[Right]) -> Result<(), Stopped> {
    if lacking.is_empty() {
        return Ok(());
    }
    let expected = "the account may do what the run needs";
    let named: BTreeSet<String> = lacking.iter().map(|right| format!("it may not {right}")).collect();
    let cause = named
        .into_iter()
        .fold(Cause::new(CauseCode::ObjectForbidden), Cause::because);
    let rights = if lacking.len() == 1 { "right is" } else { "rights are" };
    let actual = format!("{} {rights} lacking; nothing was made", lacking.len());
    let fault = Fault::new(expected, actual, cause);
    Err(Stopped::at(
        &context.events,
        checks::CLUSTER.decision(expected, fault.into()),
    ))
}
