//! The requests of the proof: what shows more than that one request was answered.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::Value;

use super::{Context, picker, request::REQUEST_LIMIT};
use crate::{
    check::{Observation, READY_PODS, ready_pods_agree},
    deploy::Deployer,
    plan::PickerFacts,
    probe::{Answer, Outgoing, Probe},
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

impl Context {
    /// Sends the requests of the proof, each with a prompt of its own, between two looks at the endpoint picker's metrics;
    /// then those that must all arrive at one pod.
    pub(super) async fn prove(&self, deployer: &Deployer, outgoing: &Outgoing, seen: &mut Observation) {
        let pickers = picker::pods(deployer, seen);
        seen.endpoint_picker.image = pickers.first().and_then(|pod| picker::image(pod));
        seen.images = self.hold(|held| picker::running_images(deployer, seen, &pickers, &held.digests));
        self.events
            .waiting(Stage::Proof, "the endpoint picker's metrics", "reading");
        let scraper = picker::Scraper::open(deployer, seen, &self.sink).await;
        let Ok(probe) = Probe::new(REQUEST_LIMIT) else { return };
        seen.endpoint_picker.before = Some(picker::look(&scraper).await);
        seen.proof = self.send_proof(&probe, outgoing).await;
        seen.endpoint_picker.after = Some(picker::look(&scraper).await);
        if seen.proof.iter().all(|answer| answer.status() == Some(200)) {
            seen.steered = self.steer(&probe, outgoing).await;
            seen.endpoint_picker.steered = Some(picker::look(&scraper).await);
        }
        Self::refresh_pods(deployer, seen);
        if let Ok(scraper) = &scraper {
            self.await_gauge(deployer, scraper, seen).await;
        }
        if seen.proof.iter().any(|answer| answer.status() != Some(200)) {
            self.blame_outage_on_the_cluster(deployer).await;
        }
    }

    /// The first half one after the other, the rest several at a time.
    async fn send_proof(&self, probe: &Probe, outgoing: &Outgoing) -> Vec<Answer> {
        let all = self.order.requests;
        let serial = all / 2;
        let send = |number| probe.send(varied(outgoing, number));
        let one_by_one = futures::stream::iter((1..=serial).map(send)).buffered(1);
        let several = futures::stream::iter((serial + 1..=all).map(send)).buffered(CONCURRENTLY);
        let answers = one_by_one.chain(several);
        tokio::pin!(answers);
        let mut proof = Vec::new();
        while let Some(answer) = answers.next().await {
            proof.push(answer);
            self.events
                .waiting(Stage::Proof, "requests", format!("{} of {all}", proof.len()));
        }
        proof
    }

    async fn steer(&self, probe: &Probe, outgoing: &Outgoing) -> Vec<Answer> {
        let mut answers = Vec::new();
        let request = with_prompt(outgoing, |_| long_prompt(&self.id));
        for number in 1..=STEERED {
            self.events.waiting(
                Stage::Proof,
                "requests with one long prompt",
                format!("{number} of {STEERED}"),
            );
            answers.push(probe.send(request.clone()).await);
        }
        answers
    }

    /// Reads the gauge of ready pods until it agrees with Kubernetes or had time enough to.
    async fn await_gauge(&self, deployer: &Deployer, scraper: &picker::Scraper, seen: &mut Observation) {
        let has_gauge = |picker: &PickerFacts| picker.metrics.iter().any(|name| name == READY_PODS);
        if !self.plan.picker.as_ref().is_none_or(has_gauge) {
            return;
        }
        let began = Instant::now();
        loop {
            let Ok(metrics) = scraper.scrape().await else { return };
            seen.endpoint_picker.ready_pods = metrics.sum(READY_PODS, &[]);
            // An endpoint picker that came up a moment ago has not counted yet, and so has no series either.
            let counted = seen.endpoint_picker.ready_pods.unwrap_or(0.0);
            Self::refresh_pods(deployer, seen);
            if ready_pods_agree(seen, counted) || began.elapsed() >= GAUGE_SETTLES_WITHIN {
                return;
            }
            self.events.waiting(
                Stage::Proof,
                "the endpoint picker's count of ready pods",
                format!("{counted} of {}", seen.ready_pods().len()),
            );
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
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
