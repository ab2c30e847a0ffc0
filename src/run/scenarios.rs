//! The scenarios: what is proven beyond the guide's own request, through the gateway that the guide made.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    changing::ClusterChanges,
    deployment::Quickstart,
    models::{self, Models},
    picker, pool,
    request::{Asked, REQUEST_LIMIT},
    stopped::{Stopped, probe},
};
use crate::{
    check::{Observation, rewrite, wire::ErrorForm},
    plan::Plan,
    probe::Probe,
    record::{Event, Events, Stage},
    release::{ErrorBody, Servers},
    scenario::{self, Capability, ChangeExecutor, Deployed, Role, Scenario, Selection, Target},
};

/// What is asked where a scenario says nothing in particular. As the guides ask.
pub(super) const PROMPT: &str = "Write as if you were a critic: San Francisco";

/// Performs the scenarios of the order; where the guide's own request failed, they are skipped and say so.
///
/// # Errors
/// Requests cannot be sent at all.
pub(super) async fn perform_selected(quickstart: &Quickstart<'_>, asked: &Asked) -> Result<(), Stopped> {
    let context = quickstart.context;
    let selection = &context.order.scenarios;
    let scenarios = in_order(&selection.performed);
    if scenarios.is_empty() {
        return Ok(());
    }
    let began = context.enter(Stage::Scenarios);
    note_unasked(selection, &context.events);
    let probe = probe(&context.events, REQUEST_LIMIT)?;
    let target = match &asked.works {
        Ok(()) => target(quickstart, &probe, asked).await,
        Err(_) => Err("the guide's own request failed; nothing was sent".to_owned()),
    };
    match target {
        Ok(mut target) => {
            let changes = ClusterChanges::new(quickstart, &asked.reached.outgoing, &probe, &asked.seen);
            target.unchangeable = unchangeable(&changes);
            context.events.send(Event::Expected {
                checks: expected(&scenarios, &target),
            });
            perform(&scenarios, &probe, &target, &changes, &context.events).await;
        }
        Err(why) => skip(&scenarios, &why, &context.events),
    }
    context.spent(Stage::Scenarios, began);
    Ok(())
}

/// Names of the checks that scenarios decide.
pub(super) fn expected(scenarios: &[&Scenario], target: &Target) -> Vec<String> {
    let of_each = |scenario: &&Scenario| scenario::expected(scenario, target);
    scenarios.iter().flat_map(of_each).collect()
}

/// Performs scenarios, until one of them leaves something other than it was.
pub(super) async fn perform(
    scenarios: &[&Scenario],
    probe: &Probe,
    target: &Target,
    executor: &impl ChangeExecutor,
    events: &Events,
) {
    let mut spoilt: Option<String> = None;
    for scenario in scenarios {
        match &spoilt {
            Some(why) => scenario::leave_out(scenario, target, why, events),
            None => spoilt = scenario::perform(scenario, probe, target, executor, events).await,
        }
    }
}

/// Says why no scenario is performed.
pub(super) fn skip(scenarios: &[&Scenario], why: &str, events: &Events) {
    for scenario in scenarios {
        scenario::skip(scenario, why.to_owned(), events);
    }
}

/// Says which scenarios there would be if somebody asked for them.
pub(super) fn note_unasked(selection: &Selection, events: &Events) {
    if let Some(unasked) = selection.unasked_sentence() {
        events.note(Stage::Scenarios, unasked);
    }
}

/// How an error may be told behind this release's endpoint picker.
fn error_form(plan: &Plan) -> ErrorForm {
    match plan.picker.as_ref().map(|picker| picker.error_body) {
        Some(ErrorBody::Empty) => ErrorForm::JsonPickerOrEmpty,
        Some(ErrorBody::Explained) | None => ErrorForm::JsonOrPicker,
    }
}

