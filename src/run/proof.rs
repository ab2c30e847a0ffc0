//! The requests of the proof: what shows more than that one request was answered.

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::Value;

use super::{
    conditions,
    deployment::Quickstart,
    judging::judge,
    observation,
    picker::{self, Scraper},
    pool,
    request::{Asked, REQUEST_LIMIT, blame_outage_on_the_cluster},
    stopped::{Stopped, probe},
};
use crate::{
    check::{EndpointPickerSeen, Observation, PoolPod, Proof, READY_PODS, RunningImage, ready_pods_agree},
    host::poll,
    plan::{PickerFacts, Plan},
    probe::{Answer, Outgoing, Probe, resent, resent_note},
    record::Stage,
};

/// Requests that are under way at the same time, in the concurrent half.
const CONCURRENTLY: usize = 4;
/// Requests with one long prompt, one after the other. A gateway that chose among two pods by itself would send all of them
/// to one pod once in 128 times.
const STEERED: usize = 8;
/// Characters of the long prompt. The endpoint picker's prefix cache has blocks of 64 characters (16 tokens of 4), and the
/// simulator's context is 1024 tokens where nobody asks for more.
const LONG_PROMPT: usize = 1600;
/// How long the gauge of ready pods may lag: the endpoint picker refreshes it every five seconds.
const GAUGE_SETTLES_WITHIN: Duration = Duration::from_secs(15);
/// Between two looks at it.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Sends the requests of the proof where the guide's own works, and judges what they show.
///
/// # Errors
/// Requests cannot be sent at all.
pub(super) async fn prove(quickstart: &Quickstart<'_>, asked: Asked) -> Result<Asked, Stopped> {
    let context = quickstart.context;
    let began = context.enter(Stage::Proof);
    let Asked {
        reached,
        mut seen,
        works,
    } = asked;
    if works.is_ok() {
        let (proof, pool_pods) = proof(quickstart, &reached.outgoing, &seen).await?;
        seen = observation::with_proof(seen, proof, pool_pods);
    }
    // A proof that is broken is no reason to leave scenarios out: what comes of them says more.
    let _ = judge(&context.events, Stage::Proof, &seen, None);
    context.spent(Stage::Proof, began);
    Ok(Asked { reached, seen, works })
}

/// Sends the requests of the proof, each with a prompt of its own, between two looks at the endpoint picker's metrics;
/// then those that must all arrive at one pod. What they have shown, and the pool's pods after the last of them.
async fn proof(
    quickstart: &Quickstart<'_>,
    outgoing: &Outgoing,
    seen: &Observation,
) -> Result<(Proof, Vec<PoolPod>), Stopped> {
    let (context, deployer) = (quickstart.context, &quickstart.deployer);
    let events = &context.events;
    let pickers = picker::pods(deployer, seen);
    let pool = pool::as_objects(deployer, &seen.pool_pods);
    events.waiting(Stage::Proof, "the endpoint picker's metrics", "reading");
    let for_metrics = probe(events, picker::SCRAPE_LIMIT)?;
    let scraper = Scraper::open(deployer, seen, context.host.redactor(), for_metrics).await;
    let probe = probe(events, REQUEST_LIMIT)?;

    let before = picker::look(&scraper).await;
    let answers = send(quickstart, &probe, outgoing).await;
    let after = picker::look(&scraper).await;
    let all_are_good = answers.iter().all(|answer| answer.status() == Some(200));
    let (mut steered, mut after_steered) = (Vec::new(), None);
    if all_are_good {
        steered = steer(quickstart, &probe, outgoing, seen).await;
        after_steered = Some(picker::look(&scraper).await);
    }
    if let Some(noted) = resent_note(resent(answers.iter().chain(&steered))) {
        events.note(Stage::Proof, noted);
    }
    let pool_pods = pool::pods_now(deployer, seen);
    let (ready_pods, pool_pods) = match &scraper {
        Ok(scraper) if has_gauge(quickstart.plan) => await_gauge(quickstart, scraper, seen, pool_pods).await,
        Ok(_) | Err(_) => (None, pool_pods),
    };
    if !all_are_good {
        blame_outage_on_the_cluster(quickstart).await;
    }
    if quickstart.images.are_pulled() {
        events.waiting(Stage::Proof, "registries", "asking what images' names lead to now");
    }
    let proxies = conditions::proxies(&quickstart.around());
    let mut images = quickstart.images.running(pickers.iter().chain(&pool)).await;
    let of_provider = quickstart.images.running(&proxies).await;
    images.extend(of_provider.into_iter().map(RunningImage::of_provider));
    let proof = Proof {
        images,
        endpoint_picker: EndpointPickerSeen {
            image: pickers.first().and_then(|pod| picker::image(pod)),
            before: Some(before),
            after: Some(after),
            steered: after_steered,
            ready_pods,
        },
        answers,
        steered,
    };
    Ok((proof, pool_pods))
}

