//! The release, its guide and the plan: what is said of them, and what must be had before anything is made.

use super::{
    Context, Strictness,
    checks::{GUIDE_UNDERSTOOD, SCHEMAS, STRICT},
    images::Images,
    stopped::Stopped,
};
use crate::{
    check,
    host::in_words,
    plan::{Action, CarriedOutBy, Plan},
    record::Stage,
    release::{Release, schemas},
    verdict::{Cause, CauseCode, Fault, Finding, Weight},
};

/// Names of the checks that must be decided: every step that does something and decides, every check.
pub(super) fn expected(plan: &Plan) -> Vec<String> {
    let does_something = |action: &Action| {
        let carried_out_by = action.facts().carried_out_by;
        !matches!(carried_out_by, CarriedOutBy::Nobody | CarriedOutBy::Request)
    };
    let steps = plan
        .steps
        .iter()
        .filter(|step| step.weight == Weight::Gate && does_something(&step.action))
        .map(|step| step.check.clone());
    let checks = check::CHECKS.iter().map(|check| check.name.to_owned());
    steps
        .chain(checks)
        .chain([GUIDE_UNDERSTOOD.name.into_owned()])
        .collect()
}

/// Says what the release is, and whether every command of its guide is understood.
pub(super) fn present(context: &Context, release: &Release, plan: &Plan) {
    context.enter(Stage::Release);
    for note in &release.notes {
        context.events.note(Stage::Release, note.clone());
    }
    let not_understood = plan.steps.iter().find_map(|step| match &step.action {
        Action::Unsupported { why } => Some(format!("{}: `{}`: {why}", step.from, step.command)),
        _ => None,
    });
    let finding = not_understood.map_or(Finding::Holds, |why| Finding::Undecided { why });
    let sentence = format!(
        "the guide is {} commands for {} on {}, all understood",
        plan.steps.len(),
        plan.subject.variant,
        plan.subject.provider
    );
    context.events.decide(GUIDE_UNDERSTOOD.decision(sentence, finding));
}

/// The plan for these images, with all the objects that it applies. Its ledger is said.
pub(super) async fn complete(context: &Context, mut plan: Plan, images: &Images) -> Result<Plan, Stopped> {
    if images.are_built() {
        plan = plan.with_built_images();
    }
    for deviation in &plan.ledger {
        context.events.deviate(deviation.clone());
    }
    if context.order.strictness == Strictness::Strict && context.events.deviations() > 0 {
        // Nothing is gained by going on.
        return Err(Stopped::by_strictness());
    }
    match schemas::objects(&context.host, &plan.schemas).await {
        Ok(objects) => {
            plan.supply(objects);
            Ok(plan)
        }
        Err(error) => {
            let cause = Cause::new(CauseCode::HostToolFailed).because(in_words(&error));
            let fault = Fault::shown("the Gateway API CRDs that the provider needs", cause);
            let decision = SCHEMAS.decision("CRDs can be had", fault.into());
            Err(Stopped::at(&context.events, decision))
        }
    }
}

/// With `--strict`, a run that deviated anywhere cannot pass, however well it went.
pub(super) fn judge_strictness(context: &Context) {
    let deviations = context.events.deviations();
    if context.order.strictness == Strictness::Strict && deviations > 0 {
        let why = format!("`--strict` allows no deviation from the guide, and the ledger has {deviations}");
        let sentence = "the run follows the guide to the letter";
        let finding = Finding::Undecided { why };
        context.events.decide(STRICT.decision(sentence, finding));
    }
}