/// What they are performed on: the address, model, prompt and headers of the guide's own request.
///
/// # Errors
/// In words, why they cannot be.
async fn target(quickstart: &Quickstart<'_>, probe: &Probe, asked: &Asked) -> Result<Target, String> {
    let (plan, outgoing, seen) = (quickstart.plan, &asked.reached.outgoing, &asked.seen);
    if seen.servers == Servers::Echo {
        return Err("the servers of this release echo what they are asked, and scenarios ask models".to_owned());
    }
    let base = models::base(&outgoing.url)?;
    let model = outgoing
        .model()
        .ok_or("the guide's request names no model, so there is none to ask for")?;
    let headers = models::headers(outgoing);
    let models = Models::ask(probe, &base, &headers).await;
    let adapter = models.adapter_of(&model);
    let rewritten = [Some(&model), adapter.as_ref()].into_iter().flatten().map(|asked| {
        let names = rewrite::names(&seen.rewrites, asked);
        (asked.clone(), names.map(str::to_owned).collect())
    });
    let metrics = matches!(seen.proof.endpoint_picker.after, Some(Ok(_)));
    let capabilities = [
        Some(Capability::Cluster),
        Some(Capability::EndpointPicker),
        metrics.then_some(Capability::EndpointPickerMetrics),
        adapter.is_some().then_some(Capability::Adapter),
        failure_mode(seen),
    ];
    Ok(Target {
        rewritten: rewritten.collect(),
        served: models.served(),
        base,
        model,
        prompt: PROMPT.to_owned(),
        adapter,
        headers,
        release: plan.subject.tag.as_deref().and_then(|tag| tag.parse().ok()),
        variant: Some(plan.subject.variant.clone()),
        provider: Some(plan.subject.provider.clone()),
        has_answered: true,
        deployed: Deployed::ByTheRun,
        has_served: Arc::default(),
        listed: None,
        error_form: error_form(plan),
        configured: plan.configured_latencies(),
        capabilities: capabilities.into_iter().flatten().collect::<BTreeSet<_>>(),
        unchangeable: BTreeMap::new(),
    })
}

/// Those that change the cluster go last: whatever becomes of them, nothing else was performed on what they leave.
fn in_order(scenarios: &[Scenario]) -> Vec<&Scenario> {
    let mut scenarios: Vec<&Scenario> = scenarios.iter().collect();
    scenarios.sort_by_key(|scenario| scenario.changes().next().is_some());
    scenarios
}

fn unchangeable(changes: &ClusterChanges<'_>) -> BTreeMap<Role, String> {
    let why = |role| Some((role, changes.deployments(role).err()?));
    [Role::ModelServer, Role::EndpointPicker]
        .into_iter()
        .filter_map(why)
        .collect()
}

/// What the pool asks its gateway to do while the endpoint picker cannot be asked. Without a Gateway nobody is asked for
/// anything; one that says nothing means `FailClose`. Source: InferencePool v1 and v1alpha2, `failureMode`.
fn failure_mode(seen: &Observation) -> Option<Capability> {
    let is_led_to = |pool: &&Value| pool::is_led_to(pool, &seen.http_routes);
    let pool = seen.inference_pools.iter().find(is_led_to);
    match picker::reference(pool.filter(|_| !seen.gateways.is_empty())?)?
        .get("failureMode")
        .and_then(Value::as_str)
    {
        None | Some("FailClose") => Some(Capability::FailsClosed),
        Some("FailOpen") => Some(Capability::FailsOpen),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::open(json!({"endpointPickerRef": {"failureMode": "FailOpen"}}), Some(Capability::FailsOpen))]
    #[case::closed(json!({"endpointPickerRef": {"failureMode": "FailClose"}}), Some(Capability::FailsClosed))]
    #[case::says_nothing(json!({"endpointPickerRef": {}}), Some(Capability::FailsClosed))]
    #[case::of_the_first_eras(json!({"extensionRef": {"failureMode": "FailOpen"}}), Some(Capability::FailsOpen))]
    #[case::of_a_later_one(json!({"endpointPickerRef": {"failureMode": "FailOver"}}), None)]
    #[case::no_picker(json!({}), None)]
    fn the_failure_mode_is_what_the_pool_says(#[case] spec: Value, #[case] mode: Option<Capability>) {
        let backend = json!({"kind": "InferencePool", "name": "p"});
        let mut seen = Observation {
            inference_pools: vec![
                json!({"metadata": {"name": "another"}, "spec": {"endpointPickerRef": {"failureMode": "x"}}}),
                json!({"metadata": {"name": "p"}, "spec": spec}),
            ],
            http_routes: vec![json!({"metadata": {}, "spec": {"rules": [{"backendRefs": [backend]}]}})],
            ..Observation::default()
        };
        assert_eq!(failure_mode(&seen), None, "without a Gateway nobody keeps it");
        seen.gateways.push(json!({}));
        assert_eq!(failure_mode(&seen), mode);
    }

    #[test]
    fn what_changes_the_cluster_goes_last() {
        let scenario = |name: &str, step: &str| {
            let text =
                format!("name: {name}\nproves: It holds.\nneeds: {{capabilities: [cluster]}}\nsteps:\n- {step}\n");
            scenario::read("a.yaml", text.as_bytes()).unwrap()
        };
        let request = "request: {path: /, expect: {status: [200]}}";
        let with = format!("with: {{scale: {{what: model-server, to: 0}}, steps: [{{{request}}}]}}");
        let scenarios = [
            scenario("a", &with),
            scenario("b", request),
            scenario("c", &with),
            scenario("d", request),
        ];
        let names: Vec<&str> = in_order(&scenarios).iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["b", "d", "a", "c"]);
    }
}