/// The first half one after the other, the rest several at a time.
async fn send(quickstart: &Quickstart<'_>, probe: &Probe, outgoing: &Outgoing) -> Vec<Answer> {
    let context = quickstart.context;
    let all = context.order.requests;
    let serial = all / 2;
    let send = |number| probe.send(varied(outgoing, number));
    let one_by_one = futures::stream::iter((1..=serial).map(send)).buffered(1);
    let several = futures::stream::iter((serial + 1..=all).map(send)).buffered(CONCURRENTLY);
    let answers = one_by_one.chain(several);
    tokio::pin!(answers);
    let mut collected = Vec::new();
    while let Some(answer) = answers.next().await {
        collected.push(answer);
        let seen = format!("{} of {all}", collected.len());
        context.events.waiting(Stage::Proof, "requests", seen);
    }
    collected
}

/// The requests of which it is known beforehand where the endpoint picker must send them: each names its pod, the Ready ones in
/// turn, where the endpoint picker reads that; else all have the same long prompt, and must go to one pod.
async fn steer(quickstart: &Quickstart<'_>, probe: &Probe, outgoing: &Outgoing, seen: &Observation) -> Vec<Answer> {
    let context = quickstart.context;
    let (requests, on) = if let Some(header) = &seen.steered_by {
        let pods = pool::pods_now(&quickstart.deployer, seen);
        (naming(outgoing, header, &pods), "requests that name their pod")
    } else {
        let request = with_prompt(outgoing, |_| long_prompt(&context.id));
        (vec![request; STEERED], "requests with one long prompt")
    };
    let mut answers = Vec::new();
    for request in requests {
        let so_far = format!("{} of {STEERED}", answers.len() + 1);
        context.events.waiting(Stage::Proof, on, so_far);
        answers.push(probe.send(request).await);
    }
    answers
}

/// Requests that each name a Ready pod by its address, in turn; none where no pod has one.
fn naming(outgoing: &Outgoing, header: &str, pods: &[PoolPod]) -> Vec<Outgoing> {
    let addresses = pods
        .iter()
        .filter(|pod| pod.ready)
        .filter_map(|pod| pod.address.as_ref());
    let requests = addresses.cycle().take(STEERED).map(|address| {
        let mut request = outgoing.clone();
        request.headers.push((header.to_owned(), address.clone()));
        request
    });
    requests.collect()
}

/// Whether the endpoint picker of this release has the gauge of ready pods; taken for so where no layout says.
fn has_gauge(plan: &Plan) -> bool {
    let has = |picker: &PickerFacts| picker.metrics.iter().any(|name| name == READY_PODS);
    plan.picker.as_ref().is_none_or(has)
}

