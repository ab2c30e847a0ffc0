//! Judging what was seen, stage by stage; and whether it is ready to be asked at all.

use super::{
    conditions,
    deployment::Quickstart,
    observation::{self, Objects},
    request,
    stopped::Stopped,
    workloads::{self, NeverReady},
};
use crate::{
    check::{self, Observation},
    probe::Answer,
    record::{Decision, Events, Provenance, Stage},
};

/// Judges all checks of a stage; `from` is the line of the guide that they are about.
///
/// # Errors
/// One of them does not hold, or could not be decided.
pub(super) fn judge(
    events: &Events,
    stage: Stage,
    seen: &Observation,
    from: Option<&Provenance>,
) -> Result<(), Stopped> {
    let mut judged = Ok(());
    for check in check::of_stage(stage) {
        let finding = check.judge(seen);
        let is_wrong = finding.is_wrong();
        let exchange = check.shown_by(seen, &finding).map(Answer::exchange);
        let its_own = || {
            let of_conditions = stage == Stage::Conditions && is_wrong;
            let (kind, name) = check::conditions::not_so(check.name, seen).filter(|_| of_conditions)?;
            seen.places.get(&(kind.to_owned(), name.to_owned())).cloned()
        };
        let decision = Decision {
            from: from.cloned().or_else(its_own),
            exchange: exchange.map(Box::new),
            ..check.decision(check.sentence(seen), finding)
        };
        if is_wrong {
            judged = Err(Stopped::at(events, decision));
        } else {
            events.decide(decision);
        }
    }
    judged
}

/// Waits for workloads and conditions, and judges them.
///
/// # Errors
/// A workload will never be ready, or a condition does not hold.
pub(super) async fn await_ready(quickstart: &Quickstart<'_>) -> Result<Observation, Stopped> {
    let context = quickstart.context;
    let ready = tokio::select! {
        biased;
        ready = workloads::await_ready(quickstart) => ready.map(|()| None),
        // A model may be loaded for minutes, while what is refused stays so.
        refused = conditions::refused(quickstart) => Ok(Some(refused)),
    };
    let began = context.enter(Stage::Conditions);
    let settled = match ready {
        Ok(None) => await_settled(quickstart).await,
        Ok(Some(refused)) => Ok(refused),
        Err(never) => Err(never),
    };
    match settled {
        Ok(objects) => {
            let seen = observation::of_objects(quickstart.plan, objects);
            judge(&context.events, Stage::Conditions, &seen, None)?;
            context.spent(Stage::Conditions, began);
            Ok(seen)
        }
        Err(never) => {
            // Where the cluster is to blame, requests that are answered all the same show that the pool fails open:
            // worth saying, though it is not what decides.
            if never.is_infrastructure {
                request::say_bypass(quickstart, &never.first).await?;
            }
            Err(never.said)
        }
    }
}

/// Waits for conditions; and for workloads again, where one fell back meanwhile: pods that crash slowly were Ready for a
/// while, and what became of them says more than that none is left.
async fn await_settled(quickstart: &Quickstart<'_>) -> Result<Objects, NeverReady> {
    let objects = settled(quickstart).await?;
    if !workloads::have_fallen(quickstart) {
        return Ok(objects);
    }
    workloads::await_ready(quickstart).await?;
    settled(quickstart).await
}

/// The conditions as they settled; that nobody tells them is nothing that the release does.
async fn settled(quickstart: &Quickstart<'_>) -> Result<Objects, NeverReady> {
    conditions::await_settled(quickstart).await.map_err(|trouble| {
        let sentence = "the API server does not tell how the objects are";
        let decision = request::api_server_away(sentence, &trouble);
        NeverReady {
            first: "the API server".to_owned(),
            is_infrastructure: true,
            said: Stopped::at(&quickstart.context.events, decision),
        }
    })
}