/// The gauge of ready pods, and the pool's pods at the same time, read until they agree or had time enough to.
async fn await_gauge(
    quickstart: &Quickstart<'_>,
    scraper: &Scraper,
    seen: &Observation,
    pool_pods: Vec<PoolPod>,
) -> (Option<f64>, Vec<PoolPod>) {
    let mut gauge = None;
    let mut now = Observation {
        inference_pools: seen.inference_pools.clone(),
        pool_pods,
        ..Observation::default()
    };
    let agreed = poll(GAUGE_SETTLES_WITHIN, BETWEEN_LOOKS, async |_| {
        let Ok(metrics) = scraper.scrape().await else {
            return Ok(());
        };
        gauge = metrics.sum(READY_PODS, &[]);
        // An endpoint picker that came up a moment ago has not counted yet, and so has no series either.
        let counted = gauge.unwrap_or(0.0);
        now.pool_pods = pool::pods_now(&quickstart.deployer, seen);
        if ready_pods_agree(&now, counted) {
            return Ok(());
        }
        quickstart.context.events.waiting(
            Stage::Proof,
            "the endpoint picker's count of ready pods",
            format!("{counted} of {}", now.ready_pods().len()),
        );
        Err(())
    });
    // However it ends, the check says what the gauge means.
    let _ = agreed.await;
    (gauge, now.pool_pods)
}

/// The request with a prompt of its own: the endpoint picker sends equal prompts to the same pod on purpose (prefix
/// cache), so equal ones could not show that it chooses.
pub(super) fn varied(outgoing: &Outgoing, number: usize) -> Outgoing {
    with_prompt(outgoing, |prompt| format!("{number}. {prompt}"))
}

/// The request with another prompt: that of a completion, or the last message of a chat. What is not a JSON body with
/// either stays as it is.
fn with_prompt(outgoing: &Outgoing, other: impl FnOnce(&str) -> String) -> Outgoing {
    let mut request = outgoing.clone();
    let Some(mut body) = outgoing.json() else {
        return request;
    };
    let is_chat = body.get("messages").is_some();
    let prompt = if is_chat {
        let messages = body["messages"].as_array_mut();
        messages.and_then(|messages| messages.last_mut()?.get_mut("content"))
    } else {
        body.get_mut("prompt")
    };
    if let Some(Value::String(prompt)) = prompt {
        *prompt = other(prompt);
        request.body = Some(body.to_string());
    }
    request
}

/// A long prompt that no other run has.
fn long_prompt(run: &str) -> String {
    let sentence = format!("Run {run} asks the same long question again and again, word by word. ");
    sentence.repeat(LONG_PROMPT / sentence.len())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn asking(body: &str) -> Outgoing {
        Outgoing {
            method: "POST".into(),
            url: "http://g/v1/completions".into(),
            headers: Vec::new(),
            body: Some(body.into()),
        }
    }

    #[test]
    fn each_request_of_the_proof_has_a_prompt_of_its_own() {
        let outgoing = asking(r#"{"model":"m","prompt":"San Francisco"}"#);
        let bodies: Vec<Value> = (1..3).filter_map(|number| varied(&outgoing, number).json()).collect();
        assert_eq!(bodies[0]["prompt"], "1. San Francisco");
        assert_eq!(bodies[1]["prompt"], "2. San Francisco");
        assert_eq!(bodies[0]["model"], "m");
    }

    #[test]
    fn in_a_chat_it_is_the_last_message_that_differs() {
        let outgoing = asking(r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}]}"#);
        let body = varied(&outgoing, 3).json().unwrap();
        assert_eq!(body["messages"][0]["content"], "s");
        assert_eq!(body["messages"][1]["content"], "3. u");
    }

    #[rstest]
    #[case::not_json("{")]
    #[case::no_prompt(r#"{"model":"m"}"#)]
    #[case::several_prompts(r#"{"prompt":["a","b"]}"#)]
    #[case::no_messages(r#"{"messages":[]}"#)]
    #[case::messages_of_another_shape(r#"{"messages":"x"}"#)]
    fn a_body_without_one_prompt_stays_as_it_is(#[case] body: &str) {
        assert_eq!(varied(&asking(body), 1), asking(body));
    }

    #[test]
    fn the_long_prompt_fills_many_blocks_and_is_the_runs_own() {
        assert!((LONG_PROMPT / 2..=LONG_PROMPT).contains(&long_prompt("7f3a").len()));
        assert_ne!(long_prompt("7f3a"), long_prompt("7f3b"));
    }
}
